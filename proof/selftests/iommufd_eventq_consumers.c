// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selftest of iommufd's event queues as the programs out there use them: a
 * replica of each program's loop goes through what may happen to it. The test
 * knows what it raised; the program must account for all of it, and must never
 * come to where the real one gives up. Only cases here; the replicas are in
 * iommufd_eventq_consumers_viommu.h and iommufd_eventq_consumers_fault.h.
 *
 * Runs on kernels without our extensions of the mock device too, where some
 * cases fail, because of what those kernels do, and say why.
 *
 * The programs, and what each relies on:
 *
 * vevent.qemu_smmuv3		QEMU's accelerated SMMUv3
 *	Sets O_NONBLOCK and reads one record each time its main loop finds the
 *	file readable. A handler that finds nothing must get EAGAIN: 0 is
 *	reported as a failed read. A LOST header has to come alone, 8 bytes; it
 *	then starts to count anew, and never says how many were lost.
 * vevent.qemu_tegra241		QEMU's Tegra241 CMDQV
 *	The same, but goes on counting: the difference from the last event
 *	before a LOST header to the first after it has to be all that was lost.
 * vevent.openvmm		OpenVMM's accelerated SMMUv3
 *	Leaves the file in blocking mode, reads 16 records at a time until it
 *	gets 0, and only then waits for an edge of epoll. So 0 must mean that
 *	the next event makes an edge. Any error other than EINTR ends the task
 *	that forwards events, for good. Counts the differences of sequences
 *	modulo 2^31, and a LOST header as one more. A queue that cannot be
 *	destroyed when its file was closed is a panic.
 * vevent.cloud_hypervisor, vevent.cloud_hypervisor_nonblock
 *	cloud-hypervisor's SMMUv3: a thread with level triggered epoll, 64
 *	records a read, on a queue of 64. Takes 0 and EAGAIN alike; its library
 *	has begun to set O_NONBLOCK, hence both. A record cut off by the end of
 *	the buffer is an error that costs all records of that read. Counts as
 *	OpenVMM does, except that the LOST header itself is told apart.
 * fault.qemu_vtd		QEMU's VT-d page request queue
 *	Sets O_NONBLOCK, reads up to 100 faults each time its main loop finds
 *	the file readable; 0 is taken for a fault group that is too big, so a
 *	handler whose faults a detach took away must get EAGAIN. The guest
 *	answers later, one write each; a refused answer is reported and the
 *	fault forgotten. One queue for each PASID entry: a new one is attached
 *	before the domain of the old one is destroyed, its file closed, and its
 *	object destroyed.
 * fault.libvfn			libvfn's example of page faults
 *	Spins while read() returns 0, takes anything else for one fault, answers
 *	and ends if the answer is refused. Since nothing else happens in
 *	between, that must not be.
 * fault.qemu_uring, fault.qemu_uring_four
 *	The QEMU tree of Linaro and HiSilicon: READ, here also several, and
 *	WRITE of io_uring on the file as delivered. A READ has to stay armed
 *	until there is a fault, a WRITE to complete; neither with 0, nor through
 *	workers. What it does about a refused answer is assumed: it forgets the
 *	fault.
 * vevent.selftest, fault.selftest	the kernel's own iommufd selftest
 *	Polls before it reads, and takes 0 for an error.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "calls.h"
#include "iommufd_eventq_consumers_fault.h"
#include "iommufd_eventq_consumers_viommu.h"

#define PASID 77

/* The replica @c has done @condition, or tells why not. */
#define ASSERT_FINE(condition, c)					\
do {									\
	struct consumer *__c = (c);					\
									\
	ASSERT_TRUE(condition)						\
		TH_LOG("%s", __c->why);					\
} while (0)

/*
 * vIOMMU event queues
 */

FIXTURE(vevent)
{
	struct eq_world w;
	struct vevent_consumer v;
	struct eq_job job;
	unsigned long raised;	/* since the queue was made */
	bool stop;		/* raising */
};

FIXTURE_VARIANT(vevent)
{
	const struct vevent_program *program;
};

FIXTURE_VARIANT_ADD(vevent, qemu_smmuv3)
{
	.program = &qemu_smmuv3,
};

FIXTURE_VARIANT_ADD(vevent, qemu_tegra241)
{
	.program = &qemu_tegra241,
};

FIXTURE_VARIANT_ADD(vevent, openvmm)
{
	.program = &openvmm,
};

FIXTURE_VARIANT_ADD(vevent, cloud_hypervisor)
{
	.program = &cloud_hypervisor,
};

FIXTURE_VARIANT_ADD(vevent, cloud_hypervisor_nonblock)
{
	.program = &cloud_hypervisor_nonblock,
};

FIXTURE_VARIANT_ADD(vevent, selftest)
{
	.program = &selftest_viommu,
};

