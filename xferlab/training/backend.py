"""TensorFlow and Keras, made ready for one run: imported quietly, emptied, seeded."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from xferlab.config.schema import TrainConfig
from xferlab.errors import RunError


def prepare_backend(train: TrainConfig, seed: int) -> None:
    """Import TensorFlow, clear what an earlier run of this process left, seed everything."""
    import_backend()
    import keras
    import tensorflow as tf

    keras.backend.clear_session()
    keras.config.set_dtype_policy(train.precision.value)
    keras.utils.set_random_seed(seed)
    if train.deterministic:
        tf.config.experimental.enable_op_determinism()


def import_backend() -> None:
    """Import TensorFlow, Keras and keras-hub without their greetings.

    Raises:
        RunError: the environment asks Keras for another backend.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if os.environ["KERAS_BACKEND"] != "tensorflow":
        raise RunError(
            f"Keras is asked to run on {os.environ['KERAS_BACKEND']}",
            where="KERAS_BACKEND",
            fix="unset it, or set it to tensorflow",
        )
    with quiet_stderr():
        import keras
        import keras_hub
        import tensorflow  # noqa: F401 - named so that its libraries load in here

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
