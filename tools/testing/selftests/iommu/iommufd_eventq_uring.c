// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selftest of iommufd's event queues through io_uring: reads that are armed before
 * a record comes, multishot reads, poll requests, responses. A request completes
 * with records, in order, or stays armed, and no worker thread takes part.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "../kselftest_harness.h"
#include "lib/eventq_uring.h"
#include "lib/eventq_wait.h"

/* Room for several records of either class in a buffer, and a number of them */
#define BUF_LEN (8 * EQ_FAULT_LEN)
#define NR_BUFS 4
#define BUF_GROUP 1

FIXTURE(uring)
{
	struct eq_numbered q;
	struct eq_ring ring;
	struct eq_bufs bufs;
	char buf[NR_BUFS][BUF_LEN];
	__u32 taken;		/* number of the next record to come */
};

FIXTURE_VARIANT(uring)
{
	bool viommu;
	unsigned int setup;	/* IORING_SETUP_* */
	__u32 flags;		/* of the queue's allocation */
};

FIXTURE_VARIANT_ADD(uring, fault) { .viommu = false };
FIXTURE_VARIANT_ADD(uring, vevent) { .viommu = true };

FIXTURE_VARIANT_ADD(uring, fault_defer)
{
	.viommu = false,
	.setup = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
};

FIXTURE_VARIANT_ADD(uring, vevent_defer)
{
	.viommu = true,
	.setup = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
};

FIXTURE_VARIANT_ADD(uring, fault_sqpoll)
{
	.viommu = false,
	.setup = IORING_SETUP_SQPOLL,
};

FIXTURE_VARIANT_ADD(uring, vevent_wait)
{
	.viommu = true,
	.flags = EQ_WAIT,
};

FIXTURE_SETUP(uring)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	if (eq_no_ring())
		SKIP(return, EQ_NO_RING);
	ASSERT_EQ(0, eq_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, eq_numbered_open(&self->q, variant->viommu, variant->flags,
				      EQ_DEPTH));
}

FIXTURE_TEARDOWN(uring)
{
	eq_ring_fini(&self->ring);
	eq_numbered_close(&self->q);
}

/* Arm a read with a buffer of its own; completions have the buffer's number. */
static int arm(FIXTURE_DATA(uring) *self, unsigned int i, size_t len)
{
	return eq_ring_rw(&self->ring, IORING_OP_READ, self->q.w.queue.fd,
			  self->buf[i], len, 0, i);
}

static int arm_multishot(FIXTURE_DATA(uring) *self)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_READ_MULTISHOT,
		.fd = self->q.w.queue.fd,
		.flags = IOSQE_BUFFER_SELECT,
		.buf_group = BUF_GROUP,
		.user_data = NR_BUFS,
	};

	return eq_ring_submit(&self->ring, &sqe);
}

static int init_bufs(FIXTURE_DATA(uring) *self)
{
	int rc = eq_bufs_init(&self->bufs, &self->ring, BUF_GROUP, NR_BUFS,
			      BUF_LEN, false);

	if (!rc)
		eq_bufs_give(&self->bufs, 0, NR_BUFS);
	return rc;
}

static int poll_add(FIXTURE_DATA(uring) *self, short events)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_POLL_ADD,
		.fd = self->q.w.queue.fd,
		.poll32_events = events,
	};

	return eq_ring_submit(&self->ring, &sqe);
}

/* Whether @len bytes are @nr whole records, the next ones in order */
static bool in_order(FIXTURE_DATA(uring) *self, const char *buf, int len,
		     unsigned int nr)
{
	unsigned int i;

	if (len != (int)(nr * self->q.len))
		return false;
	for (i = 0; i < nr; i++)
		if (eq_numbered_number(&self->q, buf + i * self->q.len) !=
		    self->taken++)
			return false;
	return true;
}

/* Whether the next completion is a read's, with @nr records */
static bool completes(FIXTURE_DATA(uring) *self, unsigned int nr)
{
	struct io_uring_cqe cqe;

	if (eq_ring_wait(&self->ring, EQ_DEADLINE_MS, &cqe))
		return false;
	return in_order(self, self->buf[cqe.user_data], cqe.res, nr);
}

