"""What Keras's optimizers lack: rates by block and by optimizer step, exact clipping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xferlab.contracts import TextModel


def per_update(learning_rate: Any, gradient_accumulation_steps: int) -> Any:
    """Return a schedule that counts optimizer steps where Keras counts batches.

    With gradient accumulation Keras asks a schedule for the rate of every batch.
    """
    import keras

    if gradient_accumulation_steps == 1 or not callable(learning_rate):
        return learning_rate

    class PerUpdate(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, batch: Any) -> Any:
            return learning_rate(keras.ops.floor_divide(batch, gradient_accumulation_steps))

    return PerUpdate()


def clip_densely(optimizer: Any) -> None:
    """Sum an embedding's gradient over repeated tokens before its norm is taken.

    Keras hands over one row a token; the norm of those rows is not that of the gradient.
    """
    import tensorflow as tf

    clip = optimizer._clip_gradients
    optimizer._clip_gradients = lambda gradients: clip(
        [None if g is None else tf.convert_to_tensor(g) for g in gradients]
    )


def scale_rates(optimizer: Any, model: TextModel, fractions: Mapping[str, float]) -> None:
    """Give each block its own share of the learning rate, in the step and in the decay.

    Keras has no parameter groups, so the two methods that use the rate are given another one.
    """
    known = {
        optimizer._var_key(variable): fraction
        for block, fraction in fractions.items()
        for layer in model.blocks[block]
        for variable in model.network.get_layer(layer).trainable_variables
        if fraction != 1.0
    }
    if not known:
        return
    step = optimizer.update_step

    def update_step(gradient: Any, variable: Any, learning_rate: Any) -> None:
        step(gradient, variable, learning_rate * known.get(optimizer._var_key(variable), 1.0))

    def apply_weight_decay(variables: Sequence[Any]) -> None:
        for variable in variables:
            raw = getattr(variable, "value", variable)  # the exclusions know TensorFlow's names
            if optimizer.weight_decay and optimizer._use_weight_decay(raw):
                fraction = optimizer.weight_decay * known.get(optimizer._var_key(variable), 1.0)
                raw.assign_sub(raw * (optimizer.learning_rate * fraction))

    optimizer.update_step = update_step
    optimizer._apply_weight_decay = apply_weight_decay


def current_rate(optimizer: Any, planned: Sequence[float], update: int) -> float:
    """Return the rate that optimizer step ``update``, counted from 1, was done with."""
    if getattr(optimizer, "_learning_rate", None) is not None and callable(
        optimizer._learning_rate
    ):
        return float(planned[min(update, len(planned)) - 1])
    return float(optimizer.learning_rate)
