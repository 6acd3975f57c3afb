#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Merges Google Benchmark's output into one result file, and makes the tables and pictures from it.

report.py --out DIR RAW.json...     merge, then report
report.py RESULT.json               report again from an existing result file
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys

OURS = ("avx512", "avx2", "neon", "scalar")
JOBS = {
    "logsumexp": "log-sum-exp",
    "log_softmax": "dense log-softmax",
    "score": "score: logsumexp, entropy, chosen, rank, top 20",
    "topk": "top 20",
    "entropy": "entropy",
    "kl": "KL divergence",
}
SHAPES = {(), ("k20",), ("cold",), ("k20", "cold")}  # the plain cases that pictures and headline show


def slug(cpu):
    cpu = re.sub(r"\((?:R|TM|tm|r)\)|\bCPU\b|\bProcessor\b|\d+-Core|@.*?(?=\(|$)", " ", cpu)
    return re.sub(r"[^a-z0-9]+", "-", cpu.lower()).strip("-") or "unknown"


def merge(paths):
    """Keeps what is measured and drops what identifies the machine or its owner."""
    result = {"context": {}, "cases": {}}
    for process, path in enumerate(sorted(paths)):
        with open(path, encoding="utf-8") as file:
            raw = json.load(file)
        context = raw["context"]
        for key in ("date", "num_cpus", "mhz_per_cpu", "caches", "cpu_model", "compiler", "core", "logprob_version",
                    "peers_not_found"):
            if key in context:
                result["context"].setdefault(key, context[key])
        for run in raw["benchmarks"]:
            if run.get("run_type") != "iteration" or "error_occurred" in run:
                continue
            name = run["name"].split("/repeats:")[0]
            case = result["cases"].setdefault(name, {"process": [], "ns": []})
            scale = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}[run["time_unit"]]
            case["process"].append(process)
            case["ns"].append(round(run["cpu_time"] * scale, 3))
            for key in ("ns_per_item", "x_scan", "x_limit", "scan_ns", "limit_ns"):
                if key in run:
                    case.setdefault(key, []).append(float("%.5g" % run[key]))
    return result


class Case:
    """One measured case and the parts of its name: family/subject/dtype/vocab[/k<k>][/words]."""

    def __init__(self, name, data):
        self.name = name
        self.data = data
        parts = name.split("/")
        self.family, self.subject, self.dtype = parts[:3]
        self.vocab = int(parts[3])
        rest = parts[4:]
        self.cold = "cold" in rest
        self.batch = 64 if self.cold or "batch64" in rest or self.family == "sequence_score" else 1
        self.shape = tuple(p for p in rest)
        self.ours = self.subject in OURS
        self.peer = not self.ours and self.family not in ("scan", "memcpy")

    def middle(self, key):
        return statistics.median(self.data[key]) if self.data.get(key) else None

    def same_work(self, other):
        return (self.family, self.dtype, self.vocab, self.shape) == (other.family, other.dtype, other.vocab, other.shape)

    def comparable(self, peer):
        """AVX2 kernels against peers held to AVX2; a peer without such a run counts for both."""
        held = peer.subject.endswith("-avx2")
        if self.subject == "avx2":
            return held or not peer.held_twin
        return not held

    def us_per_row(self, key=statistics.median):
        return key(self.data["ns"]) / 1e3 / self.batch


def cases_of(result):
    cases = [Case(name, data) for name, data in result["cases"].items()]
    subjects = {(c.family, c.subject) for c in cases}
    for c in cases:
        c.held_twin = (c.family, c.subject + "-avx2") in subjects
    return cases


def best_peer(case, cases):
    peers = [p for p in cases if p.peer and p.same_work(case) and case.comparable(p)]
    return min(peers, key=lambda p: p.us_per_row(), default=None)


# ---- tables ---------------------------------------------------------------------------------------------------------
def number(value, digits=3):
    """Three significant digits, never in scientific notation."""
    if value is None:
        return ""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}" if value >= 1 else f"{value:.{digits}f}"


def row(case, cases):
    peer = best_peer(case, cases) if case.ours else None
    against = f"{peer.us_per_row() / case.us_per_row():.1f}x ({peer.subject})" if peer else ""
    return (f"| `{case.name}` | {number(case.us_per_row())} | {number(case.us_per_row(min))} "
            f"| {number(case.middle('ns_per_item'))} | {number(case.middle('x_scan'))} "
            f"| {number(case.middle('x_limit'))} | {against} |")


