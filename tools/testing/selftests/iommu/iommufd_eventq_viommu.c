// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selftest of iommufd's vIOMMU event queues, on the mock device: records, sequence
 * numbers, overflow and the LOST header.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "../kselftest_harness.h"
#include "lib/eventq_wait.h"

/*
 * vIOMMU event queues: reading
 */

FIXTURE(vevent)
{
	struct eq_world w;
};

FIXTURE_SETUP(vevent)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	ASSERT_EQ(0, eq_world_open(&self->w));
	ASSERT_EQ(0, eq_world_vevent_queue(&self->w, EQ_NO_WAIT, EQ_DEPTH));
}

FIXTURE_TEARDOWN(vevent)
{
	close(self->w.queue.fd);
	close(self->w.iommu);
}

TEST_F(vevent, read_one)
{
	struct eq_vevent v[2];

	memset(v, 0xa5, sizeof(v));
	ASSERT_EQ(0, eq_raise_vevents(&self->w, 1));
	ASSERT_EQ(EQ_VEVENT_LEN, eq_read(self->w.queue.fd, v, sizeof(v)));
	ASSERT_TRUE(eq_is_event(&v[0], 0));
	ASSERT_EQ(0xa5a5a5a5, v[1].header.flags);
	ASSERT_FALSE(eq_readable(self->w.queue.fd));
}

TEST_F(vevent, read_several_in_order)
{
	struct eq_vevent v[EQ_DEPTH];
	int i;

	ASSERT_EQ(0, eq_raise_vevents(&self->w, EQ_DEPTH));
	/* As many whole ones as fit, then the rest. */
	ASSERT_EQ(3 * EQ_VEVENT_LEN,
		  eq_read(self->w.queue.fd, v, 4 * EQ_VEVENT_LEN - 1));
	for (i = 0; i < 3; i++)
		ASSERT_TRUE(eq_is_event(&v[i], i));
	ASSERT_EQ((EQ_DEPTH - 3) * EQ_VEVENT_LEN,
		  eq_read(self->w.queue.fd, v, sizeof(v)));
	for (i = 3; i < EQ_DEPTH; i++)
		ASSERT_TRUE(eq_is_event(&v[i - 3], i));
}

TEST_F(vevent, read_small_counts)
{
	struct eq_vevent v;
	long count;

	ASSERT_EQ(0, eq_raise_vevents(&self->w, 1));
	for (count = 0; count < EQ_VEVENT_LEN; count++)
		ASSERT_EQ(-EINVAL, eq_read(self->w.queue.fd, &v, count));
	ASSERT_EQ(EQ_VEVENT_LEN, eq_read(self->w.queue.fd, &v, sizeof(v)));
	ASSERT_TRUE(eq_is_event(&v, 0));
}

TEST_F(vevent, write_is_refused)
{
	struct eq_vevent v = {};

	ASSERT_EQ(-EINVAL, eq_write(self->w.queue.fd, &v, sizeof(v)));
	ASSERT_EQ(-EINVAL, eq_write(self->w.queue.fd, &v, 8));
}

TEST_F(vevent, read_vector_is_one_buffer)
{
	char buf[2 * EQ_VEVENT_LEN];
	struct iovec iov[] = {
		{ .iov_base = buf, .iov_len = 3 },
		{ .iov_base = buf + 3, .iov_len = 6 },
		{ .iov_base = buf + 9, .iov_len = sizeof(buf) - 9 },
	};

	ASSERT_EQ(0, eq_raise_vevents(&self->w, 2));
	ASSERT_EQ(2 * EQ_VEVENT_LEN,
		  EQ_RET(readv(self->w.queue.fd, iov, ARRAY_SIZE(iov))));
	ASSERT_TRUE(eq_is_event(buf, 0));
	ASSERT_TRUE(eq_is_event(buf + EQ_VEVENT_LEN, 1));
}

