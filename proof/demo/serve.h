/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Serving queues until there is a reason to stop: what a VMM's main loop does,
 * with printing in place of its page tables and guest. How the queues came to
 * be does not belong here.
 */
#ifndef EVENTQ_SERVE_H
#define EVENTQ_SERVE_H

#include "eventq_ioctl.h"
#include "eventq_vmm.h"

/* The types of the uAPI, and the mock's; NULL if there is none of that name. */
const struct eventq_type *event_type_find(const char *name);

/* Worker threads of io_uring in this process; inline requests need none. */
unsigned int count_workers(void);

struct server {
	/* Set by the caller, all others 0 */
	struct vmm_ring *ring;
	enum vmm_transport transport;
	__u32 response;		/* to all faults, IOMMUFD_PAGE_RESP_* */
	unsigned long count;	/* of records, then it stops; 0 is never */
	void (*more_summary)(void *arg);	/* adds to it, or NULL */
	void *arg;

	struct vmm_faults faults;
	struct vmm_vevents vevents;
	bool has_faults, has_vevents;
	const struct eventq_type *type;
	struct vmm_op signal_op;
	int signal_fd;
	int signal;		/* that came */
	int error;		/* of anything but the readers, */
	const char *failed;	/* and of what */
	unsigned long nr_groups, nr_faults, nr_events, nr_lost;
};

/*
 * From here on SIGINT and SIGTERM end server_run(). All that return int return
 * 0 or a negative errno.
 */
int server_start(struct server *server);
/* Arm the queue's read. */
int server_add_faults(struct server *server, int fd);
int server_add_vevents(struct server *server, int fd,
		       const struct eventq_type *type);
/* End server_run() with a complaint, if @rc is an error. */
void server_fail(struct server *server, const char *what, int rc);
/*
 * Serve until a signal, a failure, or @count records; then take the reads back
 * and print a summary. Returns an exit status.
 */
int server_run(struct server *server);
/* Also after a failure of any of these. The caller closes the queues. */
void server_end(struct server *server);

#endif
