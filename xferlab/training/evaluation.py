"""A network's outputs over a whole split, in the order of its rows, and their scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from xferlab.contracts import Encoding
from xferlab.text.batches import batch_arrays, evaluation_batches

if TYPE_CHECKING:
    import numpy as np


class Forward:
    """The network without dropout, as one graph for every shape of batch.

    A graph made for one shape computes in another order, which shows in half precision: then the
    outputs would depend on what was asked before.
    """

    def __init__(self, network: Any, pad_id: int, batch_size: int) -> None:
        import tensorflow as tf

        self.names = input_names(network)
        self._pad_id, self._batch_size = pad_id, batch_size
        self._call = tf.function(
            lambda inputs: network(inputs, training=False),
            input_signature=[inputs_of_any_shape(self.names)],
        )

    def batches(
        self, encoding: Encoding, labels: Any
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield row numbers, labels and float32 outputs of each batch, long rows first."""
        import numpy as np

        for batch in evaluation_batches(encoding, self._batch_size):
            inputs, y = batch_arrays(encoding, labels, batch, self._pad_id)
            out = self._call({name: inputs[name] for name in self.names})
            yield batch.rows, y, np.asarray(out, dtype="float32")

    def __call__(self, encoding: Encoding, labels: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return labels and float32 outputs, one row each, in the order of the rows.

        Where there is a length axis (tagging) both are padded to the longest batch: labels with
        -1, outputs with 0.
        """
        import numpy as np

        parts = list(self.batches(encoding, labels))
        rows, wanted, found = ([part[i] for part in parts] for i in range(3))
        order = np.argsort(np.concatenate(rows), kind="stable")
        if found[0].ndim == 3:
            longest = max(part.shape[1] for part in found)
            found = [_padded(part, longest, 0) for part in found]
            wanted = [_padded(part, longest, -1) for part in wanted]
        return np.concatenate(wanted)[order], np.concatenate(found)[order]


def _padded(part: np.ndarray, length: int, value: int) -> np.ndarray:
    """Return ``part`` with its second axis filled up to ``length``."""
    import numpy as np

    widths = [(0, 0)] * part.ndim
    widths[1] = (0, length - part.shape[1])
    return np.pad(part, widths, constant_values=value)


def input_names(network: Any) -> list[str]:
    """Return the names of the inputs that a network reads."""
    from keras import Model

    every = ["token_ids", "segment_ids", "padding_mask"]
    if isinstance(network, Model) and isinstance(getattr(network, "_inputs_struct", None), dict):
        return [name for name in every if name in network._inputs_struct]
    return every


def inputs_of_any_shape(names: Iterable[str]) -> dict[str, Any]:
    """Return the ``tf.TensorSpec`` of each input: int32 (batch, length), any of both."""
    import tensorflow as tf

    return {name: tf.TensorSpec((None, None), "int32") for name in names}


def scores(
    loss: Callable[[Any, Any], Any],
    metrics: Mapping[str, Any],
    labels: np.ndarray,
    outputs: np.ndarray,
) -> dict[str, float]:
    """Return the loss and every metric of a whole split.

    Args:
        loss: Keras loss.
        metrics: by logged name, a ``keras.metrics.Metric`` or a function of (labels, outputs).
        labels: as the task's label kind says, (rows, ...).
        outputs: float32 (rows, num_outputs), for tagging (rows, length, num_outputs).
    """
    values = {"loss": float(loss(labels, outputs))}
    for name, metric in metrics.items():
        if hasattr(metric, "update_state"):
            metric.reset_state()
            metric.update_state(labels, outputs)
            values[name] = float(metric.result())
        else:
            values[name] = float(metric(labels, outputs))
    return values
