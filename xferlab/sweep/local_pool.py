"""Jobs as processes on this machine: so many at once, one that dies takes no other with it."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from xferlab.config.yaml_files import shown
from xferlab.errors import RunError
from xferlab.formatting import format_duration
from xferlab.runs.lock import is_locked
from xferlab.runs.metadata import write_error, write_status
from xferlab.runs.signals import handled
from xferlab.sweep.job_state import (
    DONE,
    INTERRUPTED,
    LEAVING_SECONDS,
    QUEUED,
    RUNNING,
    State,
    is_taken,
    state_of,
)

LOOK_SECONDS = 0.1
STOPPING = (signal.SIGINT, signal.SIGTERM)
SAY_WHERE = signal.SIGQUIT
"""Has a worker print where each of its threads is, into its ``output.txt``."""
Command = Callable[[Path], list[str]]


class SweepStopped(Exception):
    """The sweep was asked to stop, and its jobs have.

    Args:
        number: the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class JobObserver(Protocol):
    """Who is notified of what the jobs do."""

    def started(self, folder: Path) -> None:
        """Tell that a job runs now."""

    def ended(self, folder: Path, state: State, seconds: float) -> None:
        """Tell how a job ended."""

    def waiting(self, folder: Path, state: State) -> None:
        """Tell that another process has a job that this sweep needs."""

    def refresh(self, running: Sequence[Path]) -> None:
        """Show the jobs that run; called several times a second."""


@dataclass
class _Running:
    folder: Path
    process: subprocess.Popen[bytes]
    slot: Mapping[str, str]
    before: Mapping[str, Any]
    since: float = field(default_factory=time.monotonic)
    told: int = 0  # signals, because it is late


def worker_command(folder: Path) -> list[str]:
    """Return the command of one job; it stops when its standard input closes."""
    return [sys.executable, "-m", "xferlab.sweep.worker", str(folder), "--tied"]


class Pool:
    """Runs jobs in processes of their own.

    Args:
        command: gives the command of the job in a folder. It is started with a pipe as standard
            input that closes when this process is gone, however it went.
        seats: environment variables of each place that a job can have; as many jobs run at once.
        observer: is notified of what happens.
        fail_fast: start no further job once one has failed.
        time_limit: seconds after which a job is asked to end, and has failed; None for no limit.
    """

    def __init__(
        self,
        command: Command,
        slots: Sequence[Mapping[str, str]],
        observer: JobObserver,
        *,
        fail_fast: bool = False,
        time_limit: float | None = None,
    ) -> None:
        self._command = command
        self._observer = observer
        self._fail_fast = fail_fast
        self._time_limit = math.inf if time_limit is None else time_limit
        self._free = list(slots)
        self._running: list[_Running] = []
        self._stopped: list[int] = []

    def run(self, folders: Sequence[Path]) -> None:
        """Run the jobs that have not finished; how each ended is in its ``status.json``.

        A deque is not copied: whoever is told of the jobs may add further ones to it.

        Raises:
            SweepStopped: SIGINT or SIGTERM came; it was passed on and the jobs have ended.
        """
        queue = folders if isinstance(folders, deque) else deque(folders)
        with handled(STOPPING, self._pass_on):
            try:
                while queue or self._running:
                    self._fill_slots(queue)
                    self._observer.refresh([each.folder for each in self._running])
                    time.sleep(LOOK_SECONDS)
                    self._end_late_ones()
                    if any(self._collect(queue)) and self._fail_fast:
                        queue.clear()
                    if self._stopped:
                        queue.clear()
            finally:
                for each in self._running:  # only after a mistake of ours
                    each.process.kill()
        if self._stopped:
            raise SweepStopped(self._stopped[0])

    @property
    def stopping(self) -> bool:
        """Whether a signal came: no further job starts."""
        return bool(self._stopped)

    def _fill_slots(self, queue: deque[Path]) -> None:
        """Start jobs while there are seats; one that another process has goes to the back."""
        for _ in range(len(queue)):
            if not self._free or self._stopped:
                return
            folder = queue.popleft()
            state = state_of(folder)
            if is_taken(state):
                self._observer.waiting(folder, state)
                queue.append(folder)
            elif state.status not in DONE:
                self._start(folder, state.record)

    def _start(self, folder: Path, before: Mapping[str, Any]) -> None:
        slot = self._free.pop(0)
        with (folder / "output.txt").open("ab") as output:
            process = subprocess.Popen(
                self._command(folder),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **slot},
                start_new_session=True,  # Ctrl-C reaches it through us, once
            )
        self._running.append(_Running(folder, process, slot, before))
        self._observer.started(folder)

    def _collect(self, queue: deque[Path]) -> Iterator[bool]:
        """Take the jobs that have ended off their seats; yield whether each failed.

        One that another process took first is waited for: it goes back into the queue.
        """
        for each in [each for each in self._running if each.process.poll() is not None]:
            self._running.remove(each)
            self._free.append(each.slot)
            if each.process.stdin:
                each.process.stdin.close()
            limit = self._time_limit if each.told else None
            code = each.process.returncode
            state = finalize(each.folder, code, bool(self._stopped), limit, each.before)
            if state.status == RUNNING:
                queue.append(each.folder)
                continue
            self._observer.ended(each.folder, state, time.monotonic() - each.since)
            yield state.failed

    def _end_late_ones(self) -> None:
        """Ask jobs that are over the limit where they are, then to end; kill those that do not.

        A second lies between: of two signals at once the kernel gives one to a thread that
        Python does not listen in.
        """
        for each in self._running:
            over = time.monotonic() - each.since - self._time_limit
            if over > LEAVING_SECONDS:
                each.process.kill()
            elif each.told < 2 and over > each.told:
                each.process.send_signal((SAY_WHERE, signal.SIGTERM)[each.told])
                each.told += 1

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        """Ask the jobs to end; at the second time make them."""
        self._stopped.append(number)
        for each in self._running:
            each.process.send_signal(number if len(self._stopped) == 1 else signal.SIGKILL)


