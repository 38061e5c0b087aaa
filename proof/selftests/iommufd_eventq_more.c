// SPDX-License-Identifier: GPL-2.0-only
/*
 * The long tail of iommufd_eventq, the selftest of what both classes of event
 * queues have in common: processes that share a queue, waiting reads under
 * signals, bursts and races, Linux AIO.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "kselftest_harness.h"
#include "calls.h"
#include "lib/eventq_aio.h"
#include "lib/eventq_wait.h"
#include "stall.h"

/*
 * Allocation and the life of a queue's object and fd
 */

FIXTURE(alloc)
{
	struct eq_world w;
};

FIXTURE_SETUP(alloc)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	ASSERT_EQ(0, eq_world_open(&self->w));
	ASSERT_EQ(0, eq_world_viommu(&self->w));
}

FIXTURE_TEARDOWN(alloc)
{
	close(self->w.iommu);
}

TEST_F(alloc, fd_names)
{
	static const char * const names[] = {
		"anon_inode:[iommufd-pgfault]",
		"anon_inode:[iommufd-viommu-event]",
	};
	char path[32], name[64];
	struct eq_queue q[2];
	ssize_t len;
	int i;

	ASSERT_EQ(0, eq_fault_queue(self->w.iommu, 0, &q[0]));
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, EQ_DEPTH,
				     &q[1]));
	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", q[i].fd);
		len = readlink(path, name, sizeof(name) - 1);
		ASSERT_LT(0, len);
		name[len] = 0;
		ASSERT_STREQ(names[i], name);
	}
}

TEST_F(alloc, destroy_is_busy_while_a_child_has_it)
{
	struct eq_queue q[2];
	int pipefd[2], i;
	char byte = 0;
	pid_t pid;

	ASSERT_EQ(0, eq_fault_queue(self->w.iommu, 0, &q[0]));
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, EQ_DEPTH,
				     &q[1]));
	ASSERT_EQ(0, pipe(pipefd));
	pid = eq_fork();
	if (!pid)
		_exit(read(pipefd[0], &byte, 1) == 1 ? 0 : 1);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, close(q[i].fd));
		ASSERT_EQ(-EBUSY, eq_destroy(self->w.iommu, q[i].id));
	}
	ASSERT_EQ(1, write(pipefd[1], &byte, 1));
	ASSERT_EQ(0, eq_child_status(pid));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, eq_destroy(self->w.iommu, q[i].id));
}

/* A page that stalls the ioctl's result must stall no report. */
TEST_F(alloc, stuck_vevent_alloc_delays_no_report)
{
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = self->w.viommu,
		.type = IOMMU_VEVENTQ_TYPE_SELFTEST_32,
		.veventq_depth = EQ_DEPTH,
	};
	struct eq_ioctl alloc = {
		.fd = self->w.iommu,
		.request = IOMMU_VEVENTQ_ALLOC,
	};
	struct eq_act report = { .w = &self->w };
	struct eq_stall stall;
	struct eq_queue q;
	struct eq_job job;

	if (eq_stall_init_write(&stall, &cmd, sizeof(cmd)))
		SKIP(return, EQ_NO_STALL);
	ASSERT_EQ(0, eq_vevent_queue(self->w.iommu, self->w.viommu,
				     IOMMU_VEVENTQ_TYPE_SELFTEST, 0, EQ_DEPTH,
				     &q));
	alloc.arg = stall.page;
	ASSERT_TRUE(eq_job_start(&job, eq_job_ioctl, &alloc));
	ASSERT_TRUE(eq_stall_hit(&stall));
	EQ_ASSERT_PROMPT(0, eq_act_vevent, &report);
	ASSERT_EQ(0, eq_stall_protect(&stall, false));
	ASSERT_TRUE(eq_job_end(&job, EQ_DEADLINE_MS));
	ASSERT_EQ(0, job.ret);
}

/*
 * Waiting reads
 */

FIXTURE(waiting)
{
	struct eq_numbered q;
};

FIXTURE_VARIANT(waiting)
{
	bool viommu;
};

FIXTURE_VARIANT_ADD(waiting, fault)
{
	.viommu = false,
};

FIXTURE_VARIANT_ADD(waiting, vevent)
{
	.viommu = true,
};

FIXTURE_SETUP(waiting)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	if (!eq_wait_flag_known())
		SKIP(return, EQ_NO_WAIT_FLAG);
	ASSERT_EQ(0, eq_numbered_open(&self->q, variant->viommu, EQ_WAIT,
				      EQ_DEPTH));
}

FIXTURE_TEARDOWN(waiting)
{
	eq_numbered_close(&self->q);
}

