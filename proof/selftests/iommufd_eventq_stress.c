// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selftest of iommufd's event queues under load: reporters, readers of each kind,
 * writers of answers and those who move, close, destroy and allocate, all at once
 * in threads of their own, for a time. The time only says when to stop; what the
 * verdict is made of are the books in iommufd_eventq_stress.h, which know of
 * each fault group and each event.
 *
 * EVENTQ_STRESS_SECONDS in the environment says how long all of the cases take
 * together, each its share, EVENTQ_STRESS_SEED what the threads' random numbers
 * come from.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "calls.h"
#include "iommufd_eventq_stress.h"
#include "lib/eventq_uring.h"

#define SECONDS 60
#define SEED 1
/* Whoever does not end within this is stuck, */
#define PATIENCE_MS 120000
/* as is what comes no nearer to its end for so long. */
#define STALL_MS 10000
/* How long a thread waits for something before it looks whether to stop */
#define NAP_MS 20

#define PASID 77
/* Fewer than the answers that the mock keeps, so that none goes unseen */
#define UNANSWERED (MOCK_IOPF_RESPONSES - 16)
#define INBOX 8192
#define INBOX_HIGH 512
#define COOKIES 0x100000U
#define BUFFER 4096

enum { FAULTS = 1, EVENTS = 2, LIFE = 4 };

/*
 * Whoever uses a queue holds a reference; the last one closes its file. So the
 * last close comes from any thread, and no descriptor is used after it.
 */
struct stress_queue {
	struct eq_queue q;
	bool waits;			/* reads do, for the first record */
	unsigned int refs, generation;
	__u32 hwpt[2];			/* of a fault queue */
	__u32 *cookies;			/* by their lower bits */
	struct event_books events;
};

struct unanswered {
	struct stress_queue *queue;
	__u32 cookie, grpid;
};

struct stress;

struct thread {
	struct eq_job job;
	struct stress *s;
	unsigned int nr;	/* among its like */
	bool viommu;
	__u64 random;
	bool running;
};

#define MAX_THREADS 24

struct stress {
	int iommu;
	__u32 ioas, viommu;
	unsigned int load;
	struct fault_books faults;
	struct eq_dev event_devs[EVENT_REPORTERS][EVENT_DEVS];
	struct eq_dev spare, vspare;
	__u32 spare_viommu;

	pthread_mutex_t lock;	/* of the references and the inbox */
	struct stress_queue *queue, *vqueue;
	unsigned int generation;
	struct unanswered inbox[INBOX];
	unsigned int inbox_head, inbox_tail;

	/* Reporters of events hold it, so that they can be made to pause */
	pthread_rwlock_t gate;
	__u32 reported[EVENT_REPORTERS];
	unsigned int stop_moving, stop_raising, stop;
	__u64 seed;
	unsigned int ms;

	struct thread threads[MAX_THREADS];
	unsigned int nr_threads;
	__u64 nr_moves, nr_reports, nr_lost, nr_refused_reports, nr_audits;
};

/* Sleeps take a tick or more: mostly let the others run only. */
static void rest(__u64 *random)
{
	if (below(random, 16))
		sched_yield();
	else
		usleep(100);
}

