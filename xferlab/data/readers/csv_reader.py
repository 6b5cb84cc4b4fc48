"""Readers of CSV and TSV files: their dialect, and their rows, of which a bad one affects no other.

The dialect (encoding, separator, meaning of quotes) is detected once for the whole file, so that
training and predictions read the same rows.
"""

from __future__ import annotations

import csv
import re
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from xferlab.config.overrides import format_for_shell
from xferlab.data.readers.examples import text_problem
from xferlab.data.readers.text_file import LONGEST_LINE, TOO_LONG, NumberedLine, TextFile, decoded
from xferlab.errors import ConfigError
from xferlab.formatting import format_count

MOST_LINES = 20_000  # of one row; a quote that is open for longer was never closed
OPEN_QUOTE = "a quote that opens here is never closed"
OTHERS = {"\t": "a tab", ";": "';'", ",": "a comma", "|": "'|'"}
"""Separators that are tried where the header is one column."""
_DECLARED = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE | re.DOTALL)

Record = tuple[int, list[str] | str]


@dataclass(frozen=True)
class Dialect:
    """How a file with columns is written.

    Attributes:
        separator: the character between fields.
        quoting: ``csv.QUOTE_MINIMAL`` where quotes enclose fields, ``csv.QUOTE_NONE`` where they
            are characters of the text.
        skip_blanks: whether blanks after a separator are left out.
        skipped: lines before the header, such as Excel's ``sep=;``.
    """

    separator: str
    quoting: int = csv.QUOTE_MINIMAL
    skip_blanks: bool = False
    skipped: int = 0


def declared_separator(text: TextFile) -> str:
    """Return the separator that a first line such as Excel's ``sep=;`` names, "" if none does."""
    with text.open() as stream:
        _, data = next(text.lines(stream), (1, b""))
    match = _DECLARED.fullmatch(decoded(data or b"")[:20])
    return match[1] if match else ""


def csv_dialect(
    text: TextFile, separator: str, key: str
) -> tuple[Dialect, list[str], tuple[str, ...]]:
    """Return the dialect of a file, the names of its columns and notes on what was detected.

    Args:
        text: the file.
        separator: the character between columns.
        key: config key or flag that named the file, for messages.

    Raises:
        ConfigError: its first row names no columns.
    """
    dialect = Dialect(separator, skipped=int(bool(declared_separator(text))))
    notes: list[str] = []
    if separator == "\t":
        dialect, notes = _detect_quotes(text, dialect)
    line, header = _header(text, dialect, key)
    if len(header) > 1 and all(name.startswith(" ") for name in header[1:]):
        dialect = replace(dialect, skip_blanks=True)
        after = OTHERS.get(separator, repr(separator))
        notes.append(f"{text.path}: blanks after {after} are left out")
        line, header = _header(text, dialect, key)
    names = [name.strip() for name in header]
    problem = text_problem(names)
    if problem:
        raise ConfigError(
            f"the header {problem}",
            where=f"{text.path}:{line}",
            fix="write the names of the columns there, in UTF-8",
        )
    return dialect, names, tuple(notes)


def _header(text: TextFile, dialect: Dialect, key: str) -> tuple[int, list[str]]:
    """Return the line and the names of a header, unchanged; ConfigError if there is none."""
    line, header = _read_header(text, dialect)
    if isinstance(header, str):
        raise ConfigError(
            f"the header {header}",
            where=f"{text.path}:{line}",
            fix="write the names of the columns there",
        )
    if not any(name.strip() for name in header):
        raise ConfigError(f"{text.path} is empty", where=key, fix="name a file that has rows")
    return line, header


def _read_header(text: TextFile, dialect: Dialect) -> Record:
    """Return the header, or the problem in its place; no names for an empty file."""
    with text.open() as stream:
        return next(_RecordReader(text, stream, dialect, 0).records(), (1, []))


def _detect_quotes(text: TextFile, dialect: Dialect) -> tuple[Dialect, list[str]]:
    """Return the dialect of a TSV file in which more rows are readable, and notes on it.

    In many TSV files quotes are characters of the text; taken as marks around fields, two of them
    join all rows between.
    """
    with text.open() as stream:
        if not any(b'"' in (data or b"") for _, data in text.lines(stream)):
            return dialect, []
    literal = replace(dialect, quoting=csv.QUOTE_NONE)
    _, header = _read_header(text, literal)
    if all(len(name) > 1 and name[0] == name[-1] == '"' for name in header):
        return dialect, []
    problems, rows = _count(text, dialect)
    literal_problems, literal_rows = _count(text, literal)
    if (problems, -rows) <= (literal_problems, -literal_rows):
        return dialect, []
    lost = (
        f"they would leave rows unreadable ({problems:,})"
        if problems > literal_problems
        else f"they would join {literal_rows:,} rows to {rows:,}"
    )
    return literal, [f"{text.path}: quotes are read as letters; as marks around fields {lost}"]


