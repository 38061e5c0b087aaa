// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selftest of iommufd's event queues: callers who get stuck in a page fault of
 * their own, in the middle of a read, a write or an allocation, for ever or
 * until they are killed. Whatever others do meanwhile must be done at once, but
 * for reading the same queue; and in the end no record is lost or delivered
 * twice, and each fault is answered once.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "calls.h"
#include "lib/eventq_wait.h"
#include "stall.h"

/*
 * The scene in which somebody gets stuck: a queue of each class with something
 * in it, and books of what must become of that
 */

#define MAX_GROUPS 64
#define BIT(n) (1ULL << (n))
/* Groups of faults, by number: 1 and 2 were read, these were not. */
#define QUEUED_GROUPS (BIT(3) | BIT(4))
#define NR_EVENTS 2
#define SCENE_DEPTH 32
#define PASID 77

struct scene {
	struct eq_world w;		/* with both devices on a fault queue */
	struct eq_dev vdev;	/* a third one, behind the vIOMMU */
	struct eq_queue vq;
	__u32 next_id;		/* that the next object will get */

	/* Fault groups, by number, which bit masks are of */
	__u32 nr_groups;
	unsigned int dev[MAX_GROUPS];
	__u32 cookie[MAX_GROUPS];
	__u64 seen, hidden;	/* delivered; will never be */
	__u64 success, invalid;	/* what the devices have to get, */
	__u64 got_success, got_invalid;	/* what they got, */
	__u64 untold;		/* and of whom nobody can tell */

	/* Events, by sequence */
	__u32 nr_events;
	__u64 events_seen, events_hidden;
};

static __u64 all_groups(const struct scene *s)
{
	return BIT(s->nr_groups + 1) - BIT(1);
}

/* Every fourth group has three faults. */
static unsigned int group_size(__u32 n)
{
	return n % 4 ? 1 : 3;
}

static long groups_len(__u64 groups)
{
	long len = 0;
	__u32 n;

	for (n = 0; n < MAX_GROUPS; n++)
		if (groups & BIT(n))
			len += group_size(n) * EQ_FAULT_LEN;
	return len;
}

/* The next group, to be raised on @dev by act_group() */
static struct eq_act next_group(struct scene *s, unsigned int dev)
{
	s->dev[++s->nr_groups] = dev;
	return (struct eq_act){ .w = &s->w, .dev = dev, .arg = s->nr_groups };
}

static long act_group(void *arg)
{
	struct eq_act *act = arg;

	return eq_raise_group(act->w, act->dev, act->arg, group_size(act->arg));
}

static long act_event(void *arg)
{
	struct scene *s = arg;

	return eq_vevents(s->w.iommu, &s->vdev, 1);
}

static bool raise_group(struct scene *s, unsigned int dev)
{
	struct eq_act act = next_group(s, dev);

	return !act_group(&act);
}

/* Records were read: enter them, if they are whole, in order and new. */
static bool note_faults(struct scene *s, const char *buf, long len)
{
	struct iommu_hwpt_pgfault f;
	unsigned int nr = 0;

	for (; len >= EQ_FAULT_LEN; buf += EQ_FAULT_LEN, len -= EQ_FAULT_LEN) {
		memcpy(&f, buf, sizeof(f));
		if (!f.grpid || f.grpid > s->nr_groups || !f.cookie ||
		    f.dev_id != s->w.dev[s->dev[f.grpid]].dev_id ||
		    f.addr != EQ_ADDR(nr) || s->seen >= BIT(f.grpid)) {
			printf("# bad fault %u of group %u\n", nr, f.grpid);
			return false;
		}
		nr++;
		if (!(f.flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE))
			continue;
		if (nr != group_size(f.grpid))
			return false;
		s->seen |= BIT(f.grpid);
		s->cookie[f.grpid] = f.cookie;
		nr = 0;
	}
	return !len && !nr;
}

static bool note_events(struct scene *s, const char *buf, long len)
{
	struct eq_vevent v;

	for (; len >= EQ_VEVENT_LEN; buf += EQ_VEVENT_LEN, len -= EQ_VEVENT_LEN) {
		memcpy(&v, buf, sizeof(v));
		if (v.header.flags || v.header.sequence >= s->nr_events ||
		    v.event.virt_id != EQ_VIRT_ID ||
		    s->events_seen >= BIT(v.header.sequence)) {
			printf("# bad event %u flags %#x\n", v.header.sequence,
			       v.header.flags);
			return false;
		}
		s->events_seen |= BIT(v.header.sequence);
	}
	return !len;
}

static bool note_records(struct scene *s, bool viommu, const char *buf,
			 long len)
{
	if (len <= 0)
		return true;
	return viommu ? note_events(s, buf, len) : note_faults(s, buf, len);
}

/* Enter the answers that the devices got, if they are new. */
static bool note_answers(struct scene *s)
{
	unsigned int dev;
	struct eq_response a;

	for (dev = 0; dev < 2; dev++) {
		while (!eq_pop_response(s->w.iommu, &s->w.dev[dev], &a) &&
		       a.code != EQ_GOT_NOTHING) {
			if (a.code > EQ_GOT_INVALID || a.grpid > s->nr_groups ||
			    s->dev[a.grpid] != dev ||
			    ((s->got_success | s->got_invalid) &
			     BIT(a.grpid))) {
				printf("# bad answer %u to group %u\n", a.code,
				       a.grpid);
				return false;
			}
			if (a.code == EQ_GOT_SUCCESS)
				s->got_success |= BIT(a.grpid);
			else
				s->got_invalid |= BIT(a.grpid);
		}
	}
	return true;
}

static bool answers_are_right(struct scene *s)
{
	if (!note_answers(s))
		return false;
	if (s->got_success == (s->success & ~s->untold) &&
	    s->got_invalid == (s->invalid & ~s->untold))
		return true;
	printf("# SUCCESS %#llx for %#llx, INVALID %#llx for %#llx\n",
	       s->got_success, s->success, s->got_invalid, s->invalid);
	return false;
}

