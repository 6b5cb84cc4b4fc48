"""Progress of ``data`` on standard error: what is read, how far, and the time left."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from xferlab.errors import printable
from xferlab.formatting import format_duration

LINE_SECONDS = 5.0
"""Between two lines where standard error is no terminal."""
TERMINAL_SECONDS = 0.2


class DataProgress:
    """One line that is written over in a terminal; elsewhere a line every five seconds."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._started = time.monotonic()
        self._shown = 0.0
        self._stage = ""

    def __enter__(self) -> DataProgress:
        return self

    def start(self, what: str) -> None:
        """Show what begins."""
        self._begin(what)
        self._write(f"data       {printable(what)}")

    def read(self, name: str, rows: int, fraction: float | None) -> None:
        """Show how much of a file is read."""
        if name != self._stage:
            self._begin(name)
        self._show(f"read {rows:,} rows of {name}", fraction)

    def move(self, what: str, rows: int, total: int) -> None:
        """Show how many rows are done."""
        if what != self._stage:
            self._begin(what)
        self._show(f"{what} {rows:,} of {total:,} rows", rows / total if total else None)

    def _begin(self, stage: str) -> None:
        self._stage = stage
        self._started = self._shown = time.monotonic()

    def _show(self, text: str, fraction: float | None) -> None:
        now = time.monotonic()
        if now - self._shown < (TERMINAL_SECONDS if self._is_terminal else LINE_SECONDS):
            return
        self._shown = now
        left = ""
        if fraction:
            seconds = (now - self._started) * (1 / fraction - 1)
            left = f", {format_duration(seconds)} left"
        self._write(f"data       {printable(text)}{left}")

    def _write(self, line: str) -> None:
        if self._is_terminal:
            sys.stderr.write(f"\r\x1b[2K{line[:100]}")
        else:
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_terminal:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
