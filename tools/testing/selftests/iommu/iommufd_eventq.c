// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selftest of iommufd's event queues: what queues of both classes have in
 * common. Allocation, the life of the object and its fd, which rule decides what
 * a read of an empty queue does, waiting reads, Linux AIO. What only one class
 * does is in iommufd_eventq_fault.c and iommufd_eventq_viommu.c; poll, io_uring
 * and the abuse of buffers have files of their own.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <limits.h>
#include <linux/aio_abi.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "../kselftest_harness.h"
#include "iommufd_eventq_queue.h"

#define NO_FLAG "needs IOMMU_EVENTQ_ALLOC_WAIT_READ"

/* Programs may ask for waiting reads like this: older kernels refuse. */
static bool knows_wait_flag(int iommu)
{
	struct eq_queue q;

	if (eq_fault_queue(iommu, WAIT_FLAG, &q))
		return false;
	close(q.fd);
	eq_destroy(iommu, q.id);
	return true;
}

static bool wait_flag_known(void)
{
	int iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	bool known = knows_wait_flag(iommu);

	close(iommu);
	return known;
}

static void queue_close(struct queue *q)
{
	close(q->w.queue.fd);
	close(q->w.iommu);
}

/*
 * Signals for calls that wait
 */

static int nr_signals;

static void count_signal(int sig)
{
	(void)sig;
	__atomic_add_fetch(&nr_signals, 1, __ATOMIC_SEQ_CST);
}

static bool handle_signal(int sig, int flags)
{
	struct sigaction action = {
		.sa_handler = count_signal,
		.sa_flags = flags,
	};

	nr_signals = 0;
	return !sigaction(sig, &action, NULL);
}

static bool signal_handled(void)
{
	unsigned int ms;

	for (ms = 0; ms < DEADLINE_MS; ms++) {
		if (__atomic_load_n(&nr_signals, __ATOMIC_SEQ_CST))
			return true;
		usleep(1000);
	}
	return false;
}

/*
 * Linux AIO: may block in io_submit()
 */

static void aio_prep(struct iocb *iocb, int opcode, int fd, void *buf,
		     size_t len)
{
	memset(iocb, 0, sizeof(*iocb));
	iocb->aio_lio_opcode = opcode;
	iocb->aio_fildes = fd;
	iocb->aio_buf = (uintptr_t)buf;
	iocb->aio_nbytes = len;
}

static long aio_submit(aio_context_t ctx, long nr, struct iocb **list)
{
	return RET(syscall(SYS_io_submit, ctx, nr, list));
}

/* The result of the next request that is complete, or -ETIME. */
static long aio_result(aio_context_t ctx, unsigned int ms, struct iocb **iocb)
{
	struct timespec ts = { .tv_sec = ms / 1000 };
	struct io_event event;
	long rc = RET(syscall(SYS_io_getevents, ctx, 1, 1, &event, &ts));

	if (rc < 0)
		return rc;
	if (rc && iocb)
		*iocb = (struct iocb *)(uintptr_t)event.obj;
	return rc ? (long)event.res : -ETIME;
}

/* A whole read: what io_submit() says if it fails, else the result. */
static long aio_read(struct eq_io *io, int rw_flags)
{
	struct iocb iocb, *list = &iocb;
	aio_context_t ctx = 0;
	long ret;

	if (syscall(SYS_io_setup, 1, &ctx))
		return -errno;
	aio_prep(&iocb, IOCB_CMD_PREAD, io->fd, io->buf, io->len);
	iocb.aio_rw_flags = rw_flags;
	ret = aio_submit(ctx, 1, &list);
	if (ret == 1)
		ret = aio_result(ctx, DEADLINE_MS, NULL);
	syscall(SYS_io_destroy, ctx);
	return ret;
}

/* The ways to read, as jobs */

static long job_nowait_read(void *arg)
{
	struct eq_io *io = arg;

	return read_nowait(io->fd, io->buf, io->len);
}

static long job_readv(void *arg)
{
	struct eq_io *io = arg;
	char *buf = io->buf;
	struct iovec iov[] = {
		{ .iov_base = buf, .iov_len = 5 },
		{ .iov_base = buf + 5, .iov_len = 0 },
		{ .iov_base = buf + 5, .iov_len = io->len - 5 },
	};

	return RET(readv(io->fd, iov, ARRAY_SIZE(iov)));
}

static long job_preadv2(void *arg)
{
	struct eq_io *io = arg;
	struct iovec iov = { .iov_base = io->buf, .iov_len = io->len };

	return RET(preadv2(io->fd, &iov, 1, -1, 0));
}

static long job_aio_read(void *arg)
{
	return aio_read(arg, 0);
}

static long job_aio_nowait_read(void *arg)
{
	return aio_read(arg, RWF_NOWAIT);
}

struct reader {
	struct eq_io io;
	struct eq_job job;
	char buf[8 * FAULT_LEN];
};

/* Start to read, with room for @len bytes. */
static bool start(struct reader *r, struct queue *q, long (*read)(void *arg),
		  size_t len)
{
	memset(r->buf, 0xa5, sizeof(r->buf));
	r->io.fd = q->w.queue.fd;
	r->io.buf = r->buf;
	r->io.len = len;
	return eq_job_start(&r->job, read, &r->io);
}

/* Start to wait for a record, with room for one. */
static bool start_waiting(struct reader *r, struct queue *q)
{
	return start(r, q, eq_job_read, q->len) && eq_job_sleeps(&r->job);
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

/* The flag is known for both classes, or for none; asking leaves nothing. */
TEST_F(alloc, wait_flag_can_be_probed)
{
	int fd = lowest_free_fd(), expected;
	struct eq_queue q = {};

	expected = knows_wait_flag(self->w.iommu) ? 0 : -EOPNOTSUPP;
	ASSERT_EQ(fd, lowest_free_fd());
	ASSERT_EQ(expected,
		  eq_vevent_queue(self->w.iommu, self->w.viommu,
				  IOMMU_VEVENTQ_TYPE_SELFTEST, WAIT_FLAG,
				  DEPTH, &q));
	if (!expected) {
		ASSERT_EQ(0, close(q.fd));
		ASSERT_EQ(0, eq_destroy(self->w.iommu, q.id));
	}
	ASSERT_EQ(fd, lowest_free_fd());
	/* The type is free. */
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, DEPTH,
				     &q));
}

TEST_F(alloc, fd_names)
{
	static const char * const names[] = {
		"anon_inode:[iommufd-pgfault]",
		"anon_inode:[iommufd-viommu-event]",
	};
	char path[32], name[64];
	struct eq_queue q[2];
	ssize_t len;
	int i;

	ASSERT_EQ(0, eq_fault_queue(self->w.iommu, 0, &q[0]));
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, DEPTH,
				     &q[1]));
	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", q[i].fd);
		len = readlink(path, name, sizeof(name) - 1);
		ASSERT_LT(0, len);
		name[len] = 0;
		ASSERT_STREQ(names[i], name);
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

TEST_F(alloc, destroy_is_busy_while_a_child_has_it)
{
	struct eq_queue q[2];
	int pipefd[2], i;
	char byte = 0;
	pid_t pid;

	ASSERT_EQ(0, eq_fault_queue(self->w.iommu, 0, &q[0]));
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, DEPTH,
				     &q[1]));
	ASSERT_EQ(0, pipe(pipefd));
	pid = eq_fork();
	if (!pid)
		_exit(read(pipefd[0], &byte, 1) == 1 ? 0 : 1);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, close(q[i].fd));
		ASSERT_EQ(-EBUSY, eq_destroy(self->w.iommu, q[i].id));
	}
	ASSERT_EQ(1, write(pipefd[1], &byte, 1));
	ASSERT_EQ(0, eq_child_status(pid));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, eq_destroy(self->w.iommu, q[i].id));
}

