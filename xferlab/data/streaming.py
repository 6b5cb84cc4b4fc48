"""Texts in a temporary file instead of memory, and progress, for a command that reads data once.

Training has its texts in memory. Within :func:`streaming` the readers keep the texts of files and
of the Hub in a temporary file, so that millions of rows take eight bytes a text.
"""

from __future__ import annotations

import json
import os
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, overload

from xferlab.data.readers.examples import Stream

Follow = Callable[[int, float | None], None]
"""Is given the rows that are read of a file, and the fraction of it that they are, if known."""
EVERY = 5_000
"""Rows between two reports of progress."""
BUFFER = 1 << 20
"""Bytes that are written at once."""

_follow: ContextVar[Follow | None] = ContextVar("follow", default=None)


@contextmanager
def streaming(follow: Follow) -> Iterator[None]:
    """Within the block, readers report to ``follow`` and keep texts in temporary files."""
    token = _follow.set(follow)
    try:
        yield
    finally:
        _follow.reset(token)


def new_column() -> Any:
    """Return what a reader appends the texts of a column to."""
    return [] if _follow.get() is None else StoredTexts()


def stored(texts: Iterable[Any]) -> Any:
    """Return texts as a column, see :func:`new_column`; those of a list stay there."""
    if _follow.get() is None:
        return texts if isinstance(texts, list) else list(texts)
    column = StoredTexts()
    for text in texts:
        column.append(text)
    return column


def report_rows(rows: int, stream: Stream) -> None:
    """Report how many rows of a file are read, if somebody follows."""
    follow = _follow.get()
    if follow is not None:
        follow(rows, stream.fraction)


def pick(texts: Sequence[Any], rows: Iterable[int]) -> Any:
    """Return the texts of some rows: a list, or a view of stored texts."""
    if isinstance(texts, StoredTexts):
        return texts.view(array("q", (int(row) for row in rows)))
    return [texts[row] for row in rows]


def convert(texts: Sequence[Any], function: Callable[[Any], Any]) -> Any:
    """Return a function of each text: a list, or for stored texts computed when it is read."""
    if isinstance(texts, StoredTexts):
        return texts.view(texts.rows, function)
    return [function(text) for text in texts]


class StoredTexts(Sequence[Any]):
    """Strings, or lists of words, in a temporary file that has no name and is gone at the end.

    A value is JSON text; what JSON does not have, such as a date, stays in memory. Views of the
    same file are made by :meth:`view`.
    """

    def __init__(self) -> None:
        self._file: Any = tempfile.TemporaryFile(buffering=BUFFER)  # noqa: SIM115
        self._ends = array("q", [0])
        self._others: dict[int, Any] = {}
        self._written = 0
        self._function: Callable[[Any], Any] | None = None
        self.rows: array[int] | None = None

    def append(self, value: Any) -> None:
        """Add a value at the end."""
        try:
            data = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
        except TypeError:
            self._others[len(self._ends) - 1] = value
            data = b"null"
        self._file.write(data)
        self._ends.append(self._ends[-1] + len(data))

    def view(
        self, rows: array[int] | None, function: Callable[[Any], Any] | None = None
    ) -> StoredTexts:
        """Return the same texts: of some rows, through a function."""
        other = object.__new__(StoredTexts)
        other.__dict__.update(self.__dict__)
        own = self.rows
        other.rows = (
            rows if own is None or rows is own else array("q", (own[i] for i in rows or ()))
        )
        other._function = function or self._function
        return other

    def __len__(self) -> int:
        return len(self._ends) - 1 if self.rows is None else len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = range(len(self))[int(index)]
        value = self._read(place if self.rows is None else self.rows[place])
        return value if self._function is None else self._function(value)

    def _read(self, row: int) -> Any:
        if row in self._others:
            return self._others[row]
        if self._written < self._ends[row + 1]:
            self._file.flush()
            self._written = self._ends[-1]
        start = self._ends[row]
        data = os.pread(self._file.fileno(), self._ends[row + 1] - start, start)
        return json.loads(data.decode("utf-8", "surrogatepass"))

    def __iter__(self) -> Iterator[Any]:
        follow = _follow.get()
        count = len(self)
        for i in range(count):
            if follow is not None and i % EVERY == 0 and i:
                follow(i, i / count)
            yield self[i]
