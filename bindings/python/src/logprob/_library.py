# SPDX-License-Identifier: MIT OR Apache-2.0
"""The shared library: where it is found, its structs and its functions, and how its status becomes an exception."""
from __future__ import annotations

import ctypes
import os
import platform
from ctypes import POINTER, c_char_p, c_double, c_float, c_int, c_int32, c_size_t, c_uint32, c_uint64, c_void_p
from pathlib import Path

from ._version import __version__
from .errors import ArgumentError, LogprobError, StateError, Status

MAJOR = int(__version__.split(".")[0])
_INSTALLED = {"Windows": "logprob.dll", "Darwin": f"liblogprob.{MAJOR}.dylib"}
_PACKAGED = {"Windows": "logprob.dll", "Darwin": "liblogprob.dylib"}


class CLogits(ctypes.Structure):
    _fields_ = [
        ("data", c_void_p),
        ("rows", c_size_t),
        ("vocab", c_size_t),
        ("stride", c_size_t),
        ("allowed", c_void_p),
        ("allowed_stride", c_size_t),
        ("row_inv_temperature", c_void_p),
        ("dtype", c_int32),
        ("inv_temperature", c_float),
        ("softcap", c_float),
        ("flags", c_uint32),
        ("reserved", c_void_p * 3),
    ]


class CScores(ctypes.Structure):
    _fields_ = [
        ("logsumexp", c_void_p),
        ("entropy", c_void_p),
        ("max_logit", c_void_p),
        ("log_norm", c_void_p),
        ("tokens_per_row", c_size_t),
        ("token_logprob", c_void_p),
        ("token_rank", c_void_p),
        ("token_rank_ties", c_void_p),
        ("top_logprob", c_void_p),
        ("top_token", c_void_p),
        ("top_stride", c_size_t),
        ("status", c_void_p),
        ("reserved", c_void_p * 4),
    ]


class CRow(ctypes.Structure):
    _fields_ = [
        ("logsumexp", c_float),
        ("entropy", c_float),
        ("max_logit", c_float),
        ("log_norm", c_float),
        ("token_logprob", c_float),
        ("status", c_int32),
        ("count", c_uint64),
        ("reserved", c_uint64 * 4),
    ]


class CMass(ctypes.Structure):
    _fields_ = [("log_kept", c_double), ("kept", c_double), ("tail", c_double), ("reserved", c_double * 2)]


class CSequence(ctypes.Structure):
    _fields_ = [
        ("logprob", c_double),
        ("mean", c_double),
        ("perplexity", c_double),
        ("tokens", c_uint64),
        ("argmin", c_uint64),
        ("min", c_float),
        ("greedy", c_int32),
        ("status", c_int32),
        ("reserved", c_int32 * 5),
    ]


class CDivergence(ctypes.Structure):
    _fields_ = [
        ("kl", c_void_p),
        ("reverse_kl", c_void_p),
        ("cross_entropy", c_void_p),
        ("max_abs_diff", c_void_p),
        ("p_token_logprob", c_void_p),
        ("q_token_logprob", c_void_p),
        ("p_top", c_void_p),
        ("q_top", c_void_p),
        ("status", c_void_p),
        ("reserved", c_void_p * 4),
    ]


