// SPDX-License-Identifier: GPL-2.0-only
/*
 * Serves iommufd event queues through one io_uring: see eventq_vmm.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "eventq_vmm.h"

#define RING_ENTRIES 64
/* Records that one read returns at most: enough for a whole burst. */
#define RECORDS_PER_READ 64
/* Provided to a READ_MULTISHOT; a power of two. */
#define NR_BUFFERS 8
/* A larger fault group ends reading with -EMSGSIZE. */
#define BUF_LEN_MAX (1024 * 1024)
/* Cancelling and writing complete at once unless the kernel is broken. */
#define STOP_MS 5000

/* The ring */

int vmm_ring_init(struct vmm_ring *ring)
{
	/*
	 * One thread submits and waits, and completions run when it waits, so
	 * they do not interrupt it. A request that the kernel rejects does not
	 * hold up those behind it.
	 */
	ring->nr_groups = 0;
	return io_uring_queue_init(RING_ENTRIES, &ring->uring,
				   IORING_SETUP_SINGLE_ISSUER |
				   IORING_SETUP_DEFER_TASKRUN |
				   IORING_SETUP_SUBMIT_ALL);
}

void vmm_ring_exit(struct vmm_ring *ring)
{
	io_uring_queue_exit(&ring->uring);
}

struct io_uring_sqe *vmm_ring_sqe(struct vmm_ring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

	/* Full: submitting empties the submission side. */
	if (!sqe && io_uring_submit(&ring->uring) >= 0)
		sqe = io_uring_get_sqe(&ring->uring);
	return sqe;
}

int vmm_ring_submit(struct vmm_ring *ring)
{
	int rc = io_uring_submit(&ring->uring);

	return rc < 0 ? rc : 0;
}

/*
 * Only what has completed by now: completions may keep coming, and responses
 * are submitted after this.
 */
