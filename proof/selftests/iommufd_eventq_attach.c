// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selftest of how page faults meet attachments that come, go and are replaced: what
 * the IOMMU core, io-pgfault and iommufd make of reports, incomplete groups and
 * groups of several devices meanwhile. On the stock kernel most cases fail, see
 * proof/expected/7.3/iommufd_eventq_attach.mock.list.
 *
 * A complaint of the kernel fails the case during which it came.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <unistd.h>
#include "kselftest_harness.h"
#include "calls.h"
#include "lib/eventq_wait.h"

#define PASID 77
#define OTHER_PASID 78
#define GROUP 5
#define SYSLOG_ACTION_READ_ALL 3
#define SYSLOG_ACTION_SIZE_BUFFER 10

/* How many complaints are in the kernel's log */
static int complaints(void)
{
	static const char * const marks[] = { "BUG: ", "WARNING: " };
	int size = klogctl(SYSLOG_ACTION_SIZE_BUFFER, NULL, 0), i, nr = 0;
	char *log = calloc(1, size + 1), *at;

	klogctl(SYSLOG_ACTION_READ_ALL, log, size);
	for (i = 0; i < ARRAY_SIZE(marks); i++)
		for (at = log; (at = strstr(at, marks[i])); at++)
			nr++;
	free(log);
	return nr;
}

static int ctl(int iommu, const struct eq_dev *dev, __u32 flags, __u32 pasid,
	       __u32 grpid)
{
	struct iommu_test_cmd cmd = {
		.iopf_ctl = {
			.dev_id = dev->dev_id,
			.flags = flags,
			.pasid = pasid,
			.grpid = grpid,
		},
	};
	int rc = eq_test(iommu, IOMMU_TEST_OP_IOPF_CTL, &cmd);

	return rc ? rc : cmd.iopf_ctl.out_nr_stalled;
}

static int partial(int iommu, const struct eq_dev *dev, __u32 pasid, __u32 grpid)
{
	return eq_fault_op(iommu, IOMMU_TEST_OP_TRIGGER_IOPF_PART, dev, pasid,
			   grpid, EQ_ADDR(1));
}

static int pasid_replace(int iommu, const struct eq_dev *dev, __u32 pasid,
			 __u32 pt_id)
{
	struct iommu_test_cmd cmd = {
		.id = dev->stdev_id,
		.pasid_attach = { .pasid = pasid, .pt_id = pt_id },
	};

	if (!pasid)
		return eq_replace(iommu, dev, pt_id);
	return eq_test(iommu, IOMMU_TEST_OP_PASID_REPLACE, &cmd);
}

static bool got(int iommu, const struct eq_dev *dev, __u32 grpid, __u32 code)
{
	struct eq_response r;

	return !eq_pop_response(iommu, dev, &r) && r.code == code &&
	       (code == EQ_GOT_NOTHING || r.grpid == grpid);
}

static bool got_nothing(int iommu, const struct eq_dev *dev)
{
	return got(iommu, dev, 0, EQ_GOT_NOTHING);
}

/* INVALID for these two groups, in any order */
static bool got_both(int iommu, const struct eq_dev *dev, __u32 one, __u32 other)
{
	struct eq_response a, b;

	return !eq_pop_response(iommu, dev, &a) && a.code == EQ_GOT_INVALID &&
	       !eq_pop_response(iommu, dev, &b) && b.code == EQ_GOT_INVALID &&
	       ((a.grpid == one && b.grpid == other) ||
		(a.grpid == other && b.grpid == one));
}

/*
 * A device and two domains, each with a queue of its own, and one without
 */

FIXTURE(attach)
{
	int iommu, complaints;
	__u32 ioas, hwpt[2], plain;
	struct eq_dev dev;
	struct eq_queue q[2];
};

FIXTURE_VARIANT(attach)
{
	__u32 pasid;
};

FIXTURE_VARIANT_ADD(attach, rid)
{
	.pasid = 0,
};

FIXTURE_VARIANT_ADD(attach, pasid)
{
	.pasid = PASID,
};

static int open_two_queues(FIXTURE_DATA(attach) *self)
{
	struct iommu_hwpt_alloc plain = {
		.size = sizeof(plain),
		.flags = IOMMU_HWPT_ALLOC_PASID,
	};
	int i, rc;

	self->iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	rc = eq_ioas(self->iommu, &self->ioas);
	if (!rc)
		rc = eq_device(self->iommu, self->ioas, &self->dev);
	for (i = 0; i < 2 && !rc; i++) {
		rc = eq_fault_queue(self->iommu, 0, &self->q[i]);
		if (!rc)
			rc = eq_fault_hwpt(self->iommu, &self->dev, self->ioas,
					   self->q[i].id, &self->hwpt[i]);
	}
	plain.dev_id = self->dev.dev_id;
	plain.pt_id = self->ioas;
	if (!rc)
		rc = eq_call(self->iommu, IOMMU_HWPT_ALLOC, &plain);
	self->plain = plain.out_hwpt_id;
	return rc;
}

