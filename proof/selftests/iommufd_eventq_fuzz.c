// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selftest of iommufd's event queues: a fuzzer. An input is a string of bytes
 * that is decoded to calls: both allocation ioctls, everything that can be done
 * to the file of a queue, and the faults, events, attachments and destructions
 * that happen meanwhile. In here are the decoder, the calls, and what is checked
 * of every result; inputs that were worth keeping are in
 * iommufd_eventq_fuzz_corpus.h and are run first.
 *
 * EVENTQ_FUZZ_SECONDS   how long to go on with inputs made from seeds
 * EVENTQ_FUZZ_SEED      the first seed; each input takes one, and is made from it
 * EVENTQ_FUZZ_INPUT     hex: run this input instead of the kept ones
 * EVENTQ_FUZZ_LEARN     if set, print what could be kept, as it is to be kept
 *
 * An input that fails is printed, with its seed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "calls.h"
#include "iommufd_eventq_fuzz_corpus.h"
#include "lib/eventq_wait.h"

#define INPUT_MAX 384
#define MAX_OPS 96		/* of one thread */
#define MAX_SLOTS 16
#define MAX_ID 96		/* no input makes as many objects */
#define NR_THREADS 2
#define MAX_GROUP 16		/* faults in a group */
#define TICK_MS 8		/* a read that waits is interrupted after that */

/*
 * Bytes that decide
 */

struct input {
	unsigned char byte[INPUT_MAX];
	unsigned int len;
	__u64 seed;		/* 0 if it was not made from one */
};

struct cursor {
	const unsigned char *at, *end;
};

/* The next byte; 0 when there is none, which is always a choice. */
static unsigned int next8(struct cursor *c)
{
	return c->at < c->end ? *c->at++ : 0;
}

static __u32 next32(struct cursor *c)
{
	__u32 value = next8(c);

	value |= next8(c) << 8;
	value |= next8(c) << 16;
	return value | next8(c) << 24;
}

/* A choice of one in @nr */
static unsigned int next_of(struct cursor *c, unsigned int nr)
{
	return next8(c) % nr;
}

/*
 * What is worth to be reached: an input that does is kept
 */

enum goal {
	GOAL_GROUPS, GOAL_TIGHT_GROUP, GOAL_FAULT_CUT, GOAL_GROUP_CUT,
	GOAL_LARGE_GROUP, GOAL_EVENTS, GOAL_LOST, GOAL_LOST_ALONE,
	GOAL_TIGHT_EVENT, GOAL_EVENT_CUT, GOAL_EVENTS_CUT, GOAL_FAULT_EFAULT,
	GOAL_INTERRUPTED, GOAL_AGAIN, GOAL_NOWAIT, GOAL_POLLED, GOAL_ANSWER,
	GOAL_ANSWERS_CUT, GOAL_ANSWERS_EFAULT,
	GOAL_ALLOC_EFAULT, GOAL_ALLOC_LARGE, GOAL_ALLOC_TAIL, GOAL_ALLOC_SMALL,
	GOAL_TYPES, GOAL_DEEP, GOAL_EXISTS, GOAL_SECOND_QUEUE, GOAL_BUSY,
	GOAL_CLOSE, GOAL_MOVED, GOAL_DESTROYED,
	NR_GOALS
};

static const char *const goals[NR_GOALS] = {
	[GOAL_GROUPS] = "several groups in one read",
	[GOAL_TIGHT_GROUP] = "a group that does not fit",
	[GOAL_FAULT_CUT] = "groups up to the end of memory",
	[GOAL_GROUP_CUT] = "groups up to the end of memory, inside a group",
	[GOAL_LARGE_GROUP] = "a large group",
	[GOAL_EVENTS] = "several events in one read",
	[GOAL_LOST] = "a loss behind events",
	[GOAL_LOST_ALONE] = "a loss alone",
	[GOAL_TIGHT_EVENT] = "an event that does not fit",
	[GOAL_EVENT_CUT] = "an event at the end of memory",
	[GOAL_EVENTS_CUT] = "events up to the end of memory",
	[GOAL_FAULT_EFAULT] = "a fault at the end of memory",
	[GOAL_INTERRUPTED] = "a reader that waits, interrupted",
	[GOAL_AGAIN] = "an empty queue, not waited for",
	[GOAL_NOWAIT] = "records read with RWF_NOWAIT",
	[GOAL_POLLED] = "records that poll told of",
	[GOAL_ANSWER] = "answers taken",
	[GOAL_ANSWERS_CUT] = "answers taken up to a wrong one",
	[GOAL_ANSWERS_EFAULT] = "answers taken up to the end of memory",
	[GOAL_ALLOC_EFAULT] = "a reply that cannot be written",
	[GOAL_ALLOC_LARGE] = "a larger structure, of zeroes",
	[GOAL_ALLOC_TAIL] = "a larger structure, not of zeroes",
	[GOAL_ALLOC_SMALL] = "a smaller structure",
	[GOAL_TYPES] = "queues of several types",
	[GOAL_DEEP] = "a queue of the largest depth",
	[GOAL_EXISTS] = "a second queue of a type",
	[GOAL_SECOND_QUEUE] = "faults in another queue than the first",
	[GOAL_BUSY] = "a queue in use, not destroyed",
	[GOAL_CLOSE] = "a close, with faults in the queue",
	[GOAL_MOVED] = "a device moved, with faults in the queue",
	[GOAL_DESTROYED] = "an object destroyed",
};

static bool reached[NR_GOALS];

static void reach(enum goal goal, bool did)
{
	if (did)
		reached[goal] = true;
}

/*
 * Memory to be given to calls
 */

/* The size of a page, or a multiple of it */
#ifdef __aarch64__
#define PAGE 65536
#else
#define PAGE 4096
#endif
#define ARENA_GOOD (4 * PAGE)	/* then comes nothing, */
#define ARENA_READ (5 * PAGE)	/* then a page to be read only, and nothing */
#define ARENA_LEN (7 * PAGE)
#define POISON 0xa5

struct mem {
	char *at;
	size_t writable, readable;	/* bytes from there on */
};

