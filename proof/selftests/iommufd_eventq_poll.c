// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selftest of iommufd's event queues: poll, select, epoll and the poll of Linux
 * AIO, on queues of both classes. What they say of a queue in each state, and
 * who is woken by what, counted exactly: a wake-up too few loses a record, one
 * too many is a storm. io_uring and waiting reads are tested elsewhere.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "calls.h"
#include "lib/eventq_wait.h"
#include "stall.h"

/*
 * Asking without waiting
 */

/* All that can be asked for; POLLERR and POLLHUP come unasked. */
#define ANY_EVENT (POLLIN | POLLPRI | POLLOUT | POLLRDNORM | POLLRDBAND | \
		   POLLWRNORM | POLLWRBAND | POLLMSG | POLLRDHUP)

static long poll_for(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	return poll(&pfd, 1, 0) < 0 ? -errno : pfd.revents;
}

enum { SELECT_READ = 1, SELECT_WRITE = 2, SELECT_EXCEPT = 4 };

static int select_now(int fd)
{
	struct timeval none = {};
	int i, told = 0;
	fd_set set[3];

	for (i = 0; i < 3; i++) {
		FD_ZERO(&set[i]);
		FD_SET(fd, &set[i]);
	}
	if (select(fd + 1, &set[0], &set[1], &set[2], &none) < 0)
		return -errno;
	for (i = 0; i < 3; i++)
		if (FD_ISSET(fd, &set[i]))
			told |= 1 << i;
	return told;
}

/* A new epoll instance that watches @fd. */
static int watch(int fd, __u32 events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) ? -errno : ep;
}

static int watch_again(int ep, int fd, __u32 events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	return epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event) ? -errno : 0;
}

/*
 * What an epoll instance has to tell now of the one file that it watches, 0 for
 * nothing. Who raises a record does the wake-up itself: there is no need to wait
 * for it, and asking after each record counts wake-ups.
 */
static long told(int ep)
{
	struct epoll_event event = {};
	int rc = epoll_wait(ep, &event, 1, 0);

	if (rc < 0)
		return -errno;
	return rc ? (long)event.events : 0;
}

/*
 * Waiting: each way returns POLLIN once there is something to read, 0 after @ms;
 * never if that is negative.
 */

struct waiter {
	long (*by)(int fd, int ms);
	int fd;			/* of the queue, or of an epoll instance */
	struct eq_job job;
};

static struct timespec *after(struct timespec *ts, int ms)
{
	ts->tv_sec = ms / 1000;
	ts->tv_nsec = ms % 1000 * 1000000L;
	return ms < 0 ? NULL : ts;
}

static long by_poll(int fd, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, ms) < 0 ? -errno : pfd.revents;
}

static long by_ppoll(int fd, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	struct timespec ts;

	return ppoll(&pfd, 1, after(&ts, ms), NULL) < 0 ? -errno : pfd.revents;
}

static long by_select(int fd, int ms)
{
	struct timeval tv = {
		.tv_sec = ms / 1000,
		.tv_usec = ms % 1000 * 1000,
	};
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	if (select(fd + 1, &set, NULL, NULL, ms < 0 ? NULL : &tv) < 0)
		return -errno;
	return FD_ISSET(fd, &set) ? POLLIN : 0;
}

static long by_pselect(int fd, int ms)
{
	struct timespec ts;
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	if (pselect(fd + 1, &set, NULL, NULL, after(&ts, ms), NULL) < 0)
		return -errno;
	return FD_ISSET(fd, &set) ? POLLIN : 0;
}

static long by_epoll(int ep, int ms)
{
	struct epoll_event event = {};
	int rc = epoll_wait(ep, &event, 1, ms);

	if (rc < 0)
		return -errno;
	return rc ? (long)event.events : 0;
}

#define NR_WAYS 5

static long (*const ways[NR_WAYS])(int fd, int ms) = {
	by_poll, by_ppoll, by_select, by_pselect, by_epoll,
};

static long job_wait(void *arg)
{
	struct waiter *waiter = arg;

	return waiter->by(waiter->fd, -1);
}

/* Start it, and see it sleep. */
static bool wait_by(struct waiter *waiter, long (*by)(int fd, int ms), int fd)
{
	waiter->by = by;
	waiter->fd = fd;
	return eq_job_start(&waiter->job, job_wait, waiter) &&
	       eq_job_sleeps(&waiter->job);
}

static long result(struct waiter *waiter)
{
	return eq_job_result(&waiter->job);
}

static unsigned int count_ended(struct waiter *waiter, unsigned int nr)
{
	unsigned int count = 0;

	while (nr--)
		count += eq_job_ended(&waiter[nr].job);
	return count;
}

/* Wait until @want of them have ended, and no more. */
static bool have_ended(struct waiter *waiter, unsigned int nr,
		       unsigned int want)
{
	unsigned int ms;

	for (ms = 0; ms < EQ_DEADLINE_MS; ms++) {
		if (count_ended(waiter, nr) >= want)
			break;
		usleep(1000);
	}
	return count_ended(waiter, nr) == want;
}

static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/*
 * Both classes
 */

FIXTURE(poll)
{
	struct eq_numbered q;
	int fd;
	long idle;		/* what poll says of an empty queue */
	long ready;		/* and of one with a record */
};

FIXTURE_VARIANT(poll)
{
	bool viommu;
};

FIXTURE_VARIANT_ADD(poll, fault)
{
	.viommu = false,
};

FIXTURE_VARIANT_ADD(poll, vevent)
{
	.viommu = true,
};

FIXTURE_SETUP(poll)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	ASSERT_EQ(0, eq_numbered_open(&self->q, variant->viommu, EQ_NO_WAIT,
				      EQ_DEPTH));
	self->fd = self->q.w.queue.fd;
	self->idle = variant->viommu ? 0 : POLLOUT | POLLWRNORM;
	self->ready = self->idle | POLLIN | POLLRDNORM;
}

FIXTURE_TEARDOWN(poll)
{
	close(self->fd);
	close(self->q.w.iommu);
}

TEST_F(poll, level)
{
	int i;

	ASSERT_EQ(self->idle, poll_for(self->fd, ANY_EVENT));
	ASSERT_EQ(0, eq_numbered_add_many(&self->q, 3));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(self->ready, poll_for(self->fd, ANY_EVENT));
		ASSERT_EQ(self->ready, poll_for(self->fd, ANY_EVENT));
		ASSERT_EQ(i, eq_numbered_take(&self->q));
	}
	ASSERT_EQ(self->idle, poll_for(self->fd, ANY_EVENT));
	ASSERT_EQ(-ENODATA, eq_numbered_take(&self->q));
	ASSERT_EQ(self->idle, poll_for(self->fd, ANY_EVENT));
}

TEST_F(poll, says_what_is_asked_for)
{
	ASSERT_EQ(0, poll_for(self->fd, POLLIN | POLLRDNORM));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(0, poll_for(self->fd, 0));
	ASSERT_EQ(POLLIN, poll_for(self->fd, POLLIN));
	ASSERT_EQ(POLLRDNORM, poll_for(self->fd, POLLRDNORM));
	ASSERT_EQ(self->idle & POLLOUT, poll_for(self->fd, POLLOUT));
	ASSERT_EQ(self->idle & POLLWRNORM, poll_for(self->fd, POLLWRNORM));
	ASSERT_EQ(0, poll_for(self->fd, ANY_EVENT & ~self->ready));
}

/* Reads that take nothing change nothing. */
TEST_F(poll, level_after_failed_read)
{
	char buf[64];

	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(-EFAULT, eq_read(self->fd, eq_edge(0), sizeof(buf)));
	ASSERT_EQ(self->ready, poll_for(self->fd, ANY_EVENT));
	ASSERT_EQ(-EINVAL, eq_read(self->fd, buf, self->q.len - 1));
	ASSERT_EQ(self->ready, poll_for(self->fd, ANY_EVENT));
	ASSERT_EQ(-ESPIPE, EQ_RET(pread(self->fd, buf, sizeof(buf), 0)));
	ASSERT_EQ(self->ready, poll_for(self->fd, ANY_EVENT));
	ASSERT_EQ(0, eq_numbered_take(&self->q));
	ASSERT_EQ(self->idle, poll_for(self->fd, ANY_EVENT));
}

