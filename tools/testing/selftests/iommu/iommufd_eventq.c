// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selftest of iommufd's event queues: what queues of both classes have in common.
 * Allocation, the life of the object and its fd, the rules that decide what a read
 * of an empty queue does, waiting reads.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>
#include "../kselftest_harness.h"
#include "lib/eventq_aio.h"
#include "lib/eventq_wait.h"

/* The ways to read, as jobs */

static long job_nowait_read(void *arg)
{
	struct eq_io *io = arg;

	return eq_read_nowait(io->fd, io->buf, io->len);
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

	return EQ_RET(readv(io->fd, iov, ARRAY_SIZE(iov)));
}

static long job_preadv2(void *arg)
{
	struct eq_io *io = arg;
	struct iovec iov = { .iov_base = io->buf, .iov_len = io->len };

	return EQ_RET(preadv2(io->fd, &iov, 1, -1, 0));
}

static long job_aio_read(void *arg)
{
	return eq_aio_read(arg, 0);
}

static long job_aio_nowait_read(void *arg)
{
	return eq_aio_read(arg, RWF_NOWAIT);
}

/*
 * Allocation and the life of a queue's object and fd
 */

FIXTURE(alloc)
{
	struct eq_world w;
};

FIXTURE_SETUP(alloc)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	ASSERT_EQ(0, eq_world_open(&self->w));
	ASSERT_EQ(0, eq_world_viommu(&self->w));
}

FIXTURE_TEARDOWN(alloc)
{
	close(self->w.iommu);
}

TEST_F(alloc, fault_flags)
{
	struct eq_queue q;
	int bit;

	ASSERT_EQ(0, eq_fault_queue(self->w.iommu, EQ_WAIT, &q));
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
					  1U << bit, EQ_DEPTH, &q));
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, EQ_WAIT,
				     EQ_DEPTH, &q));
}

TEST_F(alloc, fd_flags)
{
	struct eq_queue q[2];
	int i;

	ASSERT_EQ(0, eq_fault_queue(self->w.iommu, 0, &q[0]));
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, EQ_DEPTH,
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
	int fd = eq_lowest_free_fd(), expected;
	struct eq_queue q = {};

	expected = eq_knows_wait_flag(self->w.iommu) ? 0 : -EOPNOTSUPP;
	ASSERT_EQ(fd, eq_lowest_free_fd());
	ASSERT_EQ(expected,
		  eq_vevent_queue(self->w.iommu, self->w.viommu,
				  IOMMU_VEVENTQ_TYPE_SELFTEST, EQ_WAIT,
				  EQ_DEPTH, &q));
	if (!expected) {
		ASSERT_EQ(0, close(q.fd));
		ASSERT_EQ(0, eq_destroy(self->w.iommu, q.id));
	}
	ASSERT_EQ(fd, eq_lowest_free_fd());
	/* The type is free. */
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, EQ_DEPTH,
				     &q));
}

TEST_F(alloc, destroy_is_busy_while_open)
{
	struct eq_queue q[2];
	int i;

	ASSERT_EQ(0, eq_fault_queue(self->w.iommu, 0, &q[0]));
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, EQ_DEPTH,
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

/* A queue that outlives its iommufd, with the other class still open or not. */
TEST_F(alloc, queues_close_after_iommufd)
{
	struct eq_queue q[2];
	char buf[64];
	int i;

	ASSERT_EQ(0, eq_fault_queue(self->w.iommu, 0, &q[0]));
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, EQ_DEPTH,
				     &q[1]));
	ASSERT_EQ(0, eq_raise_vevents(&self->w, 1));
	ASSERT_EQ(0, close(self->w.iommu));
	self->w.iommu = -1;
	ASSERT_EQ(EQ_VEVENT_LEN, eq_read(q[1].fd, buf, sizeof(buf)));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, eq_read(q[i].fd, buf, sizeof(buf)));
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
	struct eq_world *w = &self->w;
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
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, EQ_DEPTH,
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
		{ EQ_MAX_DEPTH + 1, -EINVAL },
		{ UINT32_MAX, -EINVAL },
		{ 1, 0 },
		{ EQ_MAX_DEPTH, 0 },
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
		IOMMU_VEVENTQ_TYPE_SELFTEST - 1,
		/* Known, but to vIOMMUs of other drivers */
		IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
		IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV,
	};
	struct eq_queue q;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		ASSERT_EQ(-EOPNOTSUPP,
			  eq_vevent_queue(self->w.iommu, self->w.viommu,
					  types[i], 0, EQ_DEPTH, &q)) {
			TH_LOG("type %#x", types[i]);
		}
}

