// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selftest of the uAPI of iommufd's event queues as bytes: layouts and numbers,
 * and what a program gets that only has the fd of a queue, got from the process
 * that owns /dev/iommu. So it builds for 32 bits, too, where /dev/iommu
 * offers no ioctls but the fds work: what is 32-bit there are iovecs, offsets
 * and the structures of epoll, AIO and io_uring.
 *
 * The owner of /dev/iommu is this program started with --serve; for a 32-bit
 * program NAME_32 it is the 64-bit program NAME beside it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "calls.h"
#include "lib/eventq_uring.h"
#include "lib/eventq_wait.h"

/*
 * Layouts and numbers: the same on 32 and 64 bit, and for ever
 */

#define EXPECT_FIELD(type, field, offset, size)				\
do {									\
	EXPECT_EQ(offset, offsetof(type, field))			\
		TH_LOG(#type "." #field);				\
	EXPECT_EQ(size, sizeof(((type *)0)->field))			\
		TH_LOG(#type "." #field);				\
} while (0)

TEST(layout_of_faults)
{
	EXPECT_EQ(40, sizeof(struct iommu_hwpt_pgfault));
	EXPECT_FIELD(struct iommu_hwpt_pgfault, flags, 0, 4);
	EXPECT_FIELD(struct iommu_hwpt_pgfault, dev_id, 4, 4);
	EXPECT_FIELD(struct iommu_hwpt_pgfault, pasid, 8, 4);
	EXPECT_FIELD(struct iommu_hwpt_pgfault, grpid, 12, 4);
	EXPECT_FIELD(struct iommu_hwpt_pgfault, perm, 16, 4);
	EXPECT_FIELD(struct iommu_hwpt_pgfault, __reserved, 20, 4);
	EXPECT_FIELD(struct iommu_hwpt_pgfault, addr, 24, 8);
	EXPECT_FIELD(struct iommu_hwpt_pgfault, length, 32, 4);
	EXPECT_FIELD(struct iommu_hwpt_pgfault, cookie, 36, 4);

	EXPECT_EQ(8, sizeof(struct iommu_hwpt_page_response));
	EXPECT_FIELD(struct iommu_hwpt_page_response, cookie, 0, 4);
	EXPECT_FIELD(struct iommu_hwpt_page_response, code, 4, 4);

	EXPECT_EQ(16, sizeof(struct iommu_fault_alloc));
	EXPECT_FIELD(struct iommu_fault_alloc, size, 0, 4);
	EXPECT_FIELD(struct iommu_fault_alloc, flags, 4, 4);
	EXPECT_FIELD(struct iommu_fault_alloc, out_fault_id, 8, 4);
	EXPECT_FIELD(struct iommu_fault_alloc, out_fault_fd, 12, 4);
}

TEST(layout_of_vevents)
{
	EXPECT_EQ(8, sizeof(struct iommufd_vevent_header));
	EXPECT_FIELD(struct iommufd_vevent_header, flags, 0, 4);
	EXPECT_FIELD(struct iommufd_vevent_header, sequence, 4, 4);

	EXPECT_EQ(32, sizeof(struct iommu_vevent_arm_smmuv3));
	EXPECT_EQ(16, sizeof(struct iommu_vevent_tegra241_cmdqv));

	EXPECT_EQ(32, sizeof(struct iommu_veventq_alloc));
	EXPECT_FIELD(struct iommu_veventq_alloc, size, 0, 4);
	EXPECT_FIELD(struct iommu_veventq_alloc, flags, 4, 4);
	EXPECT_FIELD(struct iommu_veventq_alloc, viommu_id, 8, 4);
	EXPECT_FIELD(struct iommu_veventq_alloc, type, 12, 4);
	EXPECT_FIELD(struct iommu_veventq_alloc, veventq_depth, 16, 4);
	EXPECT_FIELD(struct iommu_veventq_alloc, out_veventq_id, 20, 4);
	EXPECT_FIELD(struct iommu_veventq_alloc, out_veventq_fd, 24, 4);
	EXPECT_FIELD(struct iommu_veventq_alloc, __reserved, 28, 4);
}

TEST(numbers)
{
	EXPECT_EQ(0x3b8e, IOMMU_FAULT_QUEUE_ALLOC);
	EXPECT_EQ(0x3b93, IOMMU_VEVENTQ_ALLOC);
	EXPECT_EQ(1, IOMMU_EVENTQ_ALLOC_WAIT_READ);

	EXPECT_EQ(1, IOMMU_PGFAULT_FLAGS_PASID_VALID);
	EXPECT_EQ(2, IOMMU_PGFAULT_FLAGS_LAST_PAGE);
	EXPECT_EQ(0, IOMMUFD_PAGE_RESP_SUCCESS);
	EXPECT_EQ(1, IOMMUFD_PAGE_RESP_INVALID);

	EXPECT_EQ(1, IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
	EXPECT_EQ(0, IOMMU_VEVENTQ_TYPE_DEFAULT);
	EXPECT_EQ(1, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3);
	EXPECT_EQ(2, IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV);
}

/*
 * The owner of /dev/iommu, and orders to it
 */

enum { FAULT_QUEUE, VEVENT_QUEUE, FORGET_FD, GROUP, VEVENTS, POP_ANSWER };

struct order {
	__u32 op, a, b;
};

struct reply {
	__s32 rc;
	__u32 a, b, c;
};

static void carry_out(struct eq_world *w, const struct order *order,
		      struct reply *reply)
{
	struct eq_response got;

	switch (order->op) {
	case FAULT_QUEUE:
	case VEVENT_QUEUE:
		reply->rc = eq_world_queue(w, order->op == VEVENT_QUEUE, order->a);
		reply->a = w->dev[0].dev_id;
		reply->b = w->queue.fd;
		break;
	case FORGET_FD:
		reply->rc = close(w->queue.fd);
		break;
	case GROUP:
		reply->rc = eq_raise_group(w, 0, order->a, order->b);
		break;
	case VEVENTS:
		reply->rc = eq_raise_vevents(w, order->a);
		break;
	case POP_ANSWER:
		reply->rc = eq_pop_response(w->iommu, &w->dev[0], &got);
		reply->a = got.code;
		reply->b = got.grpid;
		break;
	default:
		reply->rc = -EINVAL;
	}
}

/* Orders come from stdin, replies go to stdout, until nobody gives orders. */
static int serve(void)
{
	struct order order;
	struct eq_world w;
	int rc;

	rc = eq_no_mock() ? -ENOTTY : eq_world_open(&w);
	while (read(0, &order, sizeof(order)) == sizeof(order)) {
		struct reply reply = { .rc = rc };

		if (!rc)
			carry_out(&w, &order, &reply);
		if (write(1, &reply, sizeof(reply)) != sizeof(reply))
			return 1;
	}
	return 0;
}

struct owner {
	pid_t pid;
	int orders, replies;
};

static int start_owner(struct owner *owner)
{
	int orders[2], replies[2];
	char path[256];
	ssize_t len;

	len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (len < 0)
		return -errno;
	path[len] = 0;
	if (sizeof(long) == 4) {
		if (len < 3 || strcmp(path + len - 3, "_32"))
			return -ENOENT;
		path[len - 3] = 0;
	}
	if (access(path, X_OK) || pipe2(orders, O_CLOEXEC) ||
	    pipe2(replies, O_CLOEXEC))
		return -errno;
	owner->pid = fork();
	if (owner->pid < 0)
		return -errno;
	if (!owner->pid) {
		dup2(orders[0], 0);
		dup2(replies[1], 1);
		execl(path, path, "--serve", NULL);
		_exit(1);
	}
	close(orders[0]);
	close(replies[1]);
	owner->orders = orders[1];
	owner->replies = replies[0];
	return 0;
}

static struct reply give(const struct owner *owner, struct order order)
{
	struct reply reply;

	if (write(owner->orders, &order, sizeof(order)) != sizeof(order) ||
	    read(owner->replies, &reply, sizeof(reply)) != sizeof(reply))
		reply.rc = -EIO;
	return reply;
}

/* Take over a queue's fd, which the owner then has no more. */
static int take_fd(const struct owner *owner, int fd)
{
	int pidfd = syscall(SYS_pidfd_open, owner->pid, 0), own;
	struct order forget = { .op = FORGET_FD };

	if (pidfd < 0)
		return -errno;
	own = EQ_RET(syscall(SYS_pidfd_getfd, pidfd, fd, 0));
	close(pidfd);
	if (own >= 0 && give(owner, forget).rc)
		return -EIO;
	return own;
}

/*
 * A queue of which we have the fd and nothing else
 */

FIXTURE(passed)
{
	struct owner owner;
	int fd;
	__u32 dev_id;
};

FIXTURE_VARIANT(passed)
{
	bool viommu;
};

FIXTURE_VARIANT_ADD(passed, fault)
{
	.viommu = false,
};

FIXTURE_VARIANT_ADD(passed, vevent)
{
	.viommu = true,
};

FIXTURE_SETUP(passed)
{
	struct order order = {
		.op = variant->viommu ? VEVENT_QUEUE : FAULT_QUEUE,
	};
	struct reply reply;

	if (start_owner(&self->owner))
		SKIP(return, "needs the 64-bit program beside this one");
	reply = give(&self->owner, order);
	if (reply.rc == -ENOTTY)
		SKIP(return, EQ_NO_MOCK);
	ASSERT_EQ(0, reply.rc);
	self->dev_id = reply.a;
	self->fd = take_fd(&self->owner, reply.b);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(passed)
{
	int status;

	close(self->fd);
	close(self->owner.orders);
	EXPECT_EQ(self->owner.pid, waitpid(self->owner.pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* @nr records: a group of that many faults, or events. */
static int raise_some(struct _test_data_passed *self, bool viommu,
		      unsigned int nr)
{
	struct order order = { .op = GROUP, .a = 5, .b = nr };

	if (viommu)
		order = (struct order){ .op = VEVENTS, .a = nr };
	return give(&self->owner, order).rc;
}

/* Is this what the device sent as record @i of @nr? */
static bool good_record(struct _test_data_passed *self, bool viommu,
			const void *record, unsigned int i, unsigned int nr)
{
	struct iommu_hwpt_pgfault fault;
	struct eq_vevent vevent;

	if (viommu) {
		memcpy(&vevent, record, sizeof(vevent));
		return vevent.header.flags == 0 &&
		       vevent.header.sequence == i &&
		       vevent.event.virt_id == EQ_VIRT_ID;
	}
	memcpy(&fault, record, sizeof(fault));
	return fault.flags == (i + 1 == nr ? IOMMU_PGFAULT_FLAGS_LAST_PAGE : 0) &&
	       fault.dev_id == self->dev_id && fault.pasid == 0 &&
	       fault.grpid == 5 &&
	       fault.perm == (IOMMU_PGFAULT_PERM_READ |
			      IOMMU_PGFAULT_PERM_WRITE) &&
	       fault.__reserved == 0 && fault.addr == EQ_ADDR(i) &&
	       fault.length == 0 && fault.cookie != 0;
}

static bool good_records(struct _test_data_passed *self, bool viommu,
			 const char *records, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (!good_record(self, viommu, records + i * eq_record_len(viommu),
				 i, nr))
			return false;
	return true;
}

#define NR 3
#define GUARD 0x5a

/* Not a byte is written behind the records: the buffer could end there. */
TEST_F(passed, read_stays_in_bounds)
{
	long len = NR * eq_record_len(variant->viommu), i;
	unsigned char buf[256];

	ASSERT_EQ(0, raise_some(self, variant->viommu, NR));
	memset(buf, GUARD, sizeof(buf));
	ASSERT_EQ(len, eq_read(self->fd, buf + 16, len));
	ASSERT_TRUE(good_records(self, variant->viommu, (char *)buf + 16, NR));
	for (i = 0; i < (long)sizeof(buf); i++)
		if (i < 16 || i >= 16 + len)
			ASSERT_EQ(GUARD, buf[i]);
}

static void cut(struct iovec *iov, unsigned int nr, char *buf, size_t len)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		iov[i].iov_base = buf + i * len;
		iov[i].iov_len = len;
	}
}

TEST_F(passed, read_vector)
{
	long len = NR * eq_record_len(variant->viommu);
	struct iovec iov[60];
	char buf[60 * 3];

	ASSERT_EQ(0, raise_some(self, variant->viommu, NR));
	cut(iov, 60, buf, 3);
	ASSERT_EQ(len, EQ_RET(readv(self->fd, iov, 60)));
	ASSERT_TRUE(good_records(self, variant->viommu, buf, NR));
}

/* An offset is 64 bits wide, in two registers of a 32-bit program. */
TEST_F(passed, read_vector_with_offset)
{
	static const struct {
		off64_t offset;
		int flags;
		long empty, full;
	} rows[] = {
		{ -1, 0, 0, 1 },
		{ -1, RWF_NOWAIT, -EAGAIN, 1 },
		{ 0, 0, -ESPIPE, -ESPIPE },
		{ 1LL << 32, 0, -ESPIPE, -ESPIPE },
		{ (1LL << 32) - 1, RWF_NOWAIT, -ESPIPE, -ESPIPE },
	};
	long len = eq_record_len(variant->viommu), want;
	struct iovec iov;
	char buf[64];
	size_t i;

	iov.iov_base = buf;
	iov.iov_len = len;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		ASSERT_EQ(rows[i].empty, EQ_RET(preadv64v2(self->fd, &iov, 1,
							   rows[i].offset,
							   rows[i].flags)));
		ASSERT_EQ(0, raise_some(self, variant->viommu, 1));
		want = rows[i].full == 1 ? len : rows[i].full;
		ASSERT_EQ(want, EQ_RET(preadv64v2(self->fd, &iov, 1,
						  rows[i].offset, rows[i].flags)));
		if (want < 0)
			ASSERT_EQ(len, eq_read(self->fd, buf, len));
	}
}

TEST_F(passed, epoll)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT };
	int ep = epoll_create1(EPOLL_CLOEXEC);
	__u32 idle = variant->viommu ? 0 : EPOLLOUT;

	event.data.u64 = 0x123456789abcdef0;
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->fd, &event));
	memset(&event, 0, sizeof(event));
	ASSERT_EQ(!variant->viommu, epoll_wait(ep, &event, 1, 0));
	ASSERT_EQ(idle, event.events);
	ASSERT_EQ(0, raise_some(self, variant->viommu, 1));
	ASSERT_EQ(1, epoll_wait(ep, &event, 1, EQ_DEADLINE_MS));
	ASSERT_EQ(idle | EPOLLIN, event.events);
	ASSERT_EQ(0x123456789abcdef0, event.data.u64);
	close(ep);
}

