"""The head of a masked language model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xferlab import EncoderOutputs, Reads, TaskSpec, register


@register("head", "masked_lm")
@dataclass(frozen=True)
class MaskedLM:
    """The checkpoint's own head for masked tokens, for ``data.task=masked_lm``.

    Attributes:
        fraction: of the tokens that are masked, above 0 and below 1.
    """

    fraction: float = 0.15

    masks_tokens = True

    def __post_init__(self) -> None:
        if not 0 < self.fraction < 1:
            raise ValueError(f"fraction must be above 0 and below 1, got {self.fraction}")

    def reads(self, spec: TaskSpec) -> Reads:
        return Reads("own")

    def build(self, encoder: EncoderOutputs, spec: TaskSpec) -> Any:
        return encoder.own
