// SPDX-License-Identifier: GPL-2.0-only
/*
 * The demo's scenarios, each on an iommufd and mock devices of its own. They
 * show how the parts of eventq_vmm.c are put together. No printing here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "eventq_vmm.h"
#include "iommufd_test.h"
#include "mock.h"
#include "scenarios.h"

#define TIMEOUT_MS 5000
#define VIRT_ID 0x2a
#define GROUP_LEN 5
#define DEPTH 4
#define NR_EVENTS 10

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static void note(char *text, size_t size, const char *fmt, ...)
{
	size_t len = strlen(text);
	va_list args;

	va_start(args, fmt);
	vsnprintf(text + len, size - len, fmt, args);
	va_end(args);
}

#define saw(result, ...) \
	note((result)->saw, sizeof((result)->saw), __VA_ARGS__)
#define device_got(result, ...) \
	note((result)->device, sizeof((result)->device), __VA_ARGS__)

/* What every scenario starts from. */
struct setup {
	struct result *result;
	struct vmm_ring ring;
	int iommu;
	__u32 ioas;
};

/* Returns true if @rc is a failure, after saying what failed. */
static bool failed(struct result *result, const char *what, int rc)
{
	if (!rc)
		return false;
	saw(result, "%s%s: %s", *result->saw ? "; " : "", what, strerror(-rc));
	return true;
}

static int setup_start(struct setup *setup, struct result *result)
{
	int rc;

	setup->result = result;
	rc = vmm_ring_init(&setup->ring);
	if (failed(result, "io_uring", rc))
		return rc;
	setup->iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (setup->iommu < 0) {
		rc = -errno;
		failed(result, "/dev/iommu", rc);
		vmm_ring_exit(&setup->ring);
		return rc;
	}
	rc = mock_ioas(setup->iommu, &setup->ioas);
	if (failed(result, "address space", rc)) {
		close(setup->iommu);
		vmm_ring_exit(&setup->ring);
	}
	return rc;
}

static void setup_end(struct setup *setup)
{
	vmm_ring_exit(&setup->ring);
	close(setup->iommu);
}

/* Fault scenarios */

#define MAX_GROUPS 4
/* Not a uAPI code: the VMM takes its time. */
#define NO_ANSWER_YET (~0U)

struct fault_demo {
	struct setup setup;
	struct mock_queue queue;
	struct mock_device dev[2];
	struct vmm_faults faults;
	__u32 code[2];		/* how to answer each device */
	bool good_groups;
	size_t nr_groups, wanted;
};

/* All of one group, in the order the device sent it, the end marked once. */
static bool group_is_good(const struct iommu_hwpt_pgfault *fault, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		bool last = fault[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE;

		if (fault[i].cookie != fault[0].cookie ||
		    fault[i].grpid != fault[0].grpid ||
		    fault[i].addr != MOCK_FAULT_ADDR + i * MOCK_PAGE_SIZE ||
		    last != (i + 1 == nr))
			return false;
	}
	return fault[0].cookie;
}

static void fault_group(void *arg, const struct iommu_hwpt_pgfault *fault,
			size_t nr)
{
	struct fault_demo *demo = arg;
	bool second = fault->dev_id == demo->dev[1].dev_id;
	__u32 code = demo->code[second];

	demo->nr_groups++;
	if (!group_is_good(fault, nr))
		demo->good_groups = false;
	saw(demo->setup.result, "%sdevice %c: group %u, %zu fault%s at %#llx",
	    demo->nr_groups > 1 ? "; " : "", second ? 'B' : 'A', fault->grpid,
	    nr, nr > 1 ? "s" : "", (unsigned long long)fault->addr);
	if (code == NO_ANSWER_YET)
		saw(demo->setup.result, ", left open");
	else
		vmm_faults_answer(&demo->faults, fault->cookie, code);
}

static bool faults_served(void *arg)
{
	struct fault_demo *demo = arg;

	return demo->faults.reader.error ||
	       (demo->nr_groups >= demo->wanted &&
		vmm_faults_sent(&demo->faults));
}

