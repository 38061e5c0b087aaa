/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Inputs of the event queue fuzzer that were worth keeping, and what each does.
 * They are run first, and others are made of them. How bytes become calls is in
 * iommufd_eventq_fuzz.c; if that changes, these have to be found again.
 */
#ifndef __IOMMUFD_EVENTQ_FUZZ_CORPUS_H
#define __IOMMUFD_EVENTQ_FUZZ_CORPUS_H

static const struct {
	const char *hex, *what;
} corpus[] = {
	{ "00080308030001050014",
	  "several groups in one read" },
	{ "00080d000105000a",
	  "a group that does not fit" },
	{ "000803080308030001005a14",
	  "groups up to the end of memory" },
	{ "000803080d0001007814",
	  "groups up to the end of memory, inside a group" },
	{ "5226a92bb78a",
	  "a large group" },
	{ "000b020000050014",
	  "several events in one read" },
	{ "000b080000050014",
	  "a loss behind events" },
	{ "000b08000005000e0000050014",
	  "a loss alone" },
	{ "000b000000050003",
	  "an event that does not fit" },
	{ "000b000000000814",
	  "an event at the end of memory" },
	{ "000b020000001e14",
	  "events up to the end of memory" },
	{ "0008030001001414",
	  "a fault at the end of memory" },
	{ "2a5afdfa17d5",
	  "a reader that waits, interrupted" },
	{ "02044bd4ccb87e178c",
	  "an empty queue, not waited for" },
	{ "08b56bb3ea3682e3be8a1bd2dd48c0db050405501684a83255",
	  "records read with RWF_NOWAIT" },
	{ "000b000d00",
	  "records that poll told of" },
	{ "0008030001050014050105000100010200",
	  "answers taken" },
	{ "00080300010500140501050001010102000000",
	  "answers taken up to a wrong one" },
	{ "0008030001050014050100080101010200",
	  "answers taken up to the end of memory" },
	{ "000f00020000",
	  "a reply that cannot be written" },
	{ "f6883880bf14",
	  "a larger structure, of zeroes" },
	{ "000f00050082",
	  "a larger structure, not of zeroes" },
	{ "8c8d6e192821ac22bc092d04926c51aaf648ee5f75",
	  "a smaller structure" },
	{ "2ee4e5e276762e",
	  "queues of several types" },
	{ "2ee4e5e276762e",
	  "a queue of the largest depth" },
	{ "6c434178f6544d40ba9344ab6d614422c6ec55013274",
	  "a second queue of a type" },
	{ "000f0005000016090108030002050014",
	  "faults in another queue than the first" },
	{ "02828cfdcd8d66",
	  "a queue in use, not destroyed" },
	{ "0008031901",
	  "a close, with faults in the queue" },
	{ "0008031301",
	  "a device moved, with faults in the queue" },
	{ "081509",
	  "an object destroyed" },
};

#endif
