"""The jobs of a search: on this machine as slots become free, in rounds on other launchers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hydra.plugins.launcher import Launcher

from xferlab.runs.metadata import PLAN
from xferlab.sweeps.console import console_for
from xferlab.sweeps.job_state import State, state_of
from xferlab.sweeps.launcher import LocalLauncher, launch
from xferlab.sweeps.local_pool import JobObserver, Pool
from xferlab.sweeps.search.controller import Search

REFRESH_SECONDS = 1.0
"""How often the jobs of a round are read."""


def run_trials(search: Search, launcher: Launcher, workers: int | None) -> None:
    """Run the jobs of a search on ``launcher`` until there is none left.

    Args:
        search: creates the jobs.
        launcher: runs them.
        workers: how many run at once where the launcher is not this machine's; None is 1.

    Raises:
        SweepStopped: SIGINT or SIGTERM came; the jobs have ended.
    """
    if not isinstance(launcher, LocalLauncher):
        run_rounds(search, lambda folders: launch(launcher, folders), workers or 1)
        return
    slots = len(launcher.slots())
    with console_for([search.folder / PLAN], slots, total=search.left) as watch:
        run_here(search, launcher.pool, slots, watch)


def run_here(
    search: Search, pool_of: Callable[[JobObserver], Pool], slots: int, console: JobObserver
) -> None:
    """Run the jobs in processes on this machine as slots get free, until there is none left.

    Args:
        search: samples the jobs.
        pool_of: makes a pool that notifies the observer it is given.
        slots: how many jobs the pool runs at once.
        console: shows the jobs.

    Raises:
        SweepStopped: SIGINT or SIGTERM came; the jobs have ended.
    """
    while search.fill(slots):
        observer = _SearchObserver(search, console, slots)
        observer.pool = pool_of(observer)
        observer.pool.run(search.queue)
        search.requeue()


class _SearchObserver:
    """Notifies the search of what a pool does, and then the console."""

    pool: Pool

    def __init__(self, search: Search, console: JobObserver, slots: int) -> None:
        self._search = search
        self._console = console
        self._slots = slots
        self.started = console.started
        self.waiting = console.waiting

    def ended(self, folder: Path, state: State, seconds: float) -> None:
        self._console.ended(folder, state, seconds)
        self._search.ended(folder, state)

    def refresh(self, running: Sequence[Path]) -> None:
        """Sample the next job when a slot is free."""
        self._search.refresh(running)
        if not self.pool.is_stopping:
            self._search.fill(self._slots - len(running))
        self._console.refresh(running)


def run_rounds(search: Search, launch: Callable[[list[Path]], object], size: int) -> None:
    """Run the jobs in rounds of ``size``, each by one call of ``launch`` that waits for all.

    ``launch`` shows how the jobs get on.
    """
    while search.fill(size):
        batch = list(search.queue)
        search.queue.clear()
        done = threading.Event()
        with ThreadPoolExecutor(1) as executor:
            refreshing = executor.submit(_refresh_until, done, search, batch)
            try:
                launch(batch)
            finally:
                done.set()
            refreshing.result()
        for folder in batch:
            search.ended(folder, state_of(folder))


def _refresh_until(done: threading.Event, search: Search, batch: Sequence[Path]) -> None:
    while not done.wait(REFRESH_SECONDS):
        search.refresh(batch)
