// SPDX-License-Identifier: GPL-2.0-only
/* Library of the event queue selftests: see eventq_wait.h. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "eventq_wait.h"

static void *eq_job_thread(void *arg)
{
	struct eq_job *job = arg;

	job->tid = syscall(SYS_gettid);
	sem_post(&job->started);
	job->ret = job->fn(job->arg);
	sem_post(&job->finished);
	return NULL;
}

static bool eq_sem_wait(sem_t *sem, unsigned int ms)
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

bool eq_job_start(struct eq_job *job, long (*fn)(void *arg), void *arg)
{
	job->fn = fn;
	job->arg = arg;
	sem_init(&job->started, 0, 0);
	sem_init(&job->finished, 0, 0);
	return !pthread_create(&job->thread, NULL, eq_job_thread, job) &&
	       eq_sem_wait(&job->started, EQ_DEADLINE_MS);
}

bool eq_job_end(struct eq_job *job, unsigned int ms)
{
	return eq_sem_wait(&job->finished, ms) &&
	       !pthread_join(job->thread, NULL);
}

long eq_job_result(struct eq_job *job)
{
	return eq_job_end(job, EQ_DEADLINE_MS) ? job->ret : -ETIME;
}

bool eq_job_ended(struct eq_job *job)
{
	int value = 0;

	sem_getvalue(&job->finished, &value);
	return value;
}

char eq_task_state(pid_t tid)
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

bool eq_job_sleeps(struct eq_job *job)
{
	unsigned int ms;

	for (ms = 0; ms < EQ_DEADLINE_MS && !eq_job_ended(job); ms++) {
		if (eq_task_state(job->tid) == 'S')
			return true;
		usleep(1000);
	}
	return false;
}

long eq_job_read(void *arg)
{
	struct eq_io *io = arg;
	ssize_t ret = read(io->fd, io->buf, io->len);

	return ret < 0 ? -errno : ret;
}

bool eq_reader_start(struct eq_reader *r, struct eq_numbered *q, long (*fn)(void *arg),
		     size_t len)
{
	memset(r->buf, 0xa5, sizeof(r->buf));
	r->io.fd = q->w.queue.fd;
	r->io.buf = r->buf;
	r->io.len = len;
	return eq_job_start(&r->job, fn, &r->io);
}

bool eq_reader_wait(struct eq_reader *r, struct eq_numbered *q)
{
	return eq_reader_start(r, q, eq_job_read, q->len) && eq_job_sleeps(&r->job);
}

static int nr_signals;

static void count_signal(int sig)
{
	(void)sig;
	__atomic_add_fetch(&nr_signals, 1, __ATOMIC_SEQ_CST);
}

bool eq_handle_signal(int sig, int flags)
{
	struct sigaction action = {
		.sa_handler = count_signal,
		.sa_flags = flags,
	};

	nr_signals = 0;
	return !sigaction(sig, &action, NULL);
}

int eq_nr_signals(void)
{
	return __atomic_load_n(&nr_signals, __ATOMIC_SEQ_CST);
}

bool eq_signal_handled(void)
{
	unsigned int ms;

	for (ms = 0; ms < EQ_DEADLINE_MS; ms++) {
		if (eq_nr_signals())
			return true;
		usleep(1000);
	}
	return false;
}
