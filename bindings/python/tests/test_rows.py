# SPDX-License-Identifier: MIT OR Apache-2.0
"""Rows: against SciPy, in every layout that NumPy can express, without copies."""
from __future__ import annotations

import time
import tracemalloc
from typing import Any, Callable

import numpy as np
import pytest
import scipy.special

import logprob


CASES: Any = {
    "logsumexp": (logprob.logsumexp, lambda x: scipy.special.logsumexp(x, axis=-1)),
    "log_softmax": (logprob.log_softmax, lambda x: scipy.special.log_softmax(x, axis=-1)),
    "entropy": (logprob.entropy, lambda x: scipy.special.entr(scipy.special.softmax(x, axis=-1)).sum(axis=-1)),
}
# What the header says is proven, of an exact value and its ulp.
BOUNDS: Any = {
    "logsumexp": lambda exact, ulp: 0.5 * ulp + 2.8e-7,
    "log_softmax": lambda exact, ulp: np.where(exact >= np.log(0.5), 5.2 * ulp, 1.25 * ulp + 2.8e-7),
    "entropy": lambda exact, ulp: 0.5 * ulp + 5.8e-7 * exact,
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("vocab", [1, 2, 33, 2049, 32000])
def test_against_scipy(name: str, vocab: int, rng: np.random.Generator) -> None:
    ours, theirs = CASES[name]
    x = rng.normal(0, 6, (5, vocab)).astype(np.float32)
    exact = theirs(x.astype(np.float64))
    ulp = np.abs(np.spacing(exact.astype(np.float32)).astype(np.float64))
    # 1e-14: the reference is a double
    assert np.all(np.abs(ours(x) - exact) <= BOUNDS[name](exact, ulp) + 1e-14)


def best_time(call: Callable[[], Any]) -> float:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


@pytest.mark.parametrize("name", CASES)
def test_speed_against_scipy(name: str, rng: np.random.Generator, report: Callable[[str], None]) -> None:
    x = rng.normal(0, 6, (8, 128256)).astype(np.float32)
    ours, theirs = (best_time(lambda: function(x)) for function in CASES[name])
    report(
        f"{name} of [8, 128256] float32 on {logprob.isa()}: {ours * 1e3:.2f} ms, SciPy {theirs * 1e3:.2f} ms, "
        f"ratio {theirs / ours:.1f}"
    )
    assert theirs > ours


def layouts(x: np.ndarray) -> Any:
    """The same rows [4, 6, vocab] where NumPy's strides can put them."""
    a, b, vocab = x.shape

    def placed(view: np.ndarray) -> np.ndarray:
        view[...] = x
        return view

    yield "contiguous", x
    yield "padded", placed(np.zeros((a, b, vocab + 5), x.dtype)[..., :vocab])
    yield "every second row", placed(np.zeros((a, 2 * b, vocab), x.dtype)[:, ::2])
    yield "axes swapped", placed(np.zeros((b, a, vocab), x.dtype).transpose(1, 0, 2))
    yield "backwards", placed(np.zeros((a, b, vocab), x.dtype)[::-1, ::-1])
    yield "Fortran order of rows", placed(np.zeros((b, 1, a, vocab), x.dtype)[:, 0].swapaxes(0, 1))
    record = np.dtype([("pad", np.uint8, 3), ("row", x.dtype, vocab)])
    yield "at odd bytes", placed(np.zeros((a, b), record)["row"])
    read_only = x.copy()
    read_only.flags.writeable = False
    yield "read-only", read_only


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_layouts(dtype: str, rng: np.random.Generator) -> None:
    x = rng.normal(0, 6, (4, 6, 100)).astype(dtype)
    tokens = rng.integers(0, 100, (4, 6))
    allowed = rng.random((4, 6, 100)) < 0.9
    allowed[np.arange(4)[:, None], np.arange(6), tokens] = True
    temperature = rng.uniform(0.5, 2, (4, 6)).astype(np.float32)

    def results(data: np.ndarray) -> Any:
        logits = logprob.Logits(data, allowed=allowed, inv_temperature=temperature)
        other = logprob.Logits(data[..., ::-1].copy(), softcap=5)
        both = logprob.compare(logprob.Logits(data), other, tokens)
        scores = logprob.score(logits, tokens, 3)
        parts = {**vars(scores), **vars(both), "dense": logprob.log_softmax(logits), "all": logprob.transform(logits)}
        parts["gather"] = logprob.gather(logits, np.stack([tokens, tokens[::-1]], -1), check=False)
        return {name: value.tobytes() for name, value in parts.items()}

    want = results(x)
    seen = set()
    for name, data in layouts(x):
        seen.add(data.strides)
        assert np.array_equal(data, x), name
        assert results(data) == want, name
    assert len(seen) >= 6
    one = logprob.Logits(x[3, 1], allowed=allowed[3, 1], inv_temperature=float(temperature[3, 1]))
    assert logprob.score(one, tokens[3, 1]).logsumexp == np.frombuffer(want["logsumexp"], np.float32)[3 * 6 + 1]


def test_rows_that_repeat(rng: np.random.Generator) -> None:
    row = rng.normal(size=77).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(row, 70)
    assert np.array_equal(logprob.logsumexp(windows), logprob.logsumexp(windows.copy()))
    assert np.array_equal(logprob.logsumexp(np.broadcast_to(row, (3, 77))), np.repeat(logprob.logsumexp(row), 3))


def test_no_copies(rng: np.random.Generator) -> None:
    x = rng.normal(size=(8, 2, 65536)).astype(np.float32)
    out = np.empty_like(x)
    calls = [
        lambda: logprob.logsumexp(x[::-1, :, :60000]),
        lambda: logprob.score(x[:, ::-1], np.zeros((8, 2), np.int32), 20),
        lambda: logprob.log_softmax(x, out=out),
        lambda: logprob.compare(x, out),
    ]
    for call in calls:
        call()
        tracemalloc.start()
        call()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 65536


def test_out(rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, 50)).astype(np.float32)
    want = logprob.log_softmax(x)
    wide = np.full((6, 64), 7, np.float32)
    result = logprob.log_softmax(x, out=wide[::-2, 4:54])
    assert np.shares_memory(result, wide) and np.array_equal(wide[::-2, 4:54], want)
    assert np.count_nonzero(wide == 7) == wide.size - want.size
    assert logprob.log_softmax(x, out=x) is x and np.array_equal(x, want)
    for out in (x[:2], x.astype(np.float64), np.empty((50, 3), np.float32).T):
        with pytest.raises(ValueError, match="^out: "):
            logprob.log_softmax(want, out=out)
    both = np.zeros((3, 60), np.float32)
    with pytest.raises(ValueError, match="overlaps"):
        logprob.log_softmax(both[:, :50], out=both[:, 10:])
    assert logprob.log_softmax(np.zeros((3, 30), np.float32), out=both[:, 30:]).shape == (3, 30)