static void vmm_ring_dispatch(struct vmm_ring *ring)
{
	unsigned int nr = io_uring_cq_ready(&ring->uring);
	struct io_uring_cqe *cqe;

	/* A callback may wait for completions of its own, and so take some. */
	while (nr-- && io_uring_cq_ready(&ring->uring) &&
	       !io_uring_peek_cqe(&ring->uring, &cqe)) {
		struct vmm_op *op = io_uring_cqe_get_data(cqe);
		__u32 flags = cqe->flags;
		int res = cqe->res;

		io_uring_cqe_seen(&ring->uring, cqe);
		op->done(op, res, flags);
	}
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static struct __kernel_timespec to_timespec(long long ms)
{
	return (struct __kernel_timespec){
		.tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000000,
	};
}

int vmm_ring_run(struct vmm_ring *ring, bool (*stop)(void *arg), void *arg,
		 int timeout_ms)
{
	long long deadline = now_ms() + timeout_ms;
	bool expired = false;

	for (;;) {
		struct __kernel_timespec ts, *limit = NULL;
		struct io_uring_cqe *cqe;
		bool stopped;
		int rc;

		vmm_ring_dispatch(ring);
		stopped = stop(arg);
		if (stopped || expired) {
			/* The caller may sleep now, or close files in use. */
			rc = vmm_ring_submit(ring);
			return rc || stopped ? rc : -ETIME;
		}

		if (timeout_ms >= 0) {
			long long left = deadline - now_ms();

			/* Look once more without waiting. */
			expired = left <= 0;
			ts = to_timespec(expired ? 0 : left);
			limit = &ts;
		}
		rc = io_uring_submit_and_wait_timeout(&ring->uring, &cqe, 1,
						      limit, NULL);
		/* -EAGAIN: short of memory, all requests are still there. */
		if (rc < 0 && rc != -EINTR && rc != -ETIME && rc != -EAGAIN)
			return rc;
	}
}

/* Provided buffers */

static void vmm_buffers_provide(struct vmm_buffers *buffers, unsigned short i)
{
	io_uring_buf_ring_add(buffers->ring, buffers->mem + i * buffers->len,
			      buffers->len, i,
			      io_uring_buf_ring_mask(NR_BUFFERS), 0);
	io_uring_buf_ring_advance(buffers->ring, 1);
}

static int vmm_buffers_init(struct vmm_buffers *buffers, struct vmm_ring *ring,
			    size_t len)
{
	struct io_uring_buf_reg reg = {
		.ring_entries = NR_BUFFERS,
		.bgid = ring->nr_groups,
	};
	/* The ring has to be aligned to a page; the buffers lie behind it. */
	size_t page = sysconf(_SC_PAGESIZE);
	unsigned short i;
	void *mem;
	int rc;

	if (posix_memalign(&mem, page, page + NR_BUFFERS * len))
		return -ENOMEM;
	memset(mem, 0, page);
	reg.ring_addr = (unsigned long)mem;
	rc = io_uring_register_buf_ring(&ring->uring, &reg, 0);
	if (rc) {
		free(mem);
		return rc;
	}
	buffers->ring = mem;
	buffers->mem = (char *)mem + page;
	buffers->len = len;
	buffers->group = ring->nr_groups++;
	for (i = 0; i < NR_BUFFERS; i++)
		vmm_buffers_provide(buffers, i);
	return 0;
}

static void vmm_buffers_exit(struct vmm_buffers *buffers, struct vmm_ring *ring)
{
	if (!buffers->ring)
		return;
	io_uring_unregister_buf_ring(&ring->uring, buffers->group);
	free(buffers->ring);
}

/* The reader */

/*
 * Kernels without inline reads need this: there, a READ of an empty queue goes
 * to a worker thread, polls many times, and may end with nothing.
 */
static int vmm_reader_use_poll(struct vmm_reader *reader)
{
	int flags = fcntl(reader->fd, F_GETFL);

	/* Another reader may be faster, and then read(2) must not wait. */
	if (flags < 0 || fcntl(reader->fd, F_SETFL, flags | O_NONBLOCK))
		return -errno;
	reader->transport = VMM_POLL;
	return 0;
}

static void vmm_reader_prep(struct vmm_reader *reader, struct io_uring_sqe *sqe)
{
	if (reader->transport == VMM_POLL) {
		io_uring_prep_poll_add(sqe, reader->fd, POLLIN);
		reader->request = VMM_REQ_POLL;
	} else if (reader->transport == VMM_READ || reader->large) {
		/* Offset -1: a stream; any position but 0 is -ESPIPE. */
		io_uring_prep_read(sqe, reader->fd, reader->buf,
				   reader->buf_len, -1);
		reader->request = VMM_REQ_READ;
	} else {
		/* The buffers give address and length. */
		io_uring_prep_rw(VMM_OP_READ_MULTISHOT, sqe, reader->fd, NULL,
				 0, -1);
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = reader->buffers.group;
		reader->request = VMM_REQ_MULTISHOT;
	}
	io_uring_sqe_set_data(sqe, &reader->op);
}

static int vmm_reader_next(struct vmm_reader *reader)
{
	struct io_uring_sqe *sqe = vmm_ring_sqe(reader->ring);

	if (!sqe)
		return -EBUSY;
	vmm_reader_prep(reader, sqe);
	return 0;
}

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
	return 0;
}

/* The poll said that the queue is readable. */
static int vmm_reader_read(struct vmm_reader *reader)
{
	ssize_t len = read(reader->fd, reader->buf, reader->buf_len);

	if (len > 0)
		return reader->parse(reader, reader->buf, len);
	if (!len || errno == EAGAIN || errno == EINTR)
		return 0;
	/* The first group does not fit; the next poll completes at once. */
	return errno == EINVAL ? vmm_reader_grow(reader) : -errno;
}

/* Parse one buffer of a READ_MULTISHOT, and provide it again. */
static int vmm_reader_take(struct vmm_reader *reader, unsigned short i, int len)
{
	struct vmm_buffers *buffers = &reader->buffers;
	const char *data = buffers->mem + i * buffers->len;
	int rc = len > 0 ? reader->parse(reader, data, len) : 0;

	vmm_buffers_provide(buffers, i);
	return rc;
}

/* A completion without data. Returns 0 if reading goes on. */
static int vmm_reader_trouble(struct vmm_reader *reader, enum vmm_request was,
			      int res)
{
	switch (res) {
	case -EINVAL:
		/* The first group does not fit: READ it, and grow for it. */
		reader->large = true;
		return was == VMM_REQ_READ ? vmm_reader_grow(reader) : 0;
	case -ENOBUFS:
		/* All were full; they have been parsed and provided again. */
	case -EINTR:
	case -ECANCELED:
		return 0;
	case 0:
	case -EAGAIN:
		return vmm_reader_use_poll(reader);
	default:
		return res;
	}
}

