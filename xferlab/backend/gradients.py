"""The gradient of a loss alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
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
    objective: Any, network: Any, batch: BatchPart
) -> tuple[float, np.ndarray, list[np.ndarray | None]]:
    """Return loss, outputs and the gradient by each trainable weight of one batch.

    Args:
        objective: see ``backend.train_step.StepObjective``.
        network: the model.
        batch: of arrays.
    """
    import numpy as np
    import tensorflow as tf

    given = {field.name: getattr(batch, field.name) for field in fields(batch)}
    named = {name: values for name, values in given.items() if values is not None}
    tensors = BatchPart(**tf.nest.map_structure(tf.constant, named))
    with tf.GradientTape(persistent=True) as tape:
        loss, outputs, _ = objective(network, tape, tensors)
    raw = [weight.value for weight in network.trainable_weights]
    gradients = tape.gradient(loss, raw)
    dense = [None if each is None else np.asarray(tf.convert_to_tensor(each)) for each in gradients]
    return float(loss), np.asarray(outputs), dense