/* The one with 32 bits of time need not be there. */
#ifdef SYS_io_pgetevents_time64
#define GETEVENTS SYS_io_pgetevents_time64
#else
#define GETEVENTS SYS_io_pgetevents
#endif

TEST_F(passed, aio)
{
	struct iocb iocb = {
		.aio_lio_opcode = IOCB_CMD_PREADV,
		.aio_fildes = self->fd,
		.aio_nbytes = 60,
	}, *list = &iocb;
	struct io_event event = {};
	aio_context_t ctx = 0;
	struct iovec iov[60];
	char buf[60 * 3];

	cut(iov, 60, buf, 3);
	iocb.aio_buf = (uintptr_t)iov;
	ASSERT_EQ(0, raise_some(self, variant->viommu, NR));
	ASSERT_EQ(0, syscall(SYS_io_setup, 1, &ctx));
	ASSERT_EQ(1, EQ_RET(syscall(SYS_io_submit, ctx, 1, &list)));
	ASSERT_EQ(1, EQ_RET(syscall(GETEVENTS, ctx, 1, 1, &event, NULL, NULL)));
	syscall(SYS_io_destroy, ctx);
	ASSERT_EQ(NR * eq_record_len(variant->viommu), event.res);
	ASSERT_TRUE(good_records(self, variant->viommu, buf, NR));
}

