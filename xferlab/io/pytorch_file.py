"""Files of ``torch.save``: their tensors by name, read as data; PyTorch is not needed.

Two formats: since PyTorch 1.6 an uncompressed zip archive, whose ``data.pkl`` refers to one file a
storage; before it five pickles, followed by the storages
(https://docs.pytorch.org/docs/stable/notes/serialization.html and ``torch/serialization.py``).
The pickles are read by ``parse_pickle``: nothing they name is imported or called.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from xferlab.io.pickle_as_data import MAX_BYTES, Name, Reference, parse_pickle
from xferlab.io.safetensors import refuse_pointer
from xferlab.io.tensors import NUMPY_TYPES, Tensor

STORAGES = {
    "torch DoubleStorage": "F64",
    "torch FloatStorage": "F32",
    "torch HalfStorage": "F16",
    "torch BFloat16Storage": "BF16",
    "torch LongStorage": "I64",
    "torch IntStorage": "I32",
    "torch ShortStorage": "I16",
    "torch CharStorage": "I8",
    "torch ByteStorage": "U8",
    "torch BoolStorage": "BOOL",
}
MAX_AXES = 8
_ZIP = b"PK\x03\x04"
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_LOCAL_HEADER = struct.Struct("<4s22xHH")


@dataclass(frozen=True)
class _Storage:
    """A run of numbers of one type in the file."""

    key: str
    dtype: str
    numbers: int


@dataclass(frozen=True)
class _View:
    """A tensor: a part of a storage."""

    storage: _Storage
    first: int
    shape: tuple[int, ...]


def read_header(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name; none of them is read.

    Raises:
        ValueError: the file is torn, is not in the format, or its pickle needs more than tensors.
    """
    refuse_pointer(path)
    with path.open("rb") as stream:
        is_zip = stream.read(len(_ZIP)) == _ZIP
        table, offsets = _read_zip(stream) if is_zip else _read_pickles(stream)
    if not isinstance(table, dict):
        raise ValueError("it is no table of tensors")
    views = {str(name): view for name, view in table.items() if isinstance(view, _View)}
    if not views:
        raise ValueError("it has no tensors")
    size = path.stat().st_size
    return {name: _tensor(path, name, view, offsets, size) for name, view in views.items()}


def _tensor(
    path: Path, name: str, view: _View, offsets: Mapping[str, tuple[int, int]], size: int
) -> Tensor:
    """Return a tensor whose numbers are all in its storage, and that in the file."""
    storage = view.storage
    if storage.key not in offsets:
        raise ValueError(f"it lacks the numbers of {name[:60]!r}")
    begin, available = offsets[storage.key]
    width = _width(storage.dtype)
    if storage.numbers * width > available or begin + available > size:
        raise ValueError(f"it ends before the numbers of {name[:60]!r} do")
    if view.first + math.prod(view.shape) > storage.numbers:
        raise ValueError(f"{name[:60]!r} is larger than its numbers")
    return Tensor(path, name, storage.dtype, view.shape, begin + view.first * width)


def _width(dtype: str) -> int:
    return {"bfloat16": 2, "?": 1}.get(NUMPY_TYPES[dtype]) or int(NUMPY_TYPES[dtype][-1])


def _read_zip(stream: BinaryIO) -> tuple[Any, dict[str, tuple[int, int]]]:
    """Return the table, and the begin and size of each storage by its key."""
    try:
        with zipfile.ZipFile(stream) as archive:
            entries = archive.infolist()
            pickles = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise ValueError("it has no data.pkl, or several")
            root = pickles[0].filename.removesuffix("data.pkl")
            order = [e for e in entries if e.filename == f"{root}byteorder"]
            if order and _content(stream, order[0], 16) != b"little":
                raise ValueError("its numbers are big-endian")
            table = _read_value(_content(stream, pickles[0], MAX_BYTES))[0]
            folder = f"{root}data/"
            stored = [entry for entry in entries if entry.filename.startswith(folder)]
            offsets = {
                entry.filename.removeprefix(folder): (_begin(stream, entry), entry.file_size)
                for entry in stored
            }
    except (zipfile.BadZipFile, NotImplementedError, struct.error, OSError, EOFError) as error:
        raise ValueError(f"its archive is damaged: {str(error)[:80]}") from error
    if len(offsets) != len(stored):
        raise ValueError("its archive holds a file twice")
    return table, offsets


