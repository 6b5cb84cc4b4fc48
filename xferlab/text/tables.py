"""Columns of CSV, TSV, JSON lines and Parquet files, all as the file gives them."""

from __future__ import annotations

import csv
import glob
import io
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xferlab.errors import ConfigError, nearest

Columns = dict[str, list[Any]]

SEPARATORS = {".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson", ".json")
SUFFIXES = (*SEPARATORS, *JSON_LINES, ".parquet")


@dataclass(frozen=True)
class Table:
    """Columns of one or several files, one below the other.

    Attributes:
        columns: values by column name: strings from CSV and TSV, typed from the others.
        files: the files and how many rows each has, in order.
        key: config key that named them, for messages.
    """

    columns: Columns
    files: tuple[tuple[Path, int], ...]
    key: str

    def __len__(self) -> int:
        return sum(rows for _, rows in self.files)

    def column(self, name: str, key: str) -> list[Any]:
        """Return a column; ``key`` is the config key that asks for it."""
        if name not in self.columns:
            raise missing_column(name, self.columns, str(self.files[0][0]), key)
        return self.columns[name]

    def place(self, row: int) -> str:
        """Say where a row is, counting from 1 in its file, the header left out."""
        for path, rows in self.files:
            if row < rows:
                return f"{path}, row {row + 1}"
            row -= rows
        raise IndexError(row)


def missing_column(name: str, known: Iterable[str], source: str, key: str) -> ConfigError:
    """Return the error for a column that ``source`` does not have."""
    have, near = ", ".join(known), nearest(name, known)
    return ConfigError(
        f"{source} has no column '{name}'; its columns are: {have}",
        where=key,
        fix=f"did you mean {key}={near}?" if near else f"{key}=COLUMN, one of those",
    )


def read_table(pattern: str, key: str, separator: str = "") -> Table:
    """Read a file, or all files that a glob finds, in sorted order.

    Args:
        pattern: path or glob; the suffix says the format.
        key: config key that holds ``pattern``, for messages.
        separator: what stands between columns; by default a comma in ``.csv``, a tab in ``.tsv``.

    Raises:
        ConfigError: a file is missing or cannot be read as what it claims to be.
    """
    columns: Columns = {}
    files: list[tuple[Path, int]] = []
    for path in find_files(pattern, key):
        part = _read_file(path, key, separator)
        if files and set(part) != set(columns):
            raise ConfigError(
                f"{path} has other columns than {files[0][0]}: {', '.join(part)}"
                f" instead of {', '.join(columns)}",
                where=key,
                fix="name files of one kind",
            )
        for name, values in part.items():
            columns.setdefault(name, []).extend(values)
        files.append((path, len(next(iter(part.values()), []))))
    if not any(rows for _, rows in files):
        raise ConfigError(f"{pattern} has no rows", where=key, fix="name a file that has some")
    return Table(columns, tuple(files), key)


def find_files(pattern: str, key: str) -> list[Path]:
    """Return the file that is named so, or those a glob finds, sorted; ConfigError if none."""
    path = Path(os.path.expanduser(pattern))  # os.path: a name that cannot be is one that is not
    if os.path.isfile(path):
        return [path]
    if os.path.isdir(path):
        kinds = sorted({p.suffix for p in path.iterdir() if p.suffix in SUFFIXES})
        raise ConfigError(
            f"{pattern} is a folder",
            where=key,
            fix=f"{key}='{pattern.rstrip('/')}/*{kinds[0] if kinds else '.csv'}'",
        )
    found = sorted(Path(name) for name in glob.glob(str(path), recursive=True))
    files = [p for p in found if os.path.isfile(p)]
    if files:
        return files
    what = "no file fits" if glob.has_magic(pattern) else "there is no file"
    raise ConfigError(f"{what} {pattern}", where=key, fix=nearest_file(path))


def nearest_file(path: Path) -> str:
    """Return the remedy for a missing file: the nearest name in the last folder that exists."""
    folder, name = path.parent, path.name
    while not os.path.isdir(folder) and folder != folder.parent:
        folder, name = folder.parent, folder.name
    names = [p.name for p in folder.iterdir() if not p.name.startswith(".")]
    here = "here" if folder == Path() else f"in {folder}"
    shown = ", ".join(sorted(names)[:8]) + (", ..." if len(names) > 8 else "")
    near = nearest(name, names)
    return f"did you mean {folder / near}?" if near else f"{here} there are: {shown or 'no files'}"


def _read_file(path: Path, key: str, separator: str) -> Columns:
    suffix = path.suffix.lower()
    try:
        if separator or suffix in SEPARATORS:
            return _read_csv(path, key, separator or SEPARATORS[suffix])
        if suffix in JSON_LINES:
            return _read_json(path)
        if suffix == ".parquet":
            return _read_parquet(path)
    except OSError as e:
        raise ConfigError(
            f"{path} cannot be read: {e.strerror or e}", where=key, fix="name a readable file"
        ) from e
    raise ConfigError(
        f"{path} is of an unknown kind: '{suffix}'",
        where=key,
        fix=f"use one of {', '.join(SUFFIXES)}, or name the separator of a text file:"
        " data.separator=';'",
    )


