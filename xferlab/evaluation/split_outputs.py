"""Outputs beside the labels that they should have been."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from xferlab.contracts import Split, Task, TaskSpec
from xferlab.functional.bio_tags import NO_ENTITY, spans
from xferlab.functional.metrics import decisions
from xferlab.functional.unseen_words import is_unseen, outside_of, predict_unseen

if TYPE_CHECKING:
    import numpy as np


Span = tuple[int, int, str]
"""Start, end (not included) and type of an entity, in words."""


@dataclass(frozen=True, eq=False)
class SplitOutputs:
    """Rows of one split, their labels, and what a model said about them.

    Attributes:
        spec: the task, with what the outputs mean.
        texts: a string a row; for tagging a list of words.
        pairs: the second text of each row, where rows are pairs.
        labels: int32 (rows,), float32 (rows, classes) or (rows,); for tagging int32 (rows, words),
            -1 where there is no word, or one without a tag.
        outputs: float32 (rows, num_outputs), for tagging (rows, words, num_outputs). A word that
            was cut off is answered with O; where there is no such tag its label is -1.
        probabilities: of the same shape; a regression's values as they are. 0 for a word cut off.
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
        return self._units(self.labels >= 0)

    @cached_property
    def read_units(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same without words that were cut off, whose answer is not the model's."""
        labelled = self.labels >= 0
        if self.spec.task is Task.token_classification:
            labelled &= ~is_unseen(self.outputs)
        return self._units(labelled)

    def _units(self, labelled: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found = self.predicted[labelled]
        return self.labels[labelled], found, self.probabilities[labelled].max(axis=-1)

    def tags(self, row: int) -> tuple[list[str], list[str]]:
        """Return the right and the predicted tag of each word of a row; O for one without a tag."""
        names, length = self.spec.class_names, len(self.texts[row])
        there = self.labels[row] >= 0
        wanted, found = (
            [names[tag] if known else NO_ENTITY for tag, known in zip(tags, there, strict=True)]
            for tags in (self.labels[row], self.predicted[row])
        )
        return wanted[:length], found[:length]

    def entities(self, row: int) -> tuple[set[Span], set[Span]]:
        """Return the right and the predicted entities of a row: (start, end, type), in words.

        Words without a tag are left out before entities are looked for, as entity F1 does.
        """
        import numpy as np

        kept = np.flatnonzero(self.labels[row] >= 0)
        names = self.spec.class_names
        wanted, found = (
            {
                (int(kept[start]), int(kept[end - 1]) + 1, kind)
                for start, end, kind in spans(names[tag] for tag in tags[row][kept])
            }
            for tags in (self.labels, self.predicted)
        )
        return wanted, found


def answers(spec: TaskSpec, split: Split, outputs: Any, probabilities: Any) -> SplitOutputs:
    """Return outputs beside labels.

    Args:
        spec: the task, with what the outputs mean.
        split: texts and labels, positions in ``spec.class_names``.
        outputs: float32 (rows, num_outputs); for tagging one array (words, num_outputs) a row, NaN
            for a word that was cut off.
        probabilities: likewise.
    """
    import numpy as np

    if spec.task is not Task.token_classification:
        labels = np.asarray(split.labels)
        return SplitOutputs(spec, split.texts, split.pairs, labels, outputs, probabilities)
    longest = max(map(len, outputs), default=0)
    outside = outside_of(spec.class_names)
    labels = np.full((len(outputs), longest), -1, "int32")
    unread = np.zeros(labels.shape, bool)
    padded = np.zeros((2, *labels.shape, spec.num_outputs), "float32")
    padded[0] = 1 / spec.num_outputs  # what has no label must not be NaN in the loss either
    for row, (tags, *found) in enumerate(zip(split.labels, outputs, probabilities, strict=True)):
        there = ~np.isnan(found[0]).all(axis=-1)
        kept = there if outside is None else np.ones(len(tags), bool)
        labels[row, : len(tags)][kept] = np.asarray(tags)[kept]
        unread[row, : len(tags)] = ~there & (labels[row, : len(tags)] >= 0)
        for kind, values in enumerate(found):
            padded[kind, row, : len(tags)][there] = values[there]
    if outside is not None:
        predict_unseen(padded[0], unread, outside)
    return SplitOutputs(spec, split.texts, split.pairs, labels, padded[0], padded[1])
