// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of iommufd_viommu_report_event() while the queue is made, read,
 * closed and destroyed on another CPU, and of storms of reports. All count what
 * becomes of the events: each one that was taken is read once or counted as lost.
 *
 * On a single CPU the same happens, one after the other. No verdict depends on
 * how fast anything is; a deadline is there to end what would never end.
 */
#include "eventq_test_report.h"

/*
 * @got events and @lost ones, the latter by the sequence numbers that were
 * missing. @next is the sequence number that follows. @last are the numbers of
 * the last events of each reporter. What must not be is counted in @wrong.
 */
#define NR_REPORTERS 2

struct tally {
	u32 next;
	u64 got;
	u64 lost;
	unsigned int nr_reads;
	u64 last[NR_REPORTERS];
	u64 wrong;
};

/* The number of an event tells whose it is, and which one of theirs */
static u64 event_number(unsigned int who, u64 nr)
{
	return ((u64)who << 56) | nr;
}

static void tally_sequence(struct tally *tally, u32 sequence, bool lost)
{
	tally->wrong += sequence > INT_MAX;
	tally->lost += ((sequence - tally->next) & INT_MAX) + lost;
	tally->next = (sequence + 1) & INT_MAX;
}

static void tally_event(struct tally *tally,
			const struct iommu_vevent_arm_smmuv3 *event)
{
	unsigned int who = big_number(event) >> 56;
	u64 nr = big_number(event) & ~event_number(U8_MAX, 0);

	tally->got++;
	if (!big_is_whole(event) || who >= NR_REPORTERS ||
	    nr <= tally->last[who])
		tally->wrong++;
	else
		tally->last[who] = nr;
}

static void tally_records(struct tally *tally, const void *buf, ssize_t len)
{
	const struct iommufd_vevent_header *header;
	bool lost;

	tally->nr_reads++;
	for (; len > 0; buf += sizeof(*header), len -= sizeof(*header)) {
		header = buf;
		lost = header->flags == IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
		tally_sequence(tally, header->sequence, lost);
		if (lost)
			continue;
		tally->wrong += header->flags != 0;
		tally_event(tally, buf + sizeof(*header));
		buf += sizeof(struct iommu_vevent_arm_smmuv3);
		len -= sizeof(struct iommu_vevent_arm_smmuv3);
	}
	tally->wrong += len != 0;
}

/* A thread that reads until it is told to end */
struct consumer {
	struct fake_viommu *fake;
	struct task_struct *task;
	u64 most;	/* records there can be */
	bool slow;
	struct tally tally;
	struct big_record buf[64];
};

static int consumer_thread(void *data)
{
	struct consumer *consumer = data;
	size_t room = sizeof(consumer->buf);
	ssize_t rc;

	allow_signal(SIGUSR1);
	for (;;) {
		/* Any size of at least one record */
		if (!consumer->slow)
			room = sizeof(consumer->buf[0]) +
			       consumer->tally.nr_reads * 12 % 500;
		rc = read_kernel(consumer->fake->filep, consumer->buf, room, 0);
		if (rc <= 0)
			break;
		/* Nobody else takes any, so nothing was taken that did not count */
		if (queued_now(consumer->fake->eventq) >
		    consumer->most)
			consumer->tally.wrong++;
		tally_records(&consumer->tally, consumer->buf, rc);
		if (consumer->slow)
			schedule_timeout_uninterruptible(1);
	}
	consumer->tally.wrong += rc != -ERESTARTSYS;
	return end_thread();
}

static struct consumer *consumer_start(struct kunit *test,
				       struct fake_viommu *fake, bool slow)
{
	struct consumer *consumer =
		kunit_kzalloc(test, sizeof(*consumer), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, consumer);
	consumer->fake = fake;
	consumer->slow = slow;
	/* A LOST header can come behind the events */
	consumer->most = fake_fdinfo(test, fake->eventq, "depth") + 1;
	consumer->tally.next = fake_next_sequence(test, fake);
	consumer->task = thread_start(test, consumer_thread, consumer);
	return consumer;
}

