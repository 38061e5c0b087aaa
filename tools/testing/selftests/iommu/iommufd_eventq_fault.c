// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selftest of iommufd's fault queues, on the mock device: records, fault groups,
 * cookies and responses; the faults that are open at a detach, a replace or the
 * last close.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "../kselftest_harness.h"
#include "lib/eventq_wait.h"

/*
 * Fault queues: reading
 */

#define PASID 77

FIXTURE(fault)
{
	struct eq_world w;
};

FIXTURE_SETUP(fault)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	ASSERT_EQ(0, eq_world_open(&self->w));
	ASSERT_EQ(0, eq_world_fault_queue(&self->w, EQ_NO_WAIT));
}

FIXTURE_TEARDOWN(fault)
{
	close(self->w.queue.fd);
	close(self->w.iommu);
}

TEST_F(fault, read_one)
{
	struct iommu_hwpt_pgfault f[2];

	/* Whatever the kernel leaves out of the record shows. */
	memset(f, 0xa5, sizeof(f));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 1, 5));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(IOMMU_PGFAULT_FLAGS_LAST_PAGE, f[0].flags);
	ASSERT_EQ(self->w.dev[1].dev_id, f[0].dev_id);
	ASSERT_EQ(0, f[0].pasid);
	ASSERT_EQ(5, f[0].grpid);
	ASSERT_EQ(IOMMU_PGFAULT_PERM_READ | IOMMU_PGFAULT_PERM_WRITE,
		  f[0].perm);
	ASSERT_EQ(0, f[0].__reserved);
	ASSERT_EQ(EQ_ADDR(0), f[0].addr);
	ASSERT_EQ(0, f[0].length);
	ASSERT_NE(0, f[0].cookie);
	/* Nothing is written behind the record. */
	ASSERT_EQ(0xa5a5a5a5, f[1].flags);
	ASSERT_FALSE(eq_readable(self->w.queue.fd));
}

TEST_F(fault, read_several_in_order)
{
	struct iommu_hwpt_pgfault f[8];
	int i;

	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, eq_raise_fault(&self->w, i % 2, i));
	ASSERT_EQ(5 * EQ_FAULT_LEN, eq_read(self->w.queue.fd, f, sizeof(f)));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(i, f[i].grpid);
		ASSERT_EQ(self->w.dev[i % 2].dev_id, f[i].dev_id);
	}
}

TEST_F(fault, read_count_no_multiple_of_record)
{
	struct iommu_hwpt_pgfault f[8];
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, eq_raise_fault(&self->w, 0, i));
	ASSERT_EQ(2 * EQ_FAULT_LEN,
		  eq_read(self->w.queue.fd, f, 3 * EQ_FAULT_LEN - 1));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(self->w.queue.fd, f, EQ_FAULT_LEN + 1));
	ASSERT_EQ(2, f[0].grpid);
}

TEST_F(fault, read_group_that_does_not_fit)
{
	struct iommu_hwpt_pgfault f[8];

	ASSERT_EQ(0, eq_raise_group(&self->w, 0, 1, 2));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 2));
	ASSERT_EQ(-EINVAL, eq_read(self->w.queue.fd, f, 1));
	ASSERT_EQ(-EINVAL, eq_read(self->w.queue.fd, f, EQ_FAULT_LEN));
	ASSERT_EQ(-EINVAL, eq_read(self->w.queue.fd, f, 2 * EQ_FAULT_LEN - 1));
	ASSERT_EQ(0, eq_read(self->w.queue.fd, f, 0));
	ASSERT_EQ(3 * EQ_FAULT_LEN, eq_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(1, f[0].grpid);
	ASSERT_EQ(2, f[2].grpid);
}

TEST_F(fault, read_never_splits_a_group)
{
	struct iommu_hwpt_pgfault f[8];

	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 1));
	ASSERT_EQ(0, eq_raise_group(&self->w, 0, 2, 3));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 3));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(self->w.queue.fd, f, 3 * EQ_FAULT_LEN));
	ASSERT_EQ(3 * EQ_FAULT_LEN, eq_read(self->w.queue.fd, f, 3 * EQ_FAULT_LEN));
	ASSERT_EQ(2, f[0].grpid);
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(self->w.queue.fd, f, 3 * EQ_FAULT_LEN));
	ASSERT_EQ(3, f[0].grpid);
}

