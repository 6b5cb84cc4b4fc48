"""Outputs beside the labels that they should have been."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from xferlab.contracts import Split, Task, TaskSpec
from xferlab.kit.entities import NO_ENTITY
from xferlab.kit.scores import decisions

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Answers:
    """Rows of one split, their labels, and what a model said about them.

    Attributes:
        spec: the task, with what the outputs mean.
        texts: a string a row; for tagging a list of words.
        pairs: the second text of each row, where rows are pairs.
        labels: int32 (rows,), float32 (rows, classes) or (rows,); for tagging int32 (rows, words),
            -1 where there is no word, or one that was cut off.
        outputs: float32 (rows, num_outputs), for tagging (rows, words, num_outputs).
        probabilities: of the same shape; a regression's values as they are.
    """

    spec: TaskSpec
    texts: Sequence[Any]
    pairs: Sequence[str] | None
    labels: np.ndarray
    outputs: np.ndarray
    probabilities: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def predicted(self) -> np.ndarray:
        """The likeliest class of each row or word; bool (rows, classes); or values (rows,)."""
        if self.spec.task is Task.regression:
            return self.outputs.reshape(-1)
        return decisions(self.outputs, self.spec)

    @cached_property
    def units(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Label, predicted class and its probability, each (units,): rows, or labelled words."""
        labelled = self.labels >= 0
        found = self.predicted[labelled]
        return self.labels[labelled], found, self.probabilities[labelled].max(axis=-1)

    def tags(self, row: int) -> tuple[list[str], list[str]]:
        """Return the right and the predicted tag of each word of a row; O for a word cut off."""
        names, length = self.spec.class_names, len(self.texts[row])
        there = self.labels[row] >= 0
        wanted, found = (
            [names[tag] if known else NO_ENTITY for tag, known in zip(tags, there, strict=True)]
            for tags in (self.labels[row], self.predicted[row])
        )
        return wanted[:length], found[:length]


def answers(spec: TaskSpec, split: Split, outputs: Any, probabilities: Any) -> Answers:
    """Return outputs beside labels.

    Args:
        spec: the task, with what the outputs mean.
        split: texts and labels, positions in ``spec.class_names``.
        outputs: float32 (rows, num_outputs); for tagging one array (words, num_outputs) a row, NaN
            for a word that was cut off.
        probabilities: likewise.
    """
    import numpy as np

    if spec.task is not Task.tagging:
        labels = np.asarray(split.labels)
        return Answers(spec, split.texts, split.pairs, labels, outputs, probabilities)
    longest = max(map(len, outputs), default=0)
    labels = np.full((len(outputs), longest), -1, "int32")
    padded = np.zeros((2, len(outputs), longest, spec.num_outputs), "float32")
    for row, (tags, *found) in enumerate(zip(split.labels, outputs, probabilities, strict=True)):
        there = ~np.isnan(found[0]).all(axis=-1)
        labels[row, : len(tags)][there] = np.asarray(tags)[there]
        for kind, values in enumerate(found):
            padded[kind, row, : len(tags)][there] = values[there]
    return Answers(spec, split.texts, split.pairs, labels, padded[0], padded[1])
