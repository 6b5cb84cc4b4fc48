"""The graph that encoders and decoders with rotary positions share; it is no family itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from xferlab.models.architectures.base import Architecture
from xferlab.models.config_reader import ConfigReader
from xferlab.models.rotary_positions import Rotary, read_rotary

FULL = "full_attention"
WINDOW = "sliding_attention"
LLAMA_KEYS = {
    "vocabulary_size": "vocab_size",
    "hidden_size": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "intermediate_size": "intermediate_size",
    "positions": "max_position_embeddings",
    "activation": "hidden_act",
    "epsilon": "rms_norm_eps",
    "attention_dropout": "attention_dropout",
    "initializer_range": "initializer_range",
}


@dataclass(frozen=True)
class LayerKind:
    """What layers of one kind attend to.

    Attributes:
        rotary: the angles of the positions.
        before: how many tokens before a query it attends to; None for all.
        after: how many after it.
    """

    rotary: Rotary
    before: int | None = None
    after: int | None = None


@dataclass(frozen=True, kw_only=True)
class RotaryArchitecture(Architecture):
    """A transformer with rotary positions and gated feed-forward parts, by default Llama's.

    Attributes:
        kv_heads: heads of keys and values.
        head_size: width of a head.
        rotary: the angles of the positions.
        has_attention_bias: whether the attention's dense layers have biases.
        has_feedforward_bias: whether those of the feed-forward part have.
        classifier_pooling: which tokens the head of transformers' class reads, by its name.

        poolings: the names here by those of transformers, the default first; empty where its class
            has no choice.
        default_theta: base of the angles where ``config.json`` leaves it out.
    """

    hidden_dropout: float = 0.0
    kv_heads: int
    head_size: int
    rotary: Rotary
    has_attention_bias: bool = False
    has_feedforward_bias: bool = False
    classifier_pooling: str = ""

    poolings: ClassVar[Mapping[str, str]] = {}
    default_theta: ClassVar[float] = 10000.0
    position_types = ("absolute", "sans_pos")
    weight_prefix = "model."
    config_keys = LLAMA_KEYS
    config_defaults = {
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
    }
    embedding_tensors = {"token_embedding": "embed_tokens", "final_norm": "norm"}
    layers_above: ClassVar[tuple[str, ...]] = ("final_norm",)
    layer_stem = "layers.{index}"
    layer_tensors = {
        "self_attention_layer_norm": "input_layernorm",
        "self_attention_layer/query": "self_attn.q_proj",
        "self_attention_layer/key": "self_attn.k_proj",
        "self_attention_layer/value": "self_attn.v_proj",
        "self_attention_layer/query_norm": "self_attn.q_norm",
        "self_attention_layer/key_norm": "self_attn.k_norm",
        "self_attention_layer/attention_output": "self_attn.o_proj",
        "feedforward_layer_norm": "post_attention_layernorm",
        "feedforward_intermediate_dense": "mlp.gate_proj",
        "feedforward_gate_dense": "mlp.up_proj",
        "feedforward_output_dense": "mlp.down_proj",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.heads % self.kv_heads:
            raise ValueError(f"{self.kv_heads} heads of keys do not divide {self.heads}")
        if self.head_size % 2:
            raise ValueError(f"a head's width of {self.head_size} is odd")

    @classmethod
    def from_values(cls, values: dict[str, Any], config: ConfigReader) -> Self:
        """Read the heads and the positions."""
        size = values["hidden_size"] // values["heads"]
        more: dict[str, Any] = {
            "kv_heads": config.optional_size("num_key_value_heads", values["heads"]),
            "head_size": config.optional_size("head_dim", size),
            "has_attention_bias": config.flag("attention_bias"),
            "has_feedforward_bias": config.flag("mlp_bias"),
        }
        if "rotary" not in values:
            more["rotary"] = read_rotary(config, cls.default_theta)
        if cls.poolings:
            pooling = config.get("classifier_pooling", next(iter(cls.poolings)))
            if pooling not in list(cls.poolings):
                raise config.error(f"its classifier_pooling is {pooling!r}")
            more["classifier_pooling"] = pooling
        return super().from_values(more | values, config)

    def to_config(self, pad_id: int) -> dict[str, Any]:
        """Return the ``config.json``."""
        pooling = {"classifier_pooling": self.classifier_pooling} if self.poolings else {}
        return super().to_config(pad_id) | {
            **pooling,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_size,
            "attention_bias": self.has_attention_bias,
            "mlp_bias": self.has_feedforward_bias,
            "rope_parameters": self.rotary.table(),
            **self.rotary.older_keys(),
        }

    @property
    def max_parameters(self) -> int:
        """An estimate of the parameters, without building anything."""
        heads = self.head_size * (self.heads + self.kv_heads)
        layer = self.hidden_size * (2 * heads + 3 * self.inner_size)
        return self.vocabulary_size * self.hidden_size + self.layers * layer

    @property
    def inner_size(self) -> int:
        """Width inside the feed-forward part."""
        return self.intermediate_size

    def embed(self, inputs: Mapping[str, Any]) -> Any:
        """Return the tokens' embeddings."""
        return self.embedding(self.vocabulary_size, "token_embedding")(inputs["token_ids"])

    def layer_kinds(self) -> list[LayerKind]:
        """Return the kind of each layer."""
        return [LayerKind(self.rotary, after=0 if self.is_causal else None)] * self.layers

    def layer_inputs(self, padding_mask: Any) -> list[tuple[Any, ...]]:
        """Return bias and angles of each layer; those of one kind are computed once."""
        from xferlab.models.layers import AttentionBias, RotaryTable

        kinds = self.layer_kinds()
        inputs: dict[LayerKind, tuple[Any, ...]] = {}
        for index, kind in enumerate(dict.fromkeys(kinds)):
            bias = AttentionBias(kind.before, kind.after, name=f"attention_bias_{index}")
            angles = kind.rotary.frequencies(self.head_size)
            table = RotaryTable(angles, name=f"rotary_table_{index}")
            inputs[kind] = (bias(padding_mask), table(padding_mask))
        return [inputs[kind] for kind in kinds]

    def transformer_layer(self, index: int) -> Any:
        """Return one transformer layer."""
        from xferlab.models.layers import GatedLayer, GatedOptions

        return GatedLayer(
            GatedOptions(**self.layer_options(index)),
            self.initializer(),
            self.output_initializer(),
            name=f"transformer_layer_{index}",
        )

    def layer_options(self, index: int) -> dict[str, Any]:
        """Return the fields of a layer's :class:`~xferlab.models.layers.GatedOptions`."""
        return {
            "heads": self.heads,
            "kv_heads": self.kv_heads,
            "head_size": self.head_size,
            "intermediate_size": self.inner_size,
            "activation": self.activation,
            "epsilon": self.epsilon,
            "attention_bias": self.has_attention_bias,
            "feedforward_bias": self.has_feedforward_bias,
            "attention_dropout": self.attention_dropout,
            "output_dropout": self.hidden_dropout,
            "hidden_dropout": self.hidden_dropout,
        }

    def output_initializer(self) -> Any:
        """Return a new initializer of the kernels whose product is added to the sequence."""
        return self.initializer()

    def encode(self, sequence: Any, padding_mask: Any, first_token_only: bool) -> Any:
        """Return the normalised sequence after the last layer."""
        return self.normalization("final_norm")(
            super().encode(sequence, padding_mask, first_token_only)
        )

    def normalization(self, name: str) -> Any:
        """Return a normalisation outside the layers."""
        from xferlab.models.layers import RMSNormalization

        return RMSNormalization(self.epsilon, name=name)

    @property
    def class_pooling(self) -> str:
        """Which tokens transformers' class for classification reads."""
        return self.poolings.get(self.classifier_pooling, super().class_pooling)

    def with_pooling(self, pooling: str) -> Self | None:
        """Return the encoder whose class of transformers has a pooling; None where none has it."""
        for name, ours in self.poolings.items():
            if ours == pooling:
                return replace(self, classifier_pooling=name)
        return super().with_pooling(pooling)


