# SPDX-License-Identifier: MIT OR Apache-2.0
"""16-bit logits, .safetensors files, temperature and softcap: the same numbers as float32 files prepared in Python."""
import json
import math
import os
import random
import struct

from support import (LOGITS, TOKENS, CommandTest, each, main, npy_floats, npy_header, run, story_logits, strict_json)


def bf16_bits(value):
    """Truncated: which rounding made the file does not matter here."""
    return struct.unpack("<I", struct.pack("<f", value))[0] >> 16


def bf16_value(bits):
    return struct.unpack("<f", struct.pack("<I", bits << 16))[0]


def safetensors(tensors, metadata=True, raw=None, padding=b""):
    """tensors: {name: (dtype, shape, bytes)}"""
    header, data = ({"__metadata__": {"made": "here"}} if metadata else {}), b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = raw if raw is not None else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data + padding


class SixteenBit(CommandTest):
    def setUp(self):
        super().setUp()
        flat = [x for row in story_logits() for x in row]
        self.f32 = struct.pack(f"<{len(flat)}f", *flat)
        self.f16 = struct.pack(f"<{len(flat)}e", *flat)
        bf16 = [bf16_bits(x) for x in flat]
        self.bf16 = struct.pack(f"<{len(flat)}H", *bf16)
        self.wide16 = self.file("wide16.npy", npy_floats(struct.unpack(f"<{len(flat)}e", self.f16), 256))
        self.widebf = self.file("widebf.npy", npy_floats([bf16_value(b) for b in bf16], 256))

    def score(self, logits, *more):
        return self.accepted("score", logits, "--tokens", TOKENS, "--shift", "--top", "5", "--format", "json", *more)

    def test_npy(self):
        f16 = self.file("f16.npy", npy_header("<f2", (341, 256)) + self.f16)
        for more in ((), ("--dtype", "f16")):
            self.assertEqual(self.score(f16, *more), self.score(self.wide16))
        for descr in ("<u2", "|V2", "<V2"):
            bf16 = self.file("bf16.npy", npy_header(descr, (341, 256)) + self.bf16)
            self.assertEqual(self.score(bf16, "--dtype", "bf16"), self.score(self.widebf))
            self.refused("score", bf16, "--tokens", TOKENS, says=[bf16, "--dtype bf16"])
            self.refused("score", bf16, "--tokens", TOKENS, "--dtype", "f16", says=bf16)
        self.refused("score", f16, "--tokens", TOKENS, "--dtype", "bf16", says=[f16, "f16; expected bf16"])
        self.refused("score", LOGITS, "--tokens", TOKENS, "--dtype", "bf16", says=[LOGITS, "f32; expected bf16"])

    def test_safetensors(self):
        three = {"a": ("F32", [341, 256], self.f32), "b": ("F16", [341, 256], self.f16),
                 "c": ("BF16", [341, 256], self.bf16), "tokens": ("I32", [341], bytes(1364))}
        path = self.file("three.safetensors", safetensors(three))
        self.assertEqual(self.score(path, "--tensor", "a"), self.score(LOGITS))
        self.assertEqual(self.score(path, "--tensor", "b"), self.score(self.wide16))
        self.assertEqual(self.score(path, "--tensor", "c", "--dtype", "bf16"), self.score(self.widebf))
        self.refused("score", path, "--tokens", TOKENS, says=[path, "3 tensors", "--tensor NAME", "a, b, c"])
        self.refused("score", path, "--tokens", TOKENS, "--tensor", "d", says=[path, '"d"', "a, b, c, tokens"])
        self.refused("score", path, "--tokens", TOKENS, "--tensor", "tokens", says=[path, "I32", "BF16"])
        self.refused("score", path, "--tokens", TOKENS, "--tensor", "a", "--dtype", "f16", says="f32; expected f16")
        one = self.file("one.safetensors", safetensors({"x": three["b"], "tokens": three["tokens"]}, metadata=False))
        self.assertEqual(self.score(one), self.score(self.wide16))

    def test_bad_safetensors(self):
        def bad(data, *says, more=()):
            path = self.file("bad.safetensors", data)
            self.refused("score", path, "--tokens", TOKENS, *more, says=[path, "expected", *says])
        good = {"x": ("F32", [341, 256], self.f32)}
        bad(b"", "truncated")
        bad(b"1234567", "truncated")
        bad(struct.pack("<Q", 1 << 63) + bytes(100), "truncated")
        bad(safetensors(good)[:50], "truncated")
        bad(safetensors(good)[:-1], "truncated", '"x"')
        bad(safetensors(good, padding=b"x"), "349185 bytes of data")
        bad(safetensors({}), "0 tensors")
        bad(safetensors({"x": ("F64", [341, 256], self.f32 * 2)}), "0 tensors")
        bad(safetensors({"x": ("F32", [341, 257], self.f32)}), "349184 bytes", "341 x 257")
        bad(safetensors({"x": ("F32", [1, 341, 256], self.f32)}), "3 dimensions", more=("--tensor", "x"))
        bad(safetensors({"x": ("F32", [1 << 40, 1 << 40], self.f32)}), "elements")
        for raw in (b"", b"{", b"[]", b"[1]", b"null", b"{}{}", b'{"x": 1}', b'{"x": {}}', b'{"x": {"dtype": 3}}',
                    b'{"x": {"dtype": "F32", "shape": [1.5], "data_offsets": [0, 4]}}',
                    b'{"x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
                    b'{"x": {"dtype": "F32", "shape": [1e300], "data_offsets": [0, 4]}}',
                    b'{"x": {"dtype": "F32", "shape": {}, "data_offsets": [0, 4]}}',
                    b'{"x": {"dtype": "F32", "shape": [1, 1], "data_offsets": [4, 0]}}',
                    b'{"x": {"dtype": "F32", "shape": [1, 1], "data_offsets": [0]}}',
                    b'{"x": {"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 9007199254740993]}}',
                    b'{"x": {"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4]}, "x": 1}',
                    b'{"x": {"dtype": "F32", "shape": [' + b"1," * 40 + b'1], "data_offsets": [0, 4]}}',
                    b"[" * 5000, b'{"a":' * 5000, b'{"\xff": 1}', b'{"x": "\x1b[31m'):
            bad(safetensors({}, raw=raw))
        many = {f"layer.{i}.{'n' * 60}": ("F32", [1, 1], bytes(4)) for i in range(1000)}
        path = self.file("many.safetensors", safetensors(many))
        self.assertLess(len(self.refused("score", path, "--tokens", TOKENS, says="1000 tensors")), 700)

    def test_random_damage(self):
        seed = int(os.environ.get("LP_TEST_SEED", "20240818"))
        print(f"seed {seed}")
        source = random.Random(seed)
        good = safetensors({"x": ("F32", [3, 2], bytes(24))})
        for trial in each(range(200)):
            damaged = bytearray(good)
            for _ in range(source.randint(1, 4)):
                damaged[source.randrange(len(good) - 24)] = source.choice(b'\0\xff"{}[]:,0129e-' + bytes([source.randrange(256)]))
            path = self.file("damaged.safetensors", bytes(damaged))
            code, out, err = run("score", path, "--tokens", TOKENS, leaks=False)
            self.assertEqual((code, out, err.count("\n")), (2, b"", 1), (trial, bytes(damaged), err))


class Transforms(CommandTest):
    def logprobs(self, logits, *more):
        out = self.accepted("score", logits, "--tokens", TOKENS, "--shift", "--format", "json", *more)
        return [entry["logprob"] for entry in strict_json(out)["logprobs"]["content"]]

    def test_temperature_and_softcap(self):
        def near(a, b):
            self.assertLess(max(abs(x - y) for x, y in zip(a, b)), 2e-6)
        rows = story_logits()
        prepared = self.file("t.npy", npy_floats([x / 0.7 for row in rows for x in row], 256))
        near(self.logprobs(LOGITS, "--temperature", "0.7"), self.logprobs(prepared))
        prepared = self.file("c.npy", npy_floats([5 * math.tanh(x / 5) for row in rows for x in row], 256))
        near(self.logprobs(LOGITS, "--softcap", "5"), self.logprobs(prepared))
        prepared = self.file("b.npy", npy_floats([5 * math.tanh(x / 5) / 2 for row in rows for x in row], 256))
        near(self.logprobs(LOGITS, "--softcap", "5", "--temperature", "2"), self.logprobs(prepared))
        self.assertEqual(self.logprobs(LOGITS, "--temperature", "1"), self.logprobs(LOGITS))


if __name__ == "__main__":
    main()
