"""Trains the head alone, then every block."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab import Budget, Phase, TextModel, TransferPlan, register


@register("transfer", "head_first")
@dataclass(frozen=True)
class HeadFirst:
    """Only the head is trainable for some epochs, then every block is.

    The gradient of a fresh head would distort the pretrained blocks
    (Kumar et al. 2022, "linear probing then fine-tuning").

    Attributes:
        head_epochs: epochs with only the head trainable, >= 1 and below the run's epochs.
    """

    head_epochs: int = 1

    def __post_init__(self) -> None:
        if self.head_epochs < 1:
            raise ValueError(f"head_epochs must be >= 1, got {self.head_epochs}")

    def apply(self, model: TextModel, budget: Budget) -> TransferPlan:
        rest = budget.epochs - self.head_epochs
        if rest < 1:
            raise ValueError(
                f"head_epochs is {self.head_epochs}, which leaves none of the run's "
                f"{budget.epochs} epochs for the other blocks"
            )
        *body, _head = model.blocks
        return TransferPlan((Phase(self.head_epochs, frozen=tuple(body)), Phase(rest)))
