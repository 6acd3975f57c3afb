# SPDX-License-Identifier: MIT OR Apache-2.0
"""logprob score: figures on the story sample, formats, options, numeric trouble."""
import csv
import io
import json
import math
import re
import resource
import struct

from support import (LOGITS, TOKENS, CommandTest, float_order, is_emulated, is_sanitized, main, npy_floats, npy_header,
                     npy_ints, run, story_tokens, story_truth, strict_json)

NAN, INF = math.nan, math.inf


def rows_of(out):
    return list(csv.DictReader(io.StringIO(out.decode())))


class Story(CommandTest):
    arguments = ("score", LOGITS, "--tokens", TOKENS, "--shift")

    def test_summary(self):
        summary = strict_json(self.accepted(*self.arguments, "--format", "json"))["summary"]
        self.assertEqual(summary["tokens"], 340)
        self.assertAlmostEqual(summary["logprob"], -595.340290642, delta=1e-5)
        self.assertEqual(round(summary["perplexity"], 6), 5.760365)
        self.assertAlmostEqual(summary["mean"], -595.340290642 / 340, delta=1e-7)
        self.assertFalse(summary["greedy"])
        self.assertEqual(summary["greedy_tokens"], 165)
        truth = story_truth()
        self.assertAlmostEqual(summary["mean_entropy"], sum(truth["entropy"][:340]) / 340, delta=1e-6)
        least = min(range(340), key=lambda i: truth["token_logprob"][i])
        self.assertEqual(summary["least_likely"]["row"], least)

    def test_table_has_the_figures(self):
        out = self.accepted(*self.arguments).decode()
        self.assertIn("perplexity    5.760365\n", out)
        total = float(re.search(r"^logprob +(\S+) \(sum\)$", out, re.M).group(1))
        self.assertAlmostEqual(total, -595.340290642, delta=1e-5)
        self.assertIn("greedy        no (165 of 340", out)
        self.assertNotIn("time", out)
        timed = self.accepted(*self.arguments, "--time").decode()
        self.assertRegex(timed, r"\ntime +\S+ ms to score, \S+ us a row of 256; \S+ ms with the output\n")
        summary = json.loads(self.accepted(*self.arguments, "--time", "--format", "json"))["summary"]
        self.assertGreater(summary["scoring_seconds"], 0)
        self.assertGreaterEqual(summary["seconds"], summary["scoring_seconds"])

    def test_logprobs_within_4_ulp(self):
        truth = story_truth()
        rows = rows_of(self.accepted(*self.arguments, "--format", "csv"))
        self.assertEqual(len(rows), 340)
        for i, row in enumerate(rows):
            exact = truth["token_logprob"][i]
            off = abs(float_order(float(row["logprob"])) - float_order(exact))
            self.assertLessEqual(off, 4, (i, row["logprob"], exact))
            self.assertAlmostEqual(float(row["entropy"]), truth["entropy"][i], delta=1e-6)
            self.assertEqual(int(row["token_id"]), story_tokens()[i + 1])

    def test_json_shape(self):
        for vocab in ((), ("--vocab", "bytes")):
            document = strict_json(self.accepted(*self.arguments, "--format", "json", "--top", "5", *vocab))
            content = document["logprobs"]["content"]
            self.assertEqual(len(content), 340)
            self.assertEqual(len(document["rows"]["rank"]), 340)
            self.assertEqual(len(document["rows"]["entropy"]), 340)
            for entry, token, rank in zip(content, story_tokens()[1:], document["rows"]["rank"]):
                self.assertEqual(list(entry), ["token", "logprob", "bytes", "top_logprobs"])
                self.assertEqual(len(entry["top_logprobs"]), 5)
                for one in entry["top_logprobs"]:
                    self.assertEqual(list(one), ["token", "logprob", "bytes"])
                if vocab:
                    self.assertEqual((entry["token"], entry["bytes"]), (chr(token), [token]))
                else:
                    self.assertEqual((entry["token"], entry["bytes"]), (f"token_id:{token}", None))
                best = [one["logprob"] for one in entry["top_logprobs"]]
                self.assertEqual(best, sorted(best, reverse=True))
                if rank <= 5:
                    self.assertIn(entry["logprob"], best)

    def test_top_prefix_and_limits(self):
        three = rows_of(self.accepted(*self.arguments, "--format", "csv", "--top", "3"))
        all_of_them = rows_of(self.accepted(*self.arguments, "--format", "csv", "--top", "100000"))
        for few, many in zip(three, all_of_them):
            self.assertEqual(few, {k: many[k] for k in few})
            self.assertEqual(sorted(int(many[f"top{j}_id"]) for j in range(1, 257)), list(range(256)))
        self.refused(*self.arguments, "--top", "-1", says="--top")

    def test_csv_text(self):
        rows = rows_of(self.accepted(*self.arguments, "--format", "csv", "--vocab", "bytes", "--top", "1"))
        self.assertEqual("".join(r["token"] for r in rows)[:16], "nce upon a time,")
        self.assertEqual(rows[3]["top1_token"], " ")

    def test_without_shift(self):
        rows = rows_of(self.accepted("score", LOGITS, "--tokens", TOKENS, "--format", "csv"))
        self.assertEqual([int(r["token_id"]) for r in rows], list(story_tokens()))

    def test_same_bytes_on_every_isa(self):
        wanted = self.accepted(*self.arguments, "--format", "json", "--top", "20", environment={"LOGPROB_ISA": "scalar"})
        for isa in ("avx2", "avx512", "neon", "nonsense", ""):
            got = self.accepted(*self.arguments, "--format", "json", "--top", "20", environment={"LOGPROB_ISA": isa})
            self.assertEqual(got, wanted, isa)

    def test_integer_types(self):
        wanted = self.accepted(*self.arguments)
        for descr in ("<i8", "<u2", "|u1", "<i2", "<u4", "<u8", "|i1"):
            tokens = self.file("tokens.npy", npy_ints(story_tokens(), descr))
            self.assertEqual(self.accepted("score", LOGITS, "--tokens", tokens, "--shift"), wanted)

    def test_vocab_file(self):
        names = [f"<{i}>" for i in range(200)]
        names[110], names[99], names[101], names[32] = "n\\n", "c\\x00\\xc3", 'e"e', "a\\\\,b\\q"
        vocab = self.file("vocab.txt", "\n".join(names).encode() + b"\r\n")
        document = strict_json(self.accepted(*self.arguments, "--format", "json", "--vocab", vocab))
        content = document["logprobs"]["content"]
        self.assertEqual([e["token"] for e in content[:4]], ["n\n", "bytes:\\x63\\x00\\xc3", 'e"e', "a\\,b\\q"])
        self.assertEqual(content[1]["bytes"], [99, 0, 0xc3])
        table = self.accepted(*self.arguments, "--vocab", vocab).decode()
        self.assertIn('"n\\n"\n', table)
        self.assertIn('"c\\x00\\xc3"\n', table)
        self.assertIn('"e\\"e"\n', table)
        rows = rows_of(self.accepted(*self.arguments, "--format", "csv", "--vocab", vocab))
        self.assertEqual([r["token"] for r in rows[:4]], ["n\\n", "c\\x00\\xc3", 'e"e', "a\\\\,b\\\\q"])

    def test_vocab_faults(self):
        long = self.file("long.txt", b"x\n" * 257)
        self.refused(*self.arguments, "--vocab", long, says=[long, "257", "256"])
        empty = self.file("empty.txt", b"")
        self.refused(*self.arguments, "--vocab", empty, says=[empty, "empty"])
        self.refused(*self.arguments, "--vocab", self.folder / "none", says="none: cannot be opened")
        wide = self.file("wide.npy", npy_floats([0.0] * 300, 300))
        one = self.file("one.npy", npy_ints([299]))
        self.refused("score", wide, "--tokens", one, "--vocab", "bytes", says=["bytes", "300"])


