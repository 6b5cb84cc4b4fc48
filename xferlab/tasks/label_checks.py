"""Checks of label arrays that several tasks share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from xferlab.tasks.base import Problem, TaskSpec

if TYPE_CHECKING:
    import numpy as np


def checked_array(
    split_name: str, split: Any, spec: TaskSpec, kinds: str, expected: str, rank: int
) -> Any:
    """Yield a problem unless the labels are an array of these number kinds and rank; return it.

    Args:
        split_name: ``train``, ``validation`` or ``test``.
        split: the split.
        spec: the task.
        kinds: NumPy's letters of the kinds of number that are allowed.
        expected: the right labels, for the message.
        rank: number of axes.
    """
    import numpy as np

    try:
        labels = np.asarray(split.labels)
    except ValueError:  # examples of different lengths
        labels = np.asarray(split.labels, dtype="object")
    if labels.dtype.kind not in kinds or labels.ndim != rank:
        what = f"gives {labels.dtype} labels of shape {labels.shape} for {split_name}"
        yield f"{what}; {spec.task.name} needs {expected}", "convert them, or correct spec.task"
    return labels


def class_range(
    split_name: str,
    labels: np.ndarray,
    spec: TaskSpec,
    least: int,
    example_of: np.ndarray | None = None,
) -> Iterator[Problem]:
    """Yield a problem for the first class index that is out of range.

    Args:
        split_name: ``train``, ``validation`` or ``test``.
        labels: class indices, int (units,).
        spec: the task.
        least: the smallest index that is allowed.
        example_of: the example of each label, where these are not one an example.
    """
    position = first_true((labels < least) | (labels >= spec.num_classes))
    if position is not None:
        example = position if example_of is None else int(example_of[position])
        what = f"gives the class {labels[position]} in example {example + 1} of {split_name}"
        last = spec.num_classes - 1
        fix = "number classes by their position in class_names"
        yield f"{what}; its classes are 0 to {last}", fix


def first_true(is_wrong: np.ndarray) -> int | None:
    """Return the first position that is true."""
    return int(is_wrong.argmax()) if is_wrong.any() else None
