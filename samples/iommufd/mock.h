/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * iommufd's mock device (CONFIG_IOMMUFD_TEST) for the demo: set-up, and making
 * it fault. A VMM has real devices instead. No ring and no table here.
 */
#ifndef EVENTQ_MOCK_H
#define EVENTQ_MOCK_H

#include <linux/iommufd.h>

#define MOCK_FAULT_ADDR 0x1000000ULL

struct mock_queue {
	__u32 id;
	int fd;
};

struct mock_device {
	__u32 stdev_id;		/* what a test attaches and detaches */
	__u32 dev_id;		/* what iommufd knows the device by */
};

enum mock_answer_code {
	MOCK_ANSWER_SUCCESS,
	MOCK_ANSWER_INVALID,
	MOCK_ANSWER_FAILURE,
	MOCK_ANSWER_NONE,	/* it still waits */
};

struct mock_answer {
	__u32 grpid;
	enum mock_answer_code code;
};

const char *mock_answer_name(enum mock_answer_code code);

/* All return 0 or a negative errno. */
int mock_ioas(int iommu, __u32 *ioas);
int mock_device(int iommu, __u32 ioas, struct mock_device *dev);
int mock_fault_queue(int iommu, __u32 flags, struct mock_queue *queue);
/* Send the faults of @dev to @queue. */
int mock_route_faults(int iommu, __u32 ioas, const struct mock_device *dev,
		      const struct mock_queue *queue);
/* A vIOMMU with an event queue, and @dev on it as device @virt_id. */
int mock_vevent_queue(int iommu, __u32 ioas, const struct mock_device *dev,
		      __u64 virt_id, __u32 depth, struct mock_queue *queue);

/* @nr faults of one group, the last of them completing it. */
int mock_fault_group(int iommu, const struct mock_device *dev, __u32 grpid,
		     unsigned int nr);
int mock_vevent(int iommu, const struct mock_device *dev);
/* The oldest answer @dev got that was not asked for before. */
int mock_answer(int iommu, const struct mock_device *dev,
		struct mock_answer *answer);

#endif
