"""What an encoder family is; the defaults are BERT's post-norm encoder with learned positions.

A family is a subclass in a file of its own: fields are the sizes of one encoder, class attributes
are what all encoders of the family have in common, methods are its graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from xferlab.models.architectures.bert_names import BERT_EMBEDDINGS, BERT_KEYS, BERT_LAYER
from xferlab.models.config_reader import WRITTEN_ACTIVATIONS, ConfigReader

MAX_PARAMETERS = 20_000_000_000
MAX_LAYERS = 10_000
"""A ``config.json`` that claims more would only fill the memory."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The sizes and constants of one encoder, and what its family makes of them.

    Attributes:
        vocabulary_size: rows of the token table.
        hidden_size: width of the sequence between the layers.
        layers: how often a layer is applied to the sequence.
        heads: attention heads of a layer.
        intermediate_size: width inside the feed-forward part.
        positions: tokens that a text may have.
        position_offset: first rows of the position table that no text uses.
        adds_positions: whether learned absolute positions are added to the tokens.
        segments: segment ids that the encoder distinguishes; 0 where it takes none.
        has_pooler: whether there is a dense layer with tanh on the first token.
        activation: ``gelu`` (exact), ``gelu_tanh``, ``relu``, ``silu`` or ``tanh``.
        epsilon: added to the variance by the normalisations.
        hidden_dropout: rate after the embeddings, the attention and the feed-forward part.
        attention_dropout: rate on the attention's probabilities.
        initializer_range: standard deviation of fresh weights.
        is_random: False leaves fresh weights unset, for those that are assigned.

        model_type: the value of ``config.json``'s ``model_type``.
        class_prefix: ``Bert`` of transformers' ``BertForSequenceClassification``.
        weight_prefix: prefix of the encoder's tensors in a checkpoint with a head.
        config_keys: the key of ``config.json`` of each field that is stored there.
        config_defaults: by key, what transformers assumes where ``config.json`` leaves it out.
        embedding_tensors: stems of the tensors of the layers outside the transformer layers.
        layer_stem: stem of a transformer layer's tensors; holds ``{index}``.
        layer_tensors: stems of the tensors inside a transformer layer, by path in the Keras layer.
        pooler_tensor: stem of the pooler's tensors; empty where the family has none.
        has_constant_segment: every token has segment 0; its row is added to the positions on
            loading, and written as zeros.
        fused: which equal part of the rows of its tensor a part of a transformer layer is, and of
            how many, by path in the Keras layer; of one where it is not listed.
        layers_above: Keras layers with weights above the last transformer layer, part of its block.
        is_causal: a token attends to those before it alone.
        required_values: the values of keys of ``config.json`` that are computed here; any other
            changes the mathematics and is refused. A missing key counts as None.
        position_types: the values of ``position_embedding_type`` that mean the family's positions.
        replaces_own_code: whether this computes what the code of the checkpoints' own does.
        first_token_dense: Keras name and activation of the dense layer that transformers' class
            for classification applies to the first token, where there is no pooler.
        drops_first_token: whether that class has dropout before this layer too.
        head_dropout_key: key of ``config.json`` for the rate before the head.
        head_classes: endings of transformers' classes with a head that the family has.
        pretrained_head: Keras layers of the head that checkpoints without it may have.
    """

    vocabulary_size: int
    hidden_size: int
    layers: int
    heads: int
    intermediate_size: int
    positions: int
    position_offset: int = 0
    adds_positions: bool = True
    segments: int = 0
    has_pooler: bool = False
    activation: str
    epsilon: float
    hidden_dropout: float
    attention_dropout: float
    initializer_range: float
    is_random: bool = True

    model_type: ClassVar[str]
    class_prefix: ClassVar[str]
    weight_prefix: ClassVar[str]
    config_keys: ClassVar[Mapping[str, str]] = BERT_KEYS
    config_defaults: ClassVar[Mapping[str, Any]] = {
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "initializer_range": 0.02,
        "type_vocab_size": 2,
    }
    embedding_tensors: ClassVar[Mapping[str, str]] = BERT_EMBEDDINGS
    layer_stem: ClassVar[str] = "encoder.layer.{index}"
    layer_tensors: ClassVar[Mapping[str, str]] = BERT_LAYER
    pooler_tensor: ClassVar[str] = ""
    has_constant_segment: ClassVar[bool] = False
    fused: ClassVar[Mapping[str, tuple[int, int]]] = {}
    layers_above: ClassVar[tuple[str, ...]] = ()
    is_causal: ClassVar[bool] = False
    required_values: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    position_types: ClassVar[tuple[str, ...]] = ("absolute",)
    replaces_own_code: ClassVar[bool] = False
    first_token_dense: ClassVar[tuple[str, str]] = ("head_dense", "tanh")
    drops_first_token: ClassVar[bool] = False
    head_dropout_key: ClassVar[str] = "classifier_dropout"
    head_classes: ClassVar[tuple[str, ...]] = ("SequenceClassification", "TokenClassification")
    pretrained_head: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if self.hidden_size % self.heads:
            raise ValueError(f"{self.heads} heads do not divide {self.hidden_size}")
        if self.positions < 1:
            raise ValueError(f"it has {self.positions} positions")
        if self.max_parameters > MAX_PARAMETERS:
            raise ValueError(
                f"it has {self.max_parameters:,} parameters, more than {MAX_PARAMETERS:,}"
            )

    # config.json

    @classmethod
    def read(cls, config: ConfigReader) -> Self:
        """Return the encoder that a ``config.json`` describes.

        Raises:
            ConfigError: it lacks a size, or describes what would be computed wrongly.
        """
        cls.refuse_variants(config)
        types = {field.name: field.type for field in fields(cls)}
        values: dict[str, Any] = {}
        for field, key in cls.config_keys.items():
            default = cls.config_defaults.get(key)
            if types[field] in ("int", int):
                least = 0 if getattr(cls, field, None) == 0 else 1
                values[field] = config.size(key, default, least=least)
            elif types[field] in ("float", float):
                values[field] = config.number(key, default)
            else:
                values[field] = config.activation(key, default)
        if values["layers"] > MAX_LAYERS:
            raise config.error(f"it has {values['layers']:,} layers, more than {MAX_LAYERS:,}")
        return cls.from_values(values, config)

    @classmethod
    def from_values(cls, values: dict[str, Any], config: ConfigReader) -> Self:
        """Return the encoder of the values that were read; a family may add its own."""
        try:
            return cls(**values)
        except ValueError as error:
            raise config.error(str(error)) from error

    @classmethod
    def refuse_variants(cls, config: ConfigReader) -> None:
        """Raise ConfigError for a variant of the family that this project does not compute."""
        config.require("position_embedding_type", (None, *cls.position_types))
        if config.get("is_decoder") or config.get("add_cross_attention"):
            raise config.error("it is a decoder (is_decoder or add_cross_attention)")
        for key, values in cls.required_values.items():
            config.require(key, values)

    def to_config(self, pad_id: int) -> dict[str, Any]:
        """Return the ``config.json`` of this encoder: all that decides what it computes.

        Args:
            pad_id: token id of padding.
        """
        table = {key: getattr(self, field) for field, key in self.config_keys.items()}
        if activation := self.config_keys.get("activation"):
            table[activation] = WRITTEN_ACTIVATIONS.get(self.activation, self.activation)
        return {"model_type": self.model_type, **table, "pad_token_id": pad_id}

    # Sizes and blocks

    @property
    def embedding_width(self) -> int:
        """Width of the embedding tables."""
        return self.hidden_size

    @property
    def distinct_layers(self) -> int:
        """Transformer layers that have weights of their own."""
        return self.layers

    @property
    def max_parameters(self) -> int:
        """An estimate of the parameters, without building anything."""
        rows = self.vocabulary_size + self.positions + self.segments
        layer = self.hidden_size * (4 * self.hidden_size + 2 * self.intermediate_size)
        return rows * self.embedding_width + self.distinct_layers * layer

    def layer_blocks(self) -> dict[str, tuple[str, ...]]:
        """Return the layers of each block of transformer layers, from input to output."""
        blocks = {f"layer_{i}": (f"transformer_layer_{i}",) for i in range(self.layers)}
        last = f"layer_{self.layers - 1}"
        return blocks | {last: (*blocks[last], *self.layers_above)}

    # Graph

    def build(self, first_token_only: bool = False, prepare: Any = None) -> Any:
        """Return a functional ``keras.Model`` with fresh weights.

        Its inputs are ``token_ids``, ``padding_mask`` and, with segments, ``segment_ids``, which a
        function ``prepare`` may change; its outputs ``sequence_output``, of the first token alone
        (batch, 1, hidden_size), and, with a pooler, ``pooled_output``.
        """
        import keras

        names = ["token_ids", "padding_mask"]
        if self.segments:
            names.append("segment_ids")
        inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in names}
        read = prepare(inputs) if prepare else inputs
        sequence = self.encode(self.embed(read), read["padding_mask"], first_token_only)
        outputs = {"sequence_output": sequence}
        if self.has_pooler:
            outputs["pooled_output"] = self.pooler()(sequence[:, 0, :])
        return keras.Model(inputs, outputs, name=self.model_type.replace("-", "_"))

    def embed(self, inputs: Mapping[str, Any]) -> Any:
        """Return the sequence ``(batch, length, hidden_size)`` before the first layer."""
        from xferlab.models.layers import Dropout, LayerNormalization

        norm = LayerNormalization(epsilon=self.epsilon, name="embeddings_layer_norm")
        x = norm(self.embeddings(inputs))
        return Dropout(self.hidden_dropout, name="embeddings_dropout")(x)

    def embeddings(self, inputs: Mapping[str, Any]) -> Any:
        """Return the sum of the embeddings of tokens, positions and segments."""
        from xferlab.models.layers import PositionEmbedding

        embedded = self.embedding(self.vocabulary_size, "token_embedding")(inputs["token_ids"])
        if self.adds_positions:
            table = PositionEmbedding(self.positions, self.initializer(), name="position_embedding")
            embedded = embedded + table(embedded)
        if not self.segments:
            return embedded
        return embedded + self.embedding(self.segments, "segment_embedding")(inputs["segment_ids"])

    def embedding(self, rows: int, name: str) -> Any:
        """Return a table of ``rows`` vectors."""
        import keras

        return keras.layers.Embedding(
            rows, self.embedding_width, embeddings_initializer=self.initializer(), name=name
        )

    def encode(self, sequence: Any, padding_mask: Any, first_token_only: bool) -> Any:
        """Return the sequence after the last layer, or its first token (batch, 1, hidden_size)."""
        for index, inputs in enumerate(self.layer_inputs(padding_mask)):
            is_last = index == self.layers - 1
            layer = self.transformer_layer(index)
            sequence = layer(sequence, *inputs, first_token_only=first_token_only and is_last)
        return sequence

    def layer_inputs(self, padding_mask: Any) -> list[tuple[Any, ...]]:
        """Return what each layer is called with beside the sequence; computed once for all."""
        return [(self.attention_bias(padding_mask),)] * self.layers

    def attention_bias(self, padding_mask: Any) -> Any:
        """Return what is added to the attention scores of every layer."""
        from xferlab.models.layers import AttentionBias

        return AttentionBias(name="attention_bias")(padding_mask)

    def transformer_layer(self, index: int) -> Any:
        """Return one transformer layer, called with a sequence and its ``layer_inputs``."""
        from xferlab.models.layers import TransformerLayer

        return TransformerLayer(**self.layer_options(index))

    def layer_options(self, index: int) -> dict[str, Any]:
        """Return the arguments of a post-norm transformer layer."""
        from xferlab.models.layers import ACTIVATIONS

        return {
            "heads": self.heads,
            "intermediate_size": self.intermediate_size,
            "activation": ACTIVATIONS.get(self.activation, self.activation),
            "epsilon": self.epsilon,
            "hidden_dropout": self.hidden_dropout,
            "attention_dropout": self.attention_dropout,
            "kernel_initializer": self.initializer(),
            "name": f"transformer_layer_{index}",
        }

    def pooler(self) -> Any:
        """Return the dense layer that is applied to the first token."""
        return self.dense("pooler", "tanh")

    def initializer(self, deviation: float | None = None) -> Any:
        """Return a new initializer of fresh weights, of the encoder's deviation or another."""
        from keras.initializers import TruncatedNormal

        from xferlab.models.layers import Uninitialized

        kind = TruncatedNormal if self.is_random else Uninitialized
        return kind(stddev=deviation or self.initializer_range)

    # Names of tensors

    def tensor_stem(self, layer: str, part: str = "") -> str | None:
        """Return the name of the tensors of a layer's part, without prefix and last word.

        Args:
            layer: the Keras layer, like ``transformer_layer_0``; None is returned for one that is
                no part of the encoder.
            part: path of the part inside it, like ``feedforward_layer_norm``; empty for itself.
        """
        if layer == "pooler":
            return self.pooler_tensor
        if layer in self.embedding_tensors:
            return self.embedding_tensors[layer]
        name, _, index = layer.rpartition("_")
        if name != "transformer_layer":
            return None
        return f"{self.stem_of_layer(int(index))}.{self.layer_tensors[part]}"

    def stem_of_layer(self, index: int) -> str:
        """Return the stem of the tensors of a transformer layer."""
        return self.layer_stem.format(index=index)

    def tensor_rows(self, part: str, rows: int) -> tuple[Any, int]:
        """Return which rows of its tensor a part of a layer is, and how many the tensor has."""
        index, parts = self.fused.get(part, (0, 1))
        return slice(index * rows, (index + 1) * rows), parts * rows

    # The head of transformers' classes

    @classmethod
    def class_name(cls, head_class: str) -> str:
        """Return transformers' class: ``BertForSequenceClassification`` and its like."""
        return f"{cls.class_prefix}For{head_class}"

    @property
    def class_pooling(self) -> str:
        """Which tokens transformers' class for classification reads: ``first`` or another."""
        return "first"

    def with_pooling(self, pooling: str) -> Self | None:
        """Return the encoder whose class of transformers has a pooling; None where none has it."""
        return self if pooling in ("auto", self.class_pooling) else None

    def head(
        self, outputs: Mapping[str, Any], padding_mask: Any, is_per_word: bool, dropout: float
    ) -> tuple[Any, tuple[str, ...]]:
        """Return what the last layer of transformers' class reads, and the new layers below it.

        Args:
            outputs: of the encoder.
            padding_mask: the encoder's input.
            is_per_word: whether there is an output for each token.
            dropout: rate before the dense layer, where the class has dropout there.
        """
        if is_per_word:
            return outputs["sequence_output"], ()
        if "pooled_output" in outputs:
            return outputs["pooled_output"], ()
        first = outputs["sequence_output"][:, 0, :]
        if self.drops_first_token and dropout:
            import keras

            first = keras.layers.Dropout(dropout, name="first_token_dropout")(first)
        name, activation = self.first_token_dense
        return self.dense(name, activation)(first), (name,)

    def dense(self, name: str, activation: str, use_bias: bool = True) -> Any:
        """Return a new dense layer of the encoder's width."""
        import keras

        from xferlab.models.layers import ACTIVATIONS

        return keras.layers.Dense(
            self.hidden_size,
            activation=ACTIVATIONS.get(activation, activation),
            use_bias=use_bias,
            kernel_initializer=self.initializer(),
            name=name,
        )

    def output_layer(self, outputs: int, is_per_word: bool) -> Any:
        """Return the new layer of logits, in full precision also under mixed precision."""
        import keras

        return keras.layers.Dense(
            outputs, kernel_initializer=self.initializer(), dtype="float32", name="head"
        )

    def head_layers(self, is_per_word: bool) -> Mapping[str, str]:
        """Return the stems of the head's tensors by Keras layer, those of a pooler included."""
        if is_per_word:
            return {"head": "classifier"}
        dense = self.weight_prefix + self.pooler_tensor
        return {"pooler": dense, self.first_token_dense[0]: dense, "head": "classifier"}