static bool said(unsigned int *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

static void say(unsigned int *flag)
{
	__atomic_store_n(flag, true, __ATOMIC_RELEASE);
}

static void count(__u64 *number)
{
	__atomic_fetch_add(number, 1, __ATOMIC_RELAXED);
}

static __u64 now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

/* For what may take long, but goes on: @where changes then. */
struct progress {
	__u64 where, since;
};

static bool goes_on(struct progress *p, __u64 where)
{
	__u64 now = now_ms();

	if (!p->since || p->where != where) {
		p->where = where;
		p->since = now;
	}
	return now - p->since < STALL_MS && !is_wrong();
}

/* A call that has to work */
static bool must(long rc, const char *what)
{
	if (rc)
		wrong("%s: %s", what, strerror(-rc));
	return !rc;
}

#define MUST(call) must(call, #call)

/* Queues and who uses them */

static struct stress_queue *get_queue(struct stress *s, bool viommu)
{
	struct stress_queue *queue;

	pthread_mutex_lock(&s->lock);
	queue = viommu ? s->vqueue : s->queue;
	if (queue)
		queue->refs++;
	pthread_mutex_unlock(&s->lock);
	return queue;
}

static bool is_in_place(struct stress *s, bool viommu,
			struct stress_queue *queue)
{
	bool in_place;

	pthread_mutex_lock(&s->lock);
	in_place = queue == (viommu ? s->vqueue : s->queue);
	pthread_mutex_unlock(&s->lock);
	return in_place;
}

static void put_queue(struct stress *s, struct stress_queue *queue)
{
	bool last;

	pthread_mutex_lock(&s->lock);
	last = !--queue->refs;
	pthread_mutex_unlock(&s->lock);
	if (!last)
		return;
	close(queue->q.fd);
	if (queue->cookies)
		munmap(queue->cookies, COOKIES * sizeof(*queue->cookies));
	free(queue);
}

/* A new queue, known to nobody yet */
static struct stress_queue *new_queue(struct stress *s)
{
	struct stress_queue *queue = calloc(1, sizeof(*queue));

	queue->refs = 1;
	queue->generation =
		__atomic_add_fetch(&s->generation, 1, __ATOMIC_RELAXED);
	return queue;
}

static struct stress_queue *new_fault_queue(struct stress *s, __u32 flags)
{
	struct stress_queue *queue = new_queue(s);
	unsigned int i;

	queue->waits = flags & EQ_WAIT;
	queue->cookies = lazy_memory(COOKIES * sizeof(*queue->cookies));
	MUST(eq_fault_queue(s->iommu, flags, &queue->q));
	for (i = 0; i < 2; i++)
		MUST(eq_fault_hwpt(s->iommu, &s->faults.devs[0].dev, s->ioas,
				   queue->q.id, &queue->hwpt[i]));
	return queue;
}

static struct stress_queue *new_vevent_queue(struct stress *s, __u32 flags,
					     __u32 depth)
{
	struct stress_queue *queue = new_queue(s);

	queue->waits = flags & EQ_WAIT;
	queue->events.log = lazy_memory(EVENT_CAPACITY);
	MUST(eq_vevent_queue(s->iommu, s->viommu, IOMMU_VEVENTQ_TYPE_SELFTEST,
			     flags, depth, &queue->q));
	return queue;
}

/* Make it the one that everybody finds, return the one before */
static struct stress_queue *install(struct stress *s, bool viommu,
				    struct stress_queue *queue)
{
	struct stress_queue **place = viommu ? &s->vqueue : &s->queue;
	struct stress_queue *old;

	pthread_mutex_lock(&s->lock);
	old = *place;
	*place = queue;
	pthread_mutex_unlock(&s->lock);
	return old;
}

/* Destroy a queue whose file somebody is about to close */
static void destroy_queue(struct stress *s, __u32 id)
{
	__u64 end = now_ms() + PATIENCE_MS;
	int rc;

	do {
		rc = eq_destroy(s->iommu, id);
		if (rc != -EBUSY)
			break;
		usleep(1000);
	} while (now_ms() < end);
	must(rc, "destroy of a queue");
}

/* What was read and waits for an answer. Takes over the reference. */
static void post(struct stress *s, struct stress_queue *queue, __u32 cookie,
		 __u32 grpid)
{
	pthread_mutex_lock(&s->lock);
	if (s->inbox_tail - s->inbox_head == INBOX)
		wrong("too many faults are unanswered");
	queue->refs++;
	s->inbox[s->inbox_tail++ % INBOX] =
		(struct unanswered){ queue, cookie, grpid };
	pthread_mutex_unlock(&s->lock);
}

static unsigned int in_inbox(struct stress *s)
{
	unsigned int nr;

	pthread_mutex_lock(&s->lock);
	nr = s->inbox_tail - s->inbox_head;
	pthread_mutex_unlock(&s->lock);
	return nr;
}

/* Up to @max of one queue, from anywhere in the inbox, but the older the rather */
static unsigned int fetch(struct stress *s, __u64 *random,
			  struct unanswered *some, unsigned int max)
{
	unsigned int nr = 0, used;

	pthread_mutex_lock(&s->lock);
	while (nr < max && (used = s->inbox_tail - s->inbox_head)) {
		struct unanswered *first = &s->inbox[s->inbox_head % INBOX];
		struct unanswered *any;

		if (used > 16)
			used = 16;
		any = &s->inbox[(s->inbox_head + below(random, used)) % INBOX];
		some[nr] = *any;
		if (nr && some[nr].queue != some[0].queue)
			break;
		*any = *first;
		s->inbox_head++;
		nr++;
	}
	pthread_mutex_unlock(&s->lock);
	return nr;
}

/* Reporters */

/* Take the answers that the device got */
static void collect(struct stress *s, unsigned int nr)
{
	struct eq_response a;

	while (MUST(eq_pop_response(s->iommu, &s->faults.devs[nr].dev, &a)) &&
	       a.code != EQ_GOT_NOTHING)
		book_got(&s->faults, nr, &a);
}

static void raise_group(struct stress *s, struct eq_dev *dev, __u32 pasid,
			__u32 grpid, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		MUST(eq_fault_op(s->iommu, i + 1 < nr ?
				 IOMMU_TEST_OP_TRIGGER_IOPF_PART :
				 IOMMU_TEST_OP_TRIGGER_IOPF,
				 dev, pasid, grpid, EQ_ADDR(i)));
}

/* Device 2 raises faults of its RID and of a PASID. */
static long raise_faults(void *arg)
{
	struct thread *t = arg;
	struct stress *s = t->s;
	struct eq_dev *dev = &s->faults.devs[t->nr].dev;

	while (!said(&s->stop_raising)) {
		unsigned int nr = 1 + below(&t->random, MAX_FAULTS);
		__u32 grpid, pasid;

		collect(s, t->nr);
		if (book_unanswered(&s->faults, t->nr) >= UNANSWERED ||
		    in_inbox(s) >= INBOX_HIGH) {
			rest(&t->random);
			continue;
		}
		grpid = book_raise(&s->faults, t->nr, nr);
		pasid = t->nr == 2 && below(&t->random, 2) ? PASID : 0;
		raise_group(s, dev, pasid, grpid, nr);
		if (!below(&t->random, 64))
			usleep(below(&t->random, 2000));
	}
	return 0;
}

static long report_events(void *arg)
{
	struct thread *t = arg;
	struct stress *s = t->s;

	while (!said(&s->stop_raising)) {
		unsigned int burst = 1 + below(&t->random, 64);

		pthread_rwlock_rdlock(&s->gate);
		while (burst--) {
			unsigned int i = s->reported[t->nr] % EVENT_DEVS;
			int rc = eq_vevents(s->iommu,
					    &s->event_devs[t->nr][i], 1);

			if (!rc) {
				s->reported[t->nr]++;
				count(&s->nr_reports);
			} else if (rc == -EOPNOTSUPP && s->load & LIFE) {
				count(&s->nr_refused_reports);
			} else {
				must(rc, "report of an event");
			}
		}
		pthread_rwlock_unlock(&s->gate);
		usleep(below(&t->random, 1000));
	}
	return 0;
}

/* Readers */

/* How far a reader is in a queue; what it reads has to lie behind that. */
struct place {
	unsigned int generation;
	bool any;
	__u32 cookie;
	__s64 sequence;
	__u32 number[FAULT_DEVS];
	bool seen[FAULT_DEVS];
};

/* Is @b after @a where numbers wrap at a power of two? */
static bool is_after(__u32 a, __u32 b, __u32 end)
{
	__u32 step = (b - a) & (end - 1);

	return step && step < end / 2;
}

/* A group that is held while its device is moved comes after later ones. */
static void check_order(struct place *p, const struct iommu_hwpt_pgfault *f,
			bool is_moved)
{
	__u32 dev = (f->grpid >> 24) - 1, n = f->grpid & (NUMBERS - 1);

	if (p->any && (__s32)(f->cookie - p->cookie) <= 0)
		wrong("cookie %#x was read after %#x", f->cookie, p->cookie);
	p->any = true;
	p->cookie = f->cookie;
	if (dev >= FAULT_DEVS || is_moved)
		return;
	if (p->seen[dev] && !is_after(p->number[dev], n, NUMBERS))
		wrong("group %#x was read after number %#x", f->grpid,
		      p->number[dev]);
	p->seen[dev] = true;
	p->number[dev] = n;
}

/* Never 0 and, on the scale of this test, never used again */
static void check_cookie(struct stress_queue *queue, __u32 cookie)
{
	__u32 *slot = &queue->cookies[cookie % COOKIES];

	if (!cookie)
		wrong("a cookie is 0");
	else if (__atomic_exchange_n(slot, cookie, __ATOMIC_RELAXED) == cookie)
		wrong("cookie %#x was handed out twice", cookie);
}

static void note_faults(struct stress *s, struct stress_queue *queue,
			struct place *p, const char *buf, long len)
{
	unsigned int nr = 0, first = 0;
	struct iommu_hwpt_pgfault f;
	__u32 cookie = 0;

	for (; len >= EQ_FAULT_LEN; buf += EQ_FAULT_LEN, len -= EQ_FAULT_LEN) {
		memcpy(&f, buf, sizeof(f));
		if (!nr)
			first = (f.addr - EQ_ADDR(0)) / MOCK_PAGE_SIZE;
		if (f.addr != EQ_ADDR(first + nr) || f.__reserved || f.length ||
		    (nr && f.cookie != cookie))
			wrong("fault %u of group %#x at %#llx, cookie %#x", nr,
			      f.grpid, f.addr, f.cookie);
		cookie = f.cookie;
		nr++;
		if (!(f.flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE))
			continue;
		check_cookie(queue, cookie);
		check_order(p, &f, book_read(&s->faults, f.grpid, f.dev_id,
					     first, nr));
		post(s, queue, cookie, f.grpid);
		nr = 0;
	}
	if (len || nr)
		wrong("a read ended in the middle of a group");
}

static void note_events(struct stress_queue *queue, struct place *p,
			const char *buf, long len)
{
	struct eq_vevent v;

	while (len >= EQ_HEADER_LEN) {
		bool lost;
		long size;

		memcpy(&v.header, buf, sizeof(v.header));
		lost = v.header.flags == IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
		size = lost ? EQ_HEADER_LEN : EQ_VEVENT_LEN;
		if (len < size || (v.header.flags && !lost))
			break;
		memcpy(&v, buf, size);
		if (p->any && v.header.sequence <= p->sequence)
			wrong("event %u was read after %lld",
			      v.header.sequence, p->sequence);
		p->any = true;
		p->sequence = v.header.sequence;
		if (!lost && (!v.event.virt_id || v.event.virt_id >= TOLD_LOST))
			wrong("event %u is of device %u", v.header.sequence,
			      v.event.virt_id);
		else
			book_event(&queue->events, v.header.sequence,
				   lost ? TOLD_LOST : v.event.virt_id);
		buf += size;
		len -= size;
	}
	if (len)
		wrong("a read ended in the middle of an event");
}

static void note(struct thread *t, struct stress_queue *queue, struct place *p,
		 const char *buf, long len)
{
	if (p->generation != queue->generation) {
		p->generation = queue->generation;
		p->any = false;
	}
	if (t->viommu)
		note_events(queue, p, buf, len);
	else
		note_faults(t->s, queue, p, buf, len);
}

/* A length into which any record fits, mostly */
static size_t draw_len(struct thread *t)
{
	size_t most = t->viommu ? EQ_VEVENT_LEN : MAX_FAULTS * EQ_FAULT_LEN;

	switch (below(&t->random, 8)) {
	case 0:
		return t->viommu ? EQ_VEVENT_LEN : EQ_FAULT_LEN;
	case 1:
		return BUFFER;
	default:
		return most + below(&t->random, 8 * most);
	}
}

/* What a read may return and is no record, besides -EINVAL for lack of room */
enum {
	NOTHING = 1,	/* 0 */
	AGAIN = 2,	/* -EAGAIN */
	SIGNAL = 4,	/* -EINTR */
	HOLE = 8,	/* -EFAULT */
	CANCELLED = 16,	/* -ECANCELED */
};

static bool has_room(const struct thread *t, size_t len)
{
	return len >= (size_t)(t->viommu ? EQ_VEVENT_LEN :
					   MAX_FAULTS * EQ_FAULT_LEN);
}

/* @rc is what a read of @len bytes returned, in one of three ways. */
static void check_read(const struct thread *t, const char *way, size_t len,
		       long rc, unsigned int may)
{
	bool fine;

	switch (rc) {
	case 0:
		fine = may & NOTHING;
		break;
	case -EAGAIN:
		fine = may & AGAIN;
		break;
	case -EINTR:
		fine = may & SIGNAL;
		break;
	case -EFAULT:
		fine = may & HOLE;
		break;
	case -ECANCELED:
		fine = may & CANCELLED;
		break;
	case -EINVAL:
		fine = !has_room(t, len);
		break;
	default:
		fine = rc > 0 && rc <= (long)len;
	}
	if (!fine)
		wrong("%s of %zu bytes of %s: %ld", way, len,
		      t->viommu ? "events" : "faults", rc);
}

/* Does not wait in the read, and at times has a buffer with a hole */
static long read_by_poll(struct thread *t, struct stress_queue *queue,
			 char *buf)
{
	struct pollfd pfd = { .fd = queue->q.fd, .events = POLLIN };
	bool bad = !below(&t->random, 16);
	size_t len = draw_len(t), off = 0;
	long rc;

	if (poll(&pfd, 1, NAP_MS) <= 0)
		return 0;
	if (bad)
		off = BUFFER - below(&t->random, len < BUFFER ? len : BUFFER);
	rc = eq_read_nowait(queue->q.fd, buf + off, len);
	/* Another reader may have been faster. */
	check_read(t, "read without waiting", len, rc, AGAIN | (bad ? HOLE : 0));
	if (rc > (long)(BUFFER - off)) {
		wrong("a read of %ld bytes into %zu", rc, BUFFER - off);
		return 0;
	}
	if (rc > 0 && off)
		memmove(buf, buf + off, rc);
	return rc;
}

/* Waits, if the queue was allocated for that, until a signal or a record comes */
static long read_waiting(struct thread *t, struct stress_queue *queue,
			 char *buf)
{
	size_t len = draw_len(t);
	long rc = eq_read(queue->q.fd, buf, len);

	check_read(t, queue->waits ? "waiting read" : "read", len, rc,
		   SIGNAL | (queue->waits ? 0 : NOTHING));
	if (!rc)
		usleep(100);
	return rc;
}

/*
 * Armed before the record, as a rule, and cancelled if there comes none, which
 * is an interruption for a request that a worker has.
 */
static long read_by_ring(struct thread *t, struct stress_queue *queue,
			 char *buf, struct eq_ring *ring)
{
	struct io_uring_cqe cqe;
	size_t len = draw_len(t);
	unsigned int may = 0;

	if (!MUST(eq_ring_rw(ring, IORING_OP_READ, queue->q.fd, buf, len, -1,
			     1)))
		return 0;
	if (eq_ring_wait(ring, NAP_MS, &cqe)) {
		int rc = eq_ring_cancel_all(ring);

		if (rc != -ENOENT)
			must(rc, "cancel");
		if (!MUST(eq_ring_wait(ring, PATIENCE_MS, &cqe)))
			return 0;
		may = CANCELLED | SIGNAL;
	}
	check_read(t, "io_uring READ", len, cqe.res, may);
	return cqe.res;
}

static long read_records(void *arg)
{
	struct thread *t = arg;
	struct stress *s = t->s;
	char *buf = eq_edge(BUFFER);
	struct place place = {};
	struct eq_ring ring;

	if (t->nr == 2 && !MUST(eq_ring_init(&ring, 0)))
		return 0;
	while (!said(&s->stop)) {
		struct stress_queue *queue = get_queue(s, t->viommu);
		long len;

		if (!queue) {
			usleep(500);
			continue;
		}
		while (!said(&s->stop) && is_in_place(s, t->viommu, queue)) {
			if (t->nr == 0)
				len = read_by_poll(t, queue, buf);
			else if (t->nr == 1)
				len = read_waiting(t, queue, buf);
			else
				len = read_by_ring(t, queue, buf, &ring);
			if (len > 0)
				note(t, queue, &place, buf, len);
		}
		put_queue(s, queue);
	}
	if (t->nr == 2)
		eq_ring_fini(&ring);
	return 0;
}

/* Writers of answers */

#define BATCH 8

static long write_answers(struct thread *t, struct eq_ring *ring, int fd,
			  struct iommu_hwpt_page_response *responses,
			  unsigned int nr)
{
	struct io_uring_cqe cqe;

	if (!t->nr)
		return eq_write(fd, responses, nr * EQ_RESPONSE_LEN);
	if (!MUST(eq_ring_rw(ring, IORING_OP_WRITE, fd, responses,
			     nr * EQ_RESPONSE_LEN, -1, 1)) ||
	    !MUST(eq_ring_wait(ring, PATIENCE_MS, &cqe)))
		return -EIO;
	return cqe.res;
}

/*
 * Answer some of one queue; the last of @responses, if there are more than of
 * those, must be refused. A refusal ends a write, so the others take another.
 */
static void answer_some(struct thread *t, struct eq_ring *ring,
			struct unanswered *some, unsigned int nr,
			struct iommu_hwpt_page_response *responses,
			unsigned int total)
{
	unsigned int at = 0, i;

	while (at < total && !is_wrong()) {
		long rc = write_answers(t, ring, some[0].queue->q.fd,
					responses + at, total - at);
		unsigned int done = rc > 0 ? rc / EQ_RESPONSE_LEN : 0;

		if (rc != -EINVAL && (rc <= 0 || rc % EQ_RESPONSE_LEN ||
				      done > total - at))
			must(rc < 0 ? rc : -EPROTO, "write of answers");
		for (i = at; i < at + done; i++) {
			if (i >= nr)
				wrong("cookie %#x was accepted again",
				      responses[i].cookie);
			else
				book_said(&t->s->faults, some[i].grpid,
					  ACCEPTED, responses[i].code);
		}
		at += done;
		if (rc > 0)
			continue;
		if (at < nr)
			book_said(&t->s->faults, some[at].grpid, REFUSED, 0);
		at++;
	}
}

static long answer_faults(void *arg)
{
	struct iommu_hwpt_page_response responses[BATCH + 1];
	struct unanswered some[BATCH];
	struct thread *t = arg;
	struct eq_ring ring;
	unsigned int nr, i;

	if (t->nr && !MUST(eq_ring_init(&ring, 0)))
		return 0;
	while (!said(&t->s->stop)) {
		nr = fetch(t->s, &t->random, some, 1 + below(&t->random, BATCH));
		if (!nr) {
			rest(&t->random);
			continue;
		}
		for (i = 0; i < nr; i++) {
			responses[i].cookie = some[i].cookie;
			responses[i].code = below(&t->random, 4) ?
					    IOMMUFD_PAGE_RESP_SUCCESS :
					    IOMMUFD_PAGE_RESP_INVALID;
		}
		/* Nobody has cookie 0 */
		if (!below(&t->random, 4))
			responses[i++] = (struct iommu_hwpt_page_response){
				.code = IOMMUFD_PAGE_RESP_SUCCESS,
			};
		answer_some(t, &ring, some, nr, responses, i);
		/* All of these were answered, by whomever */
		if (!below(&t->random, 4) && !is_wrong() &&
		    eq_respond(some[0].queue->q.fd,
			       some[below(&t->random, nr)].cookie,
			       IOMMUFD_PAGE_RESP_SUCCESS) != -EINVAL)
			wrong("a late answer was accepted");
		for (i = 0; i < nr; i++)
			put_queue(t->s, some[i].queue);
	}
	if (t->nr)
		eq_ring_fini(&ring);
	return 0;
}

/* Those who move devices, close and make queues */

static void move(struct stress *s, unsigned int nr, __u32 to)
{
	MUST(eq_replace(s->iommu, &s->faults.devs[nr].dev, to));
}

static void move_to_other_domain(struct stress *s, struct stress_queue *queue,
				 unsigned int which)
{
	book_move(&s->faults, 0);
	move(s, 0, queue->hwpt[which]);
	book_moved(&s->faults, 0);
}

static void move_away_and_back(struct stress *s, struct stress_queue *queue)
{
	book_move(&s->faults, 1);
	move(s, 1, s->ioas);
	usleep(200);
	move(s, 1, queue->hwpt[0]);
	book_moved(&s->faults, 1);
}

static void detach_pasid(struct stress *s)
{
	MUST(eq_pasid_detach(s->iommu, &s->faults.devs[2].dev, PASID));
}

static void attach_pasid(struct stress *s, struct stress_queue *queue)
{
	MUST(eq_pasid_attach(s->iommu, &s->faults.devs[2].dev, PASID,
			     queue->hwpt[1]));
}

static void replace_pasid(struct stress *s, __u32 to)
{
	struct iommu_test_cmd cmd = {
		.id = s->faults.devs[2].dev.stdev_id,
		.pasid_attach = { .pasid = PASID, .pt_id = to },
	};

	MUST(eq_test(s->iommu, IOMMU_TEST_OP_PASID_REPLACE, &cmd));
}

static void move_pasid(struct thread *t, struct stress_queue *queue)
{
	struct stress *s = t->s;

	book_move(&s->faults, 2);
	if (below(&t->random, 2)) {
		replace_pasid(s, queue->hwpt[0]);
		usleep(200);
		replace_pasid(s, queue->hwpt[1]);
	} else {
		detach_pasid(s);
		usleep(200);
		attach_pasid(s, queue);
	}
	book_moved(&s->faults, 2);
}

/* To another queue; if @rude, what was read of the old one finds it closed */
static void move_queue(struct thread *t)
{
	struct stress *s = t->s;
	bool rude = below(&t->random, 2);
	struct stress_queue *queue = new_fault_queue(s, below(&t->random, 4) ?
						     EQ_WAIT : EQ_NO_WAIT);
	struct stress_queue *old = get_queue(s, false);
	__u32 id = old->q.id, hwpt[2] = { old->hwpt[0], old->hwpt[1] };
	unsigned int nr;

	for (nr = 0; nr < FAULT_DEVS; nr++)
		book_move(&s->faults, nr);
	put_queue(s, old);
	if (rude) {
		put_queue(s, install(s, false, queue));
		usleep(below(&t->random, 5000));
	}
	detach_pasid(s);
	for (nr = 0; nr < FAULT_DEVS; nr++)
		move(s, nr, queue->hwpt[0]);
	attach_pasid(s, queue);
	for (nr = 0; nr < FAULT_DEVS; nr++)
		book_moved(&s->faults, nr);
	if (!rude)
		put_queue(s, install(s, false, queue));
	MUST(eq_destroy(s->iommu, hwpt[0]));
	MUST(eq_destroy(s->iommu, hwpt[1]));
	destroy_queue(s, id);
}

static long move_devices(void *arg)
{
	struct thread *t = arg;
	struct stress *s = t->s;
	unsigned int which = 0;

	while (!said(&s->stop_moving)) {
		struct stress_queue *queue = get_queue(s, false);

		count(&s->nr_moves);
		switch (below(&t->random, 5)) {
		case 0:
			which = !which;
			move_to_other_domain(s, queue, which);
			break;
		case 1:
			move_away_and_back(s, queue);
			break;
		case 2:
			move_pasid(t, queue);
			break;
		case 3:
			put_queue(s, queue);
			queue = NULL;
			move_queue(t);
			which = 0;
			break;
		case 4:
			usleep(below(&t->random, 50000));
			break;
		}
		if (queue)
			put_queue(s, queue);
		usleep(below(&t->random, 10000));
	}
	return 0;
}

/*
 * Nobody reports: see the readers take all there is, and have it audited. What
 * was read is entered a little later than it leaves the queue.
 */
static void audit_queue(struct stress *s, struct stress_queue *queue)
{
	struct event_books *b = &queue->events;
	struct progress progress = {};
	long next, lost, queued;
	__u64 nr_read;

	memcpy(b->reported, s->reported, sizeof(b->reported));
	next = eq_fdinfo(queue->q.fd, "next-sequence");
	lost = eq_fdinfo(queue->q.fd, "lost");
	do {
		queued = eq_fdinfo(queue->q.fd, "queued");
		nr_read = __atomic_load_n(&b->nr_read, __ATOMIC_ACQUIRE);
		if (!queued && nr_read + lost >= next &&
		    (!next || b->log[next - 1]))
			break;
		usleep(1000);
	} while (goes_on(&progress, nr_read));
	if (queued)
		wrong("%ld records are queued and nobody reads them", queued);
	if (eq_fdinfo(queue->q.fd, "next-sequence") != next ||
	    eq_fdinfo(queue->q.fd, "lost") != lost)
		wrong("events came while nobody reported any");
	audit_events(b, next, lost);
	s->nr_lost += lost;
	s->nr_audits++;
}

static __u32 draw_depth(__u64 *random)
{
	static const __u32 depths[] = { 1, 2, 8, 64, 1024 };

	return depths[below(random, 5)];
}

/*
 * Another queue for the vIOMMU, which can have one only. If @rude, the old one
 * is closed with what is in it while events are reported, else it is audited.
 */
static void renew_vevent_queue(struct thread *t)
{
	__u32 flags = below(&t->random, 4) ? EQ_WAIT : EQ_NO_WAIT;
	struct stress *s = t->s;
	bool rude = below(&t->random, 2);
	struct stress_queue *queue, *old;
	__u8 *log;
	__u32 id;

	if (!rude)
		pthread_rwlock_wrlock(&s->gate);
	old = get_queue(s, true);
	if (!rude)
		audit_queue(s, old);
	id = old->q.id;
	log = old->events.log;
	put_queue(s, install(s, true, NULL));
	put_queue(s, old);
	destroy_queue(s, id);
	munmap(log, EVENT_CAPACITY);
	if (!rude)
		memset(s->reported, 0, sizeof(s->reported));
	queue = new_vevent_queue(s, flags, draw_depth(&t->random));
	queue->events.exact = !rude;
	install(s, true, queue);
	if (!rude)
		pthread_rwlock_unlock(&s->gate);
}

static long renew_vevent_queues(void *arg)
{
	struct thread *t = arg;

	while (!said(&t->s->stop_moving)) {
		renew_vevent_queue(t);
		usleep(below(&t->random, 100000));
	}
	return 0;
}

#define SPARE_FAULTS 3

/* A queue of its own, whose file is closed with faults read and unread */
static void spare_fault_queue(struct stress *s)
{
	struct eq_dev *dev = &s->spare;
	struct iommu_hwpt_pgfault f;
	struct eq_queue queue;
	struct eq_response a;
	unsigned int i;
	__u32 hwpt;

	if (!MUST(eq_fault_queue(s->iommu, EQ_NO_WAIT, &queue)))
		return;
	MUST(eq_fault_hwpt(s->iommu, dev, s->ioas, queue.id, &hwpt));
	MUST(eq_replace(s->iommu, dev, hwpt));
	for (i = 0; i < SPARE_FAULTS; i++)
		MUST(eq_fault(s->iommu, dev, i));
	if (eq_read(queue.fd, &f, sizeof(f)) != EQ_FAULT_LEN || f.grpid)
		wrong("the spare queue's first fault was not read");
	MUST(eq_destroy(s->iommu, queue.id) == -EBUSY ? 0 : -EPROTO);
	close(queue.fd);
	MUST(eq_fault(s->iommu, dev, i));
	for (i = 0; i <= SPARE_FAULTS; i++) {
		MUST(eq_pop_response(s->iommu, dev, &a));
		if (a.code != EQ_GOT_INVALID)
			wrong("fault %u of a closed queue got %u", i, a.code);
	}
	MUST(eq_replace(s->iommu, dev, s->ioas));
	MUST(eq_destroy(s->iommu, hwpt));
	MUST(eq_destroy(s->iommu, queue.id));
}

static void spare_vevent_queue(struct stress *s)
{
	struct eq_queue queue;

	if (!MUST(eq_vevent_queue(s->iommu, s->spare_viommu,
				  IOMMU_VEVENTQ_TYPE_SELFTEST, EQ_NO_WAIT, 1,
				  &queue)))
		return;
	MUST(eq_vevents(s->iommu, &s->vspare, 3));
	if (eq_fdinfo(queue.fd, "lost") != 2)
		wrong("the spare queue did not lose two events");
	close(queue.fd);
	MUST(eq_vevents(s->iommu, &s->vspare, 1));
	MUST(eq_destroy(s->iommu, queue.id));
}

/* Allocations that fail at their end, when all is made */
static void failing_allocs(struct stress *s)
{
	struct iommu_fault_alloc *cmd = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct eq_queue queue;
	int rc;

	cmd->size = sizeof(*cmd);
	mprotect(cmd, 4096, PROT_READ);
	rc = eq_call(s->iommu, IOMMU_FAULT_QUEUE_ALLOC, cmd);
	if (rc != -EFAULT)
		wrong("an allocation without a place for the result: %d", rc);
	munmap(cmd, 4096);
	rc = eq_fault_queue(s->iommu, 1U << 31, &queue);
	if (rc != -EOPNOTSUPP)
		wrong("an allocation with an unknown flag: %d", rc);
}

/* A process that gets the files of all queues, and closes them by its end */
static void fork_and_exit(struct stress *s, __u64 *random)
{
	unsigned int us = below(random, 5000);
	pid_t pid = eq_fork();

	if (!pid) {
		usleep(us);
		_exit(0);
	}
	if (pid < 0)
		must(-errno, "fork");
	else
		MUST(eq_child_status(pid));
}

static void dup_and_look(struct stress *s, bool viommu)
{
	struct stress_queue *queue = get_queue(s, viommu);
	long queued, lost;
	int fd;

	if (!queue)
		return;
	fd = dup(queue->q.fd);
	put_queue(s, queue);
	queued = eq_fdinfo(fd, "queued");
	if (queued > 1025)
		wrong("%ld records are queued", queued);
	lost = viommu ? eq_fdinfo(fd, "lost") : 0;
	if (viommu && eq_fdinfo(fd, "lost") < lost)
		wrong("the number of lost events went down");
	eq_poll_now(fd);
	close(fd);
}

/* Which of the queues that there are */
static bool draw_class(struct thread *t)
{
	if (!(t->s->load & FAULTS))
		return true;
	return t->s->load & EVENTS && below(&t->random, 2);
}

static long make_and_destroy(void *arg)
{
	struct thread *t = arg;
	struct stress *s = t->s;

	while (!said(&s->stop_moving)) {
		switch (below(&t->random, 6)) {
		case 0:
			if (s->load & FAULTS)
				spare_fault_queue(s);
			break;
		case 1:
			if (s->load & EVENTS)
				spare_vevent_queue(s);
			break;
		case 2:
			failing_allocs(s);
			break;
		case 3:
			fork_and_exit(s, &t->random);
			break;
		default:
			dup_and_look(s, draw_class(t));
			break;
		}
		usleep(below(&t->random, 5000));
	}
	return 0;
}

/* The scene */

static void open_faults(struct stress *s)
{
	unsigned int nr;

	pthread_mutex_init(&s->faults.lock, NULL);
	for (nr = 0; nr < FAULT_DEVS; nr++) {
		struct fault_dev *dev = &s->faults.devs[nr];

		dev->groups = lazy_memory(HISTORY * sizeof(*dev->groups));
		MUST(eq_device(s->iommu, s->ioas, &dev->dev));
	}
	MUST(eq_device(s->iommu, s->ioas, &s->spare));
	s->queue = new_fault_queue(s, EQ_WAIT);
	for (nr = 0; nr < FAULT_DEVS; nr++)
		move(s, nr, s->queue->hwpt[0]);
	attach_pasid(s, s->queue);
}

static void open_events(struct stress *s)
{
	struct eq_dev *dev;
	unsigned int i;
	__u64 random = s->seed;

	for (i = 0; i < EVENT_REPORTERS * EVENT_DEVS; i++) {
		dev = &s->event_devs[i / EVENT_DEVS][i % EVENT_DEVS];
		MUST(eq_device(s->iommu, s->ioas, dev));
		if (!i)
			MUST(eq_viommu(s->iommu, s->ioas, dev, &s->viommu));
		MUST(eq_vdevice(s->iommu, s->viommu, dev, i + 1));
	}
	dev = &s->vspare;
	MUST(eq_device(s->iommu, s->ioas, dev));
	MUST(eq_viommu(s->iommu, s->ioas, dev, &s->spare_viommu));
	MUST(eq_vdevice(s->iommu, s->spare_viommu, dev, TOLD_LOST));
	s->vqueue = new_vevent_queue(s, EQ_WAIT, draw_depth(&random));
	s->vqueue->events.exact = true;
}

static void no_action(int signal)
{
}

static unsigned long from_environment(const char *name, unsigned long value)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : value;
}

