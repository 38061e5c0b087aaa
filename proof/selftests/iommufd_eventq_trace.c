// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selftest of iommufd's event queues: their tracepoints. Each case does something
 * to a queue and compares all lines of the trace, in their order and with all
 * their fields, to what should be there. The events are traced into a tracefs
 * instance that the case has for itself. What the calls do is tested elsewhere.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "calls.h"
#include "lib/eventq_wait.h"
#include "stall.h"

#define TRACEFS "/sys/kernel/tracing"
#define NO_TRACING "needs tracefs on " TRACEFS ", root, and iommufd's events"

static const char * const names[] = {
	"eventq_alloc",
	"eventq_close",
	"eventq_iopf_answer",
	"eventq_iopf_auto_answer",
	"eventq_iopf_read",
	"eventq_iopf_report",
	"eventq_read",
	"eventq_ring_lost",
	"eventq_ring_report",
};

/*
 * A trace of one's own
 */

struct trace {
	char dir[64];
	char *text, *next;	/* what was read of it, and not compared yet */
};

static int trace_write(struct trace *t, const char *name, const char *value)
{
	char path[128];
	int fd, rc = 0;

	snprintf(path, sizeof(path), "%s/%s", t->dir, name);
	fd = open(path, O_WRONLY | O_TRUNC);
	if (fd < 0)
		return -errno;
	/* To truncate is all that it takes to clear the trace. */
	if (*value && write(fd, value, strlen(value)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

/* A file of the instance, or NULL. */
static char *trace_file(struct trace *t, const char *name)
{
	char path[128], *text = NULL;
	size_t room = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", t->dir, name);
	file = fopen(path, "r");
	if (!file)
		return NULL;
	/* There is no 0 byte, so that is all of it. */
	if (getdelim(&text, &room, 0, file) < 0) {
		free(text);
		text = NULL;
	}
	fclose(file);
	return text;
}

static int trace_switch(struct trace *t, bool on)
{
	return trace_write(t, "events/iommufd/enable", on ? "1" : "0");
}

/* Trace what is done to the queues of this process. */
static int trace_start(struct trace *t)
{
	char filter[32];
	int rc;

	snprintf(filter, sizeof(filter), "owner == %d", getpid());
	snprintf(t->dir, sizeof(t->dir), TRACEFS "/instances/eventq_%d",
		 getpid());
	if (mkdir(t->dir, 0700))
		return -errno;
	/* The clock that puts what two CPUs did into the right order */
	rc = trace_write(t, "trace_clock", "counter");
	if (!rc)
		rc = trace_write(t, "events/iommufd/filter", filter);
	if (!rc)
		rc = trace_switch(t, true);
	if (rc)
		rmdir(t->dir);
	return rc;
}

static int trace_end(struct trace *t)
{
	if (!*t->dir)
		return 0;
	free(t->text);
	trace_switch(t, false);
	return rmdir(t->dir) ? -errno : 0;
}

/* What was traced since the last call. Nobody adds to it meanwhile. */
static bool trace_load(struct trace *t)
{
	free(t->text);
	t->text = trace_file(t, "trace");
	t->next = t->text;
	return t->text && !trace_write(t, "trace", "");
}

/* The next event, its name in front; NULL if there is none in what was read. */
static char *trace_line(struct trace *t)
{
	static const char mark[] = ": eventq_";
	char *line = t->next ? strstr(t->next, mark) : NULL;

	if (!line)
		return NULL;
	line += 2;
	t->next = line + strcspn(line, "\n");
	if (*t->next)
		*t->next++ = 0;
	return line;
}

/* That was all. */
static bool trace_ends(struct trace *t)
{
	char *line = trace_line(t);

	if (!line && !trace_load(t))
		return false;
	if (!line)
		line = trace_line(t);
	if (line)
		printf("# trace: %s\n# wanted: (end)\n", line);
	return !line;
}

/* Whatever there is now, other cases have compared. */
static bool trace_skip(struct trace *t)
{
	bool loaded = trace_load(t);

	t->next = NULL;
	return loaded;
}

/*
 * The events of a queue
 */

FIXTURE(trace)
{
	struct eq_world w;
	struct trace t;
	pid_t owner;
};

FIXTURE_SETUP(trace)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	if (access(TRACEFS "/events/iommufd/enable", W_OK))
		SKIP(return, NO_TRACING);
	self->owner = getpid();
	self->w.queue.fd = -1;
	ASSERT_EQ(0, eq_world_open(&self->w));
	ASSERT_EQ(0, trace_start(&self->t));
}

FIXTURE_TEARDOWN(trace)
{
	close(self->w.queue.fd);
	close(self->w.iommu);
	EXPECT_EQ(0, trace_end(&self->t));
}

/* The next event of the trace is this one, of the scene's queue. */
static bool event_is(FIXTURE_DATA(trace) *s, const char *name,
		     const char *fields, ...)
{
	char *line = trace_line(&s->t);
	char wanted[256];
	va_list args;
	int len;

	len = snprintf(wanted, sizeof(wanted), "%s: owner=%d eventq=%u ", name,
		       s->owner, s->w.queue.id);
	va_start(args, fields);
	vsnprintf(wanted + len, sizeof(wanted) - len, fields, args);
	va_end(args);
	if (!line && trace_load(&s->t))
		line = trace_line(&s->t);
	if (line && !strcmp(line, wanted))
		return true;
	printf("# trace: %s\n# wanted: %s\n", line ? line : "(end)", wanted);
	return false;
}

static bool traced_alloc(FIXTURE_DATA(trace) *s, const char *class,
			 int wait_reads)
{
	return event_is(s, "eventq_alloc", "class=%s wait_reads=%d", class,
			wait_reads);
}

static bool traced_read(FIXTURE_DATA(trace) *s, const char *class, long bytes,
			int left)
{
	return event_is(s, "eventq_read", "class=%s bytes=%ld left=%d", class,
			bytes, left);
}

static bool traced_close(FIXTURE_DATA(trace) *s, const char *class, int left)
{
	return event_is(s, "eventq_close", "class=%s left=%d", class, left);
}

/* A group: the device, the PASID and the group's number */
struct who {
	unsigned int dev;
	__u32 pasid, grpid;
};

static bool traced_fault(FIXTURE_DATA(trace) *s, struct who who,
			 unsigned int faults)
{
	return event_is(s, "eventq_iopf_report",
			"dev_id=%u pasid=%u grpid=%u faults=%u",
			s->w.dev[who.dev].dev_id, who.pasid, who.grpid, faults);
}

static bool traced_fault_read(FIXTURE_DATA(trace) *s, struct who who,
			      __u32 cookie, unsigned int faults)
{
	return event_is(s, "eventq_iopf_read",
			"dev_id=%u pasid=%u grpid=%u cookie=%u faults=%u",
			s->w.dev[who.dev].dev_id, who.pasid, who.grpid, cookie,
			faults);
}

static bool traced_answer(FIXTURE_DATA(trace) *s, struct who who, __u32 cookie,
			  const char *code)
{
	return event_is(s, "eventq_iopf_answer",
			"dev_id=%u pasid=%u grpid=%u cookie=%u code=%s",
			s->w.dev[who.dev].dev_id, who.pasid, who.grpid, cookie,
			code);
}

static bool traced_auto(FIXTURE_DATA(trace) *s, struct who who, __u32 cookie,
			const char *reason)
{
	return event_is(s, "eventq_iopf_auto_answer",
			"dev_id=%u pasid=%u grpid=%u cookie=%u reason=%s",
			s->w.dev[who.dev].dev_id, who.pasid, who.grpid, cookie,
			reason);
}

static bool traced_vevent(FIXTURE_DATA(trace) *s, __u32 sequence)
{
	return event_is(s, "eventq_ring_report",
			"class=viommu type=%u sequence=%u",
			IOMMU_VEVENTQ_TYPE_SELFTEST, sequence);
}

static bool traced_lost(FIXTURE_DATA(trace) *s, __u32 sequence, int closed,
			int lost)
{
	return event_is(s, "eventq_ring_lost",
			"class=viommu type=%u sequence=%u closed=%d lost=%d",
			IOMMU_VEVENTQ_TYPE_SELFTEST, sequence, closed, lost);
}

static int close_queue(FIXTURE_DATA(trace) *s)
{
	int fd = s->w.queue.fd;

	s->w.queue.fd = -1;
	return close(fd);
}

/*
 * What a queue of either class does
 */

TEST_F(trace, alloc_and_close)
{
	__u32 id;

	ASSERT_EQ(0, eq_world_fault_queue(&self->w, EQ_NO_WAIT));
	ASSERT_TRUE(traced_alloc(self, "iopf", 0));
	ASSERT_EQ(0, close_queue(self));
	ASSERT_TRUE(traced_close(self, "iopf", 0));
	id = self->w.queue.id;

	ASSERT_EQ(0, eq_world_vevent_queue(&self->w, EQ_WAIT, EQ_DEPTH));
	ASSERT_NE(id, self->w.queue.id);
	ASSERT_TRUE(traced_alloc(self, "viommu", 1));
	ASSERT_EQ(0, close_queue(self));
	ASSERT_TRUE(traced_close(self, "viommu", 0));
	ASSERT_TRUE(trace_ends(&self->t));
}

/* Only the last close of all that share the file is one. */
TEST_F(trace, close_of_a_copy)
{
	int copy;

	ASSERT_EQ(0, eq_world_fault_queue(&self->w, EQ_NO_WAIT));
	ASSERT_TRUE(traced_alloc(self, "iopf", 0));
	copy = dup(self->w.queue.fd);
	ASSERT_EQ(0, close_queue(self));
	ASSERT_TRUE(trace_ends(&self->t));
	ASSERT_EQ(0, close(copy));
	ASSERT_TRUE(traced_close(self, "iopf", 0));
	ASSERT_TRUE(trace_ends(&self->t));
}

/* What never had a file is not there; what had one is there, and closed. */
TEST_F(trace, alloc_that_fails)
{
	struct iommu_fault_alloc *cmd;
	struct rlimit limit, none;
	struct eq_queue q;
	long id;

	ASSERT_EQ(-EOPNOTSUPP, eq_fault_queue(self->w.iommu, 1U << 31, &q));
	ASSERT_EQ(0, eq_world_viommu(&self->w));
	ASSERT_EQ(-EINVAL, eq_vevent_queue(self->w.iommu, self->w.viommu,
					   IOMMU_VEVENTQ_TYPE_SELFTEST, 0, 0,
					   &q));
	ASSERT_TRUE(trace_ends(&self->t));

	/* The result cannot be copied out. */
	cmd = mmap(NULL, sizeof(*cmd), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, cmd);
	cmd->size = sizeof(*cmd);
	ASSERT_EQ(0, mprotect(cmd, sizeof(*cmd), PROT_READ));
	id = eq_next_id(&self->w);
	self->w.queue.id = id;
	ASSERT_EQ(-EFAULT, eq_call(self->w.iommu, IOMMU_FAULT_QUEUE_ALLOC,
				   cmd));
	ASSERT_TRUE(traced_alloc(self, "iopf", 0));
	ASSERT_TRUE(traced_close(self, "iopf", 0));
	ASSERT_TRUE(trace_ends(&self->t));

	/* There is no descriptor to be had. */
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	none = limit;
	none.rlim_cur = eq_lowest_free_fd();
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	id = eq_vevent_queue(self->w.iommu, self->w.viommu,
			     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, EQ_DEPTH, &q);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	ASSERT_EQ(-EMFILE, id);
	ASSERT_TRUE(traced_alloc(self, "viommu", 0));
	ASSERT_TRUE(traced_close(self, "viommu", 0));
	ASSERT_TRUE(trace_ends(&self->t));
}

TEST_F(trace, reads_without_records)
{
	struct iommu_hwpt_pgfault f;

	ASSERT_EQ(0, eq_world_fault_queue(&self->w, EQ_NO_WAIT));
	ASSERT_TRUE(traced_alloc(self, "iopf", 0));
	ASSERT_EQ(0, eq_read(self->w.queue.fd, &f, sizeof(f)));
	ASSERT_EQ(-EAGAIN, eq_read_nowait(self->w.queue.fd, &f, sizeof(f)));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 1));
	ASSERT_TRUE(traced_fault(self, (struct who){ 0, 0, 1 }, 1));
	ASSERT_EQ(0, eq_read(self->w.queue.fd, &f, 0));
	ASSERT_EQ(-EINVAL, eq_read(self->w.queue.fd, &f, EQ_FAULT_LEN - 1));
	ASSERT_EQ(-EFAULT, eq_read(self->w.queue.fd, eq_edge(EQ_FAULT_LEN - 1),
				   EQ_FAULT_LEN));
	ASSERT_TRUE(trace_ends(&self->t));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(self->w.queue.fd, &f, sizeof(f)));
	ASSERT_TRUE(traced_fault_read(self, (struct who){ 0, 0, 1 }, f.cookie,
				      1));
	ASSERT_TRUE(traced_read(self, "iopf", EQ_FAULT_LEN, 0));
	ASSERT_TRUE(trace_ends(&self->t));
}

