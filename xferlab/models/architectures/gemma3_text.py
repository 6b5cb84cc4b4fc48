"""Gemma 3 (Gemma Team 2025), its text models: layers with a window, and normalised outputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from xferlab.models.architectures.registry import register
from xferlab.models.architectures.rotary import (
    FULL,
    LLAMA_KEYS,
    WINDOW,
    Decoder,
    LayerKind,
    WindowArchitecture,
)
from xferlab.models.config_reader import ConfigReader
from xferlab.models.rotary_positions import Rotary, read_rotary


@register
@dataclass(frozen=True, kw_only=True)
class Gemma3Text(Decoder, WindowArchitecture):
    """A decoder of ``model_type`` gemma3_text.

    Attributes:
        score_scalar: the scores are divided by its root.
    """

    score_scalar: int

    model_type = "gemma3_text"
    class_prefix = "Gemma3Text"
    config_keys = {
        **LLAMA_KEYS,
        "activation": "hidden_activation",
        "window": "sliding_window",
        "score_scalar": "query_pre_attn_scalar",
    }
    config_defaults = {
        **Decoder.config_defaults,
        "hidden_activation": "gelu_pytorch_tanh",
        "sliding_window": 4096,
        "query_pre_attn_scalar": 256,
    }
    required_values = {
        "attn_logit_softcapping": (None,),
        "use_bidirectional_attention": (None, False),
        "mlp_bias": (None, False),
    }
    head_classes = ("SequenceClassification",)
    layer_tensors = {
        **Decoder.layer_tensors,
        "self_attention_output_norm": "post_attention_layernorm",
        "feedforward_layer_norm": "pre_feedforward_layernorm",
        "feedforward_output_norm": "post_feedforward_layernorm",
    }

    @classmethod
    def from_values(cls, values: dict[str, Any], config: ConfigReader) -> Self:
        """Read the kinds of layers and their positions."""
        layers = values["layers"]
        every = config.optional_size("sliding_window_pattern", 6)
        usual = tuple(WINDOW if (i + 1) % every else FULL for i in range(layers))
        more = {
            "head_size": config.optional_size("head_dim", 256),
            "kv_heads": config.optional_size("num_key_value_heads", 4),
            "rotary": read_rotary(config, 1_000_000.0, kind=FULL),
            "window_rotary": _window_rotary(config),
            "layer_types": config.choices("layer_types", [WINDOW, FULL], layers) or usual,
        }
        return super().from_values(values | more, config)

    def to_config(self, pad_id: int) -> dict[str, Any]:
        """Return the ``config.json``."""
        older = {"rope_local_base_freq": self.window_rotary.rope_theta}
        return super().to_config(pad_id) | older

    def embed(self, inputs: Mapping[str, Any]) -> Any:
        """Scale the embeddings by the root of their width."""
        import keras

        scale = keras.layers.Rescaling(math.sqrt(self.hidden_size), name="embeddings_scale")
        return scale(super().embed(inputs))

    def window_kind(self) -> LayerKind:
        """Return the kind of the layers with a window, which counts the query."""
        return LayerKind(self.window_rotary, before=self.window - 1, after=0)

    def layer_options(self, index: int) -> dict[str, Any]:
        """Return the fields of a layer's options."""
        return super().layer_options(index) | {
            "scale": self.score_scalar**-0.5,
            "normalization_offset": 1.0,
            "normalizes_heads": True,
            "normalizes_outputs": True,
        }

    def normalization(self, name: str) -> Any:
        """Return a normalisation outside the layers."""
        from xferlab.models.layers import RMSNormalization

        return RMSNormalization(self.epsilon, 1.0, name=name)


def _window_rotary(config: ConfigReader) -> Rotary:
    """Return the angles in layers with a window; ``rope_scaling`` is not for them."""
    table = {key: value for key, value in config.table.items() if key != "rope_scaling"}
    reader = ConfigReader(table, config.where)
    return read_rotary(reader, 10_000.0, key="rope_local_base_freq", kind=WINDOW)