static void start(struct stress *s, long (*fn)(void *arg), unsigned int nr,
		  bool viommu)
{
	struct thread *t = &s->threads[s->nr_threads];

	t->s = s;
	t->nr = nr;
	t->viommu = viommu;
	t->random = s->seed * MAX_THREADS + s->nr_threads++;
	t->running = eq_job_start(&t->job, fn, t);
	if (!t->running)
		wrong("a thread cannot be had");
}

static void start_all(struct stress *s)
{
	unsigned int nr;

	for (nr = 0; nr < READERS; nr++) {
		if (s->load & FAULTS)
			start(s, read_records, nr, false);
		if (s->load & EVENTS)
			start(s, read_records, nr, true);
	}
	for (nr = 0; nr < 2 && s->load & FAULTS; nr++)
		start(s, answer_faults, nr, false);
	for (nr = 0; nr < FAULT_DEVS && s->load & FAULTS; nr++)
		start(s, raise_faults, nr, false);
	for (nr = 0; nr < EVENT_REPORTERS && s->load & EVENTS; nr++)
		start(s, report_events, nr, true);
	if (!(s->load & LIFE))
		return;
	if (s->load & FAULTS)
		start(s, move_devices, 0, false);
	if (s->load & EVENTS)
		start(s, renew_vevent_queues, 0, true);
	start(s, make_and_destroy, 0, false);
}

