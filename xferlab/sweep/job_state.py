"""How a job stands: its ``status.json``, and whether the process that wrote it is alive."""

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

QUEUED, RUNNING, FINISHED, INTERRUPTED = "queued", "running", "finished", "interrupted"
PRUNED = "pruned"
DONE = (FINISHED, PRUNED)
"""A job that stands so is not run again."""
LEAVING_SECONDS = 60
LONGEST_ERROR = 2000  # characters
RESUMED = (INTERRUPTED, "preempted")
"""A job that stands so was stopped from outside, and goes on where it was."""


@dataclass(frozen=True)
class State:
    """How a job stands.

    Attributes:
        status: ``queued``, or a word of ``status.json``; ``running`` only while its process is.
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
        """Return what ``error.txt`` says, nine lines at most, nothing a terminal would obey.

        Of a traceback it is the last words; the rest is in the log.
        """
        try:
            text = read_text(self.folder / "error.txt").strip("\n")
        except (OSError, ValueError):
            text = ""
        if not text.lstrip().startswith("error:"):
            text = f" error: {self.record.get('error') or text[-200:] or 'no word of it'}"
        return [printable(line) for line in text[:LONGEST_ERROR].splitlines()[:9]]


def state_of(folder: Path) -> State:
    """Return how the job in ``folder`` stands; nothing is written."""
    if not (folder / "status.json").exists():
        return State(QUEUED, folder=folder)
    record = read_status(folder)
    if record["status"] == RUNNING and not _is_alive(folder, record):
        return State(INTERRUPTED, record, folder)  # killed before it could say so
    return State(record["status"], record, folder)


def is_taken(state: State) -> bool:
    """Return whether another process has the job, or has only just let go of it."""
    return state.status == RUNNING or is_leaving(state)


def is_leaving(state: State) -> bool:
    """Return whether a job's process has just said that it was interrupted, and is not gone yet."""
    if state.status not in RESUMED or state.record.get("process") in (None, os.getpid()):
        return False
    return _age(state.record) < LEAVING_SECONDS and _is_alive(state.folder, state.record)


def _age(record: dict[str, Any]) -> float:
    """Return the seconds since a status was written; without end where it does not say."""
    try:
        changed = datetime.fromisoformat(record["changed"])
        return (datetime.now(UTC) - changed).total_seconds()
    except (KeyError, ValueError, TypeError):
        return math.inf


def _is_alive(folder: Path, record: dict[str, Any]) -> bool:
    """Return whether the job's process is there; that of another machine if it was heard of.

    On this one the folder's lock is the truth, where there is one: process ids are used again.
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
