/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Library of the event queue selftests: calls that may get stuck, in a thread of
 * their own, with a deadline.
 */
#ifndef SELFTESTS_IOMMU_LIB_EVENTQ_WAIT_H
#define SELFTESTS_IOMMU_LIB_EVENTQ_WAIT_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <sys/types.h>

#include "eventq.h"

/* Generous: a debug kernel under emulation is slow, and a pass never waits. */
#define EQ_DEADLINE_MS 10000
/* How long to wait for something that must not happen */
#define EQ_QUIET_MS 100

/*
 * A call in a thread
 */

struct eq_job {
	pthread_t thread;
	sem_t started, finished;
	pid_t tid;
	long (*fn)(void *arg);
	void *arg;
	long ret;
};

bool eq_job_start(struct eq_job *job, long (*fn)(void *arg), void *arg);
/* Whether the call returned within @ms; its result is in job->ret. */
bool eq_job_end(struct eq_job *job, unsigned int ms);
/* The result of a call that has to return, or -ETIME */
long eq_job_result(struct eq_job *job);
/* Whether the call has returned; eq_job_end() still has to be called. */
bool eq_job_ended(struct eq_job *job);
/* Wait until the call sleeps interruptibly; false if it returns instead. */
bool eq_job_sleeps(struct eq_job *job);
/* The state of a thread, as in /proc/PID/stat, 0 if it is gone */
char eq_task_state(pid_t tid);

/* Assert that fn(arg) returns @expected at once, whoever else is stuck. */
#define EQ_ASSERT_PROMPT(expected, fn, arg)				\
do {									\
	struct eq_job __job;						\
									\
	ASSERT_TRUE(eq_job_start(&__job, fn, arg));			\
	ASSERT_TRUE(eq_job_end(&__job, EQ_DEADLINE_MS))			\
		TH_LOG("stuck");					\
	ASSERT_EQ(expected, __job.ret);					\
} while (0)

struct eq_io {
	int fd;
	void *buf;
	size_t len;
};

/* A call for jobs: read(), of a struct eq_io */
long eq_job_read(void *arg);

/*
 * A read that may wait, of a queue whose records are numbered
 */

struct eq_reader {
	struct eq_io io;
	struct eq_job job;
	char buf[8 * EQ_FAULT_LEN];
};

/* Start to read by @fn, with room for @len bytes. */
bool eq_reader_start(struct eq_reader *r, struct eq_numbered *q,
		     long (*fn)(void *eq_io), size_t len);
/* Start to read one record, and wait until the read sleeps. */
bool eq_reader_wait(struct eq_reader *r, struct eq_numbered *q);

/*
 * Signals for calls that wait
 */

/* Count a signal; @flags: SA_RESTART or none. */
bool eq_handle_signal(int sig, int flags);
/* The number of signals handled since then */
int eq_nr_signals(void);
/* Wait until a signal was handled. */
bool eq_signal_handled(void);

#endif
