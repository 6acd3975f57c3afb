#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Runs suites on AVX-512 where the CPU does not have it:  avx512.sh [SUITE...]
# qemu does not emulate AVX-512; Bochs does, but nothing less than a PC. So Debian's kernel boots in it from a CD with the
# test programs of the preset `release`, some 130 times slower than they run outside.
#   SUITE  a family (golden: tests/test_golden.c), worst, replay.kernels or replay.streams; none: those that take minutes
#   LP_TEST_QUICK=0       whole grids instead of thinned ones: hours
#   LP_GUEST_TIMEOUT=900  seconds after which the guest is ended
#   LP_GUEST_FORCE=1      also on a CPU that has AVX-512, where test.sh runs all suites on it
set -eu
cd "$(dirname "$0")/../.."
. scripts/lib.sh

skip() {
    echo "$*"
    exit 77
}

host_has() {
    grep -m 1 '^flags' /proc/cpuinfo | grep -qw "$1"
}

[ "$(uname -m)" = x86_64 ] || skip "AVX-512 is of x86-64, which this machine is not"
if [ "${LP_GUEST_FORCE:-0}" = 0 ] && host_has avx512f && host_has avx512bw && host_has avx512dq && host_has avx512vl; then
    skip "this CPU has AVX-512 itself: the suites run there"
fi

