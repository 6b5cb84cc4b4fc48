"""Datasets and compiled graphs: what ``fit`` reads, and the forward pass of whole splits."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from xferlab.backend.process import intra_op_threads

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")
AT_ONCE = 2
"""Batches that are computed at once: one has work for the cores that the other leaves idle."""
LARGE = 16_384
"""Tokens of a batch that is computed alone: two have the memory of two."""
TOKEN_INPUTS = ("token_ids", "segment_ids", "padding_mask")
"""Inputs of every network, int32 (batch, length)."""


def batch_dataset(
    batch_of: Callable[[int], tuple[dict[str, Any], Any]],
    count: int,
    network: Any,
    names: Iterable[str],
) -> Any:
    """Return a ``tf.data.Dataset`` of ``(inputs, labels)``, made one after another.

    ``Dataset.from_generator`` gives the same and takes twice the time: 0.5 ms a batch.

    Args:
        batch_of: returns a batch by its number.
        count: batches, numbered from 0.
        network: the model that reads the inputs.
        names: of its inputs; others are arrays of the examples, or single numbers.
    """
    import tensorflow as tf

    inputs, labels = batch_of(0)
    is_by_token = labels.dtype.kind == "i" and labels.ndim == 2  # of another length each batch
    shape = (None, None) if is_by_token else (None, *labels.shape[1:])
    specs = _input_specs(network, names)
    for name in inputs.keys() - specs.keys():  # the objective's own
        own = inputs[name]
        specs[name] = tf.TensorSpec(own.shape and (None, *own.shape[1:]), own.dtype)
    signature = [*specs.values(), tf.TensorSpec(shape, labels.dtype)]

    def flat_batch(number: Any) -> list[np.ndarray]:
        inputs, labels = batch_of(int(number))
        values = [*(inputs[name] for name in specs), labels]
        return [_array_of(value, spec) for value, spec in zip(values, signature, strict=True)]

    def element(number: Any) -> tuple[dict[str, Any], Any]:
        values = tf.numpy_function(flat_batch, [number], [spec.dtype for spec in signature])
        for value, spec in zip(values, signature, strict=True):
            value.set_shape(spec.shape)
        return dict(zip(specs, values, strict=False)), values[-1]

    dataset = tf.data.Dataset.range(count).map(element).prefetch(2)
    options = tf.data.Options()
    options.autotune.enabled = False  # its thread may keep an iterator that ends for a minute
    return dataset.with_options(options)


def _array_of(value: Any, spec: Any) -> np.ndarray:
    """Return a value as the array that a spec describes."""
    import numpy as np

    array = np.asarray(value, spec.dtype.as_numpy_dtype)
    if not spec.shape.is_compatible_with(array.shape):
        raise ValueError(f"a batch has an array of shape {array.shape}, not {spec.shape}")
    return array


def compile_forward(network: Any, names: Iterable[str]) -> Callable[[Mapping[str, Any]], Any]:
    """Return the network without dropout as one graph for every shape of batch.

    A graph made for one shape computes in another order, which shows in half precision: then the
    outputs would depend on what was computed before.
    """
    import tensorflow as tf

    specs = _input_specs(network, names)
    graph = tf.function(lambda inputs: network(inputs, training=False), input_signature=[specs])
    concrete = cache(graph.get_concrete_function)  # TensorFlow warns of repeated graphs of a line

    def forward(inputs: Mapping[str, Any]) -> Any:
        return concrete()({name: tf.constant(inputs[name]) for name in specs})

    return forward


def compute_batches(
    forward: Callable[[Mapping[str, Any]], Any], batches: Iterable[tuple[T, Mapping[str, Any]]]
) -> Iterator[tuple[T, np.ndarray]]:
    """Yield what belongs to each batch, and its outputs in float32, in the order of the batches.

    Two batches are computed at once, each as it would be alone: the outputs are the same bits. A
    large one is computed alone, for its memory; a process that is limited to one thread computes
    one.

    Args:
        forward: of :func:`compile_forward`.
        batches: what belongs to a batch, and its inputs by name.
    """
    import numpy as np

    def compute(inputs: Mapping[str, Any]) -> np.ndarray:
        return np.asarray(forward(inputs), dtype="float32")

    remaining = iter(batches)
    first = None if intra_op_threads() == 1 else 1  # the first one traces the graph
    for owner, inputs in itertools.islice(remaining, first):
        yield owner, compute(inputs)
    pending: deque[tuple[T, Future[np.ndarray]]] = deque()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for owner, inputs in remaining:
            is_large = _tokens(inputs) > LARGE
            while pending and (is_large or len(pending) > AT_ONCE):
                earlier, future = pending.popleft()
                yield earlier, future.result()
            pending.append((owner, pool.submit(compute, inputs)))
            if is_large:
                pending[0][1].exception()  # waits until it is computed
        for owner, future in pending:
            yield owner, future.result()


def _tokens(inputs: Mapping[str, Any]) -> int:
    """Return the cells of a batch, padding included."""
    return max((math.prod(values.shape[:2]) for values in inputs.values()), default=0)


def _input_specs(network: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return the spec of each input: int32 (batch, length) for tokens, else float32.

    Keras casts an input to what the network declares, which is half precision in a part of one.
    """
    import tensorflow as tf

    return {
        name: tf.TensorSpec((None, None), "int32")
        if name in TOKEN_INPUTS
        else tf.TensorSpec(network.input[name].shape, "float32")
        for name in names
    }


def evaluate_schedule(schedule: Callable[[Any], Any], steps: int) -> np.ndarray:
    """Return the value of a Keras schedule at each step, float32 (steps,)."""
    import tensorflow as tf

    value = tf.function(lambda step: tf.cast(schedule(step), tf.float32))
    numbers = tf.range(steps, dtype=tf.int64)
    return tf.map_fn(value, numbers, fn_output_signature=tf.float32).numpy()
