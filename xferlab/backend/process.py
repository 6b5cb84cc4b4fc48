"""Starts TensorFlow and Keras; seeds, reads and restores every generator."""

from __future__ import annotations

import gc
import os
import random
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from xferlab.errors import RunError

if TYPE_CHECKING:
    pass


def prepare_backend(seed: int, precision: str, deterministic: bool) -> None:
    """Import TensorFlow, clear what an earlier run of this process left, seed all generators.

    Args:
        seed: of Python, NumPy, Keras and TensorFlow.
        precision: name of a Keras dtype policy.
        deterministic: only kernels that give the same bits each time.
    """
    import_backend()
    import keras
    import tensorflow as tf

    keras.backend.clear_session()
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()


def import_backend() -> None:
    """Import TensorFlow and Keras without their start-up messages.

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
        import tensorflow  # noqa: F401 - so that its libraries load here

    if is_first:
        gc.freeze()  # a million objects that stay: collections of garbage pass over them
    assert keras.backend.backend() == "tensorflow"


@contextmanager
def kept_settings() -> Iterator[None]:
    """Restore Keras's precision and TensorFlow's determinism after the body."""
    before: Any = "float32"
    is_deterministic = False
    if "tensorflow" in sys.modules:
        import keras

        before = keras.config.dtype_policy()
        is_deterministic = _is_deterministic()
    try:
        yield
    finally:
        _restore_settings(before, is_deterministic)


def _restore_settings(policy: Any, is_deterministic: bool) -> None:
    if "tensorflow" not in sys.modules:
        return
    import keras
    from tensorflow.python.framework import config

    keras.config.set_dtype_policy(policy)
    if _is_deterministic() and not is_deterministic:
        config.disable_op_determinism()


def _is_deterministic() -> bool:
    """Return whether TensorFlow's deterministic kernels are on; it has no public name."""
    from tensorflow.python.framework import config

    return bool(config.is_op_determinism_enabled())


@contextmanager
def kept_generators() -> Iterator[None]:
    """Restore the generators of Python and NumPy after the body."""
    import numpy as np

    python_state = random.getstate()
    numpy_state = np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


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
    version, python_state, gauss = state["python"]
    python = (version, tuple(python_state), gauss)
    set_generator_states({**state, "python": python, "numpy": tuple(state["numpy"])})


def generator_states() -> dict[str, Any]:
    """Return the states of Python's, NumPy's and Keras's own generator, and change none of them.

    Keras's is None where it does not exist yet: its seed is a number of Python's.
    """
    import numpy as np
    from keras.src.backend.common.global_state import get_global_attribute
    from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR

    keras_generator = get_global_attribute(GLOBAL_SEED_GENERATOR)
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "keras": None if keras_generator is None else keras_generator.state.numpy(),
    }


def set_generator_states(states: Mapping[str, Any]) -> None:
    """Set the generators to what :func:`generator_states` returned, after a new start."""
    import numpy as np

    if states["keras"] is not None:
        _keras_generator().state.assign(states["keras"])
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])


def _keras_generator() -> Any:
    """Return the generator of ``keras.random`` where no seed is given; it has no public name."""
    from keras.src.random.seed_generator import global_seed_generator

    return global_seed_generator()
