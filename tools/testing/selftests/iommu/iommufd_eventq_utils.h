/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Helpers of the event queue selftests: the ioctls they need, each wrapped once,
 * and reading of fdinfo. No test cases, threads or rings here.
 *
 * Every helper that can fail returns a negative errno.
 */
#ifndef __IOMMUFD_EVENTQ_UTILS_H
#define __IOMMUFD_EVENTQ_UTILS_H

#include <errno.h>
#include <linux/iommufd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../../../../drivers/iommu/iommufd/iommufd_test.h"

/* Result of a system call: what it returned, or -errno. */
#define RET(call)						\
({								\
	long __ret = (call);					\
								\
	__ret < 0 ? -(long)errno : __ret;			\
})

#define FAULT_LEN ((long)sizeof(struct iommu_hwpt_pgfault))
#define ANSWER_LEN ((long)sizeof(struct iommu_hwpt_page_response))
#define HEADER_LEN ((long)sizeof(struct iommufd_vevent_header))

/* A whole record of the mock's vIOMMU events. */
struct eq_vevent {
	struct iommufd_vevent_header header;
	struct iommu_viommu_event_selftest event;
};

#define VEVENT_LEN ((long)sizeof(struct eq_vevent))

/* Codes of the answers that the mock device gets: as in the kernel's enum. */
enum { GOT_SUCCESS, GOT_INVALID, GOT_FAILURE, GOT_NOTHING };

struct eq_queue {
	__u32 id;
	int fd;
};

struct eq_dev {
	__u32 stdev_id;		/* names the attachment */
	__u32 dev_id;		/* names the device */
};

struct eq_answer {
	__u32 code, grpid, pasid;
	__u32 nr_success, nr_invalid, nr_failure;	/* since it was made */
};

static inline int eq_call(int iommu, unsigned long request, void *arg)
{
	return RET(ioctl(iommu, request, arg));
}

static inline int eq_test(int iommu, __u32 op, struct iommu_test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	cmd->op = op;
	return eq_call(iommu, IOMMU_TEST_CMD, cmd);
}

static inline int eq_destroy(int iommu, __u32 id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return eq_call(iommu, IOMMU_DESTROY, &cmd);
}

static inline int eq_ioas(int iommu, __u32 *id)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int rc = eq_call(iommu, IOMMU_IOAS_ALLOC, &cmd);

	*id = cmd.out_ioas_id;
	return rc;
}

static inline int eq_device(int iommu, __u32 pt_id, struct eq_dev *dev)
{
	struct iommu_test_cmd cmd = {
		.id = pt_id,
		.mock_domain_flags.dev_flags = MOCK_FLAGS_DEVICE_PASID,
	};
	int rc = eq_test(iommu, IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, &cmd);

	dev->stdev_id = cmd.mock_domain_flags.out_stdev_id;
	dev->dev_id = cmd.mock_domain_flags.out_idev_id;
	return rc;
}

static inline int eq_replace(int iommu, const struct eq_dev *dev, __u32 pt_id)
{
	struct iommu_test_cmd cmd = {
		.id = dev->stdev_id,
		.mock_domain_replace.pt_id = pt_id,
	};

	return eq_test(iommu, IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, &cmd);
}

static inline int eq_pasid_attach(int iommu, const struct eq_dev *dev,
				  __u32 pasid, __u32 pt_id)
{
	struct iommu_test_cmd cmd = {
		.id = dev->stdev_id,
		.pasid_attach = { .pasid = pasid, .pt_id = pt_id },
	};

	return eq_test(iommu, IOMMU_TEST_OP_PASID_ATTACH, &cmd);
}

static inline int eq_pasid_detach(int iommu, const struct eq_dev *dev,
				  __u32 pasid)
{
	struct iommu_test_cmd cmd = {
		.id = dev->stdev_id,
		.pasid_detach.pasid = pasid,
	};

	return eq_test(iommu, IOMMU_TEST_OP_PASID_DETACH, &cmd);
}

/* Fault queues */

static inline int eq_fault_queue(int iommu, __u32 flags, struct eq_queue *queue)
{
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd), .flags = flags };
	int rc = eq_call(iommu, IOMMU_FAULT_QUEUE_ALLOC, &cmd);

	queue->id = cmd.out_fault_id;
	queue->fd = rc ? -1 : (int)cmd.out_fault_fd;
	return rc;
}

/* A page table whose faults go to @queue_id, fit for PASIDs too. */
static inline int eq_fault_hwpt(int iommu, const struct eq_dev *dev,
				__u32 ioas, __u32 queue_id, __u32 *hwpt)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID,
		.dev_id = dev->dev_id,
		.pt_id = ioas,
		.fault_id = queue_id,
	};
	int rc = eq_call(iommu, IOMMU_HWPT_ALLOC, &cmd);

	*hwpt = cmd.out_hwpt_id;
	return rc;
}

#define EQ_ADDR(i) (MOCK_APERTURE_START + (__u64)(i) * MOCK_PAGE_SIZE)

static inline int eq_fault_op(int iommu, __u32 op, const struct eq_dev *dev,
			      __u32 pasid, __u32 grpid, __u64 addr)
{
	struct iommu_test_cmd cmd = {
		.trigger_iopf = {
			.dev_id = dev->dev_id,
			.pasid = pasid,
			.grpid = grpid,
			.perm = IOMMU_PGFAULT_PERM_READ |
				IOMMU_PGFAULT_PERM_WRITE,
			.addr = addr,
		},
	};

	return eq_test(iommu, op, &cmd);
}

