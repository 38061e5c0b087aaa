/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a VMM needs to serve iommufd event queues through one io_uring: armed
 * reads, record parsing, batched answers, lost event accounting. Copy this file
 * and eventq_vmm.c. Nothing about the mock device or the demo belongs here.
 */
#ifndef EVENTQ_VMM_H
#define EVENTQ_VMM_H

#include <liburing.h>
#include <linux/iommufd.h>
#include <stdbool.h>
#include <stddef.h>

/* One request in flight on the ring, embedded in whatever it belongs to. */
struct vmm_op {
	void (*done)(struct vmm_op *op, int res);
};

struct vmm_ring {
	struct io_uring uring;
};

int vmm_ring_init(struct vmm_ring *ring);
void vmm_ring_exit(struct vmm_ring *ring);

/*
 * Serve completions until @stop(@arg) is true. Returns 0, or -ETIME when that
 * took longer than @timeout_ms, or another negative errno of the ring.
 */
int vmm_ring_run(struct vmm_ring *ring, bool (*stop)(void *arg), void *arg,
		 unsigned int timeout_ms);

enum vmm_reader_state {
	VMM_READER_IDLE,
	VMM_READER_POLLING,
	VMM_READER_READING,
};

/* Keeps one READ armed on a queue's fd and hands on what it brings. */
struct vmm_reader {
	struct vmm_op op;
	struct vmm_ring *ring;
	int fd;
	enum vmm_reader_state state;
	bool stopping;
	int error;
	void *buf;
	size_t buf_len;
	/* Returns 0, or a negative errno that ends the reading. */
	int (*parse)(struct vmm_reader *reader, const void *data, size_t len);
};

/*
 * Arm before the first event: then the event completes the READ where it is
 * reported, with no extra system call.
 */
int vmm_reader_arm(struct vmm_reader *reader);

/*
 * Take the armed READ back. It holds a reference to the file: without this,
 * close() of the fd would not be the last close, and open faults would stay
 * open.
 */
int vmm_reader_disarm(struct vmm_reader *reader);

/* A fault queue: groups of faults come in, one answer goes out for each. */
struct vmm_faults {
	struct vmm_reader reader;
	struct vmm_op write_op;
	struct iommu_hwpt_page_response *filling;	/* answers not yet sent */
	struct iommu_hwpt_page_response *sending;	/* the WRITE's buffer */
	size_t nr_filling, max_filling;
	size_t nr_sending, max_sending;
	size_t nr_sent;				/* of nr_sending, done */
	unsigned long answered;
	unsigned long stale;	/* answered by a detach before us */
	void *arg;
	/* One whole group; answer its cookie once, now or later. */
	void (*group)(void *arg, const struct iommu_hwpt_pgfault *faults,
		      size_t nr);
};

int vmm_faults_init(struct vmm_faults *faults, struct vmm_ring *ring, int fd);
void vmm_faults_exit(struct vmm_faults *faults);
/* Add an answer to the batch; it goes out with vmm_faults_flush(). */
int vmm_faults_answer(struct vmm_faults *faults, __u32 cookie, __u32 code);
/* Called after each READ anyway; needed only for answers given later. */
void vmm_faults_flush(struct vmm_faults *faults);
/* All answers given so far have reached the kernel. */
bool vmm_faults_sent(void *faults);

/* Sequence numbers of one vIOMMU queue: 0..INT_MAX, then 0 again. */
struct vmm_sequence {
	__u32 last;
};

void vmm_sequence_init(struct vmm_sequence *seq);
/*
 * Account for one record. Returns how many events were lost before it, a LOST
 * header itself counting as the last of them.
 */
__u32 vmm_sequence_lost(struct vmm_sequence *seq,
			const struct iommufd_vevent_header *header);

/* A vIOMMU event queue: read only. */
struct vmm_vevents {
	struct vmm_reader reader;
	size_t data_len;	/* payload of this queue's type */
	struct vmm_sequence sequence;
	void *arg;
	void (*event)(void *arg, __u32 sequence, const void *data);
	/* @at_tail: told by a LOST header; no later event arrived so far. */
	void (*lost)(void *arg, __u32 nr, bool at_tail);
};

int vmm_vevents_init(struct vmm_vevents *vevents, struct vmm_ring *ring, int fd,
		     size_t data_len);
void vmm_vevents_exit(struct vmm_vevents *vevents);

#endif
