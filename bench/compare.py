#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Compares two result files of bench/run.sh case by case, with a Mann-Whitney test on their repetitions.

A case counts as changed when all of these say so, of its time and, where it has one, of its ratio to the limit that was
timed around the same repetition (a slower machine is not a slower library):
- the difference is beyond chance, false discoveries held to 5% over all cases (Benjamini and Hochberg);
- the median moved by at least --least percent (3);
- the medians of the processes do not overlap: where memory lies differs between processes more than within one.
Exit: 0 nothing slower, 1 something slower, 2 cannot compare.
"""
import argparse
import json
import math
import statistics
import sys


def ranks(values):
    order = sorted(range(len(values)), key=values.__getitem__)
    result, i = [0.0] * len(values), 0
    while i < len(order):
        j = i
        while j + 1 < len(order) and values[order[j + 1]] == values[order[i]]:
            j += 1
        for position in range(i, j + 1):
            result[order[position]] = (i + j) / 2 + 1
        i = j + 1
    return result


def exact_tail(u, m, n):
    """P(U <= u) of the rank-sum statistic without ties."""
    counts = {(0, j): [1] for j in range(n + 1)}
    for i in range(1, m + 1):
        counts[i, 0] = [1]
        for j in range(1, n + 1):
            size = i * j + 1
            a, b = counts[i - 1, j], counts[i, j - 1]
            counts[i, j] = [(a[t - j] if 0 <= t - j < len(a) else 0) + (b[t] if t < len(b) else 0) for t in range(size)]
    c = counts[m, n]
    return sum(c[:int(u) + 1]) / sum(c)


def mann_whitney(a, b):
    """Two-sided p-value: exact for small samples without ties, else the normal approximation corrected for ties."""
    m, n = len(a), len(b)
    r = ranks(a + b)
    u = sum(r[:m]) - m * (m + 1) / 2
    u = min(u, m * n - u)
    if len(set(a + b)) == m + n and m * n <= 400:
        return min(1.0, 2 * exact_tail(u, m, n))
    total = m + n
    ties = sum(t ** 3 - t for t in (r.count(x) for x in set(r)))
    variance = m * n / 12 * (total + 1 - ties / (total * (total - 1)))
    if variance <= 0:
        return 1.0
    z = (abs(u - m * n / 2) - 0.5) / math.sqrt(variance)
    return math.erfc(max(0.0, z) / math.sqrt(2))


def discoveries(p_values, rate):
    """The largest p-value that Benjamini and Hochberg's procedure accepts; -1 when none."""
    ordered = sorted(p_values)
    accepted = [p for i, p in enumerate(ordered, 1) if p <= rate * i / len(ordered)]
    return max(accepted, default=-1.0)


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        sys.exit(f"compare: {path}: {error}")


def tested(old, new):
    return ["ns", "x_limit"] if old.get("x_limit") and new.get("x_limit") else ["ns"]


def change(old, new, key):
    return statistics.median(new[key]) / statistics.median(old[key]) - 1


def process_medians(case, key):
    processes = {}
    for process, value in zip(case["process"], case[key]):
        processes.setdefault(process, []).append(value)
    return [statistics.median(values) for values in processes.values()]


def apart(old, new, key):
    a, b = process_medians(old, key), process_medians(new, key)
    return max(a) < min(b) or max(b) < min(a)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--least", type=float, default=3.0, help="smallest change of the median that counts, percent")
    parser.add_argument("--all", action="store_true", help="print every case")
    options = parser.parse_args()
    old, new = load(options.old), load(options.new)
    for key in ("cpu_model", "compiler"):
        if old["context"].get(key) != new["context"].get(key):
            print(f"compare: different {key}: {old['context'].get(key)} / {new['context'].get(key)}")
    names = [n for n in new["cases"] if n in old["cases"]]
    if not names:
        print("compare: the files have no case in common")
        return 2
    fewest = min(min(len(old["cases"][n]["ns"]), len(new["cases"][n]["ns"])) for n in names)
    if fewest < 5:
        print(f"compare: only {fewest} repetitions: too few to tell a change from noise")
    p = {n: max(mann_whitney(old["cases"][n][k], new["cases"][n][k]) for k in tested(old["cases"][n], new["cases"][n]))
         for n in names}
    threshold = discoveries(list(p.values()), 0.05)
    slower, faster = [], []
    for n in names:
        a, b = old["cases"][n], new["cases"][n]
        moved = {k: change(a, b, k) for k in tested(a, b)}
        line = (abs(moved["ns"]), f"{n:<56} {100 * moved['ns']:+7.1f}%  to limit "
                + (f"{100 * moved['x_limit']:+7.1f}%" if "x_limit" in moved else "      -") + f"  p = {p[n]:.1e}")
        if options.all:
            print(line[1])
        least = options.least / 100
        if p[n] <= threshold and all(apart(a, b, k) for k in moved):
            if all(m >= least for m in moved.values()):
                slower.append(line)
            elif all(m <= -least for m in moved.values()):
                faster.append(line)
    for title, lines in (("slower", slower), ("faster", faster)):
        print(f"{title}: {len(lines)}")
        for _, text in sorted(lines, reverse=True):
            print("  " + text)
    print(f"within noise: {len(names) - len(slower) - len(faster)} of {len(names)}")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
