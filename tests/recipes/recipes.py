#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs a block of docs/recipes.md and compares what it prints with the block of text behind it.

recipes.py c NAME PROGRAM...    PROGRAM was made from the block ```c NAME
recipes.py sh NAME LOGPROB...   runs the block ```sh NAME, once for each shape of response; LOGPROB is the command
With --update first, the text in the page is replaced by what was printed.
A line `...` of the text stands for any lines, `...` in a line for anything. Exit code 77: this build has not yet what the recipe needs."""
import array
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "recipes.md"
STORY = HERE.parent / "data" / "story"
SKIPPED = 77


def find(kind, name):
    """The block, and the match of the text block behind it."""
    found = re.search(rf"^```{kind} {name}\n(.*?)^```\n(?:[^`\n][^\n]*\n)*```text\n(.*?)^```$", PAGE.read_text(), re.S | re.M)
    if not found:
        sys.exit(f"{PAGE}: no block {kind} {name} with a text block behind it")
    return found.group(1), found


def matches(printed, expected):
    def pattern_of(line):
        return r"(?:.*\n)*" if line == "..." else ".*".join(map(re.escape, line.split("..."))) + r"\n"

    pattern = "".join(map(pattern_of, expected.splitlines()))
    return re.fullmatch(pattern, printed) is not None


def skip_if_unsupported(done):
    if done.returncode != 0 and "not supported by this build" in done.stdout + done.stderr:
        sys.exit(SKIPPED)
    sys.stderr.write(done.stderr)


def run_program(program):
    done = subprocess.run(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=120)
    skip_if_unsupported(done)
    return [("", done.stdout, done.returncode)]


def write_quantised(source, target):
    """The logits of a float32 .npy, rounded to quarters."""
    data = source.read_bytes()
    start = 10 + int.from_bytes(data[8:10], "little")
    values = array.array("f", data[start:])
    target.write_bytes(data[:start] + array.array("f", [round(4 * x) / 4 for x in values]).tobytes())


def lacks_a_command(block, logprob):
    usage = subprocess.run(logprob + ["--help"], stdout=subprocess.PIPE, universal_newlines=True).stdout
    return any(not re.search(rf"^\s+{name}\b", usage, re.M) for name in re.findall(r"^logprob (\w+)", block, re.M))


def run_shell(block, logprob):
    """In a directory with the samples and the story, where `logprob` is the command under test."""
    if lacks_a_command(block, logprob):
        sys.exit(SKIPPED)
    results = []
    for shape in sorted((HERE / "samples").iterdir()):
        with tempfile.TemporaryDirectory() as folder:
            for sample in list(shape.iterdir()) + list(STORY.glob("*.npy")):
                shutil.copy(sample, folder)
            write_quantised(STORY / "story-logits.npy", Path(folder) / "quantised-logits.npy")
            bin_folder = Path(folder) / "bin"
            bin_folder.mkdir()
            wrapper = bin_folder / "logprob"
            wrapper.write_text("#!/bin/sh\nexec " + " ".join(map(shlex.quote, logprob)) + ' "$@"\n')
            wrapper.chmod(0o755)
            env = dict(os.environ, PATH=f"{bin_folder}:{os.environ['PATH']}", NO_COLOR="1", LC_ALL="C.UTF-8")
            done = subprocess.run(["sh", "-eu"], input=block, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder,
                                  env=env, universal_newlines=True, timeout=300)
            skip_if_unsupported(done)
            results.append((f" ({shape.name})", done.stdout, done.returncode))
    return results


def main(arguments):
    update = arguments[:1] == ["--update"]
    kind, name, *command = arguments[update:]
    block, found = find(kind, name)
    results = run_program(command) if kind == "c" else run_shell(block, command)
    expected = found.group(2)
    if update:
        page = PAGE.read_text()
        PAGE.write_text(page[:found.start(2)] + results[0][1] + page[found.end(2):])
        return 0
    failed = 0
    for where, printed, code in results:
        if code != 0 or not matches(printed, expected):
            print(f"recipe {kind} {name}{where}: exit code {code}, printed\n{printed}---- but the page says\n{expected}----")
            failed = 1
    return failed


sys.exit(main(sys.argv[1:]))
