// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selftest of iommufd's event queues: bad callers. Buffers that fail, odd
 * counts and vectors, wrong answers, files in the hands of other processes,
 * callers who get stuck in a page fault of their own or are killed there. What
 * each case checks besides the result of the bad call is that nobody else
 * suffers: no record is lost, delivered twice or out of order, no fault is
 * answered twice or never.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "calls.h"
#include "lib/eventq_wait.h"
#include "stall.h"

/* The largest vector, and the largest count that reaches a file */
#define MAX_PIECES 1024
#ifdef __aarch64__
#define MAX_COUNT ((size_t)INT_MAX & ~65535UL)
#else
#define MAX_COUNT ((size_t)INT_MAX & ~4095UL)
#endif
/* No program may touch it, with 32 bits or with 64 */
#define KERNEL_ADDRESS ((void *)~(~0UL >> 2))

/*
 * One CPU does for most cases, and is several times as fast under emulation.
 * Those that race want all.
 */

static cpu_set_t all_cpus;

static __attribute__((constructor)) void use_one_cpu(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_getaffinity(0, sizeof(all_cpus), &all_cpus);
	sched_setaffinity(0, sizeof(one), &one);
}

static void use_all_cpus(void)
{
	sched_setaffinity(0, sizeof(all_cpus), &all_cpus);
}

/*
 * Bad memory
 */

#define EDGE_ROOM (64 * 1024)
/* Larger than all counts below */
#define EDGE_HOLE ((size_t)1 << (sizeof(long) > 4 ? 33 : 30))

/* Where memory ends: EDGE_ROOM bytes before can be used, none long after. */
static char *open_edge(void)
{
	char *mem = mmap(NULL, EDGE_ROOM + EDGE_HOLE, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mem == MAP_FAILED ||
	    mprotect(mem, EDGE_ROOM, PROT_READ | PROT_WRITE))
		return NULL;
	return mem + EDGE_ROOM;
}

struct bad_memory {
	const char *what;
	void *buf;
	size_t len;
	bool early;		/* refused before the queue sees it */
	bool readable;
};

#define NR_BAD_MEMORY 10

static void bad_memory(struct bad_memory *bad, char *edge)
{
	char *good = edge - EDGE_ROOM, *gone = edge + EDGE_ROOM;
	void *no_write, *no_file;

	no_write = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);
	no_file = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
		       memfd_create("empty", 0), 0);
	munmap(gone, 4096);
	memcpy(bad, (struct bad_memory[NR_BAD_MEMORY]) {
		{ "read-only", no_write, 4096, false, true },
		{ "behind the end of the file", no_file, 4096 },
		{ "no access", edge, 4096 },
		{ "nothing mapped", gone, 4096 },
		{ "NULL", NULL, 4096 },
		{ "kernel", KERNEL_ADDRESS, 4096, true },
		{ "last page", (void *)-4096L, 4096, true },
		{ "largest count", good, SSIZE_MAX, true },
		{ "negative count", good, (size_t)SSIZE_MAX + 1, true },
		{ "wraps", good, SIZE_MAX & ~7UL, true },
	}, NR_BAD_MEMORY * sizeof(*bad));
}

static const size_t huge_counts[] = {
#if SIZE_MAX > UINT_MAX
	MAX_COUNT, MAX_COUNT + 1, 1UL << 31, UINT_MAX, 1UL << 32,
	(1UL << 32) + 1, 7UL << 30,
#else
	1UL << 29, (1UL << 29) + 8, 7UL << 27,
#endif
};

/*
 * Cut a buffer into @nr pieces, for each number in another of a few ways; the
 * last takes the rest. Empty ones point to where nobody may look.
 */
static void cut_buffer(struct iovec *iov, unsigned int nr, char *buf,
		       size_t len, void *bad)
{
	static const size_t cuts[][4] = {
		{ 1, 1, 1, 1 }, { 0, 1, 0, 1 }, { 3, 0, 0, 5 },
		{ 39, 1, 0, 40 }, { 7, 13, 7, 1 },
	};
	const size_t *cut = cuts[nr % ARRAY_SIZE(cuts)];
	unsigned int i;

	for (i = 0; i < nr; i++) {
		size_t piece = cut[i % 4];

		if (piece > len || i + 1 == nr)
			piece = len;
		iov[i].iov_base = piece ? buf : bad;
		iov[i].iov_len = piece;
		buf += piece;
		len -= piece;
	}
}

static bool all_bytes(const char *buf, size_t len, char value)
{
	while (len--)
		if (*buf++ != value)
			return false;
	return true;
}

/*
 * Numbered records: faults by their group, events by their sequence. Whatever
 * is done to the queue, they must come one after the other.
 */

struct feed {
	struct eq_world w;
	bool viommu;
	__u32 faults[4];	/* group n has faults[n % 4] */
	__u32 oldest;		/* number of the first that was not read yet */
	__u32 next;		/* and of the first that was not raised yet */
};

static unsigned int feed_dev(__u32 n)
{
	return n % 2;
}

static size_t feed_len(const struct feed *f, __u32 n)
{
	return f->viommu ? EQ_VEVENT_LEN : f->faults[n % 4] * EQ_FAULT_LEN;
}

/* Bytes of the whole queued records that fit into @room */
static size_t feed_fits(const struct feed *f, size_t room)
{
	size_t len = 0;
	__u32 n;

	for (n = f->oldest; n != f->next; n++) {
		if (len + feed_len(f, n) > room)
			break;
		len += feed_len(f, n);
	}
	return len;
}

static int feed_raise(struct feed *f, unsigned int nr)
{
	int rc = 0;

	for (; nr && !rc; nr--, f->next++)
		rc = f->viommu ? eq_raise_vevents(&f->w, 1) :
		     eq_raise_group(&f->w, feed_dev(f->next), f->next,
				    f->faults[f->next % 4]);
	return rc;
}

static bool is_group(const struct feed *f, const char *buf, __u32 n,
		     __u32 *cookie)
{
	__u32 nr = f->faults[n % 4], i;
	struct iommu_hwpt_pgfault r;

	for (i = 0; i < nr; i++) {
		memcpy(&r, buf + i * EQ_FAULT_LEN, sizeof(r));
		if (!i)
			*cookie = r.cookie;
		if (r.flags == (i + 1 == nr ? IOMMU_PGFAULT_FLAGS_LAST_PAGE :
					      0) &&
		    r.dev_id == f->w.dev[feed_dev(n)].dev_id && !r.pasid &&
		    r.grpid == n && !r.__reserved && r.addr == EQ_ADDR(i) &&
		    !r.length && r.cookie && r.cookie == *cookie)
			continue;
		printf("# fault %u: group %u flags %#x cookie %u, wanted %u\n",
		       i, r.grpid, r.flags, r.cookie, n);
		return false;
	}
	return true;
}

/* Without /dev/iommu, nobody knows what the device got. */
static bool feed_accept(struct feed *f, __u32 n, __u32 cookie)
{
	return eq_respond(f->w.queue.fd, cookie, IOMMUFD_PAGE_RESP_SUCCESS) ==
	       EQ_RESPONSE_LEN &&
	       (f->w.iommu < 0 || eq_got(&f->w, feed_dev(n), n, EQ_GOT_SUCCESS));
}

/* @len bytes were read: they are the next records. Accept the faults. */
static bool feed_take(struct feed *f, const char *buf, long len)
{
	__u32 cookie = 0;
	long size;

	for (; len > 0; buf += size, len -= size, f->oldest++) {
		size = feed_len(f, f->oldest);
		if (f->oldest == f->next || len < size) {
			printf("# %ld bytes too many\n", len);
			return false;
		}
		if (f->viommu) {
			if (!eq_is_event(buf, f->oldest))
				return false;
		} else if (!is_group(f, buf, f->oldest, &cookie) ||
			   !feed_accept(f, f->oldest, cookie)) {
			return false;
		}
	}
	return !len;
}