/* With the events off, before or after they were on, nothing is traced. */
TEST_F(trace, off)
{
	const struct who who = { 0, 0, 1 };
	struct iommu_hwpt_pgfault f[2];
	__u32 cookie;

	ASSERT_EQ(0, trace_switch(&self->t, false));
	ASSERT_EQ(0, eq_world_fault_queue(&self->w, EQ_NO_WAIT));
	ASSERT_TRUE(eq_outstanding(&self->w, 0, 1, &cookie));
	ASSERT_TRUE(trace_ends(&self->t));
	ASSERT_EQ(0, trace_switch(&self->t, true));
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->w.queue.fd, cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(traced_answer(self, who, cookie, "SUCCESS"));
	ASSERT_EQ(0, trace_switch(&self->t, false));
	ASSERT_EQ(0, eq_raise_group(&self->w, 0, 2, 2));
	ASSERT_EQ(2 * EQ_FAULT_LEN, eq_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->w.queue.fd, f[0].cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(eq_outstanding(&self->w, 1, 1, &cookie));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[1], self->w.ioas));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 3));
	ASSERT_EQ(0, close_queue(self));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 4));
	ASSERT_TRUE(trace_ends(&self->t));
}

/*
 * Faults
 */

TEST_F(trace, fault)
{
	const struct who who = { 1, 0, 7 };
	struct iommu_hwpt_pgfault f;

	ASSERT_EQ(0, eq_world_fault_queue(&self->w, EQ_NO_WAIT));
	ASSERT_TRUE(traced_alloc(self, "iopf", 0));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 1, 7));
	ASSERT_TRUE(traced_fault(self, who, 1));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(self->w.queue.fd, &f, sizeof(f)));
	ASSERT_TRUE(traced_fault_read(self, who, f.cookie, 1));
	ASSERT_TRUE(traced_read(self, "iopf", EQ_FAULT_LEN, 0));
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->w.queue.fd, f.cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(traced_answer(self, who, f.cookie, "SUCCESS"));
	ASSERT_EQ(0, close_queue(self));
	ASSERT_TRUE(traced_close(self, "iopf", 0));
	ASSERT_TRUE(trace_ends(&self->t));
}

