#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Builds and runs programs outside the project in every way a user would: run.sh [COMPILER...], default gcc and clang.
# Also compiles and runs the C example of the README.
set -eu
cd "$(dirname "$0")/../.."
. scripts/lib.sh

work=$PWD/build/consumer
prefix=$work/prefix
rm -rf "$work"
mkdir -p "$work"

cxx_of() {
    case $1 in
    gcc*) echo "g++${1#gcc}" ;;
    clang*) echo "clang++${1#clang}" ;;
    *) fail "no C++ compiler is known for '$1'" ;;
    esac
}

# with_cmake CC NAME SOURCE-DIR CMAKE-ARGUMENTS...
with_cmake() {
    cc=$1
    name=$2
    source=$3
    shift 3
    build=$work/$name-$cc
    quietly "$build.log" cmake -S "tests/consumer/$source" -B "$build" -G Ninja \
        -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$(cxx_of "$cc")" "$@"
    quietly "$build.log" cmake --build "$build"
    say "$name, $cc"
    "$build/consumer_c"
    "$build/consumer_cxx"
}

# with_pkg_config NAME COMPILER-AND-FLAGS SOURCE LIBRARY-FLAGS
with_pkg_config() {
    say "$1, $2"
    # shellcheck disable=SC2046,SC2086 # lists of flags
    $2 $(pkg-config --cflags logprob) "$3" -o "$work/program" $4
    LD_LIBRARY_PATH=$libdir "$work/program"
}

quietly "$work/install.log" cmake -S . -B "$work/lib" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DLOGPROB_TESTS=OFF -DLOGPROB_EXAMPLES=OFF
quietly "$work/install.log" cmake --build "$work/lib"
quietly "$work/install.log" cmake --install "$work/lib" --prefix "$prefix"
libdir=$(dirname "$(find "$prefix" -name liblogprob.a)")
PKG_CONFIG_PATH=$libdir/pkgconfig
export PKG_CONFIG_PATH

awk '/^```c$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' README.md >"$work/readme.c"
test -s "$work/readme.c" || fail "the README has no C example"

[ $# -gt 0 ] || set -- gcc clang
for cc in "$@"; do
    with_cmake "$cc" find_package-shared find_package -DCMAKE_PREFIX_PATH="$prefix" -DKIND=shared
    with_cmake "$cc" find_package-static find_package -DCMAKE_PREFIX_PATH="$prefix" -DKIND=static
    with_cmake "$cc" subdirectory subdirectory -DLOGPROB_SOURCE="$PWD"
    with_cmake "$cc" fetchcontent fetchcontent -DLOGPROB_SOURCE="$PWD"
    strict='-Wall -Wextra -Wpedantic -Werror'
    static="$libdir/liblogprob.a $(pkg-config --static --libs logprob | sed 's/-llogprob//')"
    with_pkg_config pkg-config "$cc -std=c11 $strict" tests/consumer/consumer.c "$(pkg-config --libs logprob)"
    with_pkg_config pkg-config "$(cxx_of "$cc") -std=c++17 $strict" tests/consumer/consumer.cc "$(pkg-config --libs logprob)"
    with_pkg_config pkg-config-static "$cc -std=c11 $strict" tests/consumer/consumer.c "$static"
    with_pkg_config readme-example "$cc -std=c11 $strict" "$work/readme.c" "$(pkg-config --libs logprob)"
done
