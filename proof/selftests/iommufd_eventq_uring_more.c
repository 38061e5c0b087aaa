// SPDX-License-Identifier: GPL-2.0-only
/*
 * The long tail of iommufd_eventq_uring, the selftest of event queues through
 * io_uring: every request that fits, on each kind of ring, with no worker thread and
 * no empty completion; races, workers, links, timeouts, closing.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <limits.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/eventq_uring.h"
#include "lib/eventq_wait.h"
#include "stall.h"

/*
 * What the cases work with
 */

#define DEFER (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)
#define COOP IORING_SETUP_COOP_TASKRUN
#define SQPOLL IORING_SETUP_SQPOLL
#define MORE IORING_CQE_F_MORE

/* Requests are known by number; those below NR_MEM have memory of their own. */
#define NR_MEM 16
/* A multiple of both records, so that only the cases on lengths are on them. */
#define MEM_LEN 480
#define OTHER NR_MEM

#define GROUP 3		/* of buffers */
#define OTHER_GROUP 4

struct kind {
	bool viommu;
	unsigned int setup;	/* IORING_SETUP_* */
	int file;		/* O_NONBLOCK or nothing */
	__u32 queue;		/* IOMMU_EVENTQ_ALLOC_* */
};

#define KIND(...) { .kind = { __VA_ARGS__ } }

/*
 * A queue, a ring, and the numbers of the records: a record's number is its
 * group ID or its sequence. So it shows when one is lost or comes twice.
 */
struct bench {
	const struct kind *kind;
	struct eq_world w;
	struct eq_ring ring;
	struct eq_bufs bufs;
	char mem[NR_MEM][MEM_LEN];

	__u32 raised;		/* records so far */
	__u32 taken;		/* of these, how many came back, in order */
	__u32 cookie;		/* of the last fault that came back */
	__u32 lost;		/* events that were said to be lost */
	bool may_lose;		/* the case overflows the queue */
	bool may_work;		/* the case gives workers something to do */
};

/* Why the cases cannot run, or NULL. */
static const char *bench_lacks(struct bench *b, const struct kind *kind)
{
	b->kind = kind;
	b->w.queue.fd = -1;
	if (eq_ring_init(&b->ring, kind->setup))
		return EQ_NO_RING;
	return eq_no_mock() ? EQ_NO_MOCK : NULL;
}

static int bench_open_depth(struct bench *b, __u32 depth)
{
	int rc = eq_world_open(&b->w), fd;

	if (!rc)
		rc = b->kind->viommu ?
			     eq_world_vevent_queue(&b->w, b->kind->queue, depth) :
			     eq_world_fault_queue(&b->w, b->kind->queue);
	fd = b->w.queue.fd;
	if (!rc && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | b->kind->file))
		rc = -errno;
	return rc;
}

static int bench_open(struct bench *b)
{
	return bench_open_depth(b, EQ_DEPTH);
}

static void bench_close(struct bench *b)
{
	eq_ring_fini(&b->ring);
	if (b->w.queue.fd >= 0)
		close(b->w.queue.fd);
	close(b->w.iommu);
}

/* Raise @nr records. */
static int report(struct bench *b, unsigned int nr)
{
	int rc = 0;

	while (nr-- && !rc) {
		rc = b->kind->viommu ? eq_raise_vevents(&b->w, 1) :
				       eq_raise_fault(&b->w, 0, b->raised);
		b->raised++;
	}
	return rc;
}

static long size(struct bench *b)
{
	return eq_record_len(b->kind->viommu);
}

/* The size of the record at @buf, of @len bytes at most, if it is the next. */
static long take_fault(struct bench *b, const void *buf, long len)
{
	struct iommu_hwpt_pgfault f;

	if (len < EQ_FAULT_LEN)
		return 0;
	memcpy(&f, buf, sizeof(f));
	if (f.grpid != b->taken || f.dev_id != b->w.dev[0].dev_id || !f.cookie)
		return 0;
	if (f.flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE)
		b->taken++;
	b->cookie = f.cookie;
	return EQ_FAULT_LEN;
}

