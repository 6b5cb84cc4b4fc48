"""The random generators that belong to a process, not to a network: read and set."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, cast


def random_state() -> dict[str, Any]:
    """Return the state of Python's, NumPy's and Keras's own generator, as JSON data.

    Those of a network's layers are among its variables. TensorFlow's stateful ops, which Keras does
    not use, keep theirs out of reach.
    """
    import numpy as np

    version, words, gauss = random.getstate()
    name, keys, place, has_gauss, cached = cast("tuple[Any, ...]", np.random.get_state())
    return {
        "python": [version, list(words), gauss],
        "numpy": [name, keys.tolist(), place, has_gauss, cached],
        "keras": _keras_generator().state.numpy().tolist(),
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Put every generator where it was when :func:`random_state` was called."""
    import numpy as np

    _keras_generator().state.assign(state["keras"])
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    np.random.set_state(tuple(state["numpy"]))


def _keras_generator() -> Any:
    """Return what ``keras.random`` draws from where no seed is given; it has no public name."""
    from keras.src.random.seed_generator import global_seed_generator

    return global_seed_generator()
