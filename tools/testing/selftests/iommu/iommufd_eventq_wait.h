/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Helpers of the event queue selftests for things that may get stuck: calls in a
 * thread of their own with a deadline, and memory that stalls whoever touches it
 * (userfaultfd). No test cases and nothing of iommufd here.
 */
#ifndef __IOMMUFD_EVENTQ_WAIT_H
#define __IOMMUFD_EVENTQ_WAIT_H

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Generous: a debug kernel under emulation is slow, and a pass never waits. */
#define DEADLINE_MS 10000
/* How long something that must not happen is given to happen. */
#define QUIET_MS 100

/* A call in a thread */

struct eq_job {
	pthread_t thread;
	sem_t started, finished;
	pid_t tid;
	long (*fn)(void *arg);
	void *arg;
	long ret;
};

static inline void *eq_job_thread(void *arg)
{
	struct eq_job *job = arg;

	job->tid = syscall(SYS_gettid);
	sem_post(&job->started);
	job->ret = job->fn(job->arg);
	sem_post(&job->finished);
	return NULL;
}

static inline bool eq_sem_wait(sem_t *sem, unsigned int ms)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += ms / 1000;
	end.tv_nsec += ms % 1000 * 1000000L;
	if (end.tv_nsec >= 1000000000L) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000L;
	}
	while (sem_clockwait(sem, CLOCK_MONOTONIC, &end))
		if (errno != EINTR)
			return false;
	return true;
}

static inline bool eq_job_start(struct eq_job *job, long (*fn)(void *arg),
				void *arg)
{
	job->fn = fn;
	job->arg = arg;
	sem_init(&job->started, 0, 0);
	sem_init(&job->finished, 0, 0);
	return !pthread_create(&job->thread, NULL, eq_job_thread, job) &&
	       eq_sem_wait(&job->started, DEADLINE_MS);
}

/* True if the call returned within @ms; its result is in job->ret. */
static inline bool eq_job_end(struct eq_job *job, unsigned int ms)
{
	return eq_sem_wait(&job->finished, ms) &&
	       !pthread_join(job->thread, NULL);
}

/* The result of a call that has to return, or -ETIME. */
static inline long eq_job_result(struct eq_job *job)
{
	return eq_job_end(job, DEADLINE_MS) ? job->ret : -ETIME;
}

/* Whether it has returned: asks, and leaves the rest to eq_job_end(). */
static inline bool eq_job_ended(struct eq_job *job)
{
	int value = 0;

	sem_getvalue(&job->finished, &value);
	return value;
}

static inline char eq_task_state(pid_t tid)
{
	char path[64], text[512], *end;
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	file = fopen(path, "r");
	if (!file)
		return 0;
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = 0;
	/* The name is in parentheses, and the state follows. */
	end = strrchr(text, ')');
	return end && end[1] ? end[2] : 0;
}

/* See the call sleep, interruptibly; false if it has returned instead. */
static inline bool eq_job_sleeps(struct eq_job *job)
{
	unsigned int ms;

	for (ms = 0; ms < DEADLINE_MS && !eq_job_ended(job); ms++) {
		if (eq_task_state(job->tid) == 'S')
			return true;
		usleep(1000);
	}
	return false;
}

/* The call of a job, and of ASSERT_PROMPT(). */
struct eq_io {
	int fd;
	void *buf;
	size_t len;
};

static inline long eq_job_read(void *arg)
{
	struct eq_io *io = arg;
	ssize_t ret = read(io->fd, io->buf, io->len);

	return ret < 0 ? -errno : ret;
}

static inline long eq_job_write(void *arg)
{
	struct eq_io *io = arg;
	ssize_t ret = write(io->fd, io->buf, io->len);

	return ret < 0 ? -errno : ret;
}

struct eq_ioctl {
	int fd;
	unsigned long request;
	void *arg;
};

static inline long eq_job_ioctl(void *arg)
{
	struct eq_ioctl *io = arg;

	return ioctl(io->fd, io->request, io->arg) < 0 ? -errno : 0;
}

static inline long eq_job_poll(void *arg)
{
	struct pollfd *pfd = arg;

	return poll(pfd, 1, 0) < 0 ? -errno : pfd->revents;
}

static inline long eq_job_close(void *arg)
{
	return close(*(int *)arg) ? -errno : 0;
}

