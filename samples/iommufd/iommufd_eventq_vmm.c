// SPDX-License-Identifier: GPL-2.0-only
/*
 * iommufd_eventq_vmm: a small VMM side of iommufd's event queues. Options, what
 * the kernel offers, and the table of results are here; the queues are served in
 * eventq_vmm.c, the demo is in scenarios.c.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "eventq_vmm.h"
#include "mock.h"
#include "scenarios.h"

#define PROGRAM "iommufd_eventq_vmm"

enum { EXIT_OK, EXIT_MISSING, EXIT_USAGE };

struct kernel {
	char release[65];
	bool wait_read;
};

static void usage(FILE *out)
{
	fprintf(out,
		"Usage: " PROGRAM " [--mock] [--json]\n"
		"Serves iommufd event queues (page faults, vIOMMU events) through io_uring.\n"
		"Without --mock it only says what this kernel offers.\n"
		"  --mock  make mock devices fault, serve them, print what came of it\n"
		"          (needs a kernel with CONFIG_IOMMUFD_TEST)\n"
		"  --json  one JSON object a line instead of text\n"
		"  --help  this text\n"
		"Exit status: 0 all there, 1 something missing, 2 bad option.\n");
}

static int complain(const char *what, const char *advice)
{
	fprintf(stderr, PROGRAM ": %s; %s\n", what, advice);
	return EXIT_MISSING;
}

/* What the kernel offers */

static int open_iommu(int *iommu)
{
	*iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (*iommu >= 0)
		return EXIT_OK;
	if (errno == EACCES || errno == EPERM)
		return complain("no permission for /dev/iommu",
				"run as root or as a user who may open it");
	return complain("cannot open /dev/iommu",
			"use a kernel with CONFIG_IOMMUFD (modprobe iommufd if it is a module)");
}

static int check_ring(void)
{
	struct vmm_ring ring;
	int rc = vmm_ring_init(&ring);

	if (!rc) {
		vmm_ring_exit(&ring);
		return EXIT_OK;
	}
	if (rc == -EPERM)
		return complain("io_uring is forbidden",
				"set the sysctl kernel.io_uring_disabled to 0");
	return complain("cannot make an io_uring",
			"use Linux 6.1 or newer with CONFIG_IO_URING");
}

/* Programs can probe for the flag: older kernels refuse every flag. */
static int probe_queue(int iommu, struct kernel *kernel)
{
	struct mock_queue queue;
	int rc = mock_fault_queue(iommu, IOMMU_EVENTQ_ALLOC_WAIT_READ, &queue);

	kernel->wait_read = !rc;
	if (rc == -EOPNOTSUPP)
		rc = mock_fault_queue(iommu, 0, &queue);
	if (rc == -ENOTTY)
		return complain("this kernel has no fault queues",
				"use Linux 6.11 or newer");
	if (rc)
		return complain("cannot allocate a fault queue", strerror(-rc));
	close(queue.fd);
	return EXIT_OK;
}

static int check_mock(int iommu)
{
	struct mock_device dev;
	__u32 ioas;
	int rc = mock_ioas(iommu, &ioas);

	if (!rc)
		rc = mock_device(iommu, ioas, &dev);
	if (!rc)
		return EXIT_OK;
	if (rc == -ENOTTY)
		return complain("this kernel has no mock device",
				"use one with CONFIG_IOMMUFD_TEST");
	return complain("cannot make a mock device", strerror(-rc));
}

static int check_kernel(bool mock, struct kernel *kernel)
{
	struct utsname name;
	int iommu, rc;

	uname(&name);
	snprintf(kernel->release, sizeof(kernel->release), "%s", name.release);
	rc = check_ring();
	if (!rc)
		rc = open_iommu(&iommu);
	if (rc)
		return rc;
	rc = probe_queue(iommu, kernel);
	if (!rc && mock)
		rc = check_mock(iommu);
	close(iommu);
	return rc;
}

/* io-wq workers show up as threads of ours; inline completion needs none. */
static unsigned int count_workers(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	unsigned int nr = 0;

	while (dir && (entry = readdir(dir))) {
		char path[300], comm[32] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm",
			 entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fgets(comm, sizeof(comm), file) &&
		    !strncmp(comm, "iou-wrk", 7))
			nr++;
		fclose(file);
	}
	if (dir)
		closedir(dir);
	return nr;
}

/* The table */

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

/* JSON: our texts have no control characters, so two escapes do. */

static void json_string(const char *key, const char *text)
{
	printf(",\"%s\":\"", key);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

static void json_scenario(size_t nr, const struct scenario *scenario,
			  const struct result *result)
{
	printf("{\"scenario\":%zu", nr);
	json_string("name", scenario->name);
	json_string("done", scenario->done);
	json_string("saw", result->saw);
	json_string("device", result->device);
	printf(",\"ok\":%s}\n", result->ok ? "true" : "false");
}

static void print_kernel(const struct kernel *kernel, bool json)
{
	if (json) {
		printf("{\"kernel\":\"%s\",\"wait_read_flag\":%s}\n",
		       kernel->release, kernel->wait_read ? "true" : "false");
		return;
	}
	printf("iommufd event queues on Linux %s; flag for waiting reads: %s\n",
	       kernel->release,
	       kernel->wait_read ? "offered" : "not offered (older kernel)");
}

static void print_end(size_t nr_ok, bool json)
{
	unsigned int workers = count_workers();

	if (json)
		printf("{\"ok\":%zu,\"missing\":%zu,\"io_uring_workers\":%u}\n",
		       nr_ok, nr_scenarios - nr_ok, workers);
	else
		printf("%zu ok, %zu missing; io_uring worker threads started: %u\n",
		       nr_ok, nr_scenarios - nr_ok, workers);
}

static int run_scenarios(bool json)
{
	size_t nr_ok = 0, i;

	if (!json)
		print_head();
	for (i = 0; i < nr_scenarios; i++) {
		struct result result = {};

		scenarios[i].run(&result);
		nr_ok += result.ok;
		if (json)
			json_scenario(i + 1, &scenarios[i], &result);
		else
			print_scenario(i + 1, &scenarios[i], &result);
		fflush(stdout);
	}
	print_end(nr_ok, json);
	return nr_ok == nr_scenarios ? EXIT_OK : EXIT_MISSING;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "mock", no_argument, NULL, 'm' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	bool mock = false, json = false;
	struct kernel kernel = {};
	int option, rc;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'm':
			mock = true;
			break;
		case 'j':
			json = true;
			break;
		case 'h':
			usage(stdout);
			return EXIT_OK;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, PROGRAM ": '%s' is no option; see --help\n",
			argv[optind]);
		return EXIT_USAGE;
	}

	rc = check_kernel(mock, &kernel);
	if (rc)
		return rc;
	print_kernel(&kernel, json);
	return mock ? run_scenarios(json) : EXIT_OK;
}
