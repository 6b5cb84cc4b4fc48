"""Writers of predictions: a table for a terminal, CSV, JSON lines and Parquet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from xferlab.contracts import TaskSpec
from xferlab.errors import ConfigError
from xferlab.escaping import csv_text, json_line
from xferlab.inference.prediction_table import format_table

FORMATS = ("table", "csv", "jsonl")
"""What can be written to a terminal or into a pipe."""
SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}


class Writer(Protocol):
    """Writes predictions, some rows at a time."""

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write rows that have every column of :func:`columns_of`, or ``row`` and ``error``."""

    def close(self) -> None:
        """Write what is left to write."""


def columns_of(spec: TaskSpec, more: Sequence[str] = ()) -> list[str]:
    """Return the names of the columns, in order; ``more`` are those of sets and intervals."""
    first, *rest = spec.task.prediction_columns(spec)
    pair = ["pair"] if spec.has_pairs else []
    return ["row", first, *pair, *rest, *more, "error"]


def format_of(path: Path) -> str:
    """Return the format of a file by its suffix.

    Raises:
        ConfigError: none, or the file cannot be made.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"{path} is of an unknown kind: '{path.suffix}'",
            where="--output",
            fix=f"use one of {', '.join(SUFFIXES)}",
        )
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else "cannot be made: its folder is not there"
        raise ConfigError(f"{path} {what}", where="--output", fix="name a file in a folder")
    return SUFFIXES[path.suffix.lower()]


class TableWriter:
    """A table for people, without the rows that have no prediction."""

    def __init__(self, spec: TaskSpec, stream: IO[str], more: Sequence[str] = ()) -> None:
        self._spec = spec
        self._stream = stream

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Print the rows without an error, which is printed on standard error."""
        predicted = [
            {name: value for name, value in row.items() if name not in ("row", "error")}
            for row in rows
            if not row.get("error")
        ]
        if predicted:
            self._stream.write(format_table(self._spec, predicted) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Do nothing."""


class CsvWriter:
    """CSV with a header; labels are joined by ``|``, words and tags by a blank.

    A text that a spreadsheet would read as a formula begins with a ``'``.
    """

    def __init__(self, spec: TaskSpec, stream: IO[str], more: Sequence[str] = ()) -> None:
        self._separators = {"set": "|"}
        self._separator = spec.task.list_separator
        self._stream = stream
        self._columns = columns_of(spec, more)
        self._stream.write(csv_text([self._columns]))

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write a line for each row."""
        cells = [[self._cell(name, row.get(name, "")) for name in self._columns] for row in rows]
        self._stream.write(csv_text(cells))
        self._stream.flush()

    def _cell(self, name: str, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return self._separators.get(name, self._separator).join(
            f"{one:.6g}" if isinstance(one, float) else "" if one is None else one for one in value
        )

    def close(self) -> None:
        """Do nothing."""


class JsonLinesWriter:
    """One JSON object on each line."""

    def __init__(self, spec: TaskSpec, stream: IO[str], more: Sequence[str] = ()) -> None:
        self._stream = stream

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write a line for each row."""
        self._stream.writelines(json_line(row) + "\n" for row in rows)
        self._stream.flush()

    def close(self) -> None:
        """Do nothing."""


class ParquetWriter:
    """Parquet, a row group for each chunk."""

    def __init__(self, spec: TaskSpec, path: Path, more: Sequence[str] = ()) -> None:
        import pyarrow
        import pyarrow.parquet

        kinds: dict[str, Any] = {
            "row": pyarrow.int64(),
            "labels": pyarrow.list_(pyarrow.string()),
            "words": pyarrow.list_(pyarrow.string()),
            "tags": pyarrow.list_(pyarrow.string()),
            "probabilities": pyarrow.list_(pyarrow.float32()),
            "set": pyarrow.list_(pyarrow.string()),
            **dict.fromkeys(("value", "low", "high"), pyarrow.float32()),
        }
        text = pyarrow.string()
        number = pyarrow.float32()
        self._schema = pyarrow.schema(
            [
                (name, kinds.get(name, number if name.startswith("p_") else text))
                for name in columns_of(spec, more)
            ]
        )
        self._table = pyarrow.Table
        self._writer = pyarrow.parquet.ParquetWriter(path, self._schema)

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write a row group."""
        if rows:
            self._writer.write_table(self._table.from_pylist(list(rows), self._schema))

    def close(self) -> None:
        """Write the footer, without which the file cannot be read."""
        self._writer.close()


TEXT_WRITERS: dict[str, Callable[..., Writer]] = {
    "table": TableWriter,
    "csv": CsvWriter,
    "jsonl": JsonLinesWriter,
}
