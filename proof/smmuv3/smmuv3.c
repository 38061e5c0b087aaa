// SPDX-License-Identifier: GPL-2.0-only
/*
 * The event queue of a vIOMMU behind the real arm-smmu-v3 driver: two `edu` devices
 * do DMA through page tables of a guest, and what faults is read as a VMM does, by
 * read() and by io_uring's READ_MULTISHOT. Needs QEMU's nesting SMMUv3 and both
 * devices bound to vfio-pci (see guest/test-smmuv3).
 *
 * Two things are so with QEMU, and need not be with hardware: no events are merged,
 * which the driver allows (STE.MEV), and a DMA goes on, word by word, when one word
 * faulted.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "calls.h"
#include "stall.h"

#include "edu.h"
#include "guest.h"
#include "host.h"
#include "reader.h"
#include "lib/eventq_wait.h"

#define NR_DEVICES 2
/* The devices' stream ids in the guest, unlike those they have in the host */
#define SID(nr) (0x1234U + 0x100 * (nr))
#define DEPTH 8192
/* For what must come, on a debug kernel under emulation */
#define COME_MS 10000

#define READ false
#define WRITE true

/* A DMA of all that the device has: QEMU tries each word, and none is mapped. */
#define BURST_LEN EDU_BUFFER_LEN
#define WORD 4
#define BURST_FAULTS (BURST_LEN / WORD)

enum event_id {
	C_BAD_CD = 0x0a,
	F_TRANSLATION = 0x10,
	F_ACCESS = 0x12,
	F_PERMISSION = 0x13,
};

/* What a reader saw of a queue since it is there */
struct ledger {
	__u32 expected;		/* sequence of the next record */
	unsigned long events, lost;
	unsigned int lost_headers;
};

/* A vIOMMU, its queue, and who reads that */
struct side {
	__u32 viommu;
	struct eq_queue queue;
	struct reader reader;
	struct ledger ledger;
};

/* A thread that makes a device fault all the time */
struct loader {
	pthread_t thread;
	struct edu *edu;
	atomic_bool *stop;
};

FIXTURE(smmuv3)
{
	struct guest guest;
	struct edu edu[NR_DEVICES];
	__u32 hwpt[NR_DEVICES];
	struct side side;		/* of both devices at first */
	struct side other;		/* of the second one: see move_to_other() */
	struct eq_stall stall;
	struct eq_job job;
	struct eq_io io;
	int host_log;
	pid_t event_thread;
	struct loader loaders[NR_DEVICES];
	unsigned int nr_loaders;
	atomic_bool stop;
	bool multishot;
};

FIXTURE_VARIANT(smmuv3)
{
	bool multishot;
};

FIXTURE_VARIANT_ADD(smmuv3, read) { .multishot = false };
FIXTURE_VARIANT_ADD(smmuv3, multishot) { .multishot = true };

/* ---- setting up */

static int side_listen(struct _test_data_smmuv3 *self, struct side *side, __u32 depth)
{
	int rc = eq_vevent_queue(self->guest.iommu, side->viommu, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
				 0, depth, &side->queue);

	side->ledger = (struct ledger){};
	return rc ? rc : reader_init(&side->reader, side->queue.fd, self->multishot);
}

static int side_deafen(struct _test_data_smmuv3 *self, struct side *side)
{
	reader_fini(&side->reader);
	close(side->queue.fd);
	side->queue.fd = -1;
	return eq_destroy(self->guest.iommu, side->queue.id);
}

/* Ends the queue with events in it, being read, and on their way; makes another. */
static int replace_queue(struct _test_data_smmuv3 *self, __u32 depth)
{
	int rc = side_deafen(self, &self->side);

	return rc ? rc : side_listen(self, &self->side, depth);
}

/* The guest knows device @nr behind that vIOMMU, with good page tables. */
static int side_add(struct _test_data_smmuv3 *self, struct side *side, unsigned int nr)
{
	struct edu *edu = &self->edu[nr];
	int rc = guest_vdevice(&self->guest, side->viommu, edu, SID(nr));

	if (!rc)
		rc = guest_nested(&self->guest, side->viommu, edu, guest_ste_with(PAGE_CD),
				  &self->hwpt[nr]);
	return rc ? rc : edu_attach(edu, self->hwpt[nr]);
}