/* Wake whoever waits in a read, so that it goes on to the queue in place */
static void kick(struct stress *s)
{
	unsigned int i;

	for (i = 0; i < s->nr_threads; i++) {
		struct thread *t = &s->threads[i];

		if (t->running && t->job.fn == read_records && t->nr == 1)
			pthread_kill(t->job.thread, SIGUSR1);
	}
}

/* Those who do @fn, or all, have been told to end */
static void end_threads(struct stress *s, long (*fn)(void *arg))
{
	__u64 end = now_ms() + PATIENCE_MS;
	unsigned int i;

	for (i = 0; i < s->nr_threads; i++) {
		struct thread *t = &s->threads[i];

		if (!t->running || (fn && t->job.fn != fn))
			continue;
		while (!eq_job_ended(&t->job) && now_ms() < end) {
			kick(s);
			usleep(NAP_MS * 1000);
		}
		t->running = !eq_job_end(&t->job, 0);
		if (t->running)
			wrong("thread %u does not end", i);
	}
}

/* All that was raised has found its end, however busy the machine is */
static void drain_faults(struct stress *s)
{
	struct progress progress = {};
	struct fault_dev *dev;
	unsigned int nr;
	__u32 nr_open;

	while ((nr_open = book_open(&s->faults)) &&
	       goes_on(&progress, nr_open)) {
		for (nr = 0; nr < FAULT_DEVS; nr++)
			collect(s, nr);
		kick(s);
		usleep(1000);
	}
	book_tell_open(&s->faults);
	for (nr = 0; nr < FAULT_DEVS; nr++) {
		struct eq_response a;

		dev = &s->faults.devs[nr];
		MUST(eq_pop_response(s->iommu, &dev->dev, &a));
		if (a.code != EQ_GOT_NOTHING || dev->nr_raised != dev->nr_got ||
		    a.nr_success != dev->nr_by_code[EQ_GOT_SUCCESS] ||
		    a.nr_invalid != dev->nr_by_code[EQ_GOT_INVALID] ||
		    a.nr_failure)
			wrong("device %u: %u raised, got %u + %u + %u", nr,
			      dev->nr_raised, a.nr_success, a.nr_invalid,
			      a.nr_failure);
	}
	if (eq_fdinfo(s->queue->q.fd, "queued") ||
	    eq_fdinfo(s->queue->q.fd, "outstanding"))
		wrong("the fault queue is not empty");
}