static int vmm_reader_result(struct vmm_reader *reader, enum vmm_request was,
			     int res, __u32 flags)
{
	if (was == VMM_REQ_POLL && res >= 0)
		return reader->stopping ? 0 : vmm_reader_read(reader);
	if (flags & IORING_CQE_F_BUFFER) {
		int rc = vmm_reader_take(reader,
					 flags >> IORING_CQE_BUFFER_SHIFT, res);

		if (rc || res > 0)
			return rc;
	}
	if (res > 0) {
		reader->large = false;
		return reader->parse(reader, reader->buf, res);
	}
	return reader->stopping ? 0 : vmm_reader_trouble(reader, was, res);
}

static void vmm_reader_done(struct vmm_op *op, int res, __u32 flags)
{
	struct vmm_reader *reader = vmm_container(op, struct vmm_reader, op);
	enum vmm_request was = reader->request;
	int rc;

	/* A multishot request may end with any completion. */
	if (!(flags & IORING_CQE_F_MORE))
		reader->request = VMM_REQ_NONE;
	rc = vmm_reader_result(reader, was, res, flags);
	if (rc && !reader->error)
		reader->error = rc;
	if (reader->error || reader->stopping ||
	    reader->request != VMM_REQ_NONE)
		return;
	reader->error = vmm_reader_next(reader);
}

static int vmm_reader_init(struct vmm_reader *reader, struct vmm_ring *ring,
			   int fd, enum vmm_transport transport,
			   size_t record_len)
{
	int rc = 0;

	reader->op.done = vmm_reader_done;
	reader->ring = ring;
	reader->fd = fd;
	reader->transport = transport;
	reader->buf_len = record_len * RECORDS_PER_READ;
	reader->buf = malloc(reader->buf_len);
	if (!reader->buf)
		return -ENOMEM;
	if (transport == VMM_POLL)
		rc = vmm_reader_use_poll(reader);
	else if (transport == VMM_MULTISHOT &&
		 vmm_buffers_init(&reader->buffers, ring, reader->buf_len))
		reader->transport = VMM_READ;
	if (rc) {
		free(reader->buf);
		reader->buf = NULL;
	}
	return rc;
}

static void vmm_reader_exit(struct vmm_reader *reader)
{
	vmm_buffers_exit(&reader->buffers, reader->ring);
	free(reader->buf);
}

int vmm_reader_arm(struct vmm_reader *reader)
{
	int rc = 0;

	reader->stopping = false;
	reader->error = 0;
	if (reader->request == VMM_REQ_NONE)
		rc = vmm_reader_next(reader);
	return rc ? rc : vmm_ring_submit(reader->ring);
}

static bool vmm_reader_idle(void *arg)
{
	struct vmm_reader *reader = arg;

	return reader->request == VMM_REQ_NONE;
}

static void vmm_cancel_done(struct vmm_op *op, int res, __u32 flags)
{
	/* The result of the read is in the read's own completion. */
	(void)op;
	(void)res;
	(void)flags;
}

int vmm_reader_disarm(struct vmm_reader *reader)
{
	static struct vmm_op cancel_op = { .done = vmm_cancel_done };
	struct io_uring_sqe *sqe;

	reader->stopping = true;
	if (vmm_reader_idle(reader))
		return 0;
	sqe = vmm_ring_sqe(reader->ring);
	if (!sqe)
		return -EBUSY;
	io_uring_prep_cancel(sqe, &reader->op, 0);
	io_uring_sqe_set_data(sqe, &cancel_op);
	return vmm_ring_run(reader->ring, vmm_reader_idle, reader, STOP_MS);
}

/* Fault queues */