FIXTURE_SETUP(vevent)
{
	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	ASSERT_EQ(0, eq_world_open(&self->w));
	ASSERT_EQ(0, eq_world_viommu(&self->w));
	ASSERT_TRUE(consumer_init(&self->v.c, &self->w));
	self->v.program = variant->program;
	ASSERT_FINE(vevent_open(&self->v, self->w.viommu,
				variant->program->depth), &self->v.c);
}

FIXTURE_TEARDOWN(vevent)
{
	close(self->v.c.queue.fd);
	close(self->v.c.stop);
	close(self->w.iommu);
}

static bool report_from(struct _test_data_vevent *self, unsigned int dev,
			unsigned int nr)
{
	self->raised += nr;
	return !eq_vevents(self->w.iommu, &self->w.dev[dev], nr);
}

static bool report(struct _test_data_vevent *self, unsigned int nr)
{
	return report_from(self, 0, nr);
}

/* The program hears of all events so far, its books are right. */
static bool all_heard(struct _test_data_vevent *self)
{
	return vevent_settle(&self->v, self->raised) &&
	       vevent_right(&self->v, self->raised);
}

/* Its handler runs although nothing is there. */
TEST_F(vevent, empty_queue)
{
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_FALSE(variant->program->handle(&self->v));
		ASSERT_FINE(!self->v.c.failed, &self->v.c);
	}
	ASSERT_TRUE(report(self, 2));
	ASSERT_FINE(all_heard(self), &self->v.c);
	ASSERT_FALSE(variant->program->handle(&self->v));
	ASSERT_FINE(!self->v.c.failed, &self->v.c);
}

/* Many more than it reads at once, as far as the queue holds them. */
TEST_F(vevent, burst)
{
	int round;

	for (round = 0; round < 3; round++) {
		ASSERT_TRUE(report(self, variant->program->depth));
		ASSERT_FINE(all_heard(self), &self->v.c);
		ASSERT_EQ(0, self->v.ledger.lost);
	}
}

#define LOAD 1200

TEST_F(vevent, burst_while_reading)
{
	ASSERT_TRUE(eq_job_start(&self->job, vevent_loop, &self->v));
	ASSERT_TRUE(report(self, LOAD / 2));
	ASSERT_FINE(consumer_reaches(&self->v.c, self->raised), &self->v.c);
	/* It has to wake up for these. */
	ASSERT_TRUE(report(self, LOAD / 2));
	ASSERT_FINE(consumer_reaches(&self->v.c, self->raised), &self->v.c);
	consumer_stop(&self->v.c);
	ASSERT_TRUE(eq_job_end(&self->job, EQ_DEADLINE_MS));
	ASSERT_FINE(vevent_right(&self->v, self->raised), &self->v.c);
}

/* One at a time, each with a wake-up of its own. */
TEST_F(vevent, events_apart)
{
	int i;

	ASSERT_TRUE(eq_job_start(&self->job, vevent_loop, &self->v));
	for (i = 0; i < 100; i++) {
		ASSERT_TRUE(report(self, 1));
		ASSERT_FINE(consumer_reaches(&self->v.c, self->raised),
			    &self->v.c);
	}
	consumer_stop(&self->v.c);
	ASSERT_TRUE(eq_job_end(&self->job, EQ_DEADLINE_MS));
	ASSERT_FINE(vevent_right(&self->v, self->raised), &self->v.c);
	ASSERT_EQ(0, self->v.ledger.lost);
}

/* More than the queue holds: a LOST header ends it, and the depth stays. */
TEST_F(vevent, overflow_at_tail)
{
	unsigned long lost = 0;
	int round;

	for (round = 0; round < 3; round++) {
		ASSERT_TRUE(report(self, variant->program->depth + 3 + round));
		lost += 3 + round;
		ASSERT_FINE(all_heard(self), &self->v.c);
		ASSERT_EQ(lost, self->v.ledger.lost);
		ASSERT_EQ(round + 1, self->v.ledger.headers);
	}
	/* What it makes of the first event after a LOST header */
	ASSERT_TRUE(report(self, 1));
	ASSERT_FINE(all_heard(self), &self->v.c);
	ASSERT_EQ(lost, self->v.ledger.lost);
}

/* Events were lost in the middle: no header, the sequence tells. */
TEST_F(vevent, gaps)
{
	unsigned long lost = 0;
	int round;

	for (round = 0; round < 3; round++) {
		ASSERT_TRUE(report(self, variant->program->depth + 3));
		lost += 3;
		/* One read makes room. */
		ASSERT_FINE(variant->program->step(&self->v, 0), &self->v.c);
		ASSERT_TRUE(report(self, 1));
		ASSERT_FINE(all_heard(self), &self->v.c);
		ASSERT_EQ(lost, self->v.ledger.lost);
		ASSERT_EQ(0, self->v.ledger.headers);
	}
}