FIXTURE_SETUP(attach)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	self->complaints = complaints();
	ASSERT_EQ(0, open_two_queues(self));
	/* PASIDs can be attached if the RID's domain is made for that. */
	ASSERT_EQ(0, eq_replace(self->iommu, &self->dev, self->plain));
	ASSERT_EQ(0, variant->pasid ?
		     eq_pasid_attach(self->iommu, &self->dev, variant->pasid,
				     self->hwpt[0]) :
		     eq_replace(self->iommu, &self->dev, self->hwpt[0]));
}

FIXTURE_TEARDOWN(attach)
{
	close(self->q[0].fd);
	close(self->q[1].fd);
	close(self->iommu);
	EXPECT_EQ(self->complaints, complaints());
}

/* The group can be read from the queue, and the response to it reaches the device */
static bool can_respond(FIXTURE_DATA(attach) *self, int fd, __u32 pasid,
			__u32 grpid, unsigned int nr)
{
	static struct iommu_hwpt_pgfault f[1100];
	unsigned int i;

	if (eq_read(fd, f, sizeof(f)) != nr * EQ_FAULT_LEN)
		return false;
	for (i = 0; i < nr; i++)
		if (f[i].grpid != grpid || f[i].pasid != pasid ||
		    f[i].dev_id != self->dev.dev_id)
			return false;
	return got_nothing(self->iommu, &self->dev) &&
	       eq_respond(fd, f[0].cookie, IOMMUFD_PAGE_RESP_SUCCESS) ==
		       EQ_RESPONSE_LEN &&
	       got(self->iommu, &self->dev, grpid, EQ_GOT_SUCCESS) &&
	       got_nothing(self->iommu, &self->dev);
}

/* The new domain faults before the IOMMU core knows that it is attached. */
TEST_F(attach, fault_during_replace)
{
	int grpid;

	for (grpid = 1; grpid <= 4; grpid++) {
		ASSERT_EQ(0, ctl(self->iommu, &self->dev, MOCK_IOPF_IN_ATTACH,
				 variant->pasid, grpid));
		ASSERT_EQ(0, pasid_replace(self->iommu, &self->dev,
					   variant->pasid,
					   self->hwpt[grpid % 2]));
		ASSERT_TRUE(can_respond(self, self->q[grpid % 2].fd,
					variant->pasid, grpid, 1));
		ASSERT_FALSE(eq_readable(self->q[!(grpid % 2)].fd));
	}
}

/* What was reported before is of the old attachment still. */
TEST_F(attach, fault_before_and_during_replace)
{
	ASSERT_EQ(0, eq_pasid_fault(self->iommu, &self->dev, variant->pasid, 1));
	ASSERT_EQ(0, ctl(self->iommu, &self->dev, MOCK_IOPF_IN_ATTACH,
			 variant->pasid, 2));
	ASSERT_EQ(0, pasid_replace(self->iommu, &self->dev, variant->pasid,
				   self->hwpt[1]));
	ASSERT_TRUE(got(self->iommu, &self->dev, 1, EQ_GOT_INVALID));
	ASSERT_TRUE(can_respond(self, self->q[1].fd, variant->pasid, 2, 1));
}

TEST_F(attach, fault_during_failing_replace)
{
	ASSERT_EQ(0, ctl(self->iommu, &self->dev,
			 MOCK_IOPF_IN_ATTACH | MOCK_IOPF_FAIL_ATTACH,
			 variant->pasid, GROUP));
	ASSERT_EQ(-ENOMEM, pasid_replace(self->iommu, &self->dev,
					 variant->pasid, self->hwpt[1]));
	ASSERT_TRUE(can_respond(self, self->q[0].fd, variant->pasid, GROUP, 1));
	ASSERT_FALSE(eq_readable(self->q[1].fd));
	/* Nothing is held any more. */
	ASSERT_EQ(0, eq_pasid_fault(self->iommu, &self->dev, variant->pasid, 6));
	ASSERT_TRUE(can_respond(self, self->q[0].fd, variant->pasid, 6, 1));
}

TEST_F(attach, fault_during_replace_by_domain_without_queue)
{
	ASSERT_EQ(0, ctl(self->iommu, &self->dev, MOCK_IOPF_IN_ATTACH,
			 variant->pasid, GROUP));
	ASSERT_EQ(0, pasid_replace(self->iommu, &self->dev, variant->pasid,
				   self->plain));
	ASSERT_TRUE(got(self->iommu, &self->dev, GROUP, EQ_GOT_INVALID));
	ASSERT_TRUE(got_nothing(self->iommu, &self->dev));
	ASSERT_FALSE(eq_readable(self->q[0].fd));
	/* Nor does one that comes when the driver expects none any more. */
	ASSERT_EQ(0, eq_pasid_fault(self->iommu, &self->dev, variant->pasid, 6));
	ASSERT_TRUE(got(self->iommu, &self->dev, 6, EQ_GOT_INVALID));
	ASSERT_TRUE(got_nothing(self->iommu, &self->dev));
}

