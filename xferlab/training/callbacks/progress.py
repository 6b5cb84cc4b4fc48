"""What a person watching sees: a bar with an ETA in a terminal, plain lines otherwise."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from typing import Any

from xferlab.training.events import Callback, Epoch, Step

log = logging.getLogger("xferlab")
PLAIN_LINE_SECONDS = 20.0


class ProgressBar(Callback):
    """A bar over the whole run in a terminal; elsewhere a line now and then.

    Args:
        total_batches: training batches of the whole run.
        epochs: epochs of the whole run.
        done: training batches that an earlier attempt has done.
    """

    def __init__(self, total_batches: int, epochs: int, done: int = 0) -> None:
        self._total, self._epochs = total_batches, epochs
        self._told = time.monotonic()
        self._first: tuple[int, float] | None = None
        self._bar = _rich_bar() if sys.stderr.isatty() else None
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(
                "training", total=total_batches, completed=done, loss=float("nan")
            )

    def on_step(self, step: Step) -> None:
        """Move the bar, or print a line if the last one is long ago."""
        now = time.monotonic()
        if self._first is None:  # the first step is slow: the graph is traced in it
            self._first = (step.batch, now)
        if self._bar is not None:
            self._bar.update(self._task, completed=step.batch, loss=step.loss)
        elif step.batch > self._first[0] and now - self._told > PLAIN_LINE_SECONDS:
            self._told = now
            log.info(
                "step %d of %d  loss %.4f  %s left",
                step.batch,
                self._total,
                step.loss,
                as_time(self._seconds_left(step.batch, now)),
            )

    def on_epoch(self, epoch: Epoch) -> None:
        """Print the epoch's scores."""
        self._told = time.monotonic()
        if self._bar is not None:
            self._bar.stop()  # or the line would be written into it
        log.info(
            "epoch %*d/%d  %s | validation %s  (%.1f s)",
            len(str(self._epochs)),
            epoch.epoch,
            self._epochs,
            as_words(epoch.train),
            as_words(epoch.validation),
            epoch.seconds,
        )
        if self._bar is not None:
            self._bar.start()

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self._bar is not None:
            self._bar.stop()

    def _seconds_left(self, batch: int, now: float) -> float:
        assert self._first is not None
        first_batch, first_time = self._first
        return (now - first_time) / (batch - first_batch) * (self._total - batch)


def bar(counted: Any, told: str) -> Any:
    """Return a bar on standard error that goes when it is stopped, a ``rich.progress.Progress``.

    Args:
        counted: the column that says how much is done.
        told: a format of the task and its fields, written beside it.
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
        TextColumn("{task.description}"),
        BarColumn(),
        counted,
        TextColumn(told),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _rich_bar() -> Any:
    from rich.progress import MofNCompleteColumn

    return bar(MofNCompleteColumn(), "loss {task.fields[loss]:.4f}")


def as_words(values: Mapping[str, float]) -> str:
    """Return scores as text.

    >>> as_words({"loss": 0.51234, "accuracy": 0.75})
    'loss 0.5123  accuracy 0.7500'
    """
    return "  ".join(f"{name} {value:.4f}" for name, value in values.items())


def as_time(seconds: float) -> str:
    """Return a duration as people write it.

    >>> as_time(8), as_time(95), as_time(7300)
    ('8 s', '1 min 35 s', '2 h 1 min')
    """
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
