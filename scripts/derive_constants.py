#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Derives the constants of the hot loop's exp and prints src/core/constants.h.

    e^x = 2^(n/8) e^r,  n = rint(8 x / ln 2),  r = x - n ln2/8,  |r| <= ln2/16
    e^r ~ kappa (1 + r (C1 + r (C2 + r C3)))          cubic of least maximum relative error, kappa free
    2^(n/8) ~ T_k 2^(n >> 3) / scale, k = n mod 8      table of 8 floats, scale free

`kappa` and `scale` are undone once per block in double, so they may be chosen: `scale` so that the three top mantissa bits
of T_k are k (then shifting n into place writes them, and the table holds the 20 low bits alone) and so that all eight
entries are nearly exact.  Usage: scripts/derive_constants.py > src/core/constants.h
"""
import math
import struct
from fractions import Fraction
from decimal import Decimal, getcontext

getcontext().prec = 60
LN2 = Decimal(2).ln()


def to_float(x):
    """x rounded to float, as an exact Python float"""
    return struct.unpack("<f", struct.pack("<f", float(x)))[0]


def bits(x):
    return struct.unpack("<I", struct.pack("<f", x))[0]


def from_bits(b):
    return struct.unpack("<f", struct.pack("<I", b))[0]


def hexf(x):
    """a C hex float literal"""
    m, e = math.frexp(x)
    return f"{(m * 2).hex().split('p')[0].rstrip('0').rstrip('.')}p{e - 1:+d}f"


def cubic():
    """Remez exchange for e^r on |r| <= ln2/16, relative error; returns the coefficients a0..a3"""
    h = math.log(2) / 16 * (1 + 1e-4)
    nodes = [h * math.cos(math.pi * i / 4) for i in range(5)]
    coefficients = None
    for _ in range(30):
        # p(r) e^-r - 1 = +-error at the nodes
        rows = [[math.exp(-r) * r**j for j in range(4)] + [(-1) ** i, 1.0] for i, r in enumerate(nodes)]
        n = 5
        for c in range(n):
            pivot = max(range(c, n), key=lambda i: abs(rows[i][c]))
            rows[c], rows[pivot] = rows[pivot], rows[c]
            for i in range(n):
                if i != c:
                    f = rows[i][c] / rows[c][c]
                    rows[i] = [a - f * b for a, b in zip(rows[i], rows[c])]
        solution = [rows[i][n] / rows[i][i] for i in range(n)]
        coefficients = solution[:4]
        grid = [-h + 2 * h * i / 4000 for i in range(4001)]
        err = [sum(a * r**j for j, a in enumerate(coefficients)) * math.exp(-r) - 1 for r in grid]
        extremes = [0]
        for i in range(1, 4001):
            if (err[i] > 0) == (err[extremes[-1]] > 0):
                if abs(err[i]) > abs(err[extremes[-1]]):
                    extremes[-1] = i
            else:
                extremes.append(i)
        if len(extremes) != 5:
            break
        nodes = [grid[i] for i in extremes]
    return coefficients


def table():
    """the scale in [1.0607, 1.0905) whose eight entries are nearest to floats"""
    roots = [float((LN2 * k / 8).exp()) for k in range(8)]
    best = (1.0, None)
    low, high = 1.0607, 1.0905
    # T_0 is a float; the scale may deviate from it by half an ulp, tried in steps of an eighth
    first = bits(to_float(low)) + 1
    last = bits(to_float(high))
    for b in range(first, last):
        t0 = from_bits(b)
        worst = 0.0
        lo = hi = 0.0
        for root in roots:
            value = t0 * root
            entry = to_float(value)
            error = entry / value - 1
            lo, hi = min(lo, error), max(hi, error)
            if hi - lo > 2 * best[0]:
                break
        else:
            worst = (hi - lo) / 2
            if worst < best[0]:
                best = (worst, b, (hi + lo) / 2)
    worst, b, shift = best
    entries = [to_float(from_bits(b) * root) for root in roots]
    scale = from_bits(b) * (1 + shift)
    for k, entry in enumerate(entries):
        assert bits(entry) >> 20 & 7 == k and bits(entry) >> 23 == 127, (k, entry)
    return entries, scale, worst


def tanh_polynomial(degree):
    """P with tanh z ~ z + z u P(u), u = z^2, z <= 5/8: interpolation at Chebyshev nodes, solved in rationals"""
    n, top = degree + 1, Fraction(25, 64)
    nodes = [top / 2 * (1 + Fraction(math.cos(math.pi * (2 * i + 1) / (2 * n)))) for i in range(n)]
    values = []
    for u in nodes:
        z = (Decimal(u.numerator) / Decimal(u.denominator)).sqrt()
        e = (2 * z).exp()
        values.append(Fraction(((e - 1) / (e + 1) / z - 1) / (z * z)))
    rows = [[u**j for j in range(n)] + [v] for u, v in zip(nodes, values)]
    for c in range(n):
        for i in range(n):
            if i != c:
                f = rows[i][c] / rows[c][c]
                rows[i] = [a - f * b for a, b in zip(rows[i], rows[c])]
    return [to_float(rows[i][n] / rows[i][i]) for i in range(n)]


def main():
    a = cubic()
    c1, c2, c3 = (to_float(a[i] / a[0]) for i in (1, 2, 3))
    entries, scale, table_error = table()
    h = math.log(2) / 16
    grid = [-h + 2 * h * i / 20000 for i in range(20001)]
    rel = [(1 + r * (c1 + r * (c2 + r * c3))) * math.exp(-r) for r in grid]
    kappa = 2 / (max(rel) + min(rel))
    cubic_error = (max(rel) - min(rel)) / (max(rel) + min(rel))
    unit = 2.0**-22
    log2e = to_float(8 / LN2 * Decimal(unit))
    ln2 = to_float(LN2 / 8 / Decimal(unit))
    magic = 2.0 + 127 * 8 * unit
    # error of ln2 as a float, per power of two
    ln2_error = float(Decimal(ln2) * Decimal(unit) * 8 - LN2)

    def position(x):
        """bits of fma(x, log2e, magic), one rounding: to a multiple of 2^-22 inside [2, 4)"""
        exact = Fraction(x) * Fraction(log2e) + Fraction(magic)
        if exact < 2:  # below 2 the ulp is half a unit
            return 0 if exact >= 2 - Fraction(1, 2**24) else -1
        return round(exact / Fraction(unit)) - 2 * 2**22

    def edge(inside, outside):
        """the last float whose position is in 0..2047, walking from inside to outside (same sign)"""
        a, b = bits(inside), bits(outside)
        while abs(b - a) > 1:
            mid = (a + b) // 2
            if 0 <= position(from_bits(mid)) <= 2047:
                a = mid
            else:
                b = mid
        return from_bits(a)

    low, high = edge(-80.0, -100.0), edge(80.0, 100.0)
    print("/* SPDX-License-Identifier: MIT OR Apache-2.0 */")
    print("/* Constants of the hot loop's exp. Made by scripts/derive_constants.py: change that, not this. */\n/* clang-format off */")
    print("#ifndef LP_CORE_CONSTANTS_H\n#define LP_CORE_CONSTANTS_H\n")
    print("/* 8 / ln 2 and ln 2 / 8 in units of 2^-22, the ulp of [2, 4); 2 + 127 * 8 units */")
    print(f"#define EXP_LOG2E {hexf(log2e)}")
    print(f"#define EXP_LN2 {hexf(ln2)}")
    print(f"#define EXP_UNIT {hexf(unit)}")
    print(f"#define EXP_MAGIC {hexf(magic)}")
    print(f"/* float's ln 2 minus ln 2 */\n#define EXP_LN2_ERROR {ln2_error.hex()}")
    print(f"\n/* cubic: relative error {cubic_error:.3g} */")
    for name, c in (("C1", c1), ("C2", c2), ("C3", c3)):
        print(f"#define EXP_{name} {hexf(c)}")
    print(f"\n/* low 20 mantissa bits of scale * 2^(k/8): relative error {table_error:.3g} */")
    print("#define EXP_TABLE \\\n    { " + ", ".join(f"0x{bits(e) & 0xFFFFF:05X}" for e in entries) + " }")
    print("\n/* the entries themselves, entry k at 7 - k */")
    print("#define EXP_TABLE_REVERSED \\\n    { " + ", ".join(hexf(entries[7 - k]) for k in range(8)) + " }")
    planes = [bits(e) >> 8 * j & (0xFF if j < 2 else 0xF) for j in range(3) for e in entries] + [0] * 8
    print("\n/* the table by bytes: byte j of entry k at 8 j + k */")
    for first, head, tail in ((0, "#define EXP_TABLE_PLANES \\\n    { ", ", \\"), (16, "      ", " }")):
        print(head + ", ".join(f"0x{b:02X}" for b in planes[first : first + 16]) + tail)
    print(f"\n/* kappa / scale, undone once per block */\n#define EXP_FACTOR {(kappa / scale).hex()}")
    print("\n/* tanh z = z + z u P(u), u = z^2, up to 5/8 */")
    for i, c in enumerate(tanh_polynomial(5)):
        print(f"#define TANH_P{i} {hexf(c) if c > 0 else '(' + hexf(c) + ')'}")
    print("\n/* the floats between which fma(x, EXP_LOG2E, EXP_MAGIC) lies in [2, 2 + 2047 units] */")
    print(f"#define EXP_LOWEST ({hexf(low)})")
    print(f"#define EXP_HIGHEST {hexf(high)}")
    print("#endif")


main()
