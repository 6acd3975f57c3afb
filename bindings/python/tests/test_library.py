# SPDX-License-Identifier: MIT OR Apache-2.0
"""Where the library is found, threads without the GIL, and what a call costs."""
from __future__ import annotations

import ctypes.util
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Callable, List

import numpy as np

import logprob
from logprob._library import library


def imported(**environment: str) -> subprocess.CompletedProcess[str]:
    code = "import logprob; print(logprob.logsumexp([0, 0]), logprob._library.library._name)"
    path = str(Path(logprob.__file__).parents[1])
    env = {**os.environ, "PYTHONPATH": path, **environment}
    return subprocess.run([sys.executable, "-c", code], env=env, text=True, capture_output=True)


def test_the_library_that_is_named() -> None:
    found = imported(LOGPROB_LIBRARY=library._name)
    assert found.stdout == f"0.6931472 {library._name}\n", found.stderr


def test_a_library_that_is_not_there() -> None:
    found = imported(LOGPROB_LIBRARY="/nowhere/liblogprob.so")
    assert found.returncode == 1 and "LOGPROB_LIBRARY" in found.stderr and "/nowhere/liblogprob.so: " in found.stderr


def test_a_library_that_is_another() -> None:
    found = imported(LOGPROB_LIBRARY=ctypes.util.find_library("c") or "libc.so.6")
    assert "ImportError" in found.stderr and "lp_status_string" in found.stderr


def test_other_threads_run_during_a_call() -> None:
    x = np.zeros((2, 2**20), np.float32)
    stamps: List[float] = []
    done = threading.Event()

    def tick() -> None:
        while not done.is_set():
            stamps.append(time.perf_counter())
            time.sleep(0.0005)

    thread = threading.Thread(target=tick)
    thread.start()
    start = time.perf_counter()
    while time.perf_counter() - start < 10:
        begin = time.perf_counter()
        logprob.topk(x, 2**20)
        end = time.perf_counter()
        quarter = (end - begin) / 4
        if any(begin + quarter < stamp < end - quarter for stamp in stamps):
            break
    done.set()
    thread.join()
    # With the GIL held not one could lie within.
    assert any(begin + quarter < stamp < end - quarter for stamp in stamps)


def test_threads_get_the_same_bits() -> None:
    x = np.random.default_rng(5).normal(0, 5, (64, 3000)).astype(np.float32)
    want, out = logprob.log_softmax(x), np.empty_like(x)

    def work(first: int) -> None:
        logprob.log_softmax(x[first::4], out=out[first::4])

    threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.array_equal(out, want)


def test_cost_of_a_call(report: Callable[[str], None]) -> None:
    x, token = np.zeros((1, 8), np.float32), np.zeros(1, np.int32)
    calls = 2000
    times = []
    for function in (lambda: logprob.logsumexp(x), lambda: logprob.score(x, token, 5)):
        start = time.perf_counter()
        for _ in range(calls):
            function()
        times.append((time.perf_counter() - start) / calls)
    report(f"one row of 8, so nearly all Python: logsumexp {times[0] * 1e6:.0f} us, score {times[1] * 1e6:.0f} us")
    assert max(times) < 1e-3


def test_the_example_of_the_readme() -> None:
    folder = Path(__file__).resolve().parents[1]
    example = (folder / "example.py").read_text()
    found = subprocess.run([sys.executable, folder / "example.py"], text=True, capture_output=True)
    assert len(found.stdout.splitlines()) == 9, found.stderr
    block = (folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
    assert [line for line in block.splitlines() if line] == [
        line for line in example.splitlines() if line and not line.startswith(("#", '"""'))
    ]
