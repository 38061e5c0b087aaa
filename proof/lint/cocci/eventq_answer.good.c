// SPDX-License-Identifier: GPL-2.0
/* What eventq_answer.cocci must not report */

static void respond(struct iommufd_eventq *eventq, struct iopf_group *group)
{
	iopf_group_response(group, IOMMU_PAGE_RESP_INVALID);
	spin_lock_irq(&eventq->wait.lock);
	eventq->nr_answering--;
	spin_unlock_irq(&eventq->wait.lock);
}

static void taken_out_before(struct iommufd_eventq *eventq)
{
	struct iopf_group *group;

	for (;;) {
		spin_lock_irq(&eventq->wait.lock);
		group = list_first_entry_or_null(&eventq->groups, struct iopf_group, node);
		if (group)
			list_del(&group->node);
		spin_unlock_irq(&eventq->wait.lock);
		if (!group)
			return;
		respond(eventq, group);
	}
}

static void other_lock(struct iommufd_eventq *eventq, struct iopf_group *group)
{
	mutex_lock(&eventq->readers);
	iopf_group_response(group, IOMMU_PAGE_RESP_SUCCESS);
	mutex_unlock(&eventq->readers);
}

static void after_the_scope(struct iommufd_eventq *eventq, struct iopf_group *group)
{
	scoped_guard(spinlock_irq, &eventq->wait.lock) {
		if (eventq->closed)
			return;
		list_del(&group->node);
	}
	respond(eventq, group);
}

static void scope_of_another_lock(struct iommufd_eventq *eventq, struct iopf_group *group)
{
	scoped_guard(mutex, &eventq->readers)
		iopf_group_response(group, IOMMU_PAGE_RESP_SUCCESS);
}

static void pointer_after_unlock(struct iommufd_eventq *eventq, struct iopf_group *group)
{
	spinlock_t *lock = &eventq->wait.lock;

	spin_lock_irq(lock);
	list_del(&group->node);
	spin_unlock_irq(lock);
	respond(eventq, group);
}

/* Of the same name as that of the function above, to a lock that is no queue's */
static void pointer_to_another_lock(struct reporter *reporter, struct iopf_group *group)
{
	spinlock_t *lock = &reporter->lock;

	spin_lock(lock);
	iopf_group_response(group, IOMMU_PAGE_RESP_SUCCESS);
	spin_unlock(lock);
}
