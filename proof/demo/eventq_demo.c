// SPDX-License-Identifier: GPL-2.0-only
/*
 * eventq_demo: shows on mock devices that faults and events of iommufd reach a
 * VMM, and makes set-ups that another program can serve. Options and what the
 * kernel offers are here. The VMM's side is that of samples/iommufd/.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "eventq_ioctl.h"
#include "eventq_probe.h"
#include "modes.h"
#include "output.h"

#define DEPTH_MAX (512 * 1024)
#define BURST_MAX 65536

static const char help[] =
"Usage: " PROGRAM " [--json] [--transport=T] [MODE...]\n"
"Serves iommufd event queues (page faults, vIOMMU events) through io_uring.\n"
"First it says what this kernel offers; without a mode, nothing else.\n"
"\n"
"Modes that need a kernel with CONFIG_IOMMUFD_TEST, and no hardware:\n"
"  --demo             play scenarios on mock devices, print a table of what the\n"
"                     VMM saw and what the device got; fail if any is missing\n"
"  --mock             serve mock devices that fault meanwhile\n"
"    --burst=N        so many faults and events at a time, in turn (default 2)\n"
"    --group=N        faults in each group of them (default 1)\n"
"  --mock-setup -- COMMAND...\n"
"                     run COMMAND with mock devices in an iommufd, and raise\n"
"                     faults and events until it ends: a way to try --iommufd.\n"
"                     Prints nothing itself; exit status is that of COMMAND,\n"
"                     whose environment says what there is:\n"
"                     EVENTQ_IOMMUFD (the descriptor), EVENTQ_VIOMMU,\n"
"                     EVENTQ_DEVICE, EVENTQ_IOAS, EVENTQ_MOCK_ID\n"
"\n"
"Mode for what a VMM or a script has set up:\n"
"  --iommufd=FD       use this inherited open file descriptor of /dev/iommu;\n"
"                     what is made there is destroyed at the end\n"
"  --viommu=ID        with it: serve an event queue of this vIOMMU\n"
"    --type=TYPE      of events: smmuv3 (default), cmdqv, selftest\n"
"    --depth=N        events it can hold, 1 to 524288 (default 256)\n"
"  --device=ID --ioas=ID\n"
"                     with it: serve a fault queue of this device. Makes a page\n"
"                     table (HWPT) on the IOAS and says its ID; attach the\n"
"                     device to it, or let it be attached by:\n"
"    --vfio=FD        the open VFIO device /dev/vfio/devices/*; at the end it is\n"
"                     attached to the IOAS\n"
"    --mock-attach=ID the same for the mock device EVENTQ_MOCK_ID\n"
"  --mock-attach=ID --attach=PT\n"
"                     with it: attach that mock device to a page table or an\n"
"                     IOAS, and do nothing else\n"
"\n"
"How to serve:\n"
"  --transport=T      multishot (one READ_MULTISHOT fills a ring of buffers),\n"
"                     read (one READ is kept armed) or poll (POLL_ADD, read(2));\n"
"                     default is the first of them that the kernel can do\n"
"  --response=R       to page faults: invalid (default) or success. This program\n"
"                     maps no pages, and success would make a device try again\n"
"                     at once, and fault for ever; invalid ends its request\n"
"  --count=N          stop after N records, 0: on SIGINT or SIGTERM only. With\n"
"                     --mock so many are raised (default 20); with --iommufd the\n"
"                     default is 0\n"
"  --json             one JSON object a line; errors on stderr too, but not what\n"
"                     is said about bad options\n"
"  --help             this text\n"
"\n"
"Example, without hardware:\n"
"  " PROGRAM " --mock-setup -- sh -c '\n"
"    " PROGRAM " --iommufd=$EVENTQ_IOMMUFD --count=10 \\\n"
"        --viommu=$EVENTQ_VIOMMU --type=selftest --device=$EVENTQ_DEVICE \\\n"
"        --ioas=$EVENTQ_IOAS --mock-attach=$EVENTQ_MOCK_ID'\n"
"\n"
"Exit status: 0 all there, 1 something missing or failed, 2 bad option.\n"
"SIGINT and SIGTERM end serving with a summary and status 0.\n";

/* Options */

enum {
	DEMO, MOCK, MOCK_SETUP, IOMMUFD, VIOMMU, TYPE, DEPTH, DEVICE, IOAS,
	VFIO, MOCK_ATTACH, ATTACH, BURST, GROUP, TRANSPORT, RESPONSE, COUNT, JSON, HELP,
	NR_OPTIONS
};

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(nr) (1U << (nr))
#define MODES (BIT(DEMO) | BIT(MOCK) | BIT(MOCK_SETUP) | BIT(IOMMUFD))