TEST_F(vevent, read_fails_at_first_record)
{
	/* All of it unmapped, the header too, the payload alone. */
	static const size_t mapped[] = { 0, 7, 8, 11 };
	struct eq_vevent v[2];
	size_t i;

	ASSERT_EQ(0, eq_raise_vevents(&self->w, 2));
	for (i = 0; i < ARRAY_SIZE(mapped); i++)
		ASSERT_EQ(-EFAULT, eq_read(self->w.queue.fd,
					   eq_edge(mapped[i]), sizeof(v)));
	ASSERT_EQ(2 * EQ_VEVENT_LEN, eq_read(self->w.queue.fd, v, sizeof(v)));
	ASSERT_TRUE(eq_is_event(&v[0], 0));
	ASSERT_TRUE(eq_is_event(&v[1], 1));
}

TEST_F(vevent, read_fails_at_later_record)
{
	struct eq_vevent v[3];
	char *edge = eq_edge(EQ_VEVENT_LEN + 9);

	ASSERT_EQ(0, eq_raise_vevents(&self->w, 3));
	ASSERT_EQ(EQ_VEVENT_LEN, eq_read(self->w.queue.fd, edge, sizeof(v)));
	ASSERT_TRUE(eq_is_event(edge, 0));
	ASSERT_EQ(2 * EQ_VEVENT_LEN, eq_read(self->w.queue.fd, v, sizeof(v)));
	ASSERT_TRUE(eq_is_event(&v[0], 1));
	ASSERT_TRUE(eq_is_event(&v[1], 2));
}

/*
 * vIOMMU event queues: overflow
 */

TEST_F(vevent, overflow_at_tail)
{
	char buf[(EQ_DEPTH + 1) * EQ_VEVENT_LEN];
	int i;

	ASSERT_EQ(0, eq_raise_vevents(&self->w, EQ_DEPTH + 3));
	ASSERT_EQ(EQ_DEPTH * EQ_VEVENT_LEN + EQ_HEADER_LEN,
		  eq_read(self->w.queue.fd, buf, sizeof(buf)));
	for (i = 0; i < EQ_DEPTH; i++)
		ASSERT_TRUE(eq_is_event(buf + i * EQ_VEVENT_LEN, i));
	ASSERT_TRUE(eq_is_lost(buf + EQ_DEPTH * EQ_VEVENT_LEN, EQ_DEPTH + 2));
	/* Told once; the next event says nothing about it. */
	ASSERT_FALSE(eq_readable(self->w.queue.fd));
	ASSERT_EQ(0, eq_raise_vevents(&self->w, 1));
	ASSERT_EQ(EQ_VEVENT_LEN, eq_read(self->w.queue.fd, buf, sizeof(buf)));
	ASSERT_TRUE(eq_is_event(buf, EQ_DEPTH + 3));
	ASSERT_FALSE(eq_readable(self->w.queue.fd));
}

TEST_F(vevent, overflow_header_alone)
{
	char buf[EQ_DEPTH * EQ_VEVENT_LEN];

	ASSERT_EQ(0, eq_raise_vevents(&self->w, EQ_DEPTH + 1));
	ASSERT_EQ(EQ_DEPTH * EQ_VEVENT_LEN,
		  eq_read(self->w.queue.fd, buf, sizeof(buf)));
	ASSERT_TRUE(eq_readable(self->w.queue.fd));
	/* It fails as a record does, and stays. */
	ASSERT_EQ(-EFAULT, eq_read(self->w.queue.fd, eq_edge(7), 8));
	ASSERT_EQ(-EINVAL, eq_read(self->w.queue.fd, buf, 7));
	ASSERT_EQ(EQ_HEADER_LEN, eq_read(self->w.queue.fd, buf, EQ_HEADER_LEN));
	ASSERT_TRUE(eq_is_lost(buf, EQ_DEPTH));
	ASSERT_FALSE(eq_readable(self->w.queue.fd));
}

