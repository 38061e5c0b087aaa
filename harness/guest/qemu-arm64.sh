#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Puts what an arm64 guest with a nesting SMMUv3 takes into build/arm64: QEMU and
# firmware (ACPI on arm64 comes by EFI only), out of Debian's packages, which are
# unpacked and never installed. What is there already stays; stamp says what it is.
. "$(dirname "$0")/../lib.sh"

dest=$BUILD/arm64
apt_dir=$dest/apt
. "$HARNESS/base/apt.sh"

oldest=9.2

# Reads the lists of the first suite whose QEMU will do.
find_suite()
{
	for suite in "$release" "$release-backports"; do
		read_lists deb "$suite" "; the arm64 guest takes its QEMU"
		offered=$(apt_tool=apt-cache private_apt show qemu-system-arm 2>/dev/null |
			sed -n 's/^Version: \([0-9]*:\)\?\([0-9.]*\).*/\2/p' | head -n 1)
		if [ "$(printf '%s\n' "$oldest" "$offered" | sort -V | head -n 1)" = "$oldest" ]; then
			return
		fi
	done
	die "a nesting SMMUv3 takes QEMU $oldest or later, which Debian's $release and $release-backports have not"
}

# A QEMU that is not where it was built for is told where its parts are.
fetch_qemu()
{
	find_suite
	say "downloading QEMU for arm64 from Debian's $suite"
	unpack "$dest/root" qemu-system-arm qemu-system-common qemu-system-data
	cat >"$dest/qemu.new" <<-'WRAPPER'
		#!/bin/sh
		root=$(dirname "$0")/root/usr
		for modules in "$root"/lib/*/qemu; do
			export QEMU_MODULE_DIR="$modules"
		done
		exec "$root/bin/qemu-system-aarch64" -L "$root/share/qemu" "$@"
	WRAPPER
	chmod +x "$dest/qemu.new"
	"$dest/qemu.new" --version >"$dest/log" 2>&1 ||
		die "Debian's QEMU does not run here: $(tail -n 1 "$dest/log")"
	mv "$dest/qemu.new" "$dest/qemu"
}

mkdir -p "$dest"
[ -x "$dest/qemu" ] || fetch_qemu
fetch QEMU_EFI.fd qemu-efi-aarch64 usr/share/qemu-efi-aarch64/QEMU_EFI.fd
forget_packages
state="$("$dest/qemu" --version | head -n 1), firmware $(sha1sum <"$dest/QEMU_EFI.fd" | cut -c1-12)"
[ "$state" != "$(cat "$dest/stamp" 2>/dev/null)" ] || exit 0
echo "$state" >"$dest/stamp"
say "arm64 guest: $state"
