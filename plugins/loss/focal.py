"""Focal loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from xferlab import (
    Accepts,
    ConfigError,
    LabelKind,
    OutputKind,
    TaskSpec,
    check_class_weight,
    class_weights,
    example_cross_entropy,
    focused,
    label_cross_entropy,
    label_weights,
    of_each_label,
    of_right_class,
    register,
)


@register("loss", "focal")
@dataclass(frozen=True)
class Focal:
    """Cross-entropy with less weight on what the model already predicts well.

    Lin et al. 2017, eq. 5: ``-(1 - p) ** gamma * log(p)``, with p the probability of the right
    class, or of each label's true value.

    Attributes:
        gamma: focus, >= 0; 0 gives plain cross-entropy, 2 is the paper's.
        alpha: weight in (0, 1) of the second of two classes, or of present labels; the other
            side gets 1 - alpha. None is no weighting.
        class_weight: none, "auto" (inverse frequency in the training split) or a weight >= 0 by
            class name; instead of alpha.
    """

    gamma: float = 2.0
    alpha: float | None = None
    class_weight: Any = None

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits, OutputKind.probabilities),
        labels=(LabelKind.class_index, LabelKind.token_tags, LabelKind.multi_hot),
    )
    accepts_soft_labels = True

    def __post_init__(self) -> None:
        check_class_weight(self.class_weight)
        if self.gamma < 0:
            raise ValueError(f"gamma must be >= 0, got {self.gamma}")
        if self.alpha is not None and not 0 < self.alpha < 1:
            raise ValueError(f"alpha must be in (0, 1), got {self.alpha}")
        if self.alpha is not None and self.class_weight is not None:
            raise ValueError("alpha and class_weight both weight the classes; give only one")

    def check(self, spec: TaskSpec) -> None:
        """Raise ConfigError for weights that do not suit the classes."""
        is_multi_label = spec.label_kind is LabelKind.multi_hot
        (self._label_weights if is_multi_label else self._class_weights)(spec)

    def build(self, spec: TaskSpec):
        if spec.label_kind is LabelKind.multi_hot:
            of_label = label_cross_entropy(spec)
            return of_each_label(
                lambda labels, outputs: focused(of_label(labels, outputs), self.gamma),
                "focal",
                self._label_weights(spec),
            )
        cross_entropy = example_cross_entropy(spec)
        return of_right_class(
            lambda one_hot, outputs: focused(cross_entropy(one_hot, outputs), self.gamma),
            "focal",
            self._class_weights(spec),
        )

    def _label_weights(self, spec: TaskSpec):
        if self.alpha is not None:
            return 1 - self.alpha, self.alpha
        return label_weights(self.class_weight, spec)

    def _class_weights(self, spec: TaskSpec):
        if self.alpha is None:
            return class_weights(self.class_weight, spec)
        if spec.num_classes != 2:
            raise ConfigError(
                f"alpha weights two classes, and the data has {spec.num_classes}",
                where="loss.alpha",
                fix="use loss.class_weight=auto, or weights by class name",
            )
        import numpy as np

        return np.array([1 - self.alpha, self.alpha], "float32")