/* Reading the header makes no room: the depth stays what it is. */
TEST_F(vevent, overflow_keeps_depth)
{
	char buf[(EQ_DEPTH + 2) * EQ_VEVENT_LEN];
	__u32 sequence = 0;
	int round;

	for (round = 0; round < 3; round++) {
		ASSERT_EQ(0, eq_raise_vevents(&self->w, EQ_DEPTH + 1));
		ASSERT_EQ(EQ_DEPTH * EQ_VEVENT_LEN + EQ_HEADER_LEN,
			  eq_read(self->w.queue.fd, buf, sizeof(buf)));
		ASSERT_TRUE(eq_is_event(buf, sequence));
		sequence += EQ_DEPTH;
		ASSERT_TRUE(eq_is_lost(buf + EQ_DEPTH * EQ_VEVENT_LEN, sequence));
		sequence++;
	}
}

/* A later event tells by its sequence: no header then. */
TEST_F(vevent, overflow_told_by_gap)
{
	char buf[(EQ_DEPTH + 1) * EQ_VEVENT_LEN];

	ASSERT_EQ(0, eq_raise_vevents(&self->w, EQ_DEPTH + 2));
	ASSERT_EQ(EQ_VEVENT_LEN, eq_read(self->w.queue.fd, buf, EQ_VEVENT_LEN));
	ASSERT_EQ(0, eq_raise_vevents(&self->w, 1));
	ASSERT_EQ(EQ_DEPTH * EQ_VEVENT_LEN,
		  eq_read(self->w.queue.fd, buf, sizeof(buf)));
	ASSERT_TRUE(eq_is_event(buf, 1));
	ASSERT_TRUE(eq_is_event(buf + (EQ_DEPTH - 2) * EQ_VEVENT_LEN, EQ_DEPTH - 1));
	ASSERT_TRUE(eq_is_event(buf + (EQ_DEPTH - 1) * EQ_VEVENT_LEN, EQ_DEPTH + 2));
	ASSERT_FALSE(eq_readable(self->w.queue.fd));
}

/*
 * vIOMMU event queues: everything else
 */

TEST_F(vevent, poll)
{
	const short in = POLLIN | POLLRDNORM;
	char buf[EQ_DEPTH * EQ_VEVENT_LEN];

	ASSERT_EQ(0, eq_poll_now(self->w.queue.fd));
	ASSERT_EQ(0, eq_raise_vevents(&self->w, EQ_DEPTH + 1));
	ASSERT_EQ(in, eq_poll_now(self->w.queue.fd));
	ASSERT_EQ(EQ_DEPTH * EQ_VEVENT_LEN,
		  eq_read(self->w.queue.fd, buf, sizeof(buf)));
	/* The LOST header is something to read, too. */
	ASSERT_EQ(in, eq_poll_now(self->w.queue.fd));
	ASSERT_EQ(EQ_HEADER_LEN, eq_read(self->w.queue.fd, buf, sizeof(buf)));
	ASSERT_EQ(0, eq_poll_now(self->w.queue.fd));
}

TEST_F(vevent, fdinfo)
{
	int fd = self->w.queue.fd;
	char buf[(EQ_DEPTH + 1) * EQ_VEVENT_LEN], class[64];

	ASSERT_EQ(0, eq_raise_vevents(&self->w, EQ_DEPTH + 3));
	ASSERT_EQ(EQ_DEPTH * EQ_VEVENT_LEN + EQ_HEADER_LEN,
		  eq_read(fd, buf, sizeof(buf)));
	ASSERT_EQ(0, eq_fdinfo(fd, "queued"));
	ASSERT_EQ(0, eq_raise_vevents(&self->w, 2));
	ASSERT_EQ(self->w.queue.id, eq_fdinfo(fd, "eventq-id"));
	ASSERT_EQ(0, eq_fdinfo_text(fd, "eventq-class", class, sizeof(class)));
	ASSERT_STREQ("viommu", class);
	ASSERT_EQ(self->w.viommu, eq_fdinfo(fd, "viommu-id"));
	ASSERT_EQ(IOMMU_VEVENTQ_TYPE_SELFTEST, eq_fdinfo(fd, "type"));
	ASSERT_EQ(EQ_DEPTH, eq_fdinfo(fd, "depth"));
	ASSERT_EQ(2, eq_fdinfo(fd, "queued"));
	ASSERT_EQ(3, eq_fdinfo(fd, "lost"));
	ASSERT_EQ(EQ_DEPTH + 5, eq_fdinfo(fd, "next-sequence"));
}

