"""Gradient checkpointing: what a function computes is not kept for the gradient, but recomputed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def recompute(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return ``function(*arguments)``, of which the gradient keeps the arguments alone.

    The function is called again when the gradient is computed (Chen et al. 2016). It must return
    the same tensor then: it draws no random numbers and assigns no variables.

    Args:
        function: returns one tensor.
        arguments: tensors, None, and tuples of both.
    """
    import tensorflow as tf

    flat = tf.nest.flatten(arguments)
    places = [i for i, each in enumerate(flat) if each is not None and each.dtype.is_floating]

    def of_floats(*floats: Any) -> Any:
        values = list(flat)
        for place, value in zip(places, floats, strict=True):
            values[place] = value
        return function(*tf.nest.pack_sequence_as(arguments, values))

    return tf.recompute_grad(of_floats)(*(flat[place] for place in places))
