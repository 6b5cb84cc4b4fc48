"""The header and the tensors of a safetensors file, checked before anything is believed.

The numpy side of the ``safetensors`` package cannot read bfloat16, so the format is read here:
eight bytes with the header's length, the header in JSON, then the tensors one after another.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

_SIZES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}
_NUMPY = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}
_LONGEST_HEADER = 100_000_000  # bytes; the limit of the format's own reader


@dataclass(frozen=True)
class Tensor:
    """Where one tensor lies.

    Attributes:
        path: the file.
        dtype: the format's name of the number type (``F32``, ``BF16``).
        shape: the sizes of the axes.
        start: the first byte in the file.
    """

    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int

    @property
    def is_real(self) -> bool:
        """Whether it holds weights (floating-point numbers), not positions or flags."""
        return self.dtype in ("F64", "F32", "F16", "BF16")

    @property
    def size(self) -> int:
        """The number of its elements."""
        return math.prod(self.shape)


def read_header(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name.

    Raises:
        ValueError: the file is torn or is not in the format; the text says how.
    """
    length = path.stat().st_size
    with path.open("rb") as stream:
        prefix = stream.read(8)
        if prefix == b"version ":
            raise ValueError("it is only a pointer of Git LFS (type 'git lfs pull' to get it)")
        header_length = int.from_bytes(prefix, "little")
        if len(prefix) < 8 or header_length > min(length - 8, _LONGEST_HEADER):
            raise ValueError(
                f"it is {length} bytes long, its header says {header_length + 8} or more"
            )
        try:
            header = json.loads(stream.read(header_length))
        except (ValueError, RecursionError) as error:
            raise ValueError("its header is not JSON") from error
    if not isinstance(header, dict):
        raise ValueError("its header is not a table of tensors")
    header.pop("__metadata__", None)
    room = length - 8 - header_length
    offset = 8 + header_length
    tensors = {name: _tensor(path, offset, room, name, row) for name, row in header.items()}
    _refuse_overlap(header)
    return tensors


def _refuse_overlap(header: dict[str, Any]) -> None:
    """Raise ValueError if two tensors share bytes: a small file could stand for endless weights."""
    spans = sorted((list(map(int, row["data_offsets"])), name) for name, row in header.items())
    for ((_, stop), name), ((start, _), other) in pairwise(spans):
        if start < stop:
            raise ValueError(f"the tensors '{name}' and '{other}' share bytes")


def _whole(number: Any) -> int:
    """Return a whole number, or raise TypeError: JSON has 1e999, and true, too."""
    if type(number) is not int:
        raise TypeError(f"{number!r} is no whole number")
    return number


def _tensor(path: Path, offset: int, room: int, name: str, row: Any) -> Tensor:
    try:
        dtype, shape = str(row["dtype"]), tuple(map(_whole, row["shape"]))
        start, stop = map(_whole, row["data_offsets"])
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"its entry of the tensor '{name}' cannot be read") from error
    if stop > room:
        raise ValueError(f"the tensor '{name}' ends {stop - room} bytes after the end of the file")
    if not 0 <= start <= stop:
        raise ValueError(f"the tensor '{name}' starts before the data or ends before its start")
    expected = math.prod(shape) * _SIZES.get(dtype, 0)
    if min(shape, default=0) < 0 or (dtype in _SIZES and stop - start != expected):
        raise ValueError(
            f"the tensor '{name}' has {stop - start} bytes, its shape {shape} needs {expected}"
        )
    return Tensor(path, dtype, shape, offset + start)


def read_tensor(tensor: Tensor) -> Any:
    """Return a tensor of floating-point numbers as a float32 numpy array.

    Raises:
        ValueError: its numbers are of a type that no weight has.
    """
    import numpy as np

    if not tensor.is_real:
        raise ValueError(f"its numbers are {tensor.dtype}, not one of F32, F16, BF16, F64")
    kind = "<u2" if tensor.dtype == "BF16" else _NUMPY[tensor.dtype]
    with tensor.path.open("rb") as stream:
        stream.seek(tensor.start)
        flat = np.fromfile(stream, dtype=kind, count=tensor.size)
    if tensor.dtype == "BF16":  # the upper half of a float32
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    return flat.astype(np.float32, copy=False).reshape(tensor.shape)
