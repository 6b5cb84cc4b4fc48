"""The folder of an export: a temporary one, renamed once it is complete and correct."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xferlab.errors import ConfigError
from xferlab.io.atomic import TMP_PREFIX, sync, umask

RECORD = "export.json"


def refuse_taken(folder: Path, *, force: bool) -> None:
    """Raise ConfigError if ``folder`` holds anything that may not be replaced.

    Args:
        folder: of the export.
        force: an earlier export may be replaced; nothing else is.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    if folder.is_dir() and not folder.is_symlink():
        if not any(folder.iterdir()) or (force and (folder / RECORD).is_file()):
            return
        if (folder / RECORD).is_file():
            raise ConfigError(
                "there is an export in this folder already",
                where=str(folder),
                fix="--force replaces it, --output FOLDER writes elsewhere",
            )
    raise ConfigError(
        "this is no empty folder and no earlier export",
        where=str(folder),
        fix="--output FOLDER with the name of a new folder",
    )


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary folder beside ``folder``, which takes its name when the block is through.

    What was there is deleted then, not before; a block that raises leaves nothing behind.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=TMP_PREFIX, suffix=f"-{folder.name}", dir=folder.parent))
    new, old = beside / "new", beside / "old"
    try:
        new.mkdir()
        yield new
        for path in (*new.rglob("*"), new):
            if path.is_file():  # some writers keep their files from everyone else
                path.chmod(0o666 & ~umask())
            sync(path)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
        sync(folder.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def write_plain(folder: Path, name: str, table: object) -> None:
    """Write indented JSON into a folder that is not in place yet."""
    text = json.dumps(table, indent=2, ensure_ascii=False) + "\n"
    (folder / name).write_text(text, encoding="utf-8")
