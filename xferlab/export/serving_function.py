"""The network as one function of a tokenizer's arrays, for the formats that hold a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from xferlab.contracts import OutputKind, TaskSpec

if TYPE_CHECKING:
    import numpy as np

Predictor: TypeAlias = "Callable[[Mapping[str, np.ndarray]], np.ndarray]"
"""What an exported network computes: int32 inputs (batch, length), by name, to probabilities or
a regression's values, float32 (batch, outputs), per token (batch, length, outputs)."""

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


def serving_function(network: Any, spec: TaskSpec, dtype: str) -> tuple[Any, dict[str, Any]]:
    """Return a traceable function and the signature of its inputs.

    The function takes a dict of arrays by the names that transformers' tokenizers use, each
    ``dtype`` (batch, length), both axes free. It returns a dict: ``logits`` and ``probabilities``,
    float32 (batch, classes), for tagging (batch, length, classes); for regression ``values``,
    float32 (batch, 1).

    Args:
        network: functional ``keras.Model`` with inputs by name.
        spec: the task, and what the network emits.
        dtype: of the inputs, ``int32`` or ``int64``.
    """
    import tensorflow as tf

    names = {TOKENIZER_NAMES[name]: name for name in network.input}
    signature = {theirs: tf.TensorSpec((None, None), dtype, name=theirs) for theirs in names}

    def serve(inputs: Mapping[str, Any]) -> dict[str, Any]:
        ours = {name: tf.cast(inputs[theirs], "int32") for theirs, name in names.items()}
        outputs = tf.cast(network(ours, training=False), "float32")
        if spec.output_kind is not OutputKind.logits:
            return {result_name(spec): outputs}
        is_exclusive = spec.task.is_exclusive
        probabilities = tf.nn.softmax(outputs) if is_exclusive else tf.sigmoid(outputs)
        return {"logits": outputs, "probabilities": probabilities}

    return serve, signature


def tokenizer_arrays(inputs: Mapping[str, np.ndarray], dtype: str) -> dict[str, np.ndarray]:
    """Return our arrays by the tokenizer's names, as :func:`serving_function` takes them."""
    return {TOKENIZER_NAMES[name]: value.astype(dtype) for name, value in inputs.items()}
