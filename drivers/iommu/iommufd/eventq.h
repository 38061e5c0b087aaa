/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The core of iommufd's event queues, as a queue class sees it: what the core
 * offers to a class and what a class gives to the core. No record format and no
 * prototype of a class belongs here.
 *
 *   driver, io-pgfault --report--> class --> ring | list --> file --read/write--> VMM
 *
 * Locking rules:
 *
 *  1. No lock that a report, a detach or a destroy takes is held across a copy
 *     from or to user space, or across a sleeping allocation.
 *  2. The queue lock, iommufd_eventq::wait.lock, is irq-safe. It protects all that
 *     a producer and a reader share, and is held for at most
 *     IOMMUFD_EVENTQ_BATCH records, or one fault group. A driver is never called
 *     under it.
 *  3. iommufd_eventq::readers is taken by readers of the file only, for one batch
 *     at a time. A reader that sleeps in a fault on its own buffer delays other
 *     readers and nobody else.
 *  4. A record has one owner at a time: the queue, or the function that took it
 *     off the queue under the queue lock in order to finish it. A record stays on
 *     the queue while it is copied to user space.
 *
 * Lock order: readers -> queue lock; iommufd_eventq_source::lock -> queue lock ->
 * wait queues of pollers.
 */
#ifndef __IOMMUFD_EVENTQ_H
#define __IOMMUFD_EVENTQ_H

#include <linux/iommufd.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/types.h>
#include <linux/wait.h>

struct iommufd_ucmd;
struct seq_file;

/*
 * For memory that user space makes a queue take: charged to the caller. The
 * allocation fails instead of invoking the OOM killer.
 */
#define IOMMUFD_EVENTQ_GFP (GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN)

/* The flags that every allocation ioctl of a queue accepts */
#define IOMMUFD_EVENTQ_ALLOC_FLAGS IOMMU_EVENTQ_ALLOC_WAIT_READ

/* The most records that are staged at once */
#define IOMMUFD_EVENTQ_BATCH 64

/* Responses are copied from user space in runs of this many bytes, on the stack */
#define IOMMUFD_EVENTQ_RESPONSES_MAX 256

struct iommufd_eventq;

/**
 * struct iommufd_eventq_ops - A queue class
 * @file_name: name of the file, as /proc/PID/fd shows it
 * @class: name of the class, as fdinfo shows it
 * @min_read: a read of fewer bytes fails with -EINVAL, on an empty queue, too
 * @response_size: size in bytes of a response, at most
 *                 IOMMUFD_EVENTQ_RESPONSES_MAX; required with @respond
 * @stage: Choose the first records of the queue, as many as fit into @room bytes
 *         but at most a batch. Return their size in bytes and point @chunk at
 *         them. They stay queued, and @chunk stays as it is until @settle. Return
 *         0 if nothing is queued, -EINVAL if the first record does not fit, or
 *         another error. @stage and @settle take the queue lock themselves, run in
 *         process context and are serialised by iommufd_eventq::readers.
 * @settle: The first @copied bytes at @chunk have reached user space. Take the
 *          records that are whole in these off the queue and return their size in
 *          bytes. Not called if nothing was copied.
 * @respond: Carry out one response. Return 0, -EINVAL if it responds to nothing,
 *           or another error; an error ends the write. @response is aligned to 8
 *           bytes if @response_size is a multiple of 8. Called in process context
 *           without locks. NULL if the class takes no responses: its file then
 *           cannot be written.
 * @close: The file was closed for the last time and iommufd_eventq::closed is set:
 *         finish every record. Called once, in process context without locks, also
 *         if the allocation of the queue fails after its file was made.
 * @show_fdinfo: Print the lines of the class. Called without locks. Optional.
 */
struct iommufd_eventq_ops {
	const char *file_name;
	const char *class;
	size_t min_read;
	size_t response_size;
	int (*stage)(struct iommufd_eventq *eventq, size_t room,
		     const void **chunk);
	size_t (*settle)(struct iommufd_eventq *eventq, const void *chunk,
			 size_t copied);
	int (*respond)(struct iommufd_eventq *eventq, const void *response);
	void (*close)(struct iommufd_eventq *eventq);
	void (*show_fdinfo)(struct iommufd_eventq *eventq, struct seq_file *m);
};

/**
 * struct iommufd_eventq - A queue that user space reads from a file
 * @obj: the iommufd object, first as iommufd_object_alloc() demands. The file
 *       holds a users reference from iommufd_eventq_publish() to its last close.
 * @ictx: the context of @obj, held by the file
 * @filep: the file; the object core puts it when the allocation is aborted
 * @ops: the class
 * @owner: process that allocated the queue, for tracepoints
 * @wait_reads: allocated with IOMMU_EVENTQ_ALLOC_WAIT_READ
 * @readers: serialises readers; see the locking rules
 * @wait: pollers and waiting readers. Its lock is the queue lock, which protects
 *        the members below and those that the class says it does.
 * @queued: number of records on the queue; may be read without the lock
 * @bytes: size in bytes of the records on the queue
 * @closed: the last close has begun: nobody will read or respond
 */
struct iommufd_eventq {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;
	struct file *filep;
	const struct iommufd_eventq_ops *ops;
	pid_t owner;
	bool wait_reads;
	struct mutex readers; /* see the locking rules */

	wait_queue_head_t wait;
	unsigned int queued;
	size_t bytes;
	bool closed;
};

/**
 * iommufd_eventq_wake() - Wake pollers and waiting readers
 * @eventq: the queue, with a record on it
 *
 * Context: Any that may take the queue lock; it is held, interrupts off.
 */
static inline void iommufd_eventq_wake(struct iommufd_eventq *eventq)
{
	lockdep_assert_held(&eventq->wait.lock);
	/* A waiter adds itself under this lock and looks at @queued after that */
	if (waitqueue_active(&eventq->wait))
		wake_up_locked_poll(&eventq->wait, EPOLLIN | EPOLLRDNORM);
}

/**
 * iommufd_eventq_add() - Count a record that the class has put on the queue
 * @eventq: the queue, which is not closed
 * @size: size of the record in bytes, as user space reads it
 *
 * Wakes pollers and waiting readers.
 *
 * Context: Any that may take the queue lock; it is held, interrupts off.
 */
static inline void iommufd_eventq_add(struct iommufd_eventq *eventq,
				      size_t size)
{
	lockdep_assert_held(&eventq->wait.lock);
	WRITE_ONCE(eventq->queued, eventq->queued + 1);
	eventq->bytes += size;
	iommufd_eventq_wake(eventq);
}

/**
 * iommufd_eventq_remove() - Count records that are not on the queue any more
 * @eventq: the queue
 * @nr: number of records
 * @size: size in bytes of all of them
 *
 * Context: Any that may take the queue lock; it is held, interrupts off.
 */
static inline void iommufd_eventq_remove(struct iommufd_eventq *eventq,
					 unsigned int nr, size_t size)
{
	lockdep_assert_held(&eventq->wait.lock);
	WRITE_ONCE(eventq->queued, eventq->queued - nr);
	eventq->bytes -= size;
}

void iommufd_eventq_setup(struct iommufd_eventq *eventq,
			  const struct iommufd_eventq_ops *ops, u32 flags);
int iommufd_eventq_publish(struct iommufd_eventq *eventq,
			   struct iommufd_ucmd *ucmd, u32 *out_fd,
			   size_t cmd_len);

#endif
