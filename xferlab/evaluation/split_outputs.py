"""The outputs of a split beside its labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from xferlab.contracts import Split, TaskSpec
from xferlab.functional.bio_tags import NO_ENTITY, spans
from xferlab.functional.unseen_words import is_unseen, outside_of, predict_unseen

if TYPE_CHECKING:
    import numpy as np

Span = tuple[int, int, str]
"""Start, end (not included) and type of an entity, in words."""


@dataclass(frozen=True, eq=False)
class SplitOutputs:
    """Examples of one split, their labels, and a model's outputs.

    Attributes:
        spec: the task, with what the outputs mean.
        texts: a string for each example; for token classification a list of words.
        pairs: the second text of each example, where examples are pairs.
        labels: as the task's label kind says, (examples, ...); for token classification int32
            (examples, words), -1 where there is no word, or one without a tag.
        outputs: float32 (examples, num_outputs), for token classification (examples, words,
            num_outputs). A word without a token is predicted as O; where there is no such tag its
            label is -1.
        probabilities: of the same shape; values as they are. 0 for a word without a token.
        decisive: likewise, what is predicted is decided by these; None for ``outputs``.
        included: classes in the predicted set, bool (examples, classes), if there are sets.
        interval: lower and upper end of a value's interval, (examples, 2), if there are any.
        before: the same without the run's postprocess; None where it has none.
        groups: the group of each example, int32 (examples,), where they depend on each other.
    """

    spec: TaskSpec
    texts: Sequence[Any]
    pairs: Sequence[str] | None
    labels: np.ndarray
    outputs: np.ndarray
    probabilities: np.ndarray
    decisive: np.ndarray | None = None
    included: np.ndarray | None = None
    interval: np.ndarray | None = None
    before: SplitOutputs | None = None
    groups: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def predicted(self) -> np.ndarray:
        """The predictions, as :meth:`xferlab.tasks.base.Task.decide` returns them."""
        return self.spec.task.decide(self.deciding, self.spec)

    @property
    def deciding(self) -> np.ndarray:
        """The outputs that predictions are decided by."""
        return self.outputs if self.decisive is None else self.decisive

    @cached_property
    def calibration(self) -> Any:
        """The calibration of the probabilities; None for a task without probabilities."""
        return self.spec.task.analyse(self).get("calibration")

    @cached_property
    def is_unseen(self) -> np.ndarray:
        """Which words have no token, bool (examples, words)."""
        return is_unseen(self.outputs)

    @cached_property
    def units(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Label, predicted class and its probability, (units,): of examples or tagged words."""
        return self._units(self.labels >= 0)

    @cached_property
    def seen_units(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same without words that have no token, which the model did not predict."""
        has_label = self.labels >= 0
        if self.spec.task.is_per_word:
            has_label &= ~self.is_unseen
        return self._units(has_label)

    def _units(self, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        labels = self.labels[mask]
        predicted = self.predicted[mask]
        probabilities = self.probabilities[mask]
        if self.decisive is None:
            return labels, predicted, probabilities.max(axis=-1)
        import numpy as np

        return labels, predicted, np.take_along_axis(probabilities, predicted[:, None], -1)[:, 0]

    def text_cells(self, i: int) -> tuple[Any, ...]:
        """Return the number, from 1, and the text or texts of an example."""
        pair = () if self.pairs is None else (self.pairs[i],)
        return (int(i) + 1, self.texts[i], *pair)

    def tags(self, i: int) -> tuple[list[str], list[str]]:
        """Return true and predicted tag of each word of an example; O for one without a tag."""
        names = self.spec.class_names
        length = len(self.texts[i])
        has_tag = self.labels[i] >= 0
        true, predicted = (
            [names[tag] if known else NO_ENTITY for tag, known in zip(tags, has_tag, strict=True)]
            for tags in (self.labels[i], self.predicted[i])
        )
        return true[:length], predicted[:length]

    def entities(self, i: int) -> tuple[set[Span], set[Span]]:
        """Return the true and the predicted entities of an example, in words.

        Words without a tag are left out before entities are searched for, as entity F1 does.
        """
        import numpy as np

        tagged = np.flatnonzero(self.labels[i] >= 0)
        names = self.spec.class_names
        true, predicted = (
            {
                (int(tagged[start]), int(tagged[end - 1]) + 1, kind)
                for start, end, kind in spans(names[tag] for tag in tags[i][tagged])
            }
            for tags in (self.labels, self.predicted)
        )
        return true, predicted


def split_outputs(spec: TaskSpec, split: Split, outputs: Any, probabilities: Any) -> SplitOutputs:
    """Return outputs beside labels.

    Args:
        spec: the task, with what the outputs mean.
        split: texts, and labels by their position in ``spec.class_names``.
        outputs: float32 (examples, num_outputs); for token classification one array (words,
            num_outputs) for each example, NaN for a word without a token.
        probabilities: likewise.
    """
    import numpy as np

    if spec.task.is_per_word:
        return _padded(spec, split, outputs, probabilities)
    labels = np.asarray(split.labels)
    texts = (split.texts, split.pairs)
    return SplitOutputs(spec, *texts, labels, outputs, probabilities, groups=split.groups)


def _padded(spec: TaskSpec, split: Split, outputs: Any, probabilities: Any) -> SplitOutputs:
    """Return arrays of words as arrays (examples, words, ...)."""
    import numpy as np

    longest = max(map(len, outputs), default=0)
    outside = outside_of(spec.class_names)
    labels = np.full((len(outputs), longest), -1, "int32")
    unseen = np.zeros(labels.shape, bool)
    padded = np.zeros((2, *labels.shape, spec.num_outputs), "float32")
    padded[0] = 1 / spec.num_outputs  # what has no label must not be NaN in the loss either
    for i, (tags, *arrays) in enumerate(zip(split.labels, outputs, probabilities, strict=True)):
        has_token = ~np.isnan(arrays[0]).all(axis=-1)
        kept = has_token if outside is None else np.ones(len(tags), bool)
        labels[i, : len(tags)][kept] = np.asarray(tags)[kept]
        unseen[i, : len(tags)] = ~has_token & (labels[i, : len(tags)] >= 0)
        for array, values in zip(padded, arrays, strict=True):
            array[i, : len(tags)][has_token] = values[has_token]
    if outside is not None:
        predict_unseen(padded[0], unseen, outside)
    texts = (split.texts, split.pairs)
    return SplitOutputs(spec, *texts, labels, padded[0], padded[1], groups=split.groups)
