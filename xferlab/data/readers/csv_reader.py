"""How CSV and TSV files are written, and their rows, of which a bad one costs no other.

How a file is written (encoding, separator, what quotes mean) is found once and for the whole file,
so that everybody who opens it reads the same rows.
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

MOST_LINES = 20_000  # of one row; a quote that is open for longer was never closed
OPEN_QUOTE = "a quote that opens here is never closed"
OTHERS = {"\t": "a tab", ";": "';'", ",": "a comma", "|": "'|'"}
"""Separators that are looked for in a header that another one leaves in one piece."""
_DECLARED = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE | re.DOTALL)

Record = tuple[int, list[str] | str]


@dataclass(frozen=True)
class Dialect:
    """How a file with columns is written.

    Attributes:
        separator: what stands between fields.
        quoting: ``csv.QUOTE_MINIMAL`` where quotes are marks, ``csv.QUOTE_NONE`` where letters.
        skip_blanks: whether blanks after a separator are no part of the field.
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
    """Return how a file is written, the names of its columns and what was guessed.

    Args:
        text: the file.
        separator: what stands between columns.
        key: config key or flag that named the file, for messages.

    Raises:
        ConfigError: its first row names no columns.
    """
    dialect = Dialect(separator, skipped=int(bool(declared_separator(text))))
    notes: list[str] = []
    if separator == "\t":
        dialect, notes = _quotes_of(text, dialect)
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
    """Return the line and the names of a header, as they stand; ConfigError if there is none."""
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
    """Return the header, a problem in its place, or no names where there is nothing."""
    with text.open() as stream:
        return next(_records(text, stream, dialect, 0), (1, []))


def _quotes_of(text: TextFile, dialect: Dialect) -> tuple[Dialect, list[str]]:
    """Return whether quotes in a TSV file are marks or letters: what leaves more rows readable.

    Many TSV files have quotes that are letters; read as marks, two of them join all rows between.
    """
    with text.open() as stream:
        if not any(b'"' in (data or b"") for _, data in text.lines(stream)):
            return dialect, []
    letters = replace(dialect, quoting=csv.QUOTE_NONE)
    _, header = _read_header(text, letters)
    if all(len(name) > 1 and name[0] == name[-1] == '"' for name in header):
        return dialect, []
    problems, rows = _count(text, dialect)
    problems_of_letters, rows_of_letters = _count(text, letters)
    if (problems, -rows) <= (problems_of_letters, -rows_of_letters):
        return dialect, []
    lost = (
        f"they would leave rows unreadable ({problems:,})"
        if problems > problems_of_letters
        else f"they would join {rows_of_letters:,} rows to {rows:,}"
    )
    return letters, [f"{text.path}: quotes are read as letters; as marks around fields {lost}"]


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
    """Raise ConfigError for a header that the separator leaves in one piece, and another splits.

    Args:
        text: the file.
        header: names of its columns.
        dialect: how it was read.
        key: what is typed to name the separator.
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
    """Yield the line and the fields of each row after the header, or in their place what is wrong.

    After a row that cannot be read the next line is tried, also where that row, for want of a
    closing quote, took in many more.

    Args:
        text: the file.
        stream: it, just opened.
        dialect: how it is written.
        width: fields in a row.
    """
    records = _records(text, stream, dialect, width)
    next(records, None)
    yield from records


def _records(text: TextFile, stream: BinaryIO, dialect: Dialect, width: int) -> Iterator[Record]:
    """Yield header and rows; the header whatever its width."""
    csv.field_size_limit(sys.maxsize)  # a long document is no mistake
    lines = text.lines(stream)
    for _ in range(dialect.skipped):
        next(lines, None)
    pending: deque[NumberedLine] = deque()
    used: list[NumberedLine] = []

    def feed() -> Iterator[str]:
        size = 0
        while (line := pending.popleft() if pending else next(lines, None)) is not None:
            if not used:
                size = 0
            used.append(line)
            if line[1] is None:
                raise csv.Error(TOO_LONG)
            size += len(line[1])
            if len(used) > MOST_LINES or size > LONGEST_LINE:
                raise csv.Error(OPEN_QUOTE)
            yield decoded(line[1])

    def parse() -> Iterator[list[str]]:
        return csv.reader(
            feed(),
            delimiter=dialect.separator,
            quoting=dialect.quoting,  # type: ignore[arg-type]
            skipinitialspace=dialect.skip_blanks,
            strict=True,
        )

    reader = parse()
    is_header = True
    while True:
        try:
            fields: list[str] | str | None = next(reader, None)
            is_whole = True
        except csv.Error as e:
            fields = _explained(str(e), len(used))
            is_whole = False
        if fields is None:
            return
        if isinstance(fields, list) and fields and not is_header and len(fields) != width:
            count = f"{len(fields)} field" + ("" if len(fields) == 1 else "s")
            fields = f"has {count}, the header has {width}"
        if isinstance(fields, str):
            if not (is_whole and _is_one_row(used[1:], dialect.separator, width)):
                pending.extendleft(reversed(used[1:]))
            reader = parse()
        if fields:
            yield used[0][0], fields
            is_header = False
        used.clear()


def _is_one_row(lines: Sequence[NumberedLine], separator: str, width: int) -> bool:
    """Return whether lines belong to the row before them: not each would be a row by itself."""
    return any(decoded(data or b"").count(separator) != width - 1 for _, data in lines)


def _explained(problem: str, lines: int) -> str:
    """Return what an error of the csv module means, after so many lines of one row."""
    if problem == TOO_LONG and lines == 1:
        return problem
    if problem.startswith("unexpected end") or lines > 1:
        problem = OPEN_QUOTE
    elif problem.startswith("new-line character"):
        problem = "it has a carriage return outside quotes"
    return f"cannot be read: {problem}"
