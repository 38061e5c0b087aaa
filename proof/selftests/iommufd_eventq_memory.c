// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selftest of iommufd's event queues: their memory. Who is charged for it, what
 * happens where there is too little, that no record is lost then, and that
 * nothing of what was in it before gets out. Needs memory cgroups (version 2)
 * and fault injection, and root.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "calls.h"
#include "inject.h"
#include "lib/eventq_wait.h"

/* The number behind @key in a file of lines "key number"; or the first one. */
static long read_number(const char *path, const char *key)
{
	FILE *file = fopen(path, "re");
	long value = -ENOENT;
	char line[128];

	if (!file)
		return -errno;
	while (value == -ENOENT && fgets(line, sizeof(line), file)) {
		size_t len = key ? strcspn(line, " ") : 0;

		if (!key || (len == strlen(key) && !strncmp(line, key, len)))
			value = strtol(line + len, NULL, 10);
	}
	fclose(file);
	return value;
}

/* A vIOMMU event queue on @viommu of the mock, which takes every type. */
static int viommu_queue(struct eq_world *w, __u32 viommu, __u32 type, __u32 depth)
{
	return eq_vevent_queue(w->iommu, viommu, type, EQ_NO_WAIT, depth,
			       &w->queue);
}

/* Of the mock's own type; of faults if @depth is 0. */
static int some_queue(struct eq_world *w, __u32 viommu, __u32 depth)
{
	if (depth)
		return viommu_queue(w, viommu, IOMMU_VEVENTQ_TYPE_SELFTEST,
				    depth);
	return eq_fault_queue(w->iommu, EQ_NO_WAIT, &w->queue);
}

static int end_queue(struct eq_world *w)
{
	return close(w->queue.fd) ? -errno : eq_destroy(w->iommu, w->queue.id);
}

/*
 * Memory cgroups
 */

#define CGROUPS "/sys/fs/cgroup"

struct group {
	char path[64];
};

static int group_make(struct group *g, const char *suffix)
{
	snprintf(g->path, sizeof(g->path), CGROUPS "/eventq.%d%s", getpid(),
		 suffix);
	if (eq_write_file(CGROUPS "/cgroup.subtree_control", "+memory"))
		return -EACCES;
	return mkdir(g->path, 0700) ? -errno : 0;
}

static void group_file(const struct group *g, const char *name, char *path)
{
	snprintf(path, 128, "%s/%s", g->path, name);
}

static long group_number(const struct group *g, const char *name,
			 const char *key)
{
	char path[128];

	group_file(g, name, path);
	return read_number(path, key);
}

static int group_write(const struct group *g, const char *name, long number)
{
	char path[128], text[32];

	group_file(g, name, path);
	snprintf(text, sizeof(text), "%ld", number);
	return eq_write_file(path, text);
}

/* From here on the caller is charged to the cgroup. */
static int group_join(const struct group *g)
{
	return group_write(g, "cgroup.procs", getpid());
}

static void group_leave(const struct group *g)
{
	char pid[32];

	snprintf(pid, sizeof(pid), "%d", getpid());
	eq_write_file(CGROUPS "/cgroup.procs", pid);
	rmdir(g->path);
}

static long charged(const struct group *g)
{
	return group_number(g, "memory.current", NULL);
}

/* The kernel may free memory, and end the charge, a bit later. */
static bool charge_falls_to(const struct group *g, long limit)
{
	unsigned int ms;

	for (ms = 0; ms < EQ_DEADLINE_MS; ms += 10) {
		if (charged(g) <= limit)
			return true;
		usleep(10000);
	}
	printf("# %ld bytes are charged, wanted %ld\n", charged(g), limit);
	return false;
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000L + now.tv_nsec / 1000000;
}

/* Long enough for a tick of the slowest clock */
#define BUSY_MS 25

static void be_busy_on_each_cpu(void)
{
	cpu_set_t mine, one;
	int cpu;

	sched_getaffinity(0, sizeof(mine), &mine);
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		long end;

		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (sched_setaffinity(0, sizeof(one), &one))
			continue;
		for (end = now_ms() + BUSY_MS; now_ms() < end; )
			;
	}
	sched_setaffinity(0, sizeof(mine), &mine);
}

/*
 * What is charged for small pieces of memory comes to be between @min and @max.
 * Fine-grained, but the kernel adds up the numbers every two seconds only, by a
 * timer that does not wake up an idle CPU.
 */
static bool pieces_become(const struct group *g, long min, long max)
{
	long end = now_ms() + EQ_DEADLINE_MS, now;

	do {
		now = group_number(g, "memory.stat", "slab");
		if (min <= now && now <= max)
			return true;
		be_busy_on_each_cpu();
	} while (now_ms() < end);
	printf("# %ld bytes in pieces, wanted %ld to %ld\n", now, min, max);
	return false;
}

/* Charges are taken in advance for each CPU; be on one, so there is less. */
static int stay_on_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

/*
 * Charges
 */

#define RING_LEN (EQ_MAX_DEPTH * EQ_VEVENT_LEN)
/* What else may be charged meanwhile, and what charges are rounded to. */
/* Each of two CPUs keeps 64 pages that were charged in advance */
#define SLACK (getpagesize() > 4096 ? 9 * 1024 * 1024L : 1024 * 1024L)

FIXTURE(charge)
{
	struct eq_world w;
	struct group group;
	struct group other;	/* nobody is in it */
	struct iommu_hwpt_pgfault *faults;	/* shared with children */
};

FIXTURE_SETUP(charge)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	ASSERT_EQ(0, stay_on_cpu());
	ASSERT_EQ(0, eq_world_open(&self->w));
	ASSERT_EQ(0, eq_world_viommu(&self->w));
	if (group_make(&self->group, "") || group_make(&self->other, ".other"))
		SKIP(return, "needs memory cgroups, version 2, and root");
	ASSERT_EQ(0, group_join(&self->group));
}

FIXTURE_TEARDOWN(charge)
{
	close(self->w.iommu);
	group_leave(&self->group);
	group_leave(&self->other);
}

static int vevent_queue(struct _test_data_charge *self, __u32 depth)
{
	return some_queue(&self->w, self->w.viommu, depth);
}

/* The charge has grown by @len since it was @before. */
static bool grew_by(const struct group *g, long before, long len)
{
	long grown = charged(g) - before;

	if (len - SLACK / 2 <= grown && grown <= len + SLACK / 2)
		return true;
	printf("# %ld bytes were charged, wanted %ld\n", grown, len);
	return false;
}