static int open_again(struct _test_data_smmuv3 *self, unsigned int nr)
{
	edu_close(&self->edu[nr]);
	return edu_open(&self->edu[nr], nr, self->guest.iommu);
}

/* The second device gets a vIOMMU of its own; the SMMU is the same. */
static int move_to_other(struct _test_data_smmuv3 *self)
{
	int rc = open_again(self, 1);

	if (!rc)
		rc = guest_viommu(&self->guest, &self->edu[1], &self->other.viommu);
	if (!rc)
		rc = side_add(self, &self->other, 1);
	return rc ? rc : side_listen(self, &self->other, DEPTH);
}

/* A VM with both devices behind one vIOMMU, and its queue being read */
static int vm_begin(struct _test_data_smmuv3 *self)
{
	unsigned int nr;
	int rc;

	self->side.queue.fd = -1;
	self->other.queue.fd = -1;
	for (nr = 0; nr < NR_DEVICES; nr++)
		edu_init(&self->edu[nr]);
	rc = guest_init(&self->guest);
	for (nr = 0; nr < NR_DEVICES && !rc; nr++)
		rc = edu_open(&self->edu[nr], nr, self->guest.iommu);
	if (!rc)
		rc = guest_viommu(&self->guest, &self->edu[0], &self->side.viommu);
	for (nr = 0; nr < NR_DEVICES && !rc; nr++)
		rc = side_add(self, &self->side, nr);
	return rc ? rc : side_listen(self, &self->side, DEPTH);
}

static void vm_end(struct _test_data_smmuv3 *self)
{
	unsigned int nr;

	if (self->other.queue.fd >= 0)
		side_deafen(self, &self->other);
	if (self->side.queue.fd >= 0)
		side_deafen(self, &self->side);
	for (nr = 0; nr < NR_DEVICES; nr++)
		edu_close(&self->edu[nr]);
	guest_fini(&self->guest);
}

static void *burst_for_ever(void *arg)
{
	struct loader *loader = arg;
	long rc = 0;

	while (!*loader->stop && !rc)
		rc = edu_dma(loader->edu, GUEST_VA_OF(VA_NOTHING), BURST_LEN, READ);
	return (void *)rc;
}

static int load_begin(struct _test_data_smmuv3 *self)
{
	int rc = 0;

	while (self->nr_loaders < NR_DEVICES && !rc) {
		struct loader *loader = &self->loaders[self->nr_loaders];

		loader->edu = &self->edu[self->nr_loaders];
		loader->stop = &self->stop;
		rc = pthread_create(&loader->thread, NULL, burst_for_ever, loader);
		if (!rc)
			self->nr_loaders++;
	}
	return rc;
}

/* An error of any of them */
static long load_end(struct _test_data_smmuv3 *self)
{
	void *result;
	long rc = 0;

	self->stop = true;
	while (self->nr_loaders) {
		pthread_join(self->loaders[--self->nr_loaders].thread, &result);
		rc = rc ? rc : (long)result;
	}
	return rc;
}

FIXTURE_SETUP(smmuv3)
{
	self->multishot = variant->multishot;
	self->host_log = host_log_open();
	ASSERT_LE(0, self->host_log);
	self->event_thread = host_event_thread();
	ASSERT_LT(0, self->event_thread);
	ASSERT_EQ(0, vm_begin(self));
}

FIXTURE_TEARDOWN(smmuv3)
{
	host_events_come_first(self->event_thread);
	load_end(self);
	vm_end(self);
	close(self->host_log);
}

/* ---- what is read, and what it has to be */

/* The next record, on the ledger by the manual's rule. As reader_next(). */
static int side_next(struct side *side, struct record *record)
{
	struct ledger *ledger = &side->ledger;
	int rc = reader_next(&side->reader, COME_MS, record);

	if (rc)
		return rc;
	ledger->lost += (record->sequence - ledger->expected) & INT32_MAX;
	ledger->expected = (record->sequence + 1) & INT32_MAX;
	if (record->lost) {
		ledger->lost++;
		ledger->lost_headers++;
	} else {
		ledger->events++;
	}
	return 0;
}

