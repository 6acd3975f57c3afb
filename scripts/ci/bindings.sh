#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Builds, installs and tests the packages for Python and Rust as their users would, offline, with Debian's tools.
set -eu
cd "$(dirname "$0")/../.."
. scripts/lib.sh

# Another Python or Rust may come first in PATH.
PATH=/usr/bin:$PATH
work=$PWD/build/bindings
rm -rf "$work/wheels" "$work/venv" bindings/python/build/lib
mkdir -p "$work"
export PYTHONDONTWRITEBYTECODE=1
unset LOGPROB_LIBRARY LOGPROB_LIB_DIR

say "Python: the wheel, built from the sources"
quietly "$work/wheel.log" \
    python3 -m pip wheel --no-build-isolation --no-index --no-deps -w "$work/wheels" bindings/python
quietly "$work/venv.log" python3 -m venv --system-site-packages "$work/venv"
python=$work/venv/bin/python
quietly "$work/wheel.log" "$python" -m pip install --no-index "$work"/wheels/*.whl
library=$("$python" -c 'import logprob._library as found; print(found.library._name)')
case $library in
"$work/venv/"*) ;;
*) fail "the package uses $library, not its own library" ;;
esac

say "C: the digests that the bindings have to reproduce"
ln -sf "$library" "$work/liblogprob.so.0" # the name that a program looks for
cc -std=c11 -Wall -Wextra -Wpedantic -Wconversion -Werror -Iinclude bindings/golden.c \
    "$work/liblogprob.so.0" -o "$work/golden"
LD_LIBRARY_PATH=$work "$work/golden" | diff bindings/golden.txt -

say "Python: types and tests"
mypy --config-file bindings/python/pyproject.toml --cache-dir "$work/mypy" \
    bindings/python/src bindings/python/example.py
(cd bindings/python && "$python" -m pytest -p no:cacheprovider)

say "Rust: layout and tests, with the library built from the sources"
export CARGO_TARGET_DIR="$work/rust"
cd bindings/rust
cargo fmt --check
cargo test --offline --locked
# The readme's program is the example.
awk '/^```rust$/ { inside = 1; next } /^```$/ { inside = 0 } inside' README.md >"$work/readme.rs"
grep -v '^//' logprob/examples/first.rs | diff "$work/readme.rs" -
cargo run --quiet --offline --locked --example first
