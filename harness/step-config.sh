#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Prints what a kernel of one commit of the series is configured with, the commit
# being what is in build/tree: for what boots (boot), or one of the others that
# harness/config/ has as series-NAME.config. Our own options are there from the
# commit on that brings them.
# usage: step-config.sh boot|x86-test|x86-noiopf|x86-module|i386|arm64
. "$(dirname "$0")/lib.sh"

# The options of ours.config that the tree knows
ours()
{
	grep '^CONFIG_' ours.config | while IFS= read -r line; do
		name=${line%%=*}
		! grep -qx "config ${name#CONFIG_}" "$BUILD/tree/drivers/iommu/iommufd/Kconfig" || echo "$line"
	done
}

cd "$HARNESS/config"
case $1 in
# As the stock kernel, whose verdicts are in harness/expected: the mock device
# does not bring IOMMU_IOPF from the first commit on.
boot) cat base.config test.config plain.config stock.config ;;
x86-noiopf | arm64) cat series.config "series-$1.config" ;;
x86-test | x86-module | i386) cat series.config series-test.config "series-$1.config" ;;
*) die "there is no configuration $1" ;;
esac
case $1 in
x86-noiopf | arm64) ;;
*) ours ;;
esac
