"""safetensors files: their tensors by name, checked by the package ``safetensors``."""

from __future__ import annotations

import json
from pathlib import Path

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
        reason = str(error).removeprefix("Error while deserializing header: ")
        raise ValueError(reason) from error
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(LENGTH_BYTES), "little")
        header = json.loads(stream.read(length))
    begin = LENGTH_BYTES + length
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


def refuse_pointer(path: Path) -> None:
    """Raise ValueError for a file of Git LFS that stands for weights."""
    with path.open("rb") as stream:
        if stream.read(len(LFS_POINTER)) == LFS_POINTER:
            raise ValueError("it is only a pointer of Git LFS (type 'git lfs pull' to get it)")