static bool is_fault(const struct record *record, enum event_id id, unsigned int nr, __u64 addr,
		     bool write)
{
	bool same = !record->lost && record->id == id && record->sid == SID(nr) &&
		    !record->stage_2;

	/* A bad descriptor is bad wherever the access goes. */
	if (id != C_BAD_CD)
		same = same && record->addr == addr && record->read == !write;
	if (!same)
		printf("# %u: lost %d, id %#x, sid %#x, address %#llx, read %d, stage 2: %d\n",
		       record->sequence, record->lost, record->id, record->sid,
		       (unsigned long long)record->addr, record->read, record->stage_2);
	return same;
}

/* The next record is that of this fault, and nothing was lost before. */
static bool next_is(struct side *side, enum event_id id, unsigned int nr, __u64 addr, bool write)
{
	struct record record;
	int rc = side_next(side, &record);

	if (rc)
		printf("# no record: %s\n", strerror(-rc));
	return !rc && is_fault(&record, id, nr, addr, write) && !side->ledger.lost;
}

/*
 * A fault of a device, at an address that nothing else is done to, marks the end of
 * what is read: records come in the order of the hardware's queue, whichever device
 * made them, so there was nothing else before.
 */
#define MARK_ADDR GUEST_VA_OF(VA_END)
/* A device takes the same time for each DMA, in steps of a millisecond. */
#define MARK_AFTER_US 3000

static bool next_is_mark(struct side *side, unsigned int nr)
{
	return next_is(side, F_TRANSLATION, nr, MARK_ADDR, READ);
}

static bool mark(struct _test_data_smmuv3 *self)
{
	return !edu_dma(&self->edu[1], MARK_ADDR, WORD, READ) &&
	       next_is_mark(&self->side, 1);
}

/* What another VMM left in the hardware's queue comes before a mark, and is skipped. */
static bool skip_to_mark(struct _test_data_smmuv3 *self)
{
	struct record record;

	if (edu_wait(&self->edu[0]) || edu_dma(&self->edu[1], MARK_ADDR, WORD, READ))
		return false;
	do {
		if (side_next(&self->side, &record))
			return false;
	} while (record.lost || record.sid != SID(1) || record.addr != MARK_ADDR);
	self->side.ledger.lost = 0;
	return true;
}

/* A DMA of device @nr, and the mark of the other one after it */
static int dma_and_mark(struct _test_data_smmuv3 *self, unsigned int nr, __u32 addr,
			unsigned int len, bool write)
{
	int rc;

	edu_start(&self->edu[nr], addr, len, write);
	usleep(MARK_AFTER_US);
	edu_start(&self->edu[!nr], MARK_ADDR, WORD, READ);
	rc = edu_wait(&self->edu[nr]);
	return rc ? rc : edu_wait(&self->edu[!nr]);
}

/* One access, that faults, makes one record. */
static bool faults_once(struct _test_data_smmuv3 *self, enum event_id id, unsigned int nr,
			__u32 addr, bool write)
{
	return !dma_and_mark(self, nr, addr, WORD, write) &&
	       next_is(&self->side, id, nr, addr, write) && next_is_mark(&self->side, !nr);
}

/* Two accesses of the first device that no record comes of */
static bool is_silent(struct _test_data_smmuv3 *self, __u32 addr)
{
	return !edu_dma(&self->edu[0], addr, WORD, READ) &&
	       !dma_and_mark(self, 0, addr, WORD, WRITE) && next_is_mark(&self->side, 1);
}

/* A burst of the first device while the second one has its own vIOMMU, and is heard */
static bool burst_spares_other(struct _test_data_smmuv3 *self, bool write)
{
	return !dma_and_mark(self, 0, GUEST_VA_OF(VA_NOTHING), BURST_LEN, write) &&
	       next_is_mark(&self->other, 1);
}

/* The guest's stream table entry for the first device becomes that one. */
static int change_ste(struct _test_data_smmuv3 *self, struct guest_ste ste)
{
	__u32 hwpt;
	int rc = guest_nested(&self->guest, self->side.viommu, &self->edu[0], ste, &hwpt);

	return rc ? rc : edu_attach(&self->edu[0], hwpt);
}

/* ---- one record for one faulting access, and what is in it */