/* All at once when the queue is made, nothing by events, and all of it back. */
TEST_F(charge, vevent_queue)
{
	long before = charged(&self->group);

	ASSERT_LE(0, before);
	ASSERT_EQ(0, vevent_queue(self, EQ_MAX_DEPTH));
	ASSERT_TRUE(grew_by(&self->group, before, RING_LEN));
	ASSERT_EQ(0, eq_raise_vevents(&self->w, 10000));
	ASSERT_TRUE(grew_by(&self->group, before, RING_LEN));

	ASSERT_EQ(0, end_queue(&self->w));
	ASSERT_TRUE(charge_falls_to(&self->group, before + SLACK));
}

/* Of each format: the header and the payload, and not a word more. */
TEST_F(charge, vevent_queue_of_type)
{
	static const struct {
		__u32 type;
		long len;
	} rows[] = {
		{ IOMMU_VEVENTQ_TYPE_SELFTEST_32, 40 },
		{ IOMMU_VEVENTQ_TYPE_SELFTEST_16, 24 },
		{ IOMMU_VEVENTQ_TYPE_SELFTEST, 12 },
	};
	long before = charged(&self->group);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		ASSERT_EQ(0, viommu_queue(&self->w, self->w.viommu,
					  rows[i].type, EQ_MAX_DEPTH));
		ASSERT_TRUE(grew_by(&self->group, before,
				    EQ_MAX_DEPTH * rows[i].len));
		ASSERT_EQ(0, end_queue(&self->w));
		ASSERT_TRUE(charge_falls_to(&self->group, before + SLACK / 4));
	}
}

/* No depth makes the kernel round the ring up to much more than its length. */
TEST_F(charge, bytes_per_event)
{
	static const __u32 depths[] = { 1 << 15, 52429, 60000, 1 << 17, EQ_MAX_DEPTH };
	long before = charged(&self->group);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(depths); i++) {
		ASSERT_EQ(0, viommu_queue(&self->w, self->w.viommu,
					  IOMMU_VEVENTQ_TYPE_SELFTEST_32,
					  depths[i]));
		ASSERT_TRUE(grew_by(&self->group, before, 40L * depths[i]))
			TH_LOG("depth %u", depths[i]);
		ASSERT_EQ(0, end_queue(&self->w));
		ASSERT_TRUE(charge_falls_to(&self->group, before + SLACK / 4));
	}
}

#define NR_QUEUES 500L
#define PAGE_LEN ((long)getpagesize())

/* A page of records each, and what little the object and its file take. */
TEST_F(charge, fault_queues)
{
	static struct eq_queue queues[NR_QUEUES];
	long before = charged(&self->group), grown;
	int i;

	for (i = 0; i < NR_QUEUES; i++)
		ASSERT_EQ(0, eq_fault_queue(self->w.iommu, EQ_NO_WAIT,
					    &queues[i]));
	grown = charged(&self->group) - before;
	ASSERT_LE(NR_QUEUES * PAGE_LEN, grown + SLACK / 2);
	ASSERT_GE(NR_QUEUES * 3 * PAGE_LEN, grown);

	for (i = 0; i < NR_QUEUES; i++) {
		ASSERT_EQ(0, close(queues[i].fd));
		ASSERT_EQ(0, eq_destroy(self->w.iommu, queues[i].id));
	}
	ASSERT_TRUE(charge_falls_to(&self->group, before + SLACK / 2));
}

#define NR_SMALL_QUEUES 400L
/* So many events of SMMUv3 take most of a page. */
#define SMALL_DEPTH 100

/* A ring is charged as well where it takes a page or less. */
TEST_F_TIMEOUT(charge, small_vevent_queues, 60)
{
	static __u32 viommus[NR_SMALL_QUEUES];
	long before, grown;
	int i;

	for (i = 0; i < NR_SMALL_QUEUES; i++)
		ASSERT_EQ(0, eq_viommu(self->w.iommu, self->w.ioas,
				       &self->w.dev[1], &viommus[i]));
	before = charged(&self->group);
	for (i = 0; i < NR_SMALL_QUEUES; i++)
		ASSERT_EQ(0, viommu_queue(&self->w, viommus[i],
					  IOMMU_VEVENTQ_TYPE_SELFTEST_32,
					  SMALL_DEPTH));
	grown = charged(&self->group) - before;
	ASSERT_LE(NR_SMALL_QUEUES * PAGE_LEN, grown + SLACK / 2);
	ASSERT_GE(NR_SMALL_QUEUES * 3 * PAGE_LEN, grown);
}

#define NR_FAULTS 8192
/* A table of them would have at least a pointer for each. */
#define TABLE_LEN (NR_FAULTS * 8L)

/* As another process, charged to @g, call @fn. Returns what that does. */
static long in_group(struct _test_data_charge *self, const struct group *g,
		     long (*fn)(struct _test_data_charge *self))
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid)
		_exit(group_join(g) || fn(self));
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -ECHILD;
	return WEXITSTATUS(status);
}

static long read_faults(struct _test_data_charge *self)
{
	struct iommu_hwpt_pgfault *f = self->faults;
	int i;

	if (eq_read(self->w.queue.fd, f, NR_FAULTS * EQ_FAULT_LEN) !=
	    NR_FAULTS * EQ_FAULT_LEN)
		return 1;
	for (i = 0; i < NR_FAULTS; i++)
		if (f[i].grpid != i)
			return 2;
	return 0;
}

/* Reading faults and having them outstanding takes no memory. */
TEST_F_TIMEOUT(charge, outstanding_faults, 60)
{
	struct iommu_hwpt_pgfault *f;
	long before;
	int i;

	f = mmap(NULL, NR_FAULTS * EQ_FAULT_LEN, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, f);
	self->faults = f;
	ASSERT_EQ(0, eq_world_fault_queue(&self->w, EQ_NO_WAIT));
	for (i = 0; i < NR_FAULTS; i++)
		ASSERT_EQ(0, eq_raise_fault(&self->w, 1, i));

	ASSERT_TRUE(pieces_become(&self->other, 0, 0));
	before = group_number(&self->group, "memory.stat", "slab");
	ASSERT_EQ(0, in_group(self, &self->other, read_faults));
	ASSERT_TRUE(pieces_become(&self->other, 0, TABLE_LEN / 2));
	ASSERT_TRUE(pieces_become(&self->group, 0, before + TABLE_LEN / 2));

	for (i = 0; i < NR_FAULTS; i++)
		ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->w.queue.fd, f[i].cookie,
						      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(pieces_become(&self->other, 0, TABLE_LEN / 2));
}

