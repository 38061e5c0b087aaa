// SPDX-License-Identifier: GPL-2.0-only
/// Find changes of what the core of iommufd's event queues alone may change:
/// the counters of a queue, that it is closed, and who waits for it. There are
/// helpers for that, iommufd_eventq_add() and its siblings. Find uses of a list
/// of one class, which its lock protects, in the file of another or elsewhere.
///
// Confidence: High
// Comments: The core is eventq.c and eventq.h. A queue is known by its type,
//           or by being the member "common" of what a class has. Whether a list
//           is empty anybody may ask.
// Options: --no-includes --include-headers

virtual report

@initialize:python@
@@
import os

CORE = ("eventq.c", "eventq.h")
# The lists that other files of iommufd could get at, and whose each is
OWNERS = {"queues": "eventq_ring.c", "faults": "eventq_iopf.c", "attach_node": "eventq_iopf.c"}
# Where somebody asks whether a list is empty, by place
questions = set()

def place(p):
    return p[0].file, p[0].line, p[0].column

def outside(p, *owners):
    return os.path.basename(p[0].file) not in (owners or CORE)

// Functions in which it is used cannot be read without being told of it

@changed@
iterator name scoped_guard;
struct iommufd_eventq *Q;
struct iommufd_eventq S;
expression E, X;
identifier f = {queued, closed, bytes};
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
position p;
@@
(
change@p(..., \(&Q->wait\|&S.wait\|&E->common.wait\|&E.common.wait\), ...)
|
change@p(..., \(Q->wait\|S.wait\|E->common.wait\|E.common.wait\), ...)
)

@script:python depends on report@
p << waiters.p;
@@
if outside(p):
    coccilib.report.print_report(p[0], "touches the waiters of an event queue outside the core")

@question@
struct iommufd_eventq *Q;
struct iommufd_eventq S;
struct iommufd_attach_handle *H;
expression E;
identifier empty = {list_empty, list_empty_careful};
position p;
@@
empty(&\(Q->wait.head@p\|S.wait.head@p\|E->common.wait.head@p\|E.common.wait.head@p\|E->queues@p\|E.queues@p\|E->attach_node@p\|H->faults@p\|to_iommufd_handle(...)->faults@p\))

@script:python@
p << question.p;
@@
questions.add(place(p))

@heads@
struct iommufd_eventq *Q;
struct iommufd_eventq S;
expression E;
position p;
@@
\(Q->wait.head@p\|S.wait.head@p\|E->common.wait.head@p\|E.common.wait.head@p\)

@script:python depends on report@
p << heads.p;
@@
if outside(p) and place(p) not in questions:
    coccilib.report.print_report(p[0], "touches the waiters of an event queue outside the core")

// A group of faults has a list of that name, too: that one is for all who see it

@lists@
struct iommufd_attach_handle *H;
struct iommufd_attach_handle S;
expression E;
identifier member = {queues, attach_node};
position p;
@@
(
E->member@p
|
E.member@p
|
H->faults@p
|
S.faults@p
|
to_iommufd_handle(...)->faults@p
)

@script:python depends on report@
member << lists.member = "faults";
p << lists.p;
@@
if outside(p, OWNERS[member]) and place(p) not in questions:
    coccilib.report.print_report(p[0], f"touches a list that belongs to {OWNERS[member]}")

// list_entry() and its like get the bare name

@node@
symbol attach_node;
position p;
@@
attach_node@p

@script:python depends on report@
p << node.p;
@@
if outside(p, OWNERS["attach_node"]):
    coccilib.report.print_report(p[0], f"touches a list that belongs to {OWNERS['attach_node']}")
