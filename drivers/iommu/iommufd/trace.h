/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of iommufd's event queues. Those of the core tell of the file of a
 * queue, whatever its class; those of a class carry its name and tell of its
 * records. Only what identifies a record is traced, never what it says.
 *
 * Object IDs count from 1 in each iommufd context, so an event also has in
 * "owner" the process that allocated the queue. Reports come from wherever the
 * hardware is served; so what stands in front of the event says nothing of it.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM iommufd

#if !defined(_TRACE_IOMMUFD_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_IOMMUFD_H

#include <linux/iommu.h>
#include <linux/tracepoint.h>
#include <uapi/linux/iommufd.h>

#include "eventq.h"

TRACE_DEFINE_ENUM(IOMMUFD_PAGE_RESP_SUCCESS);
TRACE_DEFINE_ENUM(IOMMUFD_PAGE_RESP_INVALID);

/*
 * The core: eventq.c
 */

/* The queue got its file. If the allocation fails after that, a close follows. */
TRACE_EVENT(eventq_alloc,
	TP_PROTO(const struct iommufd_eventq *eventq),
	TP_ARGS(eventq),
	TP_STRUCT__entry(
		__field(pid_t, owner)
		__field(u32, eventq)
		__string(class, eventq->ops->class)
		__field(bool, wait_reads)
	),
	TP_fast_assign(
		__entry->owner = eventq->owner;
		__entry->eventq = eventq->obj.id;
		__assign_str(class);
		__entry->wait_reads = eventq->wait_reads;
	),
	TP_printk("owner=%d eventq=%u class=%s wait_reads=%d",
		  __entry->owner, __entry->eventq, __get_str(class),
		  __entry->wait_reads)
);

/*
 * A read returns these records. "left" is what is queued by now, in what the class
 * counts: groups, or events and the LOST header.
 */
TRACE_EVENT(eventq_read,
	TP_PROTO(struct iommufd_eventq *eventq, size_t bytes),
	TP_ARGS(eventq, bytes),
	TP_STRUCT__entry(
		__field(pid_t, owner)
		__field(u32, eventq)
		__string(class, eventq->ops->class)
		__field(size_t, bytes)
		__field(unsigned int, left)
	),
	TP_fast_assign(
		__entry->owner = eventq->owner;
		__entry->eventq = eventq->obj.id;
		__assign_str(class);
		__entry->bytes = bytes;
		__entry->left = READ_ONCE(eventq->queued);
	),
	TP_printk("owner=%d eventq=%u class=%s bytes=%zu left=%u",
		  __entry->owner, __entry->eventq, __get_str(class),
		  __entry->bytes, __entry->left)
);

/* The last close of the file, before its class finishes what is "left" queued */
TRACE_EVENT(eventq_close,
	TP_PROTO(struct iommufd_eventq *eventq),
	TP_ARGS(eventq),
	TP_STRUCT__entry(
		__field(pid_t, owner)
		__field(u32, eventq)
		__string(class, eventq->ops->class)
		__field(unsigned int, left)
	),
	TP_fast_assign(
		__entry->owner = eventq->owner;
		__entry->eventq = eventq->obj.id;
		__assign_str(class);
		__entry->left = READ_ONCE(eventq->queued);
	),
	TP_printk("owner=%d eventq=%u class=%s left=%u",
		  __entry->owner, __entry->eventq, __get_str(class),
		  __entry->left)
);

/*
 * I/O page faults: eventq_iopf.c. A group is known by its device, PASID and
 * grpid until it has a cookie. The device may use a grpid again once the group
 * is answered.
 */

/* A group was queued, before anybody can read it */
TRACE_EVENT(eventq_iopf_report,
	TP_PROTO(const struct iommufd_eventq *eventq, u32 dev_id,
		 const struct iopf_group *group),
	TP_ARGS(eventq, dev_id, group),
	TP_STRUCT__entry(
		__field(pid_t, owner)
		__field(u32, eventq)
		__field(u32, dev_id)
		__field(u32, pasid)
		__field(u32, grpid)
		__field(unsigned int, faults)
	),
	TP_fast_assign(
		__entry->owner = eventq->owner;
		__entry->eventq = eventq->obj.id;
		__entry->dev_id = dev_id;
		__entry->pasid = group->last_fault.fault.prm.pasid;
		__entry->grpid = group->last_fault.fault.prm.grpid;
		__entry->faults = group->fault_count;
	),
	TP_printk("owner=%d eventq=%u dev_id=%u pasid=%u grpid=%u faults=%u",
		  __entry->owner, __entry->eventq, __entry->dev_id,
		  __entry->pasid, __entry->grpid, __entry->faults)
);

/* A group reached a reader; @last is its last record */
TRACE_EVENT(eventq_iopf_read,
	TP_PROTO(const struct iommufd_eventq *eventq,
		 const struct iommu_hwpt_pgfault *last, unsigned int faults),
	TP_ARGS(eventq, last, faults),
	TP_STRUCT__entry(
		__field(pid_t, owner)
		__field(u32, eventq)
		__field(u32, dev_id)
		__field(u32, pasid)
		__field(u32, grpid)
		__field(u32, cookie)
		__field(unsigned int, faults)
	),
	TP_fast_assign(
		__entry->owner = eventq->owner;
		__entry->eventq = eventq->obj.id;
		__entry->dev_id = last->dev_id;
		__entry->pasid = last->pasid;
		__entry->grpid = last->grpid;
		__entry->cookie = last->cookie;
		__entry->faults = faults;
	),
	TP_printk("owner=%d eventq=%u dev_id=%u pasid=%u grpid=%u cookie=%u faults=%u",
		  __entry->owner, __entry->eventq, __entry->dev_id,
		  __entry->pasid, __entry->grpid, __entry->cookie,
		  __entry->faults)
);