/* A queue that outlives its iommufd, with the other class still open or not. */
TEST_F(alloc, queues_close_after_iommufd)
{
	struct eq_queue q[2];
	char buf[64];
	int i;

	ASSERT_EQ(0, eq_fault_queue(self->w.iommu, 0, &q[0]));
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, DEPTH,
				     &q[1]));
	ASSERT_EQ(0, vevents(&self->w, 1));
	ASSERT_EQ(0, close(self->w.iommu));
	self->w.iommu = -1;
	ASSERT_EQ(VEVENT_LEN, sys_read(q[1].fd, buf, sizeof(buf)));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, sys_read(q[i].fd, buf, sizeof(buf)));
		ASSERT_EQ(0, close(q[i].fd));
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

/* Nothing else can be one, whatever it is. */
TEST_F(alloc, fault_id_is_of_a_fault_queue)
{
	struct world *w = &self->w;
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = w->dev[1].dev_id,
		.pt_id = w->ioas,
	};
	struct eq_queue q, vq;
	__u32 ids[] = {
		0, 1 << 24, w->ioas, w->dev[0].dev_id, w->viommu, 0
	};
	size_t i;

	ASSERT_EQ(0, eq_vevent_queue(w->iommu, w->viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, DEPTH,
				     &vq));
	ids[ARRAY_SIZE(ids) - 1] = vq.id;
	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		cmd.fault_id = ids[i];
		ASSERT_EQ(-ENOENT, eq_call(w->iommu, IOMMU_HWPT_ALLOC, &cmd)) {
			TH_LOG("object %u", ids[i]);
		}
	}
	ASSERT_EQ(0, eq_fault_queue(w->iommu, 0, &q));
	cmd.fault_id = q.id;
	ASSERT_EQ(0, eq_call(w->iommu, IOMMU_HWPT_ALLOC, &cmd));
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

/* What no program may ask for, as ever */
TEST_F(alloc, vevent_bad_arguments)
{
	struct world *w = &self->w;
	const __u32 no_viommu[] = {
		0, 1 << 24, w->ioas, w->dev[0].dev_id,
	};
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = w->viommu,
		.type = IOMMU_VEVENTQ_TYPE_SELFTEST,
		.veventq_depth = DEPTH,
		.__reserved = 1,
	};
	int fd = lowest_free_fd();
	size_t i;

	ASSERT_EQ(-EOPNOTSUPP, eq_call(w->iommu, IOMMU_VEVENTQ_ALLOC, &cmd));
	cmd.__reserved = 0;
	for (i = 0; i < ARRAY_SIZE(no_viommu); i++) {
		cmd.viommu_id = no_viommu[i];
		ASSERT_EQ(-ENOENT,
			  eq_call(w->iommu, IOMMU_VEVENTQ_ALLOC, &cmd)) {
			TH_LOG("object %u", no_viommu[i]);
		}
	}
	cmd.viommu_id = w->viommu;
	ASSERT_EQ(0, eq_call(w->iommu, IOMMU_VEVENTQ_ALLOC, &cmd));
	ASSERT_EQ(fd, cmd.out_veventq_fd);
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

/* Its queue needs it, open or not; what was refused leaves no claim to it. */
TEST_F(alloc, vevent_queue_keeps_its_viommu)
{
	struct world *w = &self->w;
	struct eq_queue q, other;
	__u32 viommu;

	ASSERT_EQ(0, eq_viommu(w->iommu, w->ioas, &w->dev[1], &viommu));
	ASSERT_EQ(0, eq_vevent_queue(w->iommu, viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, DEPTH,
				     &q));
	ASSERT_EQ(-EEXIST, eq_vevent_queue(w->iommu, viommu,
					   IOMMU_VEVENTQ_TYPE_SELFTEST, 0,
					   DEPTH, &other));
	ASSERT_EQ(-EBUSY, eq_destroy(w->iommu, viommu));
	ASSERT_EQ(0, close(q.fd));
	ASSERT_EQ(-EBUSY, eq_destroy(w->iommu, viommu));
	ASSERT_EQ(0, eq_destroy(w->iommu, q.id));
	ASSERT_EQ(0, eq_destroy(w->iommu, viommu));
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
 * reads and O_NONBLOCK, by every way to read. One buffer takes several records:
 * what waits, waits for the first and for no second one.
 */

#define WAITS 1

static void check_empty(struct __test_metadata *_metadata, struct queue *q,
			long (*read)(void *arg), long expected)
{
	struct reader r;

	ASSERT_TRUE(start(&r, q, read, sizeof(r.buf)));
	if (expected == WAITS) {
		ASSERT_TRUE(eq_job_sleeps(&r.job));
		ASSERT_EQ(0, add(q));
	} else {
		ASSERT_EQ(expected, eq_job_result(&r.job));
		ASSERT_EQ(0, add(q));
		ASSERT_TRUE(start(&r, q, read, sizeof(r.buf)));
	}
	ASSERT_EQ(q->len, eq_job_result(&r.job));
	ASSERT_EQ(0, number(q, r.buf));
	ASSERT_EQ(-ENODATA, take(q));
}

static int set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL) & ~O_NONBLOCK;

	return fcntl(fd, F_SETFL, flags | (on ? O_NONBLOCK : 0));
}

FIXTURE(empty)
{
	struct queue q;
};

FIXTURE_VARIANT(empty)
{
	bool viommu;
	__u32 flags;
	bool nonblock;
	long read;		/* what read(2) says; WAITS if it waits */
};

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
	if (no_mock())
		SKIP(return, NO_MOCK);
	if (variant->flags && !wait_flag_known())
		SKIP(return, NO_FLAG);
	ASSERT_EQ(0, queue_open(&self->q, variant->viommu, variant->flags,
				DEPTH));
	ASSERT_EQ(0, set_nonblock(self->q.w.queue.fd, variant->nonblock));
}

FIXTURE_TEARDOWN(empty)
{
	queue_close(&self->q);
}

TEST_F(empty, read)
{
	check_empty(_metadata, &self->q, eq_job_read, variant->read);
}

TEST_F(empty, readv)
{
	check_empty(_metadata, &self->q, job_readv, variant->read);
}

TEST_F(empty, preadv2)
{
	check_empty(_metadata, &self->q, job_preadv2, variant->read);
}

TEST_F(empty, nowait)
{
	check_empty(_metadata, &self->q, job_nowait_read, -EAGAIN);
}

TEST_F(empty, aio)
{
	check_empty(_metadata, &self->q, job_aio_read, WAITS);
}

TEST_F(empty, aio_nowait)
{
	check_empty(_metadata, &self->q, job_aio_nowait_read, -EAGAIN);
}

/* Emptiness is no excuse for a bad count, and a count of 0 never waits. */
TEST_F(empty, small_counts)
{
	struct eq_io io = { .fd = self->q.w.queue.fd };
	char buf[64];

	io.buf = buf;
	ASSERT_PROMPT(variant->viommu ? -EINVAL : 0, eq_job_read, &io);
	ASSERT_PROMPT(0, job_preadv2, &io);
	ASSERT_PROMPT(variant->viommu ? -EINVAL : 0, job_aio_read, &io);
	io.len = 7;
	if (variant->viommu) {
		ASSERT_PROMPT(-EINVAL, eq_job_read, &io);
		ASSERT_PROMPT(-EINVAL, job_readv, &io);
		ASSERT_PROMPT(-EINVAL, job_preadv2, &io);
		ASSERT_PROMPT(-EINVAL, job_nowait_read, &io);
		ASSERT_PROMPT(-EINVAL, job_aio_read, &io);
		io.len = HEADER_LEN;
	}
	/* Too small for any record there is, but who knows of what comes? */
	ASSERT_PROMPT(-EAGAIN, job_nowait_read, &io);
	if (variant->read != WAITS)
		ASSERT_PROMPT(variant->read, eq_job_read, &io);
}

