/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the test cases of the event queues start from and do to a queue: an
 * iommufd with two mock devices and one queue, short names for what a test does
 * over and over, and the same as jobs for things that must not get stuck. No
 * test cases here.
 */
#ifndef __IOMMUFD_EVENTQ_WORLD_H
#define __IOMMUFD_EVENTQ_WORLD_H

#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/uio.h>

#include "iommufd_eventq_utils.h"
#include "iommufd_eventq_wait.h"

#define NO_WAIT_FLAG 0
#define WAIT_FLAG IOMMU_EVENTQ_ALLOC_WAIT_READ

#define MAX_DEPTH (512 * 1024)
#define DEPTH 8
#define VIRT_ID 0x99

/* What the cases start from: an iommufd, two devices, one queue. */
struct world {
	int iommu;
	__u32 ioas;
	struct eq_dev dev[2];
	struct eq_queue queue;
	__u32 hwpt;		/* of a fault queue */
	__u32 viommu;		/* of a vIOMMU event queue: dev[0] is on it */
};

static inline int world_open(struct world *w)
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

static inline int world_fault_queue(struct world *w, __u32 flags)
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

static inline int world_viommu(struct world *w)
{
	int rc = eq_viommu(w->iommu, w->ioas, &w->dev[0], &w->viommu);

	return rc ? rc : eq_vdevice(w->iommu, w->viommu, &w->dev[0], VIRT_ID);
}

static inline int world_vevent_queue(struct world *w, __u32 flags,
				     __u32 depth)
{
	int rc = world_viommu(w);

	return rc ? rc : eq_vevent_queue(w->iommu, w->viommu,
					 IOMMU_VEVENTQ_TYPE_SELFTEST, flags,
					 depth, &w->queue);
}

static inline int world_queue(struct world *w, bool viommu, __u32 flags)
{
	return viommu ? world_vevent_queue(w, flags, DEPTH) :
			world_fault_queue(w, flags);
}

/* There is nothing to test on this kernel. */
static inline bool no_mock(void)
{
	int iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC), rc;
	struct iommu_test_cmd cmd = {};

	if (iommu < 0)
		return true;
	/* Operation 0 is none: who knows the ioctl says so. */
	rc = eq_test(iommu, 0, &cmd);
	close(iommu);
	return rc == -ENOTTY;
}

#define NO_MOCK "needs IOMMUFD and IOMMUFD_TEST"
#define NO_STALL "needs userfaultfd, and root"
#define NO_RING "needs io_uring"

/* A call that must return @expected at once, whoever else is stuck. */
#define ASSERT_PROMPT(expected, fn, arg)				\
do {									\
	struct eq_job __job;						\
									\
	ASSERT_TRUE(eq_job_start(&__job, fn, arg));			\
	ASSERT_TRUE(eq_job_end(&__job, DEADLINE_MS))			\
		TH_LOG("stuck");					\
	ASSERT_EQ(expected, __job.ret);					\
} while (0)

static inline long sys_read(int fd, void *buf, size_t len)
{
	return RET(read(fd, buf, len));
}

static inline long sys_write(int fd, const void *buf, size_t len)
{
	return RET(write(fd, buf, len));
}

static inline long read_nowait(int fd, void *buf, size_t len)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };

	return RET(preadv2(fd, &iov, 1, -1, RWF_NOWAIT));
}

static inline long read_vector(int fd, void *buf, size_t len)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };

	return RET(readv(fd, &iov, 1));
}

static inline short poll_now(int fd)
{
	struct pollfd pfd = {
		.fd = fd,
		.events = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM,
	};

	return poll(&pfd, 1, 0) < 0 ? -1 : pfd.revents;
}

static inline bool readable(int fd)
{
	return poll_now(fd) & POLLIN;
}

static inline int fault(struct world *w, unsigned int dev, __u32 grpid)
{
	return eq_fault(w->iommu, &w->dev[dev], grpid);
}

static inline int group(struct world *w, unsigned int dev, __u32 grpid,
			unsigned int nr)
{
	return eq_group(w->iommu, &w->dev[dev], grpid, nr);
}

static inline int vevents(struct world *w, unsigned int nr)
{
	return eq_vevents(w->iommu, &w->dev[0], nr);
}

