// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finds out what the kernel's event queues can do: see eventq_probe.h.
 */
#define _GNU_SOURCE	/* preadv2() */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "eventq_ioctl.h"
#include "eventq_probe.h"

/*
 * io_uring reads inline if the file supports RWF_NOWAIT; others fail it with
 * EOPNOTSUPP. The buffer is too small for a record, so the read takes none.
 */
static bool reads_inline(int fd)
{
	char header[sizeof(struct iommufd_vevent_header)];
	struct iovec iov = { .iov_base = header, .iov_len = sizeof(header) };

	return preadv2(fd, &iov, 1, -1, RWF_NOWAIT) >= 0 || errno != EOPNOTSUPP;
}

static bool has_multishot(struct vmm_ring *ring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(&ring->uring);
	bool has;

	if (!probe)
		return false;
	has = io_uring_opcode_supported(probe, VMM_OP_READ_MULTISHOT);
	io_uring_free_probe(probe);
	return has;
}

static bool has_buffer_rings(struct vmm_ring *ring)
{
	struct io_uring_buf_reg reg = {
		.ring_entries = 1,
		.bgid = ring->nr_groups,
	};
	size_t page = sysconf(_SC_PAGESIZE);
	void *mem;
	bool has;

	if (posix_memalign(&mem, page, page))
		return false;
	memset(mem, 0, page);
	reg.ring_addr = (unsigned long)mem;
	has = !io_uring_register_buf_ring(&ring->uring, &reg, 0);
	if (has)
		io_uring_unregister_buf_ring(&ring->uring, reg.bgid);
	free(mem);
	return has;
}

int eventq_probe(int iommu, struct vmm_ring *ring,
		 struct eventq_features *features)
{
	struct eventq queue;
	int rc;

	/* Older kernels reject every flag. */
	rc = eventq_fault_alloc(iommu, IOMMU_EVENTQ_ALLOC_WAIT_READ, &queue);
	features->wait_read = !rc;
	if (rc == -EOPNOTSUPP)
		rc = eventq_fault_alloc(iommu, 0, &queue);
	if (rc)
		return rc;
	features->inline_reads = reads_inline(queue.fd);
	features->multishot = has_multishot(ring);
	features->buffer_rings = has_buffer_rings(ring);
	eventq_free(iommu, &queue);
	return 0;
}

bool eventq_can(const struct eventq_features *features,
		enum vmm_transport transport)
{
	switch (transport) {
	case VMM_MULTISHOT:
		return features->inline_reads && features->multishot &&
		       features->buffer_rings;
	case VMM_READ:
		return features->inline_reads;
	default:
		return true;
	}
}

enum vmm_transport eventq_best(const struct eventq_features *features)
{
	enum vmm_transport transport = VMM_MULTISHOT;

	while (!eventq_can(features, transport))
		transport++;
	return transport;
}

const char *eventq_transport_name(enum vmm_transport transport)
{
	static const char * const names[] = {
		[VMM_MULTISHOT] = "multishot",
		[VMM_READ] = "read",
		[VMM_POLL] = "poll",
	};

	return names[transport];
}