/* The rest comes, no more, and no other fault was answered. */
static bool feed_drain(struct feed *f)
{
	static char buf[EDGE_ROOM];
	long len = feed_fits(f, sizeof(buf)), ret;

	memset(buf + len, 0xa5, 8);
	ret = eq_read(f->w.queue.fd, buf, sizeof(buf));
	if (ret != len || !all_bytes(buf + len, 8, 0xa5)) {
		printf("# read %ld, wanted %ld\n", ret, len);
		return false;
	}
	return feed_take(f, buf, len) && f->oldest == f->next &&
	       eq_read(f->w.queue.fd, buf, sizeof(buf)) == 0 &&
	       !eq_readable(f->w.queue.fd) &&
	       (f->w.iommu < 0 ||
		(eq_got_nothing(&f->w, 0) && eq_got_nothing(&f->w, 1)));
}

/* What fdinfo says after all is done */
static bool feed_is_idle(struct feed *f)
{
	int fd = f->w.queue.fd;

	return eq_fdinfo(fd, "queued") == 0 &&
	       (f->viommu ? eq_fdinfo(fd, "lost") == 0 &&
			    eq_fdinfo(fd, "next-sequence") == f->next :
			    eq_fdinfo(fd, "outstanding") == 0);
}

/* The caller got @ret for whole records at @buf; the rest is as it was. */
static bool feed_continues(struct feed *f, const char *buf, long ret)
{
	return (ret <= 0 || feed_take(f, buf, ret)) && feed_drain(f);
}

/*
 * Reading
 */

FIXTURE(bad_read)
{
	struct feed f;
	char *edge;
};

FIXTURE_VARIANT(bad_read)
{
	bool viommu;
	__u32 faults[4];
	unsigned int many;	/* of a few pages, or as many as there can be */
};

FIXTURE_VARIANT_ADD(bad_read, fault)
{
	.faults = { 1, 1, 1, 1 },
	.many = 208,
};

FIXTURE_VARIANT_ADD(bad_read, fault_groups)
{
	.faults = { 2, 3, 1, 5 },
	.many = 80,
};

FIXTURE_VARIANT_ADD(bad_read, vevent)
{
	.viommu = true,
	.many = EQ_DEPTH,
};

FIXTURE_SETUP(bad_read)
{
	struct feed *f = &self->f;

	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	self->edge = open_edge();
	ASSERT_NE(NULL, self->edge);
	f->viommu = variant->viommu;
	memcpy(f->faults, variant->faults, sizeof(f->faults));
	ASSERT_EQ(0, eq_world_open(&f->w));
	ASSERT_EQ(0, eq_world_queue(&f->w, f->viommu, EQ_NO_WAIT));
}

FIXTURE_TEARDOWN(bad_read)
{
	close(self->f.w.queue.fd);
	close(self->f.w.iommu);
}

/* What a read of bad memory returns that ends @room bytes after its start */
static long fits_or(const struct feed *f, size_t room, long error)
{
	size_t len = feed_fits(f, room);

	return len ? (long)len : error;
}

static size_t longest(const struct feed *f)
{
	size_t len = 0, i;

	for (i = 0; i < 4; i++)
		if (feed_len(f, i) > len)
			len = feed_len(f, i);
	return len;
}

/* Five at a time, to have the ring of events wrap at every place. */
TEST_F(bad_read, hole_at_every_byte)
{
	struct feed *f = &self->f;
	size_t off, turn;

	for (turn = 0; turn < (f->viommu ? EQ_DEPTH : 1); turn++) {
		for (off = 0; off <= 3 * longest(f); off++) {
			char *buf = self->edge - off;
			long ret;

			ASSERT_EQ(0, feed_raise(f, 5));
			ret = fits_or(f, off, -EFAULT);
			ASSERT_EQ(ret, eq_read(f->w.queue.fd, buf, 8192)) {
				TH_LOG("hole at %zu", off);
			}
			ASSERT_TRUE(feed_continues(f, buf, ret)) {
				TH_LOG("hole at %zu", off);
			}
		}
	}
	ASSERT_TRUE(feed_is_idle(f));
}

/* The hole is in the first, a later, the last page of records. */
TEST_F(bad_read, hole_behind_many_records)
{
	struct feed *f = &self->f;
	size_t step = f->viommu ? 1 : 301, off, all = 1;

	for (off = 0; off < all + step; off += step) {
		char *buf = self->edge - off;
		long ret;

		ASSERT_EQ(0, feed_raise(f, variant->many));
		all = feed_fits(f, EDGE_ROOM);
		ret = fits_or(f, off, -EFAULT);
		ASSERT_EQ(ret, eq_read(f->w.queue.fd, buf, EDGE_ROOM)) {
			TH_LOG("hole at %zu", off);
		}
		ASSERT_TRUE(feed_continues(f, buf, ret));
	}
	ASSERT_TRUE(feed_is_idle(f));
}

TEST_F(bad_read, every_count)
{
	struct feed *f = &self->f;
	char buf[1024], spoilt[1024];
	int fd = f->w.queue.fd;
	size_t count;

	memset(spoilt, 0xa5, sizeof(spoilt));
	for (count = 0; count <= 3 * longest(f) + 1; count++) {
		bool bad = f->viommu && count < EQ_HEADER_LEN;
		long ret;

		ASSERT_EQ(bad ? -EINVAL : 0, eq_read(fd, buf, count));
		ASSERT_EQ(0, feed_raise(f, 4));
		ret = fits_or(f, count, count || bad ? -EINVAL : 0);
		memcpy(buf, spoilt, sizeof(buf));
		ASSERT_EQ(ret, eq_read(fd, buf, count)) {
			TH_LOG("count %zu", count);
		}
		/* Not even the bytes that were offered and are not used */
		if (ret < 0)
			ret = 0;
		ASSERT_EQ(0, memcmp(buf + ret, spoilt, sizeof(buf) - ret));
		ASSERT_TRUE(feed_continues(f, buf, ret));
	}
	ASSERT_TRUE(feed_is_idle(f));
}

TEST_F(bad_read, bad_memory)
{
	struct bad_memory bad[NR_BAD_MEMORY];
	struct feed *f = &self->f;
	unsigned int i;

	bad_memory(bad, self->edge);
	for (i = 0; i < NR_BAD_MEMORY; i++) {
		struct bad_memory *b = &bad[i];

		/* With nothing to copy, nobody looks. */
		ASSERT_EQ(b->early ? -EFAULT : 0,
			  eq_read(f->w.queue.fd, b->buf, b->len)) {
			TH_LOG("%s", b->what);
		}
		ASSERT_EQ(0, feed_raise(f, 5));
		ASSERT_EQ(-EFAULT, eq_read(f->w.queue.fd, b->buf, b->len)) {
			TH_LOG("%s", b->what);
		}
		ASSERT_TRUE(feed_drain(f));
	}
	ASSERT_TRUE(feed_is_idle(f));
}

TEST_F(bad_read, huge_counts)
{
	struct feed *f = &self->f;
	int fd = f->w.queue.fd;
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(huge_counts); i++) {
		/* All of them before the edge, or but two and a half */
		for (j = 0; j < 2; j++) {
			size_t room = EDGE_ROOM;
			struct iovec iov[2];
			char *buf;
			long ret;

			ASSERT_EQ(0, feed_raise(f, 5));
			if (j)
				room = feed_len(f, f->oldest) +
				       feed_len(f, f->oldest + 1) + 5;
			buf = self->edge - room;
			iov[0] = (struct iovec){ buf, huge_counts[i] };
			iov[1] = iov[0];
			ret = feed_fits(f, room);
			ASSERT_EQ(ret, i % 2 ? EQ_RET(readv(fd, iov, 2)) :
					       eq_read(fd, buf,
						       huge_counts[i])) {
				TH_LOG("count %zu", huge_counts[i]);
			}
			ASSERT_TRUE(feed_continues(f, buf, ret));
		}
	}
	ASSERT_TRUE(feed_is_idle(f));
}

TEST_F(bad_read, vectors_of_any_pieces)
{
	struct iovec iov[MAX_PIECES];
	struct feed *f = &self->f;
	unsigned int nr;
	char buf[1024];

	for (nr = 1; nr <= MAX_PIECES; nr++) {
		long ret;

		ASSERT_EQ(0, feed_raise(f, 5));
		ret = feed_fits(f, sizeof(buf));
		cut_buffer(iov, nr, buf, ret + 3, self->edge);
		ASSERT_EQ(ret, EQ_RET(readv(f->w.queue.fd, iov, nr))) {
			TH_LOG("%u pieces", nr);
		}
		ASSERT_TRUE(feed_continues(f, buf, ret));
	}
	ASSERT_TRUE(feed_is_idle(f));
}