/* User space answered, and the answer is about to go to the device */
TRACE_EVENT(eventq_iopf_answer,
	TP_PROTO(const struct iommufd_eventq *eventq, u32 dev_id,
		 const struct iopf_group *group, u32 cookie, u32 code),
	TP_ARGS(eventq, dev_id, group, cookie, code),
	TP_STRUCT__entry(
		__field(pid_t, owner)
		__field(u32, eventq)
		__field(u32, dev_id)
		__field(u32, pasid)
		__field(u32, grpid)
		__field(u32, cookie)
		__field(u32, code)
	),
	TP_fast_assign(
		__entry->owner = eventq->owner;
		__entry->eventq = eventq->obj.id;
		__entry->dev_id = dev_id;
		__entry->pasid = group->last_fault.fault.prm.pasid;
		__entry->grpid = group->last_fault.fault.prm.grpid;
		__entry->cookie = cookie;
		__entry->code = code;
	),
	TP_printk("owner=%d eventq=%u dev_id=%u pasid=%u grpid=%u cookie=%u code=%s",
		  __entry->owner, __entry->eventq, __entry->dev_id,
		  __entry->pasid, __entry->grpid, __entry->cookie,
		  __print_symbolic(__entry->code,
				   { IOMMUFD_PAGE_RESP_SUCCESS, "SUCCESS" },
				   { IOMMUFD_PAGE_RESP_INVALID, "INVALID" }))
);

/*
 * The kernel is about to answer INVALID, because of a "detach" (the attachment
 * ended, perhaps as another one took its place), the last "close" of the file, or
 * since the file was "closed" when the fault came. The cookie is 0 if the group
 * was not handed to a reader.
 */
TRACE_EVENT(eventq_iopf_auto_answer,
	TP_PROTO(const struct iommufd_eventq *eventq, u32 dev_id,
		 const struct iopf_group *group, u32 cookie,
		 const char *reason),
	TP_ARGS(eventq, dev_id, group, cookie, reason),
	TP_STRUCT__entry(
		__field(pid_t, owner)
		__field(u32, eventq)
		__field(u32, dev_id)
		__field(u32, pasid)
		__field(u32, grpid)
		__field(u32, cookie)
		__string(reason, reason)
	),
	TP_fast_assign(
		__entry->owner = eventq->owner;
		__entry->eventq = eventq->obj.id;
		__entry->dev_id = dev_id;
		__entry->pasid = group->last_fault.fault.prm.pasid;
		__entry->grpid = group->last_fault.fault.prm.grpid;
		__entry->cookie = cookie;
		__assign_str(reason);
	),
	TP_printk("owner=%d eventq=%u dev_id=%u pasid=%u grpid=%u cookie=%u reason=%s",
		  __entry->owner, __entry->eventq, __entry->dev_id,
		  __entry->pasid, __entry->grpid, __entry->cookie,
		  __get_str(reason))
);

/*
 * Events that may be lost: eventq_ring.c. They are read in the order of their
 * sequences.
 */

/* An event was queued, before anybody can read it */
TRACE_EVENT(eventq_ring_report,
	TP_PROTO(const struct iommufd_eventq *eventq, u32 type, u32 sequence),
	TP_ARGS(eventq, type, sequence),
	TP_STRUCT__entry(
		__field(pid_t, owner)
		__field(u32, eventq)
		__string(class, eventq->ops->class)
		__field(u32, type)
		__field(u32, sequence)
	),
	TP_fast_assign(
		__entry->owner = eventq->owner;
		__entry->eventq = eventq->obj.id;
		__assign_str(class);
		__entry->type = type;
		__entry->sequence = sequence;
	),
	TP_printk("owner=%d eventq=%u class=%s type=%u sequence=%u",
		  __entry->owner, __entry->eventq, __get_str(class),
		  __entry->type, __entry->sequence)
);

/*
 * An event was lost: the queue was full, or its file "closed". "lost" are lost
 * by now, with those that were queued when the file was closed.
 */
TRACE_EVENT(eventq_ring_lost,
	TP_PROTO(const struct iommufd_eventq *eventq, u32 type, u32 sequence,
		 u64 nr_lost),
	TP_ARGS(eventq, type, sequence, nr_lost),
	TP_STRUCT__entry(
		__field(pid_t, owner)
		__field(u32, eventq)
		__string(class, eventq->ops->class)
		__field(u32, type)
		__field(u32, sequence)
		__field(bool, closed)
		__field(u64, lost)
	),
	TP_fast_assign(
		__entry->owner = eventq->owner;
		__entry->eventq = eventq->obj.id;
		__assign_str(class);
		__entry->type = type;
		__entry->sequence = sequence;
		__entry->closed = eventq->closed;
		__entry->lost = nr_lost;
	),
	TP_printk("owner=%d eventq=%u class=%s type=%u sequence=%u closed=%d lost=%llu",
		  __entry->owner, __entry->eventq, __get_str(class),
		  __entry->type, __entry->sequence, __entry->closed,
		  __entry->lost)
);

#endif /* _TRACE_IOMMUFD_H */

/* This part must be outside of the guard */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH ../../drivers/iommu/iommufd
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
