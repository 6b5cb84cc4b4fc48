"""Llama (Touvron et al. 2023) and decoders of its graph, like SmolLM2."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab.models.architectures.registry import register
from xferlab.models.architectures.rotary import FULL, Decoder
from xferlab.models.config_reader import ConfigReader


@register
@dataclass(frozen=True, kw_only=True)
class Llama(Decoder):
    """A decoder of ``model_type`` llama."""

    model_type = "llama"
    class_prefix = "Llama"

    @classmethod
    def refuse_variants(cls, config: ConfigReader) -> None:
        """Raise ConfigError for layers that attend to a window alone."""
        super().refuse_variants(config)
        config.choices("layer_types", [FULL], config.size("num_hidden_layers"))
