// SPDX-License-Identifier: GPL-2.0-only
/*
 * The event queue class for I/O page faults (PCI PRI, SMMU stall): faults come
 * in groups, are read as struct iommu_hwpt_pgfault records and answered by
 * writing struct iommu_hwpt_page_response. All about that kind of queue is in
 * this file: allocation ioctl, records, cookies, answers, and what happens to
 * the faults when their device is detached or the file closed.
 *
 * A fault group belongs to exactly one of
 *   pending      nobody has read it, its cookie is 0
 *   outstanding  a reader has it or is about to, its cookie finds it
 *   a function that took it off those lists under the queue lock, and answers
 *
 * and, in the first two cases, is also on the list of its attachment, so that
 * a detach finds its own faults and looks at no others.
 */
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/random.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>
#include <linux/xarray.h>
#include <uapi/linux/iommufd.h>

#include "eventq.h"
#include "iommufd_private.h"
#include "trace.h"

#define IOPF_RECORD_SIZE sizeof(struct iommu_hwpt_pgfault)

/* A chunk of the cookie table takes 512 bytes; there are whole chunks only */
#define IOPF_CHUNK_SLOTS 63
#define IOPF_NR_COOKIES (U32_MAX / IOPF_CHUNK_SLOTS * IOPF_CHUNK_SLOTS)

static_assert((int)IOMMUFD_PAGE_RESP_SUCCESS == (int)IOMMU_PAGE_RESP_SUCCESS);
static_assert((int)IOMMUFD_PAGE_RESP_INVALID == (int)IOMMU_PAGE_RESP_INVALID);
static_assert((int)IOMMU_PGFAULT_FLAGS_PASID_VALID ==
	      (int)IOMMU_FAULT_PAGE_REQUEST_PASID_VALID);
static_assert((int)IOMMU_PGFAULT_FLAGS_LAST_PAGE ==
	      (int)IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE);

/* A part of the cookie table */
struct iopf_chunk {
	/* By index modulo their number; NULL where nobody has the cookie */
	struct iopf_group *groups[IOPF_CHUNK_SLOTS];
	u32 number;	/* index divided by their number */
	u32 used;	/* groups that are not NULL */
};

static_assert(sizeof(struct iopf_chunk) <= 512);

/*
 * All but @records, which the reader in place owns, is under the queue lock.
 *
 * Cookies are handed out in the order of their indexes, which are counted from
 * the random number @cookie_base; a VMM that closes a queue and opens another
 * one can have an answer under way to a fault of the former, which so is unlikely
 * to hit a fault of the latter. @next_index is the one to try next.
 *
 * @chunks maps cookies to outstanding groups, by the number of the chunk that
 * their index is in. A chunk is there while it is used, or the one in @chunk, in
 * which cookies are handed out, or about to be. @recent is where one was last
 * looked up, or NULL: answers that come in about the order of the faults need no
 * search.
 */
struct iommufd_iopf_eventq {
	struct iommufd_eventq common;
	struct list_head pending;
	struct list_head outstanding;
	unsigned int nr_outstanding;

	struct xarray chunks;
	struct iopf_chunk *chunk;
	struct iopf_chunk *recent;
	u32 cookie_base;
	u32 next_index;

	struct iommu_hwpt_pgfault *records;
	size_t records_size;
};

static struct iommufd_iopf_eventq *to_iopf_eventq(struct iommufd_eventq *eventq)
{
	return container_of(eventq, struct iommufd_iopf_eventq, common);
}

/* What chunk a cookie is in, if there is one with that number, and which slot */
static u32 iopf_chunk_number(const struct iommufd_iopf_eventq *iopf, u32 cookie)
{
	return (cookie - iopf->cookie_base) / IOPF_CHUNK_SLOTS;
}

static struct iopf_group **iopf_slot(const struct iommufd_iopf_eventq *iopf,
				     struct iopf_chunk *chunk, u32 cookie)
{
	return &chunk->groups[(cookie - iopf->cookie_base) % IOPF_CHUNK_SLOTS];
}

/* The chunk in which a cookie would be; NULL if there is none: nobody has it */
static struct iopf_chunk *iopf_find_chunk(struct iommufd_iopf_eventq *iopf,
					  u32 cookie)
{
	u32 number = iopf_chunk_number(iopf, cookie);

	iommufd_eventq_assert_locked(&iopf->common);

	if (!iopf->recent || iopf->recent->number != number)
		iopf->recent = xa_load(&iopf->chunks, number);
	return iopf->recent;
}

