"""The cut of scores from which on a label is predicted, that is best for a score of decisions."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

OfCounts = Callable[[Any, Any, Any, Any], Any]
"""Score of hits, predicted and actual ones and the number of examples; arrays."""


class Score(Enum):
    """What a threshold is best for."""

    f1 = "f1"
    accuracy = "accuracy"
    matthews = "matthews"


def score_of_counts(
    score: Score, hits: Any, predicted: Any, actual: Any, size: Any, beta: float
) -> Any:
    """Return a score of decisions about one label, from its counts; 0 where it is 0/0.

    Args:
        score: which one.
        hits: examples with the label that are predicted to have it.
        predicted: examples that are predicted to have it.
        actual: examples that have it.
        size: examples.
        beta: of f1, how much more recall counts than precision.
    """
    import numpy as np

    if score is Score.accuracy:
        return (size - predicted - actual + 2 * hits) / size
    if score is Score.f1:
        top = (1 + beta**2) * hits
        bottom = beta**2 * actual + predicted
    else:
        top = hits * size - predicted * actual
        bottom = np.sqrt(1.0 * predicted * actual * (size - predicted) * (size - actual))
    return np.divide(top, bottom, out=np.zeros_like(1.0 * top), where=bottom > 0)


def best_cut(
    scores: np.ndarray, is_true: np.ndarray, of_counts: OfCounts, is_macro: bool = False
) -> float:
    """Return the float32 cut above which labels are predicted, best for a score.

    All decisions that a cut can make are compared. Of equally good ones the cut nearest to 0 is
    taken, in the middle between two scores.

    Args:
        scores: float32 (examples, labels); one cut for all labels.
        is_true: bool (examples, labels).
        of_counts: the score of counts.
        is_macro: average the score over labels, rather than count them together.
    """
    import numpy as np

    values = scores.reshape(-1)
    order = np.argsort(-values, kind="stable")
    ordered = values[order]
    true = is_true.reshape(-1)[order]
    if is_macro:
        labels = np.tile(np.arange(scores.shape[1]), len(scores))[order]
        found = _macro(labels, true, scores.shape[1], len(scores), of_counts)
    else:
        found = of_counts(*_counts(true), int(true.sum()), true.size)
    is_possible = np.concatenate([[True], ordered[1:] != ordered[:-1], [True]])
    best = np.flatnonzero(is_possible & (found >= found[is_possible].max() - 1e-12))
    cuts = [_nearest_zero(ordered, int(k)) for k in best]
    return float(min(cuts, key=abs))


def _counts(true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return hits and predicted ones where the first 0, 1, ... of the ordered are predicted."""
    import numpy as np

    return np.concatenate([[0], np.cumsum(true)]), np.arange(len(true) + 1)


def _macro(
    labels: np.ndarray, true: np.ndarray, width: int, size: int, of_counts: OfCounts
) -> np.ndarray:
    """Return the mean score over labels, where the first 0, 1, ... of all are predicted."""
    import numpy as np

    change = np.zeros(len(labels) + 1)
    for label in range(width):
        (own,) = np.nonzero(labels == label)
        found = of_counts(*_counts(true[own]), int(true[own].sum()), size)
        change[0] += found[0]
        change[own + 1] += np.diff(found)
    return np.cumsum(change) / width


def _nearest_zero(ordered: np.ndarray, count: int) -> Any:
    """Return the cut that predicts the first ``count`` of descending scores: 0, or the middle."""
    import numpy as np

    upper = ordered[count - 1] if count else np.float32(np.inf)
    lower = ordered[count] if count < len(ordered) else np.float32(-np.inf)
    if lower <= 0 < upper:
        return np.float32(0)
    if not count:
        return np.float32(lower + 1)
    if count == len(ordered):
        return np.float32(upper - 1)
    middle = np.float32((float(lower) + float(upper)) / 2)
    return middle if middle < upper else lower
