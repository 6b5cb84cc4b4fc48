"""What metric plugins share: means that stream, decisions, and the tokens that count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from xferlab.contracts import Emits, LabelKind, Task, TaskSpec

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

    class MeanScore(keras.metrics.Mean):
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            labels = ops.convert_to_tensor(y_true)
            outputs = ops.cast(y_pred, "float32")
            values = ops.cast(score(labels, outputs), "float32")
            broken = ops.any(ops.isnan(outputs), axis=-1)
            values = ops.where(broken, float("nan"), values)
            if ignore is not None:
                counts = ops.not_equal(labels, ignore)
                values = ops.where(counts, values, 0.0)
                counts = ops.cast(counts, "float32")
                sample_weight = counts if sample_weight is None else sample_weight * counts
            super().update_state(values, sample_weight=sample_weight)

    return MeanScore(name=name)


class Average(Enum):
    """How the scores of the classes become one."""

    macro = "macro"
    micro = "micro"
    weighted = "weighted"
    binary = "binary"


@dataclass(frozen=True)
class Counts:
    """What a confusion matrix says about each class, float64 (classes,).

    Attributes:
        hits: rows of the class that were predicted to be of it.
        predicted: rows that were predicted to be of the class.
        actual: rows of the class.
        rows: number of rows, a float.
    """

    hits: np.ndarray
    predicted: np.ndarray
    actual: np.ndarray
    rows: float


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
        if spec.label_kind is LabelKind.tags:
            labelled = labels >= 0
            labels, outputs = labels[labelled], outputs[labelled]
        if not len(labels) or np.isnan(outputs).any():
            return float("nan")
        return float(score(labels, outputs))

    return call


def decisions(outputs: Any, spec: TaskSpec) -> Any:
    """Return each row's likeliest class, or all more likely than not if a row may have many."""
    if spec.task is Task.multi_label:
        return outputs > (0.0 if spec.emits is Emits.logits else 0.5)
    return outputs.argmax(axis=-1)


def count(labels: Any, outputs: Any, spec: TaskSpec) -> Counts:
    """Return each class's hits, predictions and rows."""
    import numpy as np

    found, wanted = decisions(outputs, spec), np.asarray(labels)
    if spec.task is not Task.multi_label:
        classes = np.arange(spec.num_classes)
        found, wanted = found[:, None] == classes, wanted[:, None] == classes
    found, wanted = found.astype("float64"), wanted.astype("float64")
    return Counts((found * wanted).sum(0), found.sum(0), wanted.sum(0), float(len(found)))


def ratio_score(
    ratio: Callable[[Counts], tuple[Any, Any]], spec: TaskSpec, average: Average
) -> Callable[[Any, Any], float]:
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

    if average is Average.binary and (spec.num_classes != 2 or spec.task is Task.multi_label):
        raise ValueError(f"average=binary needs two classes, one a row; {spec.num_classes} given")

    def score(labels: Any, outputs: Any) -> float:
        counts = count(labels, outputs, spec)
        above, below = ratio(counts)
        if average is Average.micro:
            return above.sum() / max(below.sum(), 1.0)
        each = above / np.maximum(below, 1.0)
        if average is Average.binary:
            return each[1]
        weights = counts.actual
        if average is Average.macro:
            present = counts.predicted + counts.actual > 0
            weights = np.where(present | (spec.task is Task.multi_label), 1.0, 0.0)
        return (each * weights).sum() / max(weights.sum(), 1.0)

    return split_score(score, spec)


def correlation(labels: Any, values: Any) -> float:
    """Return Pearson's r; 0 if all values are one (nothing learnt), NaN if all labels are."""
    import numpy as np

    if len(labels) < 2 or np.ptp(labels) == 0:
        return float("nan")
    if np.ptp(values) == 0:
        return 0.0
    return float(np.corrcoef(labels, values)[0, 1])