TEST_F(bad_read, vectors_that_are_none)
{
	struct iovec iov[MAX_PIECES + 1] = {};
	int fd = self->f.w.queue.fd;

	ASSERT_EQ(0, feed_raise(&self->f, 5));
	ASSERT_EQ(-EINVAL, EQ_RET(readv(fd, iov, MAX_PIECES + 1)));
	ASSERT_EQ(-EINVAL, EQ_RET(syscall(SYS_readv, fd, iov, -1L)));
	ASSERT_EQ(-EFAULT, EQ_RET(readv(fd, (void *)self->edge, 3)));
	/* Nothing in it */
	ASSERT_EQ(0, EQ_RET(readv(fd, iov, 0)));
	ASSERT_EQ(0, EQ_RET(readv(fd, iov, 1)));
	ASSERT_EQ(0, EQ_RET(readv(fd, iov, MAX_PIECES)));
	/* The last piece is enough to refuse all. */
	iov[0] = (struct iovec){ self->edge - 1000, 1000 };
	iov[2] = (struct iovec){ self->edge - 1000, (size_t)-1 };
	ASSERT_EQ(-EINVAL, EQ_RET(readv(fd, iov, 3)));
	iov[2] = (struct iovec){ KERNEL_ADDRESS, 1000 };
	ASSERT_EQ(-EFAULT, EQ_RET(readv(fd, iov, 3)));
	ASSERT_TRUE(feed_drain(&self->f));
	ASSERT_TRUE(feed_is_idle(&self->f));
}

/* One piece is bad: what lies behind it is not written. */
TEST_F(bad_read, vector_with_bad_piece)
{
	struct feed *f = &self->f;
	char buf[1024], spoilt[1024];
	struct iovec iov[9];
	unsigned int i, bad;

	memset(spoilt, 0xa5, sizeof(spoilt));
	for (bad = 0; bad < ARRAY_SIZE(iov); bad++) {
		size_t piece = longest(f) / 2 + 1;
		long ret;

		for (i = 0; i < ARRAY_SIZE(iov); i++) {
			iov[i].iov_base = buf + i * piece;
			iov[i].iov_len = piece;
		}
		iov[bad].iov_base = self->edge;
		memcpy(buf, spoilt, sizeof(buf));
		ASSERT_EQ(0, feed_raise(f, 8));
		ret = fits_or(f, bad * piece, -EFAULT);
		ASSERT_EQ(ret, EQ_RET(readv(f->w.queue.fd, iov,
					    ARRAY_SIZE(iov)))) {
			TH_LOG("piece %u", bad);
		}
		ASSERT_EQ(0, memcmp(buf + bad * piece, spoilt,
				    sizeof(buf) - bad * piece));
		ASSERT_TRUE(feed_continues(f, buf, ret));
	}
	ASSERT_TRUE(feed_is_idle(f));
}

/* Calls that no queue has an answer to */
TEST_F(bad_read, other_calls)
{
	/* RWF_ATOMIC, RWF_DONTCACHE, one that does not exist */
	static const int flags[] = { 0x40, 0x80, 1 << 30 };
	struct iommu_destroy destroy = {
		.size = sizeof(destroy),
		.id = self->f.w.queue.id,
	};
	struct iovec iov = { self->edge - 1000, 1000 };
	int fd = self->f.w.queue.fd, pipes[2];
	size_t i;

	ASSERT_EQ(0, feed_raise(&self->f, 5));
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		ASSERT_EQ(-EOPNOTSUPP, EQ_RET(preadv2(fd, &iov, 1, -1, flags[i])));
	ASSERT_EQ(-EINVAL, EQ_RET(preadv2(fd, &iov, 1, -2, 0)));
	ASSERT_EQ(-ENOTTY, eq_call(fd, IOMMU_DESTROY, &destroy));
	ASSERT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0));
	ASSERT_EQ(ENODEV, errno);
	ASSERT_EQ(-EINVAL, EQ_RET(fsync(fd)));
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(-EINVAL, EQ_RET(splice(fd, NULL, pipes[1], NULL, 4096, 0)));
	ASSERT_EQ(8, write(pipes[1], "answers?", 8));
	ASSERT_EQ(-EINVAL, EQ_RET(splice(pipes[0], NULL, fd, NULL, 8, 0)));
	ASSERT_TRUE(feed_drain(&self->f));
	ASSERT_TRUE(feed_is_idle(&self->f));
}

/* The file is all that is left of the iommufd. */
TEST_F(bad_read, iommufd_closed_first)
{
	const short out = variant->viommu ? 0 : POLLOUT | POLLWRNORM;
	const short in = POLLIN | POLLRDNORM;
	struct feed *f = &self->f;
	int fd = f->w.queue.fd;
	struct iovec iov;
	char buf[1024];
	long len;

	ASSERT_EQ(out, eq_poll_now(fd));
	ASSERT_EQ(0, feed_raise(f, 6));
	ASSERT_EQ(0, close(f->w.iommu));
	f->w.iommu = -1;

	ASSERT_EQ(in | out, eq_poll_now(fd));
	ASSERT_EQ(6, eq_fdinfo(fd, "queued"));
	ASSERT_EQ(f->w.queue.id, eq_fdinfo(fd, "eventq-id"));
	ASSERT_EQ(-EFAULT, eq_read(fd, self->edge - 7, 1000));
	ASSERT_EQ(-EINVAL, eq_read(fd, buf, 7));
	ASSERT_EQ(-ESPIPE, EQ_RET(lseek(fd, 0, SEEK_CUR)));
	ASSERT_EQ(-ESPIPE, EQ_RET(pread(fd, buf, sizeof(buf), 0)));
	ASSERT_EQ(-EINVAL, eq_write(fd, buf, 7));
	ASSERT_EQ(variant->viommu ? -EINVAL : -EFAULT,
		  eq_write(fd, self->edge, EQ_RESPONSE_LEN));

	len = feed_len(f, 0);
	ASSERT_EQ(len, eq_read(fd, buf, len));
	ASSERT_TRUE(feed_take(f, buf, len));
	len = feed_len(f, 1);
	ASSERT_EQ(len, eq_read_vector(fd, buf, len));
	ASSERT_TRUE(feed_take(f, buf, len));
	len = feed_len(f, 2);
	ASSERT_EQ(len, eq_read_nowait(fd, buf, len));
	ASSERT_TRUE(feed_take(f, buf, len));
	len = feed_len(f, 3);
	iov = (struct iovec){ buf, len };
	ASSERT_EQ(len, EQ_RET(preadv2(fd, &iov, 1, -1, 0)));
	ASSERT_TRUE(feed_take(f, buf, len));
	ASSERT_EQ(0, fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK));
	len = feed_len(f, 4) + feed_len(f, 5);
	ASSERT_EQ(len, eq_read(fd, buf, len));
	ASSERT_TRUE(feed_take(f, buf, len));
	ASSERT_EQ(-EAGAIN, eq_read(fd, buf, sizeof(buf)));
	ASSERT_EQ(out, eq_poll_now(fd));
	if (!variant->viommu)
		ASSERT_EQ(-EINVAL, eq_respond(fd, 1, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(feed_is_idle(f));
	/* A copy keeps all of it. */
	f->w.queue.fd = dup(fd);
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(out, eq_poll_now(f->w.queue.fd));
	ASSERT_EQ(-EAGAIN, eq_read(f->w.queue.fd, buf, sizeof(buf)));
}

/* The buffer comes and goes while it is read into. */

#define NR_FLIPS 20

struct flip {
	char *page;
	bool stop;
};

static long job_flip(void *arg)
{
	struct flip *flip = arg;
	int rc = 0;

	while (!rc && !__atomic_load_n(&flip->stop, __ATOMIC_ACQUIRE)) {
		rc = mprotect(flip->page, 4096, PROT_NONE);
		if (!rc)
			rc = mprotect(flip->page, 4096, PROT_READ | PROT_WRITE);
		sched_yield();
	}
	return rc ? -errno : 0;
}

static bool read_flipping(struct feed *f, char *buf, const char *same)
{
	unsigned int tries;
	long ret;

	for (tries = 0; f->oldest != f->next; tries++) {
		ret = eq_read(f->w.queue.fd, buf, 1000);
		if (ret == -EFAULT && tries < 1000000) {
			sched_yield();
			continue;
		}
		if (ret <= 0 || !feed_take(f, same, ret))
			return false;
	}
	return feed_drain(f);
}

TEST_F(bad_read, buffer_that_comes_and_goes)
{
	int fd = memfd_create("flip", 0), i;
	struct flip flip = {};
	struct eq_job job;
	char *same;

	ASSERT_EQ(0, ftruncate(fd, 4096));
	flip.page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, flip.page);
	same = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, same);

	use_all_cpus();
	ASSERT_TRUE(eq_job_start(&job, job_flip, &flip));
	for (i = 0; i < NR_FLIPS; i++) {
		ASSERT_EQ(0, feed_raise(&self->f, 5));
		ASSERT_TRUE(read_flipping(&self->f, flip.page, same));
	}
	__atomic_store_n(&flip.stop, true, __ATOMIC_RELEASE);
	ASSERT_TRUE(eq_job_end(&job, EQ_DEADLINE_MS));
	ASSERT_EQ(0, job.ret);
	ASSERT_TRUE(feed_is_idle(&self->f));
}

