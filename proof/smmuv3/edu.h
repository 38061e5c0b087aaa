/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's `edu` device by vfio-pci and an iommufd: opened, bound, attached to page
 * tables, and made to do DMA. Its registers: docs/specs/edu.rst of QEMU. Nothing
 * here knows what the IOMMU does with the addresses.
 *
 * Every helper that can fail returns a negative errno.
 */
#ifndef __EDU_H
#define __EDU_H

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "lib/eventq.h"

/* BAR 0 */
#define EDU_DMA_SOURCE 0x80
#define EDU_DMA_TARGET 0x88
#define EDU_DMA_COUNT 0x90
#define EDU_DMA_COMMAND 0x98
#define EDU_DMA_START 0x1
#define EDU_DMA_TO_MEMORY 0x2
/* The device's own memory, as its DMA engine sees it */
#define EDU_BUFFER 0x40000
#define EDU_BUFFER_LEN 4096
/* It takes 100 ms for each DMA, by the clock of the guest. */
#define EDU_DMA_SECONDS 20

struct edu {
	int fd;
	__u32 dev_id;		/* of the iommufd */
	volatile char *bar;
	size_t bar_len;
};

static inline int edu_region(struct edu *edu, __u32 index, struct vfio_region_info *info)
{
	*info = (struct vfio_region_info){ .argsz = sizeof(*info), .index = index };
	return eq_call(edu->fd, VFIO_DEVICE_GET_REGION_INFO, info);
}

/* Without it the device's accesses go nowhere. */
static inline int edu_let_master(struct edu *edu)
{
	struct vfio_region_info config;
	__u16 command;
	int rc = edu_region(edu, VFIO_PCI_CONFIG_REGION_INDEX, &config);

	if (rc)
		return rc;
	rc = EQ_RET(pread(edu->fd, &command, sizeof(command), config.offset + PCI_COMMAND));
	if (rc != sizeof(command))
		return rc < 0 ? rc : -EIO;
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	rc = EQ_RET(pwrite(edu->fd, &command, sizeof(command), config.offset + PCI_COMMAND));
	if (rc != sizeof(command))
		return rc < 0 ? rc : -EIO;
	return 0;
}

static inline int edu_map(struct edu *edu)
{
	struct vfio_region_info bar;
	int rc = edu_region(edu, VFIO_PCI_BAR0_REGION_INDEX, &bar);

	if (rc)
		return rc;
	edu->bar_len = bar.size;
	edu->bar = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, edu->fd, bar.offset);
	return edu->bar == MAP_FAILED ? -errno : 0;
}

/* For a process that was killed to let the device go */
#define EDU_TRIES 100

static inline int edu_bind(struct edu *edu, int iommu)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommu };
	int i, rc = -EINVAL;

	for (i = 0; i < EDU_TRIES && rc == -EINVAL; i++) {
		if (i)
			usleep(10000);
		rc = eq_call(edu->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind);
	}
	edu->dev_id = bind.out_devid;
	return rc;
}

/* Attached already, it goes from one page table to the other without a gap. */
static inline int edu_attach(struct edu *edu, __u32 pt_id)
{
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach), .pt_id = pt_id };

	return eq_call(edu->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
}

static inline int edu_detach(struct edu *edu)
{
	struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };

	return eq_call(edu->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
}

/* DMA */

static inline void edu_set(struct edu *edu, unsigned int reg, __u32 value)
{
	*(volatile __u32 *)(edu->bar + reg) = value;
}

static inline bool edu_is_busy(struct edu *edu)
{
	return *(volatile __u32 *)(edu->bar + EDU_DMA_COMMAND) & EDU_DMA_START;
}

/* The CPU's accesses to memory before it and to the device after it, or so round */
static inline void edu_barrier(void)
{
	asm volatile("dsb sy" : : : "memory");
}

/* Begins to write @len bytes to @addr, or to read them from there. */
static inline void edu_start(struct edu *edu, __u32 addr, unsigned int len, bool write)
{
	edu_set(edu, EDU_DMA_SOURCE, write ? EDU_BUFFER : addr);
	edu_set(edu, EDU_DMA_TARGET, write ? addr : EDU_BUFFER);
	edu_set(edu, EDU_DMA_COUNT, len);
	/* What was written to memory before, the device must see. */
	edu_barrier();
	edu_set(edu, EDU_DMA_COMMAND, EDU_DMA_START | (write ? EDU_DMA_TO_MEMORY : 0));
}

static inline time_t edu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static inline int edu_wait(struct edu *edu)
{
	time_t end = edu_seconds() + EDU_DMA_SECONDS;

	while (edu_is_busy(edu)) {
		if (edu_seconds() > end)
			return -ETIME;
		usleep(1000);
	}
	/* What it wrote is read after that. */
	edu_barrier();
	return 0;
}

static inline int edu_dma(struct edu *edu, __u32 addr, unsigned int len, bool write)
{
	edu_start(edu, addr, len, write);
	return edu_wait(edu);
}

/* Closed, for edu_close() to know */
static inline void edu_init(struct edu *edu)
{
	edu->fd = -1;
	edu->bar = MAP_FAILED;
}

/* The @nr-th device that vfio-pci has. */
static inline int edu_open(struct edu *edu, unsigned int nr, int iommu)
{
	char path[64];
	int rc;

	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", nr);
	edu_init(edu);
	edu->fd = EQ_RET(open(path, O_RDWR | O_CLOEXEC));
	if (edu->fd < 0)
		return edu->fd;
	rc = edu_bind(edu, iommu);
	if (!rc)
		rc = edu_map(edu);
	if (!rc)
		rc = edu_let_master(edu);
	/* Whoever had it before may have left it at work, deaf to what it is told. */
	return rc ? rc : edu_wait(edu);
}

static inline void edu_close(struct edu *edu)
{
	if (edu->bar != MAP_FAILED)
		munmap((void *)edu->bar, edu->bar_len);
	if (edu->fd >= 0)
		close(edu->fd);
	edu_init(edu);
}

#endif
