"""Predictions of a run: probabilities, and labels by the names of its classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from xferlab.contracts import OutputKind, Split, TaskSpec
from xferlab.evaluation.conformal_sets import names_in
from xferlab.evaluation.split_outputs import SplitOutputs, split_outputs
from xferlab.inference.prediction_table import SHOWN_ROWS, format_table
from xferlab.postprocessing.steps import Postprocessor


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


def predictions_of(
    spec: TaskSpec, rows: Split, outputs: Any, postprocessor: Postprocessor | None
) -> Predictions:
    """Return the predictions of a network's outputs.

    Args:
        spec: the task.
        rows: texts, without labels.
        outputs: as ``Run.outputs`` returns them.
        postprocessor: is applied.
    """
    if postprocessor is None:
        return Predictions(spec, rows.texts, rows.pairs, probabilities_of(spec, outputs))
    done = postprocessor.of_examples(outputs)
    return Predictions(
        spec,
        rows.texts,
        rows.pairs,
        probabilities_of(spec, done.outputs),
        None if done.decisive is None else probabilities_of(spec, done.decisive),
        done.included,
        done.interval,
    )


def aligned_outputs(
    spec: TaskSpec, rows: Split, outputs: Any, postprocessor: Postprocessor | None
) -> SplitOutputs:
    """Return a network's outputs beside labels, with and without the postprocess.

    Args:
        spec: the task.
        rows: texts and labels.
        outputs: as ``Run.outputs`` returns them.
        postprocessor: is applied.
    """
    before = split_outputs(spec, rows, outputs, probabilities_of(spec, outputs))
    if postprocessor is None:
        return before
    done = postprocessor.of_examples(outputs)
    decisive = done.decisive
    if decisive is not None:
        decisive = split_outputs(spec, rows, decisive, decisive).outputs
    return dataclasses.replace(
        split_outputs(spec, rows, done.outputs, probabilities_of(spec, done.outputs)),
        decisive=decisive,
        included=done.included,
        interval=done.interval,
        before=before,
    )


@dataclass(frozen=True, repr=False)
class Predictions(Sequence):
    """Labels and probabilities of texts; prints as a table.

    Attributes:
        spec: the task.
        texts: strings, for token classification lists of words.
        pairs: the second texts, where the run was trained on pairs.
        probabilities: float32 (examples, classes), for token classification a list of (words,
            classes); for regression the values, (examples, 1).
        decisive: likewise, the label is decided by these; None for ``probabilities``.
        included: classes in the predicted set, bool (examples, classes); None without sets.
        interval: ends of a value's interval, float32 (examples, 2); None without intervals.
    """

    spec: TaskSpec
    texts: Sequence[Any]
    pairs: Sequence[str] | None
    probabilities: Any
    decisive: Any = None
    included: Any = None
    interval: Any = None

    @cached_property
    def labels(self) -> list[Any]:
        """For each text a class name, a list of names, a list of tags, or a float.

        A word that was cut off with the end of a long text has the tag None.
        """
        deciding = self.probabilities if self.decisive is None else self.decisive
        return self.spec.task.predicted_labels(deciding, self.spec.class_names)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the predictions as plain data, a dict for each text.

        ``text`` (and ``pair``), then ``label`` and ``p_CLASS`` of each class; ``labels`` and
        ``p_CLASS`` for several labels; ``value`` for regression; ``words``, ``tags`` and the
        tags' ``probabilities`` for token classification. With sets of classes also ``set``, with
        intervals ``low`` and ``high``.
        """
        task = self.spec.task
        for i, label in enumerate(self.labels):
            cells = task.prediction_cells(self.texts[i], label, self.probabilities[i], self.spec)
            cells |= self._sets(i)
            yield cells if self.pairs is None else _with_pair(cells, self.pairs[i])

    def _sets(self, i: int) -> dict[str, Any]:
        cells: dict[str, Any] = {}
        if self.included is not None:
            (cells["set"],) = names_in(self.included[i : i + 1], self.spec.class_names)
        if self.interval is not None:
            cells["low"], cells["high"] = map(float, self.interval[i])
        return cells

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, i: Any) -> Any:
        """Return one prediction as plain data, or a slice as Predictions."""
        if isinstance(i, slice):
            arrays = (self.pairs, self.probabilities, self.decisive, self.included, self.interval)
            parts = (None if array is None else array[i] for array in arrays)
            return Predictions(self.spec, self.texts[i], *parts)
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
