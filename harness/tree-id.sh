#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Prints a word that changes when the files of build/tree or build/base do.
# usage: tree-id.sh tree|base
. "$(dirname "$0")/lib.sh"

case $1 in
tree) git -C "$BUILD/tree" rev-parse 'HEAD^{tree}' ;;
base) sha1sum <"$BUILD/base.from" | cut -c1-40 ;;
esac
