// SPDX-License-Identifier: GPL-2.0-only
/* Library of the event queue selftests: see eventq_aio.h. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "eventq_aio.h"

void eq_aio_prep(struct iocb *iocb, int opcode, int fd, void *buf,
		 size_t len)
{
	memset(iocb, 0, sizeof(*iocb));
	iocb->aio_lio_opcode = opcode;
	iocb->aio_fildes = fd;
	iocb->aio_buf = (uintptr_t)buf;
	iocb->aio_nbytes = len;
}

long eq_aio_submit(aio_context_t ctx, long nr, struct iocb **list)
{
	return EQ_RET(syscall(SYS_io_submit, ctx, nr, list));
}

long eq_aio_result(aio_context_t ctx, unsigned int ms, struct iocb **iocb)
{
	struct timespec ts = { .tv_sec = ms / 1000 };
	struct io_event event;
	long rc = EQ_RET(syscall(SYS_io_getevents, ctx, 1, 1, &event, &ts));

	if (rc < 0)
		return rc;
	if (rc && iocb)
		*iocb = (struct iocb *)(uintptr_t)event.obj;
	return rc ? (long)event.res : -ETIME;
}

long eq_aio_read(struct eq_io *io, int rw_flags)
{
	struct iocb iocb, *list = &iocb;
	aio_context_t ctx = 0;
	long ret;

	if (syscall(SYS_io_setup, 1, &ctx))
		return -errno;
	eq_aio_prep(&iocb, IOCB_CMD_PREAD, io->fd, io->buf, io->len);
	iocb.aio_rw_flags = rw_flags;
	ret = eq_aio_submit(ctx, 1, &list);
	if (ret == 1)
		ret = eq_aio_result(ctx, EQ_DEADLINE_MS, NULL);
	syscall(SYS_io_destroy, ctx);
	return ret;
}
