// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the event queue core, through a queue class that exists for
 * that alone, and of I/O page faults where user space cannot reach: a device
 * made of nothing, cookies that wrap. The vIOMMU class has files of its own,
 * eventq_test_*.c. The rest of what the queues do is tested through the uAPI, by
 * tools/testing/selftests/iommu/iommufd_eventq*.c.
 *
 * The toy class is a ring of numbers, read as u64 each. A response is the next
 * number in turn. It shows how little a class has to bring.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/sched/signal.h>
#include <linux/wait_bit.h>

#include "eventq_test.h"

#define TOY_DEPTH 8

/* What is not there by then never comes. In jiffies, for a busy machine. */
#define DEADLINE (20 * HZ)

struct toy_eventq {
	struct iommufd_eventq common;
	u64 ring[TOY_DEPTH];
	unsigned int head;
	unsigned int nr_lost;
	u64 responded;
	unsigned int nr_closed;
};

static struct toy_eventq *to_toy(struct iommufd_eventq *eventq)
{
	return container_of(eventq, struct toy_eventq, common);
}

static int toy_stage(struct iommufd_eventq *eventq, size_t room,
		     const void **chunk)
{
	struct toy_eventq *toy = to_toy(eventq);
	unsigned int at = toy->head % TOY_DEPTH;
	size_t nr;

	guard(spinlock_irq)(&eventq->wait.lock);
	if (!eventq->queued)
		return 0;
	nr = min3((size_t)eventq->queued, (size_t)TOY_DEPTH - at,
		  room / sizeof(u64));
	*chunk = &toy->ring[at];
	return nr ? (int)(nr * sizeof(u64)) : -EINVAL;
}

static size_t toy_settle(struct iommufd_eventq *eventq, const void *chunk,
			 size_t copied)
{
	struct toy_eventq *toy = to_toy(eventq);
	unsigned int nr = copied / sizeof(u64);

	guard(spinlock_irq)(&eventq->wait.lock);
	toy->head += nr;
	iommufd_eventq_remove(eventq, nr, nr * sizeof(u64));
	return nr * sizeof(u64);
}

static int toy_respond(struct iommufd_eventq *eventq, const void *response)
{
	u64 number = *(const u64 *)response;

	if (number != to_toy(eventq)->responded + 1)
		return -EINVAL;
	to_toy(eventq)->responded = number;
	return 0;
}

static void toy_close(struct iommufd_eventq *eventq)
{
	to_toy(eventq)->nr_closed++;
}

static const struct iommufd_eventq_ops toy_ops = {
	.file_name = "[iommufd-toy]",
	.class = "toy",
	.response_size = sizeof(u64),
	.stage = toy_stage,
	.settle = toy_settle,
	.respond = toy_respond,
	.close = toy_close,
};

/* A class whose queue is read only and wants a minimum */
static const struct iommufd_eventq_ops toy_mute_ops = {
	.file_name = "[iommufd-toy]",
	.class = "toy",
	.min_read = sizeof(u64),
	.stage = toy_stage,
	.settle = toy_settle,
	.close = toy_close,
};

static void toy_report(struct toy_eventq *toy, u64 number)
{
	unsigned long flags;

	spin_lock_irqsave(&toy->common.wait.lock, flags);
	if (toy->common.closed || toy->common.queued == TOY_DEPTH) {
		toy->nr_lost++;
	} else {
		toy->ring[(toy->head + toy->common.queued) % TOY_DEPTH] = number;
		iommufd_eventq_add(&toy->common, sizeof(number));
	}
	spin_unlock_irqrestore(&toy->common.wait.lock, flags);
}

static struct file *toy_open(struct kunit *test, struct toy_eventq *toy,
			     const struct iommufd_eventq_ops *ops, u32 flags)
{
	struct iommufd_ctx *ictx = fake_ctx(test);
	u64 reply = 0;
	struct iommufd_ucmd ucmd =
		fake_ucmd(test, ictx, &reply, sizeof(reply));
	u32 fd;

	test->priv = ictx;
	memset(toy, 0, sizeof(*toy));
	refcount_set(&toy->common.obj.users, 1);
	iommufd_eventq_setup(&toy->common, ops, flags);
	KUNIT_ASSERT_EQ(test,
			iommufd_eventq_publish(&toy->common, &ucmd, &fd,
					       sizeof(reply)),
			0);
	return take_file(&toy->common, fd);
}

static void toy_done(struct kunit *test, struct toy_eventq *toy,
		     struct file *filep)
{
	KUNIT_EXPECT_EQ(test, toy->nr_closed, 0);
	/* Ours is the last one, or else the test leaks it and says so below */
	__fput_sync(filep);
	KUNIT_EXPECT_EQ(test, toy->nr_closed, 1);
	KUNIT_EXPECT_EQ(test, refcount_read(&toy->common.obj.users), 1);
	fake_ctx_put(test, test->priv);
}

static ssize_t write_kernel(struct file *filep, void *buf, size_t len)
{
	struct kvec vec = { .iov_base = buf, .iov_len = len };
	struct iov_iter iter;
	struct kiocb kiocb;

	init_sync_kiocb(&kiocb, filep);
	iov_iter_kvec(&iter, ITER_SOURCE, &vec, 1, len);
	return filep->f_op->write_iter(&kiocb, &iter);
}

/* Responses to a toy queue, each of which is good after the one before it */
static u64 *responses_from_1(struct kunit *test, unsigned int nr)
{
	u64 *responses = kunit_kcalloc(test, nr, sizeof(u64), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, responses);
	for (i = 0; i < nr; i++)
		responses[i] = i + 1;
	return responses;
}

