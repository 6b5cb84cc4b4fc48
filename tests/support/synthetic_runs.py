"""Made-up run folders with everything that a report reads: histories, scores, kept outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xferlab.io.atomic import atomic_write, write_json
from xferlab.runs.metadata import write_status
from xferlab.runs.predictions import keep_predictions
from xferlab.sweeps.manifest import write_manifest
from xferlab.sweeps.planner import plan_sweep

NAMES = ("negative", "positive")


def write_run(
    folder: Path,
    skill: float,
    seed: int,
    *,
    rows: int = 300,
    epochs: int = 4,
    names: Sequence[str] = NAMES,
    data: str = "a" * 64,
    keep: bool = True,
) -> float:
    """Write a finished run that is right on a row with the chance ``skill``; return accuracy.

    Hard rows are hard for every run of the same ``data``, as they are in life.
    """
    labels = np.random.default_rng(0).integers(0, len(names), rows)
    draw = np.random.default_rng([seed, int(skill * 1e6)])
    ease = np.random.default_rng(1).normal(0, 1.5, rows) + draw.normal(0, 1, rows)
    right = ease + math.log(skill / (1 - skill)) * 2 > 0
    taken = np.where(right, labels, (labels + 1) % len(names))
    accuracy = float(right.mean())
    if keep:
        keep_predictions(folder, "test", labels, np.eye(len(names), dtype="float32")[taken] * 3)
    lines = ["epoch,step,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds"]
    for epoch in range(1, epochs + 1):
        near = accuracy - 0.3 / epoch + 0.3 / epochs
        lines.append(
            f"{epoch},{epoch * 25},{1 / epoch + 0.1},{near},{1 / epoch + 0.2},{near},0,5.5"
        )
    atomic_write(folder / "history.csv", "\n".join(lines) + "\n")
    write_json(folder / "run.json", record(folder, names, rows, data))
    best = {"monitor": "val_accuracy", "value": accuracy, "epoch": epochs}
    test = {"loss": 0.4, "accuracy": accuracy}
    metrics = {"best": best, "weights": "best", "validation": test, "test": test}
    write_json(folder / "metrics.json", {**metrics, "seconds": 5.5 * epochs})
    write_status(folder, "finished")
    return accuracy


def record(folder: Path, names: Sequence[str], rows: int, data: str) -> dict[str, Any]:
    """Return what ``run.json`` says, as far as it is read again."""
    return {
        "run_id": folder.name if len(folder.name) == 8 else "0" * 8,
        "task": {
            "task": "single_label",
            "class_names": list(names),
            "class_counts": [1] * len(names),
            "rows": {"train": 400, "validation": 200, "test": rows},
            "max_length": 64,
            "pairs": False,
            "emits": "logits",
        },
        "data": {"test": data, "validation": data},
        "checkpoint": {},
        "monitor": "val_accuracy",
    }


def write_sweep(folder: Path, overrides: list[str], skill_of: Any, **more: Any) -> Path:
    """Freeze a sweep and pretend that it has run.

    Args:
        folder: where.
        words: as typed after ``-m``.
        skill_of: of a job's config, its skill, or a status.
        more: for :func:`write_run`.
    """
    plan = plan_sweep(overrides)
    write_manifest(plan, folder, ["command"])
    for job in plan.jobs:
        skill = skill_of(job.config)
        if isinstance(skill, float):
            write_run(folder / job.run_id, skill, job.config["seed"], **more)
        elif skill:
            write_status(folder / job.run_id, skill, error="no such rows")
    return folder
