// SPDX-License-Identifier: GPL-2.0-only
/*
 * The event queue class for vIOMMU events: errors that the hardware found with
 * what a guest set up, reported by IOMMU drivers from whatever context they
 * learn of them, read as struct iommufd_vevent_header and the payload of the
 * type. All about that kind of queue is in this file: allocation ioctl, record
 * formats, reporting, overflow.
 *
 * Records lie ready to be copied in a ring that is allocated, and charged, with
 * the queue. So a report allocates nothing, cannot fail for lack of memory and
 * takes constant time; records go to user space straight out of the ring, many
 * in one copy, and are not overwritten before the reader has taken them off.
 *
 * When the ring is full, an event is lost: it takes a sequence number and is
 * counted. If no event follows, user space learns of it from a header with
 * IOMMU_VEVENTQ_FLAG_LOST_EVENTS at the end, else from the gap in the sequence.
 */
#include <linux/iommufd.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/vmalloc.h>
#include <uapi/linux/iommufd.h>

#include "eventq.h"
#include "iommufd_private.h"
#include "iommufd_test.h"
#include "trace.h"

/* More than the event queue of any hardware there is holds (SMMUv3: 2^19) */
#define VIOMMU_EVENTQ_MAX_DEPTH (512 * 1024)

/*
 * The type of a queue decides the size of its payload, and nothing else.
 *
 * The @ring has @depth slots of @stride bytes each. Reports, which hold the queue
 * lock, store at @tail, and @stored counts what they stored; the reader takes off
 * at @head, without that lock, and iommufd_eventq::taken counts that. Both
 * counters may wrap.
 *
 * Under the queue lock: @sequence, which the next event takes; @nr_lost, the
 * events lost since ever; @lost_pending, that user space has to be told of the
 * loss by a header with the sequence number @lost_sequence. @lost_header is the
 * reader's copy of that header.
 */
struct iommufd_viommu_eventq {
	struct iommufd_eventq common;
	struct iommufd_viommu *viommu;
	struct list_head node; /* iommufd_viommu::veventqs */
	enum iommu_veventq_type type;

	void *ring;
	u32 depth;
	u32 stride;
	u32 tail;
	u32 stored;
	u32 sequence;
	u32 lost_sequence;
	bool lost_pending;
	u64 nr_lost;

	/* Apart from what reports write */
	u32 head ____cacheline_aligned_in_smp;
	struct iommufd_vevent_header lost_header;
};

static struct iommufd_viommu_eventq *
to_viommu_eventq(struct iommufd_eventq *eventq)
{
	return container_of(eventq, struct iommufd_viommu_eventq, common);
}

/* Size in bytes of the payload that goes with a type; 0 for unknown types */
static u32 viommu_event_size(u32 type)
{
	static const struct {
		u32 type;
		u32 size;
	} formats[] = {
		{ IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
		  sizeof(struct iommu_vevent_arm_smmuv3) },
		{ IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV,
		  sizeof(struct iommu_vevent_tegra241_cmdqv) },
#ifdef CONFIG_IOMMUFD_TEST
		{ IOMMU_VEVENTQ_TYPE_SELFTEST,
		  sizeof(struct iommu_viommu_event_selftest) },
#endif
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i].type == type)
			return formats[i].size;
	return 0;
}

static u32 viommu_event_payload(const struct iommufd_viommu_eventq *veventq)
{
	return veventq->stride - sizeof(struct iommufd_vevent_header);
}

static void *viommu_event_slot(struct iommufd_viommu_eventq *veventq, u32 i)
{
	return veventq->ring + (size_t)i * veventq->stride;
}

/* Whether a report finds no slot */
static bool viommu_event_is_full(const struct iommufd_viommu_eventq *veventq)
{
	/* What is taken has been read: pairs with iommufd_eventq_take() */
	u32 taken = smp_load_acquire(&veventq->common.taken);

	return veventq->stored - taken == veventq->depth;
}

/*
 * Tracing, out of the way of reports: as arguments of a tracepoint, what lies in
 * memory would be loaded even if that is off.
 */
static noinline void
viommu_trace_report(const struct iommufd_viommu_eventq *veventq)
{
	trace_call__eventq_viommu_report(&veventq->common,
					 veventq->viommu->obj.id,
					 veventq->type, veventq->sequence);
}

static noinline void
viommu_trace_lost(const struct iommufd_viommu_eventq *veventq)
{
	trace_call__eventq_viommu_lost(&veventq->common,
				       veventq->viommu->obj.id, veventq->type,
				       veventq->sequence, veventq->nr_lost);
}

