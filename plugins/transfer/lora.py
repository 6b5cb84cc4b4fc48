"""Low-rank adaptation of frozen weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatch

from xferlab import Budget, Phase, TextModel, TransferPlan, register


@register("transfer", "lora")
@dataclass(frozen=True)
class Lora:
    """Pretrained weights are frozen; low-rank matrices beside some and the head are trained.

    Hu et al. 2022, eq. 3: a weight W becomes ``W + alpha / rank * A B``, with B zero at first, so
    that the run starts from the pretrained model.

    Attributes:
        rank: columns of A and rows of B, >= 1; the paper finds 4 to 8 enough.
        alpha: > 0; the low-rank product is scaled by alpha / rank.
        targets: names of the layers, with * for any characters; in a transformer block query, key,
            value, attention_output, feedforward_intermediate_dense, feedforward_output_dense.
    """

    rank: int = 8
    alpha: float = 16.0
    targets: list[str] = field(default_factory=lambda: ["query", "value"])

    chooses_weights = True

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"rank must be >= 1, got {self.rank}")
        if not self.alpha > 0:
            raise ValueError(f"alpha must be > 0, got {self.alpha}")
        if not self.targets:
            raise ValueError("targets must name at least one layer; transfer=frozen is none")

    def apply(self, model: TextModel, budget: Budget) -> TransferPlan:
        layers = _body_layers(model)
        chosen = self._chosen([layer for layer in layers if hasattr(layer, "enable_lora")])
        for layer in layers:
            for variable in layer.variables:
                variable.trainable = False
        for layer in chosen:
            layer.enable_lora(self.rank, lora_alpha=self.alpha)
        return TransferPlan((Phase(budget.epochs),))

    def check_plan(self, plan: TransferPlan, blocks) -> None:
        *body, _head = blocks
        if all(set(body) <= set(phase.frozen) for phase in plan.phases):
            raise ValueError("lora trains matrices in blocks that are frozen throughout")

    def _chosen(self, layers):
        """Return the layers that a target names; ValueError if a target names none."""
        for target in self.targets:
            if not any(fnmatch(layer.name, target) for layer in layers):
                known = ", ".join(sorted({layer.name for layer in layers})) or "none"
                raise ValueError(
                    f"targets: '{target}' matches no layer of the model; those that can have "
                    f"low-rank matrices: {known}"
                )
        return [layer for layer in layers if any(fnmatch(layer.name, t) for t in self.targets)]


def _body_layers(model: TextModel):
    """Return every layer below the head, also those inside other layers, each once."""
    *body, _head = model.blocks
    outer = [model.network.get_layer(name) for block in body for name in model.blocks[block]]
    # Keras has no public access to the layers inside a layer.
    inner = [layer for each in outer for layer in each._flatten_layers()]
    return list({id(layer): layer for layer in inner}.values())
