/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A bare io_uring for the event queue selftests, so that they need no library:
 * one request submitted at a time, completions taken in order. Nothing of
 * iommufd here.
 */
#ifndef __IOMMUFD_EVENTQ_URING_H
#define __IOMMUFD_EVENTQ_URING_H

#include <dirent.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EQ_RING_ENTRIES 64

struct eq_ring {
	int fd;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	unsigned int *sq_tail, *sq_array, *cq_head, *cq_tail;
	unsigned int sq_mask, cq_mask;
};

static inline void *eq_ring_map(int fd, size_t len, off_t offset)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_POPULATE, fd, offset);
}

static inline int eq_ring_init(struct eq_ring *ring, unsigned int flags)
{
	struct io_uring_params p = { .flags = flags };
	size_t len;
	char *mem;

	ring->fd = syscall(SYS_io_uring_setup, EQ_RING_ENTRIES, &p);
	if (ring->fd < 0)
		return -errno;
	/* One mapping holds both rings: any kernel with iommufd does that. */
	len = p.cq_off.cqes + p.cq_entries * sizeof(*ring->cqes);
	if (len < p.sq_off.array + p.sq_entries * sizeof(*ring->sq_array))
		len = p.sq_off.array + p.sq_entries * sizeof(*ring->sq_array);
	mem = eq_ring_map(ring->fd, len, IORING_OFF_SQ_RING);
	ring->sqes = eq_ring_map(ring->fd, p.sq_entries * sizeof(*ring->sqes),
				 IORING_OFF_SQES);
	if (mem == MAP_FAILED || ring->sqes == MAP_FAILED)
		return -ENOMEM;

	ring->sq_tail = (void *)(mem + p.sq_off.tail);
	ring->sq_array = (void *)(mem + p.sq_off.array);
	ring->sq_mask = p.sq_entries - 1;
	ring->cq_head = (void *)(mem + p.cq_off.head);
	ring->cq_tail = (void *)(mem + p.cq_off.tail);
	ring->cqes = (void *)(mem + p.cq_off.cqes);
	ring->cq_mask = p.cq_entries - 1;
	return 0;
}

/* Submit one request; its result comes with @user_data. */
static inline int eq_ring_submit(struct eq_ring *ring,
				 const struct io_uring_sqe *sqe)
{
	unsigned int tail = *ring->sq_tail, i = tail & ring->sq_mask;
	int rc;

	ring->sqes[i] = *sqe;
	ring->sq_array[i] = i;
	__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
	rc = syscall(SYS_io_uring_enter, ring->fd, 1, 0, 0, NULL, 0);
	if (rc < 0)
		return -errno;
	return rc == 1 ? 0 : -EAGAIN;
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

	while (head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE)) {
		long rc = syscall(SYS_io_uring_enter, ring->fd, 0, 1,
				  IORING_ENTER_GETEVENTS |
				  IORING_ENTER_EXT_ARG, &arg, sizeof(arg));

		if (rc < 0 && errno != EINTR)
			break;
	}
	if (head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE))
		return -ETIME;
	*cqe = ring->cqes[head & ring->cq_mask];
	__atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
	return 0;
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
