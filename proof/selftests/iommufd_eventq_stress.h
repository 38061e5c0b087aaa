/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The books of the event queue stress test: what was raised, read, answered and
 * lost, and what is wrong about that. No calls of iommufd and no threads here;
 * threads may enter what they did at any time.
 */
#ifndef __IOMMUFD_EVENTQ_STRESS_H
#define __IOMMUFD_EVENTQ_STRESS_H

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>

#include "kselftest.h"
#include "lib/eventq_wait.h"

#define FAULT_DEVS 3
#define READERS 3
#define EVENT_REPORTERS 3
/* Devices of a reporter of events: they are how its events are numbered */
#define EVENT_DEVS 8
#define MAX_FAULTS 4

/* Each thread has a sequence of its own, of the seed and of its number */
static inline __u64 draw(__u64 *state)
{
	__u64 z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static inline unsigned int below(__u64 *state, unsigned int end)
{
	return (draw(state) >> 32) * end >> 32;
}

/* Memory that counts once it is touched */
static inline void *lazy_memory(size_t len)
{
	void *mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

/* What is wrong */

#define MAX_TOLD 20

static unsigned int nr_wrong;

static inline void __printf(1, 2) wrong(const char *format, ...)
{
	char line[200];
	va_list args;

	if (__atomic_fetch_add(&nr_wrong, 1, __ATOMIC_RELAXED) >= MAX_TOLD)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	printf("# BAD: %s\n", line);
	fflush(stdout);
}

static inline bool is_wrong(void)
{
	return __atomic_load_n(&nr_wrong, __ATOMIC_RELAXED);
}

/*
 * Fault groups. The devices number theirs. What is known of a group comes from
 * three sides in any order: the reader, the writer of the answer, and the device
 * that got it. So nothing is forgotten until HISTORY more groups were raised.
 */

#define NUMBERS 0x1000000U
#define HISTORY 0x80000U
#define GRPID(dev, n) (((dev) + 1) << 24 | ((n) & (NUMBERS - 1)))

enum said { UNSAID, REFUSED, ACCEPTED };

struct group {
	__u32 grpid;
	__u32 moves;		/* of the device when it was raised */
	__u8 nr_faults;
	__u8 got;		/* what the device got */
	__u8 said;		/* what became of the answer of the reader, */
	__u8 code;		/* which was this */
	bool open;		/* something has to be entered yet */
	bool read;
	bool excused;		/* may be answered INVALID without a reader */
};

/*
 * A device that is moved from a domain to another, or whose queue is closed, has
 * its faults answered by that. It is deaf while it is where nobody hears it.
 */
struct fault_dev {
	struct eq_dev dev;
	struct group *groups;
	__u32 nr_raised;
	__u32 nr_got;
	__u32 nr_by_code[EQ_GOT_NOTHING];
	__u32 moves;
	unsigned int deaf;
};

struct fault_books {
	pthread_mutex_t lock;
	struct fault_dev devs[FAULT_DEVS];
	__u32 nr_open;
	__u64 nr_read, nr_accepted, nr_refused, nr_unread, nr_cut;
};

static inline struct group *find_group(struct fault_books *b, __u32 grpid)
{
	__u32 dev = (grpid >> 24) - 1;
	struct group *g;

	if (dev >= FAULT_DEVS)
		return NULL;
	g = &b->devs[dev].groups[grpid % HISTORY];
	return g->grpid == grpid ? g : NULL;
}

static inline struct fault_dev *dev_of(struct fault_books *b,
				       const struct group *g)
{
	return &b->devs[(g->grpid >> 24) - 1];
}

/* Judge what is known of a group after something was entered */
static inline void judge(struct fault_books *b, struct group *g)
{
	bool open = g->got == EQ_GOT_NOTHING || (g->read && g->said == UNSAID);

	if (dev_of(b, g)->moves != g->moves)
		g->excused = true;
	if (g->got == EQ_GOT_FAILURE)
		wrong("group %#x got FAILURE", g->grpid);
	if (!g->read && g->got == EQ_GOT_SUCCESS)
		wrong("group %#x got SUCCESS and was not read", g->grpid);
	if (!g->read && g->got == EQ_GOT_INVALID && !g->excused)
		wrong("group %#x was answered and not read", g->grpid);
	if (g->said == REFUSED && !g->excused)
		wrong("group %#x: the answer was refused", g->grpid);
	if (g->said == REFUSED && g->got == EQ_GOT_SUCCESS)
		wrong("group %#x got the answer that was refused", g->grpid);
	if (g->said == ACCEPTED && g->got != EQ_GOT_NOTHING && g->got != g->code)
		wrong("group %#x got %u, the accepted answer was %u",
		      g->grpid, g->got, g->code);
	b->nr_open += open - g->open;
	g->open = open;
}

/* The device is going to raise its next group: that is its number */
static inline __u32 book_raise(struct fault_books *b, unsigned int nr,
			       unsigned int nr_faults)
{
	struct fault_dev *dev = &b->devs[nr];
	struct group *g;
	__u32 grpid;

	pthread_mutex_lock(&b->lock);
	grpid = GRPID(nr, dev->nr_raised++);
	g = &dev->groups[grpid % HISTORY];
	if (g->grpid && g->open)
		wrong("group %#x is still open", g->grpid);
	*g = (struct group){
		.grpid = grpid,
		.moves = dev->moves,
		.nr_faults = nr_faults,
		.got = EQ_GOT_NOTHING,
		.excused = dev->deaf,
	};
	judge(b, g);
	pthread_mutex_unlock(&b->lock);
	return grpid;
}

static inline void book_got(struct fault_books *b, unsigned int nr,
			    const struct eq_response *answer)
{
	struct fault_dev *dev = &b->devs[nr];
	struct group *g;

	pthread_mutex_lock(&b->lock);
	g = find_group(b, answer->grpid);
	if (!g || dev_of(b, g) != dev) {
		wrong("device %u got an answer to group %#x", nr,
		      answer->grpid);
	} else if (g->got != EQ_GOT_NOTHING) {
		wrong("group %#x was answered twice: %u and %u", g->grpid,
		      g->got, answer->code);
	} else {
		g->got = answer->code;
		dev->nr_got++;
		dev->nr_by_code[g->got < EQ_GOT_NOTHING ? g->got : EQ_GOT_FAILURE]++;
		if (!g->read)
			b->nr_unread++;
		judge(b, g);
	}
	pthread_mutex_unlock(&b->lock);
}

/*
 * A group of faults was read; a move cuts off those @missing in front. Returns whether
 * the device was moved meanwhile, so that the group may have been overtaken.
 */
static inline bool book_read(struct fault_books *b, __u32 grpid, __u32 dev_id,
			     unsigned int missing, unsigned int nr_faults)
{
	bool excused = true;
	struct group *g;

	pthread_mutex_lock(&b->lock);
	g = find_group(b, grpid);
	if (!g) {
		wrong("group %#x was read, which nobody raised", grpid);
	} else if (g->read) {
		wrong("group %#x was read twice", grpid);
	} else {
		if (missing + nr_faults != g->nr_faults)
			wrong("group %#x has %u faults and lacks %u of %u",
			      grpid, nr_faults, missing, g->nr_faults);
		if (dev_id != dev_of(b, g)->dev.dev_id)
			wrong("group %#x is of device %u", grpid, dev_id);
		g->read = true;
		b->nr_read++;
		/* So this one was answered unread, and read after all */
		if (g->got != EQ_GOT_NOTHING)
			b->nr_unread--;
		judge(b, g);
		if (missing && !g->excused)
			wrong("group %#x lacks faults for no reason", grpid);
		b->nr_cut += !!missing;
		excused = g->excused;
	}
	pthread_mutex_unlock(&b->lock);
	return excused;
}

static inline void book_said(struct fault_books *b, __u32 grpid,
			     enum said said, __u8 code)
{
	struct group *g;

	pthread_mutex_lock(&b->lock);
	g = find_group(b, grpid);
	if (g && g->said == UNSAID) {
		g->said = said;
		g->code = code;
		if (said == ACCEPTED)
			b->nr_accepted++;
		else
			b->nr_refused++;
		judge(b, g);
	} else {
		wrong("an answer to group %#x, which was answered", grpid);
	}
	pthread_mutex_unlock(&b->lock);
}

/* The device is about to be moved, or its queue to be closed */
static inline void book_move(struct fault_books *b, unsigned int nr)
{
	pthread_mutex_lock(&b->lock);
	b->devs[nr].moves++;
	b->devs[nr].deaf++;
	pthread_mutex_unlock(&b->lock);
}

/* It is where it can be heard */
static inline void book_moved(struct fault_books *b, unsigned int nr)
{
	pthread_mutex_lock(&b->lock);
	b->devs[nr].deaf--;
	pthread_mutex_unlock(&b->lock);
}

static inline __u32 book_unanswered(struct fault_books *b, unsigned int nr)
{
	__u32 unanswered;

	pthread_mutex_lock(&b->lock);
	unanswered = b->devs[nr].nr_raised - b->devs[nr].nr_got;
	pthread_mutex_unlock(&b->lock);
	return unanswered;
}

static inline __u32 book_open(struct fault_books *b)
{
	__u32 nr_open;

	pthread_mutex_lock(&b->lock);
	nr_open = b->nr_open;
	pthread_mutex_unlock(&b->lock);
	return nr_open;
}

/* What is left open in the end */
static inline void book_tell_open(struct fault_books *b)
{
	unsigned int nr, i;

	for (nr = 0; nr < FAULT_DEVS; nr++) {
		for (i = 0; i < HISTORY; i++) {
			struct group *g = &b->devs[nr].groups[i];

			if (g->grpid && g->open)
				wrong("group %#x: read %d, said %d, got %d",
				      g->grpid, g->read, g->said, g->got);
		}
	}
}

/*
 * Events, by their sequence number: who reported it, from 1, if it was read, or
 * that a header said it was lost. A queue is audited when all of it was read
 * while nobody reports. Of one that is closed while they do, which is a rude
 * close, the events that its readers took off are judged one by one, and what
 * became of the others is not known: it is not audited, and its losses are not
 * in the sum that is told in the end.
 */

#define EVENT_CAPACITY 0x8000000U
#define TOLD_LOST 255

struct event_books {
	__u8 *log;
	__u64 nr_read;
	bool exact;	/* the numbers of all reporters begin at 0, */
	__u32 reported[EVENT_REPORTERS];	/* and these are their ends */
};

static inline void book_event(struct event_books *b, __u32 sequence, __u8 what)
{
	__u8 before;

	if (sequence >= EVENT_CAPACITY) {
		wrong("event %u is beyond what this test counts", sequence);
		return;
	}
	before = __atomic_exchange_n(&b->log[sequence], what, __ATOMIC_RELAXED);
	if (before)
		wrong("event %u was %s%u and is %s%u", sequence,
		      before == TOLD_LOST ? "lost " : "of ", before,
		      what == TOLD_LOST ? "lost " : "of ", what);
	if (what != TOLD_LOST)
		__atomic_fetch_add(&b->nr_read, 1, __ATOMIC_RELAXED);
}

/* A reporter's events between two that were read are among those lost there */
static inline void check_step(__u32 sequence, unsigned int reporter,
			      __u32 skipped, __u32 lost)
{
	if (skipped > lost)
		wrong("event %u: reporter %u skips %u, but %u were lost",
		      sequence, reporter, skipped, lost);
}

/*
 * All is read: go through the events of a queue, whose fdinfo said that @next is
 * the next and @lost were lost. Nobody writes the log any more.
 */
static inline void audit_events(struct event_books *b, __u32 next, __u64 lost)
{
	/* What each reporter's next number is, and losses before its last */
	__u32 number[EVENT_REPORTERS] = {}, before[EVENT_REPORTERS] = {};
	bool seen[EVENT_REPORTERS] = {};
	__u32 nr_lost = 0, total = 0, i;
	unsigned int r;

	for (i = 0; i < next; i++) {
		__u8 what = b->log[i];
		__u32 n;

		if (!what || what == TOLD_LOST) {
			nr_lost++;
			continue;
		}
		r = (what - 1) / EVENT_DEVS;
		n = (what - 1) % EVENT_DEVS;
		if (r >= EVENT_REPORTERS) {
			wrong("event %u is of device %u", i, what);
			continue;
		}
		if (seen[r] || b->exact)
			check_step(i, r, (n - number[r]) % EVENT_DEVS,
				   nr_lost - before[r]);
		seen[r] = true;
		number[r] = n + 1;
		before[r] = nr_lost;
	}
	if (nr_lost != lost || b->nr_read + lost != next)
		wrong("%u events: %llu read, %u not, %llu lost", next, b->nr_read,
		      nr_lost, lost);
	if (next && !b->log[next - 1])
		wrong("nobody was told that event %u is lost", next - 1);
	for (i = next; i < next + 64 && i < EVENT_CAPACITY; i++)
		if (b->log[i])
			wrong("event %u was read, the next is %u", i, next);
	if (!b->exact)
		return;
	for (r = 0; r < EVENT_REPORTERS; r++) {
		check_step(next, r, (b->reported[r] - number[r]) % EVENT_DEVS,
			   nr_lost - before[r]);
		total += b->reported[r];
	}
	if (total != next)
		wrong("%u events were reported, but the next is %u", total,
		      next);
}

#endif
