"""Snapshots of a run: one folder each, written aside and renamed, checked by digests when read."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xferlab.errors import XferlabError
from xferlab.files import PARTIAL, sha256_of, sync, write_json
from xferlab.records import Shape, read_record

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger("xferlab")
ARRAYS, STATE, DIGESTS = "state.safetensors", "state.json", "sha256.json"
KEPT = 2


@dataclass(frozen=True)
class Snapshot:
    """A whole snapshot, as its digests say.

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


def write_snapshot(
    checkpoints: Path, name: str, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]
) -> None:
    """Write the folder ``checkpoints/name`` whole, then delete all but the newest two.

    Args:
        checkpoints: where the run's snapshots are.
        name: ``step-...``; names sort in the order of the run.
        arrays: weights, slots and every other variable.
        state: JSON data.
    """
    from safetensors.numpy import save_file

    if (checkpoints / name).exists():  # a signal right after a save: nothing has changed
        return
    partial = checkpoints / f"{PARTIAL}{name}"
    shutil.rmtree(partial, ignore_errors=True)
    checkpoints.mkdir(exist_ok=True)  # not its parents: a run folder that vanished stays away
    partial.mkdir()
    save_file(dict(arrays), partial / ARRAYS)
    write_json(partial / STATE, state)
    write_json(partial / DIGESTS, {part: sha256_of(partial / part) for part in (ARRAYS, STATE)})
    sync(partial / ARRAYS)
    sync(partial)
    os.rename(partial, checkpoints / name)
    sync(checkpoints)
    for old in _folders(checkpoints)[KEPT:]:
        shutil.rmtree(old)


def newest_snapshot(checkpoints: Path, shape: Shape = dict) -> Snapshot | None:
    """Return the newest whole snapshot, or None; a damaged one is named and deleted.

    Args:
        checkpoints: where the run's snapshots are.
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
        log.warning("note       no whole checkpoint is left: the run begins anew")
    return None


def delete_snapshots(checkpoints: Path) -> None:
    """Delete them all: the run is finished."""
    for folder in _folders(checkpoints):
        shutil.rmtree(folder)


def latest_step(checkpoints: Path) -> str:
    """Return the name of the newest snapshot, unread; "" where there is none."""
    return next((folder.name for folder in _folders(checkpoints)), "")


def _folders(checkpoints: Path) -> list[Path]:
    """Return the snapshots' folders, the newest first."""
    return sorted((p for p in checkpoints.glob("step-*") if p.is_dir()), reverse=True)


def _read(folder: Path, shape: Shape) -> Snapshot:
    """Read a snapshot's state; raise OSError, ValueError or XferlabError if it is damaged."""
    digests = read_record(folder / DIGESTS, {ARRAYS: str, STATE: str})
    for part in (ARRAYS, STATE):
        if sha256_of(folder / part) != digests[part]:
            raise ValueError(f"{part} is not what was written")
    return Snapshot(folder, read_record(folder / STATE, shape))
