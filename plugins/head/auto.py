"""The model's own head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from xferlab import EncoderOutputs, Reads, TaskSpec, register


@register("head", "auto")
@dataclass(frozen=True)
class Auto:
    """The model's own head: that of the checkpoint's class or modules, see model.pooling."""

    is_per_word: ClassVar[bool] = True
    is_default: ClassVar[bool] = True

    def reads(self, spec: TaskSpec) -> Reads:
        return Reads("own")

    def build(self, encoder: EncoderOutputs, spec: TaskSpec) -> Any:
        return encoder.outputs(encoder.own)
