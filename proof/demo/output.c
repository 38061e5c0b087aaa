// SPDX-License-Identifier: GPL-2.0-only
/*
 * Records as text or JSON, complaints: see output.h.
 */
#include <stdarg.h>
#include <stdio.h>

#include "output.h"

bool output_json;
static bool has_key;

static void json_string(FILE *out, const char *text)
{
	putc('"', out);
	for (; *text; text++) {
		unsigned char c = *text;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < ' ' || c > '~')
			fprintf(out, "\\u%04x", c);
		else
			putc(c, out);
	}
	putc('"', out);
}

void record_begin(const char *name)
{
	printf(output_json ? "{\"record\":\"%s\"" : "%s:", name);
	has_key = false;
}

static void record_key(const char *key)
{
	if (output_json)
		printf(",\"%s\":", key);
	else
		printf("%s %s ", has_key ? "," : "", key);
	has_key = true;
}

void record_number(const char *key, unsigned long value)
{
	record_key(key);
	printf("%lu", value);
}

void record_bool(const char *key, bool value)
{
	record_key(key);
	fputs(value ? "true" : "false", stdout);
}

void record_string(const char *key, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	record_key(key);
	if (output_json)
		json_string(stdout, text);
	else
		fputs(text, stdout);
}

void record_end(void)
{
	puts(output_json ? "}" : "");
}

int complain(const char *advice, const char *fmt, ...)
{
	char what[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	if (!output_json) {
		fprintf(stderr, PROGRAM ": %s; %s\n", what, advice);
		return EXIT_MISSING;
	}
	fprintf(stderr, "{\"record\":\"error\",\"error\":");
	json_string(stderr, what);
	fprintf(stderr, ",\"advice\":");
	json_string(stderr, advice);
	fprintf(stderr, "}\n");
	return EXIT_MISSING;
}

bool output_failed(void)
{
	return ferror(stdout);
}

int output_end(int status)
{
	if (!fflush(stdout) && !output_failed())
		return status;
	return complain("give it somewhere to write to",
			"cannot write all to standard output");
}
