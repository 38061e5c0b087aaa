// SPDX-License-Identifier: GPL-2.0-only
/*
 * The long tail of iommufd_eventq_viommu, the selftest of vIOMMU event queues:
 * overflow under a reader that is stuck, any order of reports and reads against a
 * model, races, readers under load.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "kselftest_harness.h"
#include "lib/eventq_wait.h"
#include "stall.h"

#define ALL_LEN (EQ_DEPTH * EQ_VEVENT_LEN)

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

/*
 * vIOMMU event queues: overflow
 */

/*
 * A reader who stalls: the vector's second piece does, at which it either goes
 * on or fails in the end
 */
struct stalled_reader {
	int fd;
	char buf[2 * ALL_LEN];
	struct iovec iov[2];
	struct eq_stall stall;
	struct eq_job job;
};

static long job_readv(void *arg)
{
	struct stalled_reader *r = arg;

	return EQ_RET(readv(r->fd, r->iov, 2));
}

static bool stall_reader(struct stalled_reader *r, int fd, size_t first)
{
	if (eq_stall_init(&r->stall))
		return false;
	r->fd = fd;
	r->iov[0] = (struct iovec){ r->buf, first };
	r->iov[1] = (struct iovec){ r->stall.page, r->stall.len };
	return eq_job_start(&r->job, job_readv, r) && eq_stall_hit(&r->stall);
}

/* Let it end, as it should; what it read is in @buf then, in one piece. */
static bool end_reader(struct stalled_reader *r, bool fails, long ret)
{
	size_t first = r->iov[0].iov_len;

	if (fails ? eq_stall_break(&r->stall) :
		    eq_stall_fill(&r->stall, NULL, 0))
		return false;
	if (!eq_job_end(&r->job, EQ_DEADLINE_MS) || r->job.ret != ret)
		return false;
	if (!fails)
		memcpy(r->buf + first, r->stall.page, sizeof(r->buf) - first);
	return true;
}

/* What the reader has in its hands still counts, however it ends. */
TEST_F(vevent, events_lost_under_reader)
{
	const long all = ALL_LEN + EQ_HEADER_LEN;
	int fd = self->w.queue.fd, i, j;
	__u32 sequence = 0;

	for (i = 0; i < 4; i++) {
		bool late = i & 1, fails = i & 2;
		size_t first = late ? 3 * EQ_VEVENT_LEN + 5 : 0;
		struct stalled_reader r = {};
		long ret = all;

		ASSERT_EQ(0, eq_raise_vevents(&self->w, EQ_DEPTH));
		ASSERT_TRUE(stall_reader(&r, fd, first));
		ASSERT_EQ(0, eq_raise_vevents(&self->w, 2));
		if (fails)
			ret = late ? 3 * EQ_VEVENT_LEN : -EFAULT;
		ASSERT_TRUE(end_reader(&r, fails, ret));
		if (ret < 0)
			ret = 0;
		ASSERT_EQ(all - ret, eq_read(fd, r.buf + ret,
					     sizeof(r.buf) - ret));
		for (j = 0; j < EQ_DEPTH; j++)
			ASSERT_TRUE(eq_is_event(r.buf + j * EQ_VEVENT_LEN,
						sequence + j));
		ASSERT_TRUE(eq_is_lost(r.buf + ALL_LEN, sequence + EQ_DEPTH + 1));
		ASSERT_FALSE(eq_readable(fd));
		sequence += EQ_DEPTH + 2;
	}
	ASSERT_EQ(4 * 2, eq_fdinfo(fd, "lost"));
}

/*
 * The LOST header is in a reader's hands while more happens: it is what it was,
 * and takes nothing away of what came after it.
 */