class Small(CommandTest):
    def score(self, values, columns, tokens, *more, code=0):
        logits = self.file("logits.npy", npy_floats(values, columns))
        ids = self.file("tokens.npy", npy_ints(tokens))
        return self.accepted("score", logits, "--tokens", ids, *more, code=code)

    def test_numbers(self):
        rows = rows_of(self.score([0, math.log(3), 0, 0], 2, [1, 0], "--format", "csv", "--top", "2"))
        self.assertAlmostEqual(float(rows[0]["logprob"]), math.log(0.75), delta=1e-7)
        self.assertAlmostEqual(float(rows[1]["logprob"]), -math.log(2), delta=1e-7)
        self.assertEqual([rows[1]["top1_id"], rows[1]["top2_id"]], ["0", "1"])  # ties: lowest id first
        self.assertEqual([r["rank"] for r in rows], ["1", "1"])

    def test_greedy_is_the_lowest_id_on_ties(self):
        for token, greedy in ((0, True), (1, False)):
            summary = strict_json(self.score([5, 5], 2, [token], "--format", "json"))["summary"]
            self.assertEqual(summary["greedy"], greedy)

    def test_minus_infinity_is_legal(self):
        document = strict_json(self.score([0, -INF, 0, -INF], 2, [1, 0], "--format", "json", "--top", "2"))
        content = document["logprobs"]["content"]
        self.assertEqual(content[0]["logprob"], -9999.0)
        self.assertEqual([one["token"] for one in content[0]["top_logprobs"]], ["token_id:0"])
        self.assertIsNone(document["summary"]["logprob"])
        self.assertIsNone(document["summary"]["perplexity"])
        rows = rows_of(self.score([0, -INF, 0, -INF], 2, [1, 0], "--format", "csv"))
        self.assertEqual([rows[0]["logprob"], rows[0]["status"], rows[1]["logprob"]], ["-inf", "ok", "0"])

    def test_rows_without_result(self):
        values = [1, 2, NAN, 0, INF, 0, -INF, -INF]
        logits = self.file("logits.npy", npy_floats(values, 2))
        ids = self.file("tokens.npy", npy_ints([0, 1, 1, 0]))
        for form in ("table", "csv", "json"):
            code, out, err = run("score", logits, "--tokens", ids, "--format", form, "--top", "1")
            self.assertEqual(code, 1)
            self.assertEqual(err.count("\n"), 1)
            self.assertIn("3 of 4 rows", err)
            if form == "csv":
                self.assertEqual([r["status"] for r in rows_of(out)], ["ok"] + ["failed"] * 3)
            if form == "json":
                content = strict_json(out)["logprobs"]["content"]
                self.assertEqual([e["logprob"] is None for e in content], [False, True, True, True])

    def test_no_rows(self):
        logits = self.file("none.npy", npy_header("<f4", (0, 2)))
        ids = self.file("ids.npy", npy_ints([]))
        for shift in ((), ("--shift",)):
            document = strict_json(self.accepted("score", logits, "--tokens", ids, "--format", "json", *shift))
            self.assertEqual(document["logprobs"]["content"], [])
            summary = document["summary"]
            self.assertEqual((summary["tokens"], summary["logprob"], summary["perplexity"]), (0, 0, None))
        for form in ("table", "csv"):
            self.accepted("score", logits, "--tokens", ids, "--format", form)

    def test_one_row_shifted_scores_nothing(self):
        document = strict_json(self.score([1, 2], 2, [1], "--shift", "--format", "json"))
        self.assertEqual(document["summary"]["tokens"], 0)

    def test_broken_utf8_and_controls_are_escaped(self):
        values = [0.0] * 256
        for byte, shown in ((0x1b, "\\x1b"), (0xe2, "\\xe2"), (0x0a, "\\n"), (0x7f, "\\x7f"), (0x00, "\\x00")):
            table = self.score(values, 256, [byte], "--vocab", "bytes").decode()
            self.assertIn(f'"{shown}"', table)
            self.assertNotIn("\x1b", table)
            out = rows_of(self.score(values, 256, [byte], "--vocab", "bytes", "--format", "csv"))
            self.assertEqual(out[0]["token"], shown)


