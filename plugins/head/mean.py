"""A head on the mean of the tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from xferlab import EncoderOutputs, TaskSpec, mean_of_tokens, register


@register("head", "mean")
@dataclass(frozen=True)
class Mean:
    """The mean of the vectors of all tokens, special ones included."""

    pooling: ClassVar[str] = "mean"

    def build(self, encoder: EncoderOutputs, spec: TaskSpec) -> Any:
        return encoder.outputs(mean_of_tokens(encoder.sequence, encoder.mask))
