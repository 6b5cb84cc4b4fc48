"""The mistakes that a model was surest of, with their texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from xferlab.contracts import Task
from xferlab.escaping import csv_text, markdown, markdown_table
from xferlab.evaluation.split_outputs import SplitOutputs
from xferlab.functional.bio_tags import spans, strange_tag

NUMBER = 50
LONGEST = 400
"""Letters of a text in Markdown; the CSV has all."""


@dataclass(frozen=True)
class Mistakes:
    """Mistakes, the surest first.

    Attributes:
        header: names of the columns; the first is ``row``, counted from 1 in the split.
        rows: a mistake each; numbers are numbers.
        total: rows with a mistake, shown or not.
        order: what the first has most of.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    total: int
    order: str

    def csv(self) -> str:
        """Return the mistakes as CSV."""
        return csv_text([self.header, *self.rows])

    def markdown(self) -> str:
        """Return the mistakes as a table in Markdown; long texts are cut."""
        opening = f"{self.total:,} rows have a mistake; the {len(self.rows)} with {self.order}:\n\n"
        cells = [[_cell(value) for value in row] for row in self.rows]
        return opening + markdown_table(self.header, cells)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    text = str(value)
    return markdown(text if len(text) <= LONGEST else f"{text[:LONGEST]}...")


def mistakes_of(answers: SplitOutputs, number: int = NUMBER) -> Mistakes:
    """Return the ``number`` surest mistakes."""
    find = {
        Task.single_label: _of_classes,
        Task.multi_label: _of_labels,
        Task.regression: _of_values,
        Task.token_classification: _of_tags,
    }
    return find[answers.spec.task](answers, number)


def _texts(answers: SplitOutputs) -> tuple[str, ...]:
    return ("text",) if answers.pairs is None else ("text", "pair")


def _start(answers: SplitOutputs, row: int) -> tuple[Any, ...]:
    """Return the number and the text, or texts, of a row."""
    pair = () if answers.pairs is None else (answers.pairs[row],)
    return (row + 1, answers.texts[row], *pair)


def _first(sureness: Any, wrong: Any, number: int) -> Any:
    """Return the rows that are wrong, the surest first."""
    import numpy as np

    order = np.argsort(-sureness, kind="stable")
    return order[wrong[order]][:number]


def _of_classes(answers: SplitOutputs, number: int) -> Mistakes:
    wanted, found, sure = answers.units
    wrong, names = wanted != found, answers.spec.class_names
    rows = [
        (*_start(answers, i), names[wanted[i]], names[found[i]], float(sure[i]),
         float(answers.probabilities[i, wanted[i]]))
        for i in _first(sure, wrong, number)
    ]  # fmt: skip
    header = ("row", *_texts(answers), "true", "predicted", "probability", "probability_of_true")
    return Mistakes(header, tuple(rows), int(wrong.sum()), "the highest probability")


def _of_labels(answers: SplitOutputs, number: int) -> Mistakes:
    """Order rows by the one label that was most surely taken for there, or for not there."""
    import numpy as np

    wanted, found, p = answers.labels > 0.5, answers.predicted, answers.probabilities
    sure = np.where(wanted != found, np.where(found, p, 1 - p), -1.0)
    worst, wrong = sure.argmax(axis=1), (wanted != found).any(axis=1)
    names = np.array(answers.spec.class_names, dtype=object)
    rows = [
        (*_start(answers, i), _joined(names[wanted[i]]), _joined(names[found[i]]),
         names[worst[i]], "wrong" if found[i, worst[i]] else "missed", float(p[i, worst[i]]))
        for i in _first(sure.max(axis=1), wrong, number)
    ]  # fmt: skip
    header = ("row", *_texts(answers), "true", "predicted", "surest", "how", "probability")
    order = "a label most surely wrong or missed"
    return Mistakes(header, tuple(rows), int(wrong.sum()), order)


def _joined(names: Sequence[str]) -> str:
    return " | ".join(names) or "(none)"


def _of_values(answers: SplitOutputs, number: int) -> Mistakes:
    import numpy as np

    error = answers.predicted.astype("float64") - answers.labels
    wrong = error != 0
    rows = [
        (*_start(answers, i), float(answers.labels[i]), float(answers.predicted[i]),
         float(error[i]))
        for i in _first(np.abs(error), wrong, number)
    ]  # fmt: skip
    header = ("row", *_texts(answers), "true", "predicted", "error")
    return Mistakes(header, tuple(rows), int(wrong.sum()), "the largest error")


def _of_tags(answers: SplitOutputs, number: int) -> Mistakes:
    """Order sentences by the probability of their surest wrong tag; mark what is wrong."""
    import numpy as np

    sure = answers.probabilities.max(axis=-1)
    wrong = (answers.labels >= 0) & (answers.labels != answers.predicted)
    most_confident = np.where(wrong, sure, -1.0).max(axis=1, initial=-1.0)
    are_entities = strange_tag(answers.spec.class_names) is None
    rows = [
        (int(i) + 1, _marked_row(answers, int(i), are_entities), float(most_confident[i]))
        for i in _first(most_confident, wrong.any(axis=1), number)
    ]
    total = int(wrong.any(axis=1).sum())
    header = ("row", "sentence ⟦words: true → predicted⟧", "probability")
    return Mistakes(header, tuple(rows), total, "the highest probability of a wrong tag")


def _marked_row(answers: SplitOutputs, row: int, are_entities: bool) -> str:
    if are_entities:
        return _marked_entities(answers.texts[row], *answers.entities(row))
    return marked(answers.texts[row], *answers.tags(row))


def marked(words: Sequence[str], wanted: Sequence[str], found: Sequence[str]) -> str:
    """Return a sentence with each stretch of wrong words marked: right entity, predicted one.

    >>> tags = ["O", "B-person", "I-person", "O"], ["O", "B-person", "O", "O"]
    >>> marked(["by", "Ann", "Lee", "."], *tags)
    'by ⟦Ann Lee: person → person "Ann"⟧ .'
    """
    if strange_tag([*wanted, *found]) is not None:
        return " ".join(
            word if w == f else f"⟦{word}: {w} → {f}⟧"
            for word, w, f in zip(words, wanted, found, strict=True)
        )
    return _marked_entities(words, set(spans(wanted)), set(spans(found)))


def _marked_entities(words: Sequence[str], wanted: set[Any], found: set[Any]) -> str:
    """Return the words, with every group of entities that overlap and are not right told."""
    told, after = [], 0
    for start, end, inside in _groups(wanted ^ found):
        told += list(words[after:start])
        right, wrong = (
            _side(words, start, end, [s for s in inside if s in side]) for side in (wanted, found)
        )
        told.append(f"⟦{' '.join(words[start:end])}: {right} → {wrong}⟧")
        after = end
    return " ".join([*told, *words[after:]])


def _groups(wrong: set[Any]) -> Iterator[tuple[int, int, list[Any]]]:
    """Yield stretches of words that wrong entities cover: start, end, those entities."""
    inside: list[Any] = []
    for span in sorted(wrong):
        if inside and span[0] >= max(end for _, end, _ in inside):
            yield inside[0][0], max(end for _, end, _ in inside), inside
            inside = []
        inside.append(span)
    if inside:
        yield inside[0][0], max(end for _, end, _ in inside), inside


def _side(words: Sequence[str], start: int, end: int, inside: Sequence[Any]) -> str:
    """Return the types of entities in a stretch, with their words where these are not all of it."""
    told = [
        kind if (first, last) == (start, end) else f'{kind} "{" ".join(words[first:last])}"'
        for first, last, kind in inside
    ]
    return ", ".join(told) or "nothing"
