"""Gives layers of a network the weights of a new one."""

from __future__ import annotations

from typing import Any

WEIGHTS = ("kernel", "bias", "gamma", "beta", "embeddings")
"""The weights of Keras layers that have an initializer of their own."""


def reinitialize(layer: Any) -> None:
    """Draw every weight of a layer anew, also in the layers inside it, by its own initializers.

    Low-rank matrices are new already, and stay as they are.

    Raises:
        ValueError: the layer has a weight without an initializer.
    """
    done = set()
    for part in layer._flatten_layers():  # Keras has no public access to the layers inside one
        for name in WEIGHTS:
            variable: Any = getattr(part, f"_{name}", None)
            if variable is None:
                variable = getattr(part, name, None)
            initializer = getattr(part, f"{name}_initializer", None)
            if initializer is not None and hasattr(variable, "assign"):
                variable.assign(_fresh(initializer)(variable.shape, variable.dtype))
                done.add(id(variable))
    for variable in layer.weights:
        if id(variable) not in done and "lora_" not in variable.path:
            raise ValueError(f"'{variable.path}' has no initializer that is known")


def _fresh(initializer: Any) -> Any:
    """Return an initializer with a new seed; one that sets nothing becomes that of new encoders."""
    import keras

    from xferlab.models.layers import Uninitialized

    if isinstance(initializer, Uninitialized):
        return keras.initializers.TruncatedNormal(initializer.mean, initializer.stddev)
    return initializer.clone()
