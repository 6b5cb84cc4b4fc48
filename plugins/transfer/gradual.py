"""Gradual unfreezing: one block after another, from the top."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab import Budget, Phase, TextModel, TransferPlan, register


@register("transfer", "gradual")
@dataclass(frozen=True)
class Gradual:
    """The head is trainable first, then one block more every epoch, from the top down.

    Howard & Ruder 2018 (ULMFiT), "gradual unfreezing"; with decay also their "discriminative
    fine-tuning". Blocks that a short run does not reach stay frozen.

    Attributes:
        every: epochs before the next blocks unfreeze, >= 1.
        blocks: how many blocks unfreeze at a time, >= 1.
        decay: learning rate of a block as a fraction of that of the block above, above 0 to 1; the
            paper's is 1 / 2.6; 1 gives all blocks the same.
    """

    every: int = 1
    blocks: int = 1
    decay: float = 1.0

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every must be >= 1, got {self.every}")
        if self.blocks < 1:
            raise ValueError(f"blocks must be >= 1, got {self.blocks}")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay must be above 0 and at most 1, got {self.decay}")

    def apply(self, model: TextModel, budget: Budget) -> TransferPlan:
        *frozen, _head = model.blocks
        phases = []
        left = budget.epochs
        while frozen and left > self.every:
            phases.append(Phase(self.every, frozen=tuple(frozen)))
            left -= self.every
            frozen = frozen[: -self.blocks]
        phases.append(Phase(left, frozen=tuple(frozen)))
        from_top = enumerate(reversed(model.blocks))
        rates = {block: self.decay**depth for depth, block in from_top if self.decay < 1}
        return TransferPlan(tuple(phases), rates)
