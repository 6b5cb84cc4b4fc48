"""Weights of a network in one safetensors file: no code in it, read and written whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xferlab.errors import XferlabError
from xferlab.files import replace_whole


def save_weights(network: Any, path: Path) -> None:
    """Write every weight of a ``keras.Model``, named by position and variable path."""
    import numpy as np
    from keras import ops
    from safetensors.numpy import save_file

    arrays = {
        name: np.ascontiguousarray(ops.convert_to_numpy(variable))
        for name, variable in _named(network).items()
    }
    replace_whole(path, lambda temporary: save_file(arrays, temporary))


def load_weights(network: Any, path: Path) -> None:
    """Assign the weights that :func:`save_weights` wrote; the network must be the same one."""
    from safetensors.numpy import load_file

    arrays, variables = load_file(path), _named(network)
    if arrays.keys() != variables.keys():
        odd = sorted(arrays.keys() ^ variables.keys())[0]
        raise XferlabError(
            f"these weights are of another network: '{odd}' is only in one of the two",
            where=str(path),
            fix="use the config of the run that wrote them",
        )
    for name, variable in variables.items():
        variable.assign(arrays[name])


def _named(network: Any) -> dict[str, Any]:
    """Return variables by position and path; Keras numbers unnamed layers differently each time."""
    return {f"{i:04d} {v.path}": v for i, v in enumerate(network.weights)}
