// SPDX-License-Identifier: GPL-2.0-only
/*
 * --iommufd: makes event queues for objects that somebody has in an iommufd,
 * and leaves nothing of its own behind there. How queues are served does not
 * belong here, nor how the objects came to be.
 */
#include <errno.h>
#include <string.h>

#include "eventq_ioctl.h"
#include "mock.h"
#include "modes.h"
#include "output.h"

/* What was made, to be undone from the end. */
struct made {
	struct eventq faults, vevents;
	__u32 hwpt;
	bool has_faults, has_hwpt, has_vevents, attached;
};

/* Faults */

static int attach(const struct options *options, __u32 pt)
{
	if (options->has_mock_id)
		return mock_attach(options->iommu, options->mock_id, pt);
	return eventq_vfio_attach(options->vfio, pt);
}

/* -ENOENT if there is no IOAS of that ID. */
static int check_ioas(int iommu, __u32 ioas)
{
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
	};
	int rc = eventq_ioctl(iommu, IOMMU_IOAS_IOVA_RANGES, &cmd);

	/* The IOAS exists, and there is no room for its ranges. */
	return rc == -EMSGSIZE ? 0 : rc;
}

static int complain_hwpt(const struct options *options, int rc)
{
	if (check_ioas(options->iommu, options->ioas))
		return complain("give the ID that IOMMU_IOAS_ALLOC returned",
				"there is no IOAS %u", options->ioas);
	if (rc == -ENOENT)
		return complain("give the ID that binding the device returned",
				"there is no device %u", options->device);
	if (rc == -EOPNOTSUPP)
		return complain("use one whose IOMMU driver reports faults",
				"device %u cannot have a fault queue",
				options->device);
	return complain("see the kernel's log",
			"cannot make a page table for device %u: %s",
			options->device, strerror(-rc));
}

static int complain_attach(const struct options *options, int rc)
{
	if (rc == -ENODEV)
		return complain("use one that does PRI or stall",
				"device %u cannot report page faults",
				options->device);
	if (options->has_mock_id)
		return complain("give EVENTQ_MOCK_ID of --mock-setup",
				"cannot attach mock device %u: %s",
				options->mock_id, strerror(-rc));
	return complain("give a /dev/vfio/devices/* bound to this iommufd",
			"cannot attach the device of file descriptor %d: %s",
			options->vfio, strerror(-rc));
}

/* If it is not attached, the caller can do that. */
static void record_fault_queue(const struct options *options,
			       const struct made *made)
{
	record_begin("fault_queue");
	record_number("id", made->faults.id);
	record_number("device", options->device);
	record_number("hwpt", made->hwpt);
	record_bool("attached", made->attached);
	record_end();
}

static int serve_device(const struct options *options, struct server *server,
			struct made *made)
{
	int rc = eventq_fault_alloc(options->iommu, 0, &made->faults);

	if (rc)
		return complain("free some memory or file descriptors",
				"cannot make a fault queue: %s", strerror(-rc));
	made->has_faults = true;
	rc = eventq_hwpt_alloc(options->iommu, options->device, options->ioas,
			       &made->faults, &made->hwpt);
	if (rc)
		return complain_hwpt(options, rc);
	made->has_hwpt = true;
	/* The read is armed before the first fault can come. */
	rc = server_add_faults(server, made->faults.fd);
	if (rc)
		return complain("free some memory", "cannot read faults: %s",
				strerror(-rc));
	if (options->vfio >= 0 || options->has_mock_id) {
		rc = attach(options, made->hwpt);
		if (rc)
			return complain_attach(options, rc);
		made->attached = true;
	}
	record_fault_queue(options, made);
	return EXIT_OK;
}

/* vIOMMU events */

static int complain_vevents(const struct options *options, int rc)
{
	switch (rc) {
	case -ENOTTY:
		return complain("use Linux 6.15 or newer",
				"this kernel has no vIOMMU event queues");
	case -ENOENT:
		return complain("give the ID that IOMMU_VIOMMU_ALLOC returned",
				"there is no vIOMMU %u", options->viommu);
	case -EEXIST:
		return complain("destroy that one, or give another --type",
				"vIOMMU %u has an event queue of type %s",
				options->viommu, options->type->name);
	case -EOPNOTSUPP:
		return complain("give the --type of your vIOMMU",
				"this kernel has no events of type %s",
				options->type->name);
	case -ENOMEM:
		return complain("give a smaller --depth, or the cgroup more",
				"no memory for %u events", options->depth);
	default:
		return complain("see the kernel's log",
				"cannot make an event queue for vIOMMU %u: %s",
				options->viommu, strerror(-rc));
	}
}

static int serve_viommu(const struct options *options, struct server *server,
			struct made *made)
{
	int rc = eventq_vevent_alloc(options->iommu, options->viommu,
				    options->type->type, options->depth,
				    &made->vevents);

	if (rc)
		return complain_vevents(options, rc);
	made->has_vevents = true;
	rc = server_add_vevents(server, made->vevents.fd, options->type);
	if (rc)
		return complain("free some memory", "cannot read events: %s",
				strerror(-rc));
	record_begin("event_queue");
	record_number("id", made->vevents.id);
	record_number("viommu", options->viommu);
	record_string("type", "%s", options->type->name);
	record_number("depth", options->depth);
	record_end();
	return EXIT_OK;
}

/*
 * Attaching the device to its address space again responds to the faults that
 * are left, on every kernel; on the last close older ones leave it waiting.
 */
static int undo(const struct options *options, const struct made *made)
{
	int status = EXIT_OK, rc = 0;

	if (made->attached)
		rc = attach(options, options->ioas);
	if (rc)
		status = complain("attach it to another page table",
				  "device %u stays attached to page table %u: %s",
				  options->device, made->hwpt, strerror(-rc));
	else if (made->has_hwpt)
		rc = eventq_destroy(options->iommu, made->hwpt);
	if (rc == -EBUSY && !made->attached)
		complain("attach its device to another one, and destroy it",
			 "page table %u is in use and stays", made->hwpt);
	if (made->has_faults)
		eventq_free(options->iommu, &made->faults);
	if (made->has_vevents)
		eventq_free(options->iommu, &made->vevents);
	return status;
}

int mode_existing(const struct options *options, struct vmm_ring *ring,
		  int (*started)(void *arg, struct server *server), void *arg)
{
	struct server server = {
		.ring = ring,
		.transport = options->transport,
		.response = options->response,
		.count = options->count,
	};
	struct made made = {};
	int rc = server_start(&server), status = EXIT_OK;

	if (rc)
		status = complain("free some memory or file descriptors",
				  "cannot wait for signals: %s", strerror(-rc));
	if (!status && options->has_viommu)
		status = serve_viommu(options, &server, &made);
	if (!status && options->has_device)
		status = serve_device(options, &server, &made);
	if (!status && started)
		server_fail(&server, "starting", started(arg, &server));
	if (!status)
		status = server_run(&server);
	server_end(&server);
	rc = undo(options, &made);
	return status ? status : rc;
}