def headline(cases):
    """The rows that the README shows: V = 128,256, f32, every job, both temperatures of the cache."""
    lines = ["| job, V = 128,256, f32 | " + " | ".join(f"{isa}" for isa in OURS if any(c.subject == isa for c in cases))
             + " | best peer | faster |", ""]
    isas = [isa for isa in OURS if any(c.subject == isa for c in cases)]
    lines[1] = "|---|" + "---|" * len(isas) + "---|---|"
    for family, title in JOBS.items():
        for cold in (False, True):
            found = [c for c in cases if c.family == family and c.dtype == "f32" and c.vocab == 128256 and c.ours
                     and c.shape in SHAPES and c.cold == cold]
            best = next((c for isa in isas for c in found if c.subject == isa), None)
            if not best:
                continue
            peer = best_peer(best, cases)
            cells = []
            for isa in isas:
                own = next((c for c in found if c.subject == isa), None)
                cells.append(f"{number(own.us_per_row())} us ({number(own.middle('x_scan'))})" if own else "")
            against = f"{peer.subject} {number(peer.us_per_row())} us" if peer else ""
            faster = f"{peer.us_per_row() / best.us_per_row():.1f}x" if peer else ""
            lines.append(f"| {title}, {'cold' if cold else 'warm'} | " + " | ".join(cells) + f" | {against} | {faster} |")
    return lines


def markdown(result, cases, base, drawn):
    context = result["context"]
    lines = [f"# {context['cpu_model']}, {context['date'][:10]}", "",
             f"{context['compiler']}, logprob {context['logprob_version']}, one pinned core. Made by `sh bench/run.sh`.",
             "Warm: one row again and again. Cold: 64 rows at a time from a ring larger than the caches. Times are per row,",
             "medians of the repetitions. In brackets: ratio to the read-only max scan of the same bytes, of the same run",
             "and vector width.", ""]
    if context.get("peers_not_found"):
        lines += [f"Peers that this machine had not: {context['peers_not_found']}.", ""]
    if drawn:
        lines += [f"![ns per element over vocabulary]({base}-vocab.svg)", "", f"![against peers]({base}-peers.svg)", ""]
    lines += headline(cases) + [""]
    families = []
    for c in cases:
        if c.family not in families:
            families.append(c.family)
    for family in families:
        lines += [f"## {family}", "",
                  "| case | us/row median | us/row min | ns/element | to scan | to limit | to best peer |",
                  "|---|---|---|---|---|---|---|"]
        found = [c for c in cases if c.family == family]
        lines += [row(c, cases) for c in sorted(found, key=lambda c: (c.dtype, c.shape, c.vocab, not c.ours, c.subject))]
        lines.append("")
    lines += ["The limit is the scan for what only reads, memcpy for what writes as much as it reads. A peer whose name ends",
              "in -avx2 was held to AVX2. xnnpack_softmax gives probabilities: a pass of logarithms would come on top.",
              "compare and kl read two matrices, the scan one: their floor is 2.",
              "torch_vllm is log_softmax, topk, gather and rank; llama_server copies to structs, std::partial_sort, expf.",
              "Freed memory is kept for reuse while timing, so that peers that allocate pay no page faults.", ""]
    return "\n".join(lines)


# ---- pictures -------------------------------------------------------------------------------------------------------
# Colours with enough contrast on white and on near-black; the background stays transparent.
GREY = "#7f868d"
COLOUR = {"avx512": "#2f7fd1", "avx2": "#d9772b", "neon": "#2f7fd1", "scalar": "#3d9a5f", "peer": "#b65fc4", "limit": "#c29a1b"}


def terminals(width, height):
    yield "svg", f"set terminal svg size {width},{height} dynamic font 'sans-serif,13' linewidth 1.2"
    yield "png", f"set terminal pngcairo transparent size {width},{height} font 'sans,11' linewidth 1.2"


def common():
    return "\n".join([
        f"set border 3 linecolor rgb '{GREY}'", f"set tics nomirror textcolor rgb '{GREY}'",
        f"set title textcolor rgb '{GREY}'", f"set key textcolor rgb '{GREY}'", f"set xlabel textcolor rgb '{GREY}'",
        f"set ylabel textcolor rgb '{GREY}'", f"set grid ytics linecolor rgb '{GREY}' linewidth 0.3 dashtype 3"])


def block(name, rows):
    return f"${name} << EOD\n" + "\n".join(rows) + "\nEOD\n"