static void run_for(struct stress *s)
{
	__u64 end = now_ms() + s->ms;

	while (now_ms() < end && !is_wrong()) {
		usleep(NAP_MS * 1000);
		kick(s);
	}
}

static void end_all(struct stress *s)
{
	say(&s->stop_moving);
	end_threads(s, move_devices);
	end_threads(s, renew_vevent_queues);
	end_threads(s, make_and_destroy);
	say(&s->stop_raising);
	end_threads(s, raise_faults);
	end_threads(s, report_events);
	if (s->load & FAULTS)
		drain_faults(s);
	if (s->load & EVENTS)
		audit_queue(s, s->vqueue);
	say(&s->stop);
	end_threads(s, NULL);
}

/* Nobody uses the queues any more: all can be destroyed. */
static void close_all(struct stress *s)
{
	__u32 id, hwpt[2];
	unsigned int nr;

	if (s->load & FAULTS) {
		id = s->queue->q.id;
		memcpy(hwpt, s->queue->hwpt, sizeof(hwpt));
		detach_pasid(s);
		for (nr = 0; nr < FAULT_DEVS; nr++)
			move(s, nr, s->ioas);
		put_queue(s, install(s, false, NULL));
		MUST(eq_destroy(s->iommu, hwpt[0]));
		MUST(eq_destroy(s->iommu, hwpt[1]));
		MUST(eq_destroy(s->iommu, id));
	}
	if (s->load & EVENTS) {
		id = s->vqueue->q.id;
		munmap(s->vqueue->events.log, EVENT_CAPACITY);
		put_queue(s, install(s, true, NULL));
		MUST(eq_destroy(s->iommu, id));
	}
}

