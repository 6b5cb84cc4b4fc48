"""The network as one function of a tokenizer's arrays, for the formats that hold a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from xferlab.contracts import OutputKind, Processed, TaskSpec
from xferlab.postprocessing.steps import Postprocessor

if TYPE_CHECKING:
    import numpy as np

Predictor: TypeAlias = "Callable[[Mapping[str, np.ndarray]], np.ndarray | dict[str, np.ndarray]]"
"""What an exported network computes: int32 inputs (batch, length), by name, to probabilities or
a regression's values, float32 (batch, outputs), per token (batch, length, outputs). Or all outputs
of a graph by name, as :func:`serving_function` has them."""

TOKENIZER_NAMES = {
    "token_ids": "input_ids",
    "padding_mask": "attention_mask",
    "segment_ids": "token_type_ids",
}
"""What transformers' tokenizers call the inputs of our networks."""


def result_name(spec: TaskSpec) -> str:
    """Return the name of the output that answers: ``probabilities``, or a regression's ``values``.

    >>> result_name(TaskSpec(Task.regression, (), 1, 8, output_kind=OutputKind.values))
    'values'
    """
    return "values" if spec.output_kind is OutputKind.values else "probabilities"


def serving_function(
    network: Any, spec: TaskSpec, dtype: str, postprocessor: Postprocessor | None = None
) -> tuple[Any, dict[str, Any]]:
    """Return a traceable function and the signature of its inputs.

    The function takes a dict of arrays by the names that transformers' tokenizers use, each
    ``dtype`` (batch, length), both axes free. It returns a dict: ``logits`` and ``probabilities``,
    float32 (batch, classes), for tagging (batch, length, classes); for regression ``values``,
    float32 (batch, 1). They are those after a postprocess, which may add ``predicted``, bool
    (batch, classes), ``set``, likewise, and ``interval``, float32 (batch, 2).

    Args:
        network: functional ``keras.Model`` with inputs by name.
        spec: the task, and what the network emits.
        dtype: of the inputs, ``int32`` or ``int64``.
        postprocessor: is applied in the graph.
    """
    import tensorflow as tf

    names = {TOKENIZER_NAMES[name]: name for name in network.input}
    signature = {theirs: tf.TensorSpec((None, None), dtype, name=theirs) for theirs in names}

    def serve(inputs: Mapping[str, Any]) -> dict[str, Any]:
        ours = {name: tf.cast(inputs[theirs], "int32") for theirs, name in names.items()}
        return named_outputs(network, spec, ours, postprocessor)

    return serve, signature


def named_outputs(
    network: Any, spec: TaskSpec, inputs: Mapping[str, Any], postprocessor: Postprocessor | None
) -> dict[str, Any]:
    """Return the outputs of a graph by name, see :func:`serving_function`."""
    import tensorflow as tf
    from keras import ops

    outputs = tf.cast(network(inputs, training=False), "float32")
    done = Processed(outputs)
    if postprocessor is not None:
        done = postprocessor(outputs, ops)
        outputs = done.outputs
    more = _more_outputs(done, spec)
    if spec.output_kind is not OutputKind.logits:
        return {result_name(spec): outputs, **more}
    is_exclusive = spec.task.is_exclusive
    probabilities = tf.nn.softmax(outputs) if is_exclusive else tf.sigmoid(outputs)
    return {"logits": outputs, "probabilities": probabilities, **more}


def _more_outputs(done: Processed, spec: TaskSpec) -> dict[str, Any]:
    """Return what a postprocess adds to the outputs of a graph."""
    more = {}
    if done.decisive is not None and spec.task.has_classes:
        more["predicted"] = predicted_classes(done.decisive, spec)
    if done.included is not None:
        more["set"] = done.included
    if done.interval is not None:
        more["interval"] = done.interval
    return more


def predicted_classes(decisive: Any, spec: TaskSpec) -> Any:
    """Return which classes are predicted, bool like ``decisive``: tensors or arrays."""
    if not spec.task.is_exclusive:
        return decisive > (0.0 if spec.output_kind is OutputKind.logits else 0.5)
    from keras import ops

    return decisive >= ops.max(decisive, axis=-1, keepdims=True)


def tokenizer_arrays(inputs: Mapping[str, np.ndarray], dtype: str) -> dict[str, np.ndarray]:
    """Return our arrays by the tokenizer's names, as :func:`serving_function` takes them."""
    return {TOKENIZER_NAMES[name]: value.astype(dtype) for name, value in inputs.items()}
