/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Replicas of the programs that read fault queues and answer, with a ledger of
 * what became of each fault as the program sees it. No test cases here.
 */
#ifndef __IOMMUFD_EVENTQ_CONSUMERS_FAULT_H
#define __IOMMUFD_EVENTQ_CONSUMERS_FAULT_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "iommufd_eventq_consumers.h"
#include "lib/eventq_uring.h"

#define MAX_FAULTS 4096		/* of a test case; group IDs are below it */
#define MAX_GROUP 3		/* faults in a group */
#define MAX_ARMED 4		/* READs of the io_uring program */
#define MAX_WRITES 32		/* its WRITEs in flight */

struct fault_consumer;

/*
 * @nonblock: sets O_NONBLOCK
 * @at_once: answers a fault before it does anything else
 * @groups: has room for groups of several faults
 * @nr_armed, @offset: READs that the io_uring program keeps armed, and where
 * @step: a turn of its loop; false if nothing happened within @ms, or it was
 *        told to stop, or failed
 * @handle: what it does when it takes the queue for ready; the result as above
 * @answer: answer one fault for the guest
 * @open, @close: what else it does with a new queue, and an old one; optional
 */
struct fault_program {
	bool nonblock;
	bool at_once;
	bool groups;
	unsigned int nr_armed;
	__u64 offset;
	bool (*step)(struct fault_consumer *f, int ms);
	bool (*handle)(struct fault_consumer *f);
	bool (*answer)(struct fault_consumer *f, __u32 grpid, __u32 cookie);
	bool (*open)(struct fault_consumer *f);
	bool (*close)(struct fault_consumer *f);
};

enum fate { UNSEEN, SEEN, ANSWERED, REFUSED };

struct fault_consumer {
	struct consumer c;
	const struct fault_program *program;

	/* What the guest knows of and has not answered */
	struct { __u32 grpid, cookie; } open[MAX_FAULTS];
	unsigned int nr_open;

	/* The ledger, by group */
	__u8 fate[MAX_FAULTS];
	unsigned long nr_answered, nr_refused;

	/* io_uring */
	struct eq_ring ring;
	bool started;		/* by the thread that runs the loop */
	bool is_moved;		/* while faults are reported */
	unsigned int nr_armed, nr_writes;
	struct iommu_hwpt_pgfault armed[MAX_ARMED];
	struct iommu_hwpt_page_response writes[MAX_WRITES];
	__u32 write_grpid[MAX_WRITES];
	bool write_busy[MAX_WRITES];
	__u64 stop_value;
};

/* The ledger */

/*
 * A run of records is whole groups, each new; without their first faults if the device
 * is moved to another queue meanwhile.
 */
