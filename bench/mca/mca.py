#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Asks llvm-mca about the inner loop of each function of loops.c, and counts what the loop consists of.

    mca.py ASSEMBLY MODEL WIDTH     one line a function: name, then key=value
"""
import re
import subprocess
import sys

# What to count to know how many vectors of elements one turn of the loop takes: instruction, how many a vector.
FMA = r"v?fn?m(add|sub|la|ls)[0-9ps]*"
TURN = {
    "logsumexp": (FMA, 5),
    "entropy": (FMA, 5.5),
    "dense": (r"fsub|vsubps", 2),
    "max": (r"fmaxnm|vmaxps", 1),
}
FLOAT = r"fml[as]|f(add|sub|mul|maxnm)|vfn?m(add|sub)[0-9]+ps|v(add|sub|mul|max)ps"
# The ports that take a vector FMA, by llvm's names of them; 512-bit ones where they differ.
PORTS = {
    "neoverse-n1": r"N1UnitV\d",
    "neoverse-n2": r"N2UnitV\d",
    "neoverse-v1": r"V1UnitV\d",
    "neoverse-v2": r"V2UnitV\d",
    "sapphirerapids": r"SPRPort0[01]",
    "sapphirerapids/16": r"SPRPort0[05]",
    "icelake-server": r"ICXPort[01]",
    "icelake-server/16": r"ICXPort[05]",
    "skylake-avx512": r"SKXPort[01]",
    "skylake-avx512/16": r"SKXPort[05]",
    "znver3": r"Zn3FP[01]",
    "znver4": r"Zn4FPFMul[01]|Zn4FP[01]",
}


def functions(lines):
    """name -> lines of each loop_<name>"""
    name, body, found = None, [], {}
    for line in lines:
        start = re.match(r"loop_(\w+):", line)
        if start:
            name, body = start.group(1), []
        elif name and re.match(r"\s*\.size\s+loop_", line):
            found[name], name = body, None
        elif name:
            body.append(line)
    return found


def instruction(line):
    """mnemonic and operands, or None for labels, directives and comments"""
    line = re.sub(r"(//|#(?![0-9-])|@ ).*", "", line).strip()
    if not line or line.startswith((".", "//")) or line.endswith(":"):
        return None
    parts = line.split(None, 1)
    return parts[0], parts[1] if len(parts) > 1 else ""


def inner_loop(body, pattern):
    """the innermost loop with the most instructions of the kind asked for"""
    place, loops = {}, []
    for i, line in enumerate(body):
        label = re.match(r"(\.?\w+):", line)
        if label:
            place[label.group(1)] = i
        op = instruction(line)
        if op and re.match(r"b\.?(\w\w)?$|cbn?z|tbn?z|j", op[0]):
            target = op[1].split(",")[-1].strip()
            if target in place:  # backwards
                loops.append((place[target] + 1, i + 1))
    inner = [a for a in loops if not any(a[0] <= b[0] and b[1] <= a[1] and a != b for b in loops)]
    count = lambda loop: sum(bool(op and re.fullmatch(pattern, op[0])) for op in map(instruction, body[slice(*loop)]))
    best = max(inner, key=count, default=None)
    if best is None or count(best) == 0:  # unrolled to the end: all of the function but its return
        best = (0, next(i for i, line in enumerate(body) if re.match(r"\s*ret", line)))
    return [line for line in body[slice(*best)] if instruction(line)], count(best)


def simulate(loop, model, width):
    """a turn's cycles by simulation, its uops, and the mean work of the ports that take an FMA"""
    arm = model.startswith("neoverse")
    text = "# LLVM-MCA-BEGIN\n" + loop + "\n# LLVM-MCA-END\n"
    triple = "aarch64" if arm else "x86_64"
    command = ["llvm-mca-19", f"-mtriple={triple}", f"-mcpu={model}", "-iterations=300", "-instruction-info=0"]
    out = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    value = lambda key: float(re.search(rf"^{key}:\s+([\d.]+)", out, re.M).group(1))
    units = dict(re.findall(r"^\[([\d.]+)\]\s+- (\S+)", out, re.M))
    lines = out.split("\n")
    at = next(i for i, line in enumerate(lines) if line.startswith("Resource pressure per iteration"))
    load = {}
    for key, work in zip(re.findall(r"\[([\d.]+)\]", lines[at + 1]), lines[at + 2].split()):
        load[units[key]] = load.get(units[key], 0) + (0 if work == "-" else float(work))
    ports = [w for unit, w in load.items() if re.fullmatch(PORTS.get(f"{model}/{width}", PORTS[model]), unit)]
    return {
        "cycles": value("Total Cycles") / 300,
        "uops": value("Total uOps") / 300,
        "ports": sum(ports) / len(ports),
    }


def main():
    path, model, width = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with open(path, encoding="utf-8") as file:
        found = functions(file.read().split("\n"))
    for name, (pattern, each) in TURN.items():
        loop, count = inner_loop(found[name], pattern)
        sets = count / each * width / 32
        ops = [instruction(line) for line in loop]
        floats = "\n".join(line for line in loop if re.fullmatch(FLOAT, instruction(line)[0]))
        result = simulate("\n".join(loop), model, width)
        result["float_ports"] = simulate(floats, model, width)["ports"]
        result["instructions"] = len(ops)
        result = {key: value / sets for key, value in result.items()}
        stack = sum(bool(re.search(r"\[sp|\[x29|\(%r[sb]p", operands)) for _, operands in ops)
        moves = sum(bool(re.match(r"(umov|smov|ins|dup|v?pinsr|v?pextr|vextract|vinsert|fmov$)", op)) for op, _ in ops)
        copies = sum(op == "mov" and ".16b" in rest or bool(re.match(r"vmov[adu]", op)) and "(" not in rest
                     for op, rest in ops)
        print(name, *(f"{key}={value:.3f}" for key, value in result.items()),
              f"stack={stack}", f"lane_moves={moves}", f"copies={copies / sets:.3f}")


main()
