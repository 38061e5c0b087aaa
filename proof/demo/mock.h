/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * iommufd's mock device (CONFIG_IOMMUFD_TEST), so that there is something to
 * serve without hardware: set-up, and making it fault. A VMM has real devices
 * instead. No ring and no printing here.
 */
#ifndef EVENTQ_MOCK_H
#define EVENTQ_MOCK_H

#include <linux/iommufd.h>

#define MOCK_FAULT_ADDR 0x1000000ULL
#define MOCK_VIRT_ID 0x2a

struct mock_device {
	__u32 stdev_id;		/* what a test attaches and detaches */
	__u32 dev_id;		/* what iommufd knows the device by */
};

/* What a VMM has before it cares for event queues. */
struct mock_setup {
	int iommu;
	__u32 ioas;
	struct mock_device fault_dev;
	struct mock_device event_dev;	/* is on the vIOMMU */
	__u32 viommu;
};

enum mock_response_code {
	MOCK_RESPONSE_SUCCESS,
	MOCK_RESPONSE_INVALID,
	MOCK_RESPONSE_FAILURE,
	MOCK_RESPONSE_NONE,	/* it still waits */
};

struct mock_response {
	__u32 grpid;
	enum mock_response_code code;
	__u32 nr_success, nr_invalid;	/* since the device was made */
};

const char *mock_response_name(enum mock_response_code code);

/* All return 0 or a negative errno. */
int mock_ioas(int iommu, __u32 *ioas);
int mock_device(int iommu, __u32 ioas, struct mock_device *dev);
/* To a page table or an IOAS */
int mock_attach(int iommu, __u32 stdev_id, __u32 pt);
/* A vIOMMU with @dev on it as device MOCK_VIRT_ID */
int mock_viommu(int iommu, __u32 ioas, const struct mock_device *dev,
		__u32 *viommu);
/* The whole of it, in setup->iommu */
int mock_setup(struct mock_setup *setup);

/* @nr faults of one group, the last of them completing it. */
int mock_fault_group(int iommu, const struct mock_device *dev, __u32 grpid,
		     unsigned int nr);
int mock_vevent(int iommu, const struct mock_device *dev);
/* The oldest response @dev got that was not asked for before. */
int mock_response(int iommu, const struct mock_device *dev,
		  struct mock_response *response);

#endif