TEST_F(trace, fault_of_a_pasid)
{
	const struct who who = { 0, 5, 3 };
	struct iommu_hwpt_pgfault f;
	struct eq_world *w = &self->w;

	ASSERT_EQ(0, eq_world_fault_queue(w, EQ_NO_WAIT));
	ASSERT_EQ(0, eq_pasid_attach(w->iommu, &w->dev[0], 5, w->hwpt));
	ASSERT_TRUE(traced_alloc(self, "iopf", 0));
	ASSERT_EQ(0, eq_pasid_fault(w->iommu, &w->dev[0], 5, 3));
	ASSERT_TRUE(traced_fault(self, who, 1));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(w->queue.fd, &f, sizeof(f)));
	ASSERT_TRUE(traced_fault_read(self, who, f.cookie, 1));
	ASSERT_TRUE(traced_read(self, "iopf", EQ_FAULT_LEN, 0));
	ASSERT_EQ(0, eq_pasid_detach(w->iommu, &w->dev[0], 5));
	ASSERT_TRUE(traced_auto(self, who, f.cookie, "detach"));
	ASSERT_TRUE(trace_ends(&self->t));
}

/* Three groups, of which a read takes two: there is room for one record more. */
TEST_F(trace, groups_of_faults)
{
	const struct who who[] = { { 0, 0, 1 }, { 1, 0, 1 }, { 0, 0, 2 } };
	static const unsigned int faults[] = { 5, 1, 3 };
	struct iommu_hwpt_pgfault f[7];
	int i;

	ASSERT_EQ(0, eq_world_fault_queue(&self->w, EQ_NO_WAIT));
	ASSERT_TRUE(traced_alloc(self, "iopf", 0));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, eq_raise_group(&self->w, who[i].dev, who[i].grpid,
					    faults[i]));
		ASSERT_TRUE(traced_fault(self, who[i], faults[i]));
	}
	ASSERT_EQ(6 * EQ_FAULT_LEN, eq_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_TRUE(traced_fault_read(self, who[0], f[0].cookie, 5));
	ASSERT_TRUE(traced_fault_read(self, who[1], f[5].cookie, 1));
	ASSERT_TRUE(traced_read(self, "iopf", 6 * EQ_FAULT_LEN, 1));
	ASSERT_EQ(3 * EQ_FAULT_LEN, eq_read(self->w.queue.fd, f + 1,
					    3 * EQ_FAULT_LEN));
	ASSERT_TRUE(traced_fault_read(self, who[2], f[1].cookie, 3));
	ASSERT_TRUE(traced_read(self, "iopf", 3 * EQ_FAULT_LEN, 0));
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->w.queue.fd, f[1].cookie,
					      IOMMUFD_PAGE_RESP_INVALID));
	ASSERT_TRUE(traced_answer(self, who[2], f[1].cookie, "INVALID"));
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->w.queue.fd, f[0].cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(traced_answer(self, who[0], f[0].cookie, "SUCCESS"));
	ASSERT_TRUE(trace_ends(&self->t));
}

