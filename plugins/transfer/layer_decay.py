"""Layer-wise learning-rate decay."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab import Budget, Phase, TextModel, TransferPlan, register


@register("transfer", "layer_decay")
@dataclass(frozen=True)
class LayerDecay:
    """Every block is trainable; the rate is multiplied by ``decay`` for each block down.

    Howard & Ruder 2018 ("discriminative fine-tuning"), Clark et al. 2020 (ELECTRA, 0.8 for the
    base and 0.9 for the large model). The head has the full rate.

    Attributes:
        decay: learning rate of a block as a fraction of that of the block above, above 0 to 1.
    """

    decay: float = 0.9

    def __post_init__(self) -> None:
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay must be above 0 and at most 1, got {self.decay}")

    def apply(self, model: TextModel, budget: Budget) -> TransferPlan:
        from_top = enumerate(reversed(model.blocks))
        rates = {block: self.decay**depth for depth, block in from_top}
        return TransferPlan((Phase(budget.epochs),), rates)
