"""A head on the last layers side by side."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from xferlab import EncoderOutputs, Reads, TaskSpec, mean_of_tokens, register


class Tokens(Enum):
    """Which tokens of a text are pooled."""

    mean = "mean"
    first = "first"


@register("head", "last_4")
@dataclass(frozen=True)
class Last4:
    """The vectors of the last four layers side by side.

    Devlin et al. 2019, section 5.3. For a label for each word they are those of each token.

    Attributes:
        layers: how many.
        tokens: ``mean`` of all tokens or the ``first`` one, for a label for each text.
    """

    layers: int = 4
    tokens: Tokens = Tokens.mean

    is_per_word: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.layers < 1:
            raise ValueError(f"layers must be at least 1, got {self.layers}")

    def reads(self, spec: TaskSpec) -> Reads:
        is_first = self.tokens is Tokens.first and not spec.task.is_per_word
        return Reads("first" if is_first else "all", self.layers)

    def build(self, encoder: EncoderOutputs, spec: TaskSpec) -> Any:
        from keras import ops

        vectors = list(encoder.layers)
        if not spec.task.is_per_word:
            is_first = self.tokens is Tokens.first
            vectors = [
                each[:, 0, :] if is_first else mean_of_tokens(each, encoder.mask)
                for each in vectors
            ]
        return encoder.outputs(ops.concatenate(vectors, axis=-1))
