"""Predictions as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xferlab.contracts import TaskSpec
from xferlab.errors import printable

SHOWN_ROWS = 20
SHOWN_CLASSES = 5
SHOWN_CHARACTERS = 60


def format_table(spec: TaskSpec, rows: Sequence[dict[str, Any]], more: int = 0) -> str:
    """Return rows of predictions as text, a line each; with tags a line for each word.

    Args:
        spec: the task.
        rows: plain data, as ``Predictions.rows`` yields it.
        more: rows that are not shown.
    """
    tables = [
        format_columns(*_shown_table(header, cells, spec.num_classes))
        for header, cells in spec.task.prediction_tables(rows)
    ]
    text = "\n\n".join(tables)
    return f"{text}\n... and {more} more rows" if more > 0 else text


def format_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return columns below their names, two blanks between them.

    >>> print(format_columns(["text", "label"], [["a fine film", "good"]]))
    text         label
    a fine film  good
    """
    clean = [[printable(cell) for cell in row] for row in [header, *rows]]
    widths = [max(map(len, column)) for column in zip(*clean, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in clean
    )


def _shown_table(
    header: Sequence[str], rows: Sequence[Sequence[Any]], classes: int
) -> tuple[list[str], list[list[str]]]:
    """Return a table as text; of many classes only the highest probability."""
    is_shown = [classes <= SHOWN_CLASSES or name[:2] != "p_" for name in header]
    names = [name.removeprefix("p_") for name, shown in zip(header, is_shown, strict=True) if shown]
    cells = [[_cell(v) for v, shown in zip(row, is_shown, strict=True) if shown] for row in rows]
    if all(is_shown):
        return names, cells
    for shown_cells, row in zip(cells, rows, strict=True):
        hidden = (v for v, shown in zip(row, is_shown, strict=True) if not shown)
        shown_cells.append(_cell(max(hidden)))
    return [*names, "probability"], cells


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "(none)"
    text = "(cut off)" if value is None else str(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."
