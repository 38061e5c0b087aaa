// SPDX-License-Identifier: GPL-2.0-only
/*
 * The iommufd ioctls that the demo's set-up needs, each wrapped once. No ring
 * and no table here.
 */
#include <errno.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include "iommufd_test.h"
#include "mock.h"

static int call(int iommu, unsigned long request, void *arg)
{
	return ioctl(iommu, request, arg) ? -errno : 0;
}

static int test_call(int iommu, __u32 op, struct iommu_test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	cmd->op = op;
	return call(iommu, IOMMU_TEST_CMD, cmd);
}

const char *mock_answer_name(enum mock_answer_code code)
{
	static const char * const names[] = {
		[MOCK_ANSWER_SUCCESS] = "SUCCESS",
		[MOCK_ANSWER_INVALID] = "INVALID",
		[MOCK_ANSWER_FAILURE] = "FAILURE",
		[MOCK_ANSWER_NONE] = "no answer",
	};

	return code <= MOCK_ANSWER_NONE ? names[code] : "unknown";
}

int mock_ioas(int iommu, __u32 *ioas)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int rc = call(iommu, IOMMU_IOAS_ALLOC, &cmd);

	*ioas = cmd.out_ioas_id;
	return rc;
}

int mock_device(int iommu, __u32 ioas, struct mock_device *dev)
{
	struct iommu_test_cmd cmd = { .id = ioas };
	int rc = test_call(iommu, IOMMU_TEST_OP_MOCK_DOMAIN, &cmd);

	dev->stdev_id = cmd.mock_domain.out_stdev_id;
	dev->dev_id = cmd.mock_domain.out_idev_id;
	return rc;
}

int mock_fault_queue(int iommu, __u32 flags, struct mock_queue *queue)
{
	struct iommu_fault_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
	};
	int rc = call(iommu, IOMMU_FAULT_QUEUE_ALLOC, &cmd);

	queue->id = cmd.out_fault_id;
	queue->fd = cmd.out_fault_fd;
	return rc;
}

static int attach(int iommu, const struct mock_device *dev, __u32 hwpt)
{
	struct iommu_test_cmd cmd = {
		.id = dev->stdev_id,
		.mock_domain_replace.pt_id = hwpt,
	};

	return test_call(iommu, IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, &cmd);
}

int mock_route_faults(int iommu, __u32 ioas, const struct mock_device *dev,
		      const struct mock_queue *queue)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = dev->dev_id,
		.pt_id = ioas,
		.fault_id = queue->id,
	};
	int rc = call(iommu, IOMMU_HWPT_ALLOC, &cmd);

	return rc ? rc : attach(iommu, dev, cmd.out_hwpt_id);
}

static int alloc_viommu(int iommu, __u32 ioas, const struct mock_device *dev,
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
	int rc = call(iommu, IOMMU_HWPT_ALLOC, &parent);

	if (rc)
		return rc;
	cmd.hwpt_id = parent.out_hwpt_id;
	rc = call(iommu, IOMMU_VIOMMU_ALLOC, &cmd);
	*viommu = cmd.out_viommu_id;
	return rc;
}

/* Tell the vIOMMU the guest's number of the device, then attach it there. */
static int attach_nested(int iommu, __u32 viommu, const struct mock_device *dev,
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
	int rc = call(iommu, IOMMU_VDEVICE_ALLOC, &vdev);

	if (!rc)
		rc = call(iommu, IOMMU_HWPT_ALLOC, &nested);
	return rc ? rc : attach(iommu, dev, nested.out_hwpt_id);
}

int mock_vevent_queue(int iommu, __u32 ioas, const struct mock_device *dev,
		      __u64 virt_id, __u32 depth, struct mock_queue *queue)
{
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd),
		.type = IOMMU_VEVENTQ_TYPE_SELFTEST,
		.veventq_depth = depth,
	};
	int rc = alloc_viommu(iommu, ioas, dev, &cmd.viommu_id);

	if (!rc)
		rc = attach_nested(iommu, cmd.viommu_id, dev, virt_id);
	if (!rc)
		rc = call(iommu, IOMMU_VEVENTQ_ALLOC, &cmd);
	queue->id = cmd.out_veventq_id;
	queue->fd = cmd.out_veventq_fd;
	return rc;
}

int mock_fault_group(int iommu, const struct mock_device *dev, __u32 grpid,
		     unsigned int nr)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; i < nr && !rc; i++) {
		struct iommu_test_cmd cmd = {
			.trigger_iopf = {
				.dev_id = dev->dev_id,
				.grpid = grpid,
				.perm = IOMMU_PGFAULT_PERM_READ,
				.addr = MOCK_FAULT_ADDR + i * MOCK_PAGE_SIZE,
			},
		};

		rc = test_call(iommu, i + 1 < nr ?
			       IOMMU_TEST_OP_TRIGGER_IOPF_PART :
			       IOMMU_TEST_OP_TRIGGER_IOPF, &cmd);
	}
	return rc;
}

int mock_vevent(int iommu, const struct mock_device *dev)
{
	struct iommu_test_cmd cmd = { .trigger_vevent.dev_id = dev->dev_id };

	return test_call(iommu, IOMMU_TEST_OP_TRIGGER_VEVENT, &cmd);
}

int mock_answer(int iommu, const struct mock_device *dev,
		struct mock_answer *answer)
{
	struct iommu_test_cmd cmd = { .iopf_response.dev_id = dev->dev_id };
	int rc = test_call(iommu, IOMMU_TEST_OP_IOPF_RESPONSE, &cmd);

	answer->grpid = cmd.iopf_response.out_grpid;
	answer->code = MOCK_ANSWER_NONE;
	if (!rc && cmd.iopf_response.out_valid)
		answer->code = cmd.iopf_response.out_code;
	return rc;
}
