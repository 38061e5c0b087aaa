// SPDX-License-Identifier: GPL-2.0-only
/// Find an answer to a page fault that is sent while an event queue of iommufd
/// is locked: it calls the driver of the device.
///
// Confidence: Moderate
// Comments: Functions are followed into those of the same file that they call,
//           as far as they drop no lock themselves. A guard() counts as held
//           up to the end of its function. A lock is known by its name, or as
//           what a pointer of the same function is set to.
// Options: --no-includes --include-headers

virtual report

@initialize:python@
@@
import re

ANSWERS = ("iopf_group_response", "iommu_page_response")
LOCK = re.compile(r"&.*(->|\.)wait\.lock")

# Functions, known by file and name: whom they call, which of them answer before
# they drop a lock, and which drop one.
calls, answerers, droppers = {}, set(), set()
# Pointers to locks, by function and name
pointers = set()

def function(p):
    return p[0].file, p[0].current_element

def reached(where, start):
    seen, left = set(), [(where, start)]
    while left:
        fn = left.pop()
        if fn not in seen:
            seen.add(fn)
            if fn not in droppers:
                left += [(where, callee) for callee in calls.get(fn, ())]
    return seen

def is_of_queue(p, lock):
    return LOCK.fullmatch(lock.replace(" ", "")) or function(p) + (lock,) in pointers

def check_under_lock(p, callee):
    if callee in ANSWERS:
        coccilib.report.print_report(p[0], "answers a fault under the lock of an event queue")
    elif reached(p[0].file, callee) & answerers:
        coccilib.report.print_report(p[0], "calls what answers a fault under the lock of an event queue")

// ---- who calls whom, and who answers

@call@
identifier callee;
position p;
@@
callee@p(...)

@script:python@
callee << call.callee;
p << call.p;
@@
calls.setdefault(function(p), set()).add(callee)
if callee.startswith("spin_unlock"):
    droppers.add(function(p))

@answer_before exists@
identifier fn;
identifier answer = {iopf_group_response, iommu_page_response};
position p;
@@
fn(...) {
... when != spin_unlock(...)
    when != spin_unlock_irq(...)
    when != spin_unlock_irqrestore(...)
    when any
answer@p(...)
... when any
}

@script:python@
p << answer_before.p;
@@
answerers.add(function(p))

// ---- under the lock

@pointer@
typedef spinlock_t;
expression E;
identifier l;
position p;
@@
(
spinlock_t *l = &\(E->wait.lock@p\|E.wait.lock@p\);
|
l = &\(E->wait.lock@p\|E.wait.lock@p\)
)

@script:python@
l << pointer.l;
p << pointer.p;
@@
pointers.add(function(p) + (l,))

@locked exists@
expression L;
identifier callee;
identifier take =~ "^(spin_lock(_irq|_irqsave|_bh)?|lockdep_assert_held|assert_spin_locked)$";
symbol spinlock, spinlock_irq, spinlock_irqsave;
position p;
@@
(
take(L, ...)
|
guard(\(spinlock\|spinlock_irq\|spinlock_irqsave\))(L)
)
... when != spin_unlock(...)
    when != spin_unlock_irq(...)
    when != spin_unlock_irqrestore(...)
    when any
callee@p(...)

@script:python depends on report@
lock << locked.L;
callee << locked.callee;
p << locked.p;
@@
if is_of_queue(p, lock):
    check_under_lock(p, callee)

@scoped exists@
iterator name scoped_guard;
expression L;
identifier callee;
symbol spinlock, spinlock_irq, spinlock_irqsave;
position p;
@@
scoped_guard(\(spinlock\|spinlock_irq\|spinlock_irqsave\), L) { <+... callee@p(...) ...+> }

@script:python depends on report@
lock << scoped.L;
callee << scoped.callee;
p << scoped.p;
@@
if is_of_queue(p, lock):
    check_under_lock(p, callee)
