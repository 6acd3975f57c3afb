# SPDX-License-Identifier: MIT OR Apache-2.0
"""Two models on the same positions."""
from __future__ import annotations

from typing import Any, Iterable, Optional

import numpy as np
import numpy.typing as npt

from ._arrays import Float32, Float64, Int32, Walk, address
from ._library import CDivergence, check_call, library
from .errors import ArgumentError, Status
from .logits import LogitsLike, as_logits, row_error
from .rows import tokens_of

_TYPES = {
    "kl": np.float64,
    "reverse_kl": np.float64,
    "cross_entropy": np.float64,
    "max_abs_diff": np.float32,
    "p_token_logprob": np.float32,
    "q_token_logprob": np.float32,
    "p_top": np.int32,
    "q_top": np.int32,
    "status": np.int32,
}


class Divergence:
    """What ``compare`` was asked for, each [...], in nats; what was not asked for raises AttributeError."""

    kl: Float64  #: KL(p, q)
    reverse_kl: Float64  #: KL(q, p)
    cross_entropy: Float64  #: - sum of p ln q
    max_abs_diff: Float32  #: the largest difference of two logprobs
    p_token_logprob: Float32
    q_token_logprob: Float32
    p_top: Int32  #: the most probable token
    q_top: Int32
    status: Int32  #: a Status for each row

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{name!r} was not asked for (want=..., tokens=...)" if name in _TYPES else name)

    def __repr__(self) -> str:
        return "Divergence(" + ", ".join(f"{name}={value!r}" for name, value in vars(self).items()) + ")"


def _wanted(want: Optional[Iterable[str]], tokens: bool) -> list[str]:
    possible = [name for name in _TYPES if tokens or "token" not in name]
    names = possible if want is None else [want] if isinstance(want, str) else list(want)
    for name in names:
        if name not in _TYPES:
            raise ArgumentError(f"want: {name!r} is none of {', '.join(_TYPES)}")
        if name not in possible:
            raise ArgumentError(f"want: {name!r} needs tokens")
    return [name for name in _TYPES if name in names or name == "status"]


def compare(
    p: LogitsLike,
    q: LogitsLike,
    tokens: Optional[npt.ArrayLike] = None,
    *,
    want: Optional[Iterable[str]] = None,
    check: bool = True,
) -> Divergence:
    """Divergences of two models' logits [..., vocab], row by row, from one pass over both.

    ``tokens``: the chosen ids [...]; below 0: none. ``want``: names of members of Divergence; None: all.
    """
    p, q = as_logits(p), as_logits(q)
    if p.data.shape != q.data.shape:
        raise ArgumentError(f"compare: {p.data.shape} and {q.data.shape} differ")
    ids = None if tokens is None else tokens_of(tokens, p.lead)
    if ids is not None and ids.shape != p.lead:
        raise ArgumentError(f"tokens: {p.lead} is needed, not {ids.shape}")
    arrays = {name: np.empty(p.lead, _TYPES[name]) for name in _wanted(want, ids is not None)}
    walk = Walk(p.lead, (p.data, p.allowed, q.data, q.allowed))
    status = Status.OK
    for first, places in walk.calls():
        out = CDivergence(**{name: address(array) + array.itemsize * first for name, array in arrays.items()})
        a = p.struct(walk, first, places)
        b = q.struct(walk, first, places[2:])
        b.stride, b.allowed_stride = walk.strides[2:]
        chosen = None if ids is None else address(ids) + 4 * first
        part_status = check_call(library.lp_compare(a, b, chosen, out), "compare")
        status = status or part_status
    result = Divergence()
    for name, array in arrays.items():
        setattr(result, name, array[()])
    if check and status is not Status.OK:
        bad = int(np.flatnonzero(arrays["status"])[0])
        raise row_error("compare", status, p.lead, bad, "", result)
    return result