/*
 * Reading, with a LOST header in the queue
 */

FIXTURE(bad_read_lost)
{
	struct eq_world w;
	char *edge;
	__u32 first;		/* sequence of the oldest event in the queue */
	__u32 lost;		/* and of the LOST header */
};

FIXTURE_SETUP(bad_read_lost)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	self->edge = open_edge();
	ASSERT_NE(NULL, self->edge);
	ASSERT_EQ(0, eq_world_open(&self->w));
	ASSERT_EQ(0, eq_world_vevent_queue(&self->w, EQ_NO_WAIT, EQ_DEPTH));
	self->lost = -1;
}

FIXTURE_TEARDOWN(bad_read_lost)
{
	close(self->w.queue.fd);
	close(self->w.iommu);
}

/* Have @nr events in the empty queue, and a LOST header. */
static bool lose(struct _test_data_bad_read_lost *self, unsigned int nr)
{
	size_t len = (EQ_DEPTH - nr) * EQ_VEVENT_LEN;
	char buf[EQ_DEPTH * EQ_VEVENT_LEN];

	self->first = self->lost + 1 + EQ_DEPTH - nr;
	self->lost += EQ_DEPTH + 1;
	return !eq_raise_vevents(&self->w, EQ_DEPTH + 1) &&
	       (!len || eq_read(self->w.queue.fd, buf, len) == (long)len);
}

/* What fits into @room: of @nr events, and then the LOST header */
static long lost_fits_or(unsigned int nr, size_t room, long error)
{
	size_t len = room / EQ_VEVENT_LEN * EQ_VEVENT_LEN;

	if (len > nr * EQ_VEVENT_LEN)
		len = nr * EQ_VEVENT_LEN;
	if (len == nr * EQ_VEVENT_LEN && room - len >= EQ_HEADER_LEN)
		len += EQ_HEADER_LEN;
	return len ? (long)len : error;
}

/* @len bytes at @buf were read: check them, and that the rest follows. */
static bool lost_continues(struct _test_data_bad_read_lost *self,
			   unsigned int nr, const char *buf, long len)
{
	long all = nr * EQ_VEVENT_LEN + EQ_HEADER_LEN, at;
	char whole[EQ_DEPTH * EQ_VEVENT_LEN + EQ_HEADER_LEN];

	if (len < 0)
		len = 0;
	memcpy(whole, buf, len);
	if (len < all && eq_read(self->w.queue.fd, whole + len,
				 sizeof(whole) - len) != all - len)
		return false;
	for (at = 0; at < all - EQ_HEADER_LEN; at += EQ_VEVENT_LEN)
		if (!eq_is_event(whole + at, self->first + at / EQ_VEVENT_LEN))
			return false;
	return eq_is_lost(whole + at, self->lost) &&
	       eq_read(self->w.queue.fd, whole, sizeof(whole)) == 0 &&
	       !eq_readable(self->w.queue.fd);
}

TEST_F(bad_read_lost, every_count)
{
	char buf[64], spoilt[64];
	unsigned int nr;
	size_t count;

	memset(spoilt, 0xa5, sizeof(spoilt));
	for (nr = 0; nr <= 3; nr++) {
		for (count = 0; count <= 3 * EQ_VEVENT_LEN + 9; count++) {
			long ret = lost_fits_or(nr, count, -EINVAL);

			ASSERT_TRUE(lose(self, nr));
			memcpy(buf, spoilt, sizeof(buf));
			ASSERT_EQ(ret, eq_read(self->w.queue.fd, buf, count)) {
				TH_LOG("%u events, count %zu", nr, count);
			}
			if (ret < 0)
				ret = 0;
			ASSERT_EQ(0, memcmp(buf + ret, spoilt,
					    sizeof(buf) - ret));
			ASSERT_TRUE(lost_continues(self, nr, buf, ret));
		}
	}
	ASSERT_EQ(self->lost + 1, eq_fdinfo(self->w.queue.fd, "next-sequence"));
}

TEST_F(bad_read_lost, hole_at_every_byte)
{
	unsigned int nr;
	size_t off;

	for (nr = 0; nr <= 3; nr++) {
		for (off = 0; off <= 3 * EQ_VEVENT_LEN + 9; off++) {
			long ret = lost_fits_or(nr, off, -EFAULT);
			char *buf = self->edge - off;

			ASSERT_TRUE(lose(self, nr));
			ASSERT_EQ(ret, eq_read(self->w.queue.fd, buf, 4096)) {
				TH_LOG("%u events, hole at %zu", nr, off);
			}
			ASSERT_TRUE(lost_continues(self, nr, buf, ret));
		}
	}
	ASSERT_EQ(self->lost + 1, eq_fdinfo(self->w.queue.fd, "next-sequence"));
}

/*
 * Answering
 */

/* The device remembers no more answers than that. */
#define ASK_MAX 60
/* A run of answers that the kernel takes from the caller at once */
#define RUN 32

FIXTURE(bad_write)
{
	struct eq_world w;
	char *edge;
	__u32 next;		/* group number; those are no cookies */
};

FIXTURE_SETUP(bad_write)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	self->edge = open_edge();
	ASSERT_NE(NULL, self->edge);
	self->next = 1U << 24;
	ASSERT_EQ(0, eq_world_open(&self->w));
	ASSERT_EQ(0, eq_world_fault_queue(&self->w, EQ_NO_WAIT));
}

FIXTURE_TEARDOWN(bad_write)
{
	close(self->w.queue.fd);
	close(self->w.iommu);
}

/* Raise and read @nr faults; @r accepts them. */
static bool ask(struct _test_data_bad_write *self,
		struct iommu_hwpt_page_response *r, unsigned int nr)
{
	struct iommu_hwpt_pgfault f[ASK_MAX];
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (eq_raise_fault(&self->w, 0, self->next + i))
			return false;
	if (eq_read(self->w.queue.fd, f, sizeof(f)) != nr * EQ_FAULT_LEN)
		return false;
	for (i = 0; i < nr; i++) {
		r[i].cookie = f[i].cookie;
		r[i].code = IOMMUFD_PAGE_RESP_SUCCESS;
	}
	return true;
}

/*
 * The write returned @ret: the device got exactly those answers. The others can
 * still be given, and are then.
 */
static bool answered_exactly(struct _test_data_bad_write *self,
			     const struct iommu_hwpt_page_response *r,
			     unsigned int nr, long ret)
{
	unsigned int done = ret > 0 ? ret / EQ_RESPONSE_LEN : 0, i;
	struct iommu_hwpt_page_response rest[ASK_MAX];

	for (i = 0; i < done; i++)
		if (!eq_got(&self->w, 0, self->next + i, EQ_GOT_SUCCESS))
			return false;
	if (!eq_got_nothing(&self->w, 0))
		return false;
	for (; i < nr; i++) {
		rest[i - done].cookie = r[i].cookie;
		rest[i - done].code = IOMMUFD_PAGE_RESP_INVALID;
	}
	if (eq_write(self->w.queue.fd, rest, (nr - done) * EQ_RESPONSE_LEN) !=
	    (nr - done) * EQ_RESPONSE_LEN)
		return false;
	for (i = done; i < nr; i++)
		if (!eq_got(&self->w, 0, self->next + i, EQ_GOT_INVALID))
			return false;
	self->next += nr;
	return eq_got_nothing(&self->w, 0);
}

