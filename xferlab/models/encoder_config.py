"""What a checkpoint's ``config.json`` says, in one vocabulary for all architectures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xferlab.errors import ConfigError

MOST_PARAMETERS = 20_000_000_000  # a config.json that asks for more would only fill the memory

# The names that transformers gives to activations; the second word is ours.
_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
}


@dataclass(frozen=True)
class EncoderConfig:
    """The sizes and constants of a transformer encoder.

    Attributes:
        architecture: the checkpoint's ``model_type``.
        vocabulary_size: rows of the table of word pieces.
        hidden_size: width of the sequence between the layers.
        embedding_size: width of the tables; ALBERT's is smaller than its hidden size.
        layers: how often a layer is applied to the sequence.
        groups: sets of layers with weights of their own; fewer than layers in ALBERT alone.
        inner_layers: layers in one group.
        heads: attention heads of a layer.
        intermediate_size: width inside the feed-forward part.
        positions: tokens that a text may have.
        position_offset: rows of the position table that no text uses.
        segments: kinds of segments; 0 where the architecture takes no segment ids.
        has_pooler: whether the architecture has a dense layer on its first token.
        activation: ``gelu`` (exact), ``gelu_tanh``, ``relu``, ``silu`` or ``tanh``.
        epsilon: what the normalisations add to the variance.
        hidden_dropout: rate after the embeddings, the attention and the feed-forward part.
        attention_dropout: rate on the attention's probabilities.
        initializer_range: standard deviation of fresh weights.
    """

    architecture: str
    vocabulary_size: int
    hidden_size: int
    embedding_size: int
    layers: int
    groups: int
    inner_layers: int
    heads: int
    intermediate_size: int
    positions: int
    position_offset: int
    segments: int
    has_pooler: bool
    activation: str
    epsilon: float
    hidden_dropout: float
    attention_dropout: float
    initializer_range: float


def read_encoder_config(config: Mapping[str, Any], where: str) -> EncoderConfig:
    """Return the encoder that a parsed ``config.json`` describes.

    Raises:
        ConfigError: it lacks a size, or describes something that would be computed wrongly.
    """
    _refuse_unknown_kinds(config, where)
    if config["model_type"] == "distilbert":
        config = _in_words_of_bert(config)
    architecture, layers = config["model_type"], _size(config, "num_hidden_layers", where)
    is_albert, is_roberta = architecture == "albert", architecture in ("roberta", "xlm-roberta")
    hidden_size, heads = (
        _size(config, "hidden_size", where),
        _size(config, "num_attention_heads", where),
    )
    groups = _size(config, "num_hidden_groups", where, 1) if is_albert else layers
    if hidden_size % heads or layers % groups:
        raise _bad(
            f"{heads} heads do not divide {hidden_size}, or {groups} groups {layers} layers",
            where,
        )
    offset = _padding_id(config, where) + 1 if is_roberta else 0
    dropout = 0.0 if is_albert else 0.1
    return _bounded(
        EncoderConfig(
            architecture=architecture,
            vocabulary_size=_size(config, "vocab_size", where),
            hidden_size=hidden_size,
            embedding_size=_size(config, "embedding_size", where, 128)
            if is_albert
            else hidden_size,
            layers=layers,
            groups=groups,
            inner_layers=_size(config, "inner_group_num", where, 1) if is_albert else 1,
            heads=heads,
            intermediate_size=_size(config, "intermediate_size", where),
            positions=_size(config, "max_position_embeddings", where) - offset,
            position_offset=offset,
            segments=_size(config, "type_vocab_size", where, 2)
            if architecture in ("albert", "bert")
            else 0,
            has_pooler=architecture in ("albert", "bert"),
            activation=_activation(
                config.get("hidden_act", "gelu_new" if is_albert else "gelu"), where
            ),
            epsilon=_number(config, "layer_norm_eps", 1e-12, where),
            hidden_dropout=_number(config, "hidden_dropout_prob", dropout, where),
            attention_dropout=_number(config, "attention_probs_dropout_prob", dropout, where),
            initializer_range=_number(config, "initializer_range", 0.02, where),
        ),
        where,
    )


def _bounded(config: EncoderConfig, where: str) -> EncoderConfig:
    """Return ``config`` unless its weights would not fit into any memory."""
    tables = config.vocabulary_size + config.positions + config.segments
    layer = config.hidden_size * (4 * config.hidden_size + 2 * config.intermediate_size)
    most = tables * config.embedding_size + config.layers * config.inner_layers * layer
    if most > MOST_PARAMETERS:
        raise _bad(f"it has {most:,} parameters, more than {MOST_PARAMETERS:,}", where)
    return config


def _padding_id(config: Mapping[str, Any], where: str) -> int:
    """Return the id of padding; RoBERTa's positions start after it."""
    value = config.get("pad_token_id")
    if value is not None and (not isinstance(value, int) or value < 0):
        raise _bad(f"its pad_token_id is {value!r}", where)
    return 1 if value is None else value


def _in_words_of_bert(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return DistilBERT's config with the keys that the others use."""
    names = {
        "dim": "hidden_size",
        "n_layers": "num_hidden_layers",
        "n_heads": "num_attention_heads",
        "hidden_dim": "intermediate_size",
        "activation": "hidden_act",
        "dropout": "hidden_dropout_prob",
        "attention_dropout": "attention_probs_dropout_prob",
    }
    return {names.get(key, key): value for key, value in config.items()}


def _refuse_unknown_kinds(config: Mapping[str, Any], where: str) -> None:
    kind = config.get("position_embedding_type", "absolute")
    if kind != "absolute":
        raise _bad(f"its positions are '{kind}', only absolute ones are known", where)
    if config.get("is_decoder") or config.get("add_cross_attention"):
        raise _bad("it is a decoder (is_decoder or add_cross_attention), not an encoder", where)


def _number(config: Mapping[str, Any], key: str, default: float, where: str) -> float:
    value = config.get(key, default)
    if not isinstance(value, int | float):
        raise _bad(f"its {key} is {value!r}", where)
    return float(value)


def _size(config: Mapping[str, Any], key: str, where: str, default: int | None = None) -> int:
    value = config.get(key, default)
    if not isinstance(value, int) or value < 1:
        raise _bad(f"it has no size '{key}'" if value is None else f"its {key} is {value!r}", where)
    return value


def _activation(name: Any, where: str) -> str:
    if not isinstance(name, str) or name not in _ACTIVATIONS:
        raise _bad(f"its activation '{name}' is not one of {', '.join(_ACTIVATIONS)}", where)
    return _ACTIVATIONS[name]


def _bad(reason: str, where: str) -> ConfigError:
    return ConfigError(
        f"the checkpoint's config.json cannot be built: {reason}",
        where=where,
        fix="choose another checkpoint, or mend its config.json",
    )
