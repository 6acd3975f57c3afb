# SPDX-License-Identifier: MIT OR Apache-2.0
"""logprob compare: the story against a perturbed copy, checked with float64 arithmetic written independently here."""
import csv
import io
import math
import random
import re
import struct

from support import (LOGITS, TOKENS, CommandTest, main, npy_floats, npy_header, npy_ints, run, story_logits,
                     story_tokens, strict_json)

SEED = 20240820
INF = math.inf


def log_softmax(row):
    top = max(row)
    norm = math.log(math.fsum(math.exp(x - top) for x in row))
    return [x - top - norm for x in row]


def mean_error(values):
    n = len(values)
    mean = math.fsum(values) / n
    return mean, math.sqrt(math.fsum((v - mean) ** 2 for v in values) / n / (n - 1))


def percentile(values, percent):
    values = sorted(values)
    place = percent / 100 * (len(values) - 1)
    below = math.floor(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (place - below) * (values[above] - values[below])


class CompareTest(CommandTest):
    def compare(self, *arguments, code=0):
        if code == 0:
            return strict_json(self.accepted("compare", *arguments, "--format", "json"))
        got, out, err = run("compare", *arguments, "--format", "json")
        self.assertEqual((got, err.count("\n")), (code, 1), err)
        return strict_json(out)

    def setUp(self):
        super().setUp()
        code, _, err = run("compare", LOGITS, LOGITS)
        if code == 2 and "not supported by this build" in err:
            self.skipTest("this build cannot compare")


class Story(CompareTest):
    def setUp(self):
        super().setUp()
        source = random.Random(SEED)
        self.a = story_logits()
        flat = [x + source.gauss(0, 0.25) for row in self.a for x in row]
        flat = struct.unpack(f"<{len(flat)}f", struct.pack(f"<{len(flat)}f", *flat))
        self.b = [flat[i:i + 256] for i in range(0, len(flat), 256)]
        self.other = self.file("other.npy", npy_floats(flat, 256))
        self.tokens = story_tokens()[1:]
        self.p = [log_softmax(row) for row in self.a[:340]]
        self.q = [log_softmax(row) for row in self.b[:340]]
        self.kl = [math.fsum(math.exp(x) * (x - y) for x, y in zip(p, q)) for p, q in zip(self.p, self.q)]

    def check(self, found, values, delta):
        mean, error = mean_error(values)
        self.assertAlmostEqual(found["value"], mean, delta=delta)
        self.assertAlmostEqual(found["error"], error, delta=delta)

    def test_divergence(self):
        found = self.compare(LOGITS, self.other, "--tokens", TOKENS, "--shift")
        self.assertEqual((found["rows"], found["vocab"], found["failed_rows"]), (340, 256, 0))
        self.check(found["kl"]["mean"], self.kl, 3e-7)
        self.check(found["reverse_kl"], [math.fsum(math.exp(y) * (y - x) for x, y in zip(p, q)) for p, q in zip(self.p, self.q)], 3e-7)
        self.check(found["cross_entropy"], [-math.fsum(math.exp(x) * y for x, y in zip(p, q)) for p, q in zip(self.p, self.q)], 1e-6)
        for percent, value in found["kl"]["percentiles"].items():
            self.assertAlmostEqual(value, percentile(self.kl, float(percent)), delta=3e-7)
        self.assertEqual(list(found["kl"]["percentiles"]), ["99.9", "99", "95", "90", "50", "10", "5", "1", "0.1"])
        self.assertAlmostEqual(found["kl"]["max"], max(self.kl), delta=3e-7)
        self.assertAlmostEqual(found["kl"]["min"], min(self.kl), delta=3e-7)
        self.assertEqual(found["max_kl_row"], self.kl.index(max(self.kl)))
        same = sum(p.index(max(p)) == q.index(max(q)) for p, q in zip(self.p, self.q)) / 340
        self.assertAlmostEqual(found["same_top_percent"]["value"], 100 * same, delta=1e-9)
        self.assertAlmostEqual(found["same_top_percent"]["error"], 100 * math.sqrt(same * (1 - same) / 339), delta=1e-9)
        self.assertAlmostEqual(found["max_abs_diff"], max(abs(x - y) for p, q in zip(self.p, self.q) for x, y in zip(p, q)), delta=1e-5)

    def test_perplexities(self):
        found = self.compare(LOGITS, self.other, "--tokens", TOKENS, "--shift")
        a = [-p[t] for p, t in zip(self.p, self.tokens)]
        b = [-q[t] for q, t in zip(self.q, self.tokens)]
        (mean_a, error_a), (mean_b, error_b) = mean_error(a), mean_error(b)
        shared = math.fsum((x - mean_a) * (y - mean_b) for x, y in zip(a, b)) / 340 / 339
        self.assertAlmostEqual(found["perplexity_a"]["value"], 5.760365, delta=2e-6)
        self.assertAlmostEqual(found["perplexity_a"]["error"], math.exp(mean_a) * error_a, delta=1e-5)
        self.assertAlmostEqual(found["perplexity_b"]["value"], math.exp(mean_b), delta=1e-5)
        self.assertAlmostEqual(found["log_perplexity_correlation"], shared / error_a / error_b, delta=1e-6)
        ratio = [y - x for x, y in zip(a, b)]
        self.check(found["log_perplexity_ratio"], ratio, 1e-6)
        self.assertAlmostEqual(found["perplexity_ratio"]["value"], math.exp(mean_b - mean_a), delta=1e-6)
        self.assertAlmostEqual(found["perplexity_difference"]["value"], math.exp(mean_b) - math.exp(mean_a), delta=1e-5)
        change = [100 * (math.exp(-y) - math.exp(-x)) for x, y in zip(a, b)]
        self.check(found["delta_p_percent"]["mean"], change, 1e-4)
        rms = math.sqrt(math.fsum(c * c for c in change) / 340)
        self.assertAlmostEqual(found["delta_p_percent"]["rms"]["value"], rms, delta=1e-4)
        self.assertAlmostEqual(found["delta_p_percent"]["rms"]["error"], mean_error([c * c for c in change])[1] / (2 * rms), delta=1e-4)
        for percent, value in found["delta_p_percent"]["percentiles"].items():
            self.assertAlmostEqual(value, percentile(change, float(percent)), delta=1e-4)

    def test_rows(self):
        out = self.accepted("compare", LOGITS, self.other, "--tokens", TOKENS, "--shift", "--format", "csv")
        rows = list(csv.DictReader(io.StringIO(out.decode())))
        self.assertEqual(len(rows), 340)
        for row, p, q, kl, token in zip(rows, self.p, self.q, self.kl, self.tokens):
            self.assertAlmostEqual(float(row["kl"]), kl, delta=3e-7)
            self.assertAlmostEqual(float(row["a_logprob"]), p[token], delta=1e-5)
            self.assertAlmostEqual(float(row["b_logprob"]), q[token], delta=1e-5)
            self.assertEqual((int(row["token_id"]), int(row["a_top"]), int(row["b_top"])), (token, p.index(max(p)), q.index(max(q))))

    def test_table(self):
        table = self.accepted("compare", LOGITS, self.other, "--tokens", TOKENS, "--shift").decode()
        mean, error = mean_error(self.kl)
        shown = re.search(r"(?m)^Mean    KLD +(\S+) ± +(\S+)$", table)
        self.assertAlmostEqual(float(shown.group(1)), mean, delta=1e-6)
        self.assertAlmostEqual(float(shown.group(2)), error, delta=1e-6)
        for line in ("Mean PPL(A)                        5.76036", "Maximum KLD", "99.9%   KLD", "Median  KLD", " 0.1%   Δp", "RMS Δp", "Same top"):
            self.assertIn("\n" + line, table)
        without = self.accepted("compare", LOGITS, self.other).decode()
        self.assertNotIn("PPL", without)
        self.assertIn("Same top", without)

    def test_equal_files(self):
        found = self.compare(LOGITS, LOGITS, "--tokens", TOKENS, "--shift")
        self.assertEqual((found["kl"]["mean"], found["kl"]["max"], found["reverse_kl"]["value"]), ({"value": 0, "error": 0}, 0, 0))
        self.assertEqual((found["max_abs_diff"], found["perplexity_ratio"]["value"]), (0, 1))
        self.assertEqual(found["same_top_percent"], {"value": 100, "error": 0})
        self.assertEqual(found["delta_p_percent"]["rms"], {"value": 0, "error": 0})

    def test_same_bytes_on_every_isa(self):
        arguments = ("compare", LOGITS, self.other, "--tokens", TOKENS, "--shift", "--format", "csv")
        wanted = self.accepted(*arguments, environment={"LOGPROB_ISA": "scalar"})
        for isa in ("avx2", "avx512", "neon"):
            self.assertEqual(self.accepted(*arguments, environment={"LOGPROB_ISA": isa}), wanted)

    def test_mixed_types(self):
        flat = [x for row in self.a for x in row]
        half = self.file("half.npy", npy_header("<f2", (341, 256)) + struct.pack(f"<{len(flat)}e", *flat))
        bits = [struct.unpack("<I", struct.pack("<f", x))[0] >> 16 for x in flat]
        brain = self.file("brain.npy", npy_header("<u2", (341, 256)) + struct.pack(f"<{len(flat)}H", *bits))
        self.assertLess(self.compare(LOGITS, half)["kl"]["max"], 1e-4)
        self.assertLess(self.compare(LOGITS, brain, "--dtype-b", "bf16")["kl"]["max"], 1e-2)
        self.assertLess(self.compare(LOGITS, brain, "--dtype-b", "bf16", "--dtype", "f32")["kl"]["max"], 1e-2)
        self.assertEqual(self.compare(brain, brain, "--dtype", "bf16")["kl"]["max"], 0)
        self.refused("compare", LOGITS, brain, says=[brain, "bf16"])
        self.refused("compare", LOGITS, brain, "--dtype", "bf16", says=[LOGITS, "expected bf16"])


class Cases(CompareTest):
    def pair(self, a, b, columns=2):
        return self.file("a.npy", npy_floats(a, columns)), self.file("b.npy", npy_floats(b, columns))

    def test_infinite_divergence(self):
        found = self.compare(*self.pair([0, 0, 0, 0], [0, -INF, 0, 0]))
        self.assertEqual((found["kl"]["mean"]["value"], found["kl"]["max"], found["kl"]["min"]), (None, None, 0))
        self.assertAlmostEqual(found["reverse_kl"]["value"], math.log(2) / 2, delta=1e-6)

    def test_rows_without_result(self):
        a, b = self.pair([0, 0, math.nan, 0, -INF, -INF], [0, 1, 0, 0, 0, 0])
        found = self.compare(a, b, code=1)
        self.assertEqual((found["rows"], found["failed_rows"], found["max_kl_row"]), (3, 2, 0))
        p, q = log_softmax([0, 0]), log_softmax([0, 1])
        self.assertAlmostEqual(found["kl"]["max"], sum(math.exp(x) * (x - y) for x, y in zip(p, q)), delta=3e-7)

    def test_few_rows(self):
        none = self.file("none.npy", npy_header("<f4", (0, 2)))
        self.assertEqual(self.compare(none, none)["kl"]["max"], None)
        one, _ = self.pair([0, 1], [0, 1])
        found = self.compare(one, one)
        self.assertEqual((found["kl"]["mean"]["value"], found["kl"]["mean"]["error"]), (0, None))
        for form in ("table", "csv"):
            self.accepted("compare", none, none, "--format", form)


class Faults(CommandTest):
    def test_arguments_and_shapes(self):
        narrow = self.file("narrow.npy", npy_header("<f4", (341, 255)) + bytes(341 * 255 * 4))
        short = self.file("short.npy", npy_header("<f4", (340, 256)) + bytes(340 * 256 * 4))
        self.refused("compare", LOGITS, narrow, says=[narrow, "341 x 255", "expected 341 x 256", LOGITS])
        self.refused("compare", LOGITS, short, says=[short, "340 x 256"])
        self.refused("compare", LOGITS, says="1 file names")
        self.refused("compare", LOGITS, LOGITS, LOGITS, says="3 file names")
        self.refused("compare", LOGITS, "none.npy", says="none.npy")
        self.refused("compare", LOGITS, LOGITS, "--shift", says="--tokens")
        self.refused("compare", LOGITS, LOGITS, "--tokens", self.file("few.npy", npy_ints([1])), says="expected 341")
        self.refused("compare", LOGITS, LOGITS, "--dtype-b", "f64", says="--dtype-b")
        self.refused("compare", LOGITS, LOGITS, "--tensor-b", "x", says="--tensor")
        self.refused("compare", LOGITS, LOGITS, "--nonsense", says="--nonsense")


if __name__ == "__main__":
    main()
