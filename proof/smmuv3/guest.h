/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a VM's guest would set up for a device behind its SMMUv3, in the VM's memory:
 * stream table entries, context descriptors and stage 1 page tables (Arm IHI 0070,
 * sections 5.2 and 5.4; Armv8-A VMSA, 4 KB granule, 39 bits, three levels). And
 * what a VMM makes of it with iommufd: stage 2, vIOMMU, vDEVICE, nested page tables.
 *
 * Every helper that can fail returns a negative errno.
 */
#ifndef __GUEST_H
#define __GUEST_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "edu.h"

#define GUEST_PAGE 4096UL

/*
 * The VM's memory, by what is in each page of it, and where it is seen: by the
 * guest's physical addresses, which stage 2 translates.
 */
enum guest_page { PAGE_CD, PAGE_BAD_CD, PAGE_L1, PAGE_L2, PAGE_L3, PAGE_DATA, NR_PAGES };
#define GUEST_IPA 0x40000000UL
#define GUEST_IPA_OF(page) (GUEST_IPA + (page) * GUEST_PAGE)
#define GUEST_IPA_OF_NOTHING 0x70000000UL

/* A device's addresses, of 28 bits, by what stage 1 makes of them: nothing from
 * VA_NOTHING on.
 */
#define GUEST_VA 0x200000UL
enum guest_va { VA_GOOD, VA_READ_ONLY, VA_NO_ACCESS_FLAG, VA_NO_STAGE_2, VA_NOTHING, VA_END };
#define GUEST_VA_OF(what) (GUEST_VA + (what) * GUEST_PAGE)

#define PTE_VALID 0x3UL		/* a table, or a page of the last level */
#define PTE_USER (1UL << 6)
#define PTE_READ_ONLY (1UL << 7)
#define PTE_INNER_SHAREABLE (3UL << 8)
#define PTE_ACCESSED (1UL << 10)

#define CD_0_T0SZ 25UL		/* 39 bits of address */
#define CD_0_WRITE_BACK (1UL << 8 | 1UL << 10)
#define CD_0_INNER_SHAREABLE (3UL << 12)
#define CD_0_NO_TTB1 (1UL << 30)
#define CD_0_VALID (1UL << 31)
#define CD_0_IPS_40_BITS (2UL << 32)
#define CD_0_AA64 (1UL << 41)
#define CD_0_RECORD (1UL << 45)
#define CD_0_ABORT (1UL << 46)
#define CD_0_ASID(asid) ((__u64)(asid) << 48)
#define CD_3_MAIR 0xffUL		/* write-back memory is attribute 0 */

#define STE_0_VALID 1UL
#define STE_0_ABORT (0UL << 1)
#define STE_0_STAGE_1 (5UL << 1)
#define STE_1_WRITE_BACK (1UL << 2 | 1UL << 4)
#define STE_1_INNER_SHAREABLE (3UL << 6)

static inline __u64 *guest_page(void *mem, enum guest_page page)
{
	return (__u64 *)((char *)mem + page * GUEST_PAGE);
}

static inline void guest_fill_tables(void *mem)
{
	__u64 page = PTE_VALID | PTE_USER | PTE_INNER_SHAREABLE;
	__u64 *last = guest_page(mem, PAGE_L3);

	guest_page(mem, PAGE_L1)[0] = GUEST_IPA_OF(PAGE_L2) | PTE_VALID;
	guest_page(mem, PAGE_L2)[GUEST_VA >> 21] = GUEST_IPA_OF(PAGE_L3) | PTE_VALID;
	last[VA_GOOD] = GUEST_IPA_OF(PAGE_DATA) | page | PTE_ACCESSED;
	last[VA_READ_ONLY] = GUEST_IPA_OF(PAGE_DATA) | page | PTE_ACCESSED | PTE_READ_ONLY;
	last[VA_NO_ACCESS_FLAG] = GUEST_IPA_OF(PAGE_DATA) | page;
	last[VA_NO_STAGE_2] = GUEST_IPA_OF_NOTHING | page | PTE_ACCESSED;
}