def _content(stream: BinaryIO, entry: zipfile.ZipInfo, limit: int) -> bytes:
    if entry.file_size > limit:
        raise ValueError(f"{entry.filename[:60]} has more than {limit:,} bytes")
    stream.seek(_begin(stream, entry))
    return stream.read(entry.file_size)


def _begin(stream: BinaryIO, entry: zipfile.ZipInfo) -> int:
    """Return where the bytes of an uncompressed file of the archive begin."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
        raise ValueError(f"{entry.filename[:60]} is compressed or encrypted")
    stream.seek(entry.header_offset)
    signature, name_length, extra_length = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
    if signature != _ZIP:
        raise ValueError("its archive is damaged")
    return entry.header_offset + _LOCAL_HEADER.size + name_length + extra_length


def _read_pickles(stream: BinaryIO) -> tuple[Any, dict[str, tuple[int, int]]]:
    """Return the table, and the begin and size of each storage by its key, of the old format."""
    position = 0
    values = []
    for _ in range(5):
        stream.seek(position)
        value, length = _read_value(stream.read(MAX_BYTES))
        values.append(value)
        position += length
    magic, protocol, system, table, keys = values
    if magic != _MAGIC or protocol != _PROTOCOL or not isinstance(keys, list):
        raise ValueError("it is no file of torch.save")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("its numbers are big-endian")
    widths = {view.storage.key: _width(view.storage.dtype) for view in _views(table)}
    offsets = {}
    size = stream.seek(0, io.SEEK_END)
    for key in keys:
        if not isinstance(key, str) or key not in widths or key in offsets or position > size:
            raise ValueError("its list of storages does not fit its tensors")
        stream.seek(position)
        count = int.from_bytes(stream.read(8), "little")
        offsets[key] = (position + 8, count * widths[key])
        position += 8 + count * widths[key]
    return table, offsets


def _views(table: Any) -> list[_View]:
    values = table.values() if isinstance(table, dict) else ()
    return [value for value in values if isinstance(value, _View)]


def _read_value(data: bytes) -> tuple[Any, int]:
    return parse_pickle(data, _CALLABLES, frozenset(STORAGES))


def _storage(reference: Any) -> _Storage:
    """Return the storage of ``('storage', type, key, device, numbers)``."""
    parts = reference.key if isinstance(reference, Reference) else None
    if not isinstance(parts, tuple) or len(parts) not in (5, 6) or parts[5:] not in ((), (None,)):
        raise ValueError("its pickle has a storage of another kind")
    kind, name, key, _, numbers = parts[:5]
    if kind != "storage" or not isinstance(name, Name) or name.text not in STORAGES:
        raise ValueError("its pickle has a storage of another kind")
    if not isinstance(key, str):
        raise ValueError("its pickle has a storage without a name")
    return _Storage(key, STORAGES[name.text], _whole(numbers))


def _rebuild_tensor(storage: Any, first: Any, shape: Any, strides: Any, *_: Any) -> _View:
    """Return the view that ``torch._utils._rebuild_tensor_v2`` would make."""
    if not isinstance(shape, tuple) or not isinstance(strides, tuple):
        raise ValueError("its pickle has a tensor without a shape")
    if len(shape) != len(strides) or len(shape) > MAX_AXES:
        raise ValueError("its pickle has a tensor of an impossible shape")
    sizes = tuple(_whole(size) for size in shape)
    expected = 1
    for size, stride in zip(reversed(sizes), reversed(strides), strict=True):
        if size > 1 and stride != expected:
            raise ValueError("its pickle has a tensor whose numbers are not in order")
        expected *= size
    return _View(_storage(storage), _whole(first), sizes)


def _rebuild_parameter(view: Any, *_: Any) -> _View:
    if not isinstance(view, _View):
        raise ValueError("its pickle has a parameter that is no tensor")
    return view


def _ordered_dict(*pairs: Any) -> dict[Any, Any]:
    if pairs:
        raise ValueError("its pickle has a table of another kind")
    return {}


def _whole(number: Any) -> int:
    if type(number) is not int or not 0 <= number < 1 << 48:
        raise ValueError("its pickle has a size that is none")
    return number


_CALLABLES: Mapping[str, Callable[..., Any]] = {
    "collections OrderedDict": _ordered_dict,
    "torch._utils _rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils _rebuild_parameter": _rebuild_parameter,
}
