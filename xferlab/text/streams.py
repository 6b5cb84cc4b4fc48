"""Rows of files larger than memory, one after another; a bad row is told and costs no other.

Training reads whole tables (:mod:`xferlab.text.tables`) and refuses a file for one bad row. Here a
row that cannot be read comes with its problem, in its place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from xferlab.errors import ConfigError
from xferlab.text.csv_rows import MOST_LINES, TOO_LONG, csv_records, decoded, numbered_lines
from xferlab.text.tables import JSON_LINES, SEPARATORS, find_files, missing_column, read_table

TEXT_LINES = (".txt", ".text")
KINDS = (*SEPARATORS, *JSON_LINES, ".parquet", *TEXT_LINES)


@dataclass(frozen=True)
class StreamedRow:
    """A row as the file has it.

    Attributes:
        line: where it begins, counted from 1; 0 where there are no lines.
        values: by column name.
        problem: what keeps it from being read, "" if nothing does.
    """

    line: int
    values: dict[str, Any]
    problem: str = ""


@dataclass(frozen=True)
class Stream:
    """A file that is read row by row.

    Attributes:
        columns: their names, as far as the beginning of the file tells.
        rows: yields the rows, once, with the columns that it is given.
        total: rows or bytes of the file, None where nobody knows.
        done: says how many of those were read.
    """

    columns: Sequence[str]
    rows: Callable[[Sequence[str]], Iterator[StreamedRow]]
    total: int | None
    done: Callable[[], int]


def open_stream(name: str, key: str) -> Stream:
    """Open a CSV, TSV, JSON lines, Parquet or text file (one text a line, in the column ``text``).

    Raises:
        ConfigError: it is not there, of another kind, or its beginning is no header or row.
    """
    found = find_files(name, key)
    if len(found) > 1:
        raise ConfigError(f"{name} names {len(found)} files", where=key, fix=f"{key} {found[0]}")
    path, suffix = found[0], found[0].suffix.lower()
    if suffix not in KINDS:
        raise ConfigError(
            f"{path} is of an unknown kind: '{suffix}'", where=key, fix=f"use one of {_kinds()}"
        )
    if suffix == ".parquet":
        return _parquet(path)
    try:
        stream = path.open("rb")
    except OSError as e:
        what = f"{path} cannot be read: {e.strerror}"
        raise ConfigError(what, where=key, fix="name a readable file") from e
    if suffix in TEXT_LINES:
        return text_lines(stream, path.stat().st_size)
    if suffix in SEPARATORS:
        return _csv(path, stream, SEPARATORS[suffix])
    if suffix == ".json" and stream.read(1000).lstrip()[:1] == b"[":
        stream.close()
        return _whole(path, key)
    stream.seek(0)
    return _json_lines(path, stream)


def text_lines(stream: BinaryIO, size: int | None = None) -> Stream:
    """Read one text a line; in pairs, a tab stands between the two."""

    def rows(columns: Sequence[str]) -> Iterator[StreamedRow]:
        for line, data in numbered_lines(stream):
            if data is None:
                yield StreamedRow(line, {}, TOO_LONG)
                continue
            text = decoded(data).rstrip("\r\n")
            first, tab, second = text.partition("\t")
            yield StreamedRow(
                line,
                {"text": text, "first": first, "second": second} if tab else
                {"text": text, "first": text},
            )  # fmt: skip

    return Stream(("text", "first", "second"), rows, size, stream.tell if size else lambda: 0)


def _csv(path: Path, stream: BinaryIO, separator: str) -> Stream:
    lines = numbered_lines(stream)
    records = csv_records(lines, separator, 0)
    line, header = next(records, (1, f"{path} is empty"))
    if isinstance(header, str) or any("\udc80" <= c <= "\udcff" for name in header for c in name):
        what = header if isinstance(header, str) else "the header is not UTF-8"
        raise ConfigError(what, where=f"{path}:{line}", fix="write the names of the columns there")

    def rows(columns: Sequence[str]) -> Iterator[StreamedRow]:
        places = {name: header.index(name) for name in columns}
        for number, fields in csv_records(lines, separator, len(header)):
            if isinstance(fields, str):
                yield StreamedRow(number, {}, fields)
            else:
                yield StreamedRow(number, {name: fields[i] for name, i in places.items()})

    return Stream(header, rows, path.stat().st_size, stream.tell)


def _json_lines(path: Path, stream: BinaryIO) -> Stream:
    first: list[StreamedRow] = []
    rest = (
        _json_row(line, data)
        for line, data in numbered_lines(stream)
        if data is None or data.strip()
    )
    for row in rest:
        first.append(row)
        if row.values or len(first) == MOST_LINES:
            break
    if not first or not first[-1].values:
        raise ConfigError(
            f"{path} has no row in JSON" + (f": line 1 {first[0].problem}" if first else ""),
            where=str(path),
            fix="write one JSON object a line",
        )

    def rows(columns: Sequence[str]) -> Iterator[StreamedRow]:
        yield from first
        yield from rest

    return Stream(list(first[-1].values), rows, path.stat().st_size, stream.tell)


def _json_row(line: int, data: bytes | None) -> StreamedRow:
    if data is None:
        return StreamedRow(line, {}, TOO_LONG)
    try:
        row = json.loads(data.decode("utf-8-sig" if line == 1 else "utf-8"))
    except UnicodeDecodeError:
        return StreamedRow(line, {}, "is not Unicode (UTF-8)")
    except json.JSONDecodeError as e:
        return StreamedRow(line, {}, f"is not JSON: {e.msg} at column {e.colno}")
    except (RecursionError, ValueError) as e:
        return StreamedRow(line, {}, f"is not JSON: {e or 'it is nested too deeply'}")
    if not isinstance(row, dict):
        return StreamedRow(line, {}, "is no JSON object")
    return StreamedRow(line, row)


def _whole(path: Path, key: str) -> Stream:
    """Read a JSON list, which has no lines, as training does."""
    table = read_table(str(path), key)

    def rows(columns: Sequence[str]) -> Iterator[StreamedRow]:
        for values in zip(*(table.columns[name] for name in columns), strict=True):
            yield StreamedRow(0, dict(zip(columns, values, strict=True)))

    return Stream(list(table.columns), rows, None, lambda: 0)


def _parquet(path: Path) -> Stream:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path, pre_buffer=False)
        names, total = list(file.schema_arrow.names), file.metadata.num_rows
    except (pyarrow.ArrowException, OSError) as e:
        what = str(e).partition("\n")[0]
        raise ConfigError(
            f"{path} is not a whole Parquet file: {what}", where=str(path), fix="make it again"
        ) from e
    done = 0

    def rows(columns: Sequence[str]) -> Iterator[StreamedRow]:
        nonlocal done
        try:
            for batch in file.iter_batches(batch_size=1024, columns=list(columns)):
                for row in _parquet_rows(batch, columns):
                    done += 1
                    yield row
        except (pyarrow.ArrowException, OSError) as e:
            what = f"{path} is damaged after row {done}: {str(e).partition(chr(10))[0]}"
            raise ConfigError(what, where=str(path), fix="make it again") from e

    return Stream(names, rows, total, lambda: done)


def _parquet_rows(batch: Any, columns: Sequence[str]) -> Iterator[StreamedRow]:
    try:
        for values in zip(*(batch.column(name).to_pylist() for name in columns), strict=True):
            yield StreamedRow(0, dict(zip(columns, values, strict=True)))
    except UnicodeDecodeError:  # then nothing was yielded: a column is read as a whole
        for i in range(batch.num_rows):
            try:
                yield StreamedRow(0, {name: batch.column(name)[i].as_py() for name in columns})
            except UnicodeDecodeError:
                yield StreamedRow(0, {}, "is not Unicode (UTF-8)")


def column_of(
    stream: Stream, asked: str | None, usual: Sequence[str], key: str, source: str
) -> str:
    """Return which column to read: the one that is asked for, or the first of ``usual`` there is.

    Raises:
        ConfigError: there is none.
    """
    names = [asked] if asked else list(usual)
    for name in names:
        if name in stream.columns:
            return name
    raise missing_column(names[0], stream.columns, source, key)


def _kinds() -> str:
    return ", ".join(KINDS)
