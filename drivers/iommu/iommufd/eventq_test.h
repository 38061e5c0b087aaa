/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the KUnit tests of the event queues share: an iommufd without
 * /dev/iommu, a user who has memory, a vIOMMU without a driver, and reads of a
 * queue's file. No test belongs here.
 */
#ifndef __IOMMUFD_EVENTQ_TEST_H
#define __IOMMUFD_EVENTQ_TEST_H

#include <kunit/test.h>
#include <linux/anon_inodes.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/wait.h>

#include <asm/ioctls.h>

#include "eventq_ring.h"
#include "iommufd_private.h"
#include "iommufd_test.h"

/* Test hook of eventq_iopf.c: the cookie before the next one */
void iommufd_faultq_test_set_cookie(struct iommufd_eventq *eventq, u32 cookie);

static inline unsigned int queued_now(struct iommufd_eventq *eventq)
{
	return READ_ONCE(eventq->queued);
}

/* What poll(2) would say now, as a number */
static inline u32 poll_now(struct file *filep)
{
	return (__force u32)vfs_poll(filep, NULL);
}

/* The context of all tests: an iommufd without /dev/iommu */
static inline struct iommufd_ctx *fake_ctx(struct kunit *test)
{
	static const struct file_operations fake_fops;
	struct iommufd_ctx *ictx =
		kunit_kzalloc(test, sizeof(*ictx), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ictx);
	xa_init_flags(&ictx->objects, XA_FLAGS_ALLOC1);
	init_waitqueue_head(&ictx->destroy_wait);
	ictx->file = anon_inode_getfile("[iommufd-fake]", &fake_fops, ictx,
					O_RDWR);
	KUNIT_ASSERT_FALSE(test, IS_ERR(ictx->file));
	return ictx;
}

static inline void fake_ctx_put(struct kunit *test, struct iommufd_ctx *ictx)
{
	/* Queues took references and gave them back */
	KUNIT_EXPECT_EQ(test, file_count(ictx->file), 1);
	__fput_sync(ictx->file);
	KUNIT_EXPECT_TRUE(test, xa_empty(&ictx->objects));
	xa_destroy(&ictx->objects);
}

