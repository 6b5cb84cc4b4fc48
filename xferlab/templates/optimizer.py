"""My optimizer."""

from __future__ import annotations

from dataclasses import dataclass, field

from xferlab import check_rates, exclude_from_weight_decay, register


@register("optimizer", "example")
@dataclass(frozen=True)
class Example:
    """Steps of the gradient over the root of its mean square (RMSprop).

    Attributes:
        lr: peak learning rate, > 0.
        weight_decay: fraction of a weight subtracted per unit of learning rate, >= 0.
        no_decay: names of variables or layers that are not decayed.
        rho: memory of the mean square, 0 to below 1.
    """

    contract = 1  # of xferlab, see docs/plugins.md; without a type, so that it is no field

    lr: float = 1e-3
    weight_decay: float = 0.0
    no_decay: list[str] = field(default_factory=lambda: ["bias", "gamma", "beta"])
    rho: float = 0.9

    def __post_init__(self) -> None:
        check_rates(self.lr, self.weight_decay, rho=self.rho)

    def build(self, learning_rate):
        # learning_rate is a float or a Keras schedule, with the warm-up of schedule=...; clipping
        # and accumulation are the framework's.
        import keras

        optimizer = keras.optimizers.RMSprop(
            learning_rate, rho=self.rho, weight_decay=self.weight_decay or None
        )
        return exclude_from_weight_decay(optimizer, self.no_decay)