# What is close to the lanes comes first. `isa` and `stream` take a quarter of an hour each: the recorded inputs of the fuzzers
# compare and cut rows as they do.
[ $# -gt 0 ] || set -- exp worst dispatch softcap rank extremes replay.kernels golden
build=build/release
guest=build/avx512-guest
isolinux=/usr/lib/ISOLINUX/isolinux.bin
ldlinux=/usr/lib/syslinux/modules/bios/ldlinux.c32

sh scripts/install-deps.sh guest
for file in "$isolinux" "$ldlinux"; do
    [ -e "$file" ] || skip "there is no $file (Debian: isolinux, syslinux-common)"
done
for program in bochs busybox xorriso cpio; do
    have "$program" || skip "$program is not installed"
done
mkdir -p "$guest"

# The kernel is taken out of its package, not installed.
get_kernel() {
    package=$(apt-cache depends linux-image-cloud-amd64 | awk '$1 == "Depends:" { print $2; exit }')
    [ -n "$package" ] && rm -f "$guest"/*.deb && (cd "$guest" && apt-get -q download "$package") &&
        dpkg-deb --fsys-tarfile "$guest"/*.deb | tar -xO --wildcards './boot/vmlinuz-*' >"$guest/vmlinuz.new" &&
        rm "$guest"/*.deb && [ -s "$guest/vmlinuz.new" ] && mv "$guest/vmlinuz.new" "$guest/vmlinuz"
}
if [ ! -e "$guest/vmlinuz" ]; then
    have apt-get || skip "there is no apt here to get a kernel from"
    say "getting a kernel"
    # Where the list of packages is older than the archive, the package is gone.
    get_kernel >"$guest/kernel.log" 2>&1 || {
        as_root apt-get -q -o DPkg::Lock::Timeout=600 update >build/apt-update.log 2>&1 || say "apt-get update had errors"
        quietly "$guest/kernel.log" get_kernel
    }
fi

# each suite's line in /jobs, and the target that builds its program
targets=
jobs="export LP_TEST_QUICK=${LP_TEST_QUICK:-1}
cd '$PWD/tests'"
for suite in "$@"; do
    case $suite in
    worst) target=ulp_search program=$target arguments="--check worst/*.txt" ;;
    replay.kernels | replay.streams)
        target=replay_${suite#*.} program=fuzz/$target arguments="fuzz/corpus/${suite#*.}/*"
        ;;
    *)
        [ -e "tests/test_$suite.c" ] || fail "there is no suite '$suite'"
        target=test_$suite program=$target arguments=
        ;;
    esac
    targets="$targets $target"
    jobs="$jobs
job $suite ../$build/tests/$program $arguments"
done

say "building"
quietly "$guest/configure.log" cmake --preset release
# shellcheck disable=SC2086 # a list of names
quietly "$guest/build.log" cmake --build --preset release --target $targets

# The guest's files: the programs at their places in the project, what they read, and the libraries that they load.
root=$guest/root
inside=$root$PWD
rm -rf "$root" "$guest/cd"
mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/tmp" "$inside/$build/tests/fuzz" "$inside/tests/fuzz" "$guest/cd"
cp scripts/ci/avx512-init.sh "$root/init"
chmod +x "$root/init"
echo "$jobs" >"$root/jobs"
cp "$(command -v busybox)" "$root/bin/busybox"
for applet in sh mount grep cat sleep reboot; do
    ln -s busybox "$root/bin/$applet"
done
cp -r tests/golden tests/worst "$inside/tests"
cp -r tests/fuzz/corpus "$inside/tests/fuzz"
for target in $targets; do
    case $target in
    replay_*) program=$build/tests/fuzz/$target ;;
    *) program=$build/tests/$target ;;
    esac
    strip -o "$inside/$program" "$program"
    ldd "$program"
done | grep -oE '/[^ ]+' | sort -u | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done

# Bochs 2.7 says of the compact form of XSAVE that it is as large as the other one; Linux then does without any, and so without
# AVX: noxsaves and clearcpuid keep it to the other. The rest saves a minute: two initcalls that prepare tracing, self-tests of
# ciphers, ACPI. A reboot is a triple fault, which ends Bochs.
(cd "$root" && find . | cpio -o -H newc --quiet) >"$guest/cd/initrd"
cp "$guest/vmlinuz" "$isolinux" "$ldlinux" "$guest/cd"
cat >"$guest/cd/isolinux.cfg" <<EOT
default guest
label guest
kernel vmlinuz
append initrd=initrd console=ttyS0 loglevel=1 panic=-1 reboot=t noxsaves clearcpuid=xsavec acpi=off mitigations=off init_on_alloc=0 cryptomgr.notests initcall_blacklist=trace_eval_init,tracer_init_tracefs
EOT
quietly "$guest/cd.log" xorriso -as mkisofs -o "$guest/cd.iso" -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 \
    -boot-info-table "$guest/cd"
# Debian's Bochs has its debugger built in, which waits for the word that it may begin.
# Where there is no sound device, its speaker would end it.
echo c >"$guest/debugger"
cat >"$guest/bochsrc" <<EOT
config_interface: textconfig
display_library: term
plugin_ctrl: speaker=0, parallel=0, gameport=0
cpu: model=corei7_skylake_x, ips=100000000, reset_on_triple_fault=0
clock: sync=none
megs: 512
romimage: file=\$BXSHARE/BIOS-bochs-latest, options=fastboot
vgaromimage: file=\$BXSHARE/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path=cd.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=serial
log: bochs.log
panic: action=fatal
EOT

say "booting"
: >"$guest/serial"
(cd "$guest" && TERM=vt100 exec timeout -k 5 "${LP_GUEST_TIMEOUT:-900}" bochs -f bochsrc -rc debugger </dev/null >bochs.out 2>&1) &
bochs=$!
trap 'kill "$bochs" 2>/dev/null || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
start=$(date +%s)
cr=$(printf '\r')
last=$start
tail -f -n +1 --pid="$bochs" "$guest/serial" | while IFS= read -r line && line=${line%"$cr"} && [ "$line" != "@ end" ]; do
    case $line in
    "@ "*)
        now=$(date +%s)
        echo "${line#@ } $((now - last)) s"
        last=$now
        ;;
    *) printf '%s\n' "$line" ;;
    esac
done &
wait $! # where a signal is heard
status=0
wait "$bochs" || status=$? # 1: Bochs knows no good end
trap - EXIT
grep -q '^@ end' "$guest/serial" ||
    fail "the guest did not come to its end: exit code $status (137: too slow or killed, 139: crashed); see $guest/bochs.log"
passed=$(grep -c '^@ .* ok' "$guest/serial") || true
[ "$passed" = $# ] || fail "$(($# - passed)) of $# suites failed on AVX-512; the guest's whole output is in $guest/serial"
echo "$passed of $# suites passed on an emulated CPU with AVX-512 in $(($(date +%s) - start)) s"
