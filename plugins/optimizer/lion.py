"""Lion."""

from __future__ import annotations

from dataclasses import dataclass, field

from xferlab import check_rates, exclude_from_weight_decay, register


@register("optimizer", "lion")
@dataclass(frozen=True)
class Lion:
    """Steps of one size, in the direction of the sign of the momentum; saves memory.

    Chen et al. 2023. Wants a learning rate 3 to 10 times smaller than AdamW, and a weight decay
    as much larger.

    Attributes:
        lr: peak learning rate, > 0.
        weight_decay: fraction of a weight subtracted per unit of learning rate, >= 0;
            decoupled from the gradient, as in AdamW.
        no_decay: names of variables or layers that are not decayed; the default excludes
            biases and normalisation.
        beta_1: weight of the momentum in the direction of a step, above 0 and below 1.
        beta_2: memory of the mean of the gradient, 0 to below 1.
    """

    lr: float = 1e-5
    weight_decay: float = 0.1
    no_decay: list[str] = field(default_factory=lambda: ["bias", "gamma", "beta"])
    beta_1: float = 0.9
    beta_2: float = 0.99

    def __post_init__(self) -> None:
        check_rates(self.lr, self.weight_decay, beta_1=self.beta_1, beta_2=self.beta_2)
        if self.beta_1 == 0:
            raise ValueError("beta_1 must be above 0, or the memory is never used")

    def build(self, learning_rate):
        import keras

        optimizer = keras.optimizers.Lion(
            learning_rate,
            weight_decay=self.weight_decay or None,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
        )
        return exclude_from_weight_decay(optimizer, self.no_decay)
