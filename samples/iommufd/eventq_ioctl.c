// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls that a VMM needs around its event queues: see eventq_ioctl.h.
 */
#include <errno.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "eventq_ioctl.h"

int iommufd_call(int iommu, unsigned long request, void *arg)
{
	return ioctl(iommu, request, arg) ? -errno : 0;
}

int iommufd_destroy(int iommu, __u32 id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return iommufd_call(iommu, IOMMU_DESTROY, &cmd);
}

int iommufd_check(int fd)
{
	/* No object has the ID 0, and iommufd says so. */
	int rc = iommufd_destroy(fd, 0);

	return rc == -ENOENT ? 0 : rc ? rc : -ENOTTY;
}

int ioas_check(int iommu, __u32 ioas)
{
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
	};
	int rc = iommufd_call(iommu, IOMMU_IOAS_IOVA_RANGES, &cmd);

	/* It would have liked to tell more. */
	return rc == -EMSGSIZE ? 0 : rc;
}

int fault_queue_alloc(int iommu, __u32 flags, struct queue *queue)
{
	struct iommu_fault_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
	};
	int rc = iommufd_call(iommu, IOMMU_FAULT_QUEUE_ALLOC, &cmd);

	queue->id = cmd.out_fault_id;
	queue->fd = cmd.out_fault_fd;
	return rc;
}

int fault_hwpt_alloc(int iommu, __u32 dev, __u32 ioas,
		     const struct queue *queue, __u32 *hwpt)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = dev,
		.pt_id = ioas,
		.fault_id = queue->id,
	};
	int rc = iommufd_call(iommu, IOMMU_HWPT_ALLOC, &cmd);

	*hwpt = cmd.out_hwpt_id;
	return rc;
}

int vevent_queue_alloc(int iommu, __u32 viommu, __u32 type, __u32 depth,
		       struct queue *queue)
{
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu,
		.type = type,
		.veventq_depth = depth,
	};
	int rc = iommufd_call(iommu, IOMMU_VEVENTQ_ALLOC, &cmd);

	queue->id = cmd.out_veventq_id;
	queue->fd = cmd.out_veventq_fd;
	return rc;
}

void queue_free(int iommu, const struct queue *queue)
{
	/* In this order: an object with an open file cannot be destroyed. */
	close(queue->fd);
	iommufd_destroy(iommu, queue->id);
}

int vfio_attach(int fd, __u32 pt)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd),
		.pt_id = pt,
	};

	return iommufd_call(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}