/* Nobody reports any more; what is left is read, unless a wake-up was lost */
static void consumer_stop(struct kunit *test, struct consumer *consumer)
{
	unsigned long end = jiffies + DEADLINE;

	while (queued_now(consumer->fake->eventq) &&
	       !time_after(jiffies, end))
		schedule_timeout_uninterruptible(1);
	thread_stop(consumer->task);
	KUNIT_EXPECT_EQ(test, queued_now(consumer->fake->eventq), 0);
}

/* All that was taken was read or lost, as the reader and the queue count it */
static void expect_balance(struct kunit *test, struct fake_viommu *fake,
			   const struct tally *tally, u32 start, u64 taken)
{
	KUNIT_EXPECT_EQ(test, tally->wrong, 0);
	KUNIT_EXPECT_EQ(test, tally->got + tally->lost, taken);
	KUNIT_EXPECT_EQ(test, fake_nr_lost(test, fake), tally->lost);
	KUNIT_EXPECT_EQ(test, fake_next_sequence(test, fake),
			(start + taken) & INT_MAX);
	KUNIT_EXPECT_EQ(test, tally->next, (start + taken) & INT_MAX);
}

/* Races */

/*
 * What reporters can be sure of: between its making and its destruction, which
 * take a while, there is a queue, else there is none.
 */
enum step { NO_QUEUE, MAKING, QUEUE, DESTROYING, NR_STEPS };

/* A thread that reports, on a CPU of its own if there is one */
struct reporter {
	struct fake_viommu *fake;
	struct task_struct *task;
	unsigned int who;
	u64 want;
	/* Counts steps of the test; see enum step */
	const unsigned int *step;

	/* @progress is woken when @nr_calls has reached @target */
	u64 nr_calls;
	u64 target;
	wait_queue_head_t progress;

	u64 taken;
	u64 refused;
	u64 wrong;
};

/* Ways to report that wait for something would make a test slow */
static void report_some_way(struct report *report, unsigned int nr)
{
	static void (*const fast[])(struct report *report) = {
		report_here,
		report_bh_disabled,
		report_under_lock,
#ifndef CONFIG_PREEMPT_RT
		report_preempt_disabled,
		report_irqs_disabled,
#endif
	};
	static void (*const slow[])(struct report *report) = {
		report_irq_work,
		report_bh_work,
		report_hrtimer,
		report_soft_hrtimer,
	};

	if (nr % 512 == 511)
		slow[nr / 512 % ARRAY_SIZE(slow)](report);
	else
		fast[nr % ARRAY_SIZE(fast)](report);
}

static void reporter_account(struct reporter *reporter, unsigned int step,
			     int rc)
{
	/* A lock of the report orders this behind any step that it saw */
	bool certain = READ_ONCE(*reporter->step) == step;

	if (rc == 0)
		reporter->taken++;
	else if (rc == -EOPNOTSUPP)
		reporter->refused++;
	else
		reporter->wrong++;

	if (certain && step % NR_STEPS == QUEUE)
		reporter->wrong += rc != 0;
	if (certain && step % NR_STEPS == NO_QUEUE)
		reporter->wrong += rc != -EOPNOTSUPP;
}

static int reporter_thread(void *data)
{
	struct reporter *reporter = data;
	struct report report = { .fake = reporter->fake };
	unsigned int step;
	u64 nr = 0;

	while (nr < reporter->want && !kthread_should_stop()) {
		/* Pairs with race_step(): we see what was done before it */
		step = smp_load_acquire(reporter->step);
		report.number = event_number(reporter->who, ++nr);
		report_some_way(&report, nr);
		reporter->wrong += report.changed_irqs;
		reporter_account(reporter, step, report.rc);

		WRITE_ONCE(reporter->nr_calls, nr);
		if (nr >= READ_ONCE(reporter->target) &&
		    wq_has_sleeper(&reporter->progress))
			wake_up(&reporter->progress);
		cond_resched();
	}
	return end_thread();
}

/* Let the reporter make some more reports, if it has that many to make */
static void reporter_await(struct reporter *reporter, u64 nr)
{
	u64 target = min(READ_ONCE(reporter->nr_calls) + nr, reporter->want);

	WRITE_ONCE(reporter->target, target);
	wait_event(reporter->progress,
		   READ_ONCE(reporter->nr_calls) >= target);
}

