// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of iommufd_viommu_report_event() from every context that IOMMU
 * drivers may call it from: it stores the whole event, wakes who sleeps, and
 * leaves the context as it was. With lockdep and CONFIG_DEBUG_ATOMIC_SLEEP they
 * show as well that it takes no lock and no memory which must not be had there.
 */
#include <linux/poll.h>

#include "eventq_test_report.h"

/* Sleeps in the queue's wait queue until it is woken, or told to end */
struct sleeper {
	struct fake_viommu *fake;
	struct task_struct *task;
	struct completion done;
	/* A poller */
	struct poll_wqueues wait;
	u32 before;
	bool woken;
	/* A reader */
	struct big_record record;
	ssize_t rc;
};

static int poller_thread(void *data)
{
	struct sleeper *poller = data;

	allow_signal(SIGUSR1);
	poll_initwait(&poller->wait);
	poller->before = (__force u32)vfs_poll(poller->fake->filep,
						&poller->wait.pt);
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		poller->woken = READ_ONCE(poller->wait.triggered);
		if (poller->woken || signal_pending(current))
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	poll_freewait(&poller->wait);
	complete(&poller->done);
	return end_thread();
}

static int reader_thread(void *data)
{
	struct sleeper *reader = data;

	allow_signal(SIGUSR1);
	reader->rc = read_kernel(reader->fake->filep, &reader->record,
				 sizeof(reader->record), 0);
	complete(&reader->done);
	return end_thread();
}

static struct sleeper *sleeper_start(struct kunit *test,
				     struct fake_viommu *fake,
				     int (*func)(void *data))
{
	struct sleeper *sleeper =
		kunit_kzalloc(test, sizeof(*sleeper), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, sleeper);
	sleeper->fake = fake;
	init_completion(&sleeper->done);
	sleeper->task = thread_start(test, func, sleeper);
	return sleeper;
}

static bool are_waiting(struct iommufd_eventq *eventq, unsigned int nr)
{
	struct list_head *entry;

	guard(spinlock_irq)(&eventq->wait.lock);
	list_for_each(entry, &eventq->wait.head)
		nr--;
	return !nr;
}

static bool await_waiting(struct iommufd_eventq *eventq, unsigned int nr)
{
	unsigned long end = jiffies + DEADLINE;

	while (!are_waiting(eventq, nr)) {
		if (time_after(jiffies, end))
			return false;
		schedule_timeout_uninterruptible(1);
	}
	return true;
}

struct context {
	void (*report)(struct report *report);
	enum where where;
};

static void report_from(struct kunit *test, struct fake_viommu *fake,
			const struct context *context, u64 number)
{
	struct report report = { .fake = fake, .number = number };

	context->report(&report);
	KUNIT_EXPECT_EQ(test, report.rc, 0);
	KUNIT_EXPECT_FALSE(test, report.changed_irqs);
	/* All are threads there */
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		KUNIT_EXPECT_EQ(test, report.where, context->where);
}

static void expect_record(struct kunit *test, const struct big_record *record,
			  u32 sequence)
{
	KUNIT_EXPECT_EQ(test, record->header.flags, 0);
	KUNIT_EXPECT_EQ(test, record->header.sequence, sequence);
	KUNIT_EXPECT_EQ(test, big_number(&record->event), sequence);
	KUNIT_EXPECT_TRUE(test, big_is_whole(&record->event));
}

/* The report ends the sleep of all that wait, from where it is made */
static void check_wakes(struct kunit *test, struct fake_viommu *fake,
			const struct context *context)
{
	struct sleeper *poller = sleeper_start(test, fake, poller_thread);
	struct sleeper *reader = sleeper_start(test, fake, reader_thread);
	struct witness witness;

	witness_start(&witness, fake);
	KUNIT_EXPECT_TRUE(test, await_waiting(fake->eventq, 3));
	KUNIT_EXPECT_EQ(test, witness.nr, 0);
	report_from(test, fake, context, 0);
	KUNIT_EXPECT_EQ(test, witness.nr, 1);
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		KUNIT_EXPECT_EQ(test, witness.where, context->where);

	KUNIT_EXPECT_NE(test,
			wait_for_completion_timeout(&poller->done, DEADLINE),
			0);
	KUNIT_EXPECT_NE(test,
			wait_for_completion_timeout(&reader->done, DEADLINE),
			0);
	thread_stop(poller->task);
	thread_stop(reader->task);
	witness_stop(&witness);

	KUNIT_EXPECT_EQ(test, poller->before, 0);
	KUNIT_EXPECT_TRUE(test, poller->woken);
	KUNIT_EXPECT_EQ(test, reader->rc, sizeof(reader->record));
	expect_record(test, &reader->record, 0);
}

