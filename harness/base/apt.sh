# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Reads one suite of Debian with an apt of our own, under build/, that leaves
# the machine's alone and needs no rights, and unpacks packages of it. Sourced, after
# lib.sh. A caller may set apt_dir to a folder of its own, and apt_arch to an
# architecture that is not the machine's; who unpacks sets dest, the folder to use.

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release 2>/dev/null)
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

# Unpacks packages of the lists that were read into $1, which appears whole or not
# at all.
# shellcheck disable=SC2154 # dest is the caller's
unpack()
{
	to=$1
	shift
	rm -rf "$dest/dl" "$to" "$to.new"
	mkdir -p "$dest/dl" "$to.new"
	(cd "$dest/dl" && private_apt download "$@") >"$dest/log" 2>&1 ||
		die "the download of $* failed: $(grep '^E:' "$dest/log" | tail -n 1)"
	for deb in "$dest"/dl/*.deb; do
		dpkg-deb -x "$deb" "$to.new" || die "${deb##*/} is damaged: run this again"
	done
	mv "$to.new" "$to"
}

# Gets one file of a package, unless it is there. $1: its name in $dest; $2: the
# package; $3...: where it may be in there
fetch()
{
	part=$dest/$1
	package=$2
	shift 2
	[ ! -s "$part" ] || return 0
	read_lists deb "$release" "; a guest takes its $package"
	unpack "$dest/unpacked" "$package"
	for file; do
		[ ! -s "$dest/unpacked/$file" ] || mv "$dest/unpacked/$file" "$part"
	done
	[ -s "$part" ] || die "$package of Debian's $release has not the file that is wanted of it"
}

forget_packages()
{
	rm -rf "$apt_dir" "$dest/dl" "$dest/unpacked" "$dest/log"
}
