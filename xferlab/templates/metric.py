"""My metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, OutputKind, TaskSpec, register


@register("metric", "example")
@dataclass(frozen=True)
class Example:
    """Fraction of wrong predictions among the confident half of them.

    Attributes:
        fraction: of the most confident predictions, above 0 to 1.
    """

    contract = 1  # of xferlab, see docs/plugins.md; without a type, so that it is no field

    fraction: float = 0.5

    # What it can be computed from; a model or a task of another kind is refused before training.
    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits, OutputKind.probabilities), labels=(LabelKind.class_index,)
    )
    mode: ClassVar[str] = "min"  # less is better
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:  # ValueError becomes an error of three lines
            raise ValueError(f"fraction must be above 0 to 1, got {self.fraction}")

    def build(self, spec: TaskSpec):
        def score(labels, outputs) -> float:
            """Return the score of a whole split: labels (n,), outputs (n, classes)."""
            import numpy as np

            margins = np.sort(outputs, axis=-1)
            confidence = margins[:, -1] - margins[:, -2]
            count = max(1, round(self.fraction * len(labels)))
            confident = np.argsort(-confidence, kind="stable")[:count]
            return float((outputs[confident].argmax(-1) != labels[confident]).mean())

        return score