/* Both: a gap, and then an overflow at the tail. */
TEST_F(vevent, gap_and_overflow)
{
	ASSERT_TRUE(report(self, variant->program->depth + 2));
	ASSERT_FINE(variant->program->step(&self->v, 0), &self->v.c);
	ASSERT_TRUE(report(self, variant->program->batch + 4));
	ASSERT_FINE(all_heard(self), &self->v.c);
	ASSERT_EQ(2 + 4, self->v.ledger.lost);
	ASSERT_EQ(1, self->v.ledger.headers);
	ASSERT_TRUE(report(self, 2));
	ASSERT_FINE(all_heard(self), &self->v.c);
}

static int nested_hwpt(struct eq_world *w, __u32 *id)
{
	struct iommu_hwpt_selftest data = { .iotlb = IOMMU_TEST_IOTLB_DEFAULT };
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.dev_id = w->dev[0].dev_id,
		.pt_id = w->viommu,
		.data_type = IOMMU_HWPT_DATA_SELFTEST,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};
	int rc = eq_call(w->iommu, IOMMU_HWPT_ALLOC, &cmd);

	*id = cmd.out_hwpt_id;
	return rc;
}

/* The device leaves the vIOMMU: what it reported stays. It comes back. */
TEST_F(vevent, device_leaves)
{
	struct eq_world *w = &self->w;
	int round;
	__u32 id;

	ASSERT_EQ(0, nested_hwpt(w, &id));
	for (round = 0; round < 3; round++) {
		ASSERT_TRUE(report(self, variant->program->depth + round));
		ASSERT_EQ(0, eq_replace(w->iommu, &w->dev[0], w->ioas));
		ASSERT_EQ(-ENOENT, eq_raise_vevents(w, 1));
		ASSERT_FINE(all_heard(self), &self->v.c);
		ASSERT_EQ(0, eq_replace(w->iommu, &w->dev[0], id));
	}
	ASSERT_TRUE(report(self, 1));
	ASSERT_FINE(all_heard(self), &self->v.c);
}

/* A device is removed while another goes on. */
TEST_F(vevent, device_removed)
{
	struct eq_world *w = &self->w;

	ASSERT_EQ(0, eq_vdevice(w->iommu, w->viommu, &w->dev[1],
				OTHER_VIRT_ID));
	ASSERT_TRUE(report_from(self, 0, 3));
	ASSERT_TRUE(report_from(self, 1, 2));
	ASSERT_TRUE(report_from(self, 0, 1));
	ASSERT_EQ(0, eq_destroy(w->iommu, w->dev[0].stdev_id));
	ASSERT_TRUE(report_from(self, 1, 2));
	ASSERT_FINE(all_heard(self), &self->v.c);
	ASSERT_TRUE(report_from(self, 1, 1));
	ASSERT_FINE(all_heard(self), &self->v.c);
	ASSERT_EQ(0, self->v.ledger.lost);
}

/*
 * The guest is reset with events unread: the program closes and destroys its
 * queue and makes another. The new one knows nothing of the old one's events.
 */
TEST_F(vevent, restart)
{
	__u32 depths[] = { variant->program->depth, EQ_MAX_DEPTH, 1, 16 };
	struct consumer *c = &self->v.c;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(depths); i++) {
		ASSERT_TRUE(report(self, variant->program->depth + 2));
		ASSERT_FINE(variant->program->step(&self->v, 0), c);
		ASSERT_FINE(consumer_close(c), c);
		/* The device does not wait for the guest. */
		ASSERT_EQ(0, eq_raise_vevents(&self->w, 2));
		ASSERT_FINE(consumer_destroy(c), c);
		ASSERT_EQ(-EOPNOTSUPP, eq_raise_vevents(&self->w, 1));
		ASSERT_FINE(vevent_open(&self->v, self->w.viommu, depths[i]),
			    c);
		ASSERT_FALSE(eq_readable(c->queue.fd));
		self->raised = 0;
		ASSERT_TRUE(report(self, 1));
		ASSERT_FINE(all_heard(self), c);
		ASSERT_EQ(0, self->v.ledger.lost);
	}
}

/* Raises until it is told to stop. */
static long job_raise(void *arg)
{
	struct _test_data_vevent *self = arg;
	int rc;

	while (!__atomic_load_n(&self->stop, __ATOMIC_ACQUIRE)) {
		rc = eq_raise_vevents(&self->w, 1);
		/* No queue at the moment is all right. */
		if (rc && rc != -EOPNOTSUPP)
			return rc;
		if (!rc)
			self->raised++;
	}
	return 0;
}