TEST_F(attach, fault_during_replace_of_domain_without_queue)
{
	ASSERT_EQ(0, pasid_replace(self->iommu, &self->dev, variant->pasid,
				   self->plain));
	ASSERT_EQ(0, ctl(self->iommu, &self->dev, MOCK_IOPF_IN_ATTACH,
			 variant->pasid, GROUP));
	ASSERT_EQ(0, pasid_replace(self->iommu, &self->dev, variant->pasid,
				   self->hwpt[1]));
	ASSERT_TRUE(can_respond(self, self->q[1].fd, variant->pasid, GROUP, 1));
}

TEST_F(attach, fault_during_detach)
{
	ASSERT_EQ(0, eq_pasid_fault(self->iommu, &self->dev, variant->pasid, 1));
	ASSERT_EQ(0, ctl(self->iommu, &self->dev, MOCK_IOPF_IN_ATTACH,
			 variant->pasid, 2));
	ASSERT_EQ(0, eq_pasid_detach(self->iommu, &self->dev, variant->pasid));
	ASSERT_TRUE(got_both(self->iommu, &self->dev, 1, 2));
	ASSERT_TRUE(got_nothing(self->iommu, &self->dev));
	ASSERT_FALSE(eq_readable(self->q[0].fd));
}

/*
 * Once a guest has a table of PASIDs of its own, the faults of all of them belong to
 * the nested domain of the RID.
 */
static int nested_domain(FIXTURE_DATA(attach) *self, __u32 queue, __u32 *hwpt)
{
	struct iommu_hwpt_selftest data = { .iotlb = IOMMU_TEST_IOTLB_DEFAULT };
	struct iommu_hwpt_alloc parent = {
		.size = sizeof(parent),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
		.dev_id = self->dev.dev_id,
		.pt_id = self->ioas,
	}, nested = {
		.size = sizeof(nested),
		.flags = IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID,
		.dev_id = self->dev.dev_id,
		.fault_id = queue,
		.data_type = IOMMU_HWPT_DATA_SELFTEST,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};
	int rc = eq_call(self->iommu, IOMMU_HWPT_ALLOC, &parent);

	nested.pt_id = parent.out_hwpt_id;
	if (!rc)
		rc = eq_call(self->iommu, IOMMU_HWPT_ALLOC, &nested);
	*hwpt = nested.out_hwpt_id;
	return rc;
}

TEST_F(attach, fault_of_pasid_during_replace_by_nested_domain)
{
	__u32 hwpt;

	ASSERT_EQ(0, nested_domain(self, self->q[1].id, &hwpt));
	ASSERT_EQ(0, eq_replace(self->iommu, &self->dev, self->plain));
	ASSERT_EQ(0, ctl(self->iommu, &self->dev, MOCK_IOPF_IN_ATTACH,
			 OTHER_PASID, GROUP));
	ASSERT_EQ(0, eq_replace(self->iommu, &self->dev, hwpt));
	ASSERT_TRUE(can_respond(self, self->q[1].fd, OTHER_PASID, GROUP, 1));
}

/* So do those of a PASID that had a domain of its own until then. */
TEST_F(attach, faults_fall_to_nested_domain_by_detach)
{
	__u32 hwpt;

	ASSERT_EQ(0, nested_domain(self, self->q[1].id, &hwpt));
	ASSERT_EQ(0, eq_replace(self->iommu, &self->dev, hwpt));
	ASSERT_EQ(0, eq_pasid_attach(self->iommu, &self->dev, OTHER_PASID,
				     self->hwpt[0]));
	ASSERT_EQ(0, partial(self->iommu, &self->dev, OTHER_PASID, 1));
	ASSERT_EQ(0, ctl(self->iommu, &self->dev, MOCK_IOPF_IN_ATTACH,
			 OTHER_PASID, GROUP));
	ASSERT_EQ(0, eq_pasid_detach(self->iommu, &self->dev, OTHER_PASID));
	ASSERT_TRUE(can_respond(self, self->q[1].fd, OTHER_PASID, GROUP, 1));
	/* The earlier request of that group was to the other domain. */
	ASSERT_EQ(0, eq_pasid_fault(self->iommu, &self->dev, OTHER_PASID, 1));
	ASSERT_TRUE(can_respond(self, self->q[1].fd, OTHER_PASID, 1, 1));
}

/*
 * A report that sleeps while the attachment that it is for goes away
 */

struct call {
	FIXTURE_DATA(attach) *self;
	__u32 pasid, arg;
};

static long call_respond(void *arg)
{
	struct call *c = arg;

	return eq_respond(c->self->q[0].fd, c->arg, IOMMUFD_PAGE_RESP_SUCCESS);
}

