"""The inverse of loading: an encoder's weights and sizes in the words of transformers' models."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from xferlab.models.encoder_config import EncoderConfig
from xferlab.models.weight_names import ENDINGS, OUTSIDE, prefix_of, stem_of, stored_shape

if TYPE_CHECKING:
    import numpy as np

_ACTIVATIONS = {"gelu_tanh": "gelu_new"}
_WORDS_OF_DISTILBERT = {
    "hidden_size": "dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "intermediate_size": "hidden_dim",
    "hidden_act": "activation",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
}
_NOT_OF_DISTILBERT = ("layer_norm_eps", "type_vocab_size")


def encoder_tensors(network: Any, config: EncoderConfig) -> dict[str, np.ndarray]:
    """Return the tensors of the encoder inside a network, by the names of a model with a head.

    What this project folded into another table on loading (RoBERTa's one segment) is written as
    zeros, so that the sum is the same; so are the rows of positions that no text uses.

    Args:
        network: functional ``keras.Model`` that :func:`~xferlab.models.encoder.load_encoder`
            began; layers that are no part of an encoder are left out.
        config: what the encoder was built by.

    Returns:
        float32 arrays in the shapes that PyTorch gives them.
    """
    tensors: dict[str, np.ndarray] = {}
    for layer in network.layers:
        if layer.name not in OUTSIDE and not layer.name.startswith("transformer_layer_"):
            continue
        for variable in layer.weights:
            weight = variable.path.partition(f"{layer.name}/")[2]
            part, _, ending = weight.rpartition("/")
            name = f"{stem_of(config, layer.name, part)}.{ENDINGS[ending][0]}"
            tensors[prefix_of(config) + name] = _stored(variable, layer.name, weight, config)
    if "roberta" in config.architecture:
        name = f"{stem_of(config, 'segment_embedding', '')}.weight"
        tensors[prefix_of(config) + name] = _zeros(1, config.embedding_size)
    return tensors


def config_table(config: EncoderConfig, pad_id: int) -> dict[str, Any]:
    """Return the ``config.json`` that describes an encoder: all that decides what it computes.

    Args:
        config: the encoder's sizes and constants.
        pad_id: token id of padding; RoBERTa's positions start after it.
    """
    table: dict[str, Any] = {
        "model_type": config.architecture,
        "vocab_size": config.vocabulary_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.intermediate_size,
        "hidden_act": _ACTIVATIONS.get(config.activation, config.activation),
        "hidden_dropout_prob": config.hidden_dropout,
        "attention_probs_dropout_prob": config.attention_dropout,
        "max_position_embeddings": config.positions + config.position_offset,
        "type_vocab_size": config.segments or 1,
        "layer_norm_eps": config.epsilon,
        "initializer_range": config.initializer_range,
        "pad_token_id": config.position_offset - 1 if config.position_offset else pad_id,
    }
    if config.architecture == "albert":
        table |= {
            "embedding_size": config.embedding_size,
            "num_hidden_groups": config.groups,
            "inner_group_num": config.inner_layers,
        }
    if config.architecture == "distilbert":
        kept = {key: value for key, value in table.items() if key not in _NOT_OF_DISTILBERT}
        table = {_WORDS_OF_DISTILBERT.get(key, key): value for key, value in kept.items()}
    return table


def _stored(variable: Any, layer: str, weight: str, config: EncoderConfig) -> np.ndarray:
    """Return a weight as PyTorch keeps it."""
    import numpy as np

    array = np.asarray(variable, dtype="float32")
    offset = config.position_offset if layer == "position_embedding" else 0
    if weight.endswith("kernel"):
        into, out = stored_shape(weight, array.shape, 0)[::-1]
        return np.ascontiguousarray(array.reshape(into, out).T)
    if weight.endswith("bias"):
        return array.reshape(math.prod(array.shape))
    if offset:
        return np.concatenate([_zeros(offset, array.shape[1]), array])
    return array


def _zeros(*shape: int) -> np.ndarray:
    import numpy as np

    return np.zeros(shape, dtype="float32")
