// SPDX-License-Identifier: GPL-2.0-only
/* Library of the event queue selftests: see eventq.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "eventq.h"

int eq_call(int iommu, unsigned long request, void *arg)
{
	return EQ_RET(ioctl(iommu, request, arg));
}

int eq_test(int iommu, __u32 op, struct iommu_test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	cmd->op = op;
	return eq_call(iommu, IOMMU_TEST_CMD, cmd);
}

int eq_destroy(int iommu, __u32 id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return eq_call(iommu, IOMMU_DESTROY, &cmd);
}

int eq_ioas(int iommu, __u32 *id)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int rc = eq_call(iommu, IOMMU_IOAS_ALLOC, &cmd);

	*id = cmd.out_ioas_id;
	return rc;
}

int eq_device(int iommu, __u32 pt_id, struct eq_dev *dev)
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

int eq_replace(int iommu, const struct eq_dev *dev, __u32 pt_id)
{
	struct iommu_test_cmd cmd = {
		.id = dev->stdev_id,
		.mock_domain_replace.pt_id = pt_id,
	};

	return eq_test(iommu, IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, &cmd);
}

int eq_pasid_attach(int iommu, const struct eq_dev *dev, __u32 pasid,
		    __u32 pt_id)
{
	struct iommu_test_cmd cmd = {
		.id = dev->stdev_id,
		.pasid_attach = { .pasid = pasid, .pt_id = pt_id },
	};

	return eq_test(iommu, IOMMU_TEST_OP_PASID_ATTACH, &cmd);
}

int eq_pasid_detach(int iommu, const struct eq_dev *dev, __u32 pasid)
{
	struct iommu_test_cmd cmd = {
		.id = dev->stdev_id,
		.pasid_detach.pasid = pasid,
	};

	return eq_test(iommu, IOMMU_TEST_OP_PASID_DETACH, &cmd);
}

int eq_fault_queue(int iommu, __u32 flags, struct eq_queue *queue)
{
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd), .flags = flags };
	int rc = eq_call(iommu, IOMMU_FAULT_QUEUE_ALLOC, &cmd);

	queue->id = cmd.out_fault_id;
	queue->fd = rc ? -1 : (int)cmd.out_fault_fd;
	return rc;
}

int eq_fault_hwpt(int iommu, const struct eq_dev *dev, __u32 ioas,
		  __u32 queue_id, __u32 *hwpt)
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

int eq_fault_op(int iommu, __u32 op, const struct eq_dev *dev, __u32 pasid,
		__u32 grpid, __u64 addr)
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

int eq_pasid_fault(int iommu, const struct eq_dev *dev, __u32 pasid,
		   __u32 grpid)
{
	return eq_fault_op(iommu, IOMMU_TEST_OP_TRIGGER_IOPF, dev, pasid, grpid,
			   EQ_ADDR(0));
}

int eq_fault(int iommu, const struct eq_dev *dev, __u32 grpid)
{
	return eq_pasid_fault(iommu, dev, 0, grpid);
}

int eq_group(int iommu, const struct eq_dev *dev, __u32 grpid, unsigned int nr)
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

int eq_pop_response(int iommu, const struct eq_dev *dev,
		    struct eq_response *response)
{
	struct iommu_test_cmd cmd = { .iopf_response.dev_id = dev->dev_id };
	int rc = eq_test(iommu, IOMMU_TEST_OP_IOPF_RESPONSE, &cmd);

	response->code = cmd.iopf_response.out_valid ?
		       cmd.iopf_response.out_code : EQ_GOT_NOTHING;
	response->grpid = cmd.iopf_response.out_grpid;
	response->pasid = cmd.iopf_response.out_pasid;
	response->nr_success = cmd.iopf_response.out_nr_success;
	response->nr_invalid = cmd.iopf_response.out_nr_invalid;
	response->nr_failure = cmd.iopf_response.out_nr_failure;
	return rc;
}

int eq_viommu(int iommu, __u32 ioas, const struct eq_dev *dev, __u32 *viommu)
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

int eq_vdevice(int iommu, __u32 viommu, const struct eq_dev *dev,
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

int eq_vevent_queue(int iommu, __u32 viommu, __u32 type, __u32 flags,
		    __u32 depth, struct eq_queue *queue)
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

int eq_vevents(int iommu, const struct eq_dev *dev, unsigned int nr)
{
	struct iommu_test_cmd cmd = { .trigger_vevent.dev_id = dev->dev_id };
	int rc = 0;

	while (nr-- && !rc)
		rc = eq_test(iommu, IOMMU_TEST_OP_TRIGGER_VEVENT, &cmd);
	return rc;
}

int eq_fdinfo_text(int fd, const char *key, char *line, int size)
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

long eq_fdinfo(int fd, const char *key)
{
	char line[256];
	int rc = eq_fdinfo_text(fd, key, line, sizeof(line));

	return rc ? rc : (long)strtoul(line, NULL, 0);
}

int eq_world_open(struct eq_world *w)
{
	int rc;

	w->iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (w->iommu < 0)
		return -errno;
	rc = eq_ioas(w->iommu, &w->ioas);
	if (!rc)
		rc = eq_device(w->iommu, w->ioas, &w->dev[0]);
	if (!rc)
		rc = eq_device(w->iommu, w->ioas, &w->dev[1]);
	return rc;
}

int eq_world_fault_queue(struct eq_world *w, __u32 flags)
{
	int rc = eq_fault_queue(w->iommu, flags, &w->queue);

	if (!rc)
		rc = eq_fault_hwpt(w->iommu, &w->dev[0], w->ioas, w->queue.id,
				   &w->hwpt);
	if (!rc)
		rc = eq_replace(w->iommu, &w->dev[0], w->hwpt);
	if (!rc)
		rc = eq_replace(w->iommu, &w->dev[1], w->hwpt);
	return rc;
}

int eq_world_viommu(struct eq_world *w)
{
	int rc = eq_viommu(w->iommu, w->ioas, &w->dev[0], &w->viommu);

	return rc ? rc : eq_vdevice(w->iommu, w->viommu, &w->dev[0], EQ_VIRT_ID);
}

int eq_world_vevent_queue(struct eq_world *w, __u32 flags, __u32 depth)
{
	int rc = eq_world_viommu(w);

	return rc ? rc : eq_vevent_queue(w->iommu, w->viommu,
					 IOMMU_VEVENTQ_TYPE_SELFTEST, flags,
					 depth, &w->queue);
}

bool eq_no_mock(void)
{
	int iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC), rc;
	struct iommu_test_cmd cmd = {};

	if (iommu < 0)
		return true;
	/* Operation 0 is invalid: a kernel with the test ioctl does not return ENOTTY. */
	rc = eq_test(iommu, 0, &cmd);
	close(iommu);
	return rc == -ENOTTY;
}

