"""A head on the maximum over the tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from xferlab import EncoderOutputs, TaskSpec, max_of_tokens, register


@register("head", "max")
@dataclass(frozen=True)
class Max:
    """The largest value of each component over all tokens, special ones included."""

    pooling: ClassVar[str] = "max"

    def build(self, encoder: EncoderOutputs, spec: TaskSpec) -> Any:
        return encoder.outputs(max_of_tokens(encoder.sequence, encoder.mask))
