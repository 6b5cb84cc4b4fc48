"""safetensors files: their tensors by name, checked by the package ``safetensors``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from xferlab.io.tensors import Tensor

LENGTH_BYTES = 8
"""Before the header: its length (https://huggingface.co/docs/safetensors)."""
LFS_POINTER = b"version "


def read_header(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name; none of them is read.

    Raises:
        ValueError: the file is torn or is not in the format (a tensor after its end, two that share
            bytes, a shape that does not fit its bytes).
    """
    from safetensors import SafetensorError, safe_open

    refuse_pointer(path)
    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())  # so the header is right
    except SafetensorError as error:
        raise _not_in_format(error) from error
    header, begin = _json_of(path)
    return {
        name: Tensor(
            path,
            name,
            header[name]["dtype"],
            tuple(header[name]["shape"]),
            begin + header[name]["data_offsets"][0],
        )
        for name in names
    }


def read_metadata(path: Path) -> dict[str, str]:
    """Return what a file says beside its tensors: texts by name.

    Raises:
        ValueError: the file is torn or is not in the format.
    """
    from safetensors import SafetensorError, safe_open

    refuse_pointer(path)
    try:
        with safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except SafetensorError as error:
        raise _not_in_format(error) from error


def _not_in_format(error: Exception) -> ValueError:
    return ValueError(str(error).removeprefix("Error while deserializing header: "))


def _json_of(path: Path) -> tuple[dict[str, Any], int]:
    """Return a file's header and where the numbers begin."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(LENGTH_BYTES), "little")
        return json.loads(stream.read(length)), LENGTH_BYTES + length


def refuse_pointer(path: Path) -> None:
    """Raise ValueError for a file of Git LFS that stands for weights."""
    with path.open("rb") as stream:
        if stream.read(len(LFS_POINTER)) == LFS_POINTER:
            raise ValueError("it is only a pointer of Git LFS (type 'git lfs pull' to get it)")