TEST_F(fault, read_vector_is_one_buffer)
{
	char buf[2 * EQ_FAULT_LEN];
	struct iovec iov[] = {
		{ .iov_base = buf, .iov_len = 7 },
		{ .iov_base = buf + 7, .iov_len = 0 },
		{ .iov_base = buf + 7, .iov_len = 53 },
		{ .iov_base = buf + 60, .iov_len = sizeof(buf) - 60 },
	};
	struct iommu_hwpt_pgfault f[2];

	ASSERT_EQ(0, eq_raise_group(&self->w, 0, 1, 2));
	ASSERT_EQ(2 * EQ_FAULT_LEN,
		  EQ_RET(readv(self->w.queue.fd, iov, ARRAY_SIZE(iov))));
	memcpy(f, buf, sizeof(f));
	ASSERT_EQ(EQ_ADDR(0), f[0].addr);
	ASSERT_EQ(EQ_ADDR(1), f[1].addr);
	ASSERT_EQ(f[0].cookie, f[1].cookie);
}

TEST_F(fault, read_fails_at_first_record)
{
	/* An odd number of them: swapping the two each time would show. */
	static const size_t mapped[] = { 0, 1, EQ_FAULT_LEN - 1 };
	struct iommu_hwpt_pgfault f[8];
	size_t i;

	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 1));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 2));
	for (i = 0; i < ARRAY_SIZE(mapped); i++)
		ASSERT_EQ(-EFAULT, eq_read(self->w.queue.fd,
					   eq_edge(mapped[i]), sizeof(f)));
	ASSERT_EQ(2, eq_fdinfo(self->w.queue.fd, "queued"));
	ASSERT_EQ(0, eq_fdinfo(self->w.queue.fd, "outstanding"));
	ASSERT_EQ(2 * EQ_FAULT_LEN, eq_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(1, f[0].grpid);
	ASSERT_EQ(2, f[1].grpid);
	ASSERT_TRUE(eq_got_nothing(&self->w, 0));
}

TEST_F(fault, read_fails_at_later_record)
{
	struct iommu_hwpt_pgfault f[8];
	char *edge = eq_edge(3 * EQ_FAULT_LEN);

	/* One group before the edge, one across, one behind. */
	ASSERT_EQ(0, eq_raise_group(&self->w, 0, 1, 2));
	ASSERT_EQ(0, eq_raise_group(&self->w, 0, 2, 2));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 3));
	ASSERT_EQ(2 * EQ_FAULT_LEN,
		  eq_read(self->w.queue.fd, edge, 8 * EQ_FAULT_LEN));
	ASSERT_EQ(3 * EQ_FAULT_LEN, eq_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(2, f[0].grpid);
	ASSERT_EQ(2, f[1].grpid);
	ASSERT_EQ(3, f[2].grpid);
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->w.queue.fd, f[0].cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(eq_got(&self->w, 0, 2, EQ_GOT_SUCCESS));
}

/*
 * Groups of several faults, small and larger than a page of records
 */

FIXTURE(fault_group)
{
	struct eq_world w;
	struct iommu_hwpt_pgfault *f;
};

FIXTURE_VARIANT(fault_group)
{
	unsigned int nr;
};

FIXTURE_VARIANT_ADD(fault_group, two)
{
	.nr = 2,
};

FIXTURE_VARIANT_ADD(fault_group, five)
{
	.nr = 5,
};

FIXTURE_VARIANT_ADD(fault_group, page)
{
	.nr = 4096 / sizeof(struct iommu_hwpt_pgfault),
};

FIXTURE_VARIANT_ADD(fault_group, page_and_one)
{
	.nr = 4096 / sizeof(struct iommu_hwpt_pgfault) + 1,
};

FIXTURE_VARIANT_ADD(fault_group, thousand)
{
	.nr = 1000,
};

FIXTURE_SETUP(fault_group)
{
	self->f = malloc((variant->nr + 1) * EQ_FAULT_LEN);
	ASSERT_NE(NULL, self->f);
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	ASSERT_EQ(0, eq_world_open(&self->w));
	ASSERT_EQ(0, eq_world_fault_queue(&self->w, EQ_NO_WAIT));
}

FIXTURE_TEARDOWN(fault_group)
{
	close(self->w.queue.fd);
	close(self->w.iommu);
	free(self->f);
}

