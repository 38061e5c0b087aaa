// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selftest of iommufd's event queues: what a program sees of a fault queue and
 * of a vIOMMU event queue, on the mock device. Only test cases and what they
 * share belong here; ioctls, threads and the ring are in the headers.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "../kselftest_harness.h"
#include "iommufd_eventq_uring.h"
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

static int world_open(struct world *w)
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

static int world_fault_queue(struct world *w, __u32 flags)
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

static int world_viommu(struct world *w)
{
	int rc = eq_viommu(w->iommu, w->ioas, &w->dev[0], &w->viommu);

	return rc ? rc : eq_vdevice(w->iommu, w->viommu, &w->dev[0], VIRT_ID);
}

static int world_vevent_queue(struct world *w, __u32 flags, __u32 depth)
{
	int rc = world_viommu(w);

	return rc ? rc : eq_vevent_queue(w->iommu, w->viommu,
					 IOMMU_VEVENTQ_TYPE_SELFTEST, flags,
					 depth, &w->queue);
}

static int world_queue(struct world *w, bool viommu, __u32 flags)
{
	return viommu ? world_vevent_queue(w, flags, DEPTH) :
			world_fault_queue(w, flags);
}

/* There is nothing to test on this kernel. */
static bool no_mock(void)
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

static long sys_read(int fd, void *buf, size_t len)
{
	return RET(read(fd, buf, len));
}

static long sys_write(int fd, const void *buf, size_t len)
{
	return RET(write(fd, buf, len));
}

static long read_nowait(int fd, void *buf, size_t len)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };

	return RET(preadv2(fd, &iov, 1, -1, RWF_NOWAIT));
}

static long read_vector(int fd, void *buf, size_t len)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };

	return RET(readv(fd, &iov, 1));
}

static short poll_now(int fd)
{
	struct pollfd pfd = {
		.fd = fd,
		.events = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM,
	};

	return poll(&pfd, 1, 0) < 0 ? -1 : pfd.revents;
}

static bool readable(int fd)
{
	return poll_now(fd) & POLLIN;
}

static int fault(struct world *w, unsigned int dev, __u32 grpid)
{
	return eq_fault(w->iommu, &w->dev[dev], grpid);
}

static int group(struct world *w, unsigned int dev, __u32 grpid,
		 unsigned int nr)
{
	return eq_group(w->iommu, &w->dev[dev], grpid, nr);
}

static int vevents(struct world *w, unsigned int nr)
{
	return eq_vevents(w->iommu, &w->dev[0], nr);
}

static long answer(int fd, __u32 cookie, __u32 code)
{
	struct iommu_hwpt_page_response response = {
		.cookie = cookie,
		.code = code,
	};

	return sys_write(fd, &response, sizeof(response));
}

/* The next answer of the device is @code for group @grpid. */
static bool got(struct world *w, unsigned int dev, __u32 grpid, __u32 code)
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

static bool got_nothing(struct world *w, unsigned int dev)
{
	return got(w, dev, 0, GOT_NOTHING);
}

/* The device got INVALID for these two groups, in any order, and no more. */
static bool got_two_invalid(struct world *w, unsigned int dev, __u32 grpid,
			    __u32 other)
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
static bool outstanding(struct world *w, unsigned int dev, __u32 grpid,
			__u32 *cookie)
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

static long act_fault(void *arg)
{
	struct act *act = arg;

	return fault(act->w, act->dev, act->arg);
}

static long act_vevent(void *arg)
{
	struct act *act = arg;

	return vevents(act->w, 1);
}

static long act_replace(void *arg)
{
	struct act *act = arg;

	return eq_replace(act->w->iommu, &act->w->dev[act->dev], act->arg);
}

/* Detaches the device, and removes it. */
static long act_remove(void *arg)
{
	struct act *act = arg;

	return eq_destroy(act->w->iommu, act->w->dev[act->dev].stdev_id);
}

static long act_accept(void *arg)
{
	struct act *act = arg;

	return answer(act->w->queue.fd, act->arg, IOMMUFD_PAGE_RESP_SUCCESS);
}

static long act_read_nowait(void *arg)
{
	struct act *act = arg;
	char buf[4096];

	return read_nowait(act->w->queue.fd, buf, sizeof(buf));
}

static int lowest_free_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

/*
 * Allocation and the life of a queue's object and fd
 */

FIXTURE(alloc)
{
	struct world w;
};

FIXTURE_SETUP(alloc)
{
	if (no_mock())
		SKIP(return, NO_MOCK);
	ASSERT_EQ(0, world_open(&self->w));
	ASSERT_EQ(0, world_viommu(&self->w));
}

FIXTURE_TEARDOWN(alloc)
{
	close(self->w.iommu);
}

TEST_F(alloc, fault_flags)
{
	struct eq_queue q;
	int bit;

	ASSERT_EQ(0, eq_fault_queue(self->w.iommu, WAIT_FLAG, &q));
	for (bit = 1; bit < 32; bit++)
		ASSERT_EQ(-EOPNOTSUPP,
			  eq_fault_queue(self->w.iommu, 1U << bit, &q));
}

TEST_F(alloc, vevent_flags)
{
	struct eq_queue q;
	int bit;

	for (bit = 1; bit < 32; bit++)
		ASSERT_EQ(-EOPNOTSUPP,
			  eq_vevent_queue(self->w.iommu, self->w.viommu,
					  IOMMU_VEVENTQ_TYPE_SELFTEST,
					  1U << bit, DEPTH, &q));
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, WAIT_FLAG,
				     DEPTH, &q));
}

TEST_F(alloc, fd_flags)
{
	struct eq_queue q[2];
	int i;

	ASSERT_EQ(0, eq_fault_queue(self->w.iommu, 0, &q[0]));
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, DEPTH,
				     &q[1]));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(FD_CLOEXEC, fcntl(q[i].fd, F_GETFD));
		ASSERT_EQ(O_RDWR, fcntl(q[i].fd, F_GETFL) &
				  (O_ACCMODE | O_NONBLOCK | O_APPEND));
	}
}

TEST_F(alloc, destroy_is_busy_while_open)
{
	struct eq_queue q[2];
	int i;

	ASSERT_EQ(0, eq_fault_queue(self->w.iommu, 0, &q[0]));
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, DEPTH,
				     &q[1]));
	for (i = 0; i < 2; i++) {
		int copy = dup(q[i].fd);

		ASSERT_EQ(-EBUSY, eq_destroy(self->w.iommu, q[i].id));
		ASSERT_EQ(0, close(q[i].fd));
		ASSERT_EQ(-EBUSY, eq_destroy(self->w.iommu, q[i].id));
		ASSERT_EQ(0, close(copy));
		ASSERT_EQ(0, eq_destroy(self->w.iommu, q[i].id));
		ASSERT_EQ(-ENOENT, eq_destroy(self->w.iommu, q[i].id));
	}
}

TEST_F(alloc, fault_queue_on_nesting_parent)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT |
			 IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = self->w.dev[0].dev_id,
		.pt_id = self->w.ioas,
	};
	struct eq_queue q;

	ASSERT_EQ(0, eq_fault_queue(self->w.iommu, 0, &q));
	cmd.fault_id = q.id;
	ASSERT_EQ(-EOPNOTSUPP, eq_call(self->w.iommu, IOMMU_HWPT_ALLOC, &cmd));
}

TEST_F(alloc, vevent_depth)
{
	static const struct {
		__u32 depth;
		int rc;
	} rows[] = {
		{ 0, -EINVAL },
		{ MAX_DEPTH + 1, -EINVAL },
		{ UINT32_MAX, -EINVAL },
		{ 1, 0 },
		{ MAX_DEPTH, 0 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct eq_queue q;

		ASSERT_EQ(rows[i].rc,
			  eq_vevent_queue(self->w.iommu, self->w.viommu,
					  IOMMU_VEVENTQ_TYPE_SELFTEST, 0,
					  rows[i].depth, &q)) {
			TH_LOG("depth %u", rows[i].depth);
		}
		if (rows[i].rc)
			continue;
		ASSERT_EQ(0, close(q.fd));
		ASSERT_EQ(0, eq_destroy(self->w.iommu, q.id));
	}
}

TEST_F(alloc, vevent_unknown_type)
{
	static const __u32 types[] = {
		IOMMU_VEVENTQ_TYPE_DEFAULT, 3, 4, 1000, UINT32_MAX,
		IOMMU_VEVENTQ_TYPE_SELFTEST + 1,
	};
	struct eq_queue q;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		ASSERT_EQ(-EOPNOTSUPP,
			  eq_vevent_queue(self->w.iommu, self->w.viommu,
					  types[i], 0, DEPTH, &q)) {
			TH_LOG("type %#x", types[i]);
		}
}

TEST_F(alloc, vevent_one_queue_per_type)
{
	struct eq_queue q, other;

	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, DEPTH,
				     &q));
	ASSERT_EQ(-EEXIST, eq_vevent_queue(self->w.iommu, self->w.viommu,
					   IOMMU_VEVENTQ_TYPE_SELFTEST, 0,
					   DEPTH, &other));
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 0, DEPTH,
				     &other));
	close(q.fd);
	ASSERT_EQ(0, eq_destroy(self->w.iommu, q.id));
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, DEPTH,
				     &q));
}

/* The ioctl's result cannot be written: nothing may be left behind. */
TEST_F(alloc, result_on_read_only_page)
{
	int fd = lowest_free_fd();
	struct iommu_fault_alloc *fault_cmd;
	struct iommu_veventq_alloc *vevent_cmd;
	struct eq_queue q;
	void *page;

	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, page);

	fault_cmd = page;
	fault_cmd->size = sizeof(*fault_cmd);
	ASSERT_EQ(0, mprotect(page, 4096, PROT_READ));
	ASSERT_EQ(-EFAULT, eq_call(self->w.iommu, IOMMU_FAULT_QUEUE_ALLOC,
				   fault_cmd));
	ASSERT_EQ(fd, lowest_free_fd());

	ASSERT_EQ(0, mprotect(page, 4096, PROT_READ | PROT_WRITE));
	vevent_cmd = memset(page, 0, sizeof(*vevent_cmd));
	vevent_cmd->size = sizeof(*vevent_cmd);
	vevent_cmd->viommu_id = self->w.viommu;
	vevent_cmd->type = IOMMU_VEVENTQ_TYPE_SELFTEST;
	vevent_cmd->veventq_depth = DEPTH;
	ASSERT_EQ(0, mprotect(page, 4096, PROT_READ));
	ASSERT_EQ(-EFAULT, eq_call(self->w.iommu, IOMMU_VEVENTQ_ALLOC,
				   vevent_cmd));
	ASSERT_EQ(fd, lowest_free_fd());
	/* The type is free again, and reports find no queue. */
	ASSERT_EQ(-EOPNOTSUPP, vevents(&self->w, 1));
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, DEPTH,
				     &q));
	ASSERT_EQ(fd, q.fd);
}

