/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory that stalls whoever touches it, by userfaultfd. Functions that return
 * int return 0 or a negative errno.
 */
#ifndef PROOF_SELFTESTS_LIB_STALL_H
#define PROOF_SELFTESTS_LIB_STALL_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#define EQ_NO_STALL "needs userfaultfd, and root"

struct eq_stall {
	int uffd;
	char *page;
	size_t len;
};

/* The first access stalls until eq_stall_fill() or eq_stall_break(). */
int eq_stall_init(struct eq_stall *stall);
/* As eq_stall_init(), but @data can be read from the page: writing stalls. */
int eq_stall_init_write(struct eq_stall *stall, const void *data, size_t len);
int eq_stall_protect(struct eq_stall *stall, bool on);
/* Wait until somebody stalls. */
bool eq_stall_hit(struct eq_stall *stall);
/* Let the access go on, with @data in the page. */
int eq_stall_fill(struct eq_stall *stall, const void *data, size_t len);
/* Let the access fail: the page is gone. */
int eq_stall_break(struct eq_stall *stall);

#endif
