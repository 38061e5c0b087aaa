#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Boots a kernel of kernels.list with one job for the guest (see init), and ends
# when the guest does or its time is up. The console goes to a log file; to the
# terminal if the job is "shell". Exit status: that of the last program of the job
# that failed, 124 if there was no end to it.
# Settings: CPUS (2), COUNT=1 (the clock counts instructions, on one CPU), MEMORY (3G
# on 64-bit x86, of which 1200M are large pages, which another size is without), INITRD (a
# file to be unpacked besides the usual ones), IMAGE (in place of the kernel's own).
# The arm64 guest has two `edu` devices behind a nesting SMMUv3. Unless INITRD is set,
# even to nothing, it also gets an IORT that declares the host coherent (iort.sh).
# usage: boot.sh KERNEL JOB LOG SECONDS [kernel parameter...]
# shellcheck disable=SC2317 # they are called by the name of the architecture
. "$(dirname "$0")/../lib.sh"

kernel=$1
job=$2
log=$3
limit=$4
shift 4
arch=$(kernel_field "$kernel" 3)

limited=
cpus=${CPUS:-2}
console=ttyS0
append="kunit.enable=0 $*"

# What a machine takes: its emulator, whose options, and the guest's files.
x86()
{
	need qemu-system-x86_64 qemu-system-x86
	emulator=qemu-system-x86_64
	image=$OUT/$kernel/bzImage
	initrd=$OUT/initramfs.gz
	[ -n "${MEMORY:-}" ] || append="hugepages=600 $append"
	case ${COUNT:-} in
	1) x86_counting ;;
	*) x86_as_fast_as_it_can ;;
	esac
	# A socket for each CPU: without ACPI the kernel reads of CPUs in the MP
	# table, which names one of each socket.
	machine="$machine -machine q35 -smp $cpus,sockets=$cpus,cores=1,threads=1 -m ${MEMORY:-3G}"
}

# No 5-level paging: while the boot CPU's features are read anew, for a moment
# there seems to be none, and KASAN reports a wild access if an interrupt comes.
# A counted instruction is one, and not a string of moves.
x86_counting()
{
	machine='-accel tcg,thread=single -icount shift=0,sleep=off -cpu max,-la57,-fsrm,-erms'
	cpus=${CPUS:-1}
	append="$append tsc=reliable"
}

x86_as_fast_as_it_can()
{
	machine='-accel tcg,thread=multi -cpu max,-la57'
	# On a busy machine no tick may come while the kernel looks for one.
	append="$append no_timer_check"
	without_slab_arrays
}

# The memory that a 32-bit kernel maps all the time
i386()
{
	MEMORY=${MEMORY:-880M}
	x86
	initrd=$OUT/initramfs-i386.gz
}

arm64()
{
	emulator=$BUILD/arm64/qemu
	[ -x "$emulator" ] || die "there is no QEMU for arm64 in build/arm64 (see qemu-arm64.sh)"
	image=$OUT/$kernel/Image
	initrd=$OUT/initramfs-arm64.gz
	INITRD=${INITRD-$OUT/arm64-iort.cpio}
	machine="-M virt,gic-version=3,its=on,iommu=smmuv3,acpi=on -cpu cortex-a57 -smp $cpus \
-m ${MEMORY:-1G} -bios $BUILD/arm64/QEMU_EFI.fd -device edu -device edu"
	console=ttyAMA0
	without_slab_arrays
}

# Slabs hand objects out of arrays that keep the addresses, and kmemleak takes
# these for references: leaks stay unseen. Slabs with checks do without.
without_slab_arrays()
{
	case $append in
	*kmemleak=off*) ;;
	*) ! grep -qs '^CONFIG_DEBUG_KMEMLEAK=y' "$OUT/$kernel/wanted.config" || append="$append slab_debug=F" ;;
	esac
}

qemu()
{
	# shellcheck disable=SC2086 # lists of words
	$limited "$emulator" $machine \
		-nodefaults -nographic -no-reboot -kernel "$image" -initrd "$initrd" \
		-append "console=$console loglevel=1 panic=-1 oops=panic panic_console_replay \
log_buf_len=8M eventq.job=$job $append" "$@"
}

case $arch in
x86 | i386 | arm64) "$arch" ;;
*) die "there is no kernel $kernel in kernels.list" ;;
esac
image=${IMAGE:-$image}
[ -f "$image" ] || die "there is no kernel ${image#"$BUILD/"} to boot"

# $1: what went wrong. The console's last lines mostly say why.
no_end()
{
	tr -d '\r' <"$log" | tail -n 20 | sed 's/^/  console: /' >&2
	echo "error: the guest ($kernel kernel, job $job) $1; its console is in $log" >&2
	exit 124
}

more=$log.initrd
: >"$log"
if [ -n "${INITRD:-}" ]; then
	[ -f "$INITRD" ] || die "there is no ${INITRD#"$BUILD/"} to boot with"
	cat "$INITRD" "$initrd" >"$more"
	initrd=$more
fi
if [ "$job" = shell ]; then
	echo "Ctrl-A X ends the guest; the test programs are in /tests"
	qemu -serial mon:stdio
	rm -f "$more"
	exit
fi
ended=0
limited="timeout --foreground -k 5 $limit"
qemu -serial "file:$log" </dev/null >"$log.qemu" 2>&1 || ended=$?
rm -f "$more"
status=0
python3 "$HARNESS/guest/console.py" "$log" status || status=$?
[ "$status" = 124 ] || exit "$status"
case $ended in
124 | 137) no_end "did not end within $limit seconds" ;;
0) no_end "died" ;;
*) die "qemu failed: $(tail -n 1 "$log.qemu")" ;;
esac
