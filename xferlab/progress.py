"""Progress of long work: a bar in a terminal, elsewhere a line now and then with the time left."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from xferlab.errors import printable
from xferlab.formatting import LABEL_WIDTH, format_duration

LINE_SECONDS = 5.0
"""Between two lines of progress."""


class Pace:
    """Says when a line of progress is due, and how long the rest takes at the rate so far.

    Args:
        every: seconds between two lines; :data:`LINE_SECONDS` by default.
        first: seconds before the first one; by default as between two.
    """

    def __init__(self, every: float | None = None, first: float | None = None) -> None:
        self._every = LINE_SECONDS if every is None else every
        self._started = time.monotonic()
        self._due = self._started + (self._every if first is None else first)

    @property
    def seconds(self) -> float:
        """The time since the work began."""
        return time.monotonic() - self._started

    def is_due(self) -> bool:
        """Return whether a line is due; the next one is due after ``every`` seconds."""
        if time.monotonic() < self._due:
            return False
        self.postpone()
        return True

    def restart(self) -> None:
        """Count what is done, and its time, from now on."""
        self._started = time.monotonic()

    def postpone(self) -> None:
        """Let the next line come after ``every`` seconds from now."""
        self._due = time.monotonic() + self._every

    def rate(self, done: float) -> float:
        """Return what is done in a second."""
        return done / max(self.seconds, 1e-9)

    def left(self, done: float, total: float) -> str:
        """Return the time left as text: ``5 s left``."""
        return f"{format_duration((total - done) / max(self.rate(done), 1e-9))} left"


class RowProgress:
    """How many rows are done, how many in a second, and the time left, on standard error.

    A file after another, or one that is read again, is the next part of a stage; the time left is
    that of the part.

    Args:
        label: that lines begin with.
    """

    def __init__(self, label: str = "") -> None:
        self._label = f"{label:<{LABEL_WIDTH}}" if label else ""
        self._pace = Pace()
        self._stage = ""
        self._part = 1
        self._fraction = 0.0
        self._first = (0, 0.0)
        self._bar: Any = None

    def __enter__(self) -> RowProgress:
        if sys.stderr.isatty():
            self._bar = _row_bar()
            self._bar.start()
            self._task = self._bar.add_task("", total=None, rows="")
        return self

    def begin(self, stage: str) -> None:
        """Begin the next part of the work; elsewhere than in a terminal it has a line at once."""
        self._stage = stage
        self._part = 1
        self._pace = Pace()
        self._fraction = 0.0
        self._first = (0, 0.0)
        if self._bar is not None:
            self._bar.reset(self._task, total=None, rows="", description=printable(stage))
        else:
            self.print(f"{self._label}{printable(stage)}")

    def move(self, rows: int, fraction: float | None) -> None:
        """Show how many rows are done.

        Args:
            rows: those that are done.
            fraction: of the stage, or of a file of it; None where that is not known.
        """
        done = fraction or 0.0
        if done < self._fraction:  # the next file, or the same one again
            self._part += 1
            self._pace.restart()
            self._first = (rows, done)
        self._fraction = done
        if self._bar is not None:
            total = 1.0 if fraction else None
            self._bar.update(self._task, completed=fraction, total=total, rows=f"{rows:,} rows")
        elif self._pace.is_due():
            self.print(f"{self._label}{self._line(rows, done)}")

    def _line(self, rows: int, fraction: float) -> str:
        first_rows, first = self._first
        stage = f"{printable(self._stage)}, " if self._stage else ""
        part = f"part {self._part}: " if self._part > 1 else ""
        counted = f"{stage}{part}{rows:,} rows"
        if rows <= first_rows:
            return counted
        left = f", {self._pace.left(fraction - first, 1 - first)}" if fraction > first else ""
        return f"{counted}, {self._pace.rate(rows - first_rows):,.0f} a second{left}"

    def print(self, line: str) -> None:
        """Print a line, in a terminal above the bar."""
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False)
        else:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


class ItemProgress:
    """Which of several items is being worked on, and the time left, on standard error.

    Args:
        label: that lines begin with.
        total: how many items there are.
    """

    def __init__(self, label: str, total: int) -> None:
        self._label = label
        self._total = total
        self._done = 0
        self._pace = Pace()
        self._bar: Any = None

    def __enter__(self) -> ItemProgress:
        if sys.stderr.isatty():
            from rich.progress import MofNCompleteColumn

            self._bar = progress_bar(MofNCompleteColumn(), "{task.fields[item]}")
            self._bar.start()
            self._task = self._bar.add_task(self._label, total=self._total, item="")
        return self

    def begin(self, item: str) -> None:
        """Show the next item; elsewhere than in a terminal the first has a line at once."""
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, item=printable(item))
        elif not self._done or self._pace.is_due():
            left = f", {self._pace.left(self._done, self._total)}" if self._done else ""
            place = f"{self._done + 1} of {self._total}"
            sys.stderr.write(f"{self._label:<{LABEL_WIDTH}}{printable(item)}, {place}{left}\n")
            sys.stderr.flush()
        self._done += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def progress_bar(completed: Any, details: str) -> Any:
    """Return a bar on standard error that disappears when it stops, a ``rich.progress.Progress``.

    Args:
        completed: the column that shows how much is done.
        details: a format of the task and its fields, shown beside it.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        completed,
        TextColumn(details, markup=False),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _row_bar() -> Any:
    from rich.progress import TaskProgressColumn

    return progress_bar(TaskProgressColumn(), "{task.fields[rows]}")