def test_shapes(rng: np.random.Generator) -> None:
    x = rng.normal(size=(2, 3, 10)).astype(np.float32)
    assert logprob.topk(x, 4).logprob.shape == logprob.topk(x, 4).token.shape == (2, 3, 4)
    assert logprob.gather(x, np.zeros((2, 3, 7), int)).shape == (2, 3, 7)
    assert logprob.gather(x, np.zeros((2, 3), int)).shape == (2, 3)
    assert isinstance(logprob.logsumexp(x[0, 0]), np.float32)
    assert isinstance(logprob.gather(x[0, 0], 5), np.float32)
    assert logprob.score(x[:0], np.zeros((0, 3), int), 2).top_token.shape == (0, 3, 2)
    assert logprob.topk(x, 0).token.shape == (2, 3, 0)
    assert list(logprob.topk(x[0, 0, :2], 3).token)[2] == -1
    assert logprob.gather(x[0, 0], [0, 2**40, -5, 3], check=False)[[0, 3]].tolist() == logprob.gather(
        x[0, 0], [0, 3]
    ).tolist()


def test_score_agrees_with_the_single_functions(rng: np.random.Generator) -> None:
    x = rng.normal(0, 3, (4, 1000)).astype(np.float32)
    tokens = rng.integers(0, 1000, (4, 3))
    scores = logprob.score(x, tokens, 5)
    assert np.array_equal(scores.logsumexp, logprob.logsumexp(x))
    assert np.array_equal(scores.entropy, logprob.entropy(x))
    assert np.array_equal(scores.token_logprob, logprob.gather(x, tokens))
    assert np.array_equal(scores.top_token, np.argsort(-x, axis=-1, kind="stable")[:, :5])
    assert np.array_equal(scores.token_rank, 1 + (x > x[np.arange(4), tokens[:, 0]][:, None]).sum(-1))
    assert np.array_equal(scores.token_rank, scores.token_rank_ties)
    assert not scores.status.any()


def test_want(rng: np.random.Generator) -> None:
    x = rng.normal(size=(2, 10)).astype(np.float32)
    some = logprob.score(x, [1, 2], 3, want=["entropy", "top_token"])
    assert set(vars(some)) == {"entropy", "top_token", "top_logprob", "status"}
    with pytest.raises(AttributeError, match="not asked for"):
        some.token_logprob
    for want, text in (["top_token"], "k above 0"), (["token_rank"], "tokens"), ("perplexity", "is none of"):
        with pytest.raises(logprob.ArgumentError, match=text):
            logprob.score(x, want=want)
    with pytest.raises(logprob.ArgumentError, match="needs tokens"):
        logprob.compare(x, x, want=["p_token_logprob"])
    assert set(vars(logprob.compare(x, x, want="kl"))) == {"kl", "status"}
