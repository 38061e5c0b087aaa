// SPDX-License-Identifier: GPL-2.0-only
/*
 * --mock, --mock-setup and --attach: mock devices that fault at a modest rate,
 * served here or by another program. How they are served does not belong here.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mock.h"
#include "modes.h"
#include "output.h"

/* Every so often come some faults and vIOMMU events. */
#define PERIOD_MS 20
#define DEFAULT_COUNT 20
#define DEPTH 64
/* What was raised is there at once; this is for kernels gone wrong. */
#define ARRIVAL_MS 30000

static int make_setup(struct mock_setup *setup, int iommu)
{
	int rc;

	setup->iommu = iommu;
	rc = mock_setup(setup);
	if (rc == -ENOTTY)
		return complain("use one with CONFIG_IOMMUFD_TEST",
				"this kernel has no mock device");
	if (rc)
		return complain("is anything else using the mock devices?",
				"cannot make mock devices: %s", strerror(-rc));
	return EXIT_OK;
}

/* --mock */

/* Raises the next ones from a timeout of the ring. */
struct raiser {
	struct vmm_op op;
	struct server *server;
	const struct mock_setup *setup;
	unsigned long nr, count;	/* groups and events; 0 is no end */
	unsigned long burst, group;
};

static int raiser_wait(struct raiser *raiser, unsigned int ms)
{
	struct io_uring_sqe *sqe = vmm_ring_sqe(raiser->server->ring);
	struct __kernel_timespec ts = {
		.tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000000L,
	};

	if (!sqe)
		return -EBUSY;
	io_uring_prep_timeout(sqe, &ts, 0, 0);
	io_uring_sqe_set_data(sqe, &raiser->op);
	/* At once, because of ts */
	return vmm_ring_submit(raiser->server->ring);
}

static bool raiser_is_done(const struct raiser *raiser)
{
	return raiser->count && raiser->nr >= raiser->count;
}

/* Faults and events in turn */
static int raise_one(struct raiser *raiser)
{
	const struct mock_setup *setup = raiser->setup;

	if (raiser->nr++ % 2)
		return mock_vevent(setup->iommu, &setup->event_dev);
	return mock_fault_group(setup->iommu, &setup->fault_dev,
				raiser->nr / 2 + 1, raiser->group);
}

static void raiser_tick(struct vmm_op *op, int res, __u32 flags)
{
	struct raiser *raiser = vmm_container(op, struct raiser, op);
	unsigned long i;
	int rc = 0;

	(void)flags;
	if (res != -ETIME)
		return;
	if (raiser_is_done(raiser)) {
		server_fail(raiser->server, "not all that was raised arrived",
			    -ETIME);
		return;
	}
	for (i = 0; i < raiser->burst && !rc && !raiser_is_done(raiser); i++)
		rc = raise_one(raiser);
	server_fail(raiser->server, "raising a fault or an event", rc);
	rc = raiser_wait(raiser, raiser_is_done(raiser) ? ARRIVAL_MS :
							   PERIOD_MS);
	server_fail(raiser->server, "setting a timer", rc);
}

/* What the device says that it got, if the kernel's mock tells. */
static void raiser_summary(void *arg)
{
	const struct raiser *raiser = arg;
	struct mock_response response;

	if (mock_response(raiser->setup->iommu, &raiser->setup->fault_dev,
			  &response))
		return;
	record_number("device_got_success", response.nr_success);
	record_number("device_got_invalid", response.nr_invalid);
}

static int raiser_start(void *arg, struct server *server)
{
	struct raiser *raiser = arg;

	server->more_summary = raiser_summary;
	server->arg = raiser;
	raiser->op.done = raiser_tick;
	raiser->server = server;
	return raiser_wait(raiser, PERIOD_MS);
}

int mode_mock(const struct options *options, struct vmm_ring *ring)
{
	unsigned long count = options->has_count ? options->count :
						   DEFAULT_COUNT;
	struct options objects = *options;
	struct mock_setup setup;
	struct raiser raiser = {
		.setup = &setup,
		.count = count,
		.burst = options->burst,
		.group = options->group,
	};
	int status = make_setup(&setup, options->iommu);

	if (status)
		return status;
	objects.count = count;
	objects.has_viommu = true;
	objects.viommu = setup.viommu;
	objects.type = event_type_find("selftest");
	objects.depth = DEPTH;
	objects.has_device = true;
	objects.device = setup.fault_dev.dev_id;
	objects.ioas = setup.ioas;
	objects.has_mock_id = true;
	objects.mock_id = setup.fault_dev.stdev_id;
	return mode_existing(&objects, ring, raiser_start, &raiser);
}

/* --mock-setup */

static void export_id(const char *name, unsigned int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);
	setenv(name, text, 1);
}

static void run_command(const struct mock_setup *setup, char **command)
{
	export_id("EVENTQ_IOMMUFD", setup->iommu);
	export_id("EVENTQ_VIOMMU", setup->viommu);
	export_id("EVENTQ_DEVICE", setup->fault_dev.dev_id);
	export_id("EVENTQ_IOAS", setup->ioas);
	export_id("EVENTQ_MOCK_ID", setup->fault_dev.stdev_id);
	fcntl(setup->iommu, F_SETFD, 0);
	execvp(command[0], command);
	complain("give a program that there is, after --",
		 "cannot run %s: %s", command[0], strerror(errno));
	_exit(127);
}

/*
 * Faults go nowhere while there is no fault queue, and events fail: what of it,
 * the command may still be about to make the queues.
 */
static void raise_for(const struct mock_setup *setup, __u32 grpid)
{
	mock_fault_group(setup->iommu, &setup->fault_dev, grpid, 1);
	mock_vevent(setup->iommu, &setup->event_dev);
}

/* Raise things until @child ends; pass signals on to it. */
static int attend(const struct mock_setup *setup, pid_t child,
		  const sigset_t *set)
{
	const struct timespec period = { .tv_nsec = PERIOD_MS * 1000000L };
	__u32 grpid = 0;
	int status;

	for (;;) {
		int sig = sigtimedwait(set, NULL, &period);

		if (sig == SIGCHLD && waitpid(child, &status, WNOHANG) == child)
			break;
		if (sig == SIGINT || sig == SIGTERM)
			kill(child, sig);
		if (sig < 0 && errno == EAGAIN)
			raise_for(setup, ++grpid);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) :
				   128 + WTERMSIG(status);
}

int mode_attach(const struct options *options)
{
	int rc = mock_attach(options->iommu, options->mock_id, options->pt);

	if (rc)
		return complain("give EVENTQ_MOCK_ID of --mock-setup and a page table",
				"cannot attach mock device %u to %u: %s",
				options->mock_id, options->pt, strerror(-rc));
	return EXIT_OK;
}

int mode_mock_setup(const struct options *options)
{
	struct mock_setup setup;
	sigset_t set, old;
	pid_t child;
	int status = make_setup(&setup, options->iommu);

	if (status)
		return status;
	/* If our parent ignored it, we would not hear of the child's end. */
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &old);
	child = fork();
	if (child < 0)
		return complain("free some memory or processes",
				"cannot fork: %s", strerror(errno));
	if (!child) {
		sigprocmask(SIG_SETMASK, &old, NULL);
		run_command(&setup, options->command);
	}
	return attend(&setup, child, &set);
}
