"""Files in the format of ``torch.save``, written without PyTorch, good and hostile."""

from __future__ import annotations

import io
import json
import pickle
import random
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

STORAGES = {"float32": "FloatStorage", "float16": "HalfStorage", "int64": "LongStorage"}


def write_pytorch_file(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write the tensors as ``torch.save(state_dict, path)`` does."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", table_pickle(tensors))
        archive.writestr("archive/byteorder", "little")
        for key, array in enumerate(tensors.values()):
            archive.writestr(f"archive/data/{key}", np.ascontiguousarray(array).tobytes())
        archive.writestr("archive/version", "3\n")


def convert_checkpoint(folder: Path, shards: int = 1) -> Path:
    """Replace a checkpoint's ``model.safetensors`` by ``pytorch_model*.bin``; return the folder."""
    from safetensors.numpy import load_file

    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    if shards == 1:
        write_pytorch_file(folder / "pytorch_model.bin", tensors)
        return folder
    weight_map = {}
    for shard in range(shards):
        name = f"pytorch_model-{shard + 1:05d}-of-{shards:05d}.bin"
        part = {key: tensors[key] for key in sorted(tensors)[shard::shards]}
        write_pytorch_file(folder / name, part)
        weight_map |= dict.fromkeys(part, name)
    index = json.dumps({"metadata": {}, "weight_map": weight_map})
    (folder / "pytorch_model.bin.index.json").write_text(index)
    return folder


def table_pickle(tensors: Mapping[str, np.ndarray]) -> bytes:
    """Return the pickle of a state dict, opcode by opcode."""
    empty = b"ccollections\nOrderedDict\n)R"
    parts = [b"\x80\x02", empty, b"("]
    for key, (name, array) in enumerate(tensors.items()):
        sizes = array.shape
        strides = [int(np.prod(sizes[axis + 1 :])) for axis in range(len(sizes))]
        storage = b"".join(
            [
                *(b"(", _text("storage")),
                f"ctorch\n{STORAGES[str(array.dtype)]}\n".encode(),
                *(_text(str(key)), _text("cpu"), _number(array.size), b"tQ"),
            ]
        )
        shape = b"(" + b"".join(map(_number, sizes)) + b"t"
        steps = b"(" + b"".join(map(_number, strides)) + b"t"
        call = b"ctorch._utils\n_rebuild_tensor_v2\n("
        parts += [_text(name), call, storage, _number(0), shape, steps, b"\x89", empty, b"tR"]
    return b"".join([*parts, b"u."])


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def _number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def archive_around(table: bytes) -> bytes:
    """Return an archive like ``torch.save``'s, with this ``data.pkl``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", table)
        archive.writestr("archive/data/0", bytes(64))
    return buffer.getvalue()


class Call:
    """An object whose pickle calls a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self._call


def hostile_pickles(marker: Path) -> Iterator[bytes]:
    """Yield pickles that create a file when they are loaded, in several ways and protocols."""
    import builtins
    import os
    import subprocess

    code = f"open({str(marker)!r}, 'w').close()"
    calls = [
        Call(os.system, f"touch {marker}"),
        Call(builtins.exec, code),
        Call(builtins.eval, code),
        Call(subprocess.check_call, ["touch", str(marker)]),
        {"weight": Call(os.system, f"touch {marker}")},
        [Call(open, str(marker), "w")],
    ]
    for protocol in (0, 2, 4, 5):
        yield from (pickle.dumps(call, protocol) for call in calls)
    command = f"X{{}}touch {marker}".encode()
    yield b"\x80\x02cos\nsystem\n(" + command[:1] + struct.pack("<I", len(command) - 3)
    yield b"(S'" + f"touch {marker}".encode() + b"'\nios\nsystem\n."
    yield b"\x80\x02ctorch\nFloatStorage\n)R."
    yield b"\x80\x02ctorch.serialization\n_get_layout\n)R."


def mutated(data: bytes, random: random.Random) -> bytes:
    """Return the bytes with a few changes: flipped, removed, doubled, cut."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 6)):
        if not changed:
            break
        place = random.randrange(len(changed))
        kind = random.randrange(5)
        if kind == 0:
            changed[place] = random.randrange(256)
        elif kind == 1:
            changed[place] ^= 1 << random.randrange(8)
        elif kind == 2:
            del changed[place : place + random.randint(1, 40)]
        elif kind == 3:
            changed[place:place] = changed[place : place + random.randint(1, 40)]
        elif random.random() < 0.1:
            del changed[place:]
        else:
            changed[place : place + 4] = struct.pack("<I", random.choice((0, 1, 2**31, 2**32 - 1)))
    return bytes(changed)
