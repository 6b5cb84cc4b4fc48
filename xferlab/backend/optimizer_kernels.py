"""One optimizer step over all weights: clipping, decoupled weight decay, and Adam's fused kernel.

Keras computes Adam by some fifteen operations a weight, each over its whole size, and traces them
one by one; TensorFlow has one kernel for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def clip_by_global_norm(gradients: Sequence[Any], norm: float | None) -> list[Any]:
    """Return gradients scaled down to a norm of at most ``norm``, taken over all of them.

    An embedding's gradient has a row for each token; the rows of repeated tokens are added before
    the norm is taken, because the norm of single rows is not that of the gradient.

    Args:
        gradients: tensors, ``tf.IndexedSlices`` and None.
        norm: the largest norm; None or 0 leaves the gradients as they are.

    Returns:
        Dense tensors and None; NaN everywhere if the norm is not finite.
    """
    import tensorflow as tf

    if not norm:
        return [None if each is None else tf.convert_to_tensor(each) for each in gradients]
    summed = [_sum_repeated_rows(each) for each in gradients]
    total = tf.linalg.global_norm([each for each in summed if each is not None])
    scale = norm / tf.maximum(total, norm) + (total - total)
    return [_scaled(each, scale) for each in summed]


def _sum_repeated_rows(gradient: Any) -> Any:
    import tensorflow as tf

    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, place = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, place, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)


def _scaled(gradient: Any, scale: Any) -> Any:
    import tensorflow as tf

    if gradient is None:
        return None
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient * scale
    scaled = tf.IndexedSlices(gradient.values * scale, gradient.indices, gradient.dense_shape)
    return tf.convert_to_tensor(scaled)


def decay(variable: Any, fraction: Any) -> None:
    """Subtract a fraction of a weight from it."""
    raw = tensorflow_variable(variable)
    raw.assign_sub(raw * fraction)


def tensorflow_variable(variable: Any) -> Any:
    """Return the ``tf.Variable`` of a Keras variable, or one as it is."""
    import keras

    return variable.value if isinstance(variable, keras.Variable) else variable


def has_fused_step(optimizer: Any) -> bool:
    """Return whether :func:`adam_steps` computes what a Keras optimizer does."""
    import keras

    is_adam = type(optimizer) in (keras.optimizers.Adam, keras.optimizers.AdamW)
    return is_adam and not optimizer.amsgrad


def adam_steps(
    optimizer: Any, gradients: Sequence[Any], variables: Sequence[Any], rates: Sequence[Any]
) -> None:
    """Update weights and moments as ``keras.optimizers.Adam`` does (Kingma & Ba 2015, section 2).

    Args:
        optimizer: built; its moments are updated.
        gradients: dense, shaped like the variables.
        variables: Keras variables.
        rates: learning rate of each.
    """
    import tensorflow as tf

    step = tf.cast(optimizer.iterations + 1, "float32")
    powers = {
        "beta1_power": tf.pow(tf.constant(optimizer.beta_1, "float32"), step),
        "beta2_power": tf.pow(tf.constant(optimizer.beta_2, "float32"), step),
        "beta1": optimizer.beta_1,
        "beta2": optimizer.beta_2,
        "epsilon": optimizer.epsilon,
    }
    for gradient, variable, rate in zip(gradients, variables, rates, strict=True):
        index = optimizer._get_variable_index(variable)
        dtype = variable.dtype
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(optimizer._momentums[index]),
            v=_handle(optimizer._velocities[index]),
            lr=tf.cast(rate, dtype),
            grad=tf.cast(gradient, dtype),
            **{name: tf.cast(value, dtype) for name, value in powers.items()},
        )


def _handle(variable: Any) -> Any:
    return tensorflow_variable(variable).handle
