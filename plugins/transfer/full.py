"""Trains every block."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab import Budget, Phase, TextModel, TransferPlan, register


@register("transfer", "full")
@dataclass(frozen=True)
class Full:
    """Every block is trainable from the first step; plain fine-tuning."""

    def apply(self, model: TextModel, budget: Budget) -> TransferPlan:
        return TransferPlan((Phase(budget.epochs),))

    def check_plan(self, plan: TransferPlan, blocks) -> None:
        frozen = {block for phase in plan.phases for block in phase.frozen}
        if frozen:
            raise ValueError(f"full trains every block, and others freeze {', '.join(frozen)}")