static long take_vevent(struct bench *b, const void *buf, long len)
{
	struct eq_vevent e = {};
	__u32 lost;
	bool whole;

	memcpy(&e, buf, len < EQ_VEVENT_LEN ? len : EQ_VEVENT_LEN);
	whole = !(e.header.flags & IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
	if (len < (whole ? EQ_VEVENT_LEN : EQ_HEADER_LEN) ||
	    (whole && e.event.virt_id != EQ_VIRT_ID))
		return 0;
	lost = e.header.sequence - b->taken + !whole;
	if (lost && (!b->may_lose || lost > b->raised))
		return 0;
	b->lost += lost;
	b->taken = e.header.sequence + 1;
	return whole ? EQ_VEVENT_LEN : EQ_HEADER_LEN;
}

static long take_one(struct bench *b, const void *buf, long len)
{
	return b->kind->viommu ? take_vevent(b, buf, len) :
				 take_fault(b, buf, len);
}

/* How many records are in @buf: the next ones, all whole. Else -EBADMSG. */
static long take(struct bench *b, const void *buf, long len)
{
	const char *at = buf;
	long nr = 0, done;

	for (; len > 0; at += done, len -= done, nr++) {
		done = take_one(b, at, len);
		if (!done) {
			printf("# not record %u, %ld bytes left\n", b->taken,
			       len);
			return -EBADMSG;
		}
	}
	return nr;
}

/* Two readers took turns: are the next records in one of the buffers each? */
static bool take_merged(struct bench *b, const char *at[2], long len[2])
{
	long done = 1;
	int i;

	while (done && (len[0] > 0 || len[1] > 0)) {
		for (done = 0, i = 0; i < 2 && !done; i++) {
			done = len[i] > 0 ? take_one(b, at[i], len[i]) : 0;
			at[i] += done;
			len[i] -= done;
		}
	}
	return done;
}

/* Take what fits into @len bytes by read(2), or -EAGAIN. */
static long take_sync(struct bench *b, size_t len)
{
	char buf[8 * MEM_LEN];
	long ret = -EAGAIN;

	/* The queue may be one whose reads wait. */
	if (eq_readable(b->w.queue.fd))
		ret = eq_read(b->w.queue.fd, buf, len);
	return ret < 0 ? ret : take(b, buf, ret);
}

/*
 * Every record came back once, and those that nobody took are still there. No
 * request has completed that the case does not know of.
 */
static bool all_there(struct bench *b)
{
	if (b->w.queue.fd < 0)
		return true;
	if (eq_ring_flush(&b->ring) || eq_ring_has_cqe(&b->ring) ||
	    eq_ring_cancel_all(&b->ring) < 0)
		return false;
	while (take_sync(b, 8 * MEM_LEN) > 0)
		;
	return b->taken == b->raised;
}

/* Requests */

/* How often to do something: a thread that polls is slow to get to work. */
static int rounds(struct bench *b, int nr)
{
	return b->kind->setup & SQPOLL ? nr / 10 : nr;
}

static int submit(struct bench *b, struct io_uring_sqe sqe)
{
	return eq_ring_submit(&b->ring, &sqe);
}

static void add(struct bench *b, struct io_uring_sqe sqe)
{
	eq_ring_add(&b->ring, &sqe);
}

static struct io_uring_sqe rw(struct bench *b, int opcode, __u64 id,
			      const void *buf, unsigned int len)
{
	return (struct io_uring_sqe) {
		.opcode = opcode,
		.fd = b->w.queue.fd,
		.addr = (uintptr_t)buf,
		.len = len,
		.off = -1,
		.user_data = id,
	};
}

static struct io_uring_sqe read_of(struct bench *b, __u64 id, unsigned int len)
{
	return rw(b, IORING_OP_READ, id, b->mem[id], len);
}

static int arm(struct bench *b, __u64 id, unsigned int len)
{
	return submit(b, read_of(b, id, len));
}

static struct io_uring_sqe poll_of(struct bench *b, __u64 id, __u32 events,
				   __u32 flags)
{
	return (struct io_uring_sqe) {
		.opcode = IORING_OP_POLL_ADD,
		.fd = b->w.queue.fd,
		.len = flags,
		.poll32_events = events,
		.user_data = id,
	};
}

static struct io_uring_sqe shots_of(struct bench *b, __u64 id, __u16 group)
{
	struct io_uring_sqe sqe = rw(b, IORING_OP_READ_MULTISHOT, id, NULL, 0);

	sqe.flags = IOSQE_BUFFER_SELECT;
	sqe.buf_group = group;
	return sqe;
}

static int arm_shots(struct bench *b, __u64 id)
{
	return submit(b, shots_of(b, id, GROUP));
}

static struct io_uring_sqe cancel_of(struct bench *b, __u64 key, __u32 flags)
{
	return (struct io_uring_sqe) {
		.opcode = IORING_OP_ASYNC_CANCEL,
		.fd = flags & IORING_ASYNC_CANCEL_FD ? b->w.queue.fd : -1,
		.addr = key,
		.len = flags & IORING_ASYNC_CANCEL_OP ? IORING_OP_READ : 0,
		.cancel_flags = flags,
		.user_data = OTHER,
	};
}

static int init_bufs(struct bench *b, unsigned int nr, unsigned int len)
{
	int rc = eq_bufs_init(&b->bufs, &b->ring, GROUP, nr, len, false);

	if (!rc)
		eq_bufs_give(&b->bufs, 0, nr);
	return rc;
}

/* Completions */

static int next(struct bench *b, struct io_uring_cqe *cqe)
{
	return eq_ring_wait(&b->ring, EQ_DEADLINE_MS, cqe);
}

/* Nothing completes that must not. */
static bool quiet(struct bench *b)
{
	struct io_uring_cqe cqe;

	return eq_ring_wait(&b->ring, EQ_QUIET_MS, &cqe) == -ETIME;
}

/* The next completion is that of @id, with these flags: its result. */
static int flagged(struct bench *b, __u64 id, __u32 flags)
{
	struct io_uring_cqe cqe;
	int rc = next(b, &cqe);

	if (rc)
		return rc;
	if (cqe.user_data == id && cqe.flags == flags)
		return cqe.res;
	printf("# request %llu has result %d, flags %#x\n", cqe.user_data,
	       cqe.res, cqe.flags);
	return -EBADMSG;
}

static int result(struct bench *b, __u64 id)
{
	return flagged(b, id, 0);
}

/* The same for a request that took @bid, which is @buf: number of records. */
static int shot_at(struct bench *b, __u64 id, unsigned int bid, __u32 flags,
		   const void *buf)
{
	int res = flagged(b, id, bid << IORING_CQE_BUFFER_SHIFT |
				 IORING_CQE_F_BUFFER | flags);

	return res > 0 ? take(b, buf, res) : res;
}

static int shot(struct bench *b, __u64 id, unsigned int bid, __u32 flags)
{
	return shot_at(b, id, bid, flags, eq_bufs_mem(&b->bufs, bid));
}

/* The next @nr completions are like that, with one record each. */
static bool shots(struct bench *b, __u64 id, unsigned int bid, unsigned int nr)
{
	while (nr && shot(b, id, bid++, MORE) == 1)
		nr--;
	return !nr;
}

/* The same for a READ into its own memory. */
static int records(struct bench *b, __u64 id)
{
	int res = result(b, id);

	return res > 0 ? take(b, b->mem[id], res) : res;
}

/* The same for the READ that completes next, whichever it is. */
static int any_records(struct bench *b, __u64 *id)
{
	struct io_uring_cqe cqe;
	int rc = next(b, &cqe);

	if (rc)
		return rc;
	if (cqe.user_data >= NR_MEM || cqe.flags)
		return -EBADMSG;
	*id = cqe.user_data;
	return cqe.res > 0 ? take(b, b->mem[*id], cqe.res) : cqe.res;
}

#define NO_RESULT INT_MIN

/* The results of @nr requests in any order, by number, up to OTHER. */
static int collect(struct bench *b, unsigned int nr, int *results)
{
	struct io_uring_cqe cqe;
	int i;

	for (i = 0; i <= OTHER; i++)
		results[i] = NO_RESULT;
	while (nr--) {
		i = next(b, &cqe);
		if (i)
			return i;
		if (cqe.user_data > OTHER || cqe.flags ||
		    results[cqe.user_data] != NO_RESULT)
			return -EBADMSG;
		results[cqe.user_data] = cqe.res;
	}
	return 0;
}

/* Cancel all @nr requests, and no fewer. */
static bool cancel_all(struct bench *b, unsigned int nr)
{
	int results[OTHER + 1], i;

	if (submit(b, cancel_of(b, 0, IORING_ASYNC_CANCEL_ANY)) ||
	    collect(b, nr + 1, results) || results[OTHER] != nr)
		return false;
	for (i = 0; i < NR_MEM; i++)
		if (results[i] != NO_RESULT && results[i] != -ECANCELED)
			return false;
	return true;
}

/* Cancel a request of a worker: running already or not, it ends. */
static bool cancel_work(struct bench *b, __u64 id)
{
	int results[OTHER + 1], turns = 2, rc;

	/*
	 * On Linux 7.2 the worker may take the signal before it waits, and the
	 * cancel, which says EALREADY, comes to nothing.
	 */
	do {
		if (submit(b, cancel_of(b, id, 0)))
			return false;
		rc = collect(b, 2, results);
	} while (rc == -ETIME && results[OTHER] == -EALREADY && --turns);
	if (rc)
		return false;
	/*
	 * The request says whether it was cancelled. The cancel may find it
	 * gone: Linux 7.2 looks again after it has signalled the worker.
	 */
	if ((results[OTHER] == 0 || results[OTHER] == -EALREADY ||
	     results[OTHER] == -ENOENT) &&
	    (results[id] == -ECANCELED || results[id] == -EINTR))
		return true;
	printf("# request %d, cancel %d\n", results[id], results[OTHER]);
	return false;
}

/* Wait until requests were given to @nr workers. */
static bool workers_come(struct bench *b, int nr)
{
	unsigned int i;

	for (i = 0; i < EQ_DEADLINE_MS; i++) {
		eq_ring_flush(&b->ring);
		if (eq_count_workers() >= nr)
			return true;
		usleep(1000);
	}
	return false;
}

/* Records of both classes, and an answer, lie across the borders. */
static void pieces(struct iovec *iov, void *mem, size_t len)
{
	iov[0] = (struct iovec) { mem, 7 };
	iov[1] = (struct iovec) { mem + 7, 46 };
	iov[2] = (struct iovec) { mem + 53, len - 53 };
}

/*
 * All kinds of queues, on all kinds of rings
 */

FIXTURE(ring)
{
	struct bench b;
};

FIXTURE_VARIANT(ring)
{
	struct kind kind;
};

FIXTURE_VARIANT_ADD(ring, fault) KIND(false);
FIXTURE_VARIANT_ADD(ring, fault_defer_wait) KIND(false, DEFER, 0, EQ_WAIT);
FIXTURE_VARIANT_ADD(ring, fault_coop_nonblock) KIND(false, COOP, O_NONBLOCK);
FIXTURE_VARIANT_ADD(ring, fault_sqpoll) KIND(false, SQPOLL);
FIXTURE_VARIANT_ADD(ring, vevent) KIND(true);
FIXTURE_VARIANT_ADD(ring, vevent_defer_nonblock) KIND(true, DEFER, O_NONBLOCK);
FIXTURE_VARIANT_ADD(ring, vevent_coop_wait) KIND(true, COOP, 0, EQ_WAIT);
FIXTURE_VARIANT_ADD(ring, vevent_sqpoll) KIND(true, SQPOLL);

FIXTURE_SETUP(ring)
{
	const char *lack = bench_lacks(&self->b, &variant->kind);

	if (lack)
		SKIP(return, "%s", lack);
	ASSERT_EQ(0, bench_open(&self->b));
}

FIXTURE_TEARDOWN(ring)
{
	EXPECT_EQ(0, eq_count_workers());
	EXPECT_TRUE(all_there(&self->b));
	bench_close(&self->b);
}

/*
 * READ
 */

TEST_F(ring, armed_read_completes_inline)
{
	struct bench *b = &self->b;
	int round;

	for (round = 0; round < rounds(b, 300); round++) {
		ASSERT_EQ(0, arm(b, 0, MEM_LEN));
		ASSERT_EQ(0, report(b, 1));
		ASSERT_EQ(1, records(b, 0));
	}
}

TEST_F(ring, read_takes_what_fits)
{
	struct bench *b = &self->b;

	ASSERT_EQ(0, report(b, 3));
	ASSERT_EQ(0, arm(b, 0, 3 * size(b) - 1));
	ASSERT_EQ(2, records(b, 0));
	ASSERT_EQ(0, report(b, 4));
	ASSERT_EQ(0, arm(b, 0, MEM_LEN));
	ASSERT_EQ(5, records(b, 0));
}

/* Nobody else completes: a cancel finds the others where they were. */
TEST_F(ring, more_armed_reads_than_records)
{
	struct bench *b = &self->b;
	unsigned int done = 0;
	__u64 i;

	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, arm(b, i, MEM_LEN));
	while (b->taken < 3) {
		ASSERT_EQ(0, report(b, 1));
		ASSERT_EQ(1, any_records(b, &i));
		ASSERT_FALSE(done & 1U << i);
		done |= 1U << i;
	}
	ASSERT_TRUE(cancel_all(b, 5));
	/* They take nothing away any more. */
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, take_sync(b, MEM_LEN));
}

TEST_F(ring, armed_reads_of_one_record_each)
{
	struct bench *b = &self->b;
	unsigned int done = 0;
	__u64 i;

	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, arm(b, i, 2 * size(b) - 1));
	ASSERT_EQ(0, report(b, 5));
	while (b->taken < 5) {
		ASSERT_EQ(1, any_records(b, &i));
		done |= 1U << i;
	}
	ASSERT_EQ(0x1f, done);
}

/* Submit a request that reads, before and after there are records. */
static int both_ways(struct bench *b, struct io_uring_sqe sqe)
{
	int rc = submit(b, sqe), res;

	if (!rc)
		rc = report(b, 1);
	res = rc ? rc : records(b, sqe.user_data);
	if (res != 1)
		return res;
	rc = report(b, 3);
	if (!rc)
		rc = submit(b, sqe);
	return rc ? rc : records(b, sqe.user_data);
}

TEST_F(ring, readv)
{
	struct bench *b = &self->b;
	struct iovec iov[4] = {};

	/* One more, in front, that is empty. */
	pieces(iov + 1, b->mem[0], MEM_LEN);
	ASSERT_EQ(3, both_ways(b, rw(b, IORING_OP_READV, 0, iov, 4)));
}

static int register_mem(struct bench *b)
{
	struct iovec iov = { b->mem, sizeof(b->mem) };

	return eq_ring_register(&b->ring, IORING_REGISTER_BUFFERS, &iov, 1);
}

TEST_F(ring, read_fixed)
{
	struct bench *b = &self->b;

	ASSERT_EQ(0, register_mem(b));
	ASSERT_EQ(3, both_ways(b, rw(b, IORING_OP_READ_FIXED, 2, b->mem[2],
				     MEM_LEN)));
}

TEST_F(ring, readv_fixed)
{
	struct bench *b = &self->b;
	struct iovec iov[3];

	ASSERT_EQ(0, register_mem(b));
	pieces(iov, b->mem[2], MEM_LEN);
	ASSERT_EQ(3, both_ways(b, rw(b, IORING_OP_READV_FIXED, 2, iov, 3)));
}

static int register_file(struct bench *b)
{
	return eq_ring_register(&b->ring, IORING_REGISTER_FILES,
				&b->w.queue.fd, 1);
}

TEST_F(ring, registered_file)
{
	struct io_uring_sqe sqe = read_of(&self->b, 0, MEM_LEN);
	struct bench *b = &self->b;
	int results[OTHER + 1];

	ASSERT_EQ(0, register_file(b));
	sqe.flags = IOSQE_FIXED_FILE;
	sqe.fd = 0;
	ASSERT_EQ(3, both_ways(b, sqe));

	ASSERT_EQ(0, init_bufs(b, 2, MEM_LEN));
	sqe = shots_of(b, 0, GROUP);
	sqe.flags |= IOSQE_FIXED_FILE;
	sqe.fd = 0;
	ASSERT_EQ(0, submit(b, sqe));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, shot(b, 0, 0, MORE));
	sqe = cancel_of(b, 0, IORING_ASYNC_CANCEL_FD |
			      IORING_ASYNC_CANCEL_FD_FIXED);
	sqe.fd = 0;
	ASSERT_EQ(0, submit(b, sqe));
	ASSERT_EQ(0, collect(b, 2, results));
	ASSERT_EQ(0, results[OTHER]);
	ASSERT_EQ(-ECANCELED, results[0]);
}

