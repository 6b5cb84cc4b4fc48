"""Batches of pairs of examples, in an order that is a pure function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from xferlab.data.batching import Batch, BatchPlan

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False, kw_only=True)
class PairPlan(BatchPlan):
    """Batches of pairs of similar length; an example is in several of them.

    ``batch_size`` counts pairs. The rows of a batch are the two examples of its first pair, then
    those of the second, and so on.

    Attributes:
        sample: returns the pairs of an epoch, int64 (pairs, 2), from its number.
        pairs: of each epoch.
    """

    sample: Callable[[int], np.ndarray]
    pairs: int

    unit: ClassVar[str] = "pair"

    @property
    def steps_per_epoch(self) -> int:
        """Batches in every epoch."""
        return -(-self.pairs // self.batch_size)

    def epoch(self, epoch: int) -> list[Batch]:
        """Return the batches of an epoch, in order."""
        import numpy as np

        pairs = self.sample(epoch)
        longer = np.asarray(self.lengths)[pairs].max(axis=1)
        batches = BatchPlan(longer, self.batch_size, self.seed).epoch(epoch)
        return [Batch(pairs[each.rows].ravel(), each.length) for each in batches]
