// SPDX-License-Identifier: GPL-2.0-only
/*
 * The core of iommufd's event queues: the file that a queue has in user space.
 * One read loop, one write loop, poll, FIONREAD, last close, fdinfo, and the
 * making of the file with its undo. How records are stored, what they look like
 * and what a response does is up to the class, through struct iommufd_eventq_ops.
 * Nothing here may know a class.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include <asm/ioctls.h>

#include "eventq.h"
#include "iommufd_private.h"
#include "trace.h"

/* A caller that may not block gets -EAGAIN instead of a wait */
static bool iommufd_eventq_may_block(struct kiocb *iocb)
{
	return !(iocb->ki_flags & IOCB_NOWAIT) &&
	       !(iocb->ki_filp->f_flags & O_NONBLOCK);
}

/* Without @iocb the caller does not wait for another reader */
static int iommufd_eventq_lock_readers(struct iommufd_eventq *eventq,
				       struct kiocb *iocb)
{
	if (likely(mutex_trylock(&eventq->readers)))
		return 0;
	if (iocb && iommufd_eventq_may_block(iocb))
		return mutex_lock_interruptible(&eventq->readers) ?
			       -ERESTARTSYS : 0;
	/*
	 * The caller may have seen a record. Either the reader in place sees it,
	 * too, and wakes the caller when it is done, or the mutex is free by now.
	 * Pairs with the barrier in iommufd_eventq_wake_if_queued().
	 */
	smp_mb();
	return mutex_trylock(&eventq->readers) ? 0 : -EAGAIN;
}

/*
 * Of the chunk, @size bytes, only @copied bytes reached user space. Return the size
 * in bytes of the whole records among them. An architecture may report a few bytes
 * less than it copied. So if there is none, try with one record less at a time:
 * where the first one fits, its copy meets no fault.
 */
static ssize_t iommufd_eventq_read_short(struct iommufd_eventq *eventq,
					 struct iov_iter *to, const void *chunk,
					 int size, size_t copied)
{
	size_t settled = 0;

	for (;;) {
		if (copied)
			settled = eventq->ops->settle(eventq, chunk, copied);
		iov_iter_revert(to, copied - settled);
		if (settled)
			return settled;
		size = eventq->ops->stage(eventq, size - 1, &chunk);
		if (size <= 0)
			return -EFAULT;
		copied = copy_to_iter(chunk, size, to);
	}
}

/*
 * Deliver one batch. Return the size in bytes of the whole records that user space
 * got, 0 if nothing is queued, or an error.
 */
static ssize_t iommufd_eventq_read_batch(struct iommufd_eventq *eventq,
					 struct iov_iter *to)
{
	const void *chunk;
	size_t copied;
	int rc;

	lockdep_assert_held(&eventq->readers);

	rc = eventq->ops->stage(eventq, iov_iter_count(to), &chunk);
	if (rc <= 0)
		return rc;
	copied = copy_to_iter(chunk, rc, to);
	if (unlikely(copied < rc))
		return iommufd_eventq_read_short(eventq, to, chunk, rc, copied);
	return eventq->ops->settle(eventq, chunk, rc);
}

/*
 * A reader that stops with records left must wake the others: one that could not
 * wait for it got -EAGAIN, and an edge-triggered one takes a short read for the
 * end. The readers' lock is free by now, so they will not meet it again.
 */
static void iommufd_eventq_wake_if_queued(struct iommufd_eventq *eventq)
{
	/* Unlock before the look. Pairs with iommufd_eventq_lock_readers() */
	smp_mb();
	if (!READ_ONCE(eventq->queued))
		return;
	spin_lock_irq(&eventq->wait.lock);
	if (eventq->queued)
		iommufd_eventq_wake(eventq);
	spin_unlock_irq(&eventq->wait.lock);
}

/*
 * Read batches until the buffer is full or nothing is queued. Between two of them
 * another reader may have its turn, a signal ends the read and the CPU can do
 * something else. A reader that has records does not wait for another one.
 */
static ssize_t iommufd_eventq_read_batches(struct iommufd_eventq *eventq,
					   struct kiocb *iocb,
					   struct iov_iter *to)
{
	ssize_t done = 0;
	ssize_t rc;

	for (;;) {
		rc = iommufd_eventq_lock_readers(eventq, iocb);
		if (rc)
			break;
		rc = iommufd_eventq_read_batch(eventq, to);
		mutex_unlock(&eventq->readers);
		if (rc <= 0)
			break;
		done += rc;
		iocb = NULL;
		if (!iov_iter_count(to) || task_sigpending(current))
			break;
		cond_resched();
	}
	if (done)
		trace_eventq_read(eventq, done);
	/* Not by a reader that did not get to read: it would wake itself */
	if (done || (rc != -EAGAIN && rc != -ERESTARTSYS))
		iommufd_eventq_wake_if_queued(eventq);
	return done ?: rc;
}

