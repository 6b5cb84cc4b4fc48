"""Scores that can be had again from a run's kept outputs, on its rows or on resampled ones.

Each is a function of sums over rows: what a row adds is a line of numbers, so a resampling of the
rows is a matrix of counts, and the sums of all resamplings are one product of matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xferlab.runs.predictions import Predictions
from xferlab.tasks.base import OutputKind, Task

if TYPE_CHECKING:
    import numpy as np

MOST_NUMBERS = 50_000_000
"""Rows times numbers a row; a score that needs more is not resampled."""
RATIOS: Mapping[str, Callable[[Any, Any, Any], tuple[Any, Any]]] = {
    "f1": lambda hits, predicted, actual: (2 * hits, predicted + actual),
    "precision": lambda hits, predicted, actual: (hits, predicted),
    "recall": lambda hits, predicted, actual: (hits, actual),
}


@dataclass(frozen=True)
class RowScore:
    """A score as a function of sums over rows.

    Attributes:
        parts: what each row adds, float64 (rows, numbers).
        score: of sums, float64 (..., numbers), gives the scores (...).
    """

    parts: np.ndarray
    score: Callable[[Any], Any]

    def whole(self) -> float:
        """Return the score of the rows as they are."""
        return float(self.score(self.parts.sum(axis=0)))

    def resampled(self, counts: np.ndarray) -> np.ndarray:
        """Return each resampling's score from how often it has each row, (resamples, rows)."""
        return self.score(counts @ self.parts)


def row_score(
    name: str, options: Mapping[str, Any], found: Predictions, task: Task, output_kind: OutputKind
) -> RowScore | None:
    """Return a metric of this project as sums over rows, or None where it is no such function.

    Args:
        name: the metric plugin's.
        options: its fields.
        found: what the run kept.
        task: what a row asks for.
        emits: what the outputs mean.
    """
    if task is Task.regression:
        return _of_numbers(name, found)
    if found.outputs.shape[0] * found.outputs.shape[1] * 3 > MOST_NUMBERS:
        return None
    decided, wanted = _decisions(found, task, output_kind)
    if name == "accuracy" and task is not Task.multi_label:
        return _ratio(found, (decided & wanted).any(axis=1))
    if name == "subset_accuracy" and task is Task.multi_label:
        return _ratio(found, (decided == wanted).all(axis=1))
    if name in RATIOS:
        average = str(options.get("average", "macro"))
        return _of_classes(RATIOS[name], average, found, decided, wanted, task)
    if name == "matthews" and task is not Task.multi_label:
        return _matthews(found, decided, wanted)
    return None


def _decisions(
    found: Predictions, task: Task, output_kind: OutputKind
) -> tuple[np.ndarray, np.ndarray]:
    """Return which classes each row is decided for, and which are its own; both bool."""
    import numpy as np

    if task is Task.multi_label:
        return found.outputs > (
            0.0 if output_kind is OutputKind.logits else 0.5
        ), found.labels > 0.5
    classes = np.arange(found.outputs.shape[1])
    decided = found.outputs.argmax(axis=1)[:, None] == classes
    return decided, found.labels[:, None] == classes


def _by_row(found: Predictions, parts: np.ndarray) -> np.ndarray:
    """Return what each row adds; for tagging the sum over its tokens."""
    import numpy as np

    parts = parts.astype("float64")
    if found.lengths is None:
        return parts
    ends = np.cumsum(found.lengths)
    sums = np.concatenate([np.zeros((1, parts.shape[1])), np.cumsum(parts, axis=0)])
    return sums[ends] - sums[ends - found.lengths]


def _ratio(found: Predictions, hits: np.ndarray) -> RowScore:
    import numpy as np

    parts = np.stack([hits, np.ones_like(hits)], axis=1)
    return RowScore(_by_row(found, parts), lambda sums: sums[..., 0] / _at_least_one(sums[..., 1]))


def _of_classes(
    ratio: Callable[[Any, Any, Any], tuple[Any, Any]], average: str, found: Predictions,
    decided: np.ndarray, wanted: np.ndarray, task: Task,
) -> RowScore:  # fmt: skip
    import numpy as np

    def score(sums: Any) -> Any:
        hits, predicted, actual = np.split(sums, 3, axis=-1)
        above, below = ratio(hits, predicted, actual)
        if average == "micro":
            return above.sum(-1) / _at_least_one(below.sum(-1))
        each = above / _at_least_one(below)
        if average == "binary":
            return each[..., 1]
        weights = actual
        if average == "macro":
            weights = ((predicted + actual > 0) | (task is Task.multi_label)).astype("float64")
        return (each * weights).sum(-1) / _at_least_one(weights.sum(-1))

    parts = np.concatenate([decided & wanted, decided, wanted], axis=1)
    return RowScore(_by_row(found, parts), score)


def _matthews(found: Predictions, decided: np.ndarray, wanted: np.ndarray) -> RowScore:
    import numpy as np

    def score(sums: Any) -> Any:
        hits, predicted, actual = np.split(sums, 3, axis=-1)
        rows = actual.sum(-1)
        together = hits.sum(-1) * rows - (predicted * actual).sum(-1)
        apart = (rows**2 - (predicted**2).sum(-1)) * (rows**2 - (actual**2).sum(-1))
        return np.where(apart > 0, together / np.sqrt(np.where(apart > 0, apart, 1.0)), 0.0)

    parts = np.concatenate([decided & wanted, decided, wanted], axis=1)
    return RowScore(_by_row(found, parts), score)


def _of_numbers(name: str, found: Predictions) -> RowScore | None:
    import numpy as np

    if found.labels.ndim != 1 or found.outputs.shape[1] != 1:
        return None
    labels, values = found.labels.astype("float64"), found.outputs[:, 0].astype("float64")
    if name in ("mean_absolute_error", "mean_squared_error"):
        off = np.abs(values - labels)
        parts = np.stack([off**2 if "squared" in name else off, np.ones_like(off)], axis=1)
        return RowScore(parts, lambda sums: sums[..., 0] / sums[..., 1])
    if name != "pearson":
        return None
    x, y = labels - labels.mean(), values - values.mean()
    return RowScore(np.stack([x * y, x * x, y * y, x, y, np.ones_like(x)], axis=1), _correlation)


def _correlation(sums: Any) -> Any:
    import numpy as np

    xy, xx, yy, x, y, rows = np.moveaxis(sums, -1, 0)
    spread = (xx - x * x / rows) * (yy - y * y / rows)
    return np.where(spread > 0, (xy - x * y / rows) / np.sqrt(np.where(spread > 0, spread, 1)), 0.0)


def _at_least_one(below: Any) -> Any:
    import numpy as np

    return np.maximum(below, 1.0)
