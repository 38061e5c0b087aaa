/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The event queues of iommufd: what the core offers to queue classes, what a
 * class gives to the core, and the entry points of the classes that the rest
 * of iommufd calls. No record format and no object type of a class belongs
 * here; those live in the file of the class.
 *
 *   driver, io-pgfault --report--> class --add--> core <--read/write/poll-- VMM
 *
 * Locking rules:
 *
 *  1. No lock that a report, a detach or a destroy takes is held across a copy
 *     from or to user space, or across a sleeping allocation.
 *  2. The queue lock, iommufd_eventq::wait.lock, is irq-safe and held for a
 *     bounded number of steps. A driver is never called under it.
 *  3. iommufd_eventq::readers is taken by readers of the file only, so a reader
 *     that sleeps in a fault on its own buffer delays other readers and nobody
 *     else.
 *  4. A record has one owner at a time: the queue, the reader that staged it,
 *     or whoever took it out under the queue lock in order to finish it.
 *
 * Lock order: readers -> iommufd_viommu::veventqs_lock -> queue lock ->
 * wait queues of pollers. The cookie table of the IOPF class nests in the queue
 * lock.
 */
#ifndef __IOMMUFD_EVENTQ_H
#define __IOMMUFD_EVENTQ_H

#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/types.h>
#include <linux/wait.h>

struct iommufd_attach_handle;
struct iommufd_device;
struct iommufd_hw_pagetable;
struct iommufd_ucmd;
struct seq_file;

/*
 * For memory that user space makes a queue take: charged to the caller, and
 * refused rather than had by killing something.
 */
#define IOMMUFD_EVENTQ_GFP (GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN)

/* The flags that both allocation ioctls know */
#define IOMMUFD_EVENTQ_ALLOC_FLAGS IOMMU_EVENTQ_ALLOC_WAIT_READ

struct iommufd_eventq;

/**
 * struct iommufd_eventq_ops - What makes a queue class
 * @file_name: name of the file, as /proc/PID/fd shows it
 * @class: name of the class, as fdinfo shows it
 * @min_read: a read of fewer bytes is -EINVAL, with records queued or without
 * @answer_size: size in bytes of one answer that user space writes; needed with
 *               @answer, at most IOMMUFD_EVENTQ_ANSWERS_MAX
 * @stage: choose the next records to deliver, as many as fit into @room bytes.
 *         Return their size in bytes and point @chunk at them; they stay as
 *         they are until @settle. Return 0 if nothing is queued, -EINVAL if the
 *         first record alone does not fit, or another error. Called in process
 *         context without the queue lock. Calls of @stage and @settle are
 *         serialised by iommufd_eventq::readers.
 * @settle: @copied bytes of the @staged ones at @chunk have reached the user.
 *          Take the records that went out whole off the queue, leave the others
 *          at its head in their order, return the size in bytes of the former.
 *          Called as @stage is.
 * @answer: carry out one answer. Return 0, -EINVAL if there is nothing that it
 *          answers, or another error; an error ends the write. @answer is aligned
 *          to 8 bytes if @answer_size is a multiple of that. Called in process
 *          context without locks. NULL if the class takes no answers; its file
 *          then cannot be written.
 * @close: the file is gone for good and iommufd_eventq::closed set: finish every
 *         record. Called once, in process context without locks, also when the
 *         allocation of the queue fails after its file was made.
 * @show_fdinfo: print the lines of the class. Called without locks.
 *
 * All functions but @answer are mandatory.
 */
struct iommufd_eventq_ops {
	const char *file_name;
	const char *class;
	size_t min_read;
	size_t answer_size;
	int (*stage)(struct iommufd_eventq *eventq, size_t room,
		     const void **chunk);
	size_t (*settle)(struct iommufd_eventq *eventq, const void *chunk,
			 size_t staged, size_t copied);
	int (*answer)(struct iommufd_eventq *eventq, const void *answer);
	void (*close)(struct iommufd_eventq *eventq);
	void (*show_fdinfo)(struct iommufd_eventq *eventq, struct seq_file *m);
};

/* Answers are taken from user space in runs of this many bytes, on the stack */
#define IOMMUFD_EVENTQ_ANSWERS_MAX 256

/**
 * struct iommufd_eventq - A queue that reaches user space through a file
 * @obj: the iommufd object, first as iommufd_object_alloc() demands. The file
 *       holds a users reference from iommufd_eventq_publish() to its last close.
 * @ictx: the context of @obj, held by the file
 * @filep: the file; the object core puts it when the allocation is aborted
 * @ops: the class
 * @owner: process that allocated the queue, for tracepoints
 * @wait_reads: IOMMU_EVENTQ_ALLOC_WAIT_READ was asked for
 * @contended: a reader that may not wait met a locked @readers
 * @readers: serialises readers; see the locking rules
 * @wait: pollers and waiting readers. Its lock is the queue lock: it protects
 *        @queued, @closed and all that the class says it does.
 * @queued: number of records that were added and not removed; changed under the
 *          queue lock by iommufd_eventq_add() and iommufd_eventq_remove()
 * @closed: the file was closed for good: nobody will read or answer
 * @taken: number of those that the reader took off since without that lock, by
 *         iommufd_eventq_take(); both may wrap
 */
struct iommufd_eventq {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;
	struct file *filep;
	const struct iommufd_eventq_ops *ops;
	pid_t owner;
	bool wait_reads;
	bool contended;
	struct mutex readers; /* see the locking rules */

	wait_queue_head_t wait;
	unsigned int queued;
	bool closed;

	/* Apart from what reports write */
	unsigned int taken ____cacheline_aligned_in_smp;
};