static long call_fault(void *arg)
{
	struct call *c = arg;

	return eq_pasid_fault(c->self->iommu, &c->self->dev, c->pasid, c->arg);
}

static long call_replace(void *arg)
{
	struct call *c = arg;

	return pasid_replace(c->self->iommu, &c->self->dev, c->pasid, c->arg);
}

static long call_detach(void *arg)
{
	struct call *c = arg;

	return eq_pasid_detach(c->self->iommu, &c->self->dev, c->pasid);
}

static bool waits_for_lock(struct eq_job *job)
{
	int ms;

	for (ms = 0; ms < EQ_DEADLINE_MS; ms++) {
		if (eq_task_state(job->tid) == 'D')
			return true;
		usleep(1000);
	}
	return false;
}

/*
 * The driver is busy with a response to another PASID, a report waits for that, and
 * the attachment of the report ends or is replaced.
 */
static bool overtake_a_report(FIXTURE_DATA(attach) *self, __u32 pasid,
			      long (*end)(void *call), __u32 arg)
{
	struct call respond = { .self = self }, fault = {
		.self = self, .pasid = pasid, .arg = GROUP,
	}, ending = { .self = self, .pasid = pasid, .arg = arg };
	struct eq_job responder, reporter, ender;
	struct iommu_hwpt_pgfault f;
	int ms, stalled = 0;

	if (eq_pasid_attach(self->iommu, &self->dev, OTHER_PASID,
			    self->hwpt[0]) ||
	    eq_pasid_fault(self->iommu, &self->dev, OTHER_PASID, 9) ||
	    eq_read(self->q[0].fd, &f, sizeof(f)) != EQ_FAULT_LEN)
		return false;
	respond.arg = f.cookie;
	if (ctl(self->iommu, &self->dev, MOCK_IOPF_STALL_RESPONSES, 0, 0) ||
	    !eq_job_start(&responder, call_respond, &respond))
		return false;
	for (ms = 0; ms < EQ_DEADLINE_MS && stalled != 1; ms++) {
		stalled = ctl(self->iommu, &self->dev,
			      MOCK_IOPF_STALL_RESPONSES, 0, 0);
		usleep(1000);
	}
	if (stalled != 1 || !eq_job_start(&reporter, call_fault, &fault) ||
	    !waits_for_lock(&reporter) || !eq_job_start(&ender, end, &ending))
		return false;
	/* It returns if it does not wait, as it should. */
	eq_job_end(&ender, 10 * EQ_QUIET_MS);
	ctl(self->iommu, &self->dev, 0, 0, 0);
	return eq_job_result(&responder) == EQ_RESPONSE_LEN &&
	       !eq_job_result(&reporter) && !eq_job_result(&ender) &&
	       got(self->iommu, &self->dev, 9, EQ_GOT_SUCCESS);
}

TEST_F(attach, replace_overtakes_a_report)
{
	ASSERT_TRUE(overtake_a_report(self, variant->pasid, call_replace,
				      self->hwpt[1]));
	ASSERT_TRUE(can_respond(self, self->q[1].fd, variant->pasid, GROUP, 1));
}

TEST_F(attach, replace_by_domain_without_queue_overtakes_a_report)
{
	ASSERT_TRUE(overtake_a_report(self, variant->pasid, call_replace,
				      self->plain));
	ASSERT_TRUE(got(self->iommu, &self->dev, GROUP, EQ_GOT_INVALID));
	ASSERT_TRUE(got_nothing(self->iommu, &self->dev));
}

TEST_F(attach, detach_overtakes_a_report)
{
	ASSERT_TRUE(overtake_a_report(self, variant->pasid, call_detach, 0));
	ASSERT_TRUE(got(self->iommu, &self->dev, GROUP, EQ_GOT_INVALID));
	ASSERT_TRUE(got_nothing(self->iommu, &self->dev));
	ASSERT_FALSE(eq_readable(self->q[0].fd));
}

/* The driver takes the device off its queue of faults, and a report waits for that. */
TEST_F(attach, removal_meets_a_report)
{
	struct call fault = {
		.self = self, .pasid = variant->pasid, .arg = GROUP,
	}, ending = { .self = self, .pasid = variant->pasid, .arg = self->plain };
	struct eq_job reporter, ender;
	struct iommu_hwpt_pgfault f;
	int ms, stalled = 0;

	ASSERT_EQ(0, eq_pasid_fault(self->iommu, &self->dev, variant->pasid, 1));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(self->q[0].fd, &f, sizeof(f)));
	ASSERT_EQ(0, ctl(self->iommu, &self->dev, MOCK_IOPF_STALL_RESPONSES, 0,
			 0));
	ASSERT_TRUE(eq_job_start(&ender, call_replace, &ending));
	for (ms = 0; ms < EQ_DEADLINE_MS && stalled != 1; ms++) {
		stalled = ctl(self->iommu, &self->dev,
			      MOCK_IOPF_STALL_RESPONSES, 0, 0);
		usleep(1000);
	}
	ASSERT_EQ(1, stalled);
	ASSERT_TRUE(eq_job_start(&reporter, call_fault, &fault));
	ASSERT_TRUE(waits_for_lock(&reporter));
	ASSERT_LE(0, ctl(self->iommu, &self->dev, 0, 0, 0));
	ASSERT_EQ(0, eq_job_result(&ender));
	ASSERT_EQ(0, eq_job_result(&reporter));
	ASSERT_TRUE(got_both(self->iommu, &self->dev, 1, GROUP));
	ASSERT_TRUE(got_nothing(self->iommu, &self->dev));
	ASSERT_EQ(-EINVAL, eq_respond(self->q[0].fd, f.cookie,
				      IOMMUFD_PAGE_RESP_SUCCESS));
}