static bool scene_open_queues(struct scene *s)
{
	struct eq_queue next;

	if (eq_world_open(&s->w) || eq_world_fault_queue(&s->w, EQ_NO_WAIT) ||
	    eq_device(s->w.iommu, s->w.ioas, &s->vdev) ||
	    eq_viommu(s->w.iommu, s->w.ioas, &s->vdev, &s->w.viommu) ||
	    eq_vdevice(s->w.iommu, s->w.viommu, &s->vdev, EQ_VIRT_ID) ||
	    eq_vevent_queue(s->w.iommu, s->w.viommu,
			    IOMMU_VEVENTQ_TYPE_SELFTEST, EQ_NO_WAIT,
			    SCENE_DEPTH, &s->vq) ||
	    eq_fault_queue(s->w.iommu, EQ_NO_WAIT, &next))
		return false;
	s->next_id = next.id;
	return !close(next.fd) && !eq_destroy(s->w.iommu, next.id);
}

static bool scene_open(struct scene *s)
{
	struct iommu_hwpt_pgfault f[2];

	if (!scene_open_queues(s) || !raise_group(s, 0) || !raise_group(s, 1) ||
	    eq_read(s->w.queue.fd, f, sizeof(f)) != sizeof(f) ||
	    !note_faults(s, (char *)f, sizeof(f)))
		return false;
	s->nr_events = NR_EVENTS;
	return raise_group(s, 0) && raise_group(s, 0) &&
	       !eq_vevents(s->w.iommu, &s->vdev, NR_EVENTS);
}

static void scene_close(struct scene *s)
{
	close(s->w.queue.fd);
	close(s->vq.fd);
	close(s->w.iommu);
}

static bool drain_scene(struct scene *s)
{
	char buf[4096];
	long ret;

	if (s->w.queue.fd >= 0) {
		ret = eq_read(s->w.queue.fd, buf, sizeof(buf));
		if (ret < 0 || !note_records(s, false, buf, ret) ||
		    eq_readable(s->w.queue.fd))
			return false;
	}
	if (s->vq.fd >= 0) {
		ret = eq_read(s->vq.fd, buf, sizeof(buf));
		if (ret < 0 || !note_records(s, true, buf, ret) ||
		    eq_readable(s->vq.fd))
			return false;
	}
	return true;
}

/* What is open takes one answer, the rest none. */
static bool answer_scene(struct scene *s)
{
	__u32 n;

	for (n = 1; n <= s->nr_groups; n++) {
		bool done = (s->success | s->invalid) & BIT(n);

		if (!(s->seen & BIT(n)))
			continue;
		if (eq_respond(s->w.queue.fd, s->cookie[n],
			       IOMMUFD_PAGE_RESP_SUCCESS) !=
		    (done ? -EINVAL : EQ_RESPONSE_LEN)) {
			printf("# group %u is%s done\n", n, done ? "" : " not");
			return false;
		}
		if (!done)
			s->success |= BIT(n);
	}
	return true;
}

/* The end of it: all came, all was answered, each but once. */
static void settle(struct __test_metadata *_metadata, struct scene *s)
{
	ASSERT_TRUE(drain_scene(s));
	ASSERT_EQ(all_groups(s) & ~s->hidden, s->seen);
	ASSERT_EQ((BIT(s->nr_events) - 1) & ~s->events_hidden, s->events_seen);
	if (s->w.queue.fd >= 0) {
		ASSERT_TRUE(answer_scene(s));
		ASSERT_EQ(0, eq_fdinfo(s->w.queue.fd, "outstanding"));
	}
	close(s->w.queue.fd);
	s->w.queue.fd = -1;
	s->invalid |= all_groups(s) & ~s->success;
	if (s->w.iommu >= 0)
		ASSERT_TRUE(answers_are_right(s));
}

/*
 * Who gets stuck: at once, or behind a first record or answer for which there
 * is room; in the end the memory turns up, or it does not
 */

enum who { FAULT_READER, WRITER, FAULT_ALLOC, VEVENT_READER, VEVENT_ALLOC };

struct stuck {
	enum who who;
	bool late, fails;
	bool behind;		/* another reader waits for its turn */
	struct eq_stall stall;
	struct eq_job job;
	char first[64];
	struct iovec iov[2];
	int fd;
	struct eq_ioctl alloc;
};

static long job_readv(void *arg)
{
	struct stuck *k = arg;

	return EQ_RET(readv(k->fd, k->iov, 2));
}

static long job_writev(void *arg)
{
	struct stuck *k = arg;

	return EQ_RET(writev(k->fd, k->iov, 2));
}

static bool stick_alloc(struct stuck *k, const struct scene *s)
{
	struct iommu_fault_alloc fault_cmd = { .size = sizeof(fault_cmd) };
	struct iommu_veventq_alloc vevent_cmd = {
		.size = sizeof(vevent_cmd),
		.viommu_id = s->w.viommu,
		.type = IOMMU_VEVENTQ_TYPE_SELFTEST_32,
		.veventq_depth = EQ_DEPTH,
	};
	bool viommu = k->who == VEVENT_ALLOC;

	k->alloc.fd = s->w.iommu;
	k->alloc.request = viommu ? IOMMU_VEVENTQ_ALLOC :
				    IOMMU_FAULT_QUEUE_ALLOC;
	if (viommu ? eq_stall_init_write(&k->stall, &vevent_cmd,
					 sizeof(vevent_cmd)) :
		     eq_stall_init_write(&k->stall, &fault_cmd,
					 sizeof(fault_cmd)))
		return false;
	k->alloc.arg = k->stall.page;
	return eq_job_start(&k->job, eq_job_ioctl, &k->alloc) &&
	       eq_stall_hit(&k->stall);
}

static bool stick(struct stuck *k, const struct scene *s)
{
	struct iommu_hwpt_page_response r = { .cookie = s->cookie[2] };

	if (k->who == FAULT_ALLOC || k->who == VEVENT_ALLOC)
		return stick_alloc(k, s);
	if (eq_stall_init(&k->stall))
		return false;
	k->fd = k->who == VEVENT_READER ? s->vq.fd : s->w.queue.fd;
	k->iov[0].iov_base = k->first;
	if (k->late)
		k->iov[0].iov_len = k->who == WRITER ? EQ_RESPONSE_LEN :
				    eq_record_len(k->who == VEVENT_READER);
	k->iov[1].iov_base = k->stall.page;
	k->iov[1].iov_len = k->who == WRITER ? (size_t)EQ_RESPONSE_LEN :
					       k->stall.len;
	memcpy(k->first, &r, sizeof(r));
	return eq_job_start(&k->job,
			    k->who == WRITER ? job_writev : job_readv, k) &&
	       eq_stall_hit(&k->stall);
}

