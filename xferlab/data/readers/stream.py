"""Files of any format as one stream of rows, for training and for predictions.

The stream has every row in order, or in its place the problem of the row. Training stops at the
first problem (:mod:`xferlab.data.readers.table`), ``predict`` reports it and continues.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from xferlab.data.columns import missing_column
from xferlab.data.paths import JSON_LINES, KINDS, SEPARATORS, find_files
from xferlab.data.readers.csv_reader import (
    check_separator,
    csv_dialect,
    csv_records,
    declared_separator,
)
from xferlab.data.readers.examples import Stream, StreamedRow, checked_row
from xferlab.data.readers.json_reader import json_stream
from xferlab.data.readers.parquet_reader import parquet_stream
from xferlab.data.readers.text_file import (
    TOO_LONG,
    TextFile,
    decoded,
    detect_format,
    numbered_lines,
)
from xferlab.errors import ConfigError

LINE_COLUMNS = ("text", "first", "second")
"""Columns of a file of one text a line; in pairs, a tab separates first and second."""


def open_stream(name: str, key: str, separator: str = "", separator_key: str = "") -> Stream:
    """Open the one file that ``name`` matches; see :func:`open_path`."""
    found = find_files(name, key)
    if len(found) > 1:
        raise ConfigError(f"{name} names {len(found)} files", where=key, fix=f"{key} {found[0]}")
    return open_path(found[0], key, separator, separator_key)


def open_path(
    path: Path,
    key: str,
    separator: str = "",
    separator_key: str = "data.separator",
    suffixes: Sequence[str] = KINDS,
) -> Stream:
    """Open a CSV, TSV, JSON, JSON lines, Parquet or text file (one text a line).

    Args:
        path: the file; its suffix is the format.
        key: config key or flag that named it, for messages.
        separator: the character between columns, which allows any other suffix too; by default
            what the file declares, else a comma in ``.csv`` and a tab in ``.tsv``.
        separator_key: the config key or flag of the separator.
        suffixes: those that are allowed without a separator.

    Raises:
        ConfigError: it cannot be opened, has another format, or no header or row at the beginning.
    """
    suffix = path.suffix.lower()
    if suffix not in suffixes and not separator:
        raise ConfigError(
            f"{path} is of an unknown kind: '{suffix}'",
            where=key,
            fix=f"use one of {', '.join(suffixes)}, or name the separator of a text file:"
            f" \"{separator_key}=';'\"",
        )
    try:
        if separator and suffix not in (".parquet", *JSON_LINES):
            return _csv(detect_format(path), separator, key, separator_key)
        if suffix == ".parquet":
            return parquet_stream(path)
        text = detect_format(path)
        if suffix in SEPARATORS:
            declared = declared_separator(text) or SEPARATORS[suffix]
            return _csv(text, declared, key, separator_key)
        if suffix in JSON_LINES:
            return json_stream(text, key)
        stream = text.open()
        return text_lines(stream, text.size(), text.ending)
    except OSError as e:
        what = f"{path} cannot be read: {e.strerror or e}"
        raise ConfigError(what, where=key, fix="name a readable file") from e


def text_lines(stream: BinaryIO, size: int | None = None, ending: bytes = b"\n") -> Stream:
    """Read one text a line; in pairs, a tab separates the two."""

    def rows(columns: Sequence[str]) -> Iterator[StreamedRow]:
        for line, data in numbered_lines(stream, ending):
            if data is None:
                yield StreamedRow(line, {}, TOO_LONG)
                continue
            text = decoded(data).rstrip("\r\n")
            first, tab, second = text.partition("\t")
            values = {"text": text, "first": first}
            if tab:
                values["second"] = second
            yield checked_row(line, values)

    return Stream(LINE_COLUMNS, rows, size, stream.tell if size else lambda: 0)


def _csv(text: TextFile, separator: str, key: str, separator_key: str) -> Stream:
    """Open a file with a header and columns."""
    dialect, header, notes = csv_dialect(text, separator, key)
    check_separator(text, header, dialect, separator_key)
    stream = text.open()

    def rows(columns: Sequence[str]) -> Iterator[StreamedRow]:
        places = {name: header.index(name) for name in columns}
        for line, fields in csv_records(text, stream, dialect, len(header)):
            if isinstance(fields, str):
                yield StreamedRow(line, {}, fields)
            else:
                yield checked_row(line, {name: fields[i] for name, i in places.items()})

    return Stream(header, rows, text.size(), stream.tell, notes)


def column_of(
    stream: Stream, wanted: str | None, usual: Sequence[str], key: str, source: str
) -> str:
    """Return the column to read: the wanted one, or the first of ``usual`` that exists.

    Raises:
        ConfigError: there is none, or it is there twice.
    """
    names = [wanted] if wanted else list(usual)
    for columns in (lambda: stream.columns, stream.all_columns):
        known = columns()
        for name in names:
            for each in (name, name.strip()):
                if each in known:
                    return _only(each, known, source)
    raise missing_column(names[0], stream.all_columns() or stream.columns, source, key)


def _only(name: str, known: Sequence[str], source: str) -> str:
    if list(known).count(name) > 1:
        raise ConfigError(
            f"the header has the column '{name}' twice",
            where=f"{source}:1",
            fix="give each column a name of its own; the first line must name the columns",
        )
    return name