#define AMID 1000

static long call_faults(void *arg)
{
	struct call *c = arg;
	int i, rc = 0;

	for (i = 0; i < AMID && !rc; i++)
		rc = eq_pasid_fault(c->self->iommu, &c->self->dev, c->pasid, i);
	return rc;
}

/* Each fault gets one response, whatever happens to the attachment meanwhile. */
TEST_F_TIMEOUT(attach, changes_amid_reports, 120)
{
	struct call faults = { .self = self, .pasid = variant->pasid };
	struct iommu_hwpt_pgfault f[16];
	struct eq_response r;
	struct eq_job reporter;
	int round, i, n;
	bool ended;

	ASSERT_EQ(0, eq_set_nonblock(self->q[0].fd, true));
	ASSERT_EQ(0, eq_set_nonblock(self->q[1].fd, true));
	ASSERT_TRUE(eq_job_start(&reporter, call_faults, &faults));
	for (round = 0, ended = false; !ended; round++) {
		ended = eq_job_ended(&reporter);
		if (round % 4 || !variant->pasid) {
			ASSERT_EQ(0, pasid_replace(self->iommu, &self->dev,
						   variant->pasid,
						   self->hwpt[!(round % 2)]));
		} else {
			ASSERT_EQ(0, eq_pasid_detach(self->iommu, &self->dev,
						     variant->pasid));
			ASSERT_EQ(0, eq_pasid_attach(self->iommu, &self->dev,
						     variant->pasid,
						     self->hwpt[1]));
		}
		for (i = 0; i < 2; i++) {
			for (n = eq_read(self->q[i].fd, f, sizeof(f)) /
				 EQ_FAULT_LEN; n > 0; n--)
				eq_respond(self->q[i].fd, f[n - 1].cookie,
					   IOMMUFD_PAGE_RESP_SUCCESS);
		}
	}
	ASSERT_EQ(0, eq_job_result(&reporter));
	close(self->q[0].fd);
	close(self->q[1].fd);
	self->q[0].fd = -1;
	self->q[1].fd = -1;
	do {
		ASSERT_EQ(0, eq_pop_response(self->iommu, &self->dev, &r));
	} while (r.code != EQ_GOT_NOTHING);
	ASSERT_EQ(AMID, r.nr_success + r.nr_invalid + r.nr_failure);
	ASSERT_EQ(0, r.nr_failure);
}

/*
 * Incomplete groups
 */

TEST_F(attach, partial_of_two_pasids)
{
	ASSERT_EQ(0, eq_pasid_attach(self->iommu, &self->dev, OTHER_PASID,
				     self->hwpt[0]));
	ASSERT_EQ(0, partial(self->iommu, &self->dev, variant->pasid, GROUP));
	ASSERT_EQ(0, partial(self->iommu, &self->dev, OTHER_PASID, GROUP));
	ASSERT_EQ(0, eq_pasid_fault(self->iommu, &self->dev, OTHER_PASID,
				    GROUP));
	ASSERT_TRUE(can_respond(self, self->q[0].fd, OTHER_PASID, GROUP, 2));
	ASSERT_EQ(0, eq_pasid_fault(self->iommu, &self->dev, variant->pasid,
				    GROUP));
	ASSERT_TRUE(can_respond(self, self->q[0].fd, variant->pasid, GROUP, 2));
}

TEST_F(attach, partial_does_not_survive_replace)
{
	ASSERT_EQ(0, partial(self->iommu, &self->dev, variant->pasid, GROUP));
	ASSERT_EQ(0, pasid_replace(self->iommu, &self->dev, variant->pasid,
				   self->hwpt[1]));
	ASSERT_EQ(0, eq_pasid_fault(self->iommu, &self->dev, variant->pasid,
				    GROUP));
	ASSERT_TRUE(can_respond(self, self->q[1].fd, variant->pasid, GROUP, 1));
}