static void check_group(struct __test_metadata *_metadata,
			const struct iommu_hwpt_pgfault *f, unsigned int nr)
{
	unsigned int i;

	ASSERT_NE(0, f[0].cookie);
	for (i = 0; i < nr; i++) {
		ASSERT_EQ(i + 1 == nr ? IOMMU_PGFAULT_FLAGS_LAST_PAGE : 0,
			  f[i].flags);
		ASSERT_EQ(f[0].dev_id, f[i].dev_id);
		ASSERT_EQ(9, f[i].grpid);
		ASSERT_EQ(0, f[i].__reserved);
		ASSERT_EQ(EQ_ADDR(i), f[i].addr);
		ASSERT_EQ(f[0].cookie, f[i].cookie);
	}
}

TEST_F(fault_group, read_and_answer)
{
	memset(self->f, 0xa5, (variant->nr + 1) * EQ_FAULT_LEN);
	ASSERT_EQ(0, eq_raise_group(&self->w, 0, 9, variant->nr));
	ASSERT_EQ(-EINVAL, eq_read(self->w.queue.fd, self->f,
				   variant->nr * EQ_FAULT_LEN - 1));
	ASSERT_EQ(variant->nr * EQ_FAULT_LEN,
		  eq_read(self->w.queue.fd, self->f,
			  (variant->nr + 1) * EQ_FAULT_LEN));
	check_group(_metadata, self->f, variant->nr);
	ASSERT_EQ(0xa5a5a5a5, self->f[variant->nr].flags);

	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->w.queue.fd, self->f->cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(eq_got(&self->w, 0, 9, EQ_GOT_SUCCESS));
	ASSERT_TRUE(eq_got_nothing(&self->w, 0));
	ASSERT_EQ(-EINVAL, eq_respond(self->w.queue.fd, self->f->cookie,
				      IOMMUFD_PAGE_RESP_SUCCESS));
}

TEST_F(fault_group, all_or_nothing_across_the_edge)
{
	size_t len = variant->nr * EQ_FAULT_LEN;
	char *edge = eq_edge(len - 1);

	ASSERT_EQ(0, eq_raise_group(&self->w, 0, 9, variant->nr));
	ASSERT_EQ(-EFAULT, eq_read(self->w.queue.fd, edge, len));
	ASSERT_EQ(0, eq_fdinfo(self->w.queue.fd, "outstanding"));
	ASSERT_TRUE(eq_readable(self->w.queue.fd));
	ASSERT_EQ(len, eq_read(self->w.queue.fd, self->f, len));
	check_group(_metadata, self->f, variant->nr);
}

TEST_F(fault_group, incomplete_group_is_not_delivered)
{
	ASSERT_EQ(0, eq_fault_op(self->w.iommu, IOMMU_TEST_OP_TRIGGER_IOPF_PART,
				 &self->w.dev[0], 0, 9, EQ_ADDR(0)));
	ASSERT_FALSE(eq_readable(self->w.queue.fd));
	/* The same group number on another device is another group. */
	ASSERT_EQ(0, eq_raise_group(&self->w, 1, 9, variant->nr));
	ASSERT_EQ(variant->nr * EQ_FAULT_LEN,
		  eq_read(self->w.queue.fd, self->f,
			  (variant->nr + 1) * EQ_FAULT_LEN));
	ASSERT_EQ(self->w.dev[1].dev_id, self->f->dev_id);
	check_group(_metadata, self->f, variant->nr);
}

/*
 * Fault queues: answering
 */

TEST_F(fault, answers_reach_their_devices)
{
	struct iommu_hwpt_pgfault f[2];

	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 1));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 1, 2));
	ASSERT_EQ(2 * EQ_FAULT_LEN, eq_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_TRUE(eq_got_nothing(&self->w, 0));
	ASSERT_TRUE(eq_got_nothing(&self->w, 1));
	/* The order is the VMM's. */
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->w.queue.fd, f[1].cookie,
					      IOMMUFD_PAGE_RESP_INVALID));
	ASSERT_TRUE(eq_got_nothing(&self->w, 0));
	ASSERT_TRUE(eq_got(&self->w, 1, 2, EQ_GOT_INVALID));
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->w.queue.fd, f[0].cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(eq_got(&self->w, 0, 1, EQ_GOT_SUCCESS));
	ASSERT_TRUE(eq_got_nothing(&self->w, 1));
}

