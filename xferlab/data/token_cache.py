"""A cache of token ids on disk."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xferlab.contracts import Encoding, Split, TaskSpec, Tokenizer
from xferlab.data.batching import Ragged, row_lengths
from xferlab.data.tokenizer import CountedEncoding
from xferlab.data.windows import encode_windows
from xferlab.io.atomic import atomic_replace
from xferlab.io.folders import cache_folder

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

VERSION = 2
"""Part of the key: raise it when the arrays of a text, or the layout of a file, change."""

MAGIC = 0x7866_746B  # "xftk"
HEADER = 16
"""int32 before the arrays: magic, rows, tokens, columns, truncated, CRC, whether rows are windows,
1 unused, 8 of key."""


def encode_cached(
    tokenizer: Tokenizer, split: Split, max_length: int, folder: Path | None = None
) -> CountedEncoding:
    """Return ``tokenizer.encode`` of a split, from the cache on disk if it is there.

    The file's name and header are a hash of the split's digest, the tokenizer's fingerprint,
    ``max_length`` and :data:`VERSION`. A damaged file, or one of another key, is replaced. Files
    are written atomically, so any number of processes may use the folder.

    Args:
        tokenizer: makes the token ids.
        split: examples to encode.
        max_length: most tokens of an example.
        folder: of the cache; default ``tokens`` in ``$XFERLAB_CACHE`` or ``~/.cache/xferlab``.
    """
    key = _key(tokenizer, split, max_length, None)
    return _cached(key, lambda: tokenizer.encode(split.texts, split.pairs, max_length), folder)


def encode_split(
    tokenizer: Tokenizer, split: Split, spec: TaskSpec, folder: Path | None = None
) -> CountedEncoding:
    """Return the token ids of a split, in windows where long texts are read so.

    They are cached as by :func:`encode_cached`, windows with their overlap in the key.

    Args:
        tokenizer: makes the token ids.
        split: examples to encode.
        spec: the task, with the length and the overlap of windows.
        folder: of the cache.
    """
    if spec.windows is None:
        return encode_cached(tokenizer, split, spec.max_length, folder)
    key = _key(tokenizer, split, spec.max_length, spec.windows)
    return _cached(key, lambda: encode_windows(tokenizer, split.texts, split.pairs, spec), folder)


def _cached(key: str, make: Callable[[], Encoding], folder: Path | None) -> CountedEncoding:
    """Return what is cached under a key, or make it and write it there."""
    path = None
    try:
        folder = folder or cache_folder("tokens")
        path = folder.expanduser() / f"{key}.npy"
        found = _load(path, key) if path.exists() else None
    except (OSError, RuntimeError) as e:
        log.warning("token cache %s cannot be read, tokenising again: %s", path or folder, e)
        found = None
    if found is not None:
        return found
    made = _flattened(make())
    if path is not None:
        try:
            atomic_replace(path, lambda new: _save(new, made, key))
        except OSError as e:
            log.warning("token cache %s cannot be written: %s", path.parent, e)
    return made


def _key(tokenizer: Tokenizer, split: Split, max_length: int, overlap: int | None) -> str:
    """Return the hash of all that an encoding depends on; ``overlap`` is that of windows."""
    parts = (VERSION, max_length, tokenizer.fingerprint, split.pairs is None, split.digest)
    of_windows = () if overlap is None else ("windows", overlap)
    return hashlib.sha256(repr((*parts, *of_windows)).encode()).hexdigest()


def _flattened(encoding: Encoding) -> CountedEncoding:
    """Return an encoding with each column in one array; a copy only where it was not."""
    import numpy as np

    lengths = row_lengths(encoding).astype("int32")

    def flat(column: Sequence[np.ndarray]) -> Ragged:
        if isinstance(column, Ragged):
            return Ragged(np.ascontiguousarray(column.flat, dtype="int32"), lengths)
        return Ragged(np.concatenate([*column, np.zeros(0, "int32")]).astype("int32"), lengths)

    return CountedEncoding(
        flat(encoding.token_ids),
        flat(encoding.segment_ids),
        None if encoding.word_ids is None else flat(encoding.word_ids),
        encoding.owners,
        cut=getattr(encoding, "cut", 0),
    )


def _save(path: Path, encoding: CountedEncoding, key: str) -> None:
    """Write an encoding as one int32 array: header, lengths, owners, tokens, segments, word ids.

    The parts are written one after another, so that they are never in memory twice.
    """
    import numpy as np

    columns = [encoding.token_ids, encoding.segment_ids, encoding.word_ids]
    flat = [column.flat for column in columns if isinstance(column, Ragged)]
    lengths = row_lengths(encoding).astype("int32")
    head = np.zeros(HEADER, dtype="int32")
    head[:5] = MAGIC, len(lengths), int(lengths.sum()), len(flat), encoding.cut
    head[8:] = np.frombuffer(bytes.fromhex(key), dtype="<i4")
    owners = [] if encoding.owners is None else [encoding.owners.astype("int32")]
    head[6] = len(owners)
    parts = [head, lengths, *owners, *flat]
    head[5] = _checksum(parts)
    form = {"descr": head.dtype.str, "fortran_order": False, "shape": (sum(map(len, parts)),)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, form)
        for part in parts:
            file.write(part.data)


def _checksum(parts: Sequence[np.ndarray]) -> int:
    """Return the CRC-32 of a header and more parts, without its own field, as a signed number."""
    import zlib

    head, *others = parts
    crc = zlib.crc32(head[6:].data, zlib.crc32(head[:5].data))
    for part in others:
        crc = zlib.crc32(part.data, crc)
    return crc - (1 << 32) if crc >= 1 << 31 else crc


def _load(path: Path, key: str) -> CountedEncoding | None:
    """Return a cached encoding, memory-mapped, or None if the file is damaged."""
    import numpy as np

    try:
        packed = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as e:
        log.warning("token cache %s is damaged, tokenising again: %s", path, e)
        return None
    if packed.dtype == "int32" and packed.ndim == 1 and len(packed) >= HEADER:
        magic, rows, tokens, columns, _, checksum, are_windows = packed[:7].tolist()
        whole = len(packed) == HEADER + rows * (1 + are_windows) + columns * tokens
        same = packed[8:HEADER].astype("<i4").tobytes().hex() == key
        if magic == MAGIC and whole and same and checksum == _checksum([packed]):
            return _unpack(packed)
    log.warning("token cache %s is damaged, tokenising again", path)
    return None


def _unpack(packed: np.ndarray) -> CountedEncoding:
    rows, tokens, columns, cut, _, are_windows = packed[1:7].tolist()
    lengths = packed[HEADER : HEADER + rows]
    at = HEADER + rows
    owners = None
    if are_windows:
        owners = packed[at : at + rows]
        at += rows
    parts = [
        Ragged(packed[at + i * tokens : at + (i + 1) * tokens], lengths) for i in range(columns)
    ]
    return CountedEncoding(parts[0], parts[1], parts[2] if columns == 3 else None, owners, cut=cut)