/* The same of a multishot read that stays armed; the buffer is given back. */
static bool shoots(FIXTURE_DATA(uring) *self, unsigned int nr)
{
	struct io_uring_cqe cqe;
	unsigned int bid;
	bool good;

	if (eq_ring_wait(&self->ring, EQ_DEADLINE_MS, &cqe) ||
	    !(cqe.flags & IORING_CQE_F_BUFFER) ||
	    !(cqe.flags & IORING_CQE_F_MORE))
		return false;
	bid = cqe.flags >> IORING_CQE_BUFFER_SHIFT;
	good = in_order(self, eq_bufs_mem(&self->bufs, bid), cqe.res, nr);
	eq_bufs_give(&self->bufs, bid, 1);
	return good;
}

static bool nothing_completes(FIXTURE_DATA(uring) *self)
{
	struct io_uring_cqe cqe;

	return eq_ring_wait(&self->ring, EQ_QUIET_MS, &cqe) == -ETIME;
}

/* The result of the next completion, whatever it is of */
static int result(FIXTURE_DATA(uring) *self)
{
	struct io_uring_cqe cqe;

	return eq_ring_wait(&self->ring, EQ_DEADLINE_MS, &cqe) ? -ETIME : cqe.res;
}

/*
 * READ
 */

TEST_F(uring, armed_read_completes_inline)
{
	int i;

	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, arm(self, 0, BUF_LEN));
		ASSERT_EQ(0, eq_numbered_add(&self->q));
		ASSERT_TRUE(completes(self, 1));
	}
	ASSERT_EQ(0, eq_count_workers());
}

TEST_F(uring, armed_read_stays_armed_without_a_record)
{
	ASSERT_EQ(0, arm(self, 0, BUF_LEN));
	ASSERT_TRUE(nothing_completes(self));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_TRUE(completes(self, 1));
}

TEST_F(uring, read_takes_the_records_that_fit)
{
	ASSERT_EQ(0, eq_numbered_add_many(&self->q, 5));
	ASSERT_EQ(0, arm(self, 0, 3 * self->q.len + 1));
	ASSERT_TRUE(completes(self, 3));
	ASSERT_EQ(0, arm(self, 0, BUF_LEN));
	ASSERT_TRUE(completes(self, 2));
	ASSERT_EQ(0, eq_count_workers());
}

TEST_F(uring, one_record_completes_one_of_several_reads)
{
	int i;

	for (i = 0; i < NR_BUFS; i++)
		ASSERT_EQ(0, arm(self, i, self->q.len));
	for (i = 0; i < NR_BUFS; i++) {
		ASSERT_EQ(0, eq_numbered_add(&self->q));
		ASSERT_TRUE(completes(self, 1));
		ASSERT_TRUE(nothing_completes(self));
	}
	ASSERT_EQ(0, eq_count_workers());
}

/* io_uring asks for no worker where a file can do without, O_NONBLOCK or not. */
TEST_F(uring, nonblock_read_stays_armed_too)
{
	ASSERT_EQ(0, eq_set_nonblock(self->q.w.queue.fd, true));
	ASSERT_EQ(0, arm(self, 0, BUF_LEN));
	ASSERT_TRUE(nothing_completes(self));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_TRUE(completes(self, 1));
}

TEST_F(uring, failed_reads_take_nothing)
{
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(0, arm(self, 0, self->q.len - 1));
	ASSERT_EQ(-EINVAL, result(self));
	ASSERT_EQ(0, eq_ring_rw(&self->ring, IORING_OP_READ, self->q.w.queue.fd,
				eq_edge(0), self->q.len, 0, 0));
	ASSERT_EQ(-EFAULT, result(self));
	ASSERT_EQ(0, eq_numbered_take(&self->q));
}