static inline bool ledger_faults(struct fault_consumer *f,
				 const struct iommu_hwpt_pgfault *r, size_t nr)
{
	size_t i, first = 0;

	for (i = 0; i < nr; i++) {
		if (r[i].grpid >= MAX_FAULTS ||
		    r[i].grpid != r[first].grpid ||
		    r[i].cookie != r[first].cookie ||
		    r[i].addr - r[first].addr != EQ_ADDR(i - first) - EQ_ADDR(0) ||
		    (r[first].addr != EQ_ADDR(0) && !f->is_moved))
			return WRONG(&f->c, "record %zu is of no group", i);
		if (!(r[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE))
			continue;
		if (f->fate[r[i].grpid] != UNSEEN)
			return WRONG(&f->c, "fault %u came twice", r[i].grpid);
		f->fate[r[i].grpid] = SEEN;
		first = i + 1;
		__atomic_add_fetch(&f->c.taken, 1, __ATOMIC_RELEASE);
	}
	return first == nr ? true : WRONG(&f->c, "a group was split");
}

static inline bool ledger_answer(struct fault_consumer *f, __u32 grpid,
				 long result)
{
	if (f->fate[grpid] != SEEN)
		return WRONG(&f->c, "fault %u answered twice", grpid);
	f->fate[grpid] = result == EQ_RESPONSE_LEN ? ANSWERED : REFUSED;
	__atomic_add_fetch(result == EQ_RESPONSE_LEN ? &f->nr_answered :
						  &f->nr_refused, 1,
			   __ATOMIC_RELEASE);
	return true;
}

static inline bool guest_learns(struct fault_consumer *f,
				const struct iommu_hwpt_pgfault *r)
{
	f->open[f->nr_open].grpid = r->grpid;
	f->open[f->nr_open].cookie = r->cookie;
	f->nr_open++;
	return true;
}

/*
 * QEMU, VT-d page request queue: a handler of the main loop that reads up to
 * 100 faults for the guest, which answers by group ID when it likes. It says so
 * when an answer is refused, and forgets the fault.
 */

#define VTD_BATCH 100

static inline bool vtd_handle(struct fault_consumer *f)
{
	struct iommu_hwpt_pgfault r[VTD_BATCH];
	long len = eq_read(f->c.queue.fd, r, sizeof(r)), i;

	if (len == -EAGAIN || len == -EINTR)
		return false;
	if (len < 0)
		return FATAL(&f->c, "read failed: %s", strerror(-len));
	if (!len)
		return FATAL(&f->c, "read returned 0 on an empty queue: fault group too big");
	if (len % EQ_FAULT_LEN)
		return FATAL(&f->c, "partial record: %ld bytes", len);
	for (i = 0; i < len / EQ_FAULT_LEN; i++)
		if (r[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE)
			guest_learns(f, &r[i]);
	return ledger_faults(f, r, len / EQ_FAULT_LEN);
}

static inline bool vtd_step(struct fault_consumer *f, int ms)
{
	return consumer_poll(&f->c, ms) && vtd_handle(f);
}

static inline bool vtd_answer(struct fault_consumer *f, __u32 grpid,
			      __u32 cookie)
{
	long len = eq_respond(f->c.queue.fd, cookie, IOMMUFD_PAGE_RESP_SUCCESS);

	if (len != EQ_RESPONSE_LEN && len != -EINVAL)
		return FATAL(&f->c, "write returned %ld", len);
	return ledger_answer(f, grpid, len);
}

static const struct fault_program qemu_vtd = {
	.nonblock = true,
	.groups = true,
	.step = vtd_step,
	.handle = vtd_handle,
	.answer = vtd_answer,
};

/*
 * libvfn's example: reads until there is something other than 0, which must
 * then be a fault, maps the page and answers, or ends. The real one does so
 * once.
 */

static inline bool libvfn_take(struct fault_consumer *f,
			       const struct iommu_hwpt_pgfault *r, long len)
{
	if (len < 0)
		return FATAL(&f->c, "read returned -1 (%s), which is taken for a fault",
			     strerror(-len));
	if (len != EQ_FAULT_LEN)
		return FATAL(&f->c, "read returned %ld", len);
	if (!ledger_faults(f, r, 1))
		return false;
	len = eq_respond(f->c.queue.fd, r->cookie, IOMMUFD_PAGE_RESP_SUCCESS);
	if (len != EQ_RESPONSE_LEN)
		return FATAL(&f->c, "the answer was refused: %ld", len);
	return ledger_answer(f, r->grpid, len);
}

static inline bool libvfn_handle(struct fault_consumer *f)
{
	struct iommu_hwpt_pgfault r;
	long len = eq_read(f->c.queue.fd, &r, sizeof(r));

	return len ? libvfn_take(f, &r, len) : false;
}

static inline long ms_since(const struct timespec *begin)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - begin->tv_sec) * 1000 +
	       (now.tv_nsec - begin->tv_nsec) / 1000000;
}

static inline bool libvfn_step(struct fault_consumer *f, int ms)
{
	struct timespec begin;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		if (libvfn_handle(f))
			return true;
		if (consumer_failed(&f->c) || consumer_stopped(&f->c))
			return false;
	} while (ms < 0 || ms_since(&begin) < ms);
	return false;
}

static const struct fault_program libvfn = {
	.at_once = true,
	.step = libvfn_step,
	.handle = libvfn_handle,
};

