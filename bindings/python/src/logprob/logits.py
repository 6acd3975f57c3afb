# SPDX-License-Identifier: MIT OR Apache-2.0
"""Logits: rows of numbers, and what is applied to them while they are read."""
from __future__ import annotations

import copy
import math
from typing import Any, Callable, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import numpy.typing as npt

from ._arrays import INT32_MAX, ArrayLike, Float32, Int32, Shape, Walk
from ._arrays import address, as_array, check_last_axis, matrix_output
from ._library import CLogits, CScores, check_call, library, status_text
from .errors import ArgumentError, RowError, Status

_TOO_LARGE = 2.0**128 - 2.0**103  # an infinity as a float32
_NAMES = {np.dtype(name): name for name in ("float32", "float16", "uint16")}
_DTYPES = {"f32": 0, "float32": 0, "bf16": 1, "bfloat16": 1, "f16": 2, "float16": 2}


class Logits:
    """Logits [..., vocab] that stay where they are, and what is applied to each while it is read.

    Every function takes either plain logits or these. In this order:

    - ``data``: NumPy or other arrays of float32, float16 or bfloat16 in this machine's memory (torch tensors by their
      memory, others through ``__array__`` or DLPack), not copied. The elements of a row must be adjacent; rows may lie
      anywhere. Lists become float32.
    - ``dtype``: "f32", "f16" or "bf16"; needed only for bfloat16 that comes as uint16.
    - ``softcap``: c in c * tanh(x / c); 0: off.
    - ``inv_temperature``: 1 / T that logits are multiplied by: a number, or an array [...] with one for each row.
    - ``allowed``: which tokens may be: bool [..., vocab] (packed: a copy of an 8th of a byte each), or uint32 words
      [..., ceil(vocab / 32)] with bit id % 32 of word id / 32; either may lack leading axes that are the same for all.
    """

    def __init__(
        self,
        data: ArrayLike,
        *,
        dtype: Optional[str] = None,
        inv_temperature: Union[float, npt.ArrayLike] = 1.0,
        softcap: float = 0.0,
        allowed: Optional[npt.ArrayLike] = None,
    ) -> None:
        self.data, self._dtype = _matrix(data, dtype)
        self.lead: Shape = self.data.shape[:-1]
        self.vocab: int = self.data.shape[-1]
        if self.vocab > INT32_MAX:
            raise ArgumentError(f"logits: vocab {self.vocab} is above {INT32_MAX}")
        self.softcap = float(softcap)
        if not 0 <= self.softcap < _TOO_LARGE:
            raise ArgumentError(f"softcap: {self.softcap} is not a finite number from 0 on")
        self.inv_temperature, self.row_inv_temperature = _temperature(inv_temperature, self.lead)
        self.allowed = None if allowed is None else _mask(allowed, self.lead, self.vocab)

    def __repr__(self) -> str:
        return f"Logits({self.data.shape} of {('float32', 'bfloat16', 'float16')[self._dtype]})"

    @property
    def rows(self) -> int:
        return math.prod(self.lead)

    def row(self, number: int) -> Logits:
        """One of the rows, as it lies here."""
        index = np.unravel_index(number, self.lead) if self.lead else ()
        one = copy.copy(self)
        one.lead, one.data = (), self.data[index]
        if self.allowed is not None:
            one.allowed = self.allowed[index]
        if self.row_inv_temperature is not None:
            one.row_inv_temperature = np.ascontiguousarray(self.row_inv_temperature[index])
        return one

    def struct(self, walk: Walk, first: int, places: Sequence[int]) -> CLogits:
        """One call's logits, where `data` and `allowed` are the first two arrays of the walk."""
        temperature = self.row_inv_temperature
        return CLogits(
            data=places[0],
            rows=walk.rows,
            vocab=self.vocab,
            stride=walk.strides[0],
            allowed=places[1] or None,
            allowed_stride=walk.strides[1],
            row_inv_temperature=None if temperature is None else address(temperature) + 4 * first,
            dtype=self._dtype,
            inv_temperature=self.inv_temperature,
            softcap=self.softcap,
        )


LogitsLike = Union[Logits, ArrayLike]


def as_logits(value: LogitsLike) -> Logits:
    return value if isinstance(value, Logits) else Logits(value)


def _matrix(value: Any, dtype: Optional[str]) -> Tuple[npt.NDArray[Any], int]:
    data, bfloat = as_array(value, np.float32)
    if data.ndim == 0:
        raise ArgumentError("logits: [..., vocab] is needed, not a single number")
    found = "bfloat16" if bfloat else _NAMES.get(data.dtype) or data.dtype.newbyteorder("=").name
    if dtype is not None and dtype not in _DTYPES:
        raise ArgumentError(f"dtype: {dtype!r} is none of 'f32', 'f16', 'bf16'")
    if found == "uint16" and dtype is None:
        raise TypeError("logits: uint16 may be bfloat16 or float16; say Logits(..., dtype='bf16')")
    if found != "uint16" and (found not in _DTYPES or _DTYPES[dtype or found] != _DTYPES[found]):
        raise TypeError(f"logits: {found} is not {dtype or 'float32, float16 or bfloat16'}; convert with .astype")
    code = _DTYPES[dtype or found]
    if code == 0 and found == "uint16":
        raise TypeError("logits: uint16 cannot be f32")
    if not data.dtype.isnative:
        raise TypeError("logits: the byte order is not this machine's")
    check_last_axis(data, "logits")
    return data, code