static const struct option long_options[NR_OPTIONS + 1] = {
	[DEMO] = { "demo", no_argument, NULL, DEMO },
	[MOCK] = { "mock", no_argument, NULL, MOCK },
	[MOCK_SETUP] = { "mock-setup", no_argument, NULL, MOCK_SETUP },
	[IOMMUFD] = { "iommufd", required_argument, NULL, IOMMUFD },
	[VIOMMU] = { "viommu", required_argument, NULL, VIOMMU },
	[TYPE] = { "type", required_argument, NULL, TYPE },
	[DEPTH] = { "depth", required_argument, NULL, DEPTH },
	[DEVICE] = { "device", required_argument, NULL, DEVICE },
	[IOAS] = { "ioas", required_argument, NULL, IOAS },
	[VFIO] = { "vfio", required_argument, NULL, VFIO },
	[MOCK_ATTACH] = { "mock-attach", required_argument, NULL, MOCK_ATTACH },
	[ATTACH] = { "attach", required_argument, NULL, ATTACH },
	[BURST] = { "burst", required_argument, NULL, BURST },
	[GROUP] = { "group", required_argument, NULL, GROUP },
	[TRANSPORT] = { "transport", required_argument, NULL, TRANSPORT },
	[RESPONSE] = { "response", required_argument, NULL, RESPONSE },
	[COUNT] = { "count", required_argument, NULL, COUNT },
	[JSON] = { "json", no_argument, NULL, JSON },
	[HELP] = { "help", no_argument, NULL, HELP },
};

/* An option makes sense with any of others only, or with none of others. */
static const struct {
	int option;
	unsigned int needs, excludes;
} rules[] = {
	{ DEMO, 0, MODES & ~BIT(DEMO) },
	{ MOCK, 0, MODES & ~BIT(MOCK) },
	{ MOCK_SETUP, 0, (MODES & ~BIT(MOCK_SETUP)) | BIT(TRANSPORT) },
	{ IOMMUFD, BIT(VIOMMU) | BIT(DEVICE) | BIT(ATTACH), 0 },
	{ VIOMMU, BIT(IOMMUFD), 0 },
	{ TYPE, BIT(VIOMMU), 0 },
	{ DEPTH, BIT(VIOMMU), 0 },
	{ DEVICE, BIT(IOMMUFD), 0 },
	{ DEVICE, BIT(IOAS), 0 },
	{ IOAS, BIT(DEVICE), 0 },
	{ VFIO, BIT(DEVICE), BIT(MOCK_ATTACH) },
	{ MOCK_ATTACH, BIT(DEVICE) | BIT(ATTACH), 0 },
	{ ATTACH, BIT(MOCK_ATTACH), BIT(VIOMMU) | BIT(DEVICE) },
	{ ATTACH, BIT(IOMMUFD), 0 },
	{ BURST, BIT(MOCK), 0 },
	{ GROUP, BIT(MOCK), 0 },
	{ RESPONSE, BIT(MOCK) | BIT(DEVICE), 0 },
	{ COUNT, BIT(MOCK) | BIT(IOMMUFD), 0 },
};

/* Prints the names of @mask as "--a, --b or --c"; nothing of it is text. */
static void print_options(unsigned int mask)
{
	int i;

	for (i = 0; i < NR_OPTIONS; i++) {
		if (!(mask & BIT(i)))
			continue;
		mask &= ~BIT(i);
		fprintf(stderr, "--%s%s", long_options[i].name,
			!mask ? "" : mask & (mask - 1) ? ", " : " or ");
	}
}

static bool rules_hold(unsigned int given)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rules); i++) {
		unsigned int clash = given & rules[i].excludes;
		unsigned int needs = rules[i].needs;

		if (!(given & BIT(rules[i].option)) ||
		    (!clash && (!needs || (given & needs))))
			continue;
		fprintf(stderr, PROGRAM ": --%s %s ",
			long_options[rules[i].option].name,
			clash ? "does not go with" : "needs");
		print_options(clash ? clash : needs);
		fprintf(stderr, "; see --help\n");
		return false;
	}
	return true;
}

static bool bad_value(int option, const char *text, const char *wanted)
{
	fprintf(stderr, PROGRAM ": --%s takes %s, not '%s'; see --help\n",
		long_options[option].name, wanted, text);
	return false;
}

