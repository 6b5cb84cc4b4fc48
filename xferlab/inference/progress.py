"""Progress of predictions: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from xferlab.data.readers.examples import Stream
from xferlab.formatting import format_duration
from xferlab.training.callbacks.progress import PLAIN_LINE_SECONDS, progress_bar


class PredictionProgress:
    """Shows on standard error how many rows are predicted, at which rate, and the time left.

    Args:
        stream: of the rows; None shows nothing.
    """

    def __init__(self, stream: Stream | None) -> None:
        self._stream = stream
        self._started_at = time.monotonic()
        self._printed_at = self._started_at
        self._bar: Any = None

    def __enter__(self) -> PredictionProgress:
        if self._stream is not None and self._stream.total and sys.stderr.isatty():
            self._bar = _bar()
            self._bar.start()
            self._task = self._bar.add_task("predicting", total=self._stream.total, rows=0)
        return self

    def move(self, rows: int) -> None:
        """Show the number of rows that are predicted."""
        if self._stream is None:
            return
        if self._bar is not None:
            self._bar.update(self._task, completed=self._stream.done(), rows=rows)
            return
        now = time.monotonic()
        if now - self._printed_at > PLAIN_LINE_SECONDS:
            self._printed_at = now
            self.print(f"{rows:,} rows, {self._format_rate(rows, now)}")

    def print(self, line: str) -> None:
        """Print a line above the bar."""
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=sys.stderr)

    def _format_rate(self, rows: int, now: float) -> str:
        assert self._stream is not None
        seconds = now - self._started_at
        rate = f"{rows / seconds:,.0f} a second"
        done = self._stream.done()
        if not self._stream.total or not done:
            return rate
        return f"{rate}, {format_duration(seconds * (self._stream.total / done - 1))} left"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def _bar() -> Any:
    from rich.progress import TaskProgressColumn

    return progress_bar(TaskProgressColumn(), "{task.fields[rows]:,} rows")
