"""safetensors files: their tensors by name, checked by the package ``safetensors``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FLOATS = ("F64", "F32", "F16", "BF16")
_LFS_POINTER = b"version "


@dataclass(frozen=True)
class Tensor:
    """One tensor of a file.

    Attributes:
        path: the file.
        name: its name in the file.
        dtype: the format's name of the number type (``F32``, ``BF16``).
        shape: the sizes of the axes.
    """

    path: Path
    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def is_float(self) -> bool:
        """Whether it holds weights (floating-point numbers), not positions or flags."""
        return self.dtype in FLOATS

    @property
    def size(self) -> int:
        """The number of its elements."""
        return math.prod(self.shape)


def read_header(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name; none of them is read.

    Raises:
        ValueError: the file is torn or is not in the format (a tensor after its end, two that share
            bytes, a shape that does not fit its bytes).
    """
    from safetensors import SafetensorError, safe_open

    with path.open("rb") as stream:
        if stream.read(len(_LFS_POINTER)) == _LFS_POINTER:
            raise ValueError("it is only a pointer of Git LFS (type 'git lfs pull' to get it)")
    try:
        with safe_open(path, framework="numpy") as file:
            found = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {
                name: Tensor(path, name, part.get_dtype(), tuple(part.get_shape()))
                for name, part in found.items()
            }
    except SafetensorError as error:
        reason = str(error).removeprefix("Error while deserializing header: ")
        raise ValueError(reason) from error


def read_tensor(tensor: Tensor) -> Any:
    """Return a tensor as a NumPy array of its own number type.

    Raises:
        ValueError: the file has changed since its header was read.
    """
    import ml_dtypes  # noqa: F401 - NumPy has bfloat16 once this is imported
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(tensor.path, framework="numpy") as file:
            return file.get_tensor(tensor.name)
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def read_weight(tensor: Tensor) -> Any:
    """Return a tensor of floating-point numbers as a float32 NumPy array.

    Raises:
        ValueError: its numbers are of a type that no weight has.
    """
    if not tensor.is_float:
        raise ValueError(f"its numbers are {tensor.dtype}, not one of {', '.join(FLOATS)}")
    return read_tensor(tensor).astype("float32", copy=False)