TEST_F_TIMEOUT(smmuv3, translation, 120)
{
	ASSERT_TRUE(faults_once(self, F_TRANSLATION, 0, GUEST_VA_OF(VA_NOTHING), READ));
	ASSERT_TRUE(faults_once(self, F_TRANSLATION, 0, GUEST_VA_OF(VA_NOTHING), WRITE));
}

/* A read of the same page is good. */
TEST_F_TIMEOUT(smmuv3, permission, 120)
{
	ASSERT_EQ(0, edu_dma(&self->edu[0], GUEST_VA_OF(VA_READ_ONLY), WORD, READ));
	ASSERT_TRUE(faults_once(self, F_PERMISSION, 0, GUEST_VA_OF(VA_READ_ONLY), WRITE));
}

TEST_F_TIMEOUT(smmuv3, access_flag, 120)
{
	ASSERT_TRUE(faults_once(self, F_ACCESS, 0, GUEST_VA_OF(VA_NO_ACCESS_FLAG), READ));
	ASSERT_TRUE(faults_once(self, F_ACCESS, 0, GUEST_VA_OF(VA_NO_ACCESS_FLAG), WRITE));
}

TEST_F_TIMEOUT(smmuv3, bad_context_descriptor, 120)
{
	ASSERT_EQ(0, change_ste(self, guest_ste_with(PAGE_BAD_CD)));
	ASSERT_TRUE(faults_once(self, C_BAD_CD, 0, GUEST_VA_OF(VA_GOOD), READ));
	ASSERT_TRUE(faults_once(self, C_BAD_CD, 0, GUEST_VA_OF(VA_GOOD), WRITE));
}

TEST_F_TIMEOUT(smmuv3, two_devices, 120)
{
	ASSERT_TRUE(faults_once(self, F_TRANSLATION, 0, GUEST_VA_OF(VA_NOTHING), READ));
	ASSERT_TRUE(faults_once(self, F_TRANSLATION, 1, GUEST_VA_OF(VA_NOTHING), READ));
	ASSERT_TRUE(faults_once(self, F_PERMISSION, 1, GUEST_VA_OF(VA_READ_ONLY), WRITE));
	ASSERT_TRUE(faults_once(self, F_ACCESS, 0, GUEST_VA_OF(VA_NO_ACCESS_FLAG), READ));
}

/* ---- what is no fault, or none of the guest's business */

/* A word that is another one each time: the device and its memory keep what they had. */
static __u32 new_word(void)
{
	static __u32 word;

	word += getpid() * 0x9e3779b1U + 1;
	return word;
}

/* By way of the device from one word to the next */
static bool dma_copies(struct _test_data_smmuv3 *self, __u32 addr)
{
	volatile __u32 *data = (__u32 *)guest_page(self->guest.mem, PAGE_DATA);
	__u32 word = new_word();

	data[0] = word;
	data[1] = 0;
	return !edu_dma(&self->edu[0], addr, WORD, READ) &&
	       !edu_dma(&self->edu[0], addr + WORD, WORD, WRITE) && data[1] == word;
}

TEST_F_TIMEOUT(smmuv3, good_dma, 120)
{
	ASSERT_TRUE(dma_copies(self, GUEST_VA_OF(VA_GOOD)));
	ASSERT_TRUE(mark(self));
}

/* The VMM, not the guest, has not mapped that; when it has, the access is good. */
TEST_F_TIMEOUT(smmuv3, stage_2_fault, 120)
{
	ASSERT_TRUE(is_silent(self, GUEST_VA_OF(VA_NO_STAGE_2)));
	ASSERT_EQ(0, guest_map(&self->guest, PAGE_DATA, 1, GUEST_IPA_OF_NOTHING));
	ASSERT_TRUE(dma_copies(self, GUEST_VA_OF(VA_NO_STAGE_2)));
	ASSERT_TRUE(mark(self));
}

/*
 * With such an entry the device gets nothing and leaves nothing, and no record comes
 * of it, wherever it looks; until the entry is a good one again.
 */