TEST_F(alloc, no_fd_left)
{
	struct rlimit old, none;
	struct eq_queue q;
	int fd = lowest_free_fd();

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	none = old;
	none.rlim_cur = fd;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	ASSERT_EQ(-EMFILE, eq_fault_queue(self->w.iommu, 0, &q));
	ASSERT_EQ(-EMFILE, eq_vevent_queue(self->w.iommu, self->w.viommu,
					   IOMMU_VEVENTQ_TYPE_SELFTEST, 0,
					   DEPTH, &q));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	ASSERT_EQ(0, eq_fault_queue(self->w.iommu, 0, &q));
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, DEPTH,
				     &q));
}

/* A page that stalls the ioctl's result must stall no report. */
TEST_F(alloc, stuck_vevent_alloc_delays_no_report)
{
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = self->w.viommu,
		.type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
		.veventq_depth = DEPTH,
	};
	struct eq_ioctl alloc = {
		.fd = self->w.iommu,
		.request = IOMMU_VEVENTQ_ALLOC,
	};
	struct act report = { .w = &self->w };
	struct eq_stall stall;
	struct eq_queue q;
	struct eq_job job;

	if (eq_stall_init_write(&stall, &cmd, sizeof(cmd)))
		SKIP(return, NO_STALL);
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, DEPTH,
				     &q));
	alloc.arg = stall.page;
	ASSERT_TRUE(eq_job_start(&job, eq_job_ioctl, &alloc));
	ASSERT_TRUE(eq_stall_hit(&stall));
	ASSERT_PROMPT(0, act_vevent, &report);
	ASSERT_EQ(0, eq_stall_protect(&stall, false));
	ASSERT_TRUE(eq_job_end(&job, DEADLINE_MS));
	ASSERT_EQ(0, job.ret);
}

/*
 * Reading an empty queue: both classes, with and without the flag for waiting
 * reads and O_NONBLOCK
 */

FIXTURE(empty)
{
	struct world w;
};

FIXTURE_VARIANT(empty)
{
	bool viommu;
	__u32 flags;
	bool nonblock;
	long read;		/* what read(2) says; WAITS if it waits */
};

#define WAITS 1

FIXTURE_VARIANT_ADD(empty, fault_plain)
{
	.read = 0,
};

FIXTURE_VARIANT_ADD(empty, fault_nonblock)
{
	.nonblock = true,
	.read = -EAGAIN,
};

FIXTURE_VARIANT_ADD(empty, fault_wait)
{
	.flags = WAIT_FLAG,
	.read = WAITS,
};

FIXTURE_VARIANT_ADD(empty, fault_wait_nonblock)
{
	.flags = WAIT_FLAG,
	.nonblock = true,
	.read = -EAGAIN,
};

FIXTURE_VARIANT_ADD(empty, vevent_plain)
{
	.viommu = true,
	.read = 0,
};

FIXTURE_VARIANT_ADD(empty, vevent_nonblock)
{
	.viommu = true,
	.nonblock = true,
	.read = -EAGAIN,
};

FIXTURE_VARIANT_ADD(empty, vevent_wait)
{
	.viommu = true,
	.flags = WAIT_FLAG,
	.read = WAITS,
};

FIXTURE_VARIANT_ADD(empty, vevent_wait_nonblock)
{
	.viommu = true,
	.flags = WAIT_FLAG,
	.nonblock = true,
	.read = -EAGAIN,
};

FIXTURE_SETUP(empty)
{
	int flags;

	if (no_mock())
		SKIP(return, NO_MOCK);
	ASSERT_EQ(0, world_open(&self->w));
	ASSERT_EQ(0, world_queue(&self->w, variant->viommu, variant->flags));
	if (!variant->nonblock)
		return;
	flags = fcntl(self->w.queue.fd, F_GETFL);
	ASSERT_EQ(0, fcntl(self->w.queue.fd, F_SETFL, flags | O_NONBLOCK));
}

FIXTURE_TEARDOWN(empty)
{
	close(self->w.queue.fd);
	close(self->w.iommu);
}

static int raise_one(struct world *w, bool viommu)
{
	return viommu ? vevents(w, 1) : fault(w, 0, 1);
}

static long record_len(bool viommu)
{
	return viommu ? VEVENT_LEN : FAULT_LEN;
}

TEST_F(empty, read)
{
	struct eq_io io = { .fd = self->w.queue.fd };
	struct eq_job job;
	char buf[4096];

	io.buf = buf;
	io.len = sizeof(buf);
	if (variant->read != WAITS) {
		ASSERT_EQ(variant->read, sys_read(io.fd, buf, sizeof(buf)));
		ASSERT_EQ(variant->read, read_vector(io.fd, buf, sizeof(buf)));
		return;
	}

	/* It waits for the first record, and for no second one. */
	ASSERT_TRUE(eq_job_start(&job, eq_job_read, &io));
	ASSERT_TRUE(eq_job_sleeps(&job));
	ASSERT_FALSE(eq_job_end(&job, QUIET_MS));
	ASSERT_EQ(0, raise_one(&self->w, variant->viommu));
	ASSERT_TRUE(eq_job_end(&job, DEADLINE_MS));
	ASSERT_EQ(record_len(variant->viommu), job.ret);
}

TEST_F(empty, nowait)
{
	char buf[4096];

	ASSERT_EQ(-EAGAIN, read_nowait(self->w.queue.fd, buf, sizeof(buf)));
	ASSERT_EQ(0, raise_one(&self->w, variant->viommu));
	ASSERT_EQ(record_len(variant->viommu),
		  read_nowait(self->w.queue.fd, buf, sizeof(buf)));
	ASSERT_EQ(-EAGAIN, read_nowait(self->w.queue.fd, buf, sizeof(buf)));
}

/* Emptiness is no excuse for a bad count, and a count of 0 never waits. */
TEST_F(empty, small_counts)
{
	char buf[8];

	ASSERT_EQ(variant->viommu ? -EINVAL : 0,
		  sys_read(self->w.queue.fd, buf, 0));
	ASSERT_EQ(0, read_vector(self->w.queue.fd, buf, 0));
	if (variant->viommu)
		ASSERT_EQ(-EINVAL, sys_read(self->w.queue.fd, buf, 7));
}

TEST_F(empty, read_after_record)
{
	char buf[4096];

	ASSERT_EQ(0, raise_one(&self->w, variant->viommu));
	ASSERT_EQ(record_len(variant->viommu),
		  sys_read(self->w.queue.fd, buf, sizeof(buf)));
	if (variant->read != WAITS)
		ASSERT_EQ(variant->read,
			  sys_read(self->w.queue.fd, buf, sizeof(buf)));
}

/* Linux AIO may block: it waits in io_submit() for the first record. */
static long job_aio_read(void *arg)
{
	struct eq_io *io = arg;
	struct iocb iocb = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = io->fd,
		.aio_buf = (uintptr_t)io->buf,
		.aio_nbytes = io->len,
	}, *list = &iocb;
	struct io_event event = {};
	aio_context_t ctx = 0;
	long ret;

	if (syscall(SYS_io_setup, 1, &ctx))
		return -errno;
	ret = RET(syscall(SYS_io_submit, ctx, 1, &list));
	if (ret == 1)
		ret = RET(syscall(SYS_io_getevents, ctx, 1, 1, &event, NULL));
	syscall(SYS_io_destroy, ctx);
	return ret == 1 ? event.res : ret;
}

TEST_F(empty, aio_waits)
{
	struct eq_io io = { .fd = self->w.queue.fd };
	struct eq_job job;
	char buf[4096];

	io.buf = buf;
	io.len = sizeof(buf);
	ASSERT_TRUE(eq_job_start(&job, job_aio_read, &io));
	ASSERT_TRUE(eq_job_sleeps(&job));
	ASSERT_FALSE(eq_job_end(&job, QUIET_MS));
	ASSERT_EQ(0, raise_one(&self->w, variant->viommu));
	ASSERT_TRUE(eq_job_end(&job, DEADLINE_MS));
	ASSERT_EQ(record_len(variant->viommu), job.ret);
}

/*
 * What both classes have in common, on a queue with waiting reads
 */

FIXTURE(common)
{
	struct world w;
};

FIXTURE_VARIANT(common)
{
	bool viommu;
};

FIXTURE_VARIANT_ADD(common, fault)
{
	.viommu = false,
};

FIXTURE_VARIANT_ADD(common, vevent)
{
	.viommu = true,
};

FIXTURE_SETUP(common)
{
	if (no_mock())
		SKIP(return, NO_MOCK);
	ASSERT_EQ(0, world_open(&self->w));
	ASSERT_EQ(0, world_queue(&self->w, variant->viommu, WAIT_FLAG));
}

FIXTURE_TEARDOWN(common)
{
	close(self->w.queue.fd);
	close(self->w.iommu);
}

static void ignore_signal(int sig)
{
	(void)sig;
}

TEST_F(common, signal_ends_waiting_read)
{
	struct sigaction action = { .sa_handler = ignore_signal };
	struct eq_io io = { .fd = self->w.queue.fd };
	struct eq_job job;
	char buf[4096];

	io.buf = buf;
	io.len = sizeof(buf);
	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	ASSERT_TRUE(eq_job_start(&job, eq_job_read, &io));
	ASSERT_TRUE(eq_job_sleeps(&job));
	ASSERT_EQ(0, pthread_kill(job.thread, SIGUSR1));
	ASSERT_TRUE(eq_job_end(&job, DEADLINE_MS));
	ASSERT_EQ(-EINTR, job.ret);
}

TEST_F(common, two_waiters_one_record)
{
	struct eq_io io[2];
	struct eq_job job[2];
	char buf[2][4096];
	int i, first;

	for (i = 0; i < 2; i++) {
		io[i].fd = self->w.queue.fd;
		io[i].buf = buf[i];
		io[i].len = sizeof(buf[i]);
		ASSERT_TRUE(eq_job_start(&job[i], eq_job_read, &io[i]));
		ASSERT_TRUE(eq_job_sleeps(&job[i]));
	}
	ASSERT_EQ(0, raise_one(&self->w, variant->viommu));
	first = !eq_job_end(&job[0], QUIET_MS);
	if (first)
		ASSERT_TRUE(eq_job_end(&job[1], DEADLINE_MS));
	ASSERT_EQ(record_len(variant->viommu), job[first].ret);
	/* The other still waits, for the next one. */
	ASSERT_FALSE(eq_job_end(&job[!first], QUIET_MS));
	ASSERT_EQ(0, raise_one(&self->w, variant->viommu));
	ASSERT_TRUE(eq_job_end(&job[!first], DEADLINE_MS));
	ASSERT_EQ(record_len(variant->viommu), job[!first].ret);
}

