"""Symbolic outputs of an encoder, as a head of the group ``head`` is given them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xferlab.contracts import TaskSpec
from xferlab.models.encoder import Encoder
from xferlab.models.frozen_part import nodes_in_order
from xferlab.models.text_pairs import mask_of

LAYER = re.compile(r"transformer_layer_\d+")
"""Names of an encoder's layers."""


@dataclass(frozen=True)
class SymbolicOutputs:
    """Outputs of an encoder, see :class:`xferlab.contracts.EncoderOutputs`.

    Attributes:
        encoder: that they are of.
        spec: the task.
        layers: as in the contract.
        own: likewise.
        dropout: rate before the last layer.
    """

    encoder: Encoder
    spec: TaskSpec
    layers: Sequence[Any]
    own: Any
    dropout: float

    @property
    def sequence(self) -> Any:
        """Of the last layer."""
        return self.layers[-1]

    @property
    def mask(self) -> Any:
        """1 is a token, 0 is padding."""
        return mask_of(self.encoder)

    @property
    def width(self) -> int:
        """Of a token's vector."""
        return self.encoder.hidden_size

    def outputs(self, vectors: Any, dropout: float | None = None) -> Any:
        """Return the task's outputs: dropout, then a new dense layer; or the vectors of pairs."""
        import keras

        from xferlab.models.layers import JoinPairs

        if self.spec.task.encodes_texts_apart:
            return JoinPairs(name="pairs")(vectors)
        rate = self.dropout if dropout is None else dropout
        last = self.encoder.architecture.output_layer(
            self.spec.num_outputs, self.spec.task.is_per_word
        )
        return last(keras.layers.Dropout(rate, name="head_dropout")(vectors))


def outputs_of_layers(backbone: Any, sequence: Any, count: int) -> list[Any]:
    """Return the symbolic outputs of the last layers of an encoder, from the lowest to the last.

    The last one is what the encoder gives, so after a normalisation above it, as in the
    ``hidden_states`` of transformers.

    Args:
        backbone: functional ``keras.Model`` of an encoder.
        sequence: its output.
        count: of layers.
    """
    nodes = nodes_in_order(backbone) or []
    layers = [node.outputs[0] for node in nodes if LAYER.fullmatch(node.operation.name)]
    return [*layers[:-1], sequence][-count:]
