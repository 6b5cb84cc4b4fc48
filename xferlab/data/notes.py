"""Notes on usable but unusual rows: each is one line of the log and of ``run.json``."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from xferlab.errors import printable

log = logging.getLogger(__name__)
SHOWN = 5
"""Rows that a note names."""
LONGEST = 60
"""Characters of a value that a note shows."""


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
    """Return a value as a note shows it, shortened where it is long.

    >>> shown("joy"), shown(["a", 1])
    ("'joy'", "['a', 1]")
    """
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def join_some(items: Iterable[object], most: int = 8) -> str:
    """Return items with commas between them; dots in place of those after the first ``most``.

    >>> join_some("abc", 2), join_some("ab", 2)
    ('a, b, ...', 'a, b')
    """
    texts = [str(item) for item in items]
    return ", ".join([*texts[:most], "..."] if len(texts) > most else texts)


def named_rows(rows: Sequence[int]) -> str:
    """Return row numbers, counted from 1, as text; the first few where there are many.

    >>> named_rows([7]), named_rows([0, 2])
    ('row 8', 'rows 1, 3')
    """
    first = join_some((row + 1 for row in rows), SHOWN)
    noun = "row" if len(rows) == 1 else "rows"
    return f"{noun} {first}"
