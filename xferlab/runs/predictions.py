"""The outputs of a run's network for each example of its last split, saved as data.

``predictions/test.safetensors`` has ``outputs``, float32 (rows, num_outputs), as the model emits
them (logits), and ``labels``: int32 (rows,) classes, or float32 (rows, num_outputs) of several
labels a row, or float32 (rows,) numbers. For tagging a line is a labelled token, and ``lengths``,
int32 (rows,), is the number of them in each row. Rows that depend on each other have ``groups``,
int32 (rows,).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xferlab.io.atomic import atomic_replace
from xferlab.io.safetensors import read_header
from xferlab.io.tensors import Tensor, read_tensor

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger("xferlab")
FOLDER = "predictions"
LARGEST_BYTES = 64_000_000
"""Outputs that take more are not kept: eight million rows of two classes fit."""
_KINDS = {"F32": "<f4", "I32": "<i4"}


@dataclass(frozen=True)
class Predictions:
    """The outputs of the weights that the run's final scores are of, in the order of the rows.

    Attributes:
        labels: as the task writes them; for tagging of the labelled tokens.
        outputs: float32 (rows, num_outputs), for tagging (tokens, num_outputs).
        lengths: labelled tokens of each row, int32 (rows,), or None but for tagging.
        groups: the group of each row, int32 (rows,), or None.
    """

    labels: np.ndarray
    outputs: np.ndarray
    lengths: np.ndarray | None = None
    groups: np.ndarray | None = None

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.labels if self.lengths is None else self.lengths)


def path_of(folder: Path, split: str) -> Path:
    """Return where a run keeps the outputs of a split."""
    return folder / FOLDER / f"{split}.safetensors"


def keep_predictions(
    folder: Path, split: str, labels: Any, outputs: Any, groups: Any = None
) -> None:
    """Write the outputs of a split, whole, unless they are too large.

    Args:
        folder: the run's.
        split: ``test`` or ``validation``.
        labels: as the task writes them; for tagging int32 (rows, length) with -1 where there is
            nothing to learn.
        outputs: float32 (rows, num_outputs), for tagging (rows, length, num_outputs).
        groups: the group of each row, if they have one.
    """
    import numpy as np
    from safetensors.numpy import save_file

    labels = np.asarray(labels)
    outputs = np.asarray(outputs, "float32")
    arrays = {} if groups is None else {"groups": np.asarray(groups, "int32")}
    if outputs.ndim == 3:
        labelled = labels >= 0
        arrays["lengths"] = labelled.sum(axis=1).astype("int32")
        labels = labels[labelled]
        outputs = outputs[labelled]
    whole_numbers = np.issubdtype(labels.dtype, np.integer)
    arrays["labels"] = labels.astype("int32" if whole_numbers else "float32")
    arrays["outputs"] = np.ascontiguousarray(outputs)
    size = sum(array.nbytes for array in arrays.values())
    if size > LARGEST_BYTES:
        path_of(folder, split).unlink(missing_ok=True)
        log.info("note       the %s outputs take %d MB and are not kept", split, size // 10**6)
        return
    atomic_replace(path_of(folder, split), lambda temporary: save_file(arrays, temporary))


def read_predictions(folder: Path, split: str) -> Predictions | None:
    """Return the outputs of a split, or None where a run has none.

    Raises:
        ValueError: the file is torn, too large or not what this module writes.
    """
    path = path_of(folder, split)
    if not path.is_file():
        return None
    if path.is_symlink() or path.parent.is_symlink():
        raise ValueError("it is behind a link")
    if path.stat().st_size > LARGEST_BYTES + 100_000:
        raise ValueError("it is larger than a run keeps")
    tensors = read_header(path)
    known = {"labels", "outputs", "lengths", "groups"}
    if not {"labels", "outputs"} <= set(tensors) <= known:
        raise ValueError("it does not hold labels and outputs")
    found = Predictions(**{name: _array(tensor) for name, tensor in tensors.items()})
    _refuse_misfit(found)
    return found


def _array(tensor: Tensor) -> np.ndarray:
    if tensor.dtype not in _KINDS:
        raise ValueError(f"its numbers are {tensor.dtype}")
    return read_tensor(tensor)


def _refuse_misfit(found: Predictions) -> None:
    """Raise ValueError if the arrays do not belong together."""
    fits = found.outputs.ndim == 2 and found.labels.ndim in (1, 2)
    fits = fits and len(found.labels) == len(found.outputs) > 0
    if found.labels.ndim == 2:
        fits = fits and found.labels.shape == found.outputs.shape
    if found.lengths is not None:
        fits = fits and found.lengths.ndim == 1 and bool((found.lengths >= 0).all())
        fits = fits and int(found.lengths.sum()) == len(found.labels)
    if found.groups is not None:
        fits = fits and found.groups.shape == (found.rows,)
    if not fits:
        raise ValueError("its labels and outputs do not belong together")