def finalize(
    folder: Path,
    code: int,
    asked: bool = False,
    limit: float | None = None,
    before: Mapping[str, Any] | None = None,
) -> State:
    """Return how a job ended, after writing down what it could not write itself.

    Nothing is written where another process is at work in the folder: the job is its job.

    Args:
        folder: the job's folder.
        code: the exit code of its process; below 0 the signal that killed it.
        asked: the sweep was asked to stop.
        limit: the seconds that it had, if it was ended for taking longer.
        before: its ``status.json`` before the process was started; one that is still the same is
            no word about this attempt.
    """
    state = state_of(folder)
    if is_locked(folder):
        return State(RUNNING, state.record, folder)
    said = state.record.get("status", QUEUED)
    if before and state.record == before and said not in DONE:
        said = QUEUED
    if limit is not None and said not in DONE:
        _write_down(folder, _too_long(folder, limit))
    elif said not in (QUEUED, RUNNING) and (code or said in DONE):
        return state
    elif -code in STOPPING or code - 128 in STOPPING or (asked and -code == signal.SIGKILL):
        write_status(folder, INTERRUPTED)
    else:
        killed = {"signal": -code} if code < 0 else {}
        _write_down(folder, _untold(folder, code), **killed)
    return state_of(folder)


def _write_down(folder: Path, error: RunError, **details: int) -> None:
    """Keep a failure where the job would have: its ``error.txt``, its log, its status."""
    write_error(folder, error)
    with (folder / "train.log").open("a", encoding="utf-8") as log:
        log.write(f"{datetime.now():%Y-%m-%d %H:%M:%S,%f} ERROR {error}\n")
    write_status(folder, "failed", error=error.what, **details)


def _too_long(folder: Path, limit: float) -> RunError:
    return RunError(
        f"the job took longer than sweep.time_limit, {format_duration(limit)}",
        where=shown(folder),
        fix=f"raise the limit, or see at the end of {shown(folder / 'output.txt')} where it was",
    )


def _untold(folder: Path, code: int) -> RunError:
    """Return the error of a job that ended without a word."""
    fix = f"the last it said is in {shown(folder / 'output.txt')}"
    if code == -signal.SIGKILL:
        what, fix = "the job was killed (SIGKILL)", "see whether memory ran out: dmesg | tail"
    elif code < 0:
        what = f"the job was killed by {signal.Signals(-code).name}"
    else:
        what = f"the job ended with code {code} and without a result"
    return RunError(what, where=shown(folder), fix=fix)
