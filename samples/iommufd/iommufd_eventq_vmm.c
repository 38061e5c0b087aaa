// SPDX-License-Identifier: GPL-2.0-only
/*
 * iommufd_eventq_vmm - serve the iommufd event queues of an existing set-up
 *
 * The program around the parts that a VMM can copy: eventq_ioctl.[ch],
 * eventq_probe.[ch] and eventq_vmm.[ch]. It allocates a queue for a vIOMMU, for
 * a device, or for both, prints the records, and responds to page faults.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "eventq_ioctl.h"
#include "eventq_probe.h"

#define PROGRAM "iommufd_eventq_vmm"
#define STATUS_USAGE 2
#define DEFAULT_DEPTH 256
#define BIT(nr) (1U << (nr))

static const char help[] =
"Usage: " PROGRAM " [--iommufd=FD OPTION...]\n"
"Without options, print what this kernel's event queues can do.\n"
"  --iommufd=FD           inherited file descriptor of /dev/iommu\n"
"  --viommu=ID            serve an event queue of this vIOMMU\n"
"    --type=TYPE          smmuv3 (default), cmdqv, or NUMBER:PAYLOAD-BYTES\n"
"    --depth=N            events that the queue can hold (default 256)\n"
"  --device=ID --ioas=ID  serve a fault queue of this device, through a new\n"
"                         page table (HWPT) on this IOAS\n"
"    --vfio=FD            attach this VFIO device to the page table (default:\n"
"                         wait until somebody attaches the device to it)\n"
"    --response=CODE      invalid (default) or success: retry the access\n"
"Exit status: 0 ended by SIGINT or SIGTERM, 1 failed, 2 bad option.\n";

/* Options with a number, and the others */
enum {
	IOMMUFD, VIOMMU, DEPTH, DEVICE, IOAS, VFIO, NR_NUMBERS,
	TYPE, RESPONSE, HELP
};

static const struct option long_options[] = {
	{ "iommufd", required_argument, NULL, IOMMUFD },
	{ "viommu", required_argument, NULL, VIOMMU },
	{ "depth", required_argument, NULL, DEPTH },
	{ "device", required_argument, NULL, DEVICE },
	{ "ioas", required_argument, NULL, IOAS },
	{ "vfio", required_argument, NULL, VFIO },
	{ "type", required_argument, NULL, TYPE },
	{ "response", required_argument, NULL, RESPONSE },
	{ "help", no_argument, NULL, HELP },
	{}
};

struct vmm {
	int number[NR_NUMBERS];		/* of each option; IDs are not 0 */
	struct eventq_type type;
	__u32 response;			/* IOMMUFD_PAGE_RESP_* */

	struct vmm_ring ring;
	enum vmm_transport transport;
	struct eventq event_queue, fault_queue;
	__u32 hwpt;
	struct vmm_vevents events;
	struct vmm_faults faults;
	bool attached, signalled;
	struct vmm_op signal_op;
	int error;			/* of a response */
};

static int fail(const char *what, int rc)
{
	fprintf(stderr, PROGRAM ": %s: %s\n", what, strerror(-rc));
	return EXIT_FAILURE;
}

static void vmm_group(void *arg, const struct iommu_hwpt_pgfault *fault,
		      size_t nr)
{
	struct vmm *vmm = arg;
	int rc;

	printf("fault group %u: device %u, ", fault->grpid, fault->dev_id);
	if (fault->flags & IOMMU_PGFAULT_FLAGS_PASID_VALID)
		printf("PASID %u, ", fault->pasid);
	printf("cookie %u, %zu faults from %#llx\n", fault->cookie, nr,
	       (unsigned long long)fault->addr);
	/* A VMM maps the pages if it can, and responds then. */
	rc = vmm_faults_respond(&vmm->faults, fault->cookie, vmm->response);
	if (rc)
		vmm->error = rc;
}

static void vmm_event(void *arg, __u32 sequence, const void *data)
{
	const struct vmm *vmm = arg;
	const unsigned char *byte = data;
	size_t i;

	printf("event %u: ", sequence);
	for (i = 0; i < vmm->type.data_len; i++)
		printf("%02x", byte[i]);
	putchar('\n');
}

static void vmm_lost(void *arg, __u32 nr, bool at_tail)
{
	(void)arg;
	printf("lost %u events%s\n", nr, at_tail ? ", no later one yet" : "");
}