/* The iommufd selftest: waits, reads one fault and answers. */

static inline bool selftest_fault_handle(struct fault_consumer *f)
{
	struct iommu_hwpt_pgfault r;
	long len;

	if (!consumer_poll(&f->c, 0))
		return false;
	len = eq_read(f->c.queue.fd, &r, sizeof(r));
	if (len <= 0)
		return FATAL(&f->c, "read returned %ld after poll", len);
	return libvfn_take(f, &r, len);
}

static inline bool selftest_fault_step(struct fault_consumer *f, int ms)
{
	return consumer_poll(&f->c, ms) && selftest_fault_handle(f);
}

static const struct fault_program selftest_fault = {
	.at_once = true,
	.step = selftest_fault_step,
	.handle = selftest_fault_handle,
};

/*
 * The QEMU tree of Linaro and HiSilicon: READs of one fault are kept armed on
 * the file as it was delivered, answers are WRITEs. A completion with 0 is
 * nothing it could go on with.
 */

#define TAG_READ 0x100
#define TAG_WRITE 0x200
#define TAG_STOP 0x300
#define TAG_CANCEL 0x400
#define TAG_MASK 0xff00

static inline bool uring_submit(struct fault_consumer *f, int opcode, int fd,
				void *buf, unsigned int len, __u64 tag)
{
	int rc = eq_ring_rw(&f->ring, opcode, fd, buf, len,
			    fd == f->c.queue.fd ? f->program->offset : 0, tag);

	return rc ? FATAL(&f->c, "io_uring_enter: %s", strerror(-rc)) : true;
}

static inline bool uring_arm(struct fault_consumer *f, unsigned int i)
{
	if (!uring_submit(f, IORING_OP_READ, f->c.queue.fd, &f->armed[i],
			  EQ_FAULT_LEN, TAG_READ | i))
		return false;
	f->nr_armed++;
	return true;
}

static inline bool uring_start(struct fault_consumer *f)
{
	unsigned int i;

	f->started = true;
	for (i = 0; i < f->program->nr_armed; i++)
		if (!uring_arm(f, i))
			return false;
	return uring_submit(f, IORING_OP_READ, f->c.stop, &f->stop_value,
			    sizeof(f->stop_value), TAG_STOP);
}

static inline bool uring_read_done(struct fault_consumer *f, unsigned int i,
				   long res)
{
	f->nr_armed--;
	if (!res)
		return FATAL(&f->c, "READ %u completed with 0", i);
	if (res != EQ_FAULT_LEN)
		return FATAL(&f->c, "READ %u completed with %ld", i, res);
	return ledger_faults(f, &f->armed[i], 1) &&
	       guest_learns(f, &f->armed[i]) && uring_arm(f, i);
}

static inline bool uring_write_done(struct fault_consumer *f, unsigned int i,
				    long res)
{
	f->nr_writes--;
	f->write_busy[i] = false;
	if (res != EQ_RESPONSE_LEN && res != -EINVAL)
		return FATAL(&f->c, "WRITE completed with %ld", res);
	return ledger_answer(f, f->write_grpid[i], res);
}

static inline bool uring_step(struct fault_consumer *f, int ms)
{
	struct io_uring_cqe cqe;
	unsigned int i;

	if (!f->started && !uring_start(f))
		return false;
	if (eq_ring_wait(&f->ring, ms < 0 ? f->c.patience : ms, &cqe))
		return false;
	i = cqe.user_data & ~(__u64)TAG_MASK;
	switch (cqe.user_data & TAG_MASK) {
	case TAG_READ:
		return uring_read_done(f, i, cqe.res);
	case TAG_WRITE:
		return uring_write_done(f, i, cqe.res);
	}
	return false;
}

/* There is nothing that it does by itself: what is armed completes. */
static inline bool uring_handle(struct fault_consumer *f)
{
	return uring_step(f, EQ_QUIET_MS);
}