static long alloc_and_look(struct _test_data_charge *self)
{
	return vevent_queue(self, EQ_MAX_DEPTH) ||
	       !grew_by(&self->other, 0, RING_LEN);
}

/* Whoever allocates a queue pays for it, until the last close. */
TEST_F(charge, vevent_queue_of_another)
{
	long before = charged(&self->group), id = eq_next_id(&self->w);

	ASSERT_LT(0, id);
	ASSERT_EQ(0, in_group(self, &self->other, alloc_and_look));
	ASSERT_TRUE(grew_by(&self->group, before, 0));
	ASSERT_TRUE(charge_falls_to(&self->other, SLACK / 2));
	ASSERT_EQ(0, eq_destroy(self->w.iommu, id));
}

#define NR_EVENTS 10000

static long read_events(struct _test_data_charge *self)
{
	static struct eq_vevent v[NR_EVENTS];

	return eq_read(self->w.queue.fd, v, sizeof(v)) != sizeof(v) ||
	       !eq_is_event(&v[NR_EVENTS - 1], NR_EVENTS - 1);
}

/* Who reads events pays nothing. */
TEST_F(charge, vevents_read_by_another)
{
	long before = charged(&self->group);

	ASSERT_EQ(0, vevent_queue(self, EQ_MAX_DEPTH));
	ASSERT_EQ(0, eq_raise_vevents(&self->w, NR_EVENTS));
	ASSERT_EQ(0, in_group(self, &self->other, read_events));
	ASSERT_TRUE(grew_by(&self->group, before, RING_LEN));
	ASSERT_TRUE(grew_by(&self->other, 0, 0));
}

/* Neither moving away nor closing /dev/iommu ends it: the last close does. */
TEST_F(charge, vevent_queue_left_behind)
{
	long before = charged(&self->group);
	char v[EQ_VEVENT_LEN];

	ASSERT_EQ(0, vevent_queue(self, EQ_MAX_DEPTH));
	ASSERT_EQ(0, eq_raise_vevents(&self->w, 1));
	ASSERT_EQ(0, group_join(&self->other));
	ASSERT_TRUE(grew_by(&self->group, before, RING_LEN));
	ASSERT_EQ(0, close(self->w.iommu));
	self->w.iommu = -1;
	ASSERT_EQ(EQ_VEVENT_LEN, eq_read(self->w.queue.fd, v, sizeof(v)));
	ASSERT_TRUE(eq_is_event(v, 0));
	ASSERT_TRUE(grew_by(&self->group, before, RING_LEN));
	ASSERT_TRUE(grew_by(&self->other, 0, 0));
	ASSERT_EQ(0, close(self->w.queue.fd));
	ASSERT_TRUE(charge_falls_to(&self->group, before + SLACK));
}

