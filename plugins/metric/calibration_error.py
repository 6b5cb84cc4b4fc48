"""Expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, OutputKind, TaskSpec, one_hot, register, sum_score


@register("metric", "calibration_error")
@dataclass(frozen=True)
class CalibrationError:
    """How far confidence is from accuracy: 0.1 is 10 points off on average.

    Guo et al. 2017, eq. 3: examples are sorted into bins by the probability of the predicted class;
    the distance between mean probability and accuracy, averaged over examples.

    Attributes:
        bins: number of equally wide bins from 0 to 1, >= 1; the paper takes 15.
    """

    bins: int = 15

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits, OutputKind.probabilities),
        labels=(LabelKind.class_index, LabelKind.token_tags),
    )
    mode: ClassVar[str] = "min"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if self.bins < 1:
            raise ValueError(f"bins must be >= 1, got {self.bins}")

    def build(self, spec: TaskSpec):
        import numpy as np
        from scipy.sparse import hstack
        from scipy.special import softmax

        def parts(labels, outputs):
            sure = (
                outputs
                if spec.output_kind is OutputKind.probabilities
                else softmax(outputs, axis=-1)
            )
            gap = (outputs.argmax(-1) == labels) - sure.max(-1)
            # a bin holds its upper edge: (0, 1/15], (1/15, 2/15], ...
            bins = np.clip(np.ceil(sure.max(-1) * self.bins) - 1, 0, self.bins - 1).astype(int)
            return hstack([one_hot(bins, self.bins, gap), np.ones((len(labels), 1))]).tocsr()

        def score(sums):
            return np.abs(sums[:, :-1]).sum(1) / sums[:, -1]

        metric = sum_score(parts, score, spec)
        metric.rates_confidence = True
        return metric
