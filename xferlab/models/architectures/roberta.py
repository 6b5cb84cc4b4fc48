"""RoBERTa (Liu et al. 2019), XLM-RoBERTa (Conneau et al. 2020), CamemBERT (Martin et al. 2020).

Positions start after the id of padding, one segment is added to every token, and the head of
transformers' class has a dense layer of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from xferlab.models.architectures.base import Architecture
from xferlab.models.architectures.registry import register
from xferlab.models.config_reader import ConfigReader


@register
@dataclass(frozen=True, kw_only=True)
class Roberta(Architecture):
    """An encoder of ``model_type`` roberta."""

    model_type = "roberta"
    class_prefix = "Roberta"
    weight_prefix = "roberta."
    has_constant_segment = True
    drops_first_token = True

    @classmethod
    def from_values(cls, values: dict[str, Any], config: ConfigReader) -> Self:
        """Subtract the rows up to the id of padding from the positions."""
        offset = config.size("pad_token_id", 1, least=0) + 1
        positions = values["positions"] - offset
        return super().from_values(
            values | {"positions": positions, "position_offset": offset}, config
        )

    def to_config(self, pad_id: int) -> dict[str, Any]:
        """Return the ``config.json``; positions start after ``pad_token_id``."""
        return super().to_config(self.position_offset - 1) | {
            "max_position_embeddings": self.positions + self.position_offset,
            "type_vocab_size": 1,
        }

    def head_layers(self, is_per_word: bool) -> Mapping[str, str]:
        """Return the stems of the head's tensors by Keras layer."""
        if is_per_word:
            return {"head": "classifier"}
        return {"head_dense": "classifier.dense", "head": "classifier.out_proj"}


@register
@dataclass(frozen=True, kw_only=True)
class XlmRoberta(Roberta):
    """An encoder of ``model_type`` xlm-roberta."""

    model_type = "xlm-roberta"
    class_prefix = "XLMRoberta"


@register
@dataclass(frozen=True, kw_only=True)
class Camembert(Roberta):
    """An encoder of ``model_type`` camembert."""

    model_type = "camembert"
    class_prefix = "Camembert"