def panel_series(cases, family, cold):
    """(label, colour, dash, [(vocab, ns per element)]) of every line of one panel."""
    rows = [c for c in cases if c.dtype == "f32" and c.cold == cold and c.shape in SHAPES]
    series = []
    for isa in OURS:
        own = sorted((c.vocab, c.middle("ns_per_item")) for c in rows if c.family == family and c.subject == isa)
        if own:
            series.append((f"logprob {isa}", COLOUR[isa], 1, own))
    peers = {}
    for c in rows:
        if c.family == family and c.peer and not c.subject.endswith("-avx2"):
            peers.setdefault(c.vocab, []).append(c.middle("ns_per_item"))
    if peers:
        series.append(("best peer", COLOUR["peer"], 4, sorted((v, min(t)) for v, t in peers.items())))
    limits = [("scan", "limit: read once", 2)] + ([("memcpy", "limit: memcpy", 3)] if family == "log_softmax" else [])
    for limit, label, dash in limits:
        best = {}
        for c in rows:
            if c.family == limit:
                best[c.vocab] = min(best.get(c.vocab, 1e9), c.middle("ns_per_item"))
        if best:
            series.append((label, GREY, dash, sorted(best.items())))
    return series


def vocab_plot(cases, path, title):
    """One panel per job, warm above cold, and one legend below them all."""
    families = [f for f in ("logsumexp", "log_softmax", "score") if any(c.family == f and c.ours for c in cases)]
    panels = [(f, cold, panel_series(cases, f, cold)) for cold in (False, True) for f in families]
    panels = [p for p in panels if p[2]]
    if not panels:
        return ""
    columns, lines = len(families), len({cold for _, cold, _ in panels})
    width, height = 400 * columns, 110 + 320 * lines
    script, legend = [], {}
    for _, _, series in panels:
        for label, colour, dash, _ in series:
            legend[label] = line_style(colour, dash)
    for kind, terminal in terminals(width, height):
        script += [terminal, f"set output '{path}-vocab.{kind}'", common(), "unset key", "set logscale xy",
                   f"set multiplot title \"{title}\" textcolor rgb '{GREY}'", "set ylabel offset 1,0",
                   "set ytics (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)", "set size %g,%g"
                   % (1 / columns, 320 / height)]
        for i, (family, cold, series) in enumerate(panels):
            values = [ns for s in series for _, ns in s[3]]
            script += [f"set origin {families.index(family) / columns:g},{(60 + (0 if cold else 320 * (lines - 1))) / height:g}",
                       f"set title '{job_title(family)}, {'cold' if cold else 'warm'}'",
                       "set ylabel 'ns per element'", "set xlabel 'vocabulary'",
                       f"set yrange [{min(values) / 1.4:.4g}:{max(values) * 1.4:.4g}]",
                       "set xrange [25000:330000]" if cold else "set xrange [180:400000]",
                       "set xtics ('32,000' 32000, '128,256' 128256, '262,144' 262144)" if cold else
                       "set xtics ('256' 256, '4,096' 4096, '32,000' 32000, '' 128256, '262,144' 262144)"]
            plots = []
            for j, (label, colour, dash, points) in enumerate(series):
                script.append(block(f"p{i}_{j}", [f"{v} {ns}" for v, ns in points]))
                plots.append(f"$p{i}_{j} using 1:2 {line_style(colour, dash)} notitle")
            script.append("plot " + ", ".join(plots))
        script += ["set origin 0,0", f"set size 1,{60 / height:g}", "unset border", "unset tics", "unset xlabel",
                   "unset ylabel", "unset title", "unset grid", "set lmargin 0", "set rmargin 0", "set tmargin 0",
                   "set bmargin 0", "set yrange [1:2]",
                   f"set key at graph 0.5,0.5 center center horizontal maxrows 1 samplen 3 width 1 textcolor rgb '{GREY}'",
                   "plot " + ", ".join(f"NaN {style} title '{label}'" for label, style in legend.items()),
                   "unset multiplot", "unset output", "reset"]
    return "\n".join(script)


def line_style(colour, dash):
    points = "lines" if colour == GREY else "linespoints"
    symbol = "" if colour == GREY else " pointtype 7 pointsize 0.45"
    return f"with {points} linecolor rgb '{colour}' dashtype {dash} linewidth 1.6{symbol}"


def job_title(family):
    return family.replace("_", "-") + (" (all, top 20)" if family == "score" else "")


