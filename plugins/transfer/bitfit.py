"""Trains the biases alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatch

from xferlab import Budget, Phase, TextModel, TransferPlan, register

BIASES = ("bias", "beta")
"""Keras's names of what a dense layer and a normalisation add."""


@register("transfer", "bitfit")
@dataclass(frozen=True)
class BitFit:
    """Of the pretrained weights only what layers add is trained; the head is trained in full.

    Ben Zaken et al. 2022: some 0.1 % of BERT's weights, with few examples as good as all of them.
    The paper's rates are 1e-4 to 1e-3.

    Attributes:
        targets: names of the layers whose biases are trained, with * for any characters; the
            paper's smaller choice is [query, feedforward_intermediate_dense].
    """

    targets: list[str] = field(default_factory=lambda: ["*"])

    chooses_weights = True

    def __post_init__(self) -> None:
        if not self.targets:
            raise ValueError("targets must name at least one layer; transfer=frozen is none")

    def apply(self, model: TextModel, budget: Budget) -> TransferPlan:
        *body, _head = model.blocks
        layers = [model.network.get_layer(name) for block in body for name in model.blocks[block]]
        weights = {variable.path: variable for layer in layers for variable in layer.weights}
        chosen = self._chosen([path for path in weights if path.rpartition("/")[2] in BIASES])
        for path, variable in weights.items():
            if path not in chosen:
                variable.trainable = False
        return TransferPlan((Phase(budget.epochs),))

    def check_plan(self, plan: TransferPlan, blocks) -> None:
        *body, _head = blocks
        if all(set(body) <= set(phase.frozen) for phase in plan.phases):
            raise ValueError("bitfit trains biases in blocks that are frozen throughout")

    def _chosen(self, biases) -> set[str]:
        """Return the paths of the biases that a target names; ValueError if one names none."""
        if not biases:
            raise ValueError("the model has no biases below its head; transfer=lora has matrices")
        layers = {path: path.split("/")[-2] for path in biases}
        for target in self.targets:
            if not any(fnmatch(name, target) for name in layers.values()):
                known = ", ".join(sorted(set(layers.values())))
                raise ValueError(
                    f"targets: '{target}' matches no layer with a bias; there are: {known}"
                )
        return {p for p, name in layers.items() if any(fnmatch(name, t) for t in self.targets)}
