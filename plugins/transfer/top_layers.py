"""Trains the head and the blocks next to it."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab import Budget, Phase, TextModel, TransferPlan, register


@register("transfer", "top_layers")
@dataclass(frozen=True)
class TopLayers:
    """The head and the last few blocks are trainable; deeper ones are frozen.

    Lee et al. 2019 find a quarter of the blocks enough for most of full fine-tuning.

    Attributes:
        blocks: how many blocks below the head are trainable, >= 1.
    """

    blocks: int = 2

    def __post_init__(self) -> None:
        if self.blocks < 1:
            raise ValueError(f"blocks must be >= 1, got {self.blocks}; transfer=frozen is 0")

    def apply(self, model: TextModel, budget: Budget) -> TransferPlan:
        *body, _head = model.blocks
        if self.blocks > len(body):
            raise ValueError(
                f"blocks is {self.blocks}, but the model has only {len(body)} blocks below its "
                f"head: {', '.join(body)}"
            )
        return TransferPlan((Phase(budget.epochs, frozen=tuple(body[: -self.blocks])),))
