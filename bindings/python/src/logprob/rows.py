# SPDX-License-Identifier: MIT OR Apache-2.0
"""Results of rows of logits, each from one read of the row."""
from __future__ import annotations

from typing import Any, Iterable, NamedTuple, Optional

import numpy as np
import numpy.typing as npt

from ._arrays import Float32, Int32, Shape, address, ids_input, matrix_output
from ._library import CScores, library
from .errors import ArgumentError, Status
from .logits import Logits, LogitsLike, Part, as_logits, over_rows, raise_for_rows, row_error


def _finish(
    function: str, status: Status, result: Any, logits: Logits, check: bool, tokens: Optional[Int32] = None
) -> None:
    if check and status is not Status.OK:
        raise_for_rows(function, status, result, logits, tokens)


def _one_number(function: str, logits: LogitsLike, check: bool) -> Float32:
    logits = as_logits(logits)
    out = np.empty(logits.lead, np.float32)
    entry = getattr(library, "lp_" + function)

    def call(part: Part) -> int:
        code: int = entry(part.logits, address(out) + 4 * part.first)
        return code

    status = over_rows(logits, function, call)
    result: Float32 = out[()]
    _finish(function, status, result, logits, check)
    return result


def logsumexp(logits: LogitsLike, *, check: bool = True) -> Float32:
    """ln of the sum of e^logit, in nats: [..., vocab] gives [...]."""
    return _one_number("logsumexp", logits, check)


def entropy(logits: LogitsLike, *, check: bool = True) -> Float32:
    """The entropy of each row, in nats: [..., vocab] gives [...]."""
    return _one_number("entropy", logits, check)


def log_softmax(logits: LogitsLike, *, out: Optional[Float32] = None, check: bool = True) -> Float32:
    """The logprobs of all tokens, in nats: [..., vocab] gives [..., vocab].

    ``out`` may lie anywhere that ``logits`` may, and may be the float32 logits themselves.
    """
    logits = as_logits(logits)
    result = matrix_output(out, logits.data.shape, logits.data)

    def call(part: Part) -> int:
        code: int = library.lp_log_softmax(part.logits, part.places[0], part.strides[0])
        return code

    status = over_rows(logits, "log_softmax", call, [result])
    if check and status is not Status.OK and address(result) == address(logits.data):
        # The logits are gone, so what was wrong with them cannot be looked up: the results show which row was bad.
        row = int(np.flatnonzero(np.isnan(result).all(axis=-1))[0])
        raise row_error("log_softmax", status, logits.lead, row, "", result)
    _finish("log_softmax", status, result, logits, check)
    return result


class TopK(NamedTuple):
    """The k most probable tokens, best first, ties lowest id first; where a row has fewer: id -1, logprob -inf."""

    logprob: Float32  #: [..., k], nats
    token: Int32  #: [..., k]


def topk(logits: LogitsLike, k: int, *, check: bool = True) -> TopK:
    """The k most probable tokens of each row: [..., vocab] gives [..., k] logprobs (nats) and [..., k] ids."""
    logits = as_logits(logits)
    k = _count(k)
    result = TopK(np.empty(logits.lead + (k,), np.float32), np.empty(logits.lead + (k,), np.int32))

    def call(part: Part) -> int:
        skip = 4 * k * part.first
        code: int = library.lp_topk(part.logits, k, address(result.logprob) + skip, address(result.token) + skip)
        return code

    _finish("topk", over_rows(logits, "topk", call), result, logits, check)
    return result


def gather(logits: LogitsLike, tokens: npt.ArrayLike, *, check: bool = True) -> Float32:
    """The logprobs (nats) of given tokens: [..., vocab] and tokens [...] or [..., n] give the shape of the tokens.

    A token below 0 is none: NaN.
    """
    logits = as_logits(logits)
    ids = tokens_of(tokens, logits.lead)
    n = 1 if ids.shape == logits.lead else ids.shape[-1]
    out = np.empty(ids.shape, np.float32)

    def call(part: Part) -> int:
        skip = 4 * n * part.first
        code: int = library.lp_gather(part.logits, address(ids) + skip, n, address(out) + skip)
        return code

    status = over_rows(logits, "gather", call)
    result: Float32 = out[()]
    _finish("gather", status, result, logits, check, ids)
    return result


