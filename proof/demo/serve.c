// SPDX-License-Identifier: GPL-2.0-only
/*
 * The main loop, and the printing of what is served: see serve.h.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "eventq_probe.h"
#include "iommufd_test.h"
#include "output.h"
#include "serve.h"

#define EVENT_DATA_MAX sizeof(struct iommu_vevent_arm_smmuv3)

/* The number of the device in the guest */
static const struct eventq_type selftest_type = {
	"selftest", IOMMU_VEVENTQ_TYPE_SELFTEST,
	sizeof(struct iommu_viommu_event_selftest),
};

const struct eventq_type *event_type_find(const char *name)
{
	return strcmp(name, selftest_type.name) ? eventq_type_find(name) :
						  &selftest_type;
}

void server_fail(struct server *server, const char *what, int rc)
{
	if (server->error || !rc)
		return;
	server->error = rc;
	server->failed = what;
}

/* Records */

static void record_group(const struct iommu_hwpt_pgfault *fault, size_t nr,
			 const char *response)
{
	record_begin("fault_group");
	record_number("group", fault->grpid);
	record_number("device", fault->dev_id);
	if (fault->flags & IOMMU_PGFAULT_FLAGS_PASID_VALID)
		record_number("pasid", fault->pasid);
	record_number("cookie", fault->cookie);
	record_number("faults", nr);
	/* Of the first; JSON's numbers cannot hold 64 bits. */
	record_string("address", "%#llx", (unsigned long long)fault->addr);
	record_string("access", "%s%s%s%s",
		      fault->perm & IOMMU_PGFAULT_PERM_READ ? "r" : "-",
		      fault->perm & IOMMU_PGFAULT_PERM_WRITE ? "w" : "-",
		      fault->perm & IOMMU_PGFAULT_PERM_EXEC ? "x" : "-",
		      fault->perm & IOMMU_PGFAULT_PERM_PRIV ? "p" : "-");
	record_string("response", "%s", response);
	record_end();
}

/* A VMM maps the pages here if it can, and says INVALID if it cannot. */
static void server_group(void *arg, const struct iommu_hwpt_pgfault *fault,
			 size_t nr)
{
	struct server *server = arg;

	server_fail(server, "giving a response",
		    vmm_faults_respond(&server->faults, fault->cookie,
				       server->response));
	server->nr_groups++;
	server->nr_faults += nr;
	record_group(fault, nr, server->response == IOMMUFD_PAGE_RESP_SUCCESS ?
				"success" : "invalid");
}

static void server_event(void *arg, __u32 sequence, const void *data)
{
	struct server *server = arg;
	const unsigned char *byte = data;
	char hex[2 * EVENT_DATA_MAX + 1] = "";
	size_t i;

	server->nr_events++;
	for (i = 0; i < server->type->data_len; i++)
		sprintf(hex + 2 * i, "%02x", byte[i]);
	record_begin("event");
	record_number("sequence", sequence);
	record_string("type", "%s", server->type->name);
	record_string("data", "%s", hex);
	record_end();
}

static void server_lost(void *arg, __u32 nr, bool at_tail)
{
	struct server *server = arg;

	server->nr_lost += nr;
	record_begin("lost");
	record_number("events", nr);
	record_bool("at_tail", at_tail);
	record_end();
}

/* Reasons to stop */

static int server_arm_signals(struct server *server)
{
	struct io_uring_sqe *sqe = vmm_ring_sqe(server->ring);

	if (!sqe)
		return -EBUSY;
	io_uring_prep_poll_add(sqe, server->signal_fd, POLLIN);
	io_uring_sqe_set_data(sqe, &server->signal_op);
	return 0;
}

static void server_signalled(struct vmm_op *op, int res, __u32 flags)
{
	struct server *server = vmm_container(op, struct server, signal_op);
	struct signalfd_siginfo info;

	(void)flags;
	if (res >= 0 &&
	    read(server->signal_fd, &info, sizeof(info)) == sizeof(info))
		server->signal = info.ssi_signo;
	else
		server_fail(server, "waiting for signals",
			    res < 0 ? res : server_arm_signals(server));
}

int server_start(struct server *server)
{
	sigset_t set;

	server->signal_fd = -1;
	/* A reader of our output that leaves is to end us as a signal does. */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	server->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (server->signal_fd < 0)
		return -errno;
	server->signal_op.done = server_signalled;
	return server_arm_signals(server);
}

