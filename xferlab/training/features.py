"""The outputs of a network's frozen part for every example: computed once, kept on disk.

A file of the cache has a hash of all that the features depend on in its name, and a checksum of
its content: epochs, sweep jobs, seeds and later runs share it.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xferlab.backend.graphs import compute_batches
from xferlab.contracts import Encoding
from xferlab.data.batching import (
    Batch,
    Ragged,
    batch_inputs,
    evaluation_batches,
    pad_rows,
    row_lengths,
)
from xferlab.io.atomic import TMP_PREFIX
from xferlab.io.folders import cache_folder
from xferlab.models.frozen_part import CutNetwork
from xferlab.progress import Pace

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger("xferlab")
VERSION = 1
"""Of the files; a change of their content needs another one."""
SUFFIX = ".f32"
"""The files are float32 numbers, one row after another, without a header."""
LARGEST = 4 * 2**30
"""Bytes of the whole cache; the files that were not used for longest are deleted first."""
ABANDONED_SECONDS = 3600.0
"""A file that is not whole and was not written to for so long is a killed process's."""


class Features:
    """The features of a split's examples.

    Args:
        flat: float32 (tokens, width), or (examples, width) without ``lengths``; memory-mapped.
        lengths: tokens of each example; None where an example has one vector.
        shape: of an example's features in a batch: (1, width) or (width,) without ``lengths``.
    """

    def __init__(self, flat: np.ndarray, lengths: np.ndarray | None, shape: tuple[int, ...]):
        self._flat = flat
        self._shape = shape
        self._rows = None if lengths is None else Ragged(flat, lengths)

    def batch(self, batch: Batch) -> np.ndarray:
        """Return the features of a batch, float32; those of padding are 0."""
        import numpy as np

        if self._rows is None:
            return np.asarray(self._flat[batch.rows]).reshape(len(batch.rows), *self._shape)
        values, _ = pad_rows(self._rows, batch, 0, "float32")
        return values


