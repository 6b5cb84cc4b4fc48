"""Contrastive loss of pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, OutputKind, TaskSpec, contrastive_pairs_loss, register


@register("loss", "contrastive")
@dataclass(frozen=True)
class Contrastive:
    """Pulls pairs with the label 1 together, and pushes those with 0 apart up to a margin.

    Hadsell et al. 2006, of the distance d = 1 - cosine: half of ``d^2`` for a pair with the label
    1, half of ``max(margin - d, 0)^2`` for one with 0.

    Attributes:
        margin: distance from which on a pair is far enough apart, above 0, at most 2.
    """

    margin: float = 0.5

    largest = 1.0  # of the labels
    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.embeddings,), labels=(LabelKind.float,)
    )

    def __post_init__(self) -> None:
        if not 0 < self.margin <= 2:
            raise ValueError(f"margin must be above 0 and at most 2, got {self.margin}")

    def build(self, spec: TaskSpec):
        return contrastive_pairs_loss(self.margin)
