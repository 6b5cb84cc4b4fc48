"""Predictions of a run: probabilities, and labels by the names of its classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from xferlab.contracts import OutputKind, TaskSpec
from xferlab.inference.prediction_table import SHOWN_ROWS, format_table


def probabilities_of(spec: TaskSpec, outputs: Any) -> Any:
    """Return outputs as probabilities: softmax, or sigmoid for several labels.

    Args:
        spec: the task, and what the outputs mean.
        outputs: float32 (examples, num_outputs), or a list of such arrays, one for each example.

    Returns:
        The same shape; probabilities and values are returned as they are.
    """
    import numpy as np

    if spec.output_kind is not OutputKind.logits:
        return outputs
    if isinstance(outputs, list):
        return [probabilities_of(spec, row) for row in outputs]
    if not spec.task.is_exclusive:
        return np.exp(-np.logaddexp(0, -outputs)).astype("float32")
    powers = np.exp(outputs - outputs.max(axis=-1, keepdims=True, initial=-np.inf))
    return (powers / powers.sum(axis=-1, keepdims=True)).astype("float32")


@dataclass(frozen=True, repr=False)
class Predictions(Sequence):
    """Labels and probabilities of texts; prints as a table.

    Attributes:
        spec: the task.
        texts: strings, for token classification lists of words.
        pairs: the second texts, where the run was trained on pairs.
        probabilities: float32 (examples, classes), for token classification a list of (words,
            classes); for regression the values, (examples, 1).
    """

    spec: TaskSpec
    texts: Sequence[Any]
    pairs: Sequence[str] | None
    probabilities: Any

    @cached_property
    def labels(self) -> list[Any]:
        """For each text a class name, a list of names, a list of tags, or a float.

        A word that was cut off with the end of a long text has the tag None.
        """
        return self.spec.task.predicted_labels(self.probabilities, self.spec.class_names)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the predictions as plain data, a dict for each text.

        ``text`` (and ``pair``), then ``label`` and ``p_CLASS`` of each class; ``labels`` and
        ``p_CLASS`` for several labels; ``value`` for regression; ``words``, ``tags`` and the
        tags' ``probabilities`` for token classification.
        """
        task = self.spec.task
        for i, label in enumerate(self.labels):
            cells = task.prediction_cells(self.texts[i], label, self.probabilities[i], self.spec)
            yield cells if self.pairs is None else _with_pair(cells, self.pairs[i])

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, i: Any) -> Any:
        """Return one prediction as plain data, or a slice as Predictions."""
        if isinstance(i, slice):
            pairs = None if self.pairs is None else self.pairs[i]
            return Predictions(self.spec, self.texts[i], pairs, self.probabilities[i])
        i = range(len(self))[i]
        return next(self[i : i + 1].rows())

    def __repr__(self) -> str:
        shown = self[:SHOWN_ROWS]
        return format_table(self.spec, list(shown.rows()), len(self) - len(shown))

    __str__ = __repr__


def _with_pair(cells: dict[str, Any], pair: str) -> dict[str, Any]:
    """Return the cells of a prediction with the second text after the first one."""
    first, *rest = cells
    return {first: cells[first], "pair": pair} | {name: cells[name] for name in rest}
