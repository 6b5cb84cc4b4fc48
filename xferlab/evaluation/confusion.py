"""Confusion: how often each class is predicted for each class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xferlab.escaping import csv_text

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Confusion:
    """How often each class is predicted for each class.

    Attributes:
        names: the classes; for tags that mark entities the entity types, and O.
        counts: int64 (true class, predicted class).
        unit: what is counted, ``examples`` or ``words``.
    """

    names: tuple[str, ...]
    counts: np.ndarray
    unit: str

    @property
    def fractions(self) -> np.ndarray:
        """Each row divided by its sum, the examples of the class; 0 for a class without any."""
        import numpy as np

        return self.counts / np.maximum(self.counts.sum(axis=1, keepdims=True), 1)

    @property
    def errors(self) -> np.ndarray:
        """How often each class is the true or the predicted class of an error, (classes,)."""
        return self.counts.sum(0) + self.counts.sum(1) - 2 * self.counts.diagonal()

    def csv(self) -> str:
        """Return the cells that are not 0: true class, predicted class, count, fraction."""
        header = ("true", "predicted", "count", "fraction_of_true")
        return csv_text([header, *self._cells()])

    def _cells(self) -> Iterator[tuple[Any, ...]]:
        import numpy as np

        fractions = self.fractions
        for i, j in zip(*np.nonzero(self.counts), strict=True):
            yield self.names[i], self.names[j], int(self.counts[i, j]), float(fractions[i, j])


@dataclass(frozen=True, eq=False)
class LabelCounts:
    """A 2 x 2 table for each label, where an example may have several.

    Attributes:
        names: the labels.
        true_positive: examples with the label, predicted with it, int64 (labels,).
        false_negative: examples with it, predicted without.
        false_positive: examples without it, predicted with it.
        examples: all examples.
    """

    names: tuple[str, ...]
    true_positive: np.ndarray
    false_negative: np.ndarray
    false_positive: np.ndarray
    examples: int

    def csv(self) -> str:
        """Return a line for each label."""
        header = ("label", "true_positive", "false_negative", "false_positive", "true_negative")
        counts = (self.true_positive, self.false_negative, self.false_positive)
        rows = [
            (name, *map(int, cells), self.examples - int(sum(cells)))
            for name, *cells in zip(self.names, *counts, strict=True)
        ]
        return csv_text([header, *rows])


def count_confusion(
    names: Sequence[str], labels: np.ndarray, predicted: np.ndarray, unit: str
) -> Confusion:
    """Return the confusion of class indices, int (units,)."""
    import numpy as np

    cells = labels.astype("int64") * len(names) + predicted
    counts = np.bincount(cells, minlength=len(names) ** 2)
    return Confusion(tuple(names), counts.reshape(len(names), len(names)), unit)


def count_labels(names: Sequence[str], present: np.ndarray, predicted: np.ndarray) -> LabelCounts:
    """Return the 2 x 2 tables of labels, bool (examples, labels)."""
    return LabelCounts(
        names=tuple(names),
        true_positive=(present & predicted).sum(axis=0),
        false_negative=(present & ~predicted).sum(axis=0),
        false_positive=(~present & predicted).sum(axis=0),
        examples=len(present),
    )
