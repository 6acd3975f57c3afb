#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# What got slower, or faster, beyond noise: sh bench/compare.sh OLD.json NEW.json
exec python3 "$(dirname "$0")/compare.py" "$@"