TEST_F(passed, io_uring)
{
	struct io_uring_cqe cqe;
	struct eq_ring ring;
	struct iovec iov[60];
	char buf[60 * 3];

	ASSERT_EQ(0, eq_ring_init(&ring, 0));
	ASSERT_EQ(0, eq_ring_rw(&ring, IORING_OP_READ, self->fd, buf,
				sizeof(buf), -1, 1));
	ASSERT_EQ(0, raise_some(self, variant->viommu, 1));
	ASSERT_EQ(0, eq_ring_wait(&ring, EQ_DEADLINE_MS, &cqe));
	ASSERT_EQ(eq_record_len(variant->viommu), cqe.res);
	ASSERT_TRUE(good_record(self, variant->viommu, buf, 0, 1));

	cut(iov, 60, buf, 3);
	ASSERT_EQ(0, eq_ring_rw(&ring, IORING_OP_READV, self->fd, iov, 60, -1,
				2));
	ASSERT_EQ(0, raise_some(self, variant->viommu, 1));
	ASSERT_EQ(0, eq_ring_wait(&ring, EQ_DEADLINE_MS, &cqe));
	ASSERT_EQ(eq_record_len(variant->viommu), cqe.res);
	ASSERT_TRUE(good_record(self, variant->viommu, buf, variant->viommu,
				variant->viommu + 1));
	ASSERT_EQ(0, eq_count_workers());
	eq_ring_fini(&ring);
}