TEST_F(fault, answer_with_pasid)
{
	struct iommu_hwpt_pgfault f;
	struct eq_response a;

	ASSERT_EQ(0, eq_pasid_attach(self->w.iommu, &self->w.dev[0], PASID,
				     self->w.hwpt));
	ASSERT_EQ(0, eq_pasid_fault(self->w.iommu, &self->w.dev[0], PASID, 1));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(self->w.queue.fd, &f, sizeof(f)));
	ASSERT_EQ(IOMMU_PGFAULT_FLAGS_LAST_PAGE |
		  IOMMU_PGFAULT_FLAGS_PASID_VALID, f.flags);
	ASSERT_EQ(PASID, f.pasid);
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->w.queue.fd, f.cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(0, eq_pop_response(self->w.iommu, &self->w.dev[0], &a));
	ASSERT_EQ(EQ_GOT_SUCCESS, a.code);
	ASSERT_EQ(PASID, a.pasid);
}

TEST_F(fault, bad_answers_are_refused)
{
	int fd = self->w.queue.fd;
	__u32 cookie;

	ASSERT_TRUE(eq_outstanding(&self->w, 0, 1, &cookie));
	ASSERT_EQ(-EINVAL, eq_respond(fd, cookie, 2));
	ASSERT_EQ(-EINVAL, eq_respond(fd, cookie, UINT32_MAX));
	ASSERT_EQ(-EINVAL, eq_respond(fd, cookie + 1, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(-EINVAL, eq_respond(fd, 0, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(-EFAULT, eq_write(fd, eq_edge(0), EQ_RESPONSE_LEN));
	/* The fault is still open, and takes one good answer. */
	ASSERT_TRUE(eq_got_nothing(&self->w, 0));
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(fd, cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(-EINVAL, eq_respond(fd, cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(eq_got(&self->w, 0, 1, EQ_GOT_SUCCESS));
	ASSERT_TRUE(eq_got_nothing(&self->w, 0));
}

TEST_F(fault, batch_stops_at_bad_answer)
{
	struct iommu_hwpt_page_response r[4] = {};
	struct iommu_hwpt_pgfault f[4];
	int i;

	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, eq_raise_fault(&self->w, 0, i));
	ASSERT_EQ(4 * EQ_FAULT_LEN, eq_read(self->w.queue.fd, f, sizeof(f)));
	for (i = 0; i < 4; i++)
		r[i].cookie = f[i].cookie;
	r[2].code = 7;

	ASSERT_EQ(2 * EQ_RESPONSE_LEN, eq_write(self->w.queue.fd, r, sizeof(r)));
	ASSERT_TRUE(eq_got(&self->w, 0, 0, EQ_GOT_SUCCESS));
	ASSERT_TRUE(eq_got(&self->w, 0, 1, EQ_GOT_SUCCESS));
	ASSERT_TRUE(eq_got_nothing(&self->w, 0));
	r[2].code = IOMMUFD_PAGE_RESP_INVALID;
	ASSERT_EQ(2 * EQ_RESPONSE_LEN,
		  eq_write(self->w.queue.fd, &r[2], 2 * EQ_RESPONSE_LEN));
	ASSERT_TRUE(eq_got(&self->w, 0, 2, EQ_GOT_INVALID));
	ASSERT_TRUE(eq_got(&self->w, 0, 3, EQ_GOT_SUCCESS));
}

TEST_F(fault, write_vector_is_one_buffer)
{
	struct iommu_hwpt_page_response r[2] = {};
	struct iovec iov[] = {
		{ .iov_base = r, .iov_len = 3 },
		{ .iov_base = (char *)r + 3, .iov_len = 9 },
		{ .iov_base = (char *)r + 12, .iov_len = 4 },
	};

	ASSERT_TRUE(eq_outstanding(&self->w, 0, 1, &r[0].cookie));
	ASSERT_TRUE(eq_outstanding(&self->w, 0, 2, &r[1].cookie));
	ASSERT_EQ(2 * EQ_RESPONSE_LEN,
		  EQ_RET(writev(self->w.queue.fd, iov, ARRAY_SIZE(iov))));
	ASSERT_TRUE(eq_got(&self->w, 0, 1, EQ_GOT_SUCCESS));
	ASSERT_TRUE(eq_got(&self->w, 0, 2, EQ_GOT_SUCCESS));
}

/* A cookie is one of its queue. */
TEST_F(fault, answer_to_other_queue)
{
	struct iommu_hwpt_pgfault f;
	struct eq_queue other;
	__u32 cookie, hwpt;

	ASSERT_EQ(0, eq_fault_queue(self->w.iommu, 0, &other));
	ASSERT_EQ(0, eq_fault_hwpt(self->w.iommu, &self->w.dev[1],
				   self->w.ioas, other.id, &hwpt));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[1], hwpt));
	ASSERT_TRUE(eq_outstanding(&self->w, 0, 1, &cookie));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 1, 2));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(other.fd, &f, sizeof(f)));

	ASSERT_EQ(-EINVAL, eq_respond(other.fd, cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(-EINVAL, eq_respond(self->w.queue.fd, f.cookie,
				      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(eq_got_nothing(&self->w, 0));
	ASSERT_TRUE(eq_got_nothing(&self->w, 1));
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->w.queue.fd, cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(other.fd, f.cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(eq_got(&self->w, 0, 1, EQ_GOT_SUCCESS));
	ASSERT_TRUE(eq_got(&self->w, 1, 2, EQ_GOT_SUCCESS));
}

TEST_F(fault, cookies_are_not_reused)
{
	__u32 cookies[64], fresh;
	int i, j;

	for (i = 0; i < 64; i++) {
		ASSERT_TRUE(eq_outstanding(&self->w, 0, i, &cookies[i]));
		ASSERT_NE(0, cookies[i]);
		for (j = 0; j < i; j++)
			ASSERT_NE(cookies[j], cookies[i]);
		ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->w.queue.fd, cookies[i],
						      IOMMUFD_PAGE_RESP_SUCCESS));
		ASSERT_TRUE(eq_got(&self->w, 0, i, EQ_GOT_SUCCESS));
	}
	/* Late duplicates do not hit a newer fault. */
	ASSERT_TRUE(eq_outstanding(&self->w, 0, 100, &fresh));
	for (i = 0; i < 64; i++)
		ASSERT_EQ(-EINVAL, eq_respond(self->w.queue.fd, cookies[i],
					      IOMMUFD_PAGE_RESP_INVALID));
	ASSERT_TRUE(eq_got_nothing(&self->w, 0));
	ASSERT_EQ(1, eq_fdinfo(self->w.queue.fd, "outstanding"));
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->w.queue.fd, fresh,
					      IOMMUFD_PAGE_RESP_SUCCESS));
}

/*
 * Fault queues: detach, replace, close
 */

/* A fault that a failed read put back is as queued as any. */
TEST_F(fault, detach_after_failed_read)
{
	struct iommu_hwpt_pgfault f;

	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 1));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 1, 2));
	ASSERT_EQ(-EFAULT, eq_read(self->w.queue.fd, eq_edge(0), sizeof(f)));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], self->w.ioas));
	ASSERT_TRUE(eq_got(&self->w, 0, 1, EQ_GOT_INVALID));
	ASSERT_EQ(1, eq_fdinfo(self->w.queue.fd, "queued"));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(self->w.queue.fd, &f, sizeof(f)));
	ASSERT_EQ(2, f.grpid);
	ASSERT_FALSE(eq_readable(self->w.queue.fd));
	ASSERT_EQ(1, eq_fdinfo(self->w.queue.fd, "outstanding"));
}

