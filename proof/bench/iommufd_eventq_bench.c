// SPDX-License-Identifier: GPL-2.0-only
/*
 * What operations on event queues cost, in instructions: the program that runs
 * in the guest. It needs a clock that counts them: under an emulator that ties
 * guest time to instructions, the time stamp counter does. Prints a line
 * `bench NAME VALUE` for each operation, the median of its samples. What the
 * names mean and what they may cost stands in budgets.list.
 *
 * usage: iommufd_eventq_bench SECTION...
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#include "lib/eventq_uring.h"
#include "lib/eventq_wait.h"

#define SAMPLES 501
/* Per call, where a row says so */
#define BATCH 64
/* Operations that cost millions are sampled less */
#define FEW 5
#define MANY_QUEUED 65536
#define NEVER (-1.0)

static struct eq_world w;
static struct iommu_test_cmd trigger_fault, trigger_vevent, trigger_nothing;
static struct iommu_hwpt_pgfault faults[BATCH];
static struct iommu_hwpt_page_response answers[BATCH];
static struct eq_vevent vevents_read[BATCH];
static struct eq_ring ring;
static int other_fd[2];
static char other_buf[64];

static void fail(const char *what, long rc)
{
	fprintf(stderr, "error: %s: %s\n", what,
		rc < 0 ? strerror(-rc) : "unexpected result");
	exit(1);
}

