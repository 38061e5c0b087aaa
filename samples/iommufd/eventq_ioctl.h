/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ioctls that a VMM needs around its event queues, each wrapped once. No
 * ring and no mock device here. All return 0 or a negative errno.
 */
#ifndef EVENTQ_IOCTL_H
#define EVENTQ_IOCTL_H

#include <linux/iommufd.h>

struct queue {
	__u32 id;
	int fd;
};

int iommufd_call(int iommu, unsigned long request, void *arg);

/* -ENOTTY or the like if @fd is not of /dev/iommu, -EBADF if it is not open. */
int iommufd_check(int fd);
int iommufd_destroy(int iommu, __u32 id);
/* -ENOENT if there is no IOAS of that ID */
int ioas_check(int iommu, __u32 ioas);

int fault_queue_alloc(int iommu, __u32 flags, struct queue *queue);
/* A page table for @dev on top of @ioas whose faults go to @queue. */
int fault_hwpt_alloc(int iommu, __u32 dev, __u32 ioas,
		     const struct queue *queue, __u32 *hwpt);
int vevent_queue_alloc(int iommu, __u32 viommu, __u32 type, __u32 depth,
		       struct queue *queue);
/* Closes and destroys it; what it still held is answered or dropped. */
void queue_free(int iommu, const struct queue *queue);

/* Attach the device of a VFIO cdev @fd to a page table or an IOAS. */
int vfio_attach(int fd, __u32 pt);

#endif