/* The copy fails in the second group: it was not read, and is later. */
TEST_F(trace, copy_that_fails_later)
{
	const struct who who[] = { { 0, 0, 1 }, { 0, 0, 2 } };
	struct iommu_hwpt_pgfault f[4];
	char *buf = eq_edge(3 * EQ_FAULT_LEN);
	int i;

	ASSERT_NE(NULL, buf);
	ASSERT_EQ(0, eq_world_fault_queue(&self->w, EQ_NO_WAIT));
	ASSERT_TRUE(traced_alloc(self, "iopf", 0));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, eq_raise_group(&self->w, 0, who[i].grpid, 2));
		ASSERT_TRUE(traced_fault(self, who[i], 2));
	}
	ASSERT_EQ(2 * EQ_FAULT_LEN, eq_read(self->w.queue.fd, buf,
					    4 * EQ_FAULT_LEN));
	memcpy(f, buf, EQ_FAULT_LEN);
	ASSERT_TRUE(traced_fault_read(self, who[0], f[0].cookie, 2));
	ASSERT_TRUE(traced_read(self, "iopf", 2 * EQ_FAULT_LEN, 1));
	ASSERT_EQ(2 * EQ_FAULT_LEN, eq_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_TRUE(traced_fault_read(self, who[1], f[0].cookie, 2));
	ASSERT_TRUE(traced_read(self, "iopf", 2 * EQ_FAULT_LEN, 0));
	ASSERT_TRUE(trace_ends(&self->t));
}

