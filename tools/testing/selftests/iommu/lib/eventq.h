/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Library of the event queue selftests: the ioctls that they need, an iommufd
 * with two mock devices and one queue (the world) to start from, and what the
 * test cases do to a queue. Test cases and io_uring do not belong here.
 *
 * Functions that can fail return a negative errno, unless they return bool.
 */
#ifndef SELFTESTS_IOMMU_LIB_EVENTQ_H
#define SELFTESTS_IOMMU_LIB_EVENTQ_H

#include <errno.h>
#include <linux/iommufd.h>
#include <stdbool.h>
#include <stddef.h>

#include "../../../../../drivers/iommu/iommufd/iommufd_test.h"

/* Result of a system call: its return value, or -errno. */
#define EQ_RET(call)						\
({								\
	long __ret = (call);					\
								\
	__ret < 0 ? -(long)errno : __ret;			\
})

/* A whole record of the mock device's vIOMMU events */
struct eq_vevent {
	struct iommufd_vevent_header header;
	struct iommu_viommu_event_selftest event;
};

#define EQ_FAULT_LEN ((long)sizeof(struct iommu_hwpt_pgfault))
#define EQ_RESPONSE_LEN ((long)sizeof(struct iommu_hwpt_page_response))
#define EQ_HEADER_LEN ((long)sizeof(struct iommufd_vevent_header))
#define EQ_VEVENT_LEN ((long)sizeof(struct eq_vevent))

/* The size of a record of a vIOMMU event queue, or of a fault queue */
long eq_record_len(bool viommu);

/*
 * ioctls of /dev/iommu, each wrapped once
 */

struct eq_queue {
	__u32 id;
	int fd;
};

struct eq_dev {
	__u32 stdev_id;		/* names the attachment */
	__u32 dev_id;		/* names the device */
};

int eq_call(int iommu, unsigned long request, void *arg);
int eq_test(int iommu, __u32 op, struct iommu_test_cmd *cmd);
int eq_destroy(int iommu, __u32 id);
int eq_ioas(int iommu, __u32 *id);
/* A mock device with PASIDs, attached to @pt_id */
int eq_device(int iommu, __u32 pt_id, struct eq_dev *dev);
int eq_replace(int iommu, const struct eq_dev *dev, __u32 pt_id);
int eq_pasid_attach(int iommu, const struct eq_dev *dev, __u32 pasid,
		    __u32 pt_id);
int eq_pasid_detach(int iommu, const struct eq_dev *dev, __u32 pasid);

int eq_fault_queue(int iommu, __u32 flags, struct eq_queue *queue);
/* A page table whose faults go to @queue_id, for PASIDs as well */
int eq_fault_hwpt(int iommu, const struct eq_dev *dev, __u32 ioas,
		  __u32 queue_id, __u32 *hwpt);

/* The address of fault @i of a group */
#define EQ_ADDR(i) (MOCK_APERTURE_START + (__u64)(i) * MOCK_PAGE_SIZE)

/* @op: IOMMU_TEST_OP_TRIGGER_IOPF, or _PART for a fault that is not the last */
int eq_fault_op(int iommu, __u32 op, const struct eq_dev *dev, __u32 pasid,
		__u32 grpid, __u64 addr);
int eq_pasid_fault(int iommu, const struct eq_dev *dev, __u32 pasid,
		   __u32 grpid);
int eq_fault(int iommu, const struct eq_dev *dev, __u32 grpid);
/* A group of @nr faults, at EQ_ADDR(0), EQ_ADDR(1) and so on */
int eq_group(int iommu, const struct eq_dev *dev, __u32 grpid, unsigned int nr);

/* Codes of the responses that the mock device gets, as in the kernel's enum */
enum { EQ_GOT_SUCCESS, EQ_GOT_INVALID, EQ_GOT_FAILURE, EQ_GOT_NOTHING };

struct eq_response {
	__u32 code, grpid, pasid;
	__u32 nr_success, nr_invalid, nr_failure;	/* since it was made */
};

/* Pop the oldest response; its code is EQ_GOT_NOTHING if there is none. */
int eq_pop_response(int iommu, const struct eq_dev *dev,
		    struct eq_response *response);

int eq_viommu(int iommu, __u32 ioas, const struct eq_dev *dev, __u32 *viommu);
/* Put @dev on @viommu, with the virtual device ID @virt_id. */
int eq_vdevice(int iommu, __u32 viommu, const struct eq_dev *dev,
	       __u64 virt_id);
int eq_vevent_queue(int iommu, __u32 viommu, __u32 type, __u32 flags,
		    __u32 depth, struct eq_queue *queue);
