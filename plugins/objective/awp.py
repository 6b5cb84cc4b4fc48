"""Adversarial weight perturbation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, Needs, OutputKind, TaskSpec, TrainingStep, register


@register("objective", "awp")
@dataclass(frozen=True)
class AWP:
    """Adversarial weight perturbation: the loss at weights that are shifted against it.

    Wu et al. 2020, section 4.1, on the texts as they are: each kernel and table is shifted along
    its gradient by ``gamma`` of its norm, biases and normalisation are not. The update is that of
    the weights before the shift.

    Attributes:
        gamma: size of the shift, as a fraction of each weight's norm, above 0; the paper has 0.005
            for networks without pretraining.
    """

    gamma: float = 0.0005

    accepts: ClassVar[Accepts] = Accepts(tuple(OutputKind), tuple(LabelKind))
    accepts_soft_labels = True
    uses_weights = True
    needs: ClassVar[Needs] = Needs(shifted_weights=True, whole_batch=True)
    parts: ClassVar[tuple[str, ...]] = ("supervised",)

    def __post_init__(self) -> None:
        if self.gamma <= 0:
            raise ValueError(f"gamma must be above 0, got {self.gamma}")

    def build(self, spec: TaskSpec):
        from keras import ops

        def shift_of(weight, gradient):
            square = ops.sum(ops.square(gradient))
            size = ops.sqrt(ops.sum(ops.square(ops.cast(weight, "float32"))))
            return self.gamma * size * gradient * ops.rsqrt(ops.maximum(square, 1e-24))

        def objective(step: TrainingStep):
            outputs = step.forward()
            supervised = step.loss(outputs)
            kernels = [weight for weight in step.weights if len(weight.shape) > 1]
            gradients = step.gradient(supervised, kernels)
            pairs = zip(kernels, gradients, strict=True)
            with step.shifted([(weight, shift_of(weight, g)) for weight, g in pairs]):
                loss = step.loss(step.forward())
            return loss, outputs, {"supervised": supervised}

        return objective
