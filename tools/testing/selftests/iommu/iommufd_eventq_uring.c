// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selftest of iommufd's event queues through io_uring: every request that fits,
 * on each kind of ring, with no worker thread and no empty completion.
 */
#define _GNU_SOURCE

#include "../kselftest_harness.h"
#include "iommufd_eventq_uring.h"
#include "iommufd_eventq_world.h"

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