TEST_F(vevent, restart_under_load)
{
	struct vevent_consumer *v = &self->v;
	unsigned long heard = 0;
	int round, i;

	ASSERT_TRUE(eq_job_start(&self->job, job_raise, self));
	for (round = 0; round < 20; round++) {
		for (i = 0; i < 20; i++)
			ASSERT_FINE(variant->program->step(v, v->c.patience),
				    &v->c);
		heard += v->c.taken;
		ASSERT_FINE(consumer_close(&v->c), &v->c);
		ASSERT_FINE(consumer_destroy(&v->c), &v->c);
		ASSERT_FINE(vevent_open(v, self->w.viommu,
					variant->program->depth), &v->c);
	}
	__atomic_store_n(&self->stop, true, __ATOMIC_RELEASE);
	ASSERT_TRUE(eq_job_end(&self->job, EQ_DEADLINE_MS));
	ASSERT_EQ(0, self->job.ret);
	while (variant->program->step(v, 0))
		;
	ASSERT_FINE(vevent_right(v, v->c.taken), &v->c);
	heard += v->c.taken;
	ASSERT_LE(heard, self->raised);
	/* The last queue is as good as the first. */
	self->raised = v->c.taken;
	ASSERT_TRUE(report(self, 3));
	ASSERT_FINE(all_heard(self), &v->c);
}

/*
 * Fault queues
 */

/* What the device remembers of answers not looked at is limited. */
#define ROUND (MOCK_IOPF_RESPONSES / 2)

FIXTURE(fault)
{
	struct eq_world w;
	struct fault_consumer f;
	__u32 hwpt;
	struct eq_job job;
	bool log;		/* the device remembers its answers */
	__u8 got[MAX_FAULTS];	/* the answer's code + 1 */
	unsigned int nr_got;
	unsigned int raised;	/* the next group ID */
	bool stop;		/* raising */
};

FIXTURE_VARIANT(fault)
{
	const struct fault_program *program;
};

FIXTURE_VARIANT_ADD(fault, qemu_vtd)
{
	.program = &qemu_vtd,
};

FIXTURE_VARIANT_ADD(fault, libvfn)
{
	.program = &libvfn,
};

FIXTURE_VARIANT_ADD(fault, qemu_uring)
{
	.program = &qemu_uring,
};

FIXTURE_VARIANT_ADD(fault, qemu_uring_four)
{
	.program = &qemu_uring_four,
};

FIXTURE_VARIANT_ADD(fault, selftest)
{
	.program = &selftest_fault,
};

static int make_queue(struct eq_world *w, struct eq_queue *queue, __u32 *hwpt)
{
	int rc = eq_fault_queue(w->iommu, EQ_NO_WAIT, queue);

	return rc ? rc : eq_fault_hwpt(w->iommu, &w->dev[0], w->ioas, queue->id,
				       hwpt);
}

static int attach_both(struct eq_world *w, __u32 pt_id)
{
	int rc = eq_replace(w->iommu, &w->dev[0], pt_id);

	return rc ? rc : eq_replace(w->iommu, &w->dev[1], pt_id);
}

FIXTURE_SETUP(fault)
{
	struct eq_queue queue;

	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	ASSERT_EQ(0, eq_world_open(&self->w));
	ASSERT_EQ(0, make_queue(&self->w, &queue, &self->hwpt));
	ASSERT_EQ(0, attach_both(&self->w, self->hwpt));
	ASSERT_TRUE(consumer_init(&self->f.c, &self->w));
	self->log = has_answer_log(&self->w);
	self->f.program = variant->program;
	ASSERT_FINE(fault_open(&self->f, &queue), &self->f.c);
}

FIXTURE_TEARDOWN(fault)
{
	if (variant->program->nr_armed)
		eq_ring_fini(&self->f.ring);
	close(self->f.c.queue.fd);
	close(self->f.c.stop);
	close(self->w.iommu);
}

static bool raise_faults(struct _test_data_fault *self, unsigned int dev,
			 unsigned int nr)
{
	bool groups = self->log && self->f.program->groups;
	unsigned int size;

	while (nr--) {
		size = groups ? 1 + self->raised % MAX_GROUP : 1;
		if (eq_raise_group(&self->w, dev, self->raised, size))
			return false;
		self->raised++;
	}
	return true;
}

/* Take down what the devices got since. */
static bool pop_answers(struct _test_data_fault *self)
{
	struct eq_response a;
	unsigned int dev;

	for (dev = 0; self->log && dev < 2; dev++) {
		/* A device that was removed tells nothing. */
		while (!eq_pop_response(self->w.iommu, &self->w.dev[dev], &a) &&
		       a.code != EQ_GOT_NOTHING) {
			if (a.grpid >= MAX_FAULTS || self->got[a.grpid])
				return WRONG(&self->f.c,
					     "device %u: fault %u answered again",
					     dev, a.grpid);
			self->got[a.grpid] = a.code + 1;
			self->nr_got++;
		}
	}
	return true;
}

/* The devices got @code for each of these, if they remember. */
static bool device_got(struct _test_data_fault *self, unsigned int first,
		       unsigned int nr, unsigned int code)
{
	unsigned int i;

	if (!pop_answers(self))
		return false;
	for (i = first; self->log && i < first + nr; i++)
		if (self->got[i] != code + 1)
			return WRONG(&self->f.c,
				     "fault %u: answer %d, should be %u", i,
				     self->got[i] - 1, code);
	return true;
}