/* Negative ones, but for -1, do not get as far as the queue. */
static const struct {
	__u64 off;
	int result;
} bad_offsets[] = {
	{ 1, -ESPIPE },
	{ 8, -ESPIPE },
	{ 40, -ESPIPE },
	{ 1ULL << 40, -ESPIPE },
	{ -2, -EINVAL },
	{ 1ULL << 63, -EINVAL },
};

TEST_F(ring, offsets)
{
	struct io_uring_sqe sqe = read_of(&self->b, 0, MEM_LEN);
	struct bench *b = &self->b;
	int i, full;

	for (full = 0; full < 2; full++) {
		ASSERT_EQ(0, report(b, full));
		for (i = 0; i < ARRAY_SIZE(bad_offsets); i++) {
			sqe.off = bad_offsets[i].off;
			ASSERT_EQ(0, submit(b, sqe));
			ASSERT_EQ(bad_offsets[i].result, result(b, 0));
		}
	}
	sqe.off = 0;
	ASSERT_EQ(0, submit(b, sqe));
	ASSERT_EQ(1, records(b, 0));
}

/* Who asks for it is not kept waiting, here too. */
TEST_F(ring, rwf_nowait)
{
	struct io_uring_sqe sqe = read_of(&self->b, 0, MEM_LEN);
	struct bench *b = &self->b;

	sqe.rw_flags = RWF_NOWAIT;
	ASSERT_EQ(0, submit(b, sqe));
	ASSERT_EQ(-EAGAIN, result(b, 0));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(0, submit(b, sqe));
	ASSERT_EQ(1, records(b, 0));
}

TEST_F(ring, read_that_is_too_short)
{
	struct bench *b = &self->b;

	ASSERT_EQ(0, arm(b, 0, size(b) - 1));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(-EINVAL, result(b, 0));
	ASSERT_EQ(0, arm(b, 0, size(b) - 1));
	ASSERT_EQ(-EINVAL, result(b, 0));
	ASSERT_EQ(1, take_sync(b, MEM_LEN));
	/* These need no record to be told what is wrong. */
	ASSERT_EQ(0, arm(b, 0, 0));
	ASSERT_EQ(b->kind->viommu ? -EINVAL : 0, result(b, 0));
	if (b->kind->viommu) {
		ASSERT_EQ(0, arm(b, 0, EQ_HEADER_LEN - 1));
		ASSERT_EQ(-EINVAL, result(b, 0));
	}
}

TEST_F(ring, read_into_bad_memory)
{
	char *edge = eq_edge(size(&self->b) + 5);
	struct bench *b = &self->b;

	ASSERT_EQ(0, submit(b, rw(b, IORING_OP_READ, 0, eq_edge(0), MEM_LEN)));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(-EFAULT, result(b, 0));
	/* The record is still there. The next one does not fit whole. */
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(0, submit(b, rw(b, IORING_OP_READ, 0, edge, MEM_LEN)));
	ASSERT_EQ(size(b), result(b, 0));
	ASSERT_EQ(1, take(b, edge, size(b)));
	ASSERT_EQ(1, take_sync(b, MEM_LEN));
}

/*
 * Buffers that the kernel chooses
 */

TEST_F(ring, read_with_buffer_ring)
{
	struct io_uring_sqe sqe = rw(&self->b, IORING_OP_READ, 0, NULL, 0);
	struct bench *b = &self->b;

	ASSERT_EQ(0, init_bufs(b, 2, MEM_LEN));
	sqe.flags = IOSQE_BUFFER_SELECT;
	sqe.buf_group = GROUP;
	ASSERT_EQ(0, submit(b, sqe));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, shot(b, 0, 0, 0));
	ASSERT_EQ(0, report(b, 3));
	ASSERT_EQ(0, submit(b, sqe));
	ASSERT_EQ(3, shot(b, 0, 1, 0));
	/* None is left. */
	ASSERT_EQ(0, report(b, 3));
	ASSERT_EQ(0, submit(b, sqe));
	ASSERT_EQ(-ENOBUFS, result(b, 0));
	eq_bufs_give(&b->bufs, 1, 1);
	sqe.len = 2 * size(b);
	ASSERT_EQ(0, submit(b, sqe));
	ASSERT_EQ(2, shot(b, 0, 1, 0));
}

TEST_F(ring, provided_buffers)
{
	struct io_uring_sqe sqe = rw(&self->b, IORING_OP_READ, 0, NULL, 0);
	struct bench *b = &self->b;
	struct io_uring_sqe provide = {
		.opcode = IORING_OP_PROVIDE_BUFFERS,
		.fd = 4,		/* of them */
		.addr = (uintptr_t)b->mem,
		.len = MEM_LEN,
		.buf_group = GROUP,
		.user_data = OTHER,
	};

	ASSERT_EQ(0, submit(b, provide));
	ASSERT_EQ(0, result(b, OTHER));
	sqe.flags = IOSQE_BUFFER_SELECT;
	sqe.buf_group = GROUP;
	ASSERT_EQ(0, submit(b, sqe));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, shot_at(b, 0, 0, 0, b->mem[0]));
	ASSERT_EQ(0, report(b, 2));
	ASSERT_EQ(0, submit(b, sqe));
	ASSERT_EQ(2, shot_at(b, 0, 1, 0, b->mem[1]));

	ASSERT_EQ(0, arm_shots(b, 1));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, shot_at(b, 1, 2, MORE, b->mem[2]));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, shot_at(b, 1, 3, MORE, b->mem[3]));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(-ENOBUFS, result(b, 1));
}

TEST_F(ring, multishot)
{
	struct bench *b = &self->b;
	int i;

	ASSERT_EQ(0, init_bufs(b, 8, MEM_LEN));
	ASSERT_EQ(0, arm_shots(b, 0));
	for (i = 0; i < rounds(b, 200); i++) {
		ASSERT_EQ(0, report(b, 1));
		ASSERT_EQ(1, shot(b, 0, i % 8, MORE));
		eq_bufs_give(&b->bufs, i % 8, 1);
	}
	/* It was armed all the time, and ends without a buffer. */
	ASSERT_TRUE(cancel_all(b, 1));
	ASSERT_EQ(i, eq_bufs_used(&b->bufs, &b->ring));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, take_sync(b, MEM_LEN));
}

TEST_F(ring, multishot_with_records_queued)
{
	struct bench *b = &self->b;

	ASSERT_EQ(0, init_bufs(b, 8, size(b)));
	ASSERT_EQ(0, report(b, 5));
	ASSERT_EQ(0, arm_shots(b, 0));
	ASSERT_TRUE(shots(b, 0, 0, 5));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, shot(b, 0, 5, MORE));
}

TEST_F(ring, multishot_with_several_records_in_a_buffer)
{
	struct bench *b = &self->b;

	ASSERT_EQ(0, init_bufs(b, 4, 3 * size(b) - 1));
	ASSERT_EQ(0, report(b, 5));
	ASSERT_EQ(0, arm_shots(b, 0));
	ASSERT_EQ(2, shot(b, 0, 0, MORE));
	ASSERT_EQ(2, shot(b, 0, 1, MORE));
	ASSERT_EQ(1, shot(b, 0, 2, MORE));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, shot(b, 0, 3, MORE));
}

TEST_F(ring, multishot_that_runs_out_of_buffers)
{
	struct bench *b = &self->b;
	unsigned int i;

	ASSERT_EQ(0, init_bufs(b, 4, size(b)));
	ASSERT_EQ(0, arm_shots(b, 0));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, report(b, 1));
		ASSERT_EQ(1, shot(b, 0, i, MORE));
	}
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(-ENOBUFS, result(b, 0));
	/* It has ended. The next one finds no buffer either. */
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(0, arm_shots(b, 1));
	ASSERT_EQ(-ENOBUFS, result(b, 1));
	/* Armed once more, with buffers for some of what is queued. */
	eq_bufs_give(&b->bufs, 2, 1);
	ASSERT_EQ(0, arm_shots(b, 2));
	ASSERT_EQ(1, shot(b, 2, 2, MORE));
	ASSERT_EQ(-ENOBUFS, result(b, 2));
	/* And for more than is queued. */
	eq_bufs_give(&b->bufs, 0, 2);
	ASSERT_EQ(0, arm_shots(b, 3));
	ASSERT_EQ(1, shot(b, 3, 0, MORE));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, shot(b, 3, 1, MORE));
}

TEST_F(ring, multishot_with_buffers_that_are_too_short)
{
	struct bench *b = &self->b;
	struct eq_bufs shorter;

	ASSERT_EQ(0, init_bufs(b, 2, size(b)));
	ASSERT_EQ(0, eq_bufs_init(&shorter, &b->ring, OTHER_GROUP, 2,
				  size(b) - 1, false));
	eq_bufs_give(&shorter, 0, 2);
	ASSERT_EQ(0, submit(b, shots_of(b, 0, OTHER_GROUP)));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(-EINVAL, result(b, 0));
	ASSERT_EQ(0, submit(b, shots_of(b, 1, OTHER_GROUP)));
	ASSERT_EQ(-EINVAL, result(b, 1));
	/* Neither took a buffer, or the record. */
	ASSERT_EQ(0, eq_bufs_used(&shorter, &b->ring));
	ASSERT_EQ(0, arm_shots(b, 2));
	ASSERT_EQ(1, shot(b, 2, 0, MORE));
}

/* The rest of a buffer, which no record fits into, is an error like any. */
TEST_F(ring, multishot_with_incremental_buffer)
{
	struct bench *b = &self->b;
	char *mem;

	ASSERT_EQ(0, eq_bufs_init(&b->bufs, &b->ring, GROUP, 1,
				  3 * size(b) - 1, true));
	eq_bufs_give(&b->bufs, 0, 1);
	mem = eq_bufs_mem(&b->bufs, 0);
	ASSERT_EQ(0, arm_shots(b, 0));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, shot_at(b, 0, 0, MORE | IORING_CQE_F_BUF_MORE, mem));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, shot_at(b, 0, 0, MORE | IORING_CQE_F_BUF_MORE,
			     mem + size(b)));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(-EINVAL, result(b, 0));
	ASSERT_EQ(1, take_sync(b, MEM_LEN));
}

