"""ModernBERT (Warner et al. 2024), Ettin and mmBERT: rotary positions, windows in most layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from xferlab.models.architectures.base import Architecture
from xferlab.models.architectures.registry import register
from xferlab.models.architectures.rotary import (
    FULL,
    LLAMA_KEYS,
    WINDOW,
    RotaryArchitecture,
    WindowArchitecture,
)
from xferlab.models.config_reader import ConfigReader
from xferlab.models.rotary_positions import read_rotary


def regular_layers(layers: int, every: int) -> tuple[str, ...]:
    """Return the kinds of layers of which each ``every``-th attends to all tokens."""
    return tuple(WINDOW if index % every else FULL for index in range(layers))


@register
@dataclass(frozen=True, kw_only=True)
class ModernBert(WindowArchitecture):
    """An encoder of ``model_type`` modernbert.

    Attributes:
        inner_dropout: rate inside the feed-forward part.
        norm_bias: whether the normalisations have biases.
        classifier_activation: of the head's dense layer.
        classifier_bias: whether this has a bias.
    """

    inner_dropout: float
    norm_bias: bool = False
    classifier_activation: str
    classifier_bias: bool = False

    model_type = "modernbert"
    class_prefix = "ModernBert"
    poolings = {"cls": "first", "mean": "mean"}
    config_keys = {
        **LLAMA_KEYS,
        "activation": "hidden_activation",
        "epsilon": "norm_eps",
        "hidden_dropout": "embedding_dropout",
        "window": "local_attention",
        "inner_dropout": "mlp_dropout",
        "classifier_activation": "classifier_activation",
    }
    config_defaults = {
        **RotaryArchitecture.config_defaults,
        "hidden_activation": "gelu",
        "norm_eps": 1e-5,
        "embedding_dropout": 0.0,
        "local_attention": 128,
        "mlp_dropout": 0.0,
        "classifier_activation": "gelu",
    }
    required_values = {"num_key_value_heads": (None,), "head_dim": (None,)}
    embedding_tensors = {
        "token_embedding": "embeddings.tok_embeddings",
        "embeddings_layer_norm": "embeddings.norm",
        "final_norm": "final_norm",
    }
    layer_tensors = {
        "self_attention_layer_norm": "attn_norm",
        "self_attention_layer/query": "attn.Wqkv",
        "self_attention_layer/key": "attn.Wqkv",
        "self_attention_layer/value": "attn.Wqkv",
        "self_attention_layer/attention_output": "attn.Wo",
        "feedforward_layer_norm": "mlp_norm",
        "feedforward_intermediate_dense": "mlp.Wi",
        "feedforward_gate_dense": "mlp.Wi",
        "feedforward_output_dense": "mlp.Wo",
    }
    fused = {
        "self_attention_layer/query": (0, 3),
        "self_attention_layer/key": (1, 3),
        "self_attention_layer/value": (2, 3),
        "feedforward_intermediate_dense": (0, 2),
        "feedforward_gate_dense": (1, 2),
    }
    pretrained_head = ("head_dense", "head_norm")

    @classmethod
    def from_values(cls, values: dict[str, Any], config: ConfigReader) -> Self:
        """Read the kinds of layers, their positions and the head."""
        config.require("sliding_window", (None, values["window"] // 2))
        layers = values["layers"]
        every = config.optional_size("global_attn_every_n_layers", 3)
        more = {
            "rotary": read_rotary(config, 160_000.0, key="global_rope_theta", kind=FULL),
            "window_rotary": read_rotary(config, 10_000.0, key="local_rope_theta", kind=WINDOW),
            "layer_types": config.choices("layer_types", [WINDOW, FULL], layers)
            or regular_layers(layers, every),
            "norm_bias": config.flag("norm_bias"),
            "classifier_bias": config.flag("classifier_bias"),
        }
        return super().from_values(values | more, config)

    def to_config(self, pad_id: int) -> dict[str, Any]:
        """Return the ``config.json``."""
        table = super().to_config(pad_id)
        for key in (*self.required_values, "rope_theta"):
            del table[key]
        table.pop("rope_scaling", None)
        return table | {
            "norm_bias": self.norm_bias,
            "classifier_bias": self.classifier_bias,
            **self._older_keys(),
        }

    def _older_keys(self) -> dict[str, Any]:
        """Return what transformers 4 reads instead of ``rope_parameters`` and ``layer_types``.

        It has no key for layers whose kinds follow no rule; with a null it refuses to build them.
        """
        full = [index for index, kind in enumerate(self.layer_types) if kind == FULL]
        every = full[1] if len(full) > 1 else self.layers
        is_regular = self.layer_types == regular_layers(self.layers, every)
        return {
            "global_rope_theta": self.rotary.rope_theta,
            "local_rope_theta": self.window_rotary.rope_theta,
            "global_attn_every_n_layers": every if is_regular else None,
        }

    def embed(self, inputs: Mapping[str, Any]) -> Any:
        """Return the normalised embeddings of the tokens."""
        from xferlab.models.layers import Dropout

        normal = self.normalization("embeddings_layer_norm")(super().embed(inputs))
        return Dropout(self.hidden_dropout, name="embeddings_dropout")(normal)

    def layer_options(self, index: int) -> dict[str, Any]:
        """Return the fields of a layer's options."""
        return super().layer_options(index) | {
            "normalization": "layer" if self.norm_bias else "layer_without_bias",
            "normalizes_input": index > 0,
            "output_dropout": self.attention_dropout,
            "inner_dropout": self.inner_dropout,
            "hidden_dropout": 0.0,
        }

    def normalization(self, name: str) -> Any:
        """Return a normalisation outside the layers."""
        from xferlab.models.layers import LayerNormalization

        return LayerNormalization(epsilon=self.epsilon, center=self.norm_bias, name=name)

    def output_initializer(self) -> Any:
        """Return an initializer of smaller weights the more layers there are."""
        return self.initializer(self.initializer_range / math.sqrt(2 * self.layers))

    def head(
        self, outputs: Mapping[str, Any], padding_mask: Any, is_per_word: bool, dropout: float
    ) -> tuple[Any, tuple[str, ...]]:
        """Return a dense layer and a normalisation of the pooled vector, or of each token's."""
        from xferlab.models.pooling import pooled

        vectors = outputs["sequence_output"]
        if not is_per_word:
            vectors = pooled(vectors, padding_mask, self.class_pooling)
        dense = self.dense("head_dense", self.classifier_activation, self.classifier_bias)
        dense.kernel_initializer = self.output_initializer()
        return self.normalization("head_norm")(dense(vectors)), ("head_dense", "head_norm")

    def output_layer(self, outputs: int, is_per_word: bool) -> Any:
        """Return the layer of logits."""
        layer = Architecture.output_layer(self, outputs, is_per_word)
        layer.kernel_initializer = self.initializer(self.hidden_size**-0.5)
        return layer

    def head_layers(self, is_per_word: bool) -> Mapping[str, str]:
        """Return the stems of the head's tensors by Keras layer."""
        return {"head_dense": "head.dense", "head_norm": "head.norm", "head": "classifier"}
