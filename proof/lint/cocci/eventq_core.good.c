// SPDX-License-Identifier: GPL-2.0
/* What eventq_core.cocci must not report */

struct reporter {
	size_t bytes;
	unsigned int queued;
	bool closed;
	wait_queue_head_t wait;
};

static unsigned int looks(struct iommufd_eventq *eventq)
{
	if (eventq->closed || waitqueue_active(&eventq->wait))
		return 0;
	return READ_ONCE(eventq->queued) + READ_ONCE(eventq->bytes);
}

static void helpers(struct iommufd_faultq *iopf)
{
	spin_lock_irq(&iopf->common.wait.lock);
	iommufd_eventq_add(&iopf->common);
	iommufd_eventq_remove(&iopf->common, 1);
	iommufd_eventq_wake(&iopf->common);
	spin_unlock_irq(&iopf->common.wait.lock);
	iopf->nr_outstanding = iopf->common.queued;
}

/* Not a queue, whatever its members are called */
static void others(struct reporter *reporter)
{
	reporter->bytes++;
	reporter->queued = 0;
	reporter->closed = true;
	wake_up(&reporter->wait);
}

/* May be asked for without a lock, as a hint */
static bool asks(struct iommufd_eventq *eventq, struct iommufd_viommu *viommu,
		 struct iommufd_attach_handle *handle)
{
	return list_empty(&eventq->wait.head) && list_empty(&viommu->events.queues) &&
	       list_empty_careful(&handle->faults);
}

/* The list of that name which a group itself has, and those of others */
static unsigned int counts(struct iopf_group *group, struct iommufd_faultq *iopf)
{
	struct iopf_fault *fault;
	unsigned int nr = 0;

	list_for_each_entry(fault, &group->faults, list)
		nr++;
	list_move_tail(&group->node, &iopf->outstanding);
	return nr;
}

static unsigned int scoped(struct iommufd_eventq *eventq)
{
	scoped_guard(spinlock_irq, &eventq->wait.lock)
		return eventq->queued;
}
