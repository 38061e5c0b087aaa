// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selftest of iommufd's fault queues, on the mock device: records, groups,
 * cookies and answers; what detach, replace and close do to open faults.
 */
#define _GNU_SOURCE

#include "../kselftest_harness.h"
#include "iommufd_eventq_world.h"

/*
 * Fault queues: reading
 */

#define PASID 77

FIXTURE(fault)
{
	struct world w;
	bool pasid_attached;	/* of dev[0] */
};

FIXTURE_SETUP(fault)
{
	if (no_mock())
		SKIP(return, NO_MOCK);
	ASSERT_EQ(0, world_open(&self->w));
	ASSERT_EQ(0, world_fault_queue(&self->w, NO_WAIT_FLAG));
}

FIXTURE_TEARDOWN(fault)
{
	/* The mock device does not do that by itself. */
	if (self->pasid_attached)
		eq_pasid_detach(self->w.iommu, &self->w.dev[0], PASID);
	close(self->w.queue.fd);
	close(self->w.iommu);
}

TEST_F(fault, read_one)
{
	struct iommu_hwpt_pgfault f[2];

	/* Whatever the kernel leaves out of the record shows. */
	memset(f, 0xa5, sizeof(f));
	ASSERT_EQ(0, fault(&self->w, 1, 5));
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, f, sizeof(f)));
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
	ASSERT_FALSE(readable(self->w.queue.fd));
}

TEST_F(fault, read_several_in_order)
{
	struct iommu_hwpt_pgfault f[8];
	int i;

	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, fault(&self->w, i % 2, i));
	ASSERT_EQ(5 * FAULT_LEN, sys_read(self->w.queue.fd, f, sizeof(f)));
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
		ASSERT_EQ(0, fault(&self->w, 0, i));
	ASSERT_EQ(2 * FAULT_LEN,
		  sys_read(self->w.queue.fd, f, 3 * FAULT_LEN - 1));
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, f, FAULT_LEN + 1));
	ASSERT_EQ(2, f[0].grpid);
}

TEST_F(fault, read_group_that_does_not_fit)
{
	struct iommu_hwpt_pgfault f[8];

	ASSERT_EQ(0, group(&self->w, 0, 1, 2));
	ASSERT_EQ(0, fault(&self->w, 0, 2));
	ASSERT_EQ(-EINVAL, sys_read(self->w.queue.fd, f, 1));
	ASSERT_EQ(-EINVAL, sys_read(self->w.queue.fd, f, FAULT_LEN));
	ASSERT_EQ(-EINVAL, sys_read(self->w.queue.fd, f, 2 * FAULT_LEN - 1));
	ASSERT_EQ(0, sys_read(self->w.queue.fd, f, 0));
	ASSERT_EQ(3 * FAULT_LEN, sys_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(1, f[0].grpid);
	ASSERT_EQ(2, f[2].grpid);
}

TEST_F(fault, read_never_splits_a_group)
{
	struct iommu_hwpt_pgfault f[8];

	ASSERT_EQ(0, fault(&self->w, 0, 1));
	ASSERT_EQ(0, group(&self->w, 0, 2, 3));
	ASSERT_EQ(0, fault(&self->w, 0, 3));
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, f, 3 * FAULT_LEN));
	ASSERT_EQ(3 * FAULT_LEN, sys_read(self->w.queue.fd, f, 3 * FAULT_LEN));
	ASSERT_EQ(2, f[0].grpid);
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, f, 3 * FAULT_LEN));
	ASSERT_EQ(3, f[0].grpid);
}

TEST_F(fault, read_vector_is_one_buffer)
{
	char buf[2 * FAULT_LEN];
	struct iovec iov[] = {
		{ .iov_base = buf, .iov_len = 7 },
		{ .iov_base = buf + 7, .iov_len = 0 },
		{ .iov_base = buf + 7, .iov_len = 53 },
		{ .iov_base = buf + 60, .iov_len = sizeof(buf) - 60 },
	};
	struct iommu_hwpt_pgfault f[2];

	ASSERT_EQ(0, group(&self->w, 0, 1, 2));
	ASSERT_EQ(2 * FAULT_LEN,
		  RET(readv(self->w.queue.fd, iov, ARRAY_SIZE(iov))));
	memcpy(f, buf, sizeof(f));
	ASSERT_EQ(EQ_ADDR(0), f[0].addr);
	ASSERT_EQ(EQ_ADDR(1), f[1].addr);
	ASSERT_EQ(f[0].cookie, f[1].cookie);
}