/* Every record goes to one of the two. */
TEST_F(ring, multishot_beside_read)
{
	struct bench *b = &self->b;
	struct io_uring_cqe cqe;
	unsigned int shots = 0;
	void *mem;

	ASSERT_EQ(0, init_bufs(b, 32, MEM_LEN));
	ASSERT_EQ(0, arm(b, 0, MEM_LEN));
	ASSERT_EQ(0, arm_shots(b, 1));
	while (b->raised < 20) {
		ASSERT_EQ(0, report(b, 1));
		ASSERT_EQ(0, next(b, &cqe));
		mem = cqe.user_data ? eq_bufs_mem(&b->bufs, shots++) :
				      b->mem[0];
		ASSERT_EQ(size(b), cqe.res);
		ASSERT_EQ(1, take(b, mem, cqe.res));
		if (!cqe.user_data)
			ASSERT_EQ(0, arm(b, 0, MEM_LEN));
	}
	ASSERT_TRUE(cancel_all(b, 2));
}

/*
 * POLL_ADD
 */

TEST_F(ring, poll)
{
	short in = POLLIN | POLLRDNORM, out = POLLOUT | POLLWRNORM;
	struct bench *b = &self->b;
	int results[OTHER + 1];

	ASSERT_EQ(0, submit(b, poll_of(b, 0, POLLIN, 0)));
	ASSERT_EQ(0, submit(b, poll_of(b, 1, POLLRDNORM, 0)));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(0, collect(b, 2, results));
	ASSERT_EQ(POLLIN, results[0]);
	ASSERT_EQ(POLLRDNORM, results[1]);
	ASSERT_EQ(0, submit(b, poll_of(b, 0, in | out | POLLPRI, 0)));
	ASSERT_EQ(b->kind->viommu ? in : in | out, result(b, 0));

	/* Faults can always be answered, and events never. */
	ASSERT_EQ(1, take_sync(b, MEM_LEN));
	ASSERT_EQ(0, submit(b, poll_of(b, 0, out, 0)));
	if (b->kind->viommu) {
		ASSERT_EQ(0, report(b, 1));
		ASSERT_TRUE(cancel_all(b, 1));
	} else {
		ASSERT_EQ(out, result(b, 0));
	}
}

/* As an edge-triggered epoll: one completion for each record that comes. */
TEST_F(ring, poll_multishot)
{
	struct io_uring_sqe remove = {
		.opcode = IORING_OP_POLL_REMOVE,
		.fd = -1,
		.addr = 1,
		.user_data = OTHER,
	};
	struct bench *b = &self->b;
	int results[OTHER + 1];

	/* What is there already counts as one. */
	ASSERT_EQ(0, report(b, 2));
	ASSERT_EQ(0, submit(b, poll_of(b, 1, POLLIN, IORING_POLL_ADD_MULTI)));
	ASSERT_EQ(POLLIN, flagged(b, 1, MORE));
	while (b->raised < 6) {
		ASSERT_EQ(0, report(b, 1));
		ASSERT_EQ(POLLIN, flagged(b, 1, MORE));
	}
	ASSERT_EQ(6, take_sync(b, MEM_LEN));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(POLLIN, flagged(b, 1, MORE));

	ASSERT_EQ(0, submit(b, remove));
	ASSERT_EQ(0, collect(b, 2, results));
	ASSERT_EQ(0, results[OTHER]);
	ASSERT_EQ(-ECANCELED, results[1]);
}

/* io_uring has no level-triggered POLL_ADD yet. If so, then for queues too. */
TEST_F(ring, poll_level)
{
	struct io_uring_sqe sqe = poll_of(&self->b, 0, POLLIN,
					  IORING_POLL_ADD_LEVEL);
	struct bench *b = &self->b;
	int expected;

	sqe.fd = eventfd(1, EFD_CLOEXEC);
	ASSERT_EQ(0, submit(b, sqe));
	expected = result(b, 0);
	close(sqe.fd);
	ASSERT_TRUE(expected == POLLIN || expected == -EINVAL);

	sqe.fd = b->w.queue.fd;
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(0, submit(b, sqe));
	ASSERT_EQ(expected, result(b, 0));
}

/*
 * Links, timeouts, cancellation
 */

TEST_F(ring, poll_linked_to_read)
{
	struct io_uring_sqe sqe = poll_of(&self->b, OTHER, POLLIN, 0);
	struct bench *b = &self->b;
	int round;

	sqe.flags = IOSQE_IO_LINK;
	for (round = 0; round < 2; round++) {
		/* First with nothing queued, then with a record. */
		ASSERT_EQ(0, report(b, round));
		add(b, sqe);
		add(b, read_of(b, 0, MEM_LEN));
		ASSERT_EQ(0, eq_ring_submit_added(&b->ring));
		ASSERT_EQ(0, report(b, !round));
		ASSERT_EQ(POLLIN, result(b, OTHER));
		ASSERT_EQ(1, records(b, 0));
	}
}

TEST_F(ring, read_linked_to_read)
{
	struct io_uring_sqe sqe = read_of(&self->b, 0, size(&self->b));
	struct bench *b = &self->b;

	sqe.flags = IOSQE_IO_LINK;
	add(b, sqe);
	add(b, read_of(b, 1, MEM_LEN));
	ASSERT_EQ(0, eq_ring_submit_added(&b->ring));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, records(b, 0));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, records(b, 1));

	/* A read that could have taken more is short, and ends the link. */
	sqe.len = MEM_LEN;
	add(b, sqe);
	add(b, read_of(b, 1, MEM_LEN));
	ASSERT_EQ(0, eq_ring_submit_added(&b->ring));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, records(b, 0));
	ASSERT_EQ(-ECANCELED, result(b, 1));
}

static int arm_with_timeout(struct bench *b, long sec, long nsec)
{
	struct __kernel_timespec ts = { .tv_sec = sec, .tv_nsec = nsec };
	struct io_uring_sqe sqe = read_of(b, 0, MEM_LEN);

	sqe.flags = IOSQE_IO_LINK;
	add(b, sqe);
	add(b, (struct io_uring_sqe) {
		.opcode = IORING_OP_LINK_TIMEOUT,
		.fd = -1,
		.addr = (uintptr_t)&ts,
		.len = 1,
		.user_data = OTHER,
	});
	return eq_ring_submit_added(&b->ring);
}

TEST_F(ring, read_with_timeout)
{
	struct bench *b = &self->b;
	int results[OTHER + 1];

	ASSERT_EQ(0, arm_with_timeout(b, 0, 5000000));
	ASSERT_EQ(0, collect(b, 2, results));
	ASSERT_EQ(-ECANCELED, results[0]);
	ASSERT_EQ(-ETIME, results[OTHER]);
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, take_sync(b, MEM_LEN));

	ASSERT_EQ(0, arm_with_timeout(b, 3600, 0));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(0, collect(b, 2, results));
	ASSERT_EQ(size(b), results[0]);
	ASSERT_EQ(1, take(b, b->mem[0], results[0]));
	ASSERT_EQ(-ECANCELED, results[OTHER]);
}

TEST_F(ring, cancel)
{
	static const struct {
		__u64 key;
		__u32 flags;
		int result;
		unsigned int nr;	/* of 3 reads */
	} rows[] = {
		{ 1, 0, 0, 1 },
		{ 9, 0, -ENOENT, 0 },
		{ 2, IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_USERDATA,
		  0, 1 },
		{ 0, IORING_ASYNC_CANCEL_FD, 0, 1 },
		{ 0, IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL, 3, 3 },
		{ 0, IORING_ASYNC_CANCEL_OP | IORING_ASYNC_CANCEL_ALL, 3, 3 },
		{ 0, IORING_ASYNC_CANCEL_ANY, 3, 3 },
	};
	struct bench *b = &self->b;
	int results[OTHER + 1], row, i;

	for (row = 0; row < ARRAY_SIZE(rows); row++) {
		for (i = 0; i < 3; i++)
			ASSERT_EQ(0, arm(b, i, MEM_LEN));
		ASSERT_EQ(0, submit(b, cancel_of(b, rows[row].key,
						 rows[row].flags)));
		ASSERT_EQ(0, collect(b, rows[row].nr + 1, results));
		ASSERT_EQ(rows[row].result, results[OTHER]);
		for (i = 0; i < 3; i++)
			ASSERT_TRUE(results[i] == -ECANCELED ||
				    results[i] == NO_RESULT);
		ASSERT_TRUE(cancel_all(b, 3 - rows[row].nr));
	}
	/* They take nothing away any more. */
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, take_sync(b, MEM_LEN));
}

/*
 * Closing. Requests in flight hold the file.
 */

/* Faults that were not answered are answered when the file is gone. */
static __u32 nr_invalid(struct bench *b)
{
	struct eq_response a = {};

	eq_pop_response(b->w.iommu, &b->w.dev[0], &a);
	return a.nr_invalid;
}

static bool is_open(struct bench *b)
{
	return b->kind->viommu ?
	       eq_destroy(b->w.iommu, b->w.queue.id) == -EBUSY :
	       nr_invalid(b) == 0;
}

static bool is_closed(struct bench *b)
{
	return b->kind->viommu ? !eq_destroy(b->w.iommu, b->w.queue.id) :
				 nr_invalid(b) == b->raised;
}

/* Or will be soon: that is up to another thread of the kernel. */
static bool closes(struct bench *b)
{
	unsigned int i;

	for (i = 0; i < EQ_DEADLINE_MS; i++) {
		if (is_closed(b))
			return true;
		usleep(1000);
	}
	return false;
}

static void close_queue(struct bench *b)
{
	close(b->w.queue.fd);
	b->w.queue.fd = -1;
}

TEST_F(ring, close_fd_with_armed_read)
{
	struct bench *b = &self->b;

	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, take_sync(b, MEM_LEN));
	ASSERT_EQ(0, arm(b, 0, MEM_LEN));
	close_queue(b);
	ASSERT_TRUE(is_open(b));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, records(b, 0));
	ASSERT_TRUE(closes(b));
}

TEST_F(ring, close_fd_and_cancel)
{
	struct bench *b = &self->b;

	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, take_sync(b, MEM_LEN));
	ASSERT_EQ(0, arm(b, 0, MEM_LEN));
	ASSERT_EQ(0, arm(b, 1, MEM_LEN));
	close_queue(b);
	ASSERT_TRUE(is_open(b));
	ASSERT_TRUE(cancel_all(b, 2));
	ASSERT_TRUE(closes(b));
}

