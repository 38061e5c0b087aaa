// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring of event queues whose records may be lost, and the source, by which a
 * producer finds the queue of a type. Built in, because IOMMU drivers call it and
 * iommufd may be a module.
 *
 * Records lie ready to be copied in a ring that is allocated, and charged, with
 * the queue. A report allocates nothing, cannot fail for lack of memory and takes
 * constant time.
 *
 * An event that finds the ring full is lost: it takes a sequence number and is
 * counted. If no event follows, user space learns of it from a header with
 * IOMMU_VEVENTQ_FLAG_LOST_EVENTS at the end of the queue, else from the gap in the
 * sequence.
 */
#include <linux/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/vmalloc.h>

#include "eventq_ring.h"
#include "iommufd_private.h"
#include "trace.h"

static struct iommufd_eventq_ring *to_ring(struct iommufd_eventq *eventq)
{
	return container_of(eventq, struct iommufd_eventq_ring, common);
}

static size_t ring_stride(const struct iommufd_eventq_ring *ring)
{
	return sizeof(struct iommufd_vevent_header) + ring->payload;
}

/* Number of events in the ring */
static u32 ring_nr_events(struct iommufd_eventq_ring *ring)
{
	lockdep_assert_held(&ring->common.wait.lock);
	return ring->common.queued - ring->lost_pending;
}

/* The first slot that is free, of a ring that is not full */
static void *ring_free_slot(struct iommufd_eventq_ring *ring)
{
	u32 slot = ring->head + ring_nr_events(ring);

	if (slot >= ring->depth)
		slot -= ring->depth;
	return ring->slots + slot * ring_stride(ring);
}

static void ring_remove_lost_header(struct iommufd_eventq_ring *ring)
{
	ring->lost_pending = false;
	iommufd_eventq_remove(&ring->common, 1,
			      sizeof(struct iommufd_vevent_header));
}

static void ring_store(struct iommufd_eventq_ring *ring, const void *event_data)
{
	struct iommufd_vevent_header *header = ring_free_slot(ring);

	trace_eventq_ring_report(&ring->common, ring->type, ring->sequence);
	header->flags = 0;
	header->sequence = ring->sequence;
	memcpy(header + 1, event_data, ring->payload);
	iommufd_eventq_add(&ring->common, ring_stride(ring));
	/* The gap in front of this event says what the LOST header would say */
	if (ring->lost_pending)
		ring_remove_lost_header(ring);
}

/*
 * Of events that are lost in a row the first wakes waiters: the ring was full, but
 * the reader may have emptied it since. Of a closed queue nobody will read, but the
 * count goes on.
 */
static void ring_lose(struct iommufd_eventq_ring *ring)
{
	ring->nr_lost++;
	trace_eventq_ring_lost(&ring->common, ring->type, ring->sequence,
			       ring->nr_lost);
	ring->lost_sequence = ring->sequence;
	if (!ring->lost_pending && !ring->common.closed) {
		ring->lost_pending = true;
		iommufd_eventq_add(&ring->common,
				   sizeof(struct iommufd_vevent_header));
	}
}

static struct iommufd_eventq_ring *
source_find(struct iommufd_eventq_source *source, u32 type)
{
	struct iommufd_eventq_ring *ring;

	lockdep_assert_held(&source->lock);

	list_for_each_entry(ring, &source->queues, node)
		if (ring->type == type)
			return ring;
	return NULL;
}

/**
 * iommufd_eventq_source_init() - Prepare a producer for event queues
 * @source: the source in the producer's structure
 *
 * Context: Any.
 */
void iommufd_eventq_source_init(struct iommufd_eventq_source *source)
{
	spin_lock_init(&source->lock);
	INIT_LIST_HEAD(&source->queues);
}
EXPORT_SYMBOL_NS_GPL(iommufd_eventq_source_init, "IOMMUFD_INTERNAL");

