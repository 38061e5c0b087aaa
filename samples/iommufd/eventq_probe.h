/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Finds out at run time what the kernel's event queues can do. Copy it together
 * with eventq_vmm.[ch] and eventq_ioctl.[ch].
 */
#ifndef EVENTQ_PROBE_H
#define EVENTQ_PROBE_H

#include "eventq_vmm.h"

struct eventq_features {
	bool wait_read;		/* IOMMU_EVENTQ_ALLOC_WAIT_READ */
	bool inline_reads;	/* without a worker thread of io_uring */
	bool multishot;		/* io_uring has READ_MULTISHOT */
	bool buffer_rings;	/* io_uring has rings of provided buffers */
};

/*
 * Leaves nothing behind in @iommu. Returns 0 or a negative errno, -ENOTTY on
 * kernels without fault queues.
 */
int eventq_probe(int iommu, struct vmm_ring *ring,
		 struct eventq_features *features);

bool eventq_can(const struct eventq_features *features,
		enum vmm_transport transport);
enum vmm_transport eventq_best(const struct eventq_features *features);
const char *eventq_transport_name(enum vmm_transport transport);

#endif