/* Those of QUEUED_GROUPS that nobody gets if they are answered meanwhile */
static __u64 groups_not_in_hand(const struct stuck *k)
{
	if (k->who != FAULT_READER)
		return QUEUED_GROUPS;
	if (!k->fails)
		return 0;
	return k->late ? QUEUED_GROUPS & ~BIT(3) : QUEUED_GROUPS;
}

static __u64 events_not_in_hand(const struct stuck *k, __u64 all)
{
	if (k->who != VEVENT_READER)
		return all;
	if (!k->fails)
		return 0;
	return k->late ? all & ~BIT(0) : all;
}

/* What the writer's answers to groups 2 and 1 do, when they get there */
static long writer_result(struct stuck *k, struct scene *s)
{
	__u64 done = s->success | s->invalid;
	long ret = 0;

	if (k->late) {
		if (done & BIT(2))
			return -EINVAL;
		s->success |= BIT(2);
		ret = EQ_RESPONSE_LEN;
	}
	if (k->fails)
		return ret ? ret : -EFAULT;
	if (done & BIT(1))
		return ret ? ret : -EINVAL;
	s->success |= BIT(1);
	return ret + EQ_RESPONSE_LEN;
}

static long stuck_result(struct stuck *k, struct scene *s)
{
	bool viommu = k->who == VEVENT_READER;
	__u64 left;

	if (k->who == WRITER)
		return writer_result(k, s);
	if (k->who == FAULT_ALLOC || k->who == VEVENT_ALLOC)
		return k->fails ? -EFAULT : 0;
	if (k->fails)
		return k->late ? eq_record_len(viommu) : -EFAULT;
	if (!viommu)
		return groups_len(all_groups(s) & ~s->seen & ~s->hidden);
	left = (BIT(s->nr_events) - 1) & ~s->events_seen & ~s->events_hidden;
	return __builtin_popcountll(left) * EQ_VEVENT_LEN;
}

static int unstick_memory(struct stuck *k, const struct scene *s)
{
	struct iommu_hwpt_page_response r = { .cookie = s->cookie[1] };

	if (k->fails)
		return eq_stall_break(&k->stall);
	if (k->who == FAULT_ALLOC || k->who == VEVENT_ALLOC)
		return eq_stall_protect(&k->stall, false);
	return eq_stall_fill(&k->stall, &r, sizeof(r));
}

/* The queue that was made is as good as any. */
static bool new_queue_is_good(struct stuck *k, struct scene *s)
{
	struct iommu_veventq_alloc *vevent_cmd = (void *)k->stall.page;
	struct iommu_fault_alloc *fault_cmd = (void *)k->stall.page;
	bool viommu = k->who == VEVENT_ALLOC;
	__u32 id = viommu ? vevent_cmd->out_veventq_id :
			    fault_cmd->out_fault_id;
	int fd = viommu ? vevent_cmd->out_veventq_fd : fault_cmd->out_fault_fd;

	return id == s->next_id && eq_read(fd, k->first, 8) == 0 &&
	       eq_fdinfo(fd, "eventq-id") == id &&
	       (s->w.iommu < 0 || eq_destroy(s->w.iommu, id) == -EBUSY) &&
	       !close(fd) && (s->w.iommu < 0 || !eq_destroy(s->w.iommu, id));
}

/* Of the queue that was not made nothing is left: not its ID, not its type. */
static bool new_queue_is_gone(struct stuck *k, struct scene *s)
{
	struct eq_queue q;

	if (s->w.iommu < 0)
		return true;
	if (k->who == VEVENT_ALLOC ?
		    eq_vevent_queue(s->w.iommu, s->w.viommu,
				    IOMMU_VEVENTQ_TYPE_SELFTEST_32, 0, EQ_DEPTH,
				    &q) :
		    eq_fault_queue(s->w.iommu, 0, &q))
		return false;
	/* The lowest free ID is taken, and lower ones may have become free. */
	return q.id <= s->next_id && !close(q.fd) &&
	       !eq_destroy(s->w.iommu, q.id);
}

FIXTURE(stuck)
{
	struct scene s;
	struct stuck k;
};

FIXTURE_VARIANT(stuck)
{
	enum who who;
	bool late, fails;
};

FIXTURE_VARIANT_ADD(stuck, fault_reader)
{
	.who = FAULT_READER,
};

FIXTURE_VARIANT_ADD(stuck, fault_reader_fails)
{
	.who = FAULT_READER,
	.fails = true,
};

FIXTURE_VARIANT_ADD(stuck, late_fault_reader)
{
	.who = FAULT_READER,
	.late = true,
};

FIXTURE_VARIANT_ADD(stuck, late_fault_reader_fails)
{
	.who = FAULT_READER,
	.late = true,
	.fails = true,
};

FIXTURE_VARIANT_ADD(stuck, writer)
{
	.who = WRITER,
};

FIXTURE_VARIANT_ADD(stuck, writer_fails)
{
	.who = WRITER,
	.fails = true,
};

FIXTURE_VARIANT_ADD(stuck, late_writer)
{
	.who = WRITER,
	.late = true,
};

FIXTURE_VARIANT_ADD(stuck, late_writer_fails)
{
	.who = WRITER,
	.late = true,
	.fails = true,
};

FIXTURE_VARIANT_ADD(stuck, fault_alloc)
{
	.who = FAULT_ALLOC,
};

FIXTURE_VARIANT_ADD(stuck, fault_alloc_fails)
{
	.who = FAULT_ALLOC,
	.fails = true,
};

FIXTURE_VARIANT_ADD(stuck, vevent_reader)
{
	.who = VEVENT_READER,
};

FIXTURE_VARIANT_ADD(stuck, vevent_reader_fails)
{
	.who = VEVENT_READER,
	.fails = true,
};

FIXTURE_VARIANT_ADD(stuck, late_vevent_reader)
{
	.who = VEVENT_READER,
	.late = true,
};