static inline int eq_pasid_fault(int iommu, const struct eq_dev *dev,
				 __u32 pasid, __u32 grpid)
{
	return eq_fault_op(iommu, IOMMU_TEST_OP_TRIGGER_IOPF, dev, pasid, grpid,
			   EQ_ADDR(0));
}

static inline int eq_fault(int iommu, const struct eq_dev *dev, __u32 grpid)
{
	return eq_pasid_fault(iommu, dev, 0, grpid);
}

/* A group of @nr faults, at EQ_ADDR(0), EQ_ADDR(1) and so on. */
static inline int eq_group(int iommu, const struct eq_dev *dev, __u32 grpid,
			   unsigned int nr)
{
	unsigned int i;
	int rc;

	for (i = 0; i + 1 < nr; i++) {
		rc = eq_fault_op(iommu, IOMMU_TEST_OP_TRIGGER_IOPF_PART, dev, 0,
				 grpid, EQ_ADDR(i));
		if (rc)
			return rc;
	}
	return eq_fault_op(iommu, IOMMU_TEST_OP_TRIGGER_IOPF, dev, 0, grpid,
			   EQ_ADDR(i));
}

/* The oldest answer not popped yet; code GOT_NOTHING if there is none. */
static inline int eq_pop_answer(int iommu, const struct eq_dev *dev,
				struct eq_answer *answer)
{
	struct iommu_test_cmd cmd = { .iopf_response.dev_id = dev->dev_id };
	int rc = eq_test(iommu, IOMMU_TEST_OP_IOPF_RESPONSE, &cmd);

	answer->code = cmd.iopf_response.out_valid ?
		       cmd.iopf_response.out_code : GOT_NOTHING;
	answer->grpid = cmd.iopf_response.out_grpid;
	answer->pasid = cmd.iopf_response.out_pasid;
	answer->nr_success = cmd.iopf_response.out_nr_success;
	answer->nr_invalid = cmd.iopf_response.out_nr_invalid;
	answer->nr_failure = cmd.iopf_response.out_nr_failure;
	return rc;
}

/* vIOMMU event queues */

static inline int eq_viommu(int iommu, __u32 ioas, const struct eq_dev *dev,
			    __u32 *viommu)
{
	struct iommu_hwpt_alloc parent = {
		.size = sizeof(parent),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
		.dev_id = dev->dev_id,
		.pt_id = ioas,
	};
	struct iommu_viommu_alloc cmd = {
		.size = sizeof(cmd),
		.type = IOMMU_VIOMMU_TYPE_SELFTEST,
		.dev_id = dev->dev_id,
	};
	int rc = eq_call(iommu, IOMMU_HWPT_ALLOC, &parent);

	if (rc)
		return rc;
	cmd.hwpt_id = parent.out_hwpt_id;
	rc = eq_call(iommu, IOMMU_VIOMMU_ALLOC, &cmd);
	*viommu = cmd.out_viommu_id;
	return rc;
}

/* Put @dev behind @viommu, known to the guest as @virt_id. */
static inline int eq_vdevice(int iommu, __u32 viommu, const struct eq_dev *dev,
			     __u64 virt_id)
{
	struct iommu_vdevice_alloc vdev = {
		.size = sizeof(vdev),
		.viommu_id = viommu,
		.dev_id = dev->dev_id,
		.virt_id = virt_id,
	};
	struct iommu_hwpt_selftest data = { .iotlb = IOMMU_TEST_IOTLB_DEFAULT };
	struct iommu_hwpt_alloc nested = {
		.size = sizeof(nested),
		.dev_id = dev->dev_id,
		.pt_id = viommu,
		.data_type = IOMMU_HWPT_DATA_SELFTEST,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};
	int rc = eq_call(iommu, IOMMU_VDEVICE_ALLOC, &vdev);

	if (!rc)
		rc = eq_call(iommu, IOMMU_HWPT_ALLOC, &nested);
	return rc ? rc : eq_replace(iommu, dev, nested.out_hwpt_id);
}

static inline int eq_vevent_queue(int iommu, __u32 viommu, __u32 type,
				  __u32 flags, __u32 depth,
				  struct eq_queue *queue)
{
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.viommu_id = viommu,
		.type = type,
		.veventq_depth = depth,
	};
	int rc = eq_call(iommu, IOMMU_VEVENTQ_ALLOC, &cmd);

	queue->id = cmd.out_veventq_id;
	queue->fd = rc ? -1 : (int)cmd.out_veventq_fd;
	return rc;
}

static inline int eq_vevents(int iommu, const struct eq_dev *dev,
			     unsigned int nr)
{
	struct iommu_test_cmd cmd = { .trigger_vevent.dev_id = dev->dev_id };
	int rc = 0;

	while (nr-- && !rc)
		rc = eq_test(iommu, IOMMU_TEST_OP_TRIGGER_VEVENT, &cmd);
	return rc;
}

/* What stands after "@key:" and a tab in the fd's fdinfo, in @line. */
static inline int eq_fdinfo_text(int fd, const char *key, char *line, int size)
{
	size_t len = strlen(key);
	int rc = -ENOENT;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	if (!file)
		return -errno;
	while (rc && fgets(line, size, file)) {
		if (strncmp(line, key, len) || strncmp(line + len, ":\t", 2))
			continue;
		line[strcspn(line, "\n")] = 0;
		memmove(line, line + len + 2, strlen(line + len + 2) + 1);
		rc = 0;
	}
	fclose(file);
	return rc;
}

/* The same of a number, -ENOENT without such a line. */
static inline long eq_fdinfo(int fd, const char *key)
{
	char line[256];
	int rc = eq_fdinfo_text(fd, key, line, sizeof(line));

	return rc ? rc : (long)strtoul(line, NULL, 0);
}

#endif
