/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's arm-smmu-v3, seen from outside: what it says of events in its own log,
 * and the thread that hands them out.
 *
 * Every helper that can fail returns a negative errno.
 */
#ifndef __HOST_H
#define __HOST_H

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/eventq.h"

/*
 * The log. It has the events that are no guest's and those that could not be handed
 * over; ten in five seconds, the others are left out.
 */

#define HOST_LOG_RECORD 8192

/* To be read from now on */
static inline int host_log_open(void)
{
	int fd = EQ_RET(open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC));

	if (fd >= 0 && lseek(fd, 0, SEEK_END) < 0)
		return -errno;
	return fd;
}

/* Is there an event in the log since it was read last? */
static inline bool host_log_has_event(int fd)
{
	char text[HOST_LOG_RECORD + 1];
	bool has = false;
	ssize_t len;

	while ((len = read(fd, text, HOST_LOG_RECORD)) > 0) {
		text[len] = 0;
		if (!strstr(text, "arm-smmu-v3") || !strstr(text, "received:"))
			continue;
		has = true;
		printf("# host: %.*s\n", (int)strcspn(text, "\n"), text);
	}
	return has;
}

/* The thread */

static inline bool host_is_event_thread(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char name[64] = "";

	if (fd < 0)
		return false;
	if (read(fd, name, sizeof(name) - 1) < 0)
		name[0] = 0;
	close(fd);
	return !strncmp(name, "irq/", 4) && strstr(name, "smmu-v3-evtq");
}

static inline pid_t host_event_thread(void)
{
	pid_t pid = -ENOENT;
	glob_t found;
	size_t i;

	if (glob("/proc/[0-9]*/comm", 0, NULL, &found))
		return -ENOENT;
	for (i = 0; i < found.gl_pathc && pid < 0; i++) {
		if (host_is_event_thread(found.gl_pathv[i]))
			pid = atoi(found.gl_pathv[i] + strlen("/proc/"));
	}
	globfree(&found);
	return pid;
}

/* The caller is from now on where the thread is, which waits whenever it runs. */
static inline int host_events_wait_for_me(pid_t thread)
{
	struct sched_param param = {};
	cpu_set_t cpus;
	int rc = EQ_RET(sched_getaffinity(thread, sizeof(cpus), &cpus));

	if (rc >= 0)
		rc = EQ_RET(sched_setaffinity(0, sizeof(cpus), &cpus));
	if (rc >= 0)
		rc = EQ_RET(sched_setscheduler(thread, SCHED_IDLE, &param));
	return rc < 0 ? rc : 0;
}

/* As the kernel has it: half-way up the real-time priorities */
static inline int host_events_come_first(pid_t thread)
{
	struct sched_param param = { .sched_priority = 50 };

	return EQ_RET(sched_setscheduler(thread, SCHED_FIFO, &param));
}

#endif
