# SPDX-License-Identifier: MIT OR Apache-2.0
"""The bits are those that C gets: digests of results, and the worst rows that the C tests know."""
from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest

import logprob

TOP = Path(__file__).resolve().parents[3]
ROWS, VOCAB, K = 3, 5000, 50


def digest(array: Any) -> str:
    value = 0xCBF29CE484222325
    for byte in np.asarray(array).tobytes():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def golden_logits() -> np.ndarray:
    state, numbers = 1, []
    for _ in range(ROWS * VOCAB):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        numbers.append(((state >> 40) - 2**23) / 524288)
    return np.array(numbers, np.float32).reshape(ROWS, VOCAB)


def golden_results() -> Dict[str, str]:
    x = golden_logits()
    token = np.array([17, 4999, 0], np.int32)
    half = (x.view(np.uint32) >> 16).astype(np.uint16)
    top = logprob.topk(x, K)
    part = logprob.renormalize(top.logprob[0])
    kl = logprob.compare(x[0], x[1], want=["kl", "reverse_kl"])
    form = logprob.Logits(half, dtype="bf16", softcap=30, inv_temperature=0.5)
    results = {
        "logsumexp": logprob.logsumexp(x),
        "entropy": logprob.entropy(x),
        "log_softmax": logprob.log_softmax(x),
        "topk_logprob": top.logprob,
        "topk_token": top.token,
        "gather": logprob.gather(x, token),
        "token_rank": logprob.score(x, token).token_rank,
        "compare": [kl.kl, kl.reverse_kl],
        "sequence_score": logprob.sequence_score(x, token).logprob,
        "renormalize": part.logprob,
        "tail": part.tail,
        "bf16": logprob.logsumexp(form),
    }
    return {name: digest(value) for name, value in results.items()}


@pytest.mark.parametrize("isa", logprob.supported_isas())
def test_golden(isa: str, same_isa: None) -> None:
    logprob.select_isa(isa)
    lines = (TOP / "bindings" / "golden.txt").read_text().split("\n")
    assert golden_results() == dict(line.split() for line in lines if line)


@pytest.mark.parametrize("name", ["logsumexp", "log_softmax", "entropy", "top_logprob"])
def test_worst_row(name: str) -> None:
    text = (TOP / "tests" / "worst" / f"{name}.txt").read_text()
    found = re.search(r"element (\d+): got (\S+),", text)
    assert found
    numbers = [line.split() for line in text.splitlines() if re.match(r"\d+ ", line)]
    x = np.repeat(np.array([float.fromhex(v) for _, v in numbers], np.float32), [int(n) for n, _ in numbers])
    function = {"top_logprob": logprob.log_softmax}.get(name) or getattr(logprob, name)
    assert np.atleast_1d(function(x))[int(found[1])] == float.fromhex(found[2])
