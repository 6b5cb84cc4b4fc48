"""Kills a run again and again, lets it go on, and compares it with one that was left alone.

    python tests/torture.py --kills 200 [--seed 0] [--scenarios head_first,plateau,accumulate]

Each attempt is a process of its own that ends by SIGKILL: at a random moment, or at a random one
of its own file operations, so also between a rename and the next write. TensorFlow is imported
once and the attempts are forked, which makes them seconds long; no TensorFlow object exists before.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TINY = ["debug=tiny", "optimizer.lr=1e-3", "train.resume=auto"]
SCENARIOS = {
    "head_first": ["transfer=head_first", "train.epochs=3", "metric=[accuracy,f1]"],
    "plateau": [
        "schedule=reduce_on_plateau",
        "schedule.patience=1",
        "train.epochs=5",
        "train.patience=2",
        "optimizer.lr=3e-2",
    ],
    "accumulate": [
        "train.accumulate=2",
        "train.batch_size=8",
        "train.max_steps=19",
        "transfer=layer_decay",
        "optimizer=lamb",
    ],
}
WRITES = ("open", "os.rename", "os.remove", "os.mkdir", "os.truncate", "shutil.rmtree")


@dataclass
class Kill:
    """When an attempt is to die: after so many seconds, or at so many of its file operations."""

    seconds: float | None = None
    operations: int | None = None


def attempt(words: list[str], folder: Path, kill: Kill | None = None) -> int | None:
    """Fork, run the command in ``folder``; return its exit code, None if it was killed."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            code = _run(words, folder, kill)
        finally:
            os._exit(code)
    if kill and kill.seconds is not None:
        deadline = time.monotonic() + kill.seconds
        while time.monotonic() < deadline:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return _code(status)
            time.sleep(0.005)
        os.kill(child, signal.SIGKILL)
    return _code(os.waitpid(child, 0)[1])


def _code(status: int) -> int | None:
    return None if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _run(words: list[str], folder: Path, kill: Kill | None) -> int:
    from xferlab.cli import main

    with (folder / "output.txt").open("a", encoding="utf-8") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.chdir(folder)
    if kill and kill.operations is not None:
        left = [kill.operations]

        def count(event: str, args: tuple[Any, ...]) -> None:
            if event in WRITES and "outputs" in str(args[0]):
                left[0] -= 1
                if left[0] <= 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
    return main([*words, "hydra.run.dir=outputs/run"])


def result(folder: Path) -> dict[str, Any]:
    """Return all that two runs of one config must have in common, bit for bit."""
    run = folder / "outputs" / "run"
    with (run / "history.csv").open() as stream:
        history = [
            {k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(stream)
        ]
    metrics = json.loads((run / "metrics.json").read_text())
    metrics.pop("seconds")
    return {
        "status": json.loads((run / "status.json").read_text())["status"],
        "history": history,
        "metrics": metrics,
        "last": (run / "checkpoints" / "last.safetensors").read_bytes(),
        "best": (run / "checkpoints" / "best.safetensors").read_bytes(),
        "scalars": {
            name: scalars(run / "tensorboard" / name) for name in ("train", "validation", "")
        },
        "checkpoints": sorted(p.name for p in (run / "checkpoints").iterdir()),
    }


def scalars(folder: Path) -> list[tuple[str, int, bytes]]:
    """Return every scalar event of a log folder in the order of its files: tag, step, value."""
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


def torture(
    words: list[str], folder: Path, kills: int, rng: random.Random, tell: Callable[[str], None]
) -> tuple[int, list[str]]:
    """Run once in peace, then with kills until ``kills`` attempts died; compare each finished run.

    Returns:
        How many attempts were killed, and what differed.
    """
    peace = folder / "peace"
    peace.mkdir(parents=True)
    began = time.monotonic()
    assert attempt(words, peace) == 0, (peace / "output.txt").read_text()
    seconds = time.monotonic() - began
    wanted, died, differences, rounds = result(peace), 0, [], 0
    while died < kills:
        rounds += 1
        war = folder / f"war{rounds}"
        war.mkdir()
        own, code = 0, None
        while code is None:
            every = f"train.checkpoint_every={rng.choice((1, 1, 2, 3, 5, '5min'))}"
            kill = Kill(seconds=rng.uniform(0, 1.1 * seconds))
            if rng.random() < 0.4:
                kill = Kill(operations=rng.randrange(1, 150))
            code = attempt([*words, every], war, kill if own < 12 else None)
            own += code is None
        died += own
        found = result(war) if code == 0 else {"status": f"exit code {code}"}
        differing = [key for key in wanted if found.get(key) != wanted[key]]
        tell(f"run {rounds}: killed {own} times, then {differing or 'equal'}")
        if differing:
            differences.append(f"{war}: {differing}")
        else:
            shutil.rmtree(war)
    return died, differences


def main() -> int:
    """Torture every scenario in turn; exit code 1 if any run differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    options = parser.parse_args()
    import_heavy()
    names = options.scenarios.split(",")
    total, bad = 0, []
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    for index, name in enumerate(names):
        rng = random.Random(options.seed * 1000 + index)
        share = -(-options.kills // len(names))
        print(f"{name}: {' '.join(SCENARIOS[name])}", flush=True)
        died, differences = torture(
            [*TINY, *SCENARIOS[name]],
            folder / name,
            share,
            rng,
            lambda line: print(line, flush=True),
        )
        total, bad = total + died, bad + differences
    print(f"{total} kills, {len(bad)} runs differ", *bad, sep="\n")
    return int(bool(bad))


def import_heavy() -> None:
    """Import what takes long, and start nothing."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from xferlab.backend import import_backend

    import_backend()
    import sklearn.metrics
    import transformers  # noqa: F401

    assert sklearn.metrics


if __name__ == "__main__":
    sys.exit(main())
