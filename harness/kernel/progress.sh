#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Turns the output of a kernel build into a count of objects that moves: in
# place on a terminal, else a line now and then. Warnings are let through.
. "$(dirname "$0")/../lib.sh"

count=0
if [ -t 1 ]; then every=1 start='\r' end=; else every=200 start='' end='\n'; fi
while IFS= read -r line; do
	case $line in
	'  CC '* | '  AS '*) count=$((count + 1)) ;;
	*': warning: '*) printf '%s\n' "$line" && continue ;;
	*) continue ;;
	esac
	[ $((count % every)) -ne 0 ] ||
		printf "$start"'[%4d s]   %d objects '"$end" $(($(date +%s) - EVENTQ_START)) "$count"
done
[ -n "$end" ] || [ "$count" = 0 ] || echo