def bars_of(cases, family, cold):
    """(us per row, label, colour) at V = 128,256, fastest first, limits included."""
    bars = []
    isas = {c.subject for c in cases if c.ours}
    for c in cases:
        if c.vocab != 128256 or c.dtype != "f32" or c.cold != cold or c.shape not in SHAPES:
            continue
        if c.subject == "scalar" and len(isas) > 1:  # the reference, ten times the others: in the other picture
            continue
        if c.family == family:
            label = ("logprob " if c.ours else "") + c.subject.replace("_", "-")
            bars.append((c.us_per_row(), label, COLOUR[c.subject] if c.ours else GREY))
        elif c.family == "memcpy" and family == "log_softmax":
            bars.append((c.us_per_row(), "limit: memcpy", COLOUR["limit"]))
    scans = [c.us_per_row() for c in cases
             if c.family == "scan" and c.vocab == 128256 and c.dtype == "f32" and c.cold == cold]
    if bars and scans:
        bars.append((min(scans), "limit: read once", COLOUR["limit"]))
    return sorted(bars)


def peers_plot(cases, path, title):
    """Horizontal bars from zero, one panel per job, warm above cold."""
    families = [f for f in ("logsumexp", "log_softmax", "score") if any(c.family == f and c.peer for c in cases)]
    lines = [[(f, cold, bars_of(cases, f, cold)) for f in families] for cold in (False, True)]
    lines = [line for line in lines if any(bars for _, _, bars in line)]
    if not lines:
        return ""
    heights = [76 + 24 * max(len(bars) for _, _, bars in line) for line in lines]
    width, height = 420 * len(families), 40 + sum(heights)
    script = []
    for kind, terminal in terminals(width, height):
        script += [terminal, f"set output '{path}-peers.{kind}'", common(), "set style fill solid 1.0 noborder",
                   "unset border", "unset key", "unset grid", "unset xtics", "set ytics scale 0",
                   "set lmargin 19", "set rmargin 2", "set tmargin 2", "set bmargin 1",
                   f"set multiplot title \"{title}\" textcolor rgb '{GREY}'"]
        below = sum(heights)
        for number_of_line, line in enumerate(lines):
            most = max(len(bars) for _, _, bars in line)
            below -= heights[number_of_line]
            for column, (family, cold, bars) in enumerate(line):
                if not bars:
                    continue
                name = f"b{number_of_line}_{column}"
                rows = [f"{most - j} {us:.5g} \"{label}\" {int(colour[1:], 16)} \"{number(us)} us\""
                        for j, (us, label, colour) in enumerate(bars)]
                script += [block(name, rows), f"set origin {column / len(families):g},{(10 + below) / height:g}",
                           f"set size {1 / len(families):g},{heights[number_of_line] / height:g}",
                           f"set title '{job_title(family)}, {'64 rows, cold' if cold else 'one row, warm'}'",
                           f"set xrange [0:{bars[-1][0] * 1.3:.5g}]", f"set yrange [0.4:{most + 0.6}]",
                           f"plot ${name} using (0):1:(0):2:($1-0.36):($1+0.36):4:ytic(3) with boxxyerror "
                           f"linecolor rgb variable notitle, ${name} using 2:1:5 with labels left offset 0.6,0 "
                           f"textcolor rgb '{GREY}' notitle"]
        script += ["unset multiplot", "unset output", "reset"]
    return "\n".join(script)


def pictures(result, cases, path):
    if not shutil.which("gnuplot"):
        print("report.py: no gnuplot here, no pictures", file=sys.stderr)
        return False
    context = result["context"]
    title = f"{context['cpu_model']}, {context['compiler']}, {context['date'][:10]}"
    for script in (vocab_plot(cases, path, title), peers_plot(cases, path, title)):
        if script:
            subprocess.run(["gnuplot"], input=script, text=True, check=True)
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", help="where the merged result goes; without it the input is one")
    parser.add_argument("json", nargs="+")
    options = parser.parse_args()
    if options.out:
        result = merge(options.json)
        os.makedirs(options.out, exist_ok=True)
        base = f"{slug(result['context']['cpu_model'])}-{result['context']['date'][:10]}"
        path = os.path.join(options.out, base)
        with open(path + ".json", "w", encoding="utf-8") as file:
            lines = ",\n".join(f"  {json.dumps(n)}: {json.dumps(c)}" for n, c in result["cases"].items())
            file.write(f'{{"context": {json.dumps(result["context"])},\n "cases": {{\n{lines}\n}}}}\n')
    else:
        with open(options.json[0], encoding="utf-8") as file:
            result = json.load(file)
        path = os.path.splitext(options.json[0])[0]
        base = os.path.basename(path)
    cases = cases_of(result)
    drawn = pictures(result, cases, path)
    with open(path + ".md", "w", encoding="utf-8") as file:
        file.write(markdown(result, cases, base, drawn))
    print("\n".join(headline(cases)))
    print(f"\n{path}.json, .md" + (", -vocab.svg, -peers.svg (and .png)" if drawn else ""))


if __name__ == "__main__":
    main()
