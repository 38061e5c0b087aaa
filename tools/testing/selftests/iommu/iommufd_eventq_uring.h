/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A bare io_uring for the event queue selftests, so that they need no library:
 * rings of each kind, requests one at a time or several at once, completions in
 * order, registered buffers and files, buffer rings. Nothing of iommufd here.
 *
 * Every helper that can fail returns a negative errno.
 */
#ifndef __IOMMUFD_EVENTQ_URING_H
#define __IOMMUFD_EVENTQ_URING_H

#include <dirent.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EQ_RING_ENTRIES 64
/* Short, so that a thread that polls for requests is met asleep too. */
#define EQ_RING_THREAD_IDLE_MS 1
#define EQ_RING_THREAD_MS 10000

struct eq_ring {
	int fd;
	unsigned int flags;	/* IORING_SETUP_* */
	unsigned int tail;	/* of the requests, those not submitted too */
	void *rings;
	size_t rings_len, sqes_len;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	unsigned int *sq_head, *sq_tail, *sq_flags, *sq_array;
	unsigned int *cq_head, *cq_tail;
	unsigned int sq_mask, cq_mask;
};

static inline void *eq_ring_map(int fd, size_t len, off_t offset)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_POPULATE, fd, offset);
}

/* With room for @entries requests, and as many completions if @tight. */
static inline int eq_ring_init_size(struct eq_ring *ring, unsigned int flags,
				    unsigned int entries, bool tight)
{
	struct io_uring_params p = {
		.flags = flags | (tight ? IORING_SETUP_CQSIZE : 0),
		.cq_entries = tight ? entries : 0,
		.sq_thread_idle = EQ_RING_THREAD_IDLE_MS,
	};
	char *mem;

	memset(ring, 0, sizeof(*ring));
	ring->flags = flags;
	ring->fd = syscall(SYS_io_uring_setup, entries, &p);
	if (ring->fd < 0)
		return -errno;
	/* One mapping holds both rings: any kernel with iommufd does that. */
	ring->rings_len = p.cq_off.cqes + p.cq_entries * sizeof(*ring->cqes);
	if (ring->rings_len <
	    p.sq_off.array + p.sq_entries * sizeof(*ring->sq_array))
		ring->rings_len = p.sq_off.array +
				  p.sq_entries * sizeof(*ring->sq_array);
	ring->sqes_len = p.sq_entries * sizeof(*ring->sqes);
	mem = eq_ring_map(ring->fd, ring->rings_len, IORING_OFF_SQ_RING);
	ring->sqes = eq_ring_map(ring->fd, ring->sqes_len, IORING_OFF_SQES);
	if (mem == MAP_FAILED || ring->sqes == MAP_FAILED)
		return -ENOMEM;

	ring->rings = mem;
	ring->sq_head = (void *)(mem + p.sq_off.head);
	ring->sq_tail = (void *)(mem + p.sq_off.tail);
	ring->sq_flags = (void *)(mem + p.sq_off.flags);
	ring->sq_array = (void *)(mem + p.sq_off.array);
	ring->sq_mask = p.sq_entries - 1;
	ring->cq_head = (void *)(mem + p.cq_off.head);
	ring->cq_tail = (void *)(mem + p.cq_off.tail);
	ring->cqes = (void *)(mem + p.cq_off.cqes);
	ring->cq_mask = p.cq_entries - 1;
	return 0;
}

static inline int eq_ring_init(struct eq_ring *ring, unsigned int flags)
{
	return eq_ring_init_size(ring, flags, EQ_RING_ENTRIES, false);
}

/* Its requests end soon after that: the mappings would keep it alive. */
static inline void eq_ring_fini(struct eq_ring *ring)
{
	if (ring->rings) {
		munmap(ring->rings, ring->rings_len);
		munmap(ring->sqes, ring->sqes_len);
	}
	if (ring->fd >= 0)
		close(ring->fd);
	ring->rings = NULL;
	ring->fd = -1;
}

/* Requests */

/* Put a request into the ring, to be submitted with others. */
static inline void eq_ring_add(struct eq_ring *ring,
			       const struct io_uring_sqe *sqe)
{
	unsigned int i = ring->tail++ & ring->sq_mask;

	ring->sqes[i] = *sqe;
	ring->sq_array[i] = i;
}

/* Wait until the ring's thread has issued all there is. */
static inline int eq_ring_thread(struct eq_ring *ring)
{
	unsigned int i;

	for (i = 0; i < EQ_RING_THREAD_MS * 10; i++) {
		/* The tail, stored before, must be visible before the look. */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (__atomic_load_n(ring->sq_head, __ATOMIC_ACQUIRE) ==
		    ring->tail)
			return 0;
		if (__atomic_load_n(ring->sq_flags, __ATOMIC_RELAXED) &
		    IORING_SQ_NEED_WAKEUP)
			syscall(SYS_io_uring_enter, ring->fd, 0, 0,
				IORING_ENTER_SQ_WAKEUP, NULL, 0);
		usleep(100);
	}
	return -ETIME;
}

/* Submit what was added, in one call. All is issued when it returns. */
static inline int eq_ring_submit_added(struct eq_ring *ring)
{
	unsigned int nr = ring->tail - *ring->sq_tail;
	int rc;

	__atomic_store_n(ring->sq_tail, ring->tail, __ATOMIC_RELEASE);
	if (ring->flags & IORING_SETUP_SQPOLL)
		return eq_ring_thread(ring);
	rc = syscall(SYS_io_uring_enter, ring->fd, nr, 0, 0, NULL, 0);
	if (rc < 0)
		return -errno;
	return rc == nr ? 0 : -EAGAIN;
}