_ADDRESS = c_void_p
_LOGITS = POINTER(CLogits)
_STATUS = c_int32
_PROTOTYPES = {
    "lp_status_string": (c_char_p, [_STATUS]),
    "lp_version": (c_char_p, []),
    "lp_isa_active": (c_int32, []),
    "lp_isa_supported": (c_int, [c_int32]),
    "lp_isa_select": (_STATUS, [c_int32]),
    "lp_isa_name": (c_char_p, [c_int32]),
    "lp_transform": (_STATUS, [_LOGITS, _ADDRESS, c_size_t]),
    "lp_logsumexp": (_STATUS, [_LOGITS, _ADDRESS]),
    "lp_log_softmax": (_STATUS, [_LOGITS, _ADDRESS, c_size_t]),
    "lp_entropy": (_STATUS, [_LOGITS, _ADDRESS]),
    "lp_topk": (_STATUS, [_LOGITS, c_size_t, _ADDRESS, _ADDRESS]),
    "lp_gather": (_STATUS, [_LOGITS, _ADDRESS, c_size_t, _ADDRESS]),
    "lp_score": (_STATUS, [_LOGITS, _ADDRESS, c_size_t, POINTER(CScores)]),
    "lp_stream_size": (c_size_t, [c_size_t]),
    "lp_stream_init": (_STATUS, [_ADDRESS, c_size_t, c_size_t, c_int32, c_int32]),
    "lp_stream_check": (_STATUS, [_ADDRESS, c_size_t]),
    "lp_stream_used": (c_size_t, [_ADDRESS]),
    "lp_stream_push": (_STATUS, [_ADDRESS, _LOGITS]),
    "lp_stream_merge": (_STATUS, [_ADDRESS, _ADDRESS]),
    "lp_stream_finish": (_STATUS, [_ADDRESS, POINTER(CRow), _ADDRESS, _ADDRESS]),
    "lp_renormalize": (_STATUS, [_ADDRESS, c_size_t, _ADDRESS, _ADDRESS]),
    "lp_label_logprob": (_STATUS, [_ADDRESS, _ADDRESS, c_size_t, c_size_t, _ADDRESS]),
    "lp_partial_entropy": (_STATUS, [_ADDRESS, c_size_t, c_size_t, _ADDRESS, _ADDRESS]),
    "lp_exp": (_STATUS, [_ADDRESS, c_size_t, _ADDRESS]),
    "lp_sequence_sum": (_STATUS, [_ADDRESS, _ADDRESS, _ADDRESS, c_size_t, _ADDRESS]),
    "lp_sequence_score": (_STATUS, [_LOGITS, _ADDRESS, _ADDRESS, _ADDRESS, c_size_t, _ADDRESS, _ADDRESS]),
    "lp_compare": (_STATUS, [_LOGITS, _LOGITS, _ADDRESS, POINTER(CDivergence)]),
}


def _candidates() -> list[str]:
    """The one that LOGPROB_LIBRARY names and no other; else the wheel's own; else the one that the loader finds."""
    given = os.environ.get("LOGPROB_LIBRARY")
    if given:
        return [given]
    system = platform.system()
    packaged = Path(__file__).parent / _PACKAGED.get(system, "liblogprob.so")
    installed = _INSTALLED.get(system, f"liblogprob.so.{MAJOR}")
    return [str(packaged), installed] if packaged.exists() else [installed]


def _load() -> ctypes.CDLL:
    failures = []
    for name in _candidates():
        try:
            # CDLL, not PyDLL: calls run without the GIL.
            found = ctypes.CDLL(name)
            for function, (result, arguments) in _PROTOTYPES.items():
                entry = getattr(found, function)
                entry.restype, entry.argtypes = result, arguments
        except (OSError, AttributeError) as error:
            failures.append(f"{name}: {error}")
            continue
        version: str = found.lp_version().decode()
        if int(version.split(".")[0]) == MAJOR:
            return found
        failures.append(f"{name}: version {version}, but {MAJOR}.x is needed")
    raise ImportError(
        "the logprob shared library was not found; install it, or let LOGPROB_LIBRARY name the file. Tried: "
        + "; ".join(failures)
    )


library = _load()


def status_text(status: int) -> str:
    text: bytes = library.lp_status_string(status)
    return text.decode()


def check_call(status: int, function: str, what: str = "") -> Status:
    """Raises where the call itself was refused; returns OK and the results of rows."""
    result = Status(status)
    if result in (Status.OK, Status.TOKEN, Status.NAN, Status.INF, Status.EMPTY):
        return result
    text = f"{function}: {status_text(status)}" + (f": {what}" if what else "")
    if result is Status.ARG:
        raise ArgumentError(text)
    if result in (Status.STATE, Status.SPACE):
        raise StateError(result, text)
    raise LogprobError(result, text)