FIXTURE_VARIANT_ADD(stuck, late_vevent_reader_fails)
{
	.who = VEVENT_READER,
	.late = true,
	.fails = true,
};

FIXTURE_VARIANT_ADD(stuck, vevent_alloc)
{
	.who = VEVENT_ALLOC,
};

FIXTURE_VARIANT_ADD(stuck, vevent_alloc_fails)
{
	.who = VEVENT_ALLOC,
	.fails = true,
};

FIXTURE_SETUP(stuck)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	if (eq_stall_init(&self->k.stall))
		SKIP(return, EQ_NO_STALL);
	self->k.who = variant->who;
	self->k.late = variant->late;
	self->k.fails = variant->fails;
	ASSERT_TRUE(scene_open(&self->s));
	ASSERT_TRUE(stick(&self->k, &self->s));
}

FIXTURE_TEARDOWN(stuck)
{
	scene_close(&self->s);
}

/*
 * Whatever was done, it is still stuck. Let it go on, and enter its result. A reader
 * that waits behind a reader may have its turn before that one has all.
 */
static void unstick(struct __test_metadata *_metadata,
		    struct _test_data_stuck *self)
{
	struct stuck *k = &self->k;
	struct scene *s = &self->s;
	char buf[sizeof(k->first) + 4096];
	size_t first = k->iov[0].iov_len;
	long ret = stuck_result(k, s);

	ASSERT_FALSE(eq_job_end(&k->job, 0));
	ASSERT_EQ(0, unstick_memory(k, s));
	ASSERT_TRUE(eq_job_end(&k->job, EQ_DEADLINE_MS));
	if (k->behind && !k->fails && k->job.ret > 0)
		ret = ret < k->job.ret ? ret : k->job.ret;
	ASSERT_EQ(ret, k->job.ret);

	if (k->who == FAULT_ALLOC || k->who == VEVENT_ALLOC) {
		ASSERT_TRUE(k->fails ? new_queue_is_gone(k, s) :
				       new_queue_is_good(k, s));
	} else if (k->who != WRITER) {
		memcpy(buf, k->first, first);
		if (!k->fails)
			memcpy(buf + first, k->stall.page, 4096);
		ASSERT_TRUE(note_records(s, k->who == VEVENT_READER, buf, ret));
	}
}

#define ASSERT_PROMPT_IOCTL(expected, iommu, command, cmd)		\
do {									\
	struct eq_ioctl __io = {					\
		.fd = iommu,						\
		.request = command,					\
		.arg = cmd,						\
	};								\
									\
	EQ_ASSERT_PROMPT(expected, eq_job_ioctl, &__io);		\
} while (0)

#define ASSERT_PROMPT_DESTROY(expected, iommu, object)			\
do {									\
	struct iommu_destroy __cmd = {					\
		.size = sizeof(__cmd),					\
		.id = object,						\
	};								\
									\
	ASSERT_PROMPT_IOCTL(expected, iommu, IOMMU_DESTROY, &__cmd);	\
} while (0)

static void report(struct __test_metadata *_metadata, struct scene *s,
		   unsigned int dev)
{
	struct eq_act act = next_group(s, dev);

	EQ_ASSERT_PROMPT(0, act_group, &act);
	s->nr_events++;
	EQ_ASSERT_PROMPT(0, act_event, s);
}

struct fdinfo {
	int fd;
	const char *key;
};

static long job_fdinfo(void *arg)
{
	struct fdinfo *fdinfo = arg;

	return eq_fdinfo(fdinfo->fd, fdinfo->key);
}

/* What a reader has in hand stays queued until user space got it. */
TEST_F(stuck, delays_no_report)
{
	static const unsigned int devs[] = { 0, 1, 0, 0, 1 };
	const short in = POLLIN | POLLRDNORM, out = POLLOUT | POLLWRNORM;
	struct scene *s = &self->s;
	struct fdinfo queued = { s->w.queue.fd, "queued" };
	struct fdinfo outstanding = { s->w.queue.fd, "outstanding" };
	struct fdinfo vqueued = { s->vq.fd, "queued" };
	struct pollfd pfd = { s->w.queue.fd, in | out };
	struct pollfd vpfd = { s->vq.fd, in | out };
	size_t i;

	EQ_ASSERT_PROMPT(in | out, eq_job_poll, &pfd);
	EQ_ASSERT_PROMPT(in, eq_job_poll, &vpfd);
	EQ_ASSERT_PROMPT(2, job_fdinfo, &queued);
	EQ_ASSERT_PROMPT(2, job_fdinfo, &outstanding);
	EQ_ASSERT_PROMPT(NR_EVENTS, job_fdinfo, &vqueued);
	report(_metadata, s, 1);
	EQ_ASSERT_PROMPT(in | out, eq_job_poll, &pfd);
	EQ_ASSERT_PROMPT(in, eq_job_poll, &vpfd);
	EQ_ASSERT_PROMPT(3, job_fdinfo, &queued);
	EQ_ASSERT_PROMPT(NR_EVENTS + 1, job_fdinfo, &vqueued);
	for (i = 0; i < ARRAY_SIZE(devs); i++)
		report(_metadata, s, devs[i]);
	unstick(_metadata, self);
	settle(_metadata, s);
}

/*
 * Not even if it is itself about to respond. The cookies of a reader are good once
 * its read is over: until then a guess hits nothing.
 */
TEST_F(stuck, delays_no_writer)
{
	struct scene *s = &self->s;
	struct eq_act accept = { .w = &s->w };
	__u32 n;

	for (n = 2; n; n--) {
		accept.arg = s->cookie[n];
		EQ_ASSERT_PROMPT(EQ_RESPONSE_LEN, eq_act_accept, &accept);
		s->success |= BIT(n);
		ASSERT_TRUE(answers_are_right(s));
		EQ_ASSERT_PROMPT(-EINVAL, eq_act_accept, &accept);
	}
	for (n = 0; n < 256; n++) {
		accept.arg = s->cookie[2] - 128 + n;
		ASSERT_EQ(-EINVAL, eq_act_accept(&accept));
	}
	ASSERT_TRUE(answers_are_right(s));
	unstick(_metadata, self);
	settle(_metadata, s);
}

