"""What an objective computes with: one batch inside the gradient tape of the training step."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from xferlab.backend.optimizer_kernels import tensorflow_variable
from xferlab.step_contracts import Needs

PREFIX = "objective/"
"""Begins the names of what a batch holds for the objective, beside the network's inputs."""
EXAMPLE = "example/"
"""Begins the names of what a batch holds of its examples beside inputs and labels."""
NUMBER = f"{PREFIX}number"
"""Number of the batch in the run, from 0."""
CALLS = 16
"""Apart by so much are the seeds of two calls; some functions of Keras take a few in a row."""


@dataclass(frozen=True)
class NetworkParts:
    """A network cut at its token embeddings and below its last layer; shares its layers.

    Attributes:
        embed: from the network's inputs to the token embeddings.
        above_embeddings: from them, under the name ``embedded``, and the other inputs to outputs.
        pool: from the network's inputs to the vectors that the last layer reads.
        above_pooled: from them, under the name ``pooled``, and the other inputs to the outputs.
    """

    embed: Any = None
    above_embeddings: Any = None
    pool: Any = None
    above_pooled: Any = None


@dataclass(frozen=True)
class BatchPart:
    """A training batch, or a slice of it.

    Attributes:
        inputs: of the network by name.
        labels: of the examples.
        arrays: the objective's own, the rows of these examples.
        number: of the batch in the run, from 0.
        index: of the slice, from 0.
        weights: of the examples in the loss, float32 (batch,), of mean 1 over the training split;
            None where all count the same.
        soft_labels: float32 (batch, classes), which the loss takes instead of ``labels``.
    """

    inputs: Mapping[str, Any]
    labels: Any
    arrays: Mapping[str, Any]
    number: Any = 0
    index: Any = 0
    weights: Any = None
    soft_labels: Any = None

    def slice(self, start: Any, stop: Any, index: Any) -> BatchPart:
        """Return the examples from ``start`` to before ``stop`` as slice number ``index``."""

        def cut(values: Any) -> Any:
            return None if values is None else values[start:stop]

        return replace(
            self,
            inputs={name: cut(values) for name, values in self.inputs.items()},
            labels=cut(self.labels),
            arrays={name: cut(values) for name, values in self.arrays.items()},
            index=index,
            weights=cut(self.weights),
            soft_labels=cut(self.soft_labels),
        )

    @property
    def targets(self) -> Any:
        """What the loss compares outputs with."""
        return self.labels if self.soft_labels is None else self.soft_labels


def loss_weights(weights: Any) -> Any:
    """Return weights of examples as a Keras loss takes them, for values of any shape."""
    return None if weights is None else weights[:, None]


