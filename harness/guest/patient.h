/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Included in front of upstream's selftests, whose sources are not touched: the
 * 30 seconds that kselftest_harness.h gives a case, by a time limit of poll(),
 * are too few for a debug kernel without KVM. Nothing else may be here.
 */
#include <poll.h>

#define poll(fds, nr, ms) poll(fds, nr, (ms) > 0 ? (ms) * 10 : (ms))
