"""Shows the jobs that run: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from xferlab.config.overrides import key_of
from xferlab.escaping import visible
from xferlab.formatting import format_duration, format_path
from xferlab.runs.history import history_of
from xferlab.runs.score import read_score
from xferlab.sweeps.disk import SecondFiles
from xferlab.sweeps.job_state import DONE, State
from xferlab.sweeps.local_pool import JobObserver
from xferlab.sweeps.manifest import epochs_of, read_job, read_plan

UPDATE_SECONDS = 1.0


@contextmanager
def console_for(
    folders: Sequence[Path],
    slots: int,
    console: Console | None = None,
    *,
    total: int | None = None,
) -> Iterator[JobObserver]:
    """Show the jobs on ``console``, by default standard error.

    Args:
        folders: the jobs that will run, all of one sweep, or one of them.
        slots: how many run at once, for the remaining time.
        console: where to write.
        total: how many jobs will run, if that is not the number of ``folders``.
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
    """Prints a line when a job starts and when it ends; a failure with its three lines."""

    def __init__(self, folders: Sequence[Path], slots: int, console: Console) -> None:
        self.total = len(folders)
        self.slots = slots
        self.console = console
        self.ends: Counter[str] = Counter()
        self.seconds: list[float] = []
        self.since: dict[Path, float] = {}
        self._waiting: set[Path] = set()
        sweep = folders[0].parent if folders else Path()
        jobs = read_plan(sweep)["requested"] if folders else []
        self._second_files = SecondFiles([sweep / run_id for run_id in jobs])
        self._swept = set(read_plan(sweep)["swept"]) if folders else set()

    def started(self, folder: Path) -> None:
        """Print the job and its swept values."""
        self.since[folder] = time.monotonic()
        number = len(self.since) + self.ends.total() - len(self.seconds)
        self._print(f"{number:>4}/{self.total}  {folder.name}  {self.swept_overrides(folder)}")

    def ended(self, folder: Path, state: State, seconds: float) -> None:
        """Print the score, or the error and where its log is."""
        self.ends[state.status] += 1
        self.seconds.append(seconds)
        head = f"           {folder.name}  {state.status} after {format_duration(seconds)}"
        if state.status in DONE:
            self._second_files.ended(folder)
            self._print(f"{head}  {_format_score(folder)}{self._format_time_left()}")
            return
        self._print(head)
        if state.failed:
            self._print("\n".join(state.error_lines()))
            self._print(f"   log: {format_path(folder / 'train.log')}")

    def waiting(self, folder: Path, state: State) -> None:
        """Print once that another process runs the job."""
        if folder not in self._waiting:
            self._waiting.add(folder)
            where = f"process {state.record['process']} on {state.record['host']}"
            self._print(f"           {folder.name}  waits: {where} runs it")

    def refresh(self, running: Sequence[Path]) -> None:
        """Do nothing: plain lines are for starts and ends only."""

    def swept_overrides(self, folder: Path) -> str:
        """Return the overrides of a job whose keys are swept."""
        overrides = read_job(folder)["overrides"]
        return visible(" ".join(each for each in overrides if key_of(each) in self._swept))

    def seconds_left(self) -> float | None:
        """Return the time until all have ended, if jobs take as long as those so far."""
        if not self.seconds:
            return None
        mean = sum(self.seconds) / len(self.seconds)
        left = max(self.total - len(self.seconds), 0)  # a retried job counts twice
        return mean * left / min(self.slots, max(left, 1))

    def _format_time_left(self) -> str:
        left = self.seconds_left()
        return f"  (about {format_duration(left)} left)" if left else ""

    def _print(self, text: str) -> None:
        self.console.print(visible(text), markup=False, highlight=False)


class JobTable:
    """Prints the lines, and below them a table of the jobs that run, updated in place."""

    def __init__(self, lines: JobLines, live: Live) -> None:
        self._lines = lines
        self._live = live
        self._updated_at = 0.0
        self.started = lines.started
        self.waiting = lines.waiting

    def ended(self, folder: Path, state: State, seconds: float) -> None:
        """Print it above the table."""
        self._lines.ended(folder, state, seconds)
        self._updated_at = 0.0

    def refresh(self, running: Sequence[Path]) -> None:
        """Update the table, once a second."""
        if time.monotonic() - self._updated_at < UPDATE_SECONDS:
            return
        self._updated_at = time.monotonic()
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
                folder.name, escape(lines.swept_overrides(folder)), epochs, visible(score), elapsed
            )
        return Group(table, Text(self._caption()))

    def _caption(self) -> str:
        lines = self._lines
        caption = f"{lines.ends.total()} of {lines.total} done"
        if lines.ends:
            counts = (f"{count} {status}" for status, count in sorted(lines.ends.items()))
            caption += f": {', '.join(counts)}"
        left = lines.seconds_left()
        return f"{caption}; about {format_duration(left)} left" if left else caption


def _progress(folder: Path) -> tuple[str, str]:
    """Return the finished epochs of all, and the last validation score."""
    rows = history_of(folder)
    total = epochs_of(folder) or "?"
    last = rows[-1] if rows else {}
    names = [name for name in last if name.startswith("val_") and name != "val_loss"]
    return f"{len(rows)}/{total}", f"{names[0]} {last[names[0]]:.4f}" if names else ""


def _format_score(folder: Path) -> str:
    score = read_score(folder) if (folder / "metrics.json").exists() else None
    return f"{score.monitor} {score.value:.4f}" if score and score.value is not None else ""