/* Submit one request; its result comes with @user_data. */
static inline int eq_ring_submit(struct eq_ring *ring,
				 const struct io_uring_sqe *sqe)
{
	eq_ring_add(ring, sqe);
	return eq_ring_submit_added(ring);
}

static inline int eq_ring_rw(struct eq_ring *ring, int opcode, int fd,
			     void *buf, unsigned int len, __u64 offset,
			     __u64 user_data)
{
	struct io_uring_sqe sqe = {
		.opcode = opcode,
		.fd = fd,
		.addr = (uintptr_t)buf,
		.len = len,
		.off = offset,
		.user_data = user_data,
	};

	return eq_ring_submit(ring, &sqe);
}

/* Completions */

static inline bool eq_ring_has_cqe(struct eq_ring *ring)
{
	return *ring->cq_head !=
	       __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE);
}

/* Do what the ring has left for its owner to do, without waiting. */
static inline int eq_ring_flush(struct eq_ring *ring)
{
	return syscall(SYS_io_uring_enter, ring->fd, 0, 0,
		       IORING_ENTER_GETEVENTS, NULL, 0) < 0 ? -errno : 0;
}

/* Wait up to @ms for a completion. Returns 0 or -ETIME. */
static inline int eq_ring_wait(struct eq_ring *ring, unsigned int ms,
			       struct io_uring_cqe *cqe)
{
	struct __kernel_timespec ts = {
		.tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000000LL,
	};
	struct io_uring_getevents_arg arg = { .ts = (uintptr_t)&ts };
	unsigned int head = *ring->cq_head;

	while (!eq_ring_has_cqe(ring)) {
		long rc = syscall(SYS_io_uring_enter, ring->fd, 0, 1,
				  IORING_ENTER_GETEVENTS |
				  IORING_ENTER_EXT_ARG, &arg, sizeof(arg));

		if (rc < 0 && errno != EINTR)
			break;
	}
	if (!eq_ring_has_cqe(ring))
		return -ETIME;
	*cqe = ring->cqes[head & ring->cq_mask];
	__atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
	return 0;
}

/* What is registered with a ring */

static inline int eq_ring_register(struct eq_ring *ring, unsigned int opcode,
				   void *arg, unsigned int nr)
{
	int rc = syscall(SYS_io_uring_register, ring->fd, opcode, arg, nr);

	return rc < 0 ? -errno : rc;
}

/* Cancel all requests, without completions for that. */
static inline int eq_ring_cancel_all(struct eq_ring *ring)
{
	struct io_uring_sync_cancel_reg reg = {
		.fd = -1,
		.flags = IORING_ASYNC_CANCEL_ANY,
		.timeout.tv_sec = 10,
	};
	int rc = eq_ring_register(ring, IORING_REGISTER_SYNC_CANCEL, &reg, 1);

	return rc < 0 ? rc : eq_ring_flush(ring);
}

/* A ring of @nr buffers of @len bytes for requests to choose from. */
struct eq_bufs {
	struct io_uring_buf_ring *ring;
	char *mem;
	unsigned int nr, len;
	__u16 group, tail;
};

/* @nr is a power of two. A buffer is good for one request, or @incremental. */
static inline int eq_bufs_init(struct eq_bufs *bufs, struct eq_ring *ring,
			       __u16 group, unsigned int nr, unsigned int len,
			       bool incremental)
{
	size_t ring_len = nr * sizeof(struct io_uring_buf);
	struct io_uring_buf_reg reg = {
		.ring_entries = nr,
		.bgid = group,
		.flags = incremental ? IOU_PBUF_RING_INC : 0,
	};

	bufs->nr = nr;
	bufs->len = len;
	bufs->group = group;
	bufs->tail = 0;
	bufs->ring = mmap(NULL, ring_len, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bufs->mem = mmap(NULL, (size_t)nr * len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (bufs->ring == MAP_FAILED || bufs->mem == MAP_FAILED)
		return -ENOMEM;
	reg.ring_addr = (uintptr_t)bufs->ring;
	return eq_ring_register(ring, IORING_REGISTER_PBUF_RING, &reg, 1);
}

static inline void *eq_bufs_mem(struct eq_bufs *bufs, unsigned int bid)
{
	return bufs->mem + (size_t)bid * bufs->len;
}

/* Let requests have buffers @bid to @bid + @nr - 1. */
static inline void eq_bufs_give(struct eq_bufs *bufs, unsigned int bid,
				unsigned int nr)
{
	while (nr--) {
		struct io_uring_buf *buf =
			&bufs->ring->bufs[bufs->tail & (bufs->nr - 1)];

		buf->addr = (uintptr_t)eq_bufs_mem(bufs, bid);
		buf->len = bufs->len;
		buf->bid = bid++;
		__atomic_store_n(&bufs->ring->tail, ++bufs->tail,
				 __ATOMIC_RELEASE);
	}
}

/* Number of buffers that were used up since ever. */
static inline int eq_bufs_used(struct eq_bufs *bufs, struct eq_ring *ring)
{
	struct io_uring_buf_status status = { .buf_group = bufs->group };
	int rc = eq_ring_register(ring, IORING_REGISTER_PBUF_STATUS, &status,
				  1);

	return rc ? rc : (int)status.head;
}

/* io-wq workers are threads of this process, told by their name. */
static inline int eq_count_workers(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	int nr = 0;

	while (dir && (entry = readdir(dir))) {
		char path[300], comm[32] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm",
			 entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fgets(comm, sizeof(comm), file) &&
		    !strncmp(comm, "iou-wrk", 7))
			nr++;
		fclose(file);
	}
	if (dir)
		closedir(dir);
	return nr;
}

#endif
