# SPDX-License-Identifier: MIT OR Apache-2.0
"""The structs are those of the header, as a C compiler sees it."""
from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from logprob import _library, version
from logprob._version import __version__

TOP = Path(__file__).resolve().parents[3]
STRUCTS = {
    "lp_logits": _library.CLogits,
    "lp_scores": _library.CScores,
    "lp_row": _library.CRow,
    "lp_mass": _library.CMass,
    "lp_sequence": _library.CSequence,
    "lp_divergence": _library.CDivergence,
}
CC = os.environ.get("CC", "cc")


@pytest.mark.skipif(shutil.which(CC) is None, reason="no C compiler")
def test_structs(tmp_path: Path) -> None:
    program = tmp_path / "layout"
    subprocess.run([CC, "-I", TOP / "include", TOP / "bindings" / "layout.c", "-o", program], check=True)
    want = set(subprocess.run([program], check=True, text=True, stdout=subprocess.PIPE).stdout.splitlines())
    have = {f"stream_size . 0 {_library.library.lp_stream_size(20)}"}
    for name, struct in STRUCTS.items():
        have.add(f"{name} . 0 {ctypes.sizeof(struct)}")
        for member, *_ in struct._fields_:
            field = getattr(struct, member)
            have.add(f"{name} {member} {field.offset} {field.size}")
    assert have == want


def test_version() -> None:
    assert version() == __version__
