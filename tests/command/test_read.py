# SPDX-License-Identifier: MIT OR Apache-2.0
"""logprob read: every shape of response, thresholds, labels, formats, and JSON that is broken, hostile or enormous."""
import csv
import io
import json
import math
import os
import random
from pathlib import Path

from support import LOGITS, RESPONSES, TOKENS, CommandTest, each, main, run, run_on_terminal, strict_json


def response(name):
    return str(RESPONSES / name)


def chat(*positions):
    """A response of one choice; a position is a list of (token, logprob), the sampled one first."""
    content = [{"token": p[0][0], "logprob": p[0][1], "bytes": None,
                "top_logprobs": [{"token": t, "logprob": l, "bytes": None} for t, l in p]} for p in positions]
    return {"object": "chat.completion", "choices": [{"index": 0, "logprobs": {"content": content}}]}


class ReadTest(CommandTest):
    def read(self, *arguments, code=0, **more):
        """The choices of the JSON output."""
        document = strict_json(self.accepted("read", "--format", "json", *arguments, code=code, **more))
        return document["choices"]

    def file_of(self, document, name="response.json"):
        return self.file(name, json.dumps(document).encode())


class Shapes(ReadTest):
    def check(self, choice, tokens, logprobs, missing=0, unlikely=0):
        self.assertEqual((choice["tokens"], choice["missing"], choice["unlikely"]), (tokens, missing, unlikely))
        self.assertAlmostEqual(choice["logprob"], sum(logprobs), delta=1e-6)
        self.assertAlmostEqual(choice["mean"], sum(logprobs) / len(logprobs), delta=1e-6)
        self.assertAlmostEqual(choice["perplexity"], math.exp(-sum(logprobs) / len(logprobs)), delta=1e-5)

    def test_chat(self):
        first, second = self.read(response("chat.json"))
        self.check(first, 5, [-0.05, -0.001, -2.5, -1.9, -0.4])
        self.assertEqual([p["position"] for p in first["least_likely"]], [2, 3, 4, 0, 1])
        self.assertEqual(first["least_likely"][2]["token"], '".\n')
        self.assertEqual((first["choice"], second["choice"]), (0, 1))
        self.check(second, 3, [-0.7, -0.2], unlikely=1)
        self.assertEqual(second["least_likely"][0]["logprob"], -9999.0)
        self.assertEqual(second["least_likely"][1]["bytes"], [0xf0, 0x9f, 0x98])

    def test_refusal(self):
        self.check(self.read(response("refusal.json"))[0], 2, [-0.3, -0.1])

    def test_completions(self):
        choice, = self.read(response("completions.json"))
        self.check(choice, 3, [-0.6, -4.25], missing=1)
        self.assertEqual(choice["least_likely"][0]["token"], " four")
        self.assertEqual(choice["entropy"]["positions"], 2)

    def test_together(self):
        choice, = self.read(response("together.json"))
        self.check(choice, 3, [-0.125, -0.5, 0])
        self.assertIsNone(choice["entropy"])

    def test_vllm(self):
        choice, = self.read(response("vllm.json"))
        self.check(choice, 2, [-3.5, -0.25])
        self.assertEqual(choice["least_likely"][0]["rank"], 12)
        self.assertEqual(choice["kind"], "completion")
        prompt, = self.read("--prompt", response("vllm.json"))
        self.check(prompt, 2, [-2.0], missing=1)
        self.assertEqual(prompt["kind"], "prompt")
        self.refused("read", "--prompt", response("chat.json"), says=["chat.json", "of its prompt"])

    def test_batch_and_lists(self):
        first, second = self.read(response("batch.jsonl"))
        self.assertEqual((first["line"], second["line"]), (1, 2))
        self.check(first, 1, [-0.01])
        self.check(second, 1, [-1.5])
        documents = [json.loads(line)["response"]["body"] for line in Path(response("batch.jsonl")).read_text().splitlines()]
        for data in (json.dumps(documents), "".join(map(json.dumps, documents)), "\n\n".join(map(json.dumps, documents))):
            self.assertEqual([c["logprob"] for c in self.read(self.file("list.json", data.encode()))],
                             [first["logprob"], second["logprob"]])
        content = documents[0]["choices"][0]["logprobs"]["content"]
        self.check(self.read(self.file_of(content))[0], 1, [-0.01])
        self.check(self.read(self.file_of(documents[0]["choices"][0]))[0], 1, [-0.01])

    def test_what_score_prints(self):
        out = self.accepted("score", LOGITS, "--tokens", TOKENS, "--shift", "--top", "20", "--vocab", "bytes", "--format", "json")
        choice, = self.read(self.file("score.json", out), "--vocab-size", "256")
        self.assertAlmostEqual(choice["logprob"], -595.340290642, delta=1e-4)
        entropy = strict_json(out)["summary"]["mean_entropy"]
        self.assertLessEqual(choice["entropy"]["lower"], entropy)
        self.assertGreaterEqual(choice["entropy"]["upper"], entropy)

    def test_standard_input_and_many_files(self):
        data = Path(response("chat.json")).read_bytes()
        wanted = [c["logprob"] for c in self.read(response("chat.json"))]
        for arguments in ((), ("-",)):
            self.assertEqual([c["logprob"] for c in self.read(*arguments, input=data)], wanted)
        both = self.read(response("chat.json"), response("together.json"))
        self.assertEqual([c["file"] for c in both], [response("chat.json")] * 2 + [response("together.json")])
        self.read(self.file("bom.json", b"\xef\xbb\xbf" + data))

    def test_sampled_token_outside_the_list(self):
        """The smallest entry may be the sampled token, added by the server: then it bounds nothing."""
        listed = [("a", -1.0), ("b", -1.2)]
        added = chat([("z", -6.0)] + listed)
        alone = {"choices": [{"logprobs": {"tokens": ["z"], "token_logprobs": [-6.0], "top_logprobs": [dict(listed)]}}]}
        self.assertEqual(self.read(self.file_of(added))[0]["entropy"], self.read(self.file_of(alone))[0]["entropy"])

    def test_no_usable_logprob(self):
        choice, = self.read(self.file_of(chat([("a", None)], [("b", -9999.0)])))
        self.assertEqual((choice["logprob"], choice["mean"], choice["perplexity"]), (0, None, None))
        empty, = self.read(self.file_of(chat()))
        self.assertEqual((empty["tokens"], empty["least_likely"]), (0, []))
        for form in ("table", "csv"):
            self.accepted("read", "--format", form, self.file_of(chat([("a", None)])))


