"""Checkpoints of a run: one folder each, written atomically, verified by digests when read."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xferlab.deprecated import current_state
from xferlab.errors import XferlabError
from xferlab.io.atomic import TMP_PREFIX, link_or_copy, sha256_of, sync, write_json
from xferlab.io.records import Shape, read_record

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger("xferlab")
ARRAYS = "state.safetensors"
STATE = "state.json"
DIGESTS = "sha256.json"
BESIDE = "beside-"
"""How a checkpoint's files begin that were files beside it when it was written."""
KEPT = 2


@dataclass(frozen=True)
class TrainingCheckpoint:
    """A complete checkpoint, verified by its digests.

    Attributes:
        folder: where it is.
        state: what is no array, JSON data.
    """

    folder: Path
    state: Mapping[str, Any]

    def arrays(self) -> dict[str, np.ndarray]:
        """Read the arrays, by name."""
        from safetensors.numpy import load_file

        return load_file(self.folder / ARRAYS)

    def restore_files(self) -> None:
        """Give the files beside the checkpoints back as they were when this one was written."""
        checkpoints = self.folder.parent
        delete_weights(checkpoints)
        for path in sorted(self.folder.glob(f"{BESIDE}*")):
            partial = checkpoints / f"{TMP_PREFIX}{path.name}"
            link_or_copy(path, partial)
            partial.replace(checkpoints / path.name.removeprefix(BESIDE))
        sync(checkpoints)


def write_checkpoint(
    checkpoints: Path,
    name: str,
    arrays: Mapping[str, np.ndarray],
    state: Mapping[str, Any],
    files: Sequence[Path] = (),
) -> None:
    """Write the folder ``checkpoints/name`` whole, then delete all but the newest two.

    Args:
        checkpoints: the folder of the run's checkpoints.
        name: ``step-...``; names sort in the order of the run.
        arrays: weights, slots and every other variable.
        state: JSON data.
        files: of ``checkpoints`` itself, which belong to the state.
    """
    from safetensors.numpy import save_file

    if (checkpoints / name).exists():  # a signal right after a save: nothing has changed
        return
    partial = checkpoints / f"{TMP_PREFIX}{name}"
    shutil.rmtree(partial, ignore_errors=True)
    checkpoints.mkdir(exist_ok=True)  # not its parents: a run folder that vanished stays away
    partial.mkdir()
    save_file(dict(arrays), partial / ARRAYS)
    write_json(partial / STATE, state)
    for path in files:
        link_or_copy(path, partial / f"{BESIDE}{path.name}")
    parts = sorted(path.name for path in partial.iterdir())
    write_json(partial / DIGESTS, {part: sha256_of(partial / part) for part in parts})
    sync(partial / ARRAYS)
    sync(partial)
    os.rename(partial, checkpoints / name)
    sync(checkpoints)
    for old in _folders(checkpoints)[KEPT:]:
        shutil.rmtree(old)


def latest_checkpoint(checkpoints: Path, shape: Shape = dict) -> TrainingCheckpoint | None:
    """Return the newest complete checkpoint, or None; a damaged one is reported and deleted.

    Args:
        checkpoints: the folder of the run's checkpoints.
        shape: what a state must hold, see ``records.Shape``.
    """
    folders = _folders(checkpoints)
    for folder in folders:
        try:
            return _read(folder, shape)
        except (OSError, ValueError, XferlabError) as e:
            reason = str(e).partition("\n")[0]
            log.warning("note       the checkpoint %s is damaged: %s", folder.name, reason)
            shutil.rmtree(folder)
    if folders:
        log.warning("note       no complete checkpoint is left: the run starts again")
    return None


def delete_checkpoints(checkpoints: Path) -> None:
    """Delete them all: the run is finished. Another process may do so at the same time."""
    for folder in _folders(checkpoints):
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)


def delete_weights(checkpoints: Path) -> None:
    """Delete the weights beside the checkpoints: their steps are about to be trained again."""
    for path in checkpoints.glob("*.safetensors"):
        path.unlink()


def latest_step(checkpoints: Path) -> str:
    """Return the name of the newest checkpoint without reading it; "" where there is none."""
    return next((folder.name for folder in _folders(checkpoints)), "")


def _folders(checkpoints: Path) -> list[Path]:
    """Return the folders of the checkpoints, newest first."""
    return sorted((p for p in checkpoints.glob("step-*") if p.is_dir()), reverse=True)


def _read(folder: Path, shape: Shape) -> TrainingCheckpoint:
    """Read a checkpoint's state; raise OSError, ValueError or XferlabError if it is damaged."""
    digests = read_record(folder / DIGESTS, {ARRAYS: str, STATE: str, "*": str})
    parts = {ARRAYS, STATE, *(path.name for path in folder.glob(f"{BESIDE}*"))}
    if digests.keys() != parts:  # so no name in the digests is a path to elsewhere
        raise ValueError("its files are not those that were written")
    for part in sorted(parts):
        if sha256_of(folder / part) != digests[part]:
            raise ValueError(f"{part} is not what was written")
    state = read_record(folder / STATE, shape, upgrade=current_state)
    return TrainingCheckpoint(folder, state)
