// SPDX-License-Identifier: GPL-2.0
/* What eventq_sleep.cocci must not report */

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

static void *may_not_sleep_either(struct iommufd_eventq *eventq)
{
	guard(spinlock_irq)(&eventq->wait.lock);
	return kzalloc_obj(*eventq, GFP_NOWAIT);
}

static void *after_the_scope(struct iommufd_eventq *eventq, const void __user *from)
{
	scoped_guard(spinlock_irq, &eventq->wait.lock) {
		if (eventq->closed)
			return NULL;
	}
	return memdup_user(from, 8);
}

static char *before_the_guard(struct iommufd_eventq *eventq, const char __user *from)
{
	char *name = strndup_user(from, 8);

	guard(spinlock_irq)(&eventq->wait.lock);
	eventq->closed = true;
	return name;
}

static void *scope_of_another_lock(struct iommufd_eventq *eventq, const void __user *from)
{
	scoped_guard(mutex, &eventq->readers)
		return vmemdup_user(from, 8);
}

static void *pointer_after_unlock(struct iommufd_eventq *eventq)
{
	spinlock_t *lock = &eventq->wait.lock;

	spin_lock_irq(lock);
	eventq->closed = true;
	spin_unlock_irq(lock);
	return vmalloc(8);
}

/* Of the same name as that of the function above, to a lock that is no queue's */
static void *pointer_to_another_lock(struct reporter *reporter)
{
	spinlock_t *lock = &reporter->lock;
	void *memory;

	spin_lock(lock);
	memory = vmalloc(8);
	spin_unlock(lock);
	return memory;
}