TEST_F(common, fd_is_a_stream)
{
	char buf[64];
	struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
	int fd = self->w.queue.fd;

	ASSERT_EQ(0, raise_one(&self->w, variant->viommu));
	ASSERT_EQ(-ESPIPE, RET(pread(fd, buf, sizeof(buf), 0)));
	ASSERT_EQ(-ESPIPE, RET(pwrite(fd, buf, 8, 0)));
	ASSERT_EQ(-ESPIPE, RET(lseek(fd, 0, SEEK_CUR)));
	ASSERT_EQ(-ESPIPE, RET(lseek(fd, 0, SEEK_SET)));
	ASSERT_EQ(-ESPIPE, RET(preadv2(fd, &iov, 1, 0, 0)));
	ASSERT_EQ(record_len(variant->viommu),
		  RET(preadv2(fd, &iov, 1, -1, 0)));
}

TEST_F(common, dup_shares_the_queue)
{
	int copy = dup(self->w.queue.fd);
	char buf[64];

	ASSERT_EQ(0, raise_one(&self->w, variant->viommu));
	ASSERT_TRUE(readable(copy));
	ASSERT_EQ(0, close(self->w.queue.fd));
	self->w.queue.fd = copy;
	ASSERT_EQ(record_len(variant->viommu), sys_read(copy, buf, sizeof(buf)));
	ASSERT_EQ(0, raise_one(&self->w, variant->viommu));
	ASSERT_EQ(record_len(variant->viommu), sys_read(copy, buf, sizeof(buf)));
}

/* An edge for each queue that was seen empty and no longer is. */
TEST_F(common, epoll_edge)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int fd = self->w.queue.fd, ep = epoll_create1(0);
	char buf[64];
	int i;

	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
	ASSERT_EQ(0, epoll_wait(ep, &event, 1, 0));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, raise_one(&self->w, variant->viommu));
		ASSERT_EQ(1, epoll_wait(ep, &event, 1, DEADLINE_MS));
		ASSERT_EQ(EPOLLIN, event.events);
		ASSERT_EQ(0, epoll_wait(ep, &event, 1, 0));
		ASSERT_EQ(record_len(variant->viommu),
			  read_nowait(fd, buf, sizeof(buf)));
		ASSERT_EQ(-EAGAIN, read_nowait(fd, buf, sizeof(buf)));
		ASSERT_EQ(0, epoll_wait(ep, &event, 1, 0));
	}
}

/*
 * One reader has the record in its hands and fails; another was told that there
 * is none meanwhile. It must hear of it.
 */
TEST_F(common, epoll_edge_after_failed_read)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	struct eq_io io = { .fd = self->w.queue.fd };
	int ep = epoll_create1(0);
	struct eq_stall stall;
	struct eq_job job;
	char buf[64];

	if (eq_stall_init(&stall))
		SKIP(return, NO_STALL);
	io.buf = stall.page;
	io.len = stall.len;
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, io.fd, &event));
	ASSERT_EQ(0, raise_one(&self->w, variant->viommu));
	ASSERT_TRUE(eq_job_start(&job, eq_job_read, &io));
	ASSERT_TRUE(eq_stall_hit(&stall));
	/* The edge of the report is used up, and there is nothing to read. */
	ASSERT_LE(0, epoll_wait(ep, &event, 1, 0));
	ASSERT_EQ(-EAGAIN, read_nowait(io.fd, buf, sizeof(buf)));
	ASSERT_EQ(0, epoll_wait(ep, &event, 1, 0));

	ASSERT_EQ(0, eq_stall_break(&stall));
	ASSERT_TRUE(eq_job_end(&job, DEADLINE_MS));
	ASSERT_EQ(-EFAULT, job.ret);
	ASSERT_EQ(1, epoll_wait(ep, &event, 1, DEADLINE_MS));
	ASSERT_EQ(record_len(variant->viommu),
		  read_nowait(io.fd, buf, sizeof(buf)));
}

/* The same where the one reader succeeds, and leaves a record behind. */
TEST_F(common, epoll_edge_after_busy_read)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	struct eq_io io = { .fd = self->w.queue.fd };
	long len = record_len(variant->viommu);
	int ep = epoll_create1(0);
	struct eq_stall stall;
	struct eq_job job;
	char buf[64];

	if (eq_stall_init(&stall))
		SKIP(return, NO_STALL);
	io.buf = stall.page;
	io.len = len;
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, io.fd, &event));
	ASSERT_EQ(0, raise_one(&self->w, variant->viommu));
	ASSERT_EQ(0, raise_one(&self->w, variant->viommu));
	ASSERT_TRUE(eq_job_start(&job, eq_job_read, &io));
	ASSERT_TRUE(eq_stall_hit(&stall));
	ASSERT_EQ(1, epoll_wait(ep, &event, 1, 0));
	ASSERT_EQ(-EAGAIN, read_nowait(io.fd, buf, sizeof(buf)));
	ASSERT_EQ(0, epoll_wait(ep, &event, 1, 0));

	ASSERT_EQ(0, eq_stall_fill(&stall, NULL, 0));
	ASSERT_TRUE(eq_job_end(&job, DEADLINE_MS));
	ASSERT_EQ(len, job.ret);
	ASSERT_EQ(1, epoll_wait(ep, &event, 1, DEADLINE_MS));
	ASSERT_EQ(len, read_nowait(io.fd, buf, sizeof(buf)));
}

TEST_F(common, works_after_iommufd_is_closed)
{
	struct iommu_hwpt_pgfault f;
	char buf[64];

	ASSERT_EQ(0, raise_one(&self->w, variant->viommu));
	ASSERT_EQ(0, close(self->w.iommu));
	ASSERT_TRUE(readable(self->w.queue.fd));
	ASSERT_EQ(record_len(variant->viommu),
		  sys_read(self->w.queue.fd, buf, sizeof(buf)));
	ASSERT_FALSE(readable(self->w.queue.fd));
	if (variant->viommu)
		return;
	memcpy(&f, buf, sizeof(f));
	ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, f.cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
}

/*
 * Fault queues: reading
 */

#define PASID 77

FIXTURE(fault)
{
	struct world w;
	bool pasid_attached;	/* of dev[0] */
};

FIXTURE_SETUP(fault)
{
	if (no_mock())
		SKIP(return, NO_MOCK);
	ASSERT_EQ(0, world_open(&self->w));
	ASSERT_EQ(0, world_fault_queue(&self->w, NO_WAIT_FLAG));
}

FIXTURE_TEARDOWN(fault)
{
	/* The mock device does not do that by itself. */
	if (self->pasid_attached)
		eq_pasid_detach(self->w.iommu, &self->w.dev[0], PASID);
	close(self->w.queue.fd);
	close(self->w.iommu);
}

TEST_F(fault, read_one)
{
	struct iommu_hwpt_pgfault f[2];

	/* Whatever the kernel leaves out of the record shows. */
	memset(f, 0xa5, sizeof(f));
	ASSERT_EQ(0, fault(&self->w, 1, 5));
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(IOMMU_PGFAULT_FLAGS_LAST_PAGE, f[0].flags);
	ASSERT_EQ(self->w.dev[1].dev_id, f[0].dev_id);
	ASSERT_EQ(0, f[0].pasid);
	ASSERT_EQ(5, f[0].grpid);
	ASSERT_EQ(IOMMU_PGFAULT_PERM_READ | IOMMU_PGFAULT_PERM_WRITE,
		  f[0].perm);
	ASSERT_EQ(0, f[0].__reserved);
	ASSERT_EQ(EQ_ADDR(0), f[0].addr);
	ASSERT_EQ(0, f[0].length);
	ASSERT_NE(0, f[0].cookie);
	/* Nothing is written behind the record. */
	ASSERT_EQ(0xa5a5a5a5, f[1].flags);
	ASSERT_FALSE(readable(self->w.queue.fd));
}

TEST_F(fault, read_several_in_order)
{
	struct iommu_hwpt_pgfault f[8];
	int i;

	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, fault(&self->w, i % 2, i));
	ASSERT_EQ(5 * FAULT_LEN, sys_read(self->w.queue.fd, f, sizeof(f)));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(i, f[i].grpid);
		ASSERT_EQ(self->w.dev[i % 2].dev_id, f[i].dev_id);
	}
}

TEST_F(fault, read_count_no_multiple_of_record)
{
	struct iommu_hwpt_pgfault f[8];
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, fault(&self->w, 0, i));
	ASSERT_EQ(2 * FAULT_LEN,
		  sys_read(self->w.queue.fd, f, 3 * FAULT_LEN - 1));
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, f, FAULT_LEN + 1));
	ASSERT_EQ(2, f[0].grpid);
}

TEST_F(fault, read_group_that_does_not_fit)
{
	struct iommu_hwpt_pgfault f[8];

	ASSERT_EQ(0, group(&self->w, 0, 1, 2));
	ASSERT_EQ(0, fault(&self->w, 0, 2));
	ASSERT_EQ(-EINVAL, sys_read(self->w.queue.fd, f, 1));
	ASSERT_EQ(-EINVAL, sys_read(self->w.queue.fd, f, FAULT_LEN));
	ASSERT_EQ(-EINVAL, sys_read(self->w.queue.fd, f, 2 * FAULT_LEN - 1));
	ASSERT_EQ(0, sys_read(self->w.queue.fd, f, 0));
	ASSERT_EQ(3 * FAULT_LEN, sys_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(1, f[0].grpid);
	ASSERT_EQ(2, f[2].grpid);
}

TEST_F(fault, read_never_splits_a_group)
{
	struct iommu_hwpt_pgfault f[8];

	ASSERT_EQ(0, fault(&self->w, 0, 1));
	ASSERT_EQ(0, group(&self->w, 0, 2, 3));
	ASSERT_EQ(0, fault(&self->w, 0, 3));
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, f, 3 * FAULT_LEN));
	ASSERT_EQ(3 * FAULT_LEN, sys_read(self->w.queue.fd, f, 3 * FAULT_LEN));
	ASSERT_EQ(2, f[0].grpid);
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, f, 3 * FAULT_LEN));
	ASSERT_EQ(3, f[0].grpid);
}

TEST_F(fault, read_vector_is_one_buffer)
{
	char buf[2 * FAULT_LEN];
	struct iovec iov[] = {
		{ .iov_base = buf, .iov_len = 7 },
		{ .iov_base = buf + 7, .iov_len = 0 },
		{ .iov_base = buf + 7, .iov_len = 53 },
		{ .iov_base = buf + 60, .iov_len = sizeof(buf) - 60 },
	};
	struct iommu_hwpt_pgfault f[2];

	ASSERT_EQ(0, group(&self->w, 0, 1, 2));
	ASSERT_EQ(2 * FAULT_LEN,
		  RET(readv(self->w.queue.fd, iov, ARRAY_SIZE(iov))));
	memcpy(f, buf, sizeof(f));
	ASSERT_EQ(EQ_ADDR(0), f[0].addr);
	ASSERT_EQ(EQ_ADDR(1), f[1].addr);
	ASSERT_EQ(f[0].cookie, f[1].cookie);
}

