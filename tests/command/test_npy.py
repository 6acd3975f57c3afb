# SPDX-License-Identifier: MIT OR Apache-2.0
"""Every way in which a .npy file can be bad, and every good one that NumPy writes."""
import os
import random
import struct

from support import LOGITS, CommandTest, each, main, npy_floats, npy_header, npy_ints, npy_wrap, run

DATA = struct.pack("<6f", 0, 1, 2, 3, 4, 5)


class Npy(CommandTest):
    def setUp(self):
        super().setUp()
        self.ids = self.file("ids.npy", npy_ints([0, 1, 1]))

    def score(self, data):
        return ("score", self.file("logits.npy", data), "--tokens", self.ids)

    def bad(self, data, *says):
        self.refused(*self.score(data), says=[str(self.folder / "logits.npy"), *says])

    def test_versions_and_spellings(self):
        wanted = self.accepted(*self.score(npy_floats([0, 1, 2, 3, 4, 5], 2)))
        for version in (2, 3):
            self.assertEqual(self.accepted(*self.score(npy_floats([0, 1, 2, 3, 4, 5], 2, version))), wanted)
        for inside in (b"{'shape':(3,2),'fortran_order':False,'descr':'<f4'}",
                       b'{"descr": "<f4", "fortran_order": False, "shape": (3, 2,)}',
                       b"{'descr': '<f4', 'fortran_order': False, 'shape': (3L, 2L), }",
                       b"  { 'descr' :'<f4' , 'fortran_order' : False, 'shape' : ( 3 , 2 ) , }  "):
            self.assertEqual(self.accepted(*self.score(npy_wrap(inside) + DATA)), wanted)

    def test_headers(self):
        for inside, says in ((b"", "'{'"), (b"{}", "missing"), (b"{'descr': '<f4'}", "missing"),
                             (b"[1, 2]", "'{'"),
                             (b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)", "'}'"),
                             (b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), } x", "follows"),
                             (b"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}", "twice"),
                             (b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), 'more': 1}", "unknown key"),
                             (b"{'descr': '<f4', 'fortran_order': 0, 'shape': (3, 2)}", "fortran_order"),
                             (b"{'descr': '<f4', 'fortran_order': False, 'shape': [3, 2]}", "shape"),
                             (b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, -2)}", "shape"),
                             (b"{'descr': '<f4', 'fortran_order': False, 'shape': (3.0, 2)}", "shape"),
                             (b"{'descr': '<f4', 'fortran_order': False, 'shape': (6)}", "shape"),
                             (b"{'descr': '<f4', 'fortran_order': False, 'shape': (" + b"1," * 33 + b")}", "shape"),
                             (b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 2)}", "shape"),
                             (b"{'descr': 4, 'fortran_order': False, 'shape': (3, 2)}", "descr"),
                             (b"{'descr': '<f\\x34', 'fortran_order': False, 'shape': (3, 2)}", "descr"),
                             (b"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3, 2)}", "structure"),
                             (b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2", "shape"),
                             (b"{'descr", "key"), (b"{descr: 1}", "key"), (b"\0\0\0\0", "'{'")):
            self.bad(npy_wrap(inside) + DATA, says, "expected")

    def test_types_and_orders(self):
        for descr in ("<f8", ">f4", "<i4", "|O", "<c8", "|b1", "<U1", "=f4", "f4", "", "x" * 500, "\\n"):
            inside = b"{'descr': '%s', 'fortran_order': False, 'shape': (3, 2)}" % descr.encode()
            self.bad(npy_wrap(inside) + DATA, "expected")
        self.bad(npy_header("<u2", (3, 2)) + bytes(12), "--dtype bf16")
        self.bad(npy_header("<f4", (3, 2), fortran=True) + DATA, "Fortran order", "C order")
        code, _, err = run(*self.score(npy_header("<f4", (3, 2)) + DATA), "--dtype", "f16")
        self.assertEqual(code, 2)
        self.assertIn("f32; expected f16", err)

    def test_sizes(self):
        good = npy_header("<f4", (3, 2)) + DATA
        for length in each(range(len(good))):
            self.bad(good[:length], "expected")
        self.bad(good + b"x", "1 bytes too long")
        self.bad(npy_header("<f4", (4, 2)) + DATA, "truncated", "24", "32")
        self.bad(npy_header("<f4", (1 << 62, 1 << 62)) + DATA, "larger than memory")
        self.bad(npy_header("<f4", (1 << 62, 2)) + DATA, "larger than memory")
        self.bad(npy_header("<f4", (0, 1 << 40)), "1099511627776 columns")
        self.bad(npy_header("<f4", (3, 2), version=2)[:11], "truncated")

    def test_other_versions(self):
        good = bytearray(npy_header("<f4", (3, 2)) + DATA)
        for major, minor in ((0, 0), (4, 0), (1, 1), (255, 255)):
            good[6:8] = bytes((major, minor))
            self.bad(bytes(good), f"version {major}.{minor}", "expected 1.0, 2.0 or 3.0")

    def test_not_npy_at_all(self):
        self.bad(b"", "empty")
        self.bad(b"PK\x03\x04" + bytes(100), "not a .npy file")
        self.bad(b"hello\n", "not a .npy file")
        self.refused("score", self.folder, "--tokens", self.ids, says=[str(self.folder), "not a regular file"])
        self.refused("score", self.folder / "none.npy", "--tokens", self.ids, says=["none.npy", "No such file"])
        self.refused("score", "/dev/zero", "--tokens", self.ids, says="/dev/zero")
        os.mkfifo(self.folder / "fifo")
        self.refused("score", self.folder / "fifo", "--tokens", self.ids, says="fifo: is not a regular file")
        self.refused("score", LOGITS, "--tokens", self.file("bad.npy", b"text"), says="bad.npy: not a .npy file")
        if os.getuid():
            path = self.file("secret.npy", npy_floats([0], 1))
            os.chmod(path, 0)
            self.refused("score", path, "--tokens", self.ids, says=[path, "Permission denied"])

    def test_random_damage(self):
        """Whatever byte changes, the answer is a result or one line: never a crash."""
        seed = int(os.environ.get("LP_TEST_SEED", "20240817"))
        print(f"seed {seed}")
        source = random.Random(seed)
        good = npy_header("<f4", (3, 2)) + DATA
        for trial in each(range(300)):
            damaged = bytearray(good)
            for _ in range(source.randint(1, 4)):
                damaged[source.randrange(len(good) - len(DATA))] = source.choice(b"\0\xff'{}(),:0129L<f \\" + bytes([source.randrange(256)]))
            code, out, err = run(*self.score(bytes(damaged)), leaks=False)
            self.assertIn(code, (0, 2), (trial, bytes(damaged), err))
            if code == 2:
                self.assertEqual((out, err.count("\n")), (b"", 1), (trial, bytes(damaged)))


if __name__ == "__main__":
    main()