TEST_F(fault, read_fails_at_first_record)
{
	/* An odd number of them: swapping the two each time would show. */
	static const size_t mapped[] = { 0, 1, FAULT_LEN - 1 };
	struct iommu_hwpt_pgfault f[8];
	size_t i;

	ASSERT_EQ(0, fault(&self->w, 0, 1));
	ASSERT_EQ(0, fault(&self->w, 0, 2));
	for (i = 0; i < ARRAY_SIZE(mapped); i++)
		ASSERT_EQ(-EFAULT, sys_read(self->w.queue.fd,
					    eq_edge(mapped[i]), sizeof(f)));
	ASSERT_EQ(2, eq_fdinfo(self->w.queue.fd, "queued"));
	ASSERT_EQ(0, eq_fdinfo(self->w.queue.fd, "outstanding"));
	ASSERT_EQ(2 * FAULT_LEN, sys_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(1, f[0].grpid);
	ASSERT_EQ(2, f[1].grpid);
	ASSERT_TRUE(got_nothing(&self->w, 0));
}

TEST_F(fault, read_fails_at_later_record)
{
	struct iommu_hwpt_pgfault f[8];
	char *edge = eq_edge(3 * FAULT_LEN);

	/* One group before the edge, one across, one behind. */
	ASSERT_EQ(0, group(&self->w, 0, 1, 2));
	ASSERT_EQ(0, group(&self->w, 0, 2, 2));
	ASSERT_EQ(0, fault(&self->w, 0, 3));
	ASSERT_EQ(2 * FAULT_LEN,
		  sys_read(self->w.queue.fd, edge, 8 * FAULT_LEN));
	ASSERT_EQ(3 * FAULT_LEN, sys_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(2, f[0].grpid);
	ASSERT_EQ(2, f[1].grpid);
	ASSERT_EQ(3, f[2].grpid);
	ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, f[0].cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got(&self->w, 0, 2, GOT_SUCCESS));
}

/*
 * Groups of several faults, small and larger than a page of records
 */

FIXTURE(fault_group)
{
	struct world w;
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
	self->f = malloc((variant->nr + 1) * FAULT_LEN);
	ASSERT_NE(NULL, self->f);
	if (no_mock())
		SKIP(return, NO_MOCK);
	ASSERT_EQ(0, world_open(&self->w));
	ASSERT_EQ(0, world_fault_queue(&self->w, NO_WAIT_FLAG));
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
	memset(self->f, 0xa5, (variant->nr + 1) * FAULT_LEN);
	ASSERT_EQ(0, group(&self->w, 0, 9, variant->nr));
	ASSERT_EQ(-EINVAL, sys_read(self->w.queue.fd, self->f,
				    variant->nr * FAULT_LEN - 1));
	ASSERT_EQ(variant->nr * FAULT_LEN,
		  sys_read(self->w.queue.fd, self->f,
			   (variant->nr + 1) * FAULT_LEN));
	check_group(_metadata, self->f, variant->nr);
	ASSERT_EQ(0xa5a5a5a5, self->f[variant->nr].flags);

	ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, self->f->cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got(&self->w, 0, 9, GOT_SUCCESS));
	ASSERT_TRUE(got_nothing(&self->w, 0));
	ASSERT_EQ(-EINVAL, answer(self->w.queue.fd, self->f->cookie,
				  IOMMUFD_PAGE_RESP_SUCCESS));
}

TEST_F(fault_group, all_or_nothing_across_the_edge)
{
	size_t len = variant->nr * FAULT_LEN;
	char *edge = eq_edge(len - 1);

	ASSERT_EQ(0, group(&self->w, 0, 9, variant->nr));
	ASSERT_EQ(-EFAULT, sys_read(self->w.queue.fd, edge, len));
	ASSERT_EQ(0, eq_fdinfo(self->w.queue.fd, "outstanding"));
	ASSERT_TRUE(readable(self->w.queue.fd));
	ASSERT_EQ(len, sys_read(self->w.queue.fd, self->f, len));
	check_group(_metadata, self->f, variant->nr);
}

TEST_F(fault_group, incomplete_group_is_not_delivered)
{
	ASSERT_EQ(0, eq_fault_op(self->w.iommu, IOMMU_TEST_OP_TRIGGER_IOPF_PART,
				 &self->w.dev[0], 0, 9, EQ_ADDR(0)));
	ASSERT_FALSE(readable(self->w.queue.fd));
	/* The same group number on another device is another group. */
	ASSERT_EQ(0, group(&self->w, 1, 9, variant->nr));
	ASSERT_EQ(variant->nr * FAULT_LEN,
		  sys_read(self->w.queue.fd, self->f,
			   (variant->nr + 1) * FAULT_LEN));
	ASSERT_EQ(self->w.dev[1].dev_id, self->f->dev_id);
	check_group(_metadata, self->f, variant->nr);
}

/*
 * Fault queues: answering
 */

TEST_F(fault, answers_reach_their_devices)
{
	struct iommu_hwpt_pgfault f[2];

	ASSERT_EQ(0, fault(&self->w, 0, 1));
	ASSERT_EQ(0, fault(&self->w, 1, 2));
	ASSERT_EQ(2 * FAULT_LEN, sys_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_TRUE(got_nothing(&self->w, 0));
	ASSERT_TRUE(got_nothing(&self->w, 1));
	/* The order is the VMM's. */
	ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, f[1].cookie,
				     IOMMUFD_PAGE_RESP_INVALID));
	ASSERT_TRUE(got_nothing(&self->w, 0));
	ASSERT_TRUE(got(&self->w, 1, 2, GOT_INVALID));
	ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, f[0].cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got(&self->w, 0, 1, GOT_SUCCESS));
	ASSERT_TRUE(got_nothing(&self->w, 1));
}

TEST_F(fault, answer_with_pasid)
{
	struct iommu_hwpt_pgfault f;
	struct eq_answer a;

	ASSERT_EQ(0, eq_pasid_attach(self->w.iommu, &self->w.dev[0], PASID,
				     self->w.hwpt));
	self->pasid_attached = true;
	ASSERT_EQ(0, eq_pasid_fault(self->w.iommu, &self->w.dev[0], PASID, 1));
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, &f, sizeof(f)));
	ASSERT_EQ(IOMMU_PGFAULT_FLAGS_LAST_PAGE |
		  IOMMU_PGFAULT_FLAGS_PASID_VALID, f.flags);
	ASSERT_EQ(PASID, f.pasid);
	ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, f.cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(0, eq_pop_answer(self->w.iommu, &self->w.dev[0], &a));
	ASSERT_EQ(GOT_SUCCESS, a.code);
	ASSERT_EQ(PASID, a.pasid);
}

