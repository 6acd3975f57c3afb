#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Installs the Debian packages that a job needs and that are missing:  install-deps.sh [--list] JOB...
#   build  the library and the command      test  build + the tests
#   fuzz   test + clang's fuzzer      arm  test + the cross build to AArch64 and its emulator
#   guest  test + an emulated PC and what boots in it: scripts/ci/avx512.sh
#   ci     everything that .ci/run uses      bindings  build + the packages for Python and Rust
# Where nothing is missing, apt is not called. Where there is no apt, the names are printed and the job goes on: its
# build says what it lacks.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

packages_build='gcc libc6-dev cmake ninja-build pkg-config libsleef-dev libjansson-dev'
packages_test='check libmpfr-dev python3'
packages_fuzz='clang libclang-rt-14-dev'
packages_arm='gcc-aarch64-linux-gnu g++-aarch64-linux-gnu clang qemu-user
    libsleef-dev:arm64 libjansson-dev:arm64 check:arm64 libmpfr-dev:arm64'
packages_bindings='python3-numpy python3-scipy python3-pytest python3-pip python3-setuptools python3-wheel mypy
    python3-venv cargo rustc rustfmt'
packages_guest='bochs bochs-term bochsbios vgabios isolinux syslinux-common xorriso busybox-static cpio'
packages_ci='g++ abigail-tools clang-format-14 shellcheck binutils dpkg-dev man-db
    libbenchmark-dev libopenmpi-dev valgrind musl-tools doxygen locales'

packages_of() {
    case $1 in
    build) echo "$packages_build" ;;
    test) echo "$packages_build $packages_test" ;;
    fuzz) echo "$packages_build $packages_test $packages_fuzz" ;;
    arm) echo "$packages_build $packages_test $packages_arm" ;;
    bindings) echo "$packages_build python3 $packages_bindings" ;;
    guest) echo "$packages_build $packages_test $packages_guest" ;;
    ci) echo "$packages_build $packages_test $packages_fuzz $packages_arm $packages_bindings $packages_guest $packages_ci" ;;
    *) fail "unknown job '$1': build, test, fuzz, bindings, arm, guest or ci" ;;
    esac
}

# A name without an architecture means this machine's; dpkg-query would answer for any.
installed() {
    case $1 in
    *:*) architecture=${1#*:} ;;
    *) architecture=$(dpkg --print-architecture) ;;
    esac
    dpkg-query -W -f='${db:Status-Status} ${Architecture}\n' "$1" 2>/dev/null |
        grep -qxE "installed ($architecture|all)"
}

if [ "${1-}" = --list ]; then
    shift
    for job in "$@"; do packages_of "$job"; done | xargs -n1 | sort -u
    exit 0
fi

mkdir -p build
missing=
for job in "${@:-build}"; do
    for package in $(packages_of "$job"); do
        case " $missing " in
        *" $package "*) continue ;;
        esac
        if ! have dpkg-query || ! installed "$package"; then
            missing="$missing $package"
        fi
    done
done
missing=${missing# }
[ -n "$missing" ] || exit 0

if ! have apt-get; then
    say "no apt here, so nothing is installed; Debian's names of what is needed: $missing"
    exit 0
fi
if [ "$(id -u)" != 0 ] && ! have sudo; then
    fail "these packages are missing, and installing them needs root or sudo: $missing"
fi

say "installing $missing"
case $missing in
*:arm64*)
    if [ "$(dpkg --print-architecture)" != arm64 ] && ! dpkg --print-foreign-architectures | grep -qx arm64; then
        as_root dpkg --add-architecture arm64
    fi
    ;;
esac
# A source that cannot be reached does not matter as long as the packages can be installed from the others.
as_root apt-get -q -o DPkg::Lock::Timeout=600 update >build/apt-update.log 2>&1 || say "apt-get update had errors"
# shellcheck disable=SC2086 # a list of names
quietly build/apt-install.log as_root apt-get -q -o DPkg::Lock::Timeout=600 install -y --no-install-recommends $missing
