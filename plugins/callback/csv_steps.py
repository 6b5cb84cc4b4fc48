"""Losses and rates of steps, as a CSV file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xferlab import Callback, Epoch, Result, Run, Step, register


@register("callback", "csv_steps")
@dataclass(frozen=True)
class CsvSteps:
    """Write ``steps.csv``: step, loss and learning rate, a line for every so many steps.

    Attributes:
        every: optimizer steps between two lines.
    """

    every: int = 1

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every must be at least 1, got {self.every}")

    def identity(self) -> None:
        """Return None: a log is no part of what a run computes."""

    def build(self, run: Run) -> Callback:
        """Return what writes the file."""
        return _Writer(run, self.every)


class _Writer(Callback):
    def __init__(self, run: Run, every: int) -> None:
        self._run = run
        self._every = every
        self._path = run.folder / "steps.csv"
        self._lines: list[str] = []
        self._update = 0

    def on_begin(self, update: int) -> None:
        if update == 0 or not self._path.exists():
            self._path.write_text("step,loss,learning_rate\n")

    def on_step(self, step: Step) -> None:
        if step.update != self._update and step.update % self._every == 0:
            self._update = step.update
            rate = self._run.learning_rate(step.update)
            self._lines.append(f"{step.update},{step.loss:.9g},{rate:.9g}\n")

    def on_epoch(self, epoch: Epoch) -> None:
        self._write()

    def on_end(self, result: Result) -> None:
        self._write()

    def state(self) -> dict[str, Any]:
        self._write()
        return {"size": self._path.stat().st_size, "update": self._update}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._update = state["update"]
        if self._path.exists() and self._path.stat().st_size > state["size"]:
            os.truncate(self._path, state["size"])

    def _write(self) -> None:
        with self._path.open("a") as file:
            file.writelines(self._lines)
            file.flush()
            os.fsync(file.fileno())
        self._lines = []