static ssize_t iommufd_eventq_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct iommufd_eventq *eventq = iocb->ki_filp->private_data;
	ssize_t rc;

	/* read(2) passes no position to a stream; io_uring and Linux AIO do */
	if (iocb->ki_pos)
		return -ESPIPE;
	if (iov_iter_count(to) < eventq->ops->min_read)
		return -EINVAL;
	if (!iov_iter_count(to))
		return 0;

	for (;;) {
		rc = iommufd_eventq_read_batches(eventq, iocb, to);
		if (rc)
			return rc;
		/*
		 * Nothing is queued. The order of these rules is uAPI. A request
		 * of an io_uring worker or of Linux AIO must not complete with 0
		 * bytes: it waits, unless its caller or the file forbids that.
		 */
		if (!iommufd_eventq_may_block(iocb))
			return -EAGAIN;
		if (is_sync_kiocb(iocb) && !eventq->wait_reads)
			return 0;
		/*
		 * Not wait_event_interruptible_locked_irq(): it would queue the
		 * caller behind exclusive waiters, and an EPOLLEXCLUSIVE watcher
		 * would swallow its wake-up.
		 */
		rc = wait_event_interruptible(eventq->wait,
					      READ_ONCE(eventq->queued));
		if (rc)
			return rc;
	}
}

/*
 * No lock is held here: a writer that sleeps in a fault on its own buffer delays
 * nobody. Responses are independent of each other, so writers need not be
 * serialised either.
 */
static ssize_t iommufd_eventq_write_iter(struct kiocb *iocb,
					 struct iov_iter *from)
{
	struct iommufd_eventq *eventq = iocb->ki_filp->private_data;
	const struct iommufd_eventq_ops *ops = eventq->ops;
	u64 responses[IOMMUFD_EVENTQ_RESPONSES_MAX / sizeof(u64)];
	size_t most = rounddown(sizeof(responses), ops->response_size);
	size_t run, got, at;
	ssize_t done = 0;
	int rc = 0;

	if (iocb->ki_pos)
		return -ESPIPE;
	if (iov_iter_count(from) % ops->response_size)
		return -EINVAL;

	while (!rc && iov_iter_count(from)) {
		run = min(iov_iter_count(from), most);
		got = copy_from_iter(responses, run, from);
		if (unlikely(got < run)) {
			/* One at a time finds the first that cannot be read */
			if (run == ops->response_size)
				rc = -EFAULT;
			iov_iter_revert(from, got);
			most = ops->response_size;
			continue;
		}
		for (at = 0; at < run; at += ops->response_size) {
			rc = ops->respond(eventq, (void *)responses + at);
			if (rc)
				break;
			done += ops->response_size;
		}
		/* A short write says that the next response is bad */
		if (fatal_signal_pending(current))
			break;
		cond_resched();
	}

	return done ?: rc;
}

static __poll_t iommufd_eventq_poll(struct file *filep, poll_table *wait)
{
	struct iommufd_eventq *eventq = filep->private_data;
	__poll_t events = 0;

	/*
	 * This takes the queue lock to add the caller, if it waits at all. Whoever
	 * adds a record after that sees and wakes it; what was added before is
	 * seen here.
	 */
	poll_wait(filep, &eventq->wait, wait);
	if (READ_ONCE(eventq->queued))
		events |= EPOLLIN | EPOLLRDNORM;
	/* A write does not wait for room */
	if (eventq->ops->respond)
		events |= EPOLLOUT | EPOLLWRNORM;
	return events;
}

static long iommufd_eventq_ioctl(struct file *filep, unsigned int cmd,
				 unsigned long arg)
{
	struct iommufd_eventq *eventq = filep->private_data;
	size_t bytes;

	if (cmd != FIONREAD)
		return -ENOTTY;
	spin_lock_irq(&eventq->wait.lock);
	bytes = eventq->bytes;
	spin_unlock_irq(&eventq->wait.lock);
	return put_user((int)min_t(size_t, bytes, INT_MAX), (int __user *)arg);
}

static int iommufd_eventq_release(struct inode *inode, struct file *filep)
{
	struct iommufd_eventq *eventq = filep->private_data;
	struct iommufd_ctx *ictx = eventq->ictx;

	spin_lock_irq(&eventq->wait.lock);
	eventq->closed = true;
	spin_unlock_irq(&eventq->wait.lock);
	trace_eventq_close(eventq);
	eventq->ops->close(eventq);
	mutex_destroy(&eventq->readers);

	/* The queue may be destroyed, and so freed, from here on */
	refcount_dec(&eventq->obj.users);
	iommufd_ctx_put(ictx);
	return 0;
}

