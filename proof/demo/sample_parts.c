// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the part of samples/iommufd that a VMM can copy, eventq_vmm.[ch], with
 * data that no queue returns in a test: sequences that wrap, broken records,
 * writes that fail. A pipe stands for the queue there. test-demo runs this.
 * usage: sample_parts TRANSPORT... (that queues of this kernel can be read by)
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "eventq_ioctl.h"
#include "eventq_probe.h"
#include "mock.h"

/* For what must happen: a debug kernel under emulation is slow. */
#define DEADLINE_MS 30000
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static enum vmm_transport transport;
static const char *test;
static int failures;

static void check_at(int line, bool ok, const char *fmt, ...)
{
	va_list args;

	if (ok)
		return;
	failures++;
	printf("line %d, %s, %s: ", line, eventq_transport_name(transport), test);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}

#define check(ok, ...) check_at(__LINE__, ok, __VA_ARGS__)

static void equal_at(int line, const char *what, long long got,
		     long long wanted)
{
	check_at(line, got == wanted, "%s is %lld, not %lld", what, got,
		 wanted);
}

#define equal(got, wanted) equal_at(__LINE__, #got, got, wanted)

/* What the callbacks were told, as words */
static char told[4096];

static void tell(const char *fmt, ...)
{
	size_t len = strlen(told);
	va_list args;

	va_start(args, fmt);
	vsnprintf(told + len, sizeof(told) - len, fmt, args);
	va_end(args);
}

static void event(void *arg, __u32 sequence, const void *data)
{
	__u32 payload;

	(void)arg;
	memcpy(&payload, data, sizeof(payload));
	tell(payload == ~sequence ? "%u " : "%u? ", sequence);
}

static void lost(void *arg, __u32 nr, bool at_tail)
{
	(void)arg;
	tell(at_tail ? "LOST%u " : "gap%u ", nr);
}

static struct vmm_ring ring;
static struct vmm_faults faults;
static struct vmm_vevents vevents;
static int pipe_fds[2];

static void start(void)
{
	told[0] = 0;
	if (pipe(pipe_fds) || vmm_ring_init(&ring) ||
	    vmm_faults_init(&faults, &ring, pipe_fds[0], transport) ||
	    vmm_vevents_init(&vevents, &ring, pipe_fds[0], transport,
			     sizeof(__u32))) {
		printf("cannot set up a test: %s\n", strerror(errno));
		exit(1);
	}
	vevents.event = event;
	vevents.lost = lost;
}