/* As fork(), but the child does not outlive a test that fails. */
static inline pid_t eq_fork(void)
{
	pid_t pid = fork();

	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

/* Wait until a child sleeps. No program here has a blank in its name. */
static inline bool eq_child_waits(pid_t pid)
{
	unsigned int ms;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (ms = 0; ms < DEADLINE_MS; ms++) {
		FILE *file = fopen(path, "r");
		char state = 0;
		int nr;

		if (!file)
			return false;
		nr = fscanf(file, "%*d %*s %c", &state);
		fclose(file);
		if (nr == 1 && state == 'S')
			return true;
		usleep(1000);
	}
	return false;
}

/* What waitpid() says of a child that ends by itself. */
static inline int eq_child_status(pid_t pid)
{
	int status = -ECHILD;
	unsigned int ms;

	for (ms = 0; ms < DEADLINE_MS; ms++) {
		if (waitpid(pid, &status, WNOHANG))
			return status;
		usleep(1000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -ETIME;
}

/* The pid at @arg, a child of ours, has ended. */
static inline long eq_job_waitpid(void *arg)
{
	pid_t pid = *(pid_t *)arg;

	return RET(waitpid(pid, NULL, 0));
}

/* Memory that stalls */

struct eq_stall {
	int uffd;
	char *page;
	size_t len;
};

/* Returns 0, or -errno where userfaultfd cannot be had. */
static inline int eq_stall_open(struct eq_stall *stall, __u64 mode)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = mode == UFFDIO_REGISTER_MODE_WP ?
			    UFFD_FEATURE_PAGEFAULT_FLAG_WP : 0,
	};
	struct uffdio_register area = { .mode = mode };

	memset(stall, 0, sizeof(*stall));
	stall->len = sysconf(_SC_PAGESIZE);
	stall->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (stall->uffd < 0 || ioctl(stall->uffd, UFFDIO_API, &api))
		return -errno;
	stall->page = mmap(NULL, stall->len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stall->page == MAP_FAILED)
		return -errno;
	area.range.start = (uintptr_t)stall->page;
	area.range.len = stall->len;
	return ioctl(stall->uffd, UFFDIO_REGISTER, &area) ? -errno : 0;
}

/* Whoever touches the page first stalls until eq_stall_fill() or _break(). */
static inline int eq_stall_init(struct eq_stall *stall)
{
	return eq_stall_open(stall, UFFDIO_REGISTER_MODE_MISSING);
}

static inline int eq_stall_protect(struct eq_stall *stall, bool on)
{
	struct uffdio_writeprotect cmd = {
		.range = {
			.start = (uintptr_t)stall->page,
			.len = stall->len,
		},
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return ioctl(stall->uffd, UFFDIO_WRITEPROTECT, &cmd) ? -errno : 0;
}

/* As eq_stall_init(), but @data can be read from the page: writing stalls. */
static inline int eq_stall_init_write(struct eq_stall *stall, const void *data,
				      size_t len)
{
	int rc = eq_stall_open(stall, UFFDIO_REGISTER_MODE_WP);

	if (rc)
		return rc;
	memcpy(stall->page, data, len);
	return eq_stall_protect(stall, true);
}

/* Wait until somebody stalls. */
static inline bool eq_stall_hit(struct eq_stall *stall)
{
	struct pollfd pfd = { .fd = stall->uffd, .events = POLLIN };
	struct uffd_msg msg;

	return poll(&pfd, 1, DEADLINE_MS) == 1 &&
	       read(stall->uffd, &msg, sizeof(msg)) == sizeof(msg) &&
	       msg.event == UFFD_EVENT_PAGEFAULT;
}

/* Let it go on, with @data in the page. */
static inline int eq_stall_fill(struct eq_stall *stall, const void *data,
				size_t len)
{
	char *page = calloc(1, stall->len);
	struct uffdio_copy cmd = {
		.dst = (uintptr_t)stall->page,
		.src = (uintptr_t)page,
		.len = stall->len,
	};
	int rc;

	if (!page)
		return -ENOMEM;
	if (len)
		memcpy(page, data, len);
	rc = ioctl(stall->uffd, UFFDIO_COPY, &cmd) ? -errno : 0;
	free(page);
	return rc;
}

/* Let it fail: the page is gone. */
static inline int eq_stall_break(struct eq_stall *stall)
{
	struct uffdio_range range = {
		.start = (uintptr_t)stall->page,
		.len = stall->len,
	};

	if (munmap(stall->page, stall->len))
		return -errno;
	return ioctl(stall->uffd, UFFDIO_WAKE, &range) ? -errno : 0;
}

/* The last @len bytes before memory that cannot be accessed. */
static inline char *eq_edge(size_t len)
{
	size_t page = sysconf(_SC_PAGESIZE), whole = (len + page - 1) / page * page;
	char *mem = mmap(NULL, whole + page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED || mprotect(mem + whole, page, PROT_NONE))
		return NULL;
	return mem + whole - len;
}

#endif
