# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the library answers when something is wrong, as exceptions."""
from __future__ import annotations

import enum
from typing import Any


class Status(enum.IntEnum):
    """lp_status: what a call, or a row in an array of int32, ended with."""

    OK = 0
    ARG = 1
    TOKEN = 2
    NAN = 3
    INF = 4
    EMPTY = 5
    SPACE = 6
    ISA = 7
    STATE = 8


class LogprobError(Exception):
    """Whatever the library refuses; ``status`` says why, and the text says what was wrong."""

    def __init__(self, status: Status, text: str) -> None:
        super().__init__(text)
        self.status = status


class ArgumentError(LogprobError, ValueError):
    """The call was wrong, and nothing was computed."""

    def __init__(self, text: str, status: Status = Status.ARG) -> None:
        super().__init__(status, text)


class RowError(LogprobError, ValueError):
    """A row (or sequence) has no result: NaN, +inf or no mass in its logits, or a token that is not below vocab.

    The others have theirs: ``result`` is what the function would have returned, NaN for the bad rows, and ``row`` the
    index of the first bad one. ``check=False`` returns the result without raising.
    """

    def __init__(self, status: Status, text: str, row: Any, result: Any) -> None:
        super().__init__(status, text)
        self.row = row
        self.result = result


class StateError(LogprobError):
    """A stream state is damaged, foreign, full, or does not fit the other one."""
