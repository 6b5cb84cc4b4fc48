"""Area under the ROC curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Emits, LabelKind, Takes, Task, TaskSpec, register
from xferlab.kit.scores import split_score


@register("metric", "auc")
@dataclass(frozen=True)
class Auc:
    """Chance that a row of the class is ranked above a row that is not; 0.5 is guessing.

    Area under the ROC curve (Hanley & McNeil 1982). Two classes: of the second. More, or several
    labels a row: the mean over classes, each against the rest. A class that has no rows, or
    nothing but, takes no part; NaN if none is left.
    """

    takes: ClassVar[Takes] = Takes(
        outputs=(Emits.logits, Emits.probabilities),
        labels=(LabelKind.integer, LabelKind.multi_hot),
    )
    better: ClassVar[str] = "max"

    def build(self, spec: TaskSpec):
        import numpy as np

        def score(labels, outputs):
            if spec.task is not Task.multi_label:
                labels = labels[:, None] == np.arange(spec.num_classes)
                outputs = _comparable(outputs, spec)
            if spec.task is not Task.multi_label and spec.num_classes == 2:
                labels, outputs = labels[:, 1:], outputs[:, 1:] - outputs[:, :1]
            areas = [_area(labels[:, i] > 0.5, outputs[:, i]) for i in range(labels.shape[1])]
            areas = [area for area in areas if area is not None]
            return np.mean(areas) if areas else float("nan")

        return split_score(score, spec)


def _comparable(outputs, spec: TaskSpec):
    """Return log-probabilities for logits: logits of different rows cannot be ranked."""
    from scipy.special import log_softmax

    return log_softmax(outputs, axis=-1) if spec.emits is Emits.logits else outputs


def _area(positive, values):
    """Return the area for one class from the ranks of its rows (Mann & Whitney 1947)."""
    from scipy.stats import rankdata

    n = positive.sum()
    rest = len(positive) - n
    if n == 0 or rest == 0:
        return None
    return (rankdata(values)[positive].sum() - n * (n + 1) / 2) / (n * rest)
