// SPDX-License-Identifier: GPL-2.0-only
/// Find what may sleep, a copy from or to user space or an allocation, where
/// an event queue of iommufd is locked or on the way of a report to its queue.
///
// Confidence: Moderate
// Comments: Functions are followed into those of the same file that they call,
//           under the lock only as far as they drop none themselves. A guard()
//           counts as held up to the end of its function.
// Options: --no-includes --include-headers

virtual report

@initialize:python@
@@
# Functions, known by file and name: whom they call, which of them sleep before
# they drop a lock, and which drop one.
calls, sleepers, droppers = {}, set(), set()
# Where reports come in, by name or because they are found to be called then
entries = {"iommufd_iopf_report", "iommufd_viommu_report_event"}

def function(p):
    return p[0].file, p[0].current_element

def reached(where, starts, but=()):
    seen, left = set(), [(where, start) for start in starts]
    while left:
        fn = left.pop()
        if fn not in seen:
            seen.add(fn)
            if fn not in but:
                left += [(where, callee) for callee in calls.get(fn, ())]
    return seen

// ---- who calls whom, and who sleeps

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

@entry@
expression E;
identifier fn;
@@
(
E->report_event = \(fn\|&fn\)
|
E->iopf_handler = \(fn\|&fn\)
)

@script:python@
fn << entry.fn;
@@
entries.add(fn)

@sleep_before exists@
identifier fn;
identifier word =~ "^(_*copy_(struct_)?(to|from)_(user|iter)(_full)?|_*(clear|get|put)_user|iov_iter_zero|iommufd_ucmd_respond|_*k?v[mz]alloc|GFP_(KERNEL|KERNEL_ACCOUNT|USER|HIGHUSER)|IOMMUFD_EVENTQ_GFP)$";
position p;
@@
fn(...) {
... when != spin_unlock(...)
    when != spin_unlock_irq(...)
    when != spin_unlock_irqrestore(...)
    when any
word@p
... when any
}

@script:python@
p << sleep_before.p;
@@
sleepers.add(function(p))

// ---- on the way of a report

@sleep@
identifier word =~ "^(_*copy_(struct_)?(to|from)_(user|iter)(_full)?|_*(clear|get|put)_user|iov_iter_zero|iommufd_ucmd_respond|_*k?v[mz]alloc|GFP_(KERNEL|KERNEL_ACCOUNT|USER|HIGHUSER)|IOMMUFD_EVENTQ_GFP)$";
position p;
@@
word@p

@script:python depends on report@
p << sleep.p;
@@
if function(p) in reached(p[0].file, entries):
    coccilib.report.print_report(p[0], "may sleep on the way of a report to its queue")

// ---- under the lock

@locked exists@
expression E;
identifier take =~ "^(spin_lock(_irq|_irqsave|_bh)?|lockdep_assert_held|assert_spin_locked)$";
identifier word =~ "^(_*copy_(struct_)?(to|from)_(user|iter)(_full)?|_*(clear|get|put)_user|iov_iter_zero|iommufd_ucmd_respond|_*k?v[mz]alloc|GFP_(KERNEL|KERNEL_ACCOUNT|USER|HIGHUSER)|IOMMUFD_EVENTQ_GFP)$";
symbol spinlock, spinlock_irq, spinlock_irqsave;
position p;
@@
(
take(&\(E->wait.lock\|E.wait.lock\|E->veventqs_lock\), ...)
|
iommufd_eventq_assert_locked(...)
|
guard(\(spinlock\|spinlock_irq\|spinlock_irqsave\))(&\(E->wait.lock\|E.wait.lock\|E->veventqs_lock\))
)
... when != spin_unlock(...)
    when != spin_unlock_irq(...)
    when != spin_unlock_irqrestore(...)
    when any
word@p

@script:python depends on report@
p << locked.p;
@@
coccilib.report.print_report(p[0], "may sleep under the lock of an event queue")

@locked_call exists@
expression E;
identifier take =~ "^(spin_lock(_irq|_irqsave|_bh)?|lockdep_assert_held|assert_spin_locked)$";
identifier callee;
symbol spinlock, spinlock_irq, spinlock_irqsave;
position p;
@@
(
take(&\(E->wait.lock\|E.wait.lock\|E->veventqs_lock\), ...)
|
iommufd_eventq_assert_locked(...)
|
guard(\(spinlock\|spinlock_irq\|spinlock_irqsave\))(&\(E->wait.lock\|E.wait.lock\|E->veventqs_lock\))
)
... when != spin_unlock(...)
    when != spin_unlock_irq(...)
    when != spin_unlock_irqrestore(...)
    when any
callee@p(...)

@script:python depends on report@
callee << locked_call.callee;
p << locked_call.p;
@@
if reached(p[0].file, [callee], droppers) & sleepers:
    coccilib.report.print_report(p[0], "calls what may sleep under the lock of an event queue")
