/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Library of the event queue selftests: a bare io_uring, so that no test needs
 * liburing. Rings of each kind, requests, completions in order, buffer rings.
 * Nothing here knows iommufd.
 *
 * Functions that can fail return a negative errno.
 */
#ifndef SELFTESTS_IOMMU_LIB_EVENTQ_URING_H
#define SELFTESTS_IOMMU_LIB_EVENTQ_URING_H

#include <linux/io_uring.h>
#include <stdbool.h>
#include <stddef.h>

struct eq_ring {
	int fd;
	unsigned int flags;	/* IORING_SETUP_* */
	unsigned int tail;	/* of all requests, submitted or not */
	void *rings;
	size_t rings_len, sqes_len;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	unsigned int *sq_head, *sq_tail, *sq_flags, *sq_array;
	unsigned int *cq_head, *cq_tail;
	unsigned int sq_mask, cq_mask;
};

/* Whether io_uring is not there, or not for us; EQ_NO_RING is the reason to skip. */
bool eq_no_ring(void);

#define EQ_NO_RING "needs io_uring"

int eq_ring_init(struct eq_ring *ring, unsigned int flags);
/* With room for @entries requests, and as many completions if @tight */
int eq_ring_init_size(struct eq_ring *ring, unsigned int flags,
		      unsigned int entries, bool tight);
/* Requests in flight end soon after that. */
void eq_ring_fini(struct eq_ring *ring);

/* Put a request into the ring, to be submitted with others. */
void eq_ring_add(struct eq_ring *ring, const struct io_uring_sqe *sqe);
/* Submit what was added. All requests are issued when this returns. */
int eq_ring_submit_added(struct eq_ring *ring);
int eq_ring_submit(struct eq_ring *ring, const struct io_uring_sqe *sqe);
/* Submit a read or write; its completion has @user_data. */
int eq_ring_rw(struct eq_ring *ring, int opcode, int fd, void *buf,
	       unsigned int len, __u64 offset, __u64 user_data);

bool eq_ring_has_cqe(struct eq_ring *ring);
/* Wait up to @ms for a completion. Returns 0 or -ETIME. */
int eq_ring_wait(struct eq_ring *ring, unsigned int ms,
		 struct io_uring_cqe *cqe);
/* Run the task work that is pending, without waiting. */
int eq_ring_flush(struct eq_ring *ring);

int eq_ring_register(struct eq_ring *ring, unsigned int opcode, void *arg,
		     unsigned int nr);
/* Cancel all requests, without completions for that. */
int eq_ring_cancel_all(struct eq_ring *ring);

/* A ring of @nr buffers of @len bytes for requests to choose from */
struct eq_bufs {
	struct io_uring_buf_ring *ring;
	char *mem;
	unsigned int nr, len;
	__u16 group, tail;
};

/* @nr is a power of two; @incremental: a request uses up a part of a buffer. */
int eq_bufs_init(struct eq_bufs *bufs, struct eq_ring *ring, __u16 group,
		 unsigned int nr, unsigned int len, bool incremental);
void *eq_bufs_mem(struct eq_bufs *bufs, unsigned int bid);
/* Provide buffers @bid to @bid + @nr - 1. */
void eq_bufs_give(struct eq_bufs *bufs, unsigned int bid, unsigned int nr);
/* Number of buffers that were used up in total */
int eq_bufs_used(struct eq_bufs *bufs, struct eq_ring *ring);

/* Number of io-wq workers: threads of this process, known by their name */
int eq_count_workers(void);

#endif