/* Not even if the last request comes during the replace */
TEST_F(attach, partial_does_not_join_a_held_group)
{
	ASSERT_EQ(0, partial(self->iommu, &self->dev, variant->pasid, GROUP));
	ASSERT_EQ(0, ctl(self->iommu, &self->dev, MOCK_IOPF_IN_ATTACH,
			 variant->pasid, GROUP));
	ASSERT_EQ(0, pasid_replace(self->iommu, &self->dev, variant->pasid,
				   self->hwpt[1]));
	ASSERT_TRUE(can_respond(self, self->q[1].fd, variant->pasid, GROUP, 1));
}

/* Those of another attachment of the device stay. */
TEST_F(attach, partial_survives_replace_of_another)
{
	ASSERT_EQ(0, eq_pasid_attach(self->iommu, &self->dev, OTHER_PASID,
				     self->hwpt[0]));
	ASSERT_EQ(0, partial(self->iommu, &self->dev, OTHER_PASID, GROUP));
	ASSERT_EQ(0, pasid_replace(self->iommu, &self->dev, variant->pasid,
				   self->hwpt[1]));
	ASSERT_EQ(0, eq_pasid_detach(self->iommu, &self->dev, variant->pasid));
	ASSERT_EQ(0, eq_pasid_fault(self->iommu, &self->dev, OTHER_PASID,
				    GROUP));
	ASSERT_TRUE(can_respond(self, self->q[0].fd, OTHER_PASID, GROUP, 2));
}

TEST_F(attach, partial_does_not_survive_detach)
{
	/* Keeps the device in its queue of faults */
	ASSERT_EQ(0, eq_pasid_attach(self->iommu, &self->dev, OTHER_PASID,
				     self->hwpt[0]));
	ASSERT_EQ(0, partial(self->iommu, &self->dev, variant->pasid, GROUP));
	ASSERT_EQ(0, eq_pasid_detach(self->iommu, &self->dev, variant->pasid));
	/* A request that is not the last gets no response, whatever is attached. */
	ASSERT_EQ(0, partial(self->iommu, &self->dev, variant->pasid, GROUP));
	ASSERT_TRUE(got_nothing(self->iommu, &self->dev));
	ASSERT_EQ(0, eq_pasid_attach(self->iommu, &self->dev, variant->pasid,
				     self->hwpt[1]));
	ASSERT_EQ(0, eq_pasid_fault(self->iommu, &self->dev, variant->pasid,
				    GROUP));
	ASSERT_TRUE(can_respond(self, self->q[1].fd, variant->pasid, GROUP, 1));
}

/* Requests that come amid a change belong to what is attached afterwards. */
TEST_F(attach, partial_amid_replace)
{
	ASSERT_EQ(0, ctl(self->iommu, &self->dev,
			 MOCK_IOPF_IN_ATTACH | MOCK_IOPF_PARTIAL,
			 variant->pasid, GROUP));
	ASSERT_EQ(0, pasid_replace(self->iommu, &self->dev, variant->pasid,
				   self->hwpt[1]));
	ASSERT_EQ(0, eq_pasid_fault(self->iommu, &self->dev, variant->pasid,
				    GROUP));
	ASSERT_TRUE(can_respond(self, self->q[1].fd, variant->pasid, GROUP, 2));
}

TEST_F(attach, partial_amid_detach)
{
	/* Keeps the device in its queue of faults */
	ASSERT_EQ(0, eq_pasid_attach(self->iommu, &self->dev, OTHER_PASID,
				     self->hwpt[0]));
	ASSERT_EQ(0, ctl(self->iommu, &self->dev,
			 MOCK_IOPF_IN_ATTACH | MOCK_IOPF_PARTIAL,
			 variant->pasid, GROUP));
	ASSERT_EQ(0, eq_pasid_detach(self->iommu, &self->dev, variant->pasid));
	ASSERT_EQ(0, eq_pasid_attach(self->iommu, &self->dev, variant->pasid,
				     self->hwpt[1]));
	ASSERT_EQ(0, eq_pasid_fault(self->iommu, &self->dev, variant->pasid,
				    GROUP));
	ASSERT_TRUE(can_respond(self, self->q[1].fd, variant->pasid, GROUP, 1));
}

TEST_F_TIMEOUT(attach, partial_requests_are_bounded, 120)
{
	int i, kept = 1024;

	for (i = 0; i < 100000; i++)
		ASSERT_EQ(0, partial(self->iommu, &self->dev, variant->pasid,
				     GROUP));
	ASSERT_TRUE(got_nothing(self->iommu, &self->dev));
	ASSERT_EQ(0, eq_pasid_fault(self->iommu, &self->dev, variant->pasid,
				    GROUP));
	ASSERT_TRUE(can_respond(self, self->q[0].fd, variant->pasid, GROUP,
				kept + 1));
	/* There is room again, until it is filled by other groups, too. */
	for (i = 0; i <= kept; i++)
		ASSERT_EQ(0, partial(self->iommu, &self->dev, variant->pasid, i));
	/* The oldest made room for the last one. */
	for (i = 0; i <= 1; i++) {
		ASSERT_EQ(0, eq_pasid_fault(self->iommu, &self->dev,
					    variant->pasid, i));
		ASSERT_TRUE(can_respond(self, self->q[0].fd, variant->pasid, i,
					i + 1));
	}
	/* What a replace drops makes room as well. */
	ASSERT_EQ(0, pasid_replace(self->iommu, &self->dev, variant->pasid,
				   self->hwpt[1]));
	for (i = 0; i < kept; i++)
		ASSERT_EQ(0, partial(self->iommu, &self->dev, variant->pasid, i));
	ASSERT_EQ(0, eq_pasid_fault(self->iommu, &self->dev, variant->pasid, 0));
	ASSERT_TRUE(can_respond(self, self->q[1].fd, variant->pasid, 0, 2));
}