TEST_F(vevent, lost_header_in_hand)
{
	static const int meanwhile[] = { 0, 1, EQ_DEPTH, EQ_DEPTH + 1, EQ_DEPTH + 3 };
	int fd = self->w.queue.fd, i, j;
	__u32 sequence = 0;

	for (i = 0; i < 2 * (int)ARRAY_SIZE(meanwhile); i++) {
		int nr = meanwhile[i / 2], stored = nr < EQ_DEPTH ? nr : EQ_DEPTH;
		struct stalled_reader r = {};
		char buf[ALL_LEN + EQ_HEADER_LEN];
		bool fails = i & 1, told;
		char *pos = r.buf;
		long len;

		ASSERT_EQ(0, eq_raise_vevents(&self->w, EQ_DEPTH + 1));
		ASSERT_EQ(ALL_LEN, eq_read(fd, buf, ALL_LEN));
		ASSERT_TRUE(eq_is_event(buf, sequence));
		sequence += EQ_DEPTH;
		ASSERT_TRUE(stall_reader(&r, fd, 0));
		ASSERT_EQ(0, eq_raise_vevents(&self->w, nr));
		/* Unless it fails, and an event tells of the loss by its gap */
		told = !fails || !nr;
		len = stored * EQ_VEVENT_LEN + (nr > EQ_DEPTH ? EQ_HEADER_LEN : 0) +
		      (told ? EQ_HEADER_LEN : 0);
		ASSERT_TRUE(end_reader(&r, fails, fails ? -EFAULT : len));
		if (fails)
			ASSERT_EQ(len, eq_read(fd, r.buf, sizeof(r.buf)));

		if (told) {
			ASSERT_TRUE(eq_is_lost(pos, sequence));
			pos += EQ_HEADER_LEN;
		}
		sequence++;
		for (j = 0; j < stored; j++, pos += EQ_VEVENT_LEN)
			ASSERT_TRUE(eq_is_event(pos, sequence + j));
		sequence += nr;
		if (nr > EQ_DEPTH)
			ASSERT_TRUE(eq_is_lost(pos, sequence - 1));
		ASSERT_FALSE(eq_readable(fd));
		ASSERT_EQ(sequence, eq_fdinfo(fd, "next-sequence"));
	}
}

/*
 * vIOMMU event queues: any order of reports and reads, against a model of what
 * the queue is
 */

#define MODEL_STEPS 4000

struct model {
	__u32 events[EQ_DEPTH];
	unsigned int nr;
	__u32 sequence;
	bool lost;
	__u32 lost_sequence;
	long nr_lost;
	char *edge;		/* of a page to read into */
};

