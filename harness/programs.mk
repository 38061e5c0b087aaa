# SPDX-License-Identifier: GPL-2.0
# How each program that runs in the guest is compiled, statically. Called by
# programs.sh with BASE and SRC (the two source trees), HEADERS and BASE_HEADERS
# (their uapi headers), HARNESS, OUT and a goal: selftests, sample, benchmark or smmuv3.
# The same programs run on our kernel and on stock's.

UPSTREAM := iommufd iommufd_fail_nth
OURS := $(notdir $(basename $(wildcard $(SRC)/tools/testing/selftests/iommu/iommufd_eventq*.c)))
# What a 32-bit program can do on a 64-bit kernel: /dev/iommu is not for it.
OURS_32 := $(filter iommufd_eventq_uapi,$(OURS))

static = gcc -O2 -Wall -Wno-unused-function -D_GNU_SOURCE= -static \
	-ffile-prefix-map=$(dir $(SRC))=
compile = $(static) -isystem $(HEADERS)/usr/include

SAMPLE := $(SRC)/samples/iommufd
# The files of it that a VMM can copy; the demo and a test are made of them, too.
PARTS := $(addprefix $(SAMPLE)/,eventq_ioctl.c eventq_probe.c eventq_vmm.c)
DEMO := $(HARNESS)/../proof/demo

selftests: $(UPSTREAM:%=$(OUT)/%) $(OURS:%=$(OUT)/%) $(OURS_32:%=$(OUT)/%_32)
sample: $(OUT)/iommufd_eventq_vmm $(OUT)/eventq_demo $(OUT)/sample_parts
benchmark: $(OUT)/iommufd_eventq_bench
smmuv3: $(OUT)/smmuv3

# Upstream's come from the base, unchanged, and know the base's uapi only: as do
# all programs there are.
$(UPSTREAM:%=$(OUT)/%): $(OUT)/%: $(BASE)/tools/testing/selftests/iommu/%.c
	$(static) -isystem $(BASE_HEADERS)/usr/include -include $(HARNESS)/patient.h -I $(BASE)/tools/testing/selftests \
		-o $@ $< -lcap -lpthread

$(OURS:%=$(OUT)/%): $(OUT)/%: $(SRC)/tools/testing/selftests/iommu/%.c
	$(compile) -Werror -I $(SRC)/tools/testing/selftests -o $@ $< -lpthread

# The harness of the kselftests casts pointers to 64-bit integers.
$(OURS_32:%=$(OUT)/%_32): $(OUT)/%_32: $(SRC)/tools/testing/selftests/iommu/%.c
	$(compile) -Werror -m32 -Wno-pointer-to-int-cast -Wno-int-to-pointer-cast \
		-I $(SRC)/tools/testing/selftests -o $@ $< -lpthread

$(OUT)/iommufd_eventq_vmm: $(SAMPLE)/iommufd_eventq_vmm.c $(PARTS)
$(OUT)/eventq_demo: $(filter-out %/sample_parts.c,$(wildcard $(DEMO)/*.c)) $(PARTS)
$(OUT)/sample_parts: $(DEMO)/sample_parts.c $(DEMO)/mock.c $(PARTS)
$(OUT)/eventq_demo $(OUT)/sample_parts: mock = -I $(SRC)/drivers/iommu/iommufd

$(OUT)/iommufd_eventq_vmm $(OUT)/eventq_demo $(OUT)/sample_parts:
	$(compile) -ffile-prefix-map=$(dir $(HARNESS))= -Wextra -Werror -I $(SAMPLE) $(mock) \
		-o $@ $^ -luring

$(OUT)/iommufd_eventq_bench: $(HARNESS)/../bench/iommufd_eventq_bench.c
	$(compile) -Wextra -Wno-sign-compare -Werror -I $(SRC)/tools/testing/selftests/iommu -o $@ $^ -lpthread

# What runs on arm64, with that architecture's HEADERS
$(OUT)/smmuv3: $(HARNESS)/smmuv3/smmuv3.c $(wildcard $(HARNESS)/smmuv3/*.h)
	aarch64-linux-gnu-$(compile) -ffile-prefix-map=$(dir $(HARNESS))= -Wextra -Wno-sign-compare -Wno-unused-parameter -Werror \
		-I $(SRC)/tools/testing/selftests -I $(SRC)/tools/testing/selftests/iommu -o $@ $< -lpthread

# The names of our selftests, for the harness to run.
list:
	@echo $(OURS) $(OURS_32:%=%_32)

.PHONY: selftests sample benchmark smmuv3 list