static void iopf_free_chunk(struct iommufd_iopf_eventq *iopf,
			    struct iopf_chunk *chunk)
{
	xa_lock(&iopf->chunks);
	__xa_erase(&iopf->chunks, chunk->number);
	xa_unlock(&iopf->chunks);
	if (iopf->recent == chunk)
		iopf->recent = NULL;
	kfree(chunk);
}

static void iopf_set_chunk(struct iommufd_iopf_eventq *iopf,
			   struct iopf_chunk *chunk)
{
	struct iopf_chunk *old = iopf->chunk;

	iommufd_eventq_assert_locked(&iopf->common);

	iopf->chunk = chunk;
	if (old && old != chunk && !old->used)
		iopf_free_chunk(iopf, old);
}

/*
 * Go on to the chunk of the next index. It is there already if the indexes
 * wrapped and a group is outstanding since then. Drops the queue lock; only
 * readers make chunks, and they are serialised.
 */
static int iopf_enter_chunk(struct iommufd_iopf_eventq *iopf)
	__must_hold(&iopf->common.wait.lock)
{
	u32 number = iopf->next_index / IOPF_CHUNK_SLOTS;
	struct iopf_chunk *chunk;
	int rc = 0;

	lockdep_assert_held(&iopf->common.readers);

	chunk = xa_load(&iopf->chunks, number);
	if (chunk) {
		iopf_set_chunk(iopf, chunk);
		/* Who knows how many such ones follow */
		spin_unlock_irq(&iopf->common.wait.lock);
		cond_resched();
		spin_lock_irq(&iopf->common.wait.lock);
		return 0;
	}

	spin_unlock_irq(&iopf->common.wait.lock);
	chunk = kzalloc_obj(*chunk, IOMMUFD_EVENTQ_GFP);
	if (chunk) {
		chunk->number = number;
		rc = xa_insert_irq(&iopf->chunks, number, chunk,
				   IOMMUFD_EVENTQ_GFP);
	}
	spin_lock_irq(&iopf->common.wait.lock);
	if (!chunk || rc) {
		kfree(chunk);
		return -ENOMEM;
	}
	iopf_set_chunk(iopf, chunk);
	return 0;
}

/*
 * Find the next cookie that is free in the chunk in place. 0, which is no
 * cookie, if there is none left in it.
 */
static u32 iopf_next_cookie(struct iommufd_iopf_eventq *iopf)
{
	struct iopf_chunk *chunk = iopf->chunk;
	u32 cookie, index;

	while (chunk && iopf->next_index / IOPF_CHUNK_SLOTS == chunk->number) {
		index = iopf->next_index++;
		if (iopf->next_index == IOPF_NR_COOKIES)
			iopf->next_index = 0;
		cookie = iopf->cookie_base + index;
		if (cookie && !*iopf_slot(iopf, chunk, cookie))
			return cookie;
	}
	return 0;
}

/* Give a pending group its cookie. From here on it can be answered. */
static bool iopf_hand_out(struct iommufd_iopf_eventq *iopf,
			  struct iopf_group *group)
{
	u32 cookie = iopf_next_cookie(iopf);

	if (!cookie)
		return false;
	group->cookie = cookie;
	*iopf_slot(iopf, iopf->chunk, cookie) = group;
	iopf->chunk->used++;
	list_move_tail(&group->node, &iopf->outstanding);
	iopf->nr_outstanding++;
	iommufd_eventq_remove(&iopf->common, 1);
	return true;
}

/* Nobody has the cookie any more. The group may be NULL: nobody had it. */
static struct iopf_group *iopf_take_cookie(struct iommufd_iopf_eventq *iopf,
					   u32 cookie)
{
	struct iopf_chunk *chunk = iopf_find_chunk(iopf, cookie);
	struct iopf_group **slot, *group;

	if (!chunk)
		return NULL;
	slot = iopf_slot(iopf, chunk, cookie);
	group = *slot;
	if (!group)
		return NULL;

	*slot = NULL;
	if (!--chunk->used && chunk != iopf->chunk)
		iopf_free_chunk(iopf, chunk);
	group->cookie = 0;
	iopf->nr_outstanding--;
	return group;
}