TEST_F(fault, replace_answers_invalid)
{
	struct iommu_hwpt_pgfault f[4];
	__u32 mine, other, hwpt;
	struct eq_queue second;

	/* Device 0: one fault read, one queued; device 1: the same. */
	ASSERT_TRUE(eq_outstanding(&self->w, 0, 1, &mine));
	ASSERT_TRUE(eq_outstanding(&self->w, 1, 2, &other));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 1, 3));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 4));
	ASSERT_EQ(0, eq_fault_queue(self->w.iommu, 0, &second));
	ASSERT_EQ(0, eq_fault_hwpt(self->w.iommu, &self->w.dev[0],
				   self->w.ioas, second.id, &hwpt));

	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], hwpt));
	ASSERT_TRUE(eq_got_two_invalid(&self->w, 0, 1, 4));
	ASSERT_FALSE(eq_readable(second.fd));
	ASSERT_EQ(-EINVAL, eq_respond(self->w.queue.fd, mine,
				      IOMMUFD_PAGE_RESP_SUCCESS));

	/* Device 1 did not notice. */
	ASSERT_TRUE(eq_got_nothing(&self->w, 1));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(3, f[0].grpid);
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->w.queue.fd, other,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(eq_got(&self->w, 1, 2, EQ_GOT_SUCCESS));

	/* New faults of device 0 go to the new queue. */
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 5));
	ASSERT_FALSE(eq_readable(self->w.queue.fd));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(second.fd, f, sizeof(f)));
	ASSERT_EQ(5, f[0].grpid);
}

