"""The training step of ``fit``: forward, loss, gradients and update of one batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MethodType
from typing import Any, Protocol

from xferlab.backend.objective_step import EXAMPLE, NUMBER, PREFIX, BatchPart, loss_weights

PART = "loss_"
"""Begins the logged name of a part of the loss."""


class StepObjective(Protocol):
    """An objective that is ready for a network.

    Attributes:
        parts: names of the scalars that it returns beside the loss.
    """

    @property
    def parts(self) -> Sequence[str]: ...

    def __call__(
        self, network: Any, tape: Any, batch: BatchPart
    ) -> tuple[Any, Any, Mapping[str, Any]]:
        """Return loss, outputs and the parts of the loss of a batch or of a slice of it.

        Args:
            network: compiled.
            tape: persistent, recording.
            batch: what is computed.
        """


def set_train_step(
    network: Any, micro_batches: int = 1, objective: StepObjective | None = None
) -> None:
    """Make a compiled ``keras.Model`` train by an objective, or in slices of each batch.

    Without both it keeps Keras's own step.

    In slices the optimizer step stays the same: the gradient of the batch's loss is the sum of the
    slices' gradients, each weighted by its fraction of what the loss averages over. Dropout has
    other masks, because it samples them for a slice at a time.
    """
    if objective is not None:
        _track_parts(network, objective.parts)
    if micro_batches > 1:
        step = _micro_batched_step(micro_batches, objective)
    elif objective is not None:
        step = _objective_step(objective)
    else:
        return
    network.train_step = MethodType(step, network)


def _track_parts(network: Any, parts: Sequence[str]) -> None:
    """Give a network a running mean for each part of the loss, once."""
    import keras

    known = {metric.name for metric in network._metrics}
    for name in parts:
        if f"{PART}{name}" not in known:
            network._metrics.append(keras.metrics.Mean(name=f"{PART}{name}"))


def _update_parts(network: Any, parts: Mapping[str, Any], rows: Any) -> None:
    trackers = {metric.name: metric for metric in network._metrics}
    for name, value in parts.items():
        trackers[f"{PART}{name}"].update_state(value, sample_weight=rows)


def _objective_step(objective: StepObjective) -> Callable[..., Any]:
    import tensorflow as tf

    def train_step(network: Any, data: tuple[Mapping[str, Any], Any]) -> Any:
        batch = _separated(data)
        weights = network.trainable_weights
        with tf.GradientTape(persistent=True) as tape:
            loss, outputs, parts = objective(network, tape, batch)
            scaled = network.optimizer.scale_loss(loss)
        rows = tf.shape(batch.labels)[0]
        network._loss_tracker.update_state(loss, sample_weight=rows)
        _update_parts(network, parts, rows)
        network.optimizer.apply_gradients(zip(tape.gradient(scaled, weights), weights, strict=True))
        return network.compute_metrics(batch.inputs, batch.labels, outputs)

    return train_step


def _separated(data: tuple[Mapping[str, Any], Any]) -> BatchPart:
    """Return a batch of ``fit``, the network's inputs apart from what is the objective's."""
    every, labels, *_ = data
    other = (PREFIX, EXAMPLE)
    inputs = {name: values for name, values in every.items() if not name.startswith(other)}
    own = {
        name.removeprefix(PREFIX): values
        for name, values in every.items()
        if name.startswith(PREFIX) and name != NUMBER
    }
    examples = {name: every.get(f"{EXAMPLE}{name}") for name in ("weights", "soft_labels")}
    return BatchPart(inputs, labels, own, every.get(NUMBER, 0), **examples)


def _micro_batched_step(micro_batches: int, objective: StepObjective | None) -> Any:
    import tensorflow as tf

    compute = objective or Supervised()
    names = () if objective is None else objective.parts

    def train_step(network: Any, data: tuple[Mapping[str, Any], Any]) -> Any:
        batch = _separated(data)
        labels = batch.labels
        symbolic = getattr(network, "output", None)  # a subclassed model has none
        rows = tf.shape(labels)[0]
        weights = network.trainable_weights
        total = _loss_denominator(labels)

        def add_slice(index: Any, sums: list[Any], values: Any, outputs: Any) -> tuple[Any, ...]:
            first = index * rows // micro_batches
            last = (index + 1) * rows // micro_batches
            # an empty slice is one row of weight 0: there is no mean of no rows
            start = tf.minimum(first, rows - 1)
            stop = tf.maximum(last, start + 1)
            part = batch.slice(start, stop, index)
            with tf.GradientTape(persistent=objective is not None) as tape:
                loss, predicted, parts = compute(network, tape, part)
                fraction = tf.where(last > first, _loss_denominator(part.labels) / total, 0.0)
                loss *= tf.cast(fraction, loss.dtype)
                scaled = network.optimizer.scale_loss(loss)
            gradients = tape.gradient(scaled, weights)
            added = [
                so_far if gradient is None else so_far + tf.convert_to_tensor(gradient)
                for so_far, gradient in zip(sums, gradients, strict=True)
            ]
            new = [loss, *(parts[name] * tf.cast(fraction, parts[name].dtype) for name in names)]
            values = [old + tf.cast(each, "float32") for old, each in zip(values, new, strict=True)]
            return index + 1, added, values, outputs.write(index, predicted[: last - first])

        zeros = [tf.zeros(weight.shape, weight.dtype) for weight in weights]
        dtype = getattr(symbolic, "dtype", "float32")
        array = tf.TensorArray(dtype, micro_batches, infer_shape=False)
        _, gradients, (loss, *values), outputs = tf.while_loop(
            lambda index, *_: index < micro_batches,
            add_slice,
            (0, zeros, [0.0] * (1 + len(names)), array),
            parallel_iterations=1,  # one slice in memory at a time
        )
        network._loss_tracker.update_state(loss, sample_weight=rows)
        _update_parts(network, dict(zip(names, values, strict=True)), rows)
        network.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        predicted = outputs.concat()
        if symbolic is not None:
            predicted.set_shape(symbolic.shape)  # which a TensorArray does not keep
        return network.compute_metrics(batch.inputs, labels, predicted)

    return train_step


class Supervised:
    """The loss of one forward pass, of weighted examples and soft labels too."""

    parts: Sequence[str] = ()

    def __call__(
        self, network: Any, tape: Any, batch: BatchPart
    ) -> tuple[Any, Any, Mapping[str, Any]]:
        """Return the loss, the outputs and no parts; a :class:`StepObjective`."""
        outputs = network(batch.inputs, training=True)
        loss = network._compute_loss(
            x=batch.inputs,
            y=batch.targets,
            y_pred=outputs,
            sample_weight=loss_weights(batch.weights),
            training=True,
        )
        return loss, outputs, {}


def _loss_denominator(labels: Any) -> Any:
    """Return what a mean loss divides by: the examples, or of class indices those from 0 up."""
    import tensorflow as tf

    if labels.dtype.is_integer:
        known = tf.reduce_sum(tf.cast(labels >= 0, "float32"))
        return tf.maximum(known, 1e-12)
    return tf.cast(tf.shape(labels)[0], "float32")