static __u32 next_random(__u32 *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

static void model_report(struct model *m)
{
	if (m->nr < EQ_DEPTH) {
		m->events[m->nr++] = m->sequence;
		m->lost = false;
	} else {
		m->lost = true;
		m->lost_sequence = m->sequence;
		m->nr_lost++;
	}
	m->sequence++;
}

/* The whole records that fit into @room bytes, as they have to come */
static long model_read(struct model *m, size_t room, char *buf)
{
	struct eq_vevent v = { .event.virt_id = EQ_VIRT_ID };
	char *pos = buf;
	unsigned int i;

	for (i = 0; i < m->nr && room >= EQ_VEVENT_LEN; i++, room -= EQ_VEVENT_LEN) {
		v.header.sequence = m->events[i];
		memcpy(pos, &v, EQ_VEVENT_LEN);
		pos += EQ_VEVENT_LEN;
	}
	m->nr -= i;
	memmove(m->events, m->events + i, m->nr * sizeof(m->events[0]));
	if (!m->nr && m->lost && room >= EQ_HEADER_LEN) {
		v.header.flags = IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
		v.header.sequence = m->lost_sequence;
		memcpy(pos, &v.header, EQ_HEADER_LEN);
		pos += EQ_HEADER_LEN;
		m->lost = false;
	}
	return pos - buf;
}

/* Read @count bytes, of which those from @hole on cannot be written. */
static bool read_as_model(struct model *m, int fd, size_t count, size_t hole)
{
	bool empty = !m->nr && !m->lost, bad = hole < count;
	char want[ALL_LEN + EQ_HEADER_LEN];
	char *buf = m->edge - hole;
	long len = 0, ret;

	if (count >= EQ_HEADER_LEN)
		len = model_read(m, bad ? hole : count, want);
	ret = eq_read(fd, buf, count);
	if (len)
		len = ret == len && !memcmp(buf, want, len);
	else if (count < EQ_HEADER_LEN || (!empty && !bad))
		len = ret == -EINVAL;
	else
		len = ret == (empty ? 0 : -EFAULT);
	return len;
}

TEST_F(vevent, reads_and_reports_in_any_order)
{
	int fd = self->w.queue.fd, step;
	struct model m = { .edge = eq_edge(4096) + 4096 };
	__u32 random = 1;

	for (step = 0; step < MODEL_STEPS; step++) {
		size_t room = next_random(&random) % (ALL_LEN + 16);
		unsigned int nr = next_random(&random) % 5;

		switch (next_random(&random) % 4) {
		case 0:
			ASSERT_TRUE(read_as_model(&m, fd, room, 4000));
			break;
		case 1:
			/* Small counts, and a first record that is too large */
			ASSERT_TRUE(read_as_model(&m, fd, room % 16, 4000));
			ASSERT_TRUE(read_as_model(&m, fd, 4096, room));
			break;
		default:
			for (; nr; nr--) {
				ASSERT_EQ(0, eq_raise_vevents(&self->w, 1));
				model_report(&m);
			}
		}
		ASSERT_EQ(m.nr || m.lost, eq_readable(fd)) {
			TH_LOG("step %d", step);
		}
	}
	ASSERT_EQ(m.nr + m.lost, eq_fdinfo(fd, "queued"));
	ASSERT_EQ(m.nr_lost, eq_fdinfo(fd, "lost"));
	ASSERT_EQ(m.sequence, eq_fdinfo(fd, "next-sequence"));
}

/* Two threads that allocate at the same time, time and again */

struct racer {
	struct eq_world *w;
	unsigned int *ready;
	struct eq_queue queue;
};

static void meet(struct racer *racer)
{
	__atomic_add_fetch(racer->ready, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(racer->ready, __ATOMIC_ACQUIRE) < 2)
		;
}

#define NR_ALLOC_RACES 25

/* The depth takes a while to allocate: the other looks for a queue meanwhile. */
static long job_alloc(void *arg)
{
	struct racer *racer = arg;

	meet(racer);
	return eq_vevent_queue(racer->w->iommu, racer->w->viommu,
			       IOMMU_VEVENTQ_TYPE_SELFTEST_32, EQ_NO_WAIT,
			       EQ_MAX_DEPTH, &racer->queue);
}

/* Of those who allocate at the same time one gets the type. */
TEST_F_TIMEOUT(vevent, allocations_race, 120)
{
	int round, winner, i, fd = eq_lowest_free_fd();
	unsigned int ready;
	struct racer racer[2];
	struct eq_queue third;
	struct eq_job job[2];

	for (round = 0; round < NR_ALLOC_RACES; round++) {
		ready = 0;
		for (i = 0; i < 2; i++) {
			racer[i].w = &self->w;
			racer[i].ready = &ready;
			ASSERT_TRUE(eq_job_start(&job[i], job_alloc,
						 &racer[i]));
		}
		for (i = 0; i < 2; i++)
			ASSERT_TRUE(eq_job_end(&job[i], EQ_DEADLINE_MS));
		winner = !!job[0].ret;
		ASSERT_EQ(0, job[winner].ret);
		ASSERT_EQ(-EEXIST, job[!winner].ret);
		ASSERT_EQ(-EEXIST,
			  eq_vevent_queue(self->w.iommu, self->w.viommu,
					  IOMMU_VEVENTQ_TYPE_SELFTEST_32,
					  EQ_NO_WAIT, EQ_DEPTH, &third));
		ASSERT_EQ(0, close(racer[winner].queue.fd));
		ASSERT_EQ(0, eq_destroy(self->w.iommu, racer[winner].queue.id));
		ASSERT_EQ(fd, eq_lowest_free_fd());
	}
}

/* Two readers with buffers of different sizes, under load */

#define LOAD_EVENTS 2000

struct load_reader {
	int fd;
	size_t len;		/* of the buffer */
	bool *stop;
	__u8 *seen;		/* one count for each sequence */
	__u32 next;		/* what can come at the earliest */
};

/* Enter the record at @buf. Return its length. */
static long load_note(struct load_reader *reader, const char *buf)
{
	struct eq_vevent v = {};
	bool lost;

	memcpy(&v.header, buf, EQ_HEADER_LEN);
	lost = v.header.flags == IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
	if (!lost)
		memcpy(&v, buf, EQ_VEVENT_LEN);
	if ((!lost && (v.header.flags || v.event.virt_id != EQ_VIRT_ID)) ||
	    v.header.sequence >= LOAD_EVENTS ||
	    v.header.sequence < reader->next)
		return -EPROTO;
	reader->next = v.header.sequence + 1;
	if (lost)
		return EQ_HEADER_LEN;
	__atomic_add_fetch(&reader->seen[v.header.sequence], 1,
			   __ATOMIC_RELAXED);
	return EQ_VEVENT_LEN;
}

static long job_load_read(void *arg)
{
	struct load_reader *reader = arg;
	char buf[16 * EQ_VEVENT_LEN];

	for (;;) {
		bool stop = __atomic_load_n(reader->stop, __ATOMIC_ACQUIRE);
		long len = eq_read(reader->fd, buf, reader->len);
		long at = 0, rc = 0;

		if (len < 0)
			return len;
		if (!len && stop)
			return 0;
		if (!len)
			usleep(100);
		for (; at < len && rc >= 0; at += rc)
			rc = load_note(reader, buf + at);
		if (rc < 0)
			return rc;
	}
}

FIXTURE(vevent_load)
{
	struct eq_world w;
};

FIXTURE_VARIANT(vevent_load)
{
	__u32 depth;
};

FIXTURE_VARIANT_ADD(vevent_load, room_for_all)
{
	.depth = LOAD_EVENTS,
};

FIXTURE_VARIANT_ADD(vevent_load, overflow)
{
	.depth = 3,
};

FIXTURE_SETUP(vevent_load)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	ASSERT_EQ(0, eq_world_open(&self->w));
	ASSERT_EQ(0, eq_world_vevent_queue(&self->w, EQ_NO_WAIT,
					   variant->depth));
}

