#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Checks docs/embedding.md.

embedding.py page                  every block ```c FILE is a part of FILE, line by line
embedding.py prints NAME PROGRAM   what the program prints is the block ```text NAME
embedding.py json PROGRAM          server_logprobs: strict JSON of the values expected, whatever the locale's decimal point.
                                   Exit code 77: no other locale can be made here"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "embedding.md"


def blocks(kind):
    return re.findall(rf"^```{kind} (\S+)\n(.*?)^```$", PAGE.read_text(), re.S | re.M)


def run(program, **environment):
    done = subprocess.run(program, stdout=subprocess.PIPE, env=dict(os.environ, **environment), check=True, timeout=300)
    return done.stdout.decode(errors="replace")


def check_page():
    found = blocks("c")
    shown = {path for path, _ in found}
    for name in ("server_logprobs", "replace_sort", "prompt_logprobs", "mpi_vocab_parallel", "thread_pool"):
        if f"examples/{name}.c" not in shown:
            sys.exit(f"{PAGE}: nothing of examples/{name}.c is shown")
    for path, code in found:
        if "\n" + code not in "\n" + (ROOT / path).read_text():
            sys.exit(f"{PAGE}: this is not in {path}:\n{code}")


def check_prints(name, program):
    printed = run(program, LC_ALL="C")
    expected = dict(blocks("text")).get(name)
    if printed != expected:
        sys.exit(f"{name} prints\n{printed}---- but {PAGE} says\n{expected}----")


def refuse(word):
    raise ValueError(f"{word} is no JSON")


def check_response(text):
    rows = [json.loads(line, parse_constant=refuse) for line in text.splitlines()]
    logprobs = [row["logprob"] for row in rows]
    assert logprobs[1:3] == [-9999, None], logprobs
    assert abs(logprobs[0] + 0.469284504) < 1e-7 and -2.98e-17 < logprobs[3] < -2.97e-17, logprobs
    alternatives = [[top["token"] for top in row["top_logprobs"]] for row in rows]
    assert alternatives == [["The", " sat"], ["\ufffd\ufffd", '"', "\n"], [], []], alternatives
    assert rows[1]["top_logprobs"][0]["bytes"] == [0xE2, 0x82]


def make_locale(folder, point):
    """A locale in which numbers have another decimal point, and nothing else is said."""
    Path(folder, "source").write_text(f'LC_NUMERIC\ndecimal_point "<U{ord(point):04X}>"\nthousands_sep ""\ngrouping -1\nEND LC_NUMERIC\n')
    subprocess.run(["localedef", "-c", "-f", "UTF-8", "-i", f"{folder}/source", f"{folder}/other.UTF-8"],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    environment = {"LOCPATH": folder, "LC_ALL": "", "LC_NUMERIC": "other.UTF-8"}
    return environment, run([sys.executable, "-c", SHOW_POINT], **environment).encode().strip() == point.encode()


def check_json(program):
    text = run(program, LC_ALL="C")
    check_response(text)
    for point in ",\u066b":  # the latter is two bytes
        with tempfile.TemporaryDirectory() as folder:
            environment, made = make_locale(folder, point) if shutil.which("localedef") else ({}, False)
            if not made:
                print("no other locale can be made here")
                sys.exit(77)
            printed = run(program, **environment)
            if printed != text:
                sys.exit(f"with the decimal point {point} the response is\n{printed}")


SHOW_POINT = """
import locale, sys
locale.setlocale(locale.LC_NUMERIC, '')
sys.stdout.buffer.write(locale.localeconv()['decimal_point'].encode())
"""


def main(kind, *arguments):
    if kind == "page":
        check_page()
    elif kind == "prints":
        check_prints(arguments[0], arguments[1:])
    else:
        check_json(arguments)


main(*sys.argv[1:])
