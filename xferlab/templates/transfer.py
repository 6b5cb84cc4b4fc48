"""My transfer strategy."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab import Budget, Phase, TextModel, TransferPlan, register


@register("transfer", "example")
@dataclass(frozen=True)
class Example:
    """The embeddings are frozen, and the head is trained at a higher rate than the rest.

    Attributes:
        factor: the head's multiple of the learning rate, > 0.
    """

    contract = 1  # of xferlab, see docs/plugins.md; without a type, so that it is no field

    factor: float = 5.0

    def __post_init__(self) -> None:
        if not self.factor > 0:  # ValueError becomes an error of three lines that names the key
            raise ValueError(f"factor must be > 0, got {self.factor}")

    def apply(self, model: TextModel, budget: Budget) -> TransferPlan:
        lowest, *_, head = model.blocks  # names, from the text to the outputs
        # Phases follow each other and add up to budget.epochs, for example first the head alone.
        return TransferPlan(
            phases=(Phase(budget.epochs, frozen=(lowest,)),),
            rates={head: self.factor},
        )
