"""The loss of one forward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, OutputKind, TaskSpec, TrainingStep, register


@register("objective", "supervised")
@dataclass(frozen=True)
class Supervised:
    """The run's loss of one forward pass: Keras's own training step."""

    accepts: ClassVar[Accepts] = Accepts(tuple(OutputKind), tuple(LabelKind))
    accepts_soft_labels = True
    uses_weights = True
    is_default: ClassVar[bool] = True

    def build(self, spec: TaskSpec):
        def objective(step: TrainingStep):
            outputs = step.forward()
            return step.loss(outputs), outputs

        return objective
