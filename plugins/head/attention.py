"""A head on a learned weighted mean of the tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xferlab import EncoderOutputs, TaskSpec, register, weighted_mean_of_tokens


@register("head", "attention")
@dataclass(frozen=True)
class Attention:
    """A weighted mean of the vectors of all tokens; a small network gives the weights.

    Yang et al. 2016, equations 5 to 7: the weights of a text's tokens are the softmax of
    ``v . tanh(W h + b)``.

    Attributes:
        width: of the small network; 0 for the encoder's own width.
    """

    width: int = 0

    def __post_init__(self) -> None:
        if self.width < 0:
            raise ValueError(f"width must be 0 or more, got {self.width}")

    def build(self, encoder: EncoderOutputs, spec: TaskSpec) -> Any:
        import keras

        hidden = keras.layers.Dense(
            self.width or encoder.width, activation="tanh", name="attention_hidden"
        )
        score = keras.layers.Dense(1, use_bias=False, dtype="float32", name="attention_score")
        scores = score(hidden(encoder.sequence))[:, :, 0]
        return encoder.outputs(weighted_mean_of_tokens(encoder.sequence, encoder.mask, scores))