TEST_F(uring, offsets)
{
	ASSERT_EQ(0, eq_numbered_add_many(&self->q, 2));
	ASSERT_EQ(0, eq_ring_rw(&self->ring, IORING_OP_READ, self->q.w.queue.fd,
				self->buf[0], self->q.len, -1, 0));
	ASSERT_TRUE(completes(self, 1));
	ASSERT_EQ(0, eq_ring_rw(&self->ring, IORING_OP_READ, self->q.w.queue.fd,
				self->buf[0], self->q.len, 8, 0));
	ASSERT_EQ(-ESPIPE, result(self));
	ASSERT_EQ(1, eq_numbered_take(&self->q));
}

TEST_F(uring, cancelled_read_takes_nothing)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_ASYNC_CANCEL,
		.addr = 0,
		.user_data = NR_BUFS,
	};

	ASSERT_EQ(0, arm(self, 0, BUF_LEN));
	ASSERT_TRUE(nothing_completes(self));
	ASSERT_EQ(0, eq_ring_submit(&self->ring, &sqe));
	ASSERT_EQ(-ECANCELED, result(self) ?: result(self));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(0, eq_numbered_take(&self->q));
}

/*
 * READ_MULTISHOT
 */

TEST_F(uring, multishot)
{
	int i;

	ASSERT_EQ(0, init_bufs(self));
	ASSERT_EQ(0, arm_multishot(self));
	ASSERT_TRUE(nothing_completes(self));
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, eq_numbered_add(&self->q));
		ASSERT_TRUE(shoots(self, 1));
	}
	ASSERT_EQ(0, eq_count_workers());
	ASSERT_EQ(0, eq_ring_cancel_all(&self->ring));
}

TEST_F(uring, multishot_of_records_that_are_queued)
{
	ASSERT_EQ(0, init_bufs(self));
	ASSERT_EQ(0, eq_numbered_add_many(&self->q, 5));
	ASSERT_EQ(0, arm_multishot(self));
	ASSERT_TRUE(shoots(self, 5));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_TRUE(shoots(self, 1));
	ASSERT_EQ(0, eq_ring_cancel_all(&self->ring));
}

/*
 * POLL_ADD
 */

TEST_F(uring, poll)
{
	ASSERT_EQ(0, poll_add(self, POLLIN));
	ASSERT_TRUE(nothing_completes(self));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(POLLIN, result(self));
	ASSERT_EQ(0, eq_numbered_take(&self->q));
	if (variant->viommu)
		return;
	/* A response can be written at any time. */
	ASSERT_EQ(0, poll_add(self, POLLOUT));
	ASSERT_EQ(POLLOUT, result(self));
}

/*
 * Closing: a request in flight holds the file.
 */

TEST_F(uring, armed_read_holds_the_file)
{
	ASSERT_EQ(0, arm(self, 0, BUF_LEN));
	ASSERT_EQ(0, close(self->q.w.queue.fd));
	ASSERT_EQ(-EBUSY, eq_destroy(self->q.w.iommu, self->q.w.queue.id));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_TRUE(completes(self, 1));
	ASSERT_EQ(0, eq_ring_cancel_all(&self->ring));
	self->q.w.queue.fd = -1;
}

/*
 * Responses to faults
 */

FIXTURE(response)
{
	struct eq_world w;
	struct eq_ring ring;
};

FIXTURE_SETUP(response)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	if (eq_no_ring())
		SKIP(return, EQ_NO_RING);
	ASSERT_EQ(0, eq_ring_init(&self->ring, 0));
	ASSERT_EQ(0, eq_world_open(&self->w));
	ASSERT_EQ(0, eq_world_fault_queue(&self->w, EQ_NO_WAIT));
}

FIXTURE_TEARDOWN(response)
{
	eq_ring_fini(&self->ring);
	close(self->w.queue.fd);
	close(self->w.iommu);
}

/* The result of a WRITE of these responses */
static int write_by(struct eq_ring *ring, int fd,
		    struct iommu_hwpt_page_response *responses, unsigned int nr)
{
	struct io_uring_cqe cqe;
	int rc = eq_ring_rw(ring, IORING_OP_WRITE, fd, responses,
			    nr * EQ_RESPONSE_LEN, 0, 0);

	if (!rc)
		rc = eq_ring_wait(ring, EQ_DEADLINE_MS, &cqe);
	return rc ? rc : cqe.res;
}

