/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Replicas of the programs that read vIOMMU event queues, and a ledger that
 * takes down what their records say by the rules of the uAPI. The payload is
 * that of the mock, the loops are theirs. No test cases here.
 */
#ifndef __IOMMUFD_EVENTQ_CONSUMERS_VIOMMU_H
#define __IOMMUFD_EVENTQ_CONSUMERS_VIOMMU_H

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "iommufd_eventq_consumers.h"

#define OTHER_VIRT_ID (EQ_VIRT_ID + 1)

struct vevent_consumer;

/*
 * @depth, @batch: of the queue, and the number of records of a read
 * @nonblock: sets O_NONBLOCK
 * @epoll: what it asks epoll for; 0 if it does without
 * @counts_header: a LOST header is one lost event more in its count
 * @resyncs: after a LOST header it starts to count anew
 * @step: a turn of its loop, with one read that brings records; false if there
 *        were none within @ms, or it was told to stop, or failed
 * @handle: what it does when it takes the queue for ready
 * @agrees: its own count of events is what it can be, of so many raised
 */
struct vevent_program {
	__u32 depth;
	unsigned int batch;
	bool nonblock;
	__u32 epoll;
	bool counts_header;
	bool resyncs;
	bool (*step)(struct vevent_consumer *v, int ms);
	bool (*handle)(struct vevent_consumer *v);
	bool (*agrees)(struct vevent_consumer *v, unsigned long raised);
};

struct vevent_consumer {
	struct consumer c;
	const struct vevent_program *program;

	/* What the program itself keeps */
	struct {
		bool started;
		__u32 last;
		unsigned long events, lost, overflows;
	} books;

	struct {
		__u32 next;
		bool at_header;
		unsigned long events, headers, lost;
	} ledger;
};

/* The ledger */

static inline bool ledger_header(struct vevent_consumer *v,
				 const struct iommufd_vevent_header *header)
{
	bool lost = header->flags & IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
	__u32 gap = (header->sequence - v->ledger.next) & INT_MAX;

	if (header->flags & ~IOMMU_VEVENTQ_FLAG_LOST_EVENTS ||
	    header->sequence > INT_MAX || gap > INT_MAX / 2)
		return WRONG(&v->c, "flags %#x, sequence %u where %u was due",
			     header->flags, header->sequence, v->ledger.next);
	v->ledger.next = (header->sequence + 1) & INT_MAX;
	v->ledger.lost += gap + lost;
	v->ledger.headers += lost;
	v->ledger.events += !lost;
	v->ledger.at_header = lost;
	__atomic_store_n(&v->c.taken, v->ledger.events + v->ledger.lost,
			 __ATOMIC_RELEASE);
	return true;
}

static inline bool ledger_event(struct vevent_consumer *v,
				const struct eq_vevent *record)
{
	if (record->event.virt_id != EQ_VIRT_ID &&
	    record->event.virt_id != OTHER_VIRT_ID)
		return WRONG(&v->c, "event %u is of device %#x",
			     record->header.sequence, record->event.virt_id);
	return ledger_header(v, &record->header);
}

/*
 * QEMU, smmuv3-accel and tegra241-cmdqv: a handler of the main loop that reads
 * one record. It takes 0 for an error of the read.
 */

static inline bool qemu_viommu_handle(struct vevent_consumer *v)
{
	struct eq_vevent record = {};
	long len = eq_read(v->c.queue.fd, &record, sizeof(record));

	if (len == -EAGAIN || len == -EINTR)
		return false;
	if (!len)
		return FATAL(&v->c, "read returned 0 on an empty queue");
	if (len < 0)
		return FATAL(&v->c, "read failed: %s", strerror(-len));
	if (len == EQ_HEADER_LEN &&
	    record.header.flags & IOMMU_VEVENTQ_FLAG_LOST_EVENTS) {
		v->books.overflows++;
		if (v->program->resyncs)
			v->books.started = false;
		return ledger_header(v, &record.header);
	}
	if (len < EQ_VEVENT_LEN)
		return FATAL(&v->c, "short read of %ld bytes", len);

	/* It knows nothing of the wrap at INT_MAX. */
	if (v->books.started)
		v->books.lost += (__u32)(record.header.sequence -
					 v->books.last - 1);
	v->books.last = record.header.sequence;
	v->books.started = true;
	v->books.events++;
	return ledger_event(v, &record);
}

