"""Area under the ROC curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import (
    Accepts,
    LabelKind,
    OutputKind,
    TaskSpec,
    WeightedScore,
    register,
    weighted_areas,
)


@register("metric", "auc")
@dataclass(frozen=True)
class Auc:
    """Chance that an example of the class ranks above one of another class; 0.5 is guessing.

    Area under the ROC curve (Hanley & McNeil 1982). Two classes: of the second. More, or
    multi-label: the mean over classes, each against the rest. A class with no examples, or with
    all of them, is left out; NaN if none is left.
    """

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits, OutputKind.probabilities),
        labels=(LabelKind.class_index, LabelKind.multi_hot),
    )
    mode: ClassVar[str] = "max"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def build(self, spec: TaskSpec):
        import numpy as np

        def prepare(labels, outputs):
            if spec.task.is_exclusive:
                labels = labels[:, None] == np.arange(spec.num_classes)
                outputs = _comparable(outputs, spec)
            if spec.task.is_exclusive and spec.num_classes == 2:
                labels = labels[:, 1:]
                outputs = outputs[:, 1:] - outputs[:, :1]
            each = [
                weighted_areas(labels[:, i] > 0.5, outputs[:, i]) for i in range(labels.shape[1])
            ]
            return lambda weights: _mean_of_known(np.stack([area(weights) for area in each], 1))

        return WeightedScore(prepare, spec)


def _comparable(outputs, spec: TaskSpec):
    """Return log-probabilities for logits: logits of different rows cannot be ranked."""
    from scipy.special import log_softmax

    return log_softmax(outputs, axis=-1) if spec.output_kind is OutputKind.logits else outputs


def _mean_of_known(areas):
    """Return the mean over the classes that have an area; NaN if none has."""
    import numpy as np

    known = ~np.isnan(areas)
    total = np.where(known, areas, 0).sum(1)
    classes = known.sum(1)
    return np.divide(total, classes, out=np.full(len(areas), np.nan), where=classes > 0)
