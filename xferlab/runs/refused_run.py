"""A command that is refused leaves no folder of a run behind."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from xferlab.runs.resume import is_used


@dataclass
class Attempt:
    """One command's work in a run's folder.

    Attributes:
        refused: it was an error of the user, found before the first step.
    """

    refused: bool = False


@contextmanager
def left_if_begun(folder: Path) -> Iterator[Attempt]:
    """Delete what the body wrote into a new run's folder if it sets ``refused``.

    A run that has started (``run.json`` is written before the first step) is kept, and so is
    whatever was there before.
    """
    attempt = Attempt()
    was_used = is_used(folder)
    missing = [each for each in (folder, *folder.parents) if not os.path.lexists(each)]
    try:
        yield attempt
    finally:
        if attempt.refused and not was_used and not (folder / "run.json").exists():
            _empty(folder)
            for each in missing:  # a parent that holds another's run by now stays
                with suppress(OSError):
                    each.rmdir()


def _empty(folder: Path) -> None:
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