/* Arguments that are invalid for every vIOMMU */
TEST_F(alloc, vevent_bad_arguments)
{
	struct eq_world *w = &self->w;
	const __u32 no_viommu[] = {
		0, 1 << 24, w->ioas, w->dev[0].dev_id,
	};
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = w->viommu,
		.type = IOMMU_VEVENTQ_TYPE_SELFTEST,
		.veventq_depth = EQ_DEPTH,
		.__reserved = 1,
	};
	int fd = eq_lowest_free_fd();
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
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, EQ_DEPTH,
				     &q));
	ASSERT_EQ(-EEXIST, eq_vevent_queue(self->w.iommu, self->w.viommu,
					   IOMMU_VEVENTQ_TYPE_SELFTEST, 0,
					   EQ_DEPTH, &other));
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST_32, 0, EQ_DEPTH,
				     &other));
	close(q.fd);
	ASSERT_EQ(0, eq_destroy(self->w.iommu, q.id));
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, EQ_DEPTH,
				     &q));
}

/*
 * A vEVENTQ holds a reference to its vIOMMU, whether its file is open or not. A
 * failed allocation holds none.
 */
TEST_F(alloc, vevent_queue_keeps_its_viommu)
{
	struct eq_world *w = &self->w;
	struct eq_queue q, other;
	__u32 viommu;

	ASSERT_EQ(0, eq_viommu(w->iommu, w->ioas, &w->dev[1], &viommu));
	ASSERT_EQ(0, eq_vevent_queue(w->iommu, viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, EQ_DEPTH,
				     &q));
	ASSERT_EQ(-EEXIST, eq_vevent_queue(w->iommu, viommu,
					   IOMMU_VEVENTQ_TYPE_SELFTEST, 0,
					   EQ_DEPTH, &other));
	ASSERT_EQ(-EBUSY, eq_destroy(w->iommu, viommu));
	ASSERT_EQ(0, close(q.fd));
	ASSERT_EQ(-EBUSY, eq_destroy(w->iommu, viommu));
	ASSERT_EQ(0, eq_destroy(w->iommu, q.id));
	ASSERT_EQ(0, eq_destroy(w->iommu, viommu));
}

/* The ioctl's result cannot be written: nothing may be left behind. */
TEST_F(alloc, result_on_read_only_page)
{
	int fd = eq_lowest_free_fd();
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
	ASSERT_EQ(fd, eq_lowest_free_fd());

	ASSERT_EQ(0, mprotect(page, 4096, PROT_READ | PROT_WRITE));
	vevent_cmd = memset(page, 0, sizeof(*vevent_cmd));
	vevent_cmd->size = sizeof(*vevent_cmd);
	vevent_cmd->viommu_id = self->w.viommu;
	vevent_cmd->type = IOMMU_VEVENTQ_TYPE_SELFTEST;
	vevent_cmd->veventq_depth = EQ_DEPTH;
	ASSERT_EQ(0, mprotect(page, 4096, PROT_READ));
	ASSERT_EQ(-EFAULT, eq_call(self->w.iommu, IOMMU_VEVENTQ_ALLOC,
				   vevent_cmd));
	ASSERT_EQ(fd, eq_lowest_free_fd());
	/* The type is free again, and reports find no queue. */
	ASSERT_EQ(-EOPNOTSUPP, eq_raise_vevents(&self->w, 1));
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, EQ_DEPTH,
				     &q));
	ASSERT_EQ(fd, q.fd);
}