/* A reader that has the record in its hands delivers it, signal or not. */
TEST_F(waiting, signal_during_copy)
{
	struct eq_io io = { .fd = self->q.w.queue.fd };
	struct eq_stall stall;
	struct eq_job job;

	if (eq_stall_init(&stall))
		SKIP(return, EQ_NO_STALL);
	io.buf = stall.page;
	io.len = stall.len;
	ASSERT_TRUE(eq_handle_signal(SIGUSR1, 0));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_TRUE(eq_job_start(&job, eq_job_read, &io));
	ASSERT_TRUE(eq_stall_hit(&stall));
	ASSERT_EQ(0, pthread_kill(job.thread, SIGUSR1));
	ASSERT_EQ(0, eq_stall_fill(&stall, NULL, 0));
	ASSERT_EQ(self->q.len, eq_job_result(&job));
	ASSERT_TRUE(eq_signal_handled());
	ASSERT_EQ(0, eq_numbered_number(&self->q, stall.page));
	ASSERT_EQ(-ENODATA, eq_numbered_take(&self->q));
}

/* Whichever comes first, the record is delivered or still there. */
TEST_F(waiting, signal_and_record)
{
	struct eq_reader r;
	long ret;
	int i;

	ASSERT_TRUE(eq_handle_signal(SIGUSR1, 0));
	for (i = 0; i < 40; i++) {
		ASSERT_TRUE(eq_reader_wait(&r, &self->q));
		if (i % 2)
			ASSERT_EQ(0, eq_numbered_add(&self->q));
		ASSERT_EQ(0, pthread_kill(r.job.thread, SIGUSR1));
		if (!(i % 2))
			ASSERT_EQ(0, eq_numbered_add(&self->q));
		ret = eq_job_result(&r.job);
		if (ret == -EINTR) {
			ASSERT_EQ(i, eq_numbered_take(&self->q));
		} else {
			ASSERT_EQ(self->q.len, ret);
			ASSERT_EQ(i, eq_numbered_number(&self->q, r.buf));
		}
		ASSERT_EQ(-ENODATA, eq_numbered_take(&self->q));
	}
}

/* Returns 0 if the first record is what it reads. */
static int child_of_read(struct eq_numbered *q)
{
	char buf[64];

	if (eq_read(q->w.queue.fd, buf, q->len) != q->len)
		return 1;
	return eq_numbered_number(q, buf) ? 2 : 0;
}

TEST_F(waiting, child_reads)
{
	pid_t pid = eq_fork();

	if (!pid)
		_exit(child_of_read(&self->q));
	ASSERT_TRUE(eq_child_waits(pid));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(0, eq_child_status(pid));
	ASSERT_EQ(-ENODATA, eq_numbered_take(&self->q));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(1, eq_numbered_take(&self->q));
}

/* A killed reader takes nothing with it, and does not keep the queue. */
TEST_F(waiting, kill_ends_read)
{
	struct eq_reader r;
	int status;
	pid_t pid;

	pid = eq_fork();
	if (!pid)
		_exit(child_of_read(&self->q));
	ASSERT_TRUE(eq_child_waits(pid));
	ASSERT_TRUE(eq_reader_wait(&r, &self->q));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	status = eq_child_status(pid);
	ASSERT_TRUE(WIFSIGNALED(status));
	ASSERT_EQ(SIGKILL, WTERMSIG(status));
	/* Another one waits on. */
	ASSERT_TRUE(eq_job_sleeps(&r.job));
	ASSERT_EQ(0, eq_numbered_add_many(&self->q, 2));
	ASSERT_EQ(self->q.len, eq_job_result(&r.job));
	ASSERT_EQ(0, eq_numbered_number(&self->q, r.buf));
	ASSERT_EQ(1, eq_numbered_take(&self->q));
	ASSERT_EQ(0, close(self->q.w.queue.fd));
	self->q.w.queue.fd = -1;
	ASSERT_EQ(0, eq_numbered_destroy(&self->q));
}

/* Stopping a program is not a signal that it sees. */
TEST_F(waiting, stop_and_continue)
{
	pid_t pid = eq_fork();
	int status;

	if (!pid)
		_exit(child_of_read(&self->q));
	ASSERT_TRUE(eq_child_waits(pid));
	ASSERT_EQ(0, kill(pid, SIGSTOP));
	ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
	ASSERT_EQ(0, kill(pid, SIGCONT));
	ASSERT_TRUE(eq_child_waits(pid));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(0, eq_child_status(pid));
	ASSERT_EQ(-ENODATA, eq_numbered_take(&self->q));
}

/* As many records as readers with room for one: one each. */
TEST_F(waiting, burst_for_many_readers)
{
	struct eq_reader r[EQ_DEPTH];
	int seen[EQ_DEPTH] = {};
	int i;
	long nr;

	for (i = 0; i < EQ_DEPTH; i++)
		ASSERT_TRUE(eq_reader_wait(&r[i], &self->q));
	ASSERT_EQ(0, eq_numbered_add_many(&self->q, EQ_DEPTH));
	for (i = 0; i < EQ_DEPTH; i++) {
		ASSERT_EQ(self->q.len, eq_job_result(&r[i].job));
		nr = eq_numbered_number(&self->q, r[i].buf);
		ASSERT_LE(0, nr);
		ASSERT_GT(EQ_DEPTH, nr);
		seen[nr]++;
	}
	for (i = 0; i < EQ_DEPTH; i++)
		ASSERT_EQ(1, seen[i]);
	ASSERT_EQ(-ENODATA, eq_numbered_take(&self->q));
}

