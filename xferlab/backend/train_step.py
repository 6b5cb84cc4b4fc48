"""The training step of ``fit``: forward, loss, gradients and update of one batch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MethodType
from typing import Any


def use_micro_batches(network: Any, micro_batches: int) -> None:
    """Make a compiled ``keras.Model`` compute each training step in slices of its batch.

    The optimizer step stays the same: the gradient of the batch's loss is the sum of the slices'
    gradients, each weighted by its fraction of what the loss averages over. Dropout has other
    masks, because it samples them for a slice at a time.
    """
    if micro_batches > 1:
        network.train_step = MethodType(_micro_batched_step(micro_batches), network)


def _micro_batched_step(micro_batches: int) -> Any:
    import tensorflow as tf

    def train_step(network: Any, data: tuple[Mapping[str, Any], Any]) -> Any:
        inputs, labels, *_ = data
        symbolic = getattr(network, "output", None)  # a subclassed model has none
        rows = tf.shape(labels)[0]
        weights = network.trainable_weights
        total = _loss_denominator(labels)

        def add_slice(index: Any, loss_sum: Any, sums: list[Any], outputs: Any) -> tuple[Any, ...]:
            first = index * rows // micro_batches
            last = (index + 1) * rows // micro_batches
            # an empty slice is one row of weight 0: there is no mean of no rows
            start = tf.minimum(first, rows - 1)
            stop = tf.maximum(last, start + 1)
            part = {name: values[start:stop] for name, values in inputs.items()}
            targets = labels[start:stop]
            with tf.GradientTape() as tape:
                predicted = network(part, training=True)
                loss = network._compute_loss(x=part, y=targets, y_pred=predicted, training=True)
                fraction = tf.where(last > first, _loss_denominator(targets) / total, 0.0)
                loss *= tf.cast(fraction, loss.dtype)
                scaled = network.optimizer.scale_loss(loss)
            gradients = tape.gradient(scaled, weights)
            added = [
                so_far if gradient is None else so_far + tf.convert_to_tensor(gradient)
                for so_far, gradient in zip(sums, gradients, strict=True)
            ]
            outputs = outputs.write(index, predicted[: last - first])
            return index + 1, loss_sum + tf.cast(loss, "float32"), added, outputs

        zeros = [tf.zeros(weight.shape, weight.dtype) for weight in weights]
        dtype = getattr(symbolic, "dtype", "float32")
        array = tf.TensorArray(dtype, micro_batches, infer_shape=False)
        _, loss, gradients, outputs = tf.while_loop(
            lambda index, *_: index < micro_batches,
            add_slice,
            (0, 0.0, zeros, array),
            parallel_iterations=1,  # one slice in memory at a time
        )
        network._loss_tracker.update_state(loss, sample_weight=rows)
        network.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        predicted = outputs.concat()
        if symbolic is not None:
            predicted.set_shape(symbolic.shape)  # which a TensorArray does not keep
        return network.compute_metrics(inputs, labels, predicted)

    return train_step


def _loss_denominator(labels: Any) -> Any:
    """Return what a mean loss divides by: the examples, or of class indices those from 0 up."""
    import tensorflow as tf

    if labels.dtype.is_integer:
        known = tf.reduce_sum(tf.cast(labels >= 0, "float32"))
        return tf.maximum(known, 1e-12)
    return tf.cast(tf.shape(labels)[0], "float32")
