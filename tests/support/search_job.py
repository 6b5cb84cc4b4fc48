"""A trial of no length: ``python search_job.py FOLDER``; it imports nothing of ours, to be quick.

What it does is told by ``DOES``, e.g. ``2:nan,3:sleep``: its place in the search and a word
of :func:`job`. Else its score is highest at a rate of 1e-4, and grows by the epoch. Every
attempt leaves a line in ``attempts``.
"""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import sys
import time
from pathlib import Path

EPOCHS = 3


def job(folder: Path) -> None:
    """Train for no time at all, and leave what a run leaves."""
    place = json.loads((folder.parent / "sweep.json").read_text())["requested"].index(folder.name)
    does = dict(word.split(":") for word in os.environ.get("DOES", "").split(",") if word)
    word = does.get(str(place), "")
    write_status(folder, "running")
    with (folder / "attempts").open("a") as stream:
        stream.write("one\n")
    if word == "nan":
        write_status(folder, "nan", error="the loss is nan at step 3")
        sys.exit(1)
    if word == "fail":
        write_status(folder, "failed", error="no such rows")
        sys.exit(1)
    if word in ("die", "sleep") and len((folder / "attempts").read_text().split()) == 1:
        (folder / "here").touch()
        if word == "sleep":
            time.sleep(60)
        os.kill(os.getpid(), signal.SIGKILL)
    score = train(folder, poor=word == "poor")
    if score is None:
        write_status(folder, "pruned")
        return
    best = {"monitor": "val_accuracy", "value": score, "epoch": EPOCHS}
    write(folder / "metrics.json", json.dumps({"best": best, "seconds": 3.0}))
    write_status(folder, "finished")


def train(folder: Path, *, poor: bool) -> float | None:
    """Write the history epoch by epoch; a poor one gives the search time to ask it to end.

    Returns:
        the best score, or None if it was asked.
    """
    config = json.loads((folder / "job.json").read_text())["config"]
    rate = float(config["optimizer"]["lr"])
    top = 0.9 - 0.1 * abs(math.log10(rate) + 4) - 0.6 * poor
    lines = ["epoch,step,val_accuracy,seconds"]
    for epoch in range(1, EPOCHS + 1):
        lines.append(f"{epoch},{epoch * 10},{top - 0.01 * (EPOCHS - epoch)},1.0")
        write(folder / "history.csv", "\n".join(lines) + "\n")
        for _ in range(300 * poor):
            if (folder / "prune.json").exists():
                break
            time.sleep(0.1)
        if (folder / "prune.json").exists():
            return None
    return top


def write_status(folder: Path, status: str, **details: str) -> None:
    """Write ``status.json``."""
    record = {"status": status, "process": os.getpid(), "host": socket.gethostname(), **details}
    write(folder / "status.json", json.dumps(record))


def write(path: Path, text: str) -> None:
    """Replace a file, whole."""
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").replace(path)


if __name__ == "__main__":
    job(Path(sys.argv[1]))
