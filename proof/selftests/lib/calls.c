// SPDX-License-Identifier: GPL-2.0-only
/* See calls.h. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"

long eq_job_write(void *arg)
{
	struct eq_io *io = arg;
	ssize_t ret = write(io->fd, io->buf, io->len);

	return ret < 0 ? -errno : ret;
}

long eq_job_ioctl(void *arg)
{
	struct eq_ioctl *io = arg;

	return ioctl(io->fd, io->request, io->arg) < 0 ? -errno : 0;
}

long eq_act_vevent(void *arg)
{
	struct eq_act *act = arg;

	return eq_raise_vevents(act->w, 1);
}

long eq_act_replace(void *arg)
{
	struct eq_act *act = arg;

	return eq_replace(act->w->iommu, &act->w->dev[act->dev], act->arg);
}

long eq_act_accept(void *arg)
{
	struct eq_act *act = arg;

	return eq_respond(act->w->queue.fd, act->arg, IOMMUFD_PAGE_RESP_SUCCESS);
}

long eq_act_read_nowait(void *arg)
{
	struct eq_act *act = arg;
	char buf[4096];

	return eq_read_nowait(act->w->queue.fd, buf, sizeof(buf));
}

long eq_job_poll(void *arg)
{
	struct pollfd *pfd = arg;

	return poll(pfd, 1, 0) < 0 ? -errno : pfd->revents;
}

long eq_job_close(void *arg)
{
	return close(*(int *)arg) ? -errno : 0;
}

long eq_job_waitpid(void *arg)
{
	pid_t pid = *(pid_t *)arg;

	return EQ_RET(waitpid(pid, NULL, 0));
}

pid_t eq_fork(void)
{
	pid_t pid = fork();

	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

bool eq_child_waits(pid_t pid)
{
	unsigned int ms;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (ms = 0; ms < EQ_DEADLINE_MS; ms++) {
		FILE *file = fopen(path, "r");
		char state = 0;
		int nr;

		if (!file)
			return false;
		nr = fscanf(file, "%*d %*s %c", &state);
		fclose(file);
		if (nr == 1 && state == 'S')
			return true;
		usleep(1000);
	}
	return false;
}

int eq_child_status(pid_t pid)
{
	int status = -ECHILD;
	unsigned int ms;

	for (ms = 0; ms < EQ_DEADLINE_MS; ms++) {
		if (waitpid(pid, &status, WNOHANG))
			return status;
		usleep(1000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -ETIME;
}

int eq_world_queue(struct eq_world *w, bool viommu, __u32 flags)
{
	return viommu ? eq_world_vevent_queue(w, flags, EQ_DEPTH) :
			eq_world_fault_queue(w, flags);
}

int eq_raise_one(struct eq_world *w, bool viommu)
{
	return viommu ? eq_raise_vevents(w, 1) : eq_raise_fault(w, 0, 1);
}

long eq_next_id(struct eq_world *w)
{
	__u32 id;
	int rc = eq_ioas(w->iommu, &id);

	return rc ? rc : eq_destroy(w->iommu, id) ?: (long)id;
}

long eq_read_vector(int fd, void *buf, size_t len)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };

	return EQ_RET(readv(fd, &iov, 1));
}
