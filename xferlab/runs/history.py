"""``history.csv``, a line an epoch, as far as it is written."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from xferlab.io.records import damaged, read_text

WHOLE = ("epoch", "step")
"""Columns of whole numbers."""


def history_of(folder: Path) -> list[dict[str, float]]:
    """Return the rows of ``history.csv``, none where there is no such file yet.

    Raises:
        ConfigError: it is no table of numbers.
    """
    path = folder / "history.csv"
    if not path.exists():
        return []
    try:
        table = csv.DictReader(io.StringIO(read_text(path), newline=""))
        rows = list(table)
        for number, texts in enumerate(rows, 1):
            if None in texts.values():
                filled = len([text for text in texts.values() if text is not None])
                raise ValueError(f"row {number} has {filled} of {len(texts)} fields")
        if "epoch" not in (table.fieldnames or ["epoch"]):
            raise ValueError("it has no column 'epoch'")
        found = [{key: float(text) for key, text in row.items() if text} for row in rows]
        for number, row in enumerate(found, 1):
            if not all(row.get(key, 0.0).is_integer() for key in WHOLE) or "epoch" not in row:
                raise ValueError(f"row {number} has no whole number of an epoch and a step")
        return found
    except (OSError, ValueError, TypeError, csv.Error) as e:
        raise damaged(path, f"{path.name} is damaged: {e}") from None