static inline long answer(int fd, __u32 cookie, __u32 code)
{
	struct iommu_hwpt_page_response response = {
		.cookie = cookie,
		.code = code,
	};

	return sys_write(fd, &response, sizeof(response));
}

/* The next answer of the device is @code for group @grpid. */
static inline bool got(struct world *w, unsigned int dev, __u32 grpid,
		       __u32 code)
{
	struct eq_answer a;
	int rc = eq_pop_answer(w->iommu, &w->dev[dev], &a);

	if (!rc && a.code == code &&
	    (code == GOT_NOTHING || a.grpid == grpid))
		return true;
	printf("# device %u: rc %d, answer %u to group %u\n", dev, rc, a.code,
	       a.grpid);
	return false;
}

static inline bool got_nothing(struct world *w, unsigned int dev)
{
	return got(w, dev, 0, GOT_NOTHING);
}

/* The device got INVALID for these two groups, in any order, and no more. */
static inline bool got_two_invalid(struct world *w, unsigned int dev,
				   __u32 grpid, __u32 other)
{
	struct eq_answer a, b;

	if (eq_pop_answer(w->iommu, &w->dev[dev], &a) ||
	    eq_pop_answer(w->iommu, &w->dev[dev], &b))
		return false;
	return a.code == GOT_INVALID && b.code == GOT_INVALID &&
	       ((a.grpid == grpid && b.grpid == other) ||
		(a.grpid == other && b.grpid == grpid)) &&
	       got_nothing(w, dev);
}

/* Raise one fault and read it: it is outstanding then. */
static inline bool outstanding(struct world *w, unsigned int dev,
			       __u32 grpid, __u32 *cookie)
{
	struct iommu_hwpt_pgfault f;

	if (fault(w, dev, grpid) ||
	    sys_read(w->queue.fd, &f, sizeof(f)) != FAULT_LEN ||
	    f.grpid != grpid)
		return false;
	*cookie = f.cookie;
	return true;
}

/* The same for ASSERT_PROMPT() */

struct act {
	struct world *w;
	unsigned int dev;
	__u32 arg;
};

static inline long act_vevent(void *arg)
{
	struct act *act = arg;

	return vevents(act->w, 1);
}

static inline long act_replace(void *arg)
{
	struct act *act = arg;

	return eq_replace(act->w->iommu, &act->w->dev[act->dev], act->arg);
}

static inline long act_accept(void *arg)
{
	struct act *act = arg;

	return answer(act->w->queue.fd, act->arg, IOMMUFD_PAGE_RESP_SUCCESS);
}

static inline long act_read_nowait(void *arg)
{
	struct act *act = arg;
	char buf[4096];

	return read_nowait(act->w->queue.fd, buf, sizeof(buf));
}

static inline int lowest_free_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

/* The id that the next object gets: an id that leaked is not free. */
static inline long next_id(struct world *w)
{
	__u32 id;
	int rc = eq_ioas(w->iommu, &id);

	return rc ? rc : eq_destroy(w->iommu, id) ?: (long)id;
}

/* A record is a normal event with this sequence. */
static inline bool is_event(const void *record, __u32 sequence)
{
	struct eq_vevent v;

	memcpy(&v, record, sizeof(v));
	if (!v.header.flags && v.header.sequence == sequence &&
	    v.event.virt_id == VIRT_ID)
		return true;
	printf("# flags %#x sequence %u virt_id %#x, wanted %u\n",
	       v.header.flags, v.header.sequence, v.event.virt_id, sequence);
	return false;
}

/* A header says that events up to this sequence were lost. */
static inline bool is_lost(const void *record, __u32 sequence)
{
	struct iommufd_vevent_header h;

	memcpy(&h, record, sizeof(h));
	if (h.flags == IOMMU_VEVENTQ_FLAG_LOST_EVENTS && h.sequence == sequence)
		return true;
	printf("# flags %#x sequence %u, wanted LOST %u\n", h.flags,
	       h.sequence, sequence);
	return false;
}

static inline int raise_one(struct world *w, bool viommu)
{
	return viommu ? vevents(w, 1) : fault(w, 0, 1);
}

static inline long record_len(bool viommu)
{
	return viommu ? VEVENT_LEN : FAULT_LEN;
}

#endif