static void tell(struct stress *s)
{
	struct fault_books *b = &s->faults;
	unsigned int nr;

	for (nr = 0; nr < FAULT_DEVS && s->load & FAULTS; nr++)
		printf("# device %u: %u groups, %u SUCCESS, %u INVALID\n", nr,
		       b->devs[nr].nr_raised, b->devs[nr].nr_by_code[EQ_GOT_SUCCESS],
		       b->devs[nr].nr_by_code[EQ_GOT_INVALID]);
	if (s->load & FAULTS)
		printf("# read %llu, accepted %llu, refused %llu, unread %llu, cut %llu\n",
		       b->nr_read, b->nr_accepted, b->nr_refused, b->nr_unread,
		       b->nr_cut);
	if (s->load & EVENTS)
		printf("# events: %llu reported, %llu refused; %llu lost in %llu audited queues\n",
		       s->nr_reports, s->nr_refused_reports, s->nr_lost,
		       s->nr_audits);
	if (s->load & LIFE)
		printf("# %llu moves, %u queues\n", s->nr_moves, s->generation);
}

FIXTURE(stress)
{
	struct stress *s;
};

FIXTURE_VARIANT(stress)
{
	unsigned int load;
};

FIXTURE_VARIANT_ADD(stress, faults)
{
	.load = FAULTS,
};