def _count(text: TextFile, dialect: Dialect) -> tuple[int, int]:
    """Return how many rows cannot be read in a dialect, and how many rows there are."""
    _, header = _read_header(text, dialect)
    problems = int(isinstance(header, str))
    rows = 0
    with text.open() as stream:
        for _, fields in csv_records(text, stream, dialect, len(header)):
            problems += isinstance(fields, str)
            rows += 1
    return problems, rows


def check_separator(text: TextFile, header: Sequence[str], dialect: Dialect, key: str) -> None:
    """Raise ConfigError for a header of one column that another separator splits.

    Args:
        text: the file.
        header: names of its columns.
        dialect: how it was read.
        key: the config key or flag of the separator.
    """
    if len(header) > 1:
        return
    for other, word in OTHERS.items():
        if other in header[0] and other != dialect.separator:
            value = "\\t" if other == "\t" else other
            raise ConfigError(
                f"the header of {text.path} is one column: {header[0]!r}",
                where=key,
                fix=f"it looks like {word} stands between columns: {format_for_shell(key, value)}",
            )


def csv_records(text: TextFile, stream: BinaryIO, dialect: Dialect, width: int) -> Iterator[Record]:
    """Yield the line and the fields of each row after the header, or in their place the problem.

    After a row that cannot be read the next line is tried, also where that row, because a quote is
    not closed, includes many more lines.

    Args:
        text: the file.
        stream: it, just opened.
        dialect: how it is written.
        width: fields in a row.
    """
    records = _RecordReader(text, stream, dialect, width).records()
    next(records, None)
    yield from records


class _RecordReader:
    """Reads header and rows with the csv module, which gets its lines one at a time.

    Args:
        text: the file.
        stream: it, just opened.
        dialect: how it is written.
        width: fields in a row.
    """

    def __init__(self, text: TextFile, stream: BinaryIO, dialect: Dialect, width: int) -> None:
        csv.field_size_limit(sys.maxsize)  # a long document is valid
        self._dialect = dialect
        self._width = width
        self._file_lines = text.lines(stream)
        for _ in range(dialect.skipped):
            next(self._file_lines, None)
        self._repeated: deque[NumberedLine] = deque()
        self._row_lines: list[NumberedLine] = []

    def records(self) -> Iterator[Record]:
        """Yield header and rows; the header whatever its width."""
        parser = self._new_parser()
        is_header = True
        while True:
            self._row_lines.clear()
            is_complete = True
            try:
                fields: list[str] | str | None = next(parser, None)
            except csv.Error as e:
                fields = _explain_error(str(e), len(self._row_lines))
                is_complete = False
            if fields is None:
                return
            if isinstance(fields, list) and fields and not is_header:
                fields = self._check_width(fields)
            if isinstance(fields, str):
                self._resume_after_first_line(is_complete)
                parser = self._new_parser()
            if fields:
                yield self._row_lines[0][0], fields
                is_header = False

    def _new_parser(self) -> Iterator[list[str]]:
        return csv.reader(
            self._lines(),
            delimiter=self._dialect.separator,
            quoting=self._dialect.quoting,  # type: ignore[arg-type]
            skipinitialspace=self._dialect.skip_blanks,
            strict=True,
        )

    def _lines(self) -> Iterator[str]:
        """Yield lines as text, and collect those of the present row."""
        size = 0
        while (line := self._next_line()) is not None:
            number, data = line
            if not self._row_lines:
                size = 0
            self._row_lines.append((number, data))
            if data is None:
                raise csv.Error(TOO_LONG)
            size += len(data)
            if len(self._row_lines) > MOST_LINES or size > LONGEST_LINE:
                raise csv.Error(OPEN_QUOTE)
            yield decoded(data)

    def _next_line(self) -> NumberedLine | None:
        return self._repeated.popleft() if self._repeated else next(self._file_lines, None)

    def _check_width(self, fields: list[str]) -> list[str] | str:
        if len(fields) == self._width:
            return fields
        count = format_count(len(fields), "field")
        return f"has {count}, the header has {self._width}"

    def _resume_after_first_line(self, is_complete: bool) -> None:
        """Read the lines after a bad row's first line again, unless they are a part of that row."""
        later = self._row_lines[1:]
        if not (is_complete and _is_one_row(later, self._dialect.separator, self._width)):
            self._repeated.extendleft(reversed(later))


def _is_one_row(lines: Sequence[NumberedLine], separator: str, width: int) -> bool:
    """Return whether lines are a part of the row before them: not each is a row by itself."""
    return any(decoded(data or b"").count(separator) != width - 1 for _, data in lines)


def _explain_error(problem: str, lines: int) -> str:
    """Return what an error of the csv module means, after so many lines of one row."""
    if problem == TOO_LONG and lines == 1:
        return problem
    if problem.startswith("unexpected end") or lines > 1:
        problem = OPEN_QUOTE
    elif problem.startswith("new-line character"):
        problem = "it has a carriage return outside quotes"
    return f"cannot be read: {problem}"