/* Take a group, which has no cookie now, off its lists; the caller answers it */
static void iopf_unlink(struct iopf_group *group)
{
	list_del(&group->node);
	list_del(&group->attach_node);
	to_iommufd_handle(group->attach_handle)->nr_answering++;
}

static u32 iopf_dev_id(const struct iopf_group *group)
{
	return to_iommufd_handle(group->attach_handle)->dev_id;
}

/*
 * Take a group out of the queue, be it pending or outstanding, since nobody will
 * answer it, for the reason that is traced
 */
static void iopf_take(struct iommufd_iopf_eventq *iopf,
		      struct iopf_group *group, const char *reason)
{
	trace_eventq_iopf_auto_answer(&iopf->common, iopf_dev_id(group), group,
				      group->cookie, reason);
	if (group->cookie)
		iopf_take_cookie(iopf, group->cookie);
	else
		iommufd_eventq_remove(&iopf->common, 1);
	iopf_unlink(group);
}

/*
 * Answer a group that was taken. The attachment, and the device if it is the
 * last one of its group, is there until the count is given back: the end of the
 * attachment waits for that.
 */
static void iopf_respond(struct iommufd_iopf_eventq *iopf,
			 struct iopf_group *group,
			 enum iommu_page_response_code code)
{
	struct iommufd_attach_handle *handle =
		to_iommufd_handle(group->attach_handle);
	bool wake;

	iopf_group_response(group, code);
	iopf_free_group(group);

	spin_lock_irq(&iopf->common.wait.lock);
	wake = !--handle->nr_answering && handle->detached;
	spin_unlock_irq(&iopf->common.wait.lock);
	/*
	 * By its address only: it may be gone. No barrier is needed, as the
	 * waiter looks under the same lock under which the count went down.
	 */
	if (wake)
		wake_up_var(&handle->nr_answering);
}

static bool iopf_is_answering(struct iommufd_iopf_eventq *iopf,
			      struct iommufd_attach_handle *handle)
{
	guard(spinlock_irq)(&iopf->common.wait.lock);
	return handle->nr_answering;
}

static void iopf_compose(struct iopf_group *group,
			 struct iommu_hwpt_pgfault *record)
{
	u32 dev_id = iopf_dev_id(group);
	struct iopf_fault *iopf;

	list_for_each_entry(iopf, &group->faults, list) {
		record->flags = iopf->fault.prm.flags;
		record->dev_id = dev_id;
		record->pasid = iopf->fault.prm.pasid;
		record->grpid = iopf->fault.prm.grpid;
		record->perm = iopf->fault.prm.perm;
		record->__reserved = 0;
		record->addr = iopf->fault.prm.addr;
		record->length = 0;
		record->cookie = group->cookie;
		record++;
	}
}

/* Make room for a larger group than ever was. Drops the queue lock. */
static int iopf_grow_records(struct iommufd_iopf_eventq *iopf, size_t size)
	__must_hold(&iopf->common.wait.lock)
{
	void *records;

	lockdep_assert_held(&iopf->common.readers);

	spin_unlock_irq(&iopf->common.wait.lock);
	records = kvmalloc(size, IOMMUFD_EVENTQ_GFP);
	if (records) {
		kvfree(iopf->records);
		iopf->records = records;
		iopf->records_size = size;
	}
	spin_lock_irq(&iopf->common.wait.lock);
	return records ? 0 : -ENOMEM;
}

/*
 * Compose as many whole groups as fit into the reader's buffer and ours. A
 * group can be taken away by a detach whenever the lock is not held, hence the
 * records are a copy and the cookie is what links them to the group.
 */
