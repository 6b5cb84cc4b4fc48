"""Rows of Parquet files: the columns asked for alone, some hundred rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from xferlab.errors import ConfigError
from xferlab.text.stream_types import NOT_UNICODE, Stream, StreamedRow, checked_row

BATCH_ROWS = 1024
BOMB_FACTOR = 1_000
BOMB_BYTES = 1_000_000_000
"""A file whose values are more bytes than this, and than so many times the file, is refused."""


def parquet_stream(path: Path) -> Stream:
    """Open a Parquet file.

    Raises:
        ConfigError: it is none.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path, pre_buffer=False)
        names = list(file.schema_arrow.names)
        total = file.metadata.num_rows
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as e:
        what = str(e).partition("\n")[0]
        raise ConfigError(
            f"{path} is not a whole Parquet file: {what}", where=str(path), fix="make it again"
        ) from e
    size = path.stat().st_size
    done = 0

    def rows(columns: Sequence[str]) -> Iterator[StreamedRow]:
        nonlocal done
        unpacked = 0
        if not columns:
            return
        try:
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(columns)):
                unpacked += batch.nbytes
                _refuse_bomb(path, size, unpacked)
                for row in _rows_of(batch, columns):
                    done += 1
                    yield row
        except (pyarrow.ArrowException, OSError, OverflowError, ValueError) as e:
            what = f"{path} cannot be read after row {done}: {str(e).partition(chr(10))[0]}"
            raise ConfigError(what, where=str(path), fix="make it again") from e

    return Stream(names, rows, total, lambda: done, row_count=total)


def _refuse_bomb(path: Path, size: int, unpacked: int) -> None:
    if unpacked > max(BOMB_BYTES, BOMB_FACTOR * size):
        raise ConfigError(
            f"{path} of {size:,} bytes unpacks to more than {BOMB_FACTOR:,} times its size",
            where=str(path),
            fix="do not use this file unless you know why; write it again as JSON lines if you do",
        )


def _rows_of(batch: Any, columns: Sequence[str]) -> Iterator[StreamedRow]:
    try:
        for values in zip(*(batch.column(name).to_pylist() for name in columns), strict=True):
            yield checked_row(0, dict(zip(columns, values, strict=True)))
    except UnicodeDecodeError:  # then nothing was yielded: a column is read as a whole
        for i in range(batch.num_rows):
            try:
                row = {name: batch.column(name)[i].as_py() for name in columns}
            except UnicodeDecodeError:
                yield StreamedRow(0, {}, NOT_UNICODE)
            else:
                yield checked_row(0, row)