static __u32 cookie_of(const char *record)
{
	struct iommu_hwpt_pgfault fault;

	memcpy(&fault, record, sizeof(fault));
	return fault.cookie;
}

/* Two groups, answered by a vector whose pieces cut through the answers. */
TEST_F(passed, answer_by_vector)
{
	struct iommu_hwpt_page_response r[2] = {};
	struct iovec iov[4];
	struct reply got;
	char buf[128];

	if (variant->viommu) {
		ASSERT_EQ(-EINVAL, eq_write(self->fd, r, sizeof(r)));
		return;
	}
	ASSERT_EQ(0, raise_some(self, false, 1));
	ASSERT_EQ(0, raise_some(self, false, 1));
	ASSERT_EQ(2 * EQ_FAULT_LEN, eq_read(self->fd, buf, sizeof(buf)));
	r[0].cookie = cookie_of(buf);
	r[1].cookie = cookie_of(buf + EQ_FAULT_LEN);
	r[1].code = IOMMUFD_PAGE_RESP_INVALID;
	memcpy(buf, r, sizeof(r));
	cut(iov, 4, buf, 3);
	iov[3].iov_len = sizeof(r) - 9;
	ASSERT_EQ(2 * EQ_RESPONSE_LEN, EQ_RET(writev(self->fd, iov, 4)));
	got = give(&self->owner, (struct order){ .op = POP_ANSWER });
	ASSERT_EQ(EQ_GOT_SUCCESS, got.a);
	got = give(&self->owner, (struct order){ .op = POP_ANSWER });
	ASSERT_EQ(EQ_GOT_INVALID, got.a);
	got = give(&self->owner, (struct order){ .op = POP_ANSWER });
	ASSERT_EQ(EQ_GOT_NOTHING, got.a);
}

