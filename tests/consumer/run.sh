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

# What an install has, and that it has the header's version.
version=$(awk '/^#define LP_VERSION_(MAJOR|MINOR|PATCH)/ { version = version point $3; point = "." } END { print version }' \
    "$prefix/include/logprob.h")
soname=liblogprob.so.${version%%.*}
say "an install of $version"
for file in "$libdir/liblogprob.a" "$libdir/liblogprob.so" "$libdir/$soname" "$libdir/liblogprob.so.$version" \
    "$libdir/pkgconfig/logprob.pc" "$libdir/cmake/logprob/logprobConfig.cmake" \
    "$libdir/cmake/logprob/logprobConfigVersion.cmake" "$prefix/bin/logprob" \
    "$prefix/share/man/man1/logprob.1" "$prefix/share/man/man3/logprob.3" "$prefix/share/doc/logprob/LICENSE"; do
    [ -e "$file" ] || fail "the install lacks $file"
done
objdump -p "$libdir/liblogprob.so" | grep -q "SONAME *$soname\$" || fail "SONAME is not $soname"
[ "$(pkg-config --modversion logprob)" = "$version" ] || fail "logprob.pc has another version"
"$prefix/bin/logprob" info

# find_package takes the versions of the same major number that are not newer, and no others.
wants_version() {
    rm -rf "$work/version"
    cmake -S tests/consumer/find_package -B "$work/version" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DKIND=shared \
        -DLOGPROB_VERSION="$1" >"$work/version.log" 2>&1
}
wants_version "$version" || fail "find_package does not take its own version"
for other in $((${version%%.*} + 1)).0 "${version%%.*}.99"; do
    ! wants_version "$other" || fail "find_package takes $version for $other"
    grep -q 'compatible with requested' "$work/version.log" || fail "find_package failed for another reason"
done

# A tarball as FetchContent would download it.
tar -czf "$work/logprob.tar.gz" --exclude=./build --exclude=./.git --exclude=./bindings .

awk '/^```c$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' README.md >"$work/readme.c"
test -s "$work/readme.c" || fail "the README has no C example"

[ $# -gt 0 ] || set -- gcc clang
for cc in "$@"; do
    with_cmake "$cc" find_package-shared find_package -DCMAKE_PREFIX_PATH="$prefix" -DKIND=shared
    with_cmake "$cc" find_package-static find_package -DCMAKE_PREFIX_PATH="$prefix" -DKIND=static
    with_cmake "$cc" subdirectory subdirectory -DLOGPROB_SOURCE="$PWD"
    with_cmake "$cc" fetchcontent fetchcontent -DLOGPROB_URL="file://$work/logprob.tar.gz"
    strict='-Wall -Wextra -Wpedantic -Werror'
    static="$libdir/liblogprob.a $(pkg-config --static --libs logprob | sed 's/-llogprob//')"
    with_pkg_config pkg-config "$cc -std=c11 $strict" tests/consumer/consumer.c "$(pkg-config --libs logprob)"
    with_pkg_config pkg-config "$(cxx_of "$cc") -std=c++17 $strict" tests/consumer/consumer.cc "$(pkg-config --libs logprob)"
    with_pkg_config pkg-config-static "$cc -std=c11 $strict" tests/consumer/consumer.c "$static"
    with_pkg_config readme-example "$cc -std=c11 $strict" "$work/readme.c" "$(pkg-config --libs logprob)"
done

# A machine without pkg-config, as macOS and Windows often are.
with_cmake "$1" no-pkg-config-subdirectory subdirectory -DLOGPROB_SOURCE="$PWD" -DCMAKE_DISABLE_FIND_PACKAGE_PkgConfig=ON
with_cmake "$1" no-pkg-config-static find_package -DCMAKE_PREFIX_PATH="$prefix" -DKIND=static \
    -DCMAKE_DISABLE_FIND_PACKAGE_PkgConfig=ON

# A SLEEF of one's own, named: it comes before the one that pkg-config finds, which need not exist then.
own=$work/own/libsleef.so
mkdir "$work/own"
ln -s "$(gcc -print-file-name=libsleef.so)" "$own"
with_cmake "$1" own-sleef subdirectory -DLOGPROB_SOURCE="$PWD" -DSLEEF_LIBRARY="$own"
grep -q "LINK_LIBRARIES = .*$own" "$work/own-sleef-$1/build.ninja" || fail "SLEEF_LIBRARY is not what is linked"
quietly "$work/own.log" cmake -S . -B "$work/own-lib" -G Ninja -DLOGPROB_TESTS=OFF -DLOGPROB_TOOLS=OFF -DSLEEF_LIBRARY="$own"
PKG_CONFIG_PATH='' PKG_CONFIG_LIBDIR=$work/own-lib pkg-config --static --libs logprob | grep -q "$own" ||
    fail "logprob.pc does not name SLEEF_LIBRARY"
! cmake -S . -B "$work/own-lib" -DSLEEF_LIBRARY="$own-missing" >"$work/missing.log" 2>&1 || fail "a SLEEF that is not there is taken"
tr -s ' \n' ' ' <"$work/missing.log" | grep -q "SLEEF_LIBRARY is $own-missing, which does not exist" || fail "a SLEEF that is not there is not named"