static int vmm_faults_parse(struct vmm_reader *reader, const void *data,
			    size_t len)
{
	struct vmm_faults *faults = vmm_container(reader, struct vmm_faults,
						  reader);
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

/* The responses given meanwhile are sent next. */
static bool vmm_faults_next_batch(struct vmm_faults *faults)
{
	struct iommu_hwpt_page_response *buf = faults->sending;
	size_t max = faults->max_sending;

	faults->sending = faults->filling;
	faults->nr_sending = faults->nr_filling;
	faults->max_sending = faults->max_filling;
	faults->nr_sent = 0;
	faults->filling = buf;
	faults->nr_filling = 0;
	faults->max_filling = max;
	return faults->nr_sending;
}

static bool vmm_faults_to_write(struct vmm_faults *faults)
{
	faults->writing = faults->nr_sent < faults->nr_sending ||
			  vmm_faults_next_batch(faults);
	return faults->writing;
}

/*
 * A short write stops at the entry the kernel refused, so the next one starts
 * with that and fails as a whole: then it is stale, and is left out. Returns
 * true if there is more to write.
 */
static bool vmm_faults_wrote(struct vmm_faults *faults, ssize_t res)
{
	if (res > 0) {
		faults->nr_sent += res / sizeof(*faults->sending);
		faults->responded += res / sizeof(*faults->sending);
	} else if (res == -EINVAL) {
		faults->nr_sent++;
		faults->stale++;
	} else if (res != -EINTR) {
		/* What is left goes out with the next flush. */
		faults->reader.error = res ? res : -EIO;
		faults->writing = false;
		return false;
	}
	return vmm_faults_to_write(faults);
}

static size_t vmm_faults_unsent_len(const struct vmm_faults *faults)
{
	return (faults->nr_sending - faults->nr_sent) *
	       sizeof(*faults->sending);
}

/* Without inline writes io_uring would wake a worker thread for each. */
static void vmm_faults_write(struct vmm_faults *faults)
{
	ssize_t res;

	do {
		res = write(faults->reader.fd,
			    &faults->sending[faults->nr_sent],
			    vmm_faults_unsent_len(faults));
	} while (vmm_faults_wrote(faults, res < 0 ? -errno : res));
}

static void vmm_faults_send(struct vmm_faults *faults)
{
	struct io_uring_sqe *sqe;

	if (faults->reader.transport == VMM_POLL) {
		vmm_faults_write(faults);
		return;
	}
	sqe = vmm_ring_sqe(faults->reader.ring);
	if (!sqe) {
		vmm_faults_wrote(faults, -EBUSY);
		return;
	}
	io_uring_prep_write(sqe, faults->reader.fd,
			    &faults->sending[faults->nr_sent],
			    vmm_faults_unsent_len(faults), -1);
	io_uring_sqe_set_data(sqe, &faults->write_op);
}

static void vmm_faults_write_done(struct vmm_op *op, int res, __u32 flags)
{
	struct vmm_faults *faults = vmm_container(op, struct vmm_faults,
						  write_op);

	(void)flags;
	if (vmm_faults_wrote(faults, res))
		vmm_faults_send(faults);
}

/* One WRITE at a time; responses given meanwhile go into the next one. */
void vmm_faults_flush(struct vmm_faults *faults)
{
	if (!faults->writing && vmm_faults_to_write(faults))
		vmm_faults_send(faults);
}

int vmm_faults_respond(struct vmm_faults *faults, __u32 cookie, __u32 code)
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

static bool vmm_faults_idle(void *arg)
{
	struct vmm_faults *faults = arg;

	return !faults->writing;
}

int vmm_faults_stop(struct vmm_faults *faults)
{
	int rc = vmm_reader_disarm(&faults->reader);

	if (rc)
		return rc;
	vmm_faults_flush(faults);
	if (vmm_faults_idle(faults))
		return 0;
	return vmm_ring_run(faults->reader.ring, vmm_faults_idle, faults,
			    STOP_MS);
}

int vmm_faults_init(struct vmm_faults *faults, struct vmm_ring *ring, int fd,
		    enum vmm_transport transport)
{
	memset(faults, 0, sizeof(*faults));
	faults->write_op.done = vmm_faults_write_done;
	faults->reader.parse = vmm_faults_parse;
	return vmm_reader_init(&faults->reader, ring, fd, transport,
			       sizeof(struct iommu_hwpt_pgfault));
}

void vmm_faults_exit(struct vmm_faults *faults)
{
	vmm_reader_exit(&faults->reader);
	free(faults->filling);
	free(faults->sending);
}

/* vIOMMU event queues */

__u32 vmm_sequence_lost(__u32 *expected,
			const struct iommufd_vevent_header *header)
{
	__u32 lost = (header->sequence - *expected) & INT_MAX;

	*expected = (header->sequence + 1) & INT_MAX;
	return lost + !!(header->flags & IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
}

static int vmm_vevents_parse(struct vmm_reader *reader, const void *data,
			     size_t len)
{
	struct vmm_vevents *vevents = vmm_container(reader, struct vmm_vevents,
						    reader);
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
		lost = vmm_sequence_lost(&vevents->expected, &header);
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
		     enum vmm_transport transport, size_t data_len)
{
	memset(vevents, 0, sizeof(*vevents));
	vevents->reader.parse = vmm_vevents_parse;
	vevents->data_len = data_len;
	return vmm_reader_init(&vevents->reader, ring, fd, transport,
			       sizeof(struct iommufd_vevent_header) + data_len);
}

void vmm_vevents_exit(struct vmm_vevents *vevents)
{
	vmm_reader_exit(&vevents->reader);
}