static void test_order_and_batches(struct kunit *test)
{
	struct toy_eventq *toy = kunit_kzalloc(test, sizeof(*toy), GFP_KERNEL);
	struct file *filep = toy_open(test, toy, &toy_ops, 0);
	u64 buf[TOY_DEPTH + 1];
	u64 next = 0;
	u64 seen = 0;
	unsigned int round, i;
	ssize_t rc;

	/* Batches of all sizes, at all places of the ring */
	for (round = 0; round < 5 * TOY_DEPTH; round++) {
		while (toy->common.queued < TOY_DEPTH - round % 3)
			toy_report(toy, next++);
		rc = read_kernel(filep, buf, (1 + round % TOY_DEPTH) * 8, 0);
		KUNIT_ASSERT_GT(test, rc, 0);
		KUNIT_EXPECT_EQ(test, rc,
				8 * min(1 + round % TOY_DEPTH,
					TOY_DEPTH - round % 3));
		for (i = 0; i < rc / 8; i++)
			KUNIT_EXPECT_EQ(test, buf[i], seen++);
		KUNIT_EXPECT_EQ(test, toy->common.bytes, 8 * (next - seen));
	}
	/* A larger buffer than there are records takes them across the wrap */
	rc = read_kernel(filep, buf, sizeof(buf), 0);
	for (i = 0; i < rc / 8; i++)
		KUNIT_EXPECT_EQ(test, buf[i], seen++);
	KUNIT_EXPECT_EQ(test, seen, next);
	toy_done(test, toy, filep);
}

