"""A tensor in a file, and its numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FLOATS = ("F64", "F32", "F16", "BF16")
NUMPY_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "bfloat16",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}
"""NumPy's names of the number types that PyTorch stores, by those of safetensors."""


@dataclass(frozen=True)
class Tensor:
    """One tensor of a file.

    Attributes:
        path: the file.
        name: its name in the file.
        dtype: safetensors' name of the number type (``F32``, ``BF16``).
        shape: the sizes of the axes.
        offset: where its numbers begin in the file, bytes.
    """

    path: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def is_float(self) -> bool:
        """Whether it holds weights (floating-point numbers), not positions or flags."""
        return self.dtype in FLOATS

    @property
    def size(self) -> int:
        """The number of its elements."""
        return math.prod(self.shape)


def read_tensor(tensor: Tensor) -> Any:
    """Return a tensor as a NumPy array of its own number type, mapped from the file, read-only.

    Raises:
        ValueError: the file has changed since its header was read, or the number type is unknown.
    """
    import ml_dtypes  # noqa: F401 - NumPy has bfloat16 once this is imported
    import numpy as np

    if tensor.dtype not in NUMPY_TYPES:
        raise ValueError(f"its numbers are {tensor.dtype}, not one of {', '.join(NUMPY_TYPES)}")

    dtype = np.dtype(NUMPY_TYPES[tensor.dtype])
    if tensor.size == 0:
        return np.empty(tensor.shape, dtype)
    end = tensor.offset + tensor.size * dtype.itemsize
    if tensor.path.stat().st_size < end:
        raise ValueError("the file has become shorter")
    mapped = np.memmap(tensor.path, dtype, "r", tensor.offset, tensor.shape)
    return np.require(mapped, requirements="A")  # copied where the file has it at an odd place


def read_weight(tensor: Tensor) -> Any:
    """Return a tensor of floating-point numbers as a float32 NumPy array.

    Raises:
        ValueError: its numbers are of a type that no weight has.
    """
    if not tensor.is_float:
        raise ValueError(f"its numbers are {tensor.dtype}, not one of {', '.join(FLOATS)}")
    return read_tensor(tensor).astype("float32", copy=False)


def has_same_bits(array: Any, other: Any) -> bool:
    """Return whether two NumPy arrays have the same type, shape and bits.

    An array that shares its memory with the other is not read.
    """
    import numpy as np

    if (array.dtype, array.shape) != (other.dtype, other.shape):
        return False
    array, other = (np.ascontiguousarray(each).reshape(-1) for each in (array, other))
    if array.ctypes.data == other.ctypes.data:
        return True
    bits = f"u{array.dtype.itemsize}"  # of floats -0.0 would equal 0.0, and no NaN itself
    return bool(np.array_equal(array.view(bits), other.view(bits)))
