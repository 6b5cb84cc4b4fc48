"""Weights of a network in safetensors files: no code in them, read and written whole.

A file has all weights, or leaves those out that are in ``frozen.safetensors`` beside it, see
``runs.frozen_file``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xferlab.errors import ConfigError
from xferlab.io.atomic import atomic_replace
from xferlab.io.tensors import Tensor, read_tensor
from xferlab.runs.frozen_file import DIGEST, FILE, digest_of_frozen, tensors_of
from xferlab.training.split_heads import Shapes, has_split_heads, join_heads

if TYPE_CHECKING:
    import numpy as np


def weight_arrays(network: Any) -> dict[str, np.ndarray]:
    """Return every weight of a ``keras.Model`` as it is now, by position and variable path.

    The arrays do not change and are not to be changed: a training step that follows copies a weight
    before it updates it.
    """
    import numpy as np

    return {
        name: np.asarray(variable.value.read_value()) for name, variable in named(network).items()
    }


def write_weights(arrays: Mapping[str, np.ndarray], path: Path, frozen: str | None = None) -> None:
    """Write what :func:`weight_arrays` returned.

    Args:
        arrays: of all weights, or without those in ``frozen.safetensors``.
        path: of the file, which is replaced whole.
        frozen: SHA-256 of ``frozen.safetensors`` where weights are left out.
    """
    from safetensors.numpy import save_file

    metadata = None if frozen is None else {DIGEST: frozen}
    atomic_replace(path, lambda temporary: save_file(dict(arrays), temporary, metadata))


def frozen_of(path: Path) -> tuple[Path, str] | None:
    """Return the file with the weights that another one leaves out, and its SHA-256; or None.

    Raises:
        ConfigError: the file that leaves them out is not there, or not whole.
    """
    with _damage_reported(path):
        digest = digest_of_frozen(path)
    return None if digest is None else (path.with_name(FILE), digest)


def read_weights_header(path: Path) -> dict[str, Tensor]:
    """Return the place of each weight of a file and of those that it leaves out, by name.

    Raises:
        ConfigError: a file is not there, or not whole.
    """
    frozen = frozen_of(path)
    with _damage_reported(path if frozen is None else frozen[0]):
        return tensors_of(path)


@contextmanager
def _damage_reported(path: Path) -> Iterator[None]:
    """Let errors of the body be those of a file of weights."""
    try:
        yield
        return
    except FileNotFoundError:
        what = f"the weights are not there: {path.name}"
    except (OSError, ValueError) as e:
        what = f"the weights in {path.name} are torn or damaged: {e}"
    raise ConfigError(what, where=str(path), fix="copy the whole run folder again")


def load_weights(network: Any, path: Path) -> None:
    """Assign the weights of a file and those that it leaves out; the network must be the same one.

    Raises:
        ConfigError: a file is damaged, or its names, order or shapes are another network's.
    """
    import numpy as np

    tensors = {_stable(name): each for name, each in read_weights_header(path).items()}
    stored = {name: tensor.shape for name, tensor in tensors.items()}
    variables = {_stable(name): variable for name, variable in named(network).items()}
    wanted = {name: tuple(variable.shape) for name, variable in variables.items()}
    _refuse_other_network(stored, wanted, path)
    arrays = {name: np.array(read_tensor(tensor)) for name, tensor in tensors.items()}
    join_heads(arrays, network, variables)
    for name, variable in variables.items():
        variable.assign(arrays[name])


def reload_weights(network: Any, path: Path, changed: Sequence[Any]) -> None:
    """Assign the variables in ``changed`` from a file that this run has just written."""
    known = {id(variable) for variable in changed}
    tensors = read_weights_header(path)
    for name, variable in named(network).items():
        if id(variable) in known:
            variable.assign(read_tensor(tensors[name]))


def _refuse_other_network(stored: Shapes, wanted: Shapes, path: Path) -> None:
    """Raise ConfigError unless names and shapes are the same, or those of split heads."""
    for name in sorted(stored.keys() | wanted.keys()):
        shapes = (stored.get(name), wanted.get(name))
        if shapes[0] == shapes[1] or has_split_heads(name, stored, wanted):
            continue
        in_file, in_network = map(_shape, shapes)
        raise ConfigError(
            f"these weights are of another network: '{name}' is {in_file} in the file and"
            f" {in_network} in the network",
            where=str(path),
            fix="use the config and the plugins of the run that wrote them",
        )


def _shape(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else "x".join(map(str, shape)) or "a number"


def named(network: Any) -> dict[str, Any]:
    """Return the variables of the weights by position and path."""
    return {f"{i:04d} {v.path}": v for i, v in enumerate(network.weights)}


def _stable(name: str) -> str:
    """Return a weight's name without the numbers that Keras gives to unnamed layers.

    They differ in each process. What is left, with the position, still names a weight.
    """
    return re.sub(r"_\d+(?=/)", "", name)