static void iommufd_eventq_show_fdinfo(struct seq_file *m, struct file *filep)
{
	struct iommufd_eventq *eventq = filep->private_data;

	seq_printf(m, "eventq-class:\t%s\n", eventq->ops->class);
	seq_printf(m, "eventq-id:\t%u\n", eventq->obj.id);
	seq_printf(m, "queued:\t%u\n", READ_ONCE(eventq->queued));
	if (eventq->ops->show_fdinfo)
		eventq->ops->show_fdinfo(eventq, m);
}

static const struct file_operations iommufd_eventq_fops = {
	.owner = THIS_MODULE,
	.read_iter = iommufd_eventq_read_iter,
	.poll = iommufd_eventq_poll,
	.unlocked_ioctl = iommufd_eventq_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = iommufd_eventq_release,
	.show_fdinfo = iommufd_eventq_show_fdinfo,
};

static const struct file_operations iommufd_eventq_respond_fops = {
	.owner = THIS_MODULE,
	.read_iter = iommufd_eventq_read_iter,
	.write_iter = iommufd_eventq_write_iter,
	.poll = iommufd_eventq_poll,
	.unlocked_ioctl = iommufd_eventq_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = iommufd_eventq_release,
	.show_fdinfo = iommufd_eventq_show_fdinfo,
};

/**
 * iommufd_eventq_setup() - Initialise the core's part of a new queue
 * @eventq: the queue, zeroed but for its object
 * @ops: its class
 * @flags: IOMMU_EVENTQ_ALLOC_* flags, checked by the caller
 *
 * The class may add records from here on. The last close undoes what has to be
 * undone; without a file there is nothing.
 *
 * Context: Process context.
 */
void iommufd_eventq_setup(struct iommufd_eventq *eventq,
			  const struct iommufd_eventq_ops *ops, u32 flags)
{
	WARN_ON(ops->respond &&
		(!ops->response_size ||
		 ops->response_size > IOMMUFD_EVENTQ_RESPONSES_MAX));

	eventq->ops = ops;
	eventq->owner = task_tgid_nr(current);
	eventq->wait_reads = flags & IOMMU_EVENTQ_ALLOC_WAIT_READ;
	mutex_init(&eventq->readers);
	init_waitqueue_head(&eventq->wait);
}

/**
 * iommufd_eventq_publish() - Make the file of a queue and complete its allocation
 * @eventq: the queue, complete but for its file
 * @ucmd: the allocation ioctl; its reply is complete but for the descriptor
 * @out_fd: where in the reply the descriptor goes
 * @cmd_len: size of the reply in bytes
 *
 * The last step of an allocation ioctl: nothing may fail after it. Copies the
 * reply to user space, so no lock may be held that anything but this ioctl takes.
 *
 * On failure the caller just returns the error. The object core then puts the
 * file, if it was made, which calls &iommufd_eventq_ops.close, and destroys the
 * queue.
 *
 * Context: Process context, may sleep in a fault on user memory.
 * Return:
 * * 0 on success
 * * -EMFILE, -ENFILE: per-process or system-wide limit on open files reached
 * * -ENOMEM: no memory for the file
 * * -EFAULT: the reply cannot be written
 */
int iommufd_eventq_publish(struct iommufd_eventq *eventq,
			   struct iommufd_ucmd *ucmd, u32 *out_fd,
			   size_t cmd_len)
{
	struct file *filep;
	int fd;
	int rc;

	/*
	 * An anonymous inode's .open never runs, so what stream_open() does is
	 * done here: a stream has no position, and reads and writes can be in
	 * flight at once. With IOCB_NOWAIT none of them waits for a record or for
	 * another reader.
	 */
	filep = anon_inode_getfile_fmode(eventq->ops->file_name,
					 eventq->ops->respond ?
						 &iommufd_eventq_respond_fops :
						 &iommufd_eventq_fops,
					 eventq, O_RDWR,
					 FMODE_STREAM | FMODE_NOWAIT);
	if (IS_ERR(filep))
		return PTR_ERR(filep);

	eventq->ictx = ucmd->ictx;
	iommufd_ctx_get(eventq->ictx);
	refcount_inc(&eventq->obj.users);
	eventq->filep = filep;
	trace_eventq_alloc(eventq);

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;

	*out_fd = fd;
	rc = iommufd_ucmd_respond(ucmd, cmd_len);
	if (rc) {
		put_unused_fd(fd);
		return rc;
	}
	fd_install(fd, filep);
	return 0;
}