/*
 * With room for several, some may take what others were woken for; those wait
 * on. They take turns: each gets records in order, and nothing comes twice.
 */
TEST_F(waiting, burst_for_greedy_readers)
{
	enum { READERS = 4, MOST = 64 };
	struct eq_reader r[READERS];
	int seen[MOST] = {};
	int i, at, left;
	long nr, last;

	for (i = 0; i < READERS; i++) {
		ASSERT_TRUE(eq_reader_start(&r[i], &self->q, eq_job_read,
					    8 * self->q.len));
		ASSERT_TRUE(eq_job_sleeps(&r[i].job));
	}
	ASSERT_EQ(0, eq_numbered_add_many(&self->q, READERS));
	do {
		usleep(1000);
		for (i = 0, left = 0; i < READERS; i++)
			left += !eq_job_ended(&r[i].job);
		if (left && !eq_readable(self->q.w.queue.fd))
			ASSERT_EQ(0, eq_numbered_add(&self->q));
	} while (left && self->q.raised < MOST);

	for (i = 0; i < READERS; i++) {
		ASSERT_LT(0, eq_job_result(&r[i].job));
		ASSERT_EQ(0, r[i].job.ret % self->q.len);
		for (at = 0, last = -1; at < r[i].job.ret; at += self->q.len) {
			nr = eq_numbered_number(&self->q, r[i].buf + at);
			ASSERT_LT(last, nr);
			ASSERT_GT(MOST, nr);
			seen[nr]++;
			last = nr;
		}
	}
	for (nr = eq_numbered_take(&self->q); nr >= 0; nr = eq_numbered_take(&self->q)) {
		ASSERT_GT(MOST, nr);
		seen[nr]++;
	}
	for (i = 0; i < (int)self->q.raised; i++)
		ASSERT_EQ(1, seen[i]);
}

/* It waits without a lock that anybody could want. */
TEST_F(waiting, reader_delays_nobody)
{
	struct eq_act act = { .w = &self->q.w };
	struct iommu_hwpt_page_response bad = {};
	struct eq_io io = {
		.fd = self->q.w.queue.fd,
		.buf = &bad,
		.len = sizeof(bad),
	};
	struct pollfd pfd = { .fd = io.fd, .events = POLLIN };
	int copy = dup(io.fd);
	struct eq_reader r;

	if (!variant->viommu)
		ASSERT_TRUE(eq_outstanding(act.w, 0, self->q.raised++, &act.arg));
	ASSERT_TRUE(eq_reader_wait(&r, &self->q));
	if (!variant->viommu) {
		EQ_ASSERT_PROMPT(EQ_RESPONSE_LEN, eq_act_accept, &act);
		ASSERT_TRUE(eq_got(act.w, 0, 0, EQ_GOT_SUCCESS));
	}
	EQ_ASSERT_PROMPT(-EINVAL, eq_job_write, &io);
	EQ_ASSERT_PROMPT(-EAGAIN, eq_act_read_nowait, &act);
	EQ_ASSERT_PROMPT(0, eq_job_poll, &pfd);
	ASSERT_EQ(0, eq_fdinfo(io.fd, "queued"));
	EQ_ASSERT_PROMPT(0, eq_job_close, &copy);
	if (!variant->viommu) {
		act.dev = 1;
		act.arg = act.w->ioas;
		EQ_ASSERT_PROMPT(0, eq_act_replace, &act);
	}
	ASSERT_TRUE(eq_job_sleeps(&r.job));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(self->q.len, eq_job_result(&r.job));
}

TEST_F(waiting, too_small_for_what_comes)
{
	struct eq_reader r;

	ASSERT_TRUE(eq_reader_start(&r, &self->q, eq_job_read, self->q.len - 1));
	ASSERT_TRUE(eq_job_sleeps(&r.job));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(-EINVAL, eq_job_result(&r.job));
	ASSERT_EQ(0, eq_numbered_take(&self->q));
}

TEST_F(waiting, bad_buffer_for_what_comes)
{
	struct eq_io io = {
		.fd = self->q.w.queue.fd,
		.buf = eq_edge(self->q.len - 1),
		.len = self->q.len,
	};
	struct eq_job job;

	ASSERT_TRUE(eq_job_start(&job, eq_job_read, &io));
	ASSERT_TRUE(eq_job_sleeps(&job));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(-EFAULT, eq_job_result(&job));
	ASSERT_EQ(0, eq_numbered_take(&self->q));
}