FIXTURE_TEARDOWN(vevent_load)
{
	close(self->w.queue.fd);
	close(self->w.iommu);
}

/* Every event comes once, or was counted as lost. */
TEST_F(vevent_load, readers_see_the_order)
{
	static __u8 seen[LOAD_EVENTS];
	struct load_reader reader[2];
	struct eq_job job[2];
	bool stop = false;
	long missing = 0;
	int i;

	for (i = 0; i < 2; i++) {
		reader[i].fd = self->w.queue.fd;
		reader[i].len = i ? 16 * EQ_VEVENT_LEN : EQ_VEVENT_LEN;
		reader[i].stop = &stop;
		reader[i].seen = seen;
		reader[i].next = 0;
		ASSERT_TRUE(eq_job_start(&job[i], job_load_read, &reader[i]));
	}
	ASSERT_EQ(0, eq_raise_vevents(&self->w, LOAD_EVENTS));
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < 2; i++) {
		ASSERT_TRUE(eq_job_end(&job[i], EQ_DEADLINE_MS));
		ASSERT_EQ(0, job[i].ret);
	}
	for (i = 0; i < LOAD_EVENTS; i++) {
		ASSERT_GE(1, seen[i]);
		missing += !seen[i];
	}
	ASSERT_EQ(eq_fdinfo(self->w.queue.fd, "lost"), missing);
	if (variant->depth == LOAD_EVENTS)
		ASSERT_EQ(0, missing);
	/* The last event was seen, or a LOST header of it. */
	ASSERT_TRUE(reader[0].next == LOAD_EVENTS ||
		    reader[1].next == LOAD_EVENTS);
}

/* Reads as it is told to, until it has seen the last of the events. */
static long job_read_as_polled(void *arg)
{
	struct load_reader *reader = arg;
	char buf[16 * EQ_VEVENT_LEN];

	while (reader->next < LOAD_EVENTS) {
		long len, at, rc;

		if (!eq_readable(reader->fd))
			continue;
		len = eq_read_nowait(reader->fd, buf, reader->len);
		/* Nobody else reads: what was there is there. */
		if (len <= 0)
			return len ? len : -ENODATA;
		for (at = 0; at < len; at += rc) {
			rc = load_note(reader, buf + at);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

/* What poll promises to the only reader holds when the records come right then. */
static void check_readable(struct __test_metadata *_metadata,
			   struct _test_data_vevent_load *self, size_t len)
{
	static __u8 seen[LOAD_EVENTS];
	struct load_reader reader = {
		.fd = self->w.queue.fd,
		.len = len,
		.seen = seen,
	};
	struct eq_job job;

	ASSERT_TRUE(eq_job_start(&job, job_read_as_polled, &reader));
	ASSERT_EQ(0, eq_raise_vevents(&self->w, LOAD_EVENTS));
	ASSERT_TRUE(eq_job_end(&job, EQ_DEADLINE_MS));
	ASSERT_EQ(0, job.ret);
	ASSERT_FALSE(eq_readable(self->w.queue.fd));
}

TEST_F(vevent_load, readable_means_a_record)
{
	check_readable(_metadata, self, EQ_VEVENT_LEN);
}

/* Also if a read takes more than it was told of. */
TEST_F(vevent_load, readable_means_records)
{
	check_readable(_metadata, self, 16 * EQ_VEVENT_LEN);
}

TEST_HARNESS_MAIN
