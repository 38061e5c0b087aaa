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

#include "eventq_ioctl.h"
#include "iommufd_test.h"
#include "mock.h"
#include "scenarios.h"

#define TIMEOUT_MS 5000
#define GROUP_LEN 5
#define DEPTH 4
#define NR_EVENTS 10
/* Not a uAPI code: the VMM takes its time. */
#define NO_RESPONSE_YET (~0U)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* What every scenario starts from, and what it has seen. */
struct demo {
	struct result *result;
	struct mock_setup setup;
	struct mock_device dev[2];	/* A, B: their faults come to us */
	struct eventq fault_queue, vevent_queue;
	struct vmm_faults faults;
	struct vmm_vevents vevents;
	__u32 code[2];			/* how to respond to each device */
	size_t nr_groups, nr_events, nr_lost;
	size_t groups_wanted, events_wanted;
	bool at_tail, strange;
};

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

/* Returns true if @rc is a failure, after saying what failed. */
static bool failed(struct result *result, const char *what, int rc)
{
	if (!rc)
		return false;
	saw(result, "%s%s: %s", *result->saw ? "; " : "", what, strerror(-rc));
	return true;
}

/* What comes from the queues */

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
	struct demo *demo = arg;
	bool second = fault->dev_id == demo->dev[1].dev_id;
	__u32 code = demo->code[second];

	demo->nr_groups++;
	if (!group_is_good(fault, nr))
		demo->strange = true;
	saw(demo->result, "%sdevice %c: group %u, %zu fault%s at %#llx",
	    demo->nr_groups > 1 ? "; " : "", second ? 'B' : 'A', fault->grpid,
	    nr, nr > 1 ? "s" : "", (unsigned long long)fault->addr);
	if (code == NO_RESPONSE_YET)
		saw(demo->result, ", left open");
	else if (vmm_faults_respond(&demo->faults, fault->cookie, code))
		demo->strange = true;
}

static void vevent(void *arg, __u32 sequence, const void *data)
{
	struct demo *demo = arg;
	struct iommu_viommu_event_selftest event;

	memcpy(&event, data, sizeof(event));
	if (event.virt_id != MOCK_VIRT_ID)
		demo->strange = true;
	saw(demo->result, "%sevent %u of virtual device %#x",
	    demo->nr_events ? "; " : "", sequence, event.virt_id);
	demo->nr_events++;
}

static void vevents_lost(void *arg, __u32 nr, bool at_tail)
{
	struct demo *demo = arg;

	saw(demo->result, "; %s%u lost", at_tail ? "LOST header: " : "", nr);
	demo->nr_lost += nr;
	demo->at_tail = at_tail;
}

/* Set-up */

static int route_faults(struct demo *demo, const struct mock_device *dev)
{
	__u32 hwpt;
	int rc = eventq_hwpt_alloc(demo->setup.iommu, dev->dev_id,
				  demo->setup.ioas, &demo->fault_queue, &hwpt);

	return rc ? rc : mock_attach(demo->setup.iommu, dev->stdev_id, hwpt);
}

static int make_queues(struct demo *demo)
{
	const struct mock_setup *setup = &demo->setup;
	int rc = eventq_fault_alloc(setup->iommu, 0, &demo->fault_queue);

	if (!rc)
		rc = route_faults(demo, &demo->dev[0]);
	if (!rc)
		rc = route_faults(demo, &demo->dev[1]);
	if (!rc)
		rc = eventq_vevent_alloc(setup->iommu, setup->viommu,
					 IOMMU_VEVENTQ_TYPE_SELFTEST, DEPTH,
					 &demo->vevent_queue);
	return rc;
}

static int make_readers(struct demo *demo)
{
	struct result *result = demo->result;
	size_t data_len = sizeof(struct iommu_viommu_event_selftest);
	int rc = vmm_faults_init(&demo->faults, result->ring,
				 demo->fault_queue.fd, result->transport);

	if (!rc)
		rc = vmm_vevents_init(&demo->vevents, result->ring,
				      demo->vevent_queue.fd, result->transport,
				      data_len);
	demo->faults.group = fault_group;
	demo->faults.arg = demo;
	demo->vevents.event = vevent;
	demo->vevents.lost = vevents_lost;
	demo->vevents.arg = demo;
	return rc;
}

