"""Trains the head alone."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab import Budget, Phase, TextModel, TransferPlan, register


@register("transfer", "frozen")
@dataclass(frozen=True)
class Frozen:
    """Only the head is trainable; the pretrained blocks are a fixed feature extractor."""

    def apply(self, model: TextModel, budget: Budget) -> TransferPlan:
        *body, _head = model.blocks
        return TransferPlan((Phase(budget.epochs, frozen=tuple(body)),))