static void vmm_signal(struct vmm_op *op, int res, __u32 flags)
{
	(void)res;
	(void)flags;
	vmm_container(op, struct vmm, signal_op)->signalled = true;
}

static int vmm_error(const struct vmm *vmm)
{
	if (vmm->error)
		return vmm->error;
	return vmm->faults.reader.error ? vmm->faults.reader.error :
					  vmm->events.reader.error;
}

static bool vmm_stops(void *arg)
{
	const struct vmm *vmm = arg;

	return vmm->signalled || vmm_error(vmm) || ferror(stdout);
}

/* A signal completes a request, which ends vmm_ring_run(). */
static int catch_signals(struct vmm *vmm)
{
	struct io_uring_sqe *sqe = vmm_ring_sqe(&vmm->ring);
	sigset_t set;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fd < 0 || !sqe)
		return fail("cannot wait for signals", fd < 0 ? -errno : -EBUSY);
	vmm->signal_op.done = vmm_signal;
	io_uring_prep_poll_add(sqe, fd, POLLIN);
	io_uring_sqe_set_data(sqe, &vmm->signal_op);
	return 0;
}

static int serve_viommu(struct vmm *vmm)
{
	int rc = eventq_vevent_alloc(vmm->number[IOMMUFD], vmm->number[VIOMMU],
				     vmm->type.type, vmm->number[DEPTH],
				     &vmm->event_queue);

	if (rc)
		return fail("cannot allocate an event queue", rc);
	rc = vmm_vevents_init(&vmm->events, &vmm->ring, vmm->event_queue.fd,
			      vmm->transport, vmm->type.data_len);
	vmm->events.event = vmm_event;
	vmm->events.lost = vmm_lost;
	vmm->events.arg = vmm;
	if (!rc)
		rc = vmm_reader_arm(&vmm->events.reader);
	if (rc)
		return fail("cannot read events", rc);
	printf("event queue %u of vIOMMU %d\n", vmm->event_queue.id,
	       vmm->number[VIOMMU]);
	return 0;
}

static int serve_device(struct vmm *vmm)
{
	int iommu = vmm->number[IOMMUFD], device = vmm->number[DEVICE];
	int rc = eventq_fault_alloc(iommu, 0, &vmm->fault_queue);

	if (!rc)
		rc = eventq_hwpt_alloc(iommu, device, vmm->number[IOAS],
				       &vmm->fault_queue, &vmm->hwpt);
	if (rc)
		return fail("cannot allocate a page table with faults", rc);
	rc = vmm_faults_init(&vmm->faults, &vmm->ring, vmm->fault_queue.fd,
			     vmm->transport);
	vmm->faults.group = vmm_group;
	vmm->faults.arg = vmm;
	/* Arm before the device can fault. */
	if (!rc)
		rc = vmm_reader_arm(&vmm->faults.reader);
	if (rc)
		return fail("cannot read faults", rc);
	if (vmm->number[VFIO] >= 0)
		rc = eventq_vfio_attach(vmm->number[VFIO], vmm->hwpt);
	if (rc)
		return fail("cannot attach the device", rc);
	vmm->attached = vmm->number[VFIO] >= 0;
	printf("fault queue %u of device %d, page table %u\n",
	       vmm->fault_queue.id, device, vmm->hwpt);
	return 0;
}

/* Undo whatever serve_viommu() and serve_device() did. */
static int stop(struct vmm *vmm)
{
	int rc = vmm_faults_stop(&vmm->faults), status = 0;

	if (!rc)
		rc = vmm_reader_disarm(&vmm->events.reader);
	if (rc)
		return fail("cannot cancel a read", rc);
	/* The kernel responds to fault groups that are left, with INVALID. */
	if (vmm->attached)
		rc = eventq_vfio_attach(vmm->number[VFIO], vmm->number[IOAS]);
	if (!rc && vmm->hwpt)
		rc = eventq_destroy(vmm->number[IOMMUFD], vmm->hwpt);
	if (rc)
		status = fail("cannot destroy the page table", rc);
	if (vmm->fault_queue.id)
		eventq_free(vmm->number[IOMMUFD], &vmm->fault_queue);
	if (vmm->event_queue.id)
		eventq_free(vmm->number[IOMMUFD], &vmm->event_queue);
	vmm_faults_exit(&vmm->faults);
	vmm_vevents_exit(&vmm->events);
	return status;
}

