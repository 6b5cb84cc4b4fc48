"""My training objective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, OutputKind, TaskSpec, register


@register("objective", "example")
@dataclass(frozen=True)
class Example:
    """The loss, and the entropy of the predictions, which makes them confident.

    Grandvalet & Bengio 2004.

    Attributes:
        weight: of the entropy.
    """

    contract = 1  # of xferlab, see docs/plugins.md; without a type, so that it is no field

    weight: float = 0.1

    # What it can be computed from; a model or a task of another kind is refused before training.
    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits,), labels=(LabelKind.class_index,)
    )
    parts: ClassVar[tuple[str, ...]] = ("supervised", "entropy")  # logged beside the loss

    def build(self, spec: TaskSpec):
        from keras import ops

        def objective(step):
            # Called inside the gradient tape; docs/objectives.md lists what step has: a second
            # forward pass, embeddings, gradients, seeds. Clipping and the update come after it.
            outputs = step.forward()
            supervised = step.loss(outputs)
            spread = -ops.sum(ops.softmax(outputs) * ops.log_softmax(outputs), axis=-1)
            entropy = ops.mean(spread)
            loss = supervised + self.weight * entropy
            return loss, outputs, {"supervised": supervised, "entropy": entropy}

        return objective
