# SPDX-License-Identifier: GPL-2.0
# How each program that runs in the guest is compiled, statically. Called by
# programs.sh with CC, BASE_SRC and SRC (the two source trees), HEADERS and BASE_HEADERS
# (their uapi headers), PROOF, OUT and a goal. The same programs run on our kernel and
# on stock's. The product's own selftests are made by the kernel's Makefile instead,
# unless they are for another architecture (see programs.sh).

UPSTREAM := iommufd iommufd_fail_nth
PROOFS := $(notdir $(basename $(wildcard $(PROOF)/selftests/iommufd_eventq_*.c)))
# What a 32-bit program can do on a 64-bit kernel: /dev/iommu is not for it.
PROOFS_32 := $(if $(filter-out gcc,$(CC)),,$(filter iommufd_eventq_uapi,$(PROOFS)))

tests := $(SRC)/tools/testing/selftests/iommu
PRODUCTS := $(notdir $(basename $(wildcard $(tests)/iommufd_eventq*.c)))
lib := $(wildcard $(tests)/lib/*.c $(PROOF)/selftests/lib/*.c)
stamps := $(wildcard $(tests)/lib/*.h $(PROOF)/selftests/lib/*.h $(PROOF)/selftests/*.h)

static = $(CC) -O2 -Wall -Wno-unused-function -D_GNU_SOURCE= -static \
	-ffile-prefix-map=$(dir $(SRC))= -ffile-prefix-map=$(dir $(PROOF))=
compile = $(static) -isystem $(HEADERS)/usr/include -Werror
with_lib = -I $(SRC)/tools/testing/selftests -I $(tests) -I $(PROOF)/selftests/lib

upstream: $(UPSTREAM:%=$(OUT)/%)
kselftest: $(PRODUCTS:%=$(OUT)/%)
selftests: $(PROOFS:%=$(OUT)/%) $(PROOFS_32:%=$(OUT)/%_32)
sample: $(OUT)/iommufd_eventq_vmm
demo: $(OUT)/eventq_demo $(OUT)/sample_parts
benchmark: $(OUT)/iommufd_eventq_bench
smmuv3: $(OUT)/smmuv3

# Upstream's come from the base, unchanged, and know the base's uapi only: as do
# all programs there are.
$(UPSTREAM:%=$(OUT)/%): $(OUT)/%: $(BASE_SRC)/tools/testing/selftests/iommu/%.c
	$(static) -isystem $(BASE_HEADERS)/usr/include -include $(HARNESS)/guest/patient.h \
		-I $(BASE_SRC)/tools/testing/selftests -o $@ $< -lcap -lpthread

# The library, in one object for all
$(OUT)/lib.o: $(lib) $(stamps)
	$(compile) -Wextra -Wno-sign-compare $(with_lib) -r -o $@ $(lib)

$(PRODUCTS:%=$(OUT)/%): $(OUT)/%: $(tests)/%.c $(OUT)/lib.o
$(PROOFS:%=$(OUT)/%): $(OUT)/%: $(PROOF)/selftests/%.c $(OUT)/lib.o
$(PRODUCTS:%=$(OUT)/%) $(PROOFS:%=$(OUT)/%):
	$(compile) $(with_lib) -o $@ $^ -lpthread

# The harness of the kselftests casts pointers to 64-bit integers.
$(PROOFS_32:%=$(OUT)/%_32): $(OUT)/%_32: $(PROOF)/selftests/%.c $(lib)
	$(compile) -m32 -Wno-pointer-to-int-cast -Wno-int-to-pointer-cast $(with_lib) -o $@ $^ -lpthread

parts := $(addprefix $(SRC)/samples/iommufd/,eventq_vmm.c eventq_probe.c eventq_ioctl.c)
$(OUT)/iommufd_eventq_vmm: $(parts) $(SRC)/samples/iommufd/iommufd_eventq_vmm.c
$(OUT)/eventq_demo: $(parts) $(filter-out %/sample_parts.c,$(wildcard $(PROOF)/demo/*.c))
# The parts of the sample that others copy, with a test around them
$(OUT)/sample_parts: $(parts) $(PROOF)/demo/mock.c $(PROOF)/demo/sample_parts.c

$(OUT)/iommufd_eventq_vmm $(OUT)/eventq_demo $(OUT)/sample_parts:
	$(compile) -Wextra -I $(SRC)/samples/iommufd -I $(SRC)/drivers/iommu/iommufd -o $@ $^ -luring

$(OUT)/iommufd_eventq_bench: $(PROOF)/bench/iommufd_eventq_bench.c $(OUT)/lib.o
	$(compile) -Wextra -Wno-sign-compare $(with_lib) -o $@ $^ -lpthread

# What runs on arm64
$(OUT)/smmuv3: $(PROOF)/smmuv3/smmuv3.c $(lib) $(wildcard $(PROOF)/smmuv3/*.h)
	$(compile) -Wextra -Wno-sign-compare -Wno-unused-parameter \
		$(with_lib) -o $@ $(filter %.c,$^) -lpthread

# The names of our selftests, for the harness to run
list:
	@echo $(PROOFS) $(PROOFS_32:%=%_32)

.PHONY: upstream kselftest selftests sample demo benchmark smmuv3 list