/**
 * iommufd_eventq_source_report() - Report an event to the queue of its type
 * @source: where it comes from
 * @type: its type
 * @event_data: the payload
 * @size: its size in bytes, that of @type in @source
 *
 * The event is lost if the queue is full or its file closed: it takes a sequence
 * number and is counted.
 *
 * Context: Any up to hard IRQ, if the handler is one that could be forced into a
 * thread. On PREEMPT_RT, call it from thread context. Takes @source->lock and the
 * queue lock.
 * Return:
 * * 0: the event was stored or counted as lost
 * * -EOPNOTSUPP: @source has no queue of @type
 * * -EINVAL, with a warning: @size is not that of the queue's payload
 */
int iommufd_eventq_source_report(struct iommufd_eventq_source *source, u32 type,
				 const void *event_data, size_t size)
{
	struct iommufd_eventq_ring *ring;

	/* The queue is unlinked under this lock before it is freed */
	guard(spinlock_irqsave)(&source->lock);
	ring = source_find(source, type);
	if (!ring)
		return -EOPNOTSUPP;
	if (WARN_ON_ONCE(size != ring->payload))
		return -EINVAL;

	guard(spinlock)(&ring->common.wait.lock);
	if (ring->common.closed || ring_nr_events(ring) == ring->depth)
		ring_lose(ring);
	else
		ring_store(ring, event_data);
	ring->sequence = (ring->sequence + 1) & INT_MAX;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iommufd_eventq_source_report, "IOMMUFD_INTERNAL");

/**
 * iommufd_eventq_ring_init() - Give a queue its ring and let reports find it
 * @ring: the queue, after iommufd_eventq_setup()
 * @source: whose events it is to store; outlives the queue
 * @type: type of the events
 * @depth: number of events that it holds, not 0
 * @payload: size in bytes of the payload of an event, not 0
 *
 * Takes all memory that the queue will ever need, charged to the caller. Beyond a
 * page it comes in whole pages, where kmalloc() would round up to a power of two.
 * iommufd_eventq_ring_free() undoes it, also if it failed.
 *
 * Context: Process context.
 * Return:
 * * 0 on success
 * * -ENOMEM: not enough memory for @depth
 * * -EEXIST: @source has a queue of @type
 */
int iommufd_eventq_ring_init(struct iommufd_eventq_ring *ring,
			     struct iommufd_eventq_source *source, u32 type,
			     u32 depth, u32 payload)
{
	size_t size;

	ring->type = type;
	ring->depth = depth;
	ring->payload = payload;
	size = size_mul(depth, ring_stride(ring));
	ring->slots = size > PAGE_SIZE ? __vmalloc(size, IOMMUFD_EVENTQ_GFP) :
					 kmalloc(size, IOMMUFD_EVENTQ_GFP);
	if (!ring->slots)
		return -ENOMEM;

	guard(spinlock_irq)(&source->lock);
	if (source_find(source, type))
		return -EEXIST;
	ring->source = source;
	list_add_tail(&ring->node, &source->queues);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iommufd_eventq_ring_init, "IOMMUFD_INTERNAL");

/**
 * iommufd_eventq_ring_free() - Undo iommufd_eventq_ring_init(), even if it failed
 * @ring: the queue; its file is closed for good or was never made
 *
 * Context: Process context.
 */
void iommufd_eventq_ring_free(struct iommufd_eventq_ring *ring)
{
	if (ring->source) {
		guard(spinlock_irq)(&ring->source->lock);
		list_del(&ring->node);
	}
	/* The queue was never closed if its file was not made */
	kvfree(ring->slots);
}
EXPORT_SYMBOL_NS_GPL(iommufd_eventq_ring_free, "IOMMUFD_INTERNAL");

/**
 * iommufd_eventq_ring_stage() - &iommufd_eventq_ops.stage of a ring
 * @eventq: the queue
 * @room: size in bytes of the reader's buffer
 * @chunk: set to the first records, in the ring itself, or to a LOST header
 *
 * Context: See &iommufd_eventq_ops.
 * Return: size in bytes of the records; 0 if there are none; -EINVAL if the first
 * one does not fit.
 */
