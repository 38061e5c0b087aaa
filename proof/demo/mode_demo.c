// SPDX-License-Identifier: GPL-2.0-only
/*
 * --demo: runs the scenarios and prints the table of what came of them. What
 * they do is in scenarios.c.
 */
#include <stdio.h>
#include <string.h>

#include "modes.h"
#include "output.h"
#include "scenarios.h"

struct column {
	const char *title;
	int width;
};

enum { COL_NR, COL_DONE, COL_SAW, COL_DEVICE, COL_VERDICT, NR_COLS };

static const struct column columns[NR_COLS] = {
	[COL_NR] = { "#", 1 },
	[COL_DONE] = { "what was done", 25 },
	[COL_SAW] = { "what the VMM saw", 25 },
	[COL_DEVICE] = { "what the device got", 19 },
	[COL_VERDICT] = { "", 7 },
};

/* How much of @text goes on a line of @width: whole words if possible. */
static int line_length(const char *text, int width)
{
	int len = strlen(text), i;

	if (len <= width)
		return len;
	for (i = width; i > 0; i--)
		if (text[i] == ' ')
			return i;
	return width;
}

static void print_row(const char *cell[NR_COLS])
{
	bool more = true;
	int i;

	while (more) {
		more = false;
		for (i = 0; i < NR_COLS; i++) {
			int len = line_length(cell[i], columns[i].width);

			printf("%s%-*.*s", i ? " " : "", columns[i].width, len,
			       cell[i]);
			cell[i] += len;
			while (*cell[i] == ' ')
				cell[i]++;
			more |= *cell[i];
		}
		putchar('\n');
	}
}

static void print_rule(void)
{
	int width = NR_COLS - 1, i;

	for (i = 0; i < NR_COLS; i++)
		width += columns[i].width;
	while (width--)
		putchar('-');
	putchar('\n');
}

static void print_head(void)
{
	const char *cell[NR_COLS];
	int i;

	for (i = 0; i < NR_COLS; i++)
		cell[i] = columns[i].title;
	print_rule();
	print_row(cell);
	print_rule();
}

static void print_scenario(size_t nr, const struct scenario *scenario,
			   const struct result *result)
{
	const char *cell[NR_COLS];
	char number[24];

	snprintf(number, sizeof(number), "%zu", nr);
	cell[COL_NR] = number;
	cell[COL_DONE] = scenario->done;
	cell[COL_SAW] = result->saw;
	cell[COL_DEVICE] = result->device;
	cell[COL_VERDICT] = result->ok ? "ok" : "MISSING";
	print_row(cell);
	print_rule();
}

static void record_scenario(size_t nr, const struct scenario *scenario,
			    const struct result *result)
{
	record_begin("scenario");
	record_number("scenario", nr);
	record_string("name", "%s", scenario->name);
	record_string("done", "%s", scenario->done);
	record_string("saw", "%s", result->saw);
	record_string("device", "%s", result->device);
	record_bool("ok", result->ok);
	record_end();
}

static void print_end(size_t nr_ok, size_t nr_missing)
{
	if (!output_json) {
		printf("%zu ok, %zu missing; ", nr_ok, nr_missing);
		printf("io_uring worker threads started: %u\n",
		       count_workers());
		return;
	}
	record_begin("demo");
	record_number("ok", nr_ok);
	record_number("missing", nr_missing);
	record_number("io_uring_workers", count_workers());
	record_end();
}

int mode_demo(const struct options *options, struct vmm_ring *ring)
{
	size_t nr_ok = 0, i;

	if (!output_json)
		print_head();
	for (i = 0; i < nr_scenarios; i++) {
		struct result result = {
			.ring = ring,
			.transport = options->transport,
		};

		run_scenario(&scenarios[i], &result);
		nr_ok += result.ok;
		if (output_json)
			record_scenario(i + 1, &scenarios[i], &result);
		else
			print_scenario(i + 1, &scenarios[i], &result);
	}
	print_end(nr_ok, nr_scenarios - nr_ok);
	return nr_ok == nr_scenarios ? EXIT_OK : EXIT_MISSING;
}