static struct reporter *reporter_start(struct kunit *test,
				       struct fake_viommu *fake,
				       const unsigned int *step,
				       unsigned int who, u64 want)
{
	struct reporter *reporter =
		kunit_kzalloc(test, sizeof(*reporter), GFP_KERNEL);
	unsigned int cpu;

	KUNIT_ASSERT_NOT_NULL(test, reporter);
	reporter->fake = fake;
	reporter->step = step;
	reporter->who = who;
	reporter->want = want;
	init_waitqueue_head(&reporter->progress);
	/* The first one on another CPU than the test, the second one here */
	cpu = raw_smp_processor_id();
	if (!who && num_online_cpus() > 1)
		cpu = cpumask_any_but(cpu_online_mask, cpu);
	reporter->task = kthread_run_on_cpu(reporter_thread, reporter, cpu,
					    "eventq-report/%u");
	KUNIT_ASSERT_FALSE(test, IS_ERR(reporter->task));
	return reporter;
}

/* As many as make the races likely, in a second or two of a debug kernel */
#define NR_RACE_REPORTS 40000
#define NR_RACE_ROUNDS 300

static void test_race_read(struct kunit *test)
{
	const u32 start = INT_MAX - NR_RACE_REPORTS;
	const unsigned int step = QUEUE;
	struct reporter *reporters[NR_REPORTERS];
	struct consumer *consumer;
	struct fake_viommu fake;
	unsigned int i;

	big_open(test, &fake, 5);
	fake_set_sequence(&fake, start);
	consumer = consumer_start(test, &fake, false);
	for (i = 0; i < NR_REPORTERS; i++)
		reporters[i] = reporter_start(test, &fake, &step, i,
					      NR_RACE_REPORTS);
	for (i = 0; i < NR_REPORTERS; i++) {
		reporter_await(reporters[i], NR_RACE_REPORTS);
		kthread_stop(reporters[i]->task);
		KUNIT_EXPECT_EQ(test, reporters[i]->taken, NR_RACE_REPORTS);
		KUNIT_EXPECT_EQ(test, reporters[i]->refused, 0);
		KUNIT_EXPECT_EQ(test, reporters[i]->wrong, 0);
	}
	consumer_stop(test, consumer);
	KUNIT_EXPECT_GT(test, consumer->tally.got, 0);
	expect_balance(test, &fake, &consumer->tally, start,
		       NR_REPORTERS * NR_RACE_REPORTS);
	fake_viommu_close(test, &fake);
}

/* A vIOMMU whose queue comes and goes while a reporter is at work */
struct race {
	struct fake_viommu fake;
	struct iommu_veventq_alloc cmd;
	struct iommufd_ucmd ucmd;
	unsigned int step;
	struct reporter *reporter;
	/* Of all queues there were */
	u64 nr_events;
	u64 got;
	u64 nr_lost;
	u64 wrong;
};

static void race_start(struct kunit *test, struct race *race)
{
	fake_viommu(test, &race->fake);
	race->ucmd = fake_ucmd(test, race->fake.ictx, &race->cmd,
			       sizeof(race->cmd));
	race->reporter = reporter_start(test, &race->fake, &race->step, 0,
					U64_MAX);
}

static void race_step(struct race *race, enum step step)
{
	unsigned int next = rounddown(race->step, NR_STEPS) + step;

	if (next < race->step)
		next += NR_STEPS;
	/* After what the step before was for; pairs with reporter_thread() */
	smp_store_release(&race->step, next);
}

static int race_alloc(struct race *race, u32 depth)
{
	race->cmd = fake_veventq_cmd(&race->fake,
				     IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, depth, 0);
	return fake_veventq_alloc(&race->fake, &race->ucmd);
}

static void race_make(struct kunit *test, struct race *race, u32 depth)
{
	race_step(race, MAKING);
	KUNIT_EXPECT_EQ(test, race_alloc(race, depth), 0);
	fake_viommu_take(&race->fake, &race->ucmd);
	race_step(race, QUEUE);
}

/*
 * As iommufd_object_remove() does, with a look at the numbers in between: they
 * are final only when no report can find the queue.
 */
