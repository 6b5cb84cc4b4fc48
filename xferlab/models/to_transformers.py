"""The inverse of loading: a network's weights by the names of transformers' models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from xferlab.models.architectures import Architecture
from xferlab.models.weight_names import ENDINGS

if TYPE_CHECKING:
    import numpy as np


def encoder_tensors(network: Any, architecture: Architecture) -> dict[str, np.ndarray]:
    """Return the tensors of the encoder inside a network, by the names of a model with a head.

    What loading folded into another table (RoBERTa's one segment) is written as zeros, so that the
    sum is the same; so are the rows of positions that no text uses. The pooler is part of the head.

    Args:
        network: functional ``keras.Model`` that :func:`~xferlab.models.encoder.load_encoder`
            began; layers that are no part of an encoder are left out.
        architecture: the encoder that was built.

    Returns:
        float32 arrays in the shapes that PyTorch gives them.
    """
    import numpy as np

    tensors: dict[str, np.ndarray] = {}
    prefix = architecture.weight_prefix
    for layer in network.layers:
        if layer.name == "pooler":
            continue
        for variable, part, ending in _weights(layer):
            stem = architecture.tensor_stem(layer.name, part)
            if stem is None:
                continue
            name = f"{prefix}{stem}.{ENDINGS[ending][0]}"
            array = _stored(variable, ending)
            if layer.name == "position_embedding" and architecture.position_offset:
                unused = _zeros(architecture.position_offset, array.shape[1])
                array = np.concatenate([unused, array])
            rows, count = architecture.tensor_rows(part, len(array))
            if count == len(array):
                tensors[name] = array
                continue
            whole = tensors.setdefault(name, _zeros(count, *array.shape[1:]))
            whole[rows] = array
    if architecture.has_constant_segment:
        name = f"{prefix}{architecture.tensor_stem('segment_embedding')}.weight"
        tensors[name] = _zeros(1, architecture.embedding_width)
    return tensors


def head_tensors(
    network: Any, architecture: Architecture, is_per_word: bool
) -> dict[str, np.ndarray]:
    """Return the tensors of a network's head (and pooler) by transformers' names, float32."""
    stems = architecture.head_layers(is_per_word)
    return {
        f"{stems[layer.name]}.{ENDINGS[ending][0]}": _stored(variable, ending)
        for layer in network.layers
        if layer.name in stems
        for variable, _, ending in _weights(layer)
    }


def _weights(layer: Any) -> Iterator[tuple[Any, str, str]]:
    """Yield each variable of a layer, the path of its part and the last word of its own."""
    for variable in layer.weights:
        part, _, ending = variable.path.partition(f"{layer.name}/")[2].rpartition("/")
        yield variable, part, ending


def _stored(variable: Any, ending: str) -> np.ndarray:
    """Return a weight in the shape that PyTorch gives it."""
    import numpy as np

    array = np.asarray(variable, dtype="float32")
    return np.ascontiguousarray(array.T) if ending == "kernel" else array


def _zeros(*shape: int) -> np.ndarray:
    import numpy as np

    return np.zeros(shape, dtype="float32")
