// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the queues of vIOMMU events where user space cannot reach: a
 * vIOMMU without a driver, sequence numbers that wrap, reports that a driver
 * must not make. Reports from all contexts are in eventq_test_report.c, races
 * and storms in eventq_test_race.c.
 */
#include <linux/random.h>

#include "eventq_test.h"

/* Put the arguments into the ioctl at @ucmd, and carry it out */
static int selftest_alloc(struct fake_viommu *fake, struct iommufd_ucmd *ucmd,
			  u32 depth)
{
	struct iommu_veventq_alloc *cmd = ucmd->cmd;

	*cmd = fake_veventq_cmd(fake, IOMMU_VEVENTQ_TYPE_SELFTEST, depth, 0);
	return fake_veventq_alloc(fake, ucmd);
}

static void selftest_open(struct kunit *test, struct fake_viommu *fake,
			  u32 depth)
{
	fake_viommu_open(test, fake, IOMMU_VEVENTQ_TYPE_SELFTEST, depth, 0);
}

static int fake_report(struct fake_viommu *fake, u32 virt_id)
{
	struct iommu_viommu_event_selftest event = { .virt_id = virt_id };

	return iommufd_viommu_report_event(fake->viommu,
					   IOMMU_VEVENTQ_TYPE_SELFTEST, &event,
					   sizeof(event));
}