/* Two are stored, and the third one is lost */
static void check_stores(struct kunit *test, struct fake_viommu *fake,
			 const struct context *context)
{
	struct big_record buf[3] = {};
	unsigned int i;

	for (i = 1; i <= 3; i++)
		report_from(test, fake, context, i);
	KUNIT_EXPECT_EQ(test,
			read_kernel(fake->filep, buf, sizeof(buf), IOCB_NOWAIT),
			2 * sizeof(buf[0]) + sizeof(buf[0].header));
	expect_record(test, &buf[0], 1);
	expect_record(test, &buf[1], 2);
	KUNIT_EXPECT_EQ(test, buf[2].header.flags,
			IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
	KUNIT_EXPECT_EQ(test, buf[2].header.sequence, 3);
	KUNIT_EXPECT_EQ(test, fake_nr_lost(test, fake), 1);
	KUNIT_EXPECT_EQ(test, fake_next_sequence(test, fake), 4);
}

static void check_context(struct kunit *test,
			  void (*report)(struct report *report),
			  enum where where)
{
	const struct context context = { .report = report, .where = where };
	struct fake_viommu fake;

	big_open(test, &fake, 2);
	check_wakes(test, &fake, &context);
	check_stores(test, &fake, &context);
	fake_viommu_close(test, &fake);
}

static void test_report_task(struct kunit *test)
{
	check_context(test, report_here, IN_TASK);
}

static void test_report_bh_disabled(struct kunit *test)
{
	check_context(test, report_bh_disabled, IN_TASK);
}

static void test_report_preempt_disabled(struct kunit *test)
{
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		kunit_skip(test, "not a context to report from");
	check_context(test, report_preempt_disabled, IN_TASK);
}

static void test_report_irqs_disabled(struct kunit *test)
{
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		kunit_skip(test, "not a context to report from");
	check_context(test, report_irqs_disabled, IN_TASK);
}

static void test_report_under_lock(struct kunit *test)
{
	check_context(test, report_under_lock, IN_TASK);
}

static void test_report_timer(struct kunit *test)
{
	check_context(test, report_timer, IN_SOFTIRQ);
}

static void test_report_bh_work(struct kunit *test)
{
	check_context(test, report_bh_work, IN_SOFTIRQ);
}

static void test_report_soft_hrtimer(struct kunit *test)
{
	check_context(test, report_soft_hrtimer, IN_SOFTIRQ);
}

static void test_report_hrtimer(struct kunit *test)
{
	check_context(test, report_hrtimer, IN_HARDIRQ);
}

static void test_report_irq_work(struct kunit *test)
{
	check_context(test, report_irq_work, IN_HARDIRQ);
}

static struct kunit_case report_cases[] = {
	KUNIT_CASE(test_report_task),
	KUNIT_CASE(test_report_bh_disabled),
	KUNIT_CASE(test_report_preempt_disabled),
	KUNIT_CASE(test_report_irqs_disabled),
	KUNIT_CASE(test_report_under_lock),
	KUNIT_CASE(test_report_timer),
	KUNIT_CASE(test_report_bh_work),
	KUNIT_CASE(test_report_soft_hrtimer),
	KUNIT_CASE(test_report_hrtimer),
	KUNIT_CASE(test_report_irq_work),
	{}
};

static struct kunit_suite report_suite = {
	.name = "iommufd_eventq_report",
	.test_cases = report_cases,
};

kunit_test_suite(report_suite);
