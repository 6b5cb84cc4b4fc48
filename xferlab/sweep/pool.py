"""Jobs as processes on this machine: so many at once, one that dies takes no other with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Protocol

from xferlab.errors import RunError
from xferlab.runs.record import write_error, write_status
from xferlab.sweep.state import FINISHED, INTERRUPTED, QUEUED, RUNNING, State, is_leaving, state_of

LOOK_SECONDS = 0.1
STOPPING = (signal.SIGINT, signal.SIGTERM)
Command = Callable[[Path], list[str]]


class SweepStopped(Exception):
    """The sweep was asked to stop, and its jobs have.

    Args:
        number: the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Watch(Protocol):
    """Who is told how the jobs get on."""

    def started(self, folder: Path) -> None:
        """Tell that a job runs now."""

    def ended(self, folder: Path, state: State, seconds: float) -> None:
        """Tell how a job ended."""

    def waiting(self, folder: Path, state: State) -> None:
        """Tell that another process has a job that this sweep needs."""

    def look(self, running: Sequence[Path]) -> None:
        """Look at the jobs that run; called several times a second."""


@dataclass
class _Running:
    folder: Path
    process: subprocess.Popen[bytes]
    seat: Mapping[str, str]
    since: float = field(default_factory=time.monotonic)


def worker_command(folder: Path) -> list[str]:
    """Return the command of one job; it stops when its standard input closes."""
    return [sys.executable, "-m", "xferlab.worker", str(folder), "--tied"]


class Pool:
    """Runs jobs in processes of their own.

    Args:
        command: gives the command of the job in a folder. It is started with a pipe as standard
            input that closes when this process is gone, however it went.
        seats: environment variables of each place that a job can have; as many jobs run at once.
        watch: is told what happens.
        fail_fast: start no further job once one has failed.
    """

    def __init__(
        self,
        command: Command,
        seats: Sequence[Mapping[str, str]],
        watch: Watch,
        *,
        fail_fast: bool = False,
    ) -> None:
        self._command, self._watch, self._fail_fast = command, watch, fail_fast
        self._free = list(seats)
        self._running: list[_Running] = []
        self._stopped: list[int] = []

    def run(self, folders: Sequence[Path]) -> None:
        """Run the jobs that have not finished; how each ended is in its ``status.json``.

        Raises:
            SweepStopped: SIGINT or SIGTERM came; it was passed on and the jobs have ended.
        """
        queue = deque(folders)
        with self._signals_passed_on():
            try:
                while queue or self._running:
                    self._fill_seats(queue)
                    self._watch.look([each.folder for each in self._running])
                    time.sleep(LOOK_SECONDS)
                    if any(self._collect()) and self._fail_fast:
                        queue.clear()
                    if self._stopped:
                        queue.clear()
            finally:
                for each in self._running:  # only after a mistake of ours
                    each.process.kill()
        if self._stopped:
            raise SweepStopped(self._stopped[0])

    def _fill_seats(self, queue: deque[Path]) -> None:
        """Start jobs while there are seats; one that another process has goes to the back."""
        for _ in range(len(queue)):
            if not self._free or self._stopped:
                return
            folder = queue.popleft()
            state = state_of(folder)
            if state.status == RUNNING or is_leaving(state):
                self._watch.waiting(folder, state)
                queue.append(folder)
            elif state.status != FINISHED:
                self._start(folder)

    def _start(self, folder: Path) -> None:
        seat = self._free.pop(0)
        with (folder / "output.txt").open("ab") as output:
            process = subprocess.Popen(
                self._command(folder),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **seat},
                start_new_session=True,  # Ctrl-C reaches it through us, once
            )
        self._running.append(_Running(folder, process, seat))
        self._watch.started(folder)

    def _collect(self) -> Iterator[bool]:
        """Take the jobs that have ended off their seats; yield whether each failed."""
        for each in [each for each in self._running if each.process.poll() is not None]:
            self._running.remove(each)
            self._free.append(each.seat)
            if each.process.stdin:
                each.process.stdin.close()
            state = settle(each.folder, each.process.returncode)
            self._watch.ended(each.folder, state, time.monotonic() - each.since)
            yield state.failed

    @contextmanager
    def _signals_passed_on(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._pass_on) for number in STOPPING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        """Ask the jobs to end; at the second time make them."""
        self._stopped.append(number)
        for each in self._running:
            each.process.send_signal(number if len(self._stopped) == 1 else signal.SIGKILL)


def settle(folder: Path, code: int) -> State:
    """Return how a job ended, after writing down what it could not write itself.

    Args:
        folder: the job's folder.
        code: the exit code of its process; below 0 the signal that killed it.
    """
    state = state_of(folder)
    said = state.record.get("status", QUEUED)
    if said not in (QUEUED, RUNNING) and (code or said == FINISHED):
        return state
    if -code in STOPPING or code - 128 in STOPPING:
        write_status(folder, INTERRUPTED)
    else:
        error = _untold(folder, code)
        write_error(folder, error)
        write_status(folder, "failed", error=error.what)
    return state_of(folder)


def _untold(folder: Path, code: int) -> RunError:
    """Return the error of a job that ended without a word."""
    if code == -signal.SIGKILL:
        what, fix = "the job was killed (SIGKILL)", "see whether memory ran out: dmesg | tail"
    elif code < 0:
        what = f"the job was killed by {signal.Signals(-code).name}"
        fix = f"the last it said is in {folder / 'output.txt'}"
    else:
        what = f"the job ended with code {code} and without a result"
        fix = f"the last it said is in {folder / 'output.txt'}"
    return RunError(what, where=str(folder), fix=fix)