TEST_F(fault, read_fails_at_first_record)
{
	/* An odd number of them: swapping the two each time would show. */
	static const size_t mapped[] = { 0, 1, sizeof(struct iommu_hwpt_pgfault) - 1 };
	struct iommu_hwpt_pgfault f[8];
	size_t i;

	ASSERT_EQ(0, fault(&self->w, 0, 1));
	ASSERT_EQ(0, fault(&self->w, 0, 2));
	for (i = 0; i < ARRAY_SIZE(mapped); i++)
		ASSERT_EQ(-EFAULT, sys_read(self->w.queue.fd,
					    eq_edge(mapped[i]), sizeof(f)));
	ASSERT_EQ(2, eq_fdinfo(self->w.queue.fd, "queued"));
	ASSERT_EQ(0, eq_fdinfo(self->w.queue.fd, "outstanding"));
	ASSERT_EQ(2 * FAULT_LEN, sys_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(1, f[0].grpid);
	ASSERT_EQ(2, f[1].grpid);
	ASSERT_TRUE(got_nothing(&self->w, 0));
}

TEST_F(fault, read_fails_at_later_record)
{
	struct iommu_hwpt_pgfault f[8];
	char *edge = eq_edge(3 * FAULT_LEN);

	/* One group before the edge, one across, one behind. */
	ASSERT_EQ(0, group(&self->w, 0, 1, 2));
	ASSERT_EQ(0, group(&self->w, 0, 2, 2));
	ASSERT_EQ(0, fault(&self->w, 0, 3));
	ASSERT_EQ(2 * FAULT_LEN,
		  sys_read(self->w.queue.fd, edge, 8 * FAULT_LEN));
	ASSERT_EQ(3 * FAULT_LEN, sys_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(2, f[0].grpid);
	ASSERT_EQ(2, f[1].grpid);
	ASSERT_EQ(3, f[2].grpid);
	ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, f[0].cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got(&self->w, 0, 2, GOT_SUCCESS));
}

/*
 * Groups of several faults, small and larger than a page of records
 */

FIXTURE(fault_group)
{
	struct world w;
	struct iommu_hwpt_pgfault *f;
};

FIXTURE_VARIANT(fault_group)
{
	unsigned int nr;
};

FIXTURE_VARIANT_ADD(fault_group, two)
{
	.nr = 2,
};

FIXTURE_VARIANT_ADD(fault_group, five)
{
	.nr = 5,
};

FIXTURE_VARIANT_ADD(fault_group, page)
{
	.nr = 4096 / sizeof(struct iommu_hwpt_pgfault),
};

FIXTURE_VARIANT_ADD(fault_group, page_and_one)
{
	.nr = 4096 / sizeof(struct iommu_hwpt_pgfault) + 1,
};

FIXTURE_VARIANT_ADD(fault_group, thousand)
{
	.nr = 1000,
};

FIXTURE_SETUP(fault_group)
{
	self->f = malloc((variant->nr + 1) * FAULT_LEN);
	ASSERT_NE(NULL, self->f);
	if (no_mock())
		SKIP(return, NO_MOCK);
	ASSERT_EQ(0, world_open(&self->w));
	ASSERT_EQ(0, world_fault_queue(&self->w, NO_WAIT_FLAG));
}

FIXTURE_TEARDOWN(fault_group)
{
	close(self->w.queue.fd);
	close(self->w.iommu);
	free(self->f);
}

static void check_group(struct __test_metadata *_metadata,
			const struct iommu_hwpt_pgfault *f, unsigned int nr)
{
	unsigned int i;

	ASSERT_NE(0, f[0].cookie);
	for (i = 0; i < nr; i++) {
		ASSERT_EQ(i + 1 == nr ? IOMMU_PGFAULT_FLAGS_LAST_PAGE : 0,
			  f[i].flags);
		ASSERT_EQ(f[0].dev_id, f[i].dev_id);
		ASSERT_EQ(9, f[i].grpid);
		ASSERT_EQ(0, f[i].__reserved);
		ASSERT_EQ(EQ_ADDR(i), f[i].addr);
		ASSERT_EQ(f[0].cookie, f[i].cookie);
	}
}

TEST_F(fault_group, read_and_answer)
{
	memset(self->f, 0xa5, (variant->nr + 1) * FAULT_LEN);
	ASSERT_EQ(0, group(&self->w, 0, 9, variant->nr));
	ASSERT_EQ(-EINVAL, sys_read(self->w.queue.fd, self->f,
				    variant->nr * FAULT_LEN - 1));
	ASSERT_EQ(variant->nr * FAULT_LEN,
		  sys_read(self->w.queue.fd, self->f,
			   (variant->nr + 1) * FAULT_LEN));
	check_group(_metadata, self->f, variant->nr);
	ASSERT_EQ(0xa5a5a5a5, self->f[variant->nr].flags);

	ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, self->f->cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got(&self->w, 0, 9, GOT_SUCCESS));
	ASSERT_TRUE(got_nothing(&self->w, 0));
	ASSERT_EQ(-EINVAL, answer(self->w.queue.fd, self->f->cookie,
				  IOMMUFD_PAGE_RESP_SUCCESS));
}

TEST_F(fault_group, all_or_nothing_across_the_edge)
{
	size_t len = variant->nr * FAULT_LEN;
	char *edge = eq_edge(len - 1);

	ASSERT_EQ(0, group(&self->w, 0, 9, variant->nr));
	ASSERT_EQ(-EFAULT, sys_read(self->w.queue.fd, edge, len));
	ASSERT_EQ(0, eq_fdinfo(self->w.queue.fd, "outstanding"));
	ASSERT_TRUE(readable(self->w.queue.fd));
	ASSERT_EQ(len, sys_read(self->w.queue.fd, self->f, len));
	check_group(_metadata, self->f, variant->nr);
}

TEST_F(fault_group, incomplete_group_is_not_delivered)
{
	ASSERT_EQ(0, eq_fault_op(self->w.iommu, IOMMU_TEST_OP_TRIGGER_IOPF_PART,
				 &self->w.dev[0], 0, 9, EQ_ADDR(0)));
	ASSERT_FALSE(readable(self->w.queue.fd));
	/* The same group number on another device is another group. */
	ASSERT_EQ(0, group(&self->w, 1, 9, variant->nr));
	ASSERT_EQ(variant->nr * FAULT_LEN,
		  sys_read(self->w.queue.fd, self->f,
			   (variant->nr + 1) * FAULT_LEN));
	ASSERT_EQ(self->w.dev[1].dev_id, self->f->dev_id);
	check_group(_metadata, self->f, variant->nr);
}

/*
 * Fault queues: answering
 */

TEST_F(fault, answers_reach_their_devices)
{
	struct iommu_hwpt_pgfault f[2];

	ASSERT_EQ(0, fault(&self->w, 0, 1));
	ASSERT_EQ(0, fault(&self->w, 1, 2));
	ASSERT_EQ(2 * FAULT_LEN, sys_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_TRUE(got_nothing(&self->w, 0));
	ASSERT_TRUE(got_nothing(&self->w, 1));
	/* The order is the VMM's. */
	ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, f[1].cookie,
				     IOMMUFD_PAGE_RESP_INVALID));
	ASSERT_TRUE(got_nothing(&self->w, 0));
	ASSERT_TRUE(got(&self->w, 1, 2, GOT_INVALID));
	ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, f[0].cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got(&self->w, 0, 1, GOT_SUCCESS));
	ASSERT_TRUE(got_nothing(&self->w, 1));
}

TEST_F(fault, answer_with_pasid)
{
	struct iommu_hwpt_pgfault f;
	struct eq_answer a;

	ASSERT_EQ(0, eq_pasid_attach(self->w.iommu, &self->w.dev[0], PASID,
				     self->w.hwpt));
	self->pasid_attached = true;
	ASSERT_EQ(0, eq_pasid_fault(self->w.iommu, &self->w.dev[0], PASID, 1));
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, &f, sizeof(f)));
	ASSERT_EQ(IOMMU_PGFAULT_FLAGS_LAST_PAGE |
		  IOMMU_PGFAULT_FLAGS_PASID_VALID, f.flags);
	ASSERT_EQ(PASID, f.pasid);
	ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, f.cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(0, eq_pop_answer(self->w.iommu, &self->w.dev[0], &a));
	ASSERT_EQ(GOT_SUCCESS, a.code);
	ASSERT_EQ(PASID, a.pasid);
}