static void race_destroy(struct kunit *test, struct race *race)
{
	struct iommufd_object *obj = &race->fake.eventq->obj;

	KUNIT_EXPECT_EQ(test, refcount_read(&obj->users), 1);
	race_step(race, DESTROYING);
	xa_erase(&race->fake.ictx->objects, obj->id);
	iommufd_veventq_destroy(obj);
	race_step(race, NO_QUEUE);
	race->nr_events += fake_next_sequence(test, &race->fake);
	race->nr_lost += fake_nr_lost(test, &race->fake);
	kfree(obj);
}

static void race_read(struct race *race, struct tally *tally)
{
	struct big_record buf[3];
	ssize_t rc;

	rc = read_kernel(race->fake.filep, buf, sizeof(buf), IOCB_NOWAIT);
	if (rc != -EAGAIN)
		tally_records(tally, buf, rc);
}

static void race_end(struct kunit *test, struct race *race)
{
	struct reporter *reporter = race->reporter;

	kthread_stop(reporter->task);
	KUNIT_EXPECT_EQ(test, reporter->wrong, 0);
	KUNIT_EXPECT_EQ(test, reporter->taken + reporter->refused,
			reporter->nr_calls);
	KUNIT_EXPECT_EQ(test, race->wrong, 0);
	fake_viommu_put(test, &race->fake);
}

static void race_expect_balance(struct kunit *test, struct race *race)
{
	KUNIT_EXPECT_EQ(test, race->nr_events, race->reporter->taken);
	KUNIT_EXPECT_EQ(test, race->got + race->nr_lost, race->nr_events);
}

static void test_race_alloc_destroy(struct kunit *test)
{
	struct race *race = kunit_kzalloc(test, sizeof(*race), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, race);
	race_start(test, race);
	for (i = 0; i < NR_RACE_ROUNDS; i++) {
		/* On a single CPU reports happen in the waits alone */
		if (i % 4 == 0)
			reporter_await(race->reporter, 1);
		race_make(test, race, 1 + i % 8);
		__fput_sync(race->fake.filep);
		if (i % 4 == 1)
			reporter_await(race->reporter, 1);
		race_destroy(test, race);
	}
	race_end(test, race);
	KUNIT_EXPECT_GT(test, race->reporter->taken, 0);
	KUNIT_EXPECT_GT(test, race->reporter->refused, 0);
	race_expect_balance(test, race);
}

static void test_race_close(struct kunit *test)
{
	struct race *race = kunit_kzalloc(test, sizeof(*race), GFP_KERNEL);
	struct tally tally;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, race);
	race_start(test, race);
	for (i = 0; i < NR_RACE_ROUNDS; i++) {
		tally = (struct tally){};
		race_make(test, race, 1 + i % 8);
		reporter_await(race->reporter, i % 16);
		race_read(race, &tally);
		race_read(race, &tally);
		if (i % 2)
			reporter_await(race->reporter, 1 + i % 8);
		__fput_sync(race->fake.filep);
		/* Nobody will read, and still all are taken and counted */
		reporter_await(race->reporter, i % 4);
		KUNIT_EXPECT_EQ(test, queued_now(race->fake.eventq),
				0);
		race_destroy(test, race);
		race->got += tally.got;
		race->wrong += tally.wrong;
	}
	race_end(test, race);
	KUNIT_EXPECT_GT(test, race->got, 0);
	race_expect_balance(test, race);
}

/*
 * A queue that reports can find already, and that is undone as its user has no
 * memory for the reply. What was reported to it meanwhile was taken, and is gone.
 */
static void test_race_failed_alloc(struct kunit *test)
{
	struct race *race = kunit_kzalloc(test, sizeof(*race), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, race);
	race_start(test, race);
	race->ucmd.ubuffer += PAGE_SIZE;
	for (i = 0; i < NR_RACE_ROUNDS; i++) {
		race_step(race, MAKING);
		KUNIT_EXPECT_EQ(test, race_alloc(race, 1 + i % 8), -EFAULT);
		race_step(race, NO_QUEUE);
		if (i % 8 == 0)
			reporter_await(race->reporter, 1);
	}
	race_end(test, race);
	KUNIT_EXPECT_GT(test, race->reporter->refused, 0);
}

