"""Supervised contrastive learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, Needs, OutputKind, TaskSpec, TrainingStep, register


@register("objective", "supervised_contrastive")
@dataclass(frozen=True)
class SupervisedContrastive:
    """Supervised contrastive: vectors of one class are near each other, others are far.

    Gunel et al. 2021, equations 1 to 3, after Khosla et al. 2020, on the vectors that the last
    layer reads, scaled to length 1. The mean is taken over the examples of a batch that have
    another of their class in it.

    Attributes:
        weight: of the contrastive loss, from 0 to 1; the run's loss has the rest.
        temperature: divides the cosines, above 0.
    """

    weight: float = 0.9
    temperature: float = 0.3

    accepts: ClassVar[Accepts] = Accepts(tuple(OutputKind), (LabelKind.class_index,))
    needs: ClassVar[Needs] = Needs(pooled=True, whole_batch=True)
    parts: ClassVar[tuple[str, ...]] = ("supervised", "contrastive")

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise ValueError(f"weight must be from 0 to 1, got {self.weight}")
        if self.temperature <= 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature}")

    def build(self, spec: TaskSpec):
        from xferlab import contrastive_loss

        def objective(step: TrainingStep):
            pooled = step.pool()
            outputs = step.forward(pooled=pooled)
            supervised = step.loss(outputs)
            contrastive = contrastive_loss(pooled, step.labels, self.temperature)
            loss = (1 - self.weight) * supervised + self.weight * contrastive
            return loss, outputs, {"supervised": supervised, "contrastive": contrastive}

        return objective