/* Report @nr events of the vIOMMU that @dev is on. */
int eq_vevents(int iommu, const struct eq_dev *dev, unsigned int nr);

/* Read the value of @key in the fd's fdinfo: a string into @line, a number. */
int eq_fdinfo_text(int fd, const char *key, char *line, int size);
long eq_fdinfo(int fd, const char *key);

/*
 * The world: an iommufd, two devices, one queue
 */

#define EQ_NO_WAIT 0
#define EQ_WAIT IOMMU_EVENTQ_ALLOC_WAIT_READ

/* Whether the kernel knows EQ_WAIT; EQ_NO_WAIT_FLAG is the reason to skip. */
bool eq_knows_wait_flag(int iommu);
bool eq_wait_flag_known(void);

#define EQ_NO_WAIT_FLAG "needs IOMMU_EVENTQ_ALLOC_WAIT_READ"

#define EQ_MAX_DEPTH (512 * 1024)
#define EQ_DEPTH 8
#define EQ_VIRT_ID 0x99

struct eq_world {
	int iommu;
	__u32 ioas;
	struct eq_dev dev[2];
	struct eq_queue queue;
	__u32 hwpt;		/* of a fault queue: both devices are on it */
	__u32 viommu;		/* of a vIOMMU event queue: dev[0] is on it */
};

int eq_world_open(struct eq_world *w);
int eq_world_fault_queue(struct eq_world *w, __u32 flags);
int eq_world_viommu(struct eq_world *w);
int eq_world_vevent_queue(struct eq_world *w, __u32 flags, __u32 depth);

/* Whether this kernel has no mock device; EQ_NO_MOCK is the reason to skip. */
bool eq_no_mock(void);

#define EQ_NO_MOCK "needs IOMMUFD and IOMMUFD_TEST"

/* Report a fault, a group of faults or events of device @dev of the world. */
int eq_raise_fault(struct eq_world *w, unsigned int dev, __u32 grpid);
int eq_raise_group(struct eq_world *w, unsigned int dev, __u32 grpid,
		   unsigned int nr);
int eq_raise_vevents(struct eq_world *w, unsigned int nr);
/* Report one fault and read it, so that it is outstanding. */
bool eq_outstanding(struct eq_world *w, unsigned int dev, __u32 grpid,
		    __u32 *cookie);

/* Whether the next response to the device is @code for group @grpid */
bool eq_got(struct eq_world *w, unsigned int dev, __u32 grpid, __u32 code);
bool eq_got_nothing(struct eq_world *w, unsigned int dev);
/* INVALID for these two groups, in any order, and nothing after that */
bool eq_got_two_invalid(struct eq_world *w, unsigned int dev, __u32 grpid,
			__u32 other);

/*
 * A queue's file
 */

long eq_read(int fd, void *buf, size_t len);
long eq_write(int fd, const void *buf, size_t len);
long eq_read_nowait(int fd, void *buf, size_t len);
long eq_respond(int fd, __u32 cookie, __u32 code);
/* The events that poll() returns at once, -1 if it fails */
short eq_poll_now(int fd);
bool eq_readable(int fd);

/* Whether a record is a normal event with this sequence */
bool eq_is_event(const void *record, __u32 sequence);
/* Whether a header says that events up to this sequence were lost */
bool eq_is_lost(const void *record, __u32 sequence);

int eq_set_nonblock(int fd, bool on);

int eq_lowest_free_fd(void);
/* The last @len bytes before memory that cannot be accessed */
char *eq_edge(size_t len);

/*
 * A queue of either class whose records are numbered in the order in which they
 * were reported, from 0: a fault by its group, an event by its sequence
 */

struct eq_numbered {
	struct eq_world w;
	bool viommu;
	long len;		/* of a record */
	__u32 raised;
};

int eq_numbered_open(struct eq_numbered *q, bool viommu, __u32 flags,
		     __u32 depth);
void eq_numbered_close(struct eq_numbered *q);
int eq_numbered_add(struct eq_numbered *q);
int eq_numbered_add_many(struct eq_numbered *q, unsigned int nr);
/* The number of a record that was read, -ENOMSG for a LOST header */
long eq_numbered_number(const struct eq_numbered *q, const void *record);
/*
 * Read one record and return its number, -ENODATA if there is none. Polls first,
 * so that it does not block on a queue with waiting reads.
 */
long eq_numbered_take(struct eq_numbered *q);
/* Destroy the queue, whose file is closed, and what refers to it. */
int eq_numbered_destroy(struct eq_numbered *q);

#endif