static void end(void)
{
	equal(vmm_faults_stop(&faults), 0);
	equal(vmm_reader_disarm(&vevents.reader), 0);
	vmm_faults_exit(&faults);
	vmm_vevents_exit(&vevents);
	vmm_ring_exit(&ring);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

/* What does not come at all may not come in other tests either. */
static void give_up(const char *what)
{
	check(false, "%s, after '%s'", what, told);
	exit(1);
}

static void run(bool (*stop)(void *arg), void *arg)
{
	int rc = vmm_ring_run(&ring, stop, arg, DEADLINE_MS);

	if (rc)
		give_up(strerror(-rc));
}

static void bring(const void *data, size_t len)
{
	equal(write(pipe_fds[1], data, len), (ssize_t)len);
}

/* The highest sequence; and, added to one, a LOST header of it */
#define LAST ((__u32)INT_MAX)
#define LOST (LAST + 1)

static void bring_record(__u32 record)
{
	struct {
		struct iommufd_vevent_header header;
		__u32 payload;
	} event = { .header.sequence = record & ~LOST };

	if (record & LOST)
		event.header.flags = IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
	event.payload = ~event.header.sequence;
	bring(&event, record & LOST ? sizeof(event.header) : sizeof(event));
}

/* Sequences */

static const struct {
	const char *name;
	__u32 expected;		/* by what came before */
	__u32 records[6];
	size_t nr;
	const char *told;
	__u32 next;
} streams[] = {
	{ "first event", 0, { 0 }, 1, "0 ", 1 },
	{ "first event after lost ones", 0, { 5, 6 }, 2, "gap5 5 6 ", 7 },
	{ "first is lost", 0, { LOST }, 1, "LOST1 ", 1 },
	{ "first ten are lost", 0, { LOST | 9, 10 }, 2, "LOST10 10 ", 11 },
	{ "gap of one", 7, { 8 }, 1, "gap1 8 ", 9 },
	{ "LOST, told again, then an event", 3, { 3, LOST | 4, LOST | 8, 9 }, 4,
	  "3 LOST1 LOST4 9 ", 10 },
	{ "LOST, then a gap", 0, { 0, LOST | 2, 5 }, 3,
	  "0 LOST2 gap2 5 ", 6 },
	{ "wrap", LAST - 1, { LAST - 1, LAST, 0, 1 }, 4,
	  "2147483646 2147483647 0 1 ", 2 },
	{ "wrap just behind", LAST, { LAST }, 1, "2147483647 ", 0 },
	{ "gap up to the wrap", LAST - 2, { LAST - 2, 0 }, 2,
	  "2147483645 gap2 0 ", 1 },
	{ "gap from the wrap", LAST, { LAST, 2 }, 2, "2147483647 gap2 2 ", 3 },
	{ "gap across the wrap", LAST - 1, { 3 }, 1, "gap5 3 ", 4 },
	{ "LOST up to the wrap", LAST - 1, { LOST | LAST, 0 }, 2,
	  "LOST2 0 ", 1 },
	{ "LOST from the wrap", 0, { LOST, 1 }, 2, "LOST1 1 ", 2 },
	{ "LOST across the wrap", LAST, { LAST, LOST | 0, LOST | 2, 3 }, 4,
	  "2147483647 LOST1 LOST2 3 ", 4 },
	{ "LOST before and behind the wrap", LAST - 1,
	  { LOST | (LAST - 1), LOST | 3, 5 }, 3, "LOST1 LOST5 gap1 5 ", 6 },
	{ "nearly all are lost", 1, { 0 }, 1, "gap2147483647 0 ", 1 },
	{ "all are lost", 0, { LOST | LAST }, 1, "LOST2147483648 ", 0 },
};

static size_t told_wanted;

static bool all_told(void *arg)
{
	(void)arg;
	return strlen(told) >= told_wanted || vevents.reader.error;
}

static void test_streams(void)
{
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(streams); i++) {
		test = streams[i].name;
		start();
		vevents.expected = streams[i].expected;
		for (j = 0; j < streams[i].nr; j++)
			bring_record(streams[i].records[j]);
		told_wanted = strlen(streams[i].told);
		equal(vmm_reader_arm(&vevents.reader), 0);
		run(all_told, NULL);
		check(!strcmp(told, streams[i].told), "'%s', not '%s'", told,
		      streams[i].told);
		equal(vevents.expected, streams[i].next);
		equal(vevents.reader.error, 0);
		end();
	}
}

/* Broken records */

static bool has_error(void *arg)
{
	return ((struct vmm_reader *)arg)->error;
}

static void expect_error(struct vmm_reader *reader, int error)
{
	equal(vmm_reader_arm(reader), 0);
	run(has_error, reader);
	equal(reader->error, error);
}

static void test_broken_event(void)
{
	size_t whole = sizeof(struct iommufd_vevent_header) + sizeof(__u32);
	char zeros[16] = "";
	size_t len;

	test = "broken event";
	for (len = 1; len < whole; len++) {
		start();
		bring_record(0);
		bring_record(1);
		bring(zeros, len);
		expect_error(&vevents.reader, -EPROTO);
		check(!strncmp(told, "0 1 ", 4) && !strstr(told, "?"),
		      "'%s'", told);
		end();
	}
}