class Threshold(ReadTest):
    def test_spans_and_exit_code(self):
        for threshold in ("0.2", str(math.log(0.2))):
            first, second = self.read(response("chat.json"), f"--threshold={threshold}", code=1)
            self.assertEqual([(s["first"], s["last"], s["min"]) for s in first["spans"]], [(2, 3, -2.5)])
            self.assertEqual(first["spans"][0]["tokens"], [' "', "blue"])
            self.assertEqual([(s["first"], s["last"], s["min"]) for s in second["spans"]], [(2, 2, -9999.0)])
        document = strict_json(self.accepted("read", "--format", "json", response("together.json"), "--threshold", "0.5"))
        self.assertIs(document["below_threshold"], False)
        for form in ("table", "csv"):
            self.accepted("read", "--format", form, response("chat.json"), "--threshold", "0.2", code=1)
            self.accepted("read", "--format", form, response("together.json"), "--threshold", "0.2")
        self.accepted("read", response("completions.json"), "--threshold", "0.001")  # null is missing, not low
        self.accepted("read", response("together.json"), "--threshold", "0", code=1)

    def test_bad_values(self):
        for value in ("", "1.5", "nan", "half", "inf"):
            self.refused("read", response("chat.json"), "--threshold", value, says="--threshold")


class Labels(ReadTest):
    spec = ("--labels", "yes|Yes|YES,no|No|NO", "--position", "1")

    def labels(self, *arguments, file=None, code=0):
        found = self.read(file or response("yesno.json"), *(arguments or self.spec), code=code)[0]["labels"]
        return {one["label"]: one["probability"] for one in found["labels"]}, found

    def test_pooled(self):
        p, found = self.labels()
        self.assertAlmostEqual(p["yes"], math.exp(-0.4) + math.exp(-3) + math.exp(-4.5), delta=1e-6)
        self.assertAlmostEqual(p["no"], math.exp(-1.5) + math.exp(-5), delta=1e-6)
        self.assertAlmostEqual(found["rest"], 1 - p["yes"] - p["no"], delta=1e-6)
        self.assertEqual((found["position"], found["listed"]), (1, 6))
        self.assertEqual(self.labels(*self.spec[:3], "-1")[0], p)

    def test_normalized(self):
        raw, _ = self.labels()
        p, _ = self.labels(*self.spec, "--normalize")
        self.assertAlmostEqual(p["yes"], raw["yes"] / (raw["yes"] + raw["no"]), delta=1e-6)
        self.assertAlmostEqual(sum(p.values()), 1, delta=1e-6)
        self.assertEqual(self.labels(*self.spec, "--normalize=labels")[0], p)
        top, _ = self.labels(*self.spec, "--normalize=top")
        whole = sum(math.exp(x) for x in (-0.4, -1.5, -3.0, -4.5, -5.0, -5.5))
        self.assertAlmostEqual(top["yes"], raw["yes"] / whole, delta=1e-6)
        self.refused("read", response("yesno.json"), *self.spec, "--normalize=all", says="--normalize")

    def test_sampled_and_exact(self):
        p, found = self.labels(*self.spec, "--sampled")
        self.assertAlmostEqual(p["yes"], math.exp(-0.4), delta=1e-6)
        self.assertEqual((p["no"], found["listed"]), (0, 1))
        p, _ = self.labels(*self.spec, "--exact")
        self.assertAlmostEqual(p["yes"], math.exp(-3), delta=1e-6)
        p, _ = self.labels("--labels", " Yes, No", "--position", "1", "--exact")
        self.assertAlmostEqual(p[" Yes"], math.exp(-0.4), delta=1e-6)

    def test_complement_keeps_its_digits(self):
        sure = self.file_of(chat([("Yes", -1e-9)]))
        p, found = self.labels("--labels", "Yes,No", "--complement", file=sure)
        self.assertAlmostEqual(p["No"] / 1e-9, 1, delta=1e-6)
        p, _ = self.labels("--labels", "No,Yes", "--complement", file=sure)
        self.assertAlmostEqual(p["No"] / 1e-9, 1, delta=1e-6)
        p, _ = self.labels("--labels", "Yes,No", file=sure)
        self.assertEqual(p["No"], 0)
        p, _ = self.labels("--labels", "A,B", "--complement", file=sure)
        self.assertEqual(p, {"A": 0, "B": 0})
        both, _ = self.labels(*self.spec, "--complement")
        self.assertEqual(both, self.labels()[0])
        self.refused("read", sure, "--labels", "a,b,c", "--complement", says=["3 labels", "two"])

    def test_sampled_token_joins_its_list(self):
        one = self.file_of({"choices": [{"logprobs": {"tokens": ["x"], "token_logprobs": [-2.0],
                                                      "top_logprobs": [{"y": -0.5}]}}]})
        p, found = self.labels("--labels", "x,y", file=one)
        self.assertAlmostEqual(p["x"], math.exp(-2), delta=1e-6)
        self.assertEqual(found["listed"], 2)

    def test_space_marks_and_escapes(self):
        marked = self.file_of(chat([("\u2581Yes", -1.0), ("\u0120Yes", -2.0), ("a,b", -3.0), ("c|d", -4.0)]))
        p, _ = self.labels("--labels", "Yes,a\\,b|c\\|d", file=marked)
        self.assertAlmostEqual(p["Yes"], math.exp(-1) + math.exp(-2), delta=1e-6)
        self.assertAlmostEqual(p["a,b"], math.exp(-3) + math.exp(-4), delta=1e-6)

    def test_faults(self):
        for spec in ("", ",", "a,,b", "a|", "|a"):
            self.refused("read", response("yesno.json"), "--labels", spec, says="--labels")
        for position in ("2", "-3", "99"):
            self.refused("read", response("yesno.json"), "--labels", "a", "--position", position,
                         says=["yesno.json", "2 tokens", f"--position {position}"])
        for position in ("", "x", "1.5", "--1"):
            self.refused("read", response("yesno.json"), "--labels", "a", f"--position={position}", says="--position")
        for option in ("--complement", "--normalize", "--sampled", "--exact"):
            self.refused("read", response("yesno.json"), option, says="--labels")
        over = self.file_of(chat([("a", -0.1), ("b", -0.1)]))
        self.refused("read", over, "--labels", "a,b", says=[over, "sum to at most 1"])

    def test_many_labels(self):
        p, _ = self.labels("--labels", ",".join(f"l{i}" for i in range(500)) + ",Yes", "--position", "1")
        self.assertEqual(len(p), 501)
        self.assertGreater(p["Yes"], 0.7)


