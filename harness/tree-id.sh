#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Prints a word that changes when the files of build/tree or build/base do, or
# those of the kernels of the benchmark and of the mutants.
# usage: tree-id.sh tree|base|ours|stock|mutants
. "$(dirname "$0")/lib.sh"

case $1 in
tree | ours | mutants) git -C "$BUILD/tree" rev-parse 'HEAD^{tree}' ;;
base) sha1sum <"$BUILD/base.from" | cut -c1-40 ;;
stock) cat "$BUILD/base.from" "$HARNESS/bench-source.sh" "$ROOT"/series/*-iommufd-selftest-iopf.patch | sha1sum | cut -c1-40 ;;
esac