static long job_read_nowait(void *arg)
{
	struct eq_io *io = arg;

	return eq_read_nowait(io->fd, io->buf, io->len);
}

enum how { READ_PLAIN, READ_NOWAIT, READ_NONBLOCK };

/* Other readers get what is there; of the same queue, EAGAIN. */
static void read_beside(struct __test_metadata *_metadata, struct scene *s,
			bool viommu, enum how how, bool busy)
{
	char buf[4096];
	struct eq_io io = {
		.fd = viommu ? s->vq.fd : s->w.queue.fd,
		.buf = buf,
		.len = sizeof(buf),
	};
	int flags = fcntl(io.fd, F_GETFL);
	struct eq_job job;

	if (how == READ_NONBLOCK)
		ASSERT_EQ(0, fcntl(io.fd, F_SETFL, flags | O_NONBLOCK));
	ASSERT_TRUE(eq_job_start(&job,
				 how == READ_NOWAIT ? job_read_nowait :
						      eq_job_read, &io));
	ASSERT_TRUE(eq_job_end(&job, EQ_DEADLINE_MS));
	ASSERT_EQ(0, fcntl(io.fd, F_SETFL, flags));
	if (busy) {
		ASSERT_EQ(-EAGAIN, job.ret);
		return;
	}
	ASSERT_LT(0, job.ret);
	ASSERT_TRUE(note_records(s, viommu, buf, job.ret));
}

static unsigned int nr_signals;

static void count_signal(int sig)
{
	(void)sig;
	__atomic_add_fetch(&nr_signals, 1, __ATOMIC_RELEASE);
}

static bool wait_for_signals(unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < EQ_DEADLINE_MS; i++) {
		if (__atomic_load_n(&nr_signals, __ATOMIC_ACQUIRE) == nr)
			return true;
		usleep(1000);
	}
	return false;
}

/* Who waits behind it can be woken by a signal, and has its turn in the end. */
static void read_behind(struct __test_metadata *_metadata,
			struct _test_data_stuck *self)
{
	bool viommu = self->k.who == VEVENT_READER;
	struct sigaction action = { .sa_handler = count_signal };
	struct scene *s = &self->s;
	char buf[4096];
	struct eq_io io = {
		.fd = viommu ? s->vq.fd : s->w.queue.fd,
		.buf = buf,
		.len = sizeof(buf),
	};
	struct eq_job reader;

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	ASSERT_TRUE(eq_job_start(&reader, eq_job_read, &io));
	ASSERT_TRUE(eq_job_sleeps(&reader));
	ASSERT_EQ(0, pthread_kill(reader.thread, SIGUSR1));
	ASSERT_TRUE(eq_job_end(&reader, EQ_DEADLINE_MS));
	ASSERT_EQ(-EINTR, reader.ret);

	/* With SA_RESTART it goes on. */
	action.sa_flags = SA_RESTART;
	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	ASSERT_TRUE(eq_job_start(&reader, eq_job_read, &io));
	ASSERT_TRUE(eq_job_sleeps(&reader));
	ASSERT_EQ(0, pthread_kill(reader.thread, SIGUSR1));
	ASSERT_TRUE(wait_for_signals(2));
	ASSERT_TRUE(eq_job_sleeps(&reader));
	ASSERT_FALSE(eq_job_end(&reader, 0));

	self->k.behind = true;
	unstick(_metadata, self);
	ASSERT_TRUE(eq_job_end(&reader, EQ_DEADLINE_MS));
	ASSERT_LE(self->k.fails, reader.ret);
	ASSERT_TRUE(note_records(s, viommu, buf, reader.ret));
}

TEST_F(stuck, delays_no_reader_but_of_its_queue)
{
	bool fault_reader = variant->who == FAULT_READER;
	bool vevent_reader = variant->who == VEVENT_READER;
	struct scene *s = &self->s;

	report(_metadata, s, 1);
	read_beside(_metadata, s, false, READ_NOWAIT, fault_reader);
	read_beside(_metadata, s, true, READ_NOWAIT, vevent_reader);
	report(_metadata, s, 1);
	read_beside(_metadata, s, false, READ_NONBLOCK, fault_reader);
	read_beside(_metadata, s, true, READ_NONBLOCK, vevent_reader);
	report(_metadata, s, 1);
	if (!fault_reader)
		read_beside(_metadata, s, false, READ_PLAIN, false);
	if (!vevent_reader)
		read_beside(_metadata, s, true, READ_PLAIN, false);
	if (fault_reader || vevent_reader)
		read_behind(_metadata, self);
	else
		unstick(_metadata, self);
	settle(_metadata, s);
}

/* The attachment of device 0 has ended: its faults were answered at once. */
static void device_0_left(struct __test_metadata *_metadata, struct scene *s,
			  const struct stuck *k)
{
	s->invalid |= BIT(1) | QUEUED_GROUPS;
	s->hidden |= groups_not_in_hand(k);
	ASSERT_TRUE(answers_are_right(s));
}

static long act_pasid_attach(void *arg)
{
	struct eq_act *act = arg;

	return eq_pasid_attach(act->w->iommu, &act->w->dev[act->dev], PASID,
			       act->arg);
}

static long act_pasid_fault(void *arg)
{
	struct eq_act *act = arg;

	return eq_pasid_fault(act->w->iommu, &act->w->dev[act->dev], PASID,
			      act->arg);
}

static long act_pasid_detach(void *arg)
{
	struct eq_act *act = arg;

	return eq_pasid_detach(act->w->iommu, &act->w->dev[act->dev], PASID);
}

static void leave_pasid(struct __test_metadata *_metadata, struct scene *s)
{
	struct eq_act attach = { .w = &s->w, .dev = 1, .arg = s->w.hwpt };
	struct eq_act raise;

	EQ_ASSERT_PROMPT(0, act_pasid_attach, &attach);
	raise = next_group(s, 1);
	EQ_ASSERT_PROMPT(0, act_pasid_fault, &raise);
	EQ_ASSERT_PROMPT(0, act_pasid_detach, &attach);
	s->invalid |= BIT(raise.arg);
	s->hidden |= BIT(raise.arg);
	ASSERT_TRUE(answers_are_right(s));
}