class ObjectiveStep:
    """One batch or a slice of it, see ``step_contracts.TrainingStep``.

    Args:
        network: what the phase trains.
        parts: of it.
        needs: what the objective declares.
        tape: persistent, recording.
        inputs: tensors of the network by name.
        labels: of the batch; soft ones where the examples have them.
        arrays: the objective's own.
        example_weights: of the examples, or None.
        seed: a Keras seed generator.
        progress: fraction of the run's batches before this one.
        loss: of labels, outputs and weights of the examples, None for none.
        scale_loss: the optimizer's, against gradients that are too small for half precision; None
            where it has none.
    """

    def __init__(
        self,
        network: Any,
        parts: NetworkParts,
        needs: Needs,
        tape: Any,
        inputs: Mapping[str, Any],
        labels: Any,
        arrays: Mapping[str, Any],
        example_weights: Any,
        seed: Any,
        progress: Any,
        loss: Callable[[Any, Any, Any], Any],
        scale_loss: Callable[[Any], Any] | None,
    ) -> None:
        self.inputs = inputs
        self.labels = labels
        self.arrays = arrays
        self.example_weights = example_weights
        self.seed = seed
        self.progress = progress
        self.weights = list(network.trainable_weights)
        self._network = network
        self._parts = parts
        self._needs = needs
        self._tape = tape
        self._loss = loss
        self._scale_loss = scale_loss

    def forward(self, *, embedded: Any = None, pooled: Any = None) -> Any:
        """Return the outputs, with new dropout masks."""
        if embedded is not None:
            self._require("embeddings")
            return self._above(self._parts.above_embeddings, "embedded", embedded)
        if pooled is not None:
            self._require("pooled")
            return self._above(self._parts.above_pooled, "pooled", pooled)
        return self._network(dict(self.inputs), training=True)

    def _above(self, part: Any, name: str, values: Any) -> Any:
        every = {**self.inputs, name: values}
        return part({each: every[each] for each in part.input}, training=True)

    def embed(self) -> Any:
        """Return the token embeddings (batch, length, width)."""
        self._require("embeddings")
        part = self._parts.embed
        embedded = part({each: self.inputs[each] for each in part.input}, training=True)
        self._tape.watch(embedded)  # a frozen table's vectors are on no tape
        return embedded

    def pool(self) -> Any:
        """Return the vectors that the last layer reads, after dropout."""
        self._require("pooled")
        part = self._parts.pool
        pooled = part({each: self.inputs[each] for each in part.input}, training=True)
        self._tape.watch(pooled)
        return pooled

    def loss(self, outputs: Any, labels: Any = None, example_weights: Any = None) -> Any:
        """Return the run's loss, a scalar."""
        weights = self.example_weights if example_weights is None else example_weights
        return self._loss(self.labels if labels is None else labels, outputs, weights)

    def gradient(self, loss: Any, sources: Sequence[Any]) -> list[Any]:
        """Return the gradient of a scalar: float32, a constant."""
        import tensorflow as tf

        raw = [tensorflow_variable(each) for each in sources]
        scaled = loss if self._scale_loss is None else self._scale_loss(loss)
        with self._tape.stop_recording():
            found = self._tape.gradient(
                scaled, raw, unconnected_gradients=tf.UnconnectedGradients.ZERO
            )
            wide = [tf.cast(tf.convert_to_tensor(each), "float32") for each in found]
            if self._scale_loss is None:
                return wide
            # too large for half precision: the optimizer leaves this step out and lowers the scale
            scale = self._scale_loss(tf.ones((), "float32"))
            return [tf.where(tf.math.is_finite(each), each / scale, 0.0) for each in wide]

    @contextmanager
    def shifted(self, shifts: Sequence[tuple[Any, Any]]) -> Iterator[None]:
        """Compute the block with ``weight + shift``; no weight is assigned."""
        import keras
        import tensorflow as tf

        self._require("shifted_weights")
        values = []
        for variable, shift in shifts:
            value = tf.convert_to_tensor(variable.value)
            values.append((variable, value + tf.stop_gradient(tf.cast(shift, value.dtype))))
        with keras.StatelessScope(state_mapping=values) as scope:
            yield
        for variable in self._network.non_trainable_variables:  # dropout's seeds among them
            value = scope.get_current_value(variable)
            if value is not None:
                variable.assign(value)

    def _require(self, need: str) -> None:
        if not getattr(self._needs, need):
            raise ValueError(f"it does not declare needs = Needs({need}=True)")


def batch_seed(seed: int, number: Any, part: Any) -> Any:
    """Return a Keras seed generator without a state.

    Its numbers depend on the run's seed, the batch, the slice and on how many were taken before.

    Args:
        seed: of the run.
        number: of the batch, a scalar.
        part: the slice's number, a scalar.
    """
    import keras
    import tensorflow as tf

    digest = hashlib.sha256(f"objective {seed}".encode()).digest()
    start = int.from_bytes(digest[:4], "little") % 2**30

    class BatchSeed(keras.random.SeedGenerator):
        def __init__(self) -> None:
            self.calls = 0

        def next(self, ordered: bool = True) -> Any:
            offset = start + CALLS * self.calls
            self.calls += 1
            place = tf.cast(part, "int64") * 65536 + offset
            return tf.stack([tf.cast(number, "int64"), place])

    return BatchSeed()