/* Address of the end of a user page, behind which nothing can be accessed */
static inline unsigned long user_page_end(struct kunit *test)
{
	unsigned long uaddr;

	uaddr = kunit_vm_mmap(test, NULL, 0, 2 * PAGE_SIZE,
			      PROT_READ | PROT_WRITE,
			      MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE_MSG(test, uaddr, 0, "no user memory");
	KUNIT_ASSERT_LT(test, uaddr, (unsigned long)TASK_SIZE);
	/* A hole would be filled by the next mapping */
	KUNIT_ASSERT_EQ(test,
			kunit_vm_mmap(test, NULL, uaddr + PAGE_SIZE, PAGE_SIZE,
				      PROT_NONE,
				      MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED,
				      0),
			uaddr + PAGE_SIZE);
	return uaddr + PAGE_SIZE;
}

/* An ioctl as the ioctl core would hand it on, from a user who has memory */
static inline struct iommufd_ucmd fake_ucmd(struct kunit *test,
					    struct iommufd_ctx *ictx, void *cmd,
					    u32 size)
{
	return (struct iommufd_ucmd){
		.ictx = ictx,
		.ubuffer = (void __user *)(user_page_end(test) - PAGE_SIZE),
		.user_size = size,
		.cmd = cmd,
	};
}

/* Keep the file of a queue, and give its descriptor back */
static inline struct file *take_file(struct iommufd_eventq *eventq, u32 fd)
{
	struct file *filep = get_file(eventq->filep);

	close_fd(fd);
	return filep;
}

static inline void pretend_complete(struct kiocb *iocb, long ret)
{
}

static inline ssize_t do_read(struct file *filep, struct iov_iter *iter,
			      int ki_flags, bool async)
{
	struct kiocb kiocb;

	init_sync_kiocb(&kiocb, filep);
	kiocb.ki_flags |= ki_flags;
	if (async)
		kiocb.ki_complete = pretend_complete;
	return filep->f_op->read_iter(&kiocb, iter);
}

static inline ssize_t read_kernel(struct file *filep, void *buf, size_t len,
				  int ki_flags)
{
	struct kvec vec = { .iov_base = buf, .iov_len = len };
	struct iov_iter iter;

	iov_iter_kvec(&iter, ITER_DEST, &vec, 1, len);
	return do_read(filep, &iter, ki_flags, false);
}

/* As an io_uring worker and Linux AIO do */
static inline ssize_t read_async(struct file *filep, void *buf, size_t len)
{
	struct kvec vec = { .iov_base = buf, .iov_len = len };
	struct iov_iter iter;

	iov_iter_kvec(&iter, ITER_DEST, &vec, 1, len);
	return do_read(filep, &iter, 0, true);
}

static inline long do_ioctl(struct file *filep, unsigned int cmd,
			    unsigned long arg)
{
	return filep->f_op->unlocked_ioctl(filep, cmd, arg);
}

static inline ssize_t read_user(struct file *filep, unsigned long uaddr,
				size_t len)
{
	struct iov_iter iter;

	iov_iter_ubuf(&iter, ITER_DEST, (void __user *)uaddr, len);
	return do_read(filep, &iter, 0, false);
}

/* For wait queues; counts in the unsigned int that is private to the entry */
static inline int count_wakeup(struct wait_queue_entry *entry,
			       unsigned int mode, int sync, void *key)
{
	(*(unsigned int *)entry->private)++;
	return 0;
}

/* A vIOMMU that reports events of every type there is */
static inline size_t fake_event_size(struct iommufd_viommu *viommu,
				     enum iommu_veventq_type type)
{
	switch ((u32)type) {
	case IOMMU_VEVENTQ_TYPE_ARM_SMMUV3:
		return sizeof(struct iommu_vevent_arm_smmuv3);
	case IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV:
		return sizeof(struct iommu_vevent_tegra241_cmdqv);
	case IOMMU_VEVENTQ_TYPE_SELFTEST:
		return sizeof(struct iommu_viommu_event_selftest);
	default:
		return 0;
	}
}

static const struct iommufd_viommu_ops fake_viommu_ops = {
	.get_event_size = fake_event_size,
};

/* A vIOMMU with a queue, made by the real ioctl */
struct fake_viommu {
	struct iommufd_ctx *ictx;
	struct iommufd_viommu *viommu;
	struct iommufd_eventq *eventq;
	struct file *filep;
	u32 veventq_id;
};

struct selftest_record {
	struct iommufd_vevent_header header;
	struct iommu_viommu_event_selftest event;
};

/* Prepare the ioctl that allocates a queue */
static inline struct iommu_veventq_alloc
fake_veventq_cmd(struct fake_viommu *fake, u32 type, u32 depth, u32 flags)
{
	return (struct iommu_veventq_alloc){
		.size = sizeof(struct iommu_veventq_alloc),
		.flags = flags,
		.viommu_id = fake->viommu->obj.id,
		.type = type,
		.veventq_depth = depth,
	};
}

/* Carry it out, as the ioctl core does */
static inline int fake_veventq_alloc(struct fake_viommu *fake,
				     struct iommufd_ucmd *ucmd)
{
	int rc;

	ucmd->new_obj = NULL;
	rc = iommufd_veventq_alloc(ucmd);
	if (rc && ucmd->new_obj)
		iommufd_object_abort_and_destroy(fake->ictx, ucmd->new_obj);
	else if (!rc)
		iommufd_object_finalize(fake->ictx, ucmd->new_obj);
	return rc;
}

/* Remember the queue that was allocated */
static inline void fake_viommu_take(struct fake_viommu *fake,
				    struct iommufd_ucmd *ucmd)
{
	struct iommu_veventq_alloc *cmd = ucmd->cmd;

	fake->eventq = container_of(ucmd->new_obj, struct iommufd_eventq, obj);
	fake->filep = take_file(fake->eventq, cmd->out_veventq_fd);
	fake->veventq_id = cmd->out_veventq_id;
}

static inline void fake_viommu(struct kunit *test, struct fake_viommu *fake)
{
	struct iommufd_object *obj;

	fake->ictx = fake_ctx(test);
	obj = _iommufd_object_alloc(fake->ictx, sizeof(*fake->viommu),
				    IOMMUFD_OBJ_VIOMMU);
	KUNIT_ASSERT_FALSE(test, IS_ERR(obj));
	fake->viommu = container_of(obj, struct iommufd_viommu, obj);
	fake->viommu->ops = &fake_viommu_ops;
	iommufd_eventq_source_init(&fake->viommu->events);
	iommufd_object_finalize(fake->ictx, obj);
}

static inline void fake_viommu_put(struct kunit *test, struct fake_viommu *fake)
{
	struct iommufd_object *obj = &fake->viommu->obj;

	/* Failed and destroyed queues have let go of it */
	KUNIT_EXPECT_EQ(test, refcount_read(&obj->users), 1);
	KUNIT_EXPECT_TRUE(test, list_empty(&fake->viommu->events.queues));
	xa_erase(&fake->ictx->objects, obj->id);
	kfree(fake->viommu);
	fake_ctx_put(test, fake->ictx);
}

static inline void fake_viommu_open(struct kunit *test,
				    struct fake_viommu *fake, u32 type,
				    u32 depth, u32 flags)
{
	struct iommu_veventq_alloc cmd;
	struct iommufd_ucmd ucmd;

	fake_viommu(test, fake);
	cmd = fake_veventq_cmd(fake, type, depth, flags);
	ucmd = fake_ucmd(test, fake->ictx, &cmd, sizeof(cmd));
	KUNIT_ASSERT_EQ(test, fake_veventq_alloc(fake, &ucmd), 0);
	fake_viommu_take(fake, &ucmd);
}

static inline void fake_viommu_close(struct kunit *test,
				     struct fake_viommu *fake)
{
	KUNIT_EXPECT_EQ(test,
			iommufd_object_remove(fake->ictx, NULL,
					      fake->veventq_id, 0),
			-EBUSY);
	__fput_sync(fake->filep);
	KUNIT_EXPECT_EQ(test,
			iommufd_object_remove(fake->ictx, NULL,
					      fake->veventq_id, 0),
			0);
	fake_viommu_put(test, fake);
}

/* A number that the class shows of a queue, also of one whose file is closed */
static inline u64 fake_fdinfo(struct kunit *test, struct iommufd_eventq *eventq,
			      const char *key)
{
	char buf[256] = {};
	struct seq_file m = { .buf = buf, .size = sizeof(buf) - 1 };
	u64 value = U64_MAX;
	char *at;
	int rc;

	eventq->ops->show_fdinfo(eventq, &m);
	at = strstr(buf, key);
	KUNIT_ASSERT_NOT_NULL(test, at);
	rc = sscanf(at + strlen(key), ":%llu", &value);
	KUNIT_EXPECT_EQ(test, rc, 1);
	return value;
}

static inline struct iommufd_eventq_ring *fake_ring(struct fake_viommu *fake)
{
	return container_of(fake->eventq, struct iommufd_eventq_ring, common);
}

/* Set the sequence number that the next event takes */
static inline void fake_set_sequence(struct fake_viommu *fake, u32 sequence)
{
	guard(spinlock_irq)(&fake->eventq->wait.lock);
	fake_ring(fake)->sequence = sequence;
}

static inline u64 fake_nr_lost(struct kunit *test, struct fake_viommu *fake)
{
	return fake_fdinfo(test, fake->eventq, "lost");
}

static inline u64 fake_next_sequence(struct kunit *test,
				     struct fake_viommu *fake)
{
	return fake_fdinfo(test, fake->eventq, "next-sequence");
}

#endif
