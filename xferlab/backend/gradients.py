"""The gradient of a loss alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from xferlab.backend.objective_step import BatchPart

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


def objective_gradients(
    objective: Any, network: Any, inputs: Any, labels: Any, arrays: Any
) -> tuple[float, np.ndarray, list[np.ndarray | None]]:
    """Return loss, outputs and the gradient by each trainable weight of one batch.

    Args:
        objective: see ``backend.train_step.StepObjective``.
        network: the model.
        inputs: by name.
        labels: of the examples.
        arrays: the objective's own.
    """
    import numpy as np
    import tensorflow as tf

    inputs, labels, arrays = tf.nest.map_structure(tf.constant, (inputs, labels, dict(arrays)))
    with tf.GradientTape(persistent=True) as tape:
        loss, outputs, _ = objective(network, tape, BatchPart(inputs, labels, arrays))
    raw = [weight.value for weight in network.trainable_weights]
    gradients = tape.gradient(loss, raw)
    dense = [None if each is None else np.asarray(tf.convert_to_tensor(each)) for each in gradients]
    return float(loss), np.asarray(outputs), dense