/* With one record that was read, and one that was not. */
TEST_F(ring, close_fd_and_ring)
{
	struct bench *b = &self->b;

	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, take_sync(b, MEM_LEN));
	ASSERT_EQ(0, submit(b, poll_of(b, OTHER, POLLIN,
				       IORING_POLL_ADD_MULTI)));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(POLLIN, flagged(b, OTHER, MORE));
	close_queue(b);
	ASSERT_TRUE(is_open(b));
	eq_ring_fini(&b->ring);
	ASSERT_TRUE(closes(b));
}

TEST_F(ring, close_fd_and_ring_with_everything_armed)
{
	struct bench *b = &self->b;

	ASSERT_EQ(0, init_bufs(b, 2, MEM_LEN));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, take_sync(b, MEM_LEN));
	ASSERT_EQ(0, arm(b, 0, MEM_LEN));
	ASSERT_EQ(0, arm(b, 1, MEM_LEN));
	ASSERT_EQ(0, arm_shots(b, 2));
	ASSERT_EQ(0, submit(b, poll_of(b, 3, POLLIN, 0)));
	ASSERT_EQ(0, submit(b, poll_of(b, 4, POLLIN, IORING_POLL_ADD_MULTI)));
	close_queue(b);
	ASSERT_TRUE(is_open(b));
	ASSERT_FALSE(eq_ring_has_cqe(&b->ring));
	eq_ring_fini(&b->ring);
	ASSERT_TRUE(closes(b));
}

TEST_F(ring, close_fd_of_registered_file)
{
	struct io_uring_sqe sqe = read_of(&self->b, 0, MEM_LEN);
	struct bench *b = &self->b;

	ASSERT_EQ(0, register_file(b));
	close_queue(b);
	sqe.flags = IOSQE_FIXED_FILE;
	sqe.fd = 0;
	ASSERT_EQ(0, submit(b, sqe));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, records(b, 0));
	ASSERT_TRUE(is_open(b));
	ASSERT_EQ(0, eq_ring_register(&b->ring, IORING_UNREGISTER_FILES, NULL,
				      0));
	ASSERT_TRUE(closes(b));
}

/*
 * Where the ring looks at what woke it when told to: in between, the record can
 * go away again, any number of times
 */

FIXTURE(deferred)
{
	struct bench b;
};

FIXTURE_VARIANT(deferred)
{
	struct kind kind;
};

FIXTURE_VARIANT_ADD(deferred, fault) KIND(false, DEFER);
FIXTURE_VARIANT_ADD(deferred, fault_nonblock) KIND(false, DEFER, O_NONBLOCK);
FIXTURE_VARIANT_ADD(deferred, vevent) KIND(true, DEFER);
FIXTURE_VARIANT_ADD(deferred, vevent_nonblock) KIND(true, DEFER, O_NONBLOCK);

FIXTURE_SETUP(deferred)
{
	const char *lack = bench_lacks(&self->b, &variant->kind);

	if (lack)
		SKIP(return, "%s", lack);
	ASSERT_EQ(0, bench_open(&self->b));
}

FIXTURE_TEARDOWN(deferred)
{
	if (!self->b.may_work)
		EXPECT_EQ(0, eq_count_workers());
	EXPECT_TRUE(all_there(&self->b));
	bench_close(&self->b);
}

static int detach(struct bench *b)
{
	return eq_replace(b->w.iommu, &b->w.dev[0], b->w.ioas);
}

static int attach(struct bench *b)
{
	return eq_replace(b->w.iommu, &b->w.dev[0], b->w.hwpt);
}

/* Another reader takes the record or, every other time, a fault's detach. */
static bool vanishes(struct bench *b)
{
	if (b->kind->viommu || b->taken % 2)
		return take_sync(b, MEM_LEN) == 1;
	if (detach(b) || attach(b) || nr_invalid(b) != b->taken + 1)
		return false;
	b->taken++;
	return true;
}

/* A record comes and is gone before the ring gets to it. */
static bool lose_race(struct bench *b)
{
	return !report(b, 1) && vanishes(b) && !eq_ring_flush(&b->ring) &&
	       !eq_ring_has_cqe(&b->ring);
}

TEST_F(deferred, one_read_takes_all)
{
	struct bench *b = &self->b;
	__u64 i;

	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, arm(b, i, MEM_LEN));
	ASSERT_EQ(0, report(b, 5));
	ASSERT_EQ(5, any_records(b, &i));
	ASSERT_TRUE(cancel_all(b, 3));
}

TEST_F(deferred, poll_multishot_tells_of_many_at_once)
{
	struct bench *b = &self->b;

	ASSERT_EQ(0, submit(b, poll_of(b, 0, POLLIN, IORING_POLL_ADD_MULTI)));
	ASSERT_EQ(0, report(b, 5));
	ASSERT_EQ(POLLIN, flagged(b, 0, MORE));
	ASSERT_EQ(0, eq_ring_flush(&b->ring));
	ASSERT_FALSE(eq_ring_has_cqe(&b->ring));
	ASSERT_TRUE(cancel_all(b, 1));
}

/* Up to 128 times io_uring tries again by itself, then it asks a worker. */
TEST_F(deferred, read_that_loses_many_races)
{
	struct bench *b = &self->b;
	int i;

	ASSERT_EQ(0, arm(b, 0, MEM_LEN));
	for (i = 0; i < 120; i++)
		ASSERT_TRUE(lose_race(b));
	ASSERT_EQ(0, eq_count_workers());
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, records(b, 0));
	ASSERT_EQ(0, eq_count_workers());
}

static unsigned int nr_threads(void)
{
	struct stat st;

	return stat("/proc/self/task", &st) ? 0 : st.st_nlink - 2;
}

/*
 * The worker waits for the next record: there is no completion without. But with
 * O_NONBLOCK the worker may not wait either.
 */
TEST_F(deferred, read_that_loses_too_many_races)
{
	struct bench *b = &self->b;
	int turns = 0, i, rc;

	b->may_work = true;
	if (b->kind->file & O_NONBLOCK) {
		/*
		 * It may win where it goes to the worker, or get the records
		 * of a fault that is detached meanwhile. While the worker reads,
		 * take_sync() fails, and so a record can be left over.
		 */
		do {
			ASSERT_GT(100, turns++);
			ASSERT_EQ(0, arm(b, 0, size(b)));
			for (i = 0; i < 1000 && lose_race(b); i++)
				;
			rc = records(b, 0);
			ASSERT_TRUE(all_there(b));
		} while (rc == 1 || (rc == -EBADMSG && !b->kind->viommu));
		ASSERT_EQ(-EAGAIN, rc);
		return;
	}
	ASSERT_EQ(0, arm(b, 0, MEM_LEN));
	for (i = 0; i < 1000 && nr_threads() == 1; i++)
		ASSERT_TRUE(lose_race(b));
	ASSERT_TRUE(workers_come(b, 1));
	ASSERT_TRUE(quiet(b));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, records(b, 0));
}

/* A multishot request stays where it is. */
TEST_F(deferred, multishot_that_loses_many_races)
{
	struct bench *b = &self->b;
	int i;

	ASSERT_EQ(0, init_bufs(b, 2, MEM_LEN));
	ASSERT_EQ(0, arm_shots(b, 0));
	for (i = 0; i < 300; i++)
		ASSERT_TRUE(lose_race(b));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, shot(b, 0, 0, MORE));
}

/* With no room for its completion a multishot request ends with a record. */
TEST_F(deferred, multishot_into_full_completion_queue)
{
	struct bench *b = &self->b;

	eq_ring_fini(&b->ring);
	ASSERT_EQ(0, eq_ring_init_size(&b->ring, b->kind->setup, 4, true));
	ASSERT_EQ(0, init_bufs(b, 8, size(b)));
	ASSERT_EQ(0, arm_shots(b, 0));
	ASSERT_EQ(0, report(b, 6));
	ASSERT_EQ(0, eq_ring_flush(&b->ring));
	ASSERT_TRUE(shots(b, 0, 0, 4));
	ASSERT_EQ(1, shot(b, 0, 4, 0));
	ASSERT_EQ(1, take_sync(b, MEM_LEN));
}

/*
 * Workers, who take requests on demand or for a reason
 */

FIXTURE(worker)
{
	struct bench b;
};

FIXTURE_VARIANT(worker)
{
	struct kind kind;
};

FIXTURE_VARIANT_ADD(worker, fault_nonblock) KIND(false, 0, O_NONBLOCK);
FIXTURE_VARIANT_ADD(worker, fault_defer_wait) KIND(false, DEFER, 0, EQ_WAIT);
FIXTURE_VARIANT_ADD(worker, fault_sqpoll) KIND(false, SQPOLL);
FIXTURE_VARIANT_ADD(worker, vevent) KIND(true);
FIXTURE_VARIANT_ADD(worker, vevent_defer_nonblock)
KIND(true, DEFER, O_NONBLOCK);
FIXTURE_VARIANT_ADD(worker, vevent_sqpoll) KIND(true, SQPOLL);

FIXTURE_SETUP(worker)
{
	const char *lack = bench_lacks(&self->b, &variant->kind);

	if (lack)
		SKIP(return, "%s", lack);
	ASSERT_EQ(0, bench_open(&self->b));
}

FIXTURE_TEARDOWN(worker)
{
	EXPECT_TRUE(all_there(&self->b));
	bench_close(&self->b);
}

static struct io_uring_sqe async(struct io_uring_sqe sqe)
{
	sqe.flags |= IOSQE_ASYNC;
	return sqe;
}

TEST_F(worker, async_read)
{
	struct bench *b = &self->b;

	ASSERT_EQ(0, submit(b, async(read_of(b, 0, MEM_LEN))));
	ASSERT_TRUE(workers_come(b, 1));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, records(b, 0));
	ASSERT_EQ(0, report(b, 3));
	ASSERT_EQ(0, submit(b, async(read_of(b, 0, MEM_LEN))));
	ASSERT_EQ(3, records(b, 0));
}

TEST_F(worker, cancel_async_read)
{
	struct bench *b = &self->b;
	int i;

	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, submit(b, async(read_of(b, 0, MEM_LEN))));
		/* Meet it at different points of its way. */
		usleep(i * 100);
		ASSERT_TRUE(cancel_work(b, 0));
	}
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, take_sync(b, MEM_LEN));
}