static bool server_failed(const struct server *server)
{
	return server->error || server->faults.reader.error ||
	       server->vevents.reader.error || output_failed();
}

static bool server_stops(void *arg)
{
	struct server *server = arg;

	if (server->signal || server_failed(server))
		return true;
	return server->count &&
	       server->nr_groups + server->nr_events + server->nr_lost >=
		       server->count &&
	       vmm_faults_sent(&server->faults);
}

/* The queues */

int server_add_faults(struct server *server, int fd)
{
	int rc = vmm_faults_init(&server->faults, server->ring, fd,
				 server->transport);

	if (rc)
		return rc;
	server->has_faults = true;
	server->faults.group = server_group;
	server->faults.arg = server;
	return vmm_reader_arm(&server->faults.reader);
}

int server_add_vevents(struct server *server, int fd,
		       const struct eventq_type *type)
{
	int rc = vmm_vevents_init(&server->vevents, server->ring, fd,
				  server->transport, type->data_len);

	if (rc)
		return rc;
	server->has_vevents = true;
	server->type = type;
	server->vevents.event = server_event;
	server->vevents.lost = server_lost;
	server->vevents.arg = server;
	return vmm_reader_arm(&server->vevents.reader);
}

/*
 * A group that nobody has read gets its response from the last close of the
 * queue, or from detaching the device.
 */
static int server_disarm(struct server *server)
{
	int rc = 0;

	if (server->has_faults)
		rc = vmm_faults_stop(&server->faults);
	if (!rc && server->has_vevents)
		rc = vmm_reader_disarm(&server->vevents.reader);
	return rc;
}

unsigned int count_workers(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	unsigned int nr = 0;

	while (dir && (entry = readdir(dir))) {
		char path[300], comm[32] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm",
			 entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fgets(comm, sizeof(comm), file) &&
		    !strncmp(comm, "iou-wrk", 7))
			nr++;
		fclose(file);
	}
	if (dir)
		closedir(dir);
	return nr;
}

static void server_summary(const struct server *server)
{
	const struct vmm_reader *reader = server->has_faults ?
					  &server->faults.reader :
					  &server->vevents.reader;

	record_begin("summary");
	record_number("fault_groups", server->nr_groups);
	record_number("faults", server->nr_faults);
	record_number("responded", server->faults.responded);
	record_number("stale", server->faults.stale);
	record_number("events", server->nr_events);
	record_number("lost", server->nr_lost);
	record_number("io_uring_workers", count_workers());
	record_string("transport", "%s", eventq_transport_name(reader->transport));
	record_string("ended_by", "%s",
		      server->signal == SIGINT ? "SIGINT" :
		      server->signal == SIGTERM ? "SIGTERM" :
		      server_failed(server) ? "failure" : "count");
	if (server->more_summary)
		server->more_summary(server->arg);
	record_end();
}

static int server_complain(const struct server *server)
{
	if (server->faults.reader.error == -EMSGSIZE)
		return complain("see BUF_LEN_MAX in eventq_vmm.c",
				"a group is larger than the largest buffer");
	/* Output that failed is told of by output_end(). */
	if (!server->error)
		return EXIT_MISSING;
	return complain("see the program's output for what was served",
			"%s: %s", server->failed, strerror(-server->error));
}

int server_run(struct server *server)
{
	int rc;

	server_fail(server, "serving through io_uring",
		    vmm_ring_run(server->ring, server_stops, server,
				 VMM_NO_TIMEOUT));
	rc = server_disarm(server);
	server_fail(server, "reading or responding to faults",
		    server->faults.reader.error);
	server_fail(server, "reading events", server->vevents.reader.error);
	server_fail(server, "taking back what io_uring does", rc);
	server_summary(server);
	return server_failed(server) ? server_complain(server) : EXIT_OK;
}

void server_end(struct server *server)
{
	/* A read that cannot be taken back keeps its memory. */
	if (!server_disarm(server)) {
		if (server->has_faults)
			vmm_faults_exit(&server->faults);
		if (server->has_vevents)
			vmm_vevents_exit(&server->vevents);
	}
	/* The poll for it ends with the ring, which nobody runs any more. */
	if (server->signal_fd >= 0)
		close(server->signal_fd);
}