TEST_F(empty, read_after_record)
{
	char buf[4096];

	ASSERT_EQ(0, add_many(&self->q, 2));
	ASSERT_EQ(2 * self->q.len,
		  sys_read(self->q.w.queue.fd, buf, sizeof(buf)));
	if (variant->read != WAITS)
		ASSERT_EQ(variant->read,
			  sys_read(self->q.w.queue.fd, buf, sizeof(buf)));
	ASSERT_EQ(-EAGAIN,
		  read_nowait(self->q.w.queue.fd, buf, sizeof(buf)));
}

/*
 * The order of the rules for an empty queue: NOWAIT, an asynchronous request,
 * O_NONBLOCK, the flag, and 0 for who did not ask for anything. Each variant has
 * the two of its name apply, and the first of them decides; of nowait and
 * nonblock, and of async and flag, both say the same.
 */

FIXTURE(order)
{
	struct queue q;
};

FIXTURE_VARIANT(order)
{
	__u32 flags;
	bool nonblock;
	long (*read)(void *arg);
	long expected;
};

FIXTURE_VARIANT_ADD(order, nowait_before_async)
{
	.read = job_aio_nowait_read,
	.expected = -EAGAIN,
};

FIXTURE_VARIANT_ADD(order, nowait_before_nonblock)
{
	.nonblock = true,
	.read = job_nowait_read,
	.expected = -EAGAIN,
};

FIXTURE_VARIANT_ADD(order, nowait_before_flag)
{
	.flags = WAIT_FLAG,
	.read = job_nowait_read,
	.expected = -EAGAIN,
};

FIXTURE_VARIANT_ADD(order, nowait_before_zero)
{
	.read = job_nowait_read,
	.expected = -EAGAIN,
};

FIXTURE_VARIANT_ADD(order, async_before_nonblock)
{
	.nonblock = true,
	.read = job_aio_read,
	.expected = WAITS,
};

FIXTURE_VARIANT_ADD(order, async_before_flag)
{
	.flags = WAIT_FLAG,
	.read = job_aio_read,
	.expected = WAITS,
};

FIXTURE_VARIANT_ADD(order, async_before_zero)
{
	.read = job_aio_read,
	.expected = WAITS,
};

FIXTURE_VARIANT_ADD(order, nonblock_before_flag)
{
	.flags = WAIT_FLAG,
	.nonblock = true,
	.read = eq_job_read,
	.expected = -EAGAIN,
};

FIXTURE_VARIANT_ADD(order, nonblock_before_zero)
{
	.nonblock = true,
	.read = eq_job_read,
	.expected = -EAGAIN,
};

FIXTURE_VARIANT_ADD(order, flag_before_zero)
{
	.flags = WAIT_FLAG,
	.read = eq_job_read,
	.expected = WAITS,
};

FIXTURE_VARIANT_ADD(order, nowait_before_all)
{
	.flags = WAIT_FLAG,
	.nonblock = true,
	.read = job_aio_nowait_read,
	.expected = -EAGAIN,
};

FIXTURE_VARIANT_ADD(order, async_before_all_but_nowait)
{
	.flags = WAIT_FLAG,
	.nonblock = true,
	.read = job_aio_read,
	.expected = WAITS,
};

FIXTURE_SETUP(order)
{
	if (no_mock())
		SKIP(return, NO_MOCK);
	if (variant->flags && !wait_flag_known())
		SKIP(return, NO_FLAG);
}

FIXTURE_TEARDOWN(order)
{
	queue_close(&self->q);
}

TEST_F(order, fault)
{
	ASSERT_EQ(0, queue_open(&self->q, false, variant->flags, DEPTH));
	ASSERT_EQ(0, set_nonblock(self->q.w.queue.fd, variant->nonblock));
	check_empty(_metadata, &self->q, variant->read, variant->expected);
}

TEST_F(order, vevent)
{
	ASSERT_EQ(0, queue_open(&self->q, true, variant->flags, DEPTH));
	ASSERT_EQ(0, set_nonblock(self->q.w.queue.fd, variant->nonblock));
	check_empty(_metadata, &self->q, variant->read, variant->expected);
}

/*
 * Waiting reads
 */

FIXTURE(waiting)
{
	struct queue q;
};

FIXTURE_VARIANT(waiting)
{
	bool viommu;
};

FIXTURE_VARIANT_ADD(waiting, fault)
{
	.viommu = false,
};

FIXTURE_VARIANT_ADD(waiting, vevent)
{
	.viommu = true,
};

FIXTURE_SETUP(waiting)
{
	if (no_mock())
		SKIP(return, NO_MOCK);
	if (!wait_flag_known())
		SKIP(return, NO_FLAG);
	ASSERT_EQ(0, queue_open(&self->q, variant->viommu, WAIT_FLAG,
				DEPTH));
}

FIXTURE_TEARDOWN(waiting)
{
	queue_close(&self->q);
}

TEST_F(waiting, signal_ends_read)
{
	struct reader r;

	ASSERT_TRUE(handle_signal(SIGUSR1, 0));
	ASSERT_TRUE(start_waiting(&r, &self->q));
	ASSERT_EQ(0, pthread_kill(r.job.thread, SIGUSR1));
	ASSERT_EQ(-EINTR, eq_job_result(&r.job));
	ASSERT_EQ(1, nr_signals);
	/* It takes nothing with it. */
	ASSERT_EQ(0, add(&self->q));
	ASSERT_EQ(0, take(&self->q));
}

TEST_F(waiting, signal_restarts_read)
{
	struct reader r;

	ASSERT_TRUE(handle_signal(SIGUSR1, SA_RESTART));
	ASSERT_TRUE(start_waiting(&r, &self->q));
	ASSERT_EQ(0, pthread_kill(r.job.thread, SIGUSR1));
	ASSERT_TRUE(signal_handled());
	ASSERT_TRUE(eq_job_sleeps(&r.job));
	ASSERT_EQ(0, add(&self->q));
	ASSERT_EQ(self->q.len, eq_job_result(&r.job));
	ASSERT_EQ(0, number(&self->q, r.buf));
	ASSERT_EQ(-ENODATA, take(&self->q));
}

/* A reader that has the record in its hands delivers it, signal or not. */
TEST_F(waiting, signal_during_copy)
{
	struct eq_io io = { .fd = self->q.w.queue.fd };
	struct eq_stall stall;
	struct eq_job job;

	if (eq_stall_init(&stall))
		SKIP(return, NO_STALL);
	io.buf = stall.page;
	io.len = stall.len;
	ASSERT_TRUE(handle_signal(SIGUSR1, 0));
	ASSERT_EQ(0, add(&self->q));
	ASSERT_TRUE(eq_job_start(&job, eq_job_read, &io));
	ASSERT_TRUE(eq_stall_hit(&stall));
	ASSERT_EQ(0, pthread_kill(job.thread, SIGUSR1));
	ASSERT_EQ(0, eq_stall_fill(&stall, NULL, 0));
	ASSERT_EQ(self->q.len, eq_job_result(&job));
	ASSERT_TRUE(signal_handled());
	ASSERT_EQ(0, number(&self->q, stall.page));
	ASSERT_EQ(-ENODATA, take(&self->q));
}