static bool entry_stops(struct _test_data_smmuv3 *self, struct guest_ste ste)
{
	volatile __u32 *data = (__u32 *)guest_page(self->guest.mem, PAGE_DATA);
	__u32 addr = GUEST_VA_OF(VA_GOOD), to_read = new_word(), to_stay = new_word();

	/* For an entry that goes past the guest's tables */
	if (guest_map(&self->guest, PAGE_DATA, 1, addr) || change_ste(self, ste))
		return false;
	*data = to_read;
	if (edu_dma(&self->edu[0], addr, WORD, READ))
		return false;
	*data = to_stay;
	if (!is_silent(self, GUEST_VA_OF(VA_NOTHING)) ||
	    dma_and_mark(self, 0, addr, WORD, WRITE) || !next_is_mark(&self->side, 1) ||
	    *data != to_stay)
		return false;

	/* What it has of the reads shows now. */
	return !edu_attach(&self->edu[0], self->hwpt[0]) &&
	       !edu_dma(&self->edu[0], addr, WORD, WRITE) && *data != to_read &&
	       faults_once(self, F_TRANSLATION, 0, GUEST_VA_OF(VA_NOTHING), READ);
}

/* Faults in tables of the host's are nothing for the guest to hear of. */
TEST_F_TIMEOUT(smmuv3, host_page_tables, 120)
{
	ASSERT_EQ(0, edu_attach(&self->edu[0], self->guest.ioas));
	ASSERT_TRUE(is_silent(self, GUEST_VA_OF(VA_NOTHING)));
	ASSERT_EQ(0, edu_attach(&self->edu[0], self->hwpt[0]));
	EXPECT_TRUE(faults_once(self, F_TRANSLATION, 0, GUEST_VA_OF(VA_NOTHING), READ));
}

TEST_F_TIMEOUT(smmuv3, abort_ste, 120)
{
	ASSERT_TRUE(entry_stops(self, (struct guest_ste){ { STE_0_VALID | STE_0_ABORT, 0 } }));
}

TEST_F_TIMEOUT(smmuv3, invalid_ste, 120)
{
	ASSERT_TRUE(entry_stops(self, (struct guest_ste){ { 0, 0 } }));
}

/*
 * ---- more than fits, or than is read; before all that fills the host's log, which
 * must stay silent
 */

/*
 * The fault of a burst that has this sequence, if bursts are all there is and they
 * change direction: it alone says what was lost.
 */
static bool is_of_bursts(const struct record *record)
{
	__u64 addr = GUEST_VA_OF(VA_NOTHING) + record->sequence % BURST_FAULTS * WORD;
	bool write = record->sequence / BURST_FAULTS % 2;

	return record->lost || is_fault(record, F_TRANSLATION, 0, addr, write);
}

/*
 * Reads what is left of that many bursts, of which none is missing on the ledger, nor
 * in what the kernel says of the queue.
 */
static bool read_bursts(struct side *side, unsigned int nr)
{
	struct ledger *ledger = &side->ledger;
	struct record record;

	while (ledger->expected < nr * BURST_FAULTS) {
		if (side_next(side, &record) || !is_of_bursts(&record))
			return false;
	}
	printf("# %u faults: %lu read, %lu lost\n", ledger->expected, ledger->events, ledger->lost);
	return ledger->expected == nr * BURST_FAULTS &&
	       ledger->events + ledger->lost == nr * BURST_FAULTS;
}

/* Stock says nothing of it. */
static bool kernel_agrees(struct side *side)
{
	long lost = eq_fdinfo(side->queue.fd, "lost");
	long next = eq_fdinfo(side->queue.fd, "next-sequence");

	return lost == -ENOENT ||
	       (lost == side->ledger.lost && next == side->ledger.expected);
}

/* Nobody reads meanwhile; the other vIOMMU tells when the driver has had them all. */
TEST_F_TIMEOUT(smmuv3, overflow, 120)
{
	struct record record;

	ASSERT_EQ(0, move_to_other(self));
	ASSERT_EQ(0, replace_queue(self, 16));
	reader_fini(&self->side.reader);
	ASSERT_TRUE(burst_spares_other(self, READ));
	EXPECT_FALSE(host_log_has_event(self->host_log));
	ASSERT_EQ(0, reader_init(&self->side.reader, self->side.queue.fd, self->multishot));
	ASSERT_TRUE(read_bursts(&self->side, 1));
	EXPECT_EQ(16, self->side.ledger.events);
	EXPECT_EQ(1, self->side.ledger.lost_headers);

	/* It goes on where it was. */
	ASSERT_EQ(0, edu_dma(&self->edu[0], GUEST_VA_OF(VA_NOTHING), WORD, WRITE));
	ASSERT_EQ(0, side_next(&self->side, &record));
	EXPECT_EQ(BURST_FAULTS, record.sequence);
	EXPECT_TRUE(is_of_bursts(&record));
	EXPECT_EQ(17, self->side.ledger.events);
	EXPECT_TRUE(kernel_agrees(&self->side));
}