long eq_read(int fd, void *buf, size_t len)
{
	return EQ_RET(read(fd, buf, len));
}

long eq_write(int fd, const void *buf, size_t len)
{
	return EQ_RET(write(fd, buf, len));
}

long eq_read_nowait(int fd, void *buf, size_t len)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };

	return EQ_RET(preadv2(fd, &iov, 1, -1, RWF_NOWAIT));
}

short eq_poll_now(int fd)
{
	struct pollfd pfd = {
		.fd = fd,
		.events = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM,
	};

	return poll(&pfd, 1, 0) < 0 ? -1 : pfd.revents;
}

bool eq_readable(int fd)
{
	return eq_poll_now(fd) & POLLIN;
}

int eq_raise_fault(struct eq_world *w, unsigned int dev, __u32 grpid)
{
	return eq_fault(w->iommu, &w->dev[dev], grpid);
}

int eq_raise_group(struct eq_world *w, unsigned int dev, __u32 grpid,
		   unsigned int nr)
{
	return eq_group(w->iommu, &w->dev[dev], grpid, nr);
}

int eq_raise_vevents(struct eq_world *w, unsigned int nr)
{
	return eq_vevents(w->iommu, &w->dev[0], nr);
}

long eq_respond(int fd, __u32 cookie, __u32 code)
{
	struct iommu_hwpt_page_response response = {
		.cookie = cookie,
		.code = code,
	};

	return eq_write(fd, &response, sizeof(response));
}

bool eq_got(struct eq_world *w, unsigned int dev, __u32 grpid, __u32 code)
{
	struct eq_response a;
	int rc = eq_pop_response(w->iommu, &w->dev[dev], &a);

	if (!rc && a.code == code &&
	    (code == EQ_GOT_NOTHING || a.grpid == grpid))
		return true;
	printf("# device %u: rc %d, response %u to group %u\n", dev, rc, a.code,
	       a.grpid);
	return false;
}

bool eq_got_nothing(struct eq_world *w, unsigned int dev)
{
	return eq_got(w, dev, 0, EQ_GOT_NOTHING);
}

bool eq_got_two_invalid(struct eq_world *w, unsigned int dev, __u32 grpid,
			__u32 other)
{
	struct eq_response a, b;

	if (eq_pop_response(w->iommu, &w->dev[dev], &a) ||
	    eq_pop_response(w->iommu, &w->dev[dev], &b))
		return false;
	return a.code == EQ_GOT_INVALID && b.code == EQ_GOT_INVALID &&
	       ((a.grpid == grpid && b.grpid == other) ||
		(a.grpid == other && b.grpid == grpid)) &&
	       eq_got_nothing(w, dev);
}