TEST_F(alloc, no_fd_left)
{
	struct rlimit old, none;
	struct eq_queue q;
	int fd = eq_lowest_free_fd();

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	none = old;
	none.rlim_cur = fd;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	ASSERT_EQ(-EMFILE, eq_fault_queue(self->w.iommu, 0, &q));
	ASSERT_EQ(-EMFILE, eq_vevent_queue(self->w.iommu, self->w.viommu,
					   IOMMU_VEVENTQ_TYPE_SELFTEST, 0,
					   EQ_DEPTH, &q));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	ASSERT_EQ(0, eq_fault_queue(self->w.iommu, 0, &q));
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, EQ_DEPTH,
				     &q));
}

/*
 * Reading an empty queue: both classes, with and without the flag for waiting
 * reads and O_NONBLOCK, by every way to read. One buffer takes several records:
 * what waits, waits for the first and for no second one.
 */

#define WAITS 1

static void check_empty(struct __test_metadata *_metadata, struct eq_numbered *q,
			long (*read)(void *arg), long expected)
{
	struct eq_reader r;

	ASSERT_TRUE(eq_reader_start(&r, q, read, sizeof(r.buf)));
	if (expected == WAITS) {
		ASSERT_TRUE(eq_job_sleeps(&r.job));
		ASSERT_EQ(0, eq_numbered_add(q));
	} else {
		ASSERT_EQ(expected, eq_job_result(&r.job));
		ASSERT_EQ(0, eq_numbered_add(q));
		ASSERT_TRUE(eq_reader_start(&r, q, read, sizeof(r.buf)));
	}
	ASSERT_EQ(q->len, eq_job_result(&r.job));
	ASSERT_EQ(0, eq_numbered_number(q, r.buf));
	ASSERT_EQ(-ENODATA, eq_numbered_take(q));
}

FIXTURE(empty)
{
	struct eq_numbered q;
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
	.flags = EQ_WAIT,
	.read = WAITS,
};

FIXTURE_VARIANT_ADD(empty, fault_wait_nonblock)
{
	.flags = EQ_WAIT,
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
	.flags = EQ_WAIT,
	.read = WAITS,
};

FIXTURE_VARIANT_ADD(empty, vevent_wait_nonblock)
{
	.viommu = true,
	.flags = EQ_WAIT,
	.nonblock = true,
	.read = -EAGAIN,
};

FIXTURE_SETUP(empty)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	if (variant->flags && !eq_wait_flag_known())
		SKIP(return, EQ_NO_WAIT_FLAG);
	ASSERT_EQ(0, eq_numbered_open(&self->q, variant->viommu, variant->flags,
				      EQ_DEPTH));
	ASSERT_EQ(0, eq_set_nonblock(self->q.w.queue.fd, variant->nonblock));
}

FIXTURE_TEARDOWN(empty)
{
	eq_numbered_close(&self->q);
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
	check_empty(_metadata, &self->q, job_aio_read,
		    variant->nonblock ? -EAGAIN : WAITS);
}

TEST_F(empty, aio_nowait)
{
	check_empty(_metadata, &self->q, job_aio_nowait_read, -EAGAIN);
}