/* Whichever comes first, the record is delivered or still there. */
TEST_F(waiting, signal_and_record)
{
	struct reader r;
	long ret;
	int i;

	ASSERT_TRUE(handle_signal(SIGUSR1, 0));
	for (i = 0; i < 40; i++) {
		ASSERT_TRUE(start_waiting(&r, &self->q));
		if (i % 2)
			ASSERT_EQ(0, add(&self->q));
		ASSERT_EQ(0, pthread_kill(r.job.thread, SIGUSR1));
		if (!(i % 2))
			ASSERT_EQ(0, add(&self->q));
		ret = eq_job_result(&r.job);
		if (ret == -EINTR) {
			ASSERT_EQ(i, take(&self->q));
		} else {
			ASSERT_EQ(self->q.len, ret);
			ASSERT_EQ(i, number(&self->q, r.buf));
		}
		ASSERT_EQ(-ENODATA, take(&self->q));
	}
}

/* Returns 0 if the first record is what it reads. */
static int child_of_read(struct queue *q)
{
	char buf[64];

	if (sys_read(q->w.queue.fd, buf, q->len) != q->len)
		return 1;
	return number(q, buf) ? 2 : 0;
}

TEST_F(waiting, child_reads)
{
	pid_t pid = eq_fork();

	if (!pid)
		_exit(child_of_read(&self->q));
	ASSERT_TRUE(eq_child_waits(pid));
	ASSERT_EQ(0, add(&self->q));
	ASSERT_EQ(0, eq_child_status(pid));
	ASSERT_EQ(-ENODATA, take(&self->q));
	ASSERT_EQ(0, add(&self->q));
	ASSERT_EQ(1, take(&self->q));
}

/* A killed reader takes nothing with it, and does not keep the queue. */
TEST_F(waiting, kill_ends_read)
{
	struct reader r;
	int status;
	pid_t pid;

	pid = eq_fork();
	if (!pid)
		_exit(child_of_read(&self->q));
	ASSERT_TRUE(eq_child_waits(pid));
	ASSERT_TRUE(start_waiting(&r, &self->q));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	status = eq_child_status(pid);
	ASSERT_TRUE(WIFSIGNALED(status));
	ASSERT_EQ(SIGKILL, WTERMSIG(status));
	/* Another one waits on. */
	ASSERT_TRUE(eq_job_sleeps(&r.job));
	ASSERT_EQ(0, add_many(&self->q, 2));
	ASSERT_EQ(self->q.len, eq_job_result(&r.job));
	ASSERT_EQ(0, number(&self->q, r.buf));
	ASSERT_EQ(1, take(&self->q));
	ASSERT_EQ(0, close(self->q.w.queue.fd));
	self->q.w.queue.fd = -1;
	ASSERT_EQ(0, queue_destroy(&self->q));
}

/* Stopping a program is not a signal that it sees. */
TEST_F(waiting, stop_and_continue)
{
	pid_t pid = eq_fork();
	int status;

	if (!pid)
		_exit(child_of_read(&self->q));
	ASSERT_TRUE(eq_child_waits(pid));
	ASSERT_EQ(0, kill(pid, SIGSTOP));
	ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
	ASSERT_EQ(0, kill(pid, SIGCONT));
	ASSERT_TRUE(eq_child_waits(pid));
	ASSERT_EQ(0, add(&self->q));
	ASSERT_EQ(0, eq_child_status(pid));
	ASSERT_EQ(-ENODATA, take(&self->q));
}

/* Which of two calls returns first, or -1 if none does. */
static int first_to_end(struct reader *r)
{
	unsigned int ms;
	int i;

	for (ms = 0; ms < DEADLINE_MS; ms++) {
		for (i = 0; i < 2; i++)
			if (eq_job_ended(&r[i].job))
				return i;
		usleep(1000);
	}
	return -1;
}

TEST_F(waiting, two_readers_one_record)
{
	struct reader r[2];
	int i, first;

	for (i = 0; i < 2; i++)
		ASSERT_TRUE(start_waiting(&r[i], &self->q));
	ASSERT_EQ(0, add(&self->q));
	first = first_to_end(r);
	ASSERT_LE(0, first);
	ASSERT_EQ(self->q.len, eq_job_result(&r[first].job));
	ASSERT_EQ(0, number(&self->q, r[first].buf));
	/* The other still waits, for the next one. */
	ASSERT_FALSE(eq_job_end(&r[!first].job, QUIET_MS));
	ASSERT_EQ(0, add(&self->q));
	ASSERT_EQ(self->q.len, eq_job_result(&r[!first].job));
	ASSERT_EQ(1, number(&self->q, r[!first].buf));
}

/* As many records as readers with room for one: one each. */
TEST_F(waiting, burst_for_many_readers)
{
	struct reader r[DEPTH];
	int seen[DEPTH] = {};
	int i;
	long nr;

	for (i = 0; i < DEPTH; i++)
		ASSERT_TRUE(start_waiting(&r[i], &self->q));
	ASSERT_EQ(0, add_many(&self->q, DEPTH));
	for (i = 0; i < DEPTH; i++) {
		ASSERT_EQ(self->q.len, eq_job_result(&r[i].job));
		nr = number(&self->q, r[i].buf);
		ASSERT_LE(0, nr);
		ASSERT_GT(DEPTH, nr);
		seen[nr]++;
	}
	for (i = 0; i < DEPTH; i++)
		ASSERT_EQ(1, seen[i]);
	ASSERT_EQ(-ENODATA, take(&self->q));
}

/*
 * With room for several, some may take what others were woken for; those wait
 * on. Each gets a run without gaps, and nothing comes twice.
 */
TEST_F(waiting, burst_for_greedy_readers)
{
	enum { READERS = 4, MOST = 64 };
	struct reader r[READERS];
	int seen[MOST] = {};
	int i, at, left;
	long nr;

	for (i = 0; i < READERS; i++) {
		ASSERT_TRUE(start(&r[i], &self->q, eq_job_read,
				  8 * self->q.len));
		ASSERT_TRUE(eq_job_sleeps(&r[i].job));
	}
	ASSERT_EQ(0, add_many(&self->q, READERS));
	do {
		usleep(1000);
		for (i = 0, left = 0; i < READERS; i++)
			left += !eq_job_ended(&r[i].job);
		if (left && !readable(self->q.w.queue.fd))
			ASSERT_EQ(0, add(&self->q));
	} while (left && self->q.raised < MOST);

	for (i = 0; i < READERS; i++) {
		ASSERT_LT(0, eq_job_result(&r[i].job));
		ASSERT_EQ(0, r[i].job.ret % self->q.len);
		nr = number(&self->q, r[i].buf);
		ASSERT_LE(0, nr);
		for (at = 0; at < r[i].job.ret; at += self->q.len) {
			ASSERT_EQ(nr, number(&self->q, r[i].buf + at));
			ASSERT_GT(MOST, nr);
			seen[nr++]++;
		}
	}
	for (nr = take(&self->q); nr >= 0; nr = take(&self->q)) {
		ASSERT_GT(MOST, nr);
		seen[nr]++;
	}
	for (i = 0; i < (int)self->q.raised; i++)
		ASSERT_EQ(1, seen[i]);
}

