# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2154 # out is the folder of the script that sources this
# Runs the checks of the script that sources this file as its last line: functions
# check_*, which print findings, a line each that begins with path:line:. TAP on
# stdout, progress on stderr. The arguments are names of checks, without check_;
# without arguments, all run.

every=$(sed -n 's/^check_\([a-z_]*\)()$/\1/p' "$0" | paste -sd' ')
# shellcheck disable=SC2086 # a list of names
[ $# -gt 0 ] || set -- $every
echo TAP version 13
echo "1..$#"
number=0
status=0
for name; do
	number=$((number + 1))
	say "$name ..." >&2
	(set +e; "check_$name") >"$out/$name.txt" 2>"$out/$name.err"
	# What a check itself did not expect.
	grep -E "^[^ ]*${0##*/}: " "$out/$name.err" >>"$out/$name.txt" || :
	python3 "$PROOF/lint/findings.py" "$number" "$name" "$name" <"$out/$name.txt" || status=1
done
say "done" >&2
exit "$status"
