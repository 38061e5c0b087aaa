// SPDX-License-Identifier: GPL-2.0-only
/* See inject.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inject.h"
#include "lib/eventq.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

int eq_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	long rc;

	if (fd < 0)
		return -errno;
	rc = EQ_RET(write(fd, text, strlen(text)));
	close(fd);
	return rc < 0 ? rc : 0;
}

int eq_read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	long rc;

	if (fd < 0)
		return -errno;
	rc = EQ_RET(read(fd, text, size - 1));
	close(fd);
	text[rc < 0 ? 0 : rc] = 0;
	return rc < 0 ? rc : 0;
}

int eq_injector_set(struct eq_injector *in, const char *path, const char *text)
{
	struct eq_injector_setting *s = &in->setting[in->nr_settings];
	int rc;

	if (in->nr_settings == ARRAY_SIZE(in->setting))
		return -ENOSPC;
	rc = eq_read_file(path, s->before, sizeof(s->before));
	if (!rc)
		rc = eq_write_file(path, text);
	if (rc)
		return rc;
	s->path = path;
	in->nr_settings++;
	return 0;
}

/* The last first: who is spared by a filter is spared up to the end. */
static void eq_injector_restore(struct eq_injector *in)
{
	struct eq_injector_setting *s;

	while (in->nr_settings) {
		s = &in->setting[--in->nr_settings];
		eq_write_file(s->path, s->before);
	}
}

static int eq_injector_open_files(struct eq_injector *in)
{
	in->task_fd = open("/proc/self/make-it-fail", O_WRONLY | O_CLOEXEC);
	in->filter_fd = open(EQ_INJECT "task-filter", O_WRONLY | O_CLOEXEC);
	in->space_fd = open(EQ_INJECT "space", O_WRONLY | O_CLOEXEC);
	in->nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	return in->task_fd < 0 || in->filter_fd < 0 || in->space_fd < 0 ||
	       in->nth_fd < 0 ? -errno : 0;
}

static void eq_injector_close_files(struct eq_injector *in)
{
	close(in->task_fd);
	close(in->filter_fd);
	close(in->space_fd);
	close(in->nth_fd);
}

int eq_injector_open(struct eq_injector *in)
{
	int rc;

	memset(in, 0, sizeof(*in));
	/* The filter first; there may be no kernel support for the last. */
	if (eq_injector_set(in, EQ_INJECT "task-filter", "Y") ||
	    eq_injector_set(in, EQ_INJECT "interval", "1") ||
	    eq_injector_set(in, EQ_INJECT "times", "-1") ||
	    eq_injector_set(in, EQ_INJECT "space", "0") ||
	    eq_injector_set(in, EQ_INJECT "verbose", "0") ||
	    eq_injector_set(in, EQ_INJECT "ignore-gfp-wait", "N") ||
	    eq_injector_set(in, EQ_INJECT "probability", "100")) {
		eq_injector_restore(in);
		return -EACCES;
	}
	eq_injector_set(in, EQ_INJECT_PAGES "min-order", "100");
	rc = eq_injector_open_files(in);
	if (rc) {
		eq_injector_close_files(in);
		eq_injector_restore(in);
	}
	return rc;
}

int eq_injector_add_pages(struct eq_injector *in)
{
	return eq_injector_set(in, EQ_INJECT_PAGES "task-filter", "Y") ||
	       eq_injector_set(in, EQ_INJECT_PAGES "interval", "1") ||
	       eq_injector_set(in, EQ_INJECT_PAGES "times", "-1") ||
	       eq_injector_set(in, EQ_INJECT_PAGES "space", "0") ||
	       eq_injector_set(in, EQ_INJECT_PAGES "verbose", "0") ||
	       eq_injector_set(in, EQ_INJECT_PAGES "ignore-gfp-wait", "N") ||
	       eq_injector_set(in, EQ_INJECT_PAGES "ignore-gfp-highmem", "N") ||
	       eq_injector_set(in, EQ_INJECT_PAGES "probability", "0") ||
	       eq_injector_set(in, EQ_INJECT_PAGES "min-order", "0") ? -ENOENT : 0;
}

int eq_inject(int fd, const char *text)
{
	return write(fd, text, strlen(text)) < 0 ? -1 : 0;
}

int eq_inject_number(int fd, unsigned int number)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	return eq_inject(fd, text);
}

void eq_injector_close(struct eq_injector *in)
{
	eq_inject(in->filter_fd, "Y");
	eq_inject(in->task_fd, "0");
	eq_injector_close_files(in);
	eq_injector_restore(in);
}

bool eq_nth_came(struct eq_injector *in)
{
	char text[16] = {};
	bool came = pread(in->nth_fd, text, sizeof(text) - 1, 0) > 0 &&
		    !strtoul(text, NULL, 10);

	return eq_inject_number(in->nth_fd, 0) ? false : came;
}