TEST_F(poll, select)
{
	int idle = variant->viommu ? 0 : SELECT_WRITE;

	ASSERT_EQ(idle, select_now(self->fd));
	ASSERT_EQ(0, eq_numbered_add_many(&self->q, 2));
	ASSERT_EQ(idle | SELECT_READ, select_now(self->fd));
	ASSERT_EQ(idle | SELECT_READ, select_now(self->fd));
	ASSERT_EQ(0, eq_numbered_take(&self->q));
	ASSERT_EQ(idle | SELECT_READ, select_now(self->fd));
	ASSERT_EQ(1, eq_numbered_take(&self->q));
	ASSERT_EQ(idle, select_now(self->fd));
}

/* Waiting for a record ends with the time-out, and with a record at once. */
TEST_F(poll, times_out)
{
	int ep = watch(self->fd, EPOLLIN);
	__u64 start;
	int i, fd;

	for (i = 0; i < NR_WAYS; i++) {
		fd = ways[i] == by_epoll ? ep : self->fd;
		start = now_ns();
		ASSERT_EQ(0, ways[i](fd, 20));
		ASSERT_LE(20 * 1000000, now_ns() - start);
	}
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	for (i = 0; i < NR_WAYS; i++) {
		fd = ways[i] == by_epoll ? ep : self->fd;
		ASSERT_EQ(POLLIN, ways[i](fd, -1));
	}
	ASSERT_EQ(0, eq_numbered_take(&self->q));
}

TEST_F(poll, wakes_whoever_waits)
{
	int i, ep = watch(self->fd, EPOLLIN);
	struct waiter waiter[NR_WAYS];

	for (i = 0; i < NR_WAYS; i++)
		ASSERT_TRUE(wait_by(&waiter[i], ways[i],
				    ways[i] == by_epoll ? ep : self->fd));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	for (i = 0; i < NR_WAYS; i++)
		ASSERT_EQ(POLLIN, result(&waiter[i]));
	ASSERT_EQ(0, eq_numbered_take(&self->q));
}

/* One way alone: nobody else's wake-up helps. */
TEST_F(poll, wakes_each_alone)
{
	int i, ep = watch(self->fd, EPOLLIN);
	struct waiter waiter;

	for (i = 0; i < NR_WAYS; i++) {
		ASSERT_TRUE(wait_by(&waiter, ways[i],
				    ways[i] == by_epoll ? ep : self->fd));
		ASSERT_EQ(0, eq_numbered_add(&self->q));
		ASSERT_EQ(POLLIN, result(&waiter));
		ASSERT_EQ(i, eq_numbered_take(&self->q));
	}
}

static void ignore_signal(int sig)
{
	(void)sig;
}

/* A waiter that a signal took away is off the queue when the record comes. */
TEST_F(poll, interrupted)
{
	struct sigaction action = { .sa_handler = ignore_signal };
	int i, ep = watch(self->fd, EPOLLIN);
	struct waiter waiter;

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	for (i = 0; i < NR_WAYS; i++) {
		ASSERT_TRUE(wait_by(&waiter, ways[i],
				    ways[i] == by_epoll ? ep : self->fd));
		ASSERT_EQ(0, pthread_kill(waiter.job.thread, SIGUSR1));
		ASSERT_EQ(-EINTR, result(&waiter));
		ASSERT_EQ(0, eq_numbered_add(&self->q));
		ASSERT_EQ(i, eq_numbered_take(&self->q));
	}
}

TEST_F(poll, no_sigio)
{
	int flags = fcntl(self->fd, F_GETFL);
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &set, NULL));
	ASSERT_EQ(0, fcntl(self->fd, F_SETOWN, getpid()));
	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, flags | O_ASYNC));
	ASSERT_EQ(flags, fcntl(self->fd, F_GETFL));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(0, sigpending(&set));
	ASSERT_EQ(0, sigismember(&set, SIGIO));
}

TEST_F(poll, epoll_level)
{
	int i, ep = watch(self->fd, ANY_EVENT);

	ASSERT_EQ(self->idle, told(ep));
	ASSERT_EQ(self->idle, told(ep));
	ASSERT_EQ(0, eq_numbered_add_many(&self->q, 3));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(self->ready, told(ep));
		ASSERT_EQ(self->ready, told(ep));
		ASSERT_EQ(i, eq_numbered_take(&self->q));
	}
	ASSERT_EQ(self->idle, told(ep));
	ASSERT_EQ(0, watch_again(ep, self->fd, EPOLLIN));
	ASSERT_EQ(0, told(ep));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(3, eq_numbered_take(&self->q));
	ASSERT_EQ(0, told(ep));
}

/* What is readable when it is added to an epoll instance, or changed there. */
TEST_F(poll, epoll_of_readable_queue)
{
	static const __u32 modes[] = { 0, EPOLLET, EPOLLONESHOT,
				       EPOLLET | EPOLLONESHOT, EPOLLEXCLUSIVE };
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	size_t i;
	int ep;

	ASSERT_EQ(0, eq_numbered_add(&self->q));
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		ep = watch(self->fd, EPOLLIN | modes[i]);
		ASSERT_EQ(EPOLLIN, told(ep));
		close(ep);
	}

	ep = watch(self->fd, EPOLLIN | EPOLLET);
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(0, told(ep));
	ASSERT_EQ(0, watch_again(ep, self->fd, EPOLLIN | EPOLLET));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(0, told(ep));
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_DEL, self->fd, NULL));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(0, told(ep));
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->fd, &event));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(0, told(ep));
}

/* An edge for each queue that was seen empty and no longer is. */
TEST_F(poll, epoll_edge)
{
	int i, ep = watch(self->fd, EPOLLIN | EPOLLET);

	ASSERT_EQ(0, told(ep));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, eq_numbered_add(&self->q));
		ASSERT_EQ(EPOLLIN, told(ep));
		ASSERT_EQ(0, told(ep));
		ASSERT_EQ(i, eq_numbered_take(&self->q));
		ASSERT_EQ(-ENODATA, eq_numbered_take(&self->q));
		ASSERT_EQ(0, told(ep));
	}
}

/* And for each further record, read or not: programs count on that too. */
TEST_F(poll, epoll_edge_per_record)
{
	int i, ep = watch(self->fd, EPOLLIN | EPOLLET);

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, eq_numbered_add(&self->q));
		ASSERT_EQ(EPOLLIN, told(ep));
		ASSERT_EQ(0, told(ep));
	}
	/* Those that nobody asked about in between are one. */
	ASSERT_EQ(0, eq_numbered_add_many(&self->q, 3));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(0, told(ep));
	for (i = 0; i < 8; i++)
		ASSERT_EQ(i, eq_numbered_take(&self->q));
	ASSERT_EQ(0, told(ep));
}

/* The edge of a record that is gone when it is asked about tells nothing. */
TEST_F(poll, epoll_edge_of_record_read_meanwhile)
{
	int ep = watch(self->fd, EPOLLIN | EPOLLET);

	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(0, eq_numbered_take(&self->q));
	ASSERT_EQ(0, told(ep));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(EPOLLIN, told(ep));
}

/* A read that leaves records wakes whoever waits, the reader itself included. */
TEST_F(poll, epoll_edge_after_full_read)
{
	int ep = watch(self->fd, EPOLLIN | EPOLLET);
	char buf[4 * EQ_FAULT_LEN];

	ASSERT_EQ(0, eq_numbered_add_many(&self->q, 3));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(2 * self->q.len, eq_read(self->fd, buf, 2 * self->q.len));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(0, told(ep));
	ASSERT_EQ(self->q.len, eq_read(self->fd, buf, 2 * self->q.len));
	ASSERT_EQ(2, eq_numbered_number(&self->q, buf));
	ASSERT_EQ(0, told(ep));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(0, told(ep));
}

/* Who had room left believes that nothing is. */
TEST_F(poll, epoll_edge_after_short_read)
{
	int ep = watch(self->fd, EPOLLIN | EPOLLET);
	char buf[4 * EQ_FAULT_LEN];

	ASSERT_EQ(0, eq_numbered_add_many(&self->q, 2));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(self->q.len, eq_read(self->fd, buf, 2 * self->q.len - 1));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(0, told(ep));
	ASSERT_EQ(1, eq_numbered_take(&self->q));
	ASSERT_EQ(0, told(ep));
}

