"""Pretrained encoders as Keras models whose numbers are those that PyTorch computes.

The layers are keras-hub's, the graph is put together here. keras-hub's own backbones fix
activation, dropout and epsilon instead of taking the checkpoint's, and forget what is set later
when they are saved. Its converters leave out RoBERTa's segment table, cannot read bfloat16, and
know some checkpoints only with a prefix.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from xferlab.models.checkpoint import Checkpoint
from xferlab.models.encoder_config import EncoderConfig, read_encoder_config
from xferlab.models.heads import first_token_dense
from xferlab.models.weight_names import TensorNames, assign_weights

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Encoder:
    """An encoder without a head.

    Attributes:
        backbone: the functional Keras model; inputs ``token_ids``, ``padding_mask`` (1 is a token,
            0 padding) and, where the architecture takes them, ``segment_ids``, all int32
            ``(batch, length)``.
        blocks: names of the layers that have weights, by block from input to output:
            ``embeddings``, ``layer_0`` ... ``layer_{n-1}``, ``pooler``. ALBERT's layers share
            their weights and are one block, ``layers``.
        sequence_output: symbolic ``(batch, length, hidden_size)``.
        pooled_output: symbolic ``(batch, hidden_size)`` of the pooler, or None.
        hidden_size: width of the outputs.
        vocabulary_size: token ids are smaller than this.
        max_length: tokens that a text may have, special ones included.
        first_token_dense: name and activation of the dense layer that a head on the first token
            has in transformers' own class, for where there is no pooler.
        from_checkpoint: parameters that came from the checkpoint; 0 is a fresh encoder.
    """

    backbone: Any
    blocks: Mapping[str, tuple[str, ...]]
    sequence_output: Any
    pooled_output: Any | None
    hidden_size: int
    vocabulary_size: int
    max_length: int
    first_token_dense: tuple[str, str]
    from_checkpoint: int


def load_encoder(
    checkpoint: Checkpoint,
    *,
    pretrained: bool = True,
    dropout: float | None = None,
    pooler: bool = True,
) -> Encoder:
    """Return the encoder of a checkpoint.

    Args:
        checkpoint: what ``resolve`` gave.
        pretrained: False gives the same architecture with weights drawn from Keras' seed.
        dropout: rate of every dropout layer, attention included; None takes the checkpoint's.
        pooler: False leaves the architecture's pooler out.

    Raises:
        ConfigError: a weight is missing or misshapen, or the architecture is not known.
    """
    where = f"model.checkpoint={checkpoint.source}"
    config = read_encoder_config(checkpoint.config, where)
    if dropout is not None:
        config = replace(config, hidden_dropout=dropout, attention_dropout=dropout)
    if not pooler:
        config = replace(config, has_pooler=False)
    names = TensorNames(config, checkpoint.tensors, where)
    if config.has_pooler and (pretrained or checkpoint.tensors) and not names.has_pooler:
        config = replace(config, has_pooler=False)
        log.info("%s: the pooler is not in the checkpoint", checkpoint.source)
    backbone = _build(config)
    loaded = assign_weights(backbone, names) if pretrained else 0
    log.debug(
        "%s: %s of %s parameters are pretrained", checkpoint.source, loaded, backbone.count_params()
    )
    return Encoder(
        backbone=backbone,
        blocks=_blocks(backbone, config),
        sequence_output=backbone.output["sequence_output"],
        pooled_output=backbone.output.get("pooled_output"),
        hidden_size=config.hidden_size,
        vocabulary_size=config.vocabulary_size,
        max_length=config.positions,
        first_token_dense=first_token_dense(config.architecture),
        from_checkpoint=loaded,
    )


def _build(config: EncoderConfig) -> Any:
    """Return the functional model with fresh weights."""
    import keras

    inputs = {
        name: keras.Input((None,), dtype="int32", name=name)
        for name in ("token_ids", "padding_mask", *(["segment_ids"] if config.segments else []))
    }
    x = _embed(config, inputs)
    per_group = config.layers // config.groups
    for group in range(config.groups):
        layers = [
            _transformer_layer(config, group * config.inner_layers + inner)
            for inner in range(config.inner_layers)
        ]
        for _ in range(per_group):
            for layer in layers:
                x = layer(x, padding_mask=inputs["padding_mask"])
            for layer in layers:
                _set_dropout(layer, config)
    outputs = {"sequence_output": x}
    if config.has_pooler:
        pooler = keras.layers.Dense(
            config.hidden_size,
            activation="tanh",
            kernel_initializer=_initializer(config),
            name="pooler",
        )
        outputs["pooled_output"] = pooler(x[:, 0, :])
    return keras.Model(inputs, outputs, name=config.architecture.replace("-", "_"))


def _embed(config: EncoderConfig, inputs: Mapping[str, Any]) -> Any:
    import keras
    import keras_hub

    tokens = keras.layers.ReversibleEmbedding(
        config.vocabulary_size,
        config.embedding_size,
        embeddings_initializer=_initializer(config),
        name="token_embedding",
    )(inputs["token_ids"])
    positions = keras_hub.layers.PositionEmbedding(
        config.positions, initializer=_initializer(config), name="position_embedding"
    )(tokens)
    tables = [tokens, positions]
    if config.segments:
        segment_embedding = keras.layers.Embedding(
            config.segments,
            config.embedding_size,
            embeddings_initializer=_initializer(config),
            name="segment_embedding",
        )
        tables.append(segment_embedding(inputs["segment_ids"]))
    x = keras.layers.Add(name="embeddings_add")(tables)
    x = keras.layers.LayerNormalization(epsilon=config.epsilon, name="embeddings_layer_norm")(x)
    x = keras.layers.Dropout(config.hidden_dropout, name="embeddings_dropout")(x)
    if config.architecture == "albert":
        x = keras.layers.Dense(
            config.hidden_size, kernel_initializer=_initializer(config), name="embedding_projection"
        )(x)
    return x


def _transformer_layer(config: EncoderConfig, index: int) -> Any:
    import keras_hub

    return keras_hub.layers.TransformerEncoder(
        intermediate_dim=config.intermediate_size,
        num_heads=config.heads,
        dropout=config.attention_dropout or config.hidden_dropout,
        activation=_activation(config.activation),
        layer_norm_epsilon=config.epsilon,
        kernel_initializer=_initializer(config),
        name=f"transformer_layer_{index}",
    )


def _set_dropout(layer: Any, config: EncoderConfig) -> None:
    """Give attention and sequence their own rates; keras-hub's layer has one for both."""
    if config.attention_dropout == config.hidden_dropout:
        return
    layer._self_attention_dropout.rate = config.hidden_dropout
    layer._feedforward_dropout.rate = config.hidden_dropout
    layer._self_attention_layer._dropout = config.attention_dropout


def _initializer(config: EncoderConfig) -> Any:
    import keras

    return keras.initializers.TruncatedNormal(stddev=config.initializer_range)


def _activation(name: str) -> Any:
    import keras

    if name == "gelu_tanh":  # registered by keras-hub, so that a saved model finds it again
        return keras.saving.get_registered_object("keras_hub>gelu_approximate")
    return name


def _blocks(backbone: Any, config: EncoderConfig) -> dict[str, tuple[str, ...]]:
    names = [layer.name for layer in backbone.layers if layer.weights]
    layers = [name for name in names if name.startswith("transformer_layer_")]
    blocks = {"embeddings": tuple(name for name in names if name not in (*layers, "pooler"))}
    if config.architecture == "albert":
        blocks["layers"] = tuple(layers)
    else:
        blocks |= {f"layer_{index}": (name,) for index, name in enumerate(layers)}
    return blocks | ({"pooler": ("pooler",)} if config.has_pooler else {})
