"""Made-up labels with outputs that answer them well or badly, for any task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xferlab.contracts import OutputKind, Task, TaskSpec

if TYPE_CHECKING:
    import numpy as np

MOST_CLASSES = 256
"""Classes that are asked about."""

Lie = tuple[str, str]
"""What a plugin does, as the rest of a sentence about it, and what its author changes."""

Answer = tuple[float, float]
"""The output of every right class, and that of every other one."""


@dataclass(frozen=True)
class ProbeBatch:
    """Labels of a task that has classes, and answers to them.

    Attributes:
        labels: as the task's label kind says; every class occurs, up to MOST_CLASSES. For tagging
            each row has a second token without a tag (-1).
        right: where an output belongs to a right class, bool (rows, ..., classes).
        idle: outputs of a token without a tag, float32 (classes,).
    """

    labels: np.ndarray
    right: np.ndarray
    idle: np.ndarray

    def outputs(self, answer: Answer, idle: np.ndarray | None = None) -> np.ndarray:
        """Return the outputs that give ``answer`` to every question, float32."""
        import numpy as np

        found = np.where(self.right, *answer).astype("float32")
        if self.right.ndim == 3:
            found[:, 1] = self.idle if idle is None else idle
        return found


def probe_batch_of(spec: TaskSpec) -> ProbeBatch:
    """Return questions about every class."""
    import numpy as np

    every = spec.num_classes
    classes = np.linspace(0, every - 1, min(every, MOST_CLASSES)).round().astype("int32")
    one_hot = classes[:, None] == np.arange(every)
    level = 1 / every if spec.output_kind is OutputKind.probabilities else 0.0
    idle = np.full(every, level, "float32")
    if spec.task is Task.multi_label:
        none, all_of_them = np.zeros((1, every), bool), np.ones((1, every), bool)
        hot = np.concatenate([one_hot, none, all_of_them])
        return ProbeBatch(hot.astype("float32"), hot, idle)
    if spec.task is Task.token_classification:
        tags = np.stack([classes, np.full_like(classes, -1)], axis=1)
        return ProbeBatch(tags, np.stack([one_hot, np.zeros_like(one_hot)], axis=1), idle)
    return ProbeBatch(classes, one_hot, idle)


def with_probability(p: float, spec: TaskSpec) -> Answer:
    """Return the probabilities of right and of other classes if the right ones have ``p``."""
    if spec.task is Task.multi_label:
        return p, 1 - p
    return p, (1 - p) / max(spec.num_classes - 1, 1)


def values_like(labels: np.ndarray) -> np.ndarray:
    """Return three unevenly spaced labels of a regression, from those that occur if they differ."""
    import numpy as np

    low, middle, high = np.quantile(labels, [0.1, 0.4, 0.9])
    if not low < middle < high or np.isclose(middle - low, high - middle):
        low, middle, high = low, low + 1, low + 3
    return np.array([low, middle, high], "float32")
