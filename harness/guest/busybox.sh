#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Puts a static busybox for a guest of another architecture than the machine's into
# build/ARCH, out of Debian's package, which is unpacked and never installed.
# usage: busybox.sh i386|arm64
. "$(dirname "$0")/../lib.sh"

dest=$BUILD/$1
apt_dir=$dest/apt
apt_arch=$1
. "$HARNESS/base/apt.sh"

[ ! -s "$dest/busybox" ] || exit 0
mkdir -p "$dest"
say "downloading busybox for $1 from Debian's $release"
fetch busybox busybox-static usr/bin/busybox bin/busybox
forget_packages