/* Nobody is there to read; that is nothing for the host to hear of, either. */
TEST_F_TIMEOUT(smmuv3, closed_fd, 120)
{
	ASSERT_EQ(0, move_to_other(self));
	reader_fini(&self->side.reader);
	close(self->side.queue.fd);
	self->side.queue.fd = -1;
	ASSERT_TRUE(burst_spares_other(self, READ));
	EXPECT_FALSE(host_log_has_event(self->host_log));
	EXPECT_EQ(0, eq_destroy(self->guest.iommu, self->side.queue.id));
}

/* A read() gets stuck in memory that does not answer; buffers are not given back. */
static bool stall_reader(struct _test_data_smmuv3 *self)
{
	if (self->multishot)
		return true;
	if (eq_stall_init(&self->stall))
		return false;
	self->io = (struct eq_io){ self->side.queue.fd, self->stall.page, self->stall.len };
	return true;
}

static bool reader_stalls(struct _test_data_smmuv3 *self)
{
	return self->multishot || (eq_job_start(&self->job, eq_job_read, &self->io) &&
				   eq_stall_hit(&self->stall));
}

/* What it read in the end is the first that is taken apart. */
static bool reader_goes_on(struct _test_data_smmuv3 *self)
{
	long rc;

	if (self->multishot)
		return true;
	if (eq_stall_fill(&self->stall, NULL, 0))
		return false;
	rc = eq_job_result(&self->job);
	self->side.reader.next = self->stall.page;
	self->side.reader.left = rc > 0 ? rc : 0;
	return rc > 0;
}

#define BURSTS 8
#define BURST_DEPTH 1000

/*
 * The host's driver has one thread for the events of all: while the reader of one
 * vIOMMU stalls and its device makes thousands of faults, the other one gets its
 * own.
 */
TEST_F_TIMEOUT(smmuv3, burst_while_reader_stalls, 240)
{
	unsigned int i;

	ASSERT_EQ(0, move_to_other(self));
	ASSERT_EQ(0, replace_queue(self, BURST_DEPTH));
	ASSERT_TRUE(stall_reader(self));
	for (i = 0; i < BURSTS; i++) {
		ASSERT_TRUE(burst_spares_other(self, i % 2));
		if (!i) {
			ASSERT_TRUE(reader_stalls(self));
		}
	}
	EXPECT_FALSE(host_log_has_event(self->host_log));
	ASSERT_TRUE(reader_goes_on(self));
	ASSERT_TRUE(read_bursts(&self->side, BURSTS));
	EXPECT_LE(BURST_DEPTH, self->side.ledger.events);
	EXPECT_LT(0, self->side.ledger.lost);
	EXPECT_TRUE(kernel_agrees(&self->side));
}

/* The queue that the ioctl has made, as it says in the page that it got stuck in */
static int take_queue(struct _test_data_smmuv3 *self)
{
	struct iommu_veventq_alloc *cmd = (void *)self->stall.page;
	struct side *side = &self->side;

	side->queue.fd = cmd->out_veventq_fd;
	side->queue.id = cmd->out_veventq_id;
	side->ledger = (struct ledger){};
	return reader_init(&side->reader, side->queue.fd, self->multishot);
}

