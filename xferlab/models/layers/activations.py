"""GELU, exact and approximated, with a fast gradient."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("xferlab")
def gelu(x: Any) -> Any:
    """Return ``x * P(X <= x)`` of a standard normal X (Hendrycks & Gimpel 2016, eq. 1), exactly.

    TensorFlow fuses it with the product before it, unless a gradient is taken.
    """
    return keras.activations.gelu(x, approximate=False)


@ops.custom_gradient
def gelu_while_training(x: Any) -> Any:
    """Return :func:`gelu` in a form that is fast where it is not fused.

    Half precision is computed in float32. The gradient computes the density from x alone, so that
    one array is stored.
    """
    wide = ops.cast(x, "float32")
    twice = 1.0 + ops.erf(wide * math.sqrt(0.5))  # twice the probability

    def gradient(upstream: Any) -> Any:
        density = ops.exp(wide * wide * -0.5) * (1.0 / math.sqrt(2.0 * math.pi))
        return upstream * ops.cast(0.5 * twice + wide * density, upstream.dtype)

    return ops.cast(0.5 * wide * twice, x.dtype), gradient


@keras.saving.register_keras_serializable("xferlab")
def gelu_tanh(x: Any) -> Any:
    """Return GELU's approximation by tanh (Hendrycks & Gimpel 2016, section 2), in float32."""
    wide = ops.cast(x, "float32")
    inner = math.sqrt(2.0 / math.pi) * wide * (1.0 + 0.044715 * wide * wide)
    return ops.cast(0.5 * wide * (1.0 + ops.tanh(inner)), x.dtype)


ACTIVATIONS = {"gelu": gelu, "gelu_tanh": gelu_tanh}
"""Activations that are computed here; Keras has the others."""


def activate(activation: Any, x: Any, training: bool) -> Any:
    """Return the activation of ``x``, in the form that is fast while training."""
    if training and activation is gelu:
        return gelu_while_training(x)
    return activation(x)