/* The ioctl's reply cannot be written. */
static int call_read_only(int iommu, unsigned long request, const void *cmd,
			  size_t len)
{
	void *page = mmap(NULL, PAGE_LEN, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int rc;

	if (page == MAP_FAILED)
		return -errno;
	memcpy(page, cmd, len);
	rc = mprotect(page, PAGE_LEN, PROT_READ) ? -errno :
						   eq_call(iommu, request, page);
	munmap(page, PAGE_LEN);
	return rc;
}

/* There is no file descriptor to be had. */
static int call_without_fd(int iommu, unsigned long request, void *cmd)
{
	struct rlimit old, none;
	int rc;

	if (getrlimit(RLIMIT_NOFILE, &old))
		return -errno;
	none = old;
	none.rlim_cur = eq_lowest_free_fd();
	if (setrlimit(RLIMIT_NOFILE, &none))
		return -errno;
	rc = eq_call(iommu, request, cmd);
	return setrlimit(RLIMIT_NOFILE, &old) ? -errno : rc;
}

/*
 * An allocation that fails late, often enough that what it might leave shows:
 * no charge, no descriptor, no id.
 */
TEST_F_TIMEOUT(charge, failed_allocation, 60)
{
	struct iommu_fault_alloc fault_cmd = { .size = sizeof(fault_cmd) };
	struct iommu_veventq_alloc vevent_cmd = {
		.size = sizeof(vevent_cmd),
		.viommu_id = self->w.viommu,
		.type = IOMMU_VEVENTQ_TYPE_SELFTEST_32,
		.veventq_depth = EQ_MAX_DEPTH,
	};
	const struct {
		unsigned long request;
		void *cmd;
		size_t len;
		int times;
	} rows[] = {
		{ IOMMU_FAULT_QUEUE_ALLOC, &fault_cmd, sizeof(fault_cmd),
		  300 },
		{ IOMMU_VEVENTQ_ALLOC, &vevent_cmd, sizeof(vevent_cmd), 2 },
	};
	long before = charged(&self->group), id = eq_next_id(&self->w);
	int fd = eq_lowest_free_fd(), iommu = self->w.iommu, i;
	size_t row;

	for (row = 0; row < ARRAY_SIZE(rows); row++) {
		for (i = 0; i < rows[row].times; i++)
			ASSERT_EQ(-EFAULT, call_read_only(iommu,
							  rows[row].request,
							  rows[row].cmd,
							  rows[row].len));
		ASSERT_TRUE(charge_falls_to(&self->group, before + SLACK));
		for (i = 0; i < rows[row].times; i++)
			ASSERT_EQ(-EMFILE, call_without_fd(iommu,
							   rows[row].request,
							   rows[row].cmd));
		ASSERT_TRUE(charge_falls_to(&self->group, before + SLACK));
		ASSERT_EQ(fd, eq_lowest_free_fd());
		ASSERT_EQ(id, eq_next_id(&self->w));
	}
	ASSERT_EQ(0, eq_call(iommu, IOMMU_VEVENTQ_ALLOC, &vevent_cmd));
	ASSERT_EQ(id, vevent_cmd.out_veventq_id);
	ASSERT_EQ(fd, vevent_cmd.out_veventq_fd);
	ASSERT_TRUE(grew_by(&self->group, before, EQ_MAX_DEPTH * 40L));
}

/* Too little is an error of the allocation, kills nobody and leaves nothing. */
TEST_F(charge, vevent_queue_over_limit)
{
	long before = charged(&self->group), id = eq_next_id(&self->w);
	int max_fd, fd, rc;
	char path[128];

	group_file(&self->group, "memory.max", path);
	max_fd = open(path, O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, max_fd);
	fd = eq_lowest_free_fd();
	ASSERT_EQ(0, group_write(&self->group, "memory.max",
				 before + RING_LEN / 2));
	rc = vevent_queue(self, EQ_MAX_DEPTH);
	/* It may take a while until it is given back: ask for no more. */
	ASSERT_EQ(3, eq_write(max_fd, "max", 3));
	ASSERT_EQ(-ENOMEM, rc);
	ASSERT_EQ(0, group_number(&self->group, "memory.events", "oom"));
	ASSERT_EQ(0, group_number(&self->group, "memory.events", "oom_kill"));
	ASSERT_EQ(fd, eq_lowest_free_fd());
	ASSERT_EQ(id, eq_next_id(&self->w));
	ASSERT_TRUE(charge_falls_to(&self->group, before + SLACK));

	/* The type is free for a queue that fits. */
	ASSERT_EQ(0, vevent_queue(self, EQ_DEPTH));
	ASSERT_EQ(id, self->w.queue.id);
	ASSERT_EQ(0, eq_raise_vevents(&self->w, EQ_DEPTH));
	ASSERT_EQ(0, end_queue(&self->w));

	ASSERT_EQ(0, group_write(&self->group, "memory.max",
				 before + RING_LEN + 2 * SLACK));
	ASSERT_EQ(0, vevent_queue(self, EQ_MAX_DEPTH));
}

/*
 * Not a page to be had
 *
 * The kernel cannot kill these cases, so they see what it does instead. As any
 * page that they touch first would get them stuck, all is in memory before.
 */

#define NR_SMALL 8

FIXTURE(limit)
{
	struct eq_world w;
	struct group group;
	int max_fd;		/* of "memory.max" */
	int events_fd;		/* of "memory.events" */
	int small[NR_SMALL];	/* to be closed, for a bit of memory each */
};

static int limit_on(struct _test_data_limit *self, bool on)
{
	const char *text = on ? "0" : "max";

	return EQ_RET(pwrite(self->max_fd, text, strlen(text), 0)) < 0 ? -1 : 0;
}

/* How often the kernel wanted to kill. */
static long wanted_to_kill(struct _test_data_limit *self)
{
	char text[256] = {};
	char *line;

	if (pread(self->events_fd, text, sizeof(text) - 1, 0) <= 0)
		return -EIO;
	line = strstr(text, "\noom ");
	return line ? strtol(line + 5, NULL, 10) : -ENOENT;
}

static int stay_in_memory(void)
{
	char stack[256 * 1024];

	memset(stack, 1, sizeof(stack));
	__asm__ volatile("" : : "r"(stack) : "memory");
	return mlockall(MCL_CURRENT | MCL_FUTURE) ? -errno : 0;
}

static int limit_open(struct _test_data_limit *self)
{
	char path[128];

	group_file(&self->group, "memory.max", path);
	self->max_fd = open(path, O_WRONLY | O_CLOEXEC);
	group_file(&self->group, "memory.events", path);
	self->events_fd = open(path, O_RDONLY | O_CLOEXEC);
	return self->max_fd < 0 || self->events_fd < 0 ? -errno : 0;
}

FIXTURE_SETUP(limit)
{
	int i;

	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	ASSERT_EQ(0, stay_on_cpu());
	ASSERT_EQ(0, eq_world_open(&self->w));
	if (group_make(&self->group, "") ||
	    eq_write_file("/proc/self/oom_score_adj", "-1000"))
		SKIP(return, "needs memory cgroups, version 2, and root");
	ASSERT_EQ(0, limit_open(self));
	ASSERT_EQ(0, group_join(&self->group));
	for (i = 0; i < NR_SMALL; i++) {
		self->small[i] = eventfd(0, EFD_CLOEXEC);
		ASSERT_LE(0, self->small[i]);
	}
	ASSERT_EQ(0, stay_in_memory());
	ASSERT_EQ(0, wanted_to_kill(self));
}

FIXTURE_TEARDOWN(limit)
{
	limit_on(self, false);
	close(self->w.queue.fd);
	close(self->w.iommu);
	group_leave(&self->group);
}

/*
 * A queue whose memory does not fit the limit, again and again. The object of
 * the queue, which is not ours, must fit or the kernel would want to kill: so
 * before each attempt something else gives back as little as an object takes.
 * Returns how often nobody was to be killed, or the result that was no -ENOMEM.
 */
static long attempts(struct _test_data_limit *self, __u32 depth)
{
	long quiet = 0, wanted;
	int i, rc = -ENOMEM;

	if (limit_on(self, true))
		return -EIO;
	for (i = 0; rc == -ENOMEM && i < NR_SMALL; i++) {
		close(self->small[i]);
		wanted = wanted_to_kill(self);
		rc = some_queue(&self->w, self->w.viommu, depth);
		quiet += wanted_to_kill(self) == wanted;
	}
	limit_on(self, false);
	if (rc == -ENOMEM)
		return quiet;
	printf("# attempt %d: %d\n", i, rc);
	return -ENOMSG;
}

/* There is no such queue, nothing of it is left, and later there is one. */
static bool refused(struct _test_data_limit *self, __u32 depth)
{
	long id = eq_next_id(&self->w);

	return attempts(self, depth) >= NR_SMALL / 4 &&
	       eq_next_id(&self->w) == id &&
	       eq_lowest_free_fd() == self->small[0] &&
	       !some_queue(&self->w, self->w.viommu, depth) &&
	       self->w.queue.id == id && self->w.queue.fd == self->small[0];
}

TEST_F(limit, fault_queue)
{
	ASSERT_TRUE(refused(self, 0));
}

/* Some pages, which the kernel tries to have in one piece first. */
TEST_F(limit, vevent_queue)
{
	ASSERT_EQ(0, eq_world_viommu(&self->w));
	ASSERT_TRUE(refused(self, 5000));
}

TEST_F(limit, large_vevent_queue)
{
	ASSERT_EQ(0, eq_world_viommu(&self->w));
	ASSERT_TRUE(refused(self, EQ_MAX_DEPTH));
}

/* More records than fit into the queue's page. */
#define LARGE_GROUP 200

static bool is_large_group(const struct iommu_hwpt_pgfault *f, __u32 grpid)
{
	int i;

	for (i = 0; i < LARGE_GROUP; i++)
		if (f[i].grpid != grpid || !f[i].cookie ||
		    f[i].cookie != f[0].cookie ||
		    !(f[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE) !=
		    (i < LARGE_GROUP - 1))
			return false;
	return true;
}

/* It is -ENOMEM as often as one asks, and stays at the head of the queue. */
TEST_F(limit, read_of_large_group)
{
	static struct iommu_hwpt_pgfault f[LARGE_GROUP + 1];
	long rc = -ENOMEM, wanted;
	bool ready = true;
	int fd, i;

	ASSERT_EQ(0, eq_world_fault_queue(&self->w, EQ_NO_WAIT));
	fd = self->w.queue.fd;
	ASSERT_EQ(0, eq_raise_group(&self->w, 0, 1, LARGE_GROUP));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 2));
	ASSERT_EQ(0, limit_on(self, true));
	wanted = wanted_to_kill(self);
	for (i = 0; rc == -ENOMEM && i < 5; i++) {
		rc = eq_read(fd, f, sizeof(f));
		ready &= eq_readable(fd);
	}
	wanted = wanted_to_kill(self) - wanted;
	ASSERT_EQ(0, limit_on(self, false));
	ASSERT_EQ(-ENOMEM, rc);
	ASSERT_EQ(0, wanted);
	ASSERT_TRUE(ready);

	ASSERT_EQ(2, eq_fdinfo(fd, "queued"));
	ASSERT_EQ(0, eq_fdinfo(fd, "outstanding"));
	ASSERT_EQ(sizeof(f), eq_read(fd, f, sizeof(f)));
	ASSERT_TRUE(is_large_group(f, 1));
	ASSERT_EQ(2, f[LARGE_GROUP].grpid);
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(fd, f[0].cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(eq_got(&self->w, 0, 1, EQ_GOT_SUCCESS));
}

#define MANY 2048

/* A read of faults takes no memory, so a cgroup at its limit reads all of them. */
TEST_F(limit, read_of_many_faults)
{
	static struct iommu_hwpt_pgfault f[MANY];
	long rc, wanted;
	int fd, i;

	ASSERT_EQ(0, eq_world_fault_queue(&self->w, EQ_NO_WAIT));
	fd = self->w.queue.fd;
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, eq_raise_fault(&self->w, 0, i));
	ASSERT_EQ(0, limit_on(self, true));
	wanted = wanted_to_kill(self);
	rc = eq_read(fd, f, sizeof(f));
	wanted = wanted_to_kill(self) - wanted;
	ASSERT_EQ(0, limit_on(self, false));
	ASSERT_EQ(sizeof(f), rc);
	ASSERT_EQ(0, wanted);
	ASSERT_EQ(0, eq_fdinfo(fd, "queued"));
	ASSERT_EQ(MANY, eq_fdinfo(fd, "outstanding"));

	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(i, f[i].grpid);
		ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(fd, f[i].cookie,
						      IOMMUFD_PAGE_RESP_SUCCESS));
	}
}

