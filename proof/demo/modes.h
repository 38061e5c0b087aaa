/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The modes of the demo, and the options that reach them. One function each;
 * they return an exit status and say themselves what failed.
 */
#ifndef EVENTQ_MODES_H
#define EVENTQ_MODES_H

#include "serve.h"

struct options {
	enum vmm_transport transport;
	__u32 response;		/* IOMMUFD_PAGE_RESP_* */
	bool has_count;
	unsigned long count, burst, group;
	int iommu;		/* of --iommufd, or opened */

	bool has_viommu, has_device, has_mock_id;
	__u32 viommu, depth;
	const struct eventq_type *type;
	__u32 device, ioas;
	int vfio;		/* -1: none */
	__u32 mock_id, pt;	/* of --attach */
	char **command;		/* of --mock-setup */
};

/* --demo: scenarios on mock devices, and a table of what came of them */
int mode_demo(const struct options *options, struct vmm_ring *ring);
/*
 * --iommufd: serve objects that somebody has made. @started, if there is one,
 * is called when they are about to be served; it returns 0 or an errno.
 */
int mode_existing(const struct options *options, struct vmm_ring *ring,
		  int (*started)(void *arg, struct server *server), void *arg);
/* --mock: the same with mock devices, which fault meanwhile */
int mode_mock(const struct options *options, struct vmm_ring *ring);
/* --attach: attach a mock device, and nothing else */
int mode_attach(const struct options *options);
/* --mock-setup: run a command with mock devices that it can serve */
int mode_mock_setup(const struct options *options);

#endif
