"""What a person sees of the jobs that run: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from xferlab.config.overrides import key_of
from xferlab.config.yaml_files import shown
from xferlab.escaping import visible
from xferlab.formatting import format_duration
from xferlab.runs.history import history_of
from xferlab.runs.metadata import read_metrics
from xferlab.sweep.job_state import DONE, State
from xferlab.sweep.local_pool import JobObserver
from xferlab.sweep.manifest import planned_epochs, read_job, read_plan

REDRAW_SECONDS = 1.0


@contextmanager
def console_for(
    folders: Sequence[Path],
    slots: int,
    console: Console | None = None,
    *,
    total: int | None = None,
) -> Iterator[JobObserver]:
    """Tell on ``console``, by default standard error, how the jobs get on.

    Args:
        folders: the jobs that will run, all of one sweep, or one of them.
        seats: how many run at once, for the time that is left.
        console: where to write.
        total: how many jobs will run, where that is not the number of ``folders``.
    """
    console = console or Console(stderr=True, soft_wrap=True)
    lines = JobLines(folders, slots, console)
    lines.total = len(folders) if total is None else total
    if not console.is_terminal:
        yield lines
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield JobTable(lines, live)


class JobLines:
    """A line when a job starts, and when it ends; a failure with its three lines, at once."""

    def __init__(self, folders: Sequence[Path], slots: int, console: Console) -> None:
        self.total, self.slots, self.console = len(folders), slots, console
        self.ends: Counter[str] = Counter()
        self.seconds: list[float] = []
        self.since: dict[Path, float] = {}
        self._waiting: set[Path] = set()
        sweep = folders[0].parent if folders else Path()
        self._swept = set(read_plan(sweep)["swept"]) if folders else set()

    def started(self, folder: Path) -> None:
        """Name the job and what is swept in it."""
        self.since[folder] = time.monotonic()
        number = len(self.since) + self.ends.total() - len(self.seconds)
        self._say(f"{number:>4}/{self.total}  {folder.name}  {self.swept_words(folder)}")

    def ended(self, folder: Path, state: State, seconds: float) -> None:
        """Tell the score, or the error and where its log is."""
        self.ends[state.status] += 1
        self.seconds.append(seconds)
        head = f"           {folder.name}  {state.status} after {format_duration(seconds)}"
        if state.status in DONE:
            self._say(f"{head}  {_best_words(folder)}{self._left_words()}")
            return
        self._say(head)
        if state.failed:
            self._say("\n".join(state.error_lines()))
            self._say(f"   log: {shown(folder / 'train.log')}")

    def waiting(self, folder: Path, state: State) -> None:
        """Say once that the job is at work elsewhere."""
        if folder not in self._waiting:
            self._waiting.add(folder)
            where = f"process {state.record['process']} on {state.record['host']}"
            self._say(f"           {folder.name}  is waited for: {where} has it")

    def refresh(self, running: Sequence[Path]) -> None:
        """Plain lines tell of beginnings and ends only."""

    def swept_words(self, folder: Path) -> str:
        """Return the words of a job whose keys are swept."""
        words = read_job(folder)["words"]
        return visible(" ".join(word for word in words if key_of(word) in self._swept))

    def seconds_left(self) -> float | None:
        """Return the time until all have ended, if jobs go on to take as long as so far."""
        if not self.seconds:
            return None
        mean = sum(self.seconds) / len(self.seconds)
        left = max(self.total - len(self.seconds), 0)  # a job that was tried again counts twice
        return mean * left / min(self.slots, max(left, 1))

    def _left_words(self) -> str:
        left = self.seconds_left()
        return f"  (about {format_duration(left)} left)" if left else ""

    def _say(self, text: str) -> None:
        self.console.print(visible(text), markup=False, highlight=False)


class JobTable:
    """The lines, and below them a table of the jobs that run, redrawn in place."""

    def __init__(self, lines: JobLines, live: Live) -> None:
        self._lines, self._live = lines, live
        self._drawn = 0.0
        self.started, self.waiting = lines.started, lines.waiting

    def ended(self, folder: Path, state: State, seconds: float) -> None:
        """Tell it above the table."""
        self._lines.ended(folder, state, seconds)
        self._drawn = 0.0

    def refresh(self, running: Sequence[Path]) -> None:
        """Redraw the table, once a second."""
        if time.monotonic() - self._drawn < REDRAW_SECONDS:
            return
        self._drawn = time.monotonic()
        self._live.update(self._table(running), refresh=True)

    def _table(self, running: Sequence[Path]) -> Group:
        lines = self._lines
        table = Table(box=None, pad_edge=False)
        for header in ("job", "", "epoch", "", "for"):
            table.add_column(header, style="dim" if header in ("job", "for") else None)
        for folder in running:
            epochs, score = _progress(folder)
            elapsed = format_duration(time.monotonic() - lines.since[folder])
            table.add_row(
                folder.name, escape(lines.swept_words(folder)), epochs, visible(score), elapsed
            )
        return Group(table, Text(self._caption()))

    def _caption(self) -> str:
        lines = self._lines
        done = ", ".join(f"{count} {word}" for word, count in sorted(lines.ends.items()))
        left = lines.seconds_left()
        when = f"; about {format_duration(left)} left" if left else ""
        return f"{lines.ends.total()} of {lines.total} done{f': {done}' if done else ''}{when}"


def _progress(folder: Path) -> tuple[str, str]:
    """Return the epochs done of all, and the last validation score, as far as they are written."""
    rows = history_of(folder)
    total = planned_epochs(folder) or "?"
    last = rows[-1] if rows else {}
    names = [name for name in last if name.startswith("val_") and name != "val_loss"]
    return f"{len(rows)}/{total}", f"{names[0]} {last[names[0]]:.4f}" if names else ""


def _best_words(folder: Path) -> str:
    scored = (folder / "metrics.json").exists()
    best: dict[str, Any] = read_metrics(folder)["best"] if scored else {}
    return f"{best['monitor']} {best['value']:.4f}" if best.get("value") is not None else ""