TEST_F(trace, refused_answers)
{
	struct eq_world *w = &self->w;
	__u32 cookie;

	ASSERT_EQ(0, eq_world_fault_queue(w, EQ_NO_WAIT));
	ASSERT_TRUE(eq_outstanding(w, 0, 1, &cookie));
	ASSERT_TRUE(trace_skip(&self->t));
	ASSERT_EQ(-EINVAL, eq_respond(w->queue.fd, cookie, 2));
	ASSERT_EQ(-EINVAL, eq_respond(w->queue.fd, cookie + 1,
				      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(-EINVAL, eq_respond(w->queue.fd, 0, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(trace_ends(&self->t));
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(w->queue.fd, cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(-EINVAL, eq_respond(w->queue.fd, cookie,
				      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(traced_answer(self, (struct who){ 0, 0, 1 }, cookie,
				  "SUCCESS"));
	ASSERT_TRUE(trace_ends(&self->t));
}

/* What the kernel answers as another domain takes the place of the queue's */
TEST_F(trace, replace)
{
	const struct who read = { 0, 0, 1 }, unread = { 0, 0, 2 };
	struct eq_world *w = &self->w;
	__u32 cookie, others;

	ASSERT_EQ(0, eq_world_fault_queue(w, EQ_NO_WAIT));
	ASSERT_TRUE(eq_outstanding(w, 0, 1, &cookie));
	ASSERT_TRUE(eq_outstanding(w, 1, 1, &others));
	ASSERT_EQ(0, eq_raise_group(w, 0, 2, 3));
	ASSERT_TRUE(trace_skip(&self->t));
	ASSERT_EQ(0, eq_replace(w->iommu, &w->dev[0], w->ioas));
	ASSERT_TRUE(traced_auto(self, read, cookie, "detach"));
	ASSERT_TRUE(traced_auto(self, unread, 0, "detach"));
	ASSERT_EQ(-EINVAL, eq_respond(w->queue.fd, cookie,
				      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(trace_ends(&self->t));
	/* The device goes for good. */
	ASSERT_EQ(0, eq_destroy(w->iommu, w->dev[1].stdev_id));
	ASSERT_TRUE(traced_auto(self, (struct who){ 1, 0, 1 }, others,
				"detach"));
	ASSERT_TRUE(trace_ends(&self->t));
}

/* A fault that comes later is answered, and was not reported. */
TEST_F(trace, close_with_faults)
{
	const struct who who[] = { { 0, 0, 1 }, { 1, 0, 2 }, { 1, 0, 3 } };
	struct eq_world *w = &self->w;
	__u32 cookie;

	ASSERT_EQ(0, eq_world_fault_queue(w, EQ_NO_WAIT));
	ASSERT_TRUE(eq_outstanding(w, 0, 1, &cookie));
	ASSERT_EQ(0, eq_raise_fault(w, 1, 2));
	ASSERT_TRUE(trace_skip(&self->t));
	ASSERT_EQ(0, close_queue(self));
	ASSERT_TRUE(traced_close(self, "iopf", 1));
	ASSERT_TRUE(traced_auto(self, who[0], cookie, "close"));
	ASSERT_TRUE(traced_auto(self, who[1], 0, "close"));
	ASSERT_TRUE(trace_ends(&self->t));
	ASSERT_EQ(0, eq_raise_fault(w, 1, 3));
	ASSERT_TRUE(traced_auto(self, who[2], 0, "closed"));
	ASSERT_EQ(0, eq_replace(w->iommu, &w->dev[1], w->ioas));
	ASSERT_TRUE(trace_ends(&self->t));
}

/* A reader is stuck with a fault that a detach answers: it is read after that. */
TEST_F(trace, read_after_detach)
{
	const struct who who = { 0, 0, 1 };
	struct iommu_hwpt_pgfault f = {};
	struct eq_world *w = &self->w;
	struct eq_stall stall;
	struct eq_job job;
	struct eq_io io;

	if (eq_stall_init(&stall))
		SKIP(return, EQ_NO_STALL);
	ASSERT_EQ(0, eq_world_fault_queue(w, EQ_NO_WAIT));
	ASSERT_EQ(0, eq_raise_fault(w, 0, 1));
	io = (struct eq_io){ w->queue.fd, stall.page, stall.len };
	ASSERT_TRUE(eq_job_start(&job, eq_job_read, &io));
	ASSERT_TRUE(eq_stall_hit(&stall));
	ASSERT_TRUE(traced_alloc(self, "iopf", 0));
	ASSERT_TRUE(traced_fault(self, who, 1));
	ASSERT_TRUE(trace_ends(&self->t));
	ASSERT_EQ(0, eq_replace(w->iommu, &w->dev[0], w->ioas));
	ASSERT_EQ(0, eq_stall_fill(&stall, &f, sizeof(f)));
	ASSERT_EQ(EQ_FAULT_LEN, eq_job_result(&job));
	memcpy(&f, stall.page, sizeof(f));
	ASSERT_TRUE(traced_auto(self, who, 0, "detach"));
	ASSERT_TRUE(traced_fault_read(self, who, f.cookie, 1));
	ASSERT_TRUE(traced_read(self, "iopf", EQ_FAULT_LEN, 0));
	ASSERT_TRUE(trace_ends(&self->t));
}

#define MANY 200

/* More than a page of records */
TEST_F(trace, many_faults)
{
	struct iommu_hwpt_pgfault f[MANY];
	struct eq_world *w = &self->w;
	__u32 i;

	ASSERT_EQ(0, eq_world_fault_queue(w, EQ_NO_WAIT));
	ASSERT_TRUE(traced_alloc(self, "iopf", 0));
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, eq_raise_fault(w, i % 2, i));
	for (i = 0; i < MANY; i++)
		ASSERT_TRUE(traced_fault(self, (struct who){ i % 2, 0, i },
					 1));
	ASSERT_EQ(MANY * EQ_FAULT_LEN, eq_read(w->queue.fd, f, sizeof(f)));
	for (i = 0; i < MANY; i++)
		ASSERT_TRUE(traced_fault_read(self,
					      (struct who){ i % 2, 0, i },
					      f[i].cookie, 1));
	ASSERT_TRUE(traced_read(self, "iopf", MANY * EQ_FAULT_LEN, 0));
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(w->queue.fd, f[i].cookie, i % 2));
	for (i = 0; i < MANY; i++)
		ASSERT_TRUE(traced_answer(self, (struct who){ i % 2, 0, i },
					  f[i].cookie,
					  i % 2 ? "INVALID" : "SUCCESS"));
	ASSERT_TRUE(trace_ends(&self->t));
}

/*
 * vIOMMU events
 */

TEST_F(trace, vevents)
{
	char buf[8 * sizeof(struct eq_vevent)];
	__u32 i;

	ASSERT_EQ(0, eq_world_vevent_queue(&self->w, EQ_NO_WAIT, EQ_DEPTH));
	ASSERT_TRUE(traced_alloc(self, "viommu", 0));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, eq_raise_vevents(&self->w, 1));
		ASSERT_TRUE(traced_vevent(self, i));
	}
	ASSERT_EQ(2 * EQ_VEVENT_LEN, eq_read(self->w.queue.fd, buf,
					     2 * EQ_VEVENT_LEN));
	ASSERT_TRUE(traced_read(self, "viommu", 2 * EQ_VEVENT_LEN, 1));
	ASSERT_EQ(EQ_VEVENT_LEN, eq_read(self->w.queue.fd, buf, sizeof(buf)));
	ASSERT_TRUE(traced_read(self, "viommu", EQ_VEVENT_LEN, 0));
	ASSERT_EQ(0, eq_read(self->w.queue.fd, buf, sizeof(buf)));
	ASSERT_TRUE(trace_ends(&self->t));
}

/* Two are lost: read as a header first, then told of by a gap. */
TEST_F(trace, lost_vevents)
{
	struct eq_vevent v[4];
	__u32 i;

	ASSERT_EQ(0, eq_world_vevent_queue(&self->w, EQ_NO_WAIT, 2));
	ASSERT_TRUE(traced_alloc(self, "viommu", 0));
	ASSERT_EQ(0, eq_raise_vevents(&self->w, 4));
	for (i = 0; i < 2; i++)
		ASSERT_TRUE(traced_vevent(self, i));
	for (i = 0; i < 2; i++)
		ASSERT_TRUE(traced_lost(self, 2 + i, 0, 1 + i));
	ASSERT_TRUE(trace_ends(&self->t));
	ASSERT_EQ(EQ_VEVENT_LEN, eq_read(self->w.queue.fd, v, EQ_VEVENT_LEN));
	ASSERT_TRUE(traced_read(self, "viommu", EQ_VEVENT_LEN, 2));
	ASSERT_EQ(EQ_VEVENT_LEN + EQ_HEADER_LEN, eq_read(self->w.queue.fd, v,
							 sizeof(v)));
	ASSERT_TRUE(traced_read(self, "viommu", EQ_VEVENT_LEN + EQ_HEADER_LEN, 0));
	ASSERT_EQ(0, eq_raise_vevents(&self->w, 3));
	ASSERT_TRUE(traced_vevent(self, 4));
	ASSERT_TRUE(traced_vevent(self, 5));
	ASSERT_TRUE(traced_lost(self, 6, 0, 3));
	ASSERT_TRUE(trace_ends(&self->t));
}

/* An event that comes later is lost, and so are those that nobody read. */
TEST_F(trace, close_with_vevents)
{
	ASSERT_EQ(0, eq_world_vevent_queue(&self->w, EQ_NO_WAIT, EQ_DEPTH));
	ASSERT_EQ(0, eq_raise_vevents(&self->w, 2));
	ASSERT_TRUE(trace_skip(&self->t));
	ASSERT_EQ(0, close_queue(self));
	ASSERT_TRUE(traced_close(self, "viommu", 2));
	ASSERT_EQ(0, eq_raise_vevents(&self->w, 1));
	ASSERT_TRUE(traced_lost(self, 2, 1, 3));
	ASSERT_EQ(0, eq_destroy(self->w.iommu, self->w.queue.id));
	ASSERT_EQ(-EOPNOTSUPP, eq_raise_vevents(&self->w, 1));
	ASSERT_TRUE(trace_ends(&self->t));
}

/*
 * What is told of them
 */

static int is_of_queues(const struct dirent *entry)
{
	return !strncmp(entry->d_name, "eventq_", 7);
}

/* These events there are, and no others. */
TEST_F(trace, names)
{
	struct dirent **found;
	char dir[128];
	int i, nr;

	snprintf(dir, sizeof(dir), "%s/events/iommufd", self->t.dir);
	nr = scandir(dir, &found, is_of_queues, alphasort);
	ASSERT_EQ(ARRAY_SIZE(names), nr);
	for (i = 0; i < nr; i++)
		ASSERT_STREQ(names[i], found[i]->d_name);
}

/* All of them say which queue it is, and none where it is in memory. */
TEST_F(trace, formats)
{
	char name[128], *format;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(name, sizeof(name), "events/iommufd/%s/format",
			 names[i]);
		format = trace_file(&self->t, name);
		ASSERT_NE(NULL, format);
		ASSERT_NE(NULL, strstr(format, "field:pid_t owner;"));
		ASSERT_NE(NULL, strstr(format, "field:u32 eventq;"));
		ASSERT_NE(NULL, strstr(format, "print fmt: \"owner=%d eventq=%u "));
		ASSERT_EQ(NULL, strstr(format, "*"))
			TH_LOG("%s has a pointer", names[i]);
		ASSERT_EQ(NULL, strstr(format, "%p"));
		free(format);
	}
}

TEST_HARNESS_MAIN
