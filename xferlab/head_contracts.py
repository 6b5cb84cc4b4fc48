"""The contract of a head: what it reads of an encoder and what it makes of it; nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from xferlab.tasks.base import TaskSpec

TOKENS = ("first", "all", "own")


@dataclass(frozen=True)
class Reads:
    """What a head reads of an encoder, which computes no more than that.

    Attributes:
        tokens: of the last layer: ``first``, ``all``, or ``own``: what the model's own head reads.
        layers: how many layers, the last ones.
    """

    tokens: str = "all"
    layers: int = 1

    def __post_init__(self) -> None:
        if self.tokens not in TOKENS:
            raise ValueError(f"tokens must be one of {', '.join(TOKENS)}, got {self.tokens!r}")
        if self.layers < 1:
            raise ValueError(f"layers must be at least 1, got {self.layers}")


class EncoderOutputs(Protocol):
    """Symbolic outputs of an encoder, as a head is given them.

    Attributes:
        sequence: of the last layer, (batch, length, width); (batch, 1, width) where the head reads
            the first token alone.
        mask: (batch, length), int32: 1 is a token, 0 is padding.
        layers: outputs of the layers that the head reads, (batch, length, width) each, from the
            lowest to the last one, which is ``sequence``.
        own: what the last layer of the model's own head reads, where the head reads ``own``.
        width: of a token's vector.
    """

    sequence: Any
    mask: Any
    layers: Sequence[Any]
    own: Any
    width: int

    def outputs(self, vectors: Any, dropout: float | None = None) -> Any:
        """Return the task's outputs: dropout, then a new dense layer.

        Args:
            vectors: (batch, any width); for a label for each word (batch, length, any width).
            dropout: rate; None for the model's own.
        """


class Head(Protocol):
    """Makes the task's outputs of what an encoder computes for a batch of texts.

    ``build`` returns ``encoder.outputs(vectors)``. A plugin may have

    - ``reads(spec) -> Reads``: what it reads; without it all tokens of the last layer;
    - ``is_per_word = True``: it also serves tasks with a label for each word;
    - ``pooling``: ``first``, ``mean`` or ``max``, where its vectors are what the pooling of
      sentence-transformers of this name computes, so that it can be exported there;
    - ``objective()``: an objective (``xferlab.contracts.Objective``) that trains it, where the
      config has no other.
    """

    is_per_word: ClassVar[bool] = False
    pooling: ClassVar[str] = ""

    def build(self, encoder: EncoderOutputs, spec: TaskSpec) -> Any: ...
