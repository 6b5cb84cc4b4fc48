"""Jobs on other machines, monitored by what they write into their folders."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from xferlab.errors import RunError
from xferlab.runs.lock import is_locked
from xferlab.runs.metadata import write_error, write_status
from xferlab.runs.signals import handled
from xferlab.sweeps.engines.base import Engine
from xferlab.sweeps.job_state import (
    DONE,
    INTERRUPTED,
    QUEUED,
    RESUMED,
    RUNNING,
    State,
    state_of,
)
from xferlab.sweeps.local_pool import STOPPING, JobObserver, SweepStopped, take_jobs

POLL_SECONDS = 0.5
MAX_PAUSE_SECONDS = 30.0
PAUSE_FACTOR = 10
"""A pause is ten times as long as a refresh: polling takes at most a tenth of the time."""
CANCEL_SECONDS = 60.0
"""How long cancelled jobs may take to save and end."""


@dataclass
class _RemoteJob:
    """A job that an engine has.

    Attributes:
        status_time: when its ``status.json`` was written before, in nanoseconds; one that is
            still the same says nothing about this attempt.
        since: when it was submitted, then when it was first seen running.
        has_started: whether it was seen running.
        is_cancelled: whether the engine was requested to cancel it.
        released_at: when the engine no longer had it; None while it does.
        reason: what the engine reported then.
    """

    status_time: int
    since: float = field(default_factory=time.monotonic)
    has_started: bool = False
    is_cancelled: bool = False
    released_at: float | None = None
    reason: str = ""


class RemoteJobMonitor:
    """Submits the jobs that have not finished to an engine and reports how each gets on.

    The truth about a job is its ``status.json``. The engine is believed only where there is none:
    then it has a job whose machine is gone, or one that it never started.

    Args:
        engine: runs the jobs.
        observer: is notified of what happens.
        fail_fast: cancel the jobs that have not started once one has failed.
    """

    def __init__(self, engine: Engine, observer: JobObserver, *, fail_fast: bool = False) -> None:
        self._engine = engine
        self._observer = observer
        self._fail_fast = fail_fast
        self._jobs: dict[Path, _RemoteJob] = {}
        self._signals: list[int] = []
        self._has_cancelled = False
        self._give_up_at = math.inf

    def run(self, folders: Sequence[Path]) -> None:
        """Run the jobs; how each ended is in its folder.

        Raises:
            SweepStopped: SIGINT or SIGTERM came; the jobs were cancelled.
        """
        with handled(STOPPING, self._on_signal):
            for folder in self._engine.adopt(folders):
                self._jobs[folder] = _RemoteJob(status_time=-1)
            queue = deque(folder for folder in folders if folder not in self._jobs)
            while (queue or self._jobs) and time.monotonic() < self._give_up_at:
                self._submit(queue)
                started = time.monotonic()
                has_failure = any(self._refresh())
                seconds = time.monotonic() - started
                if self._signals or (has_failure and self._fail_fast):
                    queue.clear()
                    self._cancel()
                time.sleep(min(max(POLL_SECONDS, PAUSE_FACTOR * seconds), MAX_PAUSE_SECONDS))
        if self._signals:
            raise SweepStopped(self._signals[0])

    def _submit(self, queue: deque[Path]) -> None:
        """Submit the jobs that the engine has capacity for."""
        free = len(queue)
        if self._engine.capacity is not None:
            free = self._engine.capacity - len(self._jobs)
        ready = [state.folder for state in take_jobs(queue, free, self._observer)]
        if ready:
            self._jobs |= {folder: _RemoteJob(_status_time(folder)) for folder in ready}
            self._engine.submit(ready)

    def _refresh(self) -> Iterator[bool]:
        """Read the state of every job once; yield for each that has ended whether it failed."""
        for folder, reason in self._engine.released().items():
            if folder in self._jobs:
                self._jobs[folder].released_at = time.monotonic()
                self._jobs[folder].reason = reason
        running = []
        for folder, job in list(self._jobs.items()):
            state = State(QUEUED, folder=folder)
            if _status_time(folder) != job.status_time:
                state = state_of(folder)
            if state.status in (RUNNING, *DONE) or state.failed:
                self._report_start(folder, job)
            if state.status == RUNNING:
                running.append(folder)
            if self._has_ended(state, job):
                yield self._end(folder, job, state)
        self._observer.refresh(running)

    def _has_ended(self, state: State, job: _RemoteJob) -> bool:
        """Return whether a state is the job's last one, or no other will come."""
        if state.status in DONE or state.failed:
            return True
        if job.released_at is None:  # interrupted ones may be queued again, and resume
            return False
        if is_locked(state.folder):  # another process of this machine has it
            return False
        if state.record.get("status") in RESUMED or self._has_cancelled:
            return True
        return time.monotonic() - job.released_at > self._engine.delay

    def _report_start(self, folder: Path, job: _RemoteJob) -> None:
        if not job.has_started:
            job.has_started = True
            job.since = time.monotonic()
            self._observer.started(folder)

    def _end(self, folder: Path, job: _RemoteJob, state: State) -> bool:
        del self._jobs[folder]
        wrote_end = state.record.get("status") not in (None, RUNNING)
        if state.status in (QUEUED, RUNNING, INTERRUPTED) and not wrote_end:
            state = self._write_lost(folder, job, state)
        if state.status != QUEUED:
            self._report_start(folder, job)
            self._observer.ended(folder, state, time.monotonic() - job.since)
        return state.failed

    def _write_lost(self, folder: Path, job: _RemoteJob, state: State) -> State:
        """Write the end of a job that an engine no longer has and that wrote none itself."""
        if self._has_cancelled:
            if state.status == QUEUED:
                return state
            write_status(folder, INTERRUPTED)
        else:
            error = RunError(
                f"the job was lost: {job.reason}",
                where=str(folder),
                fix="the same command runs it again; docs/cluster.md says where the logs are",
            )
            write_error(folder, error)
            write_status(folder, "failed", error=error.what)
        return state_of(folder)

    def _cancel(self) -> None:
        """Cancel each job once: all after a signal, else those that have not started."""
        self._has_cancelled = True
        jobs = [
            folder
            for folder, job in self._jobs.items()
            if not job.is_cancelled and (self._signals or not job.has_started)
        ]
        for folder in jobs:
            self._jobs[folder].is_cancelled = True
        if jobs:
            self._engine.cancel(jobs)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """Remember a signal; a second one leaves at once."""
        self._signals.append(number)
        self._give_up_at = time.monotonic() + CANCEL_SECONDS
        if len(self._signals) > 1:
            raise SweepStopped(number)


def _status_time(folder: Path) -> int:
    """Return when ``status.json`` was written, in nanoseconds; 0 if never."""
    try:
        return (folder / "status.json").stat().st_mtime_ns
    except OSError:
        return 0