TEST_F(response, batch)
{
	struct iommu_hwpt_page_response r[8] = {};
	int i;

	for (i = 0; i < 8; i++) {
		ASSERT_TRUE(eq_outstanding(&self->w, i % 2, i, &r[i].cookie));
		r[i].code = i % 3 ? IOMMUFD_PAGE_RESP_SUCCESS :
				    IOMMUFD_PAGE_RESP_INVALID;
	}
	ASSERT_EQ(8 * EQ_RESPONSE_LEN,
		  write_by(&self->ring, self->w.queue.fd, r, 8));
	for (i = 0; i < 8; i++)
		ASSERT_TRUE(eq_got(&self->w, i % 2, i,
				   i % 3 ? EQ_GOT_SUCCESS : EQ_GOT_INVALID));
	ASSERT_EQ(0, eq_count_workers());
}

TEST_F(response, batch_stops_at_a_bad_entry)
{
	struct iommu_hwpt_page_response r[3] = {};
	__u32 last;

	ASSERT_TRUE(eq_outstanding(&self->w, 0, 1, &r[0].cookie));
	ASSERT_TRUE(eq_outstanding(&self->w, 0, 2, &r[2].cookie));
	last = r[2].cookie;
	ASSERT_EQ(EQ_RESPONSE_LEN,
		  write_by(&self->ring, self->w.queue.fd, r, 3));
	ASSERT_EQ(-EINVAL, write_by(&self->ring, self->w.queue.fd, &r[1], 1));
	ASSERT_TRUE(eq_got(&self->w, 0, 1, EQ_GOT_SUCCESS));
	ASSERT_TRUE(eq_got_nothing(&self->w, 0));
	ASSERT_EQ(EQ_RESPONSE_LEN,
		  eq_respond(self->w.queue.fd, last, IOMMUFD_PAGE_RESP_SUCCESS));
}

TEST_F(response, last_close_with_an_armed_read)
{
	struct iommu_hwpt_pgfault f;
	__u32 cookie;

	ASSERT_TRUE(eq_outstanding(&self->w, 0, 1, &cookie));
	ASSERT_EQ(0, eq_ring_rw(&self->ring, IORING_OP_READ, self->w.queue.fd,
				&f, sizeof(f), 0, 0));
	ASSERT_EQ(0, close(self->w.queue.fd));
	ASSERT_TRUE(eq_got_nothing(&self->w, 0));
	/* The read is the last that holds the file. */
	ASSERT_EQ(0, eq_ring_cancel_all(&self->ring));
	ASSERT_TRUE(eq_got(&self->w, 0, 1, EQ_GOT_INVALID));
	self->w.queue.fd = -1;
}

/*
 * Overflow of a vIOMMU event queue
 */

TEST(lost_header)
{
	char buf[16 * EQ_VEVENT_LEN];
	struct io_uring_cqe cqe;
	struct eq_world w;
	struct eq_ring ring;

	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	if (eq_no_ring())
		SKIP(return, EQ_NO_RING);
	ASSERT_EQ(0, eq_ring_init(&ring, 0));
	ASSERT_EQ(0, eq_world_open(&w));
	ASSERT_EQ(0, eq_world_vevent_queue(&w, EQ_NO_WAIT, 2));
	ASSERT_EQ(0, eq_raise_vevents(&w, 5));
	ASSERT_EQ(0, eq_ring_rw(&ring, IORING_OP_READ, w.queue.fd, buf,
				sizeof(buf), 0, 0));
	ASSERT_EQ(0, eq_ring_wait(&ring, EQ_DEADLINE_MS, &cqe));
	ASSERT_EQ(2 * EQ_VEVENT_LEN + EQ_HEADER_LEN, cqe.res);
	ASSERT_TRUE(eq_is_event(buf, 0));
	ASSERT_TRUE(eq_is_event(buf + EQ_VEVENT_LEN, 1));
	ASSERT_TRUE(eq_is_lost(buf + 2 * EQ_VEVENT_LEN, 4));
	eq_ring_fini(&ring);
	close(w.queue.fd);
	close(w.iommu);
}

TEST_HARNESS_MAIN