/* The read is the last to close the file, when it has its record. */
TEST_F(waiting, read_keeps_the_file)
{
	struct eq_world *w = &self->q.w;
	struct eq_reader r;

	ASSERT_TRUE(eq_reader_wait(&r, &self->q));
	ASSERT_EQ(0, close(w->queue.fd));
	w->queue.fd = -1;
	ASSERT_EQ(-EBUSY, eq_destroy(w->iommu, w->queue.id));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(self->q.len, eq_job_result(&r.job));
	ASSERT_EQ(0, eq_numbered_number(&self->q, r.buf));
	/* Nobody can answer it any more. */
	if (!variant->viommu)
		ASSERT_TRUE(eq_got(w, 0, 0, EQ_GOT_INVALID));
	ASSERT_EQ(0, eq_numbered_destroy(&self->q));
}

static long job_epoll(void *arg)
{
	struct epoll_event event;

	return EQ_RET(epoll_wait(*(int *)arg, &event, 1, -1));
}

/* Somebody who asked for exclusive wake-ups gets none that a reader needs. */
TEST_F(waiting, exclusive_watcher_takes_no_wakeup)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct eq_job watcher;
	struct eq_reader r;

	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->q.w.queue.fd, &event));
	ASSERT_TRUE(eq_job_start(&watcher, job_epoll, &ep));
	ASSERT_TRUE(eq_job_sleeps(&watcher));
	ASSERT_TRUE(eq_reader_wait(&r, &self->q));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(self->q.len, eq_job_result(&r.job));
	ASSERT_EQ(0, eq_numbered_number(&self->q, r.buf));
}

/*
 * Waiting for groups of faults
 */

FIXTURE(waiting_fault)
{
	struct eq_numbered q;
};

FIXTURE_SETUP(waiting_fault)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	if (!eq_wait_flag_known())
		SKIP(return, EQ_NO_WAIT_FLAG);
	ASSERT_EQ(0, eq_numbered_open(&self->q, false, EQ_WAIT, EQ_DEPTH));
}

FIXTURE_TEARDOWN(waiting_fault)
{
	eq_numbered_close(&self->q);
}