static void group(void *arg, const struct iommu_hwpt_pgfault *fault, size_t nr)
{
	(void)arg;
	tell("%u*%zu ", fault->cookie, nr);
}

static const struct iommu_hwpt_pgfault three_faults[] = {
	{ .cookie = 7 },
	{ .cookie = 7, .flags = IOMMU_PGFAULT_FLAGS_LAST_PAGE },
	{ .cookie = 8, .flags = IOMMU_PGFAULT_FLAGS_LAST_PAGE },
};

static void test_broken_group(void)
{
	struct iommu_hwpt_pgfault split[ARRAY_SIZE(three_faults)];

	test = "broken group";
	start();
	faults.group = group;
	bring(three_faults, sizeof(three_faults) - 1);
	expect_error(&faults.reader, -EPROTO);
	end();

	start();
	faults.group = group;
	memcpy(split, three_faults, sizeof(split));
	split[2].flags = 0;
	bring(split, sizeof(split));
	expect_error(&faults.reader, -EPROTO);
	check(!strcmp(told, "7*2 "), "'%s'", told);
	end();
}

/*
 * An epoll instance can be polled, and refuses any read with -EINVAL: as a queue does
 * whose first group does not fit, however large the buffer gets.
 */
static void test_too_large_group(void)
{
	struct epoll_event ready = { .events = EPOLLIN };
	int epoll = epoll_create1(0);

	test = "too large group";
	start();
	bring("", 1);
	equal(epoll_ctl(epoll, EPOLL_CTL_ADD, dup(pipe_fds[0]), &ready), 0);
	equal(dup2(epoll, pipe_fds[0]), pipe_fds[0]);
	close(epoll);
	expect_error(&faults.reader, -EMSGSIZE);
	end();
}

/* Responses */

static void respond(void *arg, const struct iommu_hwpt_pgfault *fault, size_t nr)
{
	(void)arg;
	(void)nr;
	equal(vmm_faults_respond(&faults, fault->cookie,
				 IOMMUFD_PAGE_RESP_SUCCESS), 0);
}

/* Nothing can be written to a pipe's end for reading: no response may be lost. */
static void test_failing_write(void)
{
	struct iommu_hwpt_page_response responses[3];
	int out[2];

	test = "failing write";
	start();
	faults.group = respond;
	bring(three_faults, sizeof(three_faults));
	expect_error(&faults.reader, -EBADF);
	check(!vmm_faults_sent(&faults), "sent nowhere");
	equal(faults.responded, 0);
	equal(vmm_faults_respond(&faults, 9, IOMMUFD_PAGE_RESP_INVALID), 0);

	equal(pipe2(out, O_NONBLOCK), 0);
	equal(vmm_reader_disarm(&faults.reader), 0);
	faults.reader.fd = out[1];
	equal(vmm_faults_stop(&faults), 0);
	check(vmm_faults_sent(&faults), "not sent");
	equal(faults.responded, 3);
	equal(faults.stale, 0);
	memset(responses, 0, sizeof(responses));
	equal(read(out[0], responses, sizeof(responses)),
	      (ssize_t)sizeof(responses));
	equal(responses[0].cookie, 7);
	equal(responses[0].code, IOMMUFD_PAGE_RESP_SUCCESS);
	equal(responses[1].cookie, 8);
	equal(responses[2].cookie, 9);
	equal(responses[2].code, IOMMUFD_PAGE_RESP_INVALID);
	equal(read(out[0], responses, 1), -1);
	end();
	close(out[0]);
	close(out[1]);
}

static __u32 cookies[3];
static size_t nr_cookies;

static void keep_cookie(void *arg, const struct iommu_hwpt_pgfault *fault,
			size_t nr)
{
	(void)arg;
	(void)nr;
	if (nr_cookies < ARRAY_SIZE(cookies))
		cookies[nr_cookies] = fault->cookie;
	nr_cookies++;
}

