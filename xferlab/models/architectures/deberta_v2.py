"""DeBERTa-v2, -v3 and mDeBERTa (He et al. 2021, 2023): attention by content and distance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from xferlab.models.architectures.base import Architecture
from xferlab.models.architectures.bert_names import BERT_EMBEDDINGS, BERT_KEYS
from xferlab.models.architectures.registry import register
from xferlab.models.config_reader import ConfigReader


@register
@dataclass(frozen=True, kw_only=True)
class DebertaV2(Architecture):
    """An encoder of ``model_type`` deberta-v2.

    Attributes:
        farthest: the relative position of the last bucket, or the last that has a row of its own.
        buckets: logarithmic buckets of relative positions; 0 for none.
        terms: ``c2p`` and ``p2c``, the kinds of scores by position.
        shares_kernels: relative positions are projected by the content's kernels.
        has_relative_norm: the table of relative positions is normalised.
        pooler_activation: of the head's dense layer.
        pooler_dropout: rate before it.
    """

    farthest: int
    buckets: int
    terms: tuple[str, ...]
    shares_kernels: bool
    has_relative_norm: bool
    pooler_activation: str
    pooler_dropout: float

    model_type = "deberta-v2"
    class_prefix = "DebertaV2"
    weight_prefix = "deberta."
    config_keys = {
        **BERT_KEYS,
        "segments": "type_vocab_size",
        "pooler_activation": "pooler_hidden_act",
        "pooler_dropout": "pooler_dropout",
    }
    config_defaults = {
        **Architecture.config_defaults,
        "type_vocab_size": 0,
        "layer_norm_eps": 1e-7,
        "pooler_hidden_act": "gelu",
        "pooler_dropout": 0.0,
    }
    required_values = {"relative_attention": (True,), "conv_kernel_size": (None, 0)}
    embedding_tensors = {
        **BERT_EMBEDDINGS,
        "relative_embeddings": "encoder.rel_embeddings",
        "relative_norm": "encoder.LayerNorm",
    }
    layer_tensors = {
        "self_attention_layer/query": "attention.self.query_proj",
        "self_attention_layer/key": "attention.self.key_proj",
        "self_attention_layer/value": "attention.self.value_proj",
        "self_attention_layer/position_key": "attention.self.pos_key_proj",
        "self_attention_layer/position_query": "attention.self.pos_query_proj",
        "self_attention_layer/attention_output": "attention.output.dense",
        "self_attention_layer_norm": "attention.output.LayerNorm",
        "feedforward_intermediate_dense": "intermediate.dense",
        "feedforward_output_dense": "output.dense",
        "feedforward_layer_norm": "output.LayerNorm",
    }
    head_dropout_key = "cls_dropout"

    @classmethod
    def from_values(cls, values: dict[str, Any], config: ConfigReader) -> Self:
        """Read what the attention makes of positions."""
        hidden_size = values["hidden_size"]
        for key in ("embedding_size", "pooler_hidden_size"):
            config.require(key, (None, hidden_size))
        config.require("attention_head_size", (None, hidden_size // values["heads"]))
        farthest = config.size("max_relative_positions", -1, least=-1)
        given = config.get("pos_att_type")
        names = given.split("|") if isinstance(given, str) else given
        names = names if isinstance(names, list) else []
        terms = tuple(sorted(str(name).strip().lower() for name in names))
        if terms not in (("c2p",), ("p2c",), ("c2p", "p2c")):
            raise config.error(f"its pos_att_type is {given!r}")
        norms = config.get("norm_rel_ebd", "none")
        if norms not in ("none", "layer_norm"):
            raise config.error(f"its norm_rel_ebd is {norms!r}, and only layer_norm is computed")
        more = {
            "farthest": farthest if farthest > 0 else values["positions"],
            "buckets": max(config.size("position_buckets", -1, least=-1), 0),
            "terms": terms,
            "shares_kernels": config.flag("share_att_key"),
            "adds_positions": config.flag("position_biased_input", True),
            "has_relative_norm": norms == "layer_norm",
        }
        return super().from_values(values | more, config)

    def to_config(self, pad_id: int) -> dict[str, Any]:
        """Return the ``config.json``."""
        return super().to_config(pad_id) | {
            "relative_attention": True,
            "max_relative_positions": self.farthest,
            "position_buckets": self.buckets or -1,
            "pos_att_type": list(self.terms),
            "share_att_key": self.shares_kernels,
            "position_biased_input": self.adds_positions,
            "norm_rel_ebd": "layer_norm" if self.has_relative_norm else "none",
        }

    @property
    def max_parameters(self) -> int:
        """An estimate of the parameters, without building anything."""
        return super().max_parameters + 2 * (self.buckets or self.farthest) * self.hidden_size

    def layer_inputs(self, padding_mask: Any) -> list[tuple[Any, ...]]:
        """Return the bias and the relative positions, the same for each layer."""
        from xferlab.models.layers import LayerNormalization, RelativeRows, RelativeTable

        span = self.buckets or self.farthest
        table = RelativeTable(
            2 * span, self.hidden_size, self.initializer(), name="relative_embeddings"
        )(padding_mask)
        if self.has_relative_norm:
            table = LayerNormalization(epsilon=self.epsilon, name="relative_norm")(table)
        rows = RelativeRows(
            span, self.buckets, self.farthest, self.positions, name="relative_rows"
        )(padding_mask)
        return [(self.attention_bias(padding_mask), (table, rows))] * self.layers

    def transformer_layer(self, index: int) -> Any:
        """Return one transformer layer."""
        from xferlab.models.layers import DisentangledLayer

        return DisentangledLayer(
            **self.layer_options(index), terms=self.terms, shares_kernels=self.shares_kernels
        )

    def head(
        self, outputs: Mapping[str, Any], padding_mask: Any, is_per_word: bool, dropout: float
    ) -> tuple[Any, tuple[str, ...]]:
        """Return the dense layer of transformers' class on the first token."""
        if is_per_word:
            return outputs["sequence_output"], ()
        import keras

        first = outputs["sequence_output"][:, 0, :]
        if self.pooler_dropout:
            first = keras.layers.Dropout(self.pooler_dropout, name="first_token_dropout")(first)
        return self.dense("head_dense", self.pooler_activation)(first), ("head_dense",)

    def head_layers(self, is_per_word: bool) -> Mapping[str, str]:
        """Return the stems of the head's tensors by Keras layer."""
        if is_per_word:
            return {"head": "classifier"}
        return {"head_dense": "pooler.dense", "head": "classifier"}