int iommufd_eventq_ring_stage(struct iommufd_eventq *eventq, size_t room,
			      const void **chunk)
{
	struct iommufd_eventq_ring *ring = to_ring(eventq);
	const size_t stride = ring_stride(ring);
	size_t nr;

	guard(spinlock_irq)(&eventq->wait.lock);
	nr = ring_nr_events(ring);
	if (nr) {
		nr = min(nr, ring->depth - ring->head);
		nr = min3(nr, room / stride, IOMMUFD_EVENTQ_BATCH);
		/* What is in the ring stays as it is until @head moves on */
		*chunk = ring->slots + ring->head * stride;
		return nr ? (int)(nr * stride) : -EINVAL;
	}
	if (!ring->lost_pending)
		return 0;

	ring->lost_header.flags = IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
	ring->lost_header.sequence = ring->lost_sequence;
	*chunk = &ring->lost_header;
	return room < sizeof(ring->lost_header) ?
		       -EINVAL : (int)sizeof(ring->lost_header);
}
EXPORT_SYMBOL_NS_GPL(iommufd_eventq_ring_stage, "IOMMUFD_INTERNAL");

/**
 * iommufd_eventq_ring_settle() - &iommufd_eventq_ops.settle of a ring
 * @eventq: the queue
 * @chunk: what iommufd_eventq_ring_stage() chose
 * @copied: number of bytes of it that reached user space
 *
 * Context: See &iommufd_eventq_ops.
 * Return: size in bytes of the records that reached user space whole.
 */
size_t iommufd_eventq_ring_settle(struct iommufd_eventq *eventq,
				  const void *chunk, size_t copied)
{
	struct iommufd_eventq_ring *ring = to_ring(eventq);
	const size_t stride = ring_stride(ring);
	u32 nr;

	guard(spinlock_irq)(&eventq->wait.lock);
	if (chunk == &ring->lost_header) {
		if (copied < sizeof(ring->lost_header))
			return 0;
		/* Unless an event replaced it, or more were lost meanwhile */
		if (ring->lost_pending &&
		    ring->lost_sequence == ring->lost_header.sequence)
			ring_remove_lost_header(ring);
		return sizeof(ring->lost_header);
	}

	nr = copied / stride;
	ring->head += nr;
	if (ring->head == ring->depth)
		ring->head = 0;
	iommufd_eventq_remove(eventq, nr, nr * stride);
	return nr * stride;
}
EXPORT_SYMBOL_NS_GPL(iommufd_eventq_ring_settle, "IOMMUFD_INTERNAL");

/**
 * iommufd_eventq_ring_close() - &iommufd_eventq_ops.close of a ring
 * @eventq: the queue
 *
 * Events that nobody read are lost. The ring is freed: a closed queue stores
 * nothing.
 *
 * Context: Process context.
 */
void iommufd_eventq_ring_close(struct iommufd_eventq *eventq)
{
	struct iommufd_eventq_ring *ring = to_ring(eventq);
	void *slots;

	spin_lock_irq(&eventq->wait.lock);
	ring->nr_lost += ring_nr_events(ring);
	ring->lost_pending = false;
	iommufd_eventq_remove(eventq, eventq->queued, eventq->bytes);
	slots = ring->slots;
	ring->slots = NULL;
	spin_unlock_irq(&eventq->wait.lock);
	kvfree(slots);
}
EXPORT_SYMBOL_NS_GPL(iommufd_eventq_ring_close, "IOMMUFD_INTERNAL");

/**
 * iommufd_eventq_ring_show_fdinfo() - &iommufd_eventq_ops.show_fdinfo of a ring
 * @eventq: the queue
 * @m: where to print
 *
 * Context: Process context.
 */
void iommufd_eventq_ring_show_fdinfo(struct iommufd_eventq *eventq,
				     struct seq_file *m)
{
	struct iommufd_eventq_ring *ring = to_ring(eventq);
	u32 sequence;
	u64 nr_lost;

	spin_lock_irq(&eventq->wait.lock);
	sequence = ring->sequence;
	nr_lost = ring->nr_lost;
	spin_unlock_irq(&eventq->wait.lock);

	seq_printf(m, "type:\t%u\n", ring->type);
	seq_printf(m, "depth:\t%u\n", ring->depth);
	seq_printf(m, "lost:\t%llu\n", nr_lost);
	seq_printf(m, "next-sequence:\t%u\n", sequence);
}
EXPORT_SYMBOL_NS_GPL(iommufd_eventq_ring_show_fdinfo, "IOMMUFD_INTERNAL");
