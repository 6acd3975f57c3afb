# SPDX-License-Identifier: MIT OR Apache-2.0
"""Arrays as the library sees them: what may come in without a copy, and how their rows are walked."""
from __future__ import annotations

import sys
from typing import Any, Iterator, Optional, Protocol, Sequence, Tuple, Union

import numpy as np
import numpy.typing as npt

from .errors import ArgumentError

Shape = Tuple[int, ...]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]
INT32_MAX = 2**31 - 1


class SupportsDLPack(Protocol):
    """What other array libraries offer to hand over memory."""

    def __dlpack__(self, *, stream: Any = None) -> Any: ...

    def __dlpack_device__(self) -> Tuple[int, int]: ...


ArrayLike = Union[npt.ArrayLike, SupportsDLPack]


def address(array: npt.NDArray[Any]) -> int:
    # A tenth of the time of array.ctypes.data.
    place: int = array.__array_interface__["data"][0]
    return place


def as_array(value: Any, plain: Any = None) -> Tuple[npt.NDArray[Any], bool]:
    """The memory of an array of any library, and whether its elements are bfloat16, which NumPy sees as 16 bits.

    Numbers of Python, in lists or alone, have no width: they become ``plain``.
    """
    if not isinstance(value, np.ndarray):
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(value, torch.Tensor):
            value = value.detach()
            if value.dtype is torch.bfloat16:
                return value.view(torch.int16).numpy().view(np.uint16), True
            return value.numpy(), False
        if hasattr(value, "__array__"):
            value = np.asarray(value)
        elif hasattr(value, "__dlpack__"):
            value = np.from_dlpack(value)
        else:
            value = np.asarray(value, plain)
    if value.dtype.kind == "V" and value.dtype.name == "bfloat16":  # as packages for NumPy define it
        return value.view(np.uint16), True
    return value, False


def float32_input(value: Any, name: str) -> Float32:
    """[..., n] float32 with its last axis contiguous; k-sized arrays are copied where they are not."""
    array = as_array(value, np.float32)[0]
    if array.dtype != np.float32:
        raise TypeError(f"{name}: float32 is needed, not {array.dtype}; convert it with .astype(np.float32)")
    return np.require(array, np.float32, ["C", "A"])


def ids_input(value: Any, name: str) -> Int32:
    """Token ids as contiguous int32. Wider ones that do not fit stay none (< 0), or not below any vocab."""
    array = as_array(value)[0]
    if array.dtype.kind not in "iu":
        if array.size != 0:
            raise TypeError(f"{name}: integers are needed, not {array.dtype}")
        array = array.astype(np.int32)
    if array.dtype.itemsize >= 4 and array.dtype != np.int32:
        array = np.clip(array, -1 if array.dtype.kind == "i" else 0, INT32_MAX)
    return np.require(array, np.int32, ["C", "A"])


def matrix_output(out: Any, shape: Shape, inputs: Optional[npt.NDArray[Any]], name: str = "out") -> Float32:
    """``out`` if it may be written as [..., vocab] float32 rows, a new array where it is None."""
    if out is None:
        return np.empty(shape, np.float32)
    array: npt.NDArray[Any] = as_array(out)[0]
    if array.dtype != np.float32 or array.shape != shape:
        raise ValueError(f"{name}: {shape} of float32 is needed, not {array.shape} of {array.dtype}")
    if not (array.flags.writeable and array.flags.aligned):
        raise ValueError(f"{name}: not writeable, or not aligned")
    check_last_axis(array, name)
    if inputs is not None and not _same(array, inputs) and _overlap(array, inputs):
        raise ValueError(f"{name}: overlaps the input without being it")
    return array


def _same(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    return a.dtype == b.dtype and address(a) == address(b) and a.strides == b.strides


def _overlap(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    try:
        return np.shares_memory(a, b, max_work=10000)
    except Exception:  # np.TooHardError, which moved between versions: the answer is not worth the search
        return np.may_share_memory(a, b)


def check_last_axis(array: npt.NDArray[Any], name: str) -> None:
    if array.shape[-1] > 1 and array.strides[-1] != array.itemsize and array.size != 0:
        raise ArgumentError(
            f"{name}: the elements of a row must be adjacent, but lie {array.strides[-1]} bytes apart; "
            "np.ascontiguousarray makes a copy that is"
        )


class Walk:
    """How arrays of one leading shape are walked together: `rows` rows a call, in each array `strides` elements apart.

    The last axes that lie evenly in all arrays are one call. What one call cannot express (rows that go backwards,
    overlap, or are no whole number of elements apart) takes one call a row; nothing is copied.
    """

    def __init__(self, lead: Shape, arrays: Sequence[Optional[npt.NDArray[Any]]]) -> None:
        self.lead = lead
        self.arrays = arrays
        self.rows = 0 if 0 in lead else 1
        self.strides = [0] * len(arrays)  # bytes while the axes are joined
        self.axis = len(lead)
        while self.rows != 0 and self.axis > 0 and self._join(self.axis - 1):
            self.axis -= 1
        self.strides = [
            stride // array.itemsize if array is not None else 0 for stride, array in zip(self.strides, arrays)
        ]

    def _join(self, axis: int) -> bool:
        n = self.lead[axis]
        if n == 1:
            return True
        steps = [0 if array is None else array.strides[axis] for array in self.arrays]
        if self.rows == 1:
            if not all(self._even(array, step) for array, step in zip(self.arrays, steps)):
                return False
            self.strides = steps
        elif any(step != self.rows * stride for step, stride in zip(steps, self.strides)):
            return False
        self.rows *= n
        return True

    @staticmethod
    def _even(array: Optional[npt.NDArray[Any]], step: int) -> bool:
        return array is None or (step % array.itemsize == 0 and step // array.itemsize >= max(array.shape[-1], 1))

    def calls(self) -> Iterator[Tuple[int, Tuple[int, ...]]]:
        """For each call the number of its first row, and the address of that row in each array (0: no array)."""
        if self.rows == 0:
            return
        starts = tuple(0 if array is None else address(array) for array in self.arrays)
        if self.axis == 0:
            yield 0, starts
            return
        for call, index in enumerate(np.ndindex(*self.lead[: self.axis])):
            yield call * self.rows, tuple(
                start + sum(i * step for i, step in zip(index, array.strides)) if array is not None else 0
                for start, array in zip(starts, self.arrays)
            )