/* There is room for one record of it. */
TEST_F(waiting_fault, too_small_for_group)
{
	struct iommu_hwpt_pgfault f[3];
	struct eq_reader r;

	ASSERT_TRUE(eq_reader_wait(&r, &self->q));
	ASSERT_EQ(0, eq_raise_group(&self->q.w, 0, 5, 2));
	ASSERT_EQ(-EINVAL, eq_job_result(&r.job));
	ASSERT_EQ(2 * EQ_FAULT_LEN,
		  eq_read(self->q.w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(5, f[0].grpid);
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->q.w.queue.fd, f[0].cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(eq_got(&self->q.w, 0, 5, EQ_GOT_SUCCESS));
}

/* Half a group is no record to wake up for. */
TEST_F(waiting_fault, waits_for_whole_group)
{
	struct eq_world *w = &self->q.w;
	struct eq_reader r;

	ASSERT_TRUE(eq_reader_start(&r, &self->q, eq_job_read, sizeof(r.buf)));
	ASSERT_TRUE(eq_job_sleeps(&r.job));
	ASSERT_EQ(0, eq_fault_op(w->iommu, IOMMU_TEST_OP_TRIGGER_IOPF_PART,
				 &w->dev[0], 0, 5, EQ_ADDR(0)));
	ASSERT_TRUE(eq_job_sleeps(&r.job));
	ASSERT_EQ(0, eq_fault_op(w->iommu, IOMMU_TEST_OP_TRIGGER_IOPF,
				 &w->dev[0], 0, 5, EQ_ADDR(1)));
	ASSERT_EQ(2 * EQ_FAULT_LEN, eq_job_result(&r.job));
}

/*
 * The file, on a queue without waiting reads
 */

FIXTURE(common)
{
	struct eq_numbered q;
	int fd;
};

FIXTURE_VARIANT(common)
{
	bool viommu;
};

FIXTURE_VARIANT_ADD(common, fault)
{
	.viommu = false,
};

FIXTURE_VARIANT_ADD(common, vevent)
{
	.viommu = true,
};

FIXTURE_SETUP(common)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	ASSERT_EQ(0, eq_numbered_open(&self->q, variant->viommu, EQ_NO_WAIT,
				      EQ_DEPTH));
	self->fd = self->q.w.queue.fd;
}

FIXTURE_TEARDOWN(common)
{
	eq_numbered_close(&self->q);
}

/* Reads what is queued and ends, closing its copy of the fd. */
TEST_F(common, child_shares_the_queue)
{
	pid_t pid;

	ASSERT_EQ(0, eq_numbered_add_many(&self->q, 2));
	pid = eq_fork();
	if (!pid)
		_exit(child_of_read(&self->q));
	ASSERT_EQ(0, eq_child_status(pid));
	ASSERT_EQ(1, eq_numbered_take(&self->q));
	ASSERT_EQ(-ENODATA, eq_numbered_take(&self->q));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(2, eq_numbered_take(&self->q));
	if (!variant->viommu)
		ASSERT_TRUE(eq_got_nothing(&self->q.w, 0));
}

/* O_NONBLOCK is of the file, and FIONBIO is a way to set it. */
TEST_F(common, nonblock_is_shared)
{
	int copy = dup(self->fd), on = 1;
	char buf[64];

	ASSERT_EQ(0, eq_set_nonblock(copy, true));
	ASSERT_EQ(-EAGAIN, eq_read(self->fd, buf, sizeof(buf)));
	ASSERT_EQ(0, eq_set_nonblock(self->fd, false));
	ASSERT_EQ(0, eq_read(copy, buf, sizeof(buf)));
	ASSERT_EQ(0, ioctl(self->fd, FIONBIO, &on));
	ASSERT_EQ(-EAGAIN, eq_read(copy, buf, sizeof(buf)));
	ASSERT_EQ(0, close(copy));
	ASSERT_EQ(-EAGAIN, eq_read(self->fd, buf, sizeof(buf)));
}

/* What the queue is to say of itself, all of it */
static void fdinfo_text(struct eq_numbered *q, char *text, size_t size, int queued,
			int outstanding)
{
	int len = snprintf(text, size,
			   "eventq-class:\t%s\neventq-id:\t%u\nqueued:\t%d\n",
			   q->viommu ? "viommu" : "iopf", q->w.queue.id,
			   queued);

	if (!q->viommu)
		snprintf(text + len, size - len, "outstanding:\t%d\n",
			 outstanding);
	else
		snprintf(text + len, size - len,
			 "viommu-id:\t%u\ntype:\t%u\ndepth:\t%u\nlost:\t%u\nnext-sequence:\t%u\n",
			 q->w.viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, EQ_DEPTH,
			 q->raised > EQ_DEPTH ? q->raised - EQ_DEPTH : 0, q->raised);
}

/* It says that and no more, behind what every file says. */
static bool fdinfo_is(pid_t pid, int fd, const char *text)
{
	char path[64], found[1024] = "", *start;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
	file = fopen(path, "re");
	if (!file)
		return false;
	found[fread(found, 1, sizeof(found) - 1, file)] = 0;
	fclose(file);
	start = strstr(found, "eventq-class:");
	if (start && !strcmp(start, text))
		return true;
	printf("# %s wanted %s\n", found, text);
	return false;
}

/* Holds no more of it all than the queue, under another number. */
static int child_of_fdinfo(struct eq_numbered *q, const char *text)
{
	int copy = dup(q->w.queue.fd);

	eq_numbered_close(q);
	if (!fdinfo_is(getpid(), copy, text))
		return 1;
	/* The parent looks, too, until it ends this. */
	pause();
	return 2;
}

/* Who got it from another process sees what that one sees, and of whom. */
TEST_F(common, fdinfo_of_a_passed_queue)
{
	int copy = eq_lowest_free_fd();
	char text[512], buf[64];
	pid_t pid;

	ASSERT_EQ(0, eq_numbered_add_many(&self->q, variant->viommu ? EQ_DEPTH + 3 : 3));
	if (!variant->viommu)
		ASSERT_EQ(self->q.len, eq_read(self->fd, buf, self->q.len));
	fdinfo_text(&self->q, text, sizeof(text),
		    variant->viommu ? EQ_DEPTH + 1 : 2, 1);
	ASSERT_TRUE(fdinfo_is(getpid(), self->fd, text));
	pid = eq_fork();
	if (!pid)
		_exit(child_of_fdinfo(&self->q, text));
	ASSERT_TRUE(eq_child_waits(pid));
	ASSERT_TRUE(fdinfo_is(pid, copy, text));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	eq_child_status(pid);
	ASSERT_TRUE(fdinfo_is(getpid(), self->fd, text));
}

/* A reader is stuck with two records, which are still queued. */
TEST_F(common, fdinfo_beside_a_reader)
{
	char text[512], filler[8] = {};
	struct eq_stall stall;
	struct eq_job job;
	struct eq_io io;

	if (eq_stall_init(&stall))
		SKIP(return, EQ_NO_STALL);
	ASSERT_EQ(0, eq_numbered_add_many(&self->q, 2));
	io = (struct eq_io){ self->fd, stall.page, stall.len };
	ASSERT_TRUE(eq_job_start(&job, eq_job_read, &io));
	ASSERT_TRUE(eq_stall_hit(&stall));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	fdinfo_text(&self->q, text, sizeof(text), 3, 0);
	ASSERT_TRUE(fdinfo_is(getpid(), self->fd, text));
	ASSERT_EQ(0, eq_stall_fill(&stall, filler, sizeof(filler)));
	ASSERT_EQ(3 * self->q.len, eq_job_result(&job));
	fdinfo_text(&self->q, text, sizeof(text), 0, 3);
	ASSERT_TRUE(fdinfo_is(getpid(), self->fd, text));
}

/* All mock devices that there are, of any iommufd. */
static int count_devices(void)
{
	DIR *dir = opendir("/sys/bus/iommufd_mock/devices");
	struct dirent *entry;
	int nr = 0;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		nr += entry->d_name[0] != '.';
	closedir(dir);
	return nr;
}

/* The queue keeps what it works with, and whoever goes last takes that along. */
TEST_F(common, iommufd_ends_with_the_queue)
{
	int nr = count_devices();

	ASSERT_LE(2, nr);
	ASSERT_EQ(0, eq_numbered_add_many(&self->q, 2));
	ASSERT_EQ(0, eq_numbered_take(&self->q));
	ASSERT_EQ(0, close(self->q.w.iommu));
	self->q.w.iommu = -1;
	ASSERT_EQ(nr, count_devices());
	ASSERT_EQ(0, close(self->fd));
	self->q.w.queue.fd = -1;
	ASSERT_EQ(nr - 2, count_devices());
}

/* The last close is through with the queue before that can be destroyed. */
TEST_F(common, destroy_races_with_close)
{
	struct eq_world *w = &self->q.w;
	struct eq_queue q;
	struct eq_job job;
	int round, rc;

	for (round = 0; round < 20; round++) {
		if (variant->viommu)
			rc = eq_vevent_queue(w->iommu, w->viommu,
					     IOMMU_VEVENTQ_TYPE_SELFTEST_32, 0,
					     8, &q);
		else
			rc = eq_fault_queue(w->iommu, 0, &q);
		ASSERT_EQ(0, rc);
		ASSERT_TRUE(eq_job_start(&job, eq_job_close, &q.fd));
		do {
			rc = eq_destroy(w->iommu, q.id);
		} while (rc == -EBUSY);
		ASSERT_EQ(0, rc);
		ASSERT_EQ(0, eq_job_result(&job));
	}
}

/*
 * Linux AIO. A read waits within io_submit(), which thus becomes interruptible;
 * there is nothing yet that io_cancel() could find, and the context is in use.
 */

FIXTURE(aio)
{
	struct eq_numbered q;
	aio_context_t ctx;
};

FIXTURE_VARIANT(aio)
{
	bool viommu;
};

FIXTURE_VARIANT_ADD(aio, fault)
{
	.viommu = false,
};

FIXTURE_VARIANT_ADD(aio, vevent)
{
	.viommu = true,
};

FIXTURE_SETUP(aio)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	ASSERT_EQ(0, eq_numbered_open(&self->q, variant->viommu, EQ_NO_WAIT,
				      EQ_DEPTH));
	ASSERT_EQ(0, syscall(SYS_io_setup, 8, &self->ctx));
}

