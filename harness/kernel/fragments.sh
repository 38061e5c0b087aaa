#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Prints the configuration that fragments make together, as kernels.list names
# them: of an option that several set, the last. Of NAME? only those options that
# the iommufd of SOURCES has. With NAME.VERSION.config comes what one base needs
# besides.
# usage: fragments.sh SOURCES NAME[?],...
. "$(dirname "$0")/../lib.sh"

# The file of a fragment
path()
{
	for file in "$HARNESS/kernel/config/$1.config" "$PROOF"/*/"$1.config"; do
		[ ! -f "$file" ] || echo "$file"
	done
}

# The options on stdin that the sources $1 know
known_to()
{
	while IFS= read -r line; do
		name=${line%%=*}
		! grep -qx "config ${name#CONFIG_}" "$1/drivers/iommu/iommufd/Kconfig" || echo "$line"
	done
}

all()
{
	for fragment in $(echo "$2" | tr ',' ' '); do
		file=$(path "${fragment%\?}")
		[ -f "$file" ] || die "there is no fragment ${fragment%\?}.config, or there are several"
		case $fragment in
		*\?) known_to "$1" <"$file" ;;
		*) cat "$file" ;;
		esac
		of_base=${file%.config}.$BASE.config
		[ ! -f "$of_base" ] || cat "$of_base"
	done
}

# Not in a pipe: a fragment that is missing has to end it.
lines=$(all "$@")
echo "$lines" | awk '
	match($0, /^(# )?CONFIG_[A-Za-z0-9_]+/) {
		name = substr($0, RSTART, RLENGTH)
		sub(/^# /, "", name)
		if (!(name in value))
			order[++nr] = name
		value[name] = $0
	}
	END { for (i = 1; i <= nr; i++) print value[order[i]] }'
