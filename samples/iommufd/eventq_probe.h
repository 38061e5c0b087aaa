/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a VMM finds out at run time what the kernel's event queues can do. To be
 * copied with eventq_vmm.[ch] and eventq_ioctl.[ch]; nothing that serves
 * queues belongs here.
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
 * Leaves nothing behind in @iommu. Returns 0 or a negative errno: -ENOTTY from
 * a kernel that has no fault queues.
 */
int eventq_probe(int iommu, struct vmm_ring *ring,
		 struct eventq_features *features);

bool eventq_can(const struct eventq_features *features,
		enum vmm_transport transport);
enum vmm_transport eventq_best(const struct eventq_features *features);

/* Threads that io_uring has started for us: inline requests need none. */
unsigned int eventq_count_workers(void);

#endif
