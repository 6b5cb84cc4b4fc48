"""What a person should know about a score: whether guessing the same for all rows is as good."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xferlab.contracts import Task, TaskSpec
from xferlab.functional.bio_tags import spans, strange_tag
from xferlab.functional.metrics import decisions

FEWEST = 2
"""Rows from which on an answer may be called always the same."""


def verdict(spec: TaskSpec, split: str, labels: Any, outputs: Any) -> list[str]:
    """Return lines about the outputs of a split that are no better than one answer for all rows.

    Args:
        spec: the task, with what the outputs mean.
        split: what the rows are called.
        labels: as the task's label kind says, (rows, ...).
        outputs: float32 (rows, num_outputs), for tagging (rows, words, num_outputs).
    """
    import numpy as np

    labels, outputs = np.asarray(labels), np.asarray(outputs, "float64")
    if not np.isfinite(outputs).all() or len(labels) < FEWEST:
        return []
    find = {
        Task.single_label: _of_classes,
        Task.multi_label: _of_labels,
        Task.regression: _of_values,
        Task.token_classification: _of_tags,
    }
    return list(find[spec.task](spec, split, labels, outputs))


def _of_classes(spec: TaskSpec, split: str, labels: Any, outputs: Any) -> Iterator[str]:
    import numpy as np

    found = decisions(outputs, spec)
    counts = np.bincount(labels, minlength=spec.num_classes)
    largest = int(counts.argmax())
    yield from _same_class(spec, split, found, "row")
    fraction = counts[largest] / len(labels)
    right = float((found == labels).mean())
    if right <= fraction and (counts > 0).sum() > 1:
        yield (
            f"{right:.1%} of the {split} rows are right, and {fraction:.1%} would be if every"
            f" answer were {spec.class_names[largest]}, the largest class"
        )


def _same_class(spec: TaskSpec, split: str, found: Any, unit: str) -> Iterator[str]:
    if len(found) >= FEWEST and (found == found[0]).all():
        name = spec.class_names[int(found[0])]
        yield f"the answer to every {unit} of {split} ({len(found):,}) is {name}"


def _of_labels(spec: TaskSpec, split: str, labels: Any, outputs: Any) -> Iterator[str]:
    found = decisions(outputs, spec)
    if (found == found[0]).all() and not (labels == labels[0]).all():
        names = [n for n, there in zip(spec.class_names, found[0], strict=True) if there]
        shown = ", ".join(names[:8]) + ", ..." * (len(names) > 8)
        yield f"the answer to every row of {split} ({len(found):,}) is {shown or 'no label'}"


def _of_values(spec: TaskSpec, split: str, labels: Any, outputs: Any) -> Iterator[str]:
    values, labels = outputs.reshape(-1), labels.astype("float64")
    spread = float(((labels - labels.mean()) ** 2).mean())
    error = float(((labels - values) ** 2).mean())
    if spread and error >= spread:
        yield (
            f"the mean squared error of {split} is {error:.4g}, and {spread:.4g} if every answer"
            " were the mean of its labels"
        )


def _of_tags(spec: TaskSpec, split: str, labels: Any, outputs: Any) -> Iterator[str]:
    there = labels >= 0
    found = decisions(outputs, spec)
    yield from _same_class(spec, split, found[there], "word")
    if strange_tag(spec.class_names) is None and not _any_entity(spec, labels, there):
        yield f"no word of {split} is in an entity: entity F1 is 0 whatever the answers are"


def _any_entity(spec: TaskSpec, labels: Any, there: Any) -> bool:
    return any(
        next(spans(spec.class_names[tag] for tag in row[kept]), None)
        for row, kept in zip(labels, there, strict=True)
    )
