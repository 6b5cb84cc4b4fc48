"""Stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass, field

from xferlab import check_rates, exclude_from_weight_decay, register


@register("optimizer", "sgd")
@dataclass(frozen=True)
class Sgd:
    """Plain steps down the gradient, with momentum.

    Robbins & Monro 1951; Sutskever et al. 2013 for the two kinds of momentum.

    Attributes:
        lr: peak learning rate, > 0.
        weight_decay: fraction of a weight subtracted per unit of learning rate, >= 0;
            decoupled from the gradient, as in AdamW.
        no_decay: names of variables or layers that are not decayed; the default excludes
            biases and normalisation.
        momentum: fraction of the last step that is repeated, 0 to below 1; 0 is none.
        nesterov: look ahead along the momentum before taking the gradient's step.
    """

    lr: float = 0.01
    weight_decay: float = 0.0
    no_decay: list[str] = field(default_factory=lambda: ["bias", "gamma", "beta"])
    momentum: float = 0.9
    nesterov: bool = False

    def __post_init__(self) -> None:
        check_rates(self.lr, self.weight_decay, momentum=self.momentum)
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov looks ahead along the momentum, which is 0")

    def build(self, learning_rate):
        import keras

        optimizer = keras.optimizers.SGD(
            learning_rate,
            weight_decay=self.weight_decay or None,
            momentum=self.momentum,
            nesterov=self.nesterov,
        )
        return exclude_from_weight_decay(optimizer, self.no_decay)
