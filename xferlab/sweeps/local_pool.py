"""Runs jobs as processes on this machine; one that dies does not affect the others."""

from __future__ import annotations

import math
import signal
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from xferlab.errors import RunError
from xferlab.formatting import format_duration, format_path
from xferlab.runs.lock import is_locked
from xferlab.runs.metadata import write_error, write_status
from xferlab.runs.signals import handled
from xferlab.sweeps.job_processes import JobProcess, JobProcesses
from xferlab.sweeps.job_state import (
    DONE,
    INTERRUPTED,
    LEAVING_SECONDS,
    QUEUED,
    RUNNING,
    State,
    is_taken,
    state_of,
)

POLL_SECONDS = 0.1
STOPPING = (signal.SIGINT, signal.SIGTERM)
DUMP_STACKS = signal.SIGQUIT
"""Makes a worker print the stack of each of its threads, into its ``output.txt``."""


class SweepStopped(Exception):
    """A signal stopped the sweep, and its jobs have ended.

    Args:
        number: the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class JobObserver(Protocol):
    """Who is notified of what the jobs do."""

    def started(self, folder: Path) -> None:
        """A job runs now."""

    def ended(self, folder: Path, state: State, seconds: float) -> None:
        """A job has ended."""

    def waiting(self, folder: Path, state: State) -> None:
        """Another process has a job that this sweep needs."""

    def refresh(self, running: Sequence[Path]) -> None:
        """Show the jobs that run; called several times a second."""


def take_jobs(queue: deque[Path], most: int, observer: JobObserver) -> Iterator[State]:
    """Take the next jobs that are to run off a queue, and yield the state of each.

    Finished jobs are dropped; one that another process has goes to the back.
    """
    for _ in range(len(queue)):
        if most <= 0:
            return
        folder = queue.popleft()
        state = state_of(folder)
        if is_taken(state):
            observer.waiting(folder, state)
            queue.append(folder)
        elif state.status not in DONE:
            most -= 1
            yield state


@dataclass
class _Running:
    folder: Path
    process: JobProcess
    slot: Mapping[str, str]
    before: Mapping[str, Any]
    since: float = field(default_factory=time.monotonic)
    signals_sent: int = 0  # because it is over the time limit


class Pool:
    """Runs jobs in processes of their own.

    Args:
        processes: starts them.
        slots: environment variables of each slot; as many jobs run at once.
        observer: is notified of what happens.
        fail_fast: start no further job once one has failed.
        time_limit: seconds after which a job is signalled to end, and has failed; None for no
            limit.
    """

    def __init__(
        self,
        processes: JobProcesses,
        slots: Sequence[Mapping[str, str]],
        observer: JobObserver,
        *,
        fail_fast: bool = False,
        time_limit: float | None = None,
    ) -> None:
        self._processes = processes
        self._observer = observer
        self._fail_fast = fail_fast
        self._time_limit = math.inf if time_limit is None else time_limit
        self._free = list(slots)
        self._running: list[_Running] = []
        self._stopped: list[int] = []

    def run(self, folders: Sequence[Path]) -> None:
        """Run the jobs that have not finished; how each ended is in its ``status.json``.

        A deque is not copied: an observer may add further jobs to it.

        Raises:
            SweepStopped: SIGINT or SIGTERM came; it was passed on and the jobs have ended.
        """
        queue = folders if isinstance(folders, deque) else deque(folders)
        with handled(STOPPING, self._forward):
            try:
                while queue or self._running:
                    self._fill_slots(queue)
                    self._observer.refresh([each.folder for each in self._running])
                    time.sleep(POLL_SECONDS)
                    self._enforce_time_limit()
                    if any(self._collect(queue)) and self._fail_fast:
                        queue.clear()
                    if self._stopped:
                        queue.clear()
            finally:
                for each in self._running:  # only after a bug
                    each.process.kill()
                self._processes.close()
        if self._stopped:
            raise SweepStopped(self._stopped[0])

    @property
    def is_stopping(self) -> bool:
        """Whether a signal came: no further job starts."""
        return bool(self._stopped)

    def _fill_slots(self, queue: deque[Path]) -> None:
        """Start jobs while slots are free."""
        if not self._stopped:
            for state in take_jobs(queue, len(self._free), self._observer):
                self._start(state.folder, state.record)

    def _start(self, folder: Path, before: Mapping[str, Any]) -> None:
        slot = self._free.pop(0)
        process = self._processes.start(folder, slot)
        self._running.append(_Running(folder, process, slot, before))
        self._observer.started(folder)

    def _collect(self, queue: deque[Path]) -> Iterator[bool]:
        """Free the slots of the jobs that have ended; yield whether each failed.

        One that another process took first is waited for: it goes back into the queue.
        """
        for each in [each for each in self._running if each.process.poll() is not None]:
            self._running.remove(each)
            self._free.append(each.slot)
            if each.process.stdin:
                each.process.stdin.close()
            limit = self._time_limit if each.signals_sent else None
            code = each.process.returncode
            state = finalize(each.folder, code, bool(self._stopped), limit, each.before)
            if state.status == RUNNING:
                queue.append(each.folder)
                continue
            self._observer.ended(each.folder, state, time.monotonic() - each.since)
            yield state.failed

    def _enforce_time_limit(self) -> None:
        """Make jobs over the limit print their stacks, then signal them to end, then kill them.

        A second passes in between: of two signals at once the kernel gives one to a thread in
        which Python has no handler.
        """
        for each in self._running:
            over = time.monotonic() - each.since - self._time_limit
            if over > LEAVING_SECONDS:
                each.process.kill()
            elif each.signals_sent < 2 and over > each.signals_sent:
                each.process.send_signal((DUMP_STACKS, signal.SIGTERM)[each.signals_sent])
                each.signals_sent += 1

    def _forward(self, number: int, frame: FrameType | None) -> None:
        """Forward the signal to the jobs; kill them at the second one."""
        self._stopped.append(number)
        for each in self._running:
            each.process.send_signal(number if len(self._stopped) == 1 else signal.SIGKILL)


def finalize(
    folder: Path,
    code: int,
    was_stopped: bool = False,
    limit: float | None = None,
    before: Mapping[str, Any] | None = None,
) -> State:
    """Return how a job ended, after writing what it could not write itself.

    Nothing is written while another process runs the job.

    Args:
        folder: the job's folder.
        code: the exit code of its process; below 0 the signal that killed it.
        was_stopped: the sweep was stopped by a signal.
        limit: the time limit in seconds, if the job was ended for taking longer.
        before: its ``status.json`` before the process was started; one that is still the same says
            nothing about this attempt.
    """
    state = state_of(folder)
    if is_locked(folder):
        return State(RUNNING, state.record, folder)
    status = state.record.get("status", QUEUED)
    if before and state.record == before and status not in DONE:
        status = QUEUED
    if limit is not None and status not in DONE:
        _write_failure(folder, _time_limit_error(folder, limit))
    elif status not in (QUEUED, RUNNING) and (code or status in DONE):
        return state
    elif -code in STOPPING or code - 128 in STOPPING or (was_stopped and -code == signal.SIGKILL):
        write_status(folder, INTERRUPTED)
    else:
        killed = {"signal": -code} if code < 0 else {}
        _write_failure(folder, _silent_death_error(folder, code), **killed)
    return state_of(folder)


def _write_failure(folder: Path, error: RunError, **details: int) -> None:
    """Write a failure where the job would have: ``error.txt``, log and status."""
    write_error(folder, error)
    with (folder / "train.log").open("a", encoding="utf-8") as log:
        log.write(f"{datetime.now():%Y-%m-%d %H:%M:%S,%f} ERROR {error}\n")
    write_status(folder, "failed", error=error.what, **details)


def _time_limit_error(folder: Path, limit: float) -> RunError:
    return RunError(
        f"the job took longer than sweep.time_limit, {format_duration(limit)}",
        where=format_path(folder),
        fix=f"raise the limit, or read at the end of {format_path(folder / 'output.txt')}"
        " where it was",
    )


def _silent_death_error(folder: Path, code: int) -> RunError:
    """Return the error of a job that ended without writing one."""
    fix = f"its last output is in {format_path(folder / 'output.txt')}"
    if code == -signal.SIGKILL:
        what = "the job was killed (SIGKILL)"
        fix = "check whether memory ran out: dmesg | tail"
    elif code < 0:
        what = f"the job was killed by {signal.Signals(-code).name}"
    else:
        what = f"the job ended with code {code} and without a result"
    return RunError(what, where=format_path(folder), fix=fix)