TEST_F(fault, bad_answers_are_refused)
{
	int fd = self->w.queue.fd;
	__u32 cookie;

	ASSERT_TRUE(outstanding(&self->w, 0, 1, &cookie));
	ASSERT_EQ(-EINVAL, answer(fd, cookie, 2));
	ASSERT_EQ(-EINVAL, answer(fd, cookie, UINT32_MAX));
	ASSERT_EQ(-EINVAL, answer(fd, cookie + 1, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(-EINVAL, answer(fd, 0, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(-EFAULT, sys_write(fd, eq_edge(0), ANSWER_LEN));
	/* The fault is still open, and takes one good answer. */
	ASSERT_TRUE(got_nothing(&self->w, 0));
	ASSERT_EQ(ANSWER_LEN, answer(fd, cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(-EINVAL, answer(fd, cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got(&self->w, 0, 1, GOT_SUCCESS));
	ASSERT_TRUE(got_nothing(&self->w, 0));
}

TEST_F(fault, answer_count_no_multiple_of_record)
{
	static const size_t counts[] = { 1, 7, 9, 12, 15 };
	struct iommu_hwpt_page_response r[2] = {};
	size_t i;

	ASSERT_TRUE(outstanding(&self->w, 0, 1, &r[0].cookie));
	for (i = 0; i < ARRAY_SIZE(counts); i++)
		ASSERT_EQ(-EINVAL, sys_write(self->w.queue.fd, r, counts[i]));
	ASSERT_TRUE(got_nothing(&self->w, 0));
}

TEST_F(fault, batch_stops_at_bad_answer)
{
	struct iommu_hwpt_page_response r[4] = {};
	struct iommu_hwpt_pgfault f[4];
	int i;

	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, fault(&self->w, 0, i));
	ASSERT_EQ(4 * FAULT_LEN, sys_read(self->w.queue.fd, f, sizeof(f)));
	for (i = 0; i < 4; i++)
		r[i].cookie = f[i].cookie;
	r[2].code = 7;

	ASSERT_EQ(2 * ANSWER_LEN, sys_write(self->w.queue.fd, r, sizeof(r)));
	ASSERT_TRUE(got(&self->w, 0, 0, GOT_SUCCESS));
	ASSERT_TRUE(got(&self->w, 0, 1, GOT_SUCCESS));
	ASSERT_TRUE(got_nothing(&self->w, 0));
	r[2].code = IOMMUFD_PAGE_RESP_INVALID;
	ASSERT_EQ(2 * ANSWER_LEN,
		  sys_write(self->w.queue.fd, &r[2], 2 * ANSWER_LEN));
	ASSERT_TRUE(got(&self->w, 0, 2, GOT_INVALID));
	ASSERT_TRUE(got(&self->w, 0, 3, GOT_SUCCESS));
}

TEST_F(fault, batch_stops_at_unreadable_answer)
{
	struct iommu_hwpt_page_response r[2] = {};
	char *edge = eq_edge(ANSWER_LEN);

	ASSERT_TRUE(outstanding(&self->w, 0, 1, &r[0].cookie));
	memcpy(edge, r, ANSWER_LEN);
	ASSERT_EQ(ANSWER_LEN,
		  sys_write(self->w.queue.fd, edge, 2 * ANSWER_LEN));
	ASSERT_TRUE(got(&self->w, 0, 1, GOT_SUCCESS));
}

TEST_F(fault, write_vector_is_one_buffer)
{
	struct iommu_hwpt_page_response r[2] = {};
	struct iovec iov[] = {
		{ .iov_base = r, .iov_len = 3 },
		{ .iov_base = (char *)r + 3, .iov_len = 9 },
		{ .iov_base = (char *)r + 12, .iov_len = 4 },
	};

	ASSERT_TRUE(outstanding(&self->w, 0, 1, &r[0].cookie));
	ASSERT_TRUE(outstanding(&self->w, 0, 2, &r[1].cookie));
	ASSERT_EQ(2 * ANSWER_LEN,
		  RET(writev(self->w.queue.fd, iov, ARRAY_SIZE(iov))));
	ASSERT_TRUE(got(&self->w, 0, 1, GOT_SUCCESS));
	ASSERT_TRUE(got(&self->w, 0, 2, GOT_SUCCESS));
}

TEST_F(fault, cookies_are_not_reused)
{
	__u32 cookies[64], fresh;
	int i, j;

	for (i = 0; i < 64; i++) {
		ASSERT_TRUE(outstanding(&self->w, 0, i, &cookies[i]));
		ASSERT_NE(0, cookies[i]);
		for (j = 0; j < i; j++)
			ASSERT_NE(cookies[j], cookies[i]);
		ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, cookies[i],
					     IOMMUFD_PAGE_RESP_SUCCESS));
		ASSERT_TRUE(got(&self->w, 0, i, GOT_SUCCESS));
	}
	/* Late duplicates do not hit a newer fault. */
	ASSERT_TRUE(outstanding(&self->w, 0, 100, &fresh));
	for (i = 0; i < 64; i++)
		ASSERT_EQ(-EINVAL, answer(self->w.queue.fd, cookies[i],
					  IOMMUFD_PAGE_RESP_INVALID));
	ASSERT_TRUE(got_nothing(&self->w, 0));
	ASSERT_EQ(1, eq_fdinfo(self->w.queue.fd, "outstanding"));
	ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, fresh,
				     IOMMUFD_PAGE_RESP_SUCCESS));
}

TEST_F(fault, failed_read_spends_no_answer)
{
	__u32 cookie;

	ASSERT_EQ(0, fault(&self->w, 0, 1));
	ASSERT_EQ(-EFAULT, sys_read(self->w.queue.fd, eq_edge(0), FAULT_LEN));
	ASSERT_TRUE(readable(self->w.queue.fd));
	ASSERT_EQ(0, eq_fdinfo(self->w.queue.fd, "outstanding"));
	/* No cookie is good while the fault waits to be read. */
	for (cookie = 0; cookie < 16; cookie++)
		ASSERT_EQ(-EINVAL, answer(self->w.queue.fd, cookie,
					  IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got_nothing(&self->w, 0));
}

/*
 * Fault queues: detach, replace, close
 */

TEST_F(fault, replace_answers_invalid)
{
	struct iommu_hwpt_pgfault f[4];
	__u32 mine, other, hwpt;
	struct eq_queue second;

	/* Device 0: one fault read, one queued; device 1: the same. */
	ASSERT_TRUE(outstanding(&self->w, 0, 1, &mine));
	ASSERT_TRUE(outstanding(&self->w, 1, 2, &other));
	ASSERT_EQ(0, fault(&self->w, 1, 3));
	ASSERT_EQ(0, fault(&self->w, 0, 4));
	ASSERT_EQ(0, eq_fault_queue(self->w.iommu, 0, &second));
	ASSERT_EQ(0, eq_fault_hwpt(self->w.iommu, &self->w.dev[0],
				   self->w.ioas, second.id, &hwpt));

	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], hwpt));
	ASSERT_TRUE(got_two_invalid(&self->w, 0, 1, 4));
	ASSERT_FALSE(readable(second.fd));
	ASSERT_EQ(-EINVAL, answer(self->w.queue.fd, mine,
				  IOMMUFD_PAGE_RESP_SUCCESS));

	/* Device 1 did not notice. */
	ASSERT_TRUE(got_nothing(&self->w, 1));
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(3, f[0].grpid);
	ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, other,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got(&self->w, 1, 2, GOT_SUCCESS));

	/* New faults of device 0 go to the new queue. */
	ASSERT_EQ(0, fault(&self->w, 0, 5));
	ASSERT_FALSE(readable(self->w.queue.fd));
	ASSERT_EQ(FAULT_LEN, sys_read(second.fd, f, sizeof(f)));
	ASSERT_EQ(5, f[0].grpid);
}

TEST_F(fault, replace_by_domain_without_queue)
{
	ASSERT_EQ(0, fault(&self->w, 0, 1));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], self->w.ioas));
	ASSERT_TRUE(got(&self->w, 0, 1, GOT_INVALID));
	ASSERT_FALSE(readable(self->w.queue.fd));
}

TEST_F(fault, detach_of_device)
{
	struct iommu_hwpt_pgfault f[4];
	__u32 cookie;

	ASSERT_TRUE(outstanding(&self->w, 0, 1, &cookie));
	ASSERT_EQ(0, fault(&self->w, 0, 2));
	ASSERT_EQ(0, fault(&self->w, 1, 3));
	ASSERT_EQ(0, eq_destroy(self->w.iommu, self->w.dev[0].stdev_id));
	ASSERT_EQ(-EINVAL, answer(self->w.queue.fd, cookie,
				  IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(3, f[0].grpid);
	ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, f[0].cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got(&self->w, 1, 3, GOT_SUCCESS));
}

TEST_F(fault, detach_of_pasid)
{
	struct iommu_hwpt_pgfault f[4];
	struct eq_dev *dev = &self->w.dev[0];

	ASSERT_EQ(0, eq_pasid_attach(self->w.iommu, dev, PASID, self->w.hwpt));
	self->pasid_attached = true;
	ASSERT_EQ(0, eq_pasid_fault(self->w.iommu, dev, PASID, 1));
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(0, eq_pasid_fault(self->w.iommu, dev, PASID, 2));
	ASSERT_EQ(0, fault(&self->w, 0, 3));

	ASSERT_EQ(0, eq_pasid_detach(self->w.iommu, dev, PASID));
	self->pasid_attached = false;
	ASSERT_TRUE(got_two_invalid(&self->w, 0, 1, 2));
	/* The device's own attachment is another one. */
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(3, f[0].grpid);
	ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, f[0].cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got(&self->w, 0, 3, GOT_SUCCESS));
}

TEST_F(fault, close_answers_invalid)
{
	__u32 cookie;
	int copy;

	ASSERT_TRUE(outstanding(&self->w, 0, 1, &cookie));
	ASSERT_EQ(0, fault(&self->w, 0, 2));
	/* Not before the last close. */
	copy = dup(self->w.queue.fd);
	ASSERT_EQ(0, close(self->w.queue.fd));
	ASSERT_TRUE(got_nothing(&self->w, 0));
	ASSERT_EQ(0, close(copy));
	self->w.queue.fd = -1;
	ASSERT_TRUE(got_two_invalid(&self->w, 0, 1, 2));
	/* Nobody can answer later ones. */
	ASSERT_EQ(0, fault(&self->w, 0, 3));
	ASSERT_TRUE(got(&self->w, 0, 3, GOT_INVALID));
	ASSERT_EQ(0, group(&self->w, 1, 4, 5));
	ASSERT_TRUE(got(&self->w, 1, 4, GOT_INVALID));
	ASSERT_TRUE(got_nothing(&self->w, 1));
	/* The domain still uses the queue's object. */
	ASSERT_EQ(-EBUSY, eq_destroy(self->w.iommu, self->w.queue.id));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], self->w.ioas));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[1], self->w.ioas));
	ASSERT_TRUE(got_nothing(&self->w, 0));
	ASSERT_EQ(0, eq_destroy(self->w.iommu, self->w.hwpt));
	ASSERT_EQ(0, eq_destroy(self->w.iommu, self->w.queue.id));
}

TEST_F(fault, poll)
{
	const short out = POLLOUT | POLLWRNORM, in = POLLIN | POLLRDNORM;
	__u32 cookie;
	char buf[64];

	ASSERT_EQ(out, poll_now(self->w.queue.fd));
	ASSERT_EQ(0, fault(&self->w, 0, 1));
	ASSERT_EQ(out | in, poll_now(self->w.queue.fd));
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, buf, sizeof(buf)));
	ASSERT_EQ(out, poll_now(self->w.queue.fd));
	ASSERT_TRUE(outstanding(&self->w, 0, 2, &cookie));
	ASSERT_EQ(out, poll_now(self->w.queue.fd));
	/* A fault that a detach took away is no longer there to read. */
	ASSERT_EQ(0, fault(&self->w, 0, 3));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], self->w.ioas));
	ASSERT_EQ(out, poll_now(self->w.queue.fd));
}

