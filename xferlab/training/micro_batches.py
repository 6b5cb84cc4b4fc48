"""A training step that takes its batch in slices, for a device whose memory the whole does not fit.

The optimizer step stays what it was: the gradient of the batch's loss is the sum of the slices'
gradients, each weighted by its share of what the loss averages over. Dropout draws other masks,
because it draws them for a slice at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
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
        symbolic = getattr(network, "output", None)  # a subclassed model has none
        rows = tf.shape(labels)[0]
        weights = network.trainable_weights
        total = _counted(labels)

        def add_slice(index: Any, loss_sum: Any, sums: list[Any], outputs: Any) -> tuple[Any, ...]:
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
                fraction = tf.where(last > first, _counted(answers) / total, 0.0)
                loss *= tf.cast(fraction, loss.dtype)
                scaled = network.optimizer.scale_loss(loss)
            gradients = tape.gradient(scaled, weights)
            added = [
                so_far if gradient is None else so_far + tf.convert_to_tensor(gradient)
                for so_far, gradient in zip(sums, gradients, strict=True)
            ]
            outputs = outputs.write(index, found[: last - first])
            return index + 1, loss_sum + tf.cast(loss, "float32"), added, outputs

        _, loss, gradients, outputs = tf.while_loop(
            lambda index, *_: index < micro_batches,
            add_slice,
            (
                0,
                0.0,
                [tf.zeros(weight.shape, weight.dtype) for weight in weights],
                tf.TensorArray(
                    getattr(symbolic, "dtype", "float32"), micro_batches, infer_shape=False
                ),
            ),
            parallel_iterations=1,  # one slice in memory at a time
        )
        network._loss_tracker.update_state(loss, sample_weight=rows)
        network.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        found = outputs.concat()
        if symbolic is not None:
            found.set_shape(symbolic.shape)  # which a TensorArray forgets
        return network.compute_metrics(inputs, labels, found)

    return train_step


def _counted(labels: Any) -> Any:
    """Return what a mean loss divides by: the rows, or of classes and tags those that are known."""
    import tensorflow as tf

    if labels.dtype.is_integer:
        known = tf.reduce_sum(tf.cast(labels >= 0, "float32"))
        return tf.maximum(known, 1e-12)
    return tf.cast(tf.shape(labels)[0], "float32")
