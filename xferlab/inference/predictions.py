"""What a run says about texts, by the names of its classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from xferlab.contracts import OutputKind, Task, TaskSpec
from xferlab.inference.prediction_table import SHOWN_ROWS, as_table

if TYPE_CHECKING:
    import numpy as np

THRESHOLD = 0.5
"""A class of several is a row's if its probability is at least this."""


def probabilities_of(spec: TaskSpec, outputs: Any) -> Any:
    """Return outputs as probabilities: softmax, or sigmoid where a row may have several labels.

    Args:
        spec: the task, and what the outputs mean.
        outputs: float32 (rows, num_outputs), or for tagging one such array a row.

    Returns:
        The same shape; what are probabilities or values already is returned as it is.
    """
    import numpy as np

    if spec.output_kind is not OutputKind.logits:
        return outputs
    if isinstance(outputs, list):
        return [probabilities_of(spec, row) for row in outputs]
    if spec.task is Task.multi_label:
        return np.exp(-np.logaddexp(0, -outputs)).astype("float32")
    powers = np.exp(outputs - outputs.max(axis=-1, keepdims=True, initial=-np.inf))
    return (powers / powers.sum(axis=-1, keepdims=True)).astype("float32")


@dataclass(frozen=True, repr=False)
class Predictions(Sequence):
    """Labels and probabilities, a row a text; prints as a table.

    Attributes:
        spec: the task.
        texts: strings, for tagging lists of words.
        pairs: the second texts, where rows are pairs.
        probabilities: float32 (rows, classes), for tagging a list of (words, classes); for
            regression the values, (rows, 1).
    """

    spec: TaskSpec
    texts: Sequence[Any]
    pairs: Sequence[str] | None
    probabilities: Any

    @cached_property
    def labels(self) -> list[Any]:
        """A class name a row; a list of names for several labels; a tag a word; or a float.

        A word that was cut off with the end of a long text has the tag None.
        """
        import numpy as np

        names, task = self.spec.class_names, self.spec.task
        if task is Task.regression:
            return [float(value) for value in self.probabilities[:, 0]]
        if task is Task.single_label:
            return [names[best] for best in np.argmax(self.probabilities, axis=-1)]
        if task is Task.multi_label:
            return [
                [names[i] for i in np.flatnonzero(row >= THRESHOLD)] for row in self.probabilities
            ]
        return [[_tag(names, word) for word in row] for row in self.probabilities]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield plain data a row, as programs take it.

        ``text`` (and ``pair``), then ``label`` and ``p_CLASS`` of each class; ``labels`` and
        ``p_CLASS`` for several labels; ``value`` for regression; ``words``, ``tags`` and the
        tags' ``probabilities`` for tagging.
        """
        for i, label in enumerate(self.labels):
            row: dict[str, Any] = {}
            if self.spec.task is not Task.token_classification:
                row["text"] = self.texts[i]
            if self.pairs is not None:
                row["pair"] = self.pairs[i]
            yield row | self._answer(i, label)

    def _answer(self, i: int, label: Any) -> dict[str, Any]:
        task, given = self.spec.task, self.probabilities[i]
        if task is Task.regression:
            return {"value": label}
        if task is Task.token_classification:
            best = [
                None if t is None else float(p.max()) for t, p in zip(label, given, strict=True)
            ]
            return {"words": list(self.texts[i]), "tags": label, "probabilities": best}
        word = "labels" if task is Task.multi_label else "label"
        by_class = zip(self.spec.class_names, given, strict=True)
        return {word: label, **{f"p_{name}": float(value) for name, value in by_class}}

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, i: Any) -> Any:
        """Return a row as plain data, or some rows as Predictions."""
        if isinstance(i, slice):
            pairs = None if self.pairs is None else self.pairs[i]
            return Predictions(self.spec, self.texts[i], pairs, self.probabilities[i])
        i = range(len(self))[i]
        return next(self[i : i + 1].rows())

    def __repr__(self) -> str:
        shown = self[:SHOWN_ROWS]
        return as_table(self.spec, list(shown.rows()), len(self) - len(shown))

    __str__ = __repr__


def _tag(names: Sequence[str], word: np.ndarray) -> str | None:
    return None if word[0] != word[0] else names[int(word.argmax())]
