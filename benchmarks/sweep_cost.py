"""What a sweep costs beside one run: ``sweep_cost.py FOLDER``.

12 rates, and 12 rates x 3 seeds, on the bundled BERT and a few examples, one job at a time: each
job a new Python (``sweep.isolate=true``), or a fork of one that has imported the libraries. Every
job has one thread, so its history, its scores and its weights must be the same bits both ways:
that is checked too. Each command begins with an empty cache. ``sweep_cost.py FOLDER KEY=VALUE...``
measures another config, with warm processes only. What was measured in the folder is not measured
again.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RATES = "1e-5,2e-5,5e-5,1e-4,2e-4,3e-4,5e-4,1e-3,2e-3,3e-3,5e-3,1e-2"
SEEDS = "0,1,2"
LIMITS = ["data.limit.train=320", "data.limit.validation=200", "data.limit.test=200"]
BUNDLED = [*LIMITS, "train.epochs=3"]
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


@dataclass(frozen=True)
class Way:
    """A command to measure.

    Attributes:
        title: its name in the table.
        overrides: of the sweep, or of the run.
        jobs: how many it has.
        same_as: the way whose results must be the same bits, if any.
    """

    title: str
    overrides: tuple[str, ...]
    jobs: int = 1
    same_as: str | None = None


def ways_of(is_bundled: bool) -> dict[str, Way]:
    """Return the ways to measure, by the name of their folder."""
    ways = {"single": Way("one run", ("optimizer.lr=3e-4",))}
    for jobs, seeds in ((12, "0"), (36, SEEDS)):
        sweep = ("-m", f"optimizer.lr={RATES}", f"seed={seeds}", "sweep.threads=1")
        if is_bundled:
            fresh = (*sweep, "sweep.isolate=true")
            ways[f"fresh{jobs}"] = Way(f"{jobs} jobs, each a new process", fresh, jobs)
        same_as = f"fresh{jobs}" if is_bundled else None
        ways[f"warm{jobs}"] = Way(f"{jobs} jobs, warm", sweep, jobs, same_as)
    return ways


def main(folder: Path, config: list[str]) -> None:
    """Measure what has not been measured, print the table and compare the results."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    ways = ways_of(not config)
    print("| way | processor seconds | over one run | a job | wall seconds | load |")
    print("|---|---|---|---|---|---|")
    single = 0.0
    for name, way in ways.items():
        if not Path(f"{name}.json").exists():
            measure(name, [*way.overrides, *(config or BUNDLED)])
        wall, processor, *loads = json.loads(Path(f"{name}.json").read_text())
        single = single or processor
        load = " to ".join(f"{each:.1f}" for each in loads)
        print(
            f"| {way.title} | {processor:.0f} | {processor / single:.1f} |"
            f" {processor / way.jobs:.1f} | {wall:.0f} | {load} |",
            flush=True,
        )
    for name, way in ways.items():
        if way.same_as is None:
            continue
        found = results(Path(name))
        expected = results(Path(way.same_as))
        assert len(found) == way.jobs
        for run_id in found:
            assert found[run_id] == expected[run_id], f"{run_id} differs"
        print(f"\nhistory, scores and weights of {way.jobs} jobs are the same bits both ways")


def measure(name: str, overrides: list[str]) -> None:
    """Run a command and keep its wall and processor seconds and the machine's load around it."""
    load = os.getloadavg()[0]
    started = time.monotonic()
    before = processor_seconds()
    folder_key = "hydra.sweep.dir" if "-m" in overrides else "hydra.run.dir"
    command = [sys.executable, "-m", "xferlab", *overrides, f"{folder_key}={name}"]
    with Path(f"{name}.txt").open("w") as output:
        subprocess.run(
            command,
            check=True,
            stdout=output,
            stderr=output,
            env={**os.environ, **dict.fromkeys(THREADS, "1"), "XFERLAB_CACHE": f"{name}-cache"},
        )
    spent = [time.monotonic() - started, processor_seconds() - before]
    Path(f"{name}.json").write_text(json.dumps([*spent, load, os.getloadavg()[0]]))


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
    main(Path(sys.argv[1]), sys.argv[2:])
