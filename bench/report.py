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


def slug(cpu):
    cpu = re.sub(r"\((?:R|TM|tm|r)\)|\bCPU\b|\bProcessor\b|\d+-Core|@.*?(?=\(|$)", " ", cpu)
    return re.sub(r"[^a-z0-9]+", "-", cpu.lower()).strip("-") or "unknown"


def merge(paths):
    """Keeps what is measured and drops what identifies the machine or its owner."""
    result = {"context": {}, "cases": {}}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            raw = json.load(file)
        context = raw["context"]
        for key in ("date", "num_cpus", "mhz_per_cpu", "caches", "cpu_model", "compiler", "core", "logprob_version"):
            if key in context:
                result["context"].setdefault(key, context[key])
        for run in raw["benchmarks"]:
            if run.get("run_type") != "iteration" or "error_occurred" in run:
                continue
            name = run["name"].split("/repeats:")[0]
            case = result["cases"].setdefault(name, {"ns": [], "ns_per_item": []})
            scale = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}[run["time_unit"]]
            case["ns"].append(round(run["real_time"] * scale, 3))
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
                     and c.shape in ((), ("k20",), ("cold",), ("k20", "cold")) and c.cold == cold]
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


def markdown(result, cases, base):
    context = result["context"]
    lines = [f"# {context['cpu_model']}, {context['date'][:10]}", "",
             f"{context['compiler']}, logprob {context['logprob_version']}, one pinned core. Made by `sh bench/run.sh`.",
             "Warm: one row again and again. Cold: 64 rows at a time from a ring larger than the caches. Times are per row,",
             "medians of the repetitions. In brackets: ratio to the read-only max scan of the same bytes, of the same run",
             "and vector width.", "",
             f"![ns per element over vocabulary]({base}-vocab.svg)", "", f"![against peers]({base}-peers.svg)", ""]
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
              "torch_vllm is log_softmax, topk, gather and rank; llama_server copies to structs, std::partial_sort, expf.",
              "Freed memory is kept for reuse while timing, so that peers that allocate pay no page faults.", ""]
    return "\n".join(lines)


# ---- pictures -------------------------------------------------------------------------------------------------------
# Colours with enough contrast on white and on near-black; the background stays transparent.
GREY = "#7f868d"
COLOUR = {"avx512": "#2f7fd1", "avx2": "#d9772b", "neon": "#2f7fd1", "scalar": "#3d9a5f", "peer": "#b65fc4"}


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
    shapes = {(), ("k20",), ("cold",), ("k20", "cold")}
    rows = [c for c in cases if c.dtype == "f32" and c.cold == cold and c.shape in shapes]
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
    families = [f for f in ("logsumexp", "log_softmax", "score") if any(c.family == f and c.ours for c in cases)]
    panels = [(f, cold) for cold in (False, True) for f in families]
    panels = [(f, cold, panel_series(cases, f, cold)) for f, cold in panels]
    panels = [p for p in panels if p[2]]
    columns = max(1, len(families))
    lines = len(panels) // columns + (len(panels) % columns > 0)
    script = []
    for kind, terminal in terminals(400 * columns, 60 + 330 * lines):
        script += [terminal, f"set output '{path}-vocab.{kind}'", common(),
                   "set logscale xy", "set format x '%.0s%c'", "set xlabel 'vocabulary'", "set ylabel 'ns per element'",
                   "set xtics (256, '4k' 4096, '32k' 32000, '128k' 128256, '256k' 262144)",
                   f"set multiplot layout {lines},{columns} title \"{title}\" textcolor rgb '{GREY}'"]
        for i, (family, cold, series) in enumerate(panels):
            script.append(f"set title '{family.replace('_', '-')}{' (top 20)' if family == 'score' else ''}, "
                          f"{'cold' if cold else 'warm'}'")
            top = 10 ** 0.0
            values = [ns for s in series for _, ns in s[3]]
            low, high = min(values), max(values)
            script.append(f"set yrange [{low / 1.6:.4g}:{high * 6:.4g}]; set key top left maxrows 4 samplen 2 width -1")
            script.append("set xrange [20000:400000]" if cold else "set xrange [180:400000]")
            plots = []
            for j, (label, colour, dash, points) in enumerate(series):
                script.append(block(f"p{i}_{j}", [f"{v} {ns}" for v, ns in points]))
                style = "lines" if colour == GREY else "linespoints"
                point = "" if style == "lines" else " pointtype 7 pointsize 0.45"
                plots.append(f"$p{i}_{j} using 1:2 with {style} linecolor rgb '{colour}' dashtype {dash} "
                             f"linewidth 1.6{point} title '{label}'")
            script.append("plot " + ", ".join(plots))
        script += ["unset multiplot", "unset output", "reset"]
    return "\n".join(script)


