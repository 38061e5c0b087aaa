// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selftest of iommufd's vIOMMU event queues, on the mock device: records,
 * sequence numbers, overflow and the LOST header.
 */
#define _GNU_SOURCE

#include "../kselftest_harness.h"
#include "iommufd_eventq_world.h"

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

TEST_HARNESS_MAIN
