// SPDX-License-Identifier: GPL-2.0
/* What eventq_answer.cocci has to report: the lines that say so */

static void direct(struct iommufd_eventq *eventq, struct iopf_group *group)
{
	spin_lock_irq(&eventq->wait.lock);
	iopf_group_response(group, IOMMU_PAGE_RESP_INVALID); /* flag */
	spin_unlock_irq(&eventq->wait.lock);
}

static void guarded(struct iommufd_faultq *iopf, struct device *dev,
		    struct iopf_fault *fault, struct iommu_page_response *response)
{
	guard(spinlock_irq)(&iopf->common.wait.lock);
	iommu_page_response(dev, fault, response); /* flag */
}

static void asserted(struct iommufd_eventq *eventq, struct iopf_group *group)
{
	lockdep_assert_held(&eventq->wait.lock);
	if (group)
		iopf_group_response(group, IOMMU_PAGE_RESP_INVALID); /* flag */
}

/* Takes the lock itself, but after the answer */
static void respond(struct iommufd_eventq *eventq, struct iopf_group *group)
{
	iopf_group_response(group, IOMMU_PAGE_RESP_INVALID);
	spin_lock_irq(&eventq->wait.lock);
	eventq->nr_answering--;
	spin_unlock_irq(&eventq->wait.lock);
}

static void in_a_loop(struct iommufd_eventq *eventq)
{
	struct iopf_group *group, *next;

	spin_lock_irq(&eventq->wait.lock);
	list_for_each_entry_safe(group, next, &eventq->groups, node)
		respond(eventq, group); /* flag */
	spin_unlock_irq(&eventq->wait.lock);
}

static void scoped(struct iommufd_eventq *eventq, struct iopf_group *group)
{
	scoped_guard(spinlock_irq, &eventq->wait.lock) {
		list_del(&group->node);
		iopf_group_response(group, IOMMU_PAGE_RESP_INVALID); /* flag */
	}
}

static void scoped_call(struct iommufd_faultq *iopf, struct iopf_group *group)
{
	scoped_guard(spinlock_irq, &iopf->common.wait.lock)
		respond(&iopf->common, group); /* flag */
}

static void by_pointer(struct iommufd_eventq *eventq, struct iopf_group *group)
{
	spinlock_t *lock = &eventq->wait.lock;

	spin_lock_irq(lock);
	iopf_group_response(group, IOMMU_PAGE_RESP_INVALID); /* flag */
	spin_unlock_irq(lock);
}

static void by_pointer_set_later(struct iommufd_eventq *eventq, struct iopf_group *group)
{
	spinlock_t *lock;

	lock = &eventq->wait.lock;
	scoped_guard(spinlock_irq, lock)
		respond(eventq, group); /* flag */
}