def _temperature(value: Union[float, npt.ArrayLike], lead: Shape) -> Tuple[float, Optional[Float32]]:
    if isinstance(value, (int, float)):
        number, rows = float(value), None
    else:
        array = as_array(value)[0].astype(np.float32, copy=False)
        if array.shape not in ((), lead):
            raise ArgumentError(f"inv_temperature: {array.shape} is not the shape {lead} of the rows")
        number, rows = (1.0, np.require(array, np.float32, ["C", "A"])) if array.shape else (float(array), None)
    right = 0 <= number < _TOO_LARGE if rows is None else bool(np.all(np.isfinite(rows) & (rows >= 0)))
    if not right:
        raise ArgumentError(f"inv_temperature: {value!r} has what is not a finite number from 0 on")
    return number, rows


def _mask(value: npt.ArrayLike, lead: Shape, vocab: int) -> npt.NDArray[np.uint32]:
    given = as_array(value)[0]
    words = (vocab + 31) // 32
    if given.dtype == np.bool_ and given.ndim and given.shape[-1] == vocab:
        packed = np.packbits(given, axis=-1, bitorder="little")
        padding = [(0, 0)] * (given.ndim - 1) + [(0, 4 * words - packed.shape[-1])]
        given = np.pad(packed, padding).view("<u4").astype(np.uint32, copy=False)
    elif given.dtype != np.uint32 or given.ndim == 0 or given.shape[-1] != words:
        needed = f"bool [..., {vocab}] or uint32 [..., {words}]"
        raise ArgumentError(f"allowed: {needed} is needed, not {given.dtype} {given.shape}")
    try:
        spread = np.broadcast_to(given, lead + (words,))
    except ValueError:
        raise ArgumentError(f"allowed: {given.shape} does not fit the rows {lead}") from None
    repeated = any(n > 1 and step == 0 for n, step in zip(lead, spread.strides))
    scattered = words > 1 and spread.strides[-1] != 4
    return np.require(spread, np.uint32, ["C", "A"] if repeated or scattered else ["A"])


class Part(NamedTuple):
    """The rows that one call takes: their logits, the number of the first, and where the rows of other arrays lie."""

    logits: CLogits
    first: int
    places: Tuple[int, ...]
    strides: Sequence[int]


def over_rows(
    logits: Logits, function: str, call: Callable[[Part], int], others: Sequence[npt.NDArray[Any]] = ()
) -> Status:
    """Calls for all rows, as many at a time as lie evenly; returns the status of the first bad one."""
    walk = Walk(logits.lead, (logits.data, logits.allowed, *others))
    status = Status.OK
    for first, places in walk.calls():
        part = Part(logits.struct(walk, first, places), first, places[2:], walk.strides[2:])
        result = check_call(call(part), function)
        status = status or result
    return status


def row_error(function: str, status: Status, lead: Shape, row: int, detail: str, result: Any) -> RowError:
    """Names the row as the caller does: by a number, by a tuple of them, or not at all where it is the only one."""
    indices = tuple(int(i) for i in np.unravel_index(row, lead)) if lead else ()
    index = indices[0] if len(indices) == 1 else indices
    where = f"row {index}: " if lead else ""
    return RowError(status, f"{function}: {where}{status_text(status)}{detail}", index, result)


def raise_for_rows(function: str, status: Status, result: Any, logits: Logits, tokens: Optional[Int32] = None) -> None:
    """Looks for the first bad row and says what is wrong with it."""
    states = np.zeros(logits.rows, np.int32)
    n = tokens.size // logits.rows if tokens is not None else 0
    logprobs = np.empty(max(n, 1) * logits.rows, np.float32)

    def call(part: Part) -> int:
        out = CScores(status=address(states) + 4 * part.first)
        ids = None
        if tokens is not None and n > 0:
            out.tokens_per_row = n
            out.token_logprob = address(logprobs) + 4 * n * part.first
            ids = address(tokens) + 4 * n * part.first
        code: int = library.lp_score(part.logits, ids, 0, out)
        return code

    over_rows(logits, function, call)
    row = int(np.flatnonzero(states)[0])
    status = Status(int(states[row]))
    if status is Status.TOKEN and tokens is not None:
        ids = tokens.reshape(logits.rows, n)[row]
        detail = f"token {ids[ids >= logits.vocab][0]}, vocab {logits.vocab}"
    else:
        detail = _bad_logit(logits.row(row), status)
    raise row_error(function, status, logits.lead, row, f" ({detail})", result)


def _bad_logit(row: Logits, status: Status) -> str:
    values = transform(row)
    bad = np.flatnonzero(np.isnan(values) if status is Status.NAN else values == np.inf)
    return f"element {bad[0]}" if bad.size else f"vocab {row.vocab}"


def transform(logits: LogitsLike, *, out: Optional[Float32] = None) -> Float32:
    """The logits as every other function sees them: widened, capped, scaled and masked, in that order.

    [..., vocab] gives float32 [..., vocab]. ``out`` may be the float32 logits themselves.
    """
    logits = as_logits(logits)
    out = matrix_output(out, logits.data.shape, logits.data)

    def call(part: Part) -> int:
        code: int = library.lp_transform(part.logits, part.places[0], part.strides[0])
        return code

    over_rows(logits, "transform", call, [out])
    return out