static bool parse_number(int option, const char *text, unsigned long min,
			 unsigned long max, unsigned long *value)
{
	char wanted[64], *end = NULL;

	errno = 0;
	*value = strtoul(text, &end, 10);
	if (isdigit((unsigned char)*text) && !*end && !errno &&
	    *value >= min && *value <= max)
		return true;
	snprintf(wanted, sizeof(wanted), "a number from %lu to %lu", min, max);
	return bad_value(option, text, wanted);
}

static bool parse_id(int option, const char *text, __u32 min, __u32 max,
		     __u32 *id)
{
	unsigned long value;

	if (!parse_number(option, text, min, max, &value))
		return false;
	*id = value;
	return true;
}

static bool parse_fd(int option, const char *text, int *fd)
{
	unsigned long value;

	if (!parse_number(option, text, 0, INT_MAX, &value))
		return false;
	*fd = value;
	return true;
}

static bool parse_transport(const char *text, enum vmm_transport *transport)
{
	for (*transport = VMM_MULTISHOT; *transport <= VMM_POLL; ++*transport)
		if (!strcmp(text, eventq_transport_name(*transport)))
			return true;
	return bad_value(TRANSPORT, text, "multishot, read or poll");
}

static bool parse_response(const char *text, __u32 *response)
{
	*response = !strcmp(text, "success") ? IOMMUFD_PAGE_RESP_SUCCESS :
					     IOMMUFD_PAGE_RESP_INVALID;
	return *response == IOMMUFD_PAGE_RESP_SUCCESS ||
	       !strcmp(text, "invalid") ||
	       bad_value(RESPONSE, text, "invalid or success");
}

static bool parse_value(int option, const char *text, struct options *options)
{
	switch (option) {
	case IOMMUFD:
		return parse_fd(option, text, &options->iommu);
	case VFIO:
		return parse_fd(option, text, &options->vfio);
	case VIOMMU:
		return parse_id(option, text, 1, UINT_MAX, &options->viommu);
	case DEVICE:
		return parse_id(option, text, 1, UINT_MAX, &options->device);
	case IOAS:
		return parse_id(option, text, 1, UINT_MAX, &options->ioas);
	case MOCK_ATTACH:
		return parse_id(option, text, 1, UINT_MAX, &options->mock_id);
	case ATTACH:
		return parse_id(option, text, 1, UINT_MAX, &options->pt);
	case DEPTH:
		return parse_id(option, text, 1, DEPTH_MAX, &options->depth);
	case COUNT:
		return parse_number(option, text, 0, ULONG_MAX,
				    &options->count);
	case BURST:
		return parse_number(option, text, 1, BURST_MAX,
				    &options->burst);
	case GROUP:
		return parse_number(option, text, 1, BURST_MAX,
				    &options->group);
	case TYPE:
		options->type = event_type_find(text);
		return options->type ||
		       bad_value(option, text, "smmuv3, cmdqv or selftest");
	case TRANSPORT:
		return parse_transport(text, &options->transport);
	case RESPONSE:
		return parse_response(text, &options->response);
	default:
		return true;
	}
}

/* Says itself what is wrong. */
static bool parse(int argc, char **argv, struct options *options,
		  unsigned int *given)
{
	int option;

	while ((option = getopt_long(argc, argv, "+", long_options,
				     NULL)) != -1) {
		if (option == '?') {
			fprintf(stderr, PROGRAM ": see --help\n");
			return false;
		}
		*given |= BIT(option);
		if (!parse_value(option, optarg, options))
			return false;
	}
	if (*given & BIT(HELP))
		return true;
	options->command = argv + optind;
	if (optind < argc && !(*given & BIT(MOCK_SETUP))) {
		fprintf(stderr, PROGRAM ": '%s' is no option; see --help\n",
			argv[optind]);
		return false;
	}
	if (optind == argc && (*given & BIT(MOCK_SETUP))) {
		fprintf(stderr,
			PROGRAM ": --mock-setup needs a command; see --help\n");
		return false;
	}
	return rules_hold(*given);
}

/* What there is */

/* @otherwise, unless it is something else that is missing. */
static const char *advice(int error, const char *otherwise)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM ?
	       "free some memory or file descriptors" : otherwise;
}