FIXTURE_TEARDOWN(aio)
{
	syscall(SYS_io_destroy, self->ctx);
	eq_numbered_close(&self->q);
}

struct submit {
	aio_context_t ctx;
	long nr;
	struct iocb iocb[2];
	struct iocb *list[2];
	char buf[2][64];
	struct eq_job job;
};

static long job_submit(void *arg)
{
	struct submit *s = arg;

	return eq_aio_submit(s->ctx, s->nr, s->list);
}

/* Submit @nr reads of one record each, and see the first wait. */
static bool submit_reads(struct submit *s, aio_context_t ctx, struct eq_numbered *q,
			 long nr)
{
	long i;

	s->ctx = ctx;
	s->nr = nr;
	for (i = 0; i < nr; i++) {
		eq_aio_prep(&s->iocb[i], IOCB_CMD_PREAD, q->w.queue.fd, s->buf[i],
			    q->len);
		s->list[i] = &s->iocb[i];
	}
	return eq_job_start(&s->job, job_submit, s) && eq_job_sleeps(&s->job);
}

/* The second is not looked at before the first is done. */
TEST_F(aio, submit_waits_for_each)
{
	struct iocb *done;
	struct submit s;
	int i;

	ASSERT_TRUE(submit_reads(&s, self->ctx, &self->q, 2));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(-ETIME, eq_aio_result(self->ctx, 0, NULL));
		ASSERT_TRUE(eq_job_sleeps(&s.job));
		ASSERT_EQ(0, eq_numbered_add(&self->q));
		ASSERT_EQ(self->q.len,
			  eq_aio_result(self->ctx, EQ_DEADLINE_MS, &done));
		ASSERT_EQ(&s.iocb[i], done);
		ASSERT_EQ(i, eq_numbered_number(&self->q, s.buf[i]));
	}
	ASSERT_EQ(2, eq_job_result(&s.job));
}

/* The request ends with EINTR, restarted or not: it is submitted. */
TEST_F(aio, signal_ends_read)
{
	static const int flags[] = { 0, SA_RESTART };
	struct iocb *done;
	struct submit s;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		ASSERT_TRUE(eq_handle_signal(SIGUSR1, flags[i]));
		ASSERT_TRUE(submit_reads(&s, self->ctx, &self->q, 1));
		ASSERT_EQ(0, pthread_kill(s.job.thread, SIGUSR1));
		ASSERT_EQ(1, eq_job_result(&s.job));
		ASSERT_EQ(1, eq_nr_signals());
		ASSERT_EQ(-EINTR, eq_aio_result(self->ctx, EQ_DEADLINE_MS, &done));
		ASSERT_EQ(&s.iocb[0], done);
		ASSERT_EQ(0, eq_numbered_add(&self->q));
		ASSERT_EQ(-ETIME, eq_aio_result(self->ctx, 0, NULL));
		ASSERT_EQ(i, eq_numbered_take(&self->q));
	}
}

