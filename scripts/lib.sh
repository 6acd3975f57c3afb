# shellcheck shell=sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# What the scripts share. Sourced by scripts that stand in the top folder of the project and run with `set -eu`.

say() {
    printf '%s\n' "== $*" >&2
}

fail() {
    printf '%s\n' "error: $*" >&2
    exit 1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        env DEBIAN_FRONTEND=noninteractive "$@"
    else
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

cpus() {
    nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2
}

# runs a command whose output only matters when it fails: quietly LOG COMMAND...
quietly() {
    quietly_log=$1
    shift
    mkdir -p "$(dirname "$quietly_log")"
    if ! "$@" >"$quietly_log" 2>&1; then
        tail -n 60 "$quietly_log" >&2
        fail "'$*' failed; the whole output is in $quietly_log"
    fi
}
