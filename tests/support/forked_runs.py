"""Runs of the command line in forked processes, which can be killed, starved and signalled.

TensorFlow is imported once and nothing of it started, so an attempt takes seconds.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

RUN = Path("outputs/run")


def import_heavy() -> None:
    """Import what takes long, once for all attempts, and start nothing of TensorFlow.

    transformers imports a tokenizer's class, and what that needs, when it is first asked for; Hydra
    builds its grammar then.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from xferlab.config.compose import compose_config, publish
    from xferlab.data.tokenizer import load_tokenizer
    from xferlab.discovery import load_plugins
    from xferlab.models.checkpoint import resolve
    from xferlab.sweeps.fork_server import import_libraries

    import_libraries()
    load_tokenizer(resolve("bundled:bert", weights=False).folder)
    load_plugins(Path("/nonexistent"))
    publish(Path("/nonexistent"))
    compose_config(["debug=tiny", "optimizer.lr=1e-3"])


def start(overrides: list[str], folder: Path, before: Callable[[], None] | None = None) -> int:
    """Fork and run the words in ``folder``; return the process id.

    Args:
        words: of the command line; the run's folder is outputs/run.
        folder: working directory; ``output.txt`` in it gets what is printed.
        before: called in the new process, before anything else.
    """
    child = os.fork()
    if child == 0:
        code = 70
        try:
            code = _run(overrides, folder, before)
        finally:
            os._exit(code)
    return child


def ended(child: int) -> int:
    """Wait for a process; return its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def attempt(overrides: list[str], folder: Path, before: Callable[[], None] | None = None) -> int:
    """Run the words in a process of their own and wait for it."""
    return ended(start(overrides, folder, before))


def _run(overrides: list[str], folder: Path, before: Callable[[], None] | None) -> int:
    from xferlab.cli.main import main

    with (folder / "output.txt").open("a", encoding="utf-8") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.chdir(folder)
    if before:
        before()
    named = any(word.startswith("--recover=") for word in overrides)
    return main([*overrides] if named else [*overrides, f"hydra.run.dir={RUN}"])


def result(folder: Path) -> dict[str, Any]:
    """Return all that two runs of one config must have in common, bit for bit."""
    run = folder / RUN
    with (run / "history.csv").open() as stream:
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(stream)]
    metrics = json.loads((run / "metrics.json").read_text())
    metrics.pop("seconds")
    logs = ("train", "validation", "")
    steps = run / "steps.csv"
    frozen = run / "checkpoints" / "frozen.safetensors"
    return {
        "frozen": frozen.read_bytes() if frozen.exists() else b"",
        "steps": steps.read_bytes() if steps.exists() else b"",
        "status": json.loads((run / "status.json").read_text())["status"],
        "history": rows,
        "metrics": metrics,
        "last": (run / "checkpoints" / "last.safetensors").read_bytes(),
        "best": (run / "checkpoints" / "best.safetensors").read_bytes(),
        "scalars": {name: scalars(run / "tensorboard" / name) for name in logs},
        "checkpoints": sorted(p.name for p in (run / "checkpoints").iterdir()),
    }


def differing(folder: Path, wanted: dict[str, Any]) -> list[str]:
    """Return the parts of :func:`result` in which the run in ``folder`` is not as wanted."""
    try:
        found = result(folder)
    except OSError as e:
        return [str(e)]
    return [key for key in wanted if found[key] != wanted[key]]


def scalars(folder: Path) -> list[tuple[str, int, bytes]]:
    """Return every scalar event of a log folder, sorted: tag, step, value; doubles show."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event

    found = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for record in RawEventFileLoader(str(path)).Load():
            event = Event.FromString(record)
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name in ("", "scalars"):
                    found.append((value.tag, event.step, value.tensor.tensor_content))
    return sorted(found)
