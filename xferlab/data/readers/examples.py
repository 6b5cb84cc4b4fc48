"""What every reader of a file yields: rows, or in place of a row its problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

NOT_UNICODE = "is not Unicode (UTF-8)"
HALF_PAIR = "has half a surrogate pair (no Unicode)"
NUL_BYTE = "has a NUL byte (\\x00)"


class StreamedRow(NamedTuple):
    """A row of a file, or its problem.

    Attributes:
        line: its first line, counted from 1; 0 where there are no lines.
        values: by column name.
        problem: why it cannot be read, "" if it can; a verb that follows "row 3".
        fix: how to correct the problem, "" for the usual.
    """

    line: int
    values: dict[str, Any]
    problem: str = ""
    fix: str = ""


NumberedRow = tuple[int, StreamedRow]


@dataclass(frozen=True)
class Stream:
    """A file that is read row by row.

    Attributes:
        columns: their names, as far as the beginning of the file has them.
        rows: yields the rows, once, with the given columns.
        total: rows or bytes of the file, None where that is unknown.
        done: returns how many of those were read.
        notes: notes on the detected format, for the log.
        all_columns: searches the whole file for the names of columns.
        row_count: rows of the file according to its header, None without one.
        sampled_rows: yields the number and the content of about a fraction of the rows, sampled
            with a seed, at the cost of those alone; None for formats without random access.
    """

    columns: Sequence[str]
    rows: Callable[[Sequence[str]], Iterator[StreamedRow]]
    total: int | None
    done: Callable[[], int]
    notes: tuple[str, ...] = ()
    all_columns: Callable[[], Sequence[str]] = tuple
    row_count: int | None = None
    sampled_rows: Callable[[Sequence[str], float, int], Iterator[NumberedRow]] | None = None

    @property
    def fraction(self) -> float | None:
        """What is read of the file, 0 to 1; None where that is not known."""
        try:
            return self.done() / self.total if self.total else None
        except OSError:  # a decoded file has no position
            return None


def text_problem(value: Any) -> str:
    """Return why a value is not text that can be stored and shown, "" if it is.

    >>> text_problem("a"), text_problem(["a", "b\\0"]), text_problem(1.5)
    ('', 'has a NUL byte (\\\\x00)', '')
    """
    if isinstance(value, str):
        if "\0" in value:
            return NUL_BYTE
        if value.isascii():
            return ""
        try:
            value.encode()
        except UnicodeEncodeError as e:
            escaped = "\udc80" <= value[e.start] <= "\udcff"
            return NOT_UNICODE if escaped else HALF_PAIR
        return ""
    if isinstance(value, dict):
        return text_problem(list(value)) or text_problem(list(value.values()))
    if isinstance(value, list | tuple):
        return next((problem for one in value if (problem := text_problem(one))), "")
    return ""


def checked_row(line: int, values: dict[str, Any]) -> StreamedRow:
    """Return a row, or its problem where a value is not valid text."""
    for value in values.values():
        problem = text_problem(value)
        if problem:
            return StreamedRow(line, {}, problem)
    return StreamedRow(line, values)
