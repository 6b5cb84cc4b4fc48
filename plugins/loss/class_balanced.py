"""Cross-entropy weighted by the effective number of examples of each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import (
    Accepts,
    LabelKind,
    OutputKind,
    TaskSpec,
    class_counts,
    example_cross_entropy,
    focused,
    of_right_class,
    register,
)


@register("loss", "class_balanced")
@dataclass(frozen=True)
class ClassBalanced:
    """Cross-entropy, or focal loss, weighted by the effective number of examples.

    Cui et al. 2019, eq. 5: a class of n examples has the weight ``(1 - beta) / (1 - beta ** n)``,
    scaled so that the weights of the classes that occur have mean 1.

    Attributes:
        beta: how little a further example adds, 0 to below 1; 0 weights all classes equally, near
            1 by inverse frequency.
        gamma: focus of the focal loss, >= 0; 0 gives cross-entropy.
    """

    beta: float = 0.999
    gamma: float = 0.0

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits, OutputKind.probabilities),
        labels=(LabelKind.class_index, LabelKind.token_tags),
    )
    accepts_soft_labels = True

    def __post_init__(self) -> None:
        if not 0 <= self.beta < 1:
            raise ValueError(f"beta must be in [0, 1), got {self.beta}")
        if self.gamma < 0:
            raise ValueError(f"gamma must be >= 0, got {self.gamma}")

    def weights(self, spec: TaskSpec):
        """Return the weight of each class, float32 (classes,); 1 for a class without examples."""
        import numpy as np

        counts = class_counts(spec)
        seen = counts > 0
        weights = np.ones(spec.num_classes)
        weights[seen] = (1 - self.beta) / (1 - self.beta ** counts[seen])
        weights[seen] /= weights[seen].mean()
        return weights.astype("float32")

    def check(self, spec: TaskSpec) -> None:
        """Raise ConfigError for data without class counts."""
        class_counts(spec)

    def build(self, spec: TaskSpec):
        cross_entropy = example_cross_entropy(spec)
        return of_right_class(
            lambda one_hot, outputs: focused(cross_entropy(one_hot, outputs), self.gamma),
            "class_balanced",
            self.weights(spec),
        )
