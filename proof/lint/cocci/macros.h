/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What spatch has to be told of macros, as of standard.h of its own: else it
 * skips the functions that use them. Only macros that look like no C belong here.
 */
#define kunit_warning_suppress YACFE_ITERATOR
#define scoped_guard YACFE_ITERATOR
