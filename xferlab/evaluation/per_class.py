"""Precision, recall and F1 of each class, or of each type of entity, as text and as CSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from xferlab.errors import printable
from xferlab.escaping import csv_text
from xferlab.evaluation.split_outputs import Span
from xferlab.functional.bio_tags import NO_ENTITY, type_of

HEADER = ("class", "precision", "recall", "f1", "support")
LONGEST_NAME = 40


@dataclass(frozen=True)
class ClassScore:
    """A line of the report.

    Attributes:
        name: of the class, or of a mean over classes.
        precision: fraction of its predictions that are right.
        recall: fraction of its examples (words, entities) that are predicted.
        f1: their harmonic mean.
        support: its examples (words, entities).
    """

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class ClassReport:
    """Scores by class, then means over classes.

    Attributes:
        unit: what is counted: ``examples``, ``words`` or ``entities``.
        classes: a line for each class that occurs or is predicted, in label order.
        means: micro, macro and so on.
        absent: classes that neither occur nor are predicted; the means leave them out.
    """

    unit: str
    classes: tuple[ClassScore, ...]
    means: tuple[ClassScore, ...]
    absent: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the report as a table."""
        names = [_short(score.name) for score in (*self.classes, *self.means)]
        width = max(map(len, names), default=0)
        classes, means = ([_row(s, width) for s in part] for part in (self.classes, self.means))
        lines = [_line(HEADER, width), *classes, "", *means]
        if self.absent:
            lines += [
                "",
                f"neither present nor predicted: {', '.join(map(printable, self.absent))}",
            ]
        return "\n".join([*lines, "", f"support counts {self.unit}"]) + "\n"

    def csv(self) -> str:
        """Return the report as CSV; ``kind`` is ``class`` or ``mean``."""
        kinds = (("class", self.classes), ("mean", self.means))
        rows = [[kind, *_values(s)] for kind, lines in kinds for s in lines]
        return csv_text([("kind", *HEADER), *rows])


def _values(score: ClassScore) -> tuple[Any, ...]:
    return score.name, score.precision, score.recall, score.f1, score.support


def _row(score: ClassScore, width: int) -> str:
    name, *fractions, support = _values(score)
    return _line(
        (_short(name), *(f"{fraction:.4f}" for fraction in fractions), f"{support:,}"), width
    )


def _short(name: str) -> str:
    shown = printable(name)
    return shown if len(shown) <= LONGEST_NAME else f"{shown[: LONGEST_NAME - 3]}..."


def _line(cells: Sequence[str], width: int) -> str:
    name, *rest = cells
    return name.ljust(width) + "".join(f"{cell:>11}" for cell in rest)


def class_report(
    labels: Any, predicted: Any, names: Sequence[str], unit: str, averages: Sequence[str]
) -> ClassReport:
    """Return the scores of each class, as scikit-learn computes them; a 0/0 is 0.

    Args:
        labels: class indices, (units,), or bool (units, classes).
        predicted: likewise.
        names: the classes.
        unit: what is counted.
        averages: scikit-learn's names of the means over classes.
    """
    import numpy as np
    from sklearn.metrics import precision_recall_fscore_support

    def lines(classes: Any, average: str | None) -> Any:
        return precision_recall_fscore_support(
            labels, predicted, labels=classes, average=average, zero_division=0
        )

    is_multi_hot = labels.ndim == 2
    present = np.arange(len(names)) if is_multi_hot else np.union1d(labels, predicted)
    each = zip(present, *lines(present, None), strict=True)
    classes = tuple(
        ClassScore(names[i], float(p), float(r), float(f), int(n)) for i, p, r, f, n in each
    )
    support = sum(line.support for line in classes)
    means = [] if is_multi_hot else [_accuracy(labels, predicted)]
    for average in averages:
        p, r, f, _ = lines(present, average)
        means.append(ClassScore(f"{average} mean", float(p), float(r), float(f), support))
    absent = tuple(name for i, name in enumerate(names) if i not in set(present.tolist()))
    return ClassReport(unit, classes, tuple(means), absent)


def _accuracy(labels: Any, predicted: Any) -> ClassScore:
    """Return the accuracy: with one class an example, micro precision, recall and F1 equal it."""
    fraction = float((labels == predicted).mean()) if len(labels) else 0.0
    return ClassScore("accuracy (micro mean)", fraction, fraction, fraction, len(labels))


def entity_report(
    entities: Iterable[tuple[set[Span], set[Span]]], names: Sequence[str]
) -> ClassReport:
    """Return the scores of each type of entity, counted as ``conlleval`` does.

    Args:
        entities: the true and the predicted entities of each example.
        names: the tags.
    """
    hits: Counter[str] = Counter()
    predicted: Counter[str] = Counter()
    actual: Counter[str] = Counter()
    for true, found in entities:
        hits.update(kind for _, _, kind in true & found)
        predicted.update(kind for _, _, kind in found)
        actual.update(kind for _, _, kind in true)
    types = sorted({type_of(name) for name in names} - {NO_ENTITY})
    present = [kind for kind in types if actual[kind] + predicted[kind]]
    classes = tuple(_scored(k, hits[k], predicted[k], actual[k]) for k in present)
    micro = _scored("micro mean", hits.total(), predicted.total(), actual.total())
    means = (micro, *(_mean(name, classes) for name in ("macro mean", "weighted mean")))
    absent = tuple(kind for kind in types if kind not in present)
    return ClassReport("entities", classes, means, absent)


def _scored(name: str, hits: int, predicted: int, actual: int) -> ClassScore:
    p = hits / max(predicted, 1)
    r = hits / max(actual, 1)
    return ClassScore(name, p, r, 2 * hits / max(predicted + actual, 1), actual)


def _mean(name: str, classes: Sequence[ClassScore]) -> ClassScore:
    total = sum(c.support for c in classes)
    weights = [c.support if name.startswith("weighted") else 1 for c in classes]
    p, r, f = (
        sum(w * getattr(c, key) for w, c in zip(weights, classes, strict=True))
        / max(sum(weights), 1)
        for key in ("precision", "recall", "f1")
    )
    return ClassScore(name, p, r, f, total)
