"""``history.csv``, a line an epoch, as far as it is written."""

from __future__ import annotations

import csv
from pathlib import Path


def history_of(folder: Path) -> list[dict[str, float]]:
    """Return the rows of ``history.csv``, none where there is no such file yet."""
    path = folder / "history.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [{key: float(text) for key, text in row.items() if text} for row in rows]
