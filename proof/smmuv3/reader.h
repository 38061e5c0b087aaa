/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VMM's reader of a vIOMMU event queue of SMMUv3 events: by poll() and read(),
 * or by io_uring's READ_MULTISHOT. It gives the records one at a time, in order.
 *
 * Every helper that can fail returns a negative errno.
 */
#ifndef __READER_H
#define __READER_H

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <unistd.h>

#include "lib/eventq.h"
#include "lib/eventq_uring.h"

#define READER_BUFFERS 8
#define READER_BUFFER_LEN 4000

/* A record, taken apart: SMMUv3 specification, section 7.3 */
struct record {
	bool lost;		/* a header without an event: some were lost */
	__u32 sequence;
	__u8 id;
	__u32 sid;
	__u64 addr;
	bool read, stage_2;
};

struct reader {
	int fd;
	bool multishot, armed;
	struct eq_ring ring;
	struct eq_bufs bufs;
	int bid;		/* of the ring's buffer that is being taken apart */
	char own[READER_BUFFER_LEN] __attribute__((aligned(8)));
	char *next;
	unsigned int left;	/* bytes */
};

static inline int reader_arm(struct reader *reader)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_READ_MULTISHOT,
		.flags = IOSQE_BUFFER_SELECT,
		.fd = reader->fd,
		.buf_group = reader->bufs.group,
	};

	reader->armed = true;
	return eq_ring_submit(&reader->ring, &sqe);
}

static inline int reader_init(struct reader *reader, int fd, bool multishot)
{
	int rc;

	*reader = (struct reader){ .fd = fd, .multishot = multishot, .bid = -1 };
	reader->ring.fd = -1;
	if (!multishot)
		return 0;
	rc = eq_ring_init(&reader->ring, 0);
	if (!rc)
		rc = eq_bufs_init(&reader->bufs, &reader->ring, 1, READER_BUFFERS,
				  READER_BUFFER_LEN, false);
	if (rc)
		return rc;
	eq_bufs_give(&reader->bufs, 0, READER_BUFFERS);
	return reader_arm(reader);
}

static inline void reader_fini(struct reader *reader)
{
	if (!reader->multishot)
		return;
	eq_ring_cancel_all(&reader->ring);
	eq_ring_fini(&reader->ring);
}

static inline int reader_fill_by_read(struct reader *reader, unsigned int ms)
{
	struct pollfd pollfd = { .fd = reader->fd, .events = POLLIN };
	int rc = EQ_RET(poll(&pollfd, 1, ms));

	if (rc <= 0)
		return rc ? rc : -ETIME;
	rc = EQ_RET(read(reader->fd, reader->own, sizeof(reader->own)));
	if (rc <= 0)
		return rc ? rc : -EAGAIN;
	reader->next = reader->own;
	reader->left = rc;
	return 0;
}

/* The read ends when there is no buffer left, or on an error. */
static inline int reader_fill_by_ring(struct reader *reader, unsigned int ms)
{
	struct io_uring_cqe cqe;
	int rc;

	if (reader->bid >= 0)
		eq_bufs_give(&reader->bufs, reader->bid, 1);
	reader->bid = -1;
	if (!reader->armed) {
		rc = reader_arm(reader);
		if (rc)
			return rc;
	}
	rc = eq_ring_wait(&reader->ring, ms, &cqe);
	if (rc)
		return rc;
	reader->armed = cqe.flags & IORING_CQE_F_MORE;
	if (cqe.res == -ENOBUFS)
		return reader_fill_by_ring(reader, ms);
	if (cqe.res <= 0)
		return cqe.res ? cqe.res : -EIO;
	reader->bid = cqe.flags >> IORING_CQE_BUFFER_SHIFT;
	reader->next = eq_bufs_mem(&reader->bufs, reader->bid);
	reader->left = cqe.res;
	return 0;
}

static inline void *reader_take(struct reader *reader, unsigned int len)
{
	void *at = reader->next;

	if (reader->left < len)
		return NULL;
	reader->next += len;
	reader->left -= len;
	return at;
}

static inline int reader_cut_off(struct reader *reader)
{
	reader->left = 0;
	return -EBADMSG;
}

/* The next record; -ETIME if there is none for @ms, -EBADMSG if one is cut off. */
static inline int reader_next(struct reader *reader, unsigned int ms, struct record *record)
{
	struct iommu_vevent_arm_smmuv3 *event;
	struct iommufd_vevent_header *header;
	int rc = 0;

	if (!reader->left)
		rc = reader->multishot ? reader_fill_by_ring(reader, ms) :
					 reader_fill_by_read(reader, ms);
	if (rc)
		return rc;
	header = reader_take(reader, sizeof(*header));
	if (!header)
		return reader_cut_off(reader);
	*record = (struct record){
		.sequence = header->sequence,
		.lost = header->flags & IOMMU_VEVENTQ_FLAG_LOST_EVENTS,
	};
	if (record->lost)
		return 0;
	event = reader_take(reader, sizeof(*event));
	if (!event)
		return reader_cut_off(reader);
	record->id = event->evt[0] & 0xff;
	record->sid = event->evt[0] >> 32;
	record->read = event->evt[1] >> 35 & 1;
	record->stage_2 = event->evt[1] >> 39 & 1;
	record->addr = event->evt[2];
	return 0;
}

#endif
