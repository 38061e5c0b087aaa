# SPDX-License-Identifier: GPL-2.0
# What a user can run. Each target names the steps of harness/ that it takes;
# how a step is done stands there, not here.

# Read by the steps, and kept from the makes of the kernel (see run.sh).
export KSRC T V TREE SIGNOFF JOBS README MINUTES SEED STEP
export MUTANT := $(M)
export COMMIT := $(C)

RUN := @harness/run.sh

.PHONY: help demo check check-series check-smmuv3 check-stock lint docs stress bench coverage mutants tree refresh series shell clean distclean
.NOTPARALLEL:

help:
	@cat harness/help.txt

demo:
	$(RUN) setup base tree demo

check:
	$(RUN) setup base tree check

check-series:
	$(RUN) setup base tree series check-series

check-smmuv3:
	$(RUN) setup base tree check-smmuv3

check-stock:
	$(RUN) setup base tree check-stock

lint:
	$(RUN) setup base tree lint

docs:
	$(RUN) setup base tree docs

stress:
	$(RUN) setup base tree stress

bench:
	$(RUN) setup base tree bench

coverage:
	$(RUN) setup base tree coverage

mutants:
	$(RUN) setup base tree mutants

tree:
	$(RUN) setup base tree

refresh:
	$(RUN) refresh

series:
	$(RUN) setup base tree series

shell:
	$(RUN) setup base tree shell

clean:
	$(RUN) clean

distclean:
	$(RUN) distclean
