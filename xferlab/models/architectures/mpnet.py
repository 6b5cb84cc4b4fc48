"""MPNet (Song et al. 2020): positions after padding, one bias by relative position for all layers.

``all-mpnet-base-v2`` and other sentence encoders have this graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from xferlab.models.architectures.base import Architecture
from xferlab.models.architectures.bert_names import BERT_EMBEDDINGS
from xferlab.models.architectures.registry import register
from xferlab.models.config_reader import ConfigReader

UNUSED_POSITIONS = 2
"""Rows of the position table before that of the first token, whatever the id of padding."""

BUCKETS = 32
"""Rows of the relative positions' table that transformers computes with, whatever a config has."""


@register
@dataclass(frozen=True, kw_only=True)
class MPNet(Architecture):
    """An encoder of ``model_type`` mpnet."""

    model_type = "mpnet"
    class_prefix = "MPNet"
    weight_prefix = "mpnet."
    required_values = {"relative_attention_num_buckets": (None, BUCKETS)}
    embedding_tensors = {
        **BERT_EMBEDDINGS,
        "relative_attention_bias": "encoder.relative_attention_bias",
    }
    layer_tensors = {
        "self_attention_layer/query": "attention.attn.q",
        "self_attention_layer/key": "attention.attn.k",
        "self_attention_layer/value": "attention.attn.v",
        "self_attention_layer/attention_output": "attention.attn.o",
        "self_attention_layer_norm": "attention.LayerNorm",
        "feedforward_intermediate_dense": "intermediate.dense",
        "feedforward_output_dense": "output.dense",
        "feedforward_layer_norm": "output.LayerNorm",
    }
    drops_first_token = True

    @classmethod
    def from_values(cls, values: dict[str, Any], config: ConfigReader) -> Self:
        """Subtract the rows of positions that no text uses."""
        positions = values["positions"] - UNUSED_POSITIONS
        more = {"positions": positions, "position_offset": UNUSED_POSITIONS}
        return super().from_values(values | more, config)

    def to_config(self, pad_id: int) -> dict[str, Any]:
        """Return the ``config.json``."""
        positions = {"max_position_embeddings": self.positions + UNUSED_POSITIONS}
        return super().to_config(pad_id) | positions

    def attention_bias(self, padding_mask: Any) -> Any:
        """Return what is added to the attention scores of every layer."""
        from xferlab.models.layers import RelativeBias

        relative = RelativeBias(
            self.heads,
            BUCKETS,
            embeddings_initializer=self.initializer(),
            name="relative_attention_bias",
        )
        return relative(super().attention_bias(padding_mask))

    def head_layers(self, is_per_word: bool) -> Mapping[str, str]:
        """Return the stems of the head's tensors by Keras layer."""
        if is_per_word:
            return {"head": "classifier"}
        return {"head_dense": "classifier.dense", "head": "classifier.out_proj"}
