"""Share of right answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, OutputKind, TaskSpec, register
from xferlab.functional.metrics import mean_score


@register("metric", "accuracy")
@dataclass(frozen=True)
class Accuracy:
    """Share of rows, or of labelled tokens, whose likeliest class is the label."""

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits, OutputKind.probabilities),
        labels=(LabelKind.class_index, LabelKind.token_tags),
    )
    mode: ClassVar[str] = "max"

    def build(self, spec: TaskSpec):
        from keras import ops

        def hits(labels, outputs):
            return ops.equal(labels, ops.argmax(outputs, axis=-1))

        return mean_score(hits, "accuracy", ignore=-1)