/* A bad count fails on an empty queue, too, and a count of 0 never waits. */
TEST_F(empty, small_counts)
{
	struct eq_io io = { .fd = self->q.w.queue.fd };
	char buf[64];

	io.buf = buf;
	EQ_ASSERT_PROMPT(variant->viommu ? -EINVAL : 0, eq_job_read, &io);
	EQ_ASSERT_PROMPT(0, job_preadv2, &io);
	EQ_ASSERT_PROMPT(variant->viommu ? -EINVAL : 0, job_aio_read, &io);
	io.len = 7;
	if (variant->viommu) {
		EQ_ASSERT_PROMPT(-EINVAL, eq_job_read, &io);
		EQ_ASSERT_PROMPT(-EINVAL, job_readv, &io);
		EQ_ASSERT_PROMPT(-EINVAL, job_preadv2, &io);
		EQ_ASSERT_PROMPT(-EINVAL, job_nowait_read, &io);
		EQ_ASSERT_PROMPT(-EINVAL, job_aio_read, &io);
		io.len = EQ_HEADER_LEN;
	}
	/*
	 * No record of this queue fits, but the size of a record is not looked
	 * at before there is one.
	 */
	EQ_ASSERT_PROMPT(-EAGAIN, job_nowait_read, &io);
	if (variant->read != WAITS)
		EQ_ASSERT_PROMPT(variant->read, eq_job_read, &io);
}

TEST_F(empty, read_after_record)
{
	char buf[4096];

	ASSERT_EQ(0, eq_numbered_add_many(&self->q, 2));
	ASSERT_EQ(2 * self->q.len,
		  eq_read(self->q.w.queue.fd, buf, sizeof(buf)));
	if (variant->read != WAITS)
		ASSERT_EQ(variant->read,
			  eq_read(self->q.w.queue.fd, buf, sizeof(buf)));
	ASSERT_EQ(-EAGAIN,
		  eq_read_nowait(self->q.w.queue.fd, buf, sizeof(buf)));
}

/*
 * The order of the rules for an empty queue: NOWAIT, O_NONBLOCK, an asynchronous
 * request, the flag of the allocation, and 0 if none of these applies. In each
 * variant the two rules of its name apply, and the first of them decides. Nowait
 * and nonblock give the same result, as do async and flag.
 */

FIXTURE(order)
{
	struct eq_numbered q;
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
	.flags = EQ_WAIT,
	.read = job_nowait_read,
	.expected = -EAGAIN,
};

FIXTURE_VARIANT_ADD(order, nowait_before_zero)
{
	.read = job_nowait_read,
	.expected = -EAGAIN,
};

FIXTURE_VARIANT_ADD(order, nonblock_before_async)
{
	.nonblock = true,
	.read = job_aio_read,
	.expected = -EAGAIN,
};

FIXTURE_VARIANT_ADD(order, async_before_flag)
{
	.flags = EQ_WAIT,
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
	.flags = EQ_WAIT,
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
	.flags = EQ_WAIT,
	.read = eq_job_read,
	.expected = WAITS,
};

FIXTURE_VARIANT_ADD(order, nowait_before_all)
{
	.flags = EQ_WAIT,
	.nonblock = true,
	.read = job_aio_nowait_read,
	.expected = -EAGAIN,
};

FIXTURE_VARIANT_ADD(order, nonblock_before_all_but_nowait)
{
	.flags = EQ_WAIT,
	.nonblock = true,
	.read = job_aio_read,
	.expected = -EAGAIN,
};

FIXTURE_SETUP(order)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	if (variant->flags && !eq_wait_flag_known())
		SKIP(return, EQ_NO_WAIT_FLAG);
}

FIXTURE_TEARDOWN(order)
{
	eq_numbered_close(&self->q);
}

TEST_F(order, fault)
{
	ASSERT_EQ(0, eq_numbered_open(&self->q, false, variant->flags, EQ_DEPTH));
	ASSERT_EQ(0, eq_set_nonblock(self->q.w.queue.fd, variant->nonblock));
	check_empty(_metadata, &self->q, variant->read, variant->expected);
}

TEST_F(order, vevent)
{
	ASSERT_EQ(0, eq_numbered_open(&self->q, true, variant->flags, EQ_DEPTH));
	ASSERT_EQ(0, eq_set_nonblock(self->q.w.queue.fd, variant->nonblock));
	check_empty(_metadata, &self->q, variant->read, variant->expected);
}

/*
 * Waiting reads
 */