/* One signal for all that would have to wait within the call. */
TEST_F(aio, signal_ends_all_reads)
{
	struct submit s;

	ASSERT_TRUE(eq_handle_signal(SIGUSR1, 0));
	ASSERT_TRUE(submit_reads(&s, self->ctx, &self->q, 2));
	ASSERT_EQ(0, pthread_kill(s.job.thread, SIGUSR1));
	ASSERT_EQ(2, eq_job_result(&s.job));
	ASSERT_EQ(-EINTR, eq_aio_result(self->ctx, EQ_DEADLINE_MS, NULL));
	ASSERT_EQ(-EINTR, eq_aio_result(self->ctx, EQ_DEADLINE_MS, NULL));
	ASSERT_EQ(-ETIME, eq_aio_result(self->ctx, 0, NULL));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(0, eq_numbered_take(&self->q));
}

static int child_of_aio(struct eq_numbered *q)
{
	char buf[64];
	struct eq_io io = { .fd = q->w.queue.fd, .buf = buf, .len = q->len };

	return eq_aio_read(&io, 0) == q->len ? 0 : 1;
}

TEST_F(aio, kill_ends_read)
{
	pid_t pid = eq_fork();
	int status;

	if (!pid)
		_exit(child_of_aio(&self->q));
	ASSERT_TRUE(eq_child_waits(pid));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	status = eq_child_status(pid);
	ASSERT_TRUE(WIFSIGNALED(status));
	ASSERT_EQ(SIGKILL, WTERMSIG(status));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(0, eq_numbered_take(&self->q));
	ASSERT_EQ(0, close(self->q.w.queue.fd));
	self->q.w.queue.fd = -1;
	ASSERT_EQ(0, eq_numbered_destroy(&self->q));
}

TEST_F(aio, cancel_finds_nothing)
{
	struct io_event event;
	struct submit s;

	ASSERT_TRUE(submit_reads(&s, self->ctx, &self->q, 1));
	ASSERT_EQ(-EINVAL, EQ_RET(syscall(SYS_io_cancel, self->ctx, &s.iocb[0],
					  &event)));
	ASSERT_TRUE(eq_job_sleeps(&s.job));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(1, eq_job_result(&s.job));
	ASSERT_EQ(self->q.len, eq_aio_result(self->ctx, EQ_DEADLINE_MS, NULL));
	ASSERT_EQ(0, eq_numbered_number(&self->q, s.buf[0]));
}

static long job_io_destroy(void *arg)
{
	return EQ_RET(syscall(SYS_io_destroy, *(aio_context_t *)arg));
}

/* The context goes when the read is done, with its record where it should be. */
TEST_F(aio, destroy_waits)
{
	struct eq_job destroy;
	struct submit s;

	ASSERT_TRUE(submit_reads(&s, self->ctx, &self->q, 1));
	ASSERT_TRUE(eq_job_start(&destroy, job_io_destroy, &self->ctx));
	ASSERT_FALSE(eq_job_end(&destroy, EQ_QUIET_MS));
	ASSERT_TRUE(eq_job_sleeps(&s.job));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(1, eq_job_result(&s.job));
	ASSERT_EQ(0, eq_job_result(&destroy));
	ASSERT_EQ(0, eq_numbered_number(&self->q, s.buf[0]));
	ASSERT_EQ(-ENODATA, eq_numbered_take(&self->q));
}

TEST_F(aio, vector_is_one_buffer)
{
	char buf[128];
	struct iovec iov[] = {
		{ .iov_base = buf, .iov_len = 3 },
		{ .iov_base = buf + 3, .iov_len = 6 },
		{ .iov_base = buf + 9, .iov_len = sizeof(buf) - 9 },
	};
	struct iocb iocb, *list = &iocb;

	ASSERT_EQ(0, eq_numbered_add_many(&self->q, 2));
	eq_aio_prep(&iocb, IOCB_CMD_PREADV, self->q.w.queue.fd, iov,
		    ARRAY_SIZE(iov));
	ASSERT_EQ(1, eq_aio_submit(self->ctx, 1, &list));
	ASSERT_EQ(2 * self->q.len, eq_aio_result(self->ctx, EQ_DEADLINE_MS, NULL));
	ASSERT_EQ(0, eq_numbered_number(&self->q, buf));
	ASSERT_EQ(1, eq_numbered_number(&self->q, buf + self->q.len));
}

