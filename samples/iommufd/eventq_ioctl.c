// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls that a VMM needs around its event queues: see eventq_ioctl.h.
 */
#include <errno.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "eventq_ioctl.h"

static const struct eventq_type types[] = {
	/* An event record of the SMMU, which a VMM hands to the guest as is. */
	{ "smmuv3", IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
	  sizeof(struct iommu_vevent_arm_smmuv3) },
	/* A bitmap of the guest's VCMDQs that have an error. */
	{ "cmdqv", IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV,
	  sizeof(struct iommu_vevent_tegra241_cmdqv) },
	{}
};

const struct eventq_type *eventq_type_find(const char *name)
{
	const struct eventq_type *type;

	for (type = types; type->name; type++)
		if (!strcmp(type->name, name))
			return type;
	return NULL;
}

int eventq_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) ? -errno : 0;
}

int eventq_destroy(int iommu, __u32 id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return eventq_ioctl(iommu, IOMMU_DESTROY, &cmd);
}

int eventq_check_iommufd(int fd)
{
	/* No object has the ID 0, so an iommufd fails this with ENOENT. */
	int rc = eventq_destroy(fd, 0);

	return rc == -ENOENT ? 0 : rc ? rc : -ENOTTY;
}

int eventq_fault_alloc(int iommu, __u32 flags, struct eventq *queue)
{
	struct iommu_fault_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
	};
	int rc = eventq_ioctl(iommu, IOMMU_FAULT_QUEUE_ALLOC, &cmd);

	if (rc)
		return rc;
	queue->id = cmd.out_fault_id;
	queue->fd = cmd.out_fault_fd;
	return 0;
}

int eventq_hwpt_alloc(int iommu, __u32 dev, __u32 ioas,
		      const struct eventq *queue, __u32 *hwpt)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = dev,
		.pt_id = ioas,
		.fault_id = queue->id,
	};
	int rc = eventq_ioctl(iommu, IOMMU_HWPT_ALLOC, &cmd);

	if (!rc)
		*hwpt = cmd.out_hwpt_id;
	return rc;
}

int eventq_vevent_alloc(int iommu, __u32 viommu, __u32 type, __u32 depth,
			struct eventq *queue)
{
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu,
		.type = type,
		.veventq_depth = depth,
	};
	int rc = eventq_ioctl(iommu, IOMMU_VEVENTQ_ALLOC, &cmd);

	if (rc)
		return rc;
	queue->id = cmd.out_veventq_id;
	queue->fd = cmd.out_veventq_fd;
	return 0;
}

void eventq_free(int iommu, const struct eventq *queue)
{
	/* In this order: an object with an open file cannot be destroyed. */
	close(queue->fd);
	eventq_destroy(iommu, queue->id);
}

int eventq_vfio_attach(int fd, __u32 pt)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd),
		.pt_id = pt,
	};

	return eventq_ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}