static bool nothing_outstanding(struct _test_data_bad_write *self)
{
	return eq_fdinfo(self->w.queue.fd, "queued") == 0 &&
	       eq_fdinfo(self->w.queue.fd, "outstanding") == 0;
}

/* Bytes of the whole answers in @room, or the error if there is none */
static long answers_or(size_t room, long error)
{
	size_t len = room / EQ_RESPONSE_LEN * EQ_RESPONSE_LEN;

	return len ? (long)len : error;
}

static void hole_in_answers(struct __test_metadata *_metadata,
			    struct _test_data_bad_write *self, unsigned int nr,
			    size_t off)
{
	struct iommu_hwpt_page_response r[ASK_MAX];
	long ret = answers_or(off, -EFAULT);

	ASSERT_TRUE(ask(self, r, nr));
	memcpy(self->edge - off, r, off);
	ASSERT_EQ(ret, eq_write(self->w.queue.fd, self->edge - off,
				nr * EQ_RESPONSE_LEN)) {
		TH_LOG("%u answers, hole at %zu", nr, off);
	}
	ASSERT_TRUE(answered_exactly(self, r, nr, ret));
}

TEST_F(bad_write, hole_at_every_byte)
{
	size_t off;

	for (off = 0; off <= 3 * EQ_RESPONSE_LEN; off++)
		hole_in_answers(_metadata, self, 4, off);
	for (off = (RUN - 2) * EQ_RESPONSE_LEN; off <= (RUN + 2) * EQ_RESPONSE_LEN; off++)
		hole_in_answers(_metadata, self, RUN + 3, off);
	ASSERT_TRUE(nothing_outstanding(self));
}

TEST_F(bad_write, every_count)
{
	struct iommu_hwpt_page_response r[4];
	size_t count;

	for (count = 0; count <= 3 * EQ_RESPONSE_LEN + 1; count++) {
		long ret = count % EQ_RESPONSE_LEN ? -EINVAL : (long)count;

		ASSERT_TRUE(ask(self, r, 4));
		ASSERT_EQ(ret, eq_write(self->w.queue.fd, r, count)) {
			TH_LOG("count %zu", count);
		}
		ASSERT_TRUE(answered_exactly(self, r, 4, ret));
	}
	ASSERT_TRUE(nothing_outstanding(self));
}

TEST_F(bad_write, bad_memory)
{
	struct iommu_hwpt_page_response r[2];
	struct bad_memory bad[NR_BAD_MEMORY];
	int fd = self->w.queue.fd;
	unsigned int i;

	bad_memory(bad, self->edge);
	for (i = 0; i < NR_BAD_MEMORY; i++) {
		ASSERT_TRUE(ask(self, r, 2));
		/* A page of zeroes has no cookie in it. */
		ASSERT_EQ(bad[i].readable ? -EINVAL : -EFAULT,
			  eq_write(fd, bad[i].buf, bad[i].len)) {
			TH_LOG("%s", bad[i].what);
		}
		ASSERT_TRUE(answered_exactly(self, r, 2, 0));
	}

	/* To read the answers is all that is needed. */
	ASSERT_TRUE(ask(self, r, 2));
	memcpy(self->edge - EDGE_ROOM, r, sizeof(r));
	ASSERT_EQ(0, mprotect(self->edge - EDGE_ROOM, EDGE_ROOM, PROT_READ));
	ASSERT_EQ(sizeof(r), eq_write(fd, self->edge - EDGE_ROOM, sizeof(r)));
	ASSERT_TRUE(answered_exactly(self, r, 2, sizeof(r)));
	ASSERT_TRUE(nothing_outstanding(self));
}

/* The count is cut before the queue sees it, to a multiple of 8. */
TEST_F(bad_write, huge_counts)
{
	struct iommu_hwpt_page_response r[2];
	char *buf = self->edge - sizeof(r);
	int fd = self->w.queue.fd;
	struct iovec iov[2];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(huge_counts); i++) {
		ASSERT_TRUE(ask(self, r, 2));
		memcpy(buf, r, sizeof(r));
		iov[0] = (struct iovec){ buf, huge_counts[i] };
		iov[1] = iov[0];
		ASSERT_EQ(sizeof(r), i % 2 ? EQ_RET(writev(fd, iov, 2)) :
					     eq_write(fd, buf,
						      huge_counts[i])) {
			TH_LOG("count %zu", huge_counts[i]);
		}
		ASSERT_TRUE(answered_exactly(self, r, 2, sizeof(r)));
	}
	ASSERT_TRUE(ask(self, r, 2));
	memcpy(buf, r, sizeof(r));
	ASSERT_EQ(-EINVAL, eq_write(fd, buf, huge_counts[0] - 1));
	ASSERT_TRUE(answered_exactly(self, r, 2, 0));
	ASSERT_TRUE(nothing_outstanding(self));
}

TEST_F(bad_write, vectors_of_any_pieces)
{
	struct iommu_hwpt_page_response r[9];
	struct iovec iov[MAX_PIECES];
	unsigned int nr;

	for (nr = 1; nr <= MAX_PIECES; nr++) {
		ASSERT_TRUE(ask(self, r, 9));
		cut_buffer(iov, nr, (char *)r, sizeof(r), self->edge);
		ASSERT_EQ(sizeof(r), EQ_RET(writev(self->w.queue.fd, iov, nr))) {
			TH_LOG("%u pieces", nr);
		}
		ASSERT_TRUE(answered_exactly(self, r, 9, sizeof(r)));
	}
	ASSERT_TRUE(nothing_outstanding(self));
}

TEST_F(bad_write, vectors_that_are_none)
{
	struct iovec iov[MAX_PIECES + 1] = {};
	struct iommu_hwpt_page_response r[3];
	int fd = self->w.queue.fd;

	ASSERT_TRUE(ask(self, r, 3));
	ASSERT_EQ(-EINVAL, EQ_RET(writev(fd, iov, MAX_PIECES + 1)));
	ASSERT_EQ(-EINVAL, EQ_RET(syscall(SYS_writev, fd, iov, -1L)));
	ASSERT_EQ(-EFAULT, EQ_RET(writev(fd, (void *)self->edge, 3)));
	ASSERT_EQ(0, EQ_RET(writev(fd, iov, 0)));
	ASSERT_EQ(0, EQ_RET(writev(fd, iov, 1)));
	ASSERT_EQ(0, EQ_RET(writev(fd, iov, MAX_PIECES)));
	iov[0] = (struct iovec){ r, sizeof(r) };
	iov[2] = (struct iovec){ r, (size_t)-1 };
	ASSERT_EQ(-EINVAL, EQ_RET(writev(fd, iov, 3)));
	iov[2] = (struct iovec){ KERNEL_ADDRESS, 8 };
	ASSERT_EQ(-EFAULT, EQ_RET(writev(fd, iov, 3)));
	/* Whole pieces, no whole number of answers */
	iov[2] = (struct iovec){ r, 4 };
	ASSERT_EQ(-EINVAL, EQ_RET(writev(fd, iov, 3)));
	ASSERT_TRUE(answered_exactly(self, r, 3, 0));
	ASSERT_TRUE(nothing_outstanding(self));
}

TEST_F(bad_write, vector_with_bad_piece)
{
	struct iommu_hwpt_page_response r[6];
	struct iovec iov[8];
	unsigned int i, bad;

	for (bad = 0; bad < ARRAY_SIZE(iov); bad++) {
		long ret = answers_or(bad * 6, -EFAULT);

		ASSERT_TRUE(ask(self, r, ARRAY_SIZE(r)));
		for (i = 0; i < ARRAY_SIZE(iov); i++) {
			iov[i].iov_base = (char *)r + i * 6;
			iov[i].iov_len = 6;
		}
		iov[bad].iov_base = self->edge;
		ASSERT_EQ(ret, EQ_RET(writev(self->w.queue.fd, iov,
					     ARRAY_SIZE(iov)))) {
			TH_LOG("piece %u", bad);
		}
		ASSERT_TRUE(answered_exactly(self, r, ARRAY_SIZE(r), ret));
	}
	ASSERT_TRUE(nothing_outstanding(self));
}

