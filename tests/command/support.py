# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the tests of the command share: running it, writing .npy files, terminals."""
import io
import json
import os
import pty
import select
import shlex
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
STORY = HERE.parent / "data" / "story"
RESPONSES = HERE.parent / "data" / "responses"
LOGITS = str(STORY / "story-logits.npy")
TOKENS = str(STORY / "story-tokens.npy")
LOGPROB = os.environ.get("LOGPROB", str(HERE.parents[1] / "build" / "command" / "tools" / "logprob"))
PROGRAM = shlex.split(os.environ.get("LOGPROB_EMULATOR", "")) + [LOGPROB]


def is_sanitized():
    return b"__asan_init" in Path(LOGPROB).read_bytes()


def is_emulated():
    return len(PROGRAM) > 1


def each(values):
    """Of many inputs of one kind all, or every fifth where it is the command's start that takes the time."""
    return values[::5] if is_sanitized() or is_emulated() else values


def run(*arguments, environment=None, leaks=True, **more):
    """Runs the command with pipes; returns (exit code, stdout bytes, stderr text). Without `leaks` a sanitized command does not
    look for them, which takes longer than its start: for hundreds of inputs of one kind."""
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "LOGPROB_ISA")}
    env.update(environment or {})
    if not leaks:
        env["ASAN_OPTIONS"] = env.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    more.setdefault("stdin", subprocess.DEVNULL if "input" not in more else None)
    if "input" in more:
        more.pop("stdin")
    done = subprocess.run(PROGRAM + [str(a) for a in arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=env, timeout=300, **more)
    return done.returncode, done.stdout, done.stderr.decode()


def run_on_terminal(*arguments, stdout=True, stderr=True, environment=None):
    """Runs the command with stdout and/or stderr on a terminal; returns (exit code, what the terminal got)."""
    master, slave = pty.openpty()
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "LOGPROB_ISA")}
    env["TERM"] = "xterm"
    env.update(environment or {})
    process = subprocess.Popen(PROGRAM + [str(a) for a in arguments], stdin=slave,
                               stdout=slave if stdout else subprocess.DEVNULL,
                               stderr=slave if stderr else subprocess.DEVNULL, env=env, close_fds=True)
    os.close(slave)
    seen = bytearray()
    while True:
        ready, _, _ = select.select([master], [], [], 300)
        try:
            piece = os.read(master, 65536) if ready else b""
        except OSError:  # EIO: the other side is closed
            piece = b""
        if not piece:
            break
        seen += piece
    os.close(master)
    return process.wait(), bytes(seen).replace(b"\r\n", b"\n")


def npy_header(descr, shape, fortran=False, version=1):
    inside = f"{{'descr': {descr!r}, 'fortran_order': {fortran}, 'shape': {shape!r}, }}".encode()
    return npy_wrap(inside, version)


def npy_wrap(inside, version=1):
    """Magic, version, length, and the header padded as NumPy pads it."""
    start = 10 if version == 1 else 12
    inside += b" " * (-(start + len(inside) + 1) % 64) + b"\n"
    length = struct.pack("<H" if version == 1 else "<I", len(inside))
    return b"\x93NUMPY" + bytes([version, 0]) + length + inside


def npy_floats(values, columns, version=1):
    return npy_header("<f4", (len(values) // columns, columns), version=version) + struct.pack(f"<{len(values)}f", *values)


def npy_ints(values, descr="<i4"):
    code = {"<i4": "i", "<i8": "q", "<u2": "H", "|u1": "B", "<i2": "h", "<u4": "I", "<u8": "Q", "|i1": "b"}[descr]
    return npy_header(descr, (len(values),)) + struct.pack(f"<{len(values)}{code}", *values)


def read_npy(data, code):
    """The numbers of a 1-D or 2-D .npy (version 1), flat."""
    start = 10 + struct.unpack_from("<H", data, 8)[0]
    return struct.unpack(f"<{(len(data) - start) // struct.calcsize(code)}{code}", data[start:])


def story_logits():
    flat = read_npy((STORY / "story-logits.npy").read_bytes(), "f")
    return [flat[i:i + 256] for i in range(0, len(flat), 256)]


def story_tokens():
    return read_npy((STORY / "story-tokens.npy").read_bytes(), "i")


def story_truth():
    with zipfile.ZipFile(STORY / "story-truth.npz") as archive:
        return {name[:-4]: read_npy(archive.read(name), "d") for name in archive.namelist()}


def float_order(value):
    """Floats as integers in their order: differences are ulps."""
    bits = struct.unpack("<i", struct.pack("<f", value))[0]
    return bits if bits >= 0 else -(bits & 0x7fffffff)


def strict_json(data):
    """json.loads that refuses what JSON does not have."""
    def refuse(name):
        raise ValueError(f"{name} in JSON")
    return json.loads(data, parse_constant=refuse)


class CommandTest(unittest.TestCase):
    """Adds a folder for files and the check that every bad input owes."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="logprob-test-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def file(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return str(path)

    def sparse(self, name, head, size):
        path = self.folder / name
        with open(path, "wb") as out:
            out.write(head)
            out.truncate(len(head) + size)
        return str(path)

    def refused(self, *arguments, says=(), **more):
        """Exit code 2, nothing on stdout, one line on stderr that says what it must."""
        code, out, err = run(*arguments, **more)
        self.assertEqual(code, 2, (arguments, err))
        self.assertEqual(out, b"", arguments)
        self.assertEqual(err.count("\n"), 1, (arguments, err))
        self.assertTrue(err.startswith("logprob: ") and err.endswith("\n"), err)
        self.assertNotRegex(err[:-1], r"[\x00-\x1f\x7f]")
        for part in [says] if isinstance(says, str) else says:
            self.assertIn(part, err)
        return err

    def accepted(self, *arguments, code=0, **more):
        got, out, err = run(*arguments, **more)
        self.assertEqual(got, code, (arguments, err))
        if code == 0:
            self.assertEqual(err, "", arguments)
        return out


def main():
    print("command:", " ".join(PROGRAM), file=sys.stderr)
    unittest.main(verbosity=1)
