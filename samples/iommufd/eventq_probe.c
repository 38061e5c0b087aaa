// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a VMM finds out what the kernel's event queues can do: see
 * eventq_probe.h.
 */
#define _GNU_SOURCE	/* preadv2() */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "eventq_ioctl.h"
#include "eventq_probe.h"

/*
 * io_uring does a read inline if the file can promise not to wait, which is
 * what RWF_NOWAIT asks for: -EOPNOTSUPP where it cannot. No record fits into so
 * few bytes, so nothing is taken out.
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
	struct queue queue;
	int rc;

	/* Older kernels refuse every flag. */
	rc = fault_queue_alloc(iommu, IOMMU_EVENTQ_ALLOC_WAIT_READ, &queue);
	features->wait_read = !rc;
	if (rc == -EOPNOTSUPP)
		rc = fault_queue_alloc(iommu, 0, &queue);
	if (rc)
		return rc;
	features->inline_reads = reads_inline(queue.fd);
	features->multishot = has_multishot(ring);
	features->buffer_rings = has_buffer_rings(ring);
	queue_free(iommu, &queue);
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

unsigned int eventq_count_workers(void)
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
