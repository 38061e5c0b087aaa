// SPDX-License-Identifier: GPL-2.0-only
/*
 * The long tail of iommufd_eventq_fault, the selftest of fault queues: responses
 * that come late or twice, replaces that fail or race, any order of what can happen
 * to a group against a model, readers under load.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "kselftest_harness.h"
#include "calls.h"
#include "lib/eventq_wait.h"

/*
 * Fault queues: reading
 */

#define PASID 77

FIXTURE(fault)
{
	struct eq_world w;
};

FIXTURE_SETUP(fault)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	ASSERT_EQ(0, eq_world_open(&self->w));
	ASSERT_EQ(0, eq_world_fault_queue(&self->w, EQ_NO_WAIT));
}

FIXTURE_TEARDOWN(fault)
{
	close(self->w.queue.fd);
	close(self->w.iommu);
}

/*
 * Fault queues: answering
 */

/* An answer never waits, so it can be told not to. */
TEST_F(fault, answer_that_must_not_wait)
{
	struct iommu_hwpt_page_response r[2] = {};
	struct iovec iov = { .iov_base = r, .iov_len = sizeof(r) };
	int fd = self->w.queue.fd;

	ASSERT_TRUE(eq_outstanding(&self->w, 0, 1, &r[0].cookie));
	ASSERT_TRUE(eq_outstanding(&self->w, 0, 2, &r[1].cookie));
	ASSERT_EQ(2 * EQ_RESPONSE_LEN, EQ_RET(pwritev2(fd, &iov, 1, -1, RWF_NOWAIT)));
	ASSERT_TRUE(eq_got(&self->w, 0, 1, EQ_GOT_SUCCESS));
	ASSERT_TRUE(eq_got(&self->w, 0, 2, EQ_GOT_SUCCESS));
	ASSERT_EQ(-EINVAL, EQ_RET(pwritev2(fd, &iov, 1, -1, RWF_NOWAIT)));
	ASSERT_TRUE(eq_got_nothing(&self->w, 0));
}

/* An answer that is late by a whole queue hits nothing, either. */
TEST_F(fault, answer_to_former_queue)
{
	struct iommu_hwpt_pgfault f;
	__u32 stale, hwpt;
	struct eq_queue q;

	ASSERT_TRUE(eq_outstanding(&self->w, 0, 1, &stale));
	ASSERT_EQ(0, close(self->w.queue.fd));
	self->w.queue.fd = -1;
	ASSERT_TRUE(eq_got(&self->w, 0, 1, EQ_GOT_INVALID));
	ASSERT_EQ(0, eq_fault_queue(self->w.iommu, 0, &q));
	ASSERT_EQ(0, eq_fault_hwpt(self->w.iommu, &self->w.dev[0],
				   self->w.ioas, q.id, &hwpt));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], hwpt));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 2));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(q.fd, &f, sizeof(f)));
	ASSERT_EQ(-EINVAL, eq_respond(q.fd, stale, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(eq_got_nothing(&self->w, 0));
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(q.fd, f.cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(eq_got(&self->w, 0, 2, EQ_GOT_SUCCESS));
}

/* An old fault and the newest are answered in turns, over many cookies. */
TEST_F(fault, old_and_new_answers_in_turns)
{
	__u32 old[200], fresh[ARRAY_SIZE(old)];
	int i, fd = self->w.queue.fd;

	for (i = 0; i < ARRAY_SIZE(old); i++)
		ASSERT_TRUE(eq_outstanding(&self->w, 0, i, &old[i]));
	for (i = 0; i < ARRAY_SIZE(old); i++) {
		ASSERT_TRUE(eq_outstanding(&self->w, 0, 1000 + i, &fresh[i]));
		ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(fd, fresh[i],
						      IOMMUFD_PAGE_RESP_SUCCESS));
		ASSERT_TRUE(eq_got(&self->w, 0, 1000 + i, EQ_GOT_SUCCESS));
		ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(fd, old[i],
						      IOMMUFD_PAGE_RESP_SUCCESS));
		ASSERT_TRUE(eq_got(&self->w, 0, i, EQ_GOT_SUCCESS));
	}
	for (i = 0; i < ARRAY_SIZE(old); i++) {
		ASSERT_EQ(-EINVAL, eq_respond(fd, fresh[i],
					      IOMMUFD_PAGE_RESP_SUCCESS));
		ASSERT_EQ(-EINVAL, eq_respond(fd, old[i],
					      IOMMUFD_PAGE_RESP_SUCCESS));
	}
	ASSERT_TRUE(eq_got_nothing(&self->w, 0));
	ASSERT_EQ(0, eq_fdinfo(fd, "outstanding"));
}

