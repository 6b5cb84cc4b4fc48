"""Two passes whose predictions should agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, Needs, OutputKind, TaskSpec, TrainingStep, register


@register("objective", "r_drop")
@dataclass(frozen=True)
class RDrop:
    """R-Drop: two passes with other dropout masks, whose predictions should agree.

    Liang et al. 2021, equation 3 with the mean of the two losses, as in the authors' code. The
    divergence of values is their squared difference.

    Attributes:
        weight: of the divergence, alpha in the paper, at least 0.
    """

    weight: float = 1.0

    accepts: ClassVar[Accepts] = Accepts(tuple(OutputKind), tuple(LabelKind))
    accepts_soft_labels = True
    uses_weights = True
    needs: ClassVar[Needs] = Needs(dropout=True)
    parts: ClassVar[tuple[str, ...]] = ("supervised", "divergence")

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError(f"weight must be at least 0, got {self.weight}")

    def build(self, spec: TaskSpec):
        from xferlab import divergence_of, mean_over_labelled

        divergence = divergence_of(spec)

        def objective(step: TrainingStep):
            first = step.forward()
            second = step.forward()
            supervised = (step.loss(first) + step.loss(second)) / 2
            both = (divergence(first, second) + divergence(second, first)) / 2
            agreement = mean_over_labelled(step.labels, both, step.example_weights)
            loss = supervised + self.weight * agreement
            return loss, first, {"supervised": supervised, "divergence": agreement}

        return objective
