"""Adafactor."""

from __future__ import annotations

from dataclasses import dataclass, field

from xferlab import check_rates, exclude_from_weight_decay, register


@register("optimizer", "adafactor")
@dataclass(frozen=True)
class Adafactor:
    """Adam's scaling from row and column sums, relative to the size of the weights.

    Shazeer & Stern 2018. The rate is relative: a step is ``lr`` times the root mean square of the
    weights, and at step t no more than 1 / sqrt(t) of it. There is no momentum.

    Attributes:
        lr: peak learning rate as a fraction of the size of the weights, > 0.
        weight_decay: fraction of a weight subtracted per unit of learning rate, >= 0;
            decoupled from the gradient, as in AdamW.
        no_decay: names of variables or layers that are not decayed; the default excludes
            biases and normalisation.
        decay_exponent: the memory of squared gradients at step t is 1 - t ** this, below 0.
        clip: a variable's step is scaled down to this root mean square, > 0.
        epsilon: added to squared gradients, > 0.
        least_size: root mean square that smaller weights are taken to have, > 0.
    """

    lr: float = 1e-3
    weight_decay: float = 0.0
    no_decay: list[str] = field(default_factory=lambda: ["bias", "gamma", "beta"])
    decay_exponent: float = -0.8
    clip: float = 1.0
    epsilon: float = 1e-18
    least_size: float = 1e-3

    def __post_init__(self) -> None:
        check_rates(self.lr, self.weight_decay)
        if not self.decay_exponent < 0:
            raise ValueError(f"decay_exponent must be < 0, got {self.decay_exponent}")
        for name in ("clip", "epsilon", "least_size"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")

    def build(self, learning_rate):
        import keras

        # Keras multiplies the row and column means in float32. With the paper's 1e-30 that is 0
        # where a row and a column have no gradient, and 0 / 0 makes the weights NaN.
        optimizer = keras.optimizers.Adafactor(
            learning_rate,
            weight_decay=self.weight_decay or None,
            beta_2_decay=self.decay_exponent,
            clip_threshold=self.clip,
            epsilon_1=self.epsilon,
            epsilon_2=self.least_size,
            relative_step=False,
        )
        return exclude_from_weight_decay(optimizer, self.no_decay)
