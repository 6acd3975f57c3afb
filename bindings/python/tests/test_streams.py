# SPDX-License-Identifier: MIT OR Apache-2.0
"""Streams give the bits of one call, through bytes and pickle too."""
from __future__ import annotations

import pickle

import numpy as np
import pytest

import logprob
from logprob import Status, Stream

VOCAB, K, TOKEN = 10000, 20, 7777


def logits() -> np.ndarray:
    return np.random.default_rng(3).normal(0, 5, VOCAB).astype(np.float32)


def check(stream: Stream) -> None:
    row, want = stream.finish(), logprob.score(logits(), TOKEN, K)
    assert row.count == VOCAB and row.status is Status.OK
    for name in ("logsumexp", "entropy", "max_logit", "log_norm", "token_logprob"):
        assert getattr(row, name) == getattr(want, name), name
    assert np.array_equal(row.top_logprob, want.top_logprob) and np.array_equal(row.top_token, want.top_token)


def test_chunks() -> None:
    x, stream = logits(), Stream(K, token=TOKEN)
    for first in range(0, VOCAB, 999):
        stream.push(x[first : first + 999])
    check(stream)
    stream.push(x[:0])
    check(stream)


def test_shards() -> None:
    x, shards = logits(), []
    for first, end in ((5000, 9001), (9001, VOCAB), (0, 5000)):
        shard = Stream(K, first_token=first, token=TOKEN)
        shard.push(x[first:end])
        shards.append(pickle.loads(pickle.dumps(shard)))
    for shard in shards[1:]:
        shards[0].merge(Stream.from_bytes(bytes(shard)))
    check(shards[0])
    assert shards[0].k == K
    with pytest.raises(logprob.StateError, match="^push: the stream state"):
        shards[0].push(x[:1])
    with pytest.raises(logprob.StateError, match="^merge: "):
        shards[0].merge(shards[1])


def test_forms() -> None:
    x = logits().astype(np.float16)
    allowed = np.arange(VOCAB) % 3 != 0
    stream = Stream(3)
    for first in (0, 5000):
        part = slice(first, first + 5000)
        stream.push(logprob.Logits(x[part], allowed=allowed[part], inv_temperature=0.5, softcap=20))
    whole = logprob.Logits(x, allowed=allowed, inv_temperature=0.5, softcap=20)
    assert stream.finish().logsumexp == logprob.logsumexp(whole)
    with pytest.raises(logprob.ArgumentError):
        stream.push(x[:1])


def test_damage() -> None:
    stream = Stream(K)
    stream.push(logits()[:5000])
    data = bytes(stream)
    for at in (0, 30, 33, 39, 200, 515, 700, len(data) - 1):
        changed = bytearray(data)
        changed[at] ^= 1
        with pytest.raises(logprob.StateError) as caught:
            Stream.from_bytes(bytes(changed))
        assert caught.value.status is Status.STATE
    for wrong in (b"", data[:600], data + b"x", bytes(len(data))):
        with pytest.raises(logprob.StateError):
            Stream.from_bytes(wrong)


def test_errors() -> None:
    with pytest.raises(logprob.RowError, match="0 ids pushed") as caught:
        Stream().finish()
    assert caught.value.status is Status.EMPTY
    stream = Stream()
    stream.push(np.array([0, np.nan], np.float32))
    assert np.isnan(stream.finish(check=False).logsumexp)
    for arguments in ({"k": -1}, {"k": 2**62}, {"first_token": -1}):
        with pytest.raises(logprob.ArgumentError):
            Stream(**arguments)
    with pytest.raises(logprob.ArgumentError, match=r"\[n\] is needed"):
        stream.push(np.zeros((1, 2), np.float32))
