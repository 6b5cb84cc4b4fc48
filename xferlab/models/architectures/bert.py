"""BERT (Devlin et al. 2019): the base of all families here, with segments and a pooler."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab.models.architectures.base import Architecture
from xferlab.models.architectures.bert_names import BERT_KEYS
from xferlab.models.architectures.registry import register


@register
@dataclass(frozen=True, kw_only=True)
class Bert(Architecture):
    """An encoder of ``model_type`` bert."""

    has_pooler: bool = True

    model_type = "bert"
    class_prefix = "Bert"
    weight_prefix = "bert."
    config_keys = {**BERT_KEYS, "segments": "type_vocab_size"}
    pooler_tensor = "pooler.dense"