/* Without a read armed. demo_end() undoes it, also if this failed. */
static bool demo_start(struct demo *demo, struct result *result)
{
	struct mock_setup *setup = &demo->setup;
	int rc = 0;

	demo->result = result;
	demo->fault_queue.fd = -1;
	demo->vevent_queue.fd = -1;
	setup->iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (setup->iommu < 0)
		rc = -errno;
	if (!rc)
		rc = mock_setup(setup);
	if (!rc)
		rc = mock_device(setup->iommu, setup->ioas, &demo->dev[1]);
	demo->dev[0] = setup->fault_dev;
	if (!rc)
		rc = make_queues(demo);
	if (!rc)
		rc = make_readers(demo);
	return !failed(result, "set-up", rc);
}

static bool arm(struct demo *demo, struct vmm_reader *reader)
{
	return !failed(demo->result, "arming a read", vmm_reader_arm(reader));
}

static bool disarm(struct demo *demo, struct vmm_reader *reader)
{
	return !failed(demo->result, "taking the read back",
		       vmm_reader_disarm(reader));
}

static void close_queue(struct eventq *queue)
{
	if (queue->fd >= 0)
		close(queue->fd);
	queue->fd = -1;
}

static void demo_end(struct demo *demo)
{
	if (!failed(demo->result, "taking the faults' read back",
		    vmm_faults_stop(&demo->faults)) &&
	    disarm(demo, &demo->vevents.reader)) {
		vmm_faults_exit(&demo->faults);
		vmm_vevents_exit(&demo->vevents);
	}
	close_queue(&demo->fault_queue);
	close_queue(&demo->vevent_queue);
	if (demo->setup.iommu >= 0)
		close(demo->setup.iommu);
}

/* What a scenario does */

static bool send_fault(struct demo *demo, unsigned int dev, __u32 grpid,
		       unsigned int nr)
{
	return !failed(demo->result, "raising a fault",
		       mock_fault_group(demo->setup.iommu, &demo->dev[dev],
					grpid, nr));
}

static bool send_vevents(struct demo *demo, unsigned int nr)
{
	int rc = 0;

	while (nr-- && !rc)
		rc = mock_vevent(demo->setup.iommu, &demo->setup.event_dev);
	return !failed(demo->result, "raising an event", rc);
}

static bool served(void *arg)
{
	struct demo *demo = arg;

	if (demo->faults.reader.error || demo->vevents.reader.error)
		return true;
	return demo->nr_groups >= demo->groups_wanted &&
	       demo->nr_events + demo->nr_lost >= demo->events_wanted &&
	       vmm_faults_sent(&demo->faults);
}

static bool serve(struct demo *demo, size_t groups, size_t events)
{
	struct result *result = demo->result;

	demo->groups_wanted = groups;
	demo->events_wanted = events;
	return !failed(result, "ring",
		       vmm_ring_run(result->ring, served, demo, TIMEOUT_MS)) &&
	       !failed(result, "fault queue", demo->faults.reader.error) &&
	       !failed(result, "event queue", demo->vevents.reader.error);
}

/* The device's next response is @code for @grpid. */
static bool got_response(struct demo *demo, unsigned int dev, __u32 grpid,
			 enum mock_response_code code)
{
	struct result *result = demo->result;
	struct mock_response response;

	if (mock_response(demo->setup.iommu, &demo->dev[dev], &response)) {
		if (!*result->device)
			device_got(result, "not told by this mock device");
		return false;
	}
	if (*result->device)
		device_got(result, "; ");
	device_got(result, "%c: %s", 'A' + dev, mock_response_name(response.code));
	if (response.code != MOCK_RESPONSE_NONE)
		device_got(result, " for group %u", response.grpid);
	return response.code == code && response.grpid == grpid;
}

