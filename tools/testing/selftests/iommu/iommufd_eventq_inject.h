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

/* At most @size - 1 bytes, as a string */
static inline int read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	long rc;

	if (fd < 0)
		return -errno;
	rc = RET(read(fd, text, size - 1));
	close(fd);
	text[rc < 0 ? 0 : rc] = 0;
	return rc < 0 ? rc : 0;
}

#define INJECT "/sys/kernel/debug/failslab/"
#define INJECT_PAGES "/sys/kernel/debug/fail_page_alloc/"

/* One of the kernel's settings, and what it was before */
struct injector_setting {
	const char *path;
	char before[24];
};

/* Files are opened before: opening one allocates. */
struct injector {
	int task_fd;		/* "make-it-fail": allocations of this task */
	int filter_fd;		/* "task-filter": of such tasks only */
	int space_fd;		/* "space": so many bytes are still to be had */
	int nth_fd;		/* "fail-nth": only one, in so many */
	struct injector_setting setting[20];
	unsigned int nr_settings;
};

static inline int injector_set(struct injector *in, const char *path,
			       const char *text)
{
	struct injector_setting *s = &in->setting[in->nr_settings];
	int rc;

	if (in->nr_settings == ARRAY_SIZE(in->setting))
		return -ENOSPC;
	rc = read_file(path, s->before, sizeof(s->before));
	if (!rc)
		rc = write_file(path, text);
	if (rc)
		return rc;
	s->path = path;
	in->nr_settings++;
	return 0;
}

/* The last first: who is spared by a filter is spared up to the end. */
static inline void injector_restore(struct injector *in)
{
	struct injector_setting *s;

	while (in->nr_settings) {
		s = &in->setting[--in->nr_settings];
		write_file(s->path, s->before);
	}
}

static inline int injector_open_files(struct injector *in)
{
	in->task_fd = open("/proc/self/make-it-fail", O_WRONLY | O_CLOEXEC);
	in->filter_fd = open(INJECT "task-filter", O_WRONLY | O_CLOEXEC);
	in->space_fd = open(INJECT "space", O_WRONLY | O_CLOEXEC);
	in->nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	return in->task_fd < 0 || in->filter_fd < 0 || in->space_fd < 0 ||
	       in->nth_fd < 0 ? -errno : 0;
}

static inline void injector_close_files(struct injector *in)
{
	close(in->task_fd);
	close(in->filter_fd);
	close(in->space_fd);
	close(in->nth_fd);
}

/*
 * Slab allocations can be made to fail, and no others: those of pages depend on
 * what the slabs have at hand, so they would be different ones each time.
 */
static inline int injector_open(struct injector *in)
{
	int rc;

	memset(in, 0, sizeof(*in));
	/* The filter first; there may be no kernel support for the last. */
	if (injector_set(in, INJECT "task-filter", "Y") ||
	    injector_set(in, INJECT "interval", "1") ||
	    injector_set(in, INJECT "times", "-1") ||
	    injector_set(in, INJECT "space", "0") ||
	    injector_set(in, INJECT "verbose", "0") ||
	    injector_set(in, INJECT "ignore-gfp-wait", "N") ||
	    injector_set(in, INJECT "probability", "100")) {
		injector_restore(in);
		return -EACCES;
	}
	injector_set(in, INJECT_PAGES "min-order", "100");
	rc = injector_open_files(in);
	if (rc) {
		injector_close_files(in);
		injector_restore(in);
	}
	return rc;
}

/* Allocations of pages, too, of any kind and order; -ENOENT if they cannot. */
static inline int injector_add_pages(struct injector *in)
{
	return injector_set(in, INJECT_PAGES "task-filter", "Y") ||
	       injector_set(in, INJECT_PAGES "interval", "1") ||
	       injector_set(in, INJECT_PAGES "times", "-1") ||
	       injector_set(in, INJECT_PAGES "space", "0") ||
	       injector_set(in, INJECT_PAGES "verbose", "0") ||
	       injector_set(in, INJECT_PAGES "ignore-gfp-wait", "N") ||
	       injector_set(in, INJECT_PAGES "ignore-gfp-highmem", "N") ||
	       injector_set(in, INJECT_PAGES "probability", "0") ||
	       injector_set(in, INJECT_PAGES "min-order", "0") ? -ENOENT : 0;
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
	injector_close_files(in);
	injector_restore(in);
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
#define NO_PAGE_INJECTION "needs FAIL_PAGE_ALLOC, its debugfs files, and root"

#endif