def peers_plot(cases, path, title):
    """Horizontal bars, one panel per job, time as a ratio to the read-only scan of the same run."""
    families = [f for f in ("logsumexp", "log_softmax", "score") if any(c.family == f and c.peer for c in cases)]
    panels = []
    for family in families:
        found = [c for c in cases if c.family == family and c.vocab == 128256 and c.dtype == "f32"
                 and c.shape in ((), ("k20",))]
        found.sort(key=lambda c: c.us_per_row(), reverse=True)
        if found:
            panels.append((family, found))
    if not panels:
        return ""
    most = max(len(found) for _, found in panels)
    script = []
    for kind, terminal in terminals(420 * len(panels), 90 + 34 * most):
        script += [terminal, f"set output '{path}-peers.{kind}'", common(), "set style fill solid 1.0 noborder",
                   "set border 1", "set boxwidth 0.7", "unset key", "set grid noytics",
                   f"set multiplot layout 1,{len(panels)} title \"{title}\" textcolor rgb '{GREY}'"]
        for i, (family, found) in enumerate(panels):
            script.append(block(f"b{i}", [
                f"{j} {c.us_per_row():.4g} \"{('logprob ' if c.ours else '') + c.subject.replace('_', '-')}\" "
                f"{int(COLOUR[c.subject if c.ours else 'peer'][1:], 16) if c.ours else int(GREY[1:], 16)} "
                f"\"{number(c.us_per_row())} us\"" for j, c in enumerate(found)]))
            high = max(c.us_per_row() for c in found)
            low = min(c.us_per_row() for c in found)
            script += [f"set title '{family.replace('_', '-')}{' (top 20)' if family == 'score' else ''}, V = 128,256'",
                       "set xlabel 'us per row, warm (log scale)'", "unset ylabel",
                       f"set logscale x; set xrange [{low / 3:.4g}:{high * 4:.4g}]", "set format x '%g'",
                       f"set yrange [-0.6:{most - 0.4}]",
                       "set ytics scale 0",
                       f"plot $b{i} using ({low / 3:.4g}):1:({low / 3:.4g}):2:($1-0.35):($1+0.35):4:ytic(3) "
                       "with boxxyerror linecolor rgb variable notitle, "
                       f"$b{i} using 2:1:5 with labels left offset 0.6,0 textcolor rgb '{GREY}' notitle"]
        script += ["unset multiplot", "unset output", "reset"]
    return "\n".join(script)


def pictures(result, cases, path):
    if not shutil.which("gnuplot"):
        print("report.py: no gnuplot here, no pictures", file=sys.stderr)
        return
    context = result["context"]
    title = f"{context['cpu_model']}, {context['compiler']}, {context['date'][:10]}"
    for script in (vocab_plot(cases, path, title), peers_plot(cases, path, title)):
        if script:
            subprocess.run(["gnuplot"], input=script, text=True, check=True)


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
    with open(path + ".md", "w", encoding="utf-8") as file:
        file.write(markdown(result, cases, base))
    pictures(result, cases, path)
    print("\n".join(headline(cases)))
    print(f"\n{path}.json, .md, -vocab.svg, -peers.svg (and .png)")


if __name__ == "__main__":
    main()
