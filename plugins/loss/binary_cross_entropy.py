"""Cross-entropy of labels that are each present or absent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from xferlab import (
    Accepts,
    LabelKind,
    OutputKind,
    TaskSpec,
    binary_cross_entropy,
    check_class_weight,
    check_label_smoothing,
    label_weights,
    register,
)


@register("loss", "binary_cross_entropy")
@dataclass(frozen=True)
class BinaryCrossEntropy:
    """Negative log-probability of each label's presence or absence.

    The mean over examples and labels.

    Attributes:
        label_smoothing: pulls yes and no together: no becomes half of this, yes one minus it,
            0 to below 1.
        class_weight: none; "auto" (each label's yes and no weigh the same over the training
            split); or, by class name, the weight >= 0 of that label's yes, where 1 is neutral.
    """

    label_smoothing: float = 0.0
    class_weight: Any = None

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits, OutputKind.probabilities), labels=(LabelKind.multi_hot,)
    )
    accepts_soft_labels = True

    def __post_init__(self) -> None:
        check_label_smoothing(self.label_smoothing)
        check_class_weight(self.class_weight)

    def check(self, spec: TaskSpec) -> None:
        """Raise ConfigError for weights of labels that the data does not have."""
        label_weights(self.class_weight, spec)

    def build(self, spec: TaskSpec):
        return binary_cross_entropy(spec, self.label_smoothing, self.class_weight)
