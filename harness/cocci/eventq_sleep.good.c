// SPDX-License-Identifier: GPL-2.0
/* What scripts/coccinelle/iommu/eventq_sleep.cocci must not report */

static int after_unlock(struct iommufd_eventq *eventq, void __user *to)
{
	u64 value;

	spin_lock_irq(&eventq->wait.lock);
	value = eventq->queued;
	spin_unlock_irq(&eventq->wait.lock);
	return copy_to_user(to, &value, 8) ? -EFAULT : 0;
}

static void *may_not_sleep(struct iommufd_eventq *eventq)
{
	guard(spinlock_irq)(&eventq->wait.lock);
	return kmalloc(8, GFP_ATOMIC);
}

static void *other_lock(struct iommufd_eventq *eventq)
{
	void *memory;

	mutex_lock(&eventq->readers);
	memory = kmalloc(8, GFP_KERNEL);
	mutex_unlock(&eventq->readers);
	return memory;
}

/* Called under the lock, which it drops */
static void *dropper(struct iommufd_eventq *eventq)
{
	void *memory;

	spin_unlock_irq(&eventq->wait.lock);
	memory = kmalloc(8, GFP_KERNEL);
	spin_lock_irq(&eventq->wait.lock);
	return memory;
}

static void *calls_dropper(struct iommufd_eventq *eventq)
{
	void *memory;

	spin_lock_irq(&eventq->wait.lock);
	memory = dropper(eventq);
	spin_unlock_irq(&eventq->wait.lock);
	return memory;
}

static int report(struct iommufd_viommu *viommu)
{
	return kmalloc(8, GFP_NOWAIT) ? 0 : -ENOMEM;
}

static void *allocate(struct iommufd_viommu *viommu)
{
	viommu->report_event = report;
	return kmalloc(8, GFP_KERNEL);
}
