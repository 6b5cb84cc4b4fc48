"""How a job stands: its ``status.json``, and whether the process that wrote it is alive."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xferlab.runs.record import read_status

QUEUED, RUNNING, FINISHED, INTERRUPTED = "queued", "running", "finished", "interrupted"
LEAVING_SECONDS = 60
RESUMED = (INTERRUPTED, "preempted")
"""A job that stands so goes on where it was; every other unfinished one begins again."""


@dataclass(frozen=True)
class State:
    """How a job stands.

    Attributes:
        status: ``queued``, or a word of ``status.json``; ``running`` only while its process is.
        record: the content of ``status.json``.
    """

    status: str
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether it ended and was neither finished nor stopped from outside."""
        return self.status not in (QUEUED, RUNNING, FINISHED, "pruned", *RESUMED)


def state_of(folder: Path) -> State:
    """Return how the job in ``folder`` stands; nothing is written."""
    if not (folder / "status.json").exists():
        return State(QUEUED)
    record = read_status(folder)
    if record["status"] == RUNNING and not _is_alive(record):
        return State(INTERRUPTED, record)  # killed before it could say so
    return State(record["status"], record)


def is_leaving(state: State) -> bool:
    """Return whether a job's process has just said that it was interrupted, and is not gone yet."""
    if state.status not in RESUMED or state.record.get("process") in (None, os.getpid()):
        return False
    age = datetime.now(UTC) - datetime.fromisoformat(state.record["changed"])
    return age.total_seconds() < LEAVING_SECONDS and _is_alive(state.record)


def _is_alive(record: dict[str, Any]) -> bool:
    """Return whether the process is there; that of another machine is taken to be."""
    if record["host"] != socket.gethostname():
        return True
    try:
        os.kill(record["process"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
