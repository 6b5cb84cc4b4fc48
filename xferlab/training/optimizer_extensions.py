"""What Keras optimizers lack: learning rates by block and by optimizer step, exact clipping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xferlab.backend.gradients import dense_gradients
from xferlab.contracts import TextModel


def per_update(learning_rate: Any, gradient_accumulation_steps: int) -> Any:
    """Return a schedule that counts optimizer steps where Keras counts batches.

    With gradient accumulation Keras calls a schedule for every batch.
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

    Keras passes one row for each token; the norm of those rows is not that of the gradient.
    """
    clip = optimizer._clip_gradients
    optimizer._clip_gradients = lambda gradients: clip(dense_gradients(gradients))


def scale_rates(optimizer: Any, model: TextModel, rates: Mapping[str, float]) -> None:
    """Multiply the learning rate of each block, in the step and in the weight decay.

    Keras has no parameter groups, so the two methods that use the rate are replaced.
    """
    multipliers = {
        optimizer._var_key(variable): multiplier
        for block, multiplier in rates.items()
        for layer in model.blocks[block]
        for variable in model.network.get_layer(layer).trainable_variables
        if multiplier != 1.0
    }
    if not multipliers:
        return
    step = optimizer.update_step

    def update_step(gradient: Any, variable: Any, learning_rate: Any) -> None:
        step(gradient, variable, learning_rate * multipliers.get(optimizer._var_key(variable), 1.0))

    def apply_weight_decay(variables: Sequence[Any]) -> None:
        for variable in variables:
            raw = getattr(variable, "value", variable)  # exclusions go by TensorFlow's names
            if optimizer.weight_decay and optimizer._use_weight_decay(raw):
                decay = optimizer.weight_decay * multipliers.get(optimizer._var_key(variable), 1.0)
                raw.assign_sub(raw * (optimizer.learning_rate * decay))

    optimizer.update_step = update_step
    optimizer._apply_weight_decay = apply_weight_decay


def current_rate(optimizer: Any, planned: Sequence[float], update: int) -> float:
    """Return the learning rate of optimizer step ``update``, counted from 1."""
    if callable(getattr(optimizer, "_learning_rate", None)):
        return float(planned[min(update, len(planned)) - 1])
    return float(optimizer.learning_rate)
