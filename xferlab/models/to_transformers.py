"""The inverse of loading: a network's weights by the names of transformers' models."""

from __future__ import annotations

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
    tensors: dict[str, np.ndarray] = {}
    prefix = architecture.weight_prefix
    for layer in network.layers:
        if layer.name == "pooler":
            continue
        for variable in layer.weights:
            weight = variable.path.partition(f"{layer.name}/")[2]
            part, _, ending = weight.rpartition("/")
            stem = architecture.tensor_stem(layer.name, part)
            if stem is not None:
                name = f"{prefix}{stem}.{ENDINGS[ending][0]}"
                tensors[name] = _stored(variable, layer.name, weight, architecture)
    if architecture.has_constant_segment:
        name = f"{prefix}{architecture.tensor_stem('segment_embedding')}.weight"
        tensors[name] = _zeros(1, architecture.embedding_width)
    return tensors


def head_tensors(
    network: Any, architecture: Architecture, is_per_word: bool
) -> dict[str, np.ndarray]:
    """Return the tensors of a network's head (and pooler) by transformers' names, float32."""
    by_name = {layer.name: layer for layer in network.layers}
    *dense, output = architecture.head_stems(is_per_word)
    tensors = _dense_tensors(by_name["head"], output)
    for stem in dense:
        ours = "pooler" if "pooler" in by_name else architecture.first_token_dense[0]
        tensors |= _dense_tensors(by_name[ours], stem)
    return tensors


def _dense_tensors(layer: Any, stem: str) -> dict[str, np.ndarray]:
    """Return a dense layer's ``STEM.weight`` (out, in) and ``STEM.bias`` (out,)."""
    import numpy as np

    kernel = np.asarray(layer.kernel, dtype="float32")
    bias = np.asarray(layer.bias, dtype="float32")
    return {f"{stem}.weight": np.ascontiguousarray(kernel.T), f"{stem}.bias": bias}


def _stored(variable: Any, layer: str, weight: str, architecture: Architecture) -> np.ndarray:
    """Return a weight as PyTorch stores it."""
    import numpy as np

    array = np.asarray(variable, dtype="float32")
    if weight.endswith("kernel"):
        return np.ascontiguousarray(array.T)
    if layer == "position_embedding" and architecture.position_offset:
        unused = _zeros(architecture.position_offset, array.shape[1])
        return np.concatenate([unused, array])
    return array


def _zeros(*shape: int) -> np.ndarray:
    import numpy as np

    return np.zeros(shape, dtype="float32")