TEST_F(fault, replace_by_domain_without_queue)
{
	char buf[64];

	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 1));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], self->w.ioas));
	ASSERT_TRUE(eq_got(&self->w, 0, 1, EQ_GOT_INVALID));
	ASSERT_TRUE(eq_got_nothing(&self->w, 0));
	ASSERT_FALSE(eq_readable(self->w.queue.fd));
	ASSERT_EQ(0, eq_read(self->w.queue.fd, buf, sizeof(buf)));
	ASSERT_EQ(0, eq_fdinfo(self->w.queue.fd, "queued"));
	/* Nor has the queue a part in what comes later. */
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 2));
	ASSERT_TRUE(eq_got(&self->w, 0, 2, EQ_GOT_INVALID));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[1], self->w.ioas));
	ASSERT_EQ(0, close(self->w.queue.fd));
	self->w.queue.fd = -1;
	ASSERT_TRUE(eq_got_nothing(&self->w, 0));
	ASSERT_EQ(0, eq_destroy(self->w.iommu, self->w.hwpt));
	ASSERT_EQ(0, eq_destroy(self->w.iommu, self->w.queue.id));
}

/* Who attaches to a queue that nobody has open need not wait, either. */
TEST_F(fault, attach_after_close)
{
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], self->w.ioas));
	ASSERT_EQ(0, close(self->w.queue.fd));
	self->w.queue.fd = -1;
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], self->w.hwpt));
	ASSERT_EQ(0, eq_raise_group(&self->w, 0, 1, 3));
	ASSERT_TRUE(eq_got(&self->w, 0, 1, EQ_GOT_INVALID));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], self->w.ioas));
	ASSERT_TRUE(eq_got_nothing(&self->w, 0));
}

TEST_F(fault, detach_of_device)
{
	struct iommu_hwpt_pgfault f[4];
	__u32 cookie;

	ASSERT_TRUE(eq_outstanding(&self->w, 0, 1, &cookie));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 2));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 1, 3));
	ASSERT_EQ(0, eq_destroy(self->w.iommu, self->w.dev[0].stdev_id));
	ASSERT_EQ(-EINVAL, eq_respond(self->w.queue.fd, cookie,
				      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(3, f[0].grpid);
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->w.queue.fd, f[0].cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(eq_got(&self->w, 1, 3, EQ_GOT_SUCCESS));
}

TEST_F(fault, detach_of_pasid)
{
	struct iommu_hwpt_pgfault f[4];
	struct eq_dev *dev = &self->w.dev[0];

	ASSERT_EQ(0, eq_pasid_attach(self->w.iommu, dev, PASID, self->w.hwpt));
	ASSERT_EQ(0, eq_pasid_fault(self->w.iommu, dev, PASID, 1));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(0, eq_pasid_fault(self->w.iommu, dev, PASID, 2));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 3));

	ASSERT_EQ(0, eq_pasid_detach(self->w.iommu, dev, PASID));
	ASSERT_TRUE(eq_got_two_invalid(&self->w, 0, 1, 2));
	/* The device's own attachment is another one. */
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(3, f[0].grpid);
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->w.queue.fd, f[0].cookie,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(eq_got(&self->w, 0, 3, EQ_GOT_SUCCESS));
}

