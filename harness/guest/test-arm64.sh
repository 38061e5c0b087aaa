# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Tests of the parts that a guest of another architecture gets: which QEMU and firmware
# an arm64 guest, which busybox each of them, what a boot says when one is missing; of
# iort.py.
# shellcheck disable=SC2317 # the tests are called by their names

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

test_arm64_parts_are_fetched_once()
{
	fake_packages 10.0.2 usr/bin
	works "$HARNESS/guest/qemu-arm64.sh"
	grep -q '^QEMU emulator version 10.0.2, ' "$EVENTQ_BUILD/arm64/stamp"
	! grep -q APT::Architecture= asked.txt || return 1
	rm asked.txt
	works "$HARNESS/guest/qemu-arm64.sh"
	[ ! -e asked.txt ]
	# Only what is gone
	rm "$EVENTQ_BUILD/arm64/QEMU_EFI.fd"
	works "$HARNESS/guest/qemu-arm64.sh"
	[ "$(grep -c . asked.txt)" = 1 ] && [ -s "$EVENTQ_BUILD/arm64/QEMU_EFI.fd" ]
}

test_busybox_of_another_architecture()
{
	for place in usr/bin bin; do
		rm -rf "$EVENTQ_BUILD/i386" asked.txt
		fake_packages 10.0.2 "$place"
		works "$HARNESS/guest/busybox.sh" i386
		grep -q 'APT::Architecture=i386.* busybox-static' asked.txt
		[ -s "$EVENTQ_BUILD/i386/busybox" ]
	done
	rm asked.txt
	works "$HARNESS/guest/busybox.sh" i386
	[ ! -e asked.txt ]
	fake_packages 10.0.2 nowhere
	fails_with 'busybox-static of Debian' "$HARNESS/guest/busybox.sh" arm64
}

test_arm64_parts_that_cannot_be_had()
{
	fake_packages 7.2.1 bin
	fails_with 'takes QEMU 9.2 or later, which' "$HARNESS/guest/qemu-arm64.sh"
	fake_packages 10.0.2 bin
	rm -rf "$EVENTQ_BUILD/arm64"
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
	mkdir -p "$EVENTQ_BUILD/out/smmuv3"
	touch "$EVENTQ_BUILD/out/smmuv3/Image"
	fails_with 'there is no out/arm64-iort.cpio' "$HARNESS/guest/boot.sh" smmuv3 none log.txt 1
}

# A table in base64: an ITS group, two root complexes; $1: what to do to it, Python
iort()
{
	python3 - "$1" <<-'EOF'
		import base64, struct, sys
		def node(kind, length):
		    return struct.pack("<BHBIII", kind, length, 1, 0, 0, 0).ljust(length, b"\0")
		nodes = node(0, 24) + node(2, 36) + node(2, 40)
		t = bytearray(b"IORT" + struct.pack("<IBB6s8sI4sIIII", 48 + len(nodes), 3, 0, b"QEMU", b"TABLE", 4, b"ID", 1,
		                                   3, 48, 0) + nodes)
		t[48 + 24 + 23] = 1
		exec(sys.argv[1])
		t[9] = (t[9] - sum(t)) % 256
		exec(sys.argv[1] if "SUM" in sys.argv[1] else "")
		print(base64.encodebytes(bytes(t)).decode())
	EOF
}

damaged()
{
	iort "$1" >table
	fails_with 'the firmware'\''s IORT cannot be used' python3 "$HARNESS/guest/iort.py" <table
}

test_iort_becomes_coherent()
{
	iort pass | python3 "$HARNESS/guest/iort.py" >new
	python3 - <<-'EOF'
		t = open("new", "rb").read()
		assert sum(t) % 256 == 0
		assert t[24] == 5, "the OEM revision"
		assert t[48 + 23] != 7 and t[72 + 23] == 7 and t[108 + 23] == 7
	EOF
}

test_iort_that_is_damaged()
{
	damaged 't[0] = 0' && damaged 't.append(0)' && damaged 'del t[40:]' &&
		damaged 't[9] ^= 1 # SUM' &&
		damaged 't[36] = 4' && damaged 't[49] = 3' && damaged 't[49] = 200' &&
		damaged 't[40] = 255' && damaged 't[48 + 24] = t[48 + 60] = 1' || return
	echo 'no base64!' >table
	fails_with 'IORT cannot be used' python3 "$HARNESS/guest/iort.py" <table
}
