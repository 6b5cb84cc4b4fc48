"""Which class was taken for which."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xferlab.contracts import Task
from xferlab.escaping import csv_text
from xferlab.evaluation.split_outputs import SplitOutputs
from xferlab.functional.bio_tags import strange_tag, type_of

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Confusion:
    """How often each class was predicted for each.

    Attributes:
        names: the classes; for tags that are B-, I- and O the types of entity, and O.
        counts: int64 (right class, predicted class).
        unit: what is counted, ``rows`` or ``words``.
    """

    names: tuple[str, ...]
    counts: np.ndarray
    unit: str

    @property
    def fractions(self) -> np.ndarray:
        """Each row divided by its sum: of a class, how much was taken for each; 0 without rows."""
        import numpy as np

        return self.counts / np.maximum(self.counts.sum(axis=1, keepdims=True), 1)

    def csv(self) -> str:
        """Return the cells that are not 0: true class, predicted class, count, share of the row."""
        header = ("true", "predicted", "count", "share_of_true")
        return csv_text([header, *self._cells()])

    def _cells(self) -> Iterator[tuple[Any, ...]]:
        import numpy as np

        fractions = self.fractions
        for i, j in zip(*np.nonzero(self.counts), strict=True):
            yield self.names[i], self.names[j], int(self.counts[i, j]), float(fractions[i, j])


@dataclass(frozen=True, eq=False)
class LabelCounts:
    """One 2 x 2 table a label, where a row may have several: there is no single class to take.

    Attributes:
        names: the labels.
        found: rows that have the label and were predicted to, int64 (labels,).
        missed: rows that have it and were not.
        wrong: rows that do not have it and were predicted to.
        rows: all rows.
    """

    names: tuple[str, ...]
    found: np.ndarray
    missed: np.ndarray
    wrong: np.ndarray
    rows: int

    def csv(self) -> str:
        """Return a line a label."""
        header = ("label", "true_positive", "false_negative", "false_positive", "true_negative")
        table = zip(self.names, self.found, self.missed, self.wrong, strict=True)
        rows = [[n, int(a), int(b), int(c), int(self.rows - a - b - c)] for n, a, b, c in table]
        return csv_text([header, *rows])


def confusion_of(answers: SplitOutputs) -> Confusion | LabelCounts:
    """Return the confusion of any task but regression."""
    import numpy as np

    spec = answers.spec
    if spec.task is Task.multi_label:
        wanted, found = answers.labels > 0.5, answers.predicted
        both, missed, wrong = (
            part.sum(axis=0) for part in (wanted & found, wanted & ~found, ~wanted & found)
        )
        return LabelCounts(spec.class_names, both, missed, wrong, len(wanted))
    wanted, found, _ = answers.units
    names, unit = spec.class_names, "rows"
    if spec.task is Task.token_classification:
        unit = "words"
        if strange_tag(names) is None:
            types = [type_of(name) for name in names]
            names = tuple(dict.fromkeys(types))
            position = np.array([names.index(kind) for kind in types])
            wanted, found = position[wanted], position[found]
    counts = np.bincount(wanted.astype("int64") * len(names) + found, minlength=len(names) ** 2)
    return Confusion(names, counts.reshape(len(names), len(names)), unit)
