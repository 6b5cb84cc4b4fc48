"""The loss that fits the task."""

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
    refuse_class_options,
    register,
)


@register("loss", "auto")
@dataclass(frozen=True)
class Auto:
    """The loss that fits the task: cross-entropy, binary cross-entropy or squared error.

    Single-label and token classification: ``cross_entropy``. Multi-label: ``binary_cross_entropy``.
    Regression: ``mean_squared_error``.

    Attributes:
        label_smoothing: fraction of the label that is spread over all classes, 0 to below 1; must
            be 0 for regression.
        class_weight: none, "auto" (inverse frequency in the training split) or a weight >= 0 by
            class name; must be none for regression.
    """

    label_smoothing: float = 0.0
    class_weight: Any = None

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(
            OutputKind.logits,
            OutputKind.probabilities,
            OutputKind.values,
            OutputKind.embeddings,
        ),
        labels=(
            LabelKind.class_index,
            LabelKind.token_tags,
            LabelKind.multi_hot,
            LabelKind.float,
            LabelKind.none,
        ),
    )
    accepts_soft_labels = True

    def __post_init__(self) -> None:
        check_label_smoothing(self.label_smoothing)
        check_class_weight(self.class_weight)

    def check(self, spec: TaskSpec) -> None:
        """Raise ConfigError for options of classes that the task does not have."""
        refuse_class_options(spec, self.label_smoothing, self.class_weight)

    def build(self, spec: TaskSpec):
        return spec.task.loss(spec, self.label_smoothing, self.class_weight)