static char *arena_make(void)
{
	char *arena = mmap(NULL, ARENA_LEN, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (arena == MAP_FAILED)
		return NULL;
	memset(arena, POISON, ARENA_LEN);
	if (mprotect(arena + ARENA_GOOD, PAGE, PROT_NONE) ||
	    mprotect(arena + ARENA_READ, PAGE, PROT_READ) ||
	    mprotect(arena + ARENA_READ + PAGE, PAGE, PROT_NONE))
		return NULL;
	return arena;
}

/* Most are good, at any alignment, or end where memory does. */
static struct mem pick_mem(struct cursor *c, char *arena)
{
	unsigned int kind = next8(c), off = next8(c);
	struct mem m = {};

	switch (kind % 12) {
	case 0:			/* ends in the middle of what follows */
	case 1:
		m.at = arena + ARENA_GOOD - off;
		m.writable = off;
		m.readable = off;
		break;
	case 2:
		m.at = arena + ARENA_READ + off;
		m.readable = PAGE - off;
		break;
	case 3:
		m.at = arena + ARENA_GOOD + off;
		break;
	case 4:
		m.at = off & 1 ? NULL : (char *)~(~0UL >> 2) + off;
		break;
	default:
		m.at = arena + off;
		m.writable = ARENA_GOOD - off;
		m.readable = ARENA_GOOD - off;
	}
	return m;
}

/* The structure can be read, and the reply not be written. */
static void put_read_only(char *arena, char *at, const void *data, size_t len)
{
	mprotect(arena + ARENA_READ, PAGE, PROT_READ | PROT_WRITE);
	memcpy(at, data, len);
	mprotect(arena + ARENA_READ, PAGE, PROT_READ);
}

static size_t pick_len(struct cursor *c)
{
	static const size_t lens[] = {
		0, 1, 7, 8, 12, 16, 20, 24, 36, 39, 40, 41, 48, 80, 96, 120,
		200, 400, 640, 1000, PAGE, 2 * PAGE, ARENA_GOOD,
		/* Far more than there is, and yet below the end of memory */
		1UL << (sizeof(long) > 4 ? 31 : 24),
	};

	return lens[next_of(c, ARRAY_SIZE(lens))];
}

/*
 * The world of an input
 */

/* A queue, for as long as the input runs, and after its last close too */
struct fqueue {
	bool viommu, wait;
	long len;		/* of a record of the vIOMMU's */
};

/* A descriptor. Its number is not used for anything else after a close. */
struct slot {
	int fd;
	bool gone;
	unsigned int queue;
};

/* The queue of faults that a world begins with */
#define FIRST_QUEUE 1

struct fworld {
	struct eq_world w;
	struct slot slot[MAX_SLOTS];
	struct fqueue queue[MAX_SLOTS];
	unsigned int nr_slots, nr_queues;
	int null;
	bool racy;		/* several threads */
	const char *bad;	/* what is wrong, */
	long bad_result;	/* and the result that was */
	const char *bad_op;

	__u32 nr_faults[2], nr_parts[2], nr_accepted, nr_refused;
	__u32 next_group;
	__u32 cookie[64];	/* some that were read */
	__u32 nr_cookies;
};

struct thread {
	struct fworld *f;
	struct cursor c;
	char *arena;
	const char *op;
	__u32 last[MAX_SLOTS];	/* sequence that was read of a queue, plus 1 */
	pthread_t pthread;
	bool stop;
};

static void wrong(struct thread *t, const char *what, long result)
{
	if (t->f->bad)
		return;
	t->f->bad_result = result;
	t->f->bad_op = t->op;
	t->f->bad = what;
}

/* What the inputs did so far: which call gave what, and after which one */
static unsigned char seen[1 << 16];
static unsigned int nr_seen, nr_inputs, nr_calls;

static void saw(struct thread *t, unsigned int op, unsigned int last, long ret)
{
	unsigned int class, key;

	if (ret < 0)
		class = -ret & 127;
	else
		class = 128 + (ret > 0) + (ret > 40) + (ret > 400);
	key = (op * 8192 + class * 32 + last % 32) % sizeof(seen);
	__atomic_fetch_add(&nr_calls, 1, __ATOMIC_RELAXED);
	if (seen[key])
		return;
	seen[key] = 1;
	nr_seen++;
}

/* No error of the kernel's own, and none that makes no sense for any call */
static void check_errno(struct thread *t, long ret)
{
	if (ret < -133)
		wrong(t, "error that is none of user space's", ret);
}

static bool is_one_of(long ret, const int *errors, unsigned int nr)
{
	while (nr--)
		if (ret == -errors[nr])
			return true;
	return false;
}

#define EXPECT_ERROR(t, ret, ...)					\
do {									\
	static const int __errors[] = { __VA_ARGS__ };			\
	long __ret = (ret);						\
									\
	if (__ret < 0 &&						\
	    !is_one_of(__ret, __errors, ARRAY_SIZE(__errors)))		\
		wrong(t, "undocumented error", __ret);			\
} while (0)

static struct slot *pick_slot(struct thread *t)
{
	struct fworld *f = t->f;
	unsigned int nr = __atomic_load_n(&f->nr_slots, __ATOMIC_ACQUIRE);

	return &f->slot[next8(&t->c) % (nr ?: 1)];
}

/* A result means nothing if the descriptor was closed meanwhile. */
static bool is_gone(const struct slot *s)
{
	return __atomic_load_n(&s->gone, __ATOMIC_ACQUIRE);
}

static unsigned int take_number(unsigned int *nr)
{
	return __atomic_fetch_add(nr, 1, __ATOMIC_RELAXED);
}

static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;

static bool has_room(struct fworld *f)
{
	return f->nr_slots < MAX_SLOTS && f->nr_queues < MAX_SLOTS;
}

static void add_slot(struct fworld *f, int fd, unsigned int queue)
{
	struct slot *s = &f->slot[f->nr_slots];

	s->fd = fd;
	s->gone = false;
	s->queue = queue;
	__atomic_store_n(&f->nr_slots, f->nr_slots + 1, __ATOMIC_RELEASE);
}

static void add_queue(struct fworld *f, int fd, bool viommu, __u32 flags,
		      long len)
{
	struct fqueue *q = &f->queue[f->nr_queues];

	q->viommu = viommu;
	q->wait = flags & EQ_WAIT;
	q->len = len;
	add_slot(f, fd, f->nr_queues++);
}

/*
 * Allocation
 */

/*
 * An ioctl's structure, of any size, in any memory. Returns the result that it
 * has to have whatever is in it, 1 if that decides, and where the reply is.
 */
static long alloc_call(struct thread *t, unsigned long request, const void *cmd,
		       size_t size, __u32 *reply_fd, size_t fd_at,
		       long expected)
{
	static const int more[] = { 0, 0, 0, 0, 0, 0, -1, -4, -16, 8, 100 };
	struct mem m = pick_mem(&t->c, t->arena);
	unsigned int choice = next8(&t->c);
	int off = more[choice % ARRAY_SIZE(more)];
	__u32 user_size = (long)size + off < 0 ? 0 : size + off;
	size_t len = user_size > size ? user_size : size;
	char image[256] = {};
	long ret;

	memcpy(image, cmd, size);
	memcpy(image, &user_size, sizeof(user_size));
	if (off > 0 && choice & 128)
		image[size + choice % off] = 1;
	if (m.writable)
		memcpy(m.at, image, m.writable < len ? m.writable : len);
	else if (m.readable >= len)
		put_read_only(t->arena, m.at, image, len);

	ret = EQ_RET(ioctl(t->f->w.iommu, request, m.at));
	if (t->f->w.iommu < 0)
		return ret;
	if (m.writable >= len) {
		/* The descriptor is the last that there must be room for. */
		if (user_size < fd_at + sizeof(*reply_fd))
			expected = -EINVAL;
		else if (off > 0 && choice & 128)
			expected = -E2BIG;
		if (expected <= 0 && ret != expected && ret != -ENOMEM)
			wrong(t, "wrong result of an allocation", ret);
	} else if (!ret && m.writable < fd_at + sizeof(*reply_fd)) {
		wrong(t, "allocation in memory that is none", ret);
	}
	if (!ret)
		memcpy(reply_fd, m.at + fd_at, sizeof(*reply_fd));
	reach(GOAL_ALLOC_EFAULT, ret == -EFAULT && m.readable >= size);
	reach(GOAL_ALLOC_LARGE, !ret && user_size > size);
	reach(GOAL_ALLOC_TAIL, ret == -E2BIG && m.writable >= len);
	reach(GOAL_ALLOC_SMALL, !ret && user_size < size);
	memset(t->arena, POISON, ARENA_GOOD);
	return ret;
}

static long op_alloc_fault(struct thread *t)
{
	static const __u32 flags[] = { 0, 0, EQ_WAIT, EQ_WAIT, 2, 0x80000001 };
	struct iommu_fault_alloc cmd = {
		.flags = flags[next_of(&t->c, ARRAY_SIZE(flags))],
	};
	bool known = !(cmd.flags & ~EQ_WAIT);
	long ret = -ENFILE;
	__u32 fd;

	pthread_mutex_lock(&slots_lock);
	if (has_room(t->f))
		ret = alloc_call(t, IOMMU_FAULT_QUEUE_ALLOC, &cmd, sizeof(cmd),
				 &fd, offsetof(typeof(cmd), out_fault_fd),
				 known ? 0 : -EOPNOTSUPP);
	if (!ret)
		add_queue(t->f, fd, false, cmd.flags, 0);
	pthread_mutex_unlock(&slots_lock);
	return ret;
}

static long event_len(__u32 type)
{
	return type == IOMMU_VEVENTQ_TYPE_SELFTEST ? 12 :
	       type == IOMMU_VEVENTQ_TYPE_SELFTEST_32 ? 40 :
	       type == IOMMU_VEVENTQ_TYPE_SELFTEST_16 ? 24 : 0;
}

static long op_alloc_vevent(struct thread *t)
{
	static const __u32 types[] = {
		IOMMU_VEVENTQ_TYPE_SELFTEST, IOMMU_VEVENTQ_TYPE_SELFTEST,
		IOMMU_VEVENTQ_TYPE_SELFTEST_32,
		IOMMU_VEVENTQ_TYPE_SELFTEST_16, 0, 3, 0xffffffff,
	};
	static const __u32 depths[] = {
		1, 2, 3, 8, 341, 342, 1000, 0, EQ_MAX_DEPTH, EQ_MAX_DEPTH + 1,
		0xffffffff,
	};
	static const __u32 flags[] = { 0, 0, EQ_WAIT, 2 };
	struct iommu_veventq_alloc cmd = {
		.type = types[next_of(&t->c, ARRAY_SIZE(types))],
		.veventq_depth = depths[next_of(&t->c, ARRAY_SIZE(depths))],
		.flags = flags[next_of(&t->c, ARRAY_SIZE(flags))],
		.viommu_id = t->f->w.viommu,
	};
	unsigned int choice = next8(&t->c);
	long ret = -ENFILE, expected = 1;	/* or ENOENT, or EEXIST */
	__u32 fd;

	if (choice & 1)
		cmd.viommu_id = choice / 2 % MAX_ID;
	cmd.__reserved = choice == 2;
	if ((cmd.flags & ~EQ_WAIT) || cmd.__reserved || !cmd.type)
		expected = -EOPNOTSUPP;
	else if (!cmd.veventq_depth || cmd.veventq_depth > EQ_MAX_DEPTH)
		expected = -EINVAL;
	else if (!event_len(cmd.type) && !(choice & 1))
		expected = -EOPNOTSUPP;
	pthread_mutex_lock(&slots_lock);
	if (has_room(t->f))
		ret = alloc_call(t, IOMMU_VEVENTQ_ALLOC, &cmd, sizeof(cmd), &fd,
				 offsetof(typeof(cmd), out_veventq_fd),
				 expected);
	if (!ret)
		add_queue(t->f, fd, true, cmd.flags, event_len(cmd.type));
	reach(GOAL_TYPES, !ret && event_len(cmd.type) > EQ_VEVENT_LEN);
	reach(GOAL_DEEP, !ret && cmd.veventq_depth == EQ_MAX_DEPTH);
	reach(GOAL_EXISTS, ret == -EEXIST);
	pthread_mutex_unlock(&slots_lock);
	EXPECT_ERROR(t, ret, ENFILE, EINVAL, E2BIG, EOPNOTSUPP, ENOENT, EEXIST,
		     EFAULT, ENOMEM, EBADF);
	return ret;
}

/*
 * Reading
 */

static void keep_cookie(struct fworld *f, __u32 cookie)
{
	f->cookie[take_number(&f->nr_cookies) % ARRAY_SIZE(f->cookie)] = cookie;
}

static void check_fault(struct thread *t, const struct iommu_hwpt_pgfault *rec,
			bool last)
{
	bool says = rec->flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE;
	const struct eq_world *w = &t->f->w;

	if (rec->__reserved || rec->length || !rec->cookie || rec->pasid ||
	    (rec->dev_id != w->dev[0].dev_id &&
	     rec->dev_id != w->dev[1].dev_id) ||
	    rec->grpid > t->f->next_group)
		wrong(t, "fault that is none", rec->cookie);
	if (last && !says)
		wrong(t, "half a group", rec->grpid);
	if (says)
		keep_cookie(t->f, rec->cookie);
}

static void check_faults(struct thread *t, const char *at, long len)
{
	unsigned int group = 0, groups = 0;
	struct iommu_hwpt_pgfault rec;

	if (len % EQ_FAULT_LEN)
		wrong(t, "half a fault", len);
	for (; len >= EQ_FAULT_LEN; len -= EQ_FAULT_LEN, at += EQ_FAULT_LEN) {
		memcpy(&rec, at, sizeof(rec));
		check_fault(t, &rec, len == EQ_FAULT_LEN);
		if (rec.flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE) {
			reach(GOAL_LARGE_GROUP, group >= MAX_GROUP / 2);
			group = 0;
			groups++;
		} else {
			group++;
		}
	}
	reach(GOAL_GROUPS, groups > 1);
}

static void check_events(struct thread *t, unsigned int queue, const char *at,
			 long len)
{
	long record = t->f->queue[queue].len;
	struct iommufd_vevent_header h;
	unsigned int events = 0;
	__u32 virt_id;

	while (len >= EQ_HEADER_LEN) {
		memcpy(&h, at, sizeof(h));
		if (h.sequence < t->last[queue])
			wrong(t, "sequence goes backwards", h.sequence);
		t->last[queue] = h.sequence + 1;
		at += EQ_HEADER_LEN;
		len -= EQ_HEADER_LEN;
		if (h.flags == IOMMU_VEVENTQ_FLAG_LOST_EVENTS) {
			reach(GOAL_LOST, events);
			reach(GOAL_LOST_ALONE, !events);
			/* An event can come while the read goes on. */
			if (t->f->racy)
				continue;
			break;
		}
		if (h.flags || len < record - EQ_HEADER_LEN)
			wrong(t, "event that is none", h.flags);
		memcpy(&virt_id, at, sizeof(virt_id));
		if (record == EQ_VEVENT_LEN && virt_id != EQ_VIRT_ID)
			wrong(t, "event of another device", virt_id);
		at += record - EQ_HEADER_LEN;
		len -= record - EQ_HEADER_LEN;
		events++;
	}
	reach(GOAL_EVENTS, events > 1);
	/* Whole records, and nothing follows on a loss that is the last news. */
	if (len)
		wrong(t, "bytes after the last event", len);
}

/* What a call may say that wants @len bytes of records, be there any or not. */
static void check_read_error(struct thread *t, const struct slot *s, long ret,
			     size_t len, const struct mem *m, bool nowait)
{
	const struct fqueue *q = &t->f->queue[s->queue];
	size_t enough = q->viommu ? q->len : MAX_GROUP * EQ_FAULT_LEN;

	if (ret == -EAGAIN && !nowait)
		wrong(t, "EAGAIN for one who would wait", ret);
	if (ret == -EINVAL && len >= enough)
		wrong(t, "EINVAL for one who has room", ret);
	if (ret == -EFAULT && len && m->writable >= len)
		wrong(t, "EFAULT for good memory", ret);
	if (ret == -EINTR && nowait)
		wrong(t, "EINTR for one who does not wait", ret);
	if (ret == -ENOMEM && q->viommu)
		wrong(t, "events need memory", ret);
	EXPECT_ERROR(t, ret, EAGAIN, EINVAL, EFAULT, EINTR, ENOMEM);
	reach(q->viommu ? GOAL_TIGHT_EVENT : GOAL_TIGHT_GROUP,
	      ret == -EINVAL && len >= (q->viommu ? EQ_HEADER_LEN : EQ_FAULT_LEN));
	reach(q->viommu ? GOAL_EVENT_CUT : GOAL_FAULT_EFAULT,
	      ret == -EFAULT && m->writable);
	reach(GOAL_INTERRUPTED, ret == -EINTR);
	reach(GOAL_AGAIN, ret == -EAGAIN);
}

/* Nothing is written behind the records, if nothing failed. */
static void check_rest(struct thread *t, const struct mem *m, long ret,
		       size_t len)
{
	size_t i, end = len < ret + 64 ? len : ret + 64;

	if (m->writable < len)
		return;
	for (i = ret; i < end; i++)
		if ((unsigned char)m->at[i] != POISON)
			return wrong(t, "bytes behind the records", i);
}

static void check_read(struct thread *t, const struct slot *s, long ret,
		       size_t len, const struct mem *m, bool nowait)
{
	const struct fqueue *q = &t->f->queue[s->queue];

	if (is_gone(s))
		return;
	if (ret < 0)
		return check_read_error(t, s, ret, len, m, nowait);
	if (!ret) {
		if (len && (q->wait || nowait))
			wrong(t, "0 bytes for one who waits, or must not", ret);
		return check_rest(t, m, ret, len);
	}
	if (ret > len || ret > m->writable)
		return wrong(t, "more bytes than there is room for", ret);
	if (q->viommu)
		check_events(t, s->queue, m->at, ret);
	else
		check_faults(t, m->at, ret);
	check_rest(t, m, ret, len);
	reach(GOAL_SECOND_QUEUE, !q->viommu && s->queue != FIRST_QUEUE);
	if (m->writable >= len)
		return;
	reach(q->viommu ? GOAL_EVENTS_CUT : GOAL_FAULT_CUT, true);
	reach(GOAL_GROUP_CUT, !q->viommu && m->writable >= ret + EQ_FAULT_LEN);
}

static bool is_nonblocking(const struct slot *s)
{
	return fcntl(s->fd, F_GETFL) & O_NONBLOCK;
}

/* After a read, the memory is as before. */
static void poison(struct thread *t)
{
	memset(t->arena, POISON, ARENA_GOOD);
}

static long op_read(struct thread *t)
{
	struct slot *s = pick_slot(t);
	struct mem m = pick_mem(&t->c, t->arena);
	size_t len = pick_len(&t->c);
	bool nowait = is_nonblocking(s);
	long ret = eq_read(s->fd, m.at, len);

	/* The other thread may change the mode. */
	if (!t->f->racy || nowait == is_nonblocking(s))
		check_read(t, s, ret, len, &m, nowait);
	poison(t);
	return ret;
}

/* A vector over one piece of memory, cut anywhere; a kind of preadv2() or not */
static long op_readv(struct thread *t)
{
	static const int rwf[] = { 0, RWF_NOWAIT, RWF_NOWAIT, RWF_HIPRI,
				   RWF_APPEND, RWF_DSYNC, 1 << 30 };
	struct slot *s = pick_slot(t);
	struct mem m = pick_mem(&t->c, t->arena);
	size_t len = pick_len(&t->c), cut = next8(&t->c);
	int flags = rwf[next_of(&t->c, ARRAY_SIZE(rwf))];
	off_t offset = next8(&t->c) % 8 ? -1 : (off_t)next8(&t->c) - 2;
	struct iovec iov[2];
	bool nowait = is_nonblocking(s);
	long ret;

	cut = cut < len ? cut : len;
	iov[0].iov_base = m.at;
	iov[0].iov_len = cut;
	iov[1].iov_base = m.at + cut;
	iov[1].iov_len = len - cut;
	ret = EQ_RET(preadv2(s->fd, iov, 2, offset, flags));
	if (is_gone(s)) {
		poison(t);
		return ret;
	}
	if (offset < -1) {
		EXPECT_ERROR(t, ret, EINVAL, ESPIPE);
	} else if (offset >= 0) {
		EXPECT_ERROR(t, ret, ESPIPE, EINVAL);
	} else if (flags & ~(RWF_NOWAIT | RWF_HIPRI)) {
		EXPECT_ERROR(t, ret, EOPNOTSUPP, EINVAL, EAGAIN, EFAULT, EINTR,
			     ENOMEM);
	} else if (!t->f->racy || nowait == is_nonblocking(s)) {
		/* A vector of no bytes is for the VFS alone. */
		if (len || ret)
			check_read(t, s, ret, len, &m,
				   nowait || flags & RWF_NOWAIT);
		reach(GOAL_NOWAIT, ret > 0 && flags & RWF_NOWAIT);
	}
	poison(t);
	return ret;
}

/* A tick may be in the way. */
static short poll_again(int fd)
{
	short got;

	do
		got = eq_poll_now(fd);
	while (got < 0);
	return got;
}

/* Who is told that there is something finds it. */
static long op_poll(struct thread *t)
{
	struct slot *s = pick_slot(t);
	const struct fqueue *q = &t->f->queue[s->queue];
	static const short out = POLLOUT | POLLWRNORM;
	struct mem m = { .at = t->arena, .writable = ARENA_GOOD };
	short got = poll_again(s->fd);
	long ret;

	if (is_gone(s))
		return got;
	if ((got & out) != (q->viommu ? 0 : out) ||
	    !(got & POLLIN) != !(got & POLLRDNORM))
		wrong(t, "poll of a wrong kind", got);
	if (t->f->racy || !(got & POLLIN) || next8(&t->c) & 1)
		return got;
	ret = eq_read_nowait(s->fd, m.at, ARENA_GOOD);
	if (ret <= 0)
		wrong(t, "nothing where poll said there was", ret);
	reach(GOAL_POLLED, true);
	check_read(t, s, ret, ARENA_GOOD, &m, true);
	poison(t);
	return ret;
}

/*
 * Writing
 */

static __u32 pick_cookie(struct thread *t)
{
	struct fworld *f = t->f;
	unsigned int choice = next8(&t->c);

	switch (choice % 8) {
	case 0:
		return 0;
	case 1:
		return next32(&t->c);
	default:
		return f->cookie[choice / 8 % ARRAY_SIZE(f->cookie)];
	}
}

/* Those of the first @len bytes at @m, once they were taken */
static void count_answers(struct thread *t, const struct mem *m, long len)
{
	struct iommu_hwpt_page_response r;
	long at;

	for (at = 0; at < len; at += EQ_RESPONSE_LEN) {
		memcpy(&r, m->at + at, sizeof(r));
		if (r.code == IOMMUFD_PAGE_RESP_SUCCESS)
			take_number(&t->f->nr_accepted);
		else if (r.code == IOMMUFD_PAGE_RESP_INVALID)
			take_number(&t->f->nr_refused);
		else
			wrong(t, "answer of no code", r.code);
		if (!r.cookie)
			wrong(t, "answer to no fault", r.cookie);
	}
}

static void check_write(struct thread *t, const struct slot *s, long ret,
			size_t len, const struct mem *m)
{
	bool viommu = t->f->queue[s->queue].viommu;

	if (is_gone(s))
		return;
	if (ret > 0 && (viommu || ret % EQ_RESPONSE_LEN || ret > len ||
			ret > m->readable))
		return wrong(t, "answers that cannot be", ret);
	if (ret == -EFAULT && len && m->readable >= len)
		wrong(t, "EFAULT for good memory", ret);
	if (!ret && len)
		wrong(t, "nothing written", ret);
	EXPECT_ERROR(t, ret, EINVAL, EFAULT);
	if (ret > 0)
		count_answers(t, m, ret);
	reach(GOAL_ANSWER, ret > 0);
	reach(GOAL_ANSWERS_CUT, ret > 0 && ret < len && m->readable >= len);
	reach(GOAL_ANSWERS_EFAULT, ret > 0 && ret < len && m->readable == ret);
}

/* Answers to what was read, to what was not, and to nothing. */
static void make_answers(struct thread *t, const struct mem *m, size_t len)
{
	static const __u32 codes[] = { 0, 0, 0, 1, 1, 2, 0xffffffff };
	struct iommu_hwpt_page_response r;
	size_t at;

	for (at = 0; at + EQ_RESPONSE_LEN <= len && at < 64 * EQ_RESPONSE_LEN &&
	     at + EQ_RESPONSE_LEN <= m->writable; at += EQ_RESPONSE_LEN) {
		r.cookie = pick_cookie(t);
		r.code = codes[next_of(&t->c, ARRAY_SIZE(codes))];
		memcpy(m->at + at, &r, sizeof(r));
	}
}

static long op_write(struct thread *t)
{
	struct slot *s = pick_slot(t);
	struct mem m = pick_mem(&t->c, t->arena);
	size_t len = next8(&t->c) % 4 ? 8 * (1 + next8(&t->c) % 8) :
					pick_len(&t->c);
	unsigned int cut = next8(&t->c);
	struct iovec iov[2];
	long ret;

	make_answers(t, &m, len);
	if (cut & 1) {
		ret = eq_write(s->fd, m.at, len);
	} else {
		iov[0].iov_base = m.at;
		iov[0].iov_len = cut < len ? cut : len;
		iov[1].iov_base = m.at + iov[0].iov_len;
		iov[1].iov_len = len - iov[0].iov_len;
		ret = EQ_RET(writev(s->fd, iov, 2));
	}
	check_write(t, s, ret, len, &m);
	poison(t);
	return ret;
}

/*
 * What else can be done to a file
 */

static long op_seek(struct thread *t)
{
	struct slot *s = pick_slot(t);
	struct mem m = pick_mem(&t->c, t->arena);
	unsigned int choice = next8(&t->c);
	size_t len = pick_len(&t->c);
	long ret;

	if (choice % 3 == 0)
		ret = EQ_RET(lseek(s->fd, choice, choice % 5));
	else if (choice % 3 == 1)
		ret = EQ_RET(pread(s->fd, m.at, len, choice));
	else
		ret = EQ_RET(pwrite(s->fd, m.at, len, choice));
	if (!is_gone(s) && ret != -ESPIPE && ret != -EINVAL)
		wrong(t, "position in a stream", ret);
	poison(t);
	return ret;
}

static long op_ioctl(struct thread *t)
{
	static const unsigned long requests[] = {
		FIONREAD, FIOQSIZE, FIBMAP, FICLONE, FS_IOC_GETFLAGS,
		IOMMU_DESTROY, IOMMU_FAULT_QUEUE_ALLOC, IOMMU_TEST_CMD, 0,
	};
	struct slot *s = pick_slot(t);
	unsigned int choice = next_of(&t->c, ARRAY_SIZE(requests));
	unsigned long request = requests[choice] ?: next32(&t->c);
	struct mem m = pick_mem(&t->c, t->arena);
	long ret;

	/* Those that are for every file, and would change this one */
	if (!request || request == FIONBIO || request == FIOASYNC ||
	    request == FIOCLEX || request == FIONCLEX)
		request = FIONREAD;
	ret = EQ_RET(ioctl(s->fd, request, m.at));
	if (!is_gone(s) && (request == FIONREAD ? ret && ret != -EFAULT : ret >= 0))
		wrong(t, "ioctl of a queue", ret);
	poison(t);
	return ret;
}

static long splice_some(struct thread *t, struct slot *s, unsigned int choice)
{
	long ret = -EMFILE;
	int p[2];

	if (pipe2(p, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	if (choice & 1) {
		ret = EQ_RET(splice(s->fd, NULL, p[1], NULL, PAGE,
				    SPLICE_F_NONBLOCK));
	} else if (write(p[1], "12345678", 8) == 8) {
		ret = EQ_RET(splice(p[0], NULL, s->fd, NULL, 8,
				    SPLICE_F_NONBLOCK));
	}
	close(p[0]);
	close(p[1]);
	if (!is_gone(s))
		EXPECT_ERROR(t, ret, EINVAL, EAGAIN, EBADF);
	return ret;
}

static long map_some(struct slot *s, unsigned int choice)
{
	void *mem = mmap(NULL, PAGE, choice & 2 ? PROT_READ : PROT_WRITE,
			 choice & 1 ? MAP_SHARED : MAP_PRIVATE, s->fd, 0);

	if (mem == MAP_FAILED)
		return -errno;
	munmap(mem, PAGE);
	return 0;
}

/* Calls that are not for such a file */
static long op_misc(struct thread *t)
{
	struct slot *s = pick_slot(t);
	unsigned int choice = next8(&t->c);
	long ret = 0;

	switch (choice % 8) {
	case 0:
	case 1:
		return splice_some(t, s, choice / 8);
	case 2:
		ret = map_some(s, choice / 8);
		break;
	case 3:
		ret = EQ_RET(ftruncate(s->fd, choice));
		break;
	case 4:
		ret = EQ_RET(fsync(s->fd));
		break;
	case 5:
		ret = EQ_RET(fallocate(s->fd, 0, 0, 8));
		break;
	case 6:
		ret = EQ_RET(sendfile(t->f->null, s->fd, NULL, PAGE));
		break;
	default:
		ret = EQ_RET(copy_file_range(s->fd, NULL, t->f->null, NULL, 8, 0));
	}
	if (!is_gone(s) && ret >= 0)
		wrong(t, "call that is not for a queue", ret);
	return ret;
}

static long op_fcntl(struct thread *t)
{
	static const int modes[] = { 0, O_NONBLOCK, O_NONBLOCK, O_APPEND,
				     O_DIRECT, O_ASYNC | O_NONBLOCK };
	struct slot *s = pick_slot(t);

	return EQ_RET(fcntl(s->fd, F_SETFL, modes[next_of(&t->c, ARRAY_SIZE(modes))]));
}

static long op_fdinfo(struct thread *t)
{
	struct slot *s = pick_slot(t);
	long ret = eq_fdinfo(s->fd, "eventq-id");

	if (!is_gone(s) && ret <= 0)
		wrong(t, "fdinfo without an id", ret);
	return ret;
}

static long op_dup(struct thread *t)
{
	struct slot *s = pick_slot(t);
	int fd = -ENFILE;

	pthread_mutex_lock(&slots_lock);
	if (has_room(t->f) && !is_gone(s)) {
		fd = EQ_RET(fcntl(s->fd, F_DUPFD_CLOEXEC, 0));
		if (fd >= 0)
			add_slot(t->f, fd, s->queue);
	}
	pthread_mutex_unlock(&slots_lock);
	return fd;
}

/* The number goes on to be taken, so that the other thread hits nothing else. */
static long op_close(struct thread *t)
{
	struct slot *s = pick_slot(t);
	long ret = -EBADF;

	pthread_mutex_lock(&slots_lock);
	if (!is_gone(s)) {
		if (!t->f->queue[s->queue].viommu)
			reach(GOAL_CLOSE, poll_again(s->fd) & POLLIN);
		__atomic_store_n(&s->gone, true, __ATOMIC_RELEASE);
		ret = EQ_RET(dup2(t->f->null, s->fd));
	}
	pthread_mutex_unlock(&slots_lock);
	return ret;
}

/*
 * What happens meanwhile
 */

static __u32 count_answers_of(struct thread *t, unsigned int dev)
{
	struct eq_response a = {};

	if (eq_pop_response(t->f->w.iommu, &t->f->w.dev[dev], &a))
		wrong(t, "no device", dev);
	return a.nr_success + a.nr_invalid + a.nr_failure;
}

/*
 * Where nobody wants the faults of a device each is answered by itself, not with
 * its group. With one thread it can be told how many were.
 */
static long raise_parts(struct thread *t, unsigned int dev, __u32 grpid,
			unsigned int nr)
{
	struct eq_world *w = &t->f->w;
	__u32 before = t->f->racy ? 0 : count_answers_of(t, dev);
	unsigned int i;
	long ret = 0;

	for (i = 0; i < nr && !ret; i++) {
		ret = eq_fault_op(w->iommu, IOMMU_TEST_OP_TRIGGER_IOPF_PART,
				  &w->dev[dev], 0, grpid, EQ_ADDR(i));
		if (t->f->racy)
			take_number(&t->f->nr_parts[dev]);
	}
	if (!t->f->racy)
		t->f->nr_parts[dev] += count_answers_of(t, dev) - before;
	return ret;
}

static long op_fault(struct thread *t)
{
	unsigned int choice = next8(&t->c), dev = choice & 1;
	unsigned int parts = choice & 2 ? 0 : choice / 4 % MAX_GROUP;
	__u32 grpid = take_number(&t->f->next_group);
	long ret = parts ? raise_parts(t, dev, grpid, parts) : 0;

	if (!ret)
		ret = eq_raise_fault(&t->f->w, dev, grpid);
	if (!ret)
		take_number(&t->f->nr_faults[dev]);
	else
		wrong(t, "fault that cannot be raised", ret);
	return ret;
}

static long op_events(struct thread *t)
{
	long ret = eq_raise_vevents(&t->f->w, 1 + next8(&t->c) % 20);

	/* No vIOMMU at the moment, or no queue of the type */
	EXPECT_ERROR(t, ret, ENOENT, EOPNOTSUPP);
	return ret;
}

static long op_attach(struct thread *t)
{
	struct eq_world *w = &t->f->w;
	unsigned int choice = next8(&t->c), dev = choice & 1;
	__u32 pt_id = w->ioas;
	int fd = t->f->slot[FIRST_QUEUE].fd;
	bool queued = poll_again(fd) & POLLIN;
	long ret;

	if (choice & 2)
		pt_id = next8(&t->c) % MAX_ID;
	else if (choice & 4)
		pt_id = w->hwpt;
	ret = eq_replace(w->iommu, &w->dev[dev], pt_id);
	reach(GOAL_MOVED, !ret && queued && !(poll_again(fd) & POLLIN));
	return ret;
}

/* A PASID of a device comes, goes, is moved to another domain, or faults. */
static long op_pasid(struct thread *t)
{
	unsigned int choice = next8(&t->c), dev = choice & 1;
	__u32 pasid = 1 + (choice >> 1 & 1), grpid;
	struct eq_world *w = &t->f->w;
	struct iommu_test_cmd cmd = {
		.id = w->dev[dev].stdev_id,
		.pasid_attach = {
			.pasid = pasid,
			.pt_id = choice & 64 ? next8(&t->c) % MAX_ID : w->hwpt,
		},
	};
	long ret;

	switch (choice >> 2 & 3) {
	case 0:
		return eq_test(w->iommu, IOMMU_TEST_OP_PASID_ATTACH, &cmd);
	case 1:
		return eq_test(w->iommu, IOMMU_TEST_OP_PASID_REPLACE, &cmd);
	case 2:
		return eq_pasid_detach(w->iommu, &w->dev[dev], pasid);
	}
	grpid = take_number(&t->f->next_group);
	ret = eq_pasid_fault(w->iommu, &w->dev[dev], pasid, grpid);
	if (!ret)
		take_number(&t->f->nr_faults[dev]);
	else
		wrong(t, "fault that cannot be raised", ret);
	return ret;
}

/* Not the devices: they count what they are answered. */
static bool is_mock(const struct eq_world *w, __u32 id)
{
	return id == w->dev[0].stdev_id || id == w->dev[1].stdev_id;
}

static long op_destroy(struct thread *t)
{
	__u32 id = next8(&t->c) % MAX_ID;
	long ret = 0;

	if (!is_mock(&t->f->w, id))
		ret = eq_destroy(t->f->w.iommu, id);
	EXPECT_ERROR(t, ret, ENOENT, EBUSY);
	reach(GOAL_BUSY, ret == -EBUSY);
	reach(GOAL_DESTROYED, !ret);
	return ret;
}

static long op_fault_hwpt(struct thread *t)
{
	struct eq_world *w = &t->f->w;
	unsigned int choice = next8(&t->c);
	bool use = next8(&t->c) & 1;
	__u32 hwpt;
	long ret = eq_fault_hwpt(w->iommu, &w->dev[choice & 1], w->ioas,
				 choice / 2 % MAX_ID, &hwpt);

	EXPECT_ERROR(t, ret, ENOENT, EINVAL, ENOMEM);
	if (!ret && use)
		eq_replace(w->iommu, &w->dev[choice & 1], hwpt);
	return ret;
}

/* All that the input likes best comes several times. */
static const struct op {
	const char *name;
	long (*fn)(struct thread *t);
} ops[] = {
	{ "read", op_read }, { "read", op_read }, { "read", op_read },
	{ "readv", op_readv }, { "readv", op_readv },
	{ "write", op_write }, { "write", op_write }, { "write", op_write },
	{ "fault", op_fault }, { "fault", op_fault }, { "fault", op_fault },
	{ "events", op_events }, { "pasid", op_pasid },
	{ "poll", op_poll }, { "poll", op_poll },
	{ "alloc of a fault queue", op_alloc_fault },
	{ "alloc of a fault queue", op_alloc_fault },
	{ "alloc of an event queue", op_alloc_vevent },
	{ "alloc of an event queue", op_alloc_vevent },
	{ "attach", op_attach }, { "attach", op_attach },
	{ "destroy", op_destroy },
	{ "hwpt", op_fault_hwpt },
	{ "fcntl", op_fcntl }, { "dup", op_dup }, { "close", op_close },
	{ "seek", op_seek }, { "ioctl", op_ioctl }, { "misc", op_misc },
	{ "fdinfo", op_fdinfo },
};

/*
 * Running an input
 */

static void tick(int sig)
{
}

/* Calls of this thread are interrupted again and again, and not restarted. */
static bool tick_start(timer_t *timer)
{
	struct sigevent ev = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = SIGUSR1,
	};
	struct itimerspec ts = {
		.it_value.tv_nsec = TICK_MS * 1000000,
		.it_interval.tv_nsec = TICK_MS * 1000000,
	};

	ev._sigev_un._tid = syscall(SYS_gettid);
	return !timer_create(CLOCK_MONOTONIC, &ev, timer) &&
	       !timer_settime(*timer, 0, &ts, NULL);
}

static void *run_thread(void *arg)
{
	struct thread *t = arg;
	unsigned int i, op, last = 0;
	timer_t timer;

	if (!tick_start(&timer)) {
		t->op = "tick";
		wrong(t, "no timer", -errno);
		return NULL;
	}
	for (i = 0; i < MAX_OPS && t->c.at < t->c.end && !t->f->bad; i++) {
		long ret;

		op = next8(&t->c) % ARRAY_SIZE(ops);
		t->op = ops[op].name;
		ret = ops[op].fn(t);
		check_errno(t, ret);
		saw(t, op, last, ret);
		last = op;
	}
	timer_delete(timer);
	return NULL;
}

static int world_make(struct fworld *f, unsigned int mode)
{
	__u32 flags = mode & 2 ? EQ_WAIT : 0;
	struct eq_world *w = &f->w;
	int rc = eq_world_open(w);

	if (!rc)
		rc = eq_world_viommu(w);
	if (!rc)
		rc = eq_vevent_queue(w->iommu, w->viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, flags,
				     mode & 4 ? 3 : EQ_DEPTH, &w->queue);
	if (rc)
		return rc;
	add_queue(f, w->queue.fd, true, flags, EQ_VEVENT_LEN);
	rc = eq_fault_queue(w->iommu, flags, &w->queue);
	if (rc)
		return rc;
	add_queue(f, w->queue.fd, false, flags, 0);
	rc = eq_fault_hwpt(w->iommu, &w->dev[1], w->ioas, w->queue.id,
			   &w->hwpt);
	if (!rc)
		rc = eq_replace(w->iommu, &w->dev[1], w->hwpt);
	return rc ? rc : mode & 8 ? eq_replace(w->iommu, &w->dev[0], w->hwpt) : 0;
}

/* Every fault has been answered, once, as it should be. */
static void check_answers(struct thread *t)
{
	struct fworld *f = t->f;
	__u32 success = 0, invalid = 0, nr;
	struct eq_response a;
	int dev;

	for (dev = 0; dev < 2; dev++) {
		if (eq_pop_response(f->w.iommu, &f->w.dev[dev], &a))
			return wrong(t, "no device", dev);
		nr = a.nr_success + a.nr_invalid + a.nr_failure -
		     f->nr_faults[dev];
		if (nr > f->nr_parts[dev] || (!f->racy &&
					      nr != f->nr_parts[dev]))
			wrong(t, "faults without an answer, or with two", nr);
		if (a.nr_failure)
			wrong(t, "FAILURE", a.nr_failure);
		success += a.nr_success;
		invalid += a.nr_invalid;
	}
	/* Who wrote to a descriptor as it was closed does not count. */
	if (f->racy ? success < f->nr_accepted : success != f->nr_accepted)
		wrong(t, "SUCCESS that nobody wrote, or not", success);
	if (invalid < f->nr_refused)
		wrong(t, "INVALID that was written has not come", invalid);
}

static bool destroy_round(struct fworld *f, bool all)
{
	bool any = false;
	__u32 id;

	for (id = 1; id < MAX_ID; id++)
		if (all || (!is_mock(&f->w, id) && id != f->w.ioas))
			any |= !eq_destroy(f->w.iommu, id);
	return any;
}

/* All can be closed and destroyed, and then there is nothing. */
static void tear_down(struct thread *t)
{
	struct fworld *f = t->f;
	unsigned int i;
	long id;

	for (i = 0; i < f->nr_slots; i++)
		if (close(f->slot[i].fd))
			wrong(t, "descriptor that cannot be closed", -errno);
	if (!f->w.dev[1].dev_id)
		return;
	check_answers(t);
	while (destroy_round(f, false))
		;
	while (destroy_round(f, true))
		;
	id = eq_next_id(&f->w);
	if (id != 1)
		wrong(t, "objects that cannot be destroyed", id);
}

static void run_threads(struct fworld *f, const struct input *in,
			struct thread *t, unsigned int nr)
{
	const unsigned char *at = in->byte + 1, *end = in->byte + in->len;
	unsigned int i, part = (end - at) / nr;

	for (i = 0; i < nr; i++, at += part) {
		t[i].f = f;
		t[i].c.at = at;
		t[i].c.end = i + 1 == nr ? end : at + part;
	}
	/* The signal is for a thread that is to be interrupted, not for others. */
	for (i = 0; i < nr; i++)
		if (pthread_create(&t[i].pthread, NULL, run_thread, &t[i]))
			wrong(&t[i], "no thread", -errno);
	for (i = 0; i < nr; i++)
		pthread_join(t[i].pthread, NULL);
}

static void print_input(const struct input *in)
{
	unsigned int i;

	printf("# EVENTQ_FUZZ_INPUT=");
	for (i = 0; i < in->len; i++)
		printf("%02x", in->byte[i]);
	printf(" (seed %llu)\n", (unsigned long long)in->seed);
}

/* Whether the kernel has warned: shows which input it was. */
static long taints(void)
{
	static int fd = -1;
	char text[24] = {};

	if (fd < 0)
		fd = open("/proc/sys/kernel/tainted", O_RDONLY | O_CLOEXEC);
	return pread(fd, text, sizeof(text) - 1, 0) <= 0 ? -1 :
							   atol(text);
}

static char *arenas[NR_THREADS];

/* The first byte of an input is about its world. */
static bool run_input(const struct input *in)
{
	struct thread t[NR_THREADS] = {};
	static struct fworld f;
	unsigned int mode = in->len ? in->byte[0] : 0, i;
	long before = taints();
	int fd = eq_lowest_free_fd();

	memset(&f, 0, sizeof(f));
	for (i = 0; i < NR_THREADS; i++)
		t[i].arena = arenas[i];
	t[0].f = &f;
	t[0].op = "making the world";
	f.racy = mode & 1;
	f.null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (world_make(&f, mode)) {
		wrong(&t[0], "no world", 0);
	} else {
		run_threads(&f, in, t, f.racy ? NR_THREADS : 1);
		t[0].op = "tearing it down";
		tear_down(&t[0]);
	}
	close(f.w.iommu);
	close(f.null);
	if (eq_lowest_free_fd() != fd)
		wrong(&t[0], "descriptor left behind", eq_lowest_free_fd());
	if (taints() != before)
		wrong(&t[0], "the kernel warned", taints());
	nr_inputs++;
	if (!f.bad)
		return true;
	printf("# %s: %s (%ld)\n", f.bad_op, f.bad, f.bad_result);
	print_input(in);
	return false;
}

/*
 * Somebody has to notice that an input does not end
 */

static struct input current;
static unsigned int progress;
static bool watching;

static unsigned int patience_ms(void)
{
	return 3 * EQ_DEADLINE_MS;
}

static void *watch(void *arg)
{
	unsigned int ms = 0, last = 0, now;

	while (__atomic_load_n(&watching, __ATOMIC_RELAXED)) {
		usleep(10000);
		now = __atomic_load_n(&progress, __ATOMIC_RELAXED);
		ms = now == last ? ms + 10 : 0;
		last = now;
		if (ms < patience_ms())
			continue;
		printf("# stuck\n");
		print_input(&current);
		fflush(stdout);
		_exit(KSFT_FAIL);
	}
	return NULL;
}

static bool run_watched(const struct input *in)
{
	current = *in;
	__atomic_fetch_add(&progress, 1, __ATOMIC_RELAXED);
	return run_input(in);
}

/*
 * Making inputs
 */

static __u64 random64(__u64 *state)
{
	__u64 x = *state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static bool from_hex(struct input *in, const char *hex)
{
	unsigned int byte;

	in->seed = 0;
	for (in->len = 0; hex[0] && hex[1]; hex += 2) {
		if (in->len == INPUT_MAX || sscanf(hex, "%2x", &byte) != 1)
			return false;
		in->byte[in->len++] = byte;
	}
	return !hex[0];
}

static void from_nothing(struct input *in, __u64 *state)
{
	unsigned int i;

	in->len = 16 + random64(state) % (INPUT_MAX - 16);
	for (i = 0; i < in->len; i++)
		in->byte[i] = random64(state);
}

/* A kept input, changed: a few bytes, a piece moved, or another one's end. */
static void from_kept(struct input *in, __u64 *state)
{
	unsigned int nr = 1 + random64(state) % 6, a, b, len;
	struct input other;

	from_hex(in, corpus[random64(state) % ARRAY_SIZE(corpus)].hex);
	while (nr--) {
		a = random64(state) % in->len;
		switch (random64(state) % 4) {
		case 0:
			b = random64(state) % in->len;
			len = random64(state) % 16;
			len = len > in->len - a ? in->len - a : len;
			len = len > in->len - b ? in->len - b : len;
			memmove(in->byte + a, in->byte + b, len);
			break;
		case 1:
			from_hex(&other, corpus[random64(state) %
						ARRAY_SIZE(corpus)].hex);
			if (a >= other.len)
				break;
			memcpy(in->byte + a, other.byte + a, other.len - a);
			in->len = other.len;
			break;
		default:
			in->byte[a] = random64(state);
		}
	}
}

/* An input is all made of its seed. */
static void make_input(struct input *in, __u64 seed)
{
	__u64 state = seed;

	in->seed = seed;
	if (random64(&state) & 1)
		from_nothing(in, &state);
	else
		from_kept(in, &state);
	in->seed = seed;
}

static __u64 number_from_env(const char *name, __u64 otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

/* A kernel that looks for leaks is a slow one. */
static unsigned int seconds(void)
{
	bool slow = !access("/sys/kernel/debug/kmemleak", F_OK);

	return number_from_env("EVENTQ_FUZZ_SECONDS", slow ? 30 : 14);
}

static __u64 first_seed(void)
{
	return number_from_env("EVENTQ_FUZZ_SEED", 1);
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/*
 * Learning: what an input reaches first is kept, made as short as it goes
 */

static bool reaches(const struct input *in, unsigned int goal)
{
	memset(reached, 0, sizeof(reached));
	return run_watched(in) && reached[goal];
}

static void cut(struct input *in, unsigned int at, unsigned int len)
{
	memmove(in->byte + at, in->byte + at + len, in->len - at - len);
	in->len -= len;
}

static void shorten(struct input *in, unsigned int goal)
{
	unsigned int len, at;
	struct input less;

	for (len = in->len / 2; len; len /= 2) {
		for (at = 1; at + len <= in->len;) {
			less = *in;
			cut(&less, at, len);
			if (reaches(&less, goal))
				*in = less;
			else
				at += len;
		}
	}
}

static void learn(const struct input *in)
{
	static bool known[NR_GOALS], now[NR_GOALS];
	unsigned int goal, i;
	struct input less;

	memcpy(now, reached, sizeof(now));
	for (goal = 0; goal < NR_GOALS; goal++) {
		if (!now[goal] || known[goal])
			continue;
		known[goal] = true;
		less = *in;
		shorten(&less, goal);
		printf("\t{ \"");
		for (i = 0; i < less.len; i++)
			printf("%02x", less.byte[i]);
		printf("\",\n\t  \"%s\" },\n", goals[goal]);
		fflush(stdout);
	}
}

/* A kept input goes on to do what it is kept for. */
static bool does_still(const char *what)
{
	unsigned int goal;

	for (goal = 0; goal < NR_GOALS; goal++)
		if (!strcmp(goals[goal], what))
			return reached[goal];
	return false;
}

FIXTURE(fuzz)
{
	pthread_t watcher;
};

FIXTURE_SETUP(fuzz)
{
	struct sigaction sa = { .sa_handler = tick };
	int i;

	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	ASSERT_EQ(0, sigaction(SIGUSR1, &sa, NULL));
	for (i = 0; i < NR_THREADS; i++) {
		arenas[i] = arena_make();
		ASSERT_NE(NULL, arenas[i]);
	}
	taints();
	watching = true;
	ASSERT_EQ(0, pthread_create(&self->watcher, NULL, watch, NULL));
}

FIXTURE_TEARDOWN(fuzz)
{
	watching = false;
	pthread_join(self->watcher, NULL);
}

/* What was found once, or one input from outside. */
TEST_F_TIMEOUT(fuzz, kept, 300)
{
	const char *hex = getenv("EVENTQ_FUZZ_INPUT");
	struct input in;
	size_t i;

	if (hex) {
		ASSERT_TRUE(from_hex(&in, hex));
		ASSERT_TRUE(run_watched(&in));
		return;
	}
	for (i = 0; i < ARRAY_SIZE(corpus); i++) {
		memset(reached, 0, sizeof(reached));
		ASSERT_TRUE(from_hex(&in, corpus[i].hex));
		ASSERT_TRUE(run_watched(&in))
			TH_LOG("kept input %zu: %s", i, corpus[i].what);
		EXPECT_TRUE(does_still(corpus[i].what))
			TH_LOG("kept input %zu: not %s", i, corpus[i].what);
	}
	printf("# %u inputs, %u calls, %u kinds\n", nr_inputs, nr_calls,
	       nr_seen);
}

/* With one thread, where all can be checked, or two on the same world */
static bool fuzz_for(unsigned int ms, unsigned int threads, __u64 seed)
{
	bool learns = getenv("EVENTQ_FUZZ_LEARN");
	long end = now_ms() + ms;
	struct input in;

	for (; now_ms() < end; seed++) {
		make_input(&in, seed);
		in.byte[0] = (in.byte[0] & ~1) | (threads > 1);
		if (!run_watched(&in))
			return false;
		if (learns && threads == 1)
			learn(&in);
	}
	printf("# %u inputs, %u calls, %u kinds, next seed %llu\n", nr_inputs,
	       nr_calls, nr_seen, (unsigned long long)seed);
	return true;
}

TEST_F_TIMEOUT(fuzz, one_thread, 3600)
{
	ASSERT_TRUE(fuzz_for(seconds() * 500, 1, first_seed()));
}

TEST_F_TIMEOUT(fuzz, two_threads, 3600)
{
	ASSERT_TRUE(fuzz_for(seconds() * 500, 2, first_seed()));
}

TEST_HARNESS_MAIN