TEST_F(aio, failed_reads_take_nothing)
{
	static const long negative[] = { -1, -2, LONG_MIN };
	struct iocb iocb, *list = &iocb;
	char buf[64];
	size_t i;

	ASSERT_EQ(0, eq_numbered_add(&self->q));
	eq_aio_prep(&iocb, IOCB_CMD_PREAD, self->q.w.queue.fd, buf, sizeof(buf));
	/* AIO knows no offset that means none. */
	for (i = 0; i < ARRAY_SIZE(negative); i++) {
		iocb.aio_offset = negative[i];
		ASSERT_EQ(-EINVAL, eq_aio_submit(self->ctx, 1, &list));
	}
	iocb.aio_offset = 8;
	ASSERT_EQ(1, eq_aio_submit(self->ctx, 1, &list));
	ASSERT_EQ(-ESPIPE, eq_aio_result(self->ctx, EQ_DEADLINE_MS, NULL));
	eq_aio_prep(&iocb, IOCB_CMD_PREAD, self->q.w.queue.fd, buf,
		    self->q.len - 1);
	ASSERT_EQ(1, eq_aio_submit(self->ctx, 1, &list));
	ASSERT_EQ(-EINVAL, eq_aio_result(self->ctx, EQ_DEADLINE_MS, NULL));
	eq_aio_prep(&iocb, IOCB_CMD_PREAD, self->q.w.queue.fd,
		    eq_edge(self->q.len - 1), self->q.len);
	ASSERT_EQ(1, eq_aio_submit(self->ctx, 1, &list));
	ASSERT_EQ(-EFAULT, eq_aio_result(self->ctx, EQ_DEADLINE_MS, NULL));
	ASSERT_EQ(0, eq_numbered_take(&self->q));
}

/* Two readers, one of them within io_submit(): a record each. */
TEST_F(aio, two_waiting_submits)
{
	struct submit s[2];
	long first, second;
	int i;

	for (i = 0; i < 2; i++)
		ASSERT_TRUE(submit_reads(&s[i], self->ctx, &self->q, 1));
	ASSERT_EQ(0, eq_numbered_add_many(&self->q, 2));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(1, eq_job_result(&s[i].job));
		ASSERT_EQ(self->q.len,
			  eq_aio_result(self->ctx, EQ_DEADLINE_MS, NULL));
	}
	first = eq_numbered_number(&self->q, s[0].buf[0]);
	second = eq_numbered_number(&self->q, s[1].buf[0]);
	ASSERT_EQ(1, first + second);
	ASSERT_EQ(1, first ^ second);
}

/* Answers through AIO, while a read waits for the next fault. */
TEST_F(aio, write)
{
	struct iommu_hwpt_page_response r[2] = {};
	struct iovec iov[] = {
		{ .iov_base = r, .iov_len = 3 },
		{ .iov_base = (char *)r + 3, .iov_len = sizeof(r) - 3 },
	};
	struct iocb iocb, *list = &iocb;
	struct eq_numbered *q = &self->q;
	aio_context_t ctx = 0;
	struct submit s;
	int i;

	ASSERT_EQ(0, syscall(SYS_io_setup, 1, &ctx));
	eq_aio_prep(&iocb, IOCB_CMD_PWRITE, q->w.queue.fd, r, EQ_RESPONSE_LEN);
	if (variant->viommu) {
		ASSERT_EQ(-EINVAL, eq_aio_submit(ctx, 1, &list));
		ASSERT_EQ(0, syscall(SYS_io_destroy, ctx));
		return;
	}
	ASSERT_TRUE(eq_outstanding(&q->w, 0, q->raised++, &r[0].cookie));
	ASSERT_TRUE(submit_reads(&s, self->ctx, q, 1));
	ASSERT_EQ(1, eq_aio_submit(ctx, 1, &list));
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_aio_result(ctx, EQ_DEADLINE_MS, NULL));
	ASSERT_TRUE(eq_got(&q->w, 0, 0, EQ_GOT_SUCCESS));
	/* It is answered. */
	iocb.aio_rw_flags = RWF_NOWAIT;
	ASSERT_EQ(1, eq_aio_submit(ctx, 1, &list));
	ASSERT_EQ(-EINVAL, eq_aio_result(ctx, EQ_DEADLINE_MS, NULL));
	ASSERT_TRUE(eq_job_sleeps(&s.job));
	ASSERT_EQ(0, eq_numbered_add(q));
	ASSERT_EQ(1, eq_job_result(&s.job));

	for (i = 0; i < 2; i++)
		ASSERT_TRUE(eq_outstanding(&q->w, 0, q->raised++, &r[i].cookie));
	eq_aio_prep(&iocb, IOCB_CMD_PWRITEV, q->w.queue.fd, iov, ARRAY_SIZE(iov));
	iocb.aio_rw_flags = RWF_NOWAIT;
	ASSERT_EQ(1, eq_aio_submit(ctx, 1, &list));
	ASSERT_EQ(2 * EQ_RESPONSE_LEN, eq_aio_result(ctx, EQ_DEADLINE_MS, NULL));
	ASSERT_TRUE(eq_got(&q->w, 0, 2, EQ_GOT_SUCCESS));
	ASSERT_TRUE(eq_got(&q->w, 0, 3, EQ_GOT_SUCCESS));
	ASSERT_TRUE(eq_got_nothing(&q->w, 0));
	ASSERT_EQ(0, syscall(SYS_io_destroy, ctx));
}

TEST_HARNESS_MAIN