static int get_iommufd(struct options *options, bool inherited)
{
	int rc;

	if (inherited) {
		rc = eventq_check_iommufd(options->iommu);
		if (!rc)
			return EXIT_OK;
		return complain("open /dev/iommu and let it be inherited",
				"file descriptor %d is %s", options->iommu,
				rc == -EBADF ? "not open" : "no iommufd");
	}
	options->iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (options->iommu >= 0)
		return EXIT_OK;
	if (errno == EACCES || errno == EPERM)
		return complain("run as root or as a user who may open it",
				"no permission for /dev/iommu");
	return complain(advice(errno,
			       "use a kernel with CONFIG_IOMMUFD, or modprobe iommufd"),
			"cannot open /dev/iommu: %s", strerror(errno));
}

static int get_ring(struct vmm_ring *ring)
{
	int rc = vmm_ring_init(ring);

	if (!rc)
		return EXIT_OK;
	if (rc == -EPERM)
		return complain("set the sysctl kernel.io_uring_disabled to 0",
				"io_uring is forbidden");
	return complain(advice(-rc,
			       "use Linux 6.1 or newer with CONFIG_IO_URING"),
			"cannot make an io_uring: %s", strerror(-rc));
}

static const char *offered(bool there)
{
	return there ? "offered" : "not offered (older kernel)";
}

static void print_kernel(const struct eventq_features *features,
			 enum vmm_transport transport)
{
	struct utsname name;

	uname(&name);
	if (!output_json) {
		printf("iommufd event queues on Linux %s; ", name.release);
		printf("flag for waiting reads: %s\n",
		       offered(features->wait_read));
		printf("io_uring: inline reads %s, ",
		       offered(features->inline_reads));
		printf("READ_MULTISHOT %s, ", offered(features->multishot));
		printf("buffer rings %s; used: %s\n",
		       offered(features->buffer_rings),
		       eventq_transport_name(transport));
		return;
	}
	record_begin("kernel");
	record_string("kernel", "%s", name.release);
	record_bool("fault_queues", true);
	record_bool("wait_read_flag", features->wait_read);
	record_bool("inline_reads", features->inline_reads);
	record_bool("read_multishot", features->multishot);
	record_bool("buffer_rings", features->buffer_rings);
	record_string("transport", "%s", eventq_transport_name(transport));
	record_end();
}

static int probe(struct options *options, struct vmm_ring *ring, bool forced)
{
	struct eventq_features features = {};
	int rc = eventq_probe(options->iommu, ring, &features);

	if (rc == -ENOTTY)
		return complain("use Linux 6.11 or newer",
				"this kernel has no fault queues");
	if (rc)
		return complain("free some memory or file descriptors",
				"cannot make a fault queue: %s", strerror(-rc));
	if (!forced)
		options->transport = eventq_best(&features);
	print_kernel(&features, options->transport);
	if (!eventq_can(&features, options->transport))
		return complain("leave out --transport, or give another one",
				"this kernel cannot do --transport=%s",
				eventq_transport_name(options->transport));
	return EXIT_OK;
}

static int run(struct options *options, unsigned int given)
{
	struct vmm_ring ring;
	int status = get_iommufd(options, given & BIT(IOMMUFD));

	if (status)
		return status;
	if (given & BIT(MOCK_SETUP))
		return mode_mock_setup(options);
	if (given & BIT(ATTACH))
		return mode_attach(options);
	status = get_ring(&ring);
	if (status)
		return status;
	status = probe(options, &ring, given & BIT(TRANSPORT));
	if (!status && (given & BIT(DEMO)))
		status = mode_demo(options, &ring);
	else if (!status && (given & BIT(MOCK)))
		status = mode_mock(options, &ring);
	else if (!status && (given & BIT(IOMMUFD)))
		status = mode_existing(options, &ring, NULL, NULL);
	vmm_ring_exit(&ring);
	return output_end(status);
}

int main(int argc, char **argv)
{
	struct options options = {
		.response = IOMMUFD_PAGE_RESP_INVALID,
		.depth = 256,
		.burst = 2,
		.group = 1,
		.type = event_type_find("smmuv3"),
		.vfio = -1,
	};
	unsigned int given = 0;

	if (!parse(argc, argv, &options, &given))
		return EXIT_USAGE;
	if (given & BIT(HELP)) {
		fputs(help, stdout);
		return output_end(EXIT_OK);
	}
	options.has_count = given & BIT(COUNT);
	options.has_viommu = given & BIT(VIOMMU);
	options.has_device = given & BIT(DEVICE);
	options.has_mock_id = given & BIT(MOCK_ATTACH);
	output_json = given & BIT(JSON);
	/* Who reads along through a pipe gets lines when they are there. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	return run(&options, given);
}
