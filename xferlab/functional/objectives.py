"""What objectives share: divergences of predictions, means over labelled examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xferlab.contracts import OutputKind, TaskSpec

SMALLEST = 1e-7
"""Probabilities are at least this much away from 0 and 1 where a logarithm is taken."""


def weighted_mean(values: Any, example_weights: Any = None) -> Any:
    """Return the mean of one value an example, each multiplied by its weight if there are any."""
    from keras import ops

    return ops.mean(values if example_weights is None else values * example_weights)


def mean_over_labelled(labels: Any, values: Any, example_weights: Any = None) -> Any:
    """Return the mean of one value an example; of class indices those below 0 are left out.

    Args:
        labels: of the batch.
        values: (batch,), or (batch, length) of tags.
        example_weights: multiply the values, (batch,); None for none.
    """
    from keras import ops

    if example_weights is not None:
        missing = len(values.shape) - 1
        values = values * ops.reshape(example_weights, (-1, *(1,) * missing))
    if "int" not in str(labels.dtype):
        return ops.mean(values)
    known = ops.cast(labels >= 0, values.dtype)
    return ops.sum(known * values) / ops.maximum(ops.sum(known), 1e-12)


def divergence_of(spec: TaskSpec, temperature: float = 1.0) -> Callable[[Any, Any], Any]:
    """Return the divergence of predictions from others, for a task's outputs.

    It is a function of the outputs that are the target and of others, both (..., num_outputs), to
    float32 (...): the Kullback-Leibler divergence of the classes' distributions, summed over the
    labels where an example can have several; for values the squared difference.

    Args:
        spec: the task, with the model's output kind.
        temperature: divides logits (Hinton et al. 2015); of probabilities their logarithms.
    """
    if spec.output_kind is OutputKind.values:
        return _squared_difference
    if spec.task.is_exclusive:
        return _between_classes(spec.output_kind, temperature)
    return _between_labels(spec.output_kind, temperature)


def _squared_difference(target: Any, outputs: Any) -> Any:
    from keras import ops

    return ops.sum(ops.square(_wide(outputs) - _wide(target)), axis=-1)


def _between_classes(kind: OutputKind, temperature: float) -> Callable[[Any, Any], Any]:
    from keras import ops

    def log_probabilities(outputs: Any) -> Any:
        outputs = _wide(outputs)
        if kind is OutputKind.probabilities:
            outputs = ops.log(ops.maximum(outputs, SMALLEST))
        return ops.log_softmax(outputs / temperature, axis=-1)

    def divergence(target: Any, outputs: Any) -> Any:
        wanted = log_probabilities(target)
        return ops.sum(ops.exp(wanted) * (wanted - log_probabilities(outputs)), axis=-1)

    return divergence


def _between_labels(kind: OutputKind, temperature: float) -> Callable[[Any, Any], Any]:
    from keras import ops

    def logits_of(outputs: Any) -> Any:
        outputs = _wide(outputs)
        if kind is OutputKind.probabilities:
            outputs = ops.clip(outputs, SMALLEST, 1 - SMALLEST)
            outputs = ops.log(outputs) - ops.log(1 - outputs)
        return outputs / temperature

    def divergence(target: Any, outputs: Any) -> Any:
        wanted = logits_of(target)
        found = logits_of(outputs)
        present = ops.sigmoid(wanted)
        if_present = ops.log_sigmoid(wanted) - ops.log_sigmoid(found)
        if_absent = ops.log_sigmoid(-wanted) - ops.log_sigmoid(-found)
        return ops.sum(present * if_present + (1 - present) * if_absent, axis=-1)

    return divergence


def contrastive_loss(vectors: Any, labels: Any, temperature: float) -> Any:
    """Return the supervised contrastive loss (Khosla et al. 2020, equation 2) of one batch.

    Args:
        vectors: (batch, width); scaled to length 1 here.
        labels: the class of each.
        temperature: divides the cosines.

    Returns:
        The mean over the vectors that share their class with another one; 0 if none does.
    """
    from keras import ops

    vectors = _wide(vectors)
    squares = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    vectors = vectors * ops.rsqrt(ops.maximum(squares, 1e-24))
    cosines = ops.matmul(vectors, ops.transpose(vectors)) / temperature
    itself = ops.eye(ops.shape(vectors)[0], dtype="float32")
    log_probabilities = ops.log_softmax(cosines - 1e9 * itself, axis=-1)
    is_same = ops.cast(labels[:, None] == labels[None, :], "float32") * (1 - itself)
    count = ops.sum(is_same, axis=-1)
    each = -ops.sum(is_same * log_probabilities, axis=-1) / ops.maximum(count, 1.0)
    has_other = ops.cast(count > 0, "float32")
    return ops.sum(has_other * each) / ops.maximum(ops.sum(has_other), 1.0)


def _wide(outputs: Any) -> Any:
    from keras import ops

    return ops.cast(ops.convert_to_tensor(outputs), "float32")
