"""Cross-entropy of one right class for each example or token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from xferlab import (
    Accepts,
    LabelKind,
    OutputKind,
    TaskSpec,
    check_class_weight,
    check_label_smoothing,
    class_weights,
    cross_entropy,
    register,
)


@register("loss", "cross_entropy")
@dataclass(frozen=True)
class CrossEntropy:
    """Negative log-probability of the right class of each example or labelled token.

    The mean over examples (labelled tokens, for token classification). The weighted sum is divided
    by the number of examples, not by the sum of their weights.

    Attributes:
        label_smoothing: fraction of the label that is spread over all classes, 0 to below 1.
        class_weight: none, "auto" (inverse frequency in the training split, as scikit-learn's
            "balanced") or a weight >= 0 by class name; classes not named have 1.
    """

    label_smoothing: float = 0.0
    class_weight: Any = None

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits, OutputKind.probabilities),
        labels=(LabelKind.class_index, LabelKind.token_tags),
    )
    accepts_soft_labels = True

    def __post_init__(self) -> None:
        check_label_smoothing(self.label_smoothing)
        check_class_weight(self.class_weight)

    def check(self, spec: TaskSpec) -> None:
        """Raise ConfigError for weights of classes that the data does not have."""
        class_weights(self.class_weight, spec)

    def build(self, spec: TaskSpec):
        return cross_entropy(spec, self.label_smoothing, self.class_weight)
