"""The score that a run is ranked by: of the weights that it uses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xferlab.runs.history import history_of
from xferlab.runs.metadata import read_metrics


@dataclass(frozen=True)
class Score:
    """The monitored value of the weights that a run uses.

    Attributes:
        monitor: its logged name.
        value: None where it is not finite.
        epoch: that these weights are of, from 1; None where that is unknown.
        weights: ``best`` or ``last``: which epoch's these are.
    """

    monitor: str
    value: float | None
    epoch: int | None
    weights: str


def score_of(metrics: Mapping[str, Any], history: Sequence[Mapping[str, float]]) -> Score:
    """Return the score of a run that has ended.

    Args:
        metrics: its ``metrics.json``.
        history: its epochs.
    """
    best = metrics["best"]
    monitor = best["monitor"]
    if metrics.get("weights", "best") == "best":
        return Score(monitor, finite(best["value"]), best["epoch"], "best")
    row = dict(history[-1]) if history else {}
    validation = {f"val_{name}": value for name, value in metrics.get("validation", {}).items()}
    epoch = int(row["epoch"]) if row else None
    return Score(monitor, finite((row | validation).get(monitor)), epoch, "last")


def read_score(folder: Path) -> Score:
    """Return the score of the run in a folder; ConfigError if its files are damaged."""
    metrics = read_metrics(folder)
    uses_last = metrics.get("weights") == "last"
    return score_of(metrics, history_of(folder) if uses_last else ())


def finite(value: Any) -> float | None:
    """Return a value if it is a finite number."""
    return value if isinstance(value, int | float) and math.isfinite(value) else None