/* So it is while a queue of the vIOMMU cannot be handed to who asked for it. */
TEST_F_TIMEOUT(smmuv3, burst_while_alloc_stalls, 240)
{
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = self->side.viommu,
		.type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
		.veventq_depth = BURST_DEPTH,
	};
	struct eq_ioctl alloc;

	ASSERT_EQ(0, move_to_other(self));
	ASSERT_EQ(0, side_deafen(self, &self->side));
	ASSERT_EQ(0, eq_stall_init_write(&self->stall, &cmd, sizeof(cmd)));
	alloc = (struct eq_ioctl){ self->guest.iommu, IOMMU_VEVENTQ_ALLOC, self->stall.page };
	ASSERT_TRUE(eq_job_start(&self->job, eq_job_ioctl, &alloc));
	ASSERT_TRUE(eq_stall_hit(&self->stall));

	/* Whatever comes of it, the ioctl must end. */
	EXPECT_TRUE(burst_spares_other(self, READ));
	ASSERT_EQ(0, eq_stall_protect(&self->stall, false));
	ASSERT_EQ(0, eq_job_result(&self->job));
	ASSERT_EQ(0, take_queue(self));
	ASSERT_TRUE(read_bursts(&self->side, 1));
	EXPECT_EQ(BURST_DEPTH, self->side.ledger.events);
}

/* ---- life */

/* A device that is attached to nothing is nobody's; the sequence goes on. */
TEST_F_TIMEOUT(smmuv3, attach_again, 120)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		ASSERT_TRUE(faults_once(self, F_TRANSLATION, 0, GUEST_VA_OF(VA_NOTHING), READ));
		ASSERT_EQ(0, edu_detach(&self->edu[0]));
		ASSERT_TRUE(is_silent(self, GUEST_VA_OF(VA_NOTHING)));
		ASSERT_EQ(0, edu_attach(&self->edu[0], self->hwpt[0]));
	}
	ASSERT_TRUE(faults_once(self, F_TRANSLATION, 0, GUEST_VA_OF(VA_NOTHING), READ));
}

TEST_F_TIMEOUT(smmuv3, destroy_under_load, 240)
{
	struct record record;
	unsigned int i;

	ASSERT_EQ(0, load_begin(self));
	for (i = 0; i < 10; i++) {
		/* It is in use by then, and starts anew. */
		ASSERT_EQ(0, side_next(&self->side, &record));
		EXPECT_EQ(0, record.sequence);
		ASSERT_EQ(0, replace_queue(self, i % 2 ? 1 : DEPTH));
	}
	ASSERT_EQ(0, load_end(self));
	/* What comes late is for the new queue, and then both devices are heard. */
	ASSERT_EQ(0, replace_queue(self, DEPTH));
	ASSERT_EQ(0, edu_dma(&self->edu[0], MARK_ADDR, WORD, READ));
	do {
		ASSERT_EQ(0, side_next(&self->side, &record));
		EXPECT_EQ(F_TRANSLATION, record.id);
	} while (record.addr != MARK_ADDR);
	EXPECT_EQ(SID(0), record.sid);
	EXPECT_TRUE(mark(self));
}

/* A VMM with both devices at work, that says when it reads: never returns. */
static void read_under_load(struct _test_data_smmuv3 *self, int says)
{
	struct record record;

	if (vm_begin(self) || load_begin(self))
		_exit(1);
	while (!side_next(&self->side, &record) && write(says, "", 1) == 1)
		;
	_exit(1);
}