static void test_too_small_buffer(struct kunit *test)
{
	struct toy_eventq *toy = kunit_kzalloc(test, sizeof(*toy), GFP_KERNEL);
	struct file *filep = toy_open(test, toy, &toy_ops, 0);
	u64 buf[2];

	KUNIT_EXPECT_EQ(test, read_kernel(filep, buf, 7, 0), 0);
	toy_report(toy, 1);
	KUNIT_EXPECT_EQ(test, read_kernel(filep, buf, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, read_kernel(filep, buf, 7, 0), -EINVAL);
	/* No multiple of the record is fine */
	KUNIT_EXPECT_EQ(test, read_kernel(filep, buf, 15, 0), 8);
	toy_done(test, toy, filep);

	filep = toy_open(test, toy, &toy_mute_ops, 0);
	KUNIT_EXPECT_EQ(test, read_kernel(filep, buf, 0, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, read_kernel(filep, buf, 7, IOCB_NOWAIT), -EINVAL);
	KUNIT_EXPECT_EQ(test, read_kernel(filep, buf, 8, IOCB_NOWAIT), -EAGAIN);
	toy_done(test, toy, filep);
}

static void test_failing_copy(struct kunit *test)
{
	struct toy_eventq *toy = kunit_kzalloc(test, sizeof(*toy), GFP_KERNEL);
	struct file *filep = toy_open(test, toy, &toy_ops, 0);
	unsigned long end = user_page_end(test);
	struct wait_queue_entry entry;
	unsigned int wakeups = 0;
	u64 buf[3];
	u64 i;

	for (i = 1; i <= 3; i++)
		toy_report(toy, i);
	init_waitqueue_func_entry(&entry, count_wakeup);
	entry.private = &wakeups;
	add_wait_queue(&toy->common.wait, &entry);

	/* The first record fails, at its first byte or inside */
	KUNIT_EXPECT_EQ(test, read_user(filep, end, 24), -EFAULT);
	KUNIT_EXPECT_EQ(test, read_user(filep, end - 4, 24), -EFAULT);
	KUNIT_EXPECT_EQ(test, toy->common.queued, 3);
	KUNIT_EXPECT_EQ(test, wakeups, 2);
	/* A later one does */
	KUNIT_EXPECT_EQ(test, read_user(filep, end - 8, 24), 8);
	KUNIT_EXPECT_EQ(test, wakeups, 3);
	/* Nothing is lost and the order kept */
	KUNIT_EXPECT_EQ(test, read_kernel(filep, buf, sizeof(buf), 0), 16);
	KUNIT_EXPECT_EQ(test, buf[0], 2);
	KUNIT_EXPECT_EQ(test, buf[1], 3);

	remove_wait_queue(&toy->common.wait, &entry);
	toy_done(test, toy, filep);
}

/* Whoever stops reading with records left wakes the others */
static void test_short_read_wakes(struct kunit *test)
{
	struct toy_eventq *toy = kunit_kzalloc(test, sizeof(*toy), GFP_KERNEL);
	struct file *filep = toy_open(test, toy, &toy_ops, 0);
	struct wait_queue_entry entry;
	unsigned int wakeups = 0;
	u64 buf[3];
	u64 i;

	for (i = 1; i <= 3; i++)
		toy_report(toy, i);
	init_waitqueue_func_entry(&entry, count_wakeup);
	entry.private = &wakeups;
	add_wait_queue(&toy->common.wait, &entry);

	KUNIT_EXPECT_EQ(test, read_kernel(filep, buf, 8, 0), 8);
	KUNIT_EXPECT_EQ(test, wakeups, 1);
	KUNIT_EXPECT_EQ(test, read_kernel(filep, buf, 12, 0), 8);
	KUNIT_EXPECT_EQ(test, wakeups, 2);
	/* Also if nothing fits: others may have more room */
	KUNIT_EXPECT_EQ(test, read_kernel(filep, buf, 7, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, wakeups, 3);
	KUNIT_EXPECT_EQ(test, read_kernel(filep, buf, 12, 0), 8);
	KUNIT_EXPECT_EQ(test, wakeups, 3);

	remove_wait_queue(&toy->common.wait, &entry);
	toy_done(test, toy, filep);
}

/* What a read of an empty queue returns, in the order of the rules */
static void test_empty_rules(struct kunit *test)
{
	struct toy_eventq *toy = kunit_kzalloc(test, sizeof(*toy), GFP_KERNEL);
	struct file *filep = toy_open(test, toy, &toy_ops, 0);
	u64 buf;

	KUNIT_EXPECT_EQ(test, read_kernel(filep, &buf, 8, 0), 0);
	KUNIT_EXPECT_EQ(test, read_kernel(filep, &buf, 8, IOCB_NOWAIT), -EAGAIN);
	filep->f_flags |= O_NONBLOCK;
	KUNIT_EXPECT_EQ(test, read_kernel(filep, &buf, 8, 0), -EAGAIN);
	toy_done(test, toy, filep);

	filep = toy_open(test, toy, &toy_ops, IOMMU_EVENTQ_ALLOC_WAIT_READ);
	KUNIT_EXPECT_EQ(test, read_kernel(filep, &buf, 8, IOCB_NOWAIT), -EAGAIN);
	filep->f_flags |= O_NONBLOCK;
	KUNIT_EXPECT_EQ(test, read_kernel(filep, &buf, 8, 0), -EAGAIN);
	/* Also for who could wait otherwise, as with eventfd and pipes */
	KUNIT_EXPECT_EQ(test, read_async(filep, &buf, 8), -EAGAIN);
	toy_done(test, toy, filep);
}

/* A signal that is pending lets a read return the batch that it has */
static void test_signal_ends_a_long_read(struct kunit *test)
{
	struct toy_eventq *toy = kunit_kzalloc(test, sizeof(*toy), GFP_KERNEL);
	struct file *filep = toy_open(test, toy, &toy_ops, 0);
	u64 buf[TOY_DEPTH];
	u64 i;

	/* Two batches: the second one begins at the wrap of the ring */
	for (i = 1; i <= 3; i++)
		toy_report(toy, i);
	KUNIT_EXPECT_EQ(test, read_kernel(filep, buf, sizeof(buf), 0), 3 * 8);
	for (; i <= 3 + TOY_DEPTH; i++)
		toy_report(toy, i);
	allow_signal(SIGUSR1);
	send_sig(SIGUSR1, current, 1);
	KUNIT_EXPECT_EQ(test, read_kernel(filep, buf, sizeof(buf), 0),
			(TOY_DEPTH - 3) * 8);
	flush_signals(current);
	disallow_signal(SIGUSR1);
	KUNIT_EXPECT_EQ(test, read_kernel(filep, buf, sizeof(buf), 0), 3 * 8);
	KUNIT_EXPECT_EQ(test, buf[2], 3 + TOY_DEPTH);
	toy_done(test, toy, filep);
}

/* Not a write, which is short only if a response is bad */
static void test_signal_ends_no_write(struct kunit *test)
{
	struct toy_eventq *toy = kunit_kzalloc(test, sizeof(*toy), GFP_KERNEL);
	struct file *filep = toy_open(test, toy, &toy_ops, 0);
	u64 *buf = responses_from_1(test, 100);

	allow_signal(SIGUSR1);
	send_sig(SIGUSR1, current, 1);
	KUNIT_EXPECT_EQ(test, write_kernel(filep, buf, 100 * 8), 100 * 8);
	flush_signals(current);
	disallow_signal(SIGUSR1);
	/* But for a signal that nobody survives */
	allow_signal(SIGKILL);
	send_sig(SIGKILL, current, 1);
	toy->responded = 0;
	KUNIT_EXPECT_LT(test, write_kernel(filep, buf, 100 * 8), 100 * 8);
	flush_signals(current);
	disallow_signal(SIGKILL);
	toy_done(test, toy, filep);
}

static void test_fionread(struct kunit *test)
{
	struct toy_eventq *toy = kunit_kzalloc(test, sizeof(*toy), GFP_KERNEL);
	struct file *filep = toy_open(test, toy, &toy_ops, 0);
	unsigned long uaddr = user_page_end(test) - sizeof(int);
	int __user *value = (int __user *)uaddr;
	u64 buf[2];
	int bytes;

	KUNIT_EXPECT_EQ(test, do_ioctl(filep, FIONREAD, uaddr), 0);
	KUNIT_EXPECT_EQ(test, get_user(bytes, value), 0);
	KUNIT_EXPECT_EQ(test, bytes, 0);
	toy_report(toy, 1);
	toy_report(toy, 2);
	KUNIT_EXPECT_EQ(test, do_ioctl(filep, FIONREAD, uaddr), 0);
	KUNIT_EXPECT_EQ(test, get_user(bytes, value), 0);
	KUNIT_EXPECT_EQ(test, bytes, 16);
	/* At most what an int holds */
	spin_lock_irq(&toy->common.wait.lock);
	toy->common.bytes += INT_MAX;
	spin_unlock_irq(&toy->common.wait.lock);
	KUNIT_EXPECT_EQ(test, do_ioctl(filep, FIONREAD, uaddr), 0);
	KUNIT_EXPECT_EQ(test, get_user(bytes, value), 0);
	KUNIT_EXPECT_EQ(test, bytes, INT_MAX);
	spin_lock_irq(&toy->common.wait.lock);
	toy->common.bytes -= INT_MAX;
	spin_unlock_irq(&toy->common.wait.lock);

	KUNIT_EXPECT_EQ(test, do_ioctl(filep, FIONREAD, uaddr + 4), -EFAULT);
	KUNIT_EXPECT_EQ(test, do_ioctl(filep, FIONBIO + 1, uaddr), -ENOTTY);
	KUNIT_EXPECT_EQ(test, read_kernel(filep, buf, sizeof(buf), 0), 16);
	toy_done(test, toy, filep);
}

struct reader {
	struct file *filep;
	bool async;
	unsigned int want;
	struct completion *started;
	u64 last;
	unsigned int nr;
	bool disorder;
	ssize_t rc;
};

/* Read records one by one until enough were read or the read fails */
static int reader_thread(void *data)
{
	struct reader *reader = data;
	struct kvec vec;
	struct iov_iter iter;
	u64 buf;

	allow_signal(SIGUSR1);
	if (reader->started)
		complete(reader->started);
	while (reader->nr < reader->want) {
		vec = (struct kvec){ .iov_base = &buf, .iov_len = 8 };
		iov_iter_kvec(&iter, ITER_DEST, &vec, 1, 8);
		reader->rc = do_read(reader->filep, &iter, 0, reader->async);
		if (reader->rc != 8)
			break;
		reader->disorder |= reader->nr && buf <= reader->last;
		reader->last = buf;
		reader->nr++;
	}
	/* For kthread_stop() to find us */
	while (!kthread_should_stop())
		schedule_timeout_uninterruptible(1);
	return 0;
}

static struct task_struct *reader_start(struct kunit *test,
					struct reader *reader)
{
	DECLARE_COMPLETION_ONSTACK(started);
	struct task_struct *task;

	reader->started = &started;
	task = kthread_create(reader_thread, reader, "eventq-reader");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	get_task_struct(task);
	wake_up_process(task);
	wait_for_completion(&started);
	return task;
}

static bool wait_until(struct toy_eventq *toy, bool asleep)
{
	unsigned int i;

	for (i = 0; i < 500; i++) {
		/* A look at what others do; nothing is decided by it */
		if (waitqueue_active(&toy->common.wait) == asleep)
			return true;
		schedule_timeout_uninterruptible(1);
	}
	return false;
}

static void reader_stop(struct task_struct *task)
{
	kthread_stop(task);
	put_task_struct(task);
}

static void check_waiting(struct kunit *test, u32 flags, bool async)
{
	struct toy_eventq *toy = kunit_kzalloc(test, sizeof(*toy), GFP_KERNEL);
	struct file *filep = toy_open(test, toy, &toy_ops, flags);
	struct reader reader = { .filep = filep, .async = async, .want = 1 };
	struct task_struct *task;

	/* A record ends the wait */
	task = reader_start(test, &reader);
	KUNIT_EXPECT_TRUE(test, wait_until(toy, true));
	toy_report(toy, 7);
	KUNIT_EXPECT_TRUE(test, wait_until(toy, false));
	reader_stop(task);
	KUNIT_EXPECT_EQ(test, reader.rc, 8);
	KUNIT_EXPECT_EQ(test, reader.last, 7);

	/* So does a signal, and takes nothing */
	reader.want = 2;
	task = reader_start(test, &reader);
	KUNIT_EXPECT_TRUE(test, wait_until(toy, true));
	send_sig(SIGUSR1, task, 1);
	KUNIT_EXPECT_TRUE(test, wait_until(toy, false));
	reader_stop(task);
	KUNIT_EXPECT_EQ(test, reader.rc, -ERESTARTSYS);
	KUNIT_EXPECT_EQ(test, reader.nr, 1);
	toy_done(test, toy, filep);
}

static void test_waiting_read(struct kunit *test)
{
	check_waiting(test, IOMMU_EVENTQ_ALLOC_WAIT_READ, false);
}

static void test_waiting_async(struct kunit *test)
{
	check_waiting(test, 0, true);
}

/* A waiting read waits for the first record and for no second one */
static void test_waiting_takes_what_is_there(struct kunit *test)
{
	struct toy_eventq *toy = kunit_kzalloc(test, sizeof(*toy), GFP_KERNEL);
	struct file *filep =
		toy_open(test, toy, &toy_ops, IOMMU_EVENTQ_ALLOC_WAIT_READ);
	u64 buf[4];

	toy_report(toy, 1);
	toy_report(toy, 2);
	KUNIT_EXPECT_EQ(test, read_kernel(filep, buf, sizeof(buf), 0), 16);
	toy_done(test, toy, filep);
}

static void test_two_readers(struct kunit *test)
{
	struct toy_eventq *toy = kunit_kzalloc(test, sizeof(*toy), GFP_KERNEL);
	struct file *filep =
		toy_open(test, toy, &toy_ops, IOMMU_EVENTQ_ALLOC_WAIT_READ);
	struct reader readers[2] = {};
	struct task_struct *tasks[2];
	const u64 total = 500;
	unsigned int i;
	u64 next = 1;

	for (i = 0; i < 2; i++) {
		readers[i].filep = filep;
		readers[i].want = total;
		tasks[i] = reader_start(test, &readers[i]);
	}
	while (next <= total) {
		if (queued_now(&toy->common) < TOY_DEPTH)
			toy_report(toy, next++);
		else
			cond_resched();
	}
	for (i = 0; i < 500 && READ_ONCE(toy->common.queued); i++)
		schedule_timeout_uninterruptible(1);
	for (i = 0; i < 2; i++) {
		send_sig(SIGUSR1, tasks[i], 1);
		reader_stop(tasks[i]);
		KUNIT_EXPECT_FALSE(test, readers[i].disorder);
	}
	KUNIT_EXPECT_EQ(test, toy->nr_lost, 0);
	KUNIT_EXPECT_EQ(test, readers[0].nr + readers[1].nr, total);
	toy_done(test, toy, filep);
}

/* A reader in place keeps others out, and tells them when it leaves records */
static void test_contended_reader(struct kunit *test)
{
	struct toy_eventq *toy = kunit_kzalloc(test, sizeof(*toy), GFP_KERNEL);
	struct file *filep = toy_open(test, toy, &toy_ops, 0);
	struct wait_queue_entry entry;
	unsigned int wakeups = 0;
	u64 buf[2];

	toy_report(toy, 1);
	toy_report(toy, 2);
	toy_report(toy, 3);
	init_waitqueue_func_entry(&entry, count_wakeup);
	entry.private = &wakeups;
	add_wait_queue(&toy->common.wait, &entry);

	mutex_lock(&toy->common.readers);
	KUNIT_EXPECT_EQ(test, read_kernel(filep, buf, 8, IOCB_NOWAIT), -EAGAIN);
	filep->f_flags |= O_NONBLOCK;
	KUNIT_EXPECT_EQ(test, read_kernel(filep, buf, 8, 0), -EAGAIN);
	mutex_unlock(&toy->common.readers);
	KUNIT_EXPECT_EQ(test, wakeups, 0);

	/* Not woken by themselves, but by the reader in place */
	KUNIT_EXPECT_EQ(test, read_kernel(filep, buf, 8, 0), 8);
	KUNIT_EXPECT_EQ(test, wakeups, 1);
	KUNIT_EXPECT_EQ(test, read_kernel(filep, buf, 16, 0), 16);
	KUNIT_EXPECT_EQ(test, wakeups, 1);

	remove_wait_queue(&toy->common.wait, &entry);
	toy_done(test, toy, filep);
}

static void test_responses(struct kunit *test)
{
	struct toy_eventq *toy = kunit_kzalloc(test, sizeof(*toy), GFP_KERNEL);
	struct file *filep = toy_open(test, toy, &toy_ops, 0);
	u64 *buf = responses_from_1(test, 100);

	KUNIT_EXPECT_EQ(test, write_kernel(filep, buf, 0), 0);
	KUNIT_EXPECT_EQ(test, write_kernel(filep, buf, 9), -EINVAL);
	KUNIT_EXPECT_EQ(test, toy->responded, 0);
	KUNIT_EXPECT_EQ(test, write_kernel(filep, buf, 80 * 8), 80 * 8);
	KUNIT_EXPECT_EQ(test, toy->responded, 80);
	/* The first one is bad, then a later one, in each place of a run */
	KUNIT_EXPECT_EQ(test, write_kernel(filep, buf, 8), -EINVAL);
	buf[90] = 1;
	KUNIT_EXPECT_EQ(test, write_kernel(filep, buf + 80, 20 * 8), 10 * 8);
	KUNIT_EXPECT_EQ(test, toy->responded, 90);
	toy_done(test, toy, filep);

	/* The VFS refuses to write to a file without it */
	filep = toy_open(test, toy, &toy_mute_ops, 0);
	KUNIT_EXPECT_NULL(test, filep->f_op->write_iter);
	toy_done(test, toy, filep);
}

static void test_poll(struct kunit *test)
{
	const u32 in = (__force u32)(EPOLLIN | EPOLLRDNORM);
	const u32 out = (__force u32)(EPOLLOUT | EPOLLWRNORM);
	struct toy_eventq *toy = kunit_kzalloc(test, sizeof(*toy), GFP_KERNEL);
	struct file *filep = toy_open(test, toy, &toy_ops, 0);
	u64 buf;

	KUNIT_EXPECT_EQ(test, poll_now(filep), out);
	toy_report(toy, 1);
	KUNIT_EXPECT_EQ(test, poll_now(filep), in | out);
	read_kernel(filep, &buf, 8, 0);
	KUNIT_EXPECT_EQ(test, poll_now(filep), out);
	toy_done(test, toy, filep);

	filep = toy_open(test, toy, &toy_mute_ops, 0);
	KUNIT_EXPECT_EQ(test, poll_now(filep), 0);
	toy_report(toy, 1);
	KUNIT_EXPECT_EQ(test, poll_now(filep), in);
	toy_done(test, toy, filep);
}

static void test_file_mode(struct kunit *test)
{
	struct toy_eventq *toy = kunit_kzalloc(test, sizeof(*toy), GFP_KERNEL);
	struct file *filep = toy_open(test, toy, &toy_ops, 0);
	struct kvec vec = {};
	struct iov_iter iter;
	struct kiocb kiocb;

	KUNIT_EXPECT_TRUE(test, filep->f_mode & FMODE_STREAM);
	KUNIT_EXPECT_TRUE(test, filep->f_mode & FMODE_NOWAIT);
	KUNIT_EXPECT_TRUE(test, filep->f_mode & FMODE_CAN_WRITE);
	KUNIT_EXPECT_FALSE(test,
			   filep->f_mode & (FMODE_LSEEK | FMODE_PREAD |
					    FMODE_PWRITE | FMODE_ATOMIC_POS));

	/* The way of io_uring with an offset */
	init_sync_kiocb(&kiocb, filep);
	kiocb.ki_pos = 8;
	iov_iter_kvec(&iter, ITER_DEST, &vec, 1, 0);
	KUNIT_EXPECT_EQ(test, filep->f_op->read_iter(&kiocb, &iter), -ESPIPE);
	iov_iter_kvec(&iter, ITER_SOURCE, &vec, 1, 0);
	KUNIT_EXPECT_EQ(test, filep->f_op->write_iter(&kiocb, &iter), -ESPIPE);
	toy_done(test, toy, filep);

	filep = toy_open(test, toy, &toy_mute_ops, 0);
	KUNIT_EXPECT_FALSE(test, filep->f_mode & FMODE_CAN_WRITE);
	toy_done(test, toy, filep);
}

static void test_last_close(struct kunit *test)
{
	struct toy_eventq *toy = kunit_kzalloc(test, sizeof(*toy), GFP_KERNEL);
	struct file *filep = toy_open(test, toy, &toy_ops, 0);

	toy_report(toy, 1);
	KUNIT_EXPECT_EQ(test, refcount_read(&toy->common.obj.users), 2);
	toy_done(test, toy, filep);
	KUNIT_EXPECT_TRUE(test, toy->common.closed);
	toy_report(toy, 2);
	KUNIT_EXPECT_EQ(test, toy->nr_lost, 1);
}

/* The reply cannot be copied out: the file was made, and is undone */
static int closer_thread(void *data)
{
	__fput_sync(data);
	while (!kthread_should_stop())
		schedule_timeout_uninterruptible(1);
	return 0;
}

/*
 * Who holds the queue lock has a queue that stays open, or closed. On a single
 * CPU there is nobody to close it meanwhile.
 */
static void test_close_takes_the_lock(struct kunit *test)
{
	struct toy_eventq *toy = kunit_kzalloc(test, sizeof(*toy), GFP_KERNEL);
	struct file *filep = toy_open(test, toy, &toy_ops, 0);
	struct task_struct *task;
	unsigned long end;
	unsigned int i;
	bool closed;

	task = kthread_create(closer_thread, filep, "eventq-close");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	migrate_disable();
	if (num_online_cpus() > 1)
		kthread_bind(task, cpumask_any_but(cpu_online_mask,
						   smp_processor_id()));
	spin_lock_irq(&toy->common.wait.lock);
	wake_up_process(task);
	for (i = 0; i < 20 && !READ_ONCE(toy->common.closed); i++)
		mdelay(1);
	closed = toy->common.closed;
	spin_unlock_irq(&toy->common.wait.lock);
	migrate_enable();
	KUNIT_EXPECT_FALSE(test, closed);

	end = jiffies + DEADLINE;
	while (refcount_read(&toy->common.obj.users) > 1 &&
	       !time_after(jiffies, end))
		schedule_timeout_uninterruptible(1);
	kthread_stop(task);
	KUNIT_EXPECT_EQ(test, toy->nr_closed, 1);
	KUNIT_EXPECT_EQ(test, refcount_read(&toy->common.obj.users), 1);
	fake_ctx_put(test, test->priv);
}

static void test_failed_publish(struct kunit *test)
{
	struct toy_eventq *toy = kunit_kzalloc(test, sizeof(*toy), GFP_KERNEL);
	u64 reply[2] = {};
	struct iommufd_ucmd ucmd =
		fake_ucmd(test, fake_ctx(test), reply, sizeof(reply));
	u32 fd;
	int free_fd;

	/* Half of the reply does not fit into the page */
	ucmd.ubuffer += PAGE_SIZE - 8;
	test->priv = ucmd.ictx;
	refcount_set(&toy->common.obj.users, 1);
	iommufd_eventq_setup(&toy->common, &toy_ops, 0);

	KUNIT_EXPECT_EQ(test,
			iommufd_eventq_publish(&toy->common, &ucmd, &fd, 16),
			-EFAULT);
	/* The descriptor is free again; the file is for the object core to put */
	free_fd = get_unused_fd_flags(0);
	KUNIT_EXPECT_EQ(test, free_fd, fd);
	put_unused_fd(free_fd);
	KUNIT_ASSERT_NOT_NULL(test, toy->common.filep);
	KUNIT_EXPECT_EQ(test, file_count(toy->common.filep), 1);
	toy_done(test, toy, toy->common.filep);
}

/* A device that faults, attached to a domain with a real fault queue */
struct fake_faulter {
	struct iommufd_ctx *ictx;
	struct iommufd_eventq *eventq;
	struct file *filep;
	u32 fault_id;

	struct device dev;
	struct dev_iommu dev_iommu;
	struct iommu_device iommu_dev;
	struct iommu_fault_param param;
	unsigned int nr_responses[IOMMU_PAGE_RESP_FAILURE + 1];

	struct iommufd_hw_pagetable hwpt;
	struct iommu_domain domain;
	struct iommufd_attach_handle handle;

	/* A detach that is to begin in the middle of an answer */
	struct task_struct *detacher;
	struct completion detached;
	bool overtaken;
};

#define FAKE_DEV_ID 42

/* Have a detach overtake the answer, unless it waits. Some time is enough. */
static void fake_hold_up(struct fake_faulter *fake)
{
	wake_up_process(fake->detacher);
	fake->overtaken = wait_for_completion_timeout(&fake->detached, HZ / 4);
}

static void fake_page_response(struct device *dev, struct iopf_fault *evt,
			       struct iommu_page_response *msg)
{
	struct fake_faulter *fake = container_of(dev, struct fake_faulter, dev);

	fake->nr_responses[msg->code]++;
	if (fake->detacher)
		fake_hold_up(fake);
}

static const struct iommu_ops fake_iommu_ops = {
	.page_response = fake_page_response,
};

static struct fake_faulter *fake_faulter(struct kunit *test)
{
	struct fake_faulter *fake =
		kunit_kzalloc(test, sizeof(*fake), GFP_KERNEL);
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd) };
	struct iommufd_ucmd ucmd;

	KUNIT_ASSERT_NOT_NULL(test, fake);
	fake->ictx = fake_ctx(test);
	ucmd = fake_ucmd(test, fake->ictx, &cmd, sizeof(cmd));
	KUNIT_ASSERT_EQ(test, iommufd_faultq_alloc(&ucmd), 0);
	iommufd_object_finalize(fake->ictx, ucmd.new_obj);
	fake->eventq = container_of(ucmd.new_obj, struct iommufd_eventq, obj);
	fake->filep = take_file(fake->eventq, cmd.out_fault_fd);
	fake->fault_id = cmd.out_fault_id;

	fake->iommu_dev.ops = &fake_iommu_ops;
	fake->dev_iommu.iommu_dev = &fake->iommu_dev;
	fake->dev.iommu = &fake->dev_iommu;
	mutex_init(&fake->param.lock);
	refcount_set(&fake->param.users, 1);
	fake->param.dev = &fake->dev;
	INIT_LIST_HEAD(&fake->param.faults);

	fake->hwpt.faultq = fake->eventq;
	fake->domain.iommufd_hwpt = &fake->hwpt;
	fake->handle.handle.domain = &fake->domain;
	INIT_LIST_HEAD(&fake->handle.devices);
	KUNIT_ASSERT_EQ(test,
			iommufd_faultq_attach_device(&fake->hwpt, &fake->handle,
						     &fake->dev, FAKE_DEV_ID),
			0);
	return fake;
}

static struct iopf_group *fake_group(struct kunit *test,
				     struct fake_faulter *fake)
{
	struct iopf_group *group = kzalloc_obj(*group);

	KUNIT_ASSERT_NOT_NULL(test, group);
	INIT_LIST_HEAD(&group->faults);
	list_add(&group->pending_node, &fake->param.faults);
	list_add(&group->last_fault.list, &group->faults);
	group->last_fault.fault.prm.flags = IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE;
	group->fault_count = 1;
	group->attach_handle = &fake->handle.handle;
	group->fault_param = &fake->param;
	refcount_inc(&fake->param.users);
	return group;
}

/* What io-pgfault does with a group */
static int fake_handle(struct fake_faulter *fake, struct iopf_group *group)
{
	int rc;

	guard(mutex)(&fake->param.lock);
	rc = iommufd_faultq_report(group);
	if (rc) {
		list_del(&group->pending_node);
		fake->nr_responses[IOMMU_PAGE_RESP_INVALID]++;
		iopf_free_group(group);
	}
	return rc;
}

static void fake_fault(struct kunit *test, struct fake_faulter *fake)
{
	KUNIT_EXPECT_EQ(test, fake_handle(fake, fake_group(test, fake)), 0);
}

/* Read one fault and return its cookie, 0 if there is none */
static u32 fake_read(struct kunit *test, struct fake_faulter *fake)
{
	struct iommu_hwpt_pgfault fault = {};
	ssize_t rc = read_kernel(fake->filep, &fault, sizeof(fault), 0);

	if (rc != sizeof(fault))
		return 0;
	KUNIT_EXPECT_EQ(test, fault.dev_id, FAKE_DEV_ID);
	return fault.cookie;
}

static ssize_t fake_respond(struct fake_faulter *fake, u32 cookie)
{
	struct iommu_hwpt_page_response response = { .cookie = cookie };

	return write_kernel(fake->filep, &response, sizeof(response));
}

static void fake_faulter_close(struct kunit *test, struct fake_faulter *fake)
{
	struct iommufd_attach_device *device;

	__fput_sync(fake->filep);
	/* Every group was responded to and freed */
	KUNIT_EXPECT_EQ(test, refcount_read(&fake->param.users), 1);
	list_for_each_entry(device, &fake->handle.devices, node) {
		KUNIT_EXPECT_EQ(test, device->nr_responding, 0);
		/* The detach of a case that failed ends, too */
		device->nr_responding = 0;
	}
	iommufd_faultq_detach(&fake->hwpt, &fake->handle);
	KUNIT_EXPECT_TRUE(test, list_empty(&fake->handle.devices));
	KUNIT_EXPECT_EQ(test,
			iommufd_object_remove(fake->ictx, NULL, fake->fault_id,
					      0),
			0);
	fake_ctx_put(test, fake->ictx);
}

static void test_iopf_cookie_wrap(struct kunit *test)
{
	static const u32 expected[] = { U32_MAX - 1, U32_MAX, 1, 2 };
	struct fake_faulter *fake = fake_faulter(test);
	unsigned int i;

	iommufd_faultq_test_set_cookie(fake->eventq, U32_MAX - 2);
	for (i = 0; i < ARRAY_SIZE(expected); i++) {
		fake_fault(test, fake);
		KUNIT_EXPECT_EQ(test, fake_read(test, fake), expected[i]);
	}
	/* Neither 0 nor the cookie that is handed out next is anybody's */
	KUNIT_EXPECT_EQ(test, fake_respond(fake, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, fake_respond(fake, 3), -EINVAL);
	for (i = 0; i < ARRAY_SIZE(expected); i++)
		KUNIT_EXPECT_EQ(test, fake_respond(fake, expected[i]), 8);
	KUNIT_EXPECT_EQ(test, fake->nr_responses[IOMMU_PAGE_RESP_SUCCESS], 4);
	fake_faulter_close(test, fake);
}

/* A wrapped counter steps over cookies in use, however many there are */
static void test_iopf_cookie_in_use(struct kunit *test)
{
	struct fake_faulter *fake = fake_faulter(test);
	const unsigned int nr = 300;
	unsigned int i;

	iommufd_faultq_test_set_cookie(fake->eventq, U32_MAX);
	for (i = 1; i <= nr; i++) {
		fake_fault(test, fake);
		KUNIT_EXPECT_EQ(test, fake_read(test, fake), i);
	}
	iommufd_faultq_test_set_cookie(fake->eventq, U32_MAX);
	fake_fault(test, fake);
	KUNIT_EXPECT_EQ(test, fake_read(test, fake), nr + 1);
	for (i = 1; i <= nr + 1; i++)
		KUNIT_EXPECT_EQ(test, fake_respond(fake, i), 8);
	KUNIT_EXPECT_EQ(test, fake->nr_responses[IOMMU_PAGE_RESP_SUCCESS],
			nr + 1);
	fake_faulter_close(test, fake);
}

/* A cookie is found wherever it is in the tree */
static void test_iopf_responses_in_any_order(struct kunit *test)
{
	struct fake_faulter *fake = fake_faulter(test);
	const unsigned int nr = 200;
	unsigned int i;

	iommufd_faultq_test_set_cookie(fake->eventq, U32_MAX);
	for (i = 1; i <= nr; i++) {
		fake_fault(test, fake);
		KUNIT_EXPECT_EQ(test, fake_read(test, fake), i);
	}
	/* In no order, and each one but once */
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_EQ(test, fake_respond(fake, i * 67 % nr + 1), 8);
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_EQ(test, fake_respond(fake, i * 67 % nr + 1),
				-EINVAL);
	KUNIT_EXPECT_EQ(test, fake->nr_responses[IOMMU_PAGE_RESP_SUCCESS], nr);
	fake_faulter_close(test, fake);
}

/* Reads that fail spend no cookies: a loop of them would make these come again */
static void test_iopf_failed_read_keeps_cookie(struct kunit *test)
{
	const size_t size = 2 * sizeof(struct iommu_hwpt_pgfault);
	struct fake_faulter *fake = fake_faulter(test);
	unsigned long end = user_page_end(test);
	unsigned int i;

	iommufd_faultq_test_set_cookie(fake->eventq, 0);
	fake_fault(test, fake);
	fake_fault(test, fake);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, read_user(fake->filep, end, size), -EFAULT);
	/* Nobody was told them yet */
	KUNIT_EXPECT_EQ(test, fake_respond(fake, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, fake_read(test, fake), 1);
	KUNIT_EXPECT_EQ(test, fake_read(test, fake), 2);
	fake_faulter_close(test, fake);
}

/* The queue lock is held for so many groups, and a read for as many as fit */
static void test_iopf_batches(struct kunit *test)
{
	struct fake_faulter *fake = fake_faulter(test);
	const unsigned int nr = 200;
	const size_t size = nr * sizeof(struct iommu_hwpt_pgfault);
	struct iommu_hwpt_pgfault *faults = kunit_kzalloc(test, size, GFP_KERNEL);
	const void *chunk;
	unsigned int i;

	for (i = 0; i < nr; i++)
		fake_fault(test, fake);
	KUNIT_EXPECT_EQ(test, fake->eventq->bytes, size);
	mutex_lock(&fake->eventq->readers);
	KUNIT_EXPECT_EQ(test, fake->eventq->ops->stage(fake->eventq, size, &chunk),
			64 * sizeof(faults[0]));
	mutex_unlock(&fake->eventq->readers);
	/* What was staged and not copied is where it was */
	KUNIT_EXPECT_EQ(test, queued_now(fake->eventq), nr);
	KUNIT_EXPECT_EQ(test, read_kernel(fake->filep, faults, size, 0), size);
	KUNIT_EXPECT_EQ(test, fake->eventq->bytes, 0);
	for (i = 1; i < nr; i++)
		KUNIT_EXPECT_NE(test, faults[i].cookie, faults[i - 1].cookie);
	fake_faulter_close(test, fake);
}

/* The kernel's own flags are not for user space */
static void test_iopf_record_flags(struct kunit *test)
{
	struct fake_faulter *fake = fake_faulter(test);
	struct iopf_group *group = fake_group(test, fake);
	struct iommu_hwpt_pgfault fault = {};

	group->last_fault.fault.prm.flags = U32_MAX;
	KUNIT_EXPECT_EQ(test, fake_handle(fake, group), 0);
	KUNIT_EXPECT_EQ(test, read_kernel(fake->filep, &fault, sizeof(fault), 0),
			sizeof(fault));
	KUNIT_EXPECT_EQ(test, fault.flags,
			IOMMU_PGFAULT_FLAGS_PASID_VALID |
				IOMMU_PGFAULT_FLAGS_LAST_PAGE);
	/* The driver looks at them in the response */
	group->last_fault.fault.prm.flags = IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE;
	fake_faulter_close(test, fake);
}

static int detacher_thread(void *data)
{
	struct fake_faulter *fake = data;

	iommufd_faultq_detach(&fake->hwpt, &fake->handle);
	complete(&fake->detached);
	while (!kthread_should_stop())
		schedule_timeout_uninterruptible(1);
	return 0;
}

/* The attachment does not end before the driver has the answer, but then */
static void test_iopf_detach_waits(struct kunit *test)
{
	struct fake_faulter *fake = fake_faulter(test);
	struct iommufd_attach_device *device;
	struct task_struct *task;
	u32 cookie;

	device = list_first_entry(&fake->handle.devices,
				  struct iommufd_attach_device, node);
	init_completion(&fake->detached);
	task = kthread_create(detacher_thread, fake, "eventq-detach");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	fake_fault(test, fake);
	cookie = fake_read(test, fake);
	fake->detacher = task;
	KUNIT_EXPECT_EQ(test, fake_respond(fake, cookie), 8);
	fake->detacher = NULL;
	KUNIT_EXPECT_FALSE(test, fake->overtaken);
	if (!fake->overtaken &&
	    !wait_for_completion_timeout(&fake->detached, DEADLINE)) {
		KUNIT_FAIL(test, "nobody told the detach");
		wake_up_var(&device->nr_responding);
	}
	kthread_stop(task);
	KUNIT_EXPECT_EQ(test, fake->nr_responses[IOMMU_PAGE_RESP_SUCCESS], 1);
	KUNIT_EXPECT_EQ(test, fake->nr_responses[IOMMU_PAGE_RESP_INVALID], 0);
	fake_faulter_close(test, fake);
}

static void test_iopf_detach(struct kunit *test)
{
	struct fake_faulter *fake = fake_faulter(test);
	u32 cookie;

	fake_fault(test, fake);
	fake_fault(test, fake);
	cookie = fake_read(test, fake);
	KUNIT_EXPECT_NE(test, cookie, 0);
	iommufd_faultq_detach(&fake->hwpt, &fake->handle);
	KUNIT_EXPECT_EQ(test, fake->nr_responses[IOMMU_PAGE_RESP_INVALID], 2);
	KUNIT_EXPECT_EQ(test, fake_read(test, fake), 0);
	KUNIT_EXPECT_EQ(test, fake_respond(fake, cookie), -EINVAL);
	/* Its device is not in the attachment any more */
	KUNIT_EXPECT_EQ(test, fake_handle(fake, fake_group(test, fake)), -ENODEV);
	fake_faulter_close(test, fake);
}

/* The driver takes the device off its queue of faults, as for a reset */
static void test_iopf_device_removed(struct kunit *test)
{
	struct fake_faulter *fake = fake_faulter(test);
	u32 cookie;

	fake_fault(test, fake);
	cookie = fake_read(test, fake);
	mutex_lock(&fake->param.lock);
	list_del_init(fake->param.faults.next);
	mutex_unlock(&fake->param.lock);
	KUNIT_EXPECT_EQ(test, fake_respond(fake, cookie), -EINVAL);
	KUNIT_EXPECT_EQ(test, fake->nr_responses[IOMMU_PAGE_RESP_SUCCESS], 0);
	fake_faulter_close(test, fake);
}

/* A report made by another thread */
struct fake_report {
	struct fake_faulter *fake;
	struct iopf_group *group;
	struct completion begun, done;
};

static int faulter_thread(void *data)
{
	struct fake_report *report = data;

	complete(&report->begun);
	fake_handle(report->fake, report->group);
	complete(&report->done);
	while (!kthread_should_stop())
		schedule_timeout_uninterruptible(1);
	return 0;
}

/*
 * A report that waits for the queue lock while the file is closed has to see
 * that it is. On a single CPU the report comes afterwards, and has to as well.
 */
static void test_iopf_report_meets_close(struct kunit *test)
{
	struct fake_faulter *fake = fake_faulter(test);
	struct fake_report report = {
		.fake = fake,
		.group = fake_group(test, fake),
	};
	struct task_struct *task;
	unsigned int i;

	init_completion(&report.begun);
	init_completion(&report.done);
	task = kthread_create(faulter_thread, &report, "eventq-fault");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	migrate_disable();
	if (num_online_cpus() > 1)
		kthread_bind(task, cpumask_any_but(cpu_online_mask,
						   smp_processor_id()));
	spin_lock_irq(&fake->eventq->wait.lock);
	wake_up_process(task);
	for (i = 0; i < 20 && !completion_done(&report.begun); i++)
		mdelay(1);
	mdelay(1);
	fake->eventq->closed = true;
	spin_unlock_irq(&fake->eventq->wait.lock);
	migrate_enable();
	wait_for_completion(&report.done);
	kthread_stop(task);

	KUNIT_EXPECT_EQ(test, fake->nr_responses[IOMMU_PAGE_RESP_INVALID], 1);
	KUNIT_EXPECT_EQ(test, queued_now(fake->eventq), 0);
	fake_faulter_close(test, fake);
}

static struct kunit_case eventq_cases[] = {
	KUNIT_CASE(test_order_and_batches),
	KUNIT_CASE(test_too_small_buffer),
	KUNIT_CASE(test_failing_copy),
	KUNIT_CASE(test_short_read_wakes),
	KUNIT_CASE(test_empty_rules),
	KUNIT_CASE(test_signal_ends_a_long_read),
	KUNIT_CASE(test_signal_ends_no_write),
	KUNIT_CASE(test_fionread),
	KUNIT_CASE(test_waiting_read),
	KUNIT_CASE(test_waiting_async),
	KUNIT_CASE(test_waiting_takes_what_is_there),
	KUNIT_CASE(test_two_readers),
	KUNIT_CASE(test_contended_reader),
	KUNIT_CASE(test_responses),
	KUNIT_CASE(test_poll),
	KUNIT_CASE(test_file_mode),
	KUNIT_CASE(test_last_close),
	KUNIT_CASE(test_close_takes_the_lock),
	KUNIT_CASE(test_failed_publish),
	KUNIT_CASE(test_iopf_cookie_wrap),
	KUNIT_CASE(test_iopf_cookie_in_use),
	KUNIT_CASE(test_iopf_responses_in_any_order),
	KUNIT_CASE(test_iopf_failed_read_keeps_cookie),
	KUNIT_CASE(test_iopf_batches),
	KUNIT_CASE(test_iopf_record_flags),
	KUNIT_CASE(test_iopf_detach),
	KUNIT_CASE(test_iopf_detach_waits),
	KUNIT_CASE(test_iopf_device_removed),
	KUNIT_CASE(test_iopf_report_meets_close),
	{}
};

static struct kunit_suite eventq_suite = {
	.name = "iommufd_eventq",
	.test_cases = eventq_cases,
};

kunit_test_suite(eventq_suite);
