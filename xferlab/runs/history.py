"""``history.csv``, a line an epoch, as far as it is written."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from xferlab.records import damaged, read_text


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
        if "epoch" not in (table.fieldnames or ["epoch"]):
            raise ValueError("it has no column 'epoch'")
        return [{key: float(text) for key, text in row.items() if text} for row in rows]
    except (OSError, ValueError, TypeError, csv.Error) as e:
        raise damaged(path, f"{path.name} is damaged: {e}") from None
