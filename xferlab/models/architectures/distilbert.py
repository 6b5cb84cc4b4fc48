"""DistilBERT (Sanh et al. 2019): no segments, no pooler, keys and tensor names of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xferlab.models.architectures.base import Architecture
from xferlab.models.architectures.registry import register
from xferlab.models.config_reader import ConfigReader

OTHER_NAMES = {
    "hidden_size": "dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
}
"""Keys that transformers takes for those of the family."""


@register
@dataclass(frozen=True, kw_only=True)
class DistilBert(Architecture):
    """An encoder of ``model_type`` distilbert."""

    epsilon: float = 1e-12

    model_type = "distilbert"
    class_prefix = "DistilBert"
    weight_prefix = "distilbert."
    config_keys = {
        "vocabulary_size": "vocab_size",
        "hidden_size": "dim",
        "layers": "n_layers",
        "heads": "n_heads",
        "intermediate_size": "hidden_dim",
        "positions": "max_position_embeddings",
        "activation": "activation",
        "hidden_dropout": "dropout",
        "attention_dropout": "attention_dropout",
        "initializer_range": "initializer_range",
    }
    config_defaults = {
        "activation": "gelu",
        "dropout": 0.1,
        "attention_dropout": 0.1,
        "initializer_range": 0.02,
    }
    layer_stem = "transformer.layer.{index}"
    layer_tensors = {
        "self_attention_layer/query": "attention.q_lin",
        "self_attention_layer/key": "attention.k_lin",
        "self_attention_layer/value": "attention.v_lin",
        "self_attention_layer/attention_output": "attention.out_lin",
        "self_attention_layer_norm": "sa_layer_norm",
        "feedforward_intermediate_dense": "ffn.lin1",
        "feedforward_output_dense": "ffn.lin2",
        "feedforward_layer_norm": "output_layer_norm",
    }
    first_token_dense = ("pre_classifier", "relu")
    head_dropout_key = "seq_classif_dropout"

    @classmethod
    def refuse_variants(cls, config: ConfigReader) -> None:
        """Raise ConfigError where a size has another value under the name of other families."""
        super().refuse_variants(config)
        for other, key in OTHER_NAMES.items():
            config.require(other, (None, config.get(key)))

    def head_layers(self, is_per_word: bool) -> Mapping[str, str]:
        """Return the stems of the head's tensors by Keras layer."""
        dense = {} if is_per_word else {"pre_classifier": "pre_classifier"}
        return {**dense, "head": "classifier"}