TEST_F(fault, failed_read_spends_no_answer)
{
	struct iommu_hwpt_pgfault f;
	__u32 cookie, i;

	ASSERT_TRUE(eq_outstanding(&self->w, 0, 1, &cookie));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 2));
	ASSERT_EQ(-EFAULT, eq_read(self->w.queue.fd, eq_edge(0), EQ_FAULT_LEN));
	ASSERT_TRUE(eq_readable(self->w.queue.fd));
	ASSERT_EQ(1, eq_fdinfo(self->w.queue.fd, "outstanding"));
	/* No cookie is good while the fault waits to be read. */
	for (i = 1; i < 16; i++)
		ASSERT_EQ(-EINVAL, eq_respond(self->w.queue.fd, cookie + i,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(eq_got_nothing(&self->w, 0));
	/* Nor is one that an earlier read spent on it. */
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(self->w.queue.fd, &f, sizeof(f)));
	for (i = 1; i < 16; i++)
		if (cookie + i != f.cookie)
			ASSERT_EQ(-EINVAL, eq_respond(self->w.queue.fd, cookie + i,
						      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(eq_got_nothing(&self->w, 0));
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->w.queue.fd, f.cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(eq_got(&self->w, 0, 2, EQ_GOT_SUCCESS));
}

/*
 * Fault queues: detach, replace, close
 */

/* The attachment goes on, and with it its faults. */
TEST_F(fault, replace_that_changes_nothing)
{
	struct iommu_hwpt_pgfault f;
	__u32 cookie;

	ASSERT_TRUE(eq_outstanding(&self->w, 0, 1, &cookie));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 2));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], self->w.hwpt));
	ASSERT_EQ(-ENOENT, eq_replace(self->w.iommu, &self->w.dev[0], 1 << 24));
	ASSERT_EQ(-EINVAL, eq_replace(self->w.iommu, &self->w.dev[0],
				      self->w.queue.id));
	ASSERT_TRUE(eq_got_nothing(&self->w, 0));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(self->w.queue.fd, &f, sizeof(f)));
	ASSERT_EQ(2, f.grpid);
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->w.queue.fd, cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->w.queue.fd, f.cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(eq_got(&self->w, 0, 1, EQ_GOT_SUCCESS));
	ASSERT_TRUE(eq_got(&self->w, 0, 2, EQ_GOT_SUCCESS));
	ASSERT_TRUE(eq_got_nothing(&self->w, 0));
}