static void viommu_event_store(struct iommufd_viommu_eventq *veventq,
			       const void *event_data)
{
	struct iommufd_vevent_header *header =
		viommu_event_slot(veventq, veventq->tail);

	if (trace_eventq_viommu_report_enabled())
		viommu_trace_report(veventq);
	header->flags = 0;
	header->sequence = veventq->sequence;
	memcpy(header + 1, event_data, viommu_event_payload(veventq));
	if (++veventq->tail == veventq->depth)
		veventq->tail = 0;

	/*
	 * Before the reader can take it off. The gap in front of this event tells
	 * of the lost ones, so it takes the place of their header in the number of
	 * records, which is never too low for somebody who was told of one.
	 */
	if (!veventq->lost_pending)
		__iommufd_eventq_add(&veventq->common);
	/* The record first: pairs with viommu_event_count() */
	smp_store_release(&veventq->stored, veventq->stored + 1);

	veventq->lost_pending = false;
	iommufd_eventq_wake(&veventq->common);
}

/*
 * One wake-up for all that are lost in a row: the ring was full, but the reader
 * may have emptied it since. On a closed queue there is nobody to tell, but the
 * count goes on.
 */
static void viommu_event_lose(struct iommufd_viommu_eventq *veventq)
{
	veventq->nr_lost++;
	if (trace_eventq_viommu_lost_enabled())
		viommu_trace_lost(veventq);
	veventq->lost_sequence = veventq->sequence;
	if (!veventq->lost_pending && !veventq->common.closed) {
		veventq->lost_pending = true;
		iommufd_eventq_add(&veventq->common);
	}
}

static struct iommufd_viommu_eventq *
viommu_find_eventq(struct iommufd_viommu *viommu, u32 type)
{
	struct iommufd_viommu_eventq *veventq;

	lockdep_assert_held(&viommu->veventqs_lock);

	list_for_each_entry(veventq, &viommu->veventqs, node)
		if (veventq->type == type)
			return veventq;
	return NULL;
}

/*
 * &iommufd_viommu.report_event, where iommufd_viommu_report_event() leads. The
 * queue cannot be freed meanwhile, as it is unlinked under veventqs_lock before.
 */
static int viommu_report_event(struct iommufd_viommu *viommu,
			       enum iommu_veventq_type type, void *event_data,
			       size_t data_len)
{
	struct iommufd_viommu_eventq *veventq;
	unsigned long flags;
	int rc = 0;

	if (WARN_ON_ONCE(!event_data))
		return -EINVAL;

	spin_lock_irqsave(&viommu->veventqs_lock, flags);
	veventq = viommu_find_eventq(viommu, type);
	if (!veventq) {
		rc = -EOPNOTSUPP;
		goto out_unlock;
	}
	if (WARN_ON_ONCE(data_len != viommu_event_payload(veventq))) {
		rc = -EINVAL;
		goto out_unlock;
	}

	spin_lock(&veventq->common.wait.lock);
	if (veventq->common.closed || viommu_event_is_full(veventq))
		viommu_event_lose(veventq);
	else
		viommu_event_store(veventq, event_data);
	veventq->sequence = (veventq->sequence + 1) & INT_MAX;
	spin_unlock(&veventq->common.wait.lock);

out_unlock:
	spin_unlock_irqrestore(&viommu->veventqs_lock, flags);
	return rc;
}

/* Number of records for the reader */
static u32 viommu_event_count(const struct iommufd_viommu_eventq *veventq)
{
	/* What is counted is there for good: pairs with viommu_event_store() */
	u32 stored = smp_load_acquire(&veventq->stored);

	return stored - veventq->common.taken;
}

static int viommu_stage_lost(struct iommufd_viommu_eventq *veventq,
			     size_t room, const void **chunk)
{
	struct iommufd_vevent_header *header = &veventq->lost_header;

	iommufd_eventq_assert_locked(&veventq->common);

	if (!veventq->lost_pending)
		return 0;
	header->flags = IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
	header->sequence = veventq->lost_sequence;
	*chunk = header;
	return room < sizeof(*header) ? -EINVAL : (int)sizeof(*header);
}

static int viommu_stage_events(struct iommufd_viommu_eventq *veventq, u32 count,
			       size_t room, const void **chunk)
{
	size_t nr = min3((size_t)count, (size_t)veventq->depth - veventq->head,
			 room / veventq->stride);

	*chunk = viommu_event_slot(veventq, veventq->head);
	return nr ? (int)(nr * veventq->stride) : -EINVAL;
}

/*
 * The records up to the end of the ring, or the LOST header behind the last. That
 * one can be replaced by an event at any time, so that it takes the queue lock to
 * find whether it is the first; to find nothing, or an event, it does not.
 */
