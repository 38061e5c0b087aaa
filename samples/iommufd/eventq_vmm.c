// SPDX-License-Identifier: GPL-2.0-only
/*
 * The part of the sample that a VMM can copy: see eventq_vmm.h. It knows the
 * uAPI and io_uring, and nothing about the mock device or the demo.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "eventq_vmm.h"

#define RING_ENTRIES 64
/* Records a READ may bring: one system call then serves a whole burst. */
#define RECORDS_PER_READ 64
/* A device that sends larger groups than this is not served. */
#define BUF_LEN_MAX (1024 * 1024)

#define to_struct(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

/* The ring */

int vmm_ring_init(struct vmm_ring *ring)
{
	/*
	 * One thread submits and waits, and completions run when it waits: no
	 * interrupting of guest work, and the cheapest way there is.
	 */
	return io_uring_queue_init(RING_ENTRIES, &ring->uring,
				   IORING_SETUP_SINGLE_ISSUER |
				   IORING_SETUP_DEFER_TASKRUN);
}

void vmm_ring_exit(struct vmm_ring *ring)
{
	io_uring_queue_exit(&ring->uring);
}

static struct io_uring_sqe *vmm_ring_sqe(struct vmm_ring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

	/* Full: submitting empties the submission side. */
	if (!sqe && io_uring_submit(&ring->uring) >= 0)
		sqe = io_uring_get_sqe(&ring->uring);
	return sqe;
}