TEST_F(fault, bad_answers_are_refused)
{
	int fd = self->w.queue.fd;
	__u32 cookie;

	ASSERT_TRUE(outstanding(&self->w, 0, 1, &cookie));
	ASSERT_EQ(-EINVAL, answer(fd, cookie, 2));
	ASSERT_EQ(-EINVAL, answer(fd, cookie, UINT32_MAX));
	ASSERT_EQ(-EINVAL, answer(fd, cookie + 1, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(-EINVAL, answer(fd, 0, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(-EFAULT, sys_write(fd, eq_edge(0), ANSWER_LEN));
	/* The fault is still open, and takes one good answer. */
	ASSERT_TRUE(got_nothing(&self->w, 0));
	ASSERT_EQ(ANSWER_LEN, answer(fd, cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(-EINVAL, answer(fd, cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got(&self->w, 0, 1, GOT_SUCCESS));
	ASSERT_TRUE(got_nothing(&self->w, 0));
}

TEST_F(fault, batch_stops_at_bad_answer)
{
	struct iommu_hwpt_page_response r[4] = {};
	struct iommu_hwpt_pgfault f[4];
	int i;

	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, fault(&self->w, 0, i));
	ASSERT_EQ(4 * FAULT_LEN, sys_read(self->w.queue.fd, f, sizeof(f)));
	for (i = 0; i < 4; i++)
		r[i].cookie = f[i].cookie;
	r[2].code = 7;

	ASSERT_EQ(2 * ANSWER_LEN, sys_write(self->w.queue.fd, r, sizeof(r)));
	ASSERT_TRUE(got(&self->w, 0, 0, GOT_SUCCESS));
	ASSERT_TRUE(got(&self->w, 0, 1, GOT_SUCCESS));
	ASSERT_TRUE(got_nothing(&self->w, 0));
	r[2].code = IOMMUFD_PAGE_RESP_INVALID;
	ASSERT_EQ(2 * ANSWER_LEN,
		  sys_write(self->w.queue.fd, &r[2], 2 * ANSWER_LEN));
	ASSERT_TRUE(got(&self->w, 0, 2, GOT_INVALID));
	ASSERT_TRUE(got(&self->w, 0, 3, GOT_SUCCESS));
}

TEST_F(fault, write_vector_is_one_buffer)
{
	struct iommu_hwpt_page_response r[2] = {};
	struct iovec iov[] = {
		{ .iov_base = r, .iov_len = 3 },
		{ .iov_base = (char *)r + 3, .iov_len = 9 },
		{ .iov_base = (char *)r + 12, .iov_len = 4 },
	};

	ASSERT_TRUE(outstanding(&self->w, 0, 1, &r[0].cookie));
	ASSERT_TRUE(outstanding(&self->w, 0, 2, &r[1].cookie));
	ASSERT_EQ(2 * ANSWER_LEN,
		  RET(writev(self->w.queue.fd, iov, ARRAY_SIZE(iov))));
	ASSERT_TRUE(got(&self->w, 0, 1, GOT_SUCCESS));
	ASSERT_TRUE(got(&self->w, 0, 2, GOT_SUCCESS));
}

/* An answer never waits, so it can be told not to. */
TEST_F(fault, answer_that_must_not_wait)
{
	struct iommu_hwpt_page_response r[2] = {};
	struct iovec iov = { .iov_base = r, .iov_len = sizeof(r) };
	int fd = self->w.queue.fd;

	ASSERT_TRUE(outstanding(&self->w, 0, 1, &r[0].cookie));
	ASSERT_TRUE(outstanding(&self->w, 0, 2, &r[1].cookie));
	ASSERT_EQ(2 * ANSWER_LEN, RET(pwritev2(fd, &iov, 1, -1, RWF_NOWAIT)));
	ASSERT_TRUE(got(&self->w, 0, 1, GOT_SUCCESS));
	ASSERT_TRUE(got(&self->w, 0, 2, GOT_SUCCESS));
	ASSERT_EQ(-EINVAL, RET(pwritev2(fd, &iov, 1, -1, RWF_NOWAIT)));
	ASSERT_TRUE(got_nothing(&self->w, 0));
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
	ASSERT_TRUE(outstanding(&self->w, 0, 1, &cookie));
	ASSERT_EQ(0, fault(&self->w, 1, 2));
	ASSERT_EQ(FAULT_LEN, sys_read(other.fd, &f, sizeof(f)));

	ASSERT_EQ(-EINVAL, answer(other.fd, cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(-EINVAL, answer(self->w.queue.fd, f.cookie,
				  IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got_nothing(&self->w, 0));
	ASSERT_TRUE(got_nothing(&self->w, 1));
	ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(ANSWER_LEN, answer(other.fd, f.cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got(&self->w, 0, 1, GOT_SUCCESS));
	ASSERT_TRUE(got(&self->w, 1, 2, GOT_SUCCESS));
}

/* An answer that is late by a whole queue hits nothing, either. */
TEST_F(fault, answer_to_former_queue)
{
	struct iommu_hwpt_pgfault f;
	__u32 stale, hwpt;
	struct eq_queue q;

	ASSERT_TRUE(outstanding(&self->w, 0, 1, &stale));
	ASSERT_EQ(0, close(self->w.queue.fd));
	self->w.queue.fd = -1;
	ASSERT_TRUE(got(&self->w, 0, 1, GOT_INVALID));
	ASSERT_EQ(0, eq_fault_queue(self->w.iommu, 0, &q));
	ASSERT_EQ(0, eq_fault_hwpt(self->w.iommu, &self->w.dev[0],
				   self->w.ioas, q.id, &hwpt));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], hwpt));
	ASSERT_EQ(0, fault(&self->w, 0, 2));
	ASSERT_EQ(FAULT_LEN, sys_read(q.fd, &f, sizeof(f)));
	ASSERT_EQ(-EINVAL, answer(q.fd, stale, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got_nothing(&self->w, 0));
	ASSERT_EQ(ANSWER_LEN, answer(q.fd, f.cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got(&self->w, 0, 2, GOT_SUCCESS));
}

TEST_F(fault, cookies_are_not_reused)
{
	__u32 cookies[64], fresh;
	int i, j;

	for (i = 0; i < 64; i++) {
		ASSERT_TRUE(outstanding(&self->w, 0, i, &cookies[i]));
		ASSERT_NE(0, cookies[i]);
		for (j = 0; j < i; j++)
			ASSERT_NE(cookies[j], cookies[i]);
		ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, cookies[i],
					     IOMMUFD_PAGE_RESP_SUCCESS));
		ASSERT_TRUE(got(&self->w, 0, i, GOT_SUCCESS));
	}
	/* Late duplicates do not hit a newer fault. */
	ASSERT_TRUE(outstanding(&self->w, 0, 100, &fresh));
	for (i = 0; i < 64; i++)
		ASSERT_EQ(-EINVAL, answer(self->w.queue.fd, cookies[i],
					  IOMMUFD_PAGE_RESP_INVALID));
	ASSERT_TRUE(got_nothing(&self->w, 0));
	ASSERT_EQ(1, eq_fdinfo(self->w.queue.fd, "outstanding"));
	ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, fresh,
				     IOMMUFD_PAGE_RESP_SUCCESS));
}

/* An old fault and the newest are answered in turns, over many cookies. */
TEST_F(fault, old_and_new_answers_in_turns)
{
	__u32 old[200], fresh[ARRAY_SIZE(old)];
	int i, fd = self->w.queue.fd;

	for (i = 0; i < ARRAY_SIZE(old); i++)
		ASSERT_TRUE(outstanding(&self->w, 0, i, &old[i]));
	for (i = 0; i < ARRAY_SIZE(old); i++) {
		ASSERT_TRUE(outstanding(&self->w, 0, 1000 + i, &fresh[i]));
		ASSERT_EQ(ANSWER_LEN, answer(fd, fresh[i],
					     IOMMUFD_PAGE_RESP_SUCCESS));
		ASSERT_TRUE(got(&self->w, 0, 1000 + i, GOT_SUCCESS));
		ASSERT_EQ(ANSWER_LEN, answer(fd, old[i],
					     IOMMUFD_PAGE_RESP_SUCCESS));
		ASSERT_TRUE(got(&self->w, 0, i, GOT_SUCCESS));
	}
	for (i = 0; i < ARRAY_SIZE(old); i++) {
		ASSERT_EQ(-EINVAL, answer(fd, fresh[i],
					  IOMMUFD_PAGE_RESP_SUCCESS));
		ASSERT_EQ(-EINVAL, answer(fd, old[i],
					  IOMMUFD_PAGE_RESP_SUCCESS));
	}
	ASSERT_TRUE(got_nothing(&self->w, 0));
	ASSERT_EQ(0, eq_fdinfo(fd, "outstanding"));
}

TEST_F(fault, failed_read_spends_no_answer)
{
	struct iommu_hwpt_pgfault f;
	__u32 cookie, i;

	ASSERT_TRUE(outstanding(&self->w, 0, 1, &cookie));
	ASSERT_EQ(0, fault(&self->w, 0, 2));
	ASSERT_EQ(-EFAULT, sys_read(self->w.queue.fd, eq_edge(0), FAULT_LEN));
	ASSERT_TRUE(readable(self->w.queue.fd));
	ASSERT_EQ(1, eq_fdinfo(self->w.queue.fd, "outstanding"));
	/* No cookie is good while the fault waits to be read. */
	for (i = 1; i < 16; i++)
		ASSERT_EQ(-EINVAL, answer(self->w.queue.fd, cookie + i,
					  IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got_nothing(&self->w, 0));
	/* Nor is one that an earlier read spent on it. */
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, &f, sizeof(f)));
	for (i = 1; i < 16; i++)
		if (cookie + i != f.cookie)
			ASSERT_EQ(-EINVAL, answer(self->w.queue.fd, cookie + i,
						  IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got_nothing(&self->w, 0));
	ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, f.cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got(&self->w, 0, 2, GOT_SUCCESS));
}

/*
 * Fault queues: detach, replace, close
 */

/* A fault that a failed read put back is as queued as any. */
TEST_F(fault, detach_after_failed_read)
{
	struct iommu_hwpt_pgfault f;

	ASSERT_EQ(0, fault(&self->w, 0, 1));
	ASSERT_EQ(0, fault(&self->w, 1, 2));
	ASSERT_EQ(-EFAULT, sys_read(self->w.queue.fd, eq_edge(0), sizeof(f)));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], self->w.ioas));
	ASSERT_TRUE(got(&self->w, 0, 1, GOT_INVALID));
	ASSERT_EQ(1, eq_fdinfo(self->w.queue.fd, "queued"));
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, &f, sizeof(f)));
	ASSERT_EQ(2, f.grpid);
	ASSERT_FALSE(readable(self->w.queue.fd));
	ASSERT_EQ(1, eq_fdinfo(self->w.queue.fd, "outstanding"));
}