/* PAGE_BAD_CD stays 0: a descriptor that is not valid. */
static inline void guest_fill_cd(void *mem)
{
	__u64 *cd = guest_page(mem, PAGE_CD);

	cd[0] = CD_0_T0SZ | CD_0_WRITE_BACK | CD_0_INNER_SHAREABLE | CD_0_NO_TTB1 | CD_0_VALID |
		CD_0_IPS_40_BITS | CD_0_AA64 | CD_0_RECORD | CD_0_ABORT | CD_0_ASID(1);
	cd[1] = GUEST_IPA_OF(PAGE_L1);
	cd[3] = CD_3_MAIR;
}

/* A VM's memory and the iommufd that translates to it */
struct guest {
	int iommu;
	__u32 ioas;
	void *mem;
};

/* @nr pages from @page on are at the guest's physical address @ipa. */
static inline int guest_map(struct guest *guest, enum guest_page page, unsigned int nr, __u64 ipa)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = guest->ioas,
		.user_va = (uintptr_t)guest_page(guest->mem, page),
		.length = nr * GUEST_PAGE,
		.iova = ipa,
	};

	return eq_call(guest->iommu, IOMMU_IOAS_MAP, &map);
}

static inline int guest_init(struct guest *guest)
{
	int rc;

	guest->mem = mmap(NULL, NR_PAGES * GUEST_PAGE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	guest->iommu = EQ_RET(open("/dev/iommu", O_RDWR | O_CLOEXEC));
	if (guest->mem == MAP_FAILED || guest->iommu < 0)
		return -errno;
	guest_fill_tables(guest->mem);
	guest_fill_cd(guest->mem);
	rc = eq_ioas(guest->iommu, &guest->ioas);
	return rc ? rc : guest_map(guest, 0, NR_PAGES, GUEST_IPA);
}

static inline void guest_fini(struct guest *guest)
{
	close(guest->iommu);
	munmap(guest->mem, NR_PAGES * GUEST_PAGE);
	guest->iommu = -1;
	guest->mem = MAP_FAILED;
}

/* A vIOMMU for devices behind the same SMMU as @edu, on a stage 2 of its own */
static inline int guest_viommu(struct guest *guest, struct edu *edu, __u32 *viommu)
{
	struct iommu_hwpt_alloc parent = {
		.size = sizeof(parent),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
		.dev_id = edu->dev_id,
		.pt_id = guest->ioas,
	};
	struct iommu_viommu_alloc cmd = {
		.size = sizeof(cmd),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = edu->dev_id,
	};
	int rc = eq_call(guest->iommu, IOMMU_HWPT_ALLOC, &parent);

	if (rc)
		return rc;
	cmd.hwpt_id = parent.out_hwpt_id;
	rc = eq_call(guest->iommu, IOMMU_VIOMMU_ALLOC, &cmd);
	*viommu = cmd.out_viommu_id;
	return rc;
}

/* The guest knows the device by stream @sid. */
static inline int guest_vdevice(struct guest *guest, __u32 viommu, struct edu *edu, __u32 sid)
{
	struct iommu_vdevice_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu,
		.dev_id = edu->dev_id,
		.virt_id = sid,
	};

	return eq_call(guest->iommu, IOMMU_VDEVICE_ALLOC, &cmd);
}

/* What the guest wrote into the device's stream table entry */
struct guest_ste {
	__u64 data[2];
};

static inline struct guest_ste guest_ste_with(enum guest_page cd)
{
	return (struct guest_ste){ {
		STE_0_VALID | STE_0_STAGE_1 | GUEST_IPA_OF(cd),
		STE_1_WRITE_BACK | STE_1_INNER_SHAREABLE,
	} };
}

/* Page tables for @edu as the entry says: to be attached */
static inline int guest_nested(struct guest *guest, __u32 viommu, struct edu *edu,
			       struct guest_ste ste, __u32 *hwpt)
{
	struct iommu_hwpt_arm_smmuv3 data = { .ste = { ste.data[0], ste.data[1] } };
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.dev_id = edu->dev_id,
		.pt_id = viommu,
		.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};
	int rc = eq_call(guest->iommu, IOMMU_HWPT_ALLOC, &cmd);

	*hwpt = cmd.out_hwpt_id;
	return rc;
}

#endif