TEST_F(stuck, delays_no_detach)
{
	struct scene *s = &self->s;
	struct eq_act replace = { .w = &s->w, .arg = s->w.ioas };

	leave_pasid(_metadata, s);
	EQ_ASSERT_PROMPT(0, eq_act_replace, &replace);
	device_0_left(_metadata, s, &self->k);
	/* There, and back again */
	replace.arg = s->w.hwpt;
	EQ_ASSERT_PROMPT(0, eq_act_replace, &replace);
	report(_metadata, s, 0);
	unstick(_metadata, self);
	settle(_metadata, s);
}

/* Later faults go to the other queue. */
TEST_F(stuck, delays_no_replace)
{
	struct scene *s = &self->s;
	struct iommu_hwpt_pgfault f;
	struct eq_act replace = { .w = &s->w };
	struct eq_queue other;

	ASSERT_EQ(0, eq_fault_queue(s->w.iommu, 0, &other));
	ASSERT_EQ(0, eq_fault_hwpt(s->w.iommu, &s->w.dev[0], s->w.ioas,
				   other.id, &replace.arg));
	EQ_ASSERT_PROMPT(0, eq_act_replace, &replace);
	device_0_left(_metadata, s, &self->k);

	report(_metadata, s, 0);
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(other.fd, &f, sizeof(f)));
	ASSERT_EQ(5, f.grpid);
	ASSERT_EQ(EQ_RESPONSE_LEN,
		  eq_respond(other.fd, f.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	s->success |= BIT(5);
	s->hidden |= BIT(5);
	report(_metadata, s, 1);
	unstick(_metadata, self);
	settle(_metadata, s);
}

TEST_F(stuck, delays_no_removal)
{
	struct scene *s = &self->s;

	ASSERT_PROMPT_DESTROY(0, s->w.iommu, s->w.dev[1].stdev_id);
	ASSERT_PROMPT_DESTROY(0, s->w.iommu, s->w.dev[0].stdev_id);
	ASSERT_PROMPT_DESTROY(0, s->w.iommu, s->vdev.stdev_id);
	EQ_ASSERT_PROMPT(-ENOENT, act_event, s);
	s->invalid |= all_groups(s);
	s->hidden |= groups_not_in_hand(&self->k);
	s->untold = all_groups(s);
	unstick(_metadata, self);
	settle(_metadata, s);
}

/* A second fault queue, from its beginning to its end */
static void live_beside(struct __test_metadata *_metadata, struct scene *s)
{
	struct iommu_fault_alloc queue = { .size = sizeof(queue) };
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID,
		.dev_id = s->w.dev[1].dev_id,
		.pt_id = s->w.ioas,
	};
	struct eq_act act = { .w = &s->w, .dev = 1 };
	int fd;

	ASSERT_PROMPT_IOCTL(0, s->w.iommu, IOMMU_FAULT_QUEUE_ALLOC, &queue);
	fd = queue.out_fault_fd;
	hwpt.fault_id = queue.out_fault_id;
	ASSERT_PROMPT_IOCTL(0, s->w.iommu, IOMMU_HWPT_ALLOC, &hwpt);
	act.arg = hwpt.out_hwpt_id;
	EQ_ASSERT_PROMPT(0, eq_act_replace, &act);
	s->invalid |= BIT(2);
	report(_metadata, s, 1);
	ASSERT_TRUE(answers_are_right(s));
	EQ_ASSERT_PROMPT(0, eq_job_close, &fd);
	s->invalid |= BIT(5);
	s->hidden |= BIT(5);
	ASSERT_TRUE(answers_are_right(s));
	act.arg = s->w.hwpt;
	EQ_ASSERT_PROMPT(0, eq_act_replace, &act);
	ASSERT_PROMPT_DESTROY(0, s->w.iommu, hwpt.out_hwpt_id);
	ASSERT_PROMPT_DESTROY(0, s->w.iommu, queue.out_fault_id);
}

static void live_beside_vevents(struct __test_metadata *_metadata,
				struct scene *s, __u32 type)
{
	struct iommu_veventq_alloc queue = {
		.size = sizeof(queue),
		.viommu_id = s->w.viommu,
		.type = type,
		.veventq_depth = EQ_DEPTH,
	};
	int fd;

	ASSERT_PROMPT_IOCTL(0, s->w.iommu, IOMMU_VEVENTQ_ALLOC, &queue);
	fd = queue.out_veventq_fd;
	ASSERT_PROMPT_IOCTL(-EEXIST, s->w.iommu, IOMMU_VEVENTQ_ALLOC, &queue);
	EQ_ASSERT_PROMPT(0, eq_job_close, &fd);
	ASSERT_PROMPT_DESTROY(0, s->w.iommu, queue.out_veventq_id);
}

static long job_open_close(void *arg)
{
	int iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	struct eq_queue q;
	int rc;

	(void)arg;
	if (iommu < 0)
		return -errno;
	rc = eq_fault_queue(iommu, 0, &q);
	close(q.fd);
	close(iommu);
	return rc;
}

/* Nor can anybody use a queue that is still being made. */
static void be_refused(struct __test_metadata *_metadata, struct scene *s)
{
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = s->w.dev[0].dev_id,
		.pt_id = s->w.ioas,
		.fault_id = s->next_id,
	};

	ASSERT_PROMPT_DESTROY(-EBUSY, s->w.iommu, s->w.queue.id);
	ASSERT_PROMPT_DESTROY(-EBUSY, s->w.iommu, s->vq.id);
	ASSERT_PROMPT_DESTROY(-EBUSY, s->w.iommu, s->w.hwpt);
	ASSERT_PROMPT_DESTROY(-EBUSY, s->w.iommu, s->w.viommu);
	ASSERT_PROMPT_DESTROY(-ENOENT, s->w.iommu, s->next_id);
	ASSERT_PROMPT_IOCTL(-ENOENT, s->w.iommu, IOMMU_HWPT_ALLOC, &hwpt);
}

