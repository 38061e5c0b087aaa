// SPDX-License-Identifier: GPL-2.0-only
/*
 * The event queue class for I/O page faults (PCI PRI, SMMU stall): faults come in
 * groups, are read as struct iommu_hwpt_pgfault records and responded to by writing
 * struct iommu_hwpt_page_response. Allocation ioctl, records, cookies, responses,
 * and what happens to the faults when their attachment ends or the file is closed.
 *
 * A fault group belongs to exactly one of
 *   pending      no reader got it
 *   outstanding  a reader got it, and its cookie finds it
 *   a function that took it off the queue under the queue lock, and responds
 *
 * and, in the first two cases, is also on the list of its device in its attachment, so
 * that a detach finds its own faults and looks at no others.
 */
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/random.h>
#include <linux/rbtree.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>
#include <uapi/linux/iommufd.h>

#include "eventq.h"
#include "iommufd_private.h"
#include "trace.h"

#define RECORD_SIZE sizeof(struct iommu_hwpt_pgfault)
#define RECORD_FLAGS \
	(IOMMU_PGFAULT_FLAGS_PASID_VALID | IOMMU_PGFAULT_FLAGS_LAST_PAGE)

static_assert((int)IOMMUFD_PAGE_RESP_SUCCESS == (int)IOMMU_PAGE_RESP_SUCCESS);
static_assert((int)IOMMUFD_PAGE_RESP_INVALID == (int)IOMMU_PAGE_RESP_INVALID);
static_assert((int)IOMMU_PGFAULT_FLAGS_PASID_VALID ==
	      (int)IOMMU_FAULT_PAGE_REQUEST_PASID_VALID);
static_assert((int)IOMMU_PGFAULT_FLAGS_LAST_PAGE ==
	      (int)IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE);

/*
 * All but @records, which the reader in place owns, is under the queue lock.
 *
 * @outstanding has the groups by cookie. Cookies count up from a random number: a
 * VMM that closes a queue and opens another one can have a response to a fault of
 * the former under way, which is then unlikely to hit a fault of the latter.
 */
struct iommufd_faultq {
	struct iommufd_eventq common;
	struct list_head pending;
	struct rb_root outstanding;
	unsigned int nr_outstanding;
	u32 last_cookie;

	struct iommu_hwpt_pgfault *records;
	size_t records_size;
};

static struct iommufd_faultq *to_faultq(struct iommufd_eventq *eventq)
{
	return container_of(eventq, struct iommufd_faultq, common);
}

static struct iopf_group *to_group(const struct rb_node *node)
{
	return rb_entry_safe(node, struct iopf_group, cookie_node);
}

static size_t group_size(const struct iopf_group *group)
{
	return group->fault_count * RECORD_SIZE;
}

/* The device that faulted, as part of the attachment that it faulted through */
static struct iommufd_attach_device *group_device(const struct iopf_group *group)
{
	return group->device_data;
}

/* The caller holds the lock of the queue, or of the group */
static struct iommufd_attach_device *
attach_find_device(struct iommufd_attach_handle *handle, const struct device *dev)
{
	struct iommufd_attach_device *device;

	list_for_each_entry(device, &handle->devices, node) {
		if (device->dev == dev)
			return device;
	}
	return NULL;
}

static struct iopf_group *faultq_first_pending(struct iommufd_faultq *faultq)
{
	lockdep_assert_held(&faultq->common.wait.lock);
	return list_first_entry_or_null(&faultq->pending, struct iopf_group,
					node);
}

static u32 node_cookie(const struct rb_node *node)
{
	return rb_entry(node, struct iopf_group, cookie_node)->cookie;
}

static bool cookie_less(struct rb_node *a, const struct rb_node *b)
{
	return node_cookie(a) < node_cookie(b);
}

/* The outstanding group with the cookie, or NULL */
static struct iopf_group *faultq_find(struct iommufd_faultq *faultq, u32 cookie)
{
	struct rb_node *node = faultq->outstanding.rb_node;

	lockdep_assert_held(&faultq->common.wait.lock);
	while (node && node_cookie(node) != cookie)
		node = cookie < node_cookie(node) ? node->rb_left :
						    node->rb_right;
	return to_group(node);
}

