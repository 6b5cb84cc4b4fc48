"""Made-up labels with outputs that are right or wrong by a known amount."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xferlab.tasks.base import Problem as ContractViolation

__all__ = ["Answer", "ContractViolation", "ProbeBatch", "values_like"]

if TYPE_CHECKING:
    import numpy as np

Answer = tuple[float, float]
"""The output of every right class, and that of every other one."""


@dataclass(frozen=True)
class ProbeBatch:
    """Labels of a task with classes, and outputs for them.

    Attributes:
        labels: as the task's label kind says; every class occurs, up to a limit.
        is_right: which outputs are those of a right class, bool (examples, ..., classes).
        unlabelled: outputs of the tokens without a label (-1), float32 (classes,): the second
            token of each example; None where every output has a label.
        is_exclusive: whether exactly one class is right, so that probabilities sum to 1.
    """

    labels: np.ndarray
    is_right: np.ndarray
    unlabelled: np.ndarray | None = None
    is_exclusive: bool = True

    @property
    def num_classes(self) -> int:
        """Width of the outputs."""
        return self.is_right.shape[-1]

    @property
    def chance(self) -> float:
        """The probability of a right class for a model without knowledge."""
        return 1 / self.num_classes if self.is_exclusive else 0.5

    def with_logit(self, logit: float) -> Answer:
        """Return the logits of right and of other classes if the right ones have ``logit``."""
        return logit, 0.0 if self.is_exclusive else -logit

    def with_probability(self, p: float) -> Answer:
        """Return the probabilities of right and of other classes if the right ones have ``p``."""
        others = max(self.num_classes - 1, 1) if self.is_exclusive else 1
        return p, (1 - p) / others

    def outputs(self, answer: Answer, unlabelled: np.ndarray | None = None) -> np.ndarray:
        """Return outputs that give ``answer`` for every example, float32."""
        import numpy as np

        outputs = np.where(self.is_right, *answer).astype("float32")
        if self.unlabelled is not None:
            outputs[:, 1] = self.unlabelled if unlabelled is None else unlabelled
        return outputs


def values_like(labels: np.ndarray) -> np.ndarray:
    """Return three unevenly spaced labels of a regression, from those that occur if they differ.

    Labels (examples, ...) of more than one number give (3, ...).
    """
    import numpy as np

    low, middle, high = np.quantile(labels, [0.1, 0.4, 0.9], axis=0)
    is_ascending = (low < middle) & (middle < high)
    is_usable = is_ascending & ~np.isclose(middle - low, high - middle)
    middle = np.where(is_usable, middle, low + 1)
    high = np.where(is_usable, high, low + 3)
    return np.stack([low, middle, high]).astype("float32")
