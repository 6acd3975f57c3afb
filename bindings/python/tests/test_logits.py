# SPDX-License-Identifier: MIT OR Apache-2.0
"""Forms: dtypes, temperatures, soft cap, masks, and arrays of other libraries."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import logprob


def test_dtypes(rng: np.random.Generator) -> None:
    x = rng.normal(0, 3, (3, 500)).astype(np.float32)
    bf16 = (x.view(np.uint32) >> 16).astype(np.uint16)
    widened = (bf16.astype(np.uint32) << 16).view(np.float32)
    assert np.array_equal(logprob.transform(logprob.Logits(bf16, dtype="bf16")), widened)
    half = x.astype(np.float16)
    assert np.array_equal(logprob.transform(half), half.astype(np.float32))
    assert np.array_equal(logprob.transform(logprob.Logits(half.view(np.uint16), dtype="f16")), half.astype(np.float32))
    assert logprob.logsumexp([1, 2.5]) == logprob.logsumexp(np.array([1, 2.5], np.float32))


@pytest.mark.parametrize(
    "data, dtype, text",
    [
        (np.zeros(3), None, "float64"),
        (np.zeros(3, np.uint16), None, "dtype='bf16'"),
        (np.zeros(3, np.uint16), "f32", "cannot be f32"),
        (np.zeros(3, np.float32), "bf16", "float32 is not bf16"),
        (np.zeros(3, ">f4"), None, "byte order"),
    ],
)
def test_wrong_dtypes(data: np.ndarray, dtype: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        logprob.Logits(data, dtype=dtype)


def test_forms(rng: np.random.Generator) -> None:
    x = rng.normal(0, 30, (2, 100)).astype(np.float32)
    got = logprob.transform(logprob.Logits(x, softcap=30, inv_temperature=0.7))
    assert np.allclose(got, 30 * np.tanh(x.astype(np.float64) / 30) * np.float32(0.7), rtol=4e-7, atol=0)
    rows = np.array([0.5, 2], np.float32)
    assert np.array_equal(logprob.transform(logprob.Logits(x, inv_temperature=rows)), x * rows[:, None])
    assert np.array_equal(logprob.transform(logprob.Logits(x, inv_temperature=np.float64(2))), 2 * x)


def test_masks(rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, 4, 70)).astype(np.float32)
    allowed = rng.random((3, 4, 70)) < 0.5
    words = np.zeros((3, 4, 3), np.uint32)
    for token in range(70):
        words[..., token // 32] |= allowed[..., token].astype(np.uint32) << np.uint32(token % 32)
    want = np.where(allowed, x, -np.inf)
    for mask in (allowed, words, words[::-1].copy()[::-1], np.asfortranarray(words)):
        assert np.array_equal(logprob.transform(logprob.Logits(x, allowed=mask)), want)
    for shared in (allowed[0], allowed[0, 1]):
        got = logprob.transform(logprob.Logits(x, allowed=shared))
        assert np.array_equal(got, np.where(np.broadcast_to(shared, x.shape), x, -np.inf))


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({"softcap": -1}, "softcap: -1.0"),
        ({"softcap": np.nan}, "softcap: nan"),
        ({"inv_temperature": np.inf}, "inv_temperature: inf"),
        ({"inv_temperature": np.ones(3, np.float32)}, r"\(3,\) is not the shape \(2,\)"),
        ({"inv_temperature": np.array([1, -1], np.float32)}, "inv_temperature"),
        ({"allowed": np.ones((2, 9), bool)}, "allowed: bool"),
        ({"allowed": np.ones((3, 10), bool)}, "does not fit the rows"),
        ({"allowed": np.ones((2, 10), np.int64)}, "not int64"),
        ({"dtype": "f64"}, "none of 'f32', 'f16', 'bf16'"),
    ],
)
def test_wrong_forms(arguments: Any, text: str) -> None:
    with pytest.raises(logprob.ArgumentError, match=text):
        logprob.Logits(np.zeros((2, 10), np.float32), **arguments)


def test_wrong_layouts() -> None:
    with pytest.raises(logprob.ArgumentError, match="8 bytes apart"):
        logprob.logsumexp(np.zeros((2, 10), np.float32)[:, ::2])
    with pytest.raises(logprob.ArgumentError, match="single number"):
        logprob.logsumexp(np.float32(1))
    assert logprob.logsumexp(np.zeros((2, 10), np.float32)[:, ::10]).tolist() == [0, 0]


class OnlyDLPack:
    """An array of a library that offers nothing but DLPack."""

    def __init__(self, data: np.ndarray) -> None:
        self.data = data

    def __dlpack__(self, *arguments: Any, **more: Any) -> Any:
        return self.data.__dlpack__(*arguments, **more)

    def __dlpack_device__(self) -> Any:
        return self.data.__dlpack_device__()


class OnlyArray:
    def __init__(self, data: np.ndarray) -> None:
        self.data = data

    def __array__(self, *arguments: Any, **more: Any) -> np.ndarray:
        return self.data


@pytest.mark.parametrize("kind", [OnlyDLPack, OnlyArray])
def test_other_arrays(kind: Any, rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, 50)).astype(np.float32)
    assert np.array_equal(logprob.logsumexp(kind(x)), logprob.logsumexp(x))
    assert logprob.Logits(kind(x)).data.__array_interface__["data"][0] == x.__array_interface__["data"][0]
    if kind is OnlyArray:
        out = np.empty_like(x)
        assert np.shares_memory(logprob.log_softmax(x, out=kind(out)), out)


def test_torch(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(rng.normal(size=(3, 50)).astype(np.float32))
    for data in (x, x.half(), x.bfloat16(), x.bfloat16()[::2], x.clone().requires_grad_()):
        want = logprob.logsumexp(data.detach().float().numpy())
        assert np.array_equal(logprob.logsumexp(data), want)
        place = logprob.Logits(data).data.__array_interface__["data"][0]
        assert place == data.data_ptr()
    out = torch.empty_like(x)
    logprob.log_softmax(x, out=out)
    assert torch.allclose(out, torch.log_softmax(x, -1), atol=1e-6)
    assert np.array_equal(logprob.gather(x, torch.tensor([1, 2, 3])), out.numpy()[[0, 1, 2], [1, 2, 3]])
