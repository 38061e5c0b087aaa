// SPDX-License-Identifier: GPL-2.0
/* What scripts/coccinelle/iommu/eventq_core.cocci has to report: the lines that say so */

static void by_type(struct iommufd_eventq *eventq)
{
	eventq->queued++; /* flag */
	eventq->queued -= 2; /* flag */
	eventq->closed = true; /* flag */
	WRITE_ONCE(eventq->queued, 0); /* flag */
	smp_store_release(&eventq->taken, 1); /* flag */
}

static void of_a_class(struct iommufd_iopf_eventq *iopf)
{
	--iopf->common.queued; /* flag */
	iopf->common.taken = 0; /* flag */
	wake_up_poll(&iopf->common.wait, EPOLLIN); /* flag */
}

static int waiters(struct iommufd_eventq *eventq, struct wait_queue_entry *entry)
{
	add_wait_queue(&eventq->wait, entry); /* flag */
	__wake_up_locked(&eventq->wait, TASK_NORMAL, 1); /* flag */
	list_del_init(&eventq->wait.head); /* flag */
	return wait_event_interruptible(eventq->wait, eventq->queued); /* flag */
}
