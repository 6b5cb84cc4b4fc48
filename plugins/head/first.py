"""A head on the first token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from xferlab import EncoderOutputs, Reads, TaskSpec, register


@register("head", "first")
@dataclass(frozen=True)
class First:
    """The first token's vector as it is, without a pooler or another dense layer."""

    pooling: ClassVar[str] = "first"

    def reads(self, spec: TaskSpec) -> Reads:
        return Reads("first")

    def build(self, encoder: EncoderOutputs, spec: TaskSpec) -> Any:
        return encoder.outputs(encoder.sequence[:, 0, :])