bool eq_outstanding(struct eq_world *w, unsigned int dev, __u32 grpid,
		    __u32 *cookie)
{
	struct iommu_hwpt_pgfault f;

	if (eq_raise_fault(w, dev, grpid) ||
	    eq_read(w->queue.fd, &f, sizeof(f)) != EQ_FAULT_LEN ||
	    f.grpid != grpid)
		return false;
	*cookie = f.cookie;
	return true;
}

int eq_lowest_free_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

bool eq_is_event(const void *record, __u32 sequence)
{
	struct eq_vevent v;

	memcpy(&v, record, sizeof(v));
	if (!v.header.flags && v.header.sequence == sequence &&
	    v.event.virt_id == EQ_VIRT_ID)
		return true;
	printf("# flags %#x sequence %u virt_id %#x, wanted %u\n",
	       v.header.flags, v.header.sequence, v.event.virt_id, sequence);
	return false;
}

bool eq_is_lost(const void *record, __u32 sequence)
{
	struct iommufd_vevent_header h;

	memcpy(&h, record, sizeof(h));
	if (h.flags == IOMMU_VEVENTQ_FLAG_LOST_EVENTS && h.sequence == sequence)
		return true;
	printf("# flags %#x sequence %u, wanted LOST %u\n", h.flags,
	       h.sequence, sequence);
	return false;
}

long eq_record_len(bool viommu)
{
	return viommu ? EQ_VEVENT_LEN : EQ_FAULT_LEN;
}

int eq_numbered_open(struct eq_numbered *q, bool viommu, __u32 flags,
		     __u32 depth)
{
	int rc = eq_world_open(&q->w);

	q->viommu = viommu;
	q->len = eq_record_len(viommu);
	if (rc)
		return rc;
	return viommu ? eq_world_vevent_queue(&q->w, flags, depth) :
			eq_world_fault_queue(&q->w, flags);
}

int eq_numbered_add(struct eq_numbered *q)
{
	__u32 nr = q->raised++;

	return q->viommu ? eq_raise_vevents(&q->w, 1) : eq_raise_fault(&q->w, 0, nr);
}

int eq_numbered_add_many(struct eq_numbered *q, unsigned int nr)
{
	int rc = 0;

	while (nr-- && !rc)
		rc = eq_numbered_add(q);
	return rc;
}

long eq_numbered_number(const struct eq_numbered *q, const void *record)
{
	struct iommu_hwpt_pgfault f;
	struct eq_vevent v;

	if (!q->viommu) {
		memcpy(&f, record, sizeof(f));
		return f.grpid;
	}
	memcpy(&v, record, sizeof(v));
	return v.header.flags ? -ENOMSG : (long)v.header.sequence;
}

long eq_numbered_take(struct eq_numbered *q)
{
	char buf[64];
	long ret;

	if (!eq_readable(q->w.queue.fd))
		return -ENODATA;
	ret = eq_read(q->w.queue.fd, buf, q->len);
	if (ret == q->len)
		return eq_numbered_number(q, buf);
	return ret < 0 ? ret : -ENODATA;
}

int eq_numbered_destroy(struct eq_numbered *q)
{
	struct eq_world *w = &q->w;
	int rc = 0;

	if (!q->viommu)
		rc = eq_replace(w->iommu, &w->dev[0], w->ioas);
	if (!rc && !q->viommu)
		rc = eq_replace(w->iommu, &w->dev[1], w->ioas);
	if (!rc && !q->viommu)
		rc = eq_destroy(w->iommu, w->hwpt);
	return rc ? rc : eq_destroy(w->iommu, w->queue.id);
}

char *eq_edge(size_t len)
{
	size_t page = sysconf(_SC_PAGESIZE), whole = (len + page - 1) / page * page;
	char *mem = mmap(NULL, whole + page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED || mprotect(mem + whole, page, PROT_NONE))
		return NULL;
	return mem + whole - len;
}

bool eq_knows_wait_flag(int iommu)
{
	struct eq_queue q;

	if (eq_fault_queue(iommu, EQ_WAIT, &q))
		return false;
	close(q.fd);
	eq_destroy(iommu, q.id);
	return true;
}

bool eq_wait_flag_known(void)
{
	int iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	bool known = eq_knows_wait_flag(iommu);

	close(iommu);
	return known;
}

void eq_numbered_close(struct eq_numbered *q)
{
	close(q->w.queue.fd);
	close(q->w.iommu);
}

int eq_set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL) & ~O_NONBLOCK;

	return EQ_RET(fcntl(fd, F_SETFL, flags | (on ? O_NONBLOCK : 0)));
}