/* A reader whose buffer is too small leaves its record to others. */
TEST_F(poll, epoll_edge_after_too_small_read)
{
	int i, ep = watch(self->fd, EPOLLIN | EPOLLET);
	char buf[64];

	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(EPOLLIN, told(ep));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(-EINVAL, eq_read(self->fd, buf, self->q.len - 1));
		ASSERT_EQ(EPOLLIN, told(ep));
		ASSERT_EQ(0, told(ep));
	}
	ASSERT_EQ(0, eq_numbered_take(&self->q));
}

/* A record that was put back is news, if there was a way to miss it. */
TEST_F(poll, epoll_edge_after_bad_buffer)
{
	int ep = watch(self->fd, EPOLLIN | EPOLLET);

	ASSERT_EQ(0, eq_numbered_add_many(&self->q, 3));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(-EFAULT, eq_read(self->fd, eq_edge(self->q.len - 1),
				   3 * self->q.len));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(0, told(ep));
	/* The first record arrives, the other two do not. */
	ASSERT_EQ(self->q.len, eq_read(self->fd, eq_edge(self->q.len),
				       3 * self->q.len));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(0, told(ep));
	ASSERT_EQ(1, eq_numbered_take(&self->q));
	ASSERT_EQ(2, eq_numbered_take(&self->q));
	ASSERT_EQ(0, told(ep));
}

/*
 * One reader has the record in its hands and fails; another was told that there
 * is none meanwhile. It must hear of it.
 */
TEST_F(poll, epoll_edge_after_failed_read)
{
	int ep = watch(self->fd, EPOLLIN | EPOLLET);
	struct eq_io io = { .fd = self->fd };
	struct eq_stall stall;
	struct eq_job job;
	char buf[64];

	if (eq_stall_init(&stall))
		SKIP(return, EQ_NO_STALL);
	io.buf = stall.page;
	io.len = stall.len;
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_TRUE(eq_job_start(&job, eq_job_read, &io));
	ASSERT_TRUE(eq_stall_hit(&stall));
	/* The edge of the report is used up, and there is nothing to read. */
	ASSERT_EQ(-EAGAIN, eq_read_nowait(io.fd, buf, sizeof(buf)));
	ASSERT_EQ(0, told(ep));

	ASSERT_EQ(0, eq_stall_break(&stall));
	ASSERT_TRUE(eq_job_end(&job, EQ_DEADLINE_MS));
	ASSERT_EQ(-EFAULT, job.ret);
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(0, told(ep));
	ASSERT_EQ(0, eq_numbered_take(&self->q));
}

/* The same where the one reader succeeds, and leaves a record behind. */
TEST_F(poll, epoll_edge_after_busy_read)
{
	int ep = watch(self->fd, EPOLLIN | EPOLLET);
	struct eq_io io = { .fd = self->fd, .len = self->q.len };
	struct eq_stall stall;
	struct eq_job job;
	char buf[64];

	if (eq_stall_init(&stall))
		SKIP(return, EQ_NO_STALL);
	io.buf = stall.page;
	ASSERT_EQ(0, eq_numbered_add_many(&self->q, 2));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_TRUE(eq_job_start(&job, eq_job_read, &io));
	ASSERT_TRUE(eq_stall_hit(&stall));
	ASSERT_EQ(self->ready, poll_for(self->fd, ANY_EVENT));
	ASSERT_EQ(-EAGAIN, eq_read_nowait(io.fd, buf, sizeof(buf)));
	ASSERT_EQ(0, told(ep));

	ASSERT_EQ(0, eq_stall_fill(&stall, NULL, 0));
	ASSERT_TRUE(eq_job_end(&job, EQ_DEADLINE_MS));
	ASSERT_EQ(self->q.len, job.ret);
	ASSERT_EQ(0, eq_numbered_number(&self->q, stall.page));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(0, told(ep));
	ASSERT_EQ(1, eq_numbered_take(&self->q));

	ASSERT_EQ(0, told(ep));
}

/* A record that comes while a reader is busy: read by it, or told of. */
TEST_F(poll, epoll_edge_during_read)
{
	int ep = watch(self->fd, EPOLLIN | EPOLLET);
	struct eq_io io = { .fd = self->fd };
	struct eq_stall stall;
	struct eq_job job;
	long room;

	for (room = 1; room <= 2; room++) {
		if (eq_stall_init(&stall))
			SKIP(return, EQ_NO_STALL);
		io.buf = stall.page;
		io.len = room * self->q.len;
		ASSERT_EQ(0, eq_numbered_add(&self->q));
		ASSERT_EQ(EPOLLIN, told(ep));
		ASSERT_TRUE(eq_job_start(&job, eq_job_read, &io));
		ASSERT_TRUE(eq_stall_hit(&stall));
		ASSERT_EQ(0, eq_numbered_add(&self->q));
		ASSERT_EQ(0, eq_stall_fill(&stall, NULL, 0));
		ASSERT_TRUE(eq_job_end(&job, EQ_DEADLINE_MS));
		ASSERT_EQ(room * self->q.len, job.ret);
		ASSERT_EQ(room == 1 ? EPOLLIN : 0, told(ep));
		ASSERT_EQ(0, told(ep));
		ASSERT_EQ(room == 1 ? 1 : -ENODATA, eq_numbered_take(&self->q));
	}
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(4, eq_numbered_take(&self->q));
}

/*
 * A call of another thread that begins about when this one does something, time
 * and again: which is first shifts from round to round.
 */

#define NR_RACES 2000

struct twin {
	long (*fn)(void *arg);
	void *arg;
	struct eq_job job;
	int started, ended;	/* rounds; the last one is NR_RACES */
	long ret;
};

static long job_twin(void *arg)
{
	struct twin *twin = arg;
	int round, spins = 0;

	for (round = 1; round <= NR_RACES; round++) {
		while (__atomic_load_n(&twin->started, __ATOMIC_ACQUIRE) < round)
			if (++spins % 1024 == 0)
				sched_yield();
		twin->ret = twin->fn(twin->arg);
		__atomic_store_n(&twin->ended, round, __ATOMIC_RELEASE);
	}
	return 0;
}

static void twin_begin(struct twin *twin, int round)
{
	int spins = round % 128;

	__atomic_store_n(&twin->started, round, __ATOMIC_RELEASE);
	while (spins--)
		__asm__ volatile("" : : : "memory");
}

static long twin_end(struct twin *twin, int round)
{
	int spins = 0;

	while (__atomic_load_n(&twin->ended, __ATOMIC_ACQUIRE) < round)
		if (++spins % 1024 == 0)
			sched_yield();
	return twin->ret;
}

/*
 * Two records, two readers at the same time: who is sent away since the other
 * is busy has missed nothing, as the other tells when it leaves a record.
 */
TEST_F(poll, epoll_edge_after_race_of_readers)
{
	int round, ep = watch(self->fd, EPOLLIN | EPOLLET);
	char mine[64], others[64];
	struct eq_io io = {
		.fd = self->fd,
		.buf = others,
		.len = self->q.len,
	};
	struct twin twin = { .fn = eq_job_read, .arg = &io };
	long ret;

	ASSERT_TRUE(eq_job_start(&twin.job, job_twin, &twin));
	for (round = 1; round <= NR_RACES; round++) {
		ASSERT_EQ(0, eq_numbered_add_many(&self->q, 2));
		ASSERT_EQ(EPOLLIN, told(ep));
		twin_begin(&twin, round);
		ret = eq_read_nowait(self->fd, mine, self->q.len);
		ASSERT_EQ(self->q.len, twin_end(&twin, round));
		ASSERT_TRUE(ret == -EAGAIN ? told(ep) == EPOLLIN :
					     ret == (long)self->q.len);
		ASSERT_EQ(ret == -EAGAIN, eq_numbered_take(&self->q) >= 0);
		ASSERT_EQ(0, told(ep));
	}
	ASSERT_EQ(0, eq_job_result(&twin.job));
}

static long job_poll_in(void *arg)
{
	return by_poll(*(int *)arg, EQ_DEADLINE_MS);
}

