/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The demo's scenarios: what each does, and what came of it as text for people.
 * No printing here.
 */
#ifndef EVENTQ_SCENARIOS_H
#define EVENTQ_SCENARIOS_H

#include "eventq_vmm.h"

struct result {
	/* How it is to be done */
	struct vmm_ring *ring;
	enum vmm_transport transport;
	char saw[256];		/* what the VMM got from the queue */
	char device[256];	/* what the device got from the VMM */
	bool ok;
};

struct demo;

struct scenario {
	const char *name;
	const char *done;	/* what is done */
	bool (*run)(struct demo *demo);
};

void run_scenario(const struct scenario *scenario, struct result *result);

extern const struct scenario scenarios[];
extern const size_t nr_scenarios;

#endif
