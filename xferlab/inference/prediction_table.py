"""Predictions as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xferlab.contracts import Task, TaskSpec
from xferlab.errors import printable

SHOWN_ROWS, SHOWN_CLASSES, SHOWN_LETTERS = 20, 5, 60


def as_table(spec: TaskSpec, rows: Sequence[dict[str, Any]], more: int = 0) -> str:
    """Return rows of predictions as text, a line each; tagged rows as words with their tags.

    Args:
        spec: the task.
        rows: plain data, as ``Predictions.rows`` yields it.
        more: rows that are not shown.
    """
    if spec.task is Task.token_classification:
        names = ["word", "tag", "probability"]
        text = "\n\n".join(lines_of(names, _words(row)) for row in rows)
    else:
        text = lines_of(*_cells(rows, spec.num_classes))
    return text + (f"\n... and {more} more rows" if more > 0 else "")


def lines_of(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return columns below their names, two blanks between them.

    >>> print(lines_of(["text", "label"], [["a fine film", "good"]]))
    text         label
    a fine film  good
    """
    clean = [[printable(cell) for cell in row] for row in [header, *rows]]
    widths = [max(map(len, column)) for column in zip(*clean, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in clean
    )


def _cells(rows: Sequence[dict[str, Any]], classes: int) -> tuple[list[str], list[list[str]]]:
    """Return the header and the cells; of many classes only the best one's probability."""
    many = classes > SHOWN_CLASSES
    names = [
        name for name in (rows[0] if rows else {"text": ""}) if not (many and name[:2] == "p_")
    ]
    cells = [[_cell(row[name]) for name in names] for row in rows]
    if many:
        names = [*names, "probability"]
        cells = [
            [*line, _cell(max(v for k, v in row.items() if k[:2] == "p_"))]
            for line, row in zip(cells, rows, strict=True)
        ]
    return [name[2:] if name[:2] == "p_" else name for name in names], cells


def _words(row: dict[str, Any]) -> list[list[str]]:
    columns = (row["words"], row["tags"], row["probabilities"])
    return [[_cell(cell) for cell in word] for word in zip(*columns, strict=True)]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "(none)"
    text = "(cut off)" if value is None else str(value)
    return text if len(text) <= SHOWN_LETTERS else text[: SHOWN_LETTERS - 3] + "..."
