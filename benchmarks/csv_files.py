"""CSV files of examples, as the benchmarks read and write them."""

from __future__ import annotations

import csv
from pathlib import Path

Row = dict[str, str]


def read_csv(path: Path) -> list[Row]:
    """Return the rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def write_csv(path: Path, rows: list[Row]) -> None:
    """Write rows, one or more, as a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