class Files(CommandTest):
    def test_tokens_and_shapes(self):
        logits = self.file("logits.npy", npy_floats([0.0] * 6, 2))
        good = self.file("good.npy", npy_ints([0, 1, 0]))
        self.accepted("score", logits, "--tokens", good)
        for ids, says in (([0, 1], "expected 3"), ([0, 1, 0, 1], "expected 3"), ([], "expected 3"),
                          ([0, 1, 2], "token 2 at position 2"), ([0, -1, 0], "token -1 at position 1"),
                          ([-100, 0, 0], "0 to 1")):
            path = self.file("bad.npy", npy_ints(ids))
            self.refused("score", logits, "--tokens", path, says=[path, says])
            self.refused("score", logits, "--tokens", path, "--shift", says=[path, says])
        huge = self.file("huge.npy", npy_ints([0, 1 << 32, 0], "<i8"))
        self.refused("score", logits, "--tokens", huge, says="token 4294967296 at position 1")
        floats = self.file("floats.npy", npy_header("<f4", (3,)) + bytes(12))
        self.refused("score", logits, "--tokens", floats, says=[floats, "'<f4'", "integers"])
        square = self.file("square.npy", npy_header("<i4", (3, 1)) + bytes(12))
        self.refused("score", logits, "--tokens", square, says=[square, "3 x 1", "expected 3"])
        flat = self.file("flat.npy", npy_header("<f4", (6,)) + bytes(24))
        self.refused("score", flat, "--tokens", good, says=[flat, "rows x vocab"])
        cube = self.file("cube.npy", npy_header("<f4", (1, 3, 2)) + bytes(24))
        self.refused("score", cube, "--tokens", good, says=[cube, "1 x 3 x 2"])
        empty = self.file("empty.npy", npy_header("<f4", (3, 0)))
        self.refused("score", empty, "--tokens", good, says=[empty, "0 columns"])

    def test_large_files_are_mapped(self):
        if is_sanitized() or is_emulated():
            self.skipTest("sanitizers and emulators use memory of their own")
        rows, columns = 1000, 131072
        logits = self.sparse("large.npy", npy_header("<f4", (rows, columns)), rows * columns * 4)
        ids = self.file("ids.npy", npy_ints([7] * rows))

        def little_memory():
            resource.setrlimit(resource.RLIMIT_DATA, (64 << 20, 64 << 20))
        document = strict_json(self.accepted("score", logits, "--tokens", ids, "--format", "json",
                                             preexec_fn=little_memory))
        self.assertAlmostEqual(document["summary"]["mean"], -math.log(columns), delta=1e-5)

    def test_enormous_file_is_refused_at_once(self):
        rows, columns = 1 << 18, 1 << 18
        head = npy_header("<f4", (rows, columns))
        try:
            logits = self.sparse("enormous.npy", head, rows * columns * 4)
        except OSError:
            self.skipTest("no sparse files of 256 GB here")
        ids = self.file("ids.npy", npy_ints([0]))
        self.refused("score", logits, "--tokens", ids, says=["ids.npy", "expected 262144"])


