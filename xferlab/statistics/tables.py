"""Tables of statistics as text; the page has the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xferlab.errors import printable

MOST_ROWS = 30
"""Rows of a table on the terminal."""
GAP = "  "
TEXT_WIDTH = 200
"""Characters of texts in a line."""


@dataclass(frozen=True)
class Table:
    """A table of formatted cells.

    Attributes:
        title: what it shows.
        columns: their names; the first names the rows.
        rows: cells; missing ones at the end are empty.
        note: a sentence below the title, "" for none.
        is_text: whether cells are texts, aligned left, not numbers.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    is_text: bool = False

    def lines(self, most: int = MOST_ROWS) -> list[str]:
        """Return the table as lines of equal columns, the first rows where there are many."""
        rows = [[self._short(printable(cell)) for cell in row] for row in self.rows[:most]]
        every = [[printable(name) for name in self.columns], *rows]
        widths = [max(len(row[i]) for row in every if i < len(row)) for i in range(len(every[0]))]
        lines = []
        for row in every:
            cells = [
                cell.ljust(width) if i == 0 or self.is_text else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=False))
            ]
            lines.append(GAP.join(cells).rstrip())
        if len(self.rows) > most:
            lines.append(f"... and {len(self.rows) - most:,} more (the page has all)")
        return lines

    def _short(self, cell: str) -> str:
        """Return a cell of a table of texts, short enough for all columns to stand in a line."""
        longest = TEXT_WIDTH // max(1, len(self.columns) - 1)
        return f"{cell[:longest]}..." if self.is_text and len(cell) > longest else cell


def format_part(part: int, whole: int) -> str:
    """Return a count and its fraction of all.

    >>> format_part(1200, 4800), format_part(0, 10)
    ('1,200 (25.0%)', '0')
    """
    return f"{part:,} ({part / whole:.1%})" if part and whole else f"{part:,}"
