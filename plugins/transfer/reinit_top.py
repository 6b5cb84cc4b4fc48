"""Top layers with fresh weights."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab import Budget, Phase, TextModel, TransferPlan, register


@register("transfer", "reinit_top")
@dataclass(frozen=True)
class ReinitTop:
    """The top transformer layers and the pooler begin from fresh weights, all are trained.

    Zhang et al. 2021, section 5: the top layers of BERT are specialised for its pretraining, and
    with few examples fresh ones give better and steadier results.

    Attributes:
        layers: how many transformer layers, counted from the top, >= 1; the paper tries 1 to 6.
        pooler: whether the checkpoint's pooler is fresh too.
    """

    layers: int = 1
    pooler: bool = True

    def __post_init__(self) -> None:
        if self.layers < 1:
            raise ValueError(f"layers must be >= 1, got {self.layers}; transfer=full is 0")

    def apply(self, model: TextModel, budget: Budget) -> TransferPlan:
        from xferlab import reinitialize

        fresh = self._blocks(model.blocks)
        for block in fresh:
            for name in model.blocks[block]:
                reinitialize(model.network.get_layer(name))
        return TransferPlan((Phase(budget.epochs),), fresh=tuple(fresh))

    def check_plan(self, plan: TransferPlan, blocks) -> None:
        for block in self._blocks(blocks):
            if all(block in phase.frozen for phase in plan.phases):
                raise ValueError(f"reinit_top gives '{block}' fresh weights that are never trained")

    def _blocks(self, blocks) -> list[str]:
        """Return the blocks that get fresh weights, from the bottom up."""
        *body, _head = blocks
        layers = [block for block in body if block not in ("embeddings", "pooler")]
        if self.layers >= len(layers):
            raise ValueError(
                f"layers is {self.layers}, which leaves no pretrained one of the model's"
                f" {len(layers)} blocks of transformer layers: {', '.join(layers) or 'none'}"
            )
        pooler = [block for block in body if block == "pooler" and self.pooler]
        return layers[-self.layers :] + pooler
