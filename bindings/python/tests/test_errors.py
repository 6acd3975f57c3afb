# SPDX-License-Identifier: MIT OR Apache-2.0
"""What is wrong is said; what is right of a batch is there all the same."""
from __future__ import annotations

from typing import Any, Callable

import numpy as np
import pytest

import logprob
from logprob import RowError, Status

TOKENS = np.array([1, 2, 3, 4])
ONE_ROW_FUNCTIONS = {
    "logsumexp": logprob.logsumexp,
    "entropy": logprob.entropy,
    "log_softmax": logprob.log_softmax,
    "topk": lambda x, **more: logprob.topk(x, 3, **more).logprob[:, 0],
    "gather": lambda x, **more: logprob.gather(x, TOKENS, **more),
    "score": lambda x, **more: logprob.score(x, TOKENS, 2, **more).entropy,
    "compare": lambda x, **more: logprob.compare(x, np.zeros((4, 20), np.float32), **more).kl,
}


@pytest.mark.parametrize("name", ONE_ROW_FUNCTIONS)
@pytest.mark.parametrize(
    "value, status, text",
    [(np.nan, Status.NAN, "NaN"), (np.inf, Status.INF, r"\+infinity"), (-np.inf, Status.EMPTY, "mass")],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_bad_rows(
    name: str, value: float, status: Status, text: str, backwards: bool, rng: np.random.Generator
) -> None:
    function: Callable[..., Any] = ONE_ROW_FUNCTIONS[name]
    good = rng.normal(size=(4, 20)).astype(np.float32)
    bad = good.copy()
    bad[1, 7 if status is not Status.EMPTY else slice(None)] = value
    bad[3] = np.nan
    if backwards:  # a call for each row
        bad = bad[::-1].copy()[::-1]
    with pytest.raises(RowError, match=f"^{name}: row 1: .*{text}") as caught:
        function(bad)
    assert (caught.value.status, caught.value.row) == (status, 1)
    if status is not Status.EMPTY and name != "compare":
        assert "(element 7)" in str(caught.value)
    result = function(bad, check=False)
    assert np.isnan(result[[1, 3]]).all()
    assert np.array_equal(result[[0, 2]], function(good)[[0, 2]])


def test_the_result_is_in_the_error(rng: np.random.Generator) -> None:
    x = rng.normal(size=(2, 3, 10)).astype(np.float32)
    x[1, 2, 4] = np.nan
    with pytest.raises(RowError) as caught:
        logprob.logsumexp(x)
    assert caught.value.row == (1, 2)
    assert np.array_equal(caught.value.result, logprob.logsumexp(x, check=False), equal_nan=True)
    with pytest.raises(RowError, match=r"^logsumexp: a logit is NaN \(element 4\)$"):
        logprob.logsumexp(x[1, 2])
    with pytest.raises(RowError, match=r"^log_softmax: row \(1, 2\): a logit is NaN$"):
        logprob.log_softmax(x, out=x)


def test_overflow_in_the_form() -> None:
    x = np.array([[0, 1], [0, 3e38]], np.float32)
    with pytest.raises(RowError, match=r"row 1: a logit is \+infinity \(element 1\)"):
        logprob.entropy(logprob.Logits(x, inv_temperature=np.array([1, 2], np.float32)))


def test_empty_vocab() -> None:
    with pytest.raises(RowError, match="vocab 0") as caught:
        logprob.logsumexp(np.zeros((2, 0), np.float32))
    assert caught.value.status is Status.EMPTY


@pytest.mark.parametrize("function", [logprob.gather, logprob.score])
def test_tokens(function: Any) -> None:
    x = np.zeros((2, 5), np.float32)
    with pytest.raises(RowError, match=r"row 1: token id not below vocab \(token 9, vocab 5\)") as caught:
        function(x, [[0, 1], [-1, 9]])
    assert caught.value.status is Status.TOKEN
    with pytest.raises(logprob.ArgumentError, match=r"tokens: shape \(3,\)"):
        function(x, [1, 2, 3])
    with pytest.raises(TypeError, match="float64"):
        function(x, [0.5, 1])


def test_arguments() -> None:
    x = np.zeros((2, 5), np.float32)
    calls: Any = [
        (lambda: logprob.topk(x, -1), "k: -1"),
        (lambda: logprob.compare(x, x[:1]), "differ"),
        (lambda: logprob.compare(x, x, [[1], [2]]), r"tokens: \(2,\) is needed"),
        (lambda: logprob.select_isa("mmx"), "'mmx' is none of scalar, avx2, avx512, neon"),
        (lambda: logprob.sequence_score(x, [0, 1], [0, 3]), "at most 2 rows"),
        (lambda: logprob.sequence_score(x[::-1], [0, 1]), "go backwards"),
        (lambda: logprob.renormalize(np.array([0.1, 0.2], np.float32)), "^renormalize: invalid argument"),
    ]
    for call, text in calls:
        with pytest.raises(logprob.ArgumentError, match=text):
            call()


def test_isa_of_another_machine() -> None:
    with pytest.raises(logprob.LogprobError, match="not supported by this build.*: ") as caught:
        logprob.select_isa(next(name for name in ("neon", "avx2") if name not in logprob.supported_isas()))
    assert caught.value.status is Status.ISA


def test_status_names() -> None:
    from logprob._library import status_text

    assert status_text(Status.STATE).startswith("the stream state") and status_text(99) == "unknown status"


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint32", "int64", "uint64", ">i4"])
def test_widths_of_ids(dtype: str) -> None:
    x = np.arange(10, dtype=np.float32)
    want = logprob.log_softmax(x)[[0, 9]]
    assert np.array_equal(logprob.gather(x, np.array([0, 9], dtype)), want)
    largest = np.array([np.iinfo(dtype).max], dtype)
    with pytest.raises(RowError, match="not below vocab"):
        logprob.gather(x, largest)
