"""Progress of a run: a bar with the time left in a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
from typing import Any

from xferlab.callbacks import Callback, Epoch, Step
from xferlab.formatting import format_duration, format_scores
from xferlab.progress import Pace, progress_bar

log = logging.getLogger("xferlab")
LINE_SECONDS = 20.0


class ProgressBar(Callback):
    """A bar over the whole run in a terminal; elsewhere a line every 20 seconds.

    Args:
        total_batches: training batches of the whole run.
        epochs: epochs of the whole run.
        done: training batches that an earlier attempt has done.
    """

    def __init__(self, total_batches: int, epochs: int, done: int = 0) -> None:
        self._total = total_batches
        self._epochs = epochs
        self._first = 0
        self._pace: Pace | None = None
        self._bar = _training_bar() if sys.stderr.isatty() else None
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(
                "training", total=total_batches, completed=done, loss=float("nan")
            )

    def on_step(self, step: Step) -> None:
        """Move the bar, or log a line if the last one is 20 seconds old."""
        if self._pace is None:  # the first step is slow: it traces the graph
            self._first = step.batch
            self._pace = Pace(LINE_SECONDS)
        if self._bar is not None:
            self._bar.update(self._task, completed=step.batch, loss=step.loss)
        elif step.batch > self._first and self._pace.is_due():
            left = self._pace.left(step.batch - self._first, self._total - self._first)
            log.info("step %d of %d  loss %.4f  %s", step.batch, self._total, step.loss, left)

    def on_epoch(self, epoch: Epoch) -> None:
        """Log the epoch's scores."""
        if self._pace is not None:
            self._pace.postpone()
        if self._bar is not None:
            self._bar.stop()  # or the line would be written into it
        log.info(
            "epoch %*d/%d  %s | val %s  %s",
            len(str(self._epochs)),
            epoch.epoch,
            self._epochs,
            format_scores(epoch.train),
            format_scores(epoch.validation),
            format_duration(epoch.seconds) if epoch.seconds >= 1 else "<1 s",
        )
        if self._bar is not None:
            self._bar.start()

    def close(self) -> None:
        """Remove the bar from the terminal."""
        if self._bar is not None:
            self._bar.stop()


def _training_bar() -> Any:
    from rich.progress import MofNCompleteColumn

    return progress_bar(MofNCompleteColumn(), "loss {task.fields[loss]:.4f}")