class FeatureCache:
    """Features on disk.

    Args:
        cut: gives the frozen part.
        forward: computes it for inputs by name.
        pad_id: token id of padding.
        batch_size: examples a batch.
        noted: what this run has noted so far, in every phase: no note is repeated.
        folder: of the files; default ``features`` in ``$XFERLAB_CACHE`` or ``~/.cache/xferlab``.
    """

    def __init__(
        self,
        cut: CutNetwork,
        forward: Callable[[Mapping[str, Any]], Any],
        pad_id: int,
        batch_size: int,
        noted: set[str],
        folder: Path | None = None,
    ) -> None:
        self._cut = cut
        self._forward = forward
        self._pad_id = pad_id
        self._batch_size = batch_size
        self._noted = noted
        self._folder = folder or cache_folder("features")
        self._names = list(cut.lower.input)
        self._weights = _digest_of_weights(cut.lower)

    @property
    def per_token(self) -> bool:
        """Whether an example has a vector for each of its tokens."""
        return self._cut.per_token

    def of(self, name: str, encoding: Encoding) -> Features | None:
        """Return a split's features, computed if the cache does not have them.

        Args:
            name: of the split, for the log.
            encoding: its token ids.

        Returns:
            None, with a note in the log, where they do not fit or cannot be written.
        """
        lengths = row_lengths(encoding) if self._cut.per_token else None
        width = int(self._cut.lower.output.shape[-1])
        rows = len(encoding.token_ids) if lengths is None else int(lengths.sum())
        if 4 * rows * width > LARGEST:
            self._note(
                f"the frozen part's outputs for {name} take {4e-9 * rows * width:.1f} GB, more than"
                f" {LARGEST / 1e9:.1f}: they are computed in every epoch"
            )
            return None
        try:
            flat = self._flat(name, encoding, lengths, (rows, width))
        except OSError as error:
            self._note(
                f"the cache {self._folder} cannot be used ({error.strerror or error}): frozen"
                " blocks are computed in every epoch"
            )
            return None
        return Features(flat, lengths, tuple(self._cut.lower.output.shape[1:]))

    def _note(self, text: str) -> None:
        if text not in self._noted:
            self._noted.add(text)
            log.warning("note       %s", text)

    def _flat(
        self, name: str, encoding: Encoding, lengths: np.ndarray | None, shape: tuple[int, int]
    ) -> np.ndarray:
        key = self._key(encoding)
        folder = _expanded(self._folder)
        found = _read(folder, key, shape)
        if found is not None:
            log.info("features   the frozen part's outputs for %s are in the cache", name)
            return found
        size = 4 * shape[0] * shape[1]
        folder.mkdir(parents=True, exist_ok=True)
        _evict(folder, LARGEST - size)
        if shutil.disk_usage(folder).free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        partial = folder / f"{TMP_PREFIX}{os.getpid()}-{key}{SUFFIX}"
        try:
            self._compute(name, encoding, lengths, partial)
            path = folder / f"{key}-{_checksum(partial, shape):08x}{SUFFIX}"
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return _mapped(path, shape)

    def _compute(
        self, name: str, encoding: Encoding, lengths: np.ndarray | None, path: Path
    ) -> None:
        """Write the features of every example, and report how far they are."""
        import numpy as np

        rows = np.ones(len(encoding.token_ids), "int64") if lengths is None else lengths
        starts = np.cumsum(rows) - rows
        pace = Pace()
        done = 0
        batches = (
            (batch, self._inputs(encoding, batch))
            for batch in evaluation_batches(encoding, self._batch_size)
        )
        with path.open("wb") as stream:
            for batch, outputs in compute_batches(self._forward, batches):
                outputs = outputs.reshape(len(batch.rows), -1, outputs.shape[-1])
                for values, row in zip(outputs, batch.rows, strict=True):
                    stream.seek(int(starts[row]) * values[0].nbytes)
                    stream.write(values[: rows[row]].data)
                done += len(batch.rows)
                if pace.is_due():
                    _log_progress(name, done, len(rows), pace)
        log.info("features   the frozen part is computed for %s (%.1f s)", name, pace.seconds)

    def _inputs(self, encoding: Encoding, batch: Batch) -> dict[str, np.ndarray]:
        inputs = batch_inputs(encoding, batch, self._pad_id)
        return {name: inputs[name] for name in self._names}

    def _key(self, encoding: Encoding) -> str:
        """Return the hash of what the features depend on.

        The outputs for three examples stand for everything that is no weight: the graph, its code,
        the precision, and the order of sums on this machine.
        """
        import numpy as np

        content = hashlib.sha256()
        for column in (encoding.token_ids, encoding.segment_ids):
            flat = column.flat if isinstance(column, Ragged) else np.concatenate(list(column))
            content.update(np.ascontiguousarray(flat, "int32").data)
        lengths = row_lengths(encoding)
        content.update(lengths.astype("int64").data)
        order = np.argsort(lengths, kind="stable")
        probe = np.unique(order[[0, len(order) // 2, -1]])
        probed = self._inputs(encoding, Batch(probe, int(lengths[probe].max())))
        outputs = np.asarray(self._cut.lower(probed, training=False), "float32")
        content.update(np.ascontiguousarray(outputs).data)
        parts = (VERSION, self._weights, self._batch_size, self._cut.per_token)
        content.update(repr(parts).encode())
        return content.hexdigest()


def _log_progress(name: str, done: int, examples: int, pace: Pace) -> None:
    rate = pace.rate(done)
    left = pace.left(done, examples)
    log.info("features   %d of %d examples of %s, %d/s, %s", done, examples, name, rate, left)


def _digest_of_weights(network: Any) -> str:
    import numpy as np

    content = hashlib.sha256()
    for weight in network.weights:
        content.update(np.ascontiguousarray(weight.numpy()).data)
    return content.hexdigest()


def _expanded(folder: Path) -> Path:
    try:
        return folder.expanduser()
    except RuntimeError as error:  # this user has no home folder
        raise OSError(str(error)) from error


def _mapped(path: Path, shape: tuple[int, int]) -> np.ndarray:
    import numpy as np

    return np.memmap(path, "float32", "r", shape=shape)


def _checksum(path: Path, shape: tuple[int, int]) -> int:
    """Return the CRC-32 of a file of features."""
    flat = _mapped(path, shape)
    value = 0
    for first in range(0, shape[0], 65536):
        value = zlib.crc32(flat[first : first + 65536].data, value)
    return value


def _read(folder: Path, key: str, shape: tuple[int, int]) -> np.ndarray | None:
    """Return the features of a key, or None; a damaged file is reported and deleted."""
    for path in folder.glob(f"{key}-*{SUFFIX}"):
        try:
            is_whole = path.stat().st_size == 4 * shape[0] * shape[1]
            if is_whole and path.stem == f"{key}-{_checksum(path, shape):08x}":
                _touch(path)
                return _mapped(path, shape)
        except FileNotFoundError:  # another process has just deleted it
            continue
        log.warning("note       the cached features %s are damaged and computed again", path)
        path.unlink(missing_ok=True)
    return None


def _touch(path: Path) -> None:
    """Note that a file was used; a folder that is only read keeps its times."""
    try:
        os.utime(path)
    except OSError:
        return


def _evict(folder: Path, largest: int) -> None:
    """Delete the files that were not used for longest until the others take at most ``largest``."""
    states = []
    for path in folder.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError):  # another process has just deleted or renamed it
            states.append((path.stat(), path))
    total = 0
    for state, path in sorted(states, key=lambda each: each[0].st_mtime, reverse=True):
        is_partial = path.name.startswith(TMP_PREFIX)
        is_written = is_partial and time.time() - state.st_mtime < ABANDONED_SECONDS
        total += state.st_size
        if not is_written and (is_partial or total > largest):
            path.unlink(missing_ok=True)
