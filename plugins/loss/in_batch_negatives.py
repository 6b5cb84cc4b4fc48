"""Cross-entropy among the pairs of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, OutputKind, TaskSpec, in_batch_loss, register


@register("loss", "in_batch_negatives")
@dataclass(frozen=True)
class InBatchNegatives:
    """Finds the second text of each pair among all second texts of the batch (InfoNCE).

    Henderson et al. 2017, section 4.4, of cosines; larger batches are harder.

    Attributes:
        scale: of the cosines, above 0: the inverse of a temperature.
    """

    scale: float = 20.0

    needs_whole_batch = True
    accepts: ClassVar[Accepts] = Accepts(outputs=(OutputKind.embeddings,), labels=(LabelKind.none,))

    def __post_init__(self) -> None:
        if self.scale <= 0:
            raise ValueError(f"scale must be above 0, got {self.scale}")

    def build(self, spec: TaskSpec):
        return in_batch_loss(self.scale)
