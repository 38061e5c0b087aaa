// SPDX-License-Identifier: GPL-2.0-only
/*
 * The core of iommufd's event queues: the file that a queue has in user space.
 * One read loop, one write loop, poll, last close, fdinfo, and the making of
 * the file with its undo. How records are stored, what they look like and what
 * an answer does is up to the class, through struct iommufd_eventq_ops; nothing
 * here may know a class.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/uio.h>

#include "eventq.h"
#include "iommufd_private.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/*
 * Become the one reader, when that did not work out at once. A caller that may
 * not wait gets -EAGAIN and leaves a mark, so that the reader in place tells it
 * when there is something to read; it has to try once more after that, as the
 * reader may just have left. Pairs with iommufd_eventq_unlock_readers().
 */
static int iommufd_eventq_lock_readers(struct iommufd_eventq *eventq,
				       struct kiocb *iocb)
{
	bool nowait = (iocb->ki_flags & IOCB_NOWAIT) ||
		      (is_sync_kiocb(iocb) &&
		       (iocb->ki_filp->f_flags & O_NONBLOCK));

	if (!nowait)
		return mutex_lock_interruptible(&eventq->readers) ?
			       -ERESTARTSYS :
			       0;

	WRITE_ONCE(eventq->contended, true);
	/* The mark before the second try; pairs with the one below */
	smp_mb();
	return mutex_trylock(&eventq->readers) ? 0 : -EAGAIN;
}

/* Records are left, or were away for a moment: tell those who may count on it */
static void iommufd_eventq_wake_again(struct iommufd_eventq *eventq)
{
	spin_lock_irq(&eventq->wait.lock);
	if (iommufd_eventq_queued(eventq))
		iommufd_eventq_wake(eventq);
	spin_unlock_irq(&eventq->wait.lock);
}

static void iommufd_eventq_unlock_readers(struct iommufd_eventq *eventq)
{
	mutex_unlock(&eventq->readers);

	/* The unlock before the look at the mark; pairs with the one above */
	smp_mb();
	if (likely(!READ_ONCE(eventq->contended)))
		return;

	WRITE_ONCE(eventq->contended, false);
	iommufd_eventq_wake_again(eventq);
}

/*
 * Copy out whole records until the buffer is full or nothing is queued. A record
 * that comes after the look at the empty queue brings a wake-up of its own, so
 * edge-triggered readers can take a short read for the end. If a read has to be
 * short with records left, that is made up for by a wake-up here.
 */
static ssize_t iommufd_eventq_copy_out(struct iommufd_eventq *eventq,
				       struct iov_iter *to)
{
	size_t copied, settled;
	const void *chunk;
	ssize_t done = 0;
	int rc;

	lockdep_assert_held(&eventq->readers);

	do {
		rc = eventq->ops->stage(eventq, iov_iter_count(to), &chunk);
		if (rc <= 0)
			break;
		copied = copy_to_iter(chunk, rc, to);
		settled = eventq->ops->settle(eventq, chunk, rc, copied);
		done += settled;
		if (unlikely(settled < rc)) {
			rc = -EFAULT;
			break;
		}
	} while (iov_iter_count(to));
	/* After a fault, waiters may have seen the queue without its records */
	if (unlikely(rc == -EFAULT || (rc < 0 && done)))
		iommufd_eventq_wake_again(eventq);
	if (done)
		trace_eventq_read(eventq, done);

	return done ?: rc;
}

/*
 * Not wait_event_interruptible_locked_irq(), which queues the waiter behind
 * exclusive ones: an EPOLLEXCLUSIVE watcher would swallow its wake-up. All that
 * wait are woken, and those who find nothing wait again.
 */
static int iommufd_eventq_wait(struct iommufd_eventq *eventq)
{
	return wait_event_interruptible(eventq->wait,
					iommufd_eventq_queued(eventq));
}

/*
 * Nothing to read. Return 0 once there may be, an error to be returned, or 1 if
 * the read is to return 0 bytes. The order of these rules is uAPI: io_uring's
 * first try must not wait; its worker threads and Linux AIO must, whatever
 * O_NONBLOCK says, since they have no way to try again later; only then come
 * the wishes of a caller of read(2), who gets 0 by default as ever.
 */
static int iommufd_eventq_empty(struct iommufd_eventq *eventq,
				struct kiocb *iocb)
{
	if (iocb->ki_flags & IOCB_NOWAIT)
		return -EAGAIN;
	if (!is_sync_kiocb(iocb))
		return iommufd_eventq_wait(eventq);
	if (iocb->ki_filp->f_flags & O_NONBLOCK)
		return -EAGAIN;
	if (eventq->wait_reads)
		return iommufd_eventq_wait(eventq);
	return 1;
}

static ssize_t iommufd_eventq_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct iommufd_eventq *eventq = iocb->ki_filp->private_data;
	ssize_t rc;

	/* read(2) brings none this far, io_uring and Linux AIO do */
	if (iocb->ki_pos)
		return -ESPIPE;
	if (iov_iter_count(to) < eventq->ops->min_read)
		return -EINVAL;
	if (!iov_iter_count(to))
		return 0;

	for (;;) {
		if (iommufd_eventq_queued(eventq)) {
			if (unlikely(!mutex_trylock(&eventq->readers))) {
				rc = iommufd_eventq_lock_readers(eventq, iocb);
				if (rc)
					return rc;
			}
			rc = iommufd_eventq_copy_out(eventq, to);
			iommufd_eventq_unlock_readers(eventq);
			if (rc)
				return rc;
			/* Another reader was faster */
		}

		rc = iommufd_eventq_empty(eventq, iocb);
		if (rc)
			return rc < 0 ? rc : 0;
	}
}

