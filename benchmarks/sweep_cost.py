"""What a sweep costs beside separate commands: ``python benchmarks/sweep_cost.py [FOLDER]``.

12 rates x 3 seeds on the bundled BERT, a few rows: two workers run all of it; one worker and
separate commands run a sample, which is scaled up to all. Every job has one thread, so whatever
way it was run, its history, its scores and its weights must be the same bits: that is checked too.
Finished steps are not done again in the same folder.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RATES = "1e-5,2e-5,5e-5,1e-4,2e-4,3e-4,5e-4,1e-3,2e-3,3e-3,5e-3,1e-2"
SEEDS = "0,1,2"
SAMPLE = ["3e-4", "1e-3"]
ROWS = ["data.limit.train=320", "data.limit.validation=200", "data.limit.test=200"]
COMMON = [*ROWS, "train.epochs=3"]
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1"
)
JOBS = len(RATES.split(",")) * len(SEEDS.split(","))
SAMPLED = len(SAMPLE) * len(SEEDS.split(","))


def main(folder: Path) -> None:
    """Measure the three ways, print the table and compare the results."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    print(f"{JOBS} jobs; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the start\n")
    print("| way | jobs run | minutes | processor minutes |\n|---|---|---|---|")
    rates = ",".join(SAMPLE)
    row("one sweep, two workers", JOBS, lambda: sweep("two", RATES, workers=2))
    row("one sweep, one worker", SAMPLED, lambda: sweep("one", rates, workers=1))
    row("separate commands", SAMPLED, separate)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")
    ways = [results(Path(name)) for name in ("one", "two", "separate")]
    for run_id in ways[0]:
        assert ways[0][run_id] == ways[1][run_id] == ways[2][run_id], f"{run_id} differs"
    print(f"history, scores and weights of {len(ways[0])} jobs are the same bits in all three")


def row(way: str, count: int, work: Callable[[], None]) -> None:
    """Do ``work`` and print wall and processor minutes, scaled up to all jobs."""
    known = Path(f"{way}.json")
    if not known.exists():
        started, before = time.monotonic(), processor_seconds()
        work()
        spent = [time.monotonic() - started, processor_seconds() - before]
        known.write_text(json.dumps(spent))
    wall, processor = (seconds / 60 * JOBS / count for seconds in json.loads(known.read_text()))
    told = f"{count}" if count == JOBS else f"{count}, scaled to {JOBS}"
    print(f"| {way} | {told} | {wall:.1f} | {processor:.1f} |", flush=True)


def sweep(name: str, rates: str, workers: int) -> None:
    """Run a sweep with one thread a job."""
    words = [f"optimizer.lr={rates}", f"seed={SEEDS}", f"sweep.workers={workers}"]
    words += ["sweep.threads=1", f"hydra.sweep.dir={name}", *COMMON]
    with Path(f"{name}.txt").open("w") as told:
        command = [sys.executable, "-m", "xferlab", "-m", *words]
        subprocess.run(command, check=True, stdout=told, stderr=told)


def separate() -> None:
    """Run a command a job, one after another."""
    for rate in SAMPLE:
        for seed in SEEDS.split(","):
            words = [f"optimizer.lr={rate}", f"seed={seed}", *COMMON]
            subprocess.run(
                [sys.executable, "-m", "xferlab", *words, f"hydra.run.dir=separate/{rate}-{seed}"],
                check=True,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **ONE_THREAD},
            )


def processor_seconds() -> float:
    """Return the processor seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def results(folder: Path) -> dict[str, Any]:
    """Return what each job of a folder computed, by run id; times are left out."""
    return {json.loads((job / "run.json").read_text())["run_id"]: computed(job)
            for job in (path.parent for path in folder.glob("*/metrics.json"))}  # fmt: skip


def computed(job: Path) -> tuple[Any, ...]:
    """Return a job's history, scores and last weights."""
    with (job / "history.csv").open(newline="") as stream:
        history = [
            {k: v for k, v in line.items() if k != "seconds"} for line in csv.DictReader(stream)
        ]
    metrics = json.loads((job / "metrics.json").read_text())
    metrics.pop("seconds")
    return history, metrics, (job / "checkpoints" / "last.safetensors").read_bytes()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as workspace:
            main(Path(workspace))
