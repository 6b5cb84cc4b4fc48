"""What Keras optimizers lack: rates by block and by optimizer step, exact clipping, fused steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xferlab.backend.optimizer_kernels import (
    adam_steps,
    clip_by_global_norm,
    decay,
    has_fused_step,
    tensorflow_variable,
)
from xferlab.contracts import TextModel, VariableGroup


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


def extend_optimizer(
    optimizer: Any,
    model: TextModel,
    rates: Mapping[str, float],
    groups: Sequence[VariableGroup] = (),
) -> None:
    """Give a built optimizer learning rates by block, an exact norm for clipping, a fused step.

    Keras has no parameter groups, so the three methods that :meth:`apply` calls are replaced. They
    run once an optimizer step, also with gradient accumulation.

    Args:
        optimizer: a Keras optimizer, built.
        model: gives the variables of each block.
        rates: by block, what the learning rate is multiplied by; 1 where there is none.
        groups: what rate and weight decay of single variables are multiplied by.
    """
    multipliers = _multipliers(optimizer, model, rates, groups)
    decays = _of_groups(optimizer, model, [(group, group.decay) for group in groups])

    def rate_of(variable: Any, learning_rate: Any) -> Any:
        multiplier = multipliers.get(optimizer._var_key(variable), 1.0)
        return learning_rate if multiplier == 1.0 else learning_rate * multiplier

    def clip_gradients(gradients: Sequence[Any]) -> list[Any]:
        return clip_by_global_norm(gradients, optimizer.global_clipnorm)

    def apply_weight_decay(variables: Sequence[Any]) -> None:
        if not optimizer.weight_decay:
            return
        for variable in variables:
            raw = tensorflow_variable(variable)  # exclusions go by TensorFlow's names
            fraction = decays.get(optimizer._var_key(variable), 1.0)
            if fraction and optimizer._use_weight_decay(raw):
                weight_decay = optimizer.weight_decay * fraction
                decay(raw, rate_of(variable, optimizer.learning_rate) * weight_decay)

    def update(gradients: Sequence[Any], variables: Sequence[Any], learning_rate: Any) -> None:
        rates_of_variables = [rate_of(variable, learning_rate) for variable in variables]
        if has_fused_step(optimizer):
            adam_steps(optimizer, gradients, variables, rates_of_variables)
            return
        for each in zip(gradients, variables, rates_of_variables, strict=True):
            optimizer.update_step(*each)

    optimizer._clip_gradients = clip_gradients
    optimizer._apply_weight_decay = apply_weight_decay
    optimizer._backend_update_step = update


def _multipliers(
    optimizer: Any, model: TextModel, rates: Mapping[str, float], groups: Sequence[VariableGroup]
) -> dict[str, float]:
    """Return the multiplier of each variable's learning rate, by the optimizer's key of it."""
    found = {
        optimizer._var_key(variable): multiplier
        for block, multiplier in rates.items()
        for layer in model.blocks[block]
        for variable in model.network.get_layer(layer).trainable_variables
    }
    of_groups = _of_groups(optimizer, model, [(group, group.rate) for group in groups])
    for key, rate in of_groups.items():
        found[key] = found.get(key, 1.0) * rate
    return found


def _of_groups(
    optimizer: Any, model: TextModel, factors: Sequence[tuple[VariableGroup, float]]
) -> dict[str, float]:
    """Return the product of the groups' factors of each variable, by the optimizer's key of it."""
    variables = {variable.path: variable for variable in model.network.weights} if factors else {}
    found: dict[str, float] = {}
    for group, factor in factors:
        for path in group.paths:
            key = optimizer._var_key(variables[path])
            found[key] = found.get(key, 1.0) * factor
    return found


def current_rate(optimizer: Any, planned: Sequence[float], update: int) -> float:
    """Return the learning rate of optimizer step ``update``, counted from 1."""
    if callable(getattr(optimizer, "_learning_rate", None)):
        return float(planned[min(update, len(planned)) - 1])
    return float(optimizer.learning_rate)