/* It waits without a lock that anybody could want. */
TEST_F(waiting, reader_delays_nobody)
{
	struct act act = { .w = &self->q.w };
	struct iommu_hwpt_page_response bad = {};
	struct eq_io io = {
		.fd = self->q.w.queue.fd,
		.buf = &bad,
		.len = sizeof(bad),
	};
	struct pollfd pfd = { .fd = io.fd, .events = POLLIN };
	int copy = dup(io.fd);
	struct reader r;

	if (!variant->viommu)
		ASSERT_TRUE(outstanding(act.w, 0, self->q.raised++, &act.arg));
	ASSERT_TRUE(start_waiting(&r, &self->q));
	if (!variant->viommu) {
		ASSERT_PROMPT(ANSWER_LEN, act_accept, &act);
		ASSERT_TRUE(got(act.w, 0, 0, GOT_SUCCESS));
	}
	ASSERT_PROMPT(-EINVAL, eq_job_write, &io);
	ASSERT_PROMPT(-EAGAIN, act_read_nowait, &act);
	ASSERT_PROMPT(0, eq_job_poll, &pfd);
	ASSERT_EQ(0, eq_fdinfo(io.fd, "queued"));
	ASSERT_PROMPT(0, eq_job_close, &copy);
	if (!variant->viommu) {
		act.dev = 1;
		act.arg = act.w->ioas;
		ASSERT_PROMPT(0, act_replace, &act);
	}
	ASSERT_TRUE(eq_job_sleeps(&r.job));
	ASSERT_EQ(0, add(&self->q));
	ASSERT_EQ(self->q.len, eq_job_result(&r.job));
}

/* A read that waits already goes on; the next one does not wait. */
TEST_F(waiting, nonblock_set_meanwhile)
{
	int fd = self->q.w.queue.fd;
	struct reader r;
	char buf[64];

	ASSERT_TRUE(start_waiting(&r, &self->q));
	ASSERT_EQ(0, set_nonblock(fd, true));
	ASSERT_EQ(-EAGAIN, sys_read(fd, buf, sizeof(buf)));
	ASSERT_TRUE(eq_job_sleeps(&r.job));
	ASSERT_EQ(0, add(&self->q));
	ASSERT_EQ(self->q.len, eq_job_result(&r.job));
	ASSERT_EQ(0, number(&self->q, r.buf));
	ASSERT_EQ(-EAGAIN, sys_read(fd, buf, sizeof(buf)));

	ASSERT_EQ(0, set_nonblock(fd, false));
	ASSERT_TRUE(start_waiting(&r, &self->q));
	ASSERT_EQ(0, add(&self->q));
	ASSERT_EQ(self->q.len, eq_job_result(&r.job));
	ASSERT_EQ(1, number(&self->q, r.buf));
}

TEST_F(waiting, too_small_for_what_comes)
{
	struct reader r;

	ASSERT_TRUE(start(&r, &self->q, eq_job_read, self->q.len - 1));
	ASSERT_TRUE(eq_job_sleeps(&r.job));
	ASSERT_EQ(0, add(&self->q));
	ASSERT_EQ(-EINVAL, eq_job_result(&r.job));
	ASSERT_EQ(0, take(&self->q));
}

TEST_F(waiting, bad_buffer_for_what_comes)
{
	struct eq_io io = {
		.fd = self->q.w.queue.fd,
		.buf = eq_edge(self->q.len - 1),
		.len = self->q.len,
	};
	struct eq_job job;

	ASSERT_TRUE(eq_job_start(&job, eq_job_read, &io));
	ASSERT_TRUE(eq_job_sleeps(&job));
	ASSERT_EQ(0, add(&self->q));
	ASSERT_EQ(-EFAULT, eq_job_result(&job));
	ASSERT_EQ(0, take(&self->q));
}

/* The read is the last to close the file, when it has its record. */
TEST_F(waiting, read_keeps_the_file)
{
	struct world *w = &self->q.w;
	struct reader r;

	ASSERT_TRUE(start_waiting(&r, &self->q));
	ASSERT_EQ(0, close(w->queue.fd));
	w->queue.fd = -1;
	ASSERT_EQ(-EBUSY, eq_destroy(w->iommu, w->queue.id));
	ASSERT_EQ(0, add(&self->q));
	ASSERT_EQ(self->q.len, eq_job_result(&r.job));
	ASSERT_EQ(0, number(&self->q, r.buf));
	/* Nobody can answer it any more. */
	if (!variant->viommu)
		ASSERT_TRUE(got(w, 0, 0, GOT_INVALID));
	ASSERT_EQ(0, queue_destroy(&self->q));
}

static long job_epoll(void *arg)
{
	struct epoll_event event;

	return RET(epoll_wait(*(int *)arg, &event, 1, -1));
}

/* Somebody who asked for exclusive wake-ups gets none that a reader needs. */
TEST_F(waiting, exclusive_watcher_takes_no_wakeup)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct eq_job watcher;
	struct reader r;

	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->q.w.queue.fd, &event));
	ASSERT_TRUE(eq_job_start(&watcher, job_epoll, &ep));
	ASSERT_TRUE(eq_job_sleeps(&watcher));
	ASSERT_TRUE(start_waiting(&r, &self->q));
	ASSERT_EQ(0, add(&self->q));
	ASSERT_EQ(self->q.len, eq_job_result(&r.job));
	ASSERT_EQ(0, number(&self->q, r.buf));
}

/*
 * Waiting for groups of faults
 */

FIXTURE(waiting_fault)
{
	struct queue q;
};

FIXTURE_SETUP(waiting_fault)
{
	if (no_mock())
		SKIP(return, NO_MOCK);
	if (!wait_flag_known())
		SKIP(return, NO_FLAG);
	ASSERT_EQ(0, queue_open(&self->q, false, WAIT_FLAG, DEPTH));
}

FIXTURE_TEARDOWN(waiting_fault)
{
	queue_close(&self->q);
}