TEST_F(fault, fdinfo)
{
	int fd = self->w.queue.fd;
	__u32 cookie;

	ASSERT_TRUE(outstanding(&self->w, 0, 1, &cookie));
	ASSERT_TRUE(outstanding(&self->w, 0, 2, &cookie));
	ASSERT_EQ(0, group(&self->w, 0, 3, 5));
	ASSERT_EQ(self->w.queue.id, eq_fdinfo(fd, "eventq-id"));
	ASSERT_LE(0, eq_fdinfo(fd, "eventq-class"));
	ASSERT_EQ(1, eq_fdinfo(fd, "queued"));
	ASSERT_EQ(2, eq_fdinfo(fd, "outstanding"));
	ASSERT_EQ(ANSWER_LEN, answer(fd, cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(1, eq_fdinfo(fd, "outstanding"));
}

/*
 * Fault queues: a reader or writer stuck in a page fault of its own
 */

TEST_F(fault, stuck_reader_delays_nobody)
{
	struct act later = { .w = &self->w, .dev = 1, .arg = 3 };
	struct act accept = { .w = &self->w };
	struct act replace = { .w = &self->w, .arg = self->w.ioas };
	struct act remove = { .w = &self->w, .dev = 1 };
	struct eq_io io = { .fd = self->w.queue.fd };
	struct pollfd pfd = { .fd = io.fd, .events = POLLIN | POLLOUT };
	struct iommu_hwpt_pgfault f;
	struct eq_stall stall;
	struct eq_job reader;

	if (eq_stall_init(&stall))
		SKIP(return, NO_STALL);
	io.buf = stall.page;
	io.len = stall.len;
	ASSERT_TRUE(outstanding(&self->w, 0, 1, &accept.arg));
	ASSERT_EQ(0, fault(&self->w, 0, 2));
	ASSERT_TRUE(eq_job_start(&reader, eq_job_read, &io));
	ASSERT_TRUE(eq_stall_hit(&stall));

	ASSERT_PROMPT(0, act_fault, &later);
	ASSERT_PROMPT(ANSWER_LEN, act_accept, &accept);
	ASSERT_TRUE(got(&self->w, 0, 1, GOT_SUCCESS));
	ASSERT_PROMPT(POLLIN | POLLOUT, eq_job_poll, &pfd);
	/* Another reader is told to come back. */
	ASSERT_PROMPT(-EAGAIN, act_read_nowait, &accept);
	ASSERT_PROMPT(0, act_replace, &replace);
	ASSERT_TRUE(got(&self->w, 0, 2, GOT_INVALID));
	ASSERT_PROMPT(0, act_remove, &remove);

	/* The record was in its hands when the detach answered it. */
	ASSERT_FALSE(eq_job_end(&reader, 0));
	ASSERT_EQ(0, eq_stall_fill(&stall, NULL, 0));
	ASSERT_TRUE(eq_job_end(&reader, DEADLINE_MS));
	ASSERT_EQ(FAULT_LEN, reader.ret);
	memcpy(&f, stall.page, sizeof(f));
	ASSERT_EQ(2, f.grpid);
	ASSERT_EQ(-EINVAL, answer(io.fd, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_FALSE(readable(io.fd));
	ASSERT_TRUE(got_nothing(&self->w, 0));
}

/* As above, but the reader fails after the detach: nothing comes back. */
TEST_F(fault, detach_under_reader_that_fails)
{
	struct act replace = { .w = &self->w, .arg = self->w.ioas };
	struct eq_io io = { .fd = self->w.queue.fd };
	struct eq_stall stall;
	struct eq_job reader;

	if (eq_stall_init(&stall))
		SKIP(return, NO_STALL);
	io.buf = stall.page;
	io.len = stall.len;
	ASSERT_EQ(0, group(&self->w, 0, 1, 3));
	ASSERT_TRUE(eq_job_start(&reader, eq_job_read, &io));
	ASSERT_TRUE(eq_stall_hit(&stall));
	ASSERT_PROMPT(0, act_replace, &replace);
	ASSERT_TRUE(got(&self->w, 0, 1, GOT_INVALID));
	ASSERT_EQ(0, eq_stall_break(&stall));
	ASSERT_TRUE(eq_job_end(&reader, DEADLINE_MS));
	ASSERT_EQ(-EFAULT, reader.ret);
	ASSERT_FALSE(readable(io.fd));
	ASSERT_EQ(0, eq_fdinfo(io.fd, "outstanding"));
	ASSERT_TRUE(got_nothing(&self->w, 0));
}

TEST_F(fault, close_under_stuck_reader)
{
	struct eq_io io = { .fd = self->w.queue.fd };
	struct eq_stall stall;
	struct eq_job reader;

	if (eq_stall_init(&stall))
		SKIP(return, NO_STALL);
	io.buf = stall.page;
	io.len = stall.len;
	ASSERT_EQ(0, fault(&self->w, 0, 1));
	ASSERT_TRUE(eq_job_start(&reader, eq_job_read, &io));
	ASSERT_TRUE(eq_stall_hit(&stall));
	ASSERT_EQ(0, fault(&self->w, 0, 2));
	ASSERT_PROMPT(0, eq_job_close, &self->w.queue.fd);
	self->w.queue.fd = -1;
	/* The reader holds the file: the last close is its own. */
	ASSERT_TRUE(got_nothing(&self->w, 0));
	ASSERT_EQ(0, eq_stall_fill(&stall, NULL, 0));
	ASSERT_TRUE(eq_job_end(&reader, DEADLINE_MS));
	ASSERT_EQ(2 * FAULT_LEN, reader.ret);
	ASSERT_TRUE(got_two_invalid(&self->w, 0, 1, 2));
}

TEST_F(fault, stuck_writer_delays_nobody)
{
	struct act later = { .w = &self->w, .dev = 1, .arg = 2 };
	struct act replace = { .w = &self->w, .arg = self->w.ioas };
	struct act remove = { .w = &self->w, .dev = 1 };
	struct iommu_hwpt_page_response response = {};
	struct eq_io write_io = { .fd = self->w.queue.fd }, read_io = write_io;
	struct pollfd pfd = { .fd = self->w.queue.fd, .events = POLLIN };
	struct eq_stall stall;
	struct eq_job writer;
	char buf[4096];

	if (eq_stall_init(&stall))
		SKIP(return, NO_STALL);
	write_io.buf = stall.page;
	write_io.len = sizeof(response);
	read_io.buf = buf;
	read_io.len = sizeof(buf);
	ASSERT_TRUE(outstanding(&self->w, 0, 1, &response.cookie));
	ASSERT_TRUE(eq_job_start(&writer, eq_job_write, &write_io));
	ASSERT_TRUE(eq_stall_hit(&stall));

	ASSERT_PROMPT(0, act_fault, &later);
	ASSERT_PROMPT(POLLIN, eq_job_poll, &pfd);
	ASSERT_PROMPT(FAULT_LEN, eq_job_read, &read_io);
	ASSERT_PROMPT(0, act_replace, &replace);
	ASSERT_TRUE(got(&self->w, 0, 1, GOT_INVALID));
	ASSERT_PROMPT(0, act_remove, &remove);

	ASSERT_FALSE(eq_job_end(&writer, 0));
	ASSERT_EQ(0, eq_stall_fill(&stall, &response, sizeof(response)));
	ASSERT_TRUE(eq_job_end(&writer, DEADLINE_MS));
	ASSERT_EQ(-EINVAL, writer.ret);
	ASSERT_TRUE(got_nothing(&self->w, 0));
}

/*
 * vIOMMU event queues: reading
 */

FIXTURE(vevent)
{
	struct world w;
};

FIXTURE_SETUP(vevent)
{
	if (no_mock())
		SKIP(return, NO_MOCK);
	ASSERT_EQ(0, world_open(&self->w));
	ASSERT_EQ(0, world_vevent_queue(&self->w, NO_WAIT_FLAG, DEPTH));
}

FIXTURE_TEARDOWN(vevent)
{
	close(self->w.queue.fd);
	close(self->w.iommu);
}

/* A record is a normal event with this sequence. */
static bool is_event(const void *record, __u32 sequence)
{
	struct eq_vevent v;

	memcpy(&v, record, sizeof(v));
	if (!v.header.flags && v.header.sequence == sequence &&
	    v.event.virt_id == VIRT_ID)
		return true;
	printf("# flags %#x sequence %u virt_id %#x\n", v.header.flags,
	       v.header.sequence, v.event.virt_id);
	return false;
}

/* A header says that events up to this sequence were lost. */
static bool is_lost(const void *record, __u32 sequence)
{
	struct iommufd_vevent_header h;

	memcpy(&h, record, sizeof(h));
	if (h.flags == IOMMU_VEVENTQ_FLAG_LOST_EVENTS && h.sequence == sequence)
		return true;
	printf("# flags %#x sequence %u\n", h.flags, h.sequence);
	return false;
}

TEST_F(vevent, read_one)
{
	struct eq_vevent v[2];

	memset(v, 0xa5, sizeof(v));
	ASSERT_EQ(0, vevents(&self->w, 1));
	ASSERT_EQ(VEVENT_LEN, sys_read(self->w.queue.fd, v, sizeof(v)));
	ASSERT_TRUE(is_event(&v[0], 0));
	ASSERT_EQ(0xa5a5a5a5, v[1].header.flags);
	ASSERT_FALSE(readable(self->w.queue.fd));
}

TEST_F(vevent, read_several_in_order)
{
	struct eq_vevent v[DEPTH];
	int i;

	ASSERT_EQ(0, vevents(&self->w, DEPTH));
	/* As many whole ones as fit, then the rest. */
	ASSERT_EQ(3 * VEVENT_LEN,
		  sys_read(self->w.queue.fd, v, 4 * VEVENT_LEN - 1));
	for (i = 0; i < 3; i++)
		ASSERT_TRUE(is_event(&v[i], i));
	ASSERT_EQ((DEPTH - 3) * VEVENT_LEN,
		  sys_read(self->w.queue.fd, v, sizeof(v)));
	for (i = 3; i < DEPTH; i++)
		ASSERT_TRUE(is_event(&v[i - 3], i));
}

TEST_F(vevent, read_small_counts)
{
	struct eq_vevent v;
	long count;

	ASSERT_EQ(0, vevents(&self->w, 1));
	for (count = 0; count < VEVENT_LEN; count++)
		ASSERT_EQ(-EINVAL, sys_read(self->w.queue.fd, &v, count));
	ASSERT_EQ(VEVENT_LEN, sys_read(self->w.queue.fd, &v, sizeof(v)));
	ASSERT_TRUE(is_event(&v, 0));
}

TEST_F(vevent, write_is_refused)
{
	struct eq_vevent v = {};

	ASSERT_EQ(-EINVAL, sys_write(self->w.queue.fd, &v, sizeof(v)));
	ASSERT_EQ(-EINVAL, sys_write(self->w.queue.fd, &v, 8));
}

TEST_F(vevent, read_vector_is_one_buffer)
{
	char buf[2 * VEVENT_LEN];
	struct iovec iov[] = {
		{ .iov_base = buf, .iov_len = 3 },
		{ .iov_base = buf + 3, .iov_len = 6 },
		{ .iov_base = buf + 9, .iov_len = sizeof(buf) - 9 },
	};

	ASSERT_EQ(0, vevents(&self->w, 2));
	ASSERT_EQ(2 * VEVENT_LEN,
		  RET(readv(self->w.queue.fd, iov, ARRAY_SIZE(iov))));
	ASSERT_TRUE(is_event(buf, 0));
	ASSERT_TRUE(is_event(buf + VEVENT_LEN, 1));
}

TEST_F(vevent, read_fails_at_first_record)
{
	/* All of it unmapped, the header too, the payload alone. */
	static const size_t mapped[] = { 0, 7, 8, 11 };
	struct eq_vevent v[2];
	size_t i;

	ASSERT_EQ(0, vevents(&self->w, 2));
	for (i = 0; i < ARRAY_SIZE(mapped); i++)
		ASSERT_EQ(-EFAULT, sys_read(self->w.queue.fd,
					    eq_edge(mapped[i]), sizeof(v)));
	ASSERT_EQ(2 * VEVENT_LEN, sys_read(self->w.queue.fd, v, sizeof(v)));
	ASSERT_TRUE(is_event(&v[0], 0));
	ASSERT_TRUE(is_event(&v[1], 1));
}

TEST_F(vevent, read_fails_at_later_record)
{
	struct eq_vevent v[3];
	char *edge = eq_edge(VEVENT_LEN + 9);

	ASSERT_EQ(0, vevents(&self->w, 3));
	ASSERT_EQ(VEVENT_LEN, sys_read(self->w.queue.fd, edge, sizeof(v)));
	ASSERT_TRUE(is_event(edge, 0));
	ASSERT_EQ(2 * VEVENT_LEN, sys_read(self->w.queue.fd, v, sizeof(v)));
	ASSERT_TRUE(is_event(&v[0], 1));
	ASSERT_TRUE(is_event(&v[1], 2));
}

/*
 * vIOMMU event queues: overflow
 */

TEST_F(vevent, overflow_at_tail)
{
	char buf[(DEPTH + 1) * VEVENT_LEN];
	int i;

	ASSERT_EQ(0, vevents(&self->w, DEPTH + 3));
	ASSERT_EQ(DEPTH * VEVENT_LEN + HEADER_LEN,
		  sys_read(self->w.queue.fd, buf, sizeof(buf)));
	for (i = 0; i < DEPTH; i++)
		ASSERT_TRUE(is_event(buf + i * VEVENT_LEN, i));
	ASSERT_TRUE(is_lost(buf + DEPTH * VEVENT_LEN, DEPTH + 2));
	/* Told once; the next event says nothing about it. */
	ASSERT_FALSE(readable(self->w.queue.fd));
	ASSERT_EQ(0, vevents(&self->w, 1));
	ASSERT_EQ(VEVENT_LEN, sys_read(self->w.queue.fd, buf, sizeof(buf)));
	ASSERT_TRUE(is_event(buf, DEPTH + 3));
	ASSERT_FALSE(readable(self->w.queue.fd));
}

TEST_F(vevent, overflow_header_alone)
{
	char buf[DEPTH * VEVENT_LEN];

	ASSERT_EQ(0, vevents(&self->w, DEPTH + 1));
	ASSERT_EQ(DEPTH * VEVENT_LEN,
		  sys_read(self->w.queue.fd, buf, sizeof(buf)));
	ASSERT_TRUE(readable(self->w.queue.fd));
	/* It fails as a record does, and stays. */
	ASSERT_EQ(-EFAULT, sys_read(self->w.queue.fd, eq_edge(7), 8));
	ASSERT_EQ(-EINVAL, sys_read(self->w.queue.fd, buf, 7));
	ASSERT_EQ(HEADER_LEN, sys_read(self->w.queue.fd, buf, HEADER_LEN));
	ASSERT_TRUE(is_lost(buf, DEPTH));
	ASSERT_FALSE(readable(self->w.queue.fd));
}

/* Reading the header makes no room: the depth stays what it is. */
TEST_F(vevent, overflow_keeps_depth)
{
	char buf[(DEPTH + 2) * VEVENT_LEN];
	__u32 sequence = 0;
	int round;

	for (round = 0; round < 3; round++) {
		ASSERT_EQ(0, vevents(&self->w, DEPTH + 1));
		ASSERT_EQ(DEPTH * VEVENT_LEN + HEADER_LEN,
			  sys_read(self->w.queue.fd, buf, sizeof(buf)));
		ASSERT_TRUE(is_event(buf, sequence));
		sequence += DEPTH;
		ASSERT_TRUE(is_lost(buf + DEPTH * VEVENT_LEN, sequence));
		sequence++;
	}
}

/* A later event tells by its sequence: no header then. */
TEST_F(vevent, overflow_told_by_gap)
{
	char buf[(DEPTH + 1) * VEVENT_LEN];

	ASSERT_EQ(0, vevents(&self->w, DEPTH + 2));
	ASSERT_EQ(VEVENT_LEN, sys_read(self->w.queue.fd, buf, VEVENT_LEN));
	ASSERT_EQ(0, vevents(&self->w, 1));
	ASSERT_EQ(DEPTH * VEVENT_LEN,
		  sys_read(self->w.queue.fd, buf, sizeof(buf)));
	ASSERT_TRUE(is_event(buf, 1));
	ASSERT_TRUE(is_event(buf + (DEPTH - 2) * VEVENT_LEN, DEPTH - 1));
	ASSERT_TRUE(is_event(buf + (DEPTH - 1) * VEVENT_LEN, DEPTH + 2));
	ASSERT_FALSE(readable(self->w.queue.fd));
}

TEST_F(vevent, lost_event_under_reader)
{
	struct eq_io io = { .fd = self->w.queue.fd };
	struct eq_stall stall;
	struct eq_job reader;
	char *buf;

	if (eq_stall_init(&stall))
		SKIP(return, NO_STALL);
	io.buf = stall.page;
	io.len = stall.len;
	ASSERT_EQ(0, vevents(&self->w, DEPTH));
	ASSERT_TRUE(eq_job_start(&reader, eq_job_read, &io));
	ASSERT_TRUE(eq_stall_hit(&stall));
	/* What the reader has in its hands still counts. */
	ASSERT_EQ(0, vevents(&self->w, 2));
	ASSERT_EQ(0, eq_stall_fill(&stall, NULL, 0));
	ASSERT_TRUE(eq_job_end(&reader, DEADLINE_MS));
	ASSERT_EQ(DEPTH * VEVENT_LEN + HEADER_LEN, reader.ret);
	buf = stall.page;
	ASSERT_TRUE(is_event(buf + (DEPTH - 1) * VEVENT_LEN, DEPTH - 1));
	ASSERT_TRUE(is_lost(buf + DEPTH * VEVENT_LEN, DEPTH + 1));
}

/*
 * vIOMMU event queues: everything else
 */

TEST_F(vevent, poll)
{
	const short in = POLLIN | POLLRDNORM;
	char buf[DEPTH * VEVENT_LEN];

	ASSERT_EQ(0, poll_now(self->w.queue.fd));
	ASSERT_EQ(0, vevents(&self->w, DEPTH + 1));
	ASSERT_EQ(in, poll_now(self->w.queue.fd));
	ASSERT_EQ(DEPTH * VEVENT_LEN,
		  sys_read(self->w.queue.fd, buf, sizeof(buf)));
	/* The LOST header is something to read, too. */
	ASSERT_EQ(in, poll_now(self->w.queue.fd));
	ASSERT_EQ(HEADER_LEN, sys_read(self->w.queue.fd, buf, sizeof(buf)));
	ASSERT_EQ(0, poll_now(self->w.queue.fd));
}

TEST_F(vevent, fdinfo)
{
	int fd = self->w.queue.fd;
	char buf[(DEPTH + 1) * VEVENT_LEN];

	ASSERT_EQ(0, vevents(&self->w, DEPTH + 3));
	ASSERT_EQ(DEPTH * VEVENT_LEN + HEADER_LEN,
		  sys_read(fd, buf, sizeof(buf)));
	ASSERT_EQ(0, eq_fdinfo(fd, "queued"));
	ASSERT_EQ(0, vevents(&self->w, 2));
	ASSERT_EQ(self->w.queue.id, eq_fdinfo(fd, "eventq-id"));
	ASSERT_LE(0, eq_fdinfo(fd, "eventq-class"));
	ASSERT_EQ(self->w.viommu, eq_fdinfo(fd, "viommu-id"));
	ASSERT_EQ(IOMMU_VEVENTQ_TYPE_SELFTEST, eq_fdinfo(fd, "type"));
	ASSERT_EQ(DEPTH, eq_fdinfo(fd, "depth"));
	ASSERT_EQ(2, eq_fdinfo(fd, "queued"));
	ASSERT_EQ(3, eq_fdinfo(fd, "lost"));
	ASSERT_EQ(DEPTH + 5, eq_fdinfo(fd, "next-sequence"));
}

/* The driver must not be told of a failure that is the guest's doing. */
TEST_F(vevent, report_after_close)
{
	ASSERT_EQ(0, vevents(&self->w, 2));
	ASSERT_EQ(0, close(self->w.queue.fd));
	self->w.queue.fd = -1;
	ASSERT_EQ(0, vevents(&self->w, 3 * DEPTH));
	ASSERT_EQ(0, eq_destroy(self->w.iommu, self->w.queue.id));
	ASSERT_EQ(-EOPNOTSUPP, vevents(&self->w, 1));
}

TEST_F(vevent, stuck_reader_delays_nobody)
{
	struct act report = { .w = &self->w };
	struct act replace = { .w = &self->w, .arg = self->w.ioas };
	struct eq_io io = { .fd = self->w.queue.fd };
	struct pollfd pfd = { .fd = io.fd, .events = POLLIN };
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = self->w.viommu,
		.type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
		.veventq_depth = DEPTH,
	};
	struct eq_ioctl alloc = {
		.fd = self->w.iommu,
		.request = IOMMU_VEVENTQ_ALLOC,
		.arg = &cmd,
	};
	struct eq_stall stall;
	struct eq_job reader;

	if (eq_stall_init(&stall))
		SKIP(return, NO_STALL);
	io.buf = stall.page;
	io.len = stall.len;
	ASSERT_EQ(0, vevents(&self->w, 1));
	ASSERT_TRUE(eq_job_start(&reader, eq_job_read, &io));
	ASSERT_TRUE(eq_stall_hit(&stall));

	ASSERT_PROMPT(0, act_vevent, &report);
	ASSERT_PROMPT(POLLIN, eq_job_poll, &pfd);
	ASSERT_PROMPT(-EAGAIN, act_read_nowait, &report);
	ASSERT_PROMPT(0, eq_job_ioctl, &alloc);
	ASSERT_PROMPT(0, act_replace, &replace);
	ASSERT_PROMPT(0, eq_job_close, &self->w.queue.fd);
	self->w.queue.fd = -1;

	ASSERT_FALSE(eq_job_end(&reader, 0));
	ASSERT_EQ(0, eq_stall_fill(&stall, NULL, 0));
	ASSERT_TRUE(eq_job_end(&reader, DEADLINE_MS));
	ASSERT_EQ(2 * VEVENT_LEN, reader.ret);
	ASSERT_TRUE(is_event(stall.page, 0));
	ASSERT_TRUE(is_event(stall.page + VEVENT_LEN, 1));
}

/* Two readers with buffers of different sizes, under load */

#define LOAD_EVENTS 2000

struct load_reader {
	int fd;
	size_t len;		/* of the buffer */
	bool *stop;
	__u8 *seen;		/* one count for each sequence */
	__u32 last;
};

static long job_load_read(void *arg)
{
	struct load_reader *reader = arg;
	char buf[16 * VEVENT_LEN], *pos;
	struct eq_vevent v;

	for (;;) {
		bool stop = __atomic_load_n(reader->stop, __ATOMIC_ACQUIRE);
		long len = sys_read(reader->fd, buf, reader->len);

		if (len < 0)
			return len;
		if (!len && stop)
			return 0;
		if (!len)
			usleep(100);
		for (pos = buf; pos < buf + len; pos += VEVENT_LEN) {
			memcpy(&v, pos, sizeof(v));
			if (v.header.flags || v.event.virt_id != VIRT_ID ||
			    v.header.sequence >= LOAD_EVENTS ||
			    (int)v.header.sequence <= (int)reader->last)
				return -EPROTO;
			reader->last = v.header.sequence;
			__atomic_add_fetch(&reader->seen[v.header.sequence], 1,
					   __ATOMIC_RELAXED);
		}
	}
}

FIXTURE(vevent_load)
{
	struct world w;
};

FIXTURE_SETUP(vevent_load)
{
	if (no_mock())
		SKIP(return, NO_MOCK);
	ASSERT_EQ(0, world_open(&self->w));
	ASSERT_EQ(0, world_vevent_queue(&self->w, NO_WAIT_FLAG, LOAD_EVENTS));
}

FIXTURE_TEARDOWN(vevent_load)
{
	close(self->w.queue.fd);
	close(self->w.iommu);
}

TEST_F(vevent_load, readers_see_the_order)
{
	static __u8 seen[LOAD_EVENTS];
	struct load_reader reader[2];
	struct eq_job job[2];
	bool stop = false;
	int i;

	for (i = 0; i < 2; i++) {
		reader[i].fd = self->w.queue.fd;
		reader[i].len = i ? 16 * VEVENT_LEN : VEVENT_LEN;
		reader[i].stop = &stop;
		reader[i].seen = seen;
		reader[i].last = -1;
		ASSERT_TRUE(eq_job_start(&job[i], job_load_read, &reader[i]));
	}
	ASSERT_EQ(0, vevents(&self->w, LOAD_EVENTS));
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < 2; i++) {
		ASSERT_TRUE(eq_job_end(&job[i], DEADLINE_MS));
		ASSERT_EQ(0, job[i].ret);
	}
	for (i = 0; i < LOAD_EVENTS; i++)
		ASSERT_EQ(1, seen[i]);
}

/*
 * io_uring: both classes, the plain ring and the one that VMMs use
 */

FIXTURE(ring)
{
	struct world w;
	struct eq_ring ring;
	char buf[4][4096];
};

FIXTURE_VARIANT(ring)
{
	bool viommu;
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(ring, fault)
{
	.viommu = false,
};

FIXTURE_VARIANT_ADD(ring, fault_defer)
{
	.viommu = false,
	.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
};

FIXTURE_VARIANT_ADD(ring, vevent)
{
	.viommu = true,
};

FIXTURE_VARIANT_ADD(ring, vevent_defer)
{
	.viommu = true,
	.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
};

FIXTURE_SETUP(ring)
{
	if (eq_ring_init(&self->ring, variant->flags))
		SKIP(return, NO_RING);
	if (no_mock())
		SKIP(return, NO_MOCK);
	ASSERT_EQ(0, world_open(&self->w));
	ASSERT_EQ(0, world_queue(&self->w, variant->viommu, NO_WAIT_FLAG));
}

FIXTURE_TEARDOWN(ring)
{
	close(self->ring.fd);
	close(self->w.queue.fd);
	close(self->w.iommu);
}

static int ring_read(struct _test_data_ring *self, unsigned int i,
		     __u64 offset)
{
	return eq_ring_rw(&self->ring, IORING_OP_READ, self->w.queue.fd,
			  self->buf[i], sizeof(self->buf[i]), offset, i);
}

static bool stays_armed(struct eq_ring *ring)
{
	struct io_uring_cqe cqe;

	return eq_ring_wait(ring, QUIET_MS, &cqe) == -ETIME;
}

TEST_F(ring, armed_read_completes_inline)
{
	struct io_uring_cqe cqe;
	int round;

	for (round = 0; round < 300; round++) {
		ASSERT_EQ(0, ring_read(self, 0, -1));
		ASSERT_EQ(0, raise_one(&self->w, variant->viommu));
		ASSERT_EQ(0, eq_ring_wait(&self->ring, DEADLINE_MS, &cqe));
		ASSERT_EQ(record_len(variant->viommu), cqe.res);
	}
	ASSERT_EQ(0, eq_count_workers());
}

TEST_F(ring, armed_read_waits)
{
	struct io_uring_cqe cqe;

	ASSERT_EQ(0, ring_read(self, 0, -1));
	ASSERT_TRUE(stays_armed(&self->ring));
	ASSERT_EQ(0, raise_one(&self->w, variant->viommu));
	ASSERT_EQ(0, eq_ring_wait(&self->ring, DEADLINE_MS, &cqe));
	ASSERT_EQ(record_len(variant->viommu), cqe.res);
	ASSERT_EQ(0, eq_count_workers());
}

/* O_NONBLOCK is for read(2): an armed READ waits all the same. */
TEST_F(ring, armed_read_waits_on_nonblocking_fd)
{
	int flags = fcntl(self->w.queue.fd, F_GETFL);
	struct io_uring_cqe cqe;

	ASSERT_EQ(0, fcntl(self->w.queue.fd, F_SETFL, flags | O_NONBLOCK));
	ASSERT_EQ(0, ring_read(self, 0, -1));
	ASSERT_TRUE(stays_armed(&self->ring));
	ASSERT_EQ(0, raise_one(&self->w, variant->viommu));
	ASSERT_EQ(0, eq_ring_wait(&self->ring, DEADLINE_MS, &cqe));
	ASSERT_EQ(record_len(variant->viommu), cqe.res);
}

TEST_F(ring, read_of_queued_record)
{
	struct io_uring_cqe cqe;

	ASSERT_EQ(0, raise_one(&self->w, variant->viommu));
	ASSERT_EQ(0, ring_read(self, 0, -1));
	ASSERT_EQ(0, eq_ring_wait(&self->ring, DEADLINE_MS, &cqe));
	ASSERT_EQ(record_len(variant->viommu), cqe.res);
	ASSERT_EQ(0, eq_count_workers());
}

TEST_F(ring, several_armed_reads_one_record_each)
{
	struct io_uring_cqe cqe;
	unsigned int done = 0;
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, ring_read(self, i, -1));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, raise_one(&self->w, variant->viommu));
		ASSERT_EQ(0, eq_ring_wait(&self->ring, DEADLINE_MS, &cqe));
		ASSERT_EQ(record_len(variant->viommu), cqe.res);
		done |= 1U << cqe.user_data;
		/* The others stay armed. */
		ASSERT_TRUE(stays_armed(&self->ring));
	}
	ASSERT_EQ(7, done);
	ASSERT_EQ(0, eq_count_workers());
}