TEST_F(fault, replace_answers_invalid)
{
	struct iommu_hwpt_pgfault f[4];
	__u32 mine, other, hwpt;
	struct eq_queue second;

	/* Device 0: one fault read, one queued; device 1: the same. */
	ASSERT_TRUE(outstanding(&self->w, 0, 1, &mine));
	ASSERT_TRUE(outstanding(&self->w, 1, 2, &other));
	ASSERT_EQ(0, fault(&self->w, 1, 3));
	ASSERT_EQ(0, fault(&self->w, 0, 4));
	ASSERT_EQ(0, eq_fault_queue(self->w.iommu, 0, &second));
	ASSERT_EQ(0, eq_fault_hwpt(self->w.iommu, &self->w.dev[0],
				   self->w.ioas, second.id, &hwpt));

	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], hwpt));
	ASSERT_TRUE(got_two_invalid(&self->w, 0, 1, 4));
	ASSERT_FALSE(readable(second.fd));
	ASSERT_EQ(-EINVAL, answer(self->w.queue.fd, mine,
				  IOMMUFD_PAGE_RESP_SUCCESS));

	/* Device 1 did not notice. */
	ASSERT_TRUE(got_nothing(&self->w, 1));
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(3, f[0].grpid);
	ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, other,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got(&self->w, 1, 2, GOT_SUCCESS));

	/* New faults of device 0 go to the new queue. */
	ASSERT_EQ(0, fault(&self->w, 0, 5));
	ASSERT_FALSE(readable(self->w.queue.fd));
	ASSERT_EQ(FAULT_LEN, sys_read(second.fd, f, sizeof(f)));
	ASSERT_EQ(5, f[0].grpid);
}

