/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the KUnit tests of iommufd_viommu_report_event() share: an event that is
 * hard to store by half, its report from every context that is allowed, threads,
 * and a witness of wake-ups. No test belongs here.
 */
#ifndef __IOMMUFD_EVENTQ_TEST_REPORT_H
#define __IOMMUFD_EVENTQ_TEST_REPORT_H

#include <linux/completion.h>
#include <linux/hrtimer.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/sched/signal.h>
#include <linux/timer.h>
#include <linux/workqueue.h>

#include "eventq_test.h"

/* What is not there by then never comes. In jiffies, for a busy machine. */
#define DEADLINE (20 * HZ)

/* The largest payload there is, so that half of one shows */
struct big_record {
	struct iommufd_vevent_header header;
	struct iommu_vevent_arm_smmuv3 event;
};

static inline void big_fill(struct iommu_vevent_arm_smmuv3 *event, u64 number)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(event->evt); i++)
		event->evt[i] = cpu_to_le64((number << 2) + i);
}

static inline u64 big_number(const struct iommu_vevent_arm_smmuv3 *event)
{
	return le64_to_cpu(event->evt[0]) >> 2;
}

static inline bool big_is_whole(const struct iommu_vevent_arm_smmuv3 *event)
{
	struct iommu_vevent_arm_smmuv3 wanted;

	big_fill(&wanted, big_number(event));
	return !memcmp(event, &wanted, sizeof(wanted));
}

static inline void big_open(struct kunit *test, struct fake_viommu *fake,
			    u32 depth)
{
	fake_viommu_open(test, fake, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, depth,
			 IOMMU_EVENTQ_ALLOC_WAIT_READ);
}

/* Threads here have ended their work, and wait for kthread_stop() */
static inline int end_thread(void)
{
	for (;;) {
		set_current_state(TASK_UNINTERRUPTIBLE);
		if (kthread_should_stop())
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

static inline struct task_struct *thread_start(struct kunit *test,
					       int (*func)(void *data),
					       void *data)
{
	struct task_struct *task = kthread_run(func, data, "eventq-test");

	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	return task;
}

static inline void thread_stop(struct task_struct *task)
{
	send_sig(SIGUSR1, task, 1);
	kthread_stop(task);
}

enum where { IN_TASK, IN_SOFTIRQ, IN_HARDIRQ };

static inline enum where where_am_i(void)
{
	if (in_hardirq())
		return IN_HARDIRQ;
	return in_serving_softirq() ? IN_SOFTIRQ : IN_TASK;
}

/*
 * One event and how its report went. Whoever reports it in some context waits
 * until that context is through with it.
 */
struct report {
	struct fake_viommu *fake;
	u64 number;

	int rc;
	enum where where;
	bool changed_irqs;
	struct completion done;
	union {
		struct irq_work irq_work;
		struct hrtimer hrtimer;
		struct timer_list timer;
		struct work_struct work;
	};
};

static inline void report_here(struct report *report)
{
	struct iommu_vevent_arm_smmuv3 event;
	bool irqs_off = irqs_disabled();

	big_fill(&event, report->number);
	report->rc = iommufd_viommu_report_event(report->fake->viommu,
						 IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
						 &event, sizeof(event));
	report->changed_irqs = irqs_disabled() != irqs_off;
	report->where = where_am_i();
}

static inline void report_bh_disabled(struct report *report)
{
	local_bh_disable();
	report_here(report);
	local_bh_enable();
}

static inline void report_preempt_disabled(struct report *report)
{
	preempt_disable();
	report_here(report);
	preempt_enable();
}

static inline void report_irqs_disabled(struct report *report)
{
	unsigned long flags;

	local_irq_save(flags);
	report_here(report);
	local_irq_restore(flags);
}

/* Under a lock of the driver, which its interrupt handler takes, too */
static inline void report_under_lock(struct report *report)
{
	static DEFINE_SPINLOCK(driver_lock);
	unsigned long flags;

	spin_lock_irqsave(&driver_lock, flags);
	report_here(report);
	spin_unlock_irqrestore(&driver_lock, flags);
}

static inline void report_timer_func(struct timer_list *timer)
{
	struct report *report = container_of(timer, struct report, timer);

	report_here(report);
	complete(&report->done);
}

static inline void report_timer(struct report *report)
{
	init_completion(&report->done);
	timer_setup_on_stack(&report->timer, report_timer_func, 0);
	mod_timer(&report->timer, jiffies);
	wait_for_completion(&report->done);
	timer_delete_sync(&report->timer);
	timer_destroy_on_stack(&report->timer);
}

static inline void report_work_func(struct work_struct *work)
{
	report_here(container_of(work, struct report, work));
}

static inline void report_bh_work(struct report *report)
{
	INIT_WORK_ONSTACK(&report->work, report_work_func);
	queue_work(system_bh_wq, &report->work);
	flush_work(&report->work);
	destroy_work_on_stack(&report->work);
}

static inline enum hrtimer_restart report_hrtimer_func(struct hrtimer *hrtimer)
{
	struct report *report = container_of(hrtimer, struct report, hrtimer);

	report_here(report);
	complete(&report->done);
	return HRTIMER_NORESTART;
}

static inline void report_hrtimer_mode(struct report *report,
				       enum hrtimer_mode mode)
{
	init_completion(&report->done);
	hrtimer_setup_on_stack(&report->hrtimer, report_hrtimer_func,
			       CLOCK_MONOTONIC, mode);
	hrtimer_start(&report->hrtimer, 0, mode);
	wait_for_completion(&report->done);
	hrtimer_cancel(&report->hrtimer);
	destroy_hrtimer_on_stack(&report->hrtimer);
}

static inline void report_soft_hrtimer(struct report *report)
{
	report_hrtimer_mode(report, HRTIMER_MODE_REL_SOFT);
}

/*
 * Hard IRQ, of the kind that PREEMPT_RT forces into a thread: what is not says
 * so by HRTIMER_MODE_HARD or IRQ_WORK_HARD_IRQ, and must not report.
 */
static inline void report_hrtimer(struct report *report)
{
	report_hrtimer_mode(report, HRTIMER_MODE_REL);
}

static inline void report_irq_work_func(struct irq_work *work)
{
	report_here(container_of(work, struct report, irq_work));
}

static inline void report_irq_work(struct report *report)
{
	report->irq_work = IRQ_WORK_INIT(report_irq_work_func);
	irq_work_queue(&report->irq_work);
	irq_work_sync(&report->irq_work);
}

/* Sees each wake-up of a queue from the inside of who makes it */
struct witness {
	struct wait_queue_entry entry;
	struct fake_viommu *fake;
	unsigned int nr;
	enum where where;
};

static inline int witness_func(struct wait_queue_entry *entry,
			       unsigned int mode, int sync, void *key)
{
	struct witness *witness = container_of(entry, struct witness, entry);

	witness->nr++;
	witness->where = where_am_i();
	return 0;
}

static inline void witness_start(struct witness *witness,
				 struct fake_viommu *fake)
{
	witness->fake = fake;
	witness->nr = 0;
	init_waitqueue_func_entry(&witness->entry, witness_func);
	add_wait_queue(&fake->eventq->wait, &witness->entry);
}

static inline void witness_stop(struct witness *witness)
{
	remove_wait_queue(&witness->fake->eventq->wait, &witness->entry);
}

#endif
