"""Qwen3 (Yang et al. 2025): Llama's graph with normalised queries and keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xferlab.models.architectures.registry import register
from xferlab.models.architectures.rotary import Decoder
from xferlab.models.config_reader import ConfigReader


@register
@dataclass(frozen=True, kw_only=True)
class Qwen3(Decoder):
    """A decoder of ``model_type`` qwen3."""

    model_type = "qwen3"
    class_prefix = "Qwen3"
    required_values = {"use_sliding_window": (None, False), "mlp_bias": (None, False)}

    @classmethod
    def refuse_variants(cls, config: ConfigReader) -> None:
        """Raise ConfigError for layers that attend to a window alone."""
        super().refuse_variants(config)
        config.choices("layer_types", ["full_attention"], config.size("num_hidden_layers"))

    def layer_options(self, index: int) -> dict[str, Any]:
        """Return the fields of a layer's options."""
        return super().layer_options(index) | {"normalizes_heads": True}
