"""Qwen3 (Yang et al. 2025): Llama's graph with normalised queries and keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xferlab.models.architectures.llama import Llama
from xferlab.models.architectures.registry import register


@register
@dataclass(frozen=True, kw_only=True)
class Qwen3(Llama):
    """A decoder of ``model_type`` qwen3."""

    model_type = "qwen3"
    class_prefix = "Qwen3"
    required_values = {"use_sliding_window": (None, False), "mlp_bias": (None, False)}

    def layer_options(self, index: int) -> dict[str, Any]:
        """Return the fields of a layer's options."""
        return super().layer_options(index) | {"normalizes_heads": True}
