// SPDX-License-Identifier: GPL-2.0
/* What scripts/coccinelle/iommu/eventq_answer.cocci must not report */

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