/*
 * No lock is held here: a writer that sleeps in a fault on its own buffer
 * delays nobody. Answers are independent of each other, so writers need not be
 * serialised either.
 */
static ssize_t iommufd_eventq_write_iter(struct kiocb *iocb,
					 struct iov_iter *from)
{
	struct iommufd_eventq *eventq = iocb->ki_filp->private_data;
	const struct iommufd_eventq_ops *ops = eventq->ops;
	u64 answers[IOMMUFD_EVENTQ_ANSWERS_MAX / sizeof(u64)];
	size_t run, got, at;
	ssize_t done = 0;
	int rc = 0;

	if (iocb->ki_pos)
		return -ESPIPE;
	if (iov_iter_count(from) % ops->answer_size)
		return -EINVAL;

	while (!rc && iov_iter_count(from)) {
		run = min(iov_iter_count(from),
			  rounddown(sizeof(answers), ops->answer_size));
		got = copy_from_iter(answers, run, from);
		for (at = 0; got - at >= ops->answer_size;
		     at += ops->answer_size) {
			rc = ops->answer(eventq, (void *)answers + at);
			if (rc)
				break;
			done += ops->answer_size;
		}
		if (!rc && got < run)
			rc = -EFAULT;
	}

	return done ?: rc;
}

static __poll_t iommufd_eventq_poll(struct file *filep, poll_table *wait)
{
	struct iommufd_eventq *eventq = filep->private_data;
	__poll_t events = 0;

	/*
	 * This takes the queue lock to add the caller, if it waits at all. Who
	 * adds a record after that sees and wakes it; what was added before is
	 * seen here.
	 */
	poll_wait(filep, &eventq->wait, wait);
	if (iommufd_eventq_queued(eventq))
		events |= EPOLLIN | EPOLLRDNORM;
	/* An answer never waits */
	if (eventq->ops->answer)
		events |= EPOLLOUT | EPOLLWRNORM;
	return events;
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
	seq_printf(m, "queued:\t%u\n", iommufd_eventq_queued(eventq));
	eventq->ops->show_fdinfo(eventq, m);
}

static const struct file_operations iommufd_eventq_fops = {
	.owner = THIS_MODULE,
	.read_iter = iommufd_eventq_read_iter,
	.poll = iommufd_eventq_poll,
	.release = iommufd_eventq_release,
	.show_fdinfo = iommufd_eventq_show_fdinfo,
};

static const struct file_operations iommufd_eventq_answered_fops = {
	.owner = THIS_MODULE,
	.read_iter = iommufd_eventq_read_iter,
	.write_iter = iommufd_eventq_write_iter,
	.poll = iommufd_eventq_poll,
	.release = iommufd_eventq_release,
	.show_fdinfo = iommufd_eventq_show_fdinfo,
};

/**
 * iommufd_eventq_setup() - Initialise the core's part of a new queue
 * @eventq: the queue, zeroed but for its object
 * @ops: its class
 * @flags: IOMMU_EVENTQ_ALLOC_* flags, checked by the caller
 *
 * From here on the class may add records. iommufd_eventq_teardown() undoes it.
 *
 * Context: Process context.
 */
void iommufd_eventq_setup(struct iommufd_eventq *eventq,
			  const struct iommufd_eventq_ops *ops, u32 flags)
{
	WARN_ON(ops->answer && (!ops->answer_size ||
				ops->answer_size > IOMMUFD_EVENTQ_ANSWERS_MAX));

	eventq->ops = ops;
	eventq->owner = task_tgid_nr(current);
	eventq->wait_reads = flags & IOMMU_EVENTQ_ALLOC_WAIT_READ;
	mutex_init(&eventq->readers);
	init_waitqueue_head(&eventq->wait);
}

/**
 * iommufd_eventq_teardown() - Undo iommufd_eventq_setup()
 * @eventq: the queue; its file is closed for good or was never made
 *
 * Context: Process context.
 */
void iommufd_eventq_teardown(struct iommufd_eventq *eventq)
{
	mutex_destroy(&eventq->readers);
}

/**
 * iommufd_eventq_publish() - Give a queue its file and user space the result
 * @eventq: the queue, complete in all but its file
 * @ucmd: the allocation ioctl; its reply is complete but for the descriptor
 * @out_fd: where in the reply the descriptor goes
 * @cmd_len: size of the reply in bytes
 *
 * The last step of an allocation ioctl: nothing may fail after it. Does the
 * copy to user space, so no lock may be held that anything but this ioctl takes.
 *
 * On failure the caller just returns the error: the object core then puts the
 * file, if it was made, which calls &iommufd_eventq_ops.close, and destroys the
 * queue.
 *
 * Context: Process context, may sleep in a fault on user memory.
 * Return: 0, -EMFILE or -ENFILE, -ENOMEM, -EFAULT.
 */
int iommufd_eventq_publish(struct iommufd_eventq *eventq,
			   struct iommufd_ucmd *ucmd, u32 *out_fd,
			   size_t cmd_len)
{
	struct file *filep;
	int fd;
	int rc;

	/*
	 * .open never runs for this file, so what stream_open() does is done
	 * here: a stream has no position, and reads and writes can be in flight
	 * at once. With IOCB_NOWAIT none of them waits for a record or for
	 * another reader.
	 */
	filep = anon_inode_getfile_fmode(eventq->ops->file_name,
					 eventq->ops->answer ?
						 &iommufd_eventq_answered_fops :
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
