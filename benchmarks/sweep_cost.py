"""What a sweep costs beside separate commands: ``sweep_cost.py FOLDER [WAY...] [--short]``.

12 rates x 3 seeds on the bundled BERT, a few rows: 36 jobs with two workers, with one, and as 36
commands one after another; with ``--short`` each way runs three of them, scaled up to all. Every
job has one thread, so whatever way it was run, its history, its scores and its weights must be
the same bits: that is checked too. A way (``two``, ``one``, ``separate``) that was measured in the
folder is not measured again.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RATES = "1e-5,2e-5,5e-5,1e-4,2e-4,3e-4,5e-4,1e-3,2e-3,3e-3,5e-3,1e-2"
SEEDS = "0,1,2"
ROWS = ["data.limit.train=320", "data.limit.validation=200", "data.limit.test=200"]
COMMON = [*ROWS, "train.epochs=3"]
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1"
)
JOBS = len(RATES.split(",")) * len(SEEDS.split(","))
RUN_RATES = "3e-4" if "--short" in sys.argv else RATES
RUN_JOBS = len(RUN_RATES.split(",")) * len(SEEDS.split(","))


def main(folder: Path, ways: list[str]) -> None:
    """Measure the ways named; once all three are, print the table and compare the results."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    for way in ways or WAYS:
        if not Path(f"{way}.json").exists():
            measure(way)
    if not all(Path(f"{way}.json").exists() for way in WAYS):
        return
    print(
        f"{JOBS} jobs\n\n| way | jobs run | minutes | processor minutes | load |\n"
        "|---|---|---|---|---|"
    )
    told = f"{JOBS}" if RUN_JOBS == JOBS else f"{RUN_JOBS}, scaled to {JOBS}"
    for way, (name, _) in WAYS.items():
        wall, processor, *load = json.loads(Path(f"{way}.json").read_text())
        minutes = [f"{seconds / 60 * JOBS / RUN_JOBS:.1f}" for seconds in (wall, processor)]
        loads = " to ".join(f"{each:.0f}" for each in load)
        print(f"| {name} | {told} | {minutes[0]} | {minutes[1]} | {loads} |")
    kept = [results(Path(way)) for way in WAYS]
    assert len(kept[0]) == RUN_JOBS
    for run_id in kept[0] | kept[1] | kept[2]:
        assert kept[0][run_id] == kept[1][run_id] == kept[2][run_id], f"{run_id} differs"
    print(f"\nhistory, scores and weights of {len(kept[-1])} jobs are the same bits in all three")


def measure(way: str) -> None:
    """Run a way and keep its wall and processor seconds and the machine's load around it."""
    load = os.getloadavg()[0]
    started = time.monotonic()
    before = processor_seconds()
    WAYS[way][1]()
    spent = [time.monotonic() - started, processor_seconds() - before]
    Path(f"{way}.json").write_text(json.dumps([*spent, load, os.getloadavg()[0]]))


def sweep(name: str, workers: int) -> None:
    """Run a sweep with one thread a job."""
    words = [f"optimizer.lr={RUN_RATES}", f"seed={SEEDS}", f"sweep.workers={workers}"]
    words += ["sweep.threads=1", f"hydra.sweep.dir={name}", *COMMON]
    with Path(f"{name}.txt").open("w") as told:
        command = [sys.executable, "-m", "xferlab", "-m", *words]
        subprocess.run(command, check=True, stdout=told, stderr=told)


def separate() -> None:
    """Run a command a job, one after another."""
    for rate, seed in itertools.product(RUN_RATES.split(","), SEEDS.split(",")):
        words = [
            f"optimizer.lr={rate}",
            f"seed={seed}",
            *COMMON,
            f"hydra.run.dir=separate/{rate}-{seed}",
        ]
        subprocess.run(
            [sys.executable, "-m", "xferlab", *words],
            check=True,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **ONE_THREAD},
        )


WAYS: dict[str, tuple[str, Callable[[], None]]] = {
    "two": ("one sweep, two workers", lambda: sweep("two", workers=2)),
    "one": ("one sweep, one worker", lambda: sweep("one", workers=1)),
    "separate": ("separate commands", separate),
}


def processor_seconds() -> float:
    """Return the processor seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def results(folder: Path) -> dict[str, Any]:
    """Return what each job of a folder computed, by run id; times are left out."""
    return {
        json.loads((job / "run.json").read_text())["run_id"]: computed(job)
        for job in (path.parent for path in folder.glob("*/metrics.json"))
    }


def computed(job: Path) -> tuple[Any, ...]:
    """Return a job's history, scores and last weights."""
    with (job / "history.csv").open(newline="") as stream:
        history = [
            {k: v for k, v in line.items() if k != "seconds"} for line in csv.DictReader(stream)
        ]
    metrics = json.loads((job / "metrics.json").read_text())
    scores = [metrics[part] for part in ("best", "validation", "test")]
    return history, scores, (job / "checkpoints" / "last.safetensors").read_bytes()


if __name__ == "__main__":
    main(Path(sys.argv[1]), [word for word in sys.argv[2:] if word != "--short"])