/* The driver must not be told of a failure that is the guest's doing. */
TEST_F(vevent, report_after_close)
{
	ASSERT_EQ(0, eq_raise_vevents(&self->w, 2));
	ASSERT_EQ(0, close(self->w.queue.fd));
	self->w.queue.fd = -1;
	ASSERT_EQ(0, eq_raise_vevents(&self->w, 3 * EQ_DEPTH));
	ASSERT_EQ(0, eq_destroy(self->w.iommu, self->w.queue.id));
	ASSERT_EQ(-EOPNOTSUPP, eq_raise_vevents(&self->w, 1));
}

/* Whoever has the type next starts at the beginning. */
TEST_F(vevent, next_queue_starts_afresh)
{
	struct eq_vevent v[EQ_DEPTH];
	struct eq_queue *q = &self->w.queue;

	ASSERT_EQ(0, eq_raise_vevents(&self->w, EQ_DEPTH + 3));
	ASSERT_EQ(EQ_VEVENT_LEN, eq_read(q->fd, v, EQ_VEVENT_LEN));
	ASSERT_EQ(0, close(q->fd));
	ASSERT_EQ(0, eq_destroy(self->w.iommu, q->id));
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, EQ_NO_WAIT,
				     1, q));
	ASSERT_FALSE(eq_readable(q->fd));
	ASSERT_EQ(0, eq_read(q->fd, v, sizeof(v)));
	ASSERT_EQ(0, eq_fdinfo(q->fd, "lost"));
	/* A depth of 1 does what larger ones do. */
	ASSERT_EQ(0, eq_raise_vevents(&self->w, 1));
	ASSERT_EQ(EQ_VEVENT_LEN, eq_read(q->fd, v, sizeof(v)));
	ASSERT_TRUE(eq_is_event(v, 0));
	ASSERT_EQ(0, eq_raise_vevents(&self->w, 3));
	ASSERT_EQ(EQ_VEVENT_LEN + EQ_HEADER_LEN, eq_read(q->fd, v, sizeof(v)));
	ASSERT_TRUE(eq_is_event(v, 1));
	ASSERT_TRUE(eq_is_lost(v + 1, 3));
	ASSERT_FALSE(eq_readable(q->fd));
}

/* An event goes to the queue of its type, on its vIOMMU. */
TEST_F(vevent, other_queues_get_nothing)
{
	struct eq_queue other_type, other_viommu;
	struct eq_world *w = &self->w;
	struct eq_vevent v[2];
	__u32 viommu;

	ASSERT_EQ(0, eq_vevent_queue(w->iommu, w->viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST_32,
				     EQ_NO_WAIT, EQ_DEPTH, &other_type));
	ASSERT_EQ(0, eq_viommu(w->iommu, w->ioas, &w->dev[1], &viommu));
	ASSERT_EQ(0, eq_vdevice(w->iommu, viommu, &w->dev[1], EQ_VIRT_ID));
	ASSERT_EQ(-EOPNOTSUPP, eq_vevents(w->iommu, &w->dev[1], 1));
	ASSERT_EQ(0, eq_vevent_queue(w->iommu, viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, EQ_NO_WAIT,
				     EQ_DEPTH, &other_viommu));

	ASSERT_EQ(0, eq_raise_vevents(w, 2));
	ASSERT_FALSE(eq_readable(other_type.fd));
	ASSERT_FALSE(eq_readable(other_viommu.fd));
	ASSERT_EQ(0, eq_vevents(w->iommu, &w->dev[1], 1));
	ASSERT_EQ(EQ_VEVENT_LEN, eq_read(other_viommu.fd, v, sizeof(v)));
	ASSERT_TRUE(eq_is_event(v, 0));
	ASSERT_EQ(2 * EQ_VEVENT_LEN, eq_read(w->queue.fd, v, sizeof(v)));
	ASSERT_TRUE(eq_is_event(&v[0], 0));
	ASSERT_TRUE(eq_is_event(&v[1], 1));
}

TEST_HARNESS_MAIN