/* The record comes just when somebody begins to wait for it. */
TEST_F(poll, wakes_who_just_begins)
{
	struct twin twin = { .fn = job_poll_in, .arg = &self->fd };
	int round;

	ASSERT_TRUE(eq_job_start(&twin.job, job_twin, &twin));
	for (round = 1; round <= NR_RACES; round++) {
		twin_begin(&twin, round);
		ASSERT_EQ(0, eq_numbered_add(&self->q));
		ASSERT_EQ(POLLIN, twin_end(&twin, round));
		ASSERT_LE(0, eq_numbered_take(&self->q));
	}
	ASSERT_EQ(0, eq_job_result(&twin.job));
}

TEST_F(poll, epoll_oneshot)
{
	static const __u32 modes[] = { EPOLLONESHOT, EPOLLONESHOT | EPOLLET };
	size_t i;
	int ep;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		__u32 events = EPOLLIN | modes[i];

		ep = watch(self->fd, events);
		ASSERT_EQ(0, eq_numbered_add(&self->q));
		ASSERT_EQ(EPOLLIN, told(ep));
		ASSERT_EQ(0, told(ep));
		ASSERT_EQ(0, eq_numbered_add_many(&self->q, 2));
		ASSERT_EQ(0, told(ep));
		/* Armed again while records are queued. */
		ASSERT_EQ(0, watch_again(ep, self->fd, events));
		ASSERT_EQ(EPOLLIN, told(ep));
		ASSERT_EQ(0, told(ep));
		ASSERT_EQ(4 * i, eq_numbered_take(&self->q));
		ASSERT_EQ(0, watch_again(ep, self->fd, events));
		ASSERT_EQ(EPOLLIN, told(ep));
		ASSERT_EQ(0, told(ep));
		ASSERT_EQ(4 * i + 1, eq_numbered_take(&self->q));
		ASSERT_EQ(4 * i + 2, eq_numbered_take(&self->q));
		/* And while none is. */
		ASSERT_EQ(0, watch_again(ep, self->fd, events));
		ASSERT_EQ(0, told(ep));
		ASSERT_EQ(0, eq_numbered_add(&self->q));
		ASSERT_EQ(EPOLLIN, told(ep));
		ASSERT_EQ(0, told(ep));
		ASSERT_EQ(4 * i + 3, eq_numbered_take(&self->q));
		close(ep);
	}
}

/* Arming again wakes who waits already, if there is something to read. */
TEST_F(poll, epoll_oneshot_wakes_waiter)
{
	int ep = watch(self->fd, EPOLLIN | EPOLLONESHOT);
	struct waiter waiter;

	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_TRUE(wait_by(&waiter, by_epoll, ep));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	usleep(EQ_QUIET_MS * 1000);
	ASSERT_FALSE(eq_job_ended(&waiter.job));
	ASSERT_EQ(0, watch_again(ep, self->fd, EPOLLIN | EPOLLONESHOT));
	ASSERT_EQ(EPOLLIN, result(&waiter));
}

#define NR_WATCHERS 4

/* As many records as instances wake each once: none twice, no herd. */
TEST_F(poll, epoll_exclusive_wakes_one)
{
	static const __u32 modes[] = { 0, EPOLLET };
	struct waiter waiter[NR_WATCHERS];
	int i, ep[NR_WATCHERS];
	size_t m;

	for (m = 0; m < ARRAY_SIZE(modes); m++) {
		for (i = 0; i < NR_WATCHERS; i++) {
			ep[i] = watch(self->fd,
				      EPOLLIN | EPOLLEXCLUSIVE | modes[m]);
			ASSERT_LE(0, ep[i]);
			ASSERT_TRUE(wait_by(&waiter[i], by_epoll, ep[i]));
		}
		ASSERT_EQ(0, eq_numbered_add(&self->q));
		ASSERT_TRUE(have_ended(waiter, NR_WATCHERS, 1));
		usleep(EQ_QUIET_MS * 1000);
		ASSERT_EQ(1, count_ended(waiter, NR_WATCHERS));
		for (i = 2; i <= NR_WATCHERS; i++) {
			ASSERT_EQ(0, eq_numbered_add(&self->q));
			ASSERT_TRUE(have_ended(waiter, NR_WATCHERS, i));
		}
		for (i = 0; i < NR_WATCHERS; i++) {
			ASSERT_EQ(EPOLLIN, result(&waiter[i]));
			close(ep[i]);
		}
		for (i = 0; i < NR_WATCHERS; i++)
			ASSERT_EQ(m * NR_WATCHERS + i, eq_numbered_take(&self->q));
	}
}

/* With nobody waiting the record is kept for all of them. */
TEST_F(poll, epoll_exclusive_without_waiters)
{
	int i, ep[NR_WATCHERS];

	for (i = 0; i < NR_WATCHERS; i++)
		ep[i] = watch(self->fd, EPOLLIN | EPOLLEXCLUSIVE | EPOLLET);
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	for (i = 0; i < NR_WATCHERS; i++) {
		ASSERT_EQ(EPOLLIN, told(ep[i]));
		ASSERT_EQ(0, told(ep[i]));
	}
}

/* Without EPOLLEXCLUSIVE each is woken, once. */
TEST_F(poll, epoll_wakes_all_instances)
{
	struct waiter waiter[NR_WATCHERS];
	int i, ep[NR_WATCHERS];

	for (i = 0; i < NR_WATCHERS; i++) {
		ep[i] = watch(self->fd, EPOLLIN | EPOLLET);
		ASSERT_TRUE(wait_by(&waiter[i], by_epoll, ep[i]));
	}
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	for (i = 0; i < NR_WATCHERS; i++) {
		ASSERT_EQ(EPOLLIN, result(&waiter[i]));
		ASSERT_EQ(0, told(ep[i]));
	}
}

/* Several threads at one instance share its edges. */
TEST_F(poll, epoll_edge_wakes_one_thread)
{
	int i, ep = watch(self->fd, EPOLLIN | EPOLLET);
	struct waiter waiter[NR_WATCHERS];

	for (i = 0; i < NR_WATCHERS; i++)
		ASSERT_TRUE(wait_by(&waiter[i], by_epoll, ep));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_TRUE(have_ended(waiter, NR_WATCHERS, 1));
	usleep(EQ_QUIET_MS * 1000);
	ASSERT_EQ(1, count_ended(waiter, NR_WATCHERS));
	for (i = 2; i <= NR_WATCHERS; i++) {
		ASSERT_EQ(0, eq_numbered_add(&self->q));
		ASSERT_TRUE(have_ended(waiter, NR_WATCHERS, i));
	}
	for (i = 0; i < NR_WATCHERS; i++)
		ASSERT_EQ(EPOLLIN, result(&waiter[i]));
}

/* Those who did not ask to be exclusive are not passed over for one who did. */
TEST_F(poll, epoll_exclusive_among_others)
{
	struct waiter exclusive[2], other[2 + NR_WAYS];
	int i, nr = 0, ep;

	for (i = 0; i < 2; i++) {
		ep = watch(self->fd, EPOLLIN);
		ASSERT_TRUE(wait_by(&other[nr++], by_epoll, ep));
		ep = watch(self->fd, EPOLLIN | EPOLLEXCLUSIVE);
		ASSERT_TRUE(wait_by(&exclusive[i], by_epoll, ep));
	}
	ep = watch(self->fd, EPOLLIN);
	for (i = 0; i < NR_WAYS; i++)
		ASSERT_TRUE(wait_by(&other[nr++], ways[i],
				    ways[i] == by_epoll ? ep : self->fd));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	for (i = 0; i < nr; i++)
		ASSERT_EQ(POLLIN, result(&other[i]));
	ASSERT_TRUE(have_ended(exclusive, 2, 1));
	usleep(EQ_QUIET_MS * 1000);
	ASSERT_EQ(1, count_ended(exclusive, 2));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(EPOLLIN, result(&exclusive[0]));
	ASSERT_EQ(EPOLLIN, result(&exclusive[1]));
}