static void vmm_ring_dispatch(struct vmm_ring *ring)
{
	struct io_uring_cqe *cqe;

	while (!io_uring_peek_cqe(&ring->uring, &cqe)) {
		struct vmm_op *op = io_uring_cqe_get_data(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(&ring->uring, cqe);
		op->done(op, res);
	}
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

int vmm_ring_run(struct vmm_ring *ring, bool (*stop)(void *arg), void *arg,
		 unsigned int timeout_ms)
{
	long long deadline = now_ms() + timeout_ms;

	for (;;) {
		struct __kernel_timespec ts;
		struct io_uring_cqe *cqe;
		long long left;
		int rc;

		vmm_ring_dispatch(ring);
		if (stop(arg))
			return 0;

		left = deadline - now_ms();
		if (left <= 0)
			return -ETIME;
		ts.tv_sec = left / 1000;
		ts.tv_nsec = left % 1000 * 1000000;
		rc = io_uring_submit_and_wait_timeout(&ring->uring, &cqe, 1,
						      &ts, NULL);
		if (rc < 0 && rc != -EINTR && rc != -ETIME)
			return rc;
	}
}

/* The reader */

static int vmm_reader_read(struct vmm_reader *reader)
{
	struct io_uring_sqe *sqe = vmm_ring_sqe(reader->ring);

	if (!sqe)
		return -EBUSY;
	/* Offset -1: the fd is a stream; any position but 0 is -ESPIPE. */
	io_uring_prep_read(sqe, reader->fd, reader->buf, reader->buf_len, -1);
	io_uring_sqe_set_data(sqe, &reader->op);
	reader->state = VMM_READER_READING;
	return 0;
}

/*
 * Kernels without inline reads complete an armed READ on an empty queue with
 * nothing. Wait by POLL_ADD there, instead of spinning.
 */
static int vmm_reader_poll(struct vmm_reader *reader)
{
	struct io_uring_sqe *sqe = vmm_ring_sqe(reader->ring);

	if (!sqe)
		return -EBUSY;
	io_uring_prep_poll_add(sqe, reader->fd, POLLIN);
	io_uring_sqe_set_data(sqe, &reader->op);
	reader->state = VMM_READER_POLLING;
	return 0;
}

/* -EINVAL: the first group is larger than the buffer. */
static int vmm_reader_grow(struct vmm_reader *reader)
{
	void *buf;

	if (reader->buf_len >= BUF_LEN_MAX)
		return -EMSGSIZE;
	buf = realloc(reader->buf, reader->buf_len * 2);
	if (!buf)
		return -ENOMEM;
	reader->buf = buf;
	reader->buf_len *= 2;
	return vmm_reader_read(reader);
}

static int vmm_reader_next(struct vmm_reader *reader,
			   enum vmm_reader_state was, int res)
{
	int rc;

	if (was == VMM_READER_POLLING && res >= 0)
		return reader->stopping ? 0 : vmm_reader_read(reader);
	if (res > 0) {
		rc = reader->parse(reader, reader->buf, res);
		if (rc || reader->stopping)
			return rc;
		return vmm_reader_read(reader);
	}
	if (reader->stopping || res == -ECANCELED)
		return 0;
	if (!res || res == -EAGAIN || res == -EINTR)
		return vmm_reader_poll(reader);
	if (res == -EINVAL && was == VMM_READER_READING)
		return vmm_reader_grow(reader);
	return res;
}

static void vmm_reader_done(struct vmm_op *op, int res)
{
	struct vmm_reader *reader = to_struct(op, struct vmm_reader, op);
	enum vmm_reader_state was = reader->state;
	int rc;

	reader->state = VMM_READER_IDLE;
	rc = vmm_reader_next(reader, was, res);
	if (rc)
		reader->error = rc;
}

static int vmm_reader_init(struct vmm_reader *reader, struct vmm_ring *ring,
			   int fd, size_t record_len)
{
	reader->op.done = vmm_reader_done;
	reader->ring = ring;
	reader->fd = fd;
	reader->buf_len = record_len * RECORDS_PER_READ;
	reader->buf = malloc(reader->buf_len);
	return reader->buf ? 0 : -ENOMEM;
}

int vmm_reader_arm(struct vmm_reader *reader)
{
	int rc;

	reader->stopping = false;
	rc = vmm_reader_read(reader);
	if (rc)
		return rc;
	rc = io_uring_submit(&reader->ring->uring);
	return rc < 0 ? rc : 0;
}

static bool vmm_reader_idle(void *arg)
{
	struct vmm_reader *reader = arg;

	return reader->state == VMM_READER_IDLE;
}

static void vmm_cancel_done(struct vmm_op *op, int res)
{
	/* What became of the READ is told by the READ's own completion. */
	(void)op;
	(void)res;
}

int vmm_reader_disarm(struct vmm_reader *reader)
{
	static struct vmm_op cancel_op = { .done = vmm_cancel_done };
	struct io_uring_sqe *sqe;

	reader->stopping = true;
	if (reader->state == VMM_READER_IDLE)
		return 0;
	sqe = vmm_ring_sqe(reader->ring);
	if (!sqe)
		return -EBUSY;
	io_uring_prep_cancel(sqe, &reader->op, 0);
	io_uring_sqe_set_data(sqe, &cancel_op);
	return vmm_ring_run(reader->ring, vmm_reader_idle, reader, 5000);
}

/* Fault queues */

static int vmm_faults_parse(struct vmm_reader *reader, const void *data,
			    size_t len)
{
	struct vmm_faults *faults = to_struct(reader, struct vmm_faults, reader);
	const struct iommu_hwpt_pgfault *fault = data;
	size_t nr = len / sizeof(*fault), first = 0, i;

	if (len % sizeof(*fault))
		return -EPROTO;
	for (i = 0; i < nr; i++) {
		if (!(fault[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE))
			continue;
		faults->group(faults->arg, &fault[first], i + 1 - first);
		first = i + 1;
	}
	vmm_faults_flush(faults);
	/* A read never splits a group. */
	return first == nr ? 0 : -EPROTO;
}

static void vmm_faults_send(struct vmm_faults *faults)
{
	struct io_uring_sqe *sqe = vmm_ring_sqe(faults->reader.ring);
	size_t left = faults->nr_sending - faults->nr_sent;

	if (!sqe) {
		faults->reader.error = -EBUSY;
		return;
	}
	io_uring_prep_write(sqe, faults->reader.fd,
			    &faults->sending[faults->nr_sent],
			    left * sizeof(*faults->sending), -1);
	io_uring_sqe_set_data(sqe, &faults->write_op);
}

/*
 * A short write stops at the entry the kernel refused, so the next WRITE starts
 * with that one and fails as a whole: then it is stale, and is left out.
 */
static void vmm_faults_written(struct vmm_op *op, int res)
{
	struct vmm_faults *faults = to_struct(op, struct vmm_faults, write_op);

	if (res > 0) {
		faults->nr_sent += res / sizeof(*faults->sending);
		faults->answered += res / sizeof(*faults->sending);
	} else if (res == -EINVAL) {
		faults->nr_sent++;
		faults->stale++;
	} else if (res != -EINTR && res != -EAGAIN) {
		faults->reader.error = res ? res : -EIO;
		faults->nr_sending = 0;
		faults->nr_sent = 0;
		return;
	}

	if (faults->nr_sent < faults->nr_sending) {
		vmm_faults_send(faults);
		return;
	}
	faults->nr_sending = 0;
	faults->nr_sent = 0;
	vmm_faults_flush(faults);
}

/* One WRITE at a time, and all answers given meanwhile in the next. */
void vmm_faults_flush(struct vmm_faults *faults)
{
	struct iommu_hwpt_page_response *buf = faults->sending;
	size_t max = faults->max_sending;

	if (faults->nr_sending || !faults->nr_filling)
		return;
	faults->sending = faults->filling;
	faults->nr_sending = faults->nr_filling;
	faults->max_sending = faults->max_filling;
	faults->filling = buf;
	faults->nr_filling = 0;
	faults->max_filling = max;
	vmm_faults_send(faults);
}

int vmm_faults_answer(struct vmm_faults *faults, __u32 cookie, __u32 code)
{
	if (faults->nr_filling == faults->max_filling) {
		size_t max = faults->max_filling * 2 + RECORDS_PER_READ;
		void *buf = realloc(faults->filling,
				    max * sizeof(*faults->filling));

		if (!buf)
			return -ENOMEM;
		faults->filling = buf;
		faults->max_filling = max;
	}
	faults->filling[faults->nr_filling].cookie = cookie;
	faults->filling[faults->nr_filling].code = code;
	faults->nr_filling++;
	return 0;
}

bool vmm_faults_sent(void *arg)
{
	struct vmm_faults *faults = arg;

	return !faults->nr_sending && !faults->nr_filling;
}

int vmm_faults_init(struct vmm_faults *faults, struct vmm_ring *ring, int fd)
{
	memset(faults, 0, sizeof(*faults));
	faults->write_op.done = vmm_faults_written;
	faults->reader.parse = vmm_faults_parse;
	return vmm_reader_init(&faults->reader, ring, fd,
			       sizeof(struct iommu_hwpt_pgfault));
}

/* The reader must be idle and all answers sent. */
void vmm_faults_exit(struct vmm_faults *faults)
{
	free(faults->reader.buf);
	free(faults->filling);
	free(faults->sending);
}

/* vIOMMU event queues */

void vmm_sequence_init(struct vmm_sequence *seq)
{
	/* The first event of a queue has sequence 0, which follows INT_MAX. */
	seq->last = INT_MAX;
}

__u32 vmm_sequence_lost(struct vmm_sequence *seq,
			const struct iommufd_vevent_header *header)
{
	__u32 delta = (header->sequence - seq->last) & INT_MAX;

	seq->last = header->sequence;
	if (header->flags & IOMMU_VEVENTQ_FLAG_LOST_EVENTS)
		return delta;
	return (delta - 1) & INT_MAX;
}

static int vmm_vevents_parse(struct vmm_reader *reader, const void *data,
			     size_t len)
{
	struct vmm_vevents *vevents = to_struct(reader, struct vmm_vevents, reader);
	const char *pos = data;

	while (len) {
		struct iommufd_vevent_header header;
		bool at_tail;
		__u32 lost;

		if (len < sizeof(header))
			return -EPROTO;
		/* Payloads need not keep the next header aligned. */
		memcpy(&header, pos, sizeof(header));
		pos += sizeof(header);
		len -= sizeof(header);

		at_tail = header.flags & IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
		lost = vmm_sequence_lost(&vevents->sequence, &header);
		if (lost)
			vevents->lost(vevents->arg, lost, at_tail);
		if (at_tail)
			continue;

		if (len < vevents->data_len)
			return -EPROTO;
		vevents->event(vevents->arg, header.sequence, pos);
		pos += vevents->data_len;
		len -= vevents->data_len;
	}
	return 0;
}

int vmm_vevents_init(struct vmm_vevents *vevents, struct vmm_ring *ring, int fd,
		     size_t data_len)
{
	memset(vevents, 0, sizeof(*vevents));
	vevents->reader.parse = vmm_vevents_parse;
	vevents->data_len = data_len;
	vmm_sequence_init(&vevents->sequence);
	return vmm_reader_init(&vevents->reader, ring, fd,
			       sizeof(struct iommufd_vevent_header) + data_len);
}

/* The reader must be idle. */
void vmm_vevents_exit(struct vmm_vevents *vevents)
{
	free(vevents->reader.buf);
}