/* There is room for one record of it. */
TEST_F(waiting_fault, too_small_for_group)
{
	struct iommu_hwpt_pgfault f[3];
	struct reader r;

	ASSERT_TRUE(start_waiting(&r, &self->q));
	ASSERT_EQ(0, group(&self->q.w, 0, 5, 2));
	ASSERT_EQ(-EINVAL, eq_job_result(&r.job));
	ASSERT_EQ(2 * FAULT_LEN,
		  sys_read(self->q.w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(5, f[0].grpid);
	ASSERT_EQ(ANSWER_LEN, answer(self->q.w.queue.fd, f[0].cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got(&self->q.w, 0, 5, GOT_SUCCESS));
}

/* Half a group is no record to wake up for. */
TEST_F(waiting_fault, waits_for_whole_group)
{
	struct world *w = &self->q.w;
	struct reader r;

	ASSERT_TRUE(start(&r, &self->q, eq_job_read, sizeof(r.buf)));
	ASSERT_TRUE(eq_job_sleeps(&r.job));
	ASSERT_EQ(0, eq_fault_op(w->iommu, IOMMU_TEST_OP_TRIGGER_IOPF_PART,
				 &w->dev[0], 0, 5, EQ_ADDR(0)));
	ASSERT_TRUE(eq_job_sleeps(&r.job));
	ASSERT_EQ(0, eq_fault_op(w->iommu, IOMMU_TEST_OP_TRIGGER_IOPF,
				 &w->dev[0], 0, 5, EQ_ADDR(1)));
	ASSERT_EQ(2 * FAULT_LEN, eq_job_result(&r.job));
}

/*
 * The file, on a queue without waiting reads
 */

FIXTURE(common)
{
	struct queue q;
	int fd;
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
	ASSERT_EQ(0, queue_open(&self->q, variant->viommu, NO_WAIT_FLAG,
				DEPTH));
	self->fd = self->q.w.queue.fd;
}

FIXTURE_TEARDOWN(common)
{
	queue_close(&self->q);
}

TEST_F(common, fd_is_a_stream)
{
	char buf[64];
	struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };

	ASSERT_EQ(0, add(&self->q));
	ASSERT_EQ(-ESPIPE, RET(pread(self->fd, buf, sizeof(buf), 0)));
	ASSERT_EQ(-ESPIPE, RET(pwrite(self->fd, buf, 8, 0)));
	ASSERT_EQ(-ESPIPE, RET(lseek(self->fd, 0, SEEK_CUR)));
	ASSERT_EQ(-ESPIPE, RET(lseek(self->fd, 0, SEEK_SET)));
	ASSERT_EQ(-ESPIPE, RET(preadv2(self->fd, &iov, 1, 0, 0)));
	ASSERT_EQ(self->q.len, RET(preadv2(self->fd, &iov, 1, -1, 0)));
	ASSERT_EQ(0, number(&self->q, buf));
}

TEST_F(common, nothing_but_a_stream)
{
	struct iommu_destroy cmd = {
		.size = sizeof(cmd),
		.id = self->q.w.ioas,
	};

	ASSERT_EQ(-ENOTTY, eq_call(self->fd, IOMMU_DESTROY, &cmd));
	ASSERT_EQ(MAP_FAILED,
		  mmap(NULL, 4096, PROT_READ, MAP_SHARED, self->fd, 0));
	ASSERT_EQ(ENODEV, errno);
}

TEST_F(common, dup_shares_the_queue)
{
	int copy = dup(self->fd);

	ASSERT_EQ(0, add(&self->q));
	ASSERT_TRUE(readable(copy));
	ASSERT_EQ(0, close(self->fd));
	self->q.w.queue.fd = copy;
	ASSERT_EQ(0, take(&self->q));
	ASSERT_EQ(0, add(&self->q));
	ASSERT_EQ(1, take(&self->q));
}

/* Reads what is queued and ends, closing its copy of the fd. */
TEST_F(common, child_shares_the_queue)
{
	pid_t pid;

	ASSERT_EQ(0, add_many(&self->q, 2));
	pid = eq_fork();
	if (!pid)
		_exit(child_of_read(&self->q));
	ASSERT_EQ(0, eq_child_status(pid));
	ASSERT_EQ(1, take(&self->q));
	ASSERT_EQ(-ENODATA, take(&self->q));
	ASSERT_EQ(0, add(&self->q));
	ASSERT_EQ(2, take(&self->q));
	if (!variant->viommu)
		ASSERT_TRUE(got_nothing(&self->q.w, 0));
}

/* O_NONBLOCK is of the file, and FIONBIO is a way to set it. */
TEST_F(common, nonblock_is_shared)
{
	int copy = dup(self->fd), on = 1;
	char buf[64];

	ASSERT_EQ(0, set_nonblock(copy, true));
	ASSERT_EQ(-EAGAIN, sys_read(self->fd, buf, sizeof(buf)));
	ASSERT_EQ(0, set_nonblock(self->fd, false));
	ASSERT_EQ(0, sys_read(copy, buf, sizeof(buf)));
	ASSERT_EQ(0, ioctl(self->fd, FIONBIO, &on));
	ASSERT_EQ(-EAGAIN, sys_read(copy, buf, sizeof(buf)));
	ASSERT_EQ(0, close(copy));
	ASSERT_EQ(-EAGAIN, sys_read(self->fd, buf, sizeof(buf)));
}

TEST_F(common, works_after_iommufd_is_closed)
{
	struct iommu_hwpt_pgfault f;
	char buf[64];

	ASSERT_EQ(0, add(&self->q));
	ASSERT_EQ(0, close(self->q.w.iommu));
	self->q.w.iommu = -1;
	ASSERT_TRUE(readable(self->fd));
	ASSERT_EQ(self->q.len, sys_read(self->fd, buf, sizeof(buf)));
	ASSERT_FALSE(readable(self->fd));
	if (variant->viommu)
		return;
	memcpy(&f, buf, sizeof(f));
	ASSERT_EQ(ANSWER_LEN, answer(self->fd, f.cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
}

TEST_F(common, fdinfo_names_the_class)
{
	char path[64], line[128];
	bool named = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->fd);
	file = fopen(path, "re");
	ASSERT_NE(NULL, file);
	while (fgets(line, sizeof(line), file))
		if (!strcmp(line, variant->viommu ? "eventq-class:\tviommu\n" :
						    "eventq-class:\tiopf\n"))
			named = true;
	fclose(file);
	ASSERT_TRUE(named);
}

/* What the queue is to say of itself, all of it */
static void fdinfo_text(struct queue *q, char *text, size_t size, int queued,
			int outstanding)
{
	int len = snprintf(text, size,
			   "eventq-class:\t%s\neventq-id:\t%u\nqueued:\t%d\n",
			   q->viommu ? "viommu" : "iopf", q->w.queue.id,
			   queued);

	if (!q->viommu)
		snprintf(text + len, size - len, "outstanding:\t%d\n",
			 outstanding);
	else
		snprintf(text + len, size - len,
			 "viommu-id:\t%u\ntype:\t%u\ndepth:\t%u\nlost:\t%u\nnext-sequence:\t%u\n",
			 q->w.viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, DEPTH,
			 q->raised > DEPTH ? q->raised - DEPTH : 0, q->raised);
}

/* It says that and no more, behind what every file says. */
static bool fdinfo_is(pid_t pid, int fd, const char *text)
{
	char path[64], found[1024] = "", *start;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
	file = fopen(path, "re");
	if (!file)
		return false;
	found[fread(found, 1, sizeof(found) - 1, file)] = 0;
	fclose(file);
	start = strstr(found, "eventq-class:");
	if (start && !strcmp(start, text))
		return true;
	printf("# %s wanted %s\n", found, text);
	return false;
}

/* Holds no more of it all than the queue, under another number. */
static int child_of_fdinfo(struct queue *q, const char *text)
{
	int copy = dup(q->w.queue.fd);

	queue_close(q);
	if (!fdinfo_is(getpid(), copy, text))
		return 1;
	/* The parent looks, too, until it ends this. */
	pause();
	return 2;
}

/* Who got it from another process sees what that one sees, and of whom. */
TEST_F(common, fdinfo_of_a_passed_queue)
{
	int copy = lowest_free_fd();
	char text[512], buf[64];
	pid_t pid;

	ASSERT_EQ(0, add_many(&self->q, variant->viommu ? DEPTH + 3 : 3));
	if (!variant->viommu)
		ASSERT_EQ(self->q.len, sys_read(self->fd, buf, self->q.len));
	fdinfo_text(&self->q, text, sizeof(text),
		    variant->viommu ? DEPTH + 1 : 2, 1);
	ASSERT_TRUE(fdinfo_is(getpid(), self->fd, text));
	pid = eq_fork();
	if (!pid)
		_exit(child_of_fdinfo(&self->q, text));
	ASSERT_TRUE(eq_child_waits(pid));
	ASSERT_TRUE(fdinfo_is(pid, copy, text));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	eq_child_status(pid);
	ASSERT_TRUE(fdinfo_is(getpid(), self->fd, text));
}

/* A reader is stuck with two records: in hand, or still where they were. */
TEST_F(common, fdinfo_beside_a_reader)
{
	char text[512], filler[8] = {};
	struct eq_stall stall;
	struct eq_job job;
	struct eq_io io;

	if (eq_stall_init(&stall))
		SKIP(return, NO_STALL);
	ASSERT_EQ(0, add_many(&self->q, 2));
	io = (struct eq_io){ self->fd, stall.page, stall.len };
	ASSERT_TRUE(eq_job_start(&job, eq_job_read, &io));
	ASSERT_TRUE(eq_stall_hit(&stall));
	ASSERT_EQ(0, add(&self->q));
	fdinfo_text(&self->q, text, sizeof(text), variant->viommu ? 3 : 1, 2);
	ASSERT_TRUE(fdinfo_is(getpid(), self->fd, text));
	ASSERT_EQ(0, eq_stall_fill(&stall, filler, sizeof(filler)));
	ASSERT_EQ(3 * self->q.len, eq_job_result(&job));
	fdinfo_text(&self->q, text, sizeof(text), 0, 3);
	ASSERT_TRUE(fdinfo_is(getpid(), self->fd, text));
}

/* All mock devices that there are, of any iommufd. */
static int count_devices(void)
{
	DIR *dir = opendir("/sys/bus/iommufd_mock/devices");
	struct dirent *entry;
	int nr = 0;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		nr += entry->d_name[0] != '.';
	closedir(dir);
	return nr;
}

/* The queue keeps what it works with, and whoever goes last takes that along. */
TEST_F(common, iommufd_ends_with_the_queue)
{
	int nr = count_devices();

	ASSERT_LE(2, nr);
	ASSERT_EQ(0, add_many(&self->q, 2));
	ASSERT_EQ(0, take(&self->q));
	ASSERT_EQ(0, close(self->q.w.iommu));
	self->q.w.iommu = -1;
	ASSERT_EQ(nr, count_devices());
	ASSERT_EQ(0, close(self->fd));
	self->q.w.queue.fd = -1;
	ASSERT_EQ(nr - 2, count_devices());
}

/* With records queued, of which nobody has read the second. */
TEST_F(common, destroy_after_close)
{
	struct world *w = &self->q.w;

	ASSERT_EQ(0, add_many(&self->q, 2));
	ASSERT_EQ(0, take(&self->q));
	ASSERT_EQ(-EBUSY, eq_destroy(w->iommu, w->queue.id));
	ASSERT_EQ(0, close(self->fd));
	w->queue.fd = -1;
	if (!variant->viommu)
		ASSERT_TRUE(got_two_invalid(w, 0, 0, 1));
	ASSERT_EQ(0, queue_destroy(&self->q));
}

/* The last close is through with the queue before that can be destroyed. */
TEST_F(common, destroy_races_with_close)
{
	struct world *w = &self->q.w;
	struct eq_queue q;
	struct eq_job job;
	int round, rc;

	for (round = 0; round < 20; round++) {
		if (variant->viommu)
			rc = eq_vevent_queue(w->iommu, w->viommu,
					     IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 0,
					     8, &q);
		else
			rc = eq_fault_queue(w->iommu, 0, &q);
		ASSERT_EQ(0, rc);
		ASSERT_TRUE(eq_job_start(&job, eq_job_close, &q.fd));
		do {
			rc = eq_destroy(w->iommu, q.id);
		} while (rc == -EBUSY);
		ASSERT_EQ(0, rc);
		ASSERT_EQ(0, eq_job_result(&job));
	}
}

/*
 * Linux AIO. A read waits within io_submit(), which thus becomes interruptible;
 * there is nothing yet that io_cancel() could find, and the context is in use.
 */

FIXTURE(aio)
{
	struct queue q;
	aio_context_t ctx;
};

FIXTURE_VARIANT(aio)
{
	bool viommu;
};

FIXTURE_VARIANT_ADD(aio, fault)
{
	.viommu = false,
};

FIXTURE_VARIANT_ADD(aio, vevent)
{
	.viommu = true,
};

FIXTURE_SETUP(aio)
{
	if (no_mock())
		SKIP(return, NO_MOCK);
	ASSERT_EQ(0, queue_open(&self->q, variant->viommu, NO_WAIT_FLAG,
				DEPTH));
	ASSERT_EQ(0, syscall(SYS_io_setup, 8, &self->ctx));
}

FIXTURE_TEARDOWN(aio)
{
	syscall(SYS_io_destroy, self->ctx);
	queue_close(&self->q);
}

struct submit {
	aio_context_t ctx;
	long nr;
	struct iocb iocb[2];
	struct iocb *list[2];
	char buf[2][64];
	struct eq_job job;
};

static long job_submit(void *arg)
{
	struct submit *s = arg;

	return aio_submit(s->ctx, s->nr, s->list);
}

/* Submit @nr reads of one record each, and see the first wait. */
static bool submit_reads(struct submit *s, aio_context_t ctx, struct queue *q,
			 long nr)
{
	long i;

	s->ctx = ctx;
	s->nr = nr;
	for (i = 0; i < nr; i++) {
		aio_prep(&s->iocb[i], IOCB_CMD_PREAD, q->w.queue.fd, s->buf[i],
			 q->len);
		s->list[i] = &s->iocb[i];
	}
	return eq_job_start(&s->job, job_submit, s) && eq_job_sleeps(&s->job);
}

/* The second is not looked at before the first is done. */
TEST_F(aio, submit_waits_for_each)
{
	struct iocb *done;
	struct submit s;
	int i;

	ASSERT_TRUE(submit_reads(&s, self->ctx, &self->q, 2));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(-ETIME, aio_result(self->ctx, 0, NULL));
		ASSERT_TRUE(eq_job_sleeps(&s.job));
		ASSERT_EQ(0, add(&self->q));
		ASSERT_EQ(self->q.len,
			  aio_result(self->ctx, DEADLINE_MS, &done));
		ASSERT_EQ(&s.iocb[i], done);
		ASSERT_EQ(i, number(&self->q, s.buf[i]));
	}
	ASSERT_EQ(2, eq_job_result(&s.job));
}

/* The request ends with EINTR, restarted or not: it is submitted. */
TEST_F(aio, signal_ends_read)
{
	static const int flags[] = { 0, SA_RESTART };
	struct iocb *done;
	struct submit s;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		ASSERT_TRUE(handle_signal(SIGUSR1, flags[i]));
		ASSERT_TRUE(submit_reads(&s, self->ctx, &self->q, 1));
		ASSERT_EQ(0, pthread_kill(s.job.thread, SIGUSR1));
		ASSERT_EQ(1, eq_job_result(&s.job));
		ASSERT_EQ(1, nr_signals);
		ASSERT_EQ(-EINTR, aio_result(self->ctx, DEADLINE_MS, &done));
		ASSERT_EQ(&s.iocb[0], done);
		ASSERT_EQ(0, add(&self->q));
		ASSERT_EQ(-ETIME, aio_result(self->ctx, 0, NULL));
		ASSERT_EQ(i, take(&self->q));
	}
}

/* One signal for all that would have to wait within the call. */
TEST_F(aio, signal_ends_all_reads)
{
	struct submit s;

	ASSERT_TRUE(handle_signal(SIGUSR1, 0));
	ASSERT_TRUE(submit_reads(&s, self->ctx, &self->q, 2));
	ASSERT_EQ(0, pthread_kill(s.job.thread, SIGUSR1));
	ASSERT_EQ(2, eq_job_result(&s.job));
	ASSERT_EQ(-EINTR, aio_result(self->ctx, DEADLINE_MS, NULL));
	ASSERT_EQ(-EINTR, aio_result(self->ctx, DEADLINE_MS, NULL));
	ASSERT_EQ(-ETIME, aio_result(self->ctx, 0, NULL));
	ASSERT_EQ(0, add(&self->q));
	ASSERT_EQ(0, take(&self->q));
}

static int child_of_aio(struct queue *q)
{
	char buf[64];
	struct eq_io io = { .fd = q->w.queue.fd, .buf = buf, .len = q->len };

	return aio_read(&io, 0) == q->len ? 0 : 1;
}

TEST_F(aio, kill_ends_read)
{
	pid_t pid = eq_fork();
	int status;

	if (!pid)
		_exit(child_of_aio(&self->q));
	ASSERT_TRUE(eq_child_waits(pid));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	status = eq_child_status(pid);
	ASSERT_TRUE(WIFSIGNALED(status));
	ASSERT_EQ(SIGKILL, WTERMSIG(status));
	ASSERT_EQ(0, add(&self->q));
	ASSERT_EQ(0, take(&self->q));
	ASSERT_EQ(0, close(self->q.w.queue.fd));
	self->q.w.queue.fd = -1;
	ASSERT_EQ(0, queue_destroy(&self->q));
}

TEST_F(aio, cancel_finds_nothing)
{
	struct io_event event;
	struct submit s;

	ASSERT_TRUE(submit_reads(&s, self->ctx, &self->q, 1));
	ASSERT_EQ(-EINVAL, RET(syscall(SYS_io_cancel, self->ctx, &s.iocb[0],
				       &event)));
	ASSERT_TRUE(eq_job_sleeps(&s.job));
	ASSERT_EQ(0, add(&self->q));
	ASSERT_EQ(1, eq_job_result(&s.job));
	ASSERT_EQ(self->q.len, aio_result(self->ctx, DEADLINE_MS, NULL));
	ASSERT_EQ(0, number(&self->q, s.buf[0]));
}

static long job_io_destroy(void *arg)
{
	return RET(syscall(SYS_io_destroy, *(aio_context_t *)arg));
}

/* The context goes when the read is done, with its record where it should be. */
TEST_F(aio, destroy_waits)
{
	struct eq_job destroy;
	struct submit s;

	ASSERT_TRUE(submit_reads(&s, self->ctx, &self->q, 1));
	ASSERT_TRUE(eq_job_start(&destroy, job_io_destroy, &self->ctx));
	ASSERT_FALSE(eq_job_end(&destroy, QUIET_MS));
	ASSERT_TRUE(eq_job_sleeps(&s.job));
	ASSERT_EQ(0, add(&self->q));
	ASSERT_EQ(1, eq_job_result(&s.job));
	ASSERT_EQ(0, eq_job_result(&destroy));
	ASSERT_EQ(0, number(&self->q, s.buf[0]));
	ASSERT_EQ(-ENODATA, take(&self->q));
}

TEST_F(aio, vector_is_one_buffer)
{
	char buf[128];
	struct iovec iov[] = {
		{ .iov_base = buf, .iov_len = 3 },
		{ .iov_base = buf + 3, .iov_len = 6 },
		{ .iov_base = buf + 9, .iov_len = sizeof(buf) - 9 },
	};
	struct iocb iocb, *list = &iocb;

	ASSERT_EQ(0, add_many(&self->q, 2));
	aio_prep(&iocb, IOCB_CMD_PREADV, self->q.w.queue.fd, iov,
		 ARRAY_SIZE(iov));
	ASSERT_EQ(1, aio_submit(self->ctx, 1, &list));
	ASSERT_EQ(2 * self->q.len, aio_result(self->ctx, DEADLINE_MS, NULL));
	ASSERT_EQ(0, number(&self->q, buf));
	ASSERT_EQ(1, number(&self->q, buf + self->q.len));
}

TEST_F(aio, failed_reads_take_nothing)
{
	static const long negative[] = { -1, -2, LONG_MIN };
	struct iocb iocb, *list = &iocb;
	char buf[64];
	size_t i;

	ASSERT_EQ(0, add(&self->q));
	aio_prep(&iocb, IOCB_CMD_PREAD, self->q.w.queue.fd, buf, sizeof(buf));
	/* AIO knows no offset that means none. */
	for (i = 0; i < ARRAY_SIZE(negative); i++) {
		iocb.aio_offset = negative[i];
		ASSERT_EQ(-EINVAL, aio_submit(self->ctx, 1, &list));
	}
	iocb.aio_offset = 8;
	ASSERT_EQ(1, aio_submit(self->ctx, 1, &list));
	ASSERT_EQ(-ESPIPE, aio_result(self->ctx, DEADLINE_MS, NULL));
	aio_prep(&iocb, IOCB_CMD_PREAD, self->q.w.queue.fd, buf,
		 self->q.len - 1);
	ASSERT_EQ(1, aio_submit(self->ctx, 1, &list));
	ASSERT_EQ(-EINVAL, aio_result(self->ctx, DEADLINE_MS, NULL));
	aio_prep(&iocb, IOCB_CMD_PREAD, self->q.w.queue.fd,
		 eq_edge(self->q.len - 1), self->q.len);
	ASSERT_EQ(1, aio_submit(self->ctx, 1, &list));
	ASSERT_EQ(-EFAULT, aio_result(self->ctx, DEADLINE_MS, NULL));
	ASSERT_EQ(0, take(&self->q));
}

/* Two readers, one of them within io_submit(): a record each. */
TEST_F(aio, two_waiting_submits)
{
	struct submit s[2];
	long first, second;
	int i;

	for (i = 0; i < 2; i++)
		ASSERT_TRUE(submit_reads(&s[i], self->ctx, &self->q, 1));
	ASSERT_EQ(0, add_many(&self->q, 2));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(1, eq_job_result(&s[i].job));
		ASSERT_EQ(self->q.len,
			  aio_result(self->ctx, DEADLINE_MS, NULL));
	}
	first = number(&self->q, s[0].buf[0]);
	second = number(&self->q, s[1].buf[0]);
	ASSERT_EQ(1, first + second);
	ASSERT_EQ(1, first ^ second);
}