/* An epoll instance that watches one that watches one that watches the queue. */
TEST_F(poll, epoll_nested)
{
	int inner = watch(self->fd, EPOLLIN);
	int middle = watch(inner, EPOLLIN);
	int outer = watch(middle, EPOLLIN);
	struct waiter waiter;

	ASSERT_EQ(0, told(outer));
	ASSERT_TRUE(wait_by(&waiter, by_epoll, outer));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(EPOLLIN, result(&waiter));
	ASSERT_EQ(EPOLLIN, told(outer));
	ASSERT_EQ(EPOLLIN, told(middle));
	ASSERT_EQ(EPOLLIN, told(inner));
	ASSERT_EQ(POLLIN, poll_for(outer, POLLIN));
	ASSERT_EQ(0, eq_numbered_take(&self->q));
	ASSERT_EQ(0, poll_for(outer, POLLIN));
	ASSERT_EQ(0, told(outer));
	ASSERT_EQ(0, told(middle));
	ASSERT_EQ(0, told(inner));
}

TEST_F(poll, epoll_nested_edge)
{
	int inner = watch(self->fd, EPOLLIN | EPOLLET);
	int outer = watch(inner, EPOLLIN | EPOLLET);
	int i;

	ASSERT_EQ(0, told(outer));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, eq_numbered_add(&self->q));
		ASSERT_EQ(EPOLLIN, told(outer));
		ASSERT_EQ(0, told(outer));
		ASSERT_EQ(EPOLLIN, told(inner));
		ASSERT_EQ(0, told(inner));
	}
	for (i = 0; i < 3; i++)
		ASSERT_EQ(i, eq_numbered_take(&self->q));
	ASSERT_EQ(0, told(outer));
	ASSERT_EQ(0, told(inner));
}

/*
 * Other processes, and the ends of files
 */

static int child_of_poll(struct eq_numbered *q)
{
	if (by_poll(q->w.queue.fd, -1) != POLLIN)
		return 1;
	return eq_numbered_take(q) ? 2 : 0;
}

TEST_F(poll, child_polls)
{
	pid_t pid = eq_fork();

	if (!pid)
		_exit(child_of_poll(&self->q));
	ASSERT_LT(0, pid);
	ASSERT_TRUE(eq_child_waits(pid));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(0, eq_child_status(pid));
	/* Its end is no end of the file. */
	ASSERT_EQ(self->idle, poll_for(self->fd, ANY_EVENT));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(self->ready, poll_for(self->fd, ANY_EVENT));
	ASSERT_EQ(1, eq_numbered_take(&self->q));
}

static int child_of_epoll(int ep)
{
	return by_epoll(ep, -1) == EPOLLIN ? 0 : 1;
}

/* The epoll instance is shared like the queue, and so is its edge. */
TEST_F(poll, child_shares_epoll)
{
	int ep = watch(self->fd, EPOLLIN | EPOLLET);
	pid_t pid = eq_fork();

	if (!pid)
		_exit(child_of_epoll(ep));
	ASSERT_LT(0, pid);
	ASSERT_TRUE(eq_child_waits(pid));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(0, eq_child_status(pid));
	ASSERT_EQ(0, told(ep));
	ASSERT_EQ(0, eq_numbered_take(&self->q));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(EPOLLIN, told(ep));
}

TEST_F(poll, works_after_iommufd_is_closed)
{
	int level = watch(self->fd, ANY_EVENT);
	int edge = watch(self->fd, EPOLLIN | EPOLLET);

	ASSERT_EQ(0, eq_numbered_add_many(&self->q, 2));
	ASSERT_EQ(0, close(self->q.w.iommu));
	self->q.w.iommu = -1;
	ASSERT_EQ(self->ready, poll_for(self->fd, ANY_EVENT));
	ASSERT_EQ(self->ready, told(level));
	ASSERT_EQ(EPOLLIN, told(edge));
	ASSERT_EQ(0, told(edge));
	ASSERT_EQ(0, eq_numbered_take(&self->q));
	ASSERT_EQ(self->ready, told(level));
	ASSERT_EQ(1, eq_numbered_take(&self->q));
	ASSERT_EQ(self->idle, poll_for(self->fd, ANY_EVENT));
	ASSERT_EQ(self->idle, told(level));
	ASSERT_EQ(0, told(edge));
}

/* An epoll instance does not keep the file. */
TEST_F(poll, epoll_forgets_a_closed_queue)
{
	int level = watch(self->fd, EPOLLIN);
	int edge = watch(self->fd, EPOLLIN | EPOLLET);

	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(EPOLLIN, told(level));
	ASSERT_EQ(0, close(self->fd));
	self->fd = -1;
	ASSERT_EQ(0, told(level));
	ASSERT_EQ(0, told(edge));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(0, told(level));
	ASSERT_EQ(0, eq_numbered_destroy(&self->q));
	close(level);
	close(edge);
}

/* A poll does, even of an fd that is gone by then, and closes it at its end. */
TEST_F(poll, poll_keeps_the_file)
{
	struct waiter waiter;

	ASSERT_TRUE(wait_by(&waiter, by_poll, self->fd));
	ASSERT_EQ(0, close(self->fd));
	self->fd = -1;
	ASSERT_EQ(-EBUSY, eq_destroy(self->q.w.iommu, self->q.w.queue.id));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(POLLNVAL, result(&waiter));
	if (!variant->viommu)
		ASSERT_TRUE(eq_got(&self->q.w, 0, 0, EQ_GOT_INVALID));
	ASSERT_EQ(0, eq_numbered_destroy(&self->q));
}

/*
 * Linux AIO's poll
 */

static int aio_poll(aio_context_t ctx, struct iocb *iocb, int fd, short events)
{
	memset(iocb, 0, sizeof(*iocb));
	iocb->aio_lio_opcode = IOCB_CMD_POLL;
	iocb->aio_fildes = fd;
	iocb->aio_buf = events;
	return EQ_RET(syscall(SYS_io_submit, ctx, 1, &iocb));
}

/* Its result, or -ETIME. */
static long aio_result(aio_context_t ctx, unsigned int ms)
{
	struct io_event event;
	struct timespec ts;
	long rc = EQ_RET(syscall(SYS_io_getevents, ctx, 1, 1, &event,
				 after(&ts, ms)));

	if (rc < 0)
		return rc;
	return rc ? (long)event.res : -ETIME;
}

TEST_F(poll, aio_poll)
{
	aio_context_t ctx = 0;
	struct io_event event;
	struct iocb iocb;

	ASSERT_EQ(0, syscall(SYS_io_setup, 4, &ctx));
	ASSERT_EQ(1, aio_poll(ctx, &iocb, self->fd, POLLIN | POLLRDNORM));
	ASSERT_EQ(-ETIME, aio_result(ctx, 0));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(POLLIN | POLLRDNORM, aio_result(ctx, EQ_DEADLINE_MS));
	/* One poll, one result. */
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(-ETIME, aio_result(ctx, 0));
	/* Of a readable queue. */
	ASSERT_EQ(1, aio_poll(ctx, &iocb, self->fd, POLLIN));
	ASSERT_EQ(POLLIN, aio_result(ctx, EQ_DEADLINE_MS));
	ASSERT_EQ(0, eq_numbered_take(&self->q));
	ASSERT_EQ(1, eq_numbered_take(&self->q));

	ASSERT_EQ(1, aio_poll(ctx, &iocb, self->fd, POLLIN));
	ASSERT_EQ(-EINPROGRESS,
		  EQ_RET(syscall(SYS_io_cancel, ctx, &iocb, &event)));
	ASSERT_EQ(0, aio_result(ctx, EQ_DEADLINE_MS));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(-ETIME, aio_result(ctx, 0));
	ASSERT_EQ(2, eq_numbered_take(&self->q));
	ASSERT_EQ(0, syscall(SYS_io_destroy, ctx));
}

/*
 * Edge-triggered readers and a stream of records at full speed: whoever drains
 * the queue as the manual says gets everything
 */

#define NR_STREAM 2000
#define STREAM_READERS 3
#define STREAM_BATCH 4

struct stream {
	struct eq_numbered q;
	int stop;		/* readable once all is read */
	bool until_short;	/* else until EAGAIN */
	unsigned int total;
	unsigned char seen[NR_STREAM];
};

FIXTURE(stream)
{
	struct stream s;
};

FIXTURE_VARIANT(stream)
{
	bool viommu;
	bool until_short;
};

FIXTURE_VARIANT_ADD(stream, fault_until_short)
{
	.until_short = true,
};

FIXTURE_VARIANT_ADD(stream, fault_until_eagain)
{
	.until_short = false,
};

FIXTURE_VARIANT_ADD(stream, vevent_until_short)
{
	.viommu = true,
	.until_short = true,
};

