"""My head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xferlab import EncoderOutputs, Reads, TaskSpec, max_of_tokens, mean_of_tokens, register


@register("head", "example")
@dataclass(frozen=True)
class Example:
    """The mean and the largest value of the tokens' vectors, side by side.

    Attributes:
        layers: how many of the last layers are averaged first.
    """

    contract = 1  # of xferlab, see docs/plugins.md; without a type, so that it is no field

    layers: int = 1

    def __post_init__(self) -> None:
        if self.layers < 1:  # ValueError becomes an error of three lines that names the key
            raise ValueError(f"layers must be at least 1, got {self.layers}")

    def reads(self, spec: TaskSpec) -> Reads:
        return Reads("all", self.layers)  # the encoder computes no more than this

    def build(self, encoder: EncoderOutputs, spec: TaskSpec) -> Any:
        from keras import ops

        sequence = sum(encoder.layers[1:], encoder.layers[0]) / self.layers
        # encoder.mask is 0 where a shorter text is padded: padding must not change the result
        mean = mean_of_tokens(sequence, encoder.mask)
        largest = max_of_tokens(sequence, encoder.mask)
        return encoder.outputs(ops.concatenate([mean, largest], axis=-1))