/*
 * Holds a report up in its middle, where it wakes and has both locks, so that
 * what runs on another CPU can overtake it, unless it waits for the report.
 */
struct holdup {
	struct wait_queue_entry entry;
	bool inside;
	bool past;
	bool overtaken;
};

/* Some milliseconds, for what takes microseconds */
#define HOLDUP_SPINS 100000

static int holdup_func(struct wait_queue_entry *entry, unsigned int mode,
		       int sync, void *key)
{
	struct holdup *holdup = container_of(entry, struct holdup, entry);
	unsigned int i;

	WRITE_ONCE(holdup->inside, true);
	for (i = 0; i < HOLDUP_SPINS && !READ_ONCE(holdup->past); i++)
		cpu_relax();
	holdup->overtaken = READ_ONCE(holdup->past);
	return 0;
}

/* Do something while a report is held up; it has to wait for it */
static void check_waits_for_report(struct kunit *test, struct fake_viommu *fake,
				   void (*act)(struct fake_viommu *fake))
{
	const unsigned int step = QUEUE;
	unsigned long end = jiffies + DEADLINE;
	struct holdup holdup = {};
	struct reporter *reporter;

	init_waitqueue_func_entry(&holdup.entry, holdup_func);
	add_wait_queue(&fake->eventq->wait, &holdup.entry);
	reporter = reporter_start(test, fake, &step, 0, 1);
	while (!READ_ONCE(holdup.inside) && !time_after(jiffies, end))
		cond_resched();
	act(fake);
	WRITE_ONCE(holdup.past, true);

	reporter_await(reporter, 1);
	kthread_stop(reporter->task);
	remove_wait_queue(&fake->eventq->wait, &holdup.entry);
	KUNIT_EXPECT_TRUE(test, holdup.inside);
	KUNIT_EXPECT_FALSE(test, holdup.overtaken);
	KUNIT_EXPECT_EQ(test, reporter->taken, 1);
}

static void act_close(struct fake_viommu *fake)
{
	__fput_sync(fake->filep);
}

static void test_held_up_close(struct kunit *test)
{
	struct fake_viommu fake;

	big_open(test, &fake, 2);
	check_waits_for_report(test, &fake, act_close);
	KUNIT_EXPECT_EQ(test, queued_now(fake.eventq), 0);
	KUNIT_EXPECT_EQ(test, fake_nr_lost(test, &fake), 1);
	KUNIT_EXPECT_EQ(test,
			iommufd_object_remove(fake.ictx, NULL, fake.veventq_id,
					      0),
			0);
	fake_viommu_put(test, &fake);
}

/* The half that frees what reports use; the file lives on, for the wake-up */
static void act_destroy(struct fake_viommu *fake)
{
	xa_erase(&fake->ictx->objects, fake->veventq_id);
	iommufd_veventq_destroy(&fake->eventq->obj);
	fake_ring(fake)->slots = NULL;
}

static void test_held_up_destroy(struct kunit *test)
{
	struct fake_viommu fake;

	big_open(test, &fake, 2);
	check_waits_for_report(test, &fake, act_destroy);
	__fput_sync(fake.filep);
	kfree(fake.eventq);
	fake_viommu_put(test, &fake);
}

/* Storms */

/*
 * With KASAN and lockdep, on a busy emulated CPU, a report costs 13 microseconds,
 * and a million of them more time than all other tests; without, half a second.
 */
#ifdef CONFIG_KASAN
#define NR_STORM 400000
#else
#define NR_STORM 1000000
#endif

#define STORM_START ((u32)(INT_MAX - NR_STORM / 2))
#define STORM_DEPTH 64

static void storm_open(struct kunit *test, struct fake_viommu *fake)
{
	big_open(test, fake, STORM_DEPTH);
	fake_set_sequence(fake, STORM_START);
}

/* Number of reports of a storm that were not taken */
static unsigned int storm(struct fake_viommu *fake)
{
	struct report report = { .fake = fake };
	unsigned int failed = 0;
	unsigned int i;

	for (i = 1; i <= NR_STORM; i++) {
		report.number = event_number(0, i);
		report_here(&report);
		failed += report.rc != 0;
		if (i % 64 == 0)
			cond_resched();
	}
	return failed;
}