static bool all_kept(void *arg)
{
	(void)arg;
	return nr_cookies >= ARRAY_SIZE(cookies) || faults.reader.error;
}

/* Of three faults the detached device's are the first and the last. */
static void serve_detached(struct mock_setup *setup, struct mock_device *other,
			   struct eventq *queue)
{
	__u32 hwpt[2], i;

	equal(eventq_hwpt_alloc(setup->iommu, setup->fault_dev.dev_id,
				setup->ioas, queue, &hwpt[0]), 0);
	equal(eventq_hwpt_alloc(setup->iommu, other->dev_id, setup->ioas, queue,
				&hwpt[1]), 0);
	equal(mock_attach(setup->iommu, setup->fault_dev.stdev_id, hwpt[0]), 0);
	equal(mock_attach(setup->iommu, other->stdev_id, hwpt[1]), 0);
	equal(mock_fault_group(setup->iommu, &setup->fault_dev, 1, 1), 0);
	equal(mock_fault_group(setup->iommu, other, 2, 1), 0);
	equal(mock_fault_group(setup->iommu, &setup->fault_dev, 3, 1), 0);
	equal(vmm_reader_arm(&faults.reader), 0);
	run(all_kept, NULL);
	equal(mock_attach(setup->iommu, setup->fault_dev.stdev_id,
			  setup->ioas), 0);
	for (i = 0; i < ARRAY_SIZE(cookies); i++)
		equal(vmm_faults_respond(&faults, cookies[i],
					 IOMMUFD_PAGE_RESP_SUCCESS), 0);
	equal(vmm_faults_stop(&faults), 0);
}

static void test_stale_answers(void)
{
	struct mock_setup setup = { .iommu = open("/dev/iommu", O_RDWR) };
	struct mock_device other;
	struct eventq queue;

	test = "stale responses";
	nr_cookies = 0;
	equal(mock_setup(&setup), 0);
	equal(mock_device(setup.iommu, setup.ioas, &other), 0);
	equal(eventq_fault_alloc(setup.iommu, 0, &queue), 0);
	start();
	vmm_faults_exit(&faults);
	equal(vmm_faults_init(&faults, &ring, queue.fd, transport), 0);
	faults.group = keep_cookie;
	serve_detached(&setup, &other, &queue);
	equal(nr_cookies, ARRAY_SIZE(cookies));
	check(vmm_faults_sent(&faults), "not sent");
	equal(faults.responded, 1);
	equal(faults.stale, 2);
	equal(faults.reader.error, 0);
	end();
	close(queue.fd);
	close(setup.iommu);
}

/* A loop of the VMM's own */

static bool never(void *arg)
{
	(void)arg;
	return false;
}

/*
 * One record at a time, and it sleeps on the ring's descriptor in between: so
 * nothing may be left to be submitted.
 */
static void test_own_loop(void)
{
	struct pollfd pfd = { .events = POLLIN };
	__u32 i;

	test = "own loop";
	start();
	pfd.fd = ring.uring.ring_fd;
	equal(vmm_reader_arm(&vevents.reader), 0);
	for (i = 0; i < 20; i++) {
		told[0] = 0;
		bring_record(i);
		while (!told[0]) {
			if (poll(&pfd, 1, DEADLINE_MS) != 1)
				give_up("a record did not come");
			equal(vmm_ring_run(&ring, never, NULL, 0), -ETIME);
		}
		equal(strtoul(told, NULL, 10), i);
	}
	end();
}

int main(int argc, char **argv)
{
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	/* A pipe can be read in all ways by every kernel. */
	for (transport = VMM_MULTISHOT; transport <= VMM_POLL; transport++) {
		test_streams();
		test_broken_event();
		test_broken_group();
		test_too_large_group();
		test_failing_write();
		test_own_loop();
		for (i = 1; i < argc; i++)
			if (!strcmp(argv[i], eventq_transport_name(transport)))
				test_stale_answers();
	}
	return failures ? 1 : 0;
}
