"""How a search requests a trial to end early: a file in its folder, which the run checks for.

A file outlives both sides, whoever is killed, and reaches a job on any machine that shares the
folder; the job needs no connection to the search and no database.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xferlab.io.atomic import write_json
from xferlab.io.records import read_record

REQUEST = "prune.json"
SHAPE = {"monitor": str, "value": float, "epoch": int, "pruner": str}


class Pruned(Exception):
    """A search has requested this run to end: others did better at this point.

    Args:
        request: what :func:`request_pruning` wrote.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        super().__init__(
            f"{request['monitor']} {request['value']:.4g} at epoch {request['epoch']} is too poor"
            f" ({request['pruner']})"
        )


def request_pruning(folder: Path, *, monitor: str, value: float, epoch: int, pruner: str) -> None:
    """Request the run in ``folder`` to end, because of its ``value`` at the end of ``epoch``."""
    request = {"monitor": monitor, "value": value, "epoch": epoch, "pruner": pruner}
    write_json(folder / REQUEST, request)


def obey_pruning(folder: Path) -> None:
    """Raise Pruned if the run in ``folder`` is requested to end."""
    path = folder / REQUEST
    if path.exists():
        raise Pruned(read_record(path, SHAPE))


def forget_pruning(folder: Path) -> None:
    """Take the request back: who starts a pruned run again wants it whole."""
    (folder / REQUEST).unlink(missing_ok=True)