TEST_F(ring, readv)
{
	struct iovec iov[2] = {
		{ .iov_base = self->buf[0], .iov_len = 5 },
		{ .iov_base = self->buf[0] + 5, .iov_len = 1000 },
	};
	struct io_uring_cqe cqe;

	ASSERT_EQ(0, eq_ring_rw(&self->ring, IORING_OP_READV, self->w.queue.fd,
				iov, 2, -1, 1));
	ASSERT_EQ(0, raise_one(&self->w, variant->viommu));
	ASSERT_EQ(0, eq_ring_wait(&self->ring, DEADLINE_MS, &cqe));
	ASSERT_EQ(record_len(variant->viommu), cqe.res);
	ASSERT_EQ(0, eq_count_workers());
}

TEST_F(ring, offsets)
{
	static const struct {
		__u64 offset;
		bool good;
	} rows[] = {
		{ -1, true }, { 0, true }, { 1, false }, { 40, false },
		{ 1ULL << 40, false },
	};
	struct io_uring_cqe cqe;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		ASSERT_EQ(0, raise_one(&self->w, variant->viommu));
		ASSERT_EQ(0, ring_read(self, 0, rows[i].offset));
		ASSERT_EQ(0, eq_ring_wait(&self->ring, DEADLINE_MS, &cqe));
		ASSERT_EQ(rows[i].good ? record_len(variant->viommu) : -ESPIPE,
			  cqe.res);
	}
}

