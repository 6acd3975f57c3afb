# SPDX-License-Identifier: MIT OR Apache-2.0
"""What can be said from the k logprobs that an API returned."""
from __future__ import annotations

import math
from typing import Any, Callable, NamedTuple, Optional, Tuple, TypeVar

import numpy as np
import numpy.typing as npt

from ._arrays import INT32_MAX, Float32, Float64, Shape, address, float32_input, ids_input
from ._library import CMass, check_call, library
from .errors import ArgumentError, Status
from .logits import row_error

_MASS = np.dtype(CMass)
_Result = TypeVar("_Result")


def _sets(logprob: npt.ArrayLike) -> Float32:
    values = float32_input(logprob, "logprob")
    if values.ndim == 0:
        raise ArgumentError("logprob: [..., n] is needed, not a single number")
    return values


def _each_set(function: str, lead: Shape, call: Callable[[int], int]) -> Optional[Tuple[int, Status]]:
    """One call for each set of logprobs; returns the first bad one."""
    first = None
    for row in range(math.prod(lead)):
        status = check_call(call(row), function, f"set {row}" if lead else "")
        if status is not Status.OK and first is None:
            first = row, status
    return first


def _checked(function: str, bad: Optional[Tuple[int, Status]], lead: Shape, result: _Result, check: bool) -> _Result:
    if check and bad is not None:
        raise row_error(function, bad[1], lead, bad[0], "", result)
    return result


class Renormalized(NamedTuple):
    """A partial set that sums to 1, and the mass that it had."""

    logprob: Float32  #: [..., n], nats
    log_kept: Float64  #: [...], ln kept
    kept: Float64  #: [...], the sum of the probabilities given
    tail: Float64  #: [...], 1 - kept, accurate also where kept is 1 - 1e-15


def renormalize(logprob: npt.ArrayLike, *, check: bool = True) -> Renormalized:
    """logprob - ln(sum of e^logprob) over the last axis of [..., n] float32 (nats), and the mass that it had."""
    values = _sets(logprob)
    lead, n = values.shape[:-1], values.shape[-1]
    out = np.empty(values.shape, np.float32)
    mass: npt.NDArray[Any] = np.empty(lead, _MASS)

    def call(row: int) -> int:
        skip = 4 * n * row
        to = address(mass) + _MASS.itemsize * row
        code: int = library.lp_renormalize(address(values) + skip, n, address(out) + skip, to)
        return code

    bad = _each_set("renormalize", lead, call)
    result = Renormalized(out, mass["log_kept"][()], mass["kept"][()], mass["tail"][()])
    return _checked("renormalize", bad, lead, result, check)


def label_logprob(logprob: npt.ArrayLike, label: npt.ArrayLike, labels: int, *, check: bool = True) -> Float32:
    """Pools entries that mean the same: [..., n] logprobs (nats) and labels [..., n] or [n] give [..., labels].

    label < 0: the entry belongs to none. A label without entries has -inf.
    """
    values = _sets(logprob)
    lead, n = values.shape[:-1], values.shape[-1]
    given = ids_input(label, "label")
    if given.shape not in (values.shape, (n,)):
        raise ArgumentError(f"label: {given.shape} is neither {values.shape} nor {(n,)}")
    if given.size and int(given.max()) >= labels:
        raise ArgumentError(f"label: {given.max()} is not below labels = {labels}")
    step = 4 * n if given.shape == values.shape else 0
    out = np.empty(lead + (labels,), np.float32)

    def call(row: int) -> int:
        code: int = library.lp_label_logprob(
            address(values) + 4 * n * row, address(given) + step * row, n, labels, address(out) + 4 * labels * row
        )
        return code

    return _checked("label_logprob", _each_set("label_logprob", lead, call), lead, out, check)


class EntropyBounds(NamedTuple):
    """Between what the entropy of the whole distribution lies, in nats."""

    lower: Float64  #: [...]
    upper: Float64  #: [...]


def partial_entropy(logprob: npt.ArrayLike, vocab: int, *, check: bool = True) -> EntropyBounds:
    """Sharp bounds of the entropy of a distribution over vocab tokens of which the n largest logprobs are known.

    [..., n] float32 (nats) give lower and upper [...]. Leave out a chosen token that is not among the n largest.
    """
    values = _sets(logprob)
    lead, n = values.shape[:-1], values.shape[-1]
    if not n <= vocab <= INT32_MAX:
        raise ArgumentError(f"vocab: {vocab} is not from n = {n} to {INT32_MAX}")
    lower, upper = np.empty(lead, np.float64), np.empty(lead, np.float64)

    def call(row: int) -> int:
        code: int = library.lp_partial_entropy(
            address(values) + 4 * n * row, n, vocab, address(lower) + 8 * row, address(upper) + 8 * row
        )
        return code

    bad = _each_set("partial_entropy", lead, call)
    return _checked("partial_entropy", bad, lead, EntropyBounds(lower[()], upper[()]), check)


def exp(logprob: npt.ArrayLike, *, check: bool = True) -> Float32:
    """Probabilities: e^logprob, 0.5 ulp, of float32 of any shape."""
    values = float32_input(logprob, "logprob")
    out = np.empty(values.shape, np.float32)
    status = check_call(library.lp_exp(address(values), values.size, address(out)), "exp")
    if check and status is not Status.OK:
        bad = int(np.flatnonzero(~np.isfinite(values) & (values != -np.inf))[0])
        raise row_error("exp", status, values.shape, bad, "", out[()])
    result: Float32 = out[()]
    return result
