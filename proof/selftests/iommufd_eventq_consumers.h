/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the replicas of event queue programs have in common: their queue, the
 * ways they wait for it, the end of their loops, and how they say that the real
 * program would have failed. No program and no test case here.
 */
#ifndef __IOMMUFD_EVENTQ_CONSUMERS_H
#define __IOMMUFD_EVENTQ_CONSUMERS_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/eventq_wait.h"

/*
 * How long a kernel that lacks our test operations is waited for: its failures
 * are expected, and are to be quick.
 */
#define STOCK_MS 1500

struct consumer {
	int iommu;
	struct eq_queue queue;
	int stop;		/* an eventfd that ends the program's loop */
	int epoll;		/* or -1 */
	unsigned int patience;	/* ms to wait for what must come */
	bool stopped;
	bool failed;
	char why[160];
	unsigned long taken;	/* events or faults that it has heard of */
};

/* Remember the first failure. False, to be returned. */
static inline bool __printf(2, 3)
consumer_fail(struct consumer *c, const char *fmt, ...)
{
	va_list args;

	if (c->failed)
		return false;
	va_start(args, fmt);
	vsnprintf(c->why, sizeof(c->why), fmt, args);
	va_end(args);
	__atomic_store_n(&c->failed, true, __ATOMIC_RELEASE);
	return false;
}

/* The real program gives up here, or takes the result for what it is not. */
#define FATAL(c, fmt, ...) consumer_fail(c, "fatal: " fmt, ##__VA_ARGS__)
/* The program goes on, but was told something that is not true. */
#define WRONG(c, fmt, ...) consumer_fail(c, "wrong: " fmt, ##__VA_ARGS__)

static inline bool consumer_failed(struct consumer *c)
{
	return __atomic_load_n(&c->failed, __ATOMIC_ACQUIRE);
}

static inline bool consumer_stopped(struct consumer *c)
{
	return __atomic_load_n(&c->stopped, __ATOMIC_ACQUIRE);
}

static inline unsigned long consumer_taken(struct consumer *c)
{
	return __atomic_load_n(&c->taken, __ATOMIC_ACQUIRE);
}

/* Only our kernel has the log of a device's answers. */
static inline bool has_answer_log(struct eq_world *w)
{
	struct eq_response answer;

	return !eq_pop_response(w->iommu, &w->dev[0], &answer);
}

static inline bool consumer_init(struct consumer *c, struct eq_world *w)
{
	c->iommu = w->iommu;
	c->queue.fd = -1;
	c->epoll = -1;
	c->patience = has_answer_log(w) ? EQ_DEADLINE_MS : STOCK_MS;
	c->stop = eventfd(0, EFD_CLOEXEC);
	return c->stop >= 0;
}

static inline void consumer_stop(struct consumer *c)
{
	__u64 one = 1;

	__atomic_store_n(&c->stopped, true, __ATOMIC_RELEASE);
	if (write(c->stop, &one, sizeof(one)) != sizeof(one))
		WRONG(c, "eventfd");
}

static inline bool consumer_nonblock(struct consumer *c)
{
	int flags = fcntl(c->queue.fd, F_GETFL);

	return flags >= 0 &&
	       !fcntl(c->queue.fd, F_SETFL, flags | O_NONBLOCK);
}

static inline bool consumer_watch(struct consumer *c, __u32 events)
{
	struct epoll_event queue = { .events = events, .data.fd = c->queue.fd };
	struct epoll_event stop = { .events = EPOLLIN, .data.fd = c->stop };

	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	return c->epoll >= 0 &&
	       !epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->queue.fd, &queue) &&
	       !epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->stop, &stop);
}

/* Level triggered, as a main loop: true if the queue's handler has to run. */
static inline bool consumer_poll(struct consumer *c, int ms)
{
	struct pollfd pfd[] = {
		{ .fd = c->queue.fd, .events = POLLIN },
		{ .fd = c->stop, .events = POLLIN },
	};

	if (poll(pfd, ARRAY_SIZE(pfd), ms) <= 0 || pfd[1].revents)
		return false;
	if (pfd[0].revents & ~POLLIN)
		return FATAL(c, "poll says %#x", pfd[0].revents);
	return true;
}

static inline bool consumer_epoll(struct consumer *c, int ms)
{
	struct epoll_event events[2];
	bool ready = false;
	int i, nr;

	nr = epoll_wait(c->epoll, events, ARRAY_SIZE(events), ms);
	for (i = 0; i < nr; i++) {
		if (events[i].data.fd == c->stop)
			return false;
		if (events[i].events & (EPOLLERR | EPOLLHUP))
			return FATAL(c, "epoll says %#x", events[i].events);
		ready |= events[i].events & EPOLLIN;
	}
	return ready;
}

/* All of them close first: an object is busy as long as its file is open. */
static inline bool consumer_close(struct consumer *c)
{
	if (c->epoll >= 0) {
		epoll_ctl(c->epoll, EPOLL_CTL_DEL, c->queue.fd, NULL);
		close(c->epoll);
		c->epoll = -1;
	}
	if (close(c->queue.fd))
		return FATAL(c, "close: %s", strerror(errno));
	c->queue.fd = -1;
	return true;
}

static inline bool consumer_destroy(struct consumer *c)
{
	int rc = eq_destroy(c->iommu, c->queue.id);

	return rc ? FATAL(c, "IOMMU_DESTROY of the closed queue: %s",
			  strerror(-rc)) : true;
}

/* Wait until a loop in another thread has heard of @nr. */
static inline bool consumer_reaches(struct consumer *c, unsigned long nr)
{
	unsigned int ms;

	for (ms = 0; ms < c->patience && !consumer_failed(c); ms++) {
		if (consumer_taken(c) >= nr)
			return true;
		usleep(1000);
	}
	return WRONG(c, "heard of %lu of %lu in %u ms", consumer_taken(c), nr,
		     ms);
}

#endif