FIXTURE_VARIANT_ADD(stress, events)
{
	.load = EVENTS,
};

FIXTURE_VARIANT_ADD(stress, lifecycle_of_fault_queues)
{
	.load = FAULTS | LIFE,
};

FIXTURE_VARIANT_ADD(stress, lifecycle_of_vevent_queues)
{
	.load = EVENTS | LIFE,
};

FIXTURE_VARIANT_ADD(stress, all)
{
	.load = FAULTS | EVENTS | LIFE,
};

/* There is one case for each. */
static unsigned int nr_variants(void)
{
	struct __fixture_variant_metadata *v;
	unsigned int nr = 0;

	for (v = _stress_fixture_object.variant; v; v = v->next)
		nr++;
	return nr;
}

FIXTURE_SETUP(stress)
{
	struct sigaction action = { .sa_handler = no_action };
	struct stress *s = calloc(1, sizeof(*s));

	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	ASSERT_NE(NULL, s);
	self->s = s;
	s->load = variant->load;
	s->seed = from_environment("EVENTQ_STRESS_SEED", SEED);
	s->ms = from_environment("EVENTQ_STRESS_SECONDS", SECONDS) * 1000 /
		nr_variants();
	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	pthread_mutex_init(&s->lock, NULL);
	pthread_rwlock_init(&s->gate, NULL);
	s->iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ASSERT_GE(s->iommu, 0);
	ASSERT_EQ(0, eq_ioas(s->iommu, &s->ioas));
	if (s->load & FAULTS)
		open_faults(s);
	if (s->load & EVENTS)
		open_events(s);
	ASSERT_EQ(0, nr_wrong);
}

FIXTURE_TEARDOWN(stress)
{
	struct stress *s = self->s;

	close(s->iommu);
}

/* Each fault is answered once, each event read once or lost and counted. */
TEST_F_TIMEOUT(stress, ledger, 24 * 3600)
{
	struct stress *s = self->s;

	printf("# seed %llu, %u.%u seconds\n", s->seed, s->ms / 1000,
	       s->ms / 100 % 10);
	start_all(s);
	run_for(s);
	end_all(s);
	tell(s);
	/* Nothing may be taken apart under threads that do not end */
	ASSERT_EQ(0, nr_wrong);
	close_all(s);
	ASSERT_EQ(0, nr_wrong);
}

TEST_HARNESS_MAIN