FIXTURE_VARIANT_ADD(stream, vevent_until_eagain)
{
	.viommu = true,
	.until_short = false,
};

FIXTURE_SETUP(stream)
{
	struct eq_numbered *q = &self->s.q;

	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	ASSERT_EQ(0, eq_numbered_open(q, variant->viommu, EQ_NO_WAIT,
				      NR_STREAM));
	ASSERT_EQ(0, fcntl(q->w.queue.fd, F_SETFL, O_NONBLOCK));
	self->s.stop = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, self->s.stop);
	self->s.until_short = variant->until_short;
}

FIXTURE_TEARDOWN(stream)
{
	close(self->s.stop);
	close(self->s.q.w.queue.fd);
	close(self->s.q.w.iommu);
}

struct stream_reader {
	struct stream *s;
	struct eq_job job;
	int ep;
	long last;
	long count;
};

/* Note the records of one read; false if one is out of order. */
static bool stream_note(struct stream_reader *r, const char *buf, long len)
{
	struct eq_numbered *q = &r->s->q;
	long at, nr;

	for (at = 0; at < len; at += q->len) {
		nr = eq_numbered_number(q, buf + at);
		if (nr <= r->last || nr >= NR_STREAM)
			return false;
		r->last = nr;
		__atomic_add_fetch(&r->s->seen[nr], 1, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&r->s->total, 1, __ATOMIC_SEQ_CST);
		r->count++;
	}
	return true;
}

/* Returns 0 once the queue is empty, or what is wrong. */
static long stream_drain(struct stream_reader *r)
{
	struct eq_numbered *q = &r->s->q;
	long room = STREAM_BATCH * q->len, ret;
	char buf[STREAM_BATCH * EQ_FAULT_LEN];

	for (;;) {
		ret = eq_read(q->w.queue.fd, buf, room);
		if (ret == -EAGAIN)
			return 0;
		if (ret <= 0)
			return ret ? ret : -ENODATA;
		if (!stream_note(r, buf, ret))
			return -EILSEQ;
		if (r->s->until_short && ret < room)
			return 0;
	}
}

static long job_stream_read(void *arg)
{
	struct stream_reader *r = arg;
	struct epoll_event event;
	long rc = 0;

	while (!rc) {
		if (epoll_wait(r->ep, &event, 1, 2 * EQ_DEADLINE_MS) != 1)
			return -ETIME;
		if (event.data.fd == r->s->stop)
			return r->count;
		rc = stream_drain(r);
	}
	return rc;
}

static bool stream_start(struct stream_reader *r, struct stream *s)
{
	struct epoll_event event = {
		.events = EPOLLIN,
		.data.fd = s->stop,
	};

	r->s = s;
	r->last = -1;
	r->count = 0;
	r->ep = watch(s->q.w.queue.fd, EPOLLIN | EPOLLET);
	return r->ep >= 0 &&
	       !epoll_ctl(r->ep, EPOLL_CTL_ADD, s->stop, &event) &&
	       eq_job_start(&r->job, job_stream_read, r);
}

static unsigned int stream_total(struct stream *s)
{
	return __atomic_load_n(&s->total, __ATOMIC_SEQ_CST);
}

/* A reader ends when it is told to, or when it has something to complain of. */
static bool stream_failed(struct stream_reader *r, int readers)
{
	while (readers--)
		if (eq_job_ended(&r[readers].job))
			return true;
	return false;
}

static void check_stream(struct __test_metadata *_metadata, struct stream *s,
			 int readers)
{
	struct stream_reader reader[STREAM_READERS];
	unsigned int ms, nr;
	__u64 one = 1;
	long sum = 0;
	int i;

	for (i = 0; i < readers; i++)
		ASSERT_TRUE(stream_start(&reader[i], s));
	ASSERT_EQ(0, eq_numbered_add_many(&s->q, NR_STREAM));
	for (ms = 0; ms < EQ_DEADLINE_MS && !stream_failed(reader, readers); ms++) {
		if (stream_total(s) >= NR_STREAM)
			break;
		usleep(1000);
	}
	ASSERT_EQ(sizeof(one), write(s->stop, &one, sizeof(one)));
	for (i = 0; i < readers; i++) {
		ASSERT_TRUE(eq_job_end(&reader[i].job, EQ_DEADLINE_MS));
		ASSERT_LE(0, reader[i].job.ret);
		sum += reader[i].job.ret;
	}
	/* If an edge was lost, nobody knows of the records that are left. */
	ASSERT_EQ(NR_STREAM, sum);
	for (nr = 0; nr < NR_STREAM; nr++)
		ASSERT_EQ(1, s->seen[nr]);
}

TEST_F(stream, one_reader)
{
	check_stream(_metadata, &self->s, 1);
}

TEST_F(stream, several_readers)
{
	check_stream(_metadata, &self->s, STREAM_READERS);
}

/*
 * What only fault queues have: answers, groups, detach
 */

FIXTURE(fault_poll)
{
	struct eq_numbered q;
	int fd;
};

FIXTURE_SETUP(fault_poll)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	ASSERT_EQ(0, eq_numbered_open(&self->q, false, EQ_NO_WAIT, 0));
	self->fd = self->q.w.queue.fd;
}

FIXTURE_TEARDOWN(fault_poll)
{
	close(self->fd);
	close(self->q.w.iommu);
}

/* A write never waits, whatever is queued or outstanding. */
TEST_F(fault_poll, always_writable)
{
	long out = POLLOUT | POLLWRNORM;
	int ep = watch(self->fd, out);
	__u32 cookie;

	ASSERT_EQ(out, poll_for(self->fd, out));
	ASSERT_EQ(out, told(ep));
	ASSERT_TRUE(eq_outstanding(&self->q.w, 0, 1, &cookie));
	ASSERT_EQ(out, poll_for(self->fd, out));
	ASSERT_EQ(0, eq_raise_fault(&self->q.w, 0, 2));
	ASSERT_EQ(out, poll_for(self->fd, out));
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->fd, cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(out, poll_for(self->fd, out));
	ASSERT_EQ(out, told(ep));
	ASSERT_EQ(SELECT_READ | SELECT_WRITE, select_now(self->fd));
}

