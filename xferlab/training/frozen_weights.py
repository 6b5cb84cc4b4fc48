"""Writes a run's weights without those that no phase trains, which are in one file for all.

The runs of one process that have the same frozen weights share the file, under a name in the folder
of each.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xferlab.contracts import TextModel, TransferPlan
from xferlab.io.atomic import file_state, sha256_of, sync
from xferlab.io.tensors import has_same_bits, read_tensor
from xferlab.runs.frozen_file import FILE, tensors_of
from xferlab.training.phases import always_frozen_blocks
from xferlab.training.weights import named, write_weights

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class FrozenFile:
    """A file with weights that nothing trains.

    Attributes:
        path: of the file.
        digest: its SHA-256.
        arrays: what it holds, by name.
    """

    path: Path
    digest: str
    arrays: Mapping[str, np.ndarray]
    _state: tuple[int, ...]

    @classmethod
    def of(cls, path: Path, arrays: Mapping[str, np.ndarray]) -> FrozenFile:
        """Hash a file and return it."""
        return cls(path, sha256_of(path), arrays, _content_state(path))

    def link_to(self, path: Path) -> bool:
        """Give the file a second name; return whether it is as it was and the disk has links."""
        try:
            if _content_state(self.path) != self._state:
                return False
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(self.path, path)
        except OSError:
            return False
        sync(path.parent)
        return True


class FrozenWeights:
    """Writes files of weights in a run's folder of checkpoints.

    Args:
        network: ``keras.Model``.
        fixed: its variables that no phase trains.
        checkpoints: folder of the files.
        known: a file that this process has written for another run.

    Attributes:
        file: with the fixed variables; None until it is needed.
    """

    def __init__(
        self,
        network: Any,
        fixed: Sequence[Any],
        checkpoints: Path,
        known: FrozenFile | None = None,
    ) -> None:
        every = {id(variable) for variable in fixed}
        self._names = [name for name, v in named(network).items() if id(v) in every]
        self._path = checkpoints / FILE
        self._known = known
        self.file: FrozenFile | None = None

    def write(self, arrays: Mapping[str, np.ndarray], path: Path) -> None:
        """Write what ``weights.weight_arrays`` returned, without what ``frozen.safetensors`` has.

        An array that is not as it was when that file was written is no part of it.
        """
        if not self._names:
            write_weights(arrays, path)
            return
        if self.file is None:
            self.file = self._file_of({name: arrays[name] for name in self._names})
        fixed = self.file.arrays
        own = {
            name: array
            for name, array in arrays.items()
            if name not in fixed or not has_same_bits(array, fixed[name])
        }
        write_weights(own, path, self.file.digest if len(own) < len(arrays) else None)

    def bytes_of(self, arrays: Mapping[str, np.ndarray]) -> int:
        """Return about how many bytes :meth:`write` writes."""
        left_out = () if self.file is None else self._names
        return sum(array.nbytes for name, array in arrays.items() if name not in left_out)

    def files(self) -> list[Path]:
        """Return the file that others leave weights to, if there is one yet."""
        return [] if self.file is None else [self._path]

    def digests(self) -> dict[str, str]:
        """Return the SHA-256 of that file by its name."""
        return {} if self.file is None else {FILE: self.file.digest}

    def _file_of(self, arrays: Mapping[str, np.ndarray]) -> FrozenFile:
        """Return ``frozen.safetensors``: restored with a checkpoint, shared, or written now."""
        if self._path.exists():
            stored = {name: read_tensor(tensor) for name, tensor in tensors_of(self._path).items()}
            same = {
                name: array
                for name, array in arrays.items()
                if name in stored and has_same_bits(array, stored[name])
            }
            return FrozenFile.of(self._path, same)
        known = self._known
        if known is not None and _are_same(known.arrays, arrays) and known.link_to(self._path):
            return replace(known, path=self._path)
        write_weights(arrays, self._path)
        return FrozenFile.of(self._path, arrays)


def fixed_variables(model: TextModel, plan: TransferPlan, fitted: Any = None) -> list[Any]:
    """Return the weights of a network that no phase trains.

    Args:
        model: gives the network and its blocks.
        plan: of the transfer strategy.
        fitted: a layer that is fitted instead.
    """
    blocks = always_frozen_blocks(plan.phases)
    layers = [model.network.get_layer(name) for block in blocks for name in model.blocks[block]]
    frozen = {id(weight) for layer in layers for weight in layer.weights}
    changed = {id(weight) for weight in getattr(fitted, "weights", ())}
    fixed = set(plan.fixed)
    return [
        weight
        for weight in model.network.weights
        if (id(weight) in frozen or weight.path in fixed) and id(weight) not in changed
    ]


def _are_same(arrays: Mapping[str, np.ndarray], others: Mapping[str, np.ndarray]) -> bool:
    return arrays.keys() == others.keys() and all(
        has_same_bits(arrays[name], others[name]) for name in arrays
    )


def _content_state(path: Path) -> tuple[int, ...]:
    """Return what changes with a file's content, and not with a second name."""
    device, inode, size, changed, _ = file_state(path)
    return (device, inode, size, changed)