/* All that an answer to the fault with @cookie can be and must not */
#define NR_WRONG 14

static void wrong_answers(struct iommu_hwpt_page_response *wrong,
			  __u32 cookie, __u32 newest, __u32 answered)
{
	memcpy(wrong, (struct iommu_hwpt_page_response[NR_WRONG]) {
		/* Cookies that nobody was given, and one that was good once */
		{ .cookie = 0 },
		{ .cookie = UINT_MAX },
		{ .cookie = INT_MAX },
		{ .cookie = newest + 1 },
		{ .cookie = newest + 64 },
		{ .cookie = cookie ^ (1U << 31) },
		{ .cookie = answered },
		/* Codes: FAILURE is not theirs, and all 32 bits count */
		{ .cookie = cookie, .code = 2 },
		{ .cookie = cookie, .code = 3 },
		{ .cookie = cookie, .code = 1 << 8 },
		{ .cookie = cookie, .code = 1 << 16 },
		{ .cookie = cookie, .code = 1U << 31 },
		{ .cookie = cookie, .code = (1U << 31) + 1 },
		{ .cookie = cookie, .code = UINT_MAX },
	}, NR_WRONG * sizeof(*wrong));
}

static void wrong_answer_at(struct __test_metadata *_metadata,
			    struct _test_data_bad_write *self, unsigned int nr,
			    unsigned int at, __u32 *answered)
{
	struct iommu_hwpt_page_response r[ASK_MAX], batch[ASK_MAX];
	struct iommu_hwpt_page_response wrong[NR_WRONG];
	long ret = answers_or(at * EQ_RESPONSE_LEN, -EINVAL);
	unsigned int i;

	for (i = 0; i < NR_WRONG; i++) {
		ASSERT_TRUE(ask(self, r, nr));
		wrong_answers(wrong, r[at].cookie, r[nr - 1].cookie, *answered);
		memcpy(batch, r, sizeof(batch));
		batch[at] = wrong[i];
		ASSERT_EQ(ret, eq_write(self->w.queue.fd, batch,
					nr * EQ_RESPONSE_LEN)) {
			TH_LOG("wrong answer %u at %u of %u", i, at, nr);
		}
		ASSERT_TRUE(answered_exactly(self, r, nr, ret));
		*answered = r[at].cookie;
	}
}

TEST_F(bad_write, wrong_answer_at_every_place)
{
	struct iommu_hwpt_page_response r;
	unsigned int at;

	ASSERT_TRUE(ask(self, &r, 1));
	ASSERT_TRUE(answered_exactly(self, &r, 1, 0));
	for (at = 0; at < 5; at++)
		wrong_answer_at(_metadata, self, 5, at, &r.cookie);
	for (at = RUN - 1; at < RUN + 2; at++)
		wrong_answer_at(_metadata, self, RUN + 2, at, &r.cookie);
	ASSERT_TRUE(nothing_outstanding(self));
}

TEST_F(bad_write, same_answer_twice_in_a_batch)
{
	struct iommu_hwpt_page_response r[5], batch[5];
	unsigned int at, of;

	for (at = 1; at < ARRAY_SIZE(r); at++) {
		for (of = 0; of < at; of++) {
			long ret = at * EQ_RESPONSE_LEN;

			ASSERT_TRUE(ask(self, r, ARRAY_SIZE(r)));
			memcpy(batch, r, sizeof(batch));
			batch[at] = batch[of];
			ASSERT_EQ(ret, eq_write(self->w.queue.fd, batch,
						sizeof(batch)));
			ASSERT_TRUE(answered_exactly(self, r, ARRAY_SIZE(r),
						     ret));
		}
	}
	ASSERT_TRUE(nothing_outstanding(self));
}

/*
 * Somebody guesses cookies while readers fail: a fault is answered by the
 * guess, or goes back and comes again.
 */

#define NR_GUESSED 60
#define NR_FAILING_READS 600

struct guess {
	int fd;
	char *edge;
	__u32 cookie;		/* what they counted from, and how many reads */
	unsigned int reads;	/* failed since then: each spent one */
	bool stop;
};

static long job_fail_reads(void *arg)
{
	struct guess *g = arg;
	unsigned int i;

	for (i = 0; i < NR_FAILING_READS; i++) {
		long ret = eq_read(g->fd, g->edge - EQ_FAULT_LEN + 1,
				   2 * EQ_FAULT_LEN);

		if (ret == -EFAULT)
			__atomic_add_fetch(&g->reads, 1, __ATOMIC_RELAXED);
		else if (ret)
			return ret;
	}
	return 0;
}

static long job_guess(void *arg)
{
	struct guess *g = arg;
	long hits = 0;
	__u32 i;

	while (!__atomic_load_n(&g->stop, __ATOMIC_ACQUIRE)) {
		__u32 next = g->cookie +
			     __atomic_load_n(&g->reads, __ATOMIC_RELAXED);

		for (i = 0; i < 4; i++) {
			long ret = eq_respond(g->fd, next + i,
					      IOMMUFD_PAGE_RESP_SUCCESS);

			if (ret == EQ_RESPONSE_LEN)
				hits++;
			else if (ret != -EINVAL)
				return ret;
		}
	}
	return hits;
}