static inline bool qemu_viommu_step(struct vevent_consumer *v, int ms)
{
	return consumer_poll(&v->c, ms) && qemu_viommu_handle(v);
}

/*
 * It says that the queue overflowed, without a number. Where it starts to count
 * anew it never learns that; else it does from the next event.
 */
static inline bool qemu_viommu_agrees(struct vevent_consumer *v,
				      unsigned long raised)
{
	bool vague = v->program->resyncs ? v->books.overflows :
					   v->ledger.at_header;
	unsigned long known = v->books.events + v->books.lost;

	return v->books.overflows == v->ledger.headers &&
	       (vague ? known < raised : known == raised);
}

/* Stands for whatever depth the guest gave its queue. */
static const struct vevent_program qemu_smmuv3 = {
	.depth = 128,
	.batch = 1,
	.nonblock = true,
	.resyncs = true,
	.step = qemu_viommu_step,
	.handle = qemu_viommu_handle,
	.agrees = qemu_viommu_agrees,
};

/* The real depth, 65536, would make the tests slow. */
static const struct vevent_program qemu_tegra241 = {
	.depth = 256,
	.batch = 1,
	.nonblock = true,
	.step = qemu_viommu_step,
	.handle = qemu_viommu_handle,
	.agrees = qemu_viommu_agrees,
};

/*
 * The two VMMs in Rust read many records at once and count alike: the
 * difference of sequences modulo 2^31, none before the first.
 */

#define RUST_BATCH_MAX 64

static inline bool rust_decode(struct vevent_consumer *v, const char *pos,
			       long len)
{
	struct eq_vevent record;
	__u32 gap;

	while (len > 0) {
		if (len < EQ_HEADER_LEN)
			return FATAL(&v->c, "truncated header");
		memcpy(&record, pos, EQ_HEADER_LEN);
		gap = v->books.started ?
		      (record.header.sequence - v->books.last) & INT_MAX : 0;
		v->books.lost += gap ? gap - 1 : 0;
		v->books.last = record.header.sequence;
		v->books.started = true;

		if (record.header.flags & IOMMU_VEVENTQ_FLAG_LOST_EVENTS) {
			v->books.overflows++;
			v->books.lost += v->program->counts_header;
			if (!ledger_header(v, &record.header))
				return false;
			pos += EQ_HEADER_LEN;
			len -= EQ_HEADER_LEN;
			continue;
		}
		if (len < EQ_VEVENT_LEN)
			return FATAL(&v->c, "truncated record");
		memcpy(&record, pos, EQ_VEVENT_LEN);
		v->books.events++;
		if (!ledger_event(v, &record))
			return false;
		pos += EQ_VEVENT_LEN;
		len -= EQ_VEVENT_LEN;
	}
	return true;
}

static inline bool rust_agrees(struct vevent_consumer *v, unsigned long raised)
{
	unsigned long lost = v->books.lost;

	if (!v->program->counts_header)
		lost += v->books.overflows;
	return v->books.overflows == v->ledger.headers &&
	       v->books.events + lost == raised;
}

/* OpenVMM: a task that ends at any error, and takes 0 for nothing there yet. */
static inline bool openvmm_handle(struct vevent_consumer *v)
{
	char buf[RUST_BATCH_MAX * EQ_VEVENT_LEN];
	long len = eq_read(v->c.queue.fd, buf, v->program->batch * EQ_VEVENT_LEN);

	if (!len || len == -EINTR)
		return false;
	if (len < 0)
		return FATAL(&v->c, "read failed, the task ends: %s",
			     strerror(-len));
	return rust_decode(v, buf, len);
}

/* It reads first, and waits for an edge only when there was nothing. */
static inline bool openvmm_step(struct vevent_consumer *v, int ms)
{
	while (!openvmm_handle(v))
		if (consumer_failed(&v->c) || !consumer_epoll(&v->c, ms))
			return false;
	return true;
}

static const struct vevent_program openvmm = {
	.depth = 256,
	.batch = 16,
	.epoll = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET,
	.counts_header = true,
	.step = openvmm_step,
	.handle = openvmm_handle,
	.agrees = rust_agrees,
};

/* cloud-hypervisor: a thread with epoll, at ease with 0 and with EAGAIN. */
static inline bool cloud_hypervisor_handle(struct vevent_consumer *v)
{
	char buf[RUST_BATCH_MAX * EQ_VEVENT_LEN];
	long len = eq_read(v->c.queue.fd, buf, v->program->batch * EQ_VEVENT_LEN);

	if (!len || len == -EAGAIN)
		return false;
	if (len < 0)
		return FATAL(&v->c, "read failed: %s", strerror(-len));
	return rust_decode(v, buf, len);
}

