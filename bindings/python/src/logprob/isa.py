# SPDX-License-Identifier: MIT OR Apache-2.0
"""Which kernels run. There is no need to choose: all give the same bits."""
from __future__ import annotations

from ._library import check_call, library
from .errors import ArgumentError

_ISAS = 4  # the values of lp_isa


def _name(number: int) -> str:
    name: bytes = library.lp_isa_name(number)
    return name.decode()


def isa() -> str:
    """The kernels in use: "scalar", "avx2", "avx512" or "neon"; LOGPROB_ISA in the environment chooses too."""
    return _name(library.lp_isa_active())


def supported_isas() -> list[str]:
    """Those that this build and this machine have."""
    return [_name(number) for number in range(_ISAS) if library.lp_isa_supported(number)]


def select_isa(name: str) -> None:
    """Uses other kernels from the next call on, in the whole process."""
    numbers = [number for number in range(_ISAS) if _name(number) == name]
    if not numbers:
        raise ArgumentError(f"isa: {name!r} is none of " + ", ".join(map(_name, range(_ISAS))))
    check_call(library.lp_isa_select(numbers[0]), "select_isa", name)


def version() -> str:
    """The version of the shared library, "MAJOR.MINOR.PATCH"."""
    text: bytes = library.lp_version()
    return text.decode()