TEST_F(stuck, delays_no_other_queue)
{
	struct iommu_veventq_alloc again = {
		.size = sizeof(again),
		.viommu_id = self->s.w.viommu,
		.type = IOMMU_VEVENTQ_TYPE_SELFTEST_32,
		.veventq_depth = EQ_DEPTH,
	};
	struct scene *s = &self->s;

	be_refused(_metadata, s);
	live_beside(_metadata, s);
	live_beside_vevents(_metadata, s, IOMMU_VEVENTQ_TYPE_SELFTEST_16);
	if (variant->who == VEVENT_ALLOC)
		ASSERT_PROMPT_IOCTL(-EEXIST, s->w.iommu, IOMMU_VEVENTQ_ALLOC,
				    &again);
	else
		live_beside_vevents(_metadata, s,
				    IOMMU_VEVENTQ_TYPE_SELFTEST_32);
	EQ_ASSERT_PROMPT(0, job_open_close, NULL);
	unstick(_metadata, self);
	settle(_metadata, s);
}

/* Who is stuck holds the file, so it is not the last close. */
TEST_F(stuck, delays_no_close)
{
	bool holds = variant->who == FAULT_READER || variant->who == WRITER;
	struct scene *s = &self->s;

	report(_metadata, s, 1);
	EQ_ASSERT_PROMPT(0, eq_job_close, &s->w.queue.fd);
	s->w.queue.fd = -1;
	EQ_ASSERT_PROMPT(0, eq_job_close, &s->vq.fd);
	s->vq.fd = -1;
	if (!holds)
		s->invalid = all_groups(s);
	ASSERT_TRUE(answers_are_right(s));
	/* A reader who goes on takes all there is, as ever. */
	if (variant->who != FAULT_READER || variant->fails)
		s->hidden = groups_not_in_hand(&self->k) | BIT(5);
	s->events_hidden = events_not_in_hand(&self->k, BIT(s->nr_events) - 1);
	unstick(_metadata, self);
	settle(_metadata, s);
}

TEST_F(stuck, delays_no_close_of_iommufd)
{
	struct scene *s = &self->s;
	struct eq_act accept = { .w = &s->w, .arg = s->cookie[2] };
	struct pollfd pfd = { s->vq.fd, POLLIN };

	EQ_ASSERT_PROMPT(0, eq_job_close, &s->w.iommu);
	s->w.iommu = -1;
	EQ_ASSERT_PROMPT(EQ_RESPONSE_LEN, eq_act_accept, &accept);
	s->success |= BIT(2);
	EQ_ASSERT_PROMPT(POLLIN, eq_job_poll, &pfd);
	unstick(_metadata, self);
	settle(_metadata, s);
}

/*
 * A queue gets stuck while it is made that devices report to already
 */

FIXTURE(half_made)
{
	struct eq_world w;
	struct eq_stall stall;
	struct eq_ioctl alloc;
	struct eq_job job;
};

FIXTURE_SETUP(half_made)
{
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd),
		.type = IOMMU_VEVENTQ_TYPE_SELFTEST,
		.veventq_depth = EQ_DEPTH,
	};

	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	ASSERT_EQ(0, eq_world_open(&self->w));
	ASSERT_EQ(0, eq_world_viommu(&self->w));
	cmd.viommu_id = self->w.viommu;
	if (eq_stall_init_write(&self->stall, &cmd, sizeof(cmd)))
		SKIP(return, EQ_NO_STALL);
	self->alloc.fd = self->w.iommu;
	self->alloc.request = IOMMU_VEVENTQ_ALLOC;
	self->alloc.arg = self->stall.page;
	ASSERT_TRUE(eq_job_start(&self->job, eq_job_ioctl, &self->alloc));
	ASSERT_TRUE(eq_stall_hit(&self->stall));
}

FIXTURE_TEARDOWN(half_made)
{
	close(self->w.queue.fd);
	close(self->w.iommu);
}

TEST_F(half_made, reports_are_kept)
{
	struct iommu_veventq_alloc *cmd = (void *)self->stall.page;
	struct eq_act report = { .w = &self->w };
	char buf[(EQ_DEPTH + 1) * EQ_VEVENT_LEN];
	int i;

	for (i = 0; i < EQ_DEPTH + 2; i++)
		EQ_ASSERT_PROMPT(0, eq_act_vevent, &report);
	ASSERT_EQ(0, eq_stall_protect(&self->stall, false));
	ASSERT_TRUE(eq_job_end(&self->job, EQ_DEADLINE_MS));
	ASSERT_EQ(0, self->job.ret);
	self->w.queue.fd = cmd->out_veventq_fd;
	ASSERT_EQ(EQ_DEPTH * EQ_VEVENT_LEN + EQ_HEADER_LEN,
		  eq_read(self->w.queue.fd, buf, sizeof(buf)));
	for (i = 0; i < EQ_DEPTH; i++)
		ASSERT_TRUE(eq_is_event(buf + i * EQ_VEVENT_LEN, i));
	ASSERT_TRUE(eq_is_lost(buf + EQ_DEPTH * EQ_VEVENT_LEN, EQ_DEPTH + 1));
}

TEST_F(half_made, reports_are_dropped)
{
	struct eq_act report = { .w = &self->w };
	char buf[4 * EQ_VEVENT_LEN];
	int i;

	for (i = 0; i < EQ_DEPTH + 2; i++)
		EQ_ASSERT_PROMPT(0, eq_act_vevent, &report);
	ASSERT_EQ(0, eq_stall_break(&self->stall));
	ASSERT_TRUE(eq_job_end(&self->job, EQ_DEADLINE_MS));
	ASSERT_EQ(-EFAULT, self->job.ret);
	/* Nothing of it is left for the next one. */
	ASSERT_EQ(-EOPNOTSUPP, eq_raise_vevents(&self->w, 1));
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, EQ_DEPTH,
				     &self->w.queue));
	ASSERT_EQ(0, eq_read(self->w.queue.fd, buf, sizeof(buf)));
	ASSERT_EQ(0, eq_raise_vevents(&self->w, 1));
	ASSERT_EQ(EQ_VEVENT_LEN, eq_read(self->w.queue.fd, buf, sizeof(buf)));
	ASSERT_TRUE(eq_is_event(buf, 0));
}

/*
 * Who is stuck is in the middle of using a device
 */

FIXTURE(in_use)
{
	struct eq_world w;
	struct eq_stall stall;
	struct eq_job user;
};