TEST_F(fault, replace_by_domain_without_queue)
{
	char buf[64];

	ASSERT_EQ(0, fault(&self->w, 0, 1));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], self->w.ioas));
	ASSERT_TRUE(got(&self->w, 0, 1, GOT_INVALID));
	ASSERT_TRUE(got_nothing(&self->w, 0));
	ASSERT_FALSE(readable(self->w.queue.fd));
	ASSERT_EQ(0, sys_read(self->w.queue.fd, buf, sizeof(buf)));
	ASSERT_EQ(0, eq_fdinfo(self->w.queue.fd, "queued"));
	/* Nor has the queue a part in what comes later. */
	ASSERT_EQ(0, fault(&self->w, 0, 2));
	ASSERT_TRUE(got(&self->w, 0, 2, GOT_INVALID));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[1], self->w.ioas));
	ASSERT_EQ(0, close(self->w.queue.fd));
	self->w.queue.fd = -1;
	ASSERT_TRUE(got_nothing(&self->w, 0));
	ASSERT_EQ(0, eq_destroy(self->w.iommu, self->w.hwpt));
	ASSERT_EQ(0, eq_destroy(self->w.iommu, self->w.queue.id));
}

/* The attachment goes on, and with it its faults. */
TEST_F(fault, replace_that_changes_nothing)
{
	struct iommu_hwpt_pgfault f;
	__u32 cookie;

	ASSERT_TRUE(outstanding(&self->w, 0, 1, &cookie));
	ASSERT_EQ(0, fault(&self->w, 0, 2));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], self->w.hwpt));
	ASSERT_EQ(-ENOENT, eq_replace(self->w.iommu, &self->w.dev[0], 1 << 24));
	ASSERT_EQ(-EINVAL, eq_replace(self->w.iommu, &self->w.dev[0],
				      self->w.queue.id));
	ASSERT_TRUE(got_nothing(&self->w, 0));
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, &f, sizeof(f)));
	ASSERT_EQ(2, f.grpid);
	ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, f.cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got(&self->w, 0, 1, GOT_SUCCESS));
	ASSERT_TRUE(got(&self->w, 0, 2, GOT_SUCCESS));
	ASSERT_TRUE(got_nothing(&self->w, 0));
}

/* Nor does an attempt that gets as far as the device, and fails there. */
TEST_F(fault, failed_replace_changes_nothing)
{
	struct world *w = &self->w;
	struct iommu_test_cmd cmd = {
		.id = w->ioas,
		.mock_domain_flags.dev_flags = MOCK_FLAGS_DEVICE_NO_DIRTY,
	};
	struct iommu_hwpt_alloc dirty = {
		.size = sizeof(dirty),
		.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
		.dev_id = w->dev[0].dev_id,
		.pt_id = w->ioas,
	};
	struct iommu_hwpt_pgfault f;
	__u32 cookie;

	ASSERT_EQ(0, eq_test(w->iommu, IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, &cmd));
	w->dev[1].stdev_id = cmd.mock_domain_flags.out_stdev_id;
	w->dev[1].dev_id = cmd.mock_domain_flags.out_idev_id;
	ASSERT_EQ(0, eq_replace(w->iommu, &w->dev[1], w->hwpt));
	ASSERT_EQ(0, eq_call(w->iommu, IOMMU_HWPT_ALLOC, &dirty));

	ASSERT_TRUE(outstanding(w, 1, 1, &cookie));
	ASSERT_EQ(0, fault(w, 1, 2));
	ASSERT_EQ(-EINVAL, eq_replace(w->iommu, &w->dev[1], dirty.out_hwpt_id));
	ASSERT_TRUE(got_nothing(w, 1));
	ASSERT_EQ(FAULT_LEN, sys_read(w->queue.fd, &f, sizeof(f)));
	ASSERT_EQ(2, f.grpid);
	ASSERT_EQ(ANSWER_LEN, answer(w->queue.fd, cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(ANSWER_LEN, answer(w->queue.fd, f.cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got(w, 1, 1, GOT_SUCCESS));
	ASSERT_TRUE(got(w, 1, 2, GOT_SUCCESS));
}

/* Who attaches to a queue that nobody has open need not wait, either. */
TEST_F(fault, attach_after_close)
{
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], self->w.ioas));
	ASSERT_EQ(0, close(self->w.queue.fd));
	self->w.queue.fd = -1;
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], self->w.hwpt));
	ASSERT_EQ(0, group(&self->w, 0, 1, 3));
	ASSERT_TRUE(got(&self->w, 0, 1, GOT_INVALID));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], self->w.ioas));
	ASSERT_TRUE(got_nothing(&self->w, 0));
}

