"""A pruned search beside the full grid: how good is what it finds, at what share of the cost?

``python benchmarks/search_cost.py FOLDER [WORDS]`` trains every point of a grid of rates and batch
sizes, by default on the demo task, then lets searches choose from the same points. A search's jobs
are played back, epoch by epoch, from what the grid's jobs left: training is deterministic, so a job
of the search would be the same bits. What a search asks for, ends and pays is decided by the very
code that runs real ones. ``--train`` lets seed 0 train for real as well. Cost is counted in epochs,
each over the same rows.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xferlab.cli.search import begin
from xferlab.config.compose import publish
from xferlab.discovery import load_plugins
from xferlab.io.atomic import atomic_write, write_json
from xferlab.runs.history import history_of
from xferlab.runs.metadata import read_metrics, write_status
from xferlab.runs.pruning import REQUEST
from xferlab.sweeps.job_state import FINISHED, state_of
from xferlab.sweeps.manifest import write_manifest
from xferlab.sweeps.planner import plan_sweep
from xferlab.sweeps.worker import run_planned_job

EPOCHS = 4
RATES = "1e-3,1e-4,1e-5,3e-4,3e-5,3e-3"
DEMO = ["model=bert", "data.limit={train: 300, validation: 400, test: 40}"]
TRIALS = 8
PRUNERS = ("none", "median", "successive_halving")


def main() -> None:
    """Train the grid where it is not trained yet, play the searches, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("words", nargs="*", default=DEMO, help="of every job")
    parser.add_argument("--rates", default=RATES)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--train", action="store_true", help="seed 0 by training, too")
    words = parser.parse_args()
    grid_of = {
        "optimizer.lr": [float(rate) for rate in words.rates.split(",")],
        "train.batch_size": [16, 32],
    }
    common = [*words.words, f"train.epochs={EPOCHS}", "train.checkpoint_every=null"]
    load_plugins(Path.cwd())
    publish(Path.cwd())
    grid = train_grid(words.folder / "grid", common, grid_of)
    full = len(grid) * EPOCHS
    best = max(value for value, _ in grid.values())
    print(f"grid: {len(grid)} points, {full} epochs, best val_accuracy {best:.4f}\n")
    print("| pruner | found, points below the grid's best | within half a point | cost |")
    print("|---|---|---|---|")
    for pruner in PRUNERS:
        typed = [search_words(pruner, seed, common, grid_of) for seed in range(words.seeds)]
        played = [play_search(words.folder, each, grid) for each in typed]
        below = [100 * (best - value) for value, _ in played]
        fractions = [epochs / full for _, epochs in played]
        print(
            f"| {pruner} | {statistics.fmean(below):.2f} (worst {max(below):.2f})"
            f" | {sum(b <= 0.5 for b in below)} of {len(below)}"
            f" | {statistics.fmean(fractions):.0%} (most {max(fractions):.0%}) |"
        )
    if words.train:
        value, epochs, seconds = train_search(
            words.folder / "trained", search_words(PRUNERS[-1], 0, common, grid_of)
        )
        spent = sum(sum(row["seconds"] for row in rows) for _, rows in grid.values())
        print(
            f"\ntrained, {PRUNERS[-1]}, seed 0: {100 * (best - value):.2f} points below,"
            f" {epochs / full:.0%} of the epochs, {seconds / spent:.0%} of the seconds"
        )


Trained = Mapping[str, tuple[float, list[dict[str, float]]]]
"""Of each run id the best validation accuracy, and a row an epoch."""


def train_grid(folder: Path, common: list[str], points: dict[str, Any]) -> Trained:
    """Train every point in this process, one after another; those that finished are kept."""
    plan = plan_sweep([*common, f"sweep.grid={flow(points)}"])
    write_manifest(plan, folder, sys.argv)
    logging.disable(logging.INFO)
    for number, job in enumerate(plan.jobs, start=1):
        if state_of(folder / job.run_id).status != FINISHED:
            print(
                f"{number}/{len(plan.jobs)} {' '.join(job.overrides[len(common) :])}",
                file=sys.stderr,
            )
            run_planned_job(folder / job.run_id)
    return {job.run_id: results(folder / job.run_id) for job in plan.jobs}


def results(folder: Path) -> tuple[float, list[dict[str, float]]]:
    """Return a finished job's best value and its epochs."""
    return read_metrics(folder)["best"]["value"], history_of(folder)


def search_words(pruner: str, seed: int, common: list[str], points: dict[str, Any]) -> list[str]:
    """Return the words of a search over the grid's points."""
    draw = {key: {"choice": values} for key, values in points.items()}
    part = {"trials": TRIALS, "startup": 3, "pruner": pruner, "seed": seed, "draw": draw}
    return [*common, f"sweep.search={flow(part)}"]


def play_search(folder: Path, typed: list[str], grid: Trained) -> tuple[float, int]:
    """Run a search whose jobs are played back; return its best value and the epochs it took."""
    import tempfile

    with tempfile.TemporaryDirectory(dir=folder) as place:
        search = begin(plan_sweep(typed), Path(place) / "sweep")
        found = 0.0
        cost = 0
        while search.fill(1):
            job = search.queue.popleft()
            value, rows = grid[job.name]
            done = play(job, rows, lambda job: search.refresh([job]))
            cost += done
            if done == len(rows):
                found = max(found, value)
                best = {"monitor": "val_accuracy", "value": value, "epoch": done}
                write_json(job / "metrics.json", {"best": best})
            write_status(job, FINISHED if done == len(rows) else "pruned")
            search.ended(job, state_of(job))
        return found, cost


def play(job: Path, rows: Sequence[Mapping[str, float]], look: Any) -> int:
    """Write a job's history epoch by epoch until it is asked to end; return how many it had."""
    for done in range(1, len(rows) + 1):
        names = list(rows[0])
        lines = [",".join(str(row[name]) for name in names) for row in rows[:done]]
        atomic_write(job / "history.csv", "\n".join([",".join(names), *lines]) + "\n")
        look(job)
        if (job / REQUEST).exists():
            return done
    return len(rows)


def train_search(folder: Path, typed: list[str]) -> tuple[float, int, float]:
    """Run a search as a user does; return its best value, its epochs and its trained seconds."""
    words = [*typed, f"hydra.sweep.dir={folder}"]
    subprocess.run([sys.executable, "-m", "xferlab", "-m", *words], check=True)
    groups = json.loads((folder / "results.json").read_text())["groups"]
    jobs = [job for group in groups for job in group["jobs"]]
    done = [results(folder / job["run"]) for job in jobs]
    finished = [job["val_accuracy"] for job in jobs if job["status"] == FINISHED]
    epochs = sum(len(rows) for _, rows in done)
    return max(finished), epochs, sum(job["seconds"] for job in jobs)


def flow(value: Any) -> str:
    """Return a value as a word of the command line."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}: {flow(each)}" for key, each in value.items()) + "}"
    return "[" + ",".join(map(flow, value)) + "]" if isinstance(value, list) else str(value)


if __name__ == "__main__":
    main()
