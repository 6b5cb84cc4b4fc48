"""Mixup of pooled vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, Needs, OutputKind, TaskSpec, TrainingStep, register


@register("objective", "mixup")
@dataclass(frozen=True)
class Mixup:
    """Mixup-Transformer: the loss of mixed vectors, with the labels of both examples.

    Sun et al. 2020, section 3, after Zhang et al. 2018: the vector that the last layer reads is a
    fraction of one example's and the rest of another's of the same batch; so is the loss. The
    fraction is a batch's. Training metrics score the examples as they are.

    Attributes:
        alpha: of the Beta distribution of the fraction, above 0; small mixes little.
    """

    alpha: float = 0.4

    accepts: ClassVar[Accepts] = Accepts(
        tuple(OutputKind), (LabelKind.class_index, LabelKind.multi_hot, LabelKind.float)
    )
    accepts_soft_labels = True
    uses_weights = True
    needs: ClassVar[Needs] = Needs(pooled=True, whole_batch=True)

    def __post_init__(self) -> None:
        if self.alpha <= 0:
            raise ValueError(f"alpha must be above 0, got {self.alpha}")

    def build(self, spec: TaskSpec):
        import keras
        from keras import ops

        def objective(step: TrainingStep):
            pooled = step.pool()
            rows = ops.arange(ops.shape(pooled)[0])
            others = keras.random.shuffle(rows, seed=step.seed)
            fraction = keras.random.beta((), self.alpha, self.alpha, "float32", step.seed)
            own = ops.cast(fraction, pooled.dtype)
            mixed = own * pooled + (1 - own) * ops.take(pooled, others, axis=0)
            outputs = step.forward(pooled=mixed)
            loss = fraction * step.loss(outputs)
            labels, weights = (
                None if values is None else ops.take(values, others, axis=0)
                for values in (step.labels, step.example_weights)
            )
            loss += (1 - fraction) * step.loss(outputs, labels, weights)
            return loss, step.forward(pooled=pooled)

        return objective
