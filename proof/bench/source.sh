#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Puts the sources of one of the two kernels that are compared into a folder of build/.
# The bench builds both from one folder, so that the second build compiles only
# what differs. "Stock" is the base with the mock device of the series, which
# both so are tested with; the queues, and all else, are the base's.
# usage: source.sh stock|ours FOLDER
. "$(dirname "$0")/../../harness/lib.sh"

case $1 in
stock)
	"$HARNESS/tree/tree.py" worktree "$2" base
	cd "$BUILD/$2"
	GIT_CEILING_DIRECTORIES=$BUILD GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 \
		git apply --unidiff-zero "$ROOT"/series/*-iommufd-selftest-*.patch ||
		die "the series' mock device does not apply to the base alone"
	;;
ours) "$HARNESS/tree/tree.py" worktree "$2" series ;;
*) die "source.sh knows stock and ours, not $1" ;;
esac
