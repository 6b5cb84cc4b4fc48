"""Adam."""

from __future__ import annotations

from dataclasses import dataclass, field

from xferlab import check_rates, exclude_from_weight_decay, register


@register("optimizer", "adam")
@dataclass(frozen=True)
class Adam:
    """Steps of the mean gradient over the root of its mean square.

    Kingma & Ba 2015. With weight_decay it is AdamW.

    Attributes:
        lr: peak learning rate, > 0.
        weight_decay: fraction of a weight subtracted per unit of learning rate, >= 0;
            decoupled from the gradient, as in AdamW.
        no_decay: names of variables or layers that are not decayed; the default excludes
            biases and normalisation.
        beta_1: memory of the mean of the gradient, 0 to below 1.
        beta_2: memory of the mean of its square, 0 to below 1.
        epsilon: added to the root of that mean, > 0.
    """

    lr: float = 5e-5
    weight_decay: float = 0.0
    no_decay: list[str] = field(default_factory=lambda: ["bias", "gamma", "beta"])
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        check_rates(self.lr, self.weight_decay, beta_1=self.beta_1, beta_2=self.beta_2)
        if not self.epsilon > 0:
            raise ValueError(f"epsilon must be > 0, got {self.epsilon}")

    def build(self, learning_rate):
        import keras

        optimizer = keras.optimizers.Adam(
            learning_rate,
            weight_decay=self.weight_decay or None,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
        )
        return exclude_from_weight_decay(optimizer, self.no_decay)