/*
 * Reports and reads of thousands of events, more than the queue holds at once.
 * To be called where no memory is to be had; what went wrong is told later.
 */

#define CHURN_DEPTH 512
#define CHURN_BURST 300
#define CHURN_ROUNDS 20
#define CHURN_LOST 100

struct churn {
	struct eq_vevent v[CHURN_DEPTH];
	__u32 next;		/* sequence */
	const char *bad;
	__u32 at;
};

static bool churn_fails(struct churn *c, const char *bad)
{
	c->bad = bad;
	c->at = c->next;
	return false;
}

/* Read all, which is @nr events. */
static bool churn_read(struct eq_world *w, struct churn *c, unsigned int nr)
{
	unsigned int i;

	if (!eq_readable(w->queue.fd))
		return churn_fails(c, "poll");
	if (eq_read(w->queue.fd, c->v, sizeof(c->v)) != nr * EQ_VEVENT_LEN)
		return churn_fails(c, "length");
	for (i = 0; i < nr; i++, c->next++)
		if (c->v[i].header.flags ||
		    c->v[i].header.sequence != c->next ||
		    c->v[i].event.virt_id != EQ_VIRT_ID)
			return churn_fails(c, "record");
	return true;
}

/* More events than fit, so the last are told of by a header. */
static bool churn_overflow(struct eq_world *w, struct churn *c)
{
	struct iommufd_vevent_header lost;

	if (eq_raise_vevents(w, CHURN_DEPTH + CHURN_LOST))
		return churn_fails(c, "report to full queue");
	if (!churn_read(w, c, CHURN_DEPTH))
		return false;
	c->next += CHURN_LOST;
	if (eq_read(w->queue.fd, &lost, sizeof(lost)) != EQ_HEADER_LEN ||
	    lost.flags != IOMMU_VEVENTQ_FLAG_LOST_EVENTS ||
	    lost.sequence != c->next - 1)
		return churn_fails(c, "LOST header");
	if (eq_read(w->queue.fd, c->v, sizeof(c->v)))
		return churn_fails(c, "read of empty queue");
	return true;
}

static bool churn(struct eq_world *w, struct churn *c)
{
	int i;

	for (i = 0; i < CHURN_ROUNDS; i++) {
		if (eq_raise_vevents(w, CHURN_BURST))
			return churn_fails(c, "report");
		if (!churn_read(w, c, CHURN_BURST))
			return false;
	}
	return churn_overflow(w, c) && churn_overflow(w, c);
}

static bool churned(struct eq_world *w, struct churn *c)
{
	if (!c->bad)
		return eq_fdinfo(w->queue.fd, "lost") == 2 * CHURN_LOST &&
		       eq_fdinfo(w->queue.fd, "next-sequence") == c->next;
	printf("# %s at event %u\n", c->bad, c->at);
	return false;
}

/* Once there is a queue, events need no memory: neither reported nor read. */
TEST_F(limit, vevents)
{
	static struct churn c;
	bool ok;

	ASSERT_EQ(0, eq_world_vevent_queue(&self->w, EQ_NO_WAIT, CHURN_DEPTH));
	ASSERT_EQ(0, limit_on(self, true));
	ok = churn(&self->w, &c);
	ASSERT_EQ(0, limit_on(self, false));
	ASSERT_TRUE(churned(&self->w, &c));
	ASSERT_TRUE(ok);
}

/*
 * Allocations that fail
 */

FIXTURE(failing)
{
	struct eq_world w;
	struct eq_injector in;
};