/* Let the program run until it has heard of @nr faults. */
static bool hears(struct _test_data_fault *self, unsigned long nr)
{
	struct fault_consumer *f = &self->f;

	while (f->c.taken < nr) {
		if (!f->program->step(f, f->c.patience))
			return WRONG(&f->c, "heard of %lu of %lu faults",
				     f->c.taken, nr);
		if (f->program->at_once && f->c.taken % ROUND == 0 &&
		    !pop_answers(self))
			return false;
	}
	return !f->c.failed;
}

/* The guest answers all that it knows. */
static bool guest_done(struct _test_data_fault *self)
{
	while (self->f.nr_open)
		if (!guest_answers(&self->f, ROUND) || !pop_answers(self))
			return false;
	return pop_answers(self);
}

/* Both, for all faults up to now, and the program is as it was. */
static bool serves(struct _test_data_fault *self, unsigned long nr)
{
	return hears(self, nr) && guest_done(self);
}

/*
 * io_uring gives a READ that lost 128 races for a record to a worker, where it
 * waits for one. Of several READs that are armed all the time one may.
 */
#define MANY_RACES 100

static bool no_workers(struct _test_data_fault *self)
{
	struct fault_consumer *f = &self->f;
	int nr = eq_count_workers();

	if (f->program->nr_armed > 1 && self->raised > MANY_RACES)
		return true;
	return nr ? FATAL(&f->c, "%d io_uring workers", nr) : true;
}

/* Nothing failed, and nothing is left to do. */
static bool all_done(struct _test_data_fault *self)
{
	struct fault_consumer *f = &self->f;

	if (f->c.failed)
		return false;
	if (f->nr_answered + f->nr_refused != f->c.taken)
		return WRONG(&f->c, "heard of %lu faults, %lu answered, %lu refused",
			     f->c.taken, f->nr_answered, f->nr_refused);
	/* Whatever runs late gets some time. */
	if (f->program->step(f, f->program->nr_armed ? EQ_QUIET_MS : 0))
		return WRONG(&f->c, "more came");
	return !f->c.failed && no_workers(self);
}

/* Its handler runs although nothing is there. */
TEST_F(fault, empty_queue)
{
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_FALSE(variant->program->handle(&self->f));
		ASSERT_FINE(!self->f.c.failed, &self->f.c);
	}
	ASSERT_TRUE(raise_faults(self, 0, 1));
	ASSERT_FINE(serves(self, 1), &self->f.c);
	ASSERT_FINE(device_got(self, 0, 1, EQ_GOT_SUCCESS), &self->f.c);
	ASSERT_FALSE(variant->program->handle(&self->f));
	ASSERT_FINE(all_done(self), &self->f.c);
}

#define BURST 250

/* Many more than it reads at once */
TEST_F(fault, burst)
{
	ASSERT_TRUE(raise_faults(self, 0, BURST / 2));
	ASSERT_TRUE(raise_faults(self, 1, BURST / 2));
	ASSERT_FINE(serves(self, BURST), &self->f.c);
	ASSERT_FINE(device_got(self, 0, BURST, EQ_GOT_SUCCESS), &self->f.c);
	ASSERT_FINE(all_done(self), &self->f.c);
	ASSERT_EQ(BURST, self->f.nr_answered);
}

/* Wait until no more than @max answers are to come. */
static bool devices_wait_for(struct _test_data_fault *self, unsigned int max)
{
	struct fault_consumer *f = &self->f;
	unsigned int ms, done = 0;

	for (ms = 0; ms < f->c.patience && !consumer_failed(&f->c); ms++) {
		if (!pop_answers(self))
			return false;
		done = self->log ? self->nr_got :
		       __atomic_load_n(&f->nr_answered, __ATOMIC_ACQUIRE);
		if (self->raised - done <= max)
			return true;
		usleep(1000);
	}
	return WRONG(&f->c, "%u of %u faults answered", done, self->raised);
}

TEST_F(fault, burst_while_reading)
{
	struct fault_consumer *f = &self->f;
	int i;

	ASSERT_TRUE(eq_job_start(&self->job, fault_loop, f));
	for (i = 0; i < BURST; i++) {
		ASSERT_TRUE(raise_faults(self, i % 2, 1));
		ASSERT_FINE(devices_wait_for(self, ROUND), &f->c);
	}
	ASSERT_FINE(devices_wait_for(self, 0), &f->c);
	/* They would end with their thread. */
	ASSERT_FINE(no_workers(self), &f->c);
	consumer_stop(&f->c);
	ASSERT_TRUE(eq_job_end(&self->job, EQ_DEADLINE_MS));
	ASSERT_FINE(device_got(self, 0, BURST, EQ_GOT_SUCCESS), &f->c);
	ASSERT_EQ(BURST, f->nr_answered);
	ASSERT_EQ(0, f->nr_refused);
	ASSERT_FINE(!f->c.failed, &f->c);
}

