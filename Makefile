# SPDX-License-Identifier: GPL-2.0
# What a user can run. Each target names its parts, which run.sh finds;
# how each is done stands in a file of its own.

# Read by the parts, and kept from the makes of the kernel (see run.sh).
export BASE KSRC T V TREE SIGNOFF JOBS README MINUTES SEED STEP
export MUTANT := $(M)
export COMMIT := $(C)

RUN := @harness/run.sh

.PHONY: help demo check check-kernels check-series check-smmuv3 check-stock lint docs stress bench coverage mutants tree refresh series shell clean distclean
.NOTPARALLEL:

help:
	@cat harness/help.txt

demo:
	$(RUN) base tree demo

check:
	$(RUN) base tree check

check-kernels:
	$(RUN) base tree check-kernels

check-series:
	$(RUN) base tree series check-series

check-smmuv3:
	$(RUN) base tree check-smmuv3

check-stock:
	$(RUN) base tree check-stock

lint:
	$(RUN) base tree lint

docs:
	$(RUN) base tree docs

stress:
	$(RUN) base tree stress

bench:
	$(RUN) base tree bench

coverage:
	$(RUN) base tree coverage

mutants:
	$(RUN) base tree mutants

tree:
	$(RUN) base tree

refresh:
	$(RUN) refresh

series:
	$(RUN) base tree series

shell:
	$(RUN) base tree shell

clean:
	$(RUN) clean

distclean:
	$(RUN) distclean
