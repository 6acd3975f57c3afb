#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Makes the Debian packages, looks into them, and as root installs, runs and removes them.
set -eu
cd "$(dirname "$0")/../.."
. scripts/lib.sh

build=build/package
cmake --preset package
cmake --build --preset package
rm -rf "$build/packages" "$build/find_package"
(cd "$build" && cpack)
set -- "$build"/packages/*.deb
[ $# = 3 ] || fail "three packages were expected, got $*"
names=
for deb in "$@"; do
    say "$deb"
    dpkg-deb --info "$deb"
    dpkg-deb --contents "$deb"
    names="$names $(dpkg-deb --field "$deb" Package)"
done

[ "$(id -u)" = 0 ] || {
    echo "install: skipped (not root)"
    exit 0
}
# shellcheck disable=SC2086 # a list of names
if dpkg-query -W $names >/dev/null 2>&1; then
    fail "a package of these names is installed here already:$names"
fi
say "installing$names"
dpkg --install "$@"
remove() {
    # shellcheck disable=SC2086
    dpkg --purge $names
}
trap remove EXIT
dpkg --verify logprob
logprob info
man -w logprob
man -w 3 logprob
cc -std=c11 -Wall -Werror tests/consumer/consumer.c -o "$build/consumer" -llogprob
"$build/consumer"
# shellcheck disable=SC2046 # a list of flags
c++ -std=c++17 -Wall -Werror tests/consumer/consumer.cc -o "$build/consumer" $(pkg-config --cflags --libs logprob)
"$build/consumer"
cmake -S tests/consumer/find_package -B "$build/find_package" -G Ninja -DKIND=static
cmake --build "$build/find_package"
"$build/find_package/consumer_c"
say "removing"
trap - EXIT
remove
for file in /usr/bin/logprob /usr/include/logprob.h; do
    [ ! -e "$file" ] || fail "$file is still there"
done
[ -z "$(find /usr/lib /usr/share -name '*logprob*' 2>/dev/null)" ] || fail "files are left in /usr"
ldconfig -p | { ! grep logprob; } || fail "the loader still knows the library"
