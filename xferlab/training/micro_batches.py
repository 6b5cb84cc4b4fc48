"""A training step that takes its batch in slices, for a device whose memory the whole does not fit.

The optimizer step stays what it was: the gradient of the batch's loss is the sum of the slices'
gradients, each weighted by its share of what the loss averages over. Dropout draws other masks,
because it draws them for a slice at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MethodType
from typing import Any


def split_step(network: Any, micro_batches: int) -> None:
    """Have a compiled ``keras.Model`` compute each training step in so many slices of its rows."""
    if micro_batches > 1:
        network.train_step = MethodType(_split_train_step(micro_batches), network)


def _split_train_step(micro_batches: int) -> Any:
    import tensorflow as tf

    def train_step(network: Any, data: tuple[Mapping[str, Any], Any]) -> Any:
        inputs, labels, *_ = data
        rows = tf.shape(labels)[0]
        weights = network.trainable_weights
        total = _counted(labels)
        sums: Sequence[Any] = [None] * len(weights)
        outputs = []
        losses = []
        for index in range(micro_batches):
            first = index * rows // micro_batches
            last = (index + 1) * rows // micro_batches
            # an empty slice is one row that counts for nothing: there is no mean of no rows
            start = tf.minimum(first, rows - 1)
            stop = tf.maximum(last, start + 1)
            part = {name: values[start:stop] for name, values in inputs.items()}
            answers = labels[start:stop]
            with tf.GradientTape() as tape:
                found = network(part, training=True)
                loss = network._compute_loss(x=part, y=answers, y_pred=found, training=True)
                share = tf.where(last > first, _counted(answers) / total, 0.0)
                loss *= tf.cast(share, loss.dtype)
                scaled = network.optimizer.scale_loss(loss)
            found_gradients = tape.gradient(scaled, weights)
            sums = [_added(a, b) for a, b in zip(sums, found_gradients, strict=True)]
            outputs.append(found[: last - first])
            losses.append(loss)
        network._loss_tracker.update_state(tf.add_n(losses), sample_weight=rows)
        network.optimizer.apply_gradients(zip(sums, weights, strict=True))
        return network.compute_metrics(inputs, labels, tf.concat(outputs, axis=0))

    return train_step


def _counted(labels: Any) -> Any:
    """Return what a mean loss divides by: the rows, or of classes and tags those that are known."""
    import tensorflow as tf

    if labels.dtype.is_integer:
        known = tf.reduce_sum(tf.cast(labels >= 0, "float32"))
        return tf.maximum(known, 1e-12)
    return tf.cast(tf.shape(labels)[0], "float32")


def _added(sum_so_far: Any, gradient: Any) -> Any:
    """Return the sum of two gradients; None is no gradient, an embedding's has one row a token."""
    import tensorflow as tf

    if sum_so_far is None or gradient is None:
        return gradient if sum_so_far is None else sum_so_far
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(
            tf.concat([sum_so_far.values, gradient.values], axis=0),
            tf.concat([sum_so_far.indices, gradient.indices], axis=0),
            gradient.dense_shape,
        )
    return sum_so_far + gradient