static void test_storm_slow_reader(struct kunit *test)
{
	struct consumer *consumer;
	struct fake_viommu fake;
	struct witness witness;
	struct tally *tally;

	storm_open(test, &fake);
	witness_start(&witness, &fake);
	consumer = consumer_start(test, &fake, true);
	tally = &consumer->tally;
	KUNIT_EXPECT_EQ(test, storm(&fake), 0);
	consumer_stop(test, consumer);
	witness_stop(&witness);

	expect_balance(test, &fake, tally, STORM_START, NR_STORM);
	/* One for each event that was stored */
	KUNIT_EXPECT_GE(test, witness.nr, tally->got);
	/*
	 * And one for each LOST header behind them, and for each read that ends
	 * with room left, but not for a record; none for each lost event.
	 */
	KUNIT_EXPECT_LE(test, witness.nr,
			2 * tally->got + tally->nr_reads + 1);
	fake_viommu_close(test, &fake);
}

static void test_storm_no_reader(struct kunit *test)
{
	struct tally tally = { .next = STORM_START };
	struct fake_viommu fake;
	struct witness witness;
	struct big_record *buf;
	ssize_t rc;

	buf = kunit_kzalloc(test, (STORM_DEPTH + 1) * sizeof(*buf), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, buf);
	storm_open(test, &fake);
	witness_start(&witness, &fake);
	KUNIT_EXPECT_EQ(test, storm(&fake), 0);
	/* One for each event that is stored, one for the LOST header */
	KUNIT_EXPECT_EQ(test, witness.nr, STORM_DEPTH + 1);
	KUNIT_EXPECT_EQ(test, queued_now(fake.eventq),
			STORM_DEPTH + 1);

	rc = read_kernel(fake.filep, buf, (STORM_DEPTH + 1) * sizeof(*buf), 0);
	KUNIT_EXPECT_EQ(test, rc,
			STORM_DEPTH * sizeof(*buf) + sizeof(buf->header));
	tally_records(&tally, buf, rc);
	KUNIT_EXPECT_EQ(test, tally.got, STORM_DEPTH);
	expect_balance(test, &fake, &tally, STORM_START, NR_STORM);
	witness_stop(&witness);
	fake_viommu_close(test, &fake);
}

static void test_storm_closed(struct kunit *test)
{
	struct fake_viommu fake;
	struct witness witness;
	struct report report = { .fake = &fake };
	const unsigned int before = 10;
	unsigned int i;

	storm_open(test, &fake);
	for (i = 0; i < before; i++)
		report_here(&report);
	__fput_sync(fake.filep);
	witness_start(&witness, &fake);
	KUNIT_EXPECT_EQ(test, storm(&fake), 0);
	witness_stop(&witness);

	KUNIT_EXPECT_EQ(test, witness.nr, 0);
	KUNIT_EXPECT_EQ(test, queued_now(fake.eventq), 0);
	KUNIT_EXPECT_EQ(test, fake_nr_lost(test, &fake), before + NR_STORM);
	KUNIT_EXPECT_EQ(test, fake_next_sequence(test, &fake),
			(STORM_START + before + NR_STORM) & INT_MAX);
	KUNIT_EXPECT_EQ(test,
			iommufd_object_remove(fake.ictx, NULL, fake.veventq_id,
					      0),
			0);
	fake_viommu_put(test, &fake);
}

static struct kunit_case race_cases[] = {
	KUNIT_CASE_SLOW(test_race_read),
	KUNIT_CASE_SLOW(test_race_alloc_destroy),
	KUNIT_CASE_SLOW(test_race_close),
	KUNIT_CASE_SLOW(test_race_failed_alloc),
	KUNIT_CASE(test_held_up_close),
	KUNIT_CASE(test_held_up_destroy),
	KUNIT_CASE_SLOW(test_storm_slow_reader),
	KUNIT_CASE_SLOW(test_storm_no_reader),
	KUNIT_CASE_SLOW(test_storm_closed),
	{}
};

static struct kunit_suite race_suite = {
	.name = "iommufd_eventq_race",
	.test_cases = race_cases,
};

kunit_test_suite(race_suite);