/* Read what is left, refuse it, and have each answer in @codes. */
static bool count_answers(struct _test_data_bad_write *self, __u8 *codes)
{
	struct iommu_hwpt_pgfault f[2 * NR_GUESSED];
	long len = eq_read(self->w.queue.fd, f, sizeof(f));
	__u32 last = self->next - 1;
	struct eq_response a;
	int i;

	for (i = 0; i < len / EQ_FAULT_LEN; i++) {
		if (!(f[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE))
			continue;
		if (f[i].grpid <= last ||
		    eq_respond(self->w.queue.fd, f[i].cookie,
			       IOMMUFD_PAGE_RESP_INVALID) != EQ_RESPONSE_LEN)
			return false;
		last = f[i].grpid;
	}
	while (!eq_pop_response(self->w.iommu, &self->w.dev[0], &a) &&
	       a.code != EQ_GOT_NOTHING) {
		last = a.grpid - self->next;
		if (last >= NR_GUESSED || codes[last] != EQ_GOT_NOTHING)
			return false;
		codes[last] = a.code;
	}
	return true;
}

TEST_F(bad_write, guesses_while_readers_fail)
{
	struct guess g = { .fd = self->w.queue.fd, .edge = self->edge };
	struct iommu_hwpt_page_response r;
	struct eq_job readers[2], guesser;
	__u8 codes[NR_GUESSED];
	long hits = 0;
	int i;

	ASSERT_TRUE(ask(self, &r, 1));
	ASSERT_TRUE(answered_exactly(self, &r, 1, 0));
	g.cookie = r.cookie;
	for (i = 0; i < NR_GUESSED; i++)
		ASSERT_EQ(0, eq_raise_group(&self->w, 0, self->next + i, i % 2 + 1));
	use_all_cpus();
	ASSERT_TRUE(eq_job_start(&guesser, job_guess, &g));
	for (i = 0; i < 2; i++)
		ASSERT_TRUE(eq_job_start(&readers[i], job_fail_reads, &g));
	for (i = 0; i < 2; i++) {
		ASSERT_TRUE(eq_job_end(&readers[i], EQ_DEADLINE_MS));
		ASSERT_EQ(0, readers[i].ret);
	}
	__atomic_store_n(&g.stop, true, __ATOMIC_RELEASE);
	ASSERT_TRUE(eq_job_end(&guesser, EQ_DEADLINE_MS));

	memset(codes, EQ_GOT_NOTHING, sizeof(codes));
	ASSERT_TRUE(count_answers(self, codes));
	for (i = 0; i < NR_GUESSED; i++) {
		ASSERT_GE(EQ_GOT_INVALID, codes[i]);
		hits += codes[i] == EQ_GOT_SUCCESS;
	}
	ASSERT_EQ(guesser.ret, hits);
	ASSERT_TRUE(nothing_outstanding(self));
}

/*
 * Files in the hands of another process, which does what it is told to over a
 * pair of pipes
 */

struct peer {
	pid_t pid;
	int orders, replies;
};

struct order {
	enum { PEER_TAKE, PEER_READ, PEER_WRITE, PEER_CLOSE } what;
	size_t len;		/* PEER_TAKE: which file of the parent */
	char data[EQ_RESPONSE_LEN];
};

struct reply {
	long ret;
	char data[256];
};

/* The parent's file becomes one of this process, too. */
static int take_fd(int fd)
{
	int pidfd = syscall(SYS_pidfd_open, getppid(), 0);
	int taken = syscall(SYS_pidfd_getfd, pidfd, fd, 0);

	close(pidfd);
	return taken;
}

static void run_peer(int orders, int replies, int fd)
{
	struct order order;
	struct reply reply;

	while (read(orders, &order, sizeof(order)) == sizeof(order)) {
		reply.ret = 0;
		if (order.what == PEER_TAKE)
			fd = take_fd(order.len);
		else if (order.what == PEER_READ)
			reply.ret = eq_read(fd, reply.data, order.len);
		else if (order.what == PEER_WRITE)
			reply.ret = eq_write(fd, order.data, order.len);
		else if (order.what == PEER_CLOSE)
			reply.ret = EQ_RET(close(fd));
		if (write(replies, &reply, sizeof(reply)) != sizeof(reply))
			break;
	}
	_exit(0);
}

static bool peer_order(struct peer *peer, const struct order *order)
{
	return write(peer->orders, order, sizeof(*order)) == sizeof(*order);
}

static bool peer_do(struct peer *peer, const struct order *order,
		    struct reply *reply)
{
	return peer_order(peer, order) &&
	       read(peer->replies, reply, sizeof(*reply)) == sizeof(*reply);
}

/* The other process gets the file by fork, or has it passed later. */
static bool peer_start(struct peer *peer, struct eq_world *w, bool pass)
{
	struct order take = { .what = PEER_TAKE, .len = w->queue.fd };
	struct reply reply;
	int orders[2], replies[2];

	if (pipe(orders) || pipe(replies))
		return false;
	peer->orders = orders[1];
	peer->replies = replies[0];
	peer->pid = eq_fork();
	if (!peer->pid) {
		close(orders[1]);
		close(replies[0]);
		close(w->iommu);
		if (pass)
			close(w->queue.fd);
		run_peer(orders[0], replies[1], pass ? -1 : w->queue.fd);
	}
	close(orders[0]);
	close(replies[1]);
	return peer->pid > 0 && (!pass || peer_do(peer, &take, &reply));
}

static long peer_read(struct peer *peer, char *buf, size_t len)
{
	struct order order = { .what = PEER_READ, .len = len };
	struct reply reply;

	if (!peer_do(peer, &order, &reply))
		return -EPIPE;
	if (reply.ret > 0)
		memcpy(buf, reply.data, reply.ret);
	return reply.ret;
}

static long peer_write(struct peer *peer, const void *buf, size_t len)
{
	struct order order = { .what = PEER_WRITE, .len = len };
	struct reply reply;

	memcpy(order.data, buf, len);
	return peer_do(peer, &order, &reply) ? reply.ret : -EPIPE;
}

static long peer_close(struct peer *peer)
{
	struct order order = { .what = PEER_CLOSE };
	struct reply reply;

	return peer_do(peer, &order, &reply) ? reply.ret : -EPIPE;
}

FIXTURE(passed)
{
	struct feed f;
	struct peer peer;
};

FIXTURE_VARIANT(passed)
{
	bool viommu;
	bool pass;
};

FIXTURE_VARIANT_ADD(passed, fault_by_fork)
{
	.viommu = false,
};

FIXTURE_VARIANT_ADD(passed, fault_passed)
{
	.pass = true,
};

FIXTURE_VARIANT_ADD(passed, vevent_by_fork)
{
	.viommu = true,
};

FIXTURE_VARIANT_ADD(passed, vevent_passed)
{
	.viommu = true,
	.pass = true,
};

FIXTURE_SETUP(passed)
{
	struct feed *f = &self->f;
	int i;

	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	f->viommu = variant->viommu;
	for (i = 0; i < 4; i++)
		f->faults[i] = 1;
	ASSERT_EQ(0, eq_world_open(&f->w));
	ASSERT_EQ(0, eq_world_queue(&f->w, f->viommu, EQ_NO_WAIT));
	ASSERT_TRUE(peer_start(&self->peer, &f->w, variant->pass));
}

FIXTURE_TEARDOWN(passed)
{
	close(self->peer.orders);
	close(self->peer.replies);
	waitpid(self->peer.pid, NULL, 0);
	close(self->f.w.queue.fd);
	close(self->f.w.iommu);
}

TEST_F(passed, both_read)
{
	struct feed *f = &self->f;
	long len = feed_len(f, 0);
	char buf[256];
	int i;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, feed_raise(f, 3));
		ASSERT_EQ(len, peer_read(&self->peer, buf, len));
		ASSERT_TRUE(feed_take(f, buf, len));
		ASSERT_EQ(len, eq_read(f->w.queue.fd, buf, len));
		ASSERT_TRUE(feed_take(f, buf, len));
		ASSERT_EQ(len, peer_read(&self->peer, buf, sizeof(buf)));
		ASSERT_TRUE(feed_take(f, buf, len));
		ASSERT_EQ(0, peer_read(&self->peer, buf, sizeof(buf)));
		ASSERT_TRUE(feed_drain(f));
	}
	ASSERT_TRUE(feed_is_idle(f));
}

