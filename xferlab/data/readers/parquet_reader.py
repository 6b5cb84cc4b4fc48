"""Reader of Parquet files: only the columns that are used, a thousand rows at a time.

A few bytes may decode to gigabytes of equal values. So equal strings of a batch are one string in
memory, and the decoded size is limited by the size of the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from xferlab.data.readers.examples import NOT_UNICODE, NumberedRow, Stream, StreamedRow, checked_row
from xferlab.errors import ConfigError

BATCH_ROWS = 1024
SAMPLE_BATCH_ROWS = 65_536
MOST_UNPACKED = 1_000_000_000
MOST_TIMES = 1_000
"""A file with more characters than that, and than so many times its bytes, is an error."""


def parquet_stream(path: Path) -> Stream:
    """Open a Parquet file.

    Raises:
        ConfigError: it is not one.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path, pre_buffer=False)
        names = list(file.schema_arrow.names)
        total = file.metadata.num_rows
    except (pyarrow.ArrowException, OSError, ValueError) as e:
        what = str(e).partition("\n")[0]
        raise ConfigError(
            f"{path} is not a whole Parquet file: {what}", where=str(path), fix="make it again"
        ) from e
    done = 0

    def rows(columns: Sequence[str]) -> Iterator[StreamedRow]:
        for _, row in sampled_rows(columns, 1.0, 0):
            yield row

    def sampled_rows(columns: Sequence[str], fraction: float, seed: int) -> Iterator[NumberedRow]:
        nonlocal done
        try:
            for number, row in _rows(path, file.schema_arrow, columns, fraction, seed):
                done = number
                yield number, row
        except (pyarrow.ArrowException, OSError, OverflowError, ValueError, MemoryError) as e:
            what = f"{path} cannot be read after row {done}: {str(e).partition(chr(10))[0]}"
            raise ConfigError(what, where=str(path), fix="make it again") from e

    return Stream(names, rows, total, lambda: done, row_count=total, sampled_rows=sampled_rows)


def _rows(
    path: Path, schema: Any, columns: Sequence[str], fraction: float, seed: int
) -> Iterator[NumberedRow]:
    """Yield number and content of each sampled row.

    Top-level strings are read as a dictionary.
    """
    import numpy as np
    import pyarrow
    import pyarrow.parquet

    is_text = (pyarrow.types.is_string, pyarrow.types.is_large_string)
    texts = [name for name in columns if any(test(schema.field(name).type) for test in is_text)]
    file = pyarrow.parquet.ParquetFile(path, pre_buffer=False, read_dictionary=texts)
    most = max(MOST_UNPACKED, MOST_TIMES * path.stat().st_size)
    characters = 0
    before = 0
    words = np.random.PCG64(seed)
    batch_size = BATCH_ROWS if fraction >= 1 else SAMPLE_BATCH_ROWS
    for batch in file.iter_batches(batch_size=batch_size, columns=list(columns)):
        numbers = np.arange(batch.num_rows) + before + 1
        before += batch.num_rows
        if fraction < 1:
            places = np.flatnonzero(words.random_raw(len(numbers)) < int(fraction * 2**64))
            numbers = numbers[places]
            batch = batch.take(pyarrow.array(places))
        for number, row in zip(numbers.tolist(), _rows_of(batch, columns), strict=True):
            characters += sum(len(v) for v in row.values.values() if isinstance(v, str | list))
            if characters > most:
                size = f"{path.stat().st_size:,} bytes"
                raise ConfigError(
                    f"{path} of {size} unpacks to more than {most:,} characters",
                    where=str(path),
                    fix="do not use it unless you know why; JSON lines have their full size",
                )
            yield number, row


def _rows_of(batch: Any, columns: Sequence[str]) -> Iterator[StreamedRow]:
    lists = [values_of(batch.column(name)) for name in columns]
    for values in zip(*lists, strict=True):
        if any(value is NO_TEXT for value in values):
            yield StreamedRow(0, {}, NOT_UNICODE)
        else:
            yield checked_row(0, dict(zip(columns, values, strict=True)))


NO_TEXT = object()
"""Replaces bytes that are not UTF-8."""


def values_of(column: Any) -> list[Any]:
    """Return the values of an Arrow column; equal strings of a dictionary are one object."""
    try:
        if not hasattr(column, "dictionary"):
            return list(column.to_pylist())
        used = column.indices.unique()
        values = dict(zip(used.to_pylist(), column.dictionary.take(used).to_pylist(), strict=True))
        return [values[i] for i in column.indices.to_pylist()]
    except UnicodeDecodeError:
        return _one_by_one(column)


def _one_by_one(column: Any) -> list[Any]:
    """Return the values of a column, ``NO_TEXT`` for those that are not UTF-8."""
    values: list[Any] = []
    for value in column:
        try:
            values.append(value.as_py())
        except UnicodeDecodeError:
            values.append(NO_TEXT)
    return values
