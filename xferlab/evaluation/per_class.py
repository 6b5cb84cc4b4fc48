"""Precision, recall and F1 of each class, or of each type of entity, as text and as CSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xferlab.contracts import Task
from xferlab.errors import printable
from xferlab.escaping import csv_text
from xferlab.evaluation.split_outputs import SplitOutputs
from xferlab.functional.bio_tags import NO_ENTITY, strange_tag, type_of

HEADER = ("class", "precision", "recall", "f1", "support")
LONGEST_NAME = 40


@dataclass(frozen=True)
class ClassScore:
    """A line of the report.

    Attributes:
        name: of the class, or of a mean over classes.
        precision: share of its predictions that are right.
        recall: share of its rows (words, entities) that are found.
        f1: their harmonic mean.
        support: its rows (words, entities).
    """

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Report:
    """Scores by class, then means over classes.

    Attributes:
        unit: what is counted: ``rows``, ``words`` or ``entities``.
        classes: a line a class that occurs or was predicted, in label order.
        means: micro, macro and so on.
        absent: classes that neither occur nor were predicted; they take no part in the means.
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
            lines += ["", f"neither there nor predicted: {', '.join(map(printable, self.absent))}"]
        return "\n".join([*lines, "", f"support counts {self.unit}"]) + "\n"

    def csv(self) -> str:
        """Return the report as CSV; ``kind`` tells classes from means."""
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


def class_report(answers: SplitOutputs) -> Report:
    """Return the scores of each class, as scikit-learn computes them; a 0/0 is 0.

    For tags of entities (BIO, BIOES, IO), of each type of entity, counted as ``conlleval`` does;
    for other tags of words.
    """
    spec = answers.spec
    if spec.task is Task.token_classification and strange_tag(spec.class_names) is None:
        return _entity_report(answers)
    if spec.task is Task.multi_label:
        wanted, found = answers.labels > 0.5, answers.predicted
        return _report(wanted, found, spec.class_names, "rows", ("micro", "macro", "weighted"))
    wanted, found, _ = answers.units
    unit = "words" if spec.task is Task.token_classification else "rows"
    return _report(wanted, found, spec.class_names, unit, ("macro", "weighted"))


def _report(
    wanted: Any, found: Any, names: Sequence[str], unit: str, averages: Sequence[str]
) -> Report:
    import numpy as np
    from sklearn.metrics import precision_recall_fscore_support

    def lines(labels: Any, average: str | None) -> Any:
        return precision_recall_fscore_support(
            wanted, found, labels=labels, average=average, zero_division=0
        )

    several = wanted.ndim == 2
    present = np.arange(len(names)) if several else np.union1d(wanted, found)
    each = zip(present, *lines(present, None), strict=True)
    classes = tuple(
        ClassScore(names[i], float(p), float(r), float(f), int(n)) for i, p, r, f, n in each
    )
    support = sum(line.support for line in classes)
    means = [] if several else [_accuracy(wanted, found)]
    for average in averages:
        p, r, f, _ = lines(present, average)
        means.append(ClassScore(f"{average} mean", float(p), float(r), float(f), support))
    absent = tuple(name for i, name in enumerate(names) if i not in set(present.tolist()))
    return Report(unit, classes, tuple(means), absent)


def _accuracy(wanted: Any, found: Any) -> ClassScore:
    """Return the share of right answers: with one class a row, micro P, R and F1 are all this."""
    fraction = float((wanted == found).mean()) if len(wanted) else 0.0
    return ClassScore("accuracy (micro mean)", fraction, fraction, fraction, len(wanted))


def _entity_report(answers: SplitOutputs) -> Report:
    hits: Counter[str] = Counter()
    predicted: Counter[str] = Counter()
    actual: Counter[str] = Counter()
    for wanted, found in map(answers.entities, range(len(answers))):
        hits.update(kind for _, _, kind in wanted & found)
        predicted.update(kind for _, _, kind in found)
        actual.update(kind for _, _, kind in wanted)
    types = sorted({type_of(name) for name in answers.spec.class_names} - {NO_ENTITY})
    present = [kind for kind in types if actual[kind] + predicted[kind]]
    classes = tuple(_scored(k, hits[k], predicted[k], actual[k]) for k in present)
    micro = _scored("micro mean", hits.total(), predicted.total(), actual.total())
    means = (micro, *(_mean(name, classes) for name in ("macro mean", "weighted mean")))
    absent = tuple(kind for kind in types if kind not in present)
    return Report("entities", classes, means, absent)


def _scored(name: str, hits: int, predicted: int, actual: int) -> ClassScore:
    p, r = hits / max(predicted, 1), hits / max(actual, 1)
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
