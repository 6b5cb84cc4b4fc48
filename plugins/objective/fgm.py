"""Adversarial training on token embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, Needs, OutputKind, TaskSpec, TrainingStep, register


@register("objective", "fgm")
@dataclass(frozen=True)
class FGM:
    """Fast gradient method: also minimises the loss of texts whose embeddings are shifted.

    Miyato et al. 2017, section 3: the shift of a text's token embeddings follows the gradient of
    the loss and has a length of ``epsilon`` over all of its tokens.

    Attributes:
        epsilon: length of the shift, above 0.
        weight: of the adversarial loss, at least 0.
    """

    epsilon: float = 0.3
    weight: float = 1.0

    accepts: ClassVar[Accepts] = Accepts(tuple(OutputKind), tuple(LabelKind))
    accepts_soft_labels = True
    uses_weights = True
    needs: ClassVar[Needs] = Needs(embeddings=True)
    parts: ClassVar[tuple[str, ...]] = ("supervised", "adversarial")

    def __post_init__(self) -> None:
        if self.epsilon <= 0:
            raise ValueError(f"epsilon must be above 0, got {self.epsilon}")
        if self.weight < 0:
            raise ValueError(f"weight must be at least 0, got {self.weight}")

    def build(self, spec: TaskSpec):
        from keras import ops

        def objective(step: TrainingStep):
            embedded = step.embed()
            outputs = step.forward(embedded=embedded)
            supervised = step.loss(outputs)
            (gradient,) = step.gradient(supervised, [embedded])
            squares = ops.sum(ops.square(gradient), axis=(1, 2), keepdims=True)
            shift = self.epsilon * gradient * ops.rsqrt(ops.maximum(squares, 1e-24))
            shifted = embedded + ops.cast(shift, embedded.dtype)
            adversarial = step.loss(step.forward(embedded=shifted))
            parts = {"supervised": supervised, "adversarial": adversarial}
            return supervised + self.weight * adversarial, outputs, parts

        return objective