/* From now on every allocation of this task fails that may, or no more. */
static int fail_allocations(struct _test_data_failing *self, bool on)
{
	return eq_inject(self->in.task_fd, on ? "1" : "0");
}

/* The same for all tasks, and for interrupts. */
static int fail_everybody(struct _test_data_failing *self, bool on)
{
	return eq_inject(self->in.filter_fd, on ? "N" : "Y");
}

FIXTURE_SETUP(failing)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	if (eq_injector_open(&self->in))
		SKIP(return, EQ_NO_INJECTION);
	ASSERT_EQ(0, eq_world_open(&self->w));
}

FIXTURE_TEARDOWN(failing)
{
	eq_injector_close(&self->in);
	close(self->w.queue.fd);
	close(self->w.iommu);
}

/* Reading faults allocates nothing. */
TEST_F(failing, read_of_fault)
{
	int fd;
	struct iommu_hwpt_pgfault f[2];
	long rc;

	ASSERT_EQ(0, eq_world_fault_queue(&self->w, EQ_NO_WAIT));
	fd = self->w.queue.fd;
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 1));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 2));
	ASSERT_EQ(0, fail_allocations(self, true));
	rc = eq_read(fd, f, sizeof(f));
	ASSERT_EQ(0, fail_allocations(self, false));
	ASSERT_EQ(2 * EQ_FAULT_LEN, rc);
	ASSERT_EQ(0, eq_fdinfo(fd, "queued"));
	ASSERT_EQ(2, eq_fdinfo(fd, "outstanding"));
	ASSERT_EQ(1, f[0].grpid);
	ASSERT_EQ(2, f[1].grpid);
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(fd, f[0].cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(fd, f[1].cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(eq_got(&self->w, 0, 1, EQ_GOT_SUCCESS));
	ASSERT_TRUE(eq_got(&self->w, 0, 2, EQ_GOT_SUCCESS));
}

/* Neither does reading more than a page of records. */
TEST_F(failing, read_of_many_faults)
{
	static struct iommu_hwpt_pgfault f[200];
	unsigned int i;
	long rc;

	ASSERT_EQ(0, eq_world_fault_queue(&self->w, EQ_NO_WAIT));
	for (i = 0; i < 200; i++)
		ASSERT_EQ(0, eq_raise_fault(&self->w, 0, i));
	ASSERT_EQ(0, fail_allocations(self, true));
	rc = eq_read(self->w.queue.fd, f, sizeof(f));
	ASSERT_EQ(0, fail_allocations(self, false));
	ASSERT_EQ(sizeof(f), rc);
	for (i = 0; i < 200; i++) {
		ASSERT_EQ(i, f[i].grpid);
		ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->w.queue.fd, f[i].cookie,
						      IOMMUFD_PAGE_RESP_SUCCESS));
	}
}

/*
 * Reporting, reading and overflow of events need no memory at all, be it of
 * this task or of any other.
 */
TEST_F(failing, vevents)
{
	static struct churn mine, all;
	bool ok;

	ASSERT_EQ(0, eq_world_vevent_queue(&self->w, EQ_NO_WAIT, CHURN_DEPTH));
	ASSERT_EQ(0, fail_allocations(self, true));
	ok = churn(&self->w, &mine);
	ASSERT_EQ(0, fail_allocations(self, false));
	ASSERT_TRUE(churned(&self->w, &mine));
	ASSERT_TRUE(ok);

	ASSERT_EQ(0, end_queue(&self->w));
	ASSERT_EQ(0, viommu_queue(&self->w, self->w.viommu,
				  IOMMU_VEVENTQ_TYPE_SELFTEST, CHURN_DEPTH));
	ASSERT_EQ(0, fail_everybody(self, true));
	ok = churn(&self->w, &all);
	ASSERT_EQ(0, fail_everybody(self, false));
	ASSERT_TRUE(churned(&self->w, &all));
	ASSERT_TRUE(ok);
}

/* The kernel answers a fault that it cannot keep: no device waits for ever. */
TEST_F(failing, report_of_fault)
{
	struct iommu_hwpt_pgfault f;
	int i;

	ASSERT_EQ(0, eq_world_fault_queue(&self->w, EQ_NO_WAIT));
	ASSERT_EQ(0, fail_allocations(self, true));
	for (i = 0; i < 3; i++)
		eq_raise_fault(&self->w, 0, i);
	ASSERT_EQ(0, fail_allocations(self, false));
	for (i = 0; i < 3; i++)
		ASSERT_TRUE(eq_got(&self->w, 0, i, EQ_GOT_FAILURE));
	ASSERT_EQ(0, eq_fdinfo(self->w.queue.fd, "queued"));
	ASSERT_EQ(0, eq_read(self->w.queue.fd, &f, sizeof(f)));

	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 3));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(self->w.queue.fd, &f, sizeof(f)));
	ASSERT_EQ(3, f.grpid);
}

/* Answers, and those that the last close gives, need no memory. */
TEST_F(failing, answers)
{
	__u32 cookie, other;
	long rc, closed;

	ASSERT_EQ(0, eq_world_fault_queue(&self->w, EQ_NO_WAIT));
	ASSERT_TRUE(eq_outstanding(&self->w, 0, 1, &cookie));
	ASSERT_TRUE(eq_outstanding(&self->w, 0, 2, &other));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 3));
	ASSERT_EQ(0, fail_allocations(self, true));
	rc = eq_respond(self->w.queue.fd, cookie, IOMMUFD_PAGE_RESP_SUCCESS);
	closed = close(self->w.queue.fd);
	ASSERT_EQ(0, fail_allocations(self, false));
	self->w.queue.fd = -1;
	ASSERT_EQ(EQ_RESPONSE_LEN, rc);
	ASSERT_EQ(0, closed);
	ASSERT_TRUE(eq_got(&self->w, 0, 1, EQ_GOT_SUCCESS));
	ASSERT_TRUE(eq_got_two_invalid(&self->w, 0, 2, 3));
}

/*
 * Memory for a read runs out after ever more bytes. Only the records of a large
 * group take any: until there is enough for these the group stays queued.
 */
