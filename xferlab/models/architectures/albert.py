"""ALBERT (Lan et al. 2020): narrow embedding tables, and layers that share their weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xferlab.models.architectures.base import Architecture
from xferlab.models.architectures.bert_names import BERT_EMBEDDINGS, BERT_KEYS
from xferlab.models.architectures.registry import register


@register
@dataclass(frozen=True, kw_only=True)
class Albert(Architecture):
    """An encoder of ``model_type`` albert.

    Attributes:
        embedding_size: width of the embedding tables.
        groups: sets of layers with weights of their own.
        inner_layers: layers in one group.
    """

    has_pooler: bool = True
    embedding_size: int
    groups: int
    inner_layers: int

    model_type = "albert"
    class_prefix = "Albert"
    weight_prefix = "albert."
    config_keys = {
        **BERT_KEYS,
        "segments": "type_vocab_size",
        "embedding_size": "embedding_size",
        "groups": "num_hidden_groups",
        "inner_layers": "inner_group_num",
    }
    config_defaults = {
        **Architecture.config_defaults,
        "hidden_act": "gelu_new",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "embedding_size": 128,
        "num_hidden_groups": 1,
        "inner_group_num": 1,
    }
    embedding_tensors = {
        **BERT_EMBEDDINGS,
        "embedding_projection": "encoder.embedding_hidden_mapping_in",
    }
    layer_stem = "encoder.albert_layer_groups.{group}.albert_layers.{inner}"
    layer_tensors = {
        "self_attention_layer/query": "attention.query",
        "self_attention_layer/key": "attention.key",
        "self_attention_layer/value": "attention.value",
        "self_attention_layer/attention_output": "attention.dense",
        "self_attention_layer_norm": "attention.LayerNorm",
        "feedforward_intermediate_dense": "ffn",
        "feedforward_output_dense": "ffn_output",
        "feedforward_layer_norm": "full_layer_layer_norm",
    }
    pooler_tensor = "pooler"
    head_dropout_key = "classifier_dropout_prob"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers % self.groups:
            raise ValueError(f"{self.groups} groups do not divide {self.layers} layers")

    @property
    def embedding_width(self) -> int:
        """Width of the embedding tables."""
        return self.embedding_size

    @property
    def distinct_layers(self) -> int:
        """Transformer layers that have weights of their own."""
        return self.groups * self.inner_layers

    def layer_blocks(self) -> dict[str, tuple[str, ...]]:
        """Return one block: layers that share their weights cannot be frozen one by one."""
        names = (f"transformer_layer_{index}" for index in range(self.distinct_layers))
        return {"layers": tuple(names)}

    def embed(self, inputs: Mapping[str, Any]) -> Any:
        """Project the embeddings to the hidden size."""
        import keras

        project = keras.layers.Dense(
            self.hidden_size,
            kernel_initializer=self.initializer(),
            name="embedding_projection",
        )
        return project(super().embed(inputs))

    def encode(self, sequence: Any, padding_mask: Any, first_token_only: bool) -> Any:
        """Apply the layers of each group ``layers / groups`` times."""
        bias = self.attention_bias(padding_mask)
        shared = [self.transformer_layer(index) for index in range(self.distinct_layers)]
        repeats = self.layers // self.groups
        order = [
            shared[group * self.inner_layers + inner]
            for group in range(self.groups)
            for _ in range(repeats)
            for inner in range(self.inner_layers)
        ]
        for layer in order[:-1]:
            sequence = layer(sequence, bias)
        return order[-1](sequence, bias, first_token_only=first_token_only)

    def stem_of_layer(self, index: int) -> str:
        """Return the stem of the tensors of a transformer layer."""
        group, inner = divmod(index, self.inner_layers)
        return self.layer_stem.format(group=group, inner=inner)
