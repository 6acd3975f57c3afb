# SPDX-License-Identifier: MIT OR Apache-2.0
"""Sequences, partial sets and comparisons, against the same sums in NumPy."""
from __future__ import annotations

import numpy as np
import pytest
import scipy.special

import logprob
from logprob import Status


def test_sequences(rng: np.random.Generator) -> None:
    x = rng.normal(0, 3, (10, 200)).astype(np.float32)
    tokens = x.argmax(-1)
    tokens[7] = (tokens[7] + 1) % 200
    keep = np.ones(10, bool)
    keep[2] = False
    offset = [0, 4, 4, 10]
    result = logprob.sequence_score(x, tokens, offset, keep)
    single = logprob.gather(x, tokens)
    assert result.token_logprob is not None and np.isnan(result.token_logprob[2])
    assert np.array_equal(result.token_logprob[keep], single[keep])
    assert result.tokens.tolist() == [3, 0, 6] and result.greedy.tolist() == [1, 1, 0]
    sums = [single[[0, 1, 3]].sum(dtype=np.float64), 0, single[4:].sum(dtype=np.float64)]
    assert np.allclose(result.logprob, sums, rtol=1e-14, atol=0)
    assert result.argmin[2] == 7 and result.min[2] == single[7] and result.argmin[1] == 2**64 - 1
    assert np.allclose(result.perplexity[[0, 2]], np.exp(-result.mean[[0, 2]]), rtol=1e-15, atol=0)
    summed = logprob.sequence_sum(single, offset, keep)
    assert np.array_equal(summed.logprob, result.logprob) and summed.greedy.tolist() == [-1, 1, -1] and len(summed) == 3
    whole = logprob.sequence_score(np.repeat(x, 2, axis=0)[::2], tokens)
    assert np.array_equal(whole.logprob, logprob.sequence_sum(single).logprob)


def test_bad_sequences() -> None:
    with pytest.raises(logprob.RowError, match="^sequence_sum: sequence 1: a logit is NaN") as caught:
        logprob.sequence_sum(np.array([-1, np.nan, -2], np.float32), [0, 1, 2, 3])
    assert caught.value.row == 1 and caught.value.result.logprob[[0, 2]].tolist() == [-1, -2]
    with pytest.raises(logprob.RowError) as token:
        logprob.sequence_score(np.zeros((2, 5), np.float32), [0, 5])
    assert token.value.status is Status.TOKEN
    assert logprob.sequence_score(np.zeros((0, 5), np.float32), [], check=False).tokens.tolist() == [0]
    for offset in ([], [2, 1], [-1, 2], [0, 4], [[0, 1]], [0.0, 1.0]):
        with pytest.raises(logprob.ArgumentError, match="^offset: "):
            logprob.sequence_sum(np.zeros(3, np.float32), offset)
    with pytest.raises(logprob.ArgumentError, match="^keep: "):
        logprob.sequence_sum(np.zeros(3, np.float32), keep=[True])


def test_renormalize(rng: np.random.Generator) -> None:
    top = logprob.topk(rng.normal(0, 4, (2, 3, 1000)).astype(np.float32), 20).logprob
    result = logprob.renormalize(top)
    exact = top.astype(np.float64)
    kept = np.exp(exact).sum(-1)
    assert np.allclose(result.logprob, exact - np.log(kept)[..., None], rtol=1e-7, atol=1e-7)
    assert np.allclose(result.kept, kept, rtol=1e-14, atol=0) and np.allclose(result.tail, 1 - kept, rtol=1e-12, atol=0)
    assert np.allclose(result.log_kept, np.log(kept), rtol=1e-13, atol=0)
    one = logprob.renormalize(top[1, 2])
    assert isinstance(one.tail, float) and one.tail == result.tail[1, 2]
    with pytest.raises(logprob.RowError, match=r"^renormalize: row \(0, 1\): ") as caught:
        logprob.renormalize(np.where(np.arange(6).reshape(2, 3, 1) == 1, -np.inf, top).astype(np.float32))
    assert caught.value.status is Status.EMPTY and caught.value.result.tail[1, 2] == result.tail[1, 2]


def test_labels() -> None:
    logprobs = np.log(np.array([[0.5, 0.2, 0.1], [0.1, 0.1, 0.3]])).astype(np.float32)
    want = np.log([[0.6, 0.2, 0], [0.4, 0.1, 0]], where=[True, True, False], out=np.full((2, 3), -np.inf))
    assert np.allclose(logprob.label_logprob(logprobs, [0, 1, 0], 3), want, rtol=2e-7)
    assert np.allclose(logprob.label_logprob(logprobs, [[0, -1, 1], [1, 0, 0]], 2)[1], np.log([0.4, 0.1]), rtol=2e-7)
    with pytest.raises(logprob.ArgumentError, match="label: 3 is not below labels = 3"):
        logprob.label_logprob(logprobs, [0, 1, 3], 3)
    with pytest.raises(logprob.RowError):
        logprob.label_logprob(np.array([np.nan], np.float32), [0], 1)


def test_partial_entropy(rng: np.random.Generator) -> None:
    x = rng.normal(0, 4, (5, 300)).astype(np.float32)
    bounds = logprob.partial_entropy(logprob.topk(x, 20).logprob, 300)
    assert np.all(bounds.lower <= logprob.entropy(x)) and np.all(logprob.entropy(x) <= bounds.upper)
    assert np.all(bounds.upper - bounds.lower < 2)
    with pytest.raises(logprob.ArgumentError, match="vocab: 3 is not from n = 20"):
        logprob.partial_entropy(logprob.topk(x, 20).logprob, 3)


def test_exp() -> None:
    values = np.linspace(-100, 0, 60, dtype=np.float32).reshape(3, 20)
    assert np.array_equal(logprob.exp(values), np.exp(values.astype(np.float64)).astype(np.float32))
    assert np.array_equal(logprob.exp(values[:, ::3]), logprob.exp(values)[:, ::3])
    with pytest.raises(logprob.RowError, match=r"exp: row \(1, 0\)"):
        logprob.exp(np.array([[-np.inf], [np.inf]], np.float32))
    with pytest.raises(TypeError, match="float64"):
        logprob.exp(np.zeros(2))


def test_compare(rng: np.random.Generator) -> None:
    p = rng.normal(0, 3, (4, 500)).astype(np.float32)
    q = (p + rng.normal(0, 0.5, p.shape)).astype(np.float32)
    tokens = rng.integers(0, 500, 4)
    result = logprob.compare(p, logprob.Logits(q, inv_temperature=0.5), tokens)
    a = scipy.special.log_softmax(p.astype(np.float64), axis=-1)
    b = scipy.special.log_softmax(q.astype(np.float64) * 0.5, axis=-1)
    assert np.allclose(result.kl, (np.exp(a) * (a - b)).sum(-1), rtol=1e-5)
    assert np.allclose(result.reverse_kl, (np.exp(b) * (b - a)).sum(-1), rtol=1e-5)
    assert np.allclose(result.cross_entropy, -(np.exp(a) * b).sum(-1), rtol=1e-6)
    assert np.allclose(result.max_abs_diff, np.abs(a - b).max(-1), rtol=1e-6)
    assert np.array_equal(result.p_token_logprob, logprob.gather(p, tokens))
    assert np.array_equal(result.p_top, p.argmax(-1)) and np.array_equal(result.q_top, q.argmax(-1))
