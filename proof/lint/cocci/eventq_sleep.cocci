// SPDX-License-Identifier: GPL-2.0-only
/// Find what may sleep, a copy from or to user space or an allocation, where
/// an event queue of iommufd is locked or on the way of a report to its queue.
///
// Confidence: Moderate
// Comments: Functions are followed into those of the same file that they call,
//           under the lock only as far as they drop none themselves. A guard()
//           counts as held up to the end of its function. A lock is known by
//           its name, or as what a pointer of the same function is set to.
// Options: --no-includes --include-headers

virtual report

@initialize:python@
@@
import re

SLEEPS = re.compile(
    r"_*copy_(struct_)?(to|from)_(user|iter)(_full)?|_*(clear|get|put)_user"
    r"|v?memdup_(array_)?user(_nul)?|strndup_user|iov_iter_zero"
    r"|iommufd_ucmd_respond|_*k?v[mz]alloc"
    r"|GFP_(KERNEL|KERNEL_ACCOUNT|USER|HIGHUSER|NOFS|NOIO)|IOMMUFD_EVENTQ_GFP")
FLAGLESS = re.compile(r"kv?[mz]alloc_(obj|objs|flex)")
LOCK = re.compile(r"&.*((->|\.)wait\.lock|(->|\.)(events|source)(->|\.)lock)")

# Functions, known by file and name: whom they call, which of them sleep before
# they drop a lock, and which drop one.
calls, sleepers, droppers = {}, set(), set()
# Allocations without flags, by place; pointers to locks, by function and name
flagless, pointers = set(), set()
# Where reports come in, by name or because they are found to be called then
entries = {"iommufd_faultq_report", "iommufd_viommu_report_event", "iommufd_eventq_source_report"}

def function(p):
    return p[0].file, p[0].current_element

def place(p):
    return p[0].file, p[0].line, p[0].column

def may_sleep(word):
    return bool(SLEEPS.fullmatch(word) or FLAGLESS.fullmatch(word))

def sleeps(p, word):
    return SLEEPS.fullmatch(word) or place(p) in flagless

def reached(where, starts, but=()):
    seen, left = set(), [(where, start) for start in starts]
    while left:
        fn = left.pop()
        if fn not in seen:
            seen.add(fn)
            if fn not in but:
                left += [(where, callee) for callee in calls.get(fn, ())]
    return seen

def is_of_queue(p, lock):
    return LOCK.fullmatch(lock.replace(" ", "")) or function(p) + (lock,) in pointers

def check_under_lock(p, word, callee):
    if sleeps(p, word):
        coccilib.report.print_report(p[0], "may sleep under the lock of an event queue")
    elif callee and reached(p[0].file, [callee], droppers) & sleepers:
        coccilib.report.print_report(p[0], "calls what may sleep under the lock of an event queue")

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

// These take GFP_KERNEL unless they are told

@flagless@
identifier obj =~ "^kv?[mz]alloc_obj$";
identifier objs =~ "^kv?[mz]alloc_objs$";
identifier flex =~ "^kv?[mz]alloc_flex$";
expression E, N, M;
position p;
@@
(
obj@p(E)
|
objs@p(E, N)
|
flex@p(E, M, N)
)

@script:python@
p << flagless.p;
@@
flagless.add(place(p))

@sleep_before exists@
identifier fn;
identifier word : script:python() { may_sleep(word) };
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
word << sleep_before.word;
p << sleep_before.p;
@@
if sleeps(p, word):
    sleepers.add(function(p))

// ---- on the way of a report

@sleep@
identifier word : script:python() { may_sleep(word) };
position p;
@@
word@p

@script:python depends on report@
word << sleep.word;
p << sleep.p;
@@
if sleeps(p, word) and function(p) in reached(p[0].file, entries):
    coccilib.report.print_report(p[0], "may sleep on the way of a report to its queue")

// ---- under the lock

@pointer@
typedef spinlock_t;
expression E;
identifier l;
position p;
@@
(
spinlock_t *l = &\(E->wait.lock@p\|E.wait.lock@p\|E->events.lock@p\);
|
l = &\(E->wait.lock@p\|E.wait.lock@p\|E->events.lock@p\)
)

@script:python@
l << pointer.l;
p << pointer.p;
@@
pointers.add(function(p) + (l,))

@locked exists@
expression L;
identifier callee;
identifier word : script:python() { may_sleep(word) };
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
\(word@p\|callee@p(...)\)

@script:python depends on report@
lock << locked.L;
word << locked.word = "";
callee << locked.callee = "";
p << locked.p;
@@
if is_of_queue(p, lock):
    check_under_lock(p, word, callee)

@scoped exists@
iterator name scoped_guard;
expression L;
identifier callee;
identifier word : script:python() { may_sleep(word) };
symbol spinlock, spinlock_irq, spinlock_irqsave;
position p;
@@
scoped_guard(\(spinlock\|spinlock_irq\|spinlock_irqsave\), L) { <+... \(word@p\|callee@p(...)\) ...+> }

@script:python depends on report@
lock << scoped.L;
word << scoped.word = "";
callee << scoped.callee = "";
p << scoped.p;
@@
if is_of_queue(p, lock):
    check_under_lock(p, word, callee)
