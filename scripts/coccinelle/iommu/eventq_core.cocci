// SPDX-License-Identifier: GPL-2.0-only
/// Find changes of what the core of iommufd's event queues alone may change:
/// the counters of a queue, that it is closed, and who waits for it. There are
/// helpers for that, iommufd_eventq_add() and its siblings.
///
// Confidence: High
// Comments: The core is eventq.c and eventq.h. A queue is known by its type,
//           or by being the member "common" of what a class has.
// Options: --no-includes --include-headers

virtual report

@initialize:python@
@@
import os

def outside(p):
    return os.path.basename(p[0].file) not in ("eventq.c", "eventq.h")

@changed@
struct iommufd_eventq *Q;
struct iommufd_eventq S;
expression E, X;
identifier f = {queued, closed, taken};
identifier store =~ "^(WRITE_ONCE|smp_store_(release|mb)|xchg|cmpxchg|swap)$";
assignment operator op;
position p;
@@
(
\(Q->f@p\|S.f@p\|E->common.f@p\|E.common.f@p\) op X
|
\(Q->f@p\|S.f@p\|E->common.f@p\|E.common.f@p\)++
|
\(Q->f@p\|S.f@p\|E->common.f@p\|E.common.f@p\)--
|
\(++\(Q->f@p\|S.f@p\|E->common.f@p\|E.common.f@p\)\|--\(Q->f@p\|S.f@p\|E->common.f@p\|E.common.f@p\)\)
|
store(\(Q->f@p\|S.f@p\|E->common.f@p\|E.common.f@p\), ...)
|
store(&\(Q->f@p\|S.f@p\|E->common.f@p\|E.common.f@p\), ...)
)

@script:python depends on report@
p << changed.p;
@@
if outside(p):
    coccilib.report.print_report(p[0], "changes what the core of the event queues counts")

@waiters@
struct iommufd_eventq *Q;
struct iommufd_eventq S;
expression E;
identifier change =~ "^(_*wake_up.*|_*(add|remove)_wait_queue.*|prepare_to_.*wait.*|finish_wait|poll_wait|init_waitqueue_head|_*wait_event.*|swap)$";
identifier list =~ "^(list_|hlist_|INIT_LIST_HEAD)";
position p;
@@
(
change@p(..., \(&Q->wait\|&S.wait\|&E->common.wait\|&E.common.wait\), ...)
|
change@p(..., \(Q->wait\|S.wait\|E->common.wait\|E.common.wait\), ...)
|
list@p(..., \(&Q->wait.head\|&S.wait.head\|&E->common.wait.head\|&E.common.wait.head\), ...)
)

@script:python depends on report@
p << waiters.p;
@@
if outside(p):
    coccilib.report.print_report(p[0], "touches the waiters of an event queue outside the core")
