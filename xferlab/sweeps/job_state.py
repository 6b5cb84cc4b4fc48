"""The state of a job: its ``status.json``, and whether the process that wrote it is alive."""

from __future__ import annotations

import math
import os
import socket
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xferlab.errors import printable
from xferlab.io.records import read_text
from xferlab.runs.heartbeat import SILENT_SECONDS, seconds_silent
from xferlab.runs.lock import is_locked
from xferlab.runs.metadata import read_status

QUEUED = "queued"
RUNNING = "running"
FINISHED = "finished"
INTERRUPTED = "interrupted"
PRUNED = "pruned"
DONE = (FINISHED, PRUNED)
"""States of a job that does not run again."""
LEAVING_SECONDS = 60
LONGEST_ERROR = 2000  # characters
RESUMED = (INTERRUPTED, "preempted")
"""States of a job that was stopped from outside, and is resumed."""


@dataclass(frozen=True)
class State:
    """The state of a job.

    Attributes:
        status: ``queued``, or that of ``status.json``; ``running`` only while its process lives.
        record: the content of ``status.json``.
        folder: of the job.
    """

    status: str
    record: dict[str, Any] = field(default_factory=dict)
    folder: Path = field(default=Path(), compare=False)

    @property
    def failed(self) -> bool:
        """Whether it ended and was neither finished, pruned nor stopped from outside."""
        return self.status not in (QUEUED, RUNNING, *DONE, *RESUMED)

    def error_lines(self) -> list[str]:
        """Return the text of ``error.txt``, at most nine lines, without control characters.

        Of a traceback it is the end; the rest is in the log.
        """
        try:
            text = read_text(self.folder / "error.txt").strip("\n")
        except (OSError, ValueError):
            text = ""
        if not text.lstrip().startswith("error:"):
            text = f" error: {self.record.get('error') or text[-200:] or 'no message'}"
        return [printable(line) for line in text[:LONGEST_ERROR].splitlines()[:9]]


def state_of(folder: Path) -> State:
    """Return the state of the job in ``folder``; nothing is written."""
    if not (folder / "status.json").exists():
        return State(QUEUED, folder=folder)
    record = read_status(folder)
    if record["status"] == RUNNING and not _is_alive(folder, record):
        return State(INTERRUPTED, record, folder)  # killed before it could write so
    return State(record["status"], record, folder)


def is_taken(state: State) -> bool:
    """Return whether another process runs the job, or is about to end."""
    return state.status == RUNNING or is_leaving(state)


def is_leaving(state: State) -> bool:
    """Return whether a job's process has written that it was interrupted, and still lives."""
    if state.status not in RESUMED or state.record.get("process") in (None, os.getpid()):
        return False
    return _age(state.record) < LEAVING_SECONDS and _is_alive(state.folder, state.record)


def _age(record: dict[str, Any]) -> float:
    """Return the seconds since a status was written; infinity where it has no time."""
    try:
        changed = datetime.fromisoformat(record["changed"])
        return (datetime.now(UTC) - changed).total_seconds()
    except (KeyError, ValueError, TypeError):
        return math.inf


def _is_alive(folder: Path, record: dict[str, Any]) -> bool:
    """Return whether the job's process lives; on another machine, whether its heartbeat is recent.

    On this machine the folder's lock decides, where there is one: process ids are reused.
    """
    if record.get("host") != socket.gethostname():
        silent = seconds_silent(folder)
        return "host" in record and silent is not None and silent < SILENT_SECONDS
    held = is_locked(folder)
    return _has_process(record.get("process")) if held is None else held


def _has_process(number: int | None) -> bool:
    if number is None:
        return False
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
