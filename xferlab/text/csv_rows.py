"""Lines of a file of any size, and the CSV rows they make; a bad one costs no other."""

from __future__ import annotations

import csv
import sys
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO

LONGEST_LINE = 16_000_000  # bytes; what is longer is no row
MOST_LINES = 1_000  # of one row; a quote that is open for longer was never closed
TOO_LONG = f"is longer than {LONGEST_LINE:,} bytes"


_OPEN_QUOTE = "a quote that opens here is not closed"


def numbered_lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Yield number and bytes of each line; None for one that is too long."""
    number = 0
    while data := stream.readline(LONGEST_LINE):
        number += 1
        if len(data) < LONGEST_LINE or data.endswith(b"\n"):
            yield number, data
            continue
        while data and not data.endswith(b"\n"):
            data = stream.readline(LONGEST_LINE)
        yield number, None


def decoded(data: bytes) -> str:
    """Return text; what is not UTF-8 becomes halves of surrogates, which no text may have."""
    return data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")


def csv_records(
    lines: Iterator[tuple[int, bytes | None]], separator: str, width: int
) -> Iterator[tuple[int, list[str] | str]]:
    """Yield the line and the fields of each row, or in their place what is wrong.

    After a row that cannot be read the next line is tried, also where that row, for want of a
    closing quote, went on and on.

    Args:
        lines: number and bytes.
        separator: what stands between fields.
        width: fields in a row; 0 yields the first row alone.
    """
    csv.field_size_limit(sys.maxsize)
    again: deque[tuple[int, bytes | None]] = deque()
    used: list[tuple[int, bytes | None]] = []

    def feed() -> Iterator[str]:
        while (line := again.popleft() if again else next(lines, None)) is not None:
            used.append(line)
            if line[1] is None:
                raise csv.Error(TOO_LONG)
            if len(used) > MOST_LINES or sum(len(d or b"") for _, d in used) > LONGEST_LINE:
                raise csv.Error(_OPEN_QUOTE)
            yield decoded(line[1])

    reader = csv.reader(feed(), delimiter=separator, strict=True)
    while True:
        try:
            fields: list[str] | str | None = next(reader, None)
        except csv.Error as e:
            what = str(e)
            if what.startswith("unexpected end") or len(used) > 1:
                what = _OPEN_QUOTE
            fields = f"cannot be read: {what}"
        if fields is None:
            return
        if isinstance(fields, list) and width and fields and len(fields) != width:
            fields = f"has {len(fields)} fields, the header has {width}"
        if isinstance(fields, str):
            fields = _unquoted(used[0][1], separator, width) or fields
            again.extendleft(reversed(used[1:]))
            reader = csv.reader(feed(), delimiter=separator, strict=True)
        if fields:
            yield used[0][0], fields
            if not width:
                return
        used.clear()


def _unquoted(line: bytes | None, separator: str, width: int) -> list[str] | None:
    """Return a TSV row in which quotes are letters, if that gives the right number of fields."""
    if line is None or separator != "\t":
        return None
    fields = decoded(line).rstrip("\r\n").split("\t")
    return fields if len(fields) == width else None