/*
 * The program was told to read, but before it does, a detach answers the
 * faults. Those that io_uring has read by then are refused when the guest
 * answers.
 */
TEST_F(fault, detach_of_queued)
{
	struct fault_consumer *f = &self->f;

	/* READs are armed before, not after. */
	if (variant->program->nr_armed)
		ASSERT_FALSE(variant->program->step(f, 0));
	ASSERT_FINE(!f->c.failed, &f->c);
	ASSERT_TRUE(raise_faults(self, 0, 5));
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], self->w.ioas));
	while (variant->program->handle(f))
		;
	ASSERT_FINE(guest_done(self), &f->c);
	ASSERT_EQ(0, f->nr_answered);
	ASSERT_FINE(device_got(self, 0, 5, EQ_GOT_INVALID), &f->c);
	ASSERT_FINE(all_done(self), &f->c);

	/* Later ones are served. */
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], self->hwpt));
	ASSERT_TRUE(raise_faults(self, 0, 2));
	ASSERT_FINE(serves(self, f->c.taken + 2), &f->c);
	ASSERT_FINE(device_got(self, 5, 2, EQ_GOT_SUCCESS), &f->c);
	ASSERT_FINE(all_done(self), &f->c);
	ASSERT_EQ(2, f->nr_answered);
}

/* A detach answers what the guest is still thinking about. */
TEST_F(fault, detach_of_outstanding)
{
	bool late = !variant->program->at_once;
	struct fault_consumer *f = &self->f;

	ASSERT_TRUE(raise_faults(self, 0, 4));
	ASSERT_TRUE(raise_faults(self, 1, 1));
	ASSERT_FINE(hears(self, 5), &f->c);
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0], self->w.ioas));
	ASSERT_FINE(guest_done(self), &f->c);
	ASSERT_EQ(late ? 4 : 0, f->nr_refused);
	ASSERT_EQ(late ? 1 : 5, f->nr_answered);
	ASSERT_FINE(device_got(self, 0, 4, late ? EQ_GOT_INVALID : EQ_GOT_SUCCESS),
		    &f->c);
	ASSERT_FINE(device_got(self, 4, 1, EQ_GOT_SUCCESS), &f->c);
	ASSERT_FINE(all_done(self), &f->c);
}

/* One of two devices is removed, with faults in every state. */
TEST_F(fault, device_removed)
{
	bool late = !variant->program->at_once;
	struct fault_consumer *f = &self->f;

	ASSERT_TRUE(raise_faults(self, 0, 2));
	ASSERT_TRUE(raise_faults(self, 1, 2));
	ASSERT_FINE(hears(self, 4), &f->c);
	ASSERT_TRUE(raise_faults(self, 0, 1));
	ASSERT_TRUE(raise_faults(self, 1, 1));
	ASSERT_EQ(0, eq_destroy(self->w.iommu, self->w.dev[0].stdev_id));
	while (f->fate[5] == UNSEEN)
		ASSERT_FINE(variant->program->step(f, f->c.patience), &f->c);
	ASSERT_FINE(guest_done(self), &f->c);
	ASSERT_EQ(late ? REFUSED : ANSWERED, f->fate[0]);
	ASSERT_EQ(late ? REFUSED : ANSWERED, f->fate[1]);
	ASSERT_NE(ANSWERED, f->fate[4]);
	ASSERT_FINE(device_got(self, 2, 2, EQ_GOT_SUCCESS), &f->c);
	ASSERT_FINE(device_got(self, 5, 1, EQ_GOT_SUCCESS), &f->c);
	ASSERT_FINE(all_done(self), &f->c);
	ASSERT_EQ(late ? 3 : 5, f->nr_answered);
}

/*
 * The guest is reset: a new queue takes the place of the old one, which is then
 * taken down, in the order in which QEMU does so.
 */
static bool restart(struct _test_data_fault *self)
{
	struct fault_consumer *f = &self->f;
	struct eq_queue queue;
	__u32 hwpt;
	int rc;

	rc = make_queue(&self->w, &queue, &hwpt);
	if (!rc)
		rc = attach_both(&self->w, hwpt);
	if (!rc)
		rc = eq_destroy(self->w.iommu, self->hwpt);
	if (rc)
		return FATAL(&f->c, "replacing the queue: %s", strerror(-rc));
	self->hwpt = hwpt;
	return fault_close(f) && consumer_destroy(&f->c) &&
	       fault_open(f, &queue);
}