static inline bool cloud_hypervisor_step(struct vevent_consumer *v, int ms)
{
	return consumer_epoll(&v->c, ms) && cloud_hypervisor_handle(v);
}

static const struct vevent_program cloud_hypervisor = {
	.depth = 64,
	.batch = 64,
	.epoll = EPOLLIN,
	.step = cloud_hypervisor_step,
	.handle = cloud_hypervisor_handle,
	.agrees = rust_agrees,
};

static const struct vevent_program cloud_hypervisor_nonblock = {
	.depth = 64,
	.batch = 64,
	.nonblock = true,
	.epoll = EPOLLIN,
	.step = cloud_hypervisor_step,
	.handle = cloud_hypervisor_handle,
	.agrees = rust_agrees,
};

/*
 * The iommufd selftest: waits, and reads some records. It looks at the first of
 * them alone; here all are taken apart.
 */
static inline bool selftest_viommu_handle(struct vevent_consumer *v)
{
	char buf[RUST_BATCH_MAX * EQ_VEVENT_LEN];
	long len;

	if (!consumer_poll(&v->c, 0))
		return false;
	len = eq_read(v->c.queue.fd, buf, v->program->batch * EQ_VEVENT_LEN);
	if (len <= 0)
		return FATAL(&v->c, "read returned %ld after poll", len);
	return rust_decode(v, buf, len);
}

static inline bool selftest_viommu_step(struct vevent_consumer *v, int ms)
{
	return consumer_poll(&v->c, ms) && selftest_viommu_handle(v);
}

/* It keeps no count. */
static inline bool selftest_viommu_agrees(struct vevent_consumer *v,
					  unsigned long raised)
{
	return true;
}

static const struct vevent_program selftest_viommu = {
	.depth = 16,
	.batch = 8,
	.step = selftest_viommu_step,
	.handle = selftest_viommu_handle,
	.agrees = selftest_viommu_agrees,
};

/* All of them */

static inline bool vevent_open(struct vevent_consumer *v, __u32 viommu,
			       __u32 depth)
{
	const struct vevent_program *program = v->program;
	struct consumer *c = &v->c;
	int rc = eq_vevent_queue(c->iommu, viommu, IOMMU_VEVENTQ_TYPE_SELFTEST,
				 EQ_NO_WAIT, depth, &c->queue);

	if (rc)
		return FATAL(c, "IOMMU_VEVENTQ_ALLOC: %s", strerror(-rc));
	/* A new queue, new books */
	memset(&v->books, 0, sizeof(v->books));
	memset(&v->ledger, 0, sizeof(v->ledger));
	c->taken = 0;
	if (program->nonblock && !consumer_nonblock(c))
		return FATAL(c, "O_NONBLOCK: %s", strerror(errno));
	if (program->epoll && !consumer_watch(c, program->epoll))
		return FATAL(c, "epoll: %s", strerror(errno));
	return true;
}

/* Let the program run until it has heard of @nr events, and no further. */
static inline bool vevent_settle(struct vevent_consumer *v, unsigned long nr)
{
	while (v->c.taken < nr)
		if (!v->program->step(v, v->c.patience))
			return WRONG(&v->c, "heard of %lu of %lu events",
				     v->c.taken, nr);
	if (v->program->step(v, 0))
		return WRONG(&v->c, "more came after %lu events", nr);
	return !v->c.failed;
}

/* Nothing failed, and of @raised events all are accounted for. */
static inline bool vevent_right(struct vevent_consumer *v, unsigned long raised)
{
	if (v->c.failed)
		return false;
	if (v->ledger.events + v->ledger.lost != raised ||
	    v->ledger.next != raised)
		return WRONG(&v->c, "%lu raised, %lu came, %lu are said lost",
			     raised, v->ledger.events, v->ledger.lost);
	if (!v->program->agrees(v, raised))
		return WRONG(&v->c, "%lu raised; it counts %lu, %lu lost, %lu overflows",
			     raised, v->books.events, v->books.lost,
			     v->books.overflows);
	return true;
}

/* The program's own thread */
static inline long vevent_loop(void *arg)
{
	struct vevent_consumer *v = arg;

	while (!consumer_stopped(&v->c) && !consumer_failed(&v->c))
		v->program->step(v, -1);
	return 0;
}

#endif