static bool kill_vmm(struct _test_data_smmuv3 *self, unsigned int after_us)
{
	int says[2], status;
	bool reads;
	pid_t vmm;
	char byte;

	if (pipe(says))
		return false;
	vmm = fork();
	if (!vmm)
		read_under_load(self, says[1]);
	close(says[1]);
	reads = read(says[0], &byte, 1) == 1;
	usleep(after_us);
	kill(vmm, SIGKILL);
	close(says[0]);
	return vmm > 0 && waitpid(vmm, &status, 0) == vmm && reads &&
	       WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/* Queue, vIOMMU, vDEVICEs and page tables go all at once; the next VMM has its own. */
TEST_F_TIMEOUT(smmuv3, killed_under_load, 240)
{
	unsigned int i;

	for (i = 0; i < 4; i++) {
		vm_end(self);
		ASSERT_TRUE(kill_vmm(self, i * 1000));
		ASSERT_EQ(0, vm_begin(self));
		ASSERT_TRUE(skip_to_mark(self));
		ASSERT_TRUE(faults_once(self, F_TRANSLATION, 0, GUEST_VA_OF(VA_NOTHING), READ));
	}
}

/* What happens to the first device amid a burst */
enum disturbance {
	CHANGE_STE,	/* the guest says abort, and then that it is good again */
	ATTACH_AGAIN,
	OPEN_AGAIN,
};

/* So that some events are handed out in between: hundreds, in a guest */
#define DISTURB_US 500

static int disturb(struct _test_data_smmuv3 *self, enum disturbance how)
{
	int rc;

	switch (how) {
	case CHANGE_STE:
		rc = change_ste(self, (struct guest_ste){ { STE_0_VALID | STE_0_ABORT, 0 } });
		break;
	case ATTACH_AGAIN:
		rc = edu_detach(&self->edu[0]);
		break;
	default:
		rc = open_again(self, 0);
		break;
	}
	if (rc)
		return rc;
	usleep(DISTURB_US);
	return how == OPEN_AGAIN ? side_add(self, &self->side, 0) :
				   edu_attach(&self->edu[0], self->hwpt[0]);
}

/*
 * A burst of the first device, disturbed when the driver is handing it out, and what
 * comes of it up to a fault of the second device: the number of records, which are in
 * order; or a negative errno.
 */
static int disturbed_burst(struct _test_data_smmuv3 *self, enum disturbance how,
			   unsigned int after_us)
{
	__u64 last = 0;
	struct record record;
	int nr, rc;

	edu_start(&self->edu[0], GUEST_VA_OF(VA_NOTHING), BURST_LEN, READ);
	rc = side_next(&self->side, &record);
	if (rc)
		return rc;
	usleep(after_us);
	rc = disturb(self, how);
	if (!rc)
		rc = edu_wait(&self->edu[0]);
	if (!rc)
		rc = edu_dma(&self->edu[1], MARK_ADDR, WORD, READ);
	for (nr = 0; !rc && record.sid == SID(0); nr++) {
		if (!is_fault(&record, F_TRANSLATION, 0, record.addr, READ) ||
		    record.addr <= last)
			return -EPROTO;
		last = record.addr;
		rc = side_next(&self->side, &record);
	}
	if (rc)
		return rc;
	return is_fault(&record, F_TRANSLATION, 1, MARK_ADDR, READ) ? nr : -EPROTO;
}

#define TRIES 4
#define TRIES_AT_MOST 40

/*
 * How many of some bursts lacked records, or of as many as it takes for one if it
 * @must be so; or a negative errno.
 */
static int bursts_cut(struct _test_data_smmuv3 *self, enum disturbance how, bool must)
{
	int nr, cut = 0, rc = host_events_wait_for_me(self->event_thread);
	unsigned int i;

	if (rc)
		return rc;
	for (i = 0; i < TRIES || (must && !cut && i < TRIES_AT_MOST); i++) {
		nr = disturbed_burst(self, how, i % TRIES * 100);
		printf("# %d of %d\n", nr, BURST_FAULTS);
		if (nr < 0)
			return nr;
		cut += nr < BURST_FAULTS;
	}
	return cut;
}

/* From one of the guest's page tables to the other there is no gap. */
TEST_F_TIMEOUT(smmuv3, ste_changes_amid_burst, 120)
{
	EXPECT_EQ(0, bursts_cut(self, CHANGE_STE, false));
	EXPECT_EQ(0, self->side.ledger.lost);
}

/* Of a device that is taken away the guest hears no more, till it has it again. */
TEST_F_TIMEOUT(smmuv3, attached_again_amid_burst, 120)
{
	EXPECT_LT(0, bursts_cut(self, ATTACH_AGAIN, true));
	EXPECT_EQ(0, self->side.ledger.lost);
	EXPECT_TRUE(faults_once(self, F_TRANSLATION, 0, GUEST_VA_OF(VA_NOTHING), READ));
}

/* It is reset before it is taken away: mostly, all was handed out by then. */
TEST_F_TIMEOUT(smmuv3, opened_again_amid_burst, 120)
{
	EXPECT_LE(0, bursts_cut(self, OPEN_AGAIN, false));
	EXPECT_EQ(0, self->side.ledger.lost);
	EXPECT_TRUE(faults_once(self, F_TRANSLATION, 0, GUEST_VA_OF(VA_NOTHING), READ));
}

TEST_HARNESS_MAIN
