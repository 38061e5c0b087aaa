/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Event queues whose records may be lost: what the ring offers to a class of such
 * queues. No record format beyond the header and no producer belongs here.
 *
 * A class embeds struct iommufd_eventq_ring in its queue, uses the functions below
 * as its operations and reports by iommufd_eventq_source_report().
 */
#ifndef __IOMMUFD_EVENTQ_RING_H
#define __IOMMUFD_EVENTQ_RING_H

#include <linux/iommufd.h>
#include <linux/list.h>
#include <uapi/linux/iommufd.h>

#include "eventq.h"

/**
 * struct iommufd_eventq_ring - A queue of records of one size
 * @common: the queue
 * @source: whose reports it stores, NULL before reports find it
 * @node: in &iommufd_eventq_source.queues
 * @type: of its events, unique in @source
 * @depth: number of slots
 * @payload: size in bytes of what follows the header of a record
 * @slots: the records, ready to be copied; NULL once the file is closed
 * @head: the slot of the first record; only the reader in place writes it
 * @sequence: sequence number of the next event
 * @lost_sequence: that of the latest lost event
 * @lost_pending: a LOST header with @lost_sequence is the last record on the queue
 * @nr_lost: total number of events lost
 * @lost_header: the reader's copy of the LOST header
 *
 * All but the constant members and @lost_header is under the queue lock. The events
 * in the ring are the records on the queue, less the LOST header.
 */
struct iommufd_eventq_ring {
	struct iommufd_eventq common;
	struct iommufd_eventq_source *source;
	struct list_head node;
	u32 type;
	u32 depth;
	u32 payload;

	void *slots;
	u32 head;
	u32 sequence;
	u32 lost_sequence;
	bool lost_pending;
	u64 nr_lost;
	struct iommufd_vevent_header lost_header;
};

void iommufd_eventq_source_init(struct iommufd_eventq_source *source);
int iommufd_eventq_source_report(struct iommufd_eventq_source *source, u32 type,
				 const void *event_data, size_t size);

int iommufd_eventq_ring_init(struct iommufd_eventq_ring *ring,
			     struct iommufd_eventq_source *source, u32 type,
			     u32 depth, u32 payload);
void iommufd_eventq_ring_free(struct iommufd_eventq_ring *ring);

int iommufd_eventq_ring_stage(struct iommufd_eventq *eventq, size_t room,
			      const void **chunk);
size_t iommufd_eventq_ring_settle(struct iommufd_eventq *eventq,
				  const void *chunk, size_t copied);
void iommufd_eventq_ring_close(struct iommufd_eventq *eventq);
void iommufd_eventq_ring_show_fdinfo(struct iommufd_eventq *eventq,
				     struct seq_file *m);

#endif