class Formats(ReadTest):
    def test_csv(self):
        out = self.accepted("read", "--format", "csv", response("chat.json"), *Labels.spec[:2], "--threshold", "0.2", code=1)
        rows = list(csv.DictReader(io.StringIO(out.decode())))
        self.assertEqual(len(rows), 2)
        self.assertEqual(rows[0]["least_token"], ' \\"'.replace("\\", ""))
        self.assertEqual((rows[0]["spans"], rows[0]["p:yes"], rows[0]["p_rest"]), ("1", "0", "1"))

    def test_table_and_colour(self):
        out = self.accepted("read", response("chat.json")).decode()
        self.assertNotIn("\x1b", out)
        self.assertIn("choice 0: 5 tokens", out)
        code, coloured = run_on_terminal("read", response("chat.json"))
        self.assertEqual(code, 0)
        self.assertIn("It is".encode(), coloured)
        self.assertIn("\U0001f600".encode(), coloured)  # assembled from two tokens
        self.assertIn(b"\x1b[36mblue", coloured)
        self.assertNotIn(b"\x1b", run_on_terminal("read", response("chat.json"), environment={"NO_COLOR": "1"})[1])
        self.assertIn("\x1b[33m", self.accepted("read", response("chat.json"), "--color", "always").decode())

    def test_hostile_text_is_escaped(self):
        bad = self.file_of(chat([("\x1b[2J\x07\u202e\u0000evil", -3.0)]))
        for form in ("table", "csv"):
            for code, out in ((0, self.accepted("read", bad, "--format", form, "--color", "always")),
                              run_on_terminal("read", bad, "--format", form)):
                self.assertIn(b"\\x1b[2J\\x07\\xe2\\x80\\xae\\x00evil", out)
                self.assertNotIn(b"\x1b[2J", out)
        self.assertNotIn("\u202e".encode(), run_on_terminal("read", bad, "--format", "json")[1])