static bool serve_faults(struct fault_demo *demo, size_t groups)
{
	struct result *result = demo->setup.result;

	demo->wanted = groups;
	return !failed(result, "ring",
		       vmm_ring_run(&demo->setup.ring, faults_served, demo,
				    TIMEOUT_MS)) &&
	       !failed(result, "fault queue", demo->faults.reader.error);
}

static int fault_demo_devices(struct fault_demo *demo, unsigned int nr)
{
	struct setup *setup = &demo->setup;
	unsigned int i;
	int rc = 0;

	for (i = 0; i < nr && !rc; i++) {
		rc = mock_device(setup->iommu, setup->ioas, &demo->dev[i]);
		if (!rc)
			rc = mock_route_faults(setup->iommu, setup->ioas,
					       &demo->dev[i], &demo->queue);
	}
	return rc;
}

static int fault_demo_start(struct fault_demo *demo, struct result *result,
			    unsigned int nr_devices)
{
	int rc = setup_start(&demo->setup, result);

	if (rc)
		return rc;
	demo->good_groups = true;
	rc = mock_fault_queue(demo->setup.iommu, 0, &demo->queue);
	if (failed(result, "fault queue", rc))
		goto out_setup;
	rc = fault_demo_devices(demo, nr_devices);
	if (failed(result, "mock device", rc))
		goto out_queue;
	rc = vmm_faults_init(&demo->faults, &demo->setup.ring, demo->queue.fd);
	if (failed(result, "reader", rc))
		goto out_queue;
	demo->faults.group = fault_group;
	demo->faults.arg = demo;
	rc = vmm_reader_arm(&demo->faults.reader);
	if (failed(result, "READ", rc))
		goto out_faults;
	return 0;

out_faults:
	vmm_faults_exit(&demo->faults);
out_queue:
	close(demo->queue.fd);
out_setup:
	setup_end(&demo->setup);
	return rc;
}

static void fault_demo_close(struct fault_demo *demo)
{
	failed(demo->setup.result, "taking the READ back",
	       vmm_reader_disarm(&demo->faults.reader));
	close(demo->queue.fd);
}

static void fault_demo_end(struct fault_demo *demo)
{
	/* The ring first: until it is gone it may use the buffers. */
	setup_end(&demo->setup);
	vmm_faults_exit(&demo->faults);
}

static bool send_fault(struct fault_demo *demo, unsigned int dev, __u32 grpid,
		       unsigned int nr)
{
	return !failed(demo->setup.result, "raising a fault",
		       mock_fault_group(demo->setup.iommu, &demo->dev[dev],
					grpid, nr));
}

/* The device's next answer is @code for @grpid. */
static bool got_answer(struct fault_demo *demo, unsigned int dev, __u32 grpid,
		       enum mock_answer_code code)
{
	struct result *result = demo->setup.result;
	struct mock_answer answer;
	int rc;

	rc = mock_answer(demo->setup.iommu, &demo->dev[dev], &answer);
	if (rc) {
		if (!*result->device)
			device_got(result, "not told by this mock device");
		return false;
	}
	if (*result->device)
		device_got(result, "; ");
	device_got(result, "%c: %s", 'A' + dev, mock_answer_name(answer.code));
	if (answer.code != MOCK_ANSWER_NONE)
		device_got(result, " for group %u", answer.grpid);
	return answer.code == code &&
	       (code == MOCK_ANSWER_NONE || answer.grpid == grpid);
}

/* Nothing more: a fault must not be answered twice. */
static bool no_more_answers(struct fault_demo *demo, unsigned int dev)
{
	struct mock_answer answer;

	if (mock_answer(demo->setup.iommu, &demo->dev[dev], &answer) ||
	    answer.code == MOCK_ANSWER_NONE)
		return true;
	device_got(demo->setup.result, "; %c: a second %s", 'A' + dev,
		   mock_answer_name(answer.code));
	return false;
}

