"""The one module that imports TensorFlow: start-up, datasets, graphs, gradients, event files.

Everything else uses Keras 3 and NumPy. Export formats of TensorFlow import it for themselves.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any, cast

from xferlab.config.schema import TrainConfig
from xferlab.errors import RunError

if TYPE_CHECKING:
    import numpy as np


def prepare_backend(train: TrainConfig, seed: int) -> None:
    """Import TensorFlow, clear what an earlier run of this process left, seed all generators."""
    import_backend()
    import keras
    import tensorflow as tf

    keras.backend.clear_session()
    keras.config.set_dtype_policy(train.precision.value)
    keras.utils.set_random_seed(seed)
    if train.deterministic:
        tf.config.experimental.enable_op_determinism()


def import_backend() -> None:
    """Import TensorFlow, Keras and keras-hub without their start-up messages.

    Raises:
        RunError: the environment selects another Keras backend.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if os.environ["KERAS_BACKEND"] != "tensorflow":
        raise RunError(
            f"the Keras backend is {os.environ['KERAS_BACKEND']}, and xferlab needs tensorflow",
            where="KERAS_BACKEND",
            fix="unset it, or set it to tensorflow",
        )
    is_first = "tensorflow" not in sys.modules
    with quiet_stderr():
        import keras
        import keras_hub
        import tensorflow  # noqa: F401 - so that its libraries load here

    if is_first:
        gc.freeze()  # a million objects that stay: collections of garbage pass over them
    assert keras.backend.backend() == "tensorflow"
    assert keras_hub.__version__


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what C++ libraries write to file descriptor 2; show it if the body fails."""
    sys.stderr.flush()
    real = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(real, held.read())
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)


def intra_op_threads() -> int:
    """Return how many threads one operation may use; 0 lets TensorFlow choose."""
    import tensorflow as tf

    return int(tf.config.threading.get_intra_op_parallelism_threads())


def random_state() -> dict[str, Any]:
    """Return the state of Python's, NumPy's and Keras's own generator, as JSON data.

    The generators of a network's layers are among its variables. TensorFlow's stateful ops, which
    Keras does not use, have a state that cannot be read.
    """
    import numpy as np

    version, state, gauss = random.getstate()
    name, keys, place, has_gauss, cached = cast("tuple[Any, ...]", np.random.get_state())
    return {
        "python": [version, list(state), gauss],
        "numpy": [name, keys.tolist(), place, has_gauss, cached],
        "keras": _keras_generator().state.numpy().tolist(),
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Set every generator to a state that :func:`random_state` returned."""
    import numpy as np

    _keras_generator().state.assign(state["keras"])
    version, python_state, gauss = state["python"]
    random.setstate((version, tuple(python_state), gauss))
    np.random.set_state(tuple(state["numpy"]))


def _keras_generator() -> Any:
    """Return the generator of ``keras.random`` where no seed is given; it has no public name."""
    from keras.src.random.seed_generator import global_seed_generator

    return global_seed_generator()


def batch_dataset(
    batches: Callable[[], Iterator[tuple[dict[str, Any], Any]]], names: Iterable[str]
) -> Any:
    """Return a ``tf.data.Dataset`` of the ``(inputs, labels)`` that a generator yields.

    Args:
        batches: returns a generator; inputs are int32 (batch, length).
        names: of the inputs.
    """
    import tensorflow as tf

    _, labels = next(batches())
    is_by_token = labels.dtype.kind == "i" and labels.ndim == 2  # of another length each batch
    shape = (None, None) if is_by_token else (None, *labels.shape[1:])
    signature = (_input_specs(names), tf.TensorSpec(shape, labels.dtype))
    return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(2)


def compile_forward(network: Any, names: Iterable[str]) -> Callable[[Mapping[str, Any]], Any]:
    """Return the network without dropout as one graph for every shape of batch.

    A graph made for one shape computes in another order, which shows in half precision: then the
    outputs would depend on what was computed before.
    """
    import tensorflow as tf

    return tf.function(
        lambda inputs: network(inputs, training=False), input_signature=[_input_specs(names)]
    )


def _input_specs(names: Iterable[str]) -> dict[str, Any]:
    """Return the spec of each input: int32 (batch, length), any of both."""
    import tensorflow as tf

    return {name: tf.TensorSpec((None, None), "int32") for name in names}


def evaluate_schedule(schedule: Callable[[Any], Any], steps: int) -> np.ndarray:
    """Return the value of a Keras schedule at each step, float32 (steps,)."""
    import tensorflow as tf

    value = tf.function(lambda step: tf.cast(schedule(step), tf.float32))
    numbers = tf.range(steps, dtype=tf.int64)
    return tf.map_fn(value, numbers, fn_output_signature=tf.float32).numpy()


def dense_gradients(gradients: Sequence[Any]) -> list[Any]:
    """Return gradients with those of embeddings summed over repeated tokens."""
    import tensorflow as tf

    return [None if each is None else tf.convert_to_tensor(each) for each in gradients]


def output_gradient(
    loss: Callable[[Any, Any], Any], labels: Any, outputs: Any
) -> np.ndarray | None:
    """Return the gradient of a loss with respect to the outputs, or None if it has none."""
    import numpy as np
    import tensorflow as tf

    outputs = tf.convert_to_tensor(outputs)
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        value = loss(labels, outputs)
    gradient = tape.gradient(value, outputs) if tf.is_tensor(value) else None
    return None if gradient is None else np.asarray(gradient)


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


class EventWriter:
    """A TensorBoard event file.

    Args:
        folder: where the file is written.
    """

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf

        self._summary = tf.summary
        self._writer = tf.summary.create_file_writer(str(folder))

    def scalar(self, name: str, value: float, step: int = 0) -> None:
        """Write one number."""
        with self._writer.as_default():
            self._summary.scalar(name, value, step=step)

    def text(self, name: str, markdown: str, step: int = 0) -> None:
        """Write a text, which TensorBoard renders as Markdown."""
        with self._writer.as_default():
            self._summary.text(name, markdown, step=step)

    def image(self, name: str, png: bytes, step: int = 0) -> None:
        """Write an image from the bytes of a PNG file."""
        import tensorflow as tf

        with self._writer.as_default():
            self._summary.image(name, tf.io.decode_png(png, channels=3)[tf.newaxis], step=step)

    def hparams(self, settings: Mapping[str, Any], trial_id: str) -> None:
        """Write a run's row of the HParams page."""
        from tensorboard.plugins.hparams import api

        with self._writer.as_default():
            api.hparams(dict(settings), trial_id=trial_id)

    def flush(self) -> None:
        """Write everything so far to the file."""
        self._writer.flush()

    def close(self) -> None:
        """Write everything and close the file."""
        self._writer.close()


def indented(text: str) -> str:
    """Return a text as a Markdown code block."""
    return "\n".join(f"    {line}" for line in text.splitlines())