static int viommu_stage(struct iommufd_eventq *eventq, size_t room,
			const void **chunk)
{
	struct iommufd_viommu_eventq *veventq = to_viommu_eventq(eventq);
	u32 count = viommu_event_count(veventq);

	if (likely(count))
		return viommu_stage_events(veventq, count, room, chunk);
	if (!iommufd_eventq_queued(eventq))
		return 0;

	guard(spinlock_irq)(&eventq->wait.lock);
	count = viommu_event_count(veventq);
	return count ? viommu_stage_events(veventq, count, room, chunk) :
		       viommu_stage_lost(veventq, room, chunk);
}

/* Unless an event has replaced it, or more were lost since */
static void viommu_settle_lost(struct iommufd_viommu_eventq *veventq)
{
	guard(spinlock_irq)(&veventq->common.wait.lock);
	if (veventq->lost_pending &&
	    veventq->lost_sequence == veventq->lost_header.sequence) {
		veventq->lost_pending = false;
		iommufd_eventq_remove(&veventq->common, 1);
	}
}

static size_t viommu_settle(struct iommufd_eventq *eventq, const void *chunk,
			    size_t staged, size_t copied)
{
	struct iommufd_viommu_eventq *veventq = to_viommu_eventq(eventq);
	u32 nr;

	if (unlikely(chunk == &veventq->lost_header)) {
		if (copied < staged)
			return 0;
		viommu_settle_lost(veventq);
		return staged;
	}

	nr = copied / veventq->stride;
	veventq->head += nr;
	if (veventq->head == veventq->depth)
		veventq->head = 0;
	iommufd_eventq_take(eventq, nr);
	return (size_t)nr * veventq->stride;
}

static void viommu_close(struct iommufd_eventq *eventq)
{
	struct iommufd_viommu_eventq *veventq = to_viommu_eventq(eventq);

	spin_lock_irq(&eventq->wait.lock);
	veventq->nr_lost += veventq->stored - eventq->taken;
	veventq->lost_pending = false;
	iommufd_eventq_remove(eventq, iommufd_eventq_queued(eventq));
	spin_unlock_irq(&eventq->wait.lock);
}

static void viommu_show_fdinfo(struct iommufd_eventq *eventq,
			       struct seq_file *m)
{
	struct iommufd_viommu_eventq *veventq = to_viommu_eventq(eventq);
	u32 sequence;
	u64 nr_lost;

	spin_lock_irq(&eventq->wait.lock);
	sequence = veventq->sequence;
	nr_lost = veventq->nr_lost;
	spin_unlock_irq(&eventq->wait.lock);

	seq_printf(m, "viommu-id:\t%u\n", veventq->viommu->obj.id);
	seq_printf(m, "type:\t%u\n", veventq->type);
	seq_printf(m, "depth:\t%u\n", veventq->depth);
	seq_printf(m, "lost:\t%llu\n", nr_lost);
	seq_printf(m, "next-sequence:\t%u\n", sequence);
}

static const struct iommufd_eventq_ops viommu_eventq_ops = {
	.file_name = "[iommufd-viommu-event]",
	.class = "viommu",
	.min_read = sizeof(struct iommufd_vevent_header),
	.stage = viommu_stage,
	.settle = viommu_settle,
	.close = viommu_close,
	.show_fdinfo = viommu_show_fdinfo,
};

/* In whole pages beyond one, where kmalloc() would round up to a power of two */
static void *viommu_alloc_ring(const struct iommufd_viommu_eventq *veventq)
{
	size_t size = (size_t)veventq->depth * veventq->stride;

	return size > PAGE_SIZE ? __vmalloc(size, IOMMUFD_EVENTQ_GFP) :
				  kmalloc(size, IOMMUFD_EVENTQ_GFP);
}

static bool viommu_has_eventq(struct iommufd_viommu *viommu, u32 type)
{
	guard(spinlock_irq)(&viommu->veventqs_lock);
	return viommu_find_eventq(viommu, type);
}

/* Let reports find the queue; one queue per type and vIOMMU */
static int viommu_link_eventq(struct iommufd_viommu_eventq *veventq,
			      struct iommufd_viommu *viommu)
{
	int rc = 0;

	spin_lock_irq(&viommu->veventqs_lock);
	if (viommu_find_eventq(viommu, veventq->type)) {
		rc = -EEXIST;
	} else {
		veventq->viommu = viommu;
		refcount_inc(&viommu->obj.users);
		list_add_tail(&veventq->node, &viommu->veventqs);
	}
	spin_unlock_irq(&viommu->veventqs_lock);
	return rc;
}

/**
 * iommufd_viommu_eventq_alloc() - ioctl(IOMMU_VEVENTQ_ALLOC)
 * @ucmd: the ioctl, with a struct iommu_veventq_alloc
 *
 * Takes all memory that the queue will ever need: depth times the size of a
 * record, charged to the caller.
 *
 * Context: Process context.
 * Return: 0; -EOPNOTSUPP on an unknown flag or a type whose record format is
 * unknown; -EINVAL on a depth out of bounds; -ENOENT if there is no such vIOMMU;
 * -EEXIST if it has a queue of the type; -ENOMEM; or an error of
 * iommufd_eventq_publish().
 */
