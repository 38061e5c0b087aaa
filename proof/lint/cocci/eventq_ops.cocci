// SPDX-License-Identifier: GPL-2.0-only
/// Find classes of iommufd's event queues that lack an operation: the core
/// calls all but respond and show_fdinfo without a look whether they are there,
/// and needs response_size with respond.
///
// Confidence: High
// Options: --no-includes --include-headers

virtual report

@initialize:python@
@@
REQUIRED = ("file_name", "class", "stage", "settle", "close")
# What each class sets, by the place of its definition
given = {}

def place(p):
    return p[0].file, p[0].line, p[0].column

@sets@
identifier x, member;
expression E;
position p;
@@
struct iommufd_eventq_ops x@p = { ..., .member = E, ..., };

@script:python@
member << sets.member;
value << sets.E;
p << sets.p;
@@
if value not in ("NULL", "0"):
    given.setdefault(place(p), set()).add(member)

@definition@
identifier x;
position p;
@@
struct iommufd_eventq_ops x@p = { ... };

@script:python depends on report@
x << definition.x;
p << definition.p;
@@
has = given.get(place(p), set())
missing = [name for name in REQUIRED if name not in has]
if ("respond" in has) != ("response_size" in has):
    missing.append("response_size" if "respond" in has else "respond")
if missing:
    coccilib.report.print_report(p[0], f"{x} lacks .{', .'.join(missing)}")
