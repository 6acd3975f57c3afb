# SPDX-License-Identifier: MIT OR Apache-2.0
"""A row that arrives in pieces, or lies in shards."""
from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Callable, Tuple

import numpy as np

from ._arrays import INT32_MAX, Float32, Int32, address
from ._library import CRow, check_call, library, status_text
from .errors import ArgumentError, RowError, StateError, Status
from .logits import LogitsLike, Part, as_logits, over_rows

_K_AT = 32  # where docs/streams.md puts k, as u64
_HEAD = 512


@dataclass(frozen=True)
class Row:
    """The results of a stream so far, in nats; the bits of one ``score`` of the whole row."""

    logsumexp: float
    entropy: float
    max_logit: float
    log_norm: float
    token_logprob: float  #: NaN until the token was pushed
    count: int  #: ids pushed, masked ones too
    status: Status
    top_logprob: Float32  #: [k]
    top_token: Int32  #: [k]


class Stream:
    """Logits of one row in chunks; ids count up from ``first_token``.

    The state is plain bytes: ``bytes(stream)`` may be sent and is taken by ``Stream.from_bytes``; pickle does so too.
    One thread at a time may push or merge into a stream.
    """

    def __init__(self, k: int = 0, *, first_token: int = 0, token: int = -1) -> None:
        size = library.lp_stream_size(k) if k >= 0 else 0
        if size == 0:
            raise ArgumentError(f"k: {k} is below 0 or too large")
        if not 0 <= first_token <= INT32_MAX:
            raise ArgumentError(f"first_token: {first_token} is not from 0 to {INT32_MAX}")
        self._k = k
        self._state = np.empty(size, np.uint8)
        token = min(max(int(token), -1), INT32_MAX)
        check_call(library.lp_stream_init(address(self._state), size, k, first_token, token), "Stream")

    @property
    def k(self) -> int:
        """How many of the most probable tokens are kept."""
        return self._k

    def push(self, chunk: LogitsLike) -> None:
        """Takes the next logits [n]; all chunks in the form of the first one."""
        logits = as_logits(chunk)
        if logits.lead != ():
            raise ArgumentError(f"push: [n] is needed, not {logits.data.shape}")

        def call(part: Part) -> int:
            code: int = library.lp_stream_push(address(self._state), part.logits)
            return code

        over_rows(logits, "push", call)

    def merge(self, other: Stream) -> None:
        """Adds what ``other`` has of other ids, and leaves it as it is. From then on this one takes no pushes."""
        check_call(library.lp_stream_merge(address(self._state), address(other._state)), "merge")

    def finish(self, *, check: bool = True) -> Row:
        """The results of what came so far; pushes may go on."""
        row = CRow()
        logprob, token = np.empty(self._k, np.float32), np.empty(self._k, np.int32)
        code = library.lp_stream_finish(address(self._state), row, address(logprob), address(token))
        status = check_call(code, "finish")
        values = (row.logsumexp, row.entropy, row.max_logit, row.log_norm, row.token_logprob, row.count)
        result = Row(*values, status, logprob, token)
        if check and status is not Status.OK:
            raise RowError(status, f"finish: {status_text(status)} ({row.count} ids pushed)", (), result)
        return result

    def __bytes__(self) -> bytes:
        return self._state[: library.lp_stream_used(address(self._state))].tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Stream:
        """The stream that ``bytes(stream)`` was made of. Damage is found; intent is not: checksums are no signature."""
        k = struct.unpack_from("=Q", data, _K_AT)[0] if len(data) >= _HEAD else None
        size = library.lp_stream_size(k) if k is not None and k <= len(data) // 8 else 0
        if size < len(data) or size == 0:
            raise StateError(Status.STATE, "from_bytes: " + status_text(Status.STATE))
        stream = cls.__new__(cls)
        stream._k = k
        stream._state = np.zeros(size, np.uint8)
        stream._state[: len(data)] = np.frombuffer(data, np.uint8)
        check_call(library.lp_stream_check(address(stream._state), size), "from_bytes")
        if library.lp_stream_used(address(stream._state)) != len(data):
            raise StateError(Status.STATE, f"from_bytes: {len(data)} bytes are not all of the state")
        return stream

    def __reduce__(self) -> Tuple[Callable[[bytes], Stream], Tuple[bytes]]:
        return Stream.from_bytes, (bytes(self),)

    def __repr__(self) -> str:
        return f"Stream(k={self._k}, {library.lp_stream_used(address(self._state))} bytes)"
