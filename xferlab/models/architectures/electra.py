"""ELECTRA (Clark et al. 2020): BERT with narrow embedding tables, no pooler, a head with GELU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xferlab.models.architectures.base import Architecture
from xferlab.models.architectures.bert_names import BERT_EMBEDDINGS, BERT_KEYS
from xferlab.models.architectures.registry import register


@register
@dataclass(frozen=True, kw_only=True)
class Electra(Architecture):
    """An encoder of ``model_type`` electra: the discriminator, or the generator.

    Attributes:
        embedding_size: width of the embedding tables; they are projected where it is another than
            the hidden size.
    """

    embedding_size: int

    model_type = "electra"
    class_prefix = "Electra"
    weight_prefix = "electra."
    config_keys = {
        **BERT_KEYS,
        "segments": "type_vocab_size",
        "embedding_size": "embedding_size",
    }
    config_defaults = {**Architecture.config_defaults, "embedding_size": 128}
    embedding_tensors = {**BERT_EMBEDDINGS, "embedding_projection": "embeddings_project"}
    first_token_dense = ("head_dense", "gelu")
    drops_first_token = True

    @property
    def embedding_width(self) -> int:
        """Width of the embedding tables."""
        return self.embedding_size

    def embed(self, inputs: Mapping[str, Any]) -> Any:
        """Project the embeddings to the hidden size."""
        embedded = super().embed(inputs)
        if self.embedding_size == self.hidden_size:
            return embedded
        return self.dense("embedding_projection", "linear")(embedded)

    def head_layers(self, is_per_word: bool) -> Mapping[str, str]:
        """Return the stems of the head's tensors by Keras layer."""
        if is_per_word:
            return {"head": "classifier"}
        return {"head_dense": "classifier.dense", "head": "classifier.out_proj"}