TEST_F(fault, detach_of_device)
{
	struct iommu_hwpt_pgfault f[4];
	__u32 cookie;

	ASSERT_TRUE(outstanding(&self->w, 0, 1, &cookie));
	ASSERT_EQ(0, fault(&self->w, 0, 2));
	ASSERT_EQ(0, fault(&self->w, 1, 3));
	ASSERT_EQ(0, eq_destroy(self->w.iommu, self->w.dev[0].stdev_id));
	ASSERT_EQ(-EINVAL, answer(self->w.queue.fd, cookie,
				  IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(3, f[0].grpid);
	ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, f[0].cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got(&self->w, 1, 3, GOT_SUCCESS));
}

#define NR_RACES 200
#define NR_ANSWERS 32

struct answers {
	struct world *w;
	struct iommu_hwpt_pgfault f[NR_ANSWERS];
};

/* One by one; returns how many of them were in time. */
static long job_answers(void *arg)
{
	struct answers *answers = arg;
	long rc, nr = 0;
	int i;

	for (i = 0; i < NR_ANSWERS; i++) {
		rc = answer(answers->w->queue.fd, answers->f[i].cookie,
			    IOMMUFD_PAGE_RESP_SUCCESS);
		if (rc != ANSWER_LEN && rc != -EINVAL)
			return rc;
		nr += rc == ANSWER_LEN;
	}
	return nr;
}

/*
 * Each fault is answered by the one or by the other, and the device is not let
 * go before the answer that is under way has got there.
 */
TEST_F(fault, replace_while_answers_come)
{
	struct world *w = &self->w;
	struct answers answers = { .w = w };
	struct act act = { .w = w };
	int round, i, nr_success;
	struct eq_answer a;
	struct eq_job job;
	__u32 hwpt;

	ASSERT_EQ(0, eq_fault_hwpt(w->iommu, &w->dev[0], w->ioas, w->queue.id,
				   &hwpt));
	for (round = 0; round < NR_RACES; round++) {
		act.arg = round % 2 ? w->hwpt : hwpt;
		for (i = 0; i < NR_ANSWERS; i++)
			ASSERT_EQ(0, fault(w, 0, i));
		ASSERT_EQ(sizeof(answers.f), sys_read(w->queue.fd, answers.f,
						      sizeof(answers.f)));
		ASSERT_TRUE(eq_job_start(&job, job_answers, &answers));
		ASSERT_PROMPT(0, act_replace, &act);
		ASSERT_TRUE(eq_job_end(&job, DEADLINE_MS));

		for (i = 0, nr_success = 0; i < NR_ANSWERS; i++) {
			ASSERT_EQ(0, eq_pop_answer(w->iommu, &w->dev[0], &a));
			ASSERT_GE(GOT_INVALID, a.code);
			nr_success += a.code == GOT_SUCCESS;
		}
		ASSERT_EQ(job.ret, nr_success);
		ASSERT_TRUE(got_nothing(w, 0));
	}
	ASSERT_EQ(0, eq_fdinfo(w->queue.fd, "outstanding"));
}

TEST_F(fault, detach_of_pasid)
{
	struct iommu_hwpt_pgfault f[4];
	struct eq_dev *dev = &self->w.dev[0];

	ASSERT_EQ(0, eq_pasid_attach(self->w.iommu, dev, PASID, self->w.hwpt));
	self->pasid_attached = true;
	ASSERT_EQ(0, eq_pasid_fault(self->w.iommu, dev, PASID, 1));
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(0, eq_pasid_fault(self->w.iommu, dev, PASID, 2));
	ASSERT_EQ(0, fault(&self->w, 0, 3));

	ASSERT_EQ(0, eq_pasid_detach(self->w.iommu, dev, PASID));
	self->pasid_attached = false;
	ASSERT_TRUE(got_two_invalid(&self->w, 0, 1, 2));
	/* The device's own attachment is another one. */
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, f, sizeof(f)));
	ASSERT_EQ(3, f[0].grpid);
	ASSERT_EQ(ANSWER_LEN, answer(self->w.queue.fd, f[0].cookie,
				     IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got(&self->w, 0, 3, GOT_SUCCESS));
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
	self->pasid_attached = true;
	ASSERT_EQ(0, eq_pasid_fault(self->w.iommu, dev, PASID, 1));
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, &f, sizeof(f)));
	ASSERT_EQ(0, eq_pasid_fault(self->w.iommu, dev, PASID, 2));
	ASSERT_EQ(0, fault(&self->w, 0, 3));

	ASSERT_EQ(0, eq_test(self->w.iommu, IOMMU_TEST_OP_PASID_REPLACE,
			     &replace));
	ASSERT_TRUE(got_two_invalid(&self->w, 0, 1, 2));
	ASSERT_EQ(-EINVAL, answer(self->w.queue.fd, f.cookie,
				  IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_FALSE(readable(other.fd));
	ASSERT_EQ(0, eq_pasid_fault(self->w.iommu, dev, PASID, 4));
	ASSERT_EQ(FAULT_LEN, sys_read(other.fd, &f, sizeof(f)));
	ASSERT_EQ(4, f.grpid);
	ASSERT_EQ(PASID, f.pasid);
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, &f, sizeof(f)));
	ASSERT_EQ(3, f.grpid);
}

TEST_F(fault, close_answers_invalid)
{
	__u32 cookie;
	int copy;

	ASSERT_TRUE(outstanding(&self->w, 0, 1, &cookie));
	ASSERT_EQ(0, fault(&self->w, 0, 2));
	/* Not before the last close. */
	copy = dup(self->w.queue.fd);
	ASSERT_EQ(0, close(self->w.queue.fd));
	ASSERT_TRUE(got_nothing(&self->w, 0));
	ASSERT_EQ(0, close(copy));
	self->w.queue.fd = -1;
	ASSERT_TRUE(got_two_invalid(&self->w, 0, 1, 2));
	/* Nobody can answer later ones. */
	ASSERT_EQ(0, fault(&self->w, 0, 3));
	ASSERT_TRUE(got(&self->w, 0, 3, GOT_INVALID));
	ASSERT_EQ(0, group(&self->w, 1, 4, 5));
	ASSERT_TRUE(got(&self->w, 1, 4, GOT_INVALID));
	ASSERT_TRUE(got_nothing(&self->w, 1));
	/* The domain still uses the queue's object. */
	ASSERT_EQ(-EBUSY, eq_destroy(self->w.iommu, self->w.queue.id));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], self->w.ioas));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[1], self->w.ioas));
	ASSERT_TRUE(got_nothing(&self->w, 0));
	ASSERT_EQ(0, eq_destroy(self->w.iommu, self->w.hwpt));
	ASSERT_EQ(0, eq_destroy(self->w.iommu, self->w.queue.id));
}