/* Nor does an attempt that gets as far as the device, and fails there. */
TEST_F(fault, failed_replace_changes_nothing)
{
	struct eq_world *w = &self->w;
	struct iommu_test_cmd cmd = {
		.id = w->ioas,
		.mock_domain_flags.dev_flags = MOCK_FLAGS_DEVICE_NO_DIRTY,
	};
	struct iommu_hwpt_alloc dirty = {
		.size = sizeof(dirty),
		.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
		.dev_id = w->dev[0].dev_id,
		.pt_id = w->ioas,
	};
	struct iommu_hwpt_pgfault f;
	__u32 cookie;

	ASSERT_EQ(0, eq_test(w->iommu, IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, &cmd));
	w->dev[1].stdev_id = cmd.mock_domain_flags.out_stdev_id;
	w->dev[1].dev_id = cmd.mock_domain_flags.out_idev_id;
	ASSERT_EQ(0, eq_replace(w->iommu, &w->dev[1], w->hwpt));
	ASSERT_EQ(0, eq_call(w->iommu, IOMMU_HWPT_ALLOC, &dirty));

	ASSERT_TRUE(eq_outstanding(w, 1, 1, &cookie));
	ASSERT_EQ(0, eq_raise_fault(w, 1, 2));
	ASSERT_EQ(-EINVAL, eq_replace(w->iommu, &w->dev[1], dirty.out_hwpt_id));
	ASSERT_TRUE(eq_got_nothing(w, 1));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(w->queue.fd, &f, sizeof(f)));
	ASSERT_EQ(2, f.grpid);
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(w->queue.fd, cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(w->queue.fd, f.cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(eq_got(w, 1, 1, EQ_GOT_SUCCESS));
	ASSERT_TRUE(eq_got(w, 1, 2, EQ_GOT_SUCCESS));
}

#define NR_RACES 200
#define NR_ANSWERS 32

struct answers {
	struct eq_world *w;
	struct iommu_hwpt_pgfault f[NR_ANSWERS];
};

/* One by one; returns how many of them were in time. */
static long job_answers(void *arg)
{
	struct answers *answers = arg;
	long rc, nr = 0;
	int i;

	for (i = 0; i < NR_ANSWERS; i++) {
		rc = eq_respond(answers->w->queue.fd, answers->f[i].cookie,
				IOMMUFD_PAGE_RESP_SUCCESS);
		if (rc != EQ_RESPONSE_LEN && rc != -EINVAL)
			return rc;
		nr += rc == EQ_RESPONSE_LEN;
	}
	return nr;
}

/*
 * Each fault is answered by the one or by the other, and the device is not let
 * go before the answer that is under way has got there.
 */
TEST_F(fault, replace_while_answers_come)
{
	struct eq_world *w = &self->w;
	struct answers answers = { .w = w };
	struct eq_act act = { .w = w };
	int round, i, nr_success;
	struct eq_response a;
	struct eq_job job;
	__u32 hwpt;

	ASSERT_EQ(0, eq_fault_hwpt(w->iommu, &w->dev[0], w->ioas, w->queue.id,
				   &hwpt));
	for (round = 0; round < NR_RACES; round++) {
		act.arg = round % 2 ? w->hwpt : hwpt;
		for (i = 0; i < NR_ANSWERS; i++)
			ASSERT_EQ(0, eq_raise_fault(w, 0, i));
		ASSERT_EQ(sizeof(answers.f), eq_read(w->queue.fd, answers.f,
						     sizeof(answers.f)));
		ASSERT_TRUE(eq_job_start(&job, job_answers, &answers));
		EQ_ASSERT_PROMPT(0, eq_act_replace, &act);
		ASSERT_TRUE(eq_job_end(&job, EQ_DEADLINE_MS));

		for (i = 0, nr_success = 0; i < NR_ANSWERS; i++) {
			ASSERT_EQ(0, eq_pop_response(w->iommu, &w->dev[0], &a));
			ASSERT_GE(EQ_GOT_INVALID, a.code);
			nr_success += a.code == EQ_GOT_SUCCESS;
		}
		ASSERT_EQ(job.ret, nr_success);
		ASSERT_TRUE(eq_got_nothing(w, 0));
	}
	ASSERT_EQ(0, eq_fdinfo(w->queue.fd, "outstanding"));
}

/*
 * Fault queues: everything that can happen to a group, in any order, against a
 * model of what the queue is
 */

#define MODEL_STEPS 2500
#define MODEL_MAX 24

struct model_group {
	__u32 grpid;
	unsigned int dev, nr;
	__u32 cookie;
};

/* Groups that wait to be read, and those that wait for their answer */
struct model_list {
	struct model_group g[MODEL_MAX];
	unsigned int nr;
};

struct model {
	struct eq_world *w;
	struct model_list queued, open;
	__u32 hwpt[2];		/* the devices move between them */
	unsigned int attached[2];
	__u32 next;		/* group number */
	__u32 stale;		/* a cookie that was good */
	__u32 random;
	char *edge;		/* of a page to read into */
};

static __u32 next_random(struct model *m)
{
	m->random = m->random * 1664525 + 1013904223;
	return m->random >> 8;
}

static struct model_group model_remove(struct model_list *list, unsigned int i)
{
	struct model_group g = list->g[i];

	list->nr--;
	memmove(&list->g[i], &list->g[i + 1], (list->nr - i) * sizeof(g));
	return g;
}

static bool model_raise(struct model *m)
{
	struct model_group g = {
		.grpid = m->next++,
		.dev = next_random(m) % 2,
		.nr = next_random(m) % 4 + 1,
	};

	if (m->queued.nr + m->open.nr == MODEL_MAX)
		return true;
	m->queued.g[m->queued.nr++] = g;
	return !eq_raise_group(m->w, g.dev, g.grpid, g.nr);
}

static bool is_group(struct model *m, const char *buf, struct model_group *g)
{
	struct iommu_hwpt_pgfault f;
	unsigned int i;

	for (i = 0; i < g->nr; i++) {
		memcpy(&f, buf + i * EQ_FAULT_LEN, sizeof(f));
		if (!i)
			g->cookie = f.cookie;
		if (f.grpid != g->grpid || f.addr != EQ_ADDR(i) ||
		    f.dev_id != m->w->dev[g->dev].dev_id || f.__reserved ||
		    !f.cookie || f.cookie != g->cookie ||
		    f.flags != (i + 1 == g->nr ?
					IOMMU_PGFAULT_FLAGS_LAST_PAGE : 0))
			return false;
	}
	return true;
}

/* Read @count bytes, of which those from @hole on cannot be written. */
static bool model_read(struct model *m, size_t count, size_t hole)
{
	size_t room = hole < count ? hole : count, len = 0;
	char *buf = m->edge - hole;
	unsigned int nr = 0;
	long want, ret;

	while (nr < m->queued.nr &&
	       len + m->queued.g[nr].nr * EQ_FAULT_LEN <= room)
		len += m->queued.g[nr++].nr * EQ_FAULT_LEN;
	want = len;
	if (!len && m->queued.nr && count)
		want = m->queued.g[0].nr * EQ_FAULT_LEN > count ? -EINVAL :
							       -EFAULT;
	ret = eq_read(m->w->queue.fd, buf, count);
	if (ret != want) {
		printf("# read of %zu up to %zu: %ld, not %ld\n", count, hole,
		       ret, want);
		return false;
	}
	for (; nr; nr--) {
		struct model_group g = model_remove(&m->queued, 0);

		if (!is_group(m, buf, &g))
			return false;
		buf += g.nr * EQ_FAULT_LEN;
		m->open.g[m->open.nr++] = g;
	}
	return true;
}

static bool model_answer(struct model *m)
{
	__u32 code = next_random(m) % 2 ? IOMMUFD_PAGE_RESP_SUCCESS :
					  IOMMUFD_PAGE_RESP_INVALID;
	int fd = m->w->queue.fd;
	struct model_group g;

	if (m->stale && eq_respond(fd, m->stale, code) != -EINVAL)
		return false;
	if (!m->open.nr)
		return true;
	g = model_remove(&m->open, next_random(m) % m->open.nr);
	m->stale = g.cookie;
	return eq_respond(fd, g.cookie, 2) == -EINVAL &&
	       eq_respond(fd, g.cookie, code) == EQ_RESPONSE_LEN &&
	       eq_got(m->w, g.dev, g.grpid, code);
}

static unsigned int model_detach(struct model *m, struct model_list *list,
				 unsigned int dev, bool *left)
{
	unsigned int i = 0, nr = 0;

	while (i < list->nr) {
		if (list->g[i].dev == dev) {
			m->stale = list->g[i].cookie;
			left[model_remove(list, i).grpid] = true;
			nr++;
		} else {
			i++;
		}
	}
	return nr;
}

/* To the other domain, which has the same queue: all INVALID, in any order */
static bool model_replace(struct model *m)
{
	bool left[MODEL_STEPS] = {};
	unsigned int dev = next_random(m) % 2, nr;
	struct eq_response a;

	m->attached[dev] ^= 1;
	if (eq_replace(m->w->iommu, &m->w->dev[dev],
		       m->hwpt[m->attached[dev]]))
		return false;
	for (nr = model_detach(m, &m->open, dev, left) +
		  model_detach(m, &m->queued, dev, left); nr; nr--) {
		if (eq_pop_response(m->w->iommu, &m->w->dev[dev], &a) ||
		    a.code != EQ_GOT_INVALID || a.grpid >= MODEL_STEPS ||
		    !left[a.grpid])
			return false;
		left[a.grpid] = false;
	}
	return true;
}

static bool model_step(struct model *m)
{
	size_t room = next_random(m) % (16 * EQ_FAULT_LEN);

	switch (next_random(m) % 32) {
	case 0 ... 14:
		return model_raise(m);
	case 15 ... 18:
		return model_read(m, room, 4000);
	case 19:
		return model_read(m, room % (2 * EQ_FAULT_LEN), 4000);
	case 20 ... 22:
		return model_read(m, 4096, room);
	case 23 ... 30:
		return model_answer(m);
	default:
		return model_replace(m);
	}
}

static bool as_model(struct model *m, bool thorough)
{
	int fd = m->w->queue.fd;

	return eq_readable(fd) == !!m->queued.nr && eq_got_nothing(m->w, 0) &&
	       eq_got_nothing(m->w, 1) &&
	       (!thorough ||
		(eq_fdinfo(fd, "queued") == m->queued.nr &&
		 eq_fdinfo(fd, "outstanding") == m->open.nr));
}

TEST_F(fault, anything_in_any_order)
{
	struct model m = {
		.w = &self->w,
		.hwpt = { self->w.hwpt },
		.edge = eq_edge(4096) + 4096,
	};
	int step;

	ASSERT_EQ(0, eq_fault_hwpt(self->w.iommu, &self->w.dev[0],
				   self->w.ioas, self->w.queue.id, &m.hwpt[1]));
	for (step = 0; step < MODEL_STEPS; step++) {
		ASSERT_TRUE(model_step(&m)) {
			TH_LOG("step %d", step);
		}
		ASSERT_TRUE(as_model(&m, step % 64 == 0)) {
			TH_LOG("step %d", step);
		}
	}
	ASSERT_TRUE(as_model(&m, true));
}

/* Two readers with buffers of different sizes who answer, under load */

#define LOAD_GROUPS 1000

struct load_reader {
	int fd;
	size_t len;		/* of the buffer */
	bool *stop;
	__u8 *seen;		/* one count for each group */
	__u32 next;		/* what can come at the earliest */
};

static long job_load_read(void *arg)
{
	struct load_reader *reader = arg;
	struct iommu_hwpt_pgfault f[16];

	for (;;) {
		bool stop = __atomic_load_n(reader->stop, __ATOMIC_ACQUIRE);
		long len = eq_read(reader->fd, f, reader->len), i;

		if (len < 0)
			return len;
		if (!len && stop)
			return 0;
		if (!len)
			usleep(100);
		for (i = 0; i < len / EQ_FAULT_LEN; i++) {
			if (!(f[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE))
				continue;
			if (f[i].grpid >= LOAD_GROUPS ||
			    f[i].grpid < reader->next ||
			    eq_respond(reader->fd, f[i].cookie,
				       IOMMUFD_PAGE_RESP_SUCCESS) != EQ_RESPONSE_LEN)
				return -EPROTO;
			reader->next = f[i].grpid + 1;
			__atomic_add_fetch(&reader->seen[f[i].grpid], 1,
					   __ATOMIC_RELAXED);
		}
	}
}

TEST_F(fault, readers_see_the_order)
{
	static __u8 seen[LOAD_GROUPS];
	struct load_reader reader[2];
	struct eq_job job[2];
	bool stop = false;
	struct eq_response a;
	int i;

	for (i = 0; i < 2; i++) {
		reader[i].fd = self->w.queue.fd;
		reader[i].len = i ? 16 * EQ_FAULT_LEN : 2 * EQ_FAULT_LEN;
		reader[i].stop = &stop;
		reader[i].seen = seen;
		reader[i].next = 0;
		ASSERT_TRUE(eq_job_start(&job[i], job_load_read, &reader[i]));
	}
	for (i = 0; i < LOAD_GROUPS; i++)
		ASSERT_EQ(0, eq_raise_group(&self->w, 0, i, i % 2 + 1));
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < 2; i++) {
		ASSERT_TRUE(eq_job_end(&job[i], EQ_DEADLINE_MS));
		ASSERT_EQ(0, job[i].ret);
	}
	for (i = 0; i < LOAD_GROUPS; i++)
		ASSERT_EQ(1, seen[i]);
	ASSERT_EQ(0, eq_pop_response(self->w.iommu, &self->w.dev[0], &a));
	ASSERT_EQ(LOAD_GROUPS, a.nr_success);
	ASSERT_EQ(0, a.nr_invalid);
	ASSERT_EQ(0, a.nr_failure);
}

TEST_HARNESS_MAIN
