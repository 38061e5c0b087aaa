// SPDX-License-Identifier: GPL-2.0
/* What eventq_core.cocci has to report: the lines that say so */

static void by_type(struct iommufd_eventq *eventq)
{
	eventq->queued++; /* flag */
	eventq->queued -= 2; /* flag */
	eventq->closed = true; /* flag */
	WRITE_ONCE(eventq->queued, 0); /* flag */
	smp_store_release(&eventq->bytes, 1); /* flag */
}

static void of_a_class(struct iommufd_faultq *iopf)
{
	--iopf->common.queued; /* flag */
	iopf->common.bytes = 0; /* flag */
	wake_up_poll(&iopf->common.wait, EPOLLIN); /* flag */
}

static int waiters(struct iommufd_eventq *eventq, struct wait_queue_entry *entry)
{
	add_wait_queue(&eventq->wait, entry); /* flag */
	__wake_up_locked(&eventq->wait, TASK_NORMAL, 1); /* flag */
	list_del_init(&eventq->wait.head); /* flag */
	return wait_event_interruptible(eventq->wait, eventq->queued); /* flag */
}

static void wakes_each(struct iommufd_eventq *eventq)
{
	struct wait_queue_entry *entry, *next;

	list_for_each_entry_safe(entry, next, &eventq->wait.head, entry) /* flag */
		entry->func(entry, TASK_NORMAL, 0, NULL);
}

static void lists_of_a_vIOMMU(struct iommufd_viommu *viommu, struct list_head *node)
{
	struct list_head *each;

	INIT_LIST_HEAD(&viommu->events.queues); /* flag */
	list_add(node, &viommu->events.queues); /* flag */
	list_for_each(each, &viommu->events.queues) /* flag */
		cond_resched();
}

static struct iopf_group *lists_of_an_attachment(struct iommufd_attach_handle *handle,
						 struct iommufd_hw_pagetable *hwpt)
{
	struct iopf_group *group, *next;

	list_for_each_entry_safe(group, next, &handle->faults, node) /* flag */
		list_del_init(&group->attach_node); /* flag */
	list_splice_init(&to_iommufd_handle(hwpt->handle)->faults, &hwpt->rest); /* flag */
	return list_first_entry(&hwpt->rest, struct iopf_group, attach_node); /* flag */
}

static void scoped(struct iommufd_eventq *eventq)
{
	scoped_guard(spinlock_irq, &eventq->wait.lock)
		eventq->queued++; /* flag */
}