static void run_two_devices(struct result *result)
{
	struct fault_demo demo = {
		.code = { IOMMUFD_PAGE_RESP_SUCCESS, IOMMUFD_PAGE_RESP_INVALID },
	};
	bool ok;

	if (fault_demo_start(&demo, result, 2))
		return;
	ok = send_fault(&demo, 0, 1, 1) && send_fault(&demo, 1, 2, 1) &&
	     serve_faults(&demo, 2) && demo.good_groups;
	/* Each of these is worth showing, whatever the others say. */
	ok &= got_answer(&demo, 0, 1, MOCK_ANSWER_SUCCESS);
	ok &= got_answer(&demo, 1, 2, MOCK_ANSWER_INVALID);
	ok &= no_more_answers(&demo, 0);
	ok &= no_more_answers(&demo, 1);
	result->ok = ok;
	fault_demo_close(&demo);
	fault_demo_end(&demo);
}

static void run_group(struct result *result)
{
	struct fault_demo demo = { .code = { IOMMUFD_PAGE_RESP_SUCCESS } };
	bool ok;

	if (fault_demo_start(&demo, result, 1))
		return;
	ok = send_fault(&demo, 0, 7, GROUP_LEN) && serve_faults(&demo, 1) &&
	     demo.nr_groups == 1 && demo.good_groups &&
	     demo.faults.answered == 1;
	ok &= got_answer(&demo, 0, 7, MOCK_ANSWER_SUCCESS);
	ok &= no_more_answers(&demo, 0);
	result->ok = ok;
	fault_demo_close(&demo);
	fault_demo_end(&demo);
}

static void run_close(struct result *result)
{
	struct fault_demo demo = { .code = { NO_ANSWER_YET } };
	bool ok;

	if (fault_demo_start(&demo, result, 1))
		return;
	/* One fault read and not answered, one not even read. */
	ok = send_fault(&demo, 0, 1, 1) && serve_faults(&demo, 1);
	ok &= !failed(result, "taking the READ back",
		      vmm_reader_disarm(&demo.faults.reader));
	ok &= send_fault(&demo, 0, 2, 1);
	fault_demo_close(&demo);
	saw(result, "; group 2 never read; fd closed");
	ok &= got_answer(&demo, 0, 1, MOCK_ANSWER_INVALID);
	ok &= got_answer(&demo, 0, 2, MOCK_ANSWER_INVALID);
	/* Nobody can answer a later one either. */
	ok &= send_fault(&demo, 0, 3, 1);
	ok &= got_answer(&demo, 0, 3, MOCK_ANSWER_INVALID);
	ok &= no_more_answers(&demo, 0);
	result->ok = ok;
	fault_demo_end(&demo);
}

/* vIOMMU event scenarios */

struct vevent_demo {
	struct setup setup;
	struct mock_queue queue;
	struct mock_device dev;
	struct vmm_vevents vevents;
	unsigned int nr_events, nr_lost, wanted;
	bool at_tail;
	bool good_ids;
};

static void vevent(void *arg, __u32 sequence, const void *data)
{
	struct vevent_demo *demo = arg;
	struct iommu_viommu_event_selftest event;

	memcpy(&event, data, sizeof(event));
	if (event.virt_id != VIRT_ID)
		demo->good_ids = false;
	saw(demo->setup.result, "%sevent %u of virtual device %#x",
	    demo->nr_events ? "; " : "", sequence, event.virt_id);
	demo->nr_events++;
}

static void vevents_lost(void *arg, __u32 nr, bool at_tail)
{
	struct vevent_demo *demo = arg;

	saw(demo->setup.result, "; %s%u lost", at_tail ? "LOST header: " : "",
	    nr);
	demo->nr_lost += nr;
	demo->at_tail = at_tail;
}

static bool vevents_served(void *arg)
{
	struct vevent_demo *demo = arg;

	return demo->vevents.reader.error ||
	       demo->nr_events + demo->nr_lost >= demo->wanted;
}