/* Never 0. Skip cookies that are still in use after the counter wrapped. */
static u32 faultq_next_cookie(struct iommufd_faultq *faultq)
{
	do {
		faultq->last_cookie++;
	} while (!faultq->last_cookie ||
		 faultq_find(faultq, faultq->last_cookie));
	return faultq->last_cookie;
}

/*
 * Take the queue lock with room for the records of the first group, if that fits
 * into the reader's buffer. Only a group of more than a page of records makes this
 * allocate memory.
 */
static int faultq_lock_with_room(struct iommufd_faultq *faultq, size_t room)
	__acquires(&faultq->common.wait.lock)
{
	struct iopf_group *group;
	void *records;
	size_t size;

	lockdep_assert_held(&faultq->common.readers);

	for (;;) {
		spin_lock_irq(&faultq->common.wait.lock);
		group = faultq_first_pending(faultq);
		size = group ? group_size(group) : 0;
		if (size <= faultq->records_size || size > room)
			return 0;
		spin_unlock_irq(&faultq->common.wait.lock);

		records = kvmalloc(size, IOMMUFD_EVENTQ_GFP);
		if (!records) {
			spin_lock_irq(&faultq->common.wait.lock);
			return -ENOMEM;
		}
		kvfree(faultq->records);
		faultq->records = records;
		faultq->records_size = size;
	}
}

static void faultq_compose(struct iopf_group *group,
			   struct iommu_hwpt_pgfault *record)
{
	u32 dev_id = group_device(group)->dev_id;
	struct iopf_fault *iopf;

