"""What metric plugins share: means, decisions, counts of each class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from xferlab.contracts import LabelKind, TaskSpec
from xferlab.deprecated import report_renamed
from xferlab.functional.resampling import Weighted, WeightedScore, one_hot, score_of_all, sum_score

if TYPE_CHECKING:
    import keras
    import numpy as np


class MeanScore:
    """The mean of a score of each example or token.

    It is a function of a whole split, in NumPy; :meth:`as_keras` gives the same mean as a Keras
    metric, which is also computed on the training batches. Outputs that are not a number make it
    NaN, so that a broken model has no score.

    Args:
        score: of labels and float32 outputs, gives one value an example (or token). The third
            argument has NumPy's functions: it is NumPy itself, or ``keras.ops`` in a graph.
        name: the metric's name.
        ignore: examples or tokens with this label do not count.
    """

    rates_confidence = False

    def __init__(
        self, score: Callable[[Any, Any, Any], Any], name: str, ignore: int | None = None
    ) -> None:
        self._score = score
        self._name = name
        self._ignore = ignore

    def __call__(self, labels: Any, outputs: Any) -> float:
        """Return the mean over all examples."""
        return score_of_all(self, labels, outputs)

    def resampled(self, labels: Any, outputs: Any) -> Weighted:
        """Return the mean as a function of example weights."""
        import numpy as np

        labels = np.asarray(labels)
        outputs = np.asarray(outputs, "float32")
        values = np.asarray(self._score(labels, outputs, np), "float64")
        values = np.where(_is_nan(values, outputs, np), np.nan, values)
        if self._ignore is None:
            return weighted_mean(values)
        counts = labels != self._ignore
        return weighted_mean(np.where(counts, values, 0.0), counts)

    def as_keras(self) -> keras.metrics.Metric:
        """Return the mean as a Keras metric."""
        import keras
        from keras import ops

        score = self._score
        ignore = self._ignore

        class Mean(keras.metrics.Mean):
            def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
                labels = ops.convert_to_tensor(y_true)
                outputs = ops.cast(y_pred, "float32")
                values = ops.cast(score(labels, outputs, ops), "float32")
                values = ops.where(_is_nan(values, outputs, ops), float("nan"), values)
                if ignore is not None:
                    counts = ops.not_equal(labels, ignore)
                    values = ops.where(counts, values, 0.0)
                    weight = ops.cast(counts, "float32")
                    sample_weight = weight if sample_weight is None else sample_weight * weight
                super().update_state(values, sample_weight=sample_weight)

        metric = Mean(name=self._name)
        metric.rates_confidence = self.rates_confidence
        metric.resampled = self.resampled
        return metric


def keras_form(metric: Any) -> Any:
    """Return the Keras form of what a metric plugin built, where it has one.

    Training and evaluations score with it, so that they give the same number to the last bit.
    """
    return metric.as_keras() if hasattr(metric, "as_keras") else metric


def mean_score(score: Callable[[Any, Any], Any], name: str, ignore: int | None = None) -> MeanScore:
    """Return a MeanScore of a function of two arguments, as plugins of version 0.1 have it."""
    report_renamed("mean_score", "MeanScore, whose function takes (labels, outputs, xp)")
    return MeanScore(lambda labels, outputs, xp: score(labels, outputs), name, ignore)


def _is_nan(values: Any, outputs: Any, xp: Any) -> Any:
    """Return which values come from outputs that are not a number; a value may have several."""
    is_nan = xp.isnan(outputs)
    return is_nan if len(values.shape) == len(outputs.shape) else xp.any(is_nan, axis=-1)


def weighted_mean(values: Any, counts: Any = None) -> Weighted:
    """Return a mean as a function of example weights.

    Args:
        values: (examples, ...), summed within an example.
        counts: how much each counts, of the same shape; by default 1.
    """
    import numpy as np

    values = np.asarray(values, "float64")
    counts = np.ones_like(values) if counts is None else np.asarray(counts, "float64")
    parts = (values * counts, counts)
    sums = np.stack([part.reshape(len(values), -1).sum(axis=1) for part in parts], axis=1)

    def means(weights: Any) -> Any:
        total, count = (weights @ sums).T
        return np.divide(total, count, out=np.zeros(len(weights)), where=count > 0)

    return means


class Average(Enum):
    """How the scores of the classes are averaged."""

    macro = "macro"
    micro = "micro"
    weighted = "weighted"
    binary = "binary"


@dataclass(frozen=True)
class Counts:
    """Counts of each class, float64 (resamples, classes).

    Attributes:
        hits: examples of the class that are predicted as the class.
        predicted: examples that are predicted as the class.
        actual: examples of the class.
    """

    hits: np.ndarray
    predicted: np.ndarray
    actual: np.ndarray


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
    """Return what each example adds to :class:`Counts`, sparse (examples, 3 classes)."""
    from scipy.sparse import csr_array, hstack

    both = (labels, spec.task.decide(outputs, spec))
    if spec.label_kind is LabelKind.multi_hot:
        actual, predicted = (csr_array(a.astype("float64")) for a in both)
    else:
        actual, predicted = (one_hot(a.astype("int64"), spec.num_classes) for a in both)
    return csr_array(hstack([predicted * actual, predicted, actual]))


def check_average(average: Average, spec: TaskSpec) -> None:
    """Raise ValueError for ``binary`` unless there are two classes, one an example."""
    if average is Average.binary and (spec.num_classes != 2 or not spec.task.is_exclusive):
        raise ValueError(
            f"average=binary needs two classes, one an example; {spec.num_classes} given"
        )


def ratio_score(
    ratio: Callable[[Counts], tuple[Any, Any]], spec: TaskSpec, average: Average
) -> WeightedScore:
    """Return the score of a split that is a ratio for each class: precision, recall or F1.

    As in scikit-learn, a ratio with the denominator 0 is 0, and a class that neither occurs nor is
    predicted is left out of the macro average (where an example has one label).

    Args:
        ratio: gives numerator and denominator, (classes,) each.
        spec: the task.
        average: ``macro`` weights classes equally, ``weighted`` by their examples, ``micro``
            divides the sums, ``binary`` is the second of two classes alone.
    """
    import numpy as np

    check_average(average, spec)

    def score(counts: Counts) -> Any:
        numerator, denominator = ratio(counts)
        if average is Average.micro:
            return numerator.sum(1) / np.maximum(denominator.sum(1), 1.0)
        each = numerator / np.maximum(denominator, 1.0)
        if average is Average.binary:
            return each[:, 1]
        weights = counts.actual
        if average is Average.macro:
            present = counts.predicted + counts.actual > 0
            weights = np.where(present | (not spec.task.is_exclusive), 1.0, 0.0)
        return (each * weights).sum(1) / np.maximum(weights.sum(1), 1.0)

    return count_score(score, spec)
