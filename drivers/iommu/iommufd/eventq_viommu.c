// SPDX-License-Identifier: GPL-2.0-only
/*
 * The event queue class for vIOMMU events: errors that the hardware found in what
 * a guest set up. The allocation ioctl is here, and which types of events a vIOMMU
 * has. The ring stores the records; their format is between the driver and user
 * space.
 */
#include <linux/seq_file.h>
#include <uapi/linux/iommufd.h>

#include "eventq_ring.h"
#include "iommufd_private.h"

/* As many events as the event queue of an SMMUv3 holds at most (IHI 0070, 6.3.26) */
#define VEVENTQ_MAX_DEPTH BIT(19)

struct iommufd_veventq {
	struct iommufd_eventq_ring ring;
	struct iommufd_viommu *viommu;
};

static struct iommufd_veventq *to_veventq(struct iommufd_eventq *eventq)
{
	return container_of(eventq, struct iommufd_veventq, ring.common);
}

static void veventq_show_fdinfo(struct iommufd_eventq *eventq,
				struct seq_file *m)
{
	seq_printf(m, "viommu-id:\t%u\n", to_veventq(eventq)->viommu->obj.id);
	iommufd_eventq_ring_show_fdinfo(eventq, m);
}

static const struct iommufd_eventq_ops veventq_ops = {
	.file_name = "[iommufd-viommu-event]",
	.class = "viommu",
	.min_read = sizeof(struct iommufd_vevent_header),
	.stage = iommufd_eventq_ring_stage,
	.settle = iommufd_eventq_ring_settle,
	.close = iommufd_eventq_ring_close,
	.show_fdinfo = veventq_show_fdinfo,
};

/**
 * iommufd_veventq_alloc() - ioctl(IOMMU_VEVENTQ_ALLOC)
 * @ucmd: the ioctl, with a struct iommu_veventq_alloc
 *
 * Context: Process context.
 * Return:
 * * 0 on success
 * * -EOPNOTSUPP: an unknown flag, a reserved field that is not 0, or a type that
 *   this vIOMMU does not report
 * * -EINVAL: the depth is out of bounds
 * * -ENOENT: there is no such vIOMMU
 * * -EEXIST: the vIOMMU has a queue of the type
 * * -ENOMEM: not enough memory for the depth
 * * an error of iommufd_eventq_publish()
 */
int iommufd_veventq_alloc(struct iommufd_ucmd *ucmd)
{
	struct iommu_veventq_alloc *cmd = ucmd->cmd;
	struct iommufd_veventq *veventq;
	struct iommufd_viommu *viommu;
	u32 payload;
	int rc;

	if ((cmd->flags & ~IOMMUFD_EVENTQ_ALLOC_FLAGS) || cmd->__reserved ||
	    cmd->type == IOMMU_VEVENTQ_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->veventq_depth || cmd->veventq_depth > VEVENTQ_MAX_DEPTH)
		return -EINVAL;

	viommu = iommufd_get_viommu(ucmd, cmd->viommu_id);
	if (IS_ERR(viommu))
		return PTR_ERR(viommu);

	payload = iommufd_viommu_event_size(viommu, cmd->type);
	if (!payload) {
		rc = -EOPNOTSUPP;
		goto out_put_viommu;
	}

	veventq = __iommufd_object_alloc_ucmd(ucmd, veventq,
					      IOMMUFD_OBJ_VEVENTQ,
					      ring.common.obj);
	if (IS_ERR(veventq)) {
		rc = PTR_ERR(veventq);
		goto out_put_viommu;
	}

	iommufd_eventq_setup(&veventq->ring.common, &veventq_ops, cmd->flags);
	rc = iommufd_eventq_ring_init(&veventq->ring, &viommu->events,
				      cmd->type, cmd->veventq_depth, payload);
	if (rc)
		goto out_put_viommu;
	veventq->viommu = viommu;
	refcount_inc(&viommu->obj.users);

	cmd->out_veventq_id = veventq->ring.common.obj.id;
	rc = iommufd_eventq_publish(&veventq->ring.common, ucmd,
				    &cmd->out_veventq_fd, sizeof(*cmd));

out_put_viommu:
	iommufd_put_object(ucmd->ictx, &viommu->obj);
	return rc;
}

/**
 * iommufd_veventq_destroy() - Free a vIOMMU event queue
 * @obj: the object of the queue, perhaps of an allocation that failed half-way
 *
 * Context: Process context.
 */
void iommufd_veventq_destroy(struct iommufd_object *obj)
{
	struct iommufd_veventq *veventq =
		container_of(obj, struct iommufd_veventq, ring.common.obj);

	iommufd_eventq_ring_free(&veventq->ring);
	if (veventq->viommu)
		refcount_dec(&veventq->viommu->obj.users);
}