class Arguments(CommandTest):
    def test_usage_faults(self):
        self.refused(says="no command")
        self.refused("scroe", says='"scroe"')
        self.refused("score", says="LOGITS")
        self.refused("score", LOGITS, says="--tokens")
        self.refused("score", LOGITS, LOGITS, "--tokens", TOKENS, says="2 file names")
        self.refused("score", LOGITS, "--tokens", says="--tokens needs a value")
        self.refused("score", LOGITS, "--tokens", TOKENS, "--fromat", "csv", says="--fromat")
        self.refused("score", LOGITS, "--tokens", TOKENS, "-x", says="-x")
        self.refused("score", LOGITS, "--tokens", TOKENS, "--shift=3", says="no value")
        for option, values in (("--format", ["xml", "", "JSON"]), ("--top", ["", "-3", "two", "1e3", "99999999999999999999"]),
                               ("--color", ["blue"]), ("--dtype", ["f64"]),
                               ("--temperature", ["0", "-1", "nan", "inf", "hot", "1e-60", "1e39", ""]),
                               ("--softcap", ["0", "-30", "nan", "inf", "x"])):
            for value in values:
                self.refused("score", LOGITS, "--tokens", TOKENS, option, value, says=[option, "expected"])
        self.refused("score", LOGITS, "--tokens", TOKENS, "--tensor", "logits", says=["--tensor", LOGITS])

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            import subprocess
            from support import PROGRAM
            done = subprocess.run(PROGRAM + ["score", LOGITS, "--tokens", TOKENS], stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"cannot write the output", done.stderr)

    def test_hostile_names(self):
        self.refused("score", "no\n\x1b[31mfile", "--tokens", TOKENS, says="no??[31mfile")
        self.refused("score", "x" * 5000, "--tokens", TOKENS)


if __name__ == "__main__":
    main()
