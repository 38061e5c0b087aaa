# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Reads one suite of Debian with an apt of our own, under build/, that leaves
# the machine's alone and needs no rights. Sourced, after lib.sh. A caller may
# set apt_dir to a folder of its own, and apt_arch to an architecture that is not
# the machine's.

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
apt_dir=${apt_dir:-$BUILD/apt}

# apt_tool: apt-get, unless the caller says apt-cache
private_apt()
{
	"${apt_tool:-apt-get}" -q -oDir::Etc::SourceList="$apt_dir/sources.list" \
		-oDir::Etc::SourceParts=/dev/null \
		-oDir::Etc::Preferences=/dev/null -oDir::Etc::PreferencesParts=/dev/null \
		-oAPT::Default-Release= \
		-oDir::State="$apt_dir/state" \
		-oDir::State::status="$apt_dir/status" \
		-oDir::Cache="$apt_dir/cache" \
		${apt_arch:+-oAPT::Architecture="$apt_arch" -oAPT::Architectures="$apt_arch"} \
		-oAPT::Sandbox::User= -oAPT::Update::Error-Mode=any \
		-oAcquire::Retries=2 -oAcquire::http::Timeout=30 "$@"
}

# The places this machine has its own Debian packages from.
mirrors()
{
	apt-get update --print-uris 2>/dev/null |
		sed -n "s,^'\([^']*/debian\)/*/dists/[^/]*/InRelease'.*,\1,p" | awk '!seen[$0]++'
}

# Reads the package lists of the first mirror that has the suite.
# $1: deb or deb-src, $2: suite, $3: what to tell besides when none has
read_lists()
{
	[ -f "$keyring" ] || die "$keyring is missing (Debian package debian-archive-keyring)"
	rm -rf "$apt_dir"
	mkdir -p "$apt_dir/state/lists/partial" "$apt_dir/cache/archives/partial"
	: >"$apt_dir/status"
	for m in $(mirrors); do
		echo "$1 [signed-by=$keyring] $m $2 main" >"$apt_dir/sources.list"
		if private_apt update >"$apt_dir/log" 2>&1; then
			return 0
		fi
	done
	[ ! -s "$apt_dir/log" ] || grep '^[EW]:' "$apt_dir/log" | tail -n 2 >&2
	die "cannot read Debian's suite $2${apt_arch:+ for $apt_arch} through this machine's mirrors (no network?)$3"
}
