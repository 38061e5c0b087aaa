/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the modes of the demo share in talking to people and programs: records
 * as text or JSON, complaints, exit statuses. Nothing of iommufd here.
 */
#ifndef EVENTQ_OUTPUT_H
#define EVENTQ_OUTPUT_H

#include <stdbool.h>

#define PROGRAM "eventq_demo"

enum { EXIT_OK, EXIT_MISSING, EXIT_USAGE };

#define __printf(a, b) __attribute__((__format__(printf, a, b)))

/* One JSON object a line instead of text. */
extern bool output_json;

/* A line on stdout: "name: key value, key value" or a JSON object. */
void record_begin(const char *name);
void record_number(const char *key, unsigned long value);
void record_bool(const char *key, bool value);
void record_string(const char *key, const char *fmt, ...) __printf(2, 3);
void record_end(void);

/* On stderr: what is wrong, and what to do. Returns EXIT_MISSING. */
int complain(const char *advice, const char *fmt, ...) __printf(2, 3);

/* Not all of it could be written so far. */
bool output_failed(void);

/* @status, or EXIT_MISSING if not all output could be written. */
int output_end(int status);

#endif