TEST_F(failing, read_as_memory_runs_out)
{
	static struct iommu_hwpt_pgfault f[LARGE_GROUP + 1];
	unsigned int space, failed = 0;
	int fd;
	long rc = -ENOMEM;

	ASSERT_EQ(0, eq_world_fault_queue(&self->w, EQ_NO_WAIT));
	fd = self->w.queue.fd;
	ASSERT_EQ(0, eq_raise_group(&self->w, 0, 1, LARGE_GROUP));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 2));
	for (space = 0; rc == -ENOMEM && space < 65536; space += 64) {
		ASSERT_EQ(0, eq_inject_number(self->in.space_fd, space));
		ASSERT_EQ(0, fail_allocations(self, true));
		rc = eq_read(fd, f, LARGE_GROUP * EQ_FAULT_LEN);
		ASSERT_EQ(0, fail_allocations(self, false));
		if (rc != -ENOMEM)
			break;
		failed++;
		ASSERT_TRUE(eq_readable(fd));
		ASSERT_EQ(2, eq_fdinfo(fd, "queued"));
		ASSERT_EQ(0, eq_fdinfo(fd, "outstanding"));
	}
	ASSERT_EQ(0, eq_inject_number(self->in.space_fd, 0));
	ASSERT_EQ(LARGE_GROUP * EQ_FAULT_LEN, rc);
	ASSERT_LE(1, failed);
	ASSERT_TRUE(is_large_group(f, 1));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(fd, f + 1, EQ_FAULT_LEN));
	ASSERT_EQ(2, f[1].grpid);
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(fd, f[0].cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(fd, f[1].cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(eq_got(&self->w, 0, 1, EQ_GOT_SUCCESS));
	ASSERT_TRUE(eq_got(&self->w, 0, 2, EQ_GOT_SUCCESS));
}

/* Where memory can be had by waiting for it only, the read does that. */
TEST_F(failing, read_that_waits_for_memory)
{
	static struct iommu_hwpt_pgfault f[200];
	long rc;
	int i;

	ASSERT_EQ(0, eq_write_file(EQ_INJECT "ignore-gfp-wait", "Y"));
	ASSERT_EQ(0, eq_world_fault_queue(&self->w, EQ_NO_WAIT));
	for (i = 0; i < 200; i++)
		ASSERT_EQ(0, eq_raise_fault(&self->w, 0, i));
	ASSERT_EQ(0, fail_allocations(self, true));
	rc = eq_read(self->w.queue.fd, f, sizeof(f));
	ASSERT_EQ(0, fail_allocations(self, false));
	ASSERT_EQ(sizeof(f), rc);
	for (i = 0; i < 200; i++) {
		ASSERT_EQ(i, f[i].grpid);
		ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->w.queue.fd, f[i].cookie,
						      IOMMUFD_PAGE_RESP_SUCCESS));
	}
}

/*
 * Each allocation of a read in turn. The kernel may have another way; if not, the
 * fault stays queued, and the next read has it.
 */
TEST_F(failing, each_step_of_read)
{
	static struct iommu_hwpt_pgfault f[LARGE_GROUP];
	const long len = sizeof(f);
	int nth, nr_came = 0;
	bool came = true;
	long rc;

	for (nth = 1; came; nth++) {
		ASSERT_GT(50, nth);
		/* A new queue each time: it has no room for a large group yet. */
		ASSERT_EQ(0, eq_world_fault_queue(&self->w, EQ_NO_WAIT));
		ASSERT_EQ(0, eq_raise_group(&self->w, 0, nth, LARGE_GROUP));
		ASSERT_EQ(0, eq_inject_number(self->in.nth_fd, nth));
		rc = eq_read(self->w.queue.fd, f, len);
		came = eq_nth_came(&self->in);
		nr_came += came;
		if (rc == -ENOMEM) {
			ASSERT_TRUE(came);
			ASSERT_TRUE(eq_readable(self->w.queue.fd));
			ASSERT_EQ(1, eq_fdinfo(self->w.queue.fd, "queued"));
			rc = eq_read(self->w.queue.fd, f, len);
		}
		ASSERT_EQ(len, rc);
		ASSERT_TRUE(is_large_group(f, nth));
		ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->w.queue.fd, f[0].cookie,
						      IOMMUFD_PAGE_RESP_SUCCESS));
		ASSERT_TRUE(eq_got(&self->w, 0, nth, EQ_GOT_SUCCESS));
		ASSERT_EQ(0, close(self->w.queue.fd));
	}
	ASSERT_LE(1, nr_came);
}

/*
 * One allocation at a time that fails
 */

FIXTURE(step)
{
	struct eq_world w;
	struct eq_injector in;
	struct group group;
	__u32 viommu;		/* with nothing on it */
};

FIXTURE_VARIANT(step)
{
	__u32 depth;		/* of a vIOMMU event queue; 0 for faults */
	int at_least;		/* so many steps fail */
};

/* The object, the page of records, the file and its part of the file system. */
FIXTURE_VARIANT_ADD(step, fault_queue)
{
	.at_least = 4,
};

/* The vIOMMU, the object, the ring, the file. */
FIXTURE_VARIANT_ADD(step, vevent_queue)
{
	.depth = EQ_DEPTH,
	.at_least = 4,
};

/* Not the ring: for that the kernel tries anew with smaller pages. */
FIXTURE_VARIANT_ADD(step, large_vevent_queue)
{
	.depth = EQ_MAX_DEPTH,
	.at_least = 3,
};

FIXTURE_SETUP(step)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	if (eq_injector_open(&self->in) || group_make(&self->group, ""))
		SKIP(return, EQ_NO_INJECTION);
	ASSERT_EQ(0, eq_world_open(&self->w));
	ASSERT_EQ(0, eq_viommu(self->w.iommu, self->w.ioas, &self->w.dev[0],
			       &self->viommu));
	ASSERT_EQ(0, group_join(&self->group));
}

FIXTURE_TEARDOWN(step)
{
	eq_injector_close(&self->in);
	close(self->w.iommu);
	group_leave(&self->group);
}

/*
 * The allocation failed and left no descriptor and no id, or there is a queue,
 * with the lowest free ones, which is ended then.
 */
static bool all_or_nothing(struct _test_data_step *self, int rc, int fd,
			   long id)
{
	if (rc)
		return eq_lowest_free_fd() == fd && eq_next_id(&self->w) == id;
	return self->w.queue.fd == fd && self->w.queue.id == id &&
	       !end_queue(&self->w);
}

#define STEP_TRIES 6

/*
 * Let the nth allocation fail. Now and then the kernel makes one more, for
 * itself, and then it is another one's turn: so try again if that did no harm,
 * not always after the same number of queues. Returns what the last try did.
 */