/* Answers may come from whoever has the file. */
TEST_F(passed, other_process_answers)
{
	struct iommu_hwpt_page_response r = {};
	struct iommu_hwpt_pgfault faults[2];
	struct feed *f = &self->f;

	if (variant->viommu) {
		ASSERT_EQ(-EINVAL, peer_write(&self->peer, &r, sizeof(r)));
		return;
	}
	ASSERT_EQ(-EINVAL, peer_write(&self->peer, &r, sizeof(r)));
	ASSERT_EQ(0, feed_raise(f, 2));
	ASSERT_EQ(2 * EQ_FAULT_LEN,
		  eq_read(f->w.queue.fd, faults, sizeof(faults)));
	r.cookie = faults[1].cookie;
	r.code = IOMMUFD_PAGE_RESP_INVALID;
	ASSERT_EQ(EQ_RESPONSE_LEN, peer_write(&self->peer, &r, sizeof(r)));
	ASSERT_TRUE(eq_got(&f->w, 1, 1, EQ_GOT_INVALID));
	ASSERT_EQ(-EINVAL, eq_respond(f->w.queue.fd, r.cookie,
				      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(-EINVAL, peer_write(&self->peer, &r, sizeof(r)));
	ASSERT_TRUE(feed_accept(f, 0, faults[0].cookie));
	f->oldest = 2;
	ASSERT_TRUE(feed_drain(f));
}

/* One record is read, one is queued; the other process has the last file. */
static bool leave_to_peer(struct _test_data_passed *self)
{
	struct feed *f = &self->f;
	long len = feed_len(f, 0);
	char buf[64];

	return !feed_raise(f, 2) && peer_read(&self->peer, buf, len) == len &&
	       !close(f->w.queue.fd) &&
	       eq_got_nothing(&f->w, 0) && eq_got_nothing(&f->w, 1) &&
	       eq_destroy(f->w.iommu, f->w.queue.id) == -EBUSY;
}

/* The last file is closed: devices were told, and so are later ones. */
static bool queue_is_closed(struct feed *f)
{
	__u32 n;

	f->w.queue.fd = -1;
	for (n = f->oldest; n != f->next && !f->viommu; n++)
		if (!eq_got(&f->w, feed_dev(n), n, EQ_GOT_INVALID))
			return false;
	if (f->viommu)
		return !eq_raise_vevents(&f->w, 2 * EQ_DEPTH) &&
		       !eq_destroy(f->w.iommu, f->w.queue.id) &&
		       eq_raise_vevents(&f->w, 1) == -EOPNOTSUPP;
	return !eq_raise_fault(&f->w, 0, n) && eq_got(&f->w, 0, n, EQ_GOT_INVALID) &&
	       eq_got_nothing(&f->w, 0) && eq_got_nothing(&f->w, 1) &&
	       !eq_replace(f->w.iommu, &f->w.dev[0], f->w.ioas) &&
	       !eq_replace(f->w.iommu, &f->w.dev[1], f->w.ioas) &&
	       !eq_destroy(f->w.iommu, f->w.hwpt) &&
	       !eq_destroy(f->w.iommu, f->w.queue.id);
}

TEST_F(passed, last_close_by_other_process)
{
	ASSERT_TRUE(leave_to_peer(self));
	ASSERT_EQ(0, peer_close(&self->peer));
	ASSERT_TRUE(queue_is_closed(&self->f));
}

TEST_F(passed, last_close_by_exit)
{
	ASSERT_TRUE(leave_to_peer(self));
	ASSERT_EQ(0, close(self->peer.orders));
	self->peer.orders = -1;
	ASSERT_EQ(self->peer.pid, waitpid(self->peer.pid, NULL, 0));
	ASSERT_TRUE(queue_is_closed(&self->f));
}

TEST_F(passed, last_close_by_kill)
{
	ASSERT_TRUE(leave_to_peer(self));
	ASSERT_EQ(0, kill(self->peer.pid, SIGKILL));
	ASSERT_EQ(self->peer.pid, waitpid(self->peer.pid, NULL, 0));
	ASSERT_TRUE(queue_is_closed(&self->f));
}

/* The other one goes first: nothing changes. */
TEST_F(passed, other_process_dies)
{
	struct feed *f = &self->f;
	long len = feed_len(f, 0);
	char buf[64];

	ASSERT_EQ(0, feed_raise(f, 3));
	ASSERT_EQ(len, peer_read(&self->peer, buf, len));
	ASSERT_EQ(0, kill(self->peer.pid, SIGKILL));
	ASSERT_EQ(self->peer.pid, waitpid(self->peer.pid, NULL, 0));
	ASSERT_TRUE(eq_got_nothing(&f->w, 0));
	ASSERT_EQ(-EBUSY, eq_destroy(f->w.iommu, f->w.queue.id));
	ASSERT_TRUE(feed_continues(f, buf, len));
	ASSERT_TRUE(feed_is_idle(f));
}

/*
 * Who waits for a record: beside one that is killed, one that fails
 */

FIXTURE(waiter)
{
	struct eq_world w;
};

FIXTURE_VARIANT(waiter)
{
	bool viommu;
};

FIXTURE_VARIANT_ADD(waiter, fault)
{
	.viommu = false,
};

FIXTURE_VARIANT_ADD(waiter, vevent)
{
	.viommu = true,
};

FIXTURE_SETUP(waiter)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	ASSERT_EQ(0, eq_world_open(&self->w));
	ASSERT_EQ(0, eq_world_queue(&self->w, variant->viommu, EQ_WAIT));
}

FIXTURE_TEARDOWN(waiter)
{
	close(self->w.queue.fd);
	close(self->w.iommu);
}

/* The dead take no record along. */
TEST_F(waiter, killed_while_it_waits)
{
	struct peer peer;
	char buf[64];
	struct order read_one = {
		.what = PEER_READ,
		.len = sizeof(buf),
	};

	ASSERT_TRUE(peer_start(&peer, &self->w, false));
	ASSERT_TRUE(peer_order(&peer, &read_one));
	ASSERT_TRUE(eq_child_waits(peer.pid));
	ASSERT_EQ(0, kill(peer.pid, SIGKILL));
	EQ_ASSERT_PROMPT(peer.pid, eq_job_waitpid, &peer.pid);
	ASSERT_EQ(0, eq_raise_one(&self->w, variant->viommu));
	ASSERT_EQ(eq_record_len(variant->viommu),
		  eq_read(self->w.queue.fd, buf, sizeof(buf)));
}

/*
 * One reader has the only record in hand, another waits: if that of the first
 * is put back it goes to the second, else the next one does.
 */
TEST_F(waiter, gets_what_the_first_reader_leaves)
{
	long len = eq_record_len(variant->viommu);
	struct eq_io first = { .fd = self->w.queue.fd }, second = first;
	struct eq_job jobs[2];
	struct eq_stall stall;
	char buf[64];
	int fails;

	second.buf = buf;
	second.len = sizeof(buf);
	for (fails = 0; fails < 2; fails++) {
		if (eq_stall_init(&stall))
			SKIP(return, EQ_NO_STALL);
		first.buf = stall.page;
		first.len = stall.len;
		ASSERT_EQ(0, eq_raise_one(&self->w, variant->viommu));
		ASSERT_TRUE(eq_job_start(&jobs[0], eq_job_read, &first));
		ASSERT_TRUE(eq_stall_hit(&stall));
		ASSERT_TRUE(eq_job_start(&jobs[1], eq_job_read, &second));
		ASSERT_TRUE(eq_job_sleeps(&jobs[1]));
		ASSERT_EQ(0, fails ? eq_stall_break(&stall) :
				     eq_stall_fill(&stall, NULL, 0));
		ASSERT_TRUE(eq_job_end(&jobs[0], EQ_DEADLINE_MS));
		ASSERT_EQ(fails ? -EFAULT : len, jobs[0].ret);
		if (!fails) {
			ASSERT_FALSE(eq_job_end(&jobs[1], 0));
			ASSERT_EQ(0, eq_raise_one(&self->w, variant->viommu));
		}
		ASSERT_TRUE(eq_job_end(&jobs[1], EQ_DEADLINE_MS));
		ASSERT_EQ(len, jobs[1].ret);
		ASSERT_FALSE(eq_readable(first.fd));
	}
}

struct two_pieces {
	int fd;
	struct iovec iov[2];
};

static long read_two_pieces(void *arg)
{
	struct two_pieces *io = arg;

	return EQ_RET(readv(io->fd, io->iov, 2));
}

/*
 * A long read lets another reader in, which gets stuck. The first one returns with
 * what it has: its caller shall serve that.
 */
TEST_F(waiter, with_records_does_not_wait_for_a_stuck_reader)
{
	const unsigned int nr = variant->viommu ? EQ_DEPTH : 16 * 64;
	long len = eq_record_len(variant->viommu);
	char *rest = malloc(nr * len);
	struct two_pieces first = { .fd = self->w.queue.fd };
	struct eq_io second = { .fd = self->w.queue.fd };
	struct eq_stall mine, other;
	struct eq_job jobs[2];
	unsigned int i;

	if (eq_stall_init(&mine) || eq_stall_init(&other))
		SKIP(return, EQ_NO_STALL);
	ASSERT_NE(NULL, rest);
	use_all_cpus();
	for (i = 0; i < nr; i++)
		ASSERT_EQ(0, eq_raise_one(&self->w, variant->viommu));
	first.iov[0] = (struct iovec){ mine.page, 64 };
	first.iov[1] = (struct iovec){ rest, nr * len - 64 };
	second.buf = other.page;
	second.len = other.len;
	ASSERT_TRUE(eq_job_start(&jobs[0], read_two_pieces, &first));
	ASSERT_TRUE(eq_stall_hit(&mine));
	ASSERT_TRUE(eq_job_start(&jobs[1], eq_job_read, &second));
	ASSERT_TRUE(eq_job_sleeps(&jobs[1]));
	ASSERT_EQ(0, eq_stall_fill(&mine, NULL, 0));
	ASSERT_TRUE(eq_job_end(&jobs[0], EQ_DEADLINE_MS));
	ASSERT_LT(0, jobs[0].ret);
	ASSERT_EQ(0, jobs[0].ret % len);
	ASSERT_EQ(0, eq_stall_fill(&other, NULL, 0));
	/* It waits for a record if the first one got them all */
	ASSERT_EQ(0, eq_raise_one(&self->w, variant->viommu));
	ASSERT_TRUE(eq_job_end(&jobs[1], EQ_DEADLINE_MS));
	ASSERT_LT(0, jobs[1].ret);
	free(rest);
}

TEST_HARNESS_MAIN
