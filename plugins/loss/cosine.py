"""Squared distance of cosine and label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, OutputKind, TaskSpec, cosine_loss, register


@register("loss", "cosine")
@dataclass(frozen=True)
class Cosine:
    """Mean squared distance of the cosine of two texts' vectors from their label.

    Reimers & Gurevych 2019 (Sentence-BERT), section 3, the regression objective.

    Attributes:
        largest: label of texts that mean the same, above 0; labels are divided by it.
    """

    largest: float = 1.0

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.embeddings,), labels=(LabelKind.float,)
    )

    def __post_init__(self) -> None:
        if self.largest <= 0:
            raise ValueError(f"largest must be above 0, got {self.largest}")

    def build(self, spec: TaskSpec):
        return cosine_loss(self.largest)
