// SPDX-License-Identifier: GPL-2.0-only
/* Library of the event queue selftests: see eventq_uring.h. */
#include <dirent.h>
#include <errno.h>
#include <linux/time_types.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "eventq_uring.h"

#define EQ_RING_ENTRIES 64
/* Short, so that tests also meet a polling thread that has gone to sleep. */
#define EQ_RING_THREAD_IDLE_MS 1
#define EQ_RING_THREAD_MS 10000

static void *eq_ring_map(int fd, size_t len, off_t offset)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_POPULATE, fd, offset);
}

int eq_ring_init_size(struct eq_ring *ring, unsigned int flags,
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
	ring->rings = mem;
	if (mem == MAP_FAILED || ring->sqes == MAP_FAILED) {
		eq_ring_fini(ring);
		return -ENOMEM;
	}

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

bool eq_no_ring(void)
{
	struct io_uring_params p = {};
	int fd = syscall(SYS_io_uring_setup, 1, &p);

	if (fd < 0)
		return errno == ENOSYS || errno == EPERM;
	close(fd);
	return false;
}

int eq_ring_init(struct eq_ring *ring, unsigned int flags)
{
	return eq_ring_init_size(ring, flags, EQ_RING_ENTRIES, false);
}

void eq_ring_fini(struct eq_ring *ring)
{
	if (ring->rings && ring->rings != MAP_FAILED)
		munmap(ring->rings, ring->rings_len);
	if (ring->sqes && ring->sqes != MAP_FAILED)
		munmap(ring->sqes, ring->sqes_len);
	if (ring->fd >= 0)
		close(ring->fd);
	ring->rings = NULL;
	ring->sqes = NULL;
	ring->fd = -1;
}

void eq_ring_add(struct eq_ring *ring, const struct io_uring_sqe *sqe)
{
	unsigned int i = ring->tail++ & ring->sq_mask;

	ring->sqes[i] = *sqe;
	ring->sq_array[i] = i;
}

/* Wait until the ring's thread has issued all there is. */
static int eq_ring_thread(struct eq_ring *ring)
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

int eq_ring_submit_added(struct eq_ring *ring)
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

int eq_ring_submit(struct eq_ring *ring, const struct io_uring_sqe *sqe)
{
	eq_ring_add(ring, sqe);
	return eq_ring_submit_added(ring);
}

int eq_ring_rw(struct eq_ring *ring, int opcode, int fd, void *buf,
	       unsigned int len, __u64 offset, __u64 user_data)
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

bool eq_ring_has_cqe(struct eq_ring *ring)
{
	return *ring->cq_head !=
	       __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE);
}

int eq_ring_flush(struct eq_ring *ring)
{
	return syscall(SYS_io_uring_enter, ring->fd, 0, 0,
		       IORING_ENTER_GETEVENTS, NULL, 0) < 0 ? -errno : 0;
}

int eq_ring_wait(struct eq_ring *ring, unsigned int ms,
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

int eq_ring_register(struct eq_ring *ring, unsigned int opcode, void *arg,
		     unsigned int nr)
{
	int rc = syscall(SYS_io_uring_register, ring->fd, opcode, arg, nr);

	return rc < 0 ? -errno : rc;
}

int eq_ring_cancel_all(struct eq_ring *ring)
{
	struct io_uring_sync_cancel_reg reg = {
		.fd = -1,
		.flags = IORING_ASYNC_CANCEL_ANY,
		.timeout.tv_sec = 10,
	};
	int rc = eq_ring_register(ring, IORING_REGISTER_SYNC_CANCEL, &reg, 1);

	return rc < 0 ? rc : eq_ring_flush(ring);
}

int eq_bufs_init(struct eq_bufs *bufs, struct eq_ring *ring, __u16 group,
		 unsigned int nr, unsigned int len, bool incremental)
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

void *eq_bufs_mem(struct eq_bufs *bufs, unsigned int bid)
{
	return bufs->mem + (size_t)bid * bufs->len;
}

void eq_bufs_give(struct eq_bufs *bufs, unsigned int bid, unsigned int nr)
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

int eq_bufs_used(struct eq_bufs *bufs, struct eq_ring *ring)
{
	struct io_uring_buf_status status = { .buf_group = bufs->group };
	int rc = eq_ring_register(ring, IORING_REGISTER_PBUF_STATUS, &status,
				  1);

	return rc ? rc : (int)status.head;
}

int eq_count_workers(void)
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
