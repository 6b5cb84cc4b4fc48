"""Scores of weighted examples, so that a thousand resamples cost little more than one score."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from xferlab.contracts import LabelKind, TaskSpec

if TYPE_CHECKING:
    import numpy as np

Weighted = Callable[[Any], Any]
"""Of float64 (resamples, examples), how often each example is sampled, the scores (resamples,)."""


def score_of_all(metric: Any, labels: Any, outputs: Any) -> float:
    """Return a metric's score with the weight 1 for every example."""
    import numpy as np

    return float(metric.resampled(labels, outputs)(np.ones((1, len(labels))))[0])


class WeightedScore:
    """A metric of a whole split that can also score resamples of its examples.

    Called with labels and outputs, as any function metric, it gives every example the weight 1. The
    score is NaN without examples, and for outputs that are not a number.

    Args:
        prepare: of labels (examples, ...) and float64 outputs (examples, ...), the score of
            weights.
        spec: the task.

    Attributes:
        rates_confidence: whether it scores the network's confidence, so that words without a token
            are left out.
    """

    rates_confidence = False

    def __init__(self, prepare: Callable[[Any, Any], Weighted], spec: TaskSpec) -> None:
        self._prepare = prepare
        self._spec = spec

    def __call__(self, labels: Any, outputs: Any) -> float:
        """Return the score of all examples."""
        return score_of_all(self, labels, outputs)

    def resampled(self, labels: Any, outputs: Any) -> Weighted:
        """Return the score as a function of example weights."""
        import numpy as np

        labels = np.asarray(labels)
        outputs = np.asarray(outputs, "float64")
        counted = outputs
        if self._spec.label_kind is LabelKind.token_tags:
            counted = outputs[labels >= 0]
        if not len(counted) or np.isnan(counted).any():
            return lambda weights: np.full(len(weights), np.nan)
        return self._prepare(labels, outputs)


def sum_score(
    parts: Callable[[Any, Any], Any], value: Callable[[Any], Any], spec: TaskSpec
) -> WeightedScore:
    """Return the score that is a function of sums over examples, or over labelled tokens.

    Args:
        parts: of labels (units,) and float64 outputs (units, num_outputs), what each unit adds,
            an array or a sparse array (units, k).
        value: of sums (resamples, k), the scores (resamples,).
        spec: the task; tags are flattened to the labelled tokens, a resample has whole examples.
    """

    def prepare(labels: Any, outputs: Any) -> Weighted:
        if spec.label_kind is LabelKind.token_tags:
            labelled = labels >= 0
            own = sum_by_example(labelled) @ parts(labels[labelled], outputs[labelled])
        else:
            own = parts(labels, outputs)
        return lambda weights: value(weights @ own)

    return WeightedScore(prepare, spec)


def sum_by_example(labelled: np.ndarray) -> Any:
    """Return the sparse array (examples, tokens) that sums the labelled tokens of each example."""
    import numpy as np
    from scipy.sparse import csr_array

    row_of = np.nonzero(labelled)[0]
    shape = (len(labelled), len(row_of))
    return csr_array((np.ones(len(row_of)), (row_of, np.arange(len(row_of)))), shape=shape)


def one_hot(classes: np.ndarray, width: int, values: Any = 1.0) -> Any:
    """Return a sparse array (units, width) with ``values`` at each unit's class."""
    import numpy as np
    from scipy.sparse import csr_array

    units = np.arange(len(classes))
    filled = np.broadcast_to(np.asarray(values, "float64"), classes.shape)
    return csr_array((filled, (units, classes)), shape=(len(classes), width))


def weighted_areas(positive: np.ndarray, values: np.ndarray) -> Weighted:
    """Return the area under the ROC curve as a function of example weights; NaN for one class.

    Mann & Whitney 1947: the fraction of pairs, one positive and one not, in the right order; a pair
    of equal values counts half.

    Args:
        positive: bool (examples,).
        values: float (examples,), higher for what is more likely positive.
    """
    import numpy as np

    order = np.argsort(values, kind="stable")
    right = order[positive[order]]
    wrong = order[~positive[order]]
    first, last = (
        np.searchsorted(values[wrong], values[right], side) for side in ("left", "right")
    )

    def areas(weights: Any) -> Any:
        below = np.zeros((len(weights), len(wrong) + 1))
        np.cumsum(weights[:, wrong], axis=1, out=below[:, 1:])
        positives = weights[:, right]
        ordered = (positives * (below[:, first] + below[:, last])).sum(axis=1) / 2
        pairs = positives.sum(axis=1) * below[:, -1]
        return np.divide(ordered, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)

    return areas


def weighted_ranks(values: np.ndarray) -> Weighted:
    """Return the ranks of examples as a function of their weights, (resamples, examples).

    An example of weight w stands for w equal ones; ties have their mean rank.
    """
    import numpy as np

    order = np.argsort(values, kind="stable")
    begins = _group_starts(values[order])
    group = np.empty(len(values), dtype="int64")
    group[order] = np.repeat(np.arange(len(begins)), np.diff([*begins, len(values)]))

    def ranks(weights: Any) -> Any:
        together = np.add.reduceat(weights[:, order], begins, axis=1)
        return (np.cumsum(together, axis=1) - together / 2 + 0.5)[:, group]

    return ranks


def weighted_correlation(weights: Any, labels: Any, values: Any) -> Any:
    """Return Pearson's r of each resample, (resamples,).

    0 if all values of one are the same, NaN if all its labels are.

    Args:
        weights: float64 (resamples, examples).
        labels: float64 (examples,) or (resamples, examples).
        values: likewise.
    """
    import numpy as np

    total = weights.sum(axis=1, keepdims=True)
    x, y = (a - (weights * a).sum(axis=1, keepdims=True) / total for a in (labels, values))
    xx, yy, xy = ((weights * pair).sum(axis=1) for pair in (x * x, y * y, x * y))
    flat_x, flat_y = (_is_flat(weights, a) for a in (labels, values))
    both = ~flat_x & ~flat_y
    r = np.divide(xy, np.sqrt(xx * yy), out=np.zeros(len(weights)), where=both)
    return np.where(flat_x, np.nan, r)


def _is_flat(weights: Any, values: Any) -> Any:
    """Return whether all values of a resample are the same, bool (resamples,)."""
    import numpy as np

    is_sampled = weights > 0
    top = np.where(is_sampled, values, -np.inf).max(axis=1)
    return top == np.where(is_sampled, values, np.inf).min(axis=1)


def _group_starts(ordered: np.ndarray) -> np.ndarray:
    """Return where each run of equal values begins."""
    import numpy as np

    return np.concatenate([[0], np.nonzero(np.diff(ordered))[0] + 1])
