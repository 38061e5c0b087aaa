/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fault injection: allocations of this task that fail, all of them or one.
 * Functions that return int return 0 or a negative errno.
 */
#ifndef PROOF_SELFTESTS_LIB_INJECT_H
#define PROOF_SELFTESTS_LIB_INJECT_H

#include <stdbool.h>
#include <stddef.h>

int eq_write_file(const char *path, const char *text);

/* At most @size - 1 bytes, as a string */
int eq_read_file(const char *path, char *text, size_t size);
#define EQ_INJECT "/sys/kernel/debug/failslab/"
#define EQ_INJECT_PAGES "/sys/kernel/debug/fail_page_alloc/"

/* One of the kernel's settings, and what it was before */
struct eq_injector_setting {
	const char *path;
	char before[24];
};

/* Files are opened before: opening one allocates. */
struct eq_injector {
	int task_fd;		/* "make-it-fail": allocations of this task */
	int filter_fd;		/* "task-filter": of such tasks only */
	int space_fd;		/* "space": so many bytes are still to be had */
	int nth_fd;		/* "fail-nth": only one, in so many */
	struct eq_injector_setting setting[20];
	unsigned int nr_settings;
};

int eq_injector_set(struct eq_injector *in, const char *path, const char *text);

/*
 * Slab allocations can be made to fail, and no others: those of pages depend on
 * what the slabs have at hand, so they would be different ones each time.
 */
int eq_injector_open(struct eq_injector *in);

/* Allocations of pages, too, of any kind and order; -ENOENT if they cannot. */
int eq_injector_add_pages(struct eq_injector *in);
int eq_inject(int fd, const char *text);
int eq_inject_number(int fd, unsigned int number);
void eq_injector_close(struct eq_injector *in);

/* Whether the allocation that was to fail came; else it is called off. */
bool eq_nth_came(struct eq_injector *in);

#define EQ_NO_INJECTION "needs FAILSLAB, its debugfs files, and root"
#define EQ_NO_PAGE_INJECTION "needs FAIL_PAGE_ALLOC, its debugfs files, and root"

#endif
