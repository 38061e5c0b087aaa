/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fault injection for the event queue selftests: allocations of this task that
 * fail, all of them or one. No test cases and nothing of iommufd here.
 */
#ifndef __IOMMUFD_EVENTQ_INJECT_H
#define __IOMMUFD_EVENTQ_INJECT_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "iommufd_eventq_utils.h"

static inline int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	long rc;

	if (fd < 0)
		return -errno;
	rc = RET(write(fd, text, strlen(text)));
	close(fd);
	return rc < 0 ? rc : 0;
}

#define INJECT "/sys/kernel/debug/failslab/"

/* Files are opened before: opening one allocates. */
struct injector {
	int task_fd;		/* "make-it-fail": allocations of this task */
	int filter_fd;		/* "task-filter": of such tasks only */
	int space_fd;		/* "space": so many bytes are still to be had */
	int nth_fd;		/* "fail-nth": only one, in so many */
};

static inline int injector_open(struct injector *in)
{
	if (write_file(INJECT "probability", "100") ||
	    write_file(INJECT "interval", "1") ||
	    write_file(INJECT "times", "-1") ||
	    write_file(INJECT "space", "0") ||
	    write_file(INJECT "verbose", "0") ||
	    write_file(INJECT "task-filter", "Y") ||
	    write_file(INJECT "ignore-gfp-wait", "N"))
		return -EACCES;
	in->task_fd = open("/proc/self/make-it-fail", O_WRONLY | O_CLOEXEC);
	in->filter_fd = open(INJECT "task-filter", O_WRONLY | O_CLOEXEC);
	in->space_fd = open(INJECT "space", O_WRONLY | O_CLOEXEC);
	in->nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	return in->task_fd < 0 || in->filter_fd < 0 || in->space_fd < 0 ||
	       in->nth_fd < 0 ? -errno : 0;
}

static inline int inject(int fd, const char *text)
{
	return write(fd, text, strlen(text)) < 0 ? -1 : 0;
}

static inline int inject_number(int fd, unsigned int number)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	return inject(fd, text);
}

static inline void injector_close(struct injector *in)
{
	inject(in->filter_fd, "Y");
	inject(in->task_fd, "0");
	write_file(INJECT "probability", "0");
	write_file(INJECT "space", "0");
	close(in->task_fd);
	close(in->filter_fd);
	close(in->space_fd);
	close(in->nth_fd);
}

/* The allocation that was to fail came; else it is called off. */
static inline bool nth_came(struct injector *in)
{
	char text[16] = {};
	bool came = pread(in->nth_fd, text, sizeof(text) - 1, 0) > 0 &&
		    !strtoul(text, NULL, 10);

	return inject_number(in->nth_fd, 0) ? false : came;
}

#define NO_INJECTION "needs FAILSLAB, its debugfs files, and root"

#endif
