/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A queue for the event queue selftests whose records are numbered by when they
 * were raised, from 0: a vIOMMU event by its sequence, a fault by its group. So
 * a test can tell what it reads from what it should read, whatever the class.
 */
#ifndef __IOMMUFD_EVENTQ_QUEUE_H
#define __IOMMUFD_EVENTQ_QUEUE_H

#include "iommufd_eventq_world.h"

struct queue {
	struct world w;
	bool viommu;
	long len;		/* of a record */
	__u32 raised;
};

static inline int queue_open(struct queue *q, bool viommu, __u32 flags,
			     __u32 depth)
{
	int rc = world_open(&q->w);

	q->viommu = viommu;
	q->len = record_len(viommu);
	if (rc)
		return rc;
	return viommu ? world_vevent_queue(&q->w, flags, depth) :
			world_fault_queue(&q->w, flags);
}

static inline int add(struct queue *q)
{
	__u32 nr = q->raised++;

	return q->viommu ? vevents(&q->w, 1) : fault(&q->w, 0, nr);
}

static inline int add_many(struct queue *q, unsigned int nr)
{
	int rc = 0;

	while (nr-- && !rc)
		rc = add(q);
	return rc;
}

static inline long number(const struct queue *q, const void *record)
{
	struct iommu_hwpt_pgfault f;
	struct eq_vevent v;

	if (!q->viommu) {
		memcpy(&f, record, sizeof(f));
		return f.grpid;
	}
	memcpy(&v, record, sizeof(v));
	return v.header.flags ? -ENOMSG : (long)v.header.sequence;
}

/*
 * Read one record and return its number, -ENODATA if there is none. Asks before
 * it reads, so that nothing gets stuck on a queue with waiting reads.
 */
static inline long take(struct queue *q)
{
	char buf[64];
	long ret;

	if (!readable(q->w.queue.fd))
		return -ENODATA;
	ret = sys_read(q->w.queue.fd, buf, q->len);
	if (ret == q->len)
		return number(q, buf);
	return ret < 0 ? ret : -ENODATA;
}

/* Destroy the queue, whose file is closed, and what refers to it. */
static inline int queue_destroy(struct queue *q)
{
	struct world *w = &q->w;
	int rc = 0;

	if (!q->viommu)
		rc = eq_replace(w->iommu, &w->dev[0], w->ioas);
	if (!rc && !q->viommu)
		rc = eq_replace(w->iommu, &w->dev[1], w->ioas);
	if (!rc && !q->viommu)
		rc = eq_destroy(w->iommu, w->hwpt);
	return rc ? rc : eq_destroy(w->iommu, w->queue.id);
}

#endif
