"""Jobs on other machines, followed by what they write into their folders."""

from __future__ import annotations

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
from xferlab.sweep.engines import Engine
from xferlab.sweep.job_state import (
    DONE,
    INTERRUPTED,
    QUEUED,
    RESUMED,
    RUNNING,
    State,
    is_taken,
    state_of,
)
from xferlab.sweep.local_pool import STOPPING, SweepStopped, Watch

LOOK_SECONDS = 0.5
LONGEST_PAUSE = 30.0
LOOKING_SHARE = 10
"""Looking takes at most a tenth of the time, however many jobs there are."""
PARTING_SECONDS = 60.0
"""So long jobs that were asked to end are waited for."""


@dataclass
class _Away:
    """A job that an engine has: the time of its old ``status.json``, when it began, ended."""

    before: int
    since: float = field(default_factory=time.monotonic)
    told: bool = False
    word: str = ""
    over: float | None = None


class RemoteJobMonitor:
    """Gives an engine the jobs that have not finished and tells how each gets on.

    A job's ``status.json`` is believed, an engine only where there is none: it calls a job done
    whose machine is gone, or one that it never began.

    Args:
        engine: runs the jobs.
        watch: is told what happens.
        fail_fast: take back the jobs that have not begun once one has failed.
    """

    def __init__(self, engine: Engine, watch: Watch, *, fail_fast: bool = False) -> None:
        self._engine, self._watch, self._fail_fast = engine, watch, fail_fast
        self._away: dict[Path, _Away] = {}
        self._stopped: list[int] = []
        self._cancelled = False

    def run(self, folders: Sequence[Path]) -> None:
        """Run the jobs; how each ended is in its folder.

        Raises:
            SweepStopped: SIGINT or SIGTERM came; the jobs were taken back.
        """
        with handled(STOPPING, self._hear):
            for folder in self._engine.adopted(folders):
                self._away[folder] = _Away(before=-1)
            queue = deque(folder for folder in folders if folder not in self._away)
            until = float("inf")
            while (queue or self._away) and time.monotonic() < until:
                self._submit(queue)
                began = time.monotonic()
                failed = any(self._refresh())
                taken = time.monotonic() - began
                if (failed and self._fail_fast) or self._stopped:
                    queue.clear()
                    until = min(until, self._requeue())
                time.sleep(min(max(LOOK_SECONDS, LOOKING_SHARE * taken), LONGEST_PAUSE))
        if self._stopped:
            raise SweepStopped(self._stopped[0])

    def _submit(self, queue: deque[Path]) -> None:
        """Give the engine what it has room for; what another process has goes to the back."""
        room = len(queue) if self._engine.room is None else self._engine.room - len(self._away)
        ready: list[Path] = []
        for _ in range(len(queue)):
            if len(ready) >= room:
                break
            folder = queue.popleft()
            state = state_of(folder)
            if is_taken(state):
                self._watch.waiting(folder, state)
                queue.append(folder)
            elif state.status not in DONE:
                ready.append(folder)
        if ready:
            self._away |= {folder: _Away(_written(folder)) for folder in ready}
            self._engine.submit(ready)

    def _refresh(self) -> Iterator[bool]:
        """Look at every job once; yield for each that has ended whether it failed."""
        for folder, word in self._engine.released().items():
            if folder in self._away:
                self._away[folder].over, self._away[folder].word = time.monotonic(), word
        running = []
        for folder, job in list(self._away.items()):
            new = _written(folder) != job.before
            state = state_of(folder) if new else State(QUEUED, folder=folder)
            if state.status in (RUNNING, *DONE) or state.failed:
                self._tell_start(folder, job)
            if state.status == RUNNING:
                running.append(folder)
            if self._has_ended(state, job):
                yield self._end(folder, job, state)
        self._watch.look(running)

    def _has_ended(self, state: State, job: _Away) -> bool:
        """Return whether this is a job's last word, or none will come."""
        if state.status in DONE or state.failed:
            return True
        if job.over is None:  # interrupted ones may be queued again, and go on
            return False
        if is_locked(state.folder):  # another process of this machine has it
            return False
        said = state.record.get("status") in RESUMED
        return said or self._cancelled or time.monotonic() - job.over > self._engine.lag

    def _tell_start(self, folder: Path, job: _Away) -> None:
        if not job.told:
            job.told, job.since = True, time.monotonic()
            self._watch.started(folder)

    def _end(self, folder: Path, job: _Away, state: State) -> bool:
        del self._away[folder]
        if state.status in (QUEUED, RUNNING, INTERRUPTED) and not self._told_end(state):
            state = self._lost(folder, job, state)
        if state.status != QUEUED:
            self._tell_start(folder, job)
            self._watch.ended(folder, state, time.monotonic() - job.since)
        return state.failed

    def _told_end(self, state: State) -> bool:
        return state.record.get("status") not in (None, RUNNING)

    def _lost(self, folder: Path, job: _Away, state: State) -> State:
        """Write down the end of a job that an engine no longer has and that said nothing."""
        if self._cancelled:
            if state.status == QUEUED:
                return state
            write_status(folder, INTERRUPTED)
        else:
            error = RunError(
                f"the job was lost: {job.word}",
                where=str(folder),
                fix="the same command does it again; docs/cluster.md says where the logs are",
            )
            write_error(folder, error)
            write_status(folder, "failed", error=error.what)
        return state_of(folder)

    def _requeue(self) -> float:
        """Take the jobs back, once; return when they have had time to end."""
        if not self._cancelled:
            self._cancelled = True
            held = list(self._away)
            begun = [f for f in held if self._away[f].told]
            self._engine.cancel(held if self._stopped else [f for f in held if f not in begun])
            self._until = time.monotonic() + PARTING_SECONDS
        return self._until if self._stopped else float("inf")

    def _hear(self, number: int, frame: FrameType | None) -> None:
        """Remember a signal; a second one leaves at once."""
        self._stopped.append(number)
        if len(self._stopped) > 1:
            raise SweepStopped(number)


def _written(folder: Path) -> int:
    """Return when ``status.json`` was written, in nanoseconds; 0 if never."""
    try:
        return (folder / "status.json").stat().st_mtime_ns
    except OSError:
        return 0