int iommufd_viommu_eventq_alloc(struct iommufd_ucmd *ucmd)
{
	struct iommu_veventq_alloc *cmd = ucmd->cmd;
	struct iommufd_viommu_eventq *veventq;
	struct iommufd_viommu *viommu;
	u32 size;
	int rc;

	size = viommu_event_size(cmd->type);
	if ((cmd->flags & ~IOMMUFD_EVENTQ_ALLOC_FLAGS) || cmd->__reserved ||
	    !size)
		return -EOPNOTSUPP;
	if (!cmd->veventq_depth || cmd->veventq_depth > VIOMMU_EVENTQ_MAX_DEPTH)
		return -EINVAL;

	viommu = iommufd_get_viommu(ucmd, cmd->viommu_id);
	if (IS_ERR(viommu))
		return PTR_ERR(viommu);

	/* Before anything is allocated; linking has the last word */
	if (viommu_has_eventq(viommu, cmd->type)) {
		rc = -EEXIST;
		goto out_put_viommu;
	}

	veventq = __iommufd_object_alloc_ucmd(ucmd, veventq,
					      IOMMUFD_OBJ_VEVENTQ, common.obj);
	if (IS_ERR(veventq)) {
		rc = PTR_ERR(veventq);
		goto out_put_viommu;
	}

	iommufd_eventq_setup(&veventq->common, &viommu_eventq_ops, cmd->flags);
	veventq->type = cmd->type;
	veventq->depth = cmd->veventq_depth;
	veventq->stride = sizeof(struct iommufd_vevent_header) + size;
	veventq->ring = viommu_alloc_ring(veventq);
	if (!veventq->ring) {
		rc = -ENOMEM;
		goto out_put_viommu;
	}

	rc = viommu_link_eventq(veventq, viommu);
	if (rc)
		goto out_put_viommu;

	cmd->out_veventq_id = veventq->common.obj.id;
	rc = iommufd_eventq_publish(&veventq->common, ucmd,
				    &cmd->out_veventq_fd, sizeof(*cmd));

out_put_viommu:
	iommufd_put_object(ucmd->ictx, &viommu->obj);
	return rc;
}

/**
 * iommufd_viommu_eventq_destroy() - Free a vIOMMU event queue
 * @obj: the object of the queue, perhaps of an allocation that failed half-way
 *
 * Context: Process context.
 */
void iommufd_viommu_eventq_destroy(struct iommufd_object *obj)
{
	struct iommufd_viommu_eventq *veventq =
		container_of(obj, struct iommufd_viommu_eventq, common.obj);
	struct iommufd_viommu *viommu = veventq->viommu;

	if (viommu) {
		spin_lock_irq(&viommu->veventqs_lock);
		list_del(&veventq->node);
		spin_unlock_irq(&viommu->veventqs_lock);
		refcount_dec(&viommu->obj.users);
	}
	kvfree(veventq->ring);
	iommufd_eventq_teardown(&veventq->common);
}

/**
 * iommufd_viommu_eventq_init() - Prepare a new vIOMMU for event queues
 * @viommu: the vIOMMU; its driver has not seen it yet
 *
 * Context: Any.
 */
void iommufd_viommu_eventq_init(struct iommufd_viommu *viommu)
{
	INIT_LIST_HEAD(&viommu->veventqs);
	spin_lock_init(&viommu->veventqs_lock);
	viommu->report_event = viommu_report_event;
}

#if IS_ENABLED(CONFIG_IOMMUFD_EVENTQ_KUNIT_TEST)
/**
 * iommufd_viommu_test_set_sequence() - Set what the next event takes, for tests
 * @eventq: a vIOMMU event queue
 * @sequence: its sequence, less than 2^31
 *
 * Context: Process context.
 */
void iommufd_viommu_test_set_sequence(struct iommufd_eventq *eventq,
				      u32 sequence)
{
	spin_lock_irq(&eventq->wait.lock);
	to_viommu_eventq(eventq)->sequence = sequence;
	spin_unlock_irq(&eventq->wait.lock);
}

/**
 * iommufd_viommu_test_set_stored() - Pretend that events went through, for tests
 * @eventq: a vIOMMU event queue, empty
 * @stored: number of events that were stored and read
 *
 * Context: Process context.
 */
void iommufd_viommu_test_set_stored(struct iommufd_eventq *eventq, u32 stored)
{
	guard(spinlock_irq)(&eventq->wait.lock);
	to_viommu_eventq(eventq)->stored = stored;
	iommufd_eventq_test_set_count(eventq, stored);
}
#endif