def _text(path: Path) -> str:
    """Return a file's text, or raise ConfigError naming the line that is not UTF-8."""
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        kind = "UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "another encoding"
        raise ConfigError(
            f"line {line} is not UTF-8 (byte 0x{data[e.start]:02x}); the file may be in {kind}",
            where=f"{path}:{line}",
            fix="save it as UTF-8",
        ) from e


def _read_csv(path: Path, key: str, separator: str) -> Columns:
    """Read a text file with a header row."""
    text = _text(path)
    if not text.strip():
        raise ConfigError(f"{path} is empty", where=key, fix="name a file that has rows")
    if separator == "\t" and '"' in text:
        rows = _tsv_rows(path, text)
    else:
        rows = list(_csv_rows(path, text, separator, csv.QUOTE_MINIMAL))
    header = rows[0]
    _check_header(path, header, separator)
    values = zip(*rows[1:], strict=True) if rows[1:] else [()] * len(header)
    return dict(zip(header, map(list, values), strict=True))


def _tsv_rows(path: Path, text: str) -> list[Sequence[str]]:
    """Read a TSV with quoted fields, or with plain quotes where these would join whole rows."""
    readings, problems = [], []
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
        try:
            readings.append(list(_csv_rows(path, text, "\t", quoting)))
        except ConfigError as e:
            problems.append(e)
    if not readings:
        raise problems[-1]
    return max(readings, key=len)


def _csv_rows(path: Path, text: str, separator: str, quoting: Any) -> Iterator[Sequence[str]]:
    """Yield the header and the rows, each as wide as the header; blank lines are left out."""
    csv.field_size_limit(sys.maxsize)  # a long document is no mistake
    stream = io.StringIO(text, newline="")
    reader = csv.reader(stream, delimiter=separator, quoting=quoting, strict=True)
    number, width, line = 0, 0, 1
    while True:
        try:
            row = next(reader, None)
        except csv.Error as e:
            what = str(e)
            if "unexpected end of data" in what:
                what = "a quote that opens here is never closed"
            raise ConfigError(
                f"row {number} cannot be read: {what}",
                where=f"{path}:{line}",
                fix='inside a quoted field write a quote as two: ""',
            ) from e
        if row is None:
            return
        if row:
            width = width or len(row)
            if len(row) != width:
                raise ConfigError(
                    f"row {number} has {_count(len(row), 'field')}, the header has {width}",
                    where=f"{path}:{line}",
                    fix=f'put quotes around a field that contains {separator!r}: "..."',
                )
            yield row
            number += 1
        line = reader.line_num + 1


def _check_header(path: Path, header: Sequence[str], separator: str) -> None:
    """Raise ConfigError for a header split at the wrong sign, or with a name twice."""
    if len(header) == 1:
        for other, word in (("\t", "a tab"), (";", "';'"), (",", "a comma"), ("|", "'|'")):
            if other in header[0] and other != separator:
                typed = "\\t" if other == "\t" else other
                raise ConfigError(
                    f"the header of {path} is one column: {header[0]!r}",
                    where="data.separator",
                    fix=f"it looks like {word} stands between columns: data.separator='{typed}'",
                )
    twice = sorted(name for name, times in Counter(header).items() if times > 1)
    if twice:
        raise ConfigError(
            f"the header has the column '{twice[0]}' twice",
            where=f"{path}:1",
            fix="give each column a name of its own; the first line must name the columns",
        )


def _read_json(path: Path) -> Columns:
    """Read JSON lines, or one JSON list; a key that a row lacks is None there."""
    text = _text(path)
    if text.lstrip().startswith("["):
        try:
            rows = json.loads(text)
        except json.JSONDecodeError as e:
            raise _bad_json(path, e.lineno, e.msg) from e
        except RecursionError as e:
            raise _bad_json(path, 1, "it is nested too deeply") from e
        numbered = list(enumerate(rows, 1))
    else:
        numbered = []
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                try:
                    numbered.append((number, json.loads(line)))
                except json.JSONDecodeError as e:
                    raise _bad_json(path, number, f"{e.msg} at column {e.colno}") from e
                except RecursionError as e:
                    raise _bad_json(path, number, "it is nested too deeply") from e
    names: dict[str, None] = {}
    for number, row in numbered:
        if not isinstance(row, dict):
            raise _bad_json(path, number, 'a row must be an object: {"text": ..., "label": ...}')
        names.update(dict.fromkeys(row))
    return {name: [row.get(name) for _, row in numbered] for name in names}


def _bad_json(path: Path, line: int, problem: str) -> ConfigError:
    return ConfigError(
        f"line {line} is not a row in JSON: {problem}",
        where=f"{path}:{line}",
        fix="write one JSON object a line",
    )


def _read_parquet(path: Path) -> Columns:
    import pyarrow
    import pyarrow.parquet

    try:
        return pyarrow.parquet.read_table(path).to_pydict()
    except pyarrow.ArrowException as e:
        what = str(e).partition("\n")[0]
        raise ConfigError(
            f"{path} is not a whole Parquet file: {what}", where=str(path), fix="make it again"
        ) from e


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