class Hostile(ReadTest):
    def bad(self, data, *says, more=()):
        path = self.file("bad.json", data)
        err = self.refused("read", path, *more, says=[path, "expected", *says])
        self.assertLess(len(err), 1200)
        code, out, err = run("read", *more, input=data)
        self.assertEqual((code, out, err.count("\n")), (2, b"", 1))
        self.assertIn("standard input", err)

    def test_malformed(self):
        good = Path(response("chat.json")).read_bytes()
        self.bad(b"", "empty")
        self.bad(b"  \n", "empty")
        for cut in each(range(1, len(good) - 1, 97)):
            self.bad(good[:cut], "line")
        for data in (b"hello", b"1", b"null", b'"x"', b"\xff\xfe{", b"\0", b"<html>", b"data: {}", b"NaN"):
            self.bad(data, "not a JSON document")
        for data in (b"{", b"[", b"{]", b'{"a"}', b'{"a":1,}', b"[1,]", b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 01}',
                     b'{"a": "\xff"}', b'{"a": "\\ud800"}', b'{"a": 1e999}', b'{"a\\u0000": 1}', b"{'a': 1}"):
            self.bad(data, "not valid JSON")
        self.bad(good + b"x", "not a JSON document")
        self.bad(good + b'{"choices": []}', "choices is empty")

    def test_wrong_shapes(self):
        self.bad(b"{}", "neither choices nor logprobs")
        self.bad(b"[]", "empty list")
        self.bad(b"[1]", "entry 0")
        self.bad(b"[[]]", "entry 0")
        self.bad(b'{"choices": {}}', "choices")
        self.bad(b'{"choices": [1]}', "not an object")
        self.bad(b'{"choices": [{}]}', "has no logprobs")
        self.bad(b'{"choices": [{"logprobs": null}]}', "has no logprobs")
        self.bad(b'{"choices": [{"logprobs": {}}]}', "has no logprobs")
        self.bad(b'{"choices": [{"logprobs": 3}]}', "neither an object nor a list")
        self.bad(b'{"choices": [{"logprobs": {"content": [{}]}}]}', "position 0", "token")
        self.bad(b'{"choices": [{"logprobs": {"content": [3]}}]}', "token")
        self.bad(b'{"choices": [{"logprobs": {"content": [{"token": "a", "logprob": "x"}]}}]}', "not a number")
        self.bad(b'{"choices": [{"logprobs": {"content": [{"token": "a", "logprob": 0.5}]}}]}', "above 0")
        self.bad(b'{"choices": [{"logprobs": {"content": [{"token": "a", "logprob": 0, "bytes": [256]}]}}]}', "byte")
        self.bad(b'{"choices": [{"logprobs": {"content": [{"token": "a", "logprob": 0, "bytes": "a"}]}}]}', "bytes")
        self.bad(b'{"choices": [{"logprobs": {"content": [{"token": "a", "logprob": 0, "top_logprobs": 1}]}}]}', "top_logprobs")
        self.bad(b'{"choices": [{"logprobs": {"content": [{"token": "a", "logprob": 0, "top_logprobs": [1]}]}}]}', "top_logprobs")
        self.bad(b'{"choices": [{"logprobs": {"tokens": ["a"]}}]}', "token_logprobs")
        self.bad(b'{"choices": [{"logprobs": {"tokens": ["a"], "token_logprobs": [0, 0]}}]}', "token_logprobs")
        self.bad(b'{"choices": [{"logprobs": {"tokens": [1], "token_logprobs": [0]}}]}', "not a string")
        self.bad(b'{"choices": [{"logprobs": {"tokens": ["a"], "token_logprobs": [0], "top_logprobs": [1]}}]}', "top_logprobs")
        self.bad(b'{"choices": [{"logprobs": {"tokens": ["a"], "token_logprobs": [0], "top_logprobs": []}}]}', "top_logprobs")
        self.bad(b'{"choices": [{"logprobs": [1]}]}', "map")
        self.bad(b'{"choices": [{"logprobs": [{"5": {"logprob": true}}]}]}', "not a number")
        self.bad(b'{"error": {"message": "no\\u001b credit\\n"}}', "no? credit")
        self.bad(b'{"error": "down"}', "down")
        self.bad(b'{"custom_id": "x", "response": null, "error": {"message": "expired"}}', "expired")
        self.bad(b'{"object": "chat.completion.chunk", "choices": [{"logprobs": {"content": []}}]}', "chunk")

    def test_nothing_is_printed_before_a_late_fault(self):
        good = json.dumps(json.loads(Path(response("chat.json")).read_text())).encode()
        self.bad(good + b"\n" + good + b"\n{oops}\n", "line 3")
        self.refused("read", response("chat.json"), "none.json", says="none.json: cannot be opened")

    def test_deep(self):
        for data in (b"[" * 100000, b'{"a":' * 100000, b'{"choices":' + b"[" * 3000 + b"]" * 3000 + b"}"):
            self.bad(data, "not valid JSON")

    def test_enormous(self):
        many = b'{"choices": [' + b",".join([b"[]"] * 300000) + b"]}"
        self.bad(many, "more than 8 MiB of memory", more=("--memory", "8"))
        self.bad(many, "choice 0 is not an object")
        self.bad(b'{"a": "' + b"x" * (20 << 20), "more than 8 MiB of memory", more=("--memory", "8"))
        long = self.file_of(chat(*[[(f" token{i}", -0.5), ("other", -2.0)] for i in range(20000)]))
        self.assertEqual(self.read(long)[0]["tokens"], 20000)

    def test_files(self):
        self.refused("read", self.folder, says=[str(self.folder), "cannot be read"])
        self.refused("read", self.folder / "none.json", says="No such file")
        self.refused("read", LOGITS, says="not a JSON document")

    def test_random_damage(self):
        seed = int(os.environ.get("LP_TEST_SEED", "20240819"))
        print(f"seed {seed}")
        source = random.Random(seed)
        for name in ("chat.json", "completions.json", "vllm.json", "together.json"):
            good = json.dumps(json.loads(Path(response(name)).read_text()), ensure_ascii=False).encode()
            for trial in each(range(60)):
                damaged = bytearray(good)
                for _ in range(source.randint(1, 3)):
                    damaged[source.randrange(len(good))] = source.choice(b'\0\xff"{}[]:,019-.eE\\n ' + bytes([source.randrange(256)]))
                code, out, err = run("read", "--labels", "Yes,No", "--threshold", "0.1", input=bytes(damaged), leaks=False)
                self.assertIn(code, (0, 1, 2), (name, bytes(damaged), err))
                if code == 2:
                    self.assertEqual((out, err.count("\n")), (b"", 1), (name, bytes(damaged)))


if __name__ == "__main__":
    main()
