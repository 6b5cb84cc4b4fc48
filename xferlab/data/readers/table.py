"""Columns of files for training: all rows, or an error for the first that cannot be read."""

from __future__ import annotations

import logging
import math
import shlex
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xferlab.data.columns import missing_column
from xferlab.data.paths import SUFFIXES, find_files
from xferlab.data.readers.examples import NOT_UNICODE, NumberedRow, Stream, StreamedRow
from xferlab.data.readers.parquet_reader import parquet_stream
from xferlab.data.readers.stream import column_of, open_path
from xferlab.data.streaming import EVERY, new_column, report_rows
from xferlab.errors import ConfigError

log = logging.getLogger(__name__)

Columns = dict[str, Any]
SAMPLE_FACTOR = 100
MIN_SAMPLE = 100_000
"""Of very many rows a sample of so many times the limit, or so many, is read."""
TEXT_KEYS = ("data.text", "data.pair")
"""Config keys of the columns of texts, which may be larger than memory."""
MAX_ROWS = 5_000_000
"""Default limit of rows: a file's header may claim any number at no cost."""


@dataclass(frozen=True)
class Table:
    """Columns of one or several files, one below the other.

    Attributes:
        columns: values by column name: strings from CSV and TSV, typed from the others.
        files: the files and their numbers of rows, in order.
        key: config key of the files, for messages.
        numbers: the number of each row in its file, from 1 without the header.
    """

    columns: Columns
    files: list[tuple[Path, int]]
    key: str
    numbers: array[int]

    def __len__(self) -> int:
        return sum(rows for _, rows in self.files)

    def column(self, name: str, key: str) -> Any:
        """Return a column; ``key`` is its config key, for messages."""
        if name not in self.columns:
            raise missing_column(name, self.columns, str(self.files[0][0]), key)
        return self.columns[name]

    def place(self, row: int) -> str:
        """Return the place of a row: its file, and its number there."""
        last = 0
        for path, rows in self.files:
            last += rows
            if row < last:
                return f"{path}, row {self.numbers[row]}"
        raise IndexError(row)


def read_table(
    pattern: str,
    key: str,
    separator: str = "",
    columns: Mapping[str, str] | None = None,
    max_rows: int = MAX_ROWS,
    limit: int | float | None = None,
    seed: int = 0,
    optional: Collection[str] = (),
) -> Table:
    """Read a file, or all files that a glob finds, in sorted order.

    Args:
        pattern: path or glob; the suffix is the format.
        key: config key of ``pattern``, for messages.
        separator: the character between columns; by default what the file declares in a first
            line ``sep=;``, else a comma in ``.csv``, a tab in ``.tsv``.
        columns: the columns to read and the config key of each; None for all.
        max_rows: most rows; more are an error.
        limit: how many of the rows will be used, if that is known: of Parquet files with more
            than ``max_rows`` rows only a sample of a hundred times as many is read.
        seed: of that sample.
        optional: columns that are read as well where every file has them.

    Raises:
        ConfigError: a file is missing or cannot be read in its format.
    """
    paths = find_files(pattern, key)
    fraction = _fraction_to_read(paths, max_rows, limit, key)
    table = Table({}, [], key, array("q"))
    if columns is not None and optional:
        known = [open_path(path, key, separator, suffixes=SUFFIXES).columns for path in paths]
        there = [name for name in optional if all(name in each for each in known)]
        columns = {**dict.fromkeys(there, ""), **columns}
    keys = columns or {}
    texts = {name for name, its in keys.items() if its in TEXT_KEYS}
    for path in paths:
        stream = _opened(path, key, separator)
        names = _names_of(stream, columns, path, key)
        if columns is None and table.files:
            _refuse_other_columns(table, path, names)
        rows = _followed(path, stream, names, fraction, seed + len(table.files))
        if fraction < 1:
            _append(table, path, names, rows, texts)
            continue
        claimed = len(table) + (stream.row_count or 0)
        if claimed > max_rows:
            raise _too_many(path, claimed, max_rows, key)
        _append(table, path, names, rows, texts, max_rows)
    if not len(table):
        raise ConfigError(f"{pattern} has no rows", where=key, fix="name a file that has some")
    return table


def _refuse_other_columns(table: Table, path: Path, names: Mapping[str, str]) -> None:
    if set(names) != set(table.columns):
        raise ConfigError(
            f"{path} has other columns than {table.files[0][0]}: {', '.join(names)}"
            f" instead of {', '.join(table.columns)}",
            where=table.key,
            fix="name files of one kind",
        )