static inline bool uring_answer(struct fault_consumer *f, __u32 grpid,
				__u32 cookie)
{
	unsigned int i = 0;

	while (f->nr_writes == MAX_WRITES)
		if (!uring_step(f, f->c.patience))
			return WRONG(&f->c, "WRITEs do not complete");
	while (f->write_busy[i])
		i++;
	f->writes[i].cookie = cookie;
	f->writes[i].code = IOMMUFD_PAGE_RESP_SUCCESS;
	f->write_grpid[i] = grpid;
	f->write_busy[i] = true;
	f->nr_writes++;
	return uring_submit(f, IORING_OP_WRITE, f->c.queue.fd, &f->writes[i],
			    EQ_RESPONSE_LEN, TAG_WRITE | i);
}

static inline bool uring_open(struct fault_consumer *f)
{
	int rc = eq_ring_init(&f->ring, 0);

	f->started = false;
	return rc ? FATAL(&f->c, "io_uring_setup: %s", strerror(-rc)) : true;
}

/* An armed READ holds the file, so it is taken back. Its thread may be gone. */
static inline bool uring_close(struct fault_consumer *f)
{
	struct io_uring_cqe cqe;
	unsigned int i;

	for (i = 0; f->nr_armed && i < f->program->nr_armed; i++)
		if (!uring_submit(f, IORING_OP_ASYNC_CANCEL, -1,
				  (void *)(uintptr_t)(TAG_READ | i), 0,
				  TAG_CANCEL))
			return false;
	while (f->nr_armed) {
		if (eq_ring_wait(&f->ring, f->c.patience, &cqe))
			return WRONG(&f->c, "%u READs cannot be cancelled",
				     f->nr_armed);
		if ((cqe.user_data & TAG_MASK) != TAG_READ)
			continue;
		f->nr_armed--;
		/* A fault that it took away is answered with the queue. */
		if (cqe.res != -ECANCELED && cqe.res != EQ_FAULT_LEN)
			return FATAL(&f->c, "cancelled READ completed with %d",
				     cqe.res);
	}
	eq_ring_fini(&f->ring);
	return true;
}

static const struct fault_program qemu_uring = {
	.nr_armed = 1,
	.step = uring_step,
	.handle = uring_handle,
	.answer = uring_answer,
	.open = uring_open,
	.close = uring_close,
};

/* The same, in a greater hurry. */
static const struct fault_program qemu_uring_four = {
	.nr_armed = 4,
	.offset = -1,
	.step = uring_step,
	.handle = uring_handle,
	.answer = uring_answer,
	.open = uring_open,
	.close = uring_close,
};

/* All of them */

static inline bool fault_open(struct fault_consumer *f,
			      const struct eq_queue *queue)
{
	f->c.queue = *queue;
	f->nr_open = 0;
	if (f->program->nonblock && !consumer_nonblock(&f->c))
		return FATAL(&f->c, "O_NONBLOCK: %s", strerror(errno));
	return !f->program->open || f->program->open(f);
}

static inline bool fault_close(struct fault_consumer *f)
{
	return (!f->program->close || f->program->close(f)) &&
	       consumer_close(&f->c);
}

/* Wait for the results of answers. */
static inline bool fault_flush(struct fault_consumer *f)
{
	while (f->nr_writes)
		if (!f->program->step(f, f->c.patience))
			return WRONG(&f->c, "%u answers have no result",
				     f->nr_writes);
	return !f->c.failed;
}

/* The guest answers up to @max of the faults it knows, the newest first. */
static inline bool guest_answers(struct fault_consumer *f, unsigned int max)
{
	while (f->nr_open && max--) {
		f->nr_open--;
		if (!f->program->answer(f, f->open[f->nr_open].grpid,
					f->open[f->nr_open].cookie))
			return false;
	}
	return fault_flush(f);
}

/* The program's own thread, with a guest that answers soon */
static inline long fault_loop(void *arg)
{
	struct fault_consumer *f = arg;

	while (!consumer_stopped(&f->c) && !consumer_failed(&f->c)) {
		f->program->step(f, -1);
		/* While answers are on their way, more faults may come. */
		while (f->nr_open && guest_answers(f, MAX_FAULTS))
			;
	}
	return 0;
}

#endif