TEST_F(fault, replace_of_pasid)
{
	struct eq_dev *dev = &self->w.dev[0];
	struct iommu_test_cmd replace = {
		.id = dev->stdev_id,
		.pasid_replace.pasid = PASID,
	};
	struct iommu_hwpt_pgfault f;
	struct eq_queue other;

	ASSERT_EQ(0, eq_fault_queue(self->w.iommu, 0, &other));
	ASSERT_EQ(0, eq_fault_hwpt(self->w.iommu, dev, self->w.ioas, other.id,
				   &replace.pasid_replace.pt_id));
	ASSERT_EQ(0, eq_pasid_attach(self->w.iommu, dev, PASID, self->w.hwpt));
	ASSERT_EQ(0, eq_pasid_fault(self->w.iommu, dev, PASID, 1));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(self->w.queue.fd, &f, sizeof(f)));
	ASSERT_EQ(0, eq_pasid_fault(self->w.iommu, dev, PASID, 2));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 3));

	ASSERT_EQ(0, eq_test(self->w.iommu, IOMMU_TEST_OP_PASID_REPLACE,
			     &replace));
	ASSERT_TRUE(eq_got_two_invalid(&self->w, 0, 1, 2));
	ASSERT_EQ(-EINVAL, eq_respond(self->w.queue.fd, f.cookie,
				      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_FALSE(eq_readable(other.fd));
	ASSERT_EQ(0, eq_pasid_fault(self->w.iommu, dev, PASID, 4));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(other.fd, &f, sizeof(f)));
	ASSERT_EQ(4, f.grpid);
	ASSERT_EQ(PASID, f.pasid);
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(self->w.queue.fd, &f, sizeof(f)));
	ASSERT_EQ(3, f.grpid);
}

TEST_F(fault, close_answers_invalid)
{
	__u32 cookie;
	int copy;

	ASSERT_TRUE(eq_outstanding(&self->w, 0, 1, &cookie));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 2));
	/* Not before the last close. */
	copy = dup(self->w.queue.fd);
	ASSERT_EQ(0, close(self->w.queue.fd));
	ASSERT_TRUE(eq_got_nothing(&self->w, 0));
	ASSERT_EQ(0, close(copy));
	self->w.queue.fd = -1;
	ASSERT_TRUE(eq_got_two_invalid(&self->w, 0, 1, 2));
	/* Nobody can answer later ones. */
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 3));
	ASSERT_TRUE(eq_got(&self->w, 0, 3, EQ_GOT_INVALID));
	ASSERT_EQ(0, eq_raise_group(&self->w, 1, 4, 5));
	ASSERT_TRUE(eq_got(&self->w, 1, 4, EQ_GOT_INVALID));
	ASSERT_TRUE(eq_got_nothing(&self->w, 1));
	/* The domain still uses the queue's object. */
	ASSERT_EQ(-EBUSY, eq_destroy(self->w.iommu, self->w.queue.id));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], self->w.ioas));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[1], self->w.ioas));
	ASSERT_TRUE(eq_got_nothing(&self->w, 0));
	ASSERT_EQ(0, eq_destroy(self->w.iommu, self->w.hwpt));
	ASSERT_EQ(0, eq_destroy(self->w.iommu, self->w.queue.id));
}

TEST_F(fault, poll)
{
	const short out = POLLOUT | POLLWRNORM, in = POLLIN | POLLRDNORM;
	__u32 cookie;
	char buf[64];

	ASSERT_EQ(out, eq_poll_now(self->w.queue.fd));
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 1));
	ASSERT_EQ(out | in, eq_poll_now(self->w.queue.fd));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(self->w.queue.fd, buf, sizeof(buf)));
	ASSERT_EQ(out, eq_poll_now(self->w.queue.fd));
	ASSERT_TRUE(eq_outstanding(&self->w, 0, 2, &cookie));
	ASSERT_EQ(out, eq_poll_now(self->w.queue.fd));
	/* A fault that a detach took away is no longer there to read. */
	ASSERT_EQ(0, eq_raise_fault(&self->w, 0, 3));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], self->w.ioas));
	ASSERT_EQ(out, eq_poll_now(self->w.queue.fd));
}

TEST_F(fault, fdinfo)
{
	int fd = self->w.queue.fd;
	__u32 cookie;
	char class[64];

	ASSERT_TRUE(eq_outstanding(&self->w, 0, 1, &cookie));
	ASSERT_TRUE(eq_outstanding(&self->w, 0, 2, &cookie));
	ASSERT_EQ(0, eq_raise_group(&self->w, 0, 3, 5));
	ASSERT_EQ(self->w.queue.id, eq_fdinfo(fd, "eventq-id"));
	ASSERT_EQ(0, eq_fdinfo_text(fd, "eventq-class", class, sizeof(class)));
	ASSERT_STREQ("iopf", class);
	ASSERT_EQ(1, eq_fdinfo(fd, "queued"));
	ASSERT_EQ(2, eq_fdinfo(fd, "outstanding"));
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(fd, cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(1, eq_fdinfo(fd, "outstanding"));
}

TEST_HARNESS_MAIN
