# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the tests share: a fixed source of numbers, and the lines that are printed at the end."""
from __future__ import annotations

from typing import Callable, Iterator, List

import numpy as np
import pytest

_lines: List[str] = []


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(1)


@pytest.fixture
def report() -> Callable[[str], None]:
    """Prints a line at the end of the run."""
    return _lines.append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _lines:
        terminalreporter.write_line(line)


@pytest.fixture
def same_isa() -> Iterator[None]:
    """Puts back the kernels that a test changes."""
    import logprob

    before = logprob.isa()
    yield
    logprob.select_isa(before)
