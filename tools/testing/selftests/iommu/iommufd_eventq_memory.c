// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selftest of iommufd's event queues: their memory. Who is charged for it, what
 * happens where there is too little, and that no record is lost then. Needs
 * memory cgroups (version 2) and fault injection, and root.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <sys/stat.h>

#include "../kselftest_harness.h"
#include "iommufd_eventq_world.h"

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	long rc;

	if (fd < 0)
		return -errno;
	rc = sys_write(fd, text, strlen(text));
	close(fd);
	return rc < 0 ? rc : 0;
}

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

/*
 * Charges
 */

#define CGROUPS "/sys/fs/cgroup"
#define RING_LEN (MAX_DEPTH * VEVENT_LEN)
/* What else may be charged meanwhile, and what charges are rounded to. */
#define SLACK (1024 * 1024L)

FIXTURE(charge)
{
	struct world w;
	char group[64];
};

static long group_number(struct _test_data_charge *self, const char *name,
			 const char *key)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", self->group, name);
	return read_number(path, key);
}

static int group_write(struct _test_data_charge *self, const char *name,
		       long number)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), "%s/%s", self->group, name);
	snprintf(text, sizeof(text), "%ld", number);
	return write_file(path, text);
}

/* From here on this process is charged to a cgroup of its own. */
FIXTURE_SETUP(charge)
{
	if (no_mock())
		SKIP(return, NO_MOCK);
	ASSERT_EQ(0, world_open(&self->w));
	ASSERT_EQ(0, world_viommu(&self->w));
	snprintf(self->group, sizeof(self->group), CGROUPS "/eventq.%d",
		 getpid());
	if (write_file(CGROUPS "/cgroup.subtree_control", "+memory") ||
	    mkdir(self->group, 0700))
		SKIP(return, "needs memory cgroups, version 2, and root");
	ASSERT_EQ(0, group_write(self, "cgroup.procs", getpid()));
}

FIXTURE_TEARDOWN(charge)
{
	char pid[32];

	snprintf(pid, sizeof(pid), "%d", getpid());
	write_file(CGROUPS "/cgroup.procs", pid);
	close(self->w.iommu);
	rmdir(self->group);
}

static int vevent_queue(struct _test_data_charge *self, __u32 depth)
{
	return eq_vevent_queue(self->w.iommu, self->w.viommu,
			       IOMMU_VEVENTQ_TYPE_SELFTEST, NO_WAIT_FLAG, depth,
			       &self->w.queue);
}

static long charged(struct _test_data_charge *self)
{
	return group_number(self, "memory.current", NULL);
}

/* The kernel may free memory, and end the charge, a bit later. */
static bool charge_falls_to(struct _test_data_charge *self, long limit)
{
	unsigned int ms;

	for (ms = 0; ms < DEADLINE_MS; ms++) {
		if (charged(self) <= limit)
			return true;
		usleep(1000);
	}
	return false;
}

/* All at once when the queue is made, nothing by events, and all of it back. */
TEST_F(charge, vevent_queue)
{
	long before = charged(self), with, full;

	ASSERT_LE(0, before);
	ASSERT_EQ(0, vevent_queue(self, MAX_DEPTH));
	with = charged(self);
	ASSERT_LE(before + RING_LEN, with);
	ASSERT_GE(before + RING_LEN + SLACK, with);

	ASSERT_EQ(0, vevents(&self->w, 10000));
	full = charged(self);
	ASSERT_GE(with + SLACK / 4, full);

	ASSERT_EQ(0, close(self->w.queue.fd));
	ASSERT_EQ(0, eq_destroy(self->w.iommu, self->w.queue.id));
	ASSERT_TRUE(charge_falls_to(self, before + SLACK));
}

/* Too little is an error of the allocation, kills nobody and leaves nothing. */
TEST_F(charge, vevent_queue_over_limit)
{
	int fd = lowest_free_fd();
	long before = charged(self);

	ASSERT_EQ(0, group_write(self, "memory.max", before + RING_LEN / 2));
	ASSERT_EQ(-ENOMEM, vevent_queue(self, MAX_DEPTH));
	ASSERT_EQ(0, group_number(self, "memory.events", "oom_kill"));
	ASSERT_EQ(fd, lowest_free_fd());
	ASSERT_TRUE(charge_falls_to(self, before + SLACK));

	/* The type is free for a queue that fits. */
	ASSERT_EQ(0, vevent_queue(self, DEPTH));
	ASSERT_EQ(0, vevents(&self->w, DEPTH));
	close(self->w.queue.fd);
}

/*
 * Allocations that fail
 */

#define INJECT "/sys/kernel/debug/failslab/"

FIXTURE(failing)
{
	struct world w;
	int switch_fd;		/* of "make-it-fail": opening it allocates */
};

/* From now on every allocation of this task fails that may, or no more. */
static int fail_allocations(struct _test_data_failing *self, bool on)
{
	return RET(pwrite(self->switch_fd, on ? "1" : "0", 1, 0)) == 1 ? 0 : -1;
}