TEST_F(worker, async_multishot)
{
	struct bench *b = &self->b;
	unsigned int i;

	ASSERT_EQ(0, init_bufs(b, 8, MEM_LEN));
	ASSERT_EQ(0, submit(b, async(shots_of(b, 0, GROUP))));
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, report(b, 1));
		ASSERT_EQ(1, shot(b, 0, i, MORE));
	}
}

/*
 * Two reads are armed all the time, for one record at a time. The one that always
 * loses may go to a worker, and still gets the last record. With O_NONBLOCK the
 * worker gives up.
 */
TEST_F(worker, two_reads_race)
{
	struct bench *b = &self->b;
	__u64 winner;
	int round, rc;

	ASSERT_EQ(0, arm(b, 0, MEM_LEN));
	ASSERT_EQ(0, arm(b, 1, MEM_LEN));
	for (round = 0; round < rounds(b, 150); round++) {
		if (round)
			ASSERT_EQ(0, arm(b, winner, MEM_LEN));
		ASSERT_EQ(0, report(b, 1));
		rc = any_records(b, &winner);
		if (rc == -EAGAIN && b->kind->file & O_NONBLOCK) {
			ASSERT_EQ(0, arm(b, winner, MEM_LEN));
			rc = any_records(b, &winner);
		}
		ASSERT_EQ(1, rc);
	}
	ASSERT_EQ(0, report(b, 1));
	rc = records(b, !winner);
	if (rc == -EAGAIN && b->kind->file & O_NONBLOCK) {
		ASSERT_EQ(0, arm(b, !winner, MEM_LEN));
		rc = records(b, !winner);
	}
	ASSERT_EQ(1, rc);
}

/*
 * A reader is stuck in a fault on its own buffer, and there is something to
 * read: requests that meet it wait in workers, for the reader and for records.
 * With O_NONBLOCK they do not wait.
 */
TEST_F(worker, stuck_reader)
{
	struct bench *b = &self->b;
	struct eq_stall stall;
	struct eq_job job;
	struct eq_io io;
	__u64 i, id;
	bool waits = !(b->kind->file & O_NONBLOCK);

	b->may_work = true;
	ASSERT_EQ(0, eq_stall_init(&stall));
	io = (struct eq_io) { b->w.queue.fd, stall.page, MEM_LEN };
	ASSERT_EQ(0, report(b, 1));
	ASSERT_TRUE(eq_job_start(&job, eq_job_read, &io));
	ASSERT_TRUE(eq_stall_hit(&stall));
	ASSERT_EQ(0, report(b, 1));
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, arm(b, i, MEM_LEN));
	for (i = 0; i < 3 && !waits; i++)
		ASSERT_EQ(-EAGAIN, any_records(b, &id));
	if (waits) {
		ASSERT_TRUE(workers_come(b, 3));
		ASSERT_TRUE(cancel_work(b, 2));
	}

	/* The reader goes on to the second record, unless another has its turn. */
	ASSERT_EQ(0, eq_stall_fill(&stall, NULL, 0));
	ASSERT_TRUE(eq_job_end(&job, EQ_DEADLINE_MS));
	ASSERT_LT(0, take(b, stall.page, job.ret));
	if (job.ret == size(b)) {
		ASSERT_TRUE(waits);
		ASSERT_EQ(1, any_records(b, &id));
		ASSERT_EQ(0, arm(b, id, MEM_LEN));
	}
	ASSERT_TRUE(quiet(b));
	if (waits) {
		ASSERT_EQ(0, report(b, 1));
		ASSERT_EQ(1, any_records(b, &id));
		ASSERT_TRUE(cancel_work(b, !id));
	}
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, take_sync(b, MEM_LEN));
}

/*
 * A multishot request does not need a worker for that: when the reader leaves,
 * with its buffer full, it tells who was turned away meanwhile.
 */
TEST_F(worker, stuck_reader_and_multishot)
{
	struct bench *b = &self->b;
	struct eq_stall stall;
	struct eq_job job;
	struct eq_io io;

	ASSERT_EQ(0, eq_stall_init(&stall));
	io = (struct eq_io) { b->w.queue.fd, stall.page, size(b) };
	ASSERT_EQ(0, init_bufs(b, 2, MEM_LEN));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_TRUE(eq_job_start(&job, eq_job_read, &io));
	ASSERT_TRUE(eq_stall_hit(&stall));
	ASSERT_EQ(0, arm_shots(b, 0));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(0, eq_ring_flush(&b->ring));
	ASSERT_FALSE(eq_ring_has_cqe(&b->ring));
	ASSERT_EQ(0, eq_stall_fill(&stall, NULL, 0));
	ASSERT_TRUE(eq_job_end(&job, EQ_DEADLINE_MS));
	ASSERT_EQ(size(b), job.ret);
	ASSERT_EQ(1, take(b, stall.page, job.ret));
	ASSERT_EQ(1, shot(b, 0, 0, MORE));
	ASSERT_EQ(0, eq_count_workers());
}

/* What that reader could not take goes to the request that waits, if it may. */
TEST_F(worker, stuck_reader_that_fails)
{
	struct bench *b = &self->b;
	struct eq_stall stall;
	struct eq_job job;
	struct eq_io io;
	int rc;

	ASSERT_EQ(0, eq_stall_init(&stall));
	io = (struct eq_io) { b->w.queue.fd, stall.page, MEM_LEN };
	ASSERT_EQ(0, report(b, 1));
	ASSERT_TRUE(eq_job_start(&job, eq_job_read, &io));
	ASSERT_TRUE(eq_stall_hit(&stall));
	ASSERT_EQ(0, arm(b, 0, MEM_LEN));
	ASSERT_EQ(0, eq_stall_break(&stall));
	ASSERT_TRUE(eq_job_end(&job, EQ_DEADLINE_MS));
	ASSERT_EQ(-EFAULT, job.ret);
	rc = records(b, 0);
	if (rc == -EAGAIN && b->kind->file & O_NONBLOCK) {
		ASSERT_EQ(0, arm(b, 0, MEM_LEN));
		rc = records(b, 0);
	}
	ASSERT_EQ(1, rc);
}

/* On every kind of ring, all at once as that takes its time. */
TEST(no_completion_without_record)
{
	static const struct kind kinds[] = {
		{ false }, { false, 0, O_NONBLOCK }, { false, 0, 0, EQ_WAIT },
		{ false, DEFER }, { false, COOP }, { false, SQPOLL },
		{ true }, { true, 0, O_NONBLOCK }, { true, 0, 0, EQ_WAIT },
		{ true, DEFER }, { true, COOP }, { true, SQPOLL },
	};
	static struct bench all[ARRAY_SIZE(kinds)];
	const char *lack;
	struct bench *b;
	__u64 i;

	for (b = all; b < all + ARRAY_SIZE(all); b++) {
		lack = bench_lacks(b, &kinds[b - all]);
		if (lack)
			SKIP(return, "%s", lack);
		ASSERT_EQ(0, bench_open(b));
		ASSERT_EQ(0, arm(b, 0, MEM_LEN));
		ASSERT_EQ(0, submit(b, async(read_of(b, 1, MEM_LEN))));
	}
	ASSERT_TRUE(workers_come(all, 1));
	ASSERT_TRUE(quiet(all));
	for (b = all; b < all + ARRAY_SIZE(all); b++) {
		ASSERT_EQ(0, eq_ring_flush(&b->ring));
		ASSERT_FALSE(eq_ring_has_cqe(&b->ring));
		ASSERT_EQ(0, report(b, 1));
		ASSERT_EQ(1, any_records(b, &i));
		ASSERT_EQ(0, report(b, 1));
		ASSERT_EQ(1, records(b, !i));
		ASSERT_TRUE(all_there(b));
		bench_close(b);
	}
}

/* Wait until the reader has begun to fill @buf, which was 0xa5. */
static bool begins(struct eq_job *job, const unsigned char *buf)
{
	while (__atomic_load_n(buf, __ATOMIC_ACQUIRE) == 0xa5 &&
	       !eq_job_ended(job))
		sched_yield();
	return __atomic_load_n(buf, __ATOMIC_ACQUIRE) != 0xa5;
}

#define MUCH 6000

/*
 * A reader has so much to copy that it takes a while, without a page fault: a
 * READ of somebody else that meets it waits for its turn, in a worker or not,
 * and gets the records that are next then.
 */
TEST(reader_with_much_to_copy)
{
	static const struct kind kinds[] = {
		{ false }, { false, DEFER }, { true }, { true, DEFER },
	};
	static unsigned char buf[MUCH * EQ_FAULT_LEN];
	static struct bench all[ARRAY_SIZE(kinds)];
	struct bench *b;

	for (b = all; b < all + ARRAY_SIZE(all); b++) {
		const char *lack = bench_lacks(b, &kinds[b - all]);
		const char *at[2] = { (const char *)buf, b->mem[0] };
		struct eq_job job;
		struct eq_io io;
		long len[2];

		if (lack)
			SKIP(return, "%s", lack);
		ASSERT_EQ(0, bench_open_depth(b, MUCH + 1));
		ASSERT_EQ(0, report(b, MUCH));
		memset(buf, 0xa5, sizeof(buf));
		io = (struct eq_io) { b->w.queue.fd, buf, MUCH * size(b) };
		ASSERT_TRUE(eq_job_start(&job, eq_job_read, &io));
		ASSERT_TRUE(begins(&job, buf));
		ASSERT_EQ(0, arm(b, 0, MEM_LEN));
		ASSERT_EQ(0, report(b, 1));
		ASSERT_TRUE(eq_job_end(&job, EQ_DEADLINE_MS));
		len[0] = job.ret;
		len[1] = result(b, 0);
		ASSERT_LT(0, len[0]);
		ASSERT_LT(0, len[1]);
		ASSERT_TRUE(take_merged(b, at, len));
		ASSERT_TRUE(all_there(b));
		bench_close(b);
	}
}

/*
 * Fault queues: groups, answers, detach
 */

FIXTURE(answer)
{
	struct bench b;
};

FIXTURE_VARIANT(answer)
{
	struct kind kind;
};

FIXTURE_VARIANT_ADD(answer, plain) KIND(false);
FIXTURE_VARIANT_ADD(answer, defer) KIND(false, DEFER);
FIXTURE_VARIANT_ADD(answer, coop_nonblock) KIND(false, COOP, O_NONBLOCK);
FIXTURE_VARIANT_ADD(answer, sqpoll) KIND(false, SQPOLL);

