#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# The only program that the guest of avx512.sh starts: runs the suites of /jobs one by one and says of each on the serial
# line how it went. A suite that does not say that it ran on AVX-512 has failed.
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
export LOGPROB_ISA=avx512

job() { # NAME PROGRAM [ARGUMENT...]
    name=$1
    shift
    "$@" >/log 2>&1
    status=$?
    case $1 in
    */test_*)
        if [ $status = 0 ] && ! grep -q '^isa avx512,' /log; then
            echo "it did not say that it ran on avx512" >>/log
            status=1
        fi
        ;;
    esac
    if [ $status = 0 ]; then
        echo "@ $name ok"
    else
        cat /log
        echo "@ $name FAILED (exit code $status)"
    fi
}

echo "@ booted"
# shellcheck disable=SC1091 # written by avx512.sh
. /jobs
echo "@ end"
sleep 0.1 # until the serial line has sent that
reboot -f