@dataclass(frozen=True, kw_only=True)
class WindowArchitecture(RotaryArchitecture):
    """One that has layers which attend to a window alone, with angles of their own.

    Attributes:
        window_rotary: the angles of the positions in layers with a window.
        window: width of the window, as ``config.json`` has it.
        layer_types: :data:`FULL` or :data:`WINDOW` for each layer.
    """

    window_rotary: Rotary
    window: int
    layer_types: tuple[str, ...]

    def to_config(self, pad_id: int) -> dict[str, Any]:
        """Return the ``config.json``."""
        rotary = {FULL: self.rotary.table(), WINDOW: self.window_rotary.table()}
        more = {"layer_types": list(self.layer_types), "rope_parameters": rotary}
        return super().to_config(pad_id) | more

    def layer_kinds(self) -> list[LayerKind]:
        """Return the kind of each layer."""
        window = self.window_kind()
        full = LayerKind(self.rotary, after=0 if self.is_causal else None)
        return [window if each == WINDOW else full for each in self.layer_types]

    def window_kind(self) -> LayerKind:
        """Return the kind of the layers with a window."""
        half = self.window // 2
        return LayerKind(self.window_rotary, half, half)


class Decoder(RotaryArchitecture):
    """A decoder read as an encoder: a token attends to those before it, and the last is pooled."""

    is_causal = True

    @property
    def class_pooling(self) -> str:
        """The last token has read all others."""
        return "last"

    def head(
        self, outputs: Mapping[str, Any], padding_mask: Any, is_per_word: bool, dropout: float
    ) -> tuple[Any, tuple[str, ...]]:
        """Return the last token's vector, or that of each."""
        from xferlab.models.pooling import pooled

        sequence = outputs["sequence_output"]
        return (sequence if is_per_word else pooled(sequence, padding_mask, "last")), ()

    def output_layer(self, outputs: int, is_per_word: bool) -> Any:
        """Return the layer of logits, which has a bias for tokens alone."""
        import keras

        return keras.layers.Dense(
            outputs,
            use_bias=is_per_word,
            kernel_initializer=self.initializer(),
            dtype="float32",
            name="head",
        )

    def head_layers(self, is_per_word: bool) -> Mapping[str, str]:
        """Return the stem of the head's tensors."""
        return {"head": "score"}
