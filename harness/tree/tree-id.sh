#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Prints a word that changes when the files of build/tree or build/base do, or
# those of the kernels of the benchmark and of the mutants. Git knows only what
# the series touches, base.from stands for the rest.
# usage: tree-id.sh tree|base|ours|stock|mutants
. "$(dirname "$0")/../lib.sh"

{
	cat "$BUILD/base.from"
	case $1 in
	tree | ours | mutants) git -C "$BUILD/tree" rev-parse 'HEAD^{tree}' ;;
	stock) cat "$PROOF/bench/source.sh" "$ROOT"/series/*-iommufd-selftest-*.patch ;;
	esac
} | sha1sum | cut -c1-40