FIXTURE(waiting)
{
	struct eq_numbered q;
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
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	if (!eq_wait_flag_known())
		SKIP(return, EQ_NO_WAIT_FLAG);
	ASSERT_EQ(0, eq_numbered_open(&self->q, variant->viommu, EQ_WAIT,
				      EQ_DEPTH));
}

FIXTURE_TEARDOWN(waiting)
{
	eq_numbered_close(&self->q);
}

TEST_F(waiting, signal_ends_read)
{
	struct eq_reader r;

	ASSERT_TRUE(eq_handle_signal(SIGUSR1, 0));
	ASSERT_TRUE(eq_reader_wait(&r, &self->q));
	ASSERT_EQ(0, pthread_kill(r.job.thread, SIGUSR1));
	ASSERT_EQ(-EINTR, eq_job_result(&r.job));
	ASSERT_EQ(1, eq_nr_signals());
	/* It takes nothing with it. */
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(0, eq_numbered_take(&self->q));
}

TEST_F(waiting, signal_restarts_read)
{
	struct eq_reader r;

	ASSERT_TRUE(eq_handle_signal(SIGUSR1, SA_RESTART));
	ASSERT_TRUE(eq_reader_wait(&r, &self->q));
	ASSERT_EQ(0, pthread_kill(r.job.thread, SIGUSR1));
	ASSERT_TRUE(eq_signal_handled());
	ASSERT_TRUE(eq_job_sleeps(&r.job));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(self->q.len, eq_job_result(&r.job));
	ASSERT_EQ(0, eq_numbered_number(&self->q, r.buf));
	ASSERT_EQ(-ENODATA, eq_numbered_take(&self->q));
}

/* Which of two calls returns first, or -1 if none does. */
static int first_to_end(struct eq_reader *r)
{
	unsigned int ms;
	int i;

	for (ms = 0; ms < EQ_DEADLINE_MS; ms++) {
		for (i = 0; i < 2; i++)
			if (eq_job_ended(&r[i].job))
				return i;
		usleep(1000);
	}
	return -1;
}

TEST_F(waiting, two_readers_one_record)
{
	struct eq_reader r[2];
	int i, first;

	for (i = 0; i < 2; i++)
		ASSERT_TRUE(eq_reader_wait(&r[i], &self->q));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	first = first_to_end(r);
	ASSERT_LE(0, first);
	ASSERT_EQ(self->q.len, eq_job_result(&r[first].job));
	ASSERT_EQ(0, eq_numbered_number(&self->q, r[first].buf));
	/* The other still waits, for the next one. */
	ASSERT_FALSE(eq_job_end(&r[!first].job, EQ_QUIET_MS));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(self->q.len, eq_job_result(&r[!first].job));
	ASSERT_EQ(1, eq_numbered_number(&self->q, r[!first].buf));
}

/* A read that waits already goes on; the next one does not wait. */
TEST_F(waiting, nonblock_set_meanwhile)
{
	int fd = self->q.w.queue.fd;
	struct eq_reader r;
	char buf[64];

	ASSERT_TRUE(eq_reader_wait(&r, &self->q));
	ASSERT_EQ(0, eq_set_nonblock(fd, true));
	ASSERT_EQ(-EAGAIN, eq_read(fd, buf, sizeof(buf)));
	ASSERT_TRUE(eq_job_sleeps(&r.job));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(self->q.len, eq_job_result(&r.job));
	ASSERT_EQ(0, eq_numbered_number(&self->q, r.buf));
	ASSERT_EQ(-EAGAIN, eq_read(fd, buf, sizeof(buf)));

	ASSERT_EQ(0, eq_set_nonblock(fd, false));
	ASSERT_TRUE(eq_reader_wait(&r, &self->q));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(self->q.len, eq_job_result(&r.job));
	ASSERT_EQ(1, eq_numbered_number(&self->q, r.buf));
}

/*
 * The file, on a queue without waiting reads
 */