static int iopf_stage(struct iommufd_eventq *eventq, size_t room,
		      const void **chunk)
{
	struct iommufd_iopf_eventq *iopf = to_iopf_eventq(eventq);
	struct iopf_group *group;
	size_t staged = 0;
	size_t size;
	int rc = 0;

	spin_lock_irq(&eventq->wait.lock);
	while ((group = list_first_entry_or_null(&iopf->pending,
						 struct iopf_group, node))) {
		size = group->fault_count * IOPF_RECORD_SIZE;
		if (size > room - staged) {
			rc = -EINVAL;
			break;
		}
		/* The lock is held for one page of records, or one large group */
		if (staged && staged + size > PAGE_SIZE)
			break;
		if (size > iopf->records_size) {
			rc = iopf_grow_records(iopf, size);
			if (rc)
				break;
			continue;
		}

		if (iopf_hand_out(iopf, group)) {
			iopf_compose(group, (void *)iopf->records + staged);
			staged += size;
			continue;
		}
		if (staged)
			break;
		rc = iopf_enter_chunk(iopf);
		if (rc)
			break;
	}
	spin_unlock_irq(&eventq->wait.lock);

	*chunk = iopf->records;
	return staged ?: rc;
}

/* A group whose records did not reach the user goes back to where it was */
static void iopf_withdraw(struct iommufd_iopf_eventq *iopf, u32 cookie)
{
	struct iopf_group *group = iopf_take_cookie(iopf, cookie);

	/* Answered meanwhile, by a detach or by a writer who guessed */
	if (!group)
		return;
	list_move(&group->node, &iopf->pending);
	__iommufd_eventq_add(&iopf->common);
}

