"""The folder of an export: which one may be replaced, and its JSON files."""

from __future__ import annotations

import json
from pathlib import Path

from xferlab.errors import ConfigError

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


def write_plain(folder: Path, name: str, table: object) -> None:
    """Write indented JSON."""
    text = json.dumps(table, indent=2, ensure_ascii=False) + "\n"
    (folder / name).write_text(text, encoding="utf-8")
