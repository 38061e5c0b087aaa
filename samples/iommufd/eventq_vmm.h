/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Serves iommufd event queues through one io_uring: armed reads, parsed records,
 * batched responses, accounting of lost events. Copy this file and eventq_vmm.c;
 * they need the uAPI headers and liburing 2.3 or newer.
 *
 * All of it runs in the one thread that calls vmm_ring_run():
 *
 *	vmm_ring_init(&ring);
 *	vmm_faults_init(&faults, &ring, fd, VMM_MULTISHOT);
 *	faults.group = ...;	calls vmm_faults_respond()
 *	vmm_reader_arm(&faults.reader);
 *	vmm_ring_run(&ring, ...);
 *	vmm_faults_stop(&faults);
 *	close(fd);		last close: outstanding groups get INVALID
 *	vmm_faults_exit(&faults);
 *	vmm_ring_exit(&ring);
 *
 * Functions that return int return 0 or a negative errno.
 */
#ifndef EVENTQ_VMM_H
#define EVENTQ_VMM_H

#include <liburing.h>
#include <linux/iommufd.h>
#include <stdbool.h>
#include <stddef.h>

/* IORING_OP_READ_MULTISHOT by its number: not every liburing has the name. */
#define VMM_OP_READ_MULTISHOT 49

#define vmm_container(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

/* One request in flight on the ring, embedded in whatever it belongs to. */
struct vmm_op {
	/* @flags: IORING_CQE_F_* */
	void (*done)(struct vmm_op *op, int res, __u32 flags);
};

struct vmm_ring {
	struct io_uring uring;
	unsigned short nr_groups;	/* of provided buffers, ever made */
};

int vmm_ring_init(struct vmm_ring *ring);
void vmm_ring_exit(struct vmm_ring *ring);

/*
 * A request to fill in, or NULL. Set its op by io_uring_sqe_set_data() last;
 * vmm_ring_run() submits it.
 */
struct io_uring_sqe *vmm_ring_sqe(struct vmm_ring *ring);
/* For requests that cannot wait for vmm_ring_run() */
int vmm_ring_submit(struct vmm_ring *ring);

#define VMM_NO_TIMEOUT (-1)

/*
 * Serve completions until @stop(@arg) is true; sleeps while there are none.
 * Returns 0, -ETIME after @timeout_ms, or another negative errno of the ring. A
 * VMM with a loop of its own polls uring.ring_fd for POLLIN, and calls this with
 * a timeout of 0 when it is readable and after giving responses. Every prepared
 * request is submitted when this returns.
 */
int vmm_ring_run(struct vmm_ring *ring, bool (*stop)(void *arg), void *arg,
		 int timeout_ms);

/* How records are read. Each is the fallback of the one before it. */
enum vmm_transport {
	VMM_MULTISHOT,	/* one READ_MULTISHOT fills provided buffers */
	VMM_READ,	/* one READ is armed, and again after each */
	VMM_POLL,	/* POLL_ADD, then read(2): needs no inline reads */
};

/* Buffers for a READ_MULTISHOT, shared with the kernel through a ring. */
struct vmm_buffers {
	struct io_uring_buf_ring *ring;
	char *mem;
	size_t len;		/* of each */
	unsigned short group;
};

enum vmm_request {
	VMM_REQ_NONE,
	VMM_REQ_MULTISHOT,
	VMM_REQ_READ,
	VMM_REQ_POLL,
};

/* Keeps a read armed on a queue's fd and parses the records. */
struct vmm_reader {
	struct vmm_op op;
	struct vmm_ring *ring;
	int fd;
	enum vmm_transport transport;	/* falls back if it must */
	enum vmm_request request;	/* the one in flight */
	bool large;		/* @buffers are too small for the next */
	bool stopping;
	int error;		/* what ended the reading, 0 or an errno */
	struct vmm_buffers buffers;
	void *buf;		/* for all but READ_MULTISHOT */
	size_t buf_len;
	int (*parse)(struct vmm_reader *reader, const void *data, size_t len);
};

/*
 * Arm before the first event: the event then completes the read when the kernel
 * reports it, without another system call. Arm again once the cause of @error
 * is gone.
 */
int vmm_reader_arm(struct vmm_reader *reader);

/*
 * Cancel the armed read. It holds a reference to the file: with a read armed,
 * close() of the fd is not the last close, and fault groups stay outstanding.
 */
int vmm_reader_disarm(struct vmm_reader *reader);

/* A fault queue: fault groups come in, one response goes out for each. */
struct vmm_faults {
	struct vmm_reader reader;
	struct vmm_op write_op;
	/* Responses not sent yet, and those in the WRITE in flight if @writing */
	struct iommu_hwpt_page_response *filling, *sending;
	size_t nr_filling, max_filling;
	size_t nr_sending, max_sending;
	size_t nr_sent;		/* of nr_sending, done */
	bool writing;
	unsigned long responded;
	unsigned long stale;	/* the group was gone: a detach came first */
	void *arg;
	/* One whole group; respond to its cookie once, now or later. */
	void (*group)(void *arg, const struct iommu_hwpt_pgfault *faults,
		      size_t nr);
};

int vmm_faults_init(struct vmm_faults *faults, struct vmm_ring *ring, int fd,
		    enum vmm_transport transport);
/*
 * Disarm the reader, and send the responses given so far. reader.error is set if
 * that failed.
 */
int vmm_faults_stop(struct vmm_faults *faults);
/* After vmm_faults_stop() returned 0. The fd is the caller's. */
void vmm_faults_exit(struct vmm_faults *faults);
/*
 * Add a response to the batch; vmm_faults_flush() sends it. Allocates memory for
 * at most one response per outstanding group, and keeps it.
 */
int vmm_faults_respond(struct vmm_faults *faults, __u32 cookie, __u32 code);
/* Called after each read anyway; needed only for responses given later. */
void vmm_faults_flush(struct vmm_faults *faults);
/* All responses given so far have reached the kernel. A @stop function. */
bool vmm_faults_sent(void *faults);

/*
 * Account for one record of a vIOMMU event queue. *@expected is the sequence
 * that should be next, 0 at first; sequences run to INT_MAX and go on with 0.
 * Returns how many events were lost before this record, a LOST header itself
 * being the last of them.
 */
__u32 vmm_sequence_lost(__u32 *expected,
			const struct iommufd_vevent_header *header);

/* A vIOMMU event queue: read only. */
struct vmm_vevents {
	struct vmm_reader reader;
	size_t data_len;	/* payload of this queue's type */
	__u32 expected;		/* sequence */
	void *arg;
	/* @data is not aligned. */
	void (*event)(void *arg, __u32 sequence, const void *data);
	/* @at_tail: from a LOST header; no later event arrived so far. */
	void (*lost)(void *arg, __u32 nr, bool at_tail);
};

int vmm_vevents_init(struct vmm_vevents *vevents, struct vmm_ring *ring, int fd,
		     enum vmm_transport transport, size_t data_len);
/* The reader must be disarmed. The fd is the caller's. */
void vmm_vevents_exit(struct vmm_vevents *vevents);

#endif
