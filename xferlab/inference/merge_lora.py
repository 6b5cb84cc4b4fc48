"""Merges low-rank matrices into the weights that they adapt."""

from __future__ import annotations

from typing import Any

_PAIRS = {
    "_kernel": ("lora_kernel_a", "lora_kernel_b"),
    "_embeddings": ("lora_embeddings_a", "lora_embeddings_b"),
}


def merge_lora(network: Any) -> int:
    """Turn every layer that Keras's ``enable_lora`` changed into a plain one with the same outputs.

    A weight W becomes ``W + alpha / rank * A B`` (Hu et al. 2022, eq. 3), computed in float32; A
    and B are removed from the layer.

    Returns:
        How many layers were changed.
    """
    from keras import ops

    layers = [layer for layer in network._flatten_layers() if getattr(layer, "lora_enabled", False)]
    for layer in layers:
        for weight, (a, b) in _PAIRS.items():
            if not hasattr(layer, a):
                continue
            addition = ops.matmul(getattr(layer, a).value, getattr(layer, b).value)
            scale = layer.lora_alpha / layer.lora_rank
            variable = getattr(layer, weight)
            variable.assign(ops.add(variable.value, scale * addition))
            for name in (a, b):  # Keras has no public way to remove a variable from a layer
                layer._untrack_variable(getattr(layer, name))
                setattr(layer, name, None)
        layer.lora_enabled = False
    return len(layers)
