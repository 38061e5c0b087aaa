#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Kconfig drops an option without a word when something it depends on is off.
# Fails, naming it, when a line of the wanted configuration is not in the made.
# usage: check-config.sh WANTED MADE
. "$(dirname "$0")/../lib.sh"

# What is off may as well be unmentioned: then it cannot be on.
survived()
{
	case $1 in
	'# '*)
		name=${1#??}
		! grep -q "^${name%% *}=" "$2"
		;;
	*) grep -qxF -- "$1" "$2" ;;
	esac
}

while IFS= read -r line; do
	case $line in
	CONFIG_*=* | '# CONFIG_'*' is not set')
		survived "$line" "$2" || die "the kernel configuration lost: $line"
		;;
	esac
done <"$1"
