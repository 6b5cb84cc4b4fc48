"""What a person should know about rows that can be used: each is one line of the log."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from xferlab.errors import printable

log = logging.getLogger(__name__)
SHOWN = 5
"""Rows that a line names."""
LONGEST = 60
"""Letters of a value that a line shows."""


class Notes:
    """Lines about rows, each logged when it is added."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, line: str) -> None:
        """Log a line, once."""
        line = printable(line)
        if line not in self.lines:
            self.lines.append(line)
            log.warning("note       %s", line)


def shown(value: object) -> str:
    """Return a value as a line shows it, cut where it is long.

    >>> shown("joy"), shown(["a", 1])
    ("'joy'", "['a', 1]")
    """
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def named_rows(rows: Sequence[int]) -> str:
    """Return row numbers, counted from 1, as words; the first few where there are many.

    >>> named_rows([7]), named_rows([0, 2])
    ('row 8', 'rows 1, 3')
    """
    first = ", ".join(str(row + 1) for row in rows[:SHOWN])
    more = ", ..." if len(rows) > SHOWN else ""
    return f"row{'s' * (len(rows) != 1)} {first}{more}"
