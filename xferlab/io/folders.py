"""Folders: one that is written completely or not at all, and those of the cache."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xferlab.io.atomic import TMP_PREFIX, sync, umask


def cache_folder(name: str) -> Path:
    """Return a folder of the cache, below ``$XFERLAB_CACHE`` or ``~/.cache/xferlab``.

    The home folder is not resolved yet: a user may have none, which raises RuntimeError.
    """
    return Path(os.environ.get("XFERLAB_CACHE") or "~/.cache/xferlab") / name


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``folder``, which gets its name when the block ends.

    An earlier folder is deleted then, not before; a block that raises leaves nothing behind.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=TMP_PREFIX, suffix=f"-{folder.name}", dir=folder.parent))
    new = beside / "new"
    old = beside / "old"
    try:
        new.mkdir()
        yield new
        for path in (*new.rglob("*"), new):
            if path.is_file():  # some writers make files that only their owner can read
                path.chmod(0o666 & ~umask())
            sync(path)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
        sync(folder.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