static bool serve_vevents(struct vevent_demo *demo, unsigned int wanted)
{
	struct result *result = demo->setup.result;

	demo->wanted = wanted;
	return !failed(result, "ring",
		       vmm_ring_run(&demo->setup.ring, vevents_served, demo,
				    TIMEOUT_MS)) &&
	       !failed(result, "event queue", demo->vevents.reader.error);
}

static int vevent_demo_start(struct vevent_demo *demo, struct result *result)
{
	struct setup *setup = &demo->setup;
	int rc = setup_start(setup, result);

	if (rc)
		return rc;
	device_got(result, "(not answered)");
	demo->good_ids = true;
	rc = mock_device(setup->iommu, setup->ioas, &demo->dev);
	if (failed(result, "mock device", rc))
		goto out_setup;
	rc = mock_vevent_queue(setup->iommu, setup->ioas, &demo->dev, VIRT_ID,
			       DEPTH, &demo->queue);
	if (failed(result, "vIOMMU event queue", rc))
		goto out_setup;
	rc = vmm_vevents_init(&demo->vevents, &setup->ring, demo->queue.fd,
			      sizeof(struct iommu_viommu_event_selftest));
	if (failed(result, "reader", rc))
		goto out_queue;
	demo->vevents.event = vevent;
	demo->vevents.lost = vevents_lost;
	demo->vevents.arg = demo;
	return 0;

out_queue:
	close(demo->queue.fd);
out_setup:
	setup_end(setup);
	return rc;
}

static void vevent_demo_end(struct vevent_demo *demo)
{
	failed(demo->setup.result, "taking the READ back",
	       vmm_reader_disarm(&demo->vevents.reader));
	close(demo->queue.fd);
	setup_end(&demo->setup);
	vmm_vevents_exit(&demo->vevents);
}

static bool send_vevents(struct vevent_demo *demo, unsigned int nr)
{
	int rc = 0;

	while (nr-- && !rc)
		rc = mock_vevent(demo->setup.iommu, &demo->dev);
	return !failed(demo->setup.result, "raising an event", rc);
}

static bool arm_vevents(struct vevent_demo *demo)
{
	return !failed(demo->setup.result, "READ",
		       vmm_reader_arm(&demo->vevents.reader));
}

static void run_vevent(struct result *result)
{
	struct vevent_demo demo = {};

	if (vevent_demo_start(&demo, result))
		return;
	result->ok = arm_vevents(&demo) && send_vevents(&demo, 1) &&
		     serve_vevents(&demo, 1) && demo.nr_events == 1 &&
		     demo.good_ids && !demo.nr_lost;
	vevent_demo_end(&demo);
}

static void run_overflow(struct result *result)
{
	struct vevent_demo demo = {};

	if (vevent_demo_start(&demo, result))
		return;
	/* No READ armed: it would take the first event out at once. */
	result->ok = send_vevents(&demo, NR_EVENTS) && arm_vevents(&demo) &&
		     serve_vevents(&demo, NR_EVENTS) &&
		     demo.nr_events == DEPTH && demo.good_ids &&
		     demo.nr_lost == NR_EVENTS - DEPTH && demo.at_tail;
	vevent_demo_end(&demo);
}

const struct scenario scenarios[] = {
	{
		.name = "two-devices",
		.done = "two devices fault on one queue; READ armed before, one WRITE answers",
		.run = run_two_devices,
	}, {
		.name = "group",
		.done = "a group of 5 faults, answered once with SUCCESS",
		.run = run_group,
	}, {
		.name = "vevent",
		.done = "a vIOMMU event; READ armed before",
		.run = run_vevent,
	}, {
		.name = "overflow",
		.done = "10 vIOMMU events into a queue of depth 4, read afterwards",
		.run = run_overflow,
	}, {
		.name = "close",
		.done = "fault fd closed with one fault read and one unread; then another fault",
		.run = run_close,
	},
};

const size_t nr_scenarios = ARRAY_SIZE(scenarios);