/* Nobody waits for an answer: neither it nor a fault is an edge of EPOLLOUT. */
TEST_F(fault_poll, epoll_edge_not_after_answers)
{
	int out = watch(self->fd, EPOLLOUT | EPOLLET);
	int both = watch(self->fd, EPOLLIN | EPOLLOUT | EPOLLET);
	struct iommu_hwpt_page_response r[32] = {};
	__u32 cookie[64];
	int i;

	ASSERT_EQ(EPOLLOUT, told(out));
	ASSERT_EQ(EPOLLOUT, told(both));
	for (i = 0; i < 64; i++) {
		ASSERT_TRUE(eq_outstanding(&self->q.w, 0, i, &cookie[i]));
		/* The edge of the fault, which was read already. */
		ASSERT_EQ(EPOLLOUT, told(both));
		ASSERT_EQ(0, told(both));
	}
	ASSERT_EQ(0, told(out));

	for (i = 0; i < 32; i++) {
		ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->fd, cookie[i],
						      IOMMUFD_PAGE_RESP_SUCCESS));
		ASSERT_EQ(0, told(out));
		ASSERT_EQ(0, told(both));
		r[i].cookie = cookie[32 + i];
		r[i].code = IOMMUFD_PAGE_RESP_INVALID;
	}
	ASSERT_EQ(-EINVAL, eq_respond(self->fd, cookie[0],
				      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(sizeof(r), eq_write(self->fd, r, sizeof(r)));
	ASSERT_EQ(0, told(out));
	ASSERT_EQ(0, told(both));

	ASSERT_EQ(0, eq_raise_fault(&self->q.w, 0, 64));
	ASSERT_EQ(0, told(out));
	ASSERT_EQ(EPOLLIN | EPOLLOUT, told(both));
	ASSERT_EQ(0, told(both));
}

/* Who waits for EPOLLOUT alone is not woken by faults or answers. */
TEST_F(fault_poll, epoll_out_waiter_sleeps)
{
	int ep = watch(self->fd, EPOLLOUT | EPOLLET);
	struct waiter waiter;
	__u32 cookie;

	ASSERT_EQ(EPOLLOUT, told(ep));
	ASSERT_TRUE(wait_by(&waiter, by_epoll, ep));
	ASSERT_TRUE(eq_outstanding(&self->q.w, 0, 1, &cookie));
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->fd, cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	usleep(EQ_QUIET_MS * 1000);
	ASSERT_FALSE(eq_job_ended(&waiter.job));
	ASSERT_EQ(0, watch_again(ep, self->fd, EPOLLOUT | EPOLLET));
	ASSERT_EQ(EPOLLOUT, result(&waiter));
}

/* A busy reader that left nothing has nothing to tell to who was sent away. */
TEST_F(fault_poll, epoll_edge_not_after_emptying_read)
{
	int ep = watch(self->fd, EPOLLIN | EPOLLOUT | EPOLLET);
	struct eq_io io = { .fd = self->fd };
	struct eq_stall stall;
	struct eq_job job;
	char buf[64];

	if (eq_stall_init(&stall))
		SKIP(return, EQ_NO_STALL);
	io.buf = stall.page;
	io.len = stall.len;
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(EPOLLIN | EPOLLOUT, told(ep));
	ASSERT_TRUE(eq_job_start(&job, eq_job_read, &io));
	ASSERT_TRUE(eq_stall_hit(&stall));
	/* It takes this one along. */
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(EPOLLIN | EPOLLOUT, told(ep));
	ASSERT_EQ(-EAGAIN, eq_read_nowait(self->fd, buf, sizeof(buf)));
	ASSERT_EQ(0, eq_stall_fill(&stall, NULL, 0));
	ASSERT_TRUE(eq_job_end(&job, EQ_DEADLINE_MS));
	ASSERT_EQ(2 * EQ_FAULT_LEN, job.ret);
	ASSERT_EQ(0, told(ep));
}

/* A group is one record of poll: one edge, and not before it is complete. */
TEST_F(fault_poll, epoll_edge_of_group)
{
	int ep = watch(self->fd, EPOLLIN | EPOLLET);
	struct iommu_hwpt_pgfault f[4];
	struct eq_world *w = &self->q.w;

	ASSERT_EQ(0, eq_fault_op(w->iommu, IOMMU_TEST_OP_TRIGGER_IOPF_PART,
				 &w->dev[0], 0, 7, EQ_ADDR(0)));
	ASSERT_EQ(0, told(ep));
	ASSERT_FALSE(eq_readable(self->fd));
	ASSERT_EQ(0, eq_fault_op(w->iommu, IOMMU_TEST_OP_TRIGGER_IOPF,
				 &w->dev[0], 0, 7, EQ_ADDR(1)));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(0, told(ep));
	ASSERT_EQ(2 * EQ_FAULT_LEN, eq_read(self->fd, f, sizeof(f)));
	ASSERT_FALSE(eq_readable(self->fd));
}

/* A short read because the next group did not fit. */
TEST_F(fault_poll, epoll_edge_after_large_group)
{
	int ep = watch(self->fd, EPOLLIN | EPOLLET);
	struct iommu_hwpt_pgfault f[4];

	ASSERT_EQ(0, eq_raise_fault(&self->q.w, 0, 1));
	ASSERT_EQ(0, eq_raise_group(&self->q.w, 0, 2, 3));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(self->fd, f, 3 * EQ_FAULT_LEN));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(0, told(ep));
	ASSERT_EQ(-EINVAL, eq_read(self->fd, f, 2 * EQ_FAULT_LEN));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(3 * EQ_FAULT_LEN, eq_read(self->fd, f, 3 * EQ_FAULT_LEN));
	ASSERT_EQ(2, f[0].grpid);
	ASSERT_EQ(0, told(ep));
}

/* The end of an attachment takes its faults off the queue, without an edge. */
TEST_F(fault_poll, detach_takes_readability)
{
	int level = watch(self->fd, EPOLLIN);
	int edge = watch(self->fd, EPOLLIN | EPOLLOUT | EPOLLET);
	struct eq_world *w = &self->q.w;
	struct waiter waiter;
	char buf[64];

	ASSERT_EQ(0, eq_raise_fault(w, 0, 1));
	ASSERT_EQ(0, eq_raise_fault(w, 1, 2));
	ASSERT_EQ(EPOLLIN, told(level));
	ASSERT_EQ(EPOLLIN | EPOLLOUT, told(edge));

	ASSERT_EQ(0, eq_replace(w->iommu, &w->dev[0], w->ioas));
	ASSERT_TRUE(eq_got(w, 0, 1, EQ_GOT_INVALID));
	ASSERT_EQ(POLLIN, poll_for(self->fd, POLLIN));
	ASSERT_EQ(EPOLLIN, told(level));
	ASSERT_EQ(0, told(edge));

	ASSERT_EQ(0, eq_replace(w->iommu, &w->dev[1], w->ioas));
	ASSERT_TRUE(eq_got(w, 1, 2, EQ_GOT_INVALID));
	ASSERT_EQ(POLLOUT | POLLWRNORM, poll_for(self->fd, ANY_EVENT));
	ASSERT_EQ(0, told(level));
	ASSERT_EQ(0, told(edge));
	ASSERT_EQ(0, eq_read(self->fd, buf, sizeof(buf)));

	/* Attached again, there is news again. */
	ASSERT_TRUE(wait_by(&waiter, by_epoll, level));
	ASSERT_EQ(0, eq_replace(w->iommu, &w->dev[0], w->hwpt));
	ASSERT_EQ(0, told(edge));
	ASSERT_EQ(0, eq_raise_fault(w, 0, 3));
	ASSERT_EQ(EPOLLIN, result(&waiter));
	ASSERT_EQ(EPOLLIN | EPOLLOUT, told(edge));
	ASSERT_EQ(3, eq_numbered_take(&self->q));
}

/*
 * What only vIOMMU event queues have: overflow and the LOST header
 */

FIXTURE(vevent_poll)
{
	struct eq_numbered q;
	int fd;
};

FIXTURE_SETUP(vevent_poll)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	ASSERT_EQ(0, eq_numbered_open(&self->q, true, EQ_NO_WAIT, EQ_DEPTH));
	self->fd = self->q.w.queue.fd;
}

FIXTURE_TEARDOWN(vevent_poll)
{
	close(self->fd);
	close(self->q.w.iommu);
}

#define READABLE (POLLIN | POLLRDNORM)

/* Read a LOST header and nothing else; returns its sequence. */
static long take_lost(int fd)
{
	struct eq_vevent v;
	long ret = eq_read(fd, &v, sizeof(v));

	if (ret != EQ_HEADER_LEN)
		return ret < 0 ? ret : -ENODATA;
	return v.header.flags == IOMMU_VEVENTQ_FLAG_LOST_EVENTS ?
	       (long)v.header.sequence : -ENOMSG;
}

TEST_F(vevent_poll, never_writable)
{
	int ep = watch(self->fd, EPOLLOUT | EPOLLWRNORM);
	char buf[4096];

	ASSERT_EQ(0, told(ep));
	ASSERT_EQ(0, eq_numbered_add_many(&self->q, EQ_DEPTH + 1));
	ASSERT_EQ(0, told(ep));
	ASSERT_EQ(READABLE, poll_for(self->fd, ANY_EVENT));
	ASSERT_EQ(EQ_DEPTH * EQ_VEVENT_LEN + EQ_HEADER_LEN,
		  eq_read(self->fd, buf, sizeof(buf)));
	ASSERT_EQ(0, told(ep));
	ASSERT_EQ(0, poll_for(self->fd, ANY_EVENT));
}

/* The first that is lost is news, the others are not. */
TEST_F(vevent_poll, overflow_makes_one_edge)
{
	int i, edges = 0, ep = watch(self->fd, EPOLLIN | EPOLLET);

	for (i = 0; i < EQ_DEPTH; i++) {
		ASSERT_EQ(0, eq_numbered_add(&self->q));
		edges += told(ep) == EPOLLIN;
	}
	ASSERT_EQ(EQ_DEPTH, edges);
	for (i = 0; i < 1000; i++) {
		ASSERT_EQ(0, eq_numbered_add(&self->q));
		edges += !!told(ep);
	}
	ASSERT_EQ(EQ_DEPTH + 1, edges);
	ASSERT_EQ(READABLE, poll_for(self->fd, ANY_EVENT));

	/* An event that is stored again is news again. */
	ASSERT_EQ(0, eq_numbered_take(&self->q));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(0, told(ep));
	for (i = 1; i < EQ_DEPTH; i++)
		ASSERT_EQ(i, eq_numbered_take(&self->q));
	ASSERT_EQ(EQ_DEPTH + 1000, eq_numbered_take(&self->q));
	ASSERT_EQ(0, poll_for(self->fd, ANY_EVENT));
}