/* Nothing more: a fault must not get two responses. */
static bool no_more_responses(struct demo *demo, unsigned int dev)
{
	struct mock_response response;

	if (mock_response(demo->setup.iommu, &demo->dev[dev], &response) ||
	    response.code == MOCK_RESPONSE_NONE)
		return true;
	device_got(demo->result, "; %c: a second %s", 'A' + dev,
		   mock_response_name(response.code));
	return false;
}

static bool run_two_devices(struct demo *demo)
{
	bool ok;

	demo->code[0] = IOMMUFD_PAGE_RESP_SUCCESS;
	demo->code[1] = IOMMUFD_PAGE_RESP_INVALID;
	ok = arm(demo, &demo->faults.reader) && send_fault(demo, 0, 1, 1) &&
	     send_fault(demo, 1, 2, 1) && serve(demo, 2, 0);
	/* Each of these is worth showing, whatever the others say. */
	ok &= got_response(demo, 0, 1, MOCK_RESPONSE_SUCCESS);
	ok &= got_response(demo, 1, 2, MOCK_RESPONSE_INVALID);
	ok &= no_more_responses(demo, 0);
	ok &= no_more_responses(demo, 1);
	return ok;
}

static bool run_group(struct demo *demo)
{
	bool ok;

	demo->code[0] = IOMMUFD_PAGE_RESP_SUCCESS;
	ok = arm(demo, &demo->faults.reader) &&
	     send_fault(demo, 0, 7, GROUP_LEN) && serve(demo, 1, 0) &&
	     demo->nr_groups == 1 && demo->faults.responded == 1;
	ok &= got_response(demo, 0, 7, MOCK_RESPONSE_SUCCESS);
	ok &= no_more_responses(demo, 0);
	return ok;
}

static bool run_vevent(struct demo *demo)
{
	device_got(demo->result, "(no response)");
	return arm(demo, &demo->vevents.reader) && send_vevents(demo, 1) &&
	       serve(demo, 0, 1) && demo->nr_events == 1 && !demo->nr_lost;
}

static bool run_overflow(struct demo *demo)
{
	device_got(demo->result, "(no response)");
	/* No read armed: it would take the first event out at once. */
	return send_vevents(demo, NR_EVENTS) &&
	       arm(demo, &demo->vevents.reader) &&
	       serve(demo, 0, NR_EVENTS) && demo->nr_events == DEPTH &&
	       demo->nr_lost == NR_EVENTS - DEPTH && demo->at_tail;
}

static bool run_close(struct demo *demo)
{
	bool ok;

	demo->code[0] = NO_RESPONSE_YET;
	/* One fault read and without response, one not even read. */
	ok = arm(demo, &demo->faults.reader) && send_fault(demo, 0, 1, 1) &&
	     serve(demo, 1, 0);
	ok &= disarm(demo, &demo->faults.reader);
	ok &= send_fault(demo, 0, 2, 1);
	close_queue(&demo->fault_queue);
	saw(demo->result, "; group 2 never read; fd closed");
	ok &= got_response(demo, 0, 1, MOCK_RESPONSE_INVALID);
	ok &= got_response(demo, 0, 2, MOCK_RESPONSE_INVALID);
	/* Nobody can respond to a later one either. */
	ok &= send_fault(demo, 0, 3, 1);
	ok &= got_response(demo, 0, 3, MOCK_RESPONSE_INVALID);
	ok &= no_more_responses(demo, 0);
	return ok;
}

void run_scenario(const struct scenario *scenario, struct result *result)
{
	struct demo demo = {};

	result->ok = demo_start(&demo, result) && scenario->run(&demo) &&
		     !demo.strange;
	demo_end(&demo);
}

const struct scenario scenarios[] = {
	{
		.name = "two-devices",
		.done = "two devices fault on one queue; READ armed before, one WRITE responds",
		.run = run_two_devices,
	}, {
		.name = "group",
		.done = "a group of 5 faults, one response, SUCCESS",
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