/*
 * The device is reset with faults open.
 */
TEST_F(attach, reset)
{
	struct iommu_hwpt_pgfault f;
	__u32 cookie;

	ASSERT_EQ(0, eq_pasid_fault(self->iommu, &self->dev, variant->pasid, 1));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(self->q[0].fd, &f, sizeof(f)));
	cookie = f.cookie;
	ASSERT_EQ(0, eq_pasid_fault(self->iommu, &self->dev, variant->pasid, 2));
	ASSERT_EQ(0, ctl(self->iommu, &self->dev, MOCK_IOPF_RESET, 0, 0));
	ASSERT_TRUE(got(self->iommu, &self->dev, 1, EQ_GOT_INVALID));
	ASSERT_TRUE(got(self->iommu, &self->dev, 2, EQ_GOT_INVALID));
	/* The device uses the index of the group again. */
	ASSERT_EQ(0, eq_pasid_fault(self->iommu, &self->dev, variant->pasid, 1));
	ASSERT_EQ(-EINVAL, eq_respond(self->q[0].fd, cookie,
				      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(EQ_FAULT_LEN, eq_read(self->q[0].fd, &f, sizeof(f)));
	ASSERT_EQ(2, f.grpid);
	ASSERT_EQ(-EINVAL, eq_respond(self->q[0].fd, f.cookie,
				      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(can_respond(self, self->q[0].fd, variant->pasid, 1, 1));
}

/* Without a detach before */
TEST_F(attach, device_is_destroyed)
{
	ASSERT_EQ(0, eq_pasid_fault(self->iommu, &self->dev, variant->pasid, 1));
	ASSERT_EQ(0, eq_pasid_attach(self->iommu, &self->dev, OTHER_PASID,
				     self->hwpt[1]));
	ASSERT_EQ(0, eq_pasid_fault(self->iommu, &self->dev, OTHER_PASID, 1));
	ASSERT_EQ(0, eq_destroy(self->iommu, self->dev.stdev_id));
	ASSERT_FALSE(eq_readable(self->q[0].fd));
	ASSERT_FALSE(eq_readable(self->q[1].fd));
}

/*
 * Several devices in one group
 */

FIXTURE(group)
{
	int iommu, complaints;
	__u32 ioas, hwpt;
	struct eq_dev dev[2];
	struct eq_queue q;
};

static int open_group(FIXTURE_DATA(group) *self)
{
	struct iommu_test_cmd cmd = {
		.mock_domain_flags.dev_flags = MOCK_FLAGS_DEVICE_PASID |
					       MOCK_FLAGS_DEVICE_SAME_GROUP,
	};
	int i, rc;

	self->iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	rc = eq_ioas(self->iommu, &self->ioas);
	for (i = 0; i < 2 && !rc; i++) {
		cmd.id = i ? self->hwpt : self->ioas;
		rc = eq_test(self->iommu, IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, &cmd);
		self->dev[i].stdev_id = cmd.mock_domain_flags.out_stdev_id;
		self->dev[i].dev_id = cmd.mock_domain_flags.out_idev_id;
		if (i || rc)
			continue;
		rc = eq_fault_queue(self->iommu, 0, &self->q);
		if (!rc)
			rc = eq_fault_hwpt(self->iommu, &self->dev[0],
					   self->ioas, self->q.id, &self->hwpt);
		if (!rc)
			rc = eq_replace(self->iommu, &self->dev[0], self->hwpt);
	}
	return rc;
}

FIXTURE_SETUP(group)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	self->complaints = complaints();
	ASSERT_EQ(0, open_group(self));
}

FIXTURE_TEARDOWN(group)
{
	close(self->q.fd);
	close(self->iommu);
	EXPECT_EQ(self->complaints, complaints());
}

static bool reads(FIXTURE_DATA(group) *self, unsigned int dev, __u32 *cookie)
{
	struct iommu_hwpt_pgfault f;

	if (eq_read(self->q.fd, &f, sizeof(f)) != EQ_FAULT_LEN)
		return false;
	*cookie = f.cookie;
	return f.dev_id == self->dev[dev].dev_id;
}

TEST_F(group, records_name_the_device)
{
	struct eq_queue q;
	__u32 cookie, hwpt;
	int round, dev;

	for (round = 0; round < 2; round++) {
		for (dev = 0; dev < 2; dev++) {
			ASSERT_EQ(0, eq_fault(self->iommu, &self->dev[dev], 1));
			ASSERT_TRUE(reads(self, dev, &cookie));
			ASSERT_EQ(EQ_RESPONSE_LEN,
				  eq_respond(self->q.fd, cookie,
					     IOMMUFD_PAGE_RESP_SUCCESS));
			ASSERT_TRUE(got(self->iommu, &self->dev[dev], 1,
					EQ_GOT_SUCCESS));
			ASSERT_TRUE(got_nothing(self->iommu, &self->dev[!dev]));
		}
		if (round)
			break;
		/* The same after a replace, which is of the group */
		ASSERT_EQ(0, eq_fault_queue(self->iommu, 0, &q));
		ASSERT_EQ(0, eq_fault_hwpt(self->iommu, &self->dev[0],
					   self->ioas, q.id, &hwpt));
		ASSERT_EQ(0, eq_replace(self->iommu, &self->dev[1], hwpt));
		close(self->q.fd);
		self->q = q;
	}
}

static void leaves(struct __test_metadata *_metadata,
		   FIXTURE_DATA(group) *self, unsigned int dev)
{
	__u32 stays, left;

	ASSERT_EQ(0, eq_fault(self->iommu, &self->dev[!dev], 1));
	ASSERT_TRUE(reads(self, !dev, &stays));
	ASSERT_EQ(0, eq_fault(self->iommu, &self->dev[dev], 2));
	ASSERT_TRUE(reads(self, dev, &left));
	ASSERT_EQ(0, eq_fault(self->iommu, &self->dev[dev], 3));
	ASSERT_EQ(0, eq_fault(self->iommu, &self->dev[!dev], 4));
	ASSERT_EQ(0, eq_destroy(self->iommu, self->dev[dev].stdev_id));
	ASSERT_TRUE(got_nothing(self->iommu, &self->dev[!dev]));
	ASSERT_EQ(-EINVAL, eq_respond(self->q.fd, left,
				      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(EQ_RESPONSE_LEN, eq_respond(self->q.fd, stays,
					      IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_TRUE(got(self->iommu, &self->dev[!dev], 1, EQ_GOT_SUCCESS));
	ASSERT_TRUE(reads(self, !dev, &stays));
	ASSERT_FALSE(eq_readable(self->q.fd));
	/* Those that nobody responds to end with the queue, also on stock. */
	close(self->q.fd);
	self->q.fd = -1;
}

TEST_F(group, first_device_leaves)
{
	leaves(_metadata, self, 0);
}

TEST_F(group, second_device_leaves)
{
	leaves(_metadata, self, 1);
}

TEST_F(group, faults_of_leaver_are_responded_to)
{
	__u32 cookie;

	ASSERT_EQ(0, eq_fault(self->iommu, &self->dev[1], 1));
	ASSERT_TRUE(reads(self, 1, &cookie));
	ASSERT_EQ(0, eq_fault(self->iommu, &self->dev[1], 2));
	ASSERT_EQ(0, eq_pasid_detach(self->iommu, &self->dev[1], 0));
	ASSERT_TRUE(got_both(self->iommu, &self->dev[1], 1, 2));
	ASSERT_TRUE(got_nothing(self->iommu, &self->dev[1]));
	/* Its group is still attached, and so the domain is live for it. */
	ASSERT_EQ(0, eq_fault(self->iommu, &self->dev[1], 3));
	ASSERT_TRUE(got(self->iommu, &self->dev[1], 3, EQ_GOT_INVALID));
	ASSERT_FALSE(eq_readable(self->q.fd));
}

TEST_F(group, both_fault_during_replace)
{
	struct iommu_hwpt_pgfault f[2];
	struct eq_queue q;
	__u32 hwpt;
	int i;

	ASSERT_EQ(0, eq_fault_queue(self->iommu, 0, &q));
	ASSERT_EQ(0, eq_fault_hwpt(self->iommu, &self->dev[0], self->ioas, q.id,
				   &hwpt));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, ctl(self->iommu, &self->dev[i],
				 MOCK_IOPF_IN_ATTACH, 0, i));
	ASSERT_EQ(0, eq_replace(self->iommu, &self->dev[0], hwpt));
	ASSERT_EQ(2 * EQ_FAULT_LEN, eq_read(q.fd, f, sizeof(f)));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(self->dev[f[i].grpid].dev_id, f[i].dev_id);
		ASSERT_TRUE(got_nothing(self->iommu, &self->dev[i]));
	}
	close(q.fd);
	for (i = 0; i < 2; i++)
		ASSERT_TRUE(got(self->iommu, &self->dev[i], i, EQ_GOT_INVALID));
}

TEST_HARNESS_MAIN
