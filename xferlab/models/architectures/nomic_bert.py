"""NomicBERT (Nussbaum et al. 2024): BERT with rotary positions, gated parts and no biases.

Its checkpoints have the keys of transformers' class, those of their authors' own code, or both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from xferlab.models.architectures.base import Architecture
from xferlab.models.architectures.bert_names import BERT_EMBEDDINGS, BERT_KEYS
from xferlab.models.architectures.registry import register
from xferlab.models.architectures.rotary import RotaryArchitecture
from xferlab.models.config_reader import ConfigReader

OWN_KEYS = {
    "n_embd": "hidden_size",
    "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "n_inner": "intermediate_size",
    "layer_norm_epsilon": "layer_norm_eps",
}
"""The keys of the authors' code, and transformers' own."""
OWN_DEFAULTS = {
    "n_positions": "max_position_embeddings",
    "rotary_emb_base": "rope_theta",
    "resid_pdrop": "hidden_dropout_prob",
    "attn_pdrop": "attention_probs_dropout_prob",
}
"""Likewise; of these transformers' key is read where a checkpoint has both."""
OWN_VARIANTS: dict[str, Any] = {
    "activation_function": "swiglu",
    "rotary_emb_fraction": 1.0,
    "qkv_proj_bias": False,
    "mlp_fc1_bias": False,
    "mlp_fc2_bias": False,
}
"""What a checkpoint with the authors' keys alone has to state: their defaults are others."""


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
    replaces_own_code = True
    required_values = {
        "attention_bias": (None, False),
        "mlp_bias": (None, False),
        "num_key_value_heads": (None,),
        **{key: (None, value) for key, value in OWN_VARIANTS.items()},
        "causal": (None, False),
        "moe_every_n_layers": (None, 0),
        "norm_mlp": (None, False),
        "num_experts": (None, 0),
        "num_heads_kv": (None,),
        "parallel_block": (None, False),
        "prenorm": (None, False),
        "rotary_emb_interleaved": (None, False),
        "rotary_emb_scale_base": (None,),
        "rotary_head_dim": (None, False),
        "rotary_scaling_factor": (None,),
        "use_rms_norm": (None, False),
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

    @classmethod
    def read(cls, config: ConfigReader) -> Self:
        """Return the encoder that a ``config.json`` describes."""
        return super().read(ConfigReader(_with_transformers_keys(config), config.where))

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


def _with_transformers_keys(config: ConfigReader) -> dict[str, Any]:
    """Return a ``config.json`` with the keys of transformers' class.

    Raises:
        ConfigError: keys of both kinds contradict each other, or the authors' own leave out what
            decides the mathematics.
    """
    table = dict(config.table)
    is_own = "hidden_size" not in table and "n_embd" in table
    for own, key in OWN_KEYS.items():
        if own in table and table.setdefault(key, table[own]) != table[own]:
            raise config.error(f"its {own} contradicts its {key}")
    for own, key in OWN_DEFAULTS.items():
        if own in table:
            table.setdefault(key, table[own])
    angles = table.get("rope_parameters")
    base = table.get("rotary_emb_base")
    if base is not None and isinstance(angles, dict) and angles.get("rope_theta", base) != base:
        raise config.error("its rotary_emb_base contradicts its rope_parameters")
    if is_own:
        for key, value in OWN_VARIANTS.items():
            config.require(key, (value,))
        multiple = config.optional_size("pad_vocab_size_multiple", 1)
        table["vocab_size"] = -(-config.size("vocab_size") // multiple) * multiple
    return table