FIXTURE_SETUP(failing)
{
	if (no_mock())
		SKIP(return, NO_MOCK);
	if (write_file(INJECT "probability", "100") ||
	    write_file(INJECT "interval", "1") ||
	    write_file(INJECT "times", "-1") ||
	    write_file(INJECT "space", "0") ||
	    write_file(INJECT "verbose", "0") ||
	    write_file(INJECT "task-filter", "Y") ||
	    write_file(INJECT "ignore-gfp-wait", "N"))
		SKIP(return, "needs FAILSLAB, its debugfs files, and root");
	self->switch_fd = open("/proc/self/make-it-fail", O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, self->switch_fd);
	ASSERT_EQ(0, world_open(&self->w));
}

FIXTURE_TEARDOWN(failing)
{
	fail_allocations(self, false);
	close(self->switch_fd);
	write_file(INJECT "probability", "0");
	close(self->w.queue.fd);
	close(self->w.iommu);
}

/* A fault whose cookie cannot be kept stays queued. */
TEST_F(failing, read_of_fault)
{
	int fd, i;
	struct iommu_hwpt_pgfault f[2];
	long rc;

	ASSERT_EQ(0, world_fault_queue(&self->w, NO_WAIT_FLAG));
	fd = self->w.queue.fd;
	ASSERT_EQ(0, fault(&self->w, 0, 1));
	ASSERT_EQ(0, fault(&self->w, 0, 2));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, fail_allocations(self, true));
		rc = sys_read(fd, f, sizeof(f));
		ASSERT_EQ(0, fail_allocations(self, false));
		ASSERT_EQ(-ENOMEM, rc);
		ASSERT_TRUE(readable(fd));
	}
	ASSERT_EQ(2, eq_fdinfo(fd, "queued"));
	ASSERT_EQ(0, eq_fdinfo(fd, "outstanding"));
	ASSERT_EQ(2 * FAULT_LEN, sys_read(fd, f, sizeof(f)));
	ASSERT_EQ(1, f[0].grpid);
	ASSERT_EQ(2, f[1].grpid);
	ASSERT_EQ(ANSWER_LEN, answer(fd, f[0].cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(ANSWER_LEN, answer(fd, f[1].cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got(&self->w, 0, 1, GOT_SUCCESS));
	ASSERT_TRUE(got(&self->w, 0, 2, GOT_SUCCESS));
}

/* The memory for cookies can run out in the middle of a read. */
TEST_F(failing, read_of_many_faults)
{
	static struct iommu_hwpt_pgfault f[200];
	unsigned int read = 0, i;
	long rc;

	ASSERT_EQ(0, world_fault_queue(&self->w, NO_WAIT_FLAG));
	for (i = 0; i < 200; i++)
		ASSERT_EQ(0, fault(&self->w, 0, i));
	/* The first has its cookie, and some that share memory with it. */
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, f, FAULT_LEN));
	ASSERT_EQ(0, fail_allocations(self, true));
	rc = sys_read(self->w.queue.fd, f + 1, sizeof(f) - FAULT_LEN);
	ASSERT_EQ(0, fail_allocations(self, false));
	ASSERT_LT(0, rc);
	ASSERT_EQ(0, rc % FAULT_LEN);
	ASSERT_GT(199 * FAULT_LEN, rc);
	read = 1 + rc / FAULT_LEN;
	ASSERT_EQ(200 - read, eq_fdinfo(self->w.queue.fd, "queued"));
	while (read < 200) {
		rc = sys_read(self->w.queue.fd, f + read,
			      (200 - read) * FAULT_LEN);
		ASSERT_LT(0, rc);
		read += rc / FAULT_LEN;
	}
	for (i = 0; i < 200; i++) {
		ASSERT_EQ(i, f[i].grpid);
		ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, f[i].cookie,
					     IOMMUFD_PAGE_RESP_SUCCESS));
	}
}

/* Reporting, reading and overflow of events need none at all. */
TEST_F(failing, vevents)
{
	struct eq_vevent v[DEPTH];
	struct iommufd_vevent_header lost;
	int fd, i;
	long rc;

	ASSERT_EQ(0, world_vevent_queue(&self->w, NO_WAIT_FLAG, DEPTH));
	fd = self->w.queue.fd;
	ASSERT_EQ(0, fail_allocations(self, true));
	rc = vevents(&self->w, DEPTH + 3);
	i = sys_read(fd, v, sizeof(v));
	ASSERT_EQ(0, fail_allocations(self, false));
	ASSERT_EQ(0, rc);
	ASSERT_EQ(sizeof(v), i);
	for (i = 0; i < DEPTH; i++)
		ASSERT_TRUE(is_event(&v[i], i));
	ASSERT_EQ(HEADER_LEN, sys_read(fd, &lost, sizeof(lost)));
	ASSERT_TRUE(is_lost(&lost, DEPTH + 2));
}

TEST_HARNESS_MAIN
