"""How far a long answer is: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from xferlab.data.readers.examples import Stream
from xferlab.formatting import format_duration
from xferlab.training.callbacks.progress import PLAIN_LINE_SECONDS, progress_bar


class PredictionProgress:
    """Tells on standard error how many rows are answered, at which rate, and how long it takes.

    Args:
        stream: what is read; None is not followed.
    """

    def __init__(self, stream: Stream | None) -> None:
        self._stream = stream
        self._began = self._told = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> PredictionProgress:
        if self._stream is not None and self._stream.total and sys.stderr.isatty():
            self._bar = _bar()
            self._bar.start()
            self._task = self._bar.add_task("predicting", total=self._stream.total, rows=0)
        return self

    def move(self, rows: int) -> None:
        """Say that so many rows are answered."""
        if self._stream is None:
            return
        if self._bar is not None:
            self._bar.update(self._task, completed=self._stream.done(), rows=rows)
            return
        now = time.monotonic()
        if now - self._told > PLAIN_LINE_SECONDS:
            self._told = now
            self.say(f"{rows:,} rows, {self._pace(rows, now)}")

    def say(self, line: str) -> None:
        """Write a line above the bar."""
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=sys.stderr)

    def _pace(self, rows: int, now: float) -> str:
        assert self._stream is not None
        seconds = now - self._began
        pace = f"{rows / seconds:,.0f} a second"
        done = self._stream.done()
        if not self._stream.total or not done:
            return pace
        return f"{pace}, {format_duration(seconds * (self._stream.total / done - 1))} left"

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