/* Once taken back, the armed READ takes no record away. */
TEST_F(ring, cancel)
{
	struct io_uring_sqe cancel = {
		.opcode = IORING_OP_ASYNC_CANCEL,
		.fd = -1,
		.addr = 1,	/* user_data of the READ */
		.user_data = 7,
	};
	struct io_uring_cqe cqe;
	int i;

	ASSERT_EQ(0, ring_read(self, 1, -1));
	ASSERT_EQ(0, eq_ring_submit(&self->ring, &cancel));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, eq_ring_wait(&self->ring, DEADLINE_MS, &cqe));
		ASSERT_EQ(cqe.user_data == 7 ? 0 : -ECANCELED, cqe.res);
	}
	ASSERT_EQ(0, raise_one(&self->w, variant->viommu));
	ASSERT_EQ(record_len(variant->viommu),
		  sys_read(self->w.queue.fd, self->buf[0], 4096));
}

FIXTURE(ring_write)
{
	struct world w;
	struct eq_ring ring;
};

FIXTURE_SETUP(ring_write)
{
	if (eq_ring_init(&self->ring, 0))
		SKIP(return, NO_RING);
	if (no_mock())
		SKIP(return, NO_MOCK);
	ASSERT_EQ(0, world_open(&self->w));
	ASSERT_EQ(0, world_fault_queue(&self->w, NO_WAIT_FLAG));
}

FIXTURE_TEARDOWN(ring_write)
{
	close(self->ring.fd);
	close(self->w.queue.fd);
	close(self->w.iommu);
}

static long ring_write(struct eq_ring *ring, int fd, void *buf, size_t len,
		       __u64 offset)
{
	struct io_uring_cqe cqe;
	int rc = eq_ring_rw(ring, IORING_OP_WRITE, fd, buf, len, offset, 1);

	if (!rc)
		rc = eq_ring_wait(ring, DEADLINE_MS, &cqe);
	return rc ? rc : cqe.res;
}

TEST_F(ring_write, answers_inline)
{
	struct iommu_hwpt_page_response r[3] = {};
	int fd = self->w.queue.fd, i;

	for (i = 0; i < 3; i++)
		ASSERT_TRUE(outstanding(&self->w, 0, i, &r[i].cookie));
	r[1].code = IOMMUFD_PAGE_RESP_INVALID;
	ASSERT_EQ(3 * ANSWER_LEN,
		  ring_write(&self->ring, fd, r, sizeof(r), -1));
	ASSERT_TRUE(got(&self->w, 0, 0, GOT_SUCCESS));
	ASSERT_TRUE(got(&self->w, 0, 1, GOT_INVALID));
	ASSERT_TRUE(got(&self->w, 0, 2, GOT_SUCCESS));
	ASSERT_EQ(-EINVAL, ring_write(&self->ring, fd, r, sizeof(r), -1));
	ASSERT_EQ(0, eq_count_workers());
}

TEST_F(ring_write, offsets)
{
	struct iommu_hwpt_page_response r = {};
	int fd = self->w.queue.fd;

	ASSERT_TRUE(outstanding(&self->w, 0, 1, &r.cookie));
	ASSERT_EQ(-ESPIPE, ring_write(&self->ring, fd, &r, sizeof(r), 8));
	ASSERT_TRUE(got_nothing(&self->w, 0));
	ASSERT_EQ(ANSWER_LEN, ring_write(&self->ring, fd, &r, sizeof(r), 0));
	ASSERT_TRUE(got(&self->w, 0, 1, GOT_SUCCESS));
}

TEST_HARNESS_MAIN