static void test_viommu_overflow(struct kunit *test)
{
	struct selftest_record buf[8] = {};
	struct fake_viommu fake;
	/* Not what the memory of a freed ring may have */
	u32 id = get_random_u32();
	unsigned int i;

	selftest_open(test, &fake, 4);
	for (i = 0; i < 10; i++)
		KUNIT_EXPECT_EQ(test, fake_report(&fake, id + i), 0);

	/* Four events, and behind them the sequence of the last lost one */
	KUNIT_EXPECT_EQ(test, read_kernel(fake.filep, buf, sizeof(buf), 0),
			4 * sizeof(buf[0]) + sizeof(buf[0].header));
	for (i = 0; i < 4; i++) {
		KUNIT_EXPECT_EQ(test, buf[i].header.flags, 0);
		KUNIT_EXPECT_EQ(test, buf[i].header.sequence, i);
		KUNIT_EXPECT_EQ(test, buf[i].event.virt_id, id + i);
	}
	KUNIT_EXPECT_EQ(test, buf[4].header.flags,
			IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
	KUNIT_EXPECT_EQ(test, buf[4].header.sequence, 9);
	KUNIT_EXPECT_EQ(test, read_kernel(fake.filep, buf, sizeof(buf), 0), 0);

	/* The depth is whole again: depth and not one more */
	for (i = 0; i < 5; i++)
		fake_report(&fake, i);
	KUNIT_EXPECT_EQ(test, read_kernel(fake.filep, buf, sizeof(buf), 0),
			4 * sizeof(buf[0]) + sizeof(buf[0].header));
	KUNIT_EXPECT_EQ(test, buf[0].header.sequence, 10);
	KUNIT_EXPECT_EQ(test, buf[4].header.sequence, 14);
	fake_viommu_close(test, &fake);
}

static void test_viommu_fionread(struct kunit *test)
{
	unsigned long uaddr = user_page_end(test) - sizeof(int);
	struct selftest_record buf[5] = {};
	struct fake_viommu fake;
	int bytes;
	u32 i;

	selftest_open(test, &fake, 4);
	/* Four events, then the LOST header behind them */
	for (i = 0; i < 6; i++) {
		KUNIT_EXPECT_EQ(test, do_ioctl(fake.filep, FIONREAD, uaddr), 0);
		KUNIT_EXPECT_EQ(test, get_user(bytes, (int __user *)uaddr), 0);
		KUNIT_EXPECT_EQ(test, bytes, i < 5 ? i * 12 : 4 * 12 + 8);
		fake_report(&fake, i);
	}
	KUNIT_EXPECT_EQ(test, read_kernel(fake.filep, buf, 12, 0), 12);
	/* An event takes the place of the header */
	fake_report(&fake, 6);
	KUNIT_EXPECT_EQ(test, fake.eventq->bytes, 4 * 12);
	KUNIT_EXPECT_EQ(test, read_kernel(fake.filep, buf, sizeof(buf), 0),
			4 * 12);
	KUNIT_EXPECT_EQ(test, fake.eventq->bytes, 0);
	fake_viommu_close(test, &fake);
}

/* The ring goes with the last close, not with the object */
static void test_viommu_memory_ends_at_close(struct kunit *test)
{
	struct fake_viommu fake;

	selftest_open(test, &fake, 1000);
	KUNIT_EXPECT_NOT_NULL(test, fake_ring(&fake)->slots);
	fake_report(&fake, 1);
	__fput_sync(fake.filep);
	KUNIT_EXPECT_NULL(test, fake_ring(&fake)->slots);
	KUNIT_EXPECT_EQ(test, fake_report(&fake, 2), 0);
	KUNIT_EXPECT_EQ(test,
			iommufd_object_remove(fake.ictx, NULL, fake.veventq_id,
					      0),
			0);
	fake_viommu_put(test, &fake);
}

static size_t no_event_size(struct iommufd_viommu *viommu,
			    enum iommu_veventq_type type)
{
	return 0;
}

/* What the vIOMMU does not report has no queue */
static void test_viommu_types(struct kunit *test)
{
	const struct iommufd_viommu_ops without = {};
	const struct iommufd_viommu_ops none = {
		.get_event_size = no_event_size,
	};
	struct iommu_veventq_alloc cmd;
	struct iommufd_ucmd ucmd;
	struct fake_viommu fake;

	fake_viommu(test, &fake);
	ucmd = fake_ucmd(test, fake.ictx, &cmd, sizeof(cmd));
	cmd = fake_veventq_cmd(&fake, IOMMU_VEVENTQ_TYPE_DEFAULT, 1, 0);
	KUNIT_EXPECT_EQ(test, fake_veventq_alloc(&fake, &ucmd), -EOPNOTSUPP);
	fake.viommu->ops = &without;
	KUNIT_EXPECT_EQ(test, selftest_alloc(&fake, &ucmd, 1), -EOPNOTSUPP);
	fake.viommu->ops = &none;
	KUNIT_EXPECT_EQ(test, selftest_alloc(&fake, &ucmd, 1), -EOPNOTSUPP);
	fake.viommu->ops = NULL;
	KUNIT_EXPECT_EQ(test, selftest_alloc(&fake, &ucmd, 1), -EOPNOTSUPP);
	/* Its driver may report while it is still being made */
	KUNIT_EXPECT_EQ(test, fake_report(&fake, 1), -EOPNOTSUPP);
	fake_viommu_put(test, &fake);
}

/* A LOST header that an event has made needless does not appear */
static void test_viommu_gap(struct kunit *test)
{
	struct selftest_record buf[4] = {};
	struct fake_viommu fake;

	selftest_open(test, &fake, 1);
	fake_report(&fake, 1);
	fake_report(&fake, 2);
	/* Room for the event alone: the header stays, and is readable */
	KUNIT_EXPECT_EQ(test, read_kernel(fake.filep, buf, sizeof(buf[0]), 0),
			sizeof(buf[0]));
	KUNIT_EXPECT_TRUE(test, vfs_poll(fake.filep, NULL) & EPOLLIN);
	fake_report(&fake, 3);
	KUNIT_EXPECT_EQ(test, read_kernel(fake.filep, buf, sizeof(buf), 0),
			sizeof(buf[0]));
	KUNIT_EXPECT_EQ(test, buf[0].header.flags, 0);
	KUNIT_EXPECT_EQ(test, buf[0].header.sequence, 2);
	KUNIT_EXPECT_EQ(test, poll_now(fake.filep), 0);
	/* With the header gone, the next event is one record more */
	fake_report(&fake, 4);
	KUNIT_EXPECT_NE(test, poll_now(fake.filep), 0);
	KUNIT_EXPECT_EQ(test, read_kernel(fake.filep, buf, sizeof(buf), 0),
			sizeof(buf[0]));
	KUNIT_EXPECT_EQ(test, buf[0].header.sequence, 3);
	fake_viommu_close(test, &fake);
}

static void test_viommu_lost_header_fault(struct kunit *test)
{
	unsigned long end = user_page_end(test);
	struct selftest_record buf[4] = {};
	struct fake_viommu fake;

	selftest_open(test, &fake, 1);
	fake_report(&fake, 1);
	fake_report(&fake, 2);
	/* The event fails, then the header behind it */
	KUNIT_EXPECT_EQ(test, read_user(fake.filep, end - 8, sizeof(buf)),
			-EFAULT);
	KUNIT_EXPECT_EQ(test, read_user(fake.filep, end - 16, sizeof(buf)), 12);
	KUNIT_EXPECT_EQ(test, read_user(fake.filep, end, sizeof(buf)), -EFAULT);
	KUNIT_EXPECT_EQ(test, read_kernel(fake.filep, buf, sizeof(buf), 0), 8);
	KUNIT_EXPECT_EQ(test, buf[0].header.sequence, 1);
	fake_viommu_close(test, &fake);
}

static void test_viommu_closed(struct kunit *test)
{
	struct fake_viommu fake;

	selftest_open(test, &fake, 2);
	fake_report(&fake, 1);
	__fput_sync(fake.filep);
	/* No driver is told that it reports in vain */
	KUNIT_EXPECT_EQ(test, fake_report(&fake, 2), 0);
	KUNIT_EXPECT_EQ(test, fake_report(&fake, 3), 0);
	KUNIT_EXPECT_EQ(test, fake_report(&fake, 4), 0);
	KUNIT_EXPECT_EQ(test,
			iommufd_object_remove(fake.ictx, NULL, fake.veventq_id,
					      0),
			0);
	KUNIT_EXPECT_EQ(test, fake_report(&fake, 5), -EOPNOTSUPP);
	fake_viommu_put(test, &fake);
}

static void test_viommu_no_queue(struct kunit *test)
{
	struct iommu_vevent_arm_smmuv3 event = {};
	struct fake_viommu fake;
	int rc;

	selftest_open(test, &fake, 1);
	rc = iommufd_viommu_report_event(fake.viommu,
					 IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, &event,
					 sizeof(event));
	KUNIT_EXPECT_EQ(test, rc, -EOPNOTSUPP);
	fake_viommu_close(test, &fake);
}

/* Each step of the allocation that can fail leaves nothing behind */
static void test_viommu_failed_alloc(struct kunit *test)
{
	struct iommu_veventq_alloc cmd;
	struct iommufd_ucmd ucmd;
	struct fake_viommu fake;

	fake_viommu(test, &fake);
	ucmd = fake_ucmd(test, fake.ictx, &cmd, sizeof(cmd));
	KUNIT_EXPECT_EQ(test, selftest_alloc(&fake, &ucmd, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, selftest_alloc(&fake, &ucmd, (1 << 19) + 1),
			-EINVAL);
	ucmd.ubuffer += PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, selftest_alloc(&fake, &ucmd, 1), -EFAULT);
	KUNIT_EXPECT_EQ(test, fake_report(&fake, 1), -EOPNOTSUPP);
	fake_viommu_put(test, &fake);

	/* The second queue of a type fails and does not hurt the first */
	selftest_open(test, &fake, 1);
	ucmd = fake_ucmd(test, fake.ictx, &cmd, sizeof(cmd));
	KUNIT_EXPECT_EQ(test, selftest_alloc(&fake, &ucmd, 1), -EEXIST);
	KUNIT_EXPECT_EQ(test, fake_report(&fake, 1), 0);
	fake_viommu_close(test, &fake);
}

/* Numbers of the events that are reported in these tests */
#define FIRST_EVENT 100

static void report_some(struct kunit *test, struct fake_viommu *fake,
			unsigned int from, unsigned int nr)
{
	while (nr--)
		KUNIT_EXPECT_EQ(test, fake_report(fake, FIRST_EVENT + from++),
				0);
}

static void expect_event(struct kunit *test,
			 const struct selftest_record *record, u32 sequence,
			 u32 nr)
{
	KUNIT_EXPECT_EQ(test, record->header.flags, 0);
	KUNIT_EXPECT_EQ(test, record->header.sequence, sequence);
	KUNIT_EXPECT_EQ(test, record->event.virt_id, FIRST_EVENT + nr);
}

static void expect_lost(struct kunit *test, const void *header, u32 sequence)
{
	const struct iommufd_vevent_header *lost = header;

	KUNIT_EXPECT_EQ(test, lost->flags, IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
	KUNIT_EXPECT_EQ(test, lost->sequence, sequence);
}

static void test_viommu_wrap_order(struct kunit *test)
{
	static const u32 expected[] = { INT_MAX - 1, INT_MAX, 0, 1, 2 };
	struct selftest_record buf[5] = {};
	struct fake_viommu fake;
	unsigned int i;

	/* Neither the first one nor the last one of the ring is at the wrap */
	selftest_open(test, &fake, 7);
	fake_set_sequence(&fake, INT_MAX - 1);
	report_some(test, &fake, 0, 5);
	KUNIT_EXPECT_EQ(test, fake_next_sequence(test, &fake), 3);
	KUNIT_EXPECT_EQ(test, read_kernel(fake.filep, buf, sizeof(buf), 0),
			sizeof(buf));
	for (i = 0; i < ARRAY_SIZE(expected); i++)
		expect_event(test, &buf[i], expected[i], i);
	KUNIT_EXPECT_EQ(test, fake_nr_lost(test, &fake), 0);
	fake_viommu_close(test, &fake);
}

/* Events are lost on both sides of the wrap, and the next one tells */
static void test_viommu_wrap_gap(struct kunit *test)
{
	struct selftest_record buf[4] = {};
	struct fake_viommu fake;

	selftest_open(test, &fake, 2);
	fake_set_sequence(&fake, INT_MAX - 3);
	/* Two are stored; INT_MAX - 1, INT_MAX, 0 and 1 are lost */
	report_some(test, &fake, 0, 6);
	KUNIT_EXPECT_EQ(test, read_kernel(fake.filep, buf, sizeof(buf[0]), 0),
			sizeof(buf[0]));
	expect_event(test, &buf[0], INT_MAX - 3, 0);
	report_some(test, &fake, 6, 1);
	KUNIT_EXPECT_EQ(test, read_kernel(fake.filep, buf, sizeof(buf), 0),
			2 * sizeof(buf[0]));
	expect_event(test, &buf[0], INT_MAX - 2, 1);
	expect_event(test, &buf[1], 2, 6);
	KUNIT_EXPECT_EQ(test, poll_now(fake.filep), 0);
	KUNIT_EXPECT_EQ(test, fake_nr_lost(test, &fake), 4);
	KUNIT_EXPECT_EQ(test, fake_next_sequence(test, &fake), 3);
	fake_viommu_close(test, &fake);
}

/* The last lost event is each of those around the wrap */
static void test_viommu_wrap_lost_header(struct kunit *test)
{
	static const u32 expected[] = { INT_MAX - 1, INT_MAX, 0, 1 };
	const size_t header = sizeof(struct iommufd_vevent_header);
	struct selftest_record buf[2] = {};
	struct fake_viommu fake;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(expected); i++) {
		selftest_open(test, &fake, 1);
		fake_set_sequence(&fake, INT_MAX - 2);
		report_some(test, &fake, 0, i + 2);
		KUNIT_EXPECT_EQ(test,
				read_kernel(fake.filep, buf, sizeof(buf), 0),
				sizeof(buf[0]) + header);
		expect_event(test, &buf[0], INT_MAX - 2, 0);
		expect_lost(test, &buf[1], expected[i]);
		KUNIT_EXPECT_EQ(test, poll_now(fake.filep), 0);
		KUNIT_EXPECT_EQ(test, fake_nr_lost(test, &fake), i + 1);
		/* The event after that leaves no gap behind the header */
		report_some(test, &fake, 1, 1);
		KUNIT_EXPECT_EQ(test,
				read_kernel(fake.filep, buf, sizeof(buf), 0),
				sizeof(buf[0]));
		expect_event(test, &buf[0], (expected[i] + 1) & INT_MAX, 1);
		fake_viommu_close(test, &fake);
	}
}

/* A header of before the wrap, not copied, gives way to what comes behind it */
static void test_viommu_wrap_stale_header(struct kunit *test)
{
	unsigned long end = user_page_end(test);
	struct iommufd_vevent_header header = {};
	struct selftest_record record = {};
	struct fake_viommu fake;

	selftest_open(test, &fake, 1);
	fake_set_sequence(&fake, INT_MAX - 1);
	report_some(test, &fake, 0, 2);
	KUNIT_EXPECT_EQ(test, read_user(fake.filep, end - 12, 16), 12);
	KUNIT_EXPECT_EQ(test, read_user(fake.filep, end - 4, 16), -EFAULT);
	/* An event takes the place of the header, and the next one is lost */
	report_some(test, &fake, 2, 2);
	KUNIT_EXPECT_EQ(test,
			read_kernel(fake.filep, &record, sizeof(record), 0),
			sizeof(record));
	expect_event(test, &record, 0, 2);
	KUNIT_EXPECT_EQ(test,
			read_kernel(fake.filep, &header, sizeof(header), 0),
			sizeof(header));
	expect_lost(test, &header, 1);
	KUNIT_EXPECT_EQ(test, poll_now(fake.filep), 0);
	fake_viommu_close(test, &fake);
}

/* The two halves of a read, between which it copies with no lock held */
static ssize_t read_begin(struct iommufd_eventq *eventq, size_t room,
			  const void **chunk)
{
	mutex_lock(&eventq->readers);
	return eventq->ops->stage(eventq, room, chunk);
}

static size_t read_end(struct iommufd_eventq *eventq, const void *chunk,
		       size_t size)
{
	size_t settled;

	settled = eventq->ops->settle(eventq, chunk, size);
	mutex_unlock(&eventq->readers);
	return settled;
}

/* Events that come while the header of older lost ones is copied */
static void check_lost_while_read(struct kunit *test, u32 start)
{
	const size_t header = sizeof(struct iommufd_vevent_header);
	struct selftest_record buf[2] = {};
	struct fake_viommu fake;
	const void *chunk;

	selftest_open(test, &fake, 1);
	fake_set_sequence(&fake, start);
	report_some(test, &fake, 0, 2);
	KUNIT_EXPECT_EQ(test, read_kernel(fake.filep, buf, sizeof(buf[0]), 0),
			sizeof(buf[0]));
	KUNIT_EXPECT_EQ(test, read_begin(fake.eventq, header, &chunk), header);
	report_some(test, &fake, 2, 2);
	expect_lost(test, chunk, start + 1);
	KUNIT_EXPECT_EQ(test, read_end(fake.eventq, chunk, header), header);

	KUNIT_EXPECT_EQ(test, queued_now(fake.eventq), 2);
	KUNIT_EXPECT_EQ(test, read_kernel(fake.filep, buf, sizeof(buf), 0),
			sizeof(buf[0]) + header);
	expect_event(test, &buf[0], (start + 2) & INT_MAX, 2);
	expect_lost(test, &buf[1], (start + 3) & INT_MAX);
	KUNIT_EXPECT_EQ(test, poll_now(fake.filep), 0);
	fake_viommu_close(test, &fake);
}

static void test_viommu_lost_while_read(struct kunit *test)
{
	check_lost_while_read(test, 0);
}

static void test_viommu_wrap_lost_while_read(struct kunit *test)
{
	check_lost_while_read(test, INT_MAX - 1);
}

/* What is being copied keeps its place in the ring */
static void test_viommu_full_while_read(struct kunit *test)
{
	const size_t size = 2 * sizeof(struct selftest_record);
	struct selftest_record buf[2] = {};
	struct fake_viommu fake;
	const void *chunk;

	selftest_open(test, &fake, 2);
	report_some(test, &fake, 0, 2);
	KUNIT_EXPECT_EQ(test, read_begin(fake.eventq, size, &chunk), size);
	report_some(test, &fake, 2, 1);
	expect_event(test, chunk, 0, 0);
	expect_event(test, chunk + sizeof(buf[0]), 1, 1);
	KUNIT_EXPECT_EQ(test, read_end(fake.eventq, chunk, size), size);

	report_some(test, &fake, 3, 1);
	KUNIT_EXPECT_EQ(test, read_kernel(fake.filep, buf, sizeof(buf), 0),
			sizeof(buf[0]));
	expect_event(test, &buf[0], 3, 3);
	KUNIT_EXPECT_EQ(test, poll_now(fake.filep), 0);
	fake_viommu_close(test, &fake);
}

/* Nobody reads, and the numbers go on over the wrap */
static void test_viommu_wrap_closed(struct kunit *test)
{
	struct fake_viommu fake;

	selftest_open(test, &fake, 4);
	fake_set_sequence(&fake, INT_MAX - 1);
	report_some(test, &fake, 0, 1);
	__fput_sync(fake.filep);
	report_some(test, &fake, 1, 3);
	KUNIT_EXPECT_EQ(test, fake_nr_lost(test, &fake), 4);
	KUNIT_EXPECT_EQ(test, fake_next_sequence(test, &fake), 2);
	KUNIT_EXPECT_EQ(test, queued_now(fake.eventq), 0);
	KUNIT_EXPECT_EQ(test,
			iommufd_object_remove(fake.ictx, NULL, fake.veventq_id,
					      0),
			0);
	fake_viommu_put(test, &fake);
}

/*
 * WARN_ON_ONCE() that is built on an instruction of its own asks KUnit each
 * time, the generic one for the first time only.
 */
#ifdef __WARN_FLAGS
#define EVERY_WARNING_COUNTS true
#else
#define EVERY_WARNING_COUNTS false
#endif

/* A report that is a bug of the driver: a warning, and nothing else happens */
static void report_badly(struct kunit *test, struct fake_viommu *fake, u32 type,
			 void *data, size_t len)
{
	u64 sequence = fake_next_sequence(test, fake);
	u64 nr_lost = fake_nr_lost(test, fake);
	unsigned int queued = queued_now(fake->eventq);
	int rc;

	kunit_warning_suppress(test) {
		rc = iommufd_viommu_report_event(fake->viommu, type, data, len);
		if (EVERY_WARNING_COUNTS)
			KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	KUNIT_EXPECT_EQ(test, rc, -EINVAL);
	KUNIT_EXPECT_EQ(test, fake_next_sequence(test, fake), sequence);
	KUNIT_EXPECT_EQ(test, fake_nr_lost(test, fake), nr_lost);
	KUNIT_EXPECT_EQ(test, queued_now(fake->eventq), queued);
}

static void check_bad_data(struct kunit *test, u32 type, size_t size)
{
	static const size_t lengths[] = { 0, 1, 3, 4, 5, 8, 15, 16, 17, 31,
					  32, 33, 40, 64, SIZE_MAX };
	struct fake_viommu fake;
	u8 data[64] = {};
	u8 buf[128] = {};
	unsigned int i;

	fake_viommu_open(test, &fake, type, 2, 0);
	report_badly(test, &fake, type, NULL, size);
	report_badly(test, &fake, type, NULL, 0);
	for (i = 0; i < ARRAY_SIZE(lengths); i++)
		if (lengths[i] != size)
			report_badly(test, &fake, type, data, lengths[i]);
	/* Also into a full queue, and in front of a LOST header */
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test,
				iommufd_viommu_report_event(fake.viommu, type,
							    data, size),
				0);
	report_badly(test, &fake, type, data, size + 1);
	report_badly(test, &fake, type, NULL, size);
	KUNIT_EXPECT_EQ(test, fake_next_sequence(test, &fake), 3);
	/* The events that were reported well, and no others */
	KUNIT_EXPECT_EQ(test, read_kernel(fake.filep, buf, sizeof(buf), 0),
			2 * (8 + size) + 8);
	fake_viommu_close(test, &fake);
}

static void test_viommu_bad_data_smmuv3(struct kunit *test)
{
	check_bad_data(test, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 32);
}

static void test_viommu_bad_data_cmdqv(struct kunit *test)
{
	check_bad_data(test, IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV, 16);
}

static void test_viommu_bad_data_selftest(struct kunit *test)
{
	check_bad_data(test, IOMMU_VEVENTQ_TYPE_SELFTEST, 4);
}

/* A bug is one whether there is a queue or not */
static void test_viommu_bad_data_no_queue(struct kunit *test)
{
	struct fake_viommu fake;
	u8 data[64] = {};

	selftest_open(test, &fake, 1);
	report_badly(test, &fake, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, NULL, 32);
	report_badly(test, &fake, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, data, 31);
	report_badly(test, &fake, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, data, 33);
	report_badly(test, &fake, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, data, 0);
	report_badly(test, &fake, IOMMU_VEVENTQ_TYPE_DEFAULT, data, 4);
	report_badly(test, &fake, IOMMU_VEVENTQ_TYPE_DEFAULT, data, 0);
	report_badly(test, &fake, U32_MAX, data, 4);
	fake_viommu_close(test, &fake);
}

static struct kunit_case viommu_cases[] = {
	KUNIT_CASE(test_viommu_overflow),
	KUNIT_CASE(test_viommu_fionread),
	KUNIT_CASE(test_viommu_memory_ends_at_close),
	KUNIT_CASE(test_viommu_types),
	KUNIT_CASE(test_viommu_gap),
	KUNIT_CASE(test_viommu_lost_header_fault),
	KUNIT_CASE(test_viommu_closed),
	KUNIT_CASE(test_viommu_no_queue),
	KUNIT_CASE(test_viommu_failed_alloc),
	KUNIT_CASE(test_viommu_lost_while_read),
	KUNIT_CASE(test_viommu_full_while_read),
	KUNIT_CASE(test_viommu_wrap_order),
	KUNIT_CASE(test_viommu_wrap_gap),
	KUNIT_CASE(test_viommu_wrap_lost_header),
	KUNIT_CASE(test_viommu_wrap_stale_header),
	KUNIT_CASE(test_viommu_wrap_lost_while_read),
	KUNIT_CASE(test_viommu_wrap_closed),
	KUNIT_CASE(test_viommu_bad_data_smmuv3),
	KUNIT_CASE(test_viommu_bad_data_cmdqv),
	KUNIT_CASE(test_viommu_bad_data_selftest),
	KUNIT_CASE(test_viommu_bad_data_no_queue),
	{}
};

static struct kunit_suite viommu_suite = {
	.name = "iommufd_eventq_viommu",
	.test_cases = viommu_cases,
};

kunit_test_suite(viommu_suite);
