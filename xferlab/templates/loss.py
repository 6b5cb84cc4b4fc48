"""My loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, OutputKind, TaskSpec, register


@register("loss", "example")
@dataclass(frozen=True)
class Example:
    """Cross-entropy, and a penalty on large logits.

    Attributes:
        penalty: weight of the mean square of the logits, >= 0.
    """

    contract = 1  # of xferlab, see docs/plugins.md; without a type, so that it is no field

    penalty: float = 0.001

    # What it can be computed from; a model or a task of another kind is refused before training.
    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits,), labels=(LabelKind.class_index,)
    )

    def __post_init__(self) -> None:
        if self.penalty < 0:  # ValueError becomes an error of three lines that names the key
            raise ValueError(f"penalty must be >= 0, got {self.penalty}")

    def build(self, spec: TaskSpec):
        import keras  # heavy libraries are imported here, so that --help stays fast
        from keras import ops

        class PenalisedCrossEntropy(keras.losses.Loss):
            def call(inner, labels, logits):
                """Return a loss for each example, (batch,); Keras takes the mean."""
                log_p = ops.log_softmax(logits, axis=-1)
                one_hot = ops.one_hot(labels, spec.num_outputs, dtype=log_p.dtype)
                cross_entropy = -ops.sum(one_hot * log_p, axis=-1)
                return cross_entropy + self.penalty * ops.mean(ops.square(logits), axis=-1)

        return PenalisedCrossEntropy()
