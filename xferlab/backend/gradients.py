"""The gradient of a loss alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def output_gradient(
    loss: Callable[[Any, Any], Any], labels: Any, outputs: Any
) -> np.ndarray | None:
    """Return the gradient of a loss with respect to the outputs, or None if it has none."""
    import numpy as np
    import tensorflow as tf

    outputs = tf.convert_to_tensor(outputs)
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        value = loss(labels, outputs)
    gradient = tape.gradient(value, outputs) if tf.is_tensor(value) else None
    return None if gradient is None else np.asarray(gradient)
