"""Lines of a text file of any size, encoding and kind of line end, as UTF-8."""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

LONGEST_LINE = 16_000_000  # bytes; a longer line is not a row
TOO_LONG = f"is longer than {LONGEST_LINE:,} bytes"
HEAD = 65_536
"""Bytes at the beginning of a file from which encoding and line ends are detected."""

NumberedLine = tuple[int, bytes | None]
BYTE_ORDER_MARKS = (  # the first that fits: UTF-32's begins like UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class TextFile:
    """A text file that can be opened any number of times.

    Attributes:
        path: its path.
        encoding: a Python codec; ``utf-8`` is read unchanged.
        ending: byte that ends a line.
        notes: notes on the detected encoding.
    """

    path: Path
    encoding: str
    ending: bytes
    notes: tuple[str, ...] = ()

    def open(self) -> BinaryIO:
        """Return the file's bytes in UTF-8."""
        stream = self.path.open("rb")
        if self.encoding == "utf-8":
            return stream
        return io.BufferedReader(_Recoded(stream, self.encoding))

    def lines(self, stream: BinaryIO) -> Iterator[NumberedLine]:
        """Yield number and bytes of each line of an opened stream."""
        return numbered_lines(stream, self.ending)

    def size(self) -> int:
        """Return about how many bytes the opened stream has."""
        size = self.path.stat().st_size
        return size if self.encoding == "utf-8" else max(1, size // 2)


def detect_format(path: Path) -> TextFile:
    """Return a text file with encoding and line ends, detected from its first bytes."""
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    encoding, notes = _encoding(path, head)
    if encoding != "utf-8":
        head = head.decode(encoding, "ignore").encode("utf-8", "ignore")
    ending = b"\r" if b"\r" in head and b"\n" not in head else b"\n"
    return TextFile(path, encoding, ending, notes)


def _encoding(path: Path, head: bytes) -> tuple[str, tuple[str, ...]]:
    """Return the encoding by a byte-order mark, or by zeros in every second byte."""
    for mark, name in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return name, ()
    pairs = len(head) // 2
    if pairs < 2 or b"\0" not in head:
        return "utf-8", ()
    even = head[0 : 2 * pairs : 2].count(0) / pairs
    odd = head[1 : 2 * pairs : 2].count(0) / pairs
    for zeros, others, name in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if zeros > 0.4 and others < 0.05:
            return name, (f"{path} is read as {name.upper()}, by its zero bytes",)
    return "utf-8", ()


def as_utf8(stream: BinaryIO) -> BinaryIO:
    """Return an opened stream as UTF-8, by a byte-order mark at its beginning."""
    if isinstance(stream, io.BufferedReader):
        head = stream.peek(4)[:4]
    elif stream.seekable():
        head = stream.read(4)
        stream.seek(-len(head), os.SEEK_CUR)
    else:
        return stream
    encoding = next((name for mark, name in BYTE_ORDER_MARKS if head.startswith(mark)), None)
    return io.BufferedReader(_Recoded(stream, encoding)) if encoding else stream


class _Recoded(io.RawIOBase):
    """The bytes of a file in another encoding, as UTF-8; invalid bytes stay invalid."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
        self._left = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        while not self._left and not self._ended:
            data = self._stream.read(HEAD)
            self._ended = not data
            try:
                text = self._decoder.decode(data, final=self._ended)
                self._left = text.encode("utf-8", "surrogatepass")
            except UnicodeDecodeError:
                self._left = b"\xff"
                self._decoder.reset()
        size = min(len(view), len(self._left))
        view[:size] = self._left[:size]
        self._left = self._left[size:]
        return size

    def close(self) -> None:
        self._stream.close()
        super().close()


def numbered_lines(stream: BinaryIO, ending: bytes = b"\n") -> Iterator[NumberedLine]:
    """Yield number and bytes of each line; None for one that is too long."""
    if ending != b"\n":
        yield from _lines_ended_by(stream, ending)
        return
    number = 0
    while data := stream.readline(LONGEST_LINE):
        number += 1
        if len(data) < LONGEST_LINE or data.endswith(b"\n"):
            yield number, data
            continue
        while data and not data.endswith(b"\n"):
            data = stream.readline(LONGEST_LINE)
        yield number, None


def _lines_ended_by(stream: BinaryIO, ending: bytes) -> Iterator[NumberedLine]:
    """Yield lines as :func:`numbered_lines` does, for another line end."""
    number = 0
    rest = b""
    too_long = False
    while data := stream.read(HEAD):
        *whole, rest = (rest + data).split(ending)
        for line in whole:
            number += 1
            fits = not too_long and len(line) < LONGEST_LINE
            too_long = False
            yield number, line + ending if fits else None
        if len(rest) >= LONGEST_LINE:
            rest = b""
            too_long = True
    if rest or too_long:
        yield number + 1, None if too_long else rest


def decoded(data: bytes) -> str:
    """Return text; invalid UTF-8 becomes halves of surrogate pairs, which valid text never has."""
    return data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