#define MUST(call)							\
do {									\
	long __rc = (call);						\
									\
	if (__rc < 0)							\
		fail(#call, __rc);					\
} while (0)

#define MUST_BE(wanted, call)						\
do {									\
	long __rc = (call);						\
									\
	if (__rc != (wanted))						\
		fail(#call, __rc);					\
} while (0)

/* System calls without the C library's part, which is no cost of the kernel */
static inline long call(long nr, long a, long b, long c)
{
	long rc;

	asm volatile("syscall"
		     : "=a" (rc)
		     : "a" (nr), "D" (a), "S" (b), "d" (c)
		     : "rcx", "r11", "memory");
	return rc;
}

static inline long call_read(int fd, void *buf, size_t len)
{
	return call(SYS_read, fd, (long)buf, len);
}

static inline long call_write(int fd, const void *buf, size_t len)
{
	return call(SYS_write, fd, (long)buf, len);
}

static inline long call_test(struct iommu_test_cmd *cmd)
{
	return call(SYS_ioctl, w.iommu, IOMMU_TEST_CMD, (long)cmd);
}

/* Measuring */

static __attribute__((format(printf, 2, 3)))
void result(double value, const char *name, ...)
{
	va_list args;

	printf("bench ");
	va_start(args, name);
	vprintf(name, args);
	va_end(args);
	if (value == NEVER)
		printf(" never\n");
	else
		printf(" %.1f\n", value);
}

static int compare(const void *a, const void *b)
{
	const __u64 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

typedef void (*step_fn)(void);

static __attribute__((noinline)) void nothing(void)
{
}

/* Median cost of @run, between @before and @after, the measuring included */
static double gross(unsigned int samples, step_fn before, step_fn run,
		    step_fn after)
{
	__u64 v[SAMPLES], start;
	unsigned int i;

	for (i = 0; i < samples; i++) {
		before();
		start = __rdtsc();
		run();
		v[i] = __rdtsc() - start;
		after();
	}
	qsort(v, samples, sizeof(v[0]), compare);
	return v[samples / 2];
}

static double cost(unsigned int samples, step_fn before, step_fn run,
		   step_fn after)
{
	return gross(samples, before, run, after) -
	       gross(SAMPLES, nothing, nothing, nothing);
}

/* The set-up of a section */

static void begin(void)
{
	memset(&w, 0, sizeof(w));
	w.queue.fd = -1;
	MUST(eq_world_open(&w));
	trigger_fault = (struct iommu_test_cmd){
		.size = sizeof(trigger_fault),
		.op = IOMMU_TEST_OP_TRIGGER_IOPF,
		.trigger_iopf = {
			.dev_id = w.dev[0].dev_id,
			.grpid = 1,
			.addr = MOCK_APERTURE_START,
		},
	};
	trigger_vevent = (struct iommu_test_cmd){
		.size = sizeof(trigger_vevent),
		.op = IOMMU_TEST_OP_TRIGGER_VEVENT,
		.trigger_vevent.dev_id = w.dev[0].dev_id,
	};
	trigger_nothing = (struct iommu_test_cmd){
		.size = sizeof(trigger_nothing),
	};
}

static void end(void)
{
	if (w.queue.fd >= 0)
		close(w.queue.fd);
	close(w.iommu);
}

/* Steps */

static void do_ioctl_nothing(void)
{
	call_test(&trigger_nothing);
}

static void do_fault(void)
{
	MUST(call_test(&trigger_fault));
}

static void do_vevent(void)
{
	MUST(call_test(&trigger_vevent));
}

static void do_vevent_unheard(void)
{
	call_test(&trigger_vevent);
}

static void do_read_fault(void)
{
	MUST_BE(EQ_FAULT_LEN, call_read(w.queue.fd, faults, EQ_FAULT_LEN));
}

static void do_read_vevent(void)
{
	MUST_BE(EQ_VEVENT_LEN, call_read(w.queue.fd, vevents_read, EQ_VEVENT_LEN));
}

static void do_answer(void)
{
	MUST_BE(EQ_RESPONSE_LEN, call_write(w.queue.fd, answers, EQ_RESPONSE_LEN));
}

static void take_cookies(void)
{
	unsigned int i;

	for (i = 0; i < BATCH; i++) {
		answers[i].cookie = faults[i].cookie;
		answers[i].code = IOMMUFD_PAGE_RESP_SUCCESS;
	}
}

static void raise_read_fault(void)
{
	do_fault();
	do_read_fault();
	take_cookies();
}

static void read_answer_fault(void)
{
	do_read_fault();
	take_cookies();
	do_answer();
}

static void answer_read_fault(void)
{
	take_cookies();
	do_answer();
}

static void repeat(step_fn step, unsigned int n)
{
	while (n--)
		step();
}

static void raise_faults(void)
{
	repeat(do_fault, BATCH);
}

static void raise_vevents(void)
{
	repeat(do_vevent, BATCH);
}

static void do_read_faults(void)
{
	MUST_BE(BATCH * EQ_FAULT_LEN, call_read(w.queue.fd, faults, sizeof(faults)));
}

static void do_read_vevents(void)
{
	MUST_BE(BATCH * EQ_VEVENT_LEN,
		call_read(w.queue.fd, vevents_read, sizeof(vevents_read)));
}

static void do_answers(void)
{
	MUST_BE(BATCH * EQ_RESPONSE_LEN,
		call_write(w.queue.fd, answers, sizeof(answers)));
}

static void raise_read_faults(void)
{
	raise_faults();
	do_read_faults();
	take_cookies();
}

static void answer_read_faults(void)
{
	take_cookies();
	do_answers();
}

/* Section floors: what the kernel asks for things that are alike */

static void do_getppid(void)
{
	call(SYS_getppid, 0, 0, 0);
}

static void do_eventfd_write(void)
{
	static const __u64 one = 1;

	MUST_BE(8, call_write(other_fd[0], &one, sizeof(one)));
}

static void do_eventfd_read(void)
{
	MUST_BE(8, call_read(other_fd[0], other_buf, 8));
}

static void do_pipe_write(void)
{
	MUST_BE(40, call_write(other_fd[1], other_buf, 40));
}

static void do_pipe_read(void)
{
	MUST_BE(40, call_read(other_fd[0], other_buf, 40));
}

static void do_poll(void)
{
	struct pollfd pfd = { .fd = other_fd[0], .events = POLLIN };

	MUST_BE(0, call(SYS_poll, (long)&pfd, 1, 0));
}

static void do_poll_queue(void)
{
	struct pollfd pfd = { .fd = w.queue.fd, .events = POLLIN };

	MUST_BE(0, call(SYS_poll, (long)&pfd, 1, 0));
}

static void section_floors(void)
{
	begin();
	result(cost(SAMPLES, nothing, do_getppid, nothing), "floor-getppid");
	result(cost(SAMPLES, nothing, do_ioctl_nothing, nothing),
	       "floor-ioctl");

	other_fd[0] = eventfd(0, 0);
	result(cost(SAMPLES, nothing, do_eventfd_write, do_eventfd_read),
	       "floor-eventfd-write");
	result(cost(SAMPLES, do_eventfd_write, do_eventfd_read, nothing),
	       "floor-eventfd-read");
	result(cost(SAMPLES, nothing, do_poll, nothing), "floor-eventfd-poll");
	close(other_fd[0]);

	MUST(EQ_RET(pipe(other_fd)));
	result(cost(SAMPLES, nothing, do_pipe_write, do_pipe_read),
	       "floor-pipe-write");
	result(cost(SAMPLES, do_pipe_write, do_pipe_read, nothing),
	       "floor-pipe-read");
	close(other_fd[0]);
	close(other_fd[1]);
	end();
}

/* Section viommu: reports and reads of vIOMMU events */

static void section_viommu(void)
{
	double unheard;

	begin();
	MUST(eq_world_viommu(&w));
	unheard = cost(SAMPLES, nothing, do_vevent_unheard, nothing);
	MUST(eq_vevent_queue(w.iommu, w.viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, 0,
			     BATCH, &w.queue));
	result(cost(SAMPLES, nothing, do_vevent, do_read_vevent) - unheard,
	       "viommu-report");
	result(cost(SAMPLES, do_vevent, do_read_vevent, nothing),
	       "viommu-read-1");
	result(cost(SAMPLES, raise_vevents, do_read_vevents, nothing) / BATCH,
	       "viommu-read-64");
	result(cost(SAMPLES, nothing, do_poll_queue, nothing), "viommu-poll");
	raise_vevents();
	result(cost(SAMPLES, nothing, do_vevent, nothing) - unheard,
	       "viommu-report-full");
	end();
}

/* Section fault: reports, reads and answers of page faults */

static void section_fault(void)
{
	double unheard;

	begin();
	/* The mock answers by itself while no domain wants its faults. */
	unheard = cost(SAMPLES, nothing, do_fault, nothing);
	MUST(eq_world_fault_queue(&w, 0));
	result(cost(SAMPLES, nothing, do_fault, read_answer_fault) - unheard,
	       "fault-report");
	result(cost(SAMPLES, do_fault, do_read_fault, answer_read_fault),
	       "fault-read-1");
	result(cost(SAMPLES, raise_faults, do_read_faults,
		    answer_read_faults) / BATCH, "fault-read-64");
	result(cost(SAMPLES, raise_read_fault, do_answer, nothing),
	       "fault-answer-1");
	result(cost(SAMPLES, raise_read_faults, do_answers, nothing) / BATCH,
	       "fault-answer-64");
	result(cost(SAMPLES, nothing, do_poll_queue, nothing), "fault-poll");
	end();
}

/*
 * Section uring: a request that is armed, what it waits for, its completion;
 * all of it, with the trigger
 */

static step_fn uring_trigger;
static int most_workers;
static struct io_uring_sqe uring_sqe;
static struct io_uring_cqe uring_cqe;

static void count_workers(void)
{
	int nr = eq_count_workers();

	if (nr > most_workers)
		most_workers = nr;
}

static void do_uring_request(void)
{
	MUST(eq_ring_submit(&ring, &uring_sqe));
	if (uring_trigger)
		uring_trigger();
	MUST(eq_ring_wait(&ring, EQ_DEADLINE_MS, &uring_cqe));
	if (uring_cqe.res <= 0)
		fail("io_uring request", uring_cqe.res);
}

static double uring_request(unsigned int opcode, int fd, void *buf,
			    unsigned int len, step_fn before, step_fn trigger,
			    step_fn after)
{
	double value;

	uring_trigger = trigger;
	uring_sqe = (struct io_uring_sqe){
		.opcode = opcode,
		.fd = fd,
		.addr = (uintptr_t)buf,
		.len = len,
		.off = -1,
	};
	value = cost(SAMPLES / 10, before, do_uring_request, after);
	count_workers();
	return value;
}

#define UBUFS 64
#define UBUF_LEN 64
static struct eq_bufs bufs;

/* One event of a multishot request: trigger, reap, give the buffer back */
static void do_multishot_event(void)
{
	uring_trigger();
	MUST(eq_ring_wait(&ring, EQ_DEADLINE_MS, &uring_cqe));
	if (uring_cqe.res <= 0 || !(uring_cqe.flags & IORING_CQE_F_MORE))
		fail("io_uring multishot", uring_cqe.res);
	eq_bufs_give(&bufs, uring_cqe.flags >> IORING_CQE_BUFFER_SHIFT, 1);
}

static void take_multishot_fault(void)
{
	memcpy(faults, eq_bufs_mem(&bufs, uring_cqe.flags >>
					  IORING_CQE_BUFFER_SHIFT), EQ_FAULT_LEN);
	answer_read_fault();
}

static bool multishot_delivers(step_fn trigger, step_fn after)
{
	trigger();
	if (eq_ring_wait(&ring, EQ_DEADLINE_MS, &uring_cqe) ||
	    uring_cqe.res <= 0 || !(uring_cqe.flags & IORING_CQE_F_MORE))
		return false;
	eq_bufs_give(&bufs, uring_cqe.flags >> IORING_CQE_BUFFER_SHIFT, 1);
	after();
	return true;
}

static double multishot(int fd, step_fn trigger, step_fn after)
{
	double value = NEVER;

	MUST(eq_ring_init(&ring, 0));
	MUST(eq_bufs_init(&bufs, &ring, 0, UBUFS, UBUF_LEN, false));
	eq_bufs_give(&bufs, 0, UBUFS);
	uring_trigger = trigger;
	uring_sqe = (struct io_uring_sqe){
		.opcode = IORING_OP_READ_MULTISHOT,
		.flags = IOSQE_BUFFER_SELECT,
		.fd = fd,
		.off = -1,
	};
	MUST(eq_ring_submit(&ring, &uring_sqe));
	if (multishot_delivers(trigger, after))
		value = cost(SAMPLES / 10, nothing, do_multishot_event, after);
	count_workers();
	eq_ring_fini(&ring);
	return value;
}

static void section_uring_floors(void)
{
	other_fd[0] = eventfd(0, EFD_NONBLOCK);
	MUST(eq_ring_init(&ring, 0));
	result(uring_request(IORING_OP_READ, other_fd[0], other_buf, 8, nothing,
			     do_eventfd_write, nothing), "floor-uring-read");
	eq_ring_fini(&ring);
	result(multishot(other_fd[0], do_eventfd_write, nothing),
	       "floor-uring-multishot");
	close(other_fd[0]);
}

static void section_uring_viommu(void)
{
	most_workers = 0;
	begin();
	MUST(eq_world_vevent_queue(&w, 0, BATCH));
	MUST(eq_ring_init(&ring, 0));
	result(uring_request(IORING_OP_READ, w.queue.fd, vevents_read,
			     EQ_VEVENT_LEN, nothing, do_vevent, nothing),
	       "viommu-uring-read");
	eq_ring_fini(&ring);
	result(multishot(w.queue.fd, do_vevent, nothing),
	       "viommu-uring-multishot");
	result(most_workers, "viommu-uring-workers");
	end();
}

static void section_uring_fault(void)
{
	most_workers = 0;
	begin();
	MUST(eq_world_fault_queue(&w, 0));
	MUST(eq_ring_init(&ring, 0));
	result(uring_request(IORING_OP_READ, w.queue.fd, faults, EQ_FAULT_LEN,
			     nothing, do_fault, answer_read_fault),
	       "fault-uring-read");
	result(uring_request(IORING_OP_WRITE, w.queue.fd, answers, EQ_RESPONSE_LEN,
			     raise_read_fault, NULL, nothing),
	       "fault-uring-answer");
	eq_ring_fini(&ring);
	result(multishot(w.queue.fd, do_fault, take_multishot_fault),
	       "fault-uring-multishot");
	result(most_workers, "fault-uring-workers");
	end();
}

static void section_uring(void)
{
	section_uring_floors();
	section_uring_viommu();
	section_uring_fault();
}

/* Section growth: the same with more and more in the queue */

static const unsigned int sizes[] = { 1, 64, 4096, MANY_QUEUED };

#define FOR_EACH_SIZE(n)						\
	for (const unsigned int *__n = sizes;				\
	     __n < sizes + 4 && ((n) = *__n); __n++)

static void growth_viommu(void)
{
	unsigned int n, queued = 0;

	begin();
	MUST(eq_world_vevent_queue(&w, 0, EQ_MAX_DEPTH));
	FOR_EACH_SIZE(n) {
		repeat(do_vevent, n - queued);
		queued = n;
		result(cost(SAMPLES, nothing, do_vevent, do_read_vevent),
		       "viommu-report-at-%u", n);
		result(cost(SAMPLES, do_vevent, do_read_vevent, nothing),
		       "viommu-read-at-%u", n);
	}
	end();
}

static void growth_fault_queued(void)
{
	unsigned int n, queued = 0;

	begin();
	MUST(eq_world_fault_queue(&w, 0));
	FOR_EACH_SIZE(n) {
		repeat(do_fault, n - queued);
		queued = n;
		result(cost(SAMPLES, nothing, do_fault, read_answer_fault),
		       "fault-report-at-%u", n);
		result(cost(SAMPLES, do_fault, do_read_fault,
			    answer_read_fault), "fault-read-at-%u", n);
	}
	end();
}

/* Answers to faults far from each other, so that none finds the last one's */
static __u32 cookies[MANY_QUEUED];
static unsigned int nr_cookies, next_cookie;

static void raise_remembered_fault(void)
{
	raise_read_fault();
	cookies[nr_cookies++] = faults[0].cookie;
}

static void raise_choose_fault(void)
{
	raise_read_fault();
	answers[0].cookie = cookies[next_cookie];
	cookies[next_cookie] = faults[0].cookie;
	next_cookie = (next_cookie + 1021) % nr_cookies;
}

static void growth_fault_any(void)
{
	unsigned int n;

	begin();
	MUST(eq_world_fault_queue(&w, 0));
	FOR_EACH_SIZE(n) {
		repeat(raise_remembered_fault, n - nr_cookies);
		result(cost(SAMPLES, raise_choose_fault, do_answer, nothing),
		       "fault-answer-any-at-%u", n);
	}
	end();
}

static void growth_fault_outstanding(void)
{
	unsigned int n, outstanding = 0;

	begin();
	MUST(eq_world_fault_queue(&w, 0));
	FOR_EACH_SIZE(n) {
		repeat(raise_read_fault, n - outstanding);
		outstanding = n;
		result(cost(SAMPLES, raise_read_fault, do_answer, nothing),
		       "fault-answer-at-%u", n);
	}
	end();
}

static void section_growth(void)
{
	growth_viommu();
	growth_fault_queued();
	growth_fault_outstanding();
	growth_fault_any();
}

/* Section life: the end of an attachment, of a file, of a queue */

static __u32 plain_hwpt;

static void do_replace_other(void)
{
	MUST(eq_replace(w.iommu, &w.dev[1], plain_hwpt));
}

static void undo_replace_other(void)
{
	MUST(eq_replace(w.iommu, &w.dev[1], w.hwpt));
}

static void do_replace_own(void)
{
	MUST(eq_replace(w.iommu, &w.dev[0], plain_hwpt));
}

static void do_detach_other(void)
{
	MUST(eq_pasid_detach(w.iommu, &w.dev[1], 1));
}

static void do_attach_other(void)
{
	MUST(eq_pasid_attach(w.iommu, &w.dev[1], 1, w.hwpt));
}

static void do_close(void)
{
	close(w.queue.fd);
	w.queue.fd = -1;
}

static void do_destroy(void)
{
	MUST(eq_destroy(w.iommu, w.queue.id));
}

static void begin_fault(unsigned int outstanding)
{
	begin();
	MUST(eq_world_fault_queue(&w, 0));
	MUST(eq_fault_hwpt(w.iommu, &w.dev[0], w.ioas, w.queue.id,
			   &plain_hwpt));
	repeat(raise_read_fault, outstanding);
}

/* An idle device leaves while another one has @n faults open */
static void life_idle(unsigned int n)
{
	begin_fault(n);
	result(cost(FEW, do_attach_other, do_detach_other, nothing),
	       "fault-detach-idle-at-%u", n);
	result(cost(FEW, nothing, do_replace_other, undo_replace_other),
	       "fault-replace-idle-at-%u", n);
	end();
}

/* The device itself leaves, or the file is closed, with @n faults open */
static void life_own(unsigned int n)
{
	begin_fault(n);
	result(cost(1, nothing, do_replace_own, nothing) / n,
	       "fault-replace-own-at-%u", n);
	end();

	begin_fault(n);
	result(cost(1, nothing, do_close, nothing) / n, "fault-close-at-%u",
	       n);
	end();
}

static void life_viommu(unsigned int n)
{
	double value;

	begin();
	MUST(eq_world_vevent_queue(&w, 0, EQ_MAX_DEPTH));
	repeat(do_vevent, n);
	value = cost(1, nothing, do_close, nothing);
	result(value + cost(1, nothing, do_destroy, nothing),
	       "viommu-destroy-at-%u", n);
	end();
}

static void section_life(void)
{
	unsigned int n;

	FOR_EACH_SIZE(n) {
		life_idle(n);
		life_own(n);
		life_viommu(n);
	}
	life_viommu(EQ_MAX_DEPTH);
}

/* Section memory: bytes of a full queue of the largest depth, an event */

static long file_number(const char *path, const char *key)
{
	char line[128];
	long value = -ENOENT;
	FILE *file = fopen(path, "r");

	while (file && value < 0 && fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)))
			value = atol(line + strlen(key));
	if (value < 0)
		fail(path, value);
	fclose(file);
	return value;
}

static long bytes_free(void)
{
	return file_number("/proc/meminfo", "MemFree:") * 1024;
}

static long bytes_charged(void)
{
	return file_number("/sys/fs/cgroup/bench/memory.current", "");
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail(path, -errno);
	close(fd);
}

static void enter_cgroup(void)
{
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	MUST(EQ_RET(mkdir("/sys/fs/cgroup/bench", 0755)));
	write_file("/sys/fs/cgroup/bench/cgroup.procs", "0");
}

static void section_memory(void)
{
	struct eq_queue smmu;
	long freed, charged;

	enter_cgroup();
	begin();
	freed = bytes_free();
	charged = bytes_charged();
	MUST(eq_world_vevent_queue(&w, 0, EQ_MAX_DEPTH));
	repeat(do_vevent, EQ_MAX_DEPTH);
	result((double)(freed - bytes_free()) / EQ_MAX_DEPTH,
	       "viommu-bytes-selftest");
	result((double)(bytes_charged() - charged) / EQ_MAX_DEPTH,
	       "viommu-charged-selftest");

	/* The mock reports none of these, but a queue can be had */
	charged = bytes_charged();
	MUST(eq_vevent_queue(w.iommu, w.viommu, IOMMU_VEVENTQ_TYPE_SELFTEST_32,
			     0, EQ_MAX_DEPTH, &smmu));
	result((double)(bytes_charged() - charged) / EQ_MAX_DEPTH,
	       "viommu-charged-smmuv3");
	close(smmu.fd);
	end();
}

/* Section smp: one CPU reports, the other reads */

#define SMP_EVENTS 20000

static void run_on(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	MUST(EQ_RET(sched_setaffinity(0, sizeof(set), &set)));
}

static void *reporter(void *arg)
{
	run_on(1);
	repeat(do_vevent, SMP_EVENTS);
	return arg;
}

/* The queue holds all, so none is lost. */
static void section_smp(void)
{
	pthread_t thread;
	__u64 start;
	__u32 next = 0;
	long rc;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		fail("section smp needs two CPUs", 1);
	begin();
	MUST(eq_world_vevent_queue(&w, 0, EQ_MAX_DEPTH));
	run_on(0);
	start = __rdtsc();
	if (pthread_create(&thread, NULL, reporter, NULL))
		fail("starting a thread", 1);
	while (next < SMP_EVENTS) {
		rc = call_read(w.queue.fd, vevents_read, sizeof(vevents_read));
		MUST(rc);
		if (rc > 0)
			next = vevents_read[rc / EQ_VEVENT_LEN - 1].header.sequence
			       + 1;
	}
	pthread_join(thread, NULL);
	result((double)(__rdtsc() - start) / SMP_EVENTS, "smp-report-read");
	end();
}

static const struct section {
	const char *name;
	step_fn run;
} sections[] = {
	{ "floors", section_floors },
	{ "viommu", section_viommu },
	{ "fault", section_fault },
	{ "uring", section_uring },
	{ "growth", section_growth },
	{ "life", section_life },
	{ "memory", section_memory },
	{ "smp", section_smp },
};

#define NR_SECTIONS (sizeof(sections) / sizeof(sections[0]))

static void run_section(const char *name)
{
	unsigned int i;

	for (i = 0; i < NR_SECTIONS; i++) {
		if (!strcmp(name, sections[i].name)) {
			sections[i].run();
			return;
		}
	}
	fprintf(stderr, "error: there is no section %s\n", name);
	exit(2);
}

int main(int argc, char **argv)
{
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 1; i < argc; i++)
		run_section(argv[i]);
	if (argc < 2)
		fprintf(stderr, "usage: %s SECTION...\n", argv[0]);
	return argc < 2 ? 2 : 0;
}
