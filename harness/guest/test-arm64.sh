# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Tests of the arm64 guest's parts: which QEMU, firmware and busybox it gets, and what
# its boot says when something is missing.
# shellcheck disable=SC2317 # the tests are called by their names

# The machine's QEMU; $1: its version
fake_qemu_arm64()
{
	fake qemu-system-aarch64 <<-EOF
		echo "QEMU emulator version $1 (Debian 1:$1)"
	EOF
}

# An apt with packages of one file each: what apt-get says of where the machine's
# packages are, and what it downloads. $1: the version of QEMU in there; $2: where
# busybox is in its package
fake_packages()
{
	fake apt-get <<-EOF
		case "\$*" in
		*print-uris*) echo "'http://d.example/debian/dists/bookworm/InRelease' x" ;;
		*' download '*) touch fetched.deb; echo "\$*" >>"$PWD/asked.txt" ;;
		esac
	EOF
	fake apt-cache <<-EOF
		echo Version: 1:$1+ds-2~bpo12+1
	EOF
	fake dpkg-deb <<-EOF
		mkdir -p "\$3/usr/bin" "\$3/usr/share/qemu-efi-aarch64" "\$3/$2"
		printf '#!/bin/sh\necho QEMU emulator version $1\n' >"\$3/usr/bin/qemu-system-aarch64"
		chmod +x "\$3/usr/bin/qemu-system-aarch64"
		echo firmware >"\$3/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"
		echo busybox >"\$3/$2/busybox"
	EOF
}

test_qemu_of_the_machine_that_is_new()
{
	fake_qemu_arm64 9.2.0
	fake_packages 1.0 bin
	works "$HARNESS/guest/qemu-arm64.sh"
	"$EVENTQ_BUILD/arm64/qemu" --version | grep -q 9.2.0
	! grep -q qemu-system-arm asked.txt || return 1
	# Nothing is fetched that is there, nor for another QEMU.
	rm asked.txt
	fake_qemu_arm64 9.3.0
	works "$HARNESS/guest/qemu-arm64.sh"
	grep -q '^QEMU 9.3.0, ' "$EVENTQ_BUILD/arm64/stamp"
	[ ! -e asked.txt ]
	# Too old since
	fake_qemu_arm64 7.2.0
	fake_packages 10.0.2 bin
	works "$HARNESS/guest/qemu-arm64.sh"
	[ "$(grep -c . asked.txt)" = 1 ]
	"$EVENTQ_BUILD/arm64/qemu" --version | grep -q 10.0.2
}

test_qemu_of_the_machine_that_is_old()
{
	fake_qemu_arm64 7.2.0
	fake_packages 10.0.2 usr/bin
	works "$HARNESS/guest/qemu-arm64.sh"
	"$EVENTQ_BUILD/arm64/qemu" --version | grep -q 10.0.2
	grep -q 'APT::Architecture=arm64.* busybox-static' asked.txt
	! grep -q 'APT::Architecture=arm64.* qemu-system-arm' asked.txt || return 1
	# Only what is gone
	rm asked.txt "$EVENTQ_BUILD/arm64/busybox"
	works "$HARNESS/guest/qemu-arm64.sh"
	[ "$(grep -c . asked.txt)" = 1 ] && [ -s "$EVENTQ_BUILD/arm64/busybox" ]
}

test_arm64_parts_that_are_named()
{
	fake_qemu_arm64 9.2.0
	fake_packages 1.0 nowhere
	echo mine >firmware
	export EFI_ARM64=firmware
	fails_with 'busybox-static of Debian' "$HARNESS/guest/qemu-arm64.sh"
	export BUSYBOX_ARM64=none
	fails_with 'there is no file none, which is to be the arm64 guest'\''s busybox' "$HARNESS/guest/qemu-arm64.sh"
	export BUSYBOX_ARM64=firmware
	works "$HARNESS/guest/qemu-arm64.sh"
	cmp firmware "$EVENTQ_BUILD/arm64/busybox" && cmp firmware "$EVENTQ_BUILD/arm64/QEMU_EFI.fd"
}

test_qemu_that_is_nowhere_new()
{
	fake_qemu_arm64 7.2.0
	fake_packages 7.2.1 bin
	fails_with 'takes QEMU 9.2 or later, which' "$HARNESS/guest/qemu-arm64.sh"
	fake_packages 10.0.2 bin
	fake dpkg-deb <<-'EOF'
		exit 1
	EOF
	fails_with 'is damaged: run this again' "$HARNESS/guest/qemu-arm64.sh"
	fake apt-get <<-'EOF'
		exit 100
	EOF
	fails_with "cannot read Debian's suite" "$HARNESS/guest/qemu-arm64.sh"
	[ ! -e "$EVENTQ_BUILD/arm64/stamp" ]
}

test_arm64_guest_without_its_parts()
{
	fails_with 'there is no QEMU for arm64' "$HARNESS/guest/boot.sh" smmuv3 none log.txt 1
	mkdir -p "$EVENTQ_BUILD/arm64"
	printf '#!/bin/sh\nexit 0\n' >"$EVENTQ_BUILD/arm64/qemu"
	chmod +x "$EVENTQ_BUILD/arm64/qemu"
	fails_with 'there is no kernel out/smmuv3/Image' "$HARNESS/guest/boot.sh" smmuv3 none log.txt 1
}
