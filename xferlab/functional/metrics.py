"""What metric plugins share: means that stream, decisions, and the tokens that count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from xferlab.contracts import LabelKind, TaskSpec
from xferlab.functional.resampling import Weighted, WeightedScore, one_hot, sum_score

if TYPE_CHECKING:
    import keras
    import numpy as np


def mean_score(
    score: Callable[[Any, Any], Any], name: str, ignore: int | None = None
) -> keras.metrics.Metric:
    """Return a Keras metric: the mean of ``score(labels, outputs)`` over all that it has seen.

    Outputs that are not a number make it NaN, so that a broken model has no score.

    Args:
        score: gives one value a row (or a token), from labels and float32 outputs.
        name: the metric's name.
        ignore: rows or tokens with this label do not count.
    """
    import keras
    from keras import ops

    def parts(labels: Any, outputs: Any) -> tuple[Any, Any]:
        """Return values, and 1 where one counts, else 0; None where all do."""
        labels, outputs = ops.convert_to_tensor(labels), ops.cast(outputs, "float32")
        values = ops.cast(score(labels, outputs), "float32")
        broken = ops.any(ops.isnan(outputs), axis=-1)
        values = ops.where(broken, float("nan"), values)
        if ignore is None:
            return values, None
        counts = ops.not_equal(labels, ignore)
        return ops.where(counts, values, 0.0), ops.cast(counts, "float32")

    class MeanScore(keras.metrics.Mean):
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            values, counts = parts(y_true, y_pred)
            if counts is not None:
                sample_weight = counts if sample_weight is None else sample_weight * counts
            super().update_state(values, sample_weight=sample_weight)

        def resampled(self, labels: Any, outputs: Any) -> Weighted:
            return weighted_mean(*parts(labels, outputs))

    return MeanScore(name=name)


def weighted_mean(values: Any, counts: Any = None) -> Weighted:
    """Return the mean of what is drawn as a function of row weights.

    Args:
        values: (rows, ...), summed within a row.
        counts: how much each counts, of the same shape; by default 1.
    """
    import numpy as np

    values = np.asarray(values, "float64")
    counts = np.ones_like(values) if counts is None else np.asarray(counts, "float64")
    rows = len(values)
    own = np.stack([(values * counts).reshape(rows, -1).sum(1), counts.reshape(rows, -1).sum(1)], 1)

    def means(weights: Any) -> Any:
        above, below = (weights @ own).T
        return np.divide(above, below, out=np.zeros(len(weights)), where=below > 0)

    return means


class Average(Enum):
    """How the scores of the classes become one."""

    macro = "macro"
    micro = "micro"
    weighted = "weighted"
    binary = "binary"


@dataclass(frozen=True)
class Counts:
    """What a confusion matrix says about each class, float64 (resamples, classes).

    Attributes:
        hits: rows of the class that were predicted to be of it.
        predicted: rows that were predicted to be of the class.
        actual: rows of the class.
    """

    hits: np.ndarray
    predicted: np.ndarray
    actual: np.ndarray


def split_score(score: Callable[[Any, Any], float], spec: TaskSpec) -> Callable[[Any, Any], float]:
    """Return the function of a whole split's labels and outputs that gives ``score`` of them.

    Tags are flattened to the labelled tokens. The score is NaN where there is none: no row, or an
    output that is not a number.

    Args:
        score: of labels (rows, ...) and float64 outputs (rows, num_outputs).
        spec: the task.
    """
    import numpy as np

    def call(labels: Any, outputs: Any) -> float:
        labels, outputs = np.asarray(labels), np.asarray(outputs, "float64")
        if spec.label_kind is LabelKind.token_tags:
            labelled = labels >= 0
            labels, outputs = labels[labelled], outputs[labelled]
        if not len(labels) or np.isnan(outputs).any():
            return float("nan")
        return float(score(labels, outputs))

    return call


def count_score(value: Callable[[Counts], Any], spec: TaskSpec) -> WeightedScore:
    """Return the score of a split that is a function of each class's counts.

    Args:
        value: of the counts of resamples, the scores (resamples,).
        spec: the task.
    """
    import numpy as np

    def of_sums(sums: Any) -> Any:
        return value(Counts(*np.split(sums, 3, axis=1)))

    return sum_score(lambda labels, outputs: _counted(labels, outputs, spec), of_sums, spec)


def _counted(labels: Any, outputs: Any, spec: TaskSpec) -> Any:
    """Return what each row adds to hits, predictions and rows of each class, (rows, 3 classes)."""
    from scipy.sparse import csr_array, hstack

    found = spec.task.decide(outputs, spec)
    if spec.label_kind is LabelKind.multi_hot:
        wanted, found = (csr_array(a.astype("float64")) for a in (labels, found))
        hits = found * wanted
    else:
        wanted, found = (one_hot(a.astype("int64"), spec.num_classes) for a in (labels, found))
        hits = found * wanted
    return csr_array(hstack([hits, found, wanted]))


def ratio_score(
    ratio: Callable[[Counts], tuple[Any, Any]], spec: TaskSpec, average: Average
) -> WeightedScore:
    """Return the score of a split that is a ratio for each class: precision, recall or F1.

    As in scikit-learn, a ratio with nothing below the line is 0, and a class that is neither
    asked for nor predicted takes no part in the macro average (where a row has one label).

    Args:
        ratio: gives what is above and below the line, (classes,) each.
        spec: the task.
        average: ``macro`` gives each class the same say, ``weighted`` each row, ``micro`` divides
            the sums, ``binary`` is the second of two classes alone.
    """
    import numpy as np

    if average is Average.binary and (spec.num_classes != 2 or not spec.task.is_exclusive):
        raise ValueError(f"average=binary needs two classes, one a row; {spec.num_classes} given")

    def score(counts: Counts) -> Any:
        above, below = ratio(counts)
        if average is Average.micro:
            return above.sum(1) / np.maximum(below.sum(1), 1.0)
        each = above / np.maximum(below, 1.0)
        if average is Average.binary:
            return each[:, 1]
        weights = counts.actual
        if average is Average.macro:
            present = counts.predicted + counts.actual > 0
            weights = np.where(present | (not spec.task.is_exclusive), 1.0, 0.0)
        return (each * weights).sum(1) / np.maximum(weights.sum(1), 1.0)

    return count_score(score, spec)