static int serve(struct vmm *vmm)
{
	int rc, status = catch_signals(vmm);

	if (!status && vmm->number[VIOMMU])
		status = serve_viommu(vmm);
	if (!status && vmm->number[DEVICE])
		status = serve_device(vmm);
	if (!status) {
		rc = vmm_ring_run(&vmm->ring, vmm_stops, vmm, VMM_NO_TIMEOUT);
		if (!rc)
			rc = vmm_error(vmm);
		if (rc)
			status = fail("cannot go on", rc);
	}
	return stop(vmm) ? EXIT_FAILURE : status;
}

static int run(struct vmm *vmm, bool inherited)
{
	struct eventq_features has;
	int iommu = vmm->number[IOMMUFD], rc;

	if (!inherited)
		iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	rc = iommu < 0 ? -errno : eventq_check_iommufd(iommu);
	if (rc)
		return fail("cannot use /dev/iommu", rc);
	rc = vmm_ring_init(&vmm->ring);
	if (rc)
		return fail("cannot set up an io_uring", rc);
	rc = eventq_probe(iommu, &vmm->ring, &has);
	if (rc)
		return fail("cannot allocate a fault queue", rc);
	vmm->transport = eventq_best(&has);
	printf("kernel: waiting reads %d, inline reads %d, READ_MULTISHOT %d, ",
	       has.wait_read, has.inline_reads, has.multishot);
	printf("buffer rings %d; transport: %s\n", has.buffer_rings,
	       eventq_transport_name(vmm->transport));
	return inherited ? serve(vmm) : 0;
}

/* Returns -1 if @text is not a number up to INT_MAX; iommufd has no larger ID. */
static int parse_number(const char *text)
{
	char *end;
	unsigned long long number = strtoull(text, &end, 10);

	return isdigit((unsigned char)*text) && !*end && number <= INT_MAX ?
	       (int)number : -1;
}

/* Returns false if @option, which getopt_long() found, or its value is bad. */
static bool parse(int option, struct vmm *vmm)
{
	const struct eventq_type *type;
	char more;

	switch (option) {
	case TYPE:
		type = eventq_type_find(optarg);
		if (type)
			vmm->type = *type;
		return type || (sscanf(optarg, "%10u:%4zu%c", &vmm->type.type,
				       &vmm->type.data_len, &more) == 2 &&
				vmm->type.data_len);
	case RESPONSE:
		vmm->response = strcmp(optarg, "success") ?
				IOMMUFD_PAGE_RESP_INVALID :
				IOMMUFD_PAGE_RESP_SUCCESS;
		return !vmm->response || !strcmp(optarg, "invalid");
	case '?':
		return false;
	default:
		vmm->number[option] = parse_number(optarg);
		return vmm->number[option] >= 0;
	}
}

/* Each option has those that it needs. */
static bool makes_sense(unsigned int given)
{
	bool device = given & BIT(DEVICE), viommu = given & BIT(VIOMMU);

	return !(given & BIT(IOMMUFD)) == !(device || viommu) &&
	       !(given & BIT(IOAS)) == !device &&
	       (device || !(given & (BIT(VFIO) | BIT(RESPONSE)))) &&
	       (viommu || !(given & (BIT(TYPE) | BIT(DEPTH))));
}

int main(int argc, char **argv)
{
	struct vmm vmm = {
		.number = { [DEPTH] = DEFAULT_DEPTH, [VFIO] = -1 },
		.type = *eventq_type_find("smmuv3"),
		.response = IOMMUFD_PAGE_RESP_INVALID,
	};
	unsigned int given = 0;
	bool good = true;
	int option, status;

	while (good && (option = getopt_long(argc, argv, "", long_options,
					     NULL)) != -1) {
		if (option == HELP)
			return fputs(help, stdout) < 0;
		good = parse(option, &vmm);
		given |= option == '?' ? 0 : BIT(option);
	}
	if (!good || optind < argc || !makes_sense(given)) {
		fprintf(stderr, PROGRAM ": bad options; see --help\n");
		return STATUS_USAGE;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	status = run(&vmm, given & BIT(IOMMUFD));
	if (fflush(stdout) || ferror(stdout))
		return fail("cannot write to standard output", -EIO);
	return status;
}