FIXTURE(common)
{
	struct eq_numbered q;
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
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	ASSERT_EQ(0, eq_numbered_open(&self->q, variant->viommu, EQ_NO_WAIT,
				      EQ_DEPTH));
	self->fd = self->q.w.queue.fd;
}

FIXTURE_TEARDOWN(common)
{
	eq_numbered_close(&self->q);
}

TEST_F(common, fd_is_a_stream)
{
	char buf[64];
	struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };

	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(-ESPIPE, EQ_RET(pread(self->fd, buf, sizeof(buf), 0)));
	ASSERT_EQ(-ESPIPE, EQ_RET(pwrite(self->fd, buf, 8, 0)));
	ASSERT_EQ(-ESPIPE, EQ_RET(lseek(self->fd, 0, SEEK_CUR)));
	ASSERT_EQ(-ESPIPE, EQ_RET(lseek(self->fd, 0, SEEK_SET)));
	ASSERT_EQ(-ESPIPE, EQ_RET(preadv2(self->fd, &iov, 1, 0, 0)));
	ASSERT_EQ(self->q.len, EQ_RET(preadv2(self->fd, &iov, 1, -1, 0)));
	ASSERT_EQ(0, eq_numbered_number(&self->q, buf));
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

	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_TRUE(eq_readable(copy));
	ASSERT_EQ(0, close(self->fd));
	self->q.w.queue.fd = copy;
	ASSERT_EQ(0, eq_numbered_take(&self->q));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(1, eq_numbered_take(&self->q));
}

TEST_F(common, works_after_iommufd_is_closed)
{
	struct iommu_hwpt_pgfault f;
	char buf[64];

	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(0, close(self->q.w.iommu));
	self->q.w.iommu = -1;
	ASSERT_TRUE(eq_readable(self->fd));
	ASSERT_EQ(self->q.len, eq_read(self->fd, buf, sizeof(buf)));
	ASSERT_FALSE(eq_readable(self->fd));
	if (variant->viommu)
		return;
	memcpy(&f, buf, sizeof(f));
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->fd, f.cookie,
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

/* FIONREAD, or a negative errno */
static int readable_bytes(int fd)
{
	int bytes, rc = EQ_RET(ioctl(fd, FIONREAD, &bytes));

	return rc ? rc : bytes;
}

TEST_F(common, fionread)
{
	char buf[4096];
	int i;

	ASSERT_EQ(0, readable_bytes(self->fd));
	for (i = 1; i <= 3; i++) {
		ASSERT_EQ(0, eq_numbered_add(&self->q));
		ASSERT_EQ(i * self->q.len, readable_bytes(self->fd));
	}
	/* What a read returns that has the room */
	ASSERT_EQ(self->q.len, eq_read(self->fd, buf, self->q.len));
	ASSERT_EQ(2 * self->q.len, readable_bytes(self->fd));
	ASSERT_EQ(2 * self->q.len, eq_read(self->fd, buf, sizeof(buf)));
	ASSERT_EQ(0, readable_bytes(self->fd));
	/* A read that fails leaves them */
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(-EFAULT, eq_read(self->fd, NULL, sizeof(buf)));
	ASSERT_EQ(self->q.len, readable_bytes(self->fd));
	ASSERT_EQ(-EFAULT, EQ_RET(ioctl(self->fd, FIONREAD, NULL)));
}

/* With records queued, of which nobody has read the second. */
TEST_F(common, destroy_after_close)
{
	struct eq_world *w = &self->q.w;

	ASSERT_EQ(0, eq_numbered_add_many(&self->q, 2));
	ASSERT_EQ(0, eq_numbered_take(&self->q));
	ASSERT_EQ(-EBUSY, eq_destroy(w->iommu, w->queue.id));
	ASSERT_EQ(0, close(self->fd));
	w->queue.fd = -1;
	if (!variant->viommu)
		ASSERT_TRUE(eq_got_two_invalid(w, 0, 0, 1));
	ASSERT_EQ(0, eq_numbered_destroy(&self->q));
}

TEST_HARNESS_MAIN