/**
 * iommufd_eventq_assert_locked() - Assert that the caller holds the queue lock
 * @eventq: the queue
 *
 * Context: Any.
 */
static inline void iommufd_eventq_assert_locked(struct iommufd_eventq *eventq)
{
	lockdep_assert_held(&eventq->wait.lock);
}

/**
 * iommufd_eventq_queued() - Number of records that a read can deliver
 * @eventq: the queue
 *
 * For a look without locks: the number may be too high already, never too low.
 *
 * Context: Any.
 * Return: the number.
 */
static inline unsigned int iommufd_eventq_queued(struct iommufd_eventq *eventq)
{
	/*
	 * In this order, so that it is never too low: a record that is not seen
	 * here brings a wake-up after this look.
	 */
	unsigned int taken = smp_load_acquire(&eventq->taken);

	return READ_ONCE(eventq->queued) - taken;
}

/**
 * iommufd_eventq_wake() - Tell everybody who waits for a record
 * @eventq: the queue
 *
 * Context: Any that may take the queue lock; it is held, interrupts off.
 */
static inline void iommufd_eventq_wake(struct iommufd_eventq *eventq)
{
	iommufd_eventq_assert_locked(eventq);
	/* Waiters are added under this lock, and look at @queued after that */
	if (waitqueue_active(&eventq->wait))
		wake_up_locked_poll(&eventq->wait, EPOLLIN | EPOLLRDNORM);
}

/**
 * __iommufd_eventq_add() - Announce one more record, without a wake-up
 * @eventq: the queue, which is not closed
 *
 * As iommufd_eventq_add(), for when there is nobody who has to be woken, or the
 * caller does it.
 *
 * Context: Any that may take the queue lock; it is held, interrupts off.
 */
static inline void __iommufd_eventq_add(struct iommufd_eventq *eventq)
{
	iommufd_eventq_assert_locked(eventq);
	WRITE_ONCE(eventq->queued, eventq->queued + 1);
}

/**
 * iommufd_eventq_add() - Announce one more record
 * @eventq: the queue, which is not closed
 *
 * The class has stored a record where its @stage finds it; this makes it
 * readable and wakes whoever waits for one.
 *
 * Context: Any that may take the queue lock; it is held, interrupts off.
 */
static inline void iommufd_eventq_add(struct iommufd_eventq *eventq)
{
	__iommufd_eventq_add(eventq);
	iommufd_eventq_wake(eventq);
}

/**
 * iommufd_eventq_remove() - Take back what iommufd_eventq_add() announced
 * @eventq: the queue
 * @nr: number of records that are not readable any more
 *
 * Context: Any that may take the queue lock; it is held, interrupts off.
 */
static inline void iommufd_eventq_remove(struct iommufd_eventq *eventq,
					 unsigned int nr)
{
	iommufd_eventq_assert_locked(eventq);
	WRITE_ONCE(eventq->queued, eventq->queued - nr);
}

#if IS_ENABLED(CONFIG_IOMMUFD_EVENTQ_KUNIT_TEST)
/**
 * iommufd_eventq_test_set_count() - Pretend that records went through, for tests
 * @eventq: the queue, which is empty
 * @count: number of records that were added and taken
 *
 * Context: Any that may take the queue lock; it is held, interrupts off.
 */
static inline void iommufd_eventq_test_set_count(struct iommufd_eventq *eventq,
						 unsigned int count)
{
	iommufd_eventq_assert_locked(eventq);
	eventq->queued = count;
	eventq->taken = count;
}
#endif

/**
 * iommufd_eventq_take() - The reader takes records off the queue
 * @eventq: the queue
 * @nr: number of records that reached the user
 *
 * What iommufd_eventq_remove() does, for a class that needs no queue lock to
 * take a record off. What the reader read of the records is read before: the
 * class may use their memory again once it sees the new number.
 *
 * Context: &iommufd_eventq_ops.settle.
 */
static inline void iommufd_eventq_take(struct iommufd_eventq *eventq,
				       unsigned int nr)
{
	lockdep_assert_held(&eventq->readers);
	/* After the reads of the records; pairs with who looks for room */
	smp_store_release(&eventq->taken, eventq->taken + nr);
}

void iommufd_eventq_setup(struct iommufd_eventq *eventq,
			  const struct iommufd_eventq_ops *ops, u32 flags);
void iommufd_eventq_teardown(struct iommufd_eventq *eventq);
int iommufd_eventq_publish(struct iommufd_eventq *eventq,
			   struct iommufd_ucmd *ucmd, u32 *out_fd,
			   size_t cmd_len);

/* I/O page faults, eventq_iopf.c */
int iommufd_iopf_eventq_alloc(struct iommufd_ucmd *ucmd);
void iommufd_iopf_eventq_destroy(struct iommufd_object *obj);
int iommufd_iopf_report(struct iopf_group *group);
void iommufd_iopf_attach_init(struct iommufd_attach_handle *handle,
			      struct iommufd_device *idev);
void iommufd_iopf_detach(struct iommufd_hw_pagetable *hwpt,
			 struct iommufd_attach_handle *handle);
void iommufd_iopf_test_set_cookie(struct iommufd_eventq *eventq, u32 cookie);

/* vIOMMU events, eventq_viommu.c */
int iommufd_viommu_eventq_alloc(struct iommufd_ucmd *ucmd);
void iommufd_viommu_eventq_destroy(struct iommufd_object *obj);
void iommufd_viommu_eventq_init(struct iommufd_viommu *viommu);
void iommufd_viommu_test_set_sequence(struct iommufd_eventq *eventq,
				      u32 sequence);
void iommufd_viommu_test_set_stored(struct iommufd_eventq *eventq, u32 stored);

#endif
