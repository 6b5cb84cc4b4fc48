"""NomicBERT (Nussbaum et al. 2024): BERT with rotary positions, gated parts and no biases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xferlab.models.architectures.base import Architecture
from xferlab.models.architectures.bert_names import BERT_EMBEDDINGS, BERT_KEYS
from xferlab.models.architectures.registry import register
from xferlab.models.architectures.rotary import RotaryArchitecture


@register
@dataclass(frozen=True, kw_only=True)
class NomicBert(RotaryArchitecture):
    """An encoder of ``model_type`` nomic_bert."""

    has_pooler: bool = True
    adds_positions: bool = False

    model_type = "nomic_bert"
    class_prefix = "NomicBert"
    weight_prefix = "nomic_bert."
    default_theta = 1000.0
    config_keys = {**BERT_KEYS, "segments": "type_vocab_size"}
    config_defaults = {
        **Architecture.config_defaults,
        "hidden_act": "silu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    required_values = {
        "attention_bias": (None, False),
        "mlp_bias": (None, False),
        "num_key_value_heads": (None,),
    }
    embedding_tensors = {**BERT_EMBEDDINGS, "embeddings_layer_norm": "emb_ln"}
    layers_above = ()
    layer_stem = "encoder.layers.{index}"
    layer_tensors = {
        "self_attention_layer/query": "attn.Wqkv",
        "self_attention_layer/key": "attn.Wqkv",
        "self_attention_layer/value": "attn.Wqkv",
        "self_attention_layer/attention_output": "attn.out_proj",
        "self_attention_layer_norm": "norm1",
        "feedforward_intermediate_dense": "mlp.fc12",
        "feedforward_gate_dense": "mlp.fc11",
        "feedforward_output_dense": "mlp.fc2",
        "feedforward_layer_norm": "norm2",
    }
    fused = {
        "self_attention_layer/query": (0, 3),
        "self_attention_layer/key": (1, 3),
        "self_attention_layer/value": (2, 3),
    }
    pooler_tensor = "pooler.dense"

    def to_config(self, pad_id: int) -> dict[str, Any]:
        """Return the ``config.json``."""
        ours = ("attention_bias", "mlp_bias", "num_key_value_heads")
        return {key: x for key, x in super().to_config(pad_id).items() if key not in ours}

    def embed(self, inputs: Mapping[str, Any]) -> Any:
        """Return the normalised sum of tokens and segments."""
        return Architecture.embed(self, inputs)

    def layer_options(self, index: int) -> dict[str, Any]:
        """Return the fields of a layer's options."""
        more = {"normalization": "layer", "normalizes_after": True}
        return super().layer_options(index) | more

    def encode(self, sequence: Any, padding_mask: Any, first_token_only: bool) -> Any:
        """Return the sequence after the last layer."""
        return Architecture.encode(self, sequence, padding_mask, first_token_only)