FIXTURE_SETUP(answer)
{
	const char *lack = bench_lacks(&self->b, &variant->kind);

	if (lack)
		SKIP(return, "%s", lack);
	ASSERT_EQ(0, bench_open(&self->b));
}

FIXTURE_TEARDOWN(answer)
{
	if (!self->b.may_work)
		EXPECT_EQ(0, eq_count_workers());
	EXPECT_TRUE(all_there(&self->b));
	bench_close(&self->b);
}

/* Raise and read @nr faults. Answers to them are in @r, SUCCESS. */
static bool open_faults(struct bench *b, struct iommu_hwpt_page_response *r,
			unsigned int nr)
{
	for (; nr; nr--, r++) {
		if (report(b, 1) || take_sync(b, MEM_LEN) != 1)
			return false;
		*r = (struct iommu_hwpt_page_response) { .cookie = b->cookie };
	}
	return true;
}

/* The device got SUCCESS for these faults, in that order, and nothing else. */
static bool succeeded(struct bench *b, __u32 first, unsigned int nr)
{
	while (nr--)
		if (!eq_got(&b->w, 0, first++, EQ_GOT_SUCCESS))
			return false;
	return eq_got_nothing(&b->w, 0);
}

static int answer_by(struct bench *b, int opcode, const void *buf,
		     unsigned int len)
{
	int rc = submit(b, rw(b, opcode, OTHER, buf, len));

	return rc ? rc : result(b, OTHER);
}

static int answers(struct bench *b, const void *buf, unsigned int len)
{
	return answer_by(b, IORING_OP_WRITE, buf, len);
}

TEST_F(answer, batch)
{
	struct iommu_hwpt_page_response r[40];
	struct bench *b = &self->b;

	ASSERT_TRUE(open_faults(b, r, 3));
	r[1].code = IOMMUFD_PAGE_RESP_INVALID;
	ASSERT_EQ(3 * EQ_RESPONSE_LEN, answers(b, r, 3 * EQ_RESPONSE_LEN));
	ASSERT_TRUE(eq_got(&b->w, 0, 0, EQ_GOT_SUCCESS));
	ASSERT_TRUE(eq_got(&b->w, 0, 1, EQ_GOT_INVALID));
	ASSERT_TRUE(succeeded(b, 2, 1));
	/* Once is enough. */
	ASSERT_EQ(-EINVAL, answers(b, r, 3 * EQ_RESPONSE_LEN));
	ASSERT_TRUE(eq_got_nothing(&b->w, 0));
	/* More than the kernel takes at a time. */
	ASSERT_TRUE(open_faults(b, r, 40));
	ASSERT_EQ(sizeof(r), answers(b, r, sizeof(r)));
	ASSERT_TRUE(succeeded(b, 3, 40));
}

TEST_F(answer, bad_entries)
{
	struct iommu_hwpt_page_response r[4], bad;
	struct bench *b = &self->b;

	ASSERT_TRUE(open_faults(b, r, 4));
	bad = r[1];
	r[1].cookie = 0;
	ASSERT_EQ(EQ_RESPONSE_LEN, answers(b, r, sizeof(r)));
	ASSERT_EQ(-EINVAL, answers(b, r + 1, 3 * EQ_RESPONSE_LEN));
	r[1] = bad;
	r[1].code = IOMMUFD_PAGE_RESP_INVALID + 1;
	ASSERT_EQ(-EINVAL, answers(b, r + 1, 3 * EQ_RESPONSE_LEN));
	r[1] = bad;
	r[2].code = 77;
	ASSERT_EQ(EQ_RESPONSE_LEN, answers(b, r + 1, 3 * EQ_RESPONSE_LEN));
	r[2].code = IOMMUFD_PAGE_RESP_SUCCESS;
	ASSERT_EQ(2 * EQ_RESPONSE_LEN, answers(b, r + 2, 2 * EQ_RESPONSE_LEN));
	ASSERT_TRUE(succeeded(b, 0, 4));
}

TEST_F(answer, lengths)
{
	static const unsigned int bad[] = { 1, 4, 7, 9, 12, 15 };
	struct iommu_hwpt_page_response r[2];
	struct bench *b = &self->b;
	int i;

	ASSERT_TRUE(open_faults(b, r, 2));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		ASSERT_EQ(-EINVAL, answers(b, r, bad[i]));
	ASSERT_EQ(0, answers(b, r, 0));
	ASSERT_TRUE(eq_got_nothing(&b->w, 0));
	ASSERT_EQ(2 * EQ_RESPONSE_LEN, answers(b, r, sizeof(r)));
	ASSERT_TRUE(succeeded(b, 0, 2));
}

TEST_F(answer, bad_memory)
{
	char *edge = eq_edge(EQ_RESPONSE_LEN + 4);
	struct iommu_hwpt_page_response r[2];
	struct bench *b = &self->b;

	ASSERT_TRUE(open_faults(b, r, 2));
	memcpy(edge, r, EQ_RESPONSE_LEN + 4);
	ASSERT_EQ(-EFAULT, answers(b, eq_edge(4), EQ_RESPONSE_LEN));
	ASSERT_EQ(EQ_RESPONSE_LEN, answers(b, edge, 2 * EQ_RESPONSE_LEN));
	ASSERT_TRUE(succeeded(b, 0, 1));
	ASSERT_EQ(EQ_RESPONSE_LEN, answers(b, r + 1, EQ_RESPONSE_LEN));
	ASSERT_TRUE(succeeded(b, 1, 1));
}

/* Ten answers in registered memory: one lies across pieces of a vector. */
static struct iommu_hwpt_page_response *ten(struct bench *b)
{
	return (void *)b->mem[1];
}

TEST_F(answer, writev)
{
	struct bench *b = &self->b;
	struct iovec iov[4] = {};

	ASSERT_TRUE(open_faults(b, ten(b), 10));
	pieces(iov + 1, ten(b), 10 * EQ_RESPONSE_LEN);
	ASSERT_EQ(10 * EQ_RESPONSE_LEN, answer_by(b, IORING_OP_WRITEV, iov, 4));
	ASSERT_TRUE(succeeded(b, 0, 10));
	/* Its whole length counts. */
	iov[3].iov_len--;
	ASSERT_EQ(-EINVAL, answer_by(b, IORING_OP_WRITEV, iov, 4));
}

TEST_F(answer, write_fixed)
{
	struct bench *b = &self->b;

	ASSERT_EQ(0, register_mem(b));
	ASSERT_TRUE(open_faults(b, ten(b), 10));
	ASSERT_EQ(10 * EQ_RESPONSE_LEN, answer_by(b, IORING_OP_WRITE_FIXED, ten(b),
						  10 * EQ_RESPONSE_LEN));
	ASSERT_TRUE(succeeded(b, 0, 10));
}

TEST_F(answer, writev_fixed)
{
	struct bench *b = &self->b;
	struct iovec iov[3];

	ASSERT_EQ(0, register_mem(b));
	ASSERT_TRUE(open_faults(b, ten(b), 10));
	pieces(iov, ten(b), 10 * EQ_RESPONSE_LEN);
	ASSERT_EQ(10 * EQ_RESPONSE_LEN,
		  answer_by(b, IORING_OP_WRITEV_FIXED, iov, 3));
	ASSERT_TRUE(succeeded(b, 0, 10));
}

TEST_F(answer, registered_file)
{
	struct iommu_hwpt_page_response r;
	struct bench *b = &self->b;
	struct io_uring_sqe sqe = rw(b, IORING_OP_WRITE, 0, &r, sizeof(r));

	ASSERT_TRUE(open_faults(b, &r, 1));
	ASSERT_EQ(0, register_file(b));
	sqe.flags = IOSQE_FIXED_FILE;
	sqe.fd = 0;
	ASSERT_EQ(0, submit(b, sqe));
	ASSERT_EQ(EQ_RESPONSE_LEN, result(b, 0));
	ASSERT_TRUE(succeeded(b, 0, 1));
}

TEST_F(answer, offsets)
{
	struct iommu_hwpt_page_response r;
	struct bench *b = &self->b;
	struct io_uring_sqe sqe = rw(b, IORING_OP_WRITE, 0, &r, sizeof(r));
	int i;

	ASSERT_TRUE(open_faults(b, &r, 1));
	for (i = 0; i < ARRAY_SIZE(bad_offsets); i++) {
		sqe.off = bad_offsets[i].off;
		ASSERT_EQ(0, submit(b, sqe));
		ASSERT_EQ(bad_offsets[i].result, result(b, 0));
	}
	ASSERT_TRUE(eq_got_nothing(&b->w, 0));
	sqe.off = 0;
	ASSERT_EQ(0, submit(b, sqe));
	ASSERT_EQ(EQ_RESPONSE_LEN, result(b, 0));
	ASSERT_TRUE(succeeded(b, 0, 1));
}

TEST_F(answer, by_worker)
{
	struct iommu_hwpt_page_response r[2];
	struct bench *b = &self->b;

	b->may_work = true;
	ASSERT_TRUE(open_faults(b, r, 2));
	ASSERT_EQ(0, submit(b, async(rw(b, IORING_OP_WRITE, 0, r,
					sizeof(r)))));
	ASSERT_EQ(2 * EQ_RESPONSE_LEN, result(b, 0));
	ASSERT_TRUE(succeeded(b, 0, 2));
}

/* Answer and wait for the next fault in one call, as a VMM does. */
TEST_F(answer, linked_to_read)
{
	struct iommu_hwpt_page_response r;
	struct bench *b = &self->b;
	struct io_uring_sqe sqe = rw(b, IORING_OP_WRITE, OTHER, &r, sizeof(r));
	int round;

	sqe.flags = IOSQE_IO_LINK;
	ASSERT_TRUE(open_faults(b, &r, 1));
	for (round = 0; round < rounds(b, 150); round++) {
		add(b, sqe);
		add(b, read_of(b, 0, MEM_LEN));
		ASSERT_EQ(0, eq_ring_submit_added(&b->ring));
		ASSERT_EQ(EQ_RESPONSE_LEN, result(b, OTHER));
		ASSERT_TRUE(succeeded(b, round, 1));
		ASSERT_EQ(0, report(b, 1));
		ASSERT_EQ(1, records(b, 0));
		r.cookie = b->cookie;
	}
}

