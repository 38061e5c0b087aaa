# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# Tests of base.sh: where the kernel to build on comes from.
# shellcheck disable=SC2317 # the tests are called by their names

test_ksrc_that_is_not_there()
{
	fails_with 'is no directory' base /nowhere
}

test_ksrc_that_is_no_kernel_tree()
{
	mkdir linux
	fails_with 'is no kernel source tree' base
	[ ! -e "$EVENTQ_BUILD/base" ]
}

test_ksrc_of_wrong_version()
{
	fake_kernel linux 6.12
	fails_with 'is Linux 6.12, not 7.3' base
	[ ! -e "$EVENTQ_BUILD/base" ]
}

test_ksrc_is_copied_and_left_alone()
{
	fake_kernel linux 7.3
	before=$(find linux -type f -exec stat -c '%n %y' {} + | sort)
	works base
	diff -r linux "$EVENTQ_BUILD/base"
	[ "$before" = "$(find linux -type f -exec stat -c '%n %y' {} + | sort)" ]
}

test_ksrc_in_git_comes_without_build_output()
{
	fake_kernel linux 7.3
	git init -q linux
	git -C linux add .
	touch linux/vmlinux.o
	works base
	[ -f "$EVENTQ_BUILD/base/Makefile" ]
	[ ! -e "$EVENTQ_BUILD/base/vmlinux.o" ]
}

test_changed_ksrc_is_copied_again()
{
	fake_kernel linux 7.3
	works base
	echo changed >linux/README
	works base
	[ "$(cat "$EVENTQ_BUILD/base/README")" = changed ]
}

test_interrupted_copy_recovers()
{
	fake_kernel linux 7.3
	mkdir -p "$EVENTQ_BUILD/base.new/half" "$EVENTQ_BUILD/base"
	works base
	diff -r linux "$EVENTQ_BUILD/base"
	[ ! -e "$EVENTQ_BUILD/base.new" ]
}

# An apt-get that knows one mirror, serves "pool", and fails in the ways that
# the files of this directory ask for.
fake_apt()
{
	export FAKE="$PWD"
	fake apt-get <<-'EOF'
		case "$*" in
		*--print-uris*download*) [ ! -e "$FAKE/no-package" ] ;;
		*--print-uris*) echo "'http://mirror.invalid/debian/dists/x/InRelease' x 0" ;;
		*update*) [ ! -e "$FAKE/no-network" ] || { echo 'E: no network'; exit 100; } ;;
		*download*)
			if [ -e "$FAKE/cut" ]; then
				head -c 100 "$FAKE/pool.deb" >linux-source-7.3_1_all.deb
				exit 100
			fi
			cp "$FAKE/pool.deb" linux-source-7.3_1_all.deb
			;;
		esac
	EOF
}

# A package like Debian's, with a small kernel in it.
fake_package()
{
	mkdir -p deb/DEBIAN deb/usr/src
	printf '%s\n' 'Package: linux-source-7.3' 'Version: 1' 'Architecture: all' \
		'Maintainer: none <none@localhost>' 'Description: fake' >deb/DEBIAN/control
	fake_kernel linux-source-7.3 7.3
	tar -cJf deb/usr/src/linux-source-7.3.tar.xz linux-source-7.3
	dpkg-deb -b deb pool.deb >/dev/null
}

debian()
{
	"$HARNESS/base/base.sh"
}

test_debian_source_is_unpacked()
{
	fake_apt
	fake_package
	works debian
	diff -r linux-source-7.3 "$EVENTQ_BUILD/base"
}

test_no_network()
{
	fake_apt
	touch no-network
	fails_with 'trixie-backports' debian
	grep -q KSRC= err.txt
	[ ! -e "$EVENTQ_BUILD/base" ]
}

test_no_such_package()
{
	fake_apt
	touch no-package
	fails_with 'no package linux-source-7.3 in Debian'"'"'s suite trixie-backports' debian
	grep -q KSRC= err.txt
}

test_cut_download_recovers()
{
	fake_apt
	fake_package
	touch cut
	fails_with 'download of linux-source-7.3 failed' debian
	[ ! -e "$EVENTQ_BUILD/dl" ]
	rm cut
	works debian
	diff -r linux-source-7.3 "$EVENTQ_BUILD/base"
}

test_damaged_package_is_fetched_again()
{
	fake_apt
	fake_package
	mkdir -p "$EVENTQ_BUILD/dl"
	head -c 300 pool.deb >"$EVENTQ_BUILD/dl/linux-source-7.3_1_all.deb"
	fails_with 'damaged' debian
	[ ! -e "$EVENTQ_BUILD/base" ]
	works debian
	diff -r linux-source-7.3 "$EVENTQ_BUILD/base"
}

test_base_that_is_unknown()
{
	fails_with 'BASE=6.1: the series is against 7.3' env BASE=6.1 EVENTQ_BUILD="$PWD/build" "$HARNESS/base/base.sh"
}

test_other_base_is_chosen()
{
	fake_kernel linux 7.2
	fails_with 'linux is Linux 7.2, not 7.3' base
	export BASE=7.2
	works base
	unset BASE
	fails_with 'is Linux 7.2, not 7.3' "$HARNESS/base/base.sh"
}

# The same version, or another: to make, what was built of it may look new enough.
test_another_base_takes_what_was_built_along()
{
	fake_kernel linux 7.3
	works base
	mkdir "$EVENTQ_BUILD/out"
	works base
	[ -d "$EVENTQ_BUILD/out" ]
	echo changed >linux/README
	works base
	[ ! -e "$EVENTQ_BUILD/out" ]
}

test_debian_packages_that_cannot_be_installed()
{
	fake dpkg-query </dev/null
	fake id <<-'EOF'
		echo 1000
	EOF
	fake sudo <<-'EOF'
		exit 1
	EOF
	fails_with 'apt-get update failed' "$HARNESS/base/setup.sh"
}

test_no_package_of_the_user_is_removed()
{
	fake dpkg-query </dev/null
	fake id <<-'EOF'
		echo 0
	EOF
	fake apt-get <<-'EOF'
		case "$*" in
		*install*) case " $* " in *' --no-remove '*) ;; *) exit 1 ;; esac ;;
		esac
	EOF
	works "$HARNESS/base/setup.sh"
	! grep -q multilib out.txt || return 1
}
