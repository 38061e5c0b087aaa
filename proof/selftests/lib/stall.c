// SPDX-License-Identifier: GPL-2.0-only
/* See stall.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/eventq_wait.h"
#include "stall.h"

/* Returns 0, or -errno where userfaultfd cannot be had. */
static int eq_stall_open(struct eq_stall *stall, __u64 mode)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = mode == UFFDIO_REGISTER_MODE_WP ?
			    UFFD_FEATURE_PAGEFAULT_FLAG_WP : 0,
	};
	struct uffdio_register area = { .mode = mode };

	memset(stall, 0, sizeof(*stall));
	stall->len = sysconf(_SC_PAGESIZE);
	stall->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (stall->uffd < 0 || ioctl(stall->uffd, UFFDIO_API, &api))
		return -errno;
	stall->page = mmap(NULL, stall->len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stall->page == MAP_FAILED)
		return -errno;
	area.range.start = (uintptr_t)stall->page;
	area.range.len = stall->len;
	return ioctl(stall->uffd, UFFDIO_REGISTER, &area) ? -errno : 0;
}

int eq_stall_init(struct eq_stall *stall)
{
	return eq_stall_open(stall, UFFDIO_REGISTER_MODE_MISSING);
}

int eq_stall_protect(struct eq_stall *stall, bool on)
{
	struct uffdio_writeprotect cmd = {
		.range = {
			.start = (uintptr_t)stall->page,
			.len = stall->len,
		},
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return ioctl(stall->uffd, UFFDIO_WRITEPROTECT, &cmd) ? -errno : 0;
}

int eq_stall_init_write(struct eq_stall *stall, const void *data, size_t len)
{
	int rc = eq_stall_open(stall, UFFDIO_REGISTER_MODE_WP);

	if (rc)
		return rc;
	memcpy(stall->page, data, len);
	return eq_stall_protect(stall, true);
}

bool eq_stall_hit(struct eq_stall *stall)
{
	struct pollfd pfd = { .fd = stall->uffd, .events = POLLIN };
	struct uffd_msg msg;

	return poll(&pfd, 1, EQ_DEADLINE_MS) == 1 &&
	       read(stall->uffd, &msg, sizeof(msg)) == sizeof(msg) &&
	       msg.event == UFFD_EVENT_PAGEFAULT;
}

int eq_stall_fill(struct eq_stall *stall, const void *data, size_t len)
{
	char *page = calloc(1, stall->len);
	struct uffdio_copy cmd = {
		.dst = (uintptr_t)stall->page,
		.src = (uintptr_t)page,
		.len = stall->len,
	};
	int rc;

	if (!page)
		return -ENOMEM;
	if (len)
		memcpy(page, data, len);
	rc = ioctl(stall->uffd, UFFDIO_COPY, &cmd) ? -errno : 0;
	free(page);
	return rc;
}

int eq_stall_break(struct eq_stall *stall)
{
	struct uffdio_range range = {
		.start = (uintptr_t)stall->page,
		.len = stall->len,
	};

	if (munmap(stall->page, stall->len))
		return -errno;
	return ioctl(stall->uffd, UFFDIO_WAKE, &range) ? -errno : 0;
}