/* The cookie is the end of the record, and so the start of an answer. */
TEST_F(answer, read_linked_to_answer)
{
	struct bench *b = &self->b;
	struct io_uring_sqe sqe = read_of(b, 0, EQ_FAULT_LEN);

	ASSERT_EQ(EQ_FAULT_LEN,
		  offsetof(struct iommu_hwpt_pgfault, cookie) + sizeof(__u32));
	sqe.flags = IOSQE_IO_LINK;
	add(b, sqe);
	add(b, rw(b, IORING_OP_WRITE, OTHER,
		  b->mem[0] + offsetof(struct iommu_hwpt_pgfault, cookie),
		  EQ_RESPONSE_LEN));
	ASSERT_EQ(0, eq_ring_submit_added(&b->ring));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, records(b, 0));
	ASSERT_EQ(EQ_RESPONSE_LEN, result(b, OTHER));
	ASSERT_TRUE(succeeded(b, 0, 1));
}

static int report_group(struct bench *b, unsigned int nr)
{
	return eq_raise_group(&b->w, 0, b->raised++, nr);
}

TEST_F(answer, read_of_group)
{
	struct bench *b = &self->b;

	ASSERT_EQ(0, arm(b, 0, 3 * EQ_FAULT_LEN));
	ASSERT_EQ(0, report_group(b, 3));
	ASSERT_EQ(3, records(b, 0));
	ASSERT_EQ(0, arm(b, 0, 3 * EQ_FAULT_LEN - 1));
	ASSERT_EQ(0, report_group(b, 3));
	ASSERT_EQ(-EINVAL, result(b, 0));
	ASSERT_EQ(0, arm(b, 0, 4 * EQ_FAULT_LEN));
	ASSERT_EQ(3, records(b, 0));
}

TEST_F(answer, multishot_of_groups)
{
	struct bench *b = &self->b;

	ASSERT_EQ(0, init_bufs(b, 4, 3 * EQ_FAULT_LEN - 1));
	ASSERT_EQ(0, arm_shots(b, 0));
	ASSERT_EQ(0, report_group(b, 2));
	ASSERT_EQ(2, shot(b, 0, 0, MORE));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, shot(b, 0, 1, MORE));
	ASSERT_EQ(0, report_group(b, 3));
	ASSERT_EQ(-EINVAL, result(b, 0));
	ASSERT_EQ(2, eq_bufs_used(&b->bufs, &b->ring));
	ASSERT_EQ(3, take_sync(b, MEM_LEN));
	/* Behind others it ends what gets to it. */
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(0, report_group(b, 3));
	ASSERT_EQ(0, arm_shots(b, 1));
	ASSERT_EQ(1, shot(b, 1, 2, MORE));
	ASSERT_EQ(-EINVAL, result(b, 1));
}

TEST_F(answer, detach_under_armed_read)
{
	struct iommu_hwpt_page_response r;
	struct bench *b = &self->b;

	ASSERT_EQ(0, arm(b, 0, MEM_LEN));
	ASSERT_EQ(0, detach(b));
	ASSERT_EQ(0, attach(b));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, records(b, 0));
	ASSERT_EQ(0, arm(b, 0, MEM_LEN));
	ASSERT_EQ(0, detach(b));
	ASSERT_TRUE(eq_got(&b->w, 0, 0, EQ_GOT_INVALID));
	r = (struct iommu_hwpt_page_response) { .cookie = b->cookie };
	ASSERT_EQ(-EINVAL, answers(b, &r, sizeof(r)));
	/* Neither does it mind if a device leaves for good. */
	ASSERT_EQ(0, eq_destroy(b->w.iommu, b->w.dev[1].stdev_id));
	ASSERT_EQ(0, attach(b));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, records(b, 0));
	ASSERT_TRUE(eq_got_nothing(&b->w, 0));
}

/*
 * Queues of vIOMMU events: overflow, no writing
 */

FIXTURE(event)
{
	struct bench b;
};

FIXTURE_VARIANT(event)
{
	struct kind kind;
};

FIXTURE_VARIANT_ADD(event, plain) KIND(true);
FIXTURE_VARIANT_ADD(event, defer) KIND(true, DEFER);
FIXTURE_VARIANT_ADD(event, coop) KIND(true, COOP);
FIXTURE_VARIANT_ADD(event, sqpoll) KIND(true, SQPOLL);

FIXTURE_SETUP(event)
{
	const char *lack = bench_lacks(&self->b, &variant->kind);

	if (lack)
		SKIP(return, "%s", lack);
	ASSERT_EQ(0, bench_open(&self->b));
	self->b.may_lose = true;
}

FIXTURE_TEARDOWN(event)
{
	EXPECT_EQ(0, eq_count_workers());
	EXPECT_TRUE(all_there(&self->b));
	bench_close(&self->b);
}

TEST_F(event, lost_header)
{
	struct bench *b = &self->b;

	ASSERT_EQ(0, report(b, EQ_DEPTH + 3));
	ASSERT_EQ(EQ_DEPTH, take_sync(b, EQ_DEPTH * EQ_VEVENT_LEN));
	ASSERT_EQ(0, submit(b, poll_of(b, 0, POLLIN, 0)));
	ASSERT_EQ(POLLIN, result(b, 0));
	ASSERT_EQ(0, arm(b, 0, EQ_HEADER_LEN - 1));
	ASSERT_EQ(-EINVAL, result(b, 0));
	ASSERT_EQ(0, arm(b, 0, EQ_HEADER_LEN));
	ASSERT_EQ(1, records(b, 0));
	ASSERT_EQ(3, b->lost);
	/* Once. */
	ASSERT_EQ(0, arm(b, 0, MEM_LEN));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, records(b, 0));
	ASSERT_EQ(3, b->lost);
}

TEST_F(event, multishot_of_lost_header)
{
	struct bench *b = &self->b;

	ASSERT_EQ(0, init_bufs(b, 2, MEM_LEN));
	ASSERT_EQ(0, report(b, EQ_DEPTH + 3));
	ASSERT_EQ(0, arm_shots(b, 0));
	ASSERT_EQ(EQ_DEPTH + 1, shot(b, 0, 0, MORE));
	ASSERT_EQ(3, b->lost);
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, shot(b, 0, 1, MORE));
	ASSERT_EQ(3, b->lost);
}

TEST_F(event, multishot_of_lost_header_in_its_own_buffer)
{
	struct bench *b = &self->b;

	ASSERT_EQ(0, init_bufs(b, 2 * EQ_DEPTH, EQ_VEVENT_LEN));
	ASSERT_EQ(0, report(b, EQ_DEPTH + 3));
	ASSERT_EQ(0, arm_shots(b, 0));
	ASSERT_TRUE(shots(b, 0, 0, EQ_DEPTH));
	ASSERT_EQ(0, b->lost);
	ASSERT_EQ(1, shot(b, 0, EQ_DEPTH, MORE));
	ASSERT_EQ(3, b->lost);
}

TEST_F(event, overflow_while_out_of_buffers)
{
	struct bench *b = &self->b;

	ASSERT_EQ(0, init_bufs(b, 2, MEM_LEN));
	ASSERT_EQ(0, arm_shots(b, 0));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, shot(b, 0, 0, MORE));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(1, shot(b, 0, 1, MORE));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(-ENOBUFS, result(b, 0));
	/* One is queued. */
	ASSERT_EQ(0, report(b, EQ_DEPTH + 4));
	eq_bufs_give(&b->bufs, 0, 2);
	ASSERT_EQ(0, arm_shots(b, 0));
	ASSERT_EQ(EQ_DEPTH + 1, shot(b, 0, 0, MORE));
	ASSERT_EQ(5, b->lost);
}

/* A loss tells of itself by a gap where events follow, else by a header. */
TEST_F(event, multishot_in_a_burst)
{
	struct bench *b = &self->b;
	unsigned int bid = 0;
	__u32 burst;
	int nr;

	ASSERT_EQ(0, init_bufs(b, 128, MEM_LEN));
	ASSERT_EQ(0, arm_shots(b, 0));
	for (burst = 1; burst <= 3; burst++) {
		ASSERT_EQ(0, report(b, 3 * EQ_DEPTH));
		while (b->taken < b->raised) {
			nr = shot(b, 0, bid++, MORE);
			ASSERT_LT(0, nr);
		}
		/* Some rings look at once, some only now, some whenever. */
		if (b->kind->setup & SQPOLL)
			continue;
		nr = b->kind->setup & DEFER ? burst * 2 * EQ_DEPTH : 0;
		ASSERT_EQ(nr, b->lost);
	}
}

TEST_F(event, write)
{
	struct iommu_hwpt_page_response r = {};
	struct bench *b = &self->b;

	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(-EINVAL, answers(b, &r, sizeof(r)));
	ASSERT_EQ(-EINVAL, answers(b, &r, 0));
}

/*
 * Rings that poll for completions need files which can do that
 */

FIXTURE(iopoll)
{
	struct bench b;
};

FIXTURE_VARIANT(iopoll)
{
	struct kind kind;
};

FIXTURE_VARIANT_ADD(iopoll, fault) KIND(false, IORING_SETUP_IOPOLL);
FIXTURE_VARIANT_ADD(iopoll, vevent) KIND(true, IORING_SETUP_IOPOLL);

FIXTURE_SETUP(iopoll)
{
	const char *lack = bench_lacks(&self->b, &variant->kind);

	if (lack)
		SKIP(return, "%s", lack);
	ASSERT_EQ(0, bench_open(&self->b));
}

FIXTURE_TEARDOWN(iopoll)
{
	EXPECT_EQ(0, eq_count_workers());
	EXPECT_TRUE(all_there(&self->b));
	bench_close(&self->b);
}

TEST_F(iopoll, refused)
{
	struct bench *b = &self->b;

	ASSERT_EQ(0, arm(b, 0, MEM_LEN));
	ASSERT_EQ(-EOPNOTSUPP, result(b, 0));
	ASSERT_EQ(0, report(b, 1));
	ASSERT_EQ(0, arm(b, 0, MEM_LEN));
	ASSERT_EQ(-EOPNOTSUPP, result(b, 0));
	ASSERT_EQ(0, submit(b, poll_of(b, 0, POLLIN, 0)));
	ASSERT_EQ(-EINVAL, result(b, 0));
	ASSERT_EQ(-EOPNOTSUPP, answers(b, b->mem[0], EQ_RESPONSE_LEN));
}

TEST_HARNESS_MAIN