/* Who waits hears of the first that is lost; who waits then of the next stored. */
TEST_F(vevent_poll, overflow_wakes_once)
{
	int ep = watch(self->fd, EPOLLIN | EPOLLET);
	struct waiter waiter;

	ASSERT_EQ(0, eq_numbered_add_many(&self->q, EQ_DEPTH));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_TRUE(wait_by(&waiter, by_epoll, ep));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(EPOLLIN, result(&waiter));

	ASSERT_TRUE(wait_by(&waiter, by_epoll, ep));
	ASSERT_EQ(0, eq_numbered_add_many(&self->q, 1000));
	usleep(EQ_QUIET_MS * 1000);
	ASSERT_FALSE(eq_job_ended(&waiter.job));
	ASSERT_EQ(0, eq_numbered_take(&self->q));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(EPOLLIN, result(&waiter));
}

TEST_F(vevent_poll, lost_header_alone_is_readable)
{
	int level = watch(self->fd, EPOLLIN);
	int i;

	ASSERT_EQ(0, eq_numbered_add_many(&self->q, EQ_DEPTH + 3));
	for (i = 0; i < EQ_DEPTH; i++)
		ASSERT_EQ(i, eq_numbered_take(&self->q));
	ASSERT_EQ(READABLE, poll_for(self->fd, ANY_EVENT));
	ASSERT_EQ(SELECT_READ, select_now(self->fd));
	ASSERT_EQ(EPOLLIN, told(level));
	ASSERT_EQ(EPOLLIN, told(level));
	ASSERT_EQ(EPOLLIN, told(watch(self->fd, EPOLLIN | EPOLLET)));
	ASSERT_EQ(EQ_DEPTH + 2, take_lost(self->fd));
	ASSERT_EQ(0, poll_for(self->fd, ANY_EVENT));
	ASSERT_EQ(0, select_now(self->fd));
	ASSERT_EQ(0, told(level));
	ASSERT_EQ(-ENODATA, eq_numbered_take(&self->q));
}

/* The header is put back as records are. */
TEST_F(vevent_poll, epoll_edge_after_bad_buffer_for_lost)
{
	int i, ep = watch(self->fd, EPOLLIN | EPOLLET);

	ASSERT_EQ(0, eq_numbered_add_many(&self->q, EQ_DEPTH + 1));
	for (i = 0; i < EQ_DEPTH; i++)
		ASSERT_EQ(i, eq_numbered_take(&self->q));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(0, told(ep));
	ASSERT_EQ(-EFAULT, eq_read(self->fd, eq_edge(EQ_HEADER_LEN - 1),
				   EQ_VEVENT_LEN));
	ASSERT_EQ(READABLE, poll_for(self->fd, ANY_EVENT));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(0, told(ep));
	ASSERT_EQ(EQ_DEPTH, take_lost(self->fd));
	ASSERT_EQ(0, told(ep));
}

/* The gap in front of the next event tells instead, and poll forgets it too. */
TEST_F(vevent_poll, replaced_lost_header_is_not_readable)
{
	int i;

	ASSERT_EQ(0, eq_numbered_add_many(&self->q, EQ_DEPTH + 1));
	ASSERT_EQ(0, eq_numbered_take(&self->q));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	for (i = 1; i < EQ_DEPTH; i++)
		ASSERT_EQ(i, eq_numbered_take(&self->q));
	ASSERT_EQ(EQ_DEPTH + 1, eq_numbered_take(&self->q));
	ASSERT_EQ(0, poll_for(self->fd, ANY_EVENT));
	ASSERT_EQ(-ENODATA, eq_numbered_take(&self->q));
}

/* The queue overflows while a reader has all of it in its hands. */
TEST_F(vevent_poll, overflow_during_read)
{
	int ep = watch(self->fd, EPOLLIN | EPOLLET);
	struct eq_io io = { .fd = self->fd };
	struct eq_stall stall;
	struct eq_job job;

	if (eq_stall_init(&stall))
		SKIP(return, EQ_NO_STALL);
	io.buf = stall.page;
	io.len = stall.len;
	ASSERT_EQ(0, eq_numbered_add_many(&self->q, EQ_DEPTH));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_TRUE(eq_job_start(&job, eq_job_read, &io));
	ASSERT_TRUE(eq_stall_hit(&stall));
	ASSERT_EQ(0, eq_numbered_add_many(&self->q, 2));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(0, eq_stall_fill(&stall, NULL, 0));
	ASSERT_TRUE(eq_job_end(&job, EQ_DEADLINE_MS));
	/* The header came along, so there is no need for another edge. */
	ASSERT_EQ(EQ_DEPTH * EQ_VEVENT_LEN + EQ_HEADER_LEN, job.ret);
	ASSERT_EQ(0, told(ep));
	ASSERT_EQ(0, poll_for(self->fd, ANY_EVENT));
}

/* The same without room for the header, while another reader was sent away. */
TEST_F(vevent_poll, epoll_edge_of_lost_header_after_busy_read)
{
	int ep = watch(self->fd, EPOLLIN | EPOLLET);
	struct eq_io io = { .fd = self->fd, .len = EQ_DEPTH * EQ_VEVENT_LEN };
	struct eq_stall stall;
	struct eq_job job;
	char buf[64];

	if (eq_stall_init(&stall))
		SKIP(return, EQ_NO_STALL);
	io.buf = stall.page;
	ASSERT_EQ(0, eq_numbered_add_many(&self->q, EQ_DEPTH));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_TRUE(eq_job_start(&job, eq_job_read, &io));
	ASSERT_TRUE(eq_stall_hit(&stall));
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(-EAGAIN, eq_read_nowait(self->fd, buf, sizeof(buf)));
	ASSERT_EQ(0, told(ep));
	ASSERT_EQ(0, eq_stall_fill(&stall, NULL, 0));
	ASSERT_TRUE(eq_job_end(&job, EQ_DEADLINE_MS));
	ASSERT_EQ(EQ_DEPTH * EQ_VEVENT_LEN, job.ret);
	ASSERT_EQ(EPOLLIN, told(ep));
	ASSERT_EQ(0, told(ep));
	ASSERT_EQ(EQ_DEPTH, take_lost(self->fd));
}

/* Queues of both classes at one epoll instance are told apart. */
TEST_F(vevent_poll, two_queues_at_one_epoll)
{
	struct eq_world *w = &self->q.w;
	struct epoll_event event[2];
	int ep = watch(self->fd, EPOLLIN | EPOLLET);
	struct eq_queue faults;
	__u32 hwpt;

	ASSERT_EQ(0, eq_fault_queue(w->iommu, EQ_NO_WAIT, &faults));
	ASSERT_EQ(0, eq_fault_hwpt(w->iommu, &w->dev[1], w->ioas, faults.id,
				   &hwpt));
	ASSERT_EQ(0, eq_replace(w->iommu, &w->dev[1], hwpt));
	event[0].events = EPOLLIN | EPOLLET;
	event[0].data.fd = faults.fd;
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, faults.fd, event));

	ASSERT_EQ(0, epoll_wait(ep, event, 2, 0));
	ASSERT_EQ(0, eq_raise_fault(w, 1, 1));
	ASSERT_EQ(1, epoll_wait(ep, event, 2, 0));
	ASSERT_EQ(faults.fd, event[0].data.fd);
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(1, epoll_wait(ep, event, 2, 0));
	ASSERT_EQ(self->fd, event[0].data.fd);
	ASSERT_EQ(0, eq_numbered_add(&self->q));
	ASSERT_EQ(0, eq_raise_fault(w, 1, 2));
	ASSERT_EQ(2, epoll_wait(ep, event, 2, 0));
	ASSERT_NE(event[0].data.fd, event[1].data.fd);
	ASSERT_EQ(0, epoll_wait(ep, event, 2, 0));
	close(faults.fd);
}

TEST_HARNESS_MAIN
