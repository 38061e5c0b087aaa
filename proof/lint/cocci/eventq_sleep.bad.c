// SPDX-License-Identifier: GPL-2.0
/* What eventq_sleep.cocci has to report: the lines that say so */

static int direct(struct iommufd_eventq *eventq, void __user *to, void *from)
{
	int rc = 0;

	spin_lock_irq(&eventq->wait.lock);
	if (copy_to_user(to, from, 8)) /* flag */
		rc = -EFAULT;
	spin_unlock_irq(&eventq->wait.lock);
	return rc;
}

static void *in_a_class(struct iommufd_faultq *iopf)
{
	unsigned long flags;
	void *memory;

	spin_lock_irqsave(&iopf->common.wait.lock, flags);
	memory = kmalloc(8, GFP_KERNEL | __GFP_NOWARN); /* flag */
	spin_unlock_irqrestore(&iopf->common.wait.lock, flags);
	return memory;
}

static size_t guarded(struct iommufd_eventq *eventq, struct iov_iter *to)
{
	guard(spinlock_irq)(&eventq->wait.lock);
	return copy_to_iter(eventq, 8, to); /* flag */
}

static void *asserted(struct iommufd_eventq *eventq)
{
	lockdep_assert_held(&eventq->wait.lock);
	return kzalloc_obj(*eventq, IOMMUFD_EVENTQ_GFP); /* flag */
}

static void *on_one_path(struct iommufd_viommu *viommu, bool drop)
{
	spin_lock_irq(&viommu->events.lock);
	if (drop)
		spin_unlock_irq(&viommu->events.lock);
	return vmalloc(8); /* flag */
}

static void *sleeper(void)
{
	return kmalloc(8, GFP_KERNEL);
}

static void *calls_sleeper(void)
{
	return sleeper();
}

static void indirect(struct iommufd_eventq *eventq)
{
	spin_lock(&eventq->wait.lock);
	kfree(calls_sleeper()); /* flag */
	spin_unlock(&eventq->wait.lock);
}

static void *store(void)
{
	return kzalloc(8, GFP_KERNEL); /* flag */
}

static int report(struct iommufd_viommu *viommu)
{
	return store() ? 0 : -ENOMEM;
}

static void init(struct iommufd_viommu *viommu)
{
	viommu->report_event = report;
}

int iommufd_faultq_report(struct iopf_group *group)
{
	group->copy = kvmalloc(8, GFP_KERNEL_ACCOUNT); /* flag */
	return 0;
}

static void *guarded_copy(struct iommufd_eventq *eventq, const void __user *from)
{
	guard(spinlock_irqsave)(&eventq->wait.lock);
	return memdup_user(from, 8); /* flag */
}

static char *string(struct iommufd_eventq *eventq, const char __user *from)
{
	char *name;

	spin_lock_irq(&eventq->wait.lock);
	name = strndup_user(from, 8); /* flag */
	spin_unlock_irq(&eventq->wait.lock);
	return name;
}

static int scoped(struct iommufd_eventq *eventq, void __user *to, void *from)
{
	scoped_guard(spinlock_irq, &eventq->wait.lock) {
		if (eventq->closed)
			return -EBADF;
		if (copy_to_user(to, from, 8)) /* flag */
			return -EFAULT;
	}
	return 0;
}

static void scoped_call(struct iommufd_viommu *viommu)
{
	scoped_guard(spinlock_irqsave, &viommu->events.lock)
		kfree(calls_sleeper()); /* flag */
}

static void *by_pointer(struct iommufd_faultq *iopf, const void __user *from)
{
	spinlock_t *lock = &iopf->common.wait.lock;
	void *memory;

	spin_lock_irq(lock);
	memory = vmemdup_user(from, 8); /* flag */
	spin_unlock_irq(lock);
	return memory;
}

static void *by_pointer_set_later(struct iommufd_viommu *viommu, bool scoped)
{
	spinlock_t *lock;

	lock = &viommu->events.lock;
	if (!scoped) {
		guard(spinlock)(lock);
		return vmalloc(8); /* flag */
	}
	scoped_guard(spinlock, lock)
		return sleeper(); /* flag */
}

static void *without_flags(struct iommufd_eventq *eventq)
{
	guard(spinlock_irq)(&eventq->wait.lock);
	return kzalloc_obj(*eventq); /* flag */
}