def tokens_of(tokens: npt.ArrayLike, lead: Shape) -> Int32:
    """Token ids for rows: one a row, or n a row on a last axis."""
    ids = ids_input(tokens, "tokens")
    if ids.shape != lead and ids.shape[:-1] != lead or ids.ndim > len(lead) + 1:
        raise ArgumentError(f"tokens: shape {ids.shape} is neither {lead} nor {lead + ('n',)}")
    return ids


def _count(k: int) -> int:
    if k < 0:
        raise ArgumentError(f"k: {k} is below 0")
    return int(k)


class Scores:
    """What ``score`` was asked for, in nats; what was not asked for raises AttributeError."""

    logsumexp: Float32  #: [...]
    entropy: Float32  #: [...]
    max_logit: Float32  #: [...], the largest processed logit
    log_norm: Float32  #: [...], logsumexp - max_logit, accurate relative to itself
    token_logprob: Float32  #: the shape of tokens
    token_rank: Int32  #: [...], of each row's first token: 1 + how many logits are above its
    token_rank_ties: Int32  #: [...], how many logits are not below its, which is what some servers report
    top_logprob: Float32  #: [..., k]
    top_token: Int32  #: [..., k]
    status: Int32  #: [...], a Status for each row

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{name!r} was not asked for (want=..., tokens=..., k=...)" if name in _FIELDS else name)

    def __repr__(self) -> str:
        return "Scores(" + ", ".join(f"{name}={value!r}" for name, value in vars(self).items()) + ")"


_ROW_FLOATS = ("logsumexp", "entropy", "max_logit", "log_norm")
_RANKS = ("token_rank", "token_rank_ties")
_TOP = ("top_logprob", "top_token")
_FIELDS = (*_ROW_FLOATS, "token_logprob", *_RANKS, *_TOP, "status")


def score(
    logits: LogitsLike,
    tokens: Optional[npt.ArrayLike] = None,
    k: int = 0,
    *,
    want: Optional[Iterable[str]] = None,
    check: bool = True,
) -> Scores:
    """Everything that a server's logprobs response needs, from one read of each row.

    - ``logits``: [..., vocab].
    - ``tokens``: the chosen ids, one a row [...], or n a row [..., n]; below 0: none.
    - ``k``: how many of the most probable tokens; where rows want different k, the largest.
    - ``want``: names of members of Scores; what is not wanted is not computed. None: all that tokens and k allow.

    Each value has the bits of the single functions.
    """
    logits = as_logits(logits)
    k = _count(k)
    ids = None if tokens is None else tokens_of(tokens, logits.lead)
    n = 1 if ids is None or ids.shape == logits.lead else ids.shape[-1]
    wanted = _wanted(want, ids is not None and n > 0, k)
    arrays = _new_arrays(wanted, logits.lead, ids.shape if ids is not None else (), k)
    widths = {"token_logprob": n, "top_logprob": k, "top_token": k}
    places = [(name, address(array), 4 * widths.get(name, 1)) for name, array in arrays.items()]

    def call(part: Part) -> int:
        out = CScores(tokens_per_row=n, **{name: place + step * part.first for name, place, step in places})
        chosen = None if ids is None or n == 0 else address(ids) + 4 * n * part.first
        code: int = library.lp_score(part.logits, chosen, k, out)
        return code

    status = over_rows(logits, "score", call)
    result = Scores()
    for name, array in arrays.items():
        setattr(result, name, array[()])
    _finish("score", status, result, logits, check, ids if "token_logprob" in arrays else None)
    return result


def _wanted(want: Optional[Iterable[str]], tokens: bool, k: int) -> list[str]:
    possible = [name for name in _FIELDS if (tokens or not name.startswith("token")) and (k > 0 or name not in _TOP)]
    if want is None:
        return possible
    names = {want} if isinstance(want, str) else set(want)
    for name in names:
        if name not in _FIELDS:
            raise ArgumentError(f"want: {name!r} is none of {', '.join(_FIELDS)}")
        if name not in possible:
            raise ArgumentError(f"want: {name!r} needs " + ("k above 0" if name in _TOP else "tokens"))
    if names.intersection(_TOP):
        names.update(_TOP)
    return [name for name in _FIELDS if name in names or name == "status"]


def _new_arrays(names: Iterable[str], lead: Shape, token_shape: Shape, k: int) -> dict[str, npt.NDArray[Any]]:
    def shape(name: str) -> Shape:
        return token_shape if name == "token_logprob" else lead + (k,) if name in _TOP else lead

    integer = (*_RANKS, "top_token", "status")
    return {name: np.empty(shape(name), np.int32 if name in integer else np.float32) for name in names}