/* Answers through AIO, while a read waits for the next fault. */
TEST_F(aio, write)
{
	struct iommu_hwpt_page_response r[2] = {};
	struct iovec iov[] = {
		{ .iov_base = r, .iov_len = 3 },
		{ .iov_base = (char *)r + 3, .iov_len = sizeof(r) - 3 },
	};
	struct iocb iocb, *list = &iocb;
	struct queue *q = &self->q;
	aio_context_t ctx = 0;
	struct submit s;
	int i;

	ASSERT_EQ(0, syscall(SYS_io_setup, 1, &ctx));
	aio_prep(&iocb, IOCB_CMD_PWRITE, q->w.queue.fd, r, ANSWER_LEN);
	if (variant->viommu) {
		ASSERT_EQ(-EINVAL, aio_submit(ctx, 1, &list));
		ASSERT_EQ(0, syscall(SYS_io_destroy, ctx));
		return;
	}
	ASSERT_TRUE(outstanding(&q->w, 0, q->raised++, &r[0].cookie));
	ASSERT_TRUE(submit_reads(&s, self->ctx, q, 1));
	ASSERT_EQ(1, aio_submit(ctx, 1, &list));
	ASSERT_EQ(ANSWER_LEN, aio_result(ctx, DEADLINE_MS, NULL));
	ASSERT_TRUE(got(&q->w, 0, 0, GOT_SUCCESS));
	/* It is answered. */
	iocb.aio_rw_flags = RWF_NOWAIT;
	ASSERT_EQ(1, aio_submit(ctx, 1, &list));
	ASSERT_EQ(-EINVAL, aio_result(ctx, DEADLINE_MS, NULL));
	ASSERT_TRUE(eq_job_sleeps(&s.job));
	ASSERT_EQ(0, add(q));
	ASSERT_EQ(1, eq_job_result(&s.job));

	for (i = 0; i < 2; i++)
		ASSERT_TRUE(outstanding(&q->w, 0, q->raised++, &r[i].cookie));
	aio_prep(&iocb, IOCB_CMD_PWRITEV, q->w.queue.fd, iov, ARRAY_SIZE(iov));
	iocb.aio_rw_flags = RWF_NOWAIT;
	ASSERT_EQ(1, aio_submit(ctx, 1, &list));
	ASSERT_EQ(2 * ANSWER_LEN, aio_result(ctx, DEADLINE_MS, NULL));
	ASSERT_TRUE(got(&q->w, 0, 2, GOT_SUCCESS));
	ASSERT_TRUE(got(&q->w, 0, 3, GOT_SUCCESS));
	ASSERT_TRUE(got_nothing(&q->w, 0));
	ASSERT_EQ(0, syscall(SYS_io_destroy, ctx));
}

TEST_HARNESS_MAIN
