/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Library of the event queue selftests: Linux AIO, which may block in
 * io_submit(). Functions that can fail return a negative errno.
 */
#ifndef SELFTESTS_IOMMU_LIB_EVENTQ_AIO_H
#define SELFTESTS_IOMMU_LIB_EVENTQ_AIO_H

#include <linux/aio_abi.h>
#include <stddef.h>

#include "eventq_wait.h"

void eq_aio_prep(struct iocb *iocb, int opcode, int fd, void *buf, size_t len);
long eq_aio_submit(aio_context_t ctx, long nr, struct iocb **list);
/* The result of the next request that completes, or -ETIME */
long eq_aio_result(aio_context_t ctx, unsigned int ms, struct iocb **iocb);
/* A whole read: the error of io_submit() if it fails, else the result */
long eq_aio_read(struct eq_io *io, int rw_flags);

#endif
