"""What a finished run keeps: its weights, and no checkpoints to resume from."""

from __future__ import annotations

import os
from pathlib import Path

from xferlab.config.schema import Keep
from xferlab.runs.checkpoints import delete_checkpoints
from xferlab.runs.frozen_file import delete_unused

FILES = {"best": "best.safetensors", "last": "last.safetensors"}
"""By the name that ``train.keep`` and ``metrics.json`` have for them."""


def tidy_finished(folder: Path, keep: Keep | None) -> None:
    """Delete what a finished run does not keep; once more where it was killed before it was done.

    Args:
        folder: of the run.
        keep: the weights that it keeps; None keeps both.
    """
    delete_unkept(folder, keep)
    delete_checkpoints(folder / "checkpoints")


def delete_unkept(folder: Path, keep: Keep | None) -> None:
    """Delete the weights that a finished run does not keep.

    Where the file to keep is not there, the other one stays, unless ``keep`` is ``none``.

    Args:
        folder: of the run.
        keep: which it keeps; None keeps both.
    """
    if keep in (None, Keep.both):
        return
    checkpoints = folder / "checkpoints"
    paths = {name: checkpoints / file for name, file in FILES.items()}
    present = {name: path for name, path in paths.items() if path.exists()}
    if keep is not Keep.none and keep.value not in present:
        return
    for name, path in present.items():
        if name != keep.value:
            path.unlink(missing_ok=True)
    delete_unused(checkpoints, FILES.values())


def has_second_file(folder: Path) -> bool:
    """Return whether a run has two different files of weights."""
    paths = [folder / "checkpoints" / file for file in FILES.values()]
    try:
        return not os.path.samefile(*paths)
    except FileNotFoundError:
        return False