FIXTURE_SETUP(in_use)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	if (eq_stall_init(&self->stall))
		SKIP(return, EQ_NO_STALL);
	ASSERT_EQ(0, eq_world_open(&self->w));
}

FIXTURE_TEARDOWN(in_use)
{
	close(self->w.iommu);
}

/* The call waits for something that it cannot be interrupted in. */
static bool waits_deeply(struct eq_job *job)
{
	unsigned int ms;

	for (ms = 0; ms < EQ_DEADLINE_MS && eq_task_state(job->tid) != 'D'; ms++)
		usleep(1000);
	usleep(EQ_QUIET_MS * 1000);
	return !eq_job_ended(job) && eq_task_state(job->tid) == 'D';
}

/*
 * A fault that is just reported uses its device as this call does, but cannot be
 * held up for so long. Who destroys the device waits for it, and not longer.
 */
TEST_F(in_use, device_goes_with_its_last_user)
{
	struct eq_world *w = &self->w;
	struct iommu_hw_info info = {
		.size = sizeof(info),
		.dev_id = w->dev[0].dev_id,
		.data_len = sizeof(struct iommu_test_hw_info),
		.data_uptr = (uintptr_t)self->stall.page,
	};
	struct iommu_destroy end = {
		.size = sizeof(end),
		.id = w->dev[0].stdev_id,
	};
	struct eq_ioctl use = {
		.fd = w->iommu,
		.request = IOMMU_GET_HW_INFO,
		.arg = &info,
	};
	struct eq_ioctl destroy = {
		.fd = w->iommu,
		.request = IOMMU_DESTROY,
		.arg = &end,
	};
	struct eq_job job;

	ASSERT_TRUE(eq_job_start(&self->user, eq_job_ioctl, &use));
	ASSERT_TRUE(eq_stall_hit(&self->stall));
	ASSERT_TRUE(eq_job_start(&job, eq_job_ioctl, &destroy));
	ASSERT_TRUE(waits_deeply(&job));
	ASSERT_EQ(0, eq_stall_fill(&self->stall, NULL, 0));
	ASSERT_EQ(0, eq_job_result(&self->user));
	ASSERT_EQ(0, eq_job_result(&job));
	ASSERT_EQ(-ENOENT, eq_destroy(w->iommu, w->dev[0].dev_id));
}

/*
 * Who is stuck is killed
 */

FIXTURE(killed)
{
	struct scene s;
	struct stuck k;
	pid_t pid;
};

FIXTURE_VARIANT(killed)
{
	enum who who;
	bool late;
};

FIXTURE_VARIANT_ADD(killed, fault_reader)
{
	.who = FAULT_READER,
};

FIXTURE_VARIANT_ADD(killed, late_fault_reader)
{
	.who = FAULT_READER,
	.late = true,
};

FIXTURE_VARIANT_ADD(killed, writer)
{
	.who = WRITER,
};

FIXTURE_VARIANT_ADD(killed, fault_alloc)
{
	.who = FAULT_ALLOC,
};

FIXTURE_VARIANT_ADD(killed, vevent_reader)
{
	.who = VEVENT_READER,
};

FIXTURE_VARIANT_ADD(killed, late_vevent_reader)
{
	.who = VEVENT_READER,
	.late = true,
};

FIXTURE_VARIANT_ADD(killed, vevent_alloc)
{
	.who = VEVENT_ALLOC,
};

FIXTURE_SETUP(killed)
{
	int pipes[2];
	char stuck;

	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	if (eq_stall_init(&self->k.stall))
		SKIP(return, EQ_NO_STALL);
	ASSERT_TRUE(scene_open(&self->s));
	ASSERT_EQ(0, pipe(pipes));
	self->k.who = variant->who;
	self->k.late = variant->late;
	self->pid = eq_fork();
	if (!self->pid) {
		close(pipes[0]);
		if (!stick(&self->k, &self->s) || write(pipes[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	ASSERT_LT(0, self->pid);
	close(pipes[1]);
	ASSERT_EQ(1, read(pipes[0], &stuck, 1));
}

FIXTURE_TEARDOWN(killed)
{
	scene_close(&self->s);
}

/* The record that it had in full is gone with it, in the late variants. */
TEST_F(killed, nothing_changes)
{
	struct scene *s = &self->s;

	ASSERT_EQ(0, kill(self->pid, SIGKILL));
	EQ_ASSERT_PROMPT(self->pid, eq_job_waitpid, &self->pid);
	ASSERT_TRUE(answers_are_right(s));
	if (variant->who == FAULT_READER && variant->late) {
		/* It is outstanding: closing the file answers it. */
		s->hidden |= BIT(3);
		ASSERT_EQ(3, eq_fdinfo(s->w.queue.fd, "outstanding"));
		ASSERT_EQ(1, eq_fdinfo(s->w.queue.fd, "queued"));
		ASSERT_TRUE(drain_scene(s));
		ASSERT_EQ(0, close(s->w.queue.fd));
		s->w.queue.fd = -1;
	}
	if (variant->who == VEVENT_READER && variant->late)
		s->events_hidden |= BIT(0);
	ASSERT_TRUE(new_queue_is_gone(&self->k, s));
	settle(_metadata, s);
}

TEST_F(killed, last_close)
{
	struct scene *s = &self->s;

	ASSERT_EQ(0, close(s->w.queue.fd));
	ASSERT_EQ(0, close(s->vq.fd));
	s->w.queue.fd = -1;
	s->vq.fd = -1;
	ASSERT_TRUE(answers_are_right(s));
	ASSERT_EQ(-EBUSY, eq_destroy(s->w.iommu, s->vq.id));
	ASSERT_EQ(0, kill(self->pid, SIGKILL));
	EQ_ASSERT_PROMPT(self->pid, eq_job_waitpid, &self->pid);
	s->invalid = all_groups(s);
	ASSERT_TRUE(answers_are_right(s));
	ASSERT_TRUE(new_queue_is_gone(&self->k, s));
	ASSERT_EQ(0, eq_destroy(s->w.iommu, s->vq.id));
	s->hidden = QUEUED_GROUPS;
	s->events_hidden = BIT(NR_EVENTS) - 1;
	settle(_metadata, s);
}

TEST_HARNESS_MAIN