TEST_F(fault, poll)
{
	const short out = POLLOUT | POLLWRNORM, in = POLLIN | POLLRDNORM;
	__u32 cookie;
	char buf[64];

	ASSERT_EQ(out, poll_now(self->w.queue.fd));
	ASSERT_EQ(0, fault(&self->w, 0, 1));
	ASSERT_EQ(out | in, poll_now(self->w.queue.fd));
	ASSERT_EQ(FAULT_LEN, sys_read(self->w.queue.fd, buf, sizeof(buf)));
	ASSERT_EQ(out, poll_now(self->w.queue.fd));
	ASSERT_TRUE(outstanding(&self->w, 0, 2, &cookie));
	ASSERT_EQ(out, poll_now(self->w.queue.fd));
	/* A fault that a detach took away is no longer there to read. */
	ASSERT_EQ(0, fault(&self->w, 0, 3));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], self->w.ioas));
	ASSERT_EQ(out, poll_now(self->w.queue.fd));
}

TEST_F(fault, fdinfo)
{
	int fd = self->w.queue.fd;
	__u32 cookie;
	char class[64];

	ASSERT_TRUE(outstanding(&self->w, 0, 1, &cookie));
	ASSERT_TRUE(outstanding(&self->w, 0, 2, &cookie));
	ASSERT_EQ(0, group(&self->w, 0, 3, 5));
	ASSERT_EQ(self->w.queue.id, eq_fdinfo(fd, "eventq-id"));
	ASSERT_EQ(0, eq_fdinfo_text(fd, "eventq-class", class, sizeof(class)));
	ASSERT_STREQ("iopf", class);
	ASSERT_EQ(1, eq_fdinfo(fd, "queued"));
	ASSERT_EQ(2, eq_fdinfo(fd, "outstanding"));
	ASSERT_EQ(ANSWER_LEN, answer(fd, cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(1, eq_fdinfo(fd, "outstanding"));
}

/*
 * Fault queues: everything that can happen to a group, in any order, against a
 * model of what the queue is
 */

#define MODEL_STEPS 2500
#define MODEL_MAX 24

struct model_group {
	__u32 grpid;
	unsigned int dev, nr;
	__u32 cookie;
};

/* Groups that wait to be read, and those that wait for their answer */
struct model_list {
	struct model_group g[MODEL_MAX];
	unsigned int nr;
};

struct model {
	struct world *w;
	struct model_list queued, open;
	__u32 hwpt[2];		/* the devices move between them */
	unsigned int attached[2];
	__u32 next;		/* group number */
	__u32 stale;		/* a cookie that was good */
	__u32 random;
	char *edge;		/* of a page to read into */
};

static __u32 next_random(struct model *m)
{
	m->random = m->random * 1664525 + 1013904223;
	return m->random >> 8;
}

static struct model_group model_remove(struct model_list *list, unsigned int i)
{
	struct model_group g = list->g[i];

	list->nr--;
	memmove(&list->g[i], &list->g[i + 1], (list->nr - i) * sizeof(g));
	return g;
}

static bool model_raise(struct model *m)
{
	struct model_group g = {
		.grpid = m->next++,
		.dev = next_random(m) % 2,
		.nr = next_random(m) % 4 + 1,
	};

	if (m->queued.nr + m->open.nr == MODEL_MAX)
		return true;
	m->queued.g[m->queued.nr++] = g;
	return !group(m->w, g.dev, g.grpid, g.nr);
}

static bool is_group(struct model *m, const char *buf, struct model_group *g)
{
	struct iommu_hwpt_pgfault f;
	unsigned int i;

	for (i = 0; i < g->nr; i++) {
		memcpy(&f, buf + i * FAULT_LEN, sizeof(f));
		if (!i)
			g->cookie = f.cookie;
		if (f.grpid != g->grpid || f.addr != EQ_ADDR(i) ||
		    f.dev_id != m->w->dev[g->dev].dev_id || f.__reserved ||
		    !f.cookie || f.cookie != g->cookie ||
		    f.flags != (i + 1 == g->nr ?
					IOMMU_PGFAULT_FLAGS_LAST_PAGE : 0))
			return false;
	}
	return true;
}

/* Read @count bytes, of which those from @hole on cannot be written. */
static bool model_read(struct model *m, size_t count, size_t hole)
{
	size_t room = hole < count ? hole : count, len = 0;
	char *buf = m->edge - hole;
	unsigned int nr = 0;
	long want, ret;

	while (nr < m->queued.nr &&
	       len + m->queued.g[nr].nr * FAULT_LEN <= room)
		len += m->queued.g[nr++].nr * FAULT_LEN;
	want = len;
	if (!len && m->queued.nr && count)
		want = m->queued.g[0].nr * FAULT_LEN > count ? -EINVAL :
							       -EFAULT;
	ret = sys_read(m->w->queue.fd, buf, count);
	if (ret != want) {
		printf("# read of %zu up to %zu: %ld, not %ld\n", count, hole,
		       ret, want);
		return false;
	}
	for (; nr; nr--) {
		struct model_group g = model_remove(&m->queued, 0);

		if (!is_group(m, buf, &g))
			return false;
		buf += g.nr * FAULT_LEN;
		m->open.g[m->open.nr++] = g;
	}
	return true;
}

static bool model_answer(struct model *m)
{
	__u32 code = next_random(m) % 2 ? IOMMUFD_PAGE_RESP_SUCCESS :
					  IOMMUFD_PAGE_RESP_INVALID;
	int fd = m->w->queue.fd;
	struct model_group g;

	if (m->stale && answer(fd, m->stale, code) != -EINVAL)
		return false;
	if (!m->open.nr)
		return true;
	g = model_remove(&m->open, next_random(m) % m->open.nr);
	m->stale = g.cookie;
	return answer(fd, g.cookie, 2) == -EINVAL &&
	       answer(fd, g.cookie, code) == ANSWER_LEN &&
	       got(m->w, g.dev, g.grpid, code);
}

static unsigned int model_detach(struct model *m, struct model_list *list,
				 unsigned int dev, bool *left)
{
	unsigned int i = 0, nr = 0;

	while (i < list->nr) {
		if (list->g[i].dev == dev) {
			m->stale = list->g[i].cookie;
			left[model_remove(list, i).grpid] = true;
			nr++;
		} else {
			i++;
		}
	}
	return nr;
}

/* To the other domain, which has the same queue: all INVALID, in any order */
static bool model_replace(struct model *m)
{
	bool left[MODEL_STEPS] = {};
	unsigned int dev = next_random(m) % 2, nr;
	struct eq_answer a;

	m->attached[dev] ^= 1;
	if (eq_replace(m->w->iommu, &m->w->dev[dev],
		       m->hwpt[m->attached[dev]]))
		return false;
	for (nr = model_detach(m, &m->open, dev, left) +
		  model_detach(m, &m->queued, dev, left); nr; nr--) {
		if (eq_pop_answer(m->w->iommu, &m->w->dev[dev], &a) ||
		    a.code != GOT_INVALID || a.grpid >= MODEL_STEPS ||
		    !left[a.grpid])
			return false;
		left[a.grpid] = false;
	}
	return true;
}

static bool model_step(struct model *m)
{
	size_t room = next_random(m) % (16 * FAULT_LEN);

	switch (next_random(m) % 32) {
	case 0 ... 14:
		return model_raise(m);
	case 15 ... 18:
		return model_read(m, room, 4000);
	case 19:
		return model_read(m, room % (2 * FAULT_LEN), 4000);
	case 20 ... 22:
		return model_read(m, 4096, room);
	case 23 ... 30:
		return model_answer(m);
	default:
		return model_replace(m);
	}
}

static bool as_model(struct model *m, bool thorough)
{
	int fd = m->w->queue.fd;

	return readable(fd) == !!m->queued.nr && got_nothing(m->w, 0) &&
	       got_nothing(m->w, 1) &&
	       (!thorough ||
		(eq_fdinfo(fd, "queued") == m->queued.nr &&
		 eq_fdinfo(fd, "outstanding") == m->open.nr));
}

TEST_F(fault, anything_in_any_order)
{
	struct model m = {
		.w = &self->w,
		.hwpt = { self->w.hwpt },
		.edge = eq_edge(4096) + 4096,
	};
	int step;

	ASSERT_EQ(0, eq_fault_hwpt(self->w.iommu, &self->w.dev[0],
				   self->w.ioas, self->w.queue.id, &m.hwpt[1]));
	for (step = 0; step < MODEL_STEPS; step++) {
		ASSERT_TRUE(model_step(&m)) {
			TH_LOG("step %d", step);
		}
		ASSERT_TRUE(as_model(&m, step % 64 == 0)) {
			TH_LOG("step %d", step);
		}
	}
	ASSERT_TRUE(as_model(&m, true));
}

/* Two readers with buffers of different sizes who answer, under load */

#define LOAD_GROUPS 1000

struct load_reader {
	int fd;
	size_t len;		/* of the buffer */
	bool *stop;
	__u8 *seen;		/* one count for each group */
	__u32 next;		/* what can come at the earliest */
};

static long job_load_read(void *arg)
{
	struct load_reader *reader = arg;
	struct iommu_hwpt_pgfault f[16];

	for (;;) {
		bool stop = __atomic_load_n(reader->stop, __ATOMIC_ACQUIRE);
		long len = sys_read(reader->fd, f, reader->len), i;

		if (len < 0)
			return len;
		if (!len && stop)
			return 0;
		if (!len)
			usleep(100);
		for (i = 0; i < len / FAULT_LEN; i++) {
			if (!(f[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE))
				continue;
			if (f[i].grpid >= LOAD_GROUPS ||
			    f[i].grpid < reader->next ||
			    answer(reader->fd, f[i].cookie,
				   IOMMUFD_PAGE_RESP_SUCCESS) != ANSWER_LEN)
				return -EPROTO;
			reader->next = f[i].grpid + 1;
			__atomic_add_fetch(&reader->seen[f[i].grpid], 1,
					   __ATOMIC_RELAXED);
		}
	}
}

TEST_F(fault, readers_see_the_order)
{
	static __u8 seen[LOAD_GROUPS];
	struct load_reader reader[2];
	struct eq_job job[2];
	bool stop = false;
	struct eq_answer a;
	int i;

	for (i = 0; i < 2; i++) {
		reader[i].fd = self->w.queue.fd;
		reader[i].len = i ? 16 * FAULT_LEN : 2 * FAULT_LEN;
		reader[i].stop = &stop;
		reader[i].seen = seen;
		reader[i].next = 0;
		ASSERT_TRUE(eq_job_start(&job[i], job_load_read, &reader[i]));
	}
	for (i = 0; i < LOAD_GROUPS; i++)
		ASSERT_EQ(0, group(&self->w, 0, i, i % 2 + 1));
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < 2; i++) {
		ASSERT_TRUE(eq_job_end(&job[i], DEADLINE_MS));
		ASSERT_EQ(0, job[i].ret);
	}
	for (i = 0; i < LOAD_GROUPS; i++)
		ASSERT_EQ(1, seen[i]);
	ASSERT_EQ(0, eq_pop_answer(self->w.iommu, &self->w.dev[0], &a));
	ASSERT_EQ(LOAD_GROUPS, a.nr_success);
	ASSERT_EQ(0, a.nr_invalid);
	ASSERT_EQ(0, a.nr_failure);
}

TEST_HARNESS_MAIN
