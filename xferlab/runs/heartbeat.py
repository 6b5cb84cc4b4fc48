"""A sign of life that other machines see: the time of a working run's lock file."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from xferlab.runs.lock import NAME

BEAT_SECONDS = 20.0
SILENT_SECONDS = 180.0
"""A run of another machine that was silent for so long is dead: file servers may show a file's time
a minute late, and clocks differ."""


@contextmanager
def beating(folder: Path, every: float = BEAT_SECONDS) -> Iterator[None]:
    """Renew the time of the lock file in ``folder`` while the body runs.

    Args:
        folder: a run's folder, which this process has locked.
        every: seconds between two signs.
    """
    over = threading.Event()
    thread = threading.Thread(target=_beat, args=(folder / NAME, every, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _beat(path: Path, every: float, over: threading.Event) -> None:
    with suppress(OSError):  # the folder or its disk is gone: the run reports it
        os.utime(path)
    while not over.wait(every):
        with suppress(OSError):
            os.utime(path)


def seconds_silent(folder: Path) -> float | None:
    """Return the seconds since the last sign of life; None if there never was one."""
    try:
        return max(0.0, time.time() - (folder / NAME).lstat().st_mtime)
    except OSError:
        return None