	list_for_each_entry(iopf, &group->faults, list) {
		record->flags = iopf->fault.prm.flags & RECORD_FLAGS;
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

/*
 * Compose the records of the first groups. The groups stay pending, in their order;
 * a detach can take one away while its records are copied. A group keeps its cookie
 * if the copy fails.
 */
static int faultq_stage(struct iommufd_eventq *eventq, size_t room,
			const void **chunk)
{
	struct iommufd_faultq *faultq = to_faultq(eventq);
	struct iopf_group *group;
	size_t staged = 0;
	int rc;

	rc = faultq_lock_with_room(faultq, room);
	if (rc)
		goto out_unlock;

	list_for_each_entry(group, &faultq->pending, node) {
		if (staged)
			room = min(room, IOMMUFD_EVENTQ_BATCH * RECORD_SIZE);
		if (staged + group_size(group) > room)
			break;
		/* io-pgfault allocates groups zeroed */
		if (!group->cookie)
			group->cookie = faultq_next_cookie(faultq);
		faultq_compose(group, (void *)faultq->records + staged);
		staged += group_size(group);
	}
	if (!staged && !list_empty(&faultq->pending))
		rc = -EINVAL;

out_unlock:
	spin_unlock_irq(&eventq->wait.lock);
	*chunk = faultq->records;
	return staged ?: rc;
}

/* User space got the records with this cookie, if their group is still there */
static void faultq_hand_out(struct iommufd_faultq *faultq, u32 cookie)
{
	struct iopf_group *group = faultq_first_pending(faultq);

	if (!group || group->cookie != cookie)
		return;
	list_del(&group->node);
	iommufd_eventq_remove(&faultq->common, 1, group_size(group));
	rb_add(&group->cookie_node, &faultq->outstanding, cookie_less);
	faultq->nr_outstanding++;
}

static size_t faultq_settle(struct iommufd_eventq *eventq, const void *chunk,
			    size_t copied)
{
	struct iommufd_faultq *faultq = to_faultq(eventq);
	const struct iommu_hwpt_pgfault *records = chunk;
	size_t nr = copied / RECORD_SIZE;
	size_t whole = 0;
	size_t i;

	guard(spinlock_irq)(&eventq->wait.lock);
	for (i = 0; i < nr; i++) {
		/* The last record of a group, and only that, says so */
		if (!(records[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE))
			continue;
		trace_eventq_iopf_read(eventq, &records[i], i + 1 - whole);
		faultq_hand_out(faultq, records[i].cookie);
		whole = i + 1;
	}
	return whole * RECORD_SIZE;
}

/*
 * Take a group off the queue. The caller must respond to it: for user space, or for
 * the @reason that user space will not.
 */
static void faultq_take(struct iommufd_faultq *faultq, struct iopf_group *group,
			const char *reason)
{
	bool outstanding = !RB_EMPTY_NODE(&group->cookie_node);

	lockdep_assert_held(&faultq->common.wait.lock);

	if (reason)
		trace_eventq_iopf_auto_answer(&faultq->common,
					      group_device(group)->dev_id, group,
					      outstanding ? group->cookie : 0,
					      reason);
	if (outstanding) {
		rb_erase(&group->cookie_node, &faultq->outstanding);
		faultq->nr_outstanding--;
	} else {
		list_del(&group->node);
		iommufd_eventq_remove(&faultq->common, 1, group_size(group));
	}
	list_del(&group->attach_node);
	group_device(group)->nr_responding++;
}

/*
 * Respond to a group that was taken. nr_responding keeps the attachment alive:
 * faultq_free_device() waits for it to become 0. An error says that the device got
 * another response, from io-pgfault.
 */
static int faultq_respond(struct iommufd_faultq *faultq,
			  struct iopf_group *group,
			  enum iommu_page_response_code code)
{
	struct iommufd_attach_device *device = group_device(group);
	int rc;

	rc = iopf_group_response(group, code);
	iopf_free_group(group);

	spin_lock_irq(&faultq->common.wait.lock);
	device->nr_responding--;
	spin_unlock_irq(&faultq->common.wait.lock);
	/*
	 * By its address only: the attachment may be gone. No barrier is needed, as
	 * the waiter looks under the same lock under which the count went down.
	 */
	wake_up_var(&device->nr_responding);
	return rc;
}

/* Respond INVALID to the groups of a device, or of the queue if it is NULL */
static void faultq_finish(struct iommufd_faultq *faultq,
			  struct iommufd_attach_device *device,
			  const char *reason)
{
	struct iopf_group *group;

	for (;;) {
		spin_lock_irq(&faultq->common.wait.lock);
		if (device)
			group = list_first_entry_or_null(&device->faults,
							 struct iopf_group,
							 attach_node);
		else
			group = to_group(rb_first(&faultq->outstanding)) ?:
				faultq_first_pending(faultq);
		if (group)
			faultq_take(faultq, group, reason);
		spin_unlock_irq(&faultq->common.wait.lock);
		if (!group)
			return;
		faultq_respond(faultq, group, IOMMU_PAGE_RESP_INVALID);
		cond_resched();
	}
}

static int faultq_write(struct iommufd_eventq *eventq, const void *data)
{
	struct iommufd_faultq *faultq = to_faultq(eventq);
	const struct iommu_hwpt_page_response *response = data;
	struct iopf_group *group;

	if (response->code != IOMMUFD_PAGE_RESP_SUCCESS &&
	    response->code != IOMMUFD_PAGE_RESP_INVALID)
		return -EINVAL;

	spin_lock_irq(&eventq->wait.lock);
	group = faultq_find(faultq, response->cookie);
	if (group)
		faultq_take(faultq, group, NULL);
	spin_unlock_irq(&eventq->wait.lock);
	if (!group)
		return -EINVAL;

	trace_eventq_iopf_answer(eventq, group_device(group)->dev_id, group,
				 response->cookie, response->code);
	return faultq_respond(faultq, group, response->code) ? -EINVAL : 0;
}

/* Nobody can ever respond to a fault of a closed file: tell the devices so */
static void faultq_close(struct iommufd_eventq *eventq)
{
	faultq_finish(to_faultq(eventq), NULL, "close");
}

static void faultq_show_fdinfo(struct iommufd_eventq *eventq,
			       struct seq_file *m)
{
	unsigned int nr_outstanding;

	spin_lock_irq(&eventq->wait.lock);
	nr_outstanding = to_faultq(eventq)->nr_outstanding;
	spin_unlock_irq(&eventq->wait.lock);

	seq_printf(m, "outstanding:\t%u\n", nr_outstanding);
}

static const struct iommufd_eventq_ops faultq_ops = {
	.file_name = "[iommufd-pgfault]",
	.class = "iopf",
	.response_size = sizeof(struct iommu_hwpt_page_response),
	.stage = faultq_stage,
	.settle = faultq_settle,
	.respond = faultq_write,
	.close = faultq_close,
	.show_fdinfo = faultq_show_fdinfo,
};

/**
 * iommufd_faultq_alloc() - ioctl(IOMMU_FAULT_QUEUE_ALLOC)
 * @ucmd: the ioctl, with a struct iommu_fault_alloc
 *
 * Context: Process context.
 * Return:
 * * 0 on success
 * * -EOPNOTSUPP: an unknown flag
 * * -ENOMEM: no memory for the queue
 * * an error of iommufd_eventq_publish()
 */
int iommufd_faultq_alloc(struct iommufd_ucmd *ucmd)
{
	struct iommu_fault_alloc *cmd = ucmd->cmd;
	struct iommufd_faultq *faultq;

	if (cmd->flags & ~IOMMUFD_EVENTQ_ALLOC_FLAGS)
		return -EOPNOTSUPP;

	faultq = __iommufd_object_alloc_ucmd(ucmd, faultq, IOMMUFD_OBJ_FAULT,
					     common.obj);
	if (IS_ERR(faultq))
		return PTR_ERR(faultq);

	INIT_LIST_HEAD(&faultq->pending);
	faultq->outstanding = RB_ROOT;
	faultq->last_cookie = get_random_u32();
	iommufd_eventq_setup(&faultq->common, &faultq_ops, cmd->flags);

	/* A batch fits from the beginning; a larger group makes it grow */
	BUILD_BUG_ON(IOMMUFD_EVENTQ_BATCH * RECORD_SIZE > PAGE_SIZE);
	faultq->records = kvmalloc(PAGE_SIZE, IOMMUFD_EVENTQ_GFP);
	if (!faultq->records)
		return -ENOMEM;
	faultq->records_size = PAGE_SIZE;

	cmd->out_fault_id = faultq->common.obj.id;
	return iommufd_eventq_publish(&faultq->common, ucmd, &cmd->out_fault_fd,
				      sizeof(*cmd));
}

/**
 * iommufd_faultq_destroy() - Free a fault queue
 * @obj: the object of the queue
 *
 * No domain refers to the queue and its file is closed or was never made, so no
 * fault is left.
 *
 * Context: Process context.
 */
void iommufd_faultq_destroy(struct iommufd_object *obj)
{
	struct iommufd_faultq *faultq =
		container_of(obj, struct iommufd_faultq, common.obj);

	WARN_ON(!list_empty(&faultq->pending) ||
		!RB_EMPTY_ROOT(&faultq->outstanding));
	kvfree(faultq->records);
}

/**
 * iommufd_faultq_report() - Queue a group of faults for user space
 * @group: the group, complete; its attachment is to a domain with a fault queue
 *
 * The &iommu_domain.iopf_handler of domains that were allocated with a fault queue.
 *
 * Context: Process context, called by io-pgfault with the lock of the device's faults.
 * Return:
 * * 0: the queue owns the group
 * * -ENODEV: nobody can respond to it, since the file of the queue is closed or user
 *   space has not attached the device. io-pgfault responds INVALID (PCIe 10.4.2.1).
 */
int iommufd_faultq_report(struct iopf_group *group)
{
	struct iommufd_attach_handle *handle =
		to_iommufd_handle(group->attach_handle);
	struct iommufd_eventq *eventq =
		handle->handle.domain->iommufd_hwpt->faultq;
	struct iommufd_faultq *faultq = to_faultq(eventq);
	struct iommufd_attach_device *device;

	guard(spinlock_irq)(&eventq->wait.lock);
	device = attach_find_device(handle, group->fault_param->dev);
	if (!device)
		return -ENODEV;
	if (eventq->closed) {
		trace_eventq_iopf_auto_answer(eventq, device->dev_id, group, 0,
					      "closed");
		return -ENODEV;
	}

	group->device_data = device;
	RB_CLEAR_NODE(&group->cookie_node);
	list_add_tail(&group->node, &faultq->pending);
	list_add_tail(&group->attach_node, &device->faults);
	trace_eventq_iopf_report(eventq, device->dev_id, group);
	iommufd_eventq_add(eventq, group_size(group));
	return 0;
}

/**
 * iommufd_faultq_attach_device() - Let a device fault through an attachment
 * @hwpt: what is attached
 * @handle: the attachment, of a group of devices and a PASID; NULL if the device has
 *          no IOMMU
 * @dev: the device, one of the group
 * @dev_id: ID of its object
 *
 * Context: Process context, with the lock of the group.
 * Return: 0, or -ENOMEM.
 */
int iommufd_faultq_attach_device(struct iommufd_hw_pagetable *hwpt,
				 struct iommufd_attach_handle *handle,
				 struct device *dev, u32 dev_id)
{
	struct iommufd_attach_device *device;

	if (!handle)
		return 0;

	device = kzalloc_obj(*device, GFP_KERNEL_ACCOUNT);
	if (!device)
		return -ENOMEM;
	device->dev = dev;
	device->dev_id = dev_id;
	INIT_LIST_HEAD(&device->faults);

	if (!hwpt->faultq) {
		list_add_tail(&device->node, &handle->devices);
		return 0;
	}
	guard(spinlock_irq)(&hwpt->faultq->wait.lock);
	list_add_tail(&device->node, &handle->devices);
	return 0;
}

static bool faultq_is_responding(struct iommufd_faultq *faultq,
				 struct iommufd_attach_device *device)
{
	guard(spinlock_irq)(&faultq->common.wait.lock);
	return device->nr_responding;
}

/* A report that comes later does not find the device */
static void faultq_free_device(struct iommufd_hw_pagetable *hwpt,
			       struct iommufd_attach_device *device)
{
	struct iommufd_faultq *faultq;
	bool idle;

	if (!hwpt->faultq) {
		list_del(&device->node);
		kfree(device);
		return;
	}
	faultq = to_faultq(hwpt->faultq);

	spin_lock_irq(&faultq->common.wait.lock);
	list_del(&device->node);
	idle = list_empty(&device->faults) && !device->nr_responding;
	spin_unlock_irq(&faultq->common.wait.lock);

	if (!idle) {
		faultq_finish(faultq, device, "detach");
		wait_var_event(&device->nr_responding,
			       !faultq_is_responding(faultq, device));
	}
	kfree(device);
}

/**
 * iommufd_faultq_detach_device() - Respond to the faults of a device that leaves
 * @hwpt: what is attached
 * @handle: the attachment, which goes on for other devices of the group; may be NULL
 * @idev: the device
 *
 * Responds INVALID to all faults of the device through the attachment, read or not. A
 * response that user space writes to one of them afterwards fails with -EINVAL. The
 * cost depends on these faults only. Waits for responses that are on their way to
 * the driver, but for no reader or writer. Faults that the device still reports are
 * responded to with INVALID.
 *
 * Context: Process context, with the lock of the group.
 */
void iommufd_faultq_detach_device(struct iommufd_hw_pagetable *hwpt,
				  struct iommufd_attach_handle *handle,
				  struct iommufd_device *idev)
{
	struct iommufd_attach_device *device;

	if (!handle)
		return;
	device = attach_find_device(handle, idev->dev);
	if (!WARN_ON(!device))
		faultq_free_device(hwpt, device);
}

/**
 * iommufd_faultq_detach() - Respond to the faults of an attachment that has ended
 * @hwpt: what was attached
 * @handle: the attachment, which nobody can report faults to any more
 *
 * As iommufd_faultq_detach_device() for all its devices.
 *
 * Context: Process context, with the lock of the group.
 */
void iommufd_faultq_detach(struct iommufd_hw_pagetable *hwpt,
			   struct iommufd_attach_handle *handle)
{
	struct iommufd_attach_device *device;

	/* The lock of the group keeps others from changing the list. */
	while ((device = list_first_entry_or_null(&handle->devices,
						  struct iommufd_attach_device,
						  node)))
		faultq_free_device(hwpt, device);
}

#if IS_ENABLED(CONFIG_IOMMUFD_EVENTQ_KUNIT_TEST)
/* For tests, in eventq_test.h: the cookie before the next one */
void iommufd_faultq_test_set_cookie(struct iommufd_eventq *eventq, u32 cookie);
void iommufd_faultq_test_set_cookie(struct iommufd_eventq *eventq, u32 cookie)
{
	guard(spinlock_irq)(&eventq->wait.lock);
	to_faultq(eventq)->last_cookie = cookie;
}
#endif
