"""NeoBERT (Le Breton et al. 2025): RMS norms before each part, SwiGLU, rotary positions.

transformers has no class for it; its graph is that of ``model.py`` in ``chandar-lab/NeoBERT``,
which is never run here. That code turns numbers 2i and 2i + 1 of a head as one pair, and stores
queries, keys and values of each head together. Here the numbers of a head are in another order,
the same for queries and keys, so that their products are the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from xferlab.models.architectures.base import Architecture
from xferlab.models.architectures.registry import register
from xferlab.models.architectures.rotary import RotaryArchitecture
from xferlab.models.config_reader import ConfigReader
from xferlab.models.rotary_positions import Rotary

REPOSITORY = "chandar-lab/NeoBERT"
"""Where its authors keep the class that an export is for."""
QKV = ("query", "key", "value")


@register
@dataclass(frozen=True, kw_only=True)
class NeoBert(RotaryArchitecture):
    """An encoder of ``model_type`` neobert.

    Attributes:
        embedding_range: the fresh embeddings are from minus this to this.
        head_range: standard deviation of the fresh weights of the head.
    """

    activation: str = "silu"
    attention_dropout: float = 0.0
    embedding_range: float
    head_range: float

    model_type = "neobert"
    class_prefix = "NeoBERT"
    replaces_own_code = True
    own_code: ClassVar[Mapping[str, str]] = {
        "AutoConfig": f"{REPOSITORY}--model.NeoBERTConfig",
        "AutoModel": f"{REPOSITORY}--model.NeoBERT",
        "AutoModelForSequenceClassification": (
            f"{REPOSITORY}--model.NeoBERTForSequenceClassification"
        ),
    }
    config_keys = {
        "vocabulary_size": "vocab_size",
        "hidden_size": "hidden_size",
        "layers": "num_hidden_layers",
        "heads": "num_attention_heads",
        "intermediate_size": "intermediate_size",
        "positions": "max_length",
        "epsilon": "norm_eps",
        "initializer_range": "decoder_init_range",
        "embedding_range": "embedding_init_range",
        "head_range": "classifier_init_range",
    }
    config_defaults = {
        "max_length": 1024,
        "norm_eps": 1e-6,
        "decoder_init_range": 0.02,
        "embedding_init_range": 0.02,
        "classifier_init_range": 0.02,
    }
    required_values = {
        "attention_bias": (None, False),
        "dropout": (None, 0.0),
        "head_dim": (None,),
        "hidden_act": (None, "swiglu", "SwiGLU"),
        "mlp_bias": (None, False),
        "ngpt": (None, False),
        "num_key_value_heads": (None,),
        "rms_norm": (None, True),
        "rope": (None, True),
        "rope_parameters": (None,),
        "rope_scaling": (None,),
        "rope_theta": (None, 10000.0),
    }
    embedding_tensors = {"token_embedding": "encoder", "final_norm": "layer_norm"}
    layer_stem = "transformer_encoder.{index}"
    layer_tensors = {
        "self_attention_layer_norm": "attention_norm",
        "self_attention_layer/query": "qkv",
        "self_attention_layer/key": "qkv",
        "self_attention_layer/value": "qkv",
        "self_attention_layer/attention_output": "wo",
        "feedforward_layer_norm": "ffn_norm",
        "feedforward_intermediate_dense": "ffn.w12",
        "feedforward_gate_dense": "ffn.w12",
        "feedforward_output_dense": "ffn.w3",
    }
    fused = {
        "feedforward_intermediate_dense": (0, 2),
        "feedforward_gate_dense": (1, 2),
    }
    first_token_dense = ("head_dense", "tanh")
    drops_first_token = True
    head_classes = ("SequenceClassification",)

    @classmethod
    def from_values(cls, values: dict[str, Any], config: ConfigReader) -> Self:
        """Read the sizes; the positions are the same in all checkpoints."""
        return super().from_values(values | {"rotary": Rotary(cls.default_theta)}, config)

    def to_config(self, pad_id: int) -> dict[str, Any]:
        """Return the ``config.json``; it names the authors' code, which transformers needs."""
        return Architecture.to_config(self, pad_id) | {"auto_map": dict(self.own_code)}

    @property
    def inner_size(self) -> int:
        """Width inside the feed-forward part: two thirds of the key's, a multiple of 8."""
        return 8 * math.ceil(int(2 * self.intermediate_size / 3) / 8)

    def tensor_rows(self, part: str, rows: int) -> tuple[Any, int]:
        """Return which rows of its tensor a part is, and how many the tensor has."""
        import numpy as np

        name = part.rpartition("/")[2]
        if name not in QKV:
            return super().tensor_rows(part, rows)
        size = self.head_size
        order = np.arange(size)
        if name != "value":
            order = np.concatenate([order[0::2], order[1::2]])
        starts = size * (len(QKV) * np.arange(self.heads) + QKV.index(name))
        return (starts[:, None] + order).ravel(), len(QKV) * rows

    def embedding(self, rows: int, name: str) -> Any:
        """Return a table of ``rows`` vectors."""
        table = super().embedding(rows, name)
        table.embeddings_initializer = self._uniform(self.embedding_range)
        return table

    def initializer(self, deviation: float | None = None) -> Any:
        """Return a new initializer: uniform, or normal of a standard deviation."""
        if deviation is None:
            return self._uniform(self.initializer_range)
        return super().initializer(deviation)

    def _uniform(self, bound: float) -> Any:
        from keras.initializers import RandomUniform

        return RandomUniform(-bound, bound) if self.is_random else super().initializer()

    def dense(self, name: str, activation: str, use_bias: bool = True) -> Any:
        """Return a new dense layer of the head."""
        layer = super().dense(name, activation, use_bias)
        layer.kernel_initializer = self.initializer(self.head_range)
        return layer

    def output_layer(self, outputs: int, is_per_word: bool) -> Any:
        """Return the layer of logits."""
        layer = super().output_layer(outputs, is_per_word)
        layer.kernel_initializer = self.initializer(self.head_range)
        return layer

    def head_layers(self, is_per_word: bool) -> Mapping[str, str]:
        """Return the stems of the head's tensors by Keras layer."""
        dense = {} if is_per_word else {"head_dense": "dense"}
        return {**dense, "head": "classifier"}
