// SPDX-License-Identifier: GPL-2.0-only
/*
 * What makes the tracepoints of the event queues, of the core and of all classes,
 * out of their header. No code belongs here.
 */
#include "eventq.h"

#define CREATE_TRACE_POINTS
#include <trace/events/iommufd.h>