/* Trace the groups of which the user got all records, in so many bytes */
static noinline void iopf_trace_read(const struct iommufd_eventq *eventq,
				     const struct iommu_hwpt_pgfault *records,
				     size_t copied)
{
	size_t nr = copied / IOPF_RECORD_SIZE;
	size_t first = 0;
	size_t i;

	for (i = 0; i < nr; i++) {
		if (!(records[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE))
			continue;
		trace_call__eventq_iopf_read(eventq, &records[i],
					     i + 1 - first);
		first = i + 1;
	}
}

static size_t iopf_settle(struct iommufd_eventq *eventq, const void *chunk,
			  size_t staged, size_t copied)
{
	struct iommufd_iopf_eventq *iopf = to_iopf_eventq(eventq);
	const struct iommu_hwpt_pgfault *records = chunk;
	size_t nr = staged / IOPF_RECORD_SIZE;
	size_t whole = copied / IOPF_RECORD_SIZE;

	if (trace_eventq_iopf_read_enabled())
		iopf_trace_read(eventq, records, copied);

	if (likely(copied == staged))
		return staged;

	guard(spinlock_irq)(&eventq->wait.lock);
	/* Back to the end of a group: its last record, and only that, says so */
	while (whole && !(records[whole - 1].flags &
			  IOMMU_PGFAULT_FLAGS_LAST_PAGE))
		whole--;
	/* From the back, as each goes to the head of the queue */
	while (nr-- > whole)
		if (records[nr].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE)
			iopf_withdraw(iopf, records[nr].cookie);

	return whole * IOPF_RECORD_SIZE;
}

static int iopf_answer(struct iommufd_eventq *eventq, const void *answer)
{
	struct iommufd_iopf_eventq *iopf = to_iopf_eventq(eventq);
	const struct iommu_hwpt_page_response *response = answer;
	struct iopf_group *group;

	if (response->code != IOMMUFD_PAGE_RESP_SUCCESS &&
	    response->code != IOMMUFD_PAGE_RESP_INVALID)
		return -EINVAL;

	spin_lock_irq(&eventq->wait.lock);
	group = iopf_take_cookie(iopf, response->cookie);
	if (group)
		iopf_unlink(group);
	spin_unlock_irq(&eventq->wait.lock);
	if (!group)
		return -EINVAL;

	trace_eventq_iopf_answer(eventq, iopf_dev_id(group), group,
				 response->cookie, response->code);
	iopf_respond(iopf, group, response->code);
	return 0;
}

/* With the file closed nobody can ever answer: say so to the devices */
static void iopf_close(struct iommufd_eventq *eventq)
{
	struct iommufd_iopf_eventq *iopf = to_iopf_eventq(eventq);
	struct iopf_group *group;
	struct list_head *list;

	for (;;) {
		spin_lock_irq(&eventq->wait.lock);
		list = list_empty(&iopf->outstanding) ? &iopf->pending :
							&iopf->outstanding;
		group = list_first_entry_or_null(list, struct iopf_group, node);
		if (group)
			iopf_take(iopf, group, "close");
		spin_unlock_irq(&eventq->wait.lock);
		if (!group)
			return;
		iopf_respond(iopf, group, IOMMU_PAGE_RESP_INVALID);
	}
}

static void iopf_show_fdinfo(struct iommufd_eventq *eventq, struct seq_file *m)
{
	unsigned int nr_outstanding;

	spin_lock_irq(&eventq->wait.lock);
	nr_outstanding = to_iopf_eventq(eventq)->nr_outstanding;
	spin_unlock_irq(&eventq->wait.lock);

	seq_printf(m, "outstanding:\t%u\n", nr_outstanding);
}

static const struct iommufd_eventq_ops iopf_eventq_ops = {
	.file_name = "[iommufd-pgfault]",
	.class = "iopf",
	.answer_size = sizeof(struct iommu_hwpt_page_response),
	.stage = iopf_stage,
	.settle = iopf_settle,
	.answer = iopf_answer,
	.close = iopf_close,
	.show_fdinfo = iopf_show_fdinfo,
};

/**
 * iommufd_iopf_eventq_alloc() - ioctl(IOMMU_FAULT_QUEUE_ALLOC)
 * @ucmd: the ioctl, with a struct iommu_fault_alloc
 *
 * Context: Process context.
 * Return: 0; -EOPNOTSUPP on an unknown flag; -ENOMEM; or an error of
 * iommufd_eventq_publish().
 */
int iommufd_iopf_eventq_alloc(struct iommufd_ucmd *ucmd)
{
	struct iommu_fault_alloc *cmd = ucmd->cmd;
	struct iommufd_iopf_eventq *iopf;

	if (cmd->flags & ~IOMMUFD_EVENTQ_ALLOC_FLAGS)
		return -EOPNOTSUPP;

	iopf = __iommufd_object_alloc_ucmd(ucmd, iopf, IOMMUFD_OBJ_FAULT,
					   common.obj);
	if (IS_ERR(iopf))
		return PTR_ERR(iopf);

	INIT_LIST_HEAD(&iopf->pending);
	INIT_LIST_HEAD(&iopf->outstanding);
	xa_init_flags(&iopf->chunks, XA_FLAGS_LOCK_IRQ | XA_FLAGS_ACCOUNT);
	iopf->cookie_base = get_random_u32();
	iommufd_eventq_setup(&iopf->common, &iopf_eventq_ops, cmd->flags);

	iopf->records = kvmalloc(PAGE_SIZE, IOMMUFD_EVENTQ_GFP);
	if (!iopf->records)
		return -ENOMEM;
	iopf->records_size = PAGE_SIZE;

	cmd->out_fault_id = iopf->common.obj.id;
	return iommufd_eventq_publish(&iopf->common, ucmd, &cmd->out_fault_fd,
				      sizeof(*cmd));
}

/**
 * iommufd_iopf_eventq_destroy() - Free a fault queue
 * @obj: the object of the queue
 *
 * No domain refers to the queue and its file is closed or was never made, so no
 * fault is left.
 *
 * Context: Process context.
 */
void iommufd_iopf_eventq_destroy(struct iommufd_object *obj)
{
	struct iommufd_iopf_eventq *iopf =
		container_of(obj, struct iommufd_iopf_eventq, common.obj);

	WARN_ON(!list_empty(&iopf->pending) || !list_empty(&iopf->outstanding));
	/* The chunk in place is left, if there ever was one */
	kfree(iopf->chunk);
	xa_destroy(&iopf->chunks);
	kvfree(iopf->records);
	iommufd_eventq_teardown(&iopf->common);
}

/* Out of the way of reports: nothing is loaded for it while tracing is off */
static noinline void iopf_trace_report(const struct iommufd_eventq *eventq,
				       const struct iopf_group *group)
{
	trace_call__eventq_iopf_report(eventq, iopf_dev_id(group), group);
}

/**
 * iommufd_iopf_report() - Queue a group of faults for user space
 * @group: the group, complete; its attachment is to a domain with a fault queue
 *
 * The &iommu_domain.iopf_handler of domains that were allocated with a fault
 * queue. If the file of the queue is closed the group is answered INVALID right
 * here, since nobody could ever answer it (PCIe 10.4.2.1).
 *
 * The caller keeps the promise of io-pgfault: no group of an attachment is
 * reported any more once iommufd_iopf_detach() was called for it. That it holds
 * while a domain is replaced is up to the IOMMU core and the driver, who flush
 * what was reported through the old attachment.
 *
 * Context: Process context, may sleep on locks of io-pgfault.
 * Return: 0, the group is taken care of.
 */
int iommufd_iopf_report(struct iopf_group *group)
{
	struct iommufd_attach_handle *handle =
		to_iommufd_handle(group->attach_handle);
	struct iommufd_eventq *eventq =
		handle->handle.domain->iommufd_hwpt->iopf_eventq;
	struct iommufd_iopf_eventq *iopf = to_iopf_eventq(eventq);
	bool closed;

	iopf_group_dequeue(group);

	spin_lock_irq(&eventq->wait.lock);
	closed = eventq->closed;
	if (!closed) {
		group->cookie = 0;
		list_add_tail(&group->node, &iopf->pending);
		list_add_tail(&group->attach_node, &handle->faults);
		if (trace_eventq_iopf_report_enabled())
			iopf_trace_report(eventq, group);
		iommufd_eventq_add(eventq);
	}
	spin_unlock_irq(&eventq->wait.lock);

	if (closed) {
		trace_eventq_iopf_auto_answer(eventq, handle->dev_id, group, 0,
					      "closed");
		iopf_group_response(group, IOMMU_PAGE_RESP_INVALID);
		iopf_free_group(group);
	}
	return 0;
}

/**
 * iommufd_iopf_attach_init() - Initialise an attachment for faults
 * @handle: the attachment, of a group of devices and a PASID
 * @idev: the device through which it is made
 *
 * What is needed of @idev is copied: the device can leave its group, and be
 * freed, before the attachment ends.
 *
 * Context: Any; nobody else knows the attachment yet.
 */
void iommufd_iopf_attach_init(struct iommufd_attach_handle *handle,
			      struct iommufd_device *idev)
{
	handle->igroup = idev->igroup;
	handle->dev_id = idev->obj.id;
	INIT_LIST_HEAD(&handle->faults);
}

/**
 * iommufd_iopf_detach() - Answer the faults of an attachment that has ended
 * @hwpt: what was attached
 * @handle: the attachment, which reports no faults any more; may be NULL
 *
 * All faults of the attachment, read or not, are answered INVALID. A reader of
 * their records who has not answered yet gets -EINVAL for an attempt to. Costs
 * time for the faults of this attachment only. Waits for answers that are on
 * their way to the driver, but for no reader or writer at its buffer.
 *
 * Context: Process context.
 */
void iommufd_iopf_detach(struct iommufd_hw_pagetable *hwpt,
			 struct iommufd_attach_handle *handle)
{
	struct iommufd_iopf_eventq *iopf;
	struct iopf_group *group;

	if (!hwpt->iopf_eventq || !handle)
		return;
	iopf = to_iopf_eventq(hwpt->iopf_eventq);

	for (;;) {
		spin_lock_irq(&iopf->common.wait.lock);
		handle->detached = true;
		group = list_first_entry_or_null(&handle->faults,
						 struct iopf_group,
						 attach_node);
		if (group)
			iopf_take(iopf, group, "detach");
		spin_unlock_irq(&iopf->common.wait.lock);
		if (!group)
			break;
		iopf_respond(iopf, group, IOMMU_PAGE_RESP_INVALID);
	}

	wait_var_event(&handle->nr_answering, !iopf_is_answering(iopf, handle));
}

#if IS_ENABLED(CONFIG_IOMMUFD_EVENTQ_KUNIT_TEST)
/**
 * iommufd_iopf_test_set_cookie() - Set the last cookie handed out, for tests
 * @eventq: a fault queue that nobody reads meanwhile
 * @cookie: the cookie before the next one
 *
 * Context: Process context.
 */
void iommufd_iopf_test_set_cookie(struct iommufd_eventq *eventq, u32 cookie)
{
	struct iommufd_iopf_eventq *iopf = to_iopf_eventq(eventq);

	guard(spinlock_irq)(&eventq->wait.lock);
	iopf_set_chunk(iopf, NULL);
	if (!iopf->nr_outstanding)
		iopf->cookie_base = cookie + 1;
	iopf->next_index = cookie + 1 - iopf->cookie_base;
}
#endif
