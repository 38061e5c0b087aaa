/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls for jobs and for EQ_ASSERT_PROMPT(); children; what else the long tails do
 * to a world. Functions that can fail return a negative errno, unless they return
 * bool.
 */
#ifndef PROOF_SELFTESTS_LIB_CALLS_H
#define PROOF_SELFTESTS_LIB_CALLS_H

#include "lib/eventq_wait.h"

/* Calls, by the type of their argument */

long eq_job_write(void *eq_io);

struct eq_ioctl {
	int fd;
	unsigned long request;
	void *arg;
};

long eq_job_ioctl(void *eq_ioctl);

struct eq_act {
	struct eq_world *w;
	unsigned int dev;
	__u32 arg;		/* a page table's ID, or a cookie */
};

long eq_act_vevent(void *eq_act);
long eq_act_replace(void *eq_act);
long eq_act_accept(void *eq_act);
long eq_act_read_nowait(void *eq_act);

long eq_job_poll(void *pollfd);
long eq_job_close(void *fd);
long eq_job_waitpid(void *pid);

/* Children */

/* As fork(), but the child does not outlive a test that fails. */
pid_t eq_fork(void);
/* Wait until a child sleeps. No program here has a blank in its name. */
bool eq_child_waits(pid_t pid);
/* The wait status of a child that has to end by itself, or -ETIME */
int eq_child_status(pid_t pid);

/* A world, and a queue's file */

int eq_world_queue(struct eq_world *w, bool viommu, __u32 flags);
int eq_raise_one(struct eq_world *w, bool viommu);
/* The ID that the next object gets: an ID that leaked is not free. */
long eq_next_id(struct eq_world *w);
long eq_read_vector(int fd, void *buf, size_t len);

#endif