def _fraction_to_read(
    paths: Sequence[Path], max_rows: int, limit: int | float | None, key: str
) -> float:
    """Return the fraction of rows to read: 1 unless a few of very many will be used."""
    if limit is None or limit < 1 or any(path.suffix.lower() != ".parquet" for path in paths):
        return 1.0
    total = sum(parquet_stream(path).row_count or 0 for path in paths)
    wanted = min(max_rows, max(MIN_SAMPLE, SAMPLE_FACTOR * int(limit)))
    if total <= max_rows:
        return 1.0
    log.info(
        "%s has %s rows: a sample of about %s, by the seed, is read, and the limit is taken"
        " from those",
        key,
        f"{total:,}",
        f"{wanted:,}",
    )
    return wanted / total


def _opened(path: Path, key: str, separator: str) -> Stream:
    stream = open_path(path, key, separator, suffixes=SUFFIXES)
    for note in stream.notes:
        log.info("%s", note)
    return stream


def _names_of(
    stream: Stream, columns: Mapping[str, str] | None, path: Path, key: str
) -> dict[str, str]:
    """Return the name of each column in the file, by the name that the caller uses."""
    if columns is None:
        known = list(stream.all_columns() or stream.columns)
        return {name: column_of(stream, name, (), key, str(path)) for name in known}
    return {
        name: column_of(stream, name, (), column_key, str(path))
        for name, column_key in columns.items()
    }


def _numbered_rows(
    stream: Stream, names: Mapping[str, str], fraction: float, seed: int
) -> Iterator[NumberedRow]:
    """Return the rows of a file, or a sample of them, each with its number from 1."""
    columns = list(dict.fromkeys(names.values()))
    if fraction < 1 and stream.sampled_rows:
        return stream.sampled_rows(columns, fraction, seed)
    return enumerate(stream.rows(columns), start=1)


def _followed(
    path: Path, stream: Stream, names: Mapping[str, str], fraction: float, seed: int
) -> Iterator[NumberedRow]:
    """Yield the rows of a file and report how far that is."""
    for count, row in enumerate(_numbered_rows(stream, names, fraction, seed)):
        if count % EVERY == 0:
            report_rows(count, stream)
        yield row


def _append(
    table: Table,
    path: Path,
    names: Mapping[str, str],
    rows: Iterator[NumberedRow],
    texts: Collection[str],
    max_rows: float = math.inf,
) -> None:
    """Append a file's rows to a table; ConfigError at the first problem, or at one row too many."""
    for name in names:
        if name not in table.columns:
            table.columns[name] = new_column() if name in texts else []
    columns = [(table.columns[name], column) for name, column in names.items()]
    before = len(table)
    count = 0
    for number, row in rows:
        if row.problem:
            raise _row_error(path, number, row)
        count += 1
        if before + count > max_rows:
            raise _too_many(path, before + count, int(max_rows), table.key)
        for values, column in columns:
            values.append(row.values[column])
        table.numbers.append(number)
    table.files.append((path, count))


def _too_many(path: Path, rows: int, most: int, key: str) -> ConfigError:
    group = key.partition(".")[0]
    return ConfigError(
        f"{path} brings {key} to {rows:,} rows or more; at most {most:,} are read",
        where=key,
        fix=f"{group}.max_rows={rows} if so many are meant, or name a smaller file",
    )


def _row_error(path: Path, number: int, row: StreamedRow) -> ConfigError:
    """Return the error for a row that cannot be read."""
    return ConfigError(
        f"row {number} {row.problem}",
        where=f"{path}:{row.line}" if row.line else f"{path}, row {number}",
        fix=row.fix or _usual_fix(path, row.problem),
    )


def _usual_fix(path: Path, problem: str) -> str:
    if problem == NOT_UNICODE:
        new = path.with_stem(f"{path.stem}-utf8")
        names = f"{shlex.quote(str(path))} > {shlex.quote(str(new))}"
        return f"save it as UTF-8, for instance: iconv -f WINDOWS-1252 -t UTF-8 {names}"
    if "fields, the header" in problem or "field, the header" in problem:
        return 'put quotes around a field that contains the separator: "..."'
    if problem.startswith("cannot be read"):
        return 'inside a quoted field write a quote as two: ""'
    return "correct that row, or leave it out"