TEST_F(fault, restart)
{
	bool late = !variant->program->at_once;
	struct fault_consumer *f = &self->f;
	unsigned int round, first, nr_open;

	for (round = 0; round < 4; round++) {
		first = self->raised;
		ASSERT_TRUE(raise_faults(self, 0, 3));
		ASSERT_FINE(hears(self, f->c.taken + 3), &f->c);
		ASSERT_TRUE(raise_faults(self, 0, 2));
		ASSERT_TRUE(raise_faults(self, 1, 2));
		nr_open = f->nr_open;
		ASSERT_FINE(restart(self), &f->c);
		ASSERT_FINE(device_got(self, first, 3, late ? EQ_GOT_INVALID :
				       EQ_GOT_SUCCESS), &f->c);
		ASSERT_FINE(device_got(self, first + 3, 4, EQ_GOT_INVALID), &f->c);
		ASSERT_FALSE(eq_readable(f->c.queue.fd));

		/* The guest answers old faults: to no effect. */
		f->nr_open = nr_open;
		ASSERT_FINE(guest_done(self), &f->c);
		ASSERT_EQ(late ? 3 * (round + 1) : 0, f->nr_refused);

		first = self->raised;
		ASSERT_TRUE(raise_faults(self, 0, 2));
		ASSERT_FINE(serves(self, f->c.taken + 2), &f->c);
		ASSERT_FINE(device_got(self, first, 2, EQ_GOT_SUCCESS), &f->c);
		ASSERT_FINE(all_done(self), &f->c);
	}
}

static long job_raise_faults(void *arg)
{
	struct _test_data_fault *self = arg;

	while (!__atomic_load_n(&self->stop, __ATOMIC_ACQUIRE) &&
	       self->raised < MAX_FAULTS - 1)
		if (!raise_faults(self, 0, 1))
			return -EIO;
	return 0;
}

/* The device got SUCCESS for what was answered, INVALID for the rest. */
static bool totals_are_right(struct _test_data_fault *self)
{
	struct fault_consumer *f = &self->f;
	struct eq_response a;

	if (!self->log)
		return true;
	if (eq_pop_response(self->w.iommu, &self->w.dev[0], &a))
		return WRONG(&f->c, "no answers");
	if (a.nr_success != f->nr_answered || a.nr_failure ||
	    a.nr_success + a.nr_invalid != self->raised)
		return WRONG(&f->c, "%u raised; %lu answered, %u arrived; %u INVALID, %u FAILURE",
			     self->raised, f->nr_answered, a.nr_success,
			     a.nr_invalid, a.nr_failure);
	return true;
}

TEST_F(fault, restart_under_load)
{
	struct fault_consumer *f = &self->f;
	unsigned int round, i;

	f->is_moved = true;
	ASSERT_TRUE(eq_job_start(&self->job, job_raise_faults, self));
	for (round = 0; round < 20; round++) {
		for (i = 0; i < 10; i++)
			variant->program->step(f, 0);
		ASSERT_FINE(guest_answers(f, f->nr_open / 2), &f->c);
		ASSERT_FINE(restart(self), &f->c);
	}
	__atomic_store_n(&self->stop, true, __ATOMIC_RELEASE);
	ASSERT_TRUE(eq_job_end(&self->job, EQ_DEADLINE_MS));
	ASSERT_EQ(0, self->job.ret);

	/* When it has the last one, it has all. */
	ASSERT_TRUE(raise_faults(self, 0, 1));
	while (f->fate[self->raised - 1] == UNSEEN)
		ASSERT_FINE(variant->program->step(f, f->c.patience), &f->c);
	while (variant->program->step(f, 0))
		;
	ASSERT_FINE(guest_answers(f, MAX_FAULTS), &f->c);
	ASSERT_EQ(ANSWERED, f->fate[self->raised - 1]);
	ASSERT_FINE(!f->c.failed, &f->c);
	ASSERT_FINE(totals_are_right(self) && no_workers(self), &f->c);
}

/* The life of a program that gets killed: tells of its state, and waits. */
static void live(struct _test_data_fault *self, int tell)
{
	struct fault_consumer *f = &self->f;

	/* A ring is of no use across fork(). */
	if (!f->program->open || f->program->open(f))
		hears(self, 2);
	if (write(tell, f->c.why, sizeof(f->c.why)) == sizeof(f->c.why))
		for (;;)
			pause();
	_exit(1);
}

