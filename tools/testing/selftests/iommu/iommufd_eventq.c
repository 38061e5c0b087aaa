// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selftest of iommufd's event queues: what queues of both classes have in
 * common. Allocation, the life of the object and its fd, which rule decides what
 * a read of an empty queue does, waiting reads. What only one class does is in
 * iommufd_eventq_fault.c and iommufd_eventq_viommu.c; poll, io_uring and the
 * abuse of buffers have files of their own.
 */
#define _GNU_SOURCE
#include <linux/aio_abi.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "../kselftest_harness.h"
#include "iommufd_eventq_world.h"

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

TEST_HARNESS_MAIN
