/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ioctls that a VMM needs around its event queues, each wrapped once. They
 * return 0 or a negative errno, and leave what they return alone on an error.
 */
#ifndef EVENTQ_IOCTL_H
#define EVENTQ_IOCTL_H

#include <linux/iommufd.h>
#include <stddef.h>

struct eventq {
	__u32 id;
	int fd;
};

/* A type of vIOMMU events. What a VMM does with the payload depends on it. */
struct eventq_type {
	const char *name;
	__u32 type;		/* enum iommu_veventq_type */
	size_t data_len;	/* of the payload */
};

/* NULL if the uAPI has no type of that name. */
const struct eventq_type *eventq_type_find(const char *name);

int eventq_ioctl(int fd, unsigned long request, void *arg);

/* -ENOTTY or the like if @fd is not of /dev/iommu, -EBADF if it is not open. */
int eventq_check_iommufd(int fd);
/* Destroy any object, by its ID. */
int eventq_destroy(int iommu, __u32 id);

int eventq_fault_alloc(int iommu, __u32 flags, struct eventq *queue);
/* A page table for @dev on top of @ioas whose faults go to @queue. */
int eventq_hwpt_alloc(int iommu, __u32 dev, __u32 ioas,
		      const struct eventq *queue, __u32 *hwpt);
int eventq_vevent_alloc(int iommu, __u32 viommu, __u32 type, __u32 depth,
			struct eventq *queue);
/*
 * Close the file, then destroy the object. The kernel responds with INVALID to
 * fault groups that are left, and drops events.
 */
void eventq_free(int iommu, const struct eventq *queue);

/* Attach the device of a VFIO cdev @fd to a page table or an IOAS. */
int eventq_vfio_attach(int fd, __u32 pt);

#endif