/* The program is killed: nobody takes anything down. */
TEST_F(fault, killed)
{
	bool late = !variant->program->at_once;
	struct consumer *c = &self->f.c;
	int tell[2], status;
	pid_t pid;

	ASSERT_EQ(0, pipe(tell));
	ASSERT_TRUE(raise_faults(self, 0, 2));
	pid = eq_fork();
	ASSERT_LE(0, pid);
	if (!pid)
		live(self, tell[1]);
	close(tell[1]);
	/* It has the only file of the queue. */
	ASSERT_FINE(consumer_close(c), c);
	ASSERT_EQ(sizeof(c->why), eq_read(tell[0], c->why, sizeof(c->why)));
	ASSERT_FINE(!c->why[0], c);
	ASSERT_TRUE(raise_faults(self, 0, 2));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));

	/* A ring lets go of its files a little later. */
	ASSERT_FINE(!self->log || devices_wait_for(self, 0), c);
	ASSERT_FINE(device_got(self, 0, 2, late ? EQ_GOT_INVALID : EQ_GOT_SUCCESS),
		    c);
	ASSERT_FINE(device_got(self, 2, 2, EQ_GOT_INVALID), c);
	/* Nor is there anybody to answer these. */
	ASSERT_TRUE(raise_faults(self, 1, 2));
	ASSERT_FINE(device_got(self, 4, 2, EQ_GOT_INVALID), c);
	ASSERT_EQ(0, attach_both(&self->w, self->w.ioas));
	ASSERT_EQ(0, eq_destroy(self->w.iommu, self->hwpt));
}

/*
 * QEMU's VT-d has a queue for each PASID entry
 */

FIXTURE(vtd_pasid)
{
	struct eq_world w;
	struct fault_consumer entry[2];	/* without PASID, and with it */
	__u32 hwpt[2];
	bool attached;		/* the second one */
};

static int pasid_detach(struct _test_data_vtd_pasid *self)
{
	self->attached = false;
	return eq_pasid_detach(self->w.iommu, &self->w.dev[0], PASID);
}

FIXTURE_SETUP(vtd_pasid)
{
	struct eq_queue queue;
	int i;

	if (eq_no_mock())
		SKIP(return, EQ_NO_MOCK);
	ASSERT_EQ(0, eq_world_open(&self->w));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, make_queue(&self->w, &queue, &self->hwpt[i]));
		ASSERT_TRUE(consumer_init(&self->entry[i].c, &self->w));
		self->entry[i].program = &qemu_vtd;
		ASSERT_FINE(fault_open(&self->entry[i], &queue),
			    &self->entry[i].c);
	}
	ASSERT_EQ(0, eq_replace(self->w.iommu, &self->w.dev[0],
				self->hwpt[0]));
	ASSERT_EQ(0, eq_pasid_attach(self->w.iommu, &self->w.dev[0], PASID,
				     self->hwpt[1]));
	self->attached = true;
}

FIXTURE_TEARDOWN(vtd_pasid)
{
	/* That of the stock kernel does not do that by itself. */
	if (self->attached)
		pasid_detach(self);
	close(self->entry[0].c.queue.fd);
	close(self->entry[1].c.queue.fd);
	close(self->w.iommu);
}

/* The fault of group @grpid, with the PASID or without */
static bool entry_fault(struct _test_data_vtd_pasid *self, int entry,
			__u32 grpid)
{
	return !eq_pasid_fault(self->w.iommu, &self->w.dev[0],
			       entry ? PASID : 0, grpid);
}

TEST_F(vtd_pasid, each_entry_its_queue)
{
	struct fault_consumer *e = self->entry;
	int i;

	for (i = 0; i < 6; i++)
		ASSERT_TRUE(entry_fault(self, i % 2, i));
	for (i = 0; i < 2; i++) {
		ASSERT_FINE(vtd_step(&e[i], e[i].c.patience), &e[i].c);
		ASSERT_EQ(3, e[i].nr_open);
	}
	for (i = 0; i < 6; i++)
		ASSERT_EQ(SEEN, e[i % 2].fate[i]);

	/* The entry goes, with faults queued and outstanding. */
	ASSERT_TRUE(entry_fault(self, 1, 6));
	ASSERT_EQ(0, pasid_detach(self));
	ASSERT_FALSE(vtd_handle(&e[1]));
	ASSERT_FINE(guest_answers(&e[1], 3), &e[1].c);
	ASSERT_EQ(3, e[1].nr_refused);
	ASSERT_EQ(0, eq_destroy(self->w.iommu, self->hwpt[1]));
	ASSERT_FINE(fault_close(&e[1]) && consumer_destroy(&e[1].c), &e[1].c);

	/* The other one did not notice. */
	ASSERT_FINE(guest_answers(&e[0], 3), &e[0].c);
	ASSERT_EQ(3, e[0].nr_answered);
	ASSERT_TRUE(entry_fault(self, 0, 7));
	ASSERT_FINE(vtd_step(&e[0], e[0].c.patience), &e[0].c);
	ASSERT_FINE(guest_answers(&e[0], 1), &e[0].c);
	ASSERT_EQ(4, e[0].nr_answered);
	if (has_answer_log(&self->w)) {
		struct eq_response a;

		ASSERT_EQ(0, eq_pop_response(self->w.iommu, &self->w.dev[0],
					     &a));
		ASSERT_EQ(4, a.nr_success);
		ASSERT_EQ(4, a.nr_invalid);
	}
}

TEST_HARNESS_MAIN
