"""Adam with decoupled weight decay."""

from __future__ import annotations

from dataclasses import dataclass, field

from xferlab import check_rates, exclude_from_weight_decay, register


@register("optimizer", "adamw")
@dataclass(frozen=True)
class AdamW:
    """Adam with weight decay decoupled from the gradient; used for most fine-tuning.

    Loshchilov & Hutter 2019.

    Attributes:
        lr: peak learning rate, > 0; 1e-5 to 5e-5 suit pretrained encoders.
        weight_decay: fraction of a weight subtracted per unit of learning rate, >= 0.
        no_decay: names of variables or layers that are not decayed; the default excludes
            biases and normalisation.
        beta_1: memory of the mean of the gradient, 0 to 1.
        beta_2: memory of the mean of its square, 0 to 1.
        epsilon: added to the root of that mean, > 0.
    """

    lr: float = 5e-5
    weight_decay: float = 0.01
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

        optimizer = keras.optimizers.AdamW(
            learning_rate,
            weight_decay=self.weight_decay,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
        )
        return exclude_from_weight_decay(optimizer, self.no_decay)