static int alloc_with_failing_step(struct _test_data_step *self,
				   const FIXTURE_VARIANT(step) *variant,
				   int nth, bool *came)
{
	long id = eq_next_id(&self->w);
	int fd = eq_lowest_free_fd(), rc = 0, warm, i;

	*came = false;
	for (i = 0; i < STEP_TRIES && !rc; i++) {
		/* Have at hand what is needed once in a while only. */
		for (warm = 0; warm <= i % 2; warm++) {
			rc = some_queue(&self->w, self->viommu, variant->depth);
			if (rc || !all_or_nothing(self, rc, fd, id))
				return -EPROTO;
		}
		if (eq_inject_number(self->in.nth_fd, nth))
			return -EPROTO;
		rc = some_queue(&self->w, self->viommu, variant->depth);
		*came |= eq_nth_came(&self->in);
		if (!all_or_nothing(self, rc, fd, id) || (rc && !*came))
			return -EPROTO;
	}
	return rc;
}

/*
 * Each allocation in turn, until there is none left to fail. Some may fail and
 * do no harm, as the kernel has another way: then there is a queue.
 */
TEST_F(step, alloc)
{
	long before = charged(&self->group);
	int failed = 0, nth, rc;
	bool came = true;

	for (nth = 1; came; nth++) {
		ASSERT_GT(200, nth);
		rc = alloc_with_failing_step(self, variant, nth, &came);
		if (!rc)
			continue;
		/* With its test support the kernel fails to find objects, too. */
		ASSERT_EQ(nth == 1 && variant->depth ? -ENOENT : -ENOMEM, rc);
		failed++;
	}
	ASSERT_LE(variant->at_least, failed);
	ASSERT_TRUE(charge_falls_to(&self->group, before + SLACK));
	/* Nothing holds on to the vIOMMU. */
	ASSERT_EQ(0, eq_destroy(self->w.iommu, self->viommu));
}

/* Memory runs out after ever more bytes, and for every other way too. */
TEST_F(step, alloc_as_memory_runs_out)
{
	long id = eq_next_id(&self->w), before = charged(&self->group);
	int fd = eq_lowest_free_fd(), failed = 0, rc = -ENOMEM;
	unsigned int space;

	for (space = 0; rc; space += 64) {
		ASSERT_GT(65536, space);
		ASSERT_EQ(0, eq_inject_number(self->in.space_fd, space));
		ASSERT_EQ(0, eq_inject(self->in.task_fd, "1"));
		rc = some_queue(&self->w, self->viommu, variant->depth);
		ASSERT_EQ(0, eq_inject(self->in.task_fd, "0"));
		ASSERT_TRUE(all_or_nothing(self, rc, fd, id));
		if (!rc)
			break;
		ASSERT_EQ(-ENOMEM, rc);
		failed++;
	}
	ASSERT_LE(8, failed);
	ASSERT_TRUE(charge_falls_to(&self->group, before + SLACK));
	ASSERT_EQ(0, eq_destroy(self->w.iommu, self->viommu));
}

/*
 * Memory that was used before: one queue's page of records for another's, of
 * other records, which must not show through
 */

#define ROUNDS 4

FIXTURE(reused)
{
	struct eq_world w;
	struct eq_queue vq;
	struct iommu_hwpt_pgfault *f;
	struct eq_vevent *v;
	unsigned int nr_faults, nr_events;	/* that fill a page */
};

FIXTURE_SETUP(reused)
{
	long page = sysconf(_SC_PAGESIZE);
	cpu_set_t cpu;

	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	ASSERT_EQ(0, eq_world_open(&self->w));
	ASSERT_EQ(0, eq_world_viommu(&self->w));
	self->nr_faults = page / EQ_FAULT_LEN;
	self->nr_events = page / EQ_VEVENT_LEN;
	self->f = malloc(page);
	self->v = malloc(page);
	ASSERT_NE(NULL, self->f);
	ASSERT_NE(NULL, self->v);
	/* What a CPU frees it hands out again, most recent first. */
	CPU_ZERO(&cpu);
	CPU_SET(sched_getcpu(), &cpu);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(cpu), &cpu));
}

FIXTURE_TEARDOWN(reused)
{
	close(self->w.iommu);
	free(self->f);
	free(self->v);
}

/* A queue comes, is filled and read, and goes. Which takes no device 0. */
static bool faults_pass(struct _test_data_reused *self)
{
	struct eq_world *w = &self->w;
	long len = self->nr_faults * EQ_FAULT_LEN;
	struct eq_dev *dev = &w->dev[1];
	unsigned int i;

	if (eq_fault_queue(w->iommu, EQ_NO_WAIT, &w->queue) ||
	    eq_fault_hwpt(w->iommu, dev, w->ioas, w->queue.id, &w->hwpt) ||
	    eq_replace(w->iommu, dev, w->hwpt))
		return false;
	for (i = 0; i < self->nr_faults; i++)
		if (eq_raise_fault(w, 1, i))
			return false;
	return eq_read(w->queue.fd, self->f, len) == len &&
	       !close(w->queue.fd) && !eq_replace(w->iommu, dev, w->ioas) &&
	       !eq_destroy(w->iommu, w->hwpt) &&
	       !eq_destroy(w->iommu, w->queue.id);
}

static bool events_pass(struct _test_data_reused *self)
{
	struct eq_world *w = &self->w;
	long len = self->nr_events * EQ_VEVENT_LEN;

	return !eq_vevent_queue(w->iommu, w->viommu,
				IOMMU_VEVENTQ_TYPE_SELFTEST, EQ_NO_WAIT,
				self->nr_events, &self->vq) &&
	       !eq_raise_vevents(w, self->nr_events) &&
	       eq_read(self->vq.fd, self->v, len) == len &&
	       !close(self->vq.fd) && !eq_destroy(w->iommu, self->vq.id);
}

TEST_F(reused, records_are_written_whole)
{
	unsigned int round, i;

	for (round = 0; round < ROUNDS; round++) {
		ASSERT_TRUE(faults_pass(self));
		for (i = 0; i < self->nr_faults; i++) {
			ASSERT_EQ(i, self->f[i].grpid);
			ASSERT_EQ(0, self->f[i].pasid);
			ASSERT_EQ(0, self->f[i].__reserved);
			ASSERT_EQ(0, self->f[i].length);
		}
		ASSERT_TRUE(events_pass(self));
		for (i = 0; i < self->nr_events; i++)
			ASSERT_TRUE(eq_is_event(&self->v[i], i));
	}
}

TEST_HARNESS_MAIN