/* The owner kept no fd: closing ours is the last close. */
TEST_F(passed, last_close_is_here)
{
	struct reply got;

	if (variant->viommu) {
		close(self->fd);
		self->fd = -1;
		ASSERT_EQ(0, raise_some(self, true, NR));
		return;
	}
	ASSERT_EQ(0, raise_some(self, false, 2));
	got = give(&self->owner, (struct order){ .op = POP_ANSWER });
	ASSERT_EQ(EQ_GOT_NOTHING, got.a);
	ASSERT_EQ(0, close(self->fd));
	self->fd = -1;
	got = give(&self->owner, (struct order){ .op = POP_ANSWER });
	ASSERT_EQ(EQ_GOT_INVALID, got.a);
	ASSERT_EQ(5, got.b);
}

/* The fd outlives the process that made the queue, and /dev/iommu. */
TEST_F(passed, works_without_the_owner)
{
	long len = NR * eq_record_len(variant->viommu);
	char buf[256];

	ASSERT_EQ(0, raise_some(self, variant->viommu, NR));
	ASSERT_EQ(0, close(self->owner.orders));
	self->owner.orders = -1;
	ASSERT_EQ(0, waitid(P_PID, self->owner.pid, NULL, WNOWAIT | WEXITED));
	ASSERT_EQ(POLLIN, eq_poll_now(self->fd) & POLLIN);
	ASSERT_EQ(len, eq_read(self->fd, buf, sizeof(buf)));
	ASSERT_TRUE(good_records(self, variant->viommu, buf, NR));
	if (!variant->viommu)
		ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->fd, cookie_of(buf),
						      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(0, eq_read(self->fd, buf, sizeof(buf)));
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--serve"))
		return serve();
	return test_harness_run(argc, argv);
}
