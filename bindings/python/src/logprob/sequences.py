# SPDX-License-Identifier: MIT OR Apache-2.0
"""Sums over the tokens of sequences."""
from __future__ import annotations

import ctypes
from typing import Any, Optional, Tuple

import numpy as np
import numpy.typing as npt

from ._arrays import Float32, Float64, Int32, Walk, address, as_array, float32_input, ids_input
from ._library import CSequence, check_call, library, status_text
from .errors import ArgumentError, RowError, Status
from .logits import LogitsLike, as_logits

_STRUCT = np.dtype(CSequence)
assert _STRUCT.itemsize == ctypes.sizeof(CSequence)


class Sequences:
    """Numbers of n sequences: the sums of their kept tokens."""

    logprob: Float64  #: [n], nats: the sum over kept tokens
    mean: Float64  #: [n], nats: logprob / tokens
    perplexity: Float64  #: [n], e^-mean
    tokens: npt.NDArray[np.uint64]  #: [n], kept tokens
    argmin: npt.NDArray[np.uint64]  #: [n], the row of the least likely kept token; 2^64 - 1: none
    min: Float32  #: [n], that token's logprob
    greedy: Int32  #: [n], 1 where every kept token is its row's most probable one, 0 where not, -1: not known
    status: Int32  #: [n], a Status for each sequence
    token_logprob: Optional[Float32]  #: [rows], NaN where a row is not kept; from ``sequence_score`` alone

    def __init__(self, structs: npt.NDArray[Any], token_logprob: Optional[Float32]) -> None:
        for name in _STRUCT.names or ():
            if name != "reserved":
                setattr(self, name, structs[name])
        self.token_logprob = token_logprob

    def __len__(self) -> int:
        return len(self.logprob)

    def __repr__(self) -> str:
        return f"Sequences(logprob={self.logprob}, mean={self.mean}, tokens={self.tokens})"


def _bounds(offset: Optional[npt.ArrayLike], rows: int) -> npt.NDArray[np.uintp]:
    if offset is None:
        return np.array([0, rows], np.uintp)
    given = as_array(offset)[0]
    if given.ndim != 1 or given.size == 0 or given.dtype.kind not in "iu":
        raise ArgumentError("offset: [n + 1] integers are needed, the rows where sequences begin and the last one ends")
    if given.min() < 0 or given.max() > rows or np.any(given[1:] < given[:-1]):
        raise ArgumentError(f"offset: not increasing from 0 on to at most {rows} rows")
    return np.ascontiguousarray(given, np.uintp)


def _kept(keep: Optional[npt.ArrayLike], rows: int) -> Optional[npt.NDArray[np.uint8]]:
    if keep is None:
        return None
    given = as_array(keep)[0]
    if given.shape != (rows,) or given.dtype not in (np.bool_, np.uint8):
        raise ArgumentError(f"keep: [{rows}] of bool or uint8 is needed, not {given.shape} of {given.dtype}")
    return np.ascontiguousarray(given).view(np.uint8)


def _finish(function: str, status: Status, result: Sequences, check: bool) -> Sequences:
    if check and status is not Status.OK:
        bad = int(np.flatnonzero(result.status)[0])
        raise RowError(status, f"{function}: sequence {bad}: {status_text(status)}", bad, result)
    return result


def sequence_sum(
    token_logprob: npt.ArrayLike,
    offset: Optional[npt.ArrayLike] = None,
    keep: Optional[npt.ArrayLike] = None,
    *,
    check: bool = True,
) -> Sequences:
    """Sums token logprobs that are at hand: [rows] float32, nats.

    Sequence i has rows offset[i] to offset[i + 1] - 1 (``offset``: [n + 1]; None: all rows are one sequence). ``keep``:
    [rows], which rows count; None: all.
    """
    values = float32_input(token_logprob, "token_logprob")
    if values.ndim != 1:
        raise ArgumentError(f"token_logprob: [rows] is needed, not {values.shape}")
    kept, bounds = _kept(keep, len(values)), _bounds(offset, len(values))
    out = np.zeros(len(bounds) - 1, _STRUCT)
    code = library.lp_sequence_sum(
        address(values), None if kept is None else address(kept), address(bounds), len(out), address(out)
    )
    return _finish("sequence_sum", check_call(code, "sequence_sum"), Sequences(out, None), check)


def sequence_score(
    logits: LogitsLike,
    tokens: npt.ArrayLike,
    offset: Optional[npt.ArrayLike] = None,
    keep: Optional[npt.ArrayLike] = None,
    *,
    check: bool = True,
) -> Sequences:
    """Scores sequences from their logits [rows, vocab], of which row t predicts tokens[t] ([rows]; below 0: not kept).

    ``offset`` and ``keep`` as in ``sequence_sum``. Rows that are not kept are not read. The rows must be one block with
    an even, positive distance.
    """
    logits = as_logits(logits)
    ids = ids_input(tokens, "tokens")
    if len(logits.lead) != 1 or ids.shape != logits.lead:
        raise ArgumentError(f"sequence_score: [rows, vocab] and [rows], not {logits.data.shape} and {ids.shape}")
    walk = Walk(logits.lead, (logits.data, logits.allowed))
    if walk.rows != logits.rows:
        raise ArgumentError("sequence_score: the rows overlap or go backwards; np.ascontiguousarray helps")
    kept, bounds = _kept(keep, logits.rows), _bounds(offset, logits.rows)
    out = np.zeros(len(bounds) - 1, _STRUCT)
    logprobs = np.full(logits.rows, np.nan, np.float32)
    places: Tuple[int, ...] = next((places for _, places in walk.calls()), (0, 0))
    in_ = logits.struct(walk, 0, places)
    code = library.lp_sequence_score(
        in_,
        address(ids),
        None if kept is None else address(kept),
        address(bounds),
        len(out),
        address(out),
        address(logprobs),
    )
    return _finish("sequence_score", check_call(code, "sequence_score"), Sequences(out, logprobs), check)
