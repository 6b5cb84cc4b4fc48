"""Which task a label column stands for: the one place that guesses, and reports what it took.

A guess that every row agrees with is used and, where another reading is possible, reported. One
that some rows speak against is reported with those rows, or refused where it cannot be meant.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xferlab.contracts import Task, TaskSpec
from xferlab.data.class_names_file import Names
from xferlab.data.labels import Cells, Rows, cells_of, words_of
from xferlab.data.list_labels import (
    are_hot_or_shares,
    are_written_lists,
    from_hot,
    hot_width,
    known_lists,
    taken_apart,
    with_lists,
)
from xferlab.data.notes import Notes, named_rows, shown
from xferlab.data.number_labels import task_of_numbers, with_points, without_points
from xferlab.formatting import format_count


@dataclass(frozen=True)
class Understood:
    """What label columns stand for.

    Attributes:
        task: what a row asks for.
        splits: rows whose labels are names, lists of names or numbers.
        names: every class, where the way of writing fixes them; otherwise empty.
    """

    task: Task
    splits: dict[str, Rows]
    names: tuple[str, ...] = ()


def understand(
    splits: Mapping[str, Rows],
    choice: Task | None,
    chosen: Sequence[str],
    suggested: Sequence[str],
    separator: str,
    notes: Notes,
) -> Understood:
    """Return the task, and the splits with labels as plain names, lists or numbers.

    Args:
        splits: ``train`` and others, as files or a hub give them.
        choice: the task if the user named it, None to guess by the training labels.
        chosen: names of the classes that the user gave.
        suggested: names that come with the data.
        separator: what stands between the labels of a multi-label string.
        notes: takes what is worth a line.

    Raises:
        ConfigError: the training labels cannot be meant as any task, or another split is written
            in another way.
    """
    ready = dict(splits)
    train = ready["train"]
    if are_written_lists(train, choice, notes):
        ready = {name: with_lists(name, rows) for name, rows in ready.items()}
    train = ready["train"]
    task = choice or _guess(train, chosen, suggested, separator, notes)
    if task.has_label_lists and not task.is_per_word:
        ready = taken_apart(ready, separator)
    is_list = task.has_label_lists or _has_lists(train)
    if task.has_classes and not task.is_per_word and is_list:
        hot = hot_width(ready["train"], choice, bool(chosen), notes)
        if hot:
            ready, names = from_hot(ready, task, hot, chosen, suggested, notes)
            return Understood(task, ready, names)
    if not task.has_classes:
        ready = {name: with_points(name, rows, notes) for name, rows in ready.items()}
    elif not task.has_label_lists:
        ready = without_points(ready, {*chosen, *suggested})
    return Understood(task, ready)


def understand_known(
    name: str, rows: Rows, spec: TaskSpec, suggested: Names, separator: str, notes: Notes
) -> Rows:
    """Return rows of a task that is known, with labels as plain names, lists or numbers.

    Args:
        name: what the rows are called in messages.
        rows: as a file gives them.
        spec: the task.
        suggested: names that come with the rows, in the order that numbers mean.
        separator: what stands between the labels of a multi-label string.
        notes: takes what is worth a line.

    Raises:
        ConfigError: rows are written in different ways, or in one that does not fit the task.
    """
    if not spec.task.has_classes:
        return with_points(name, rows, notes)
    if are_written_lists(rows, spec.task, notes):
        rows = with_lists(name, rows)
    if spec.task.has_label_lists and not spec.task.is_per_word:
        rows = taken_apart({name: rows}, separator)[name]
    if _has_lists(rows) and not spec.task.is_per_word:
        return known_lists(name, rows, spec, suggested, notes)
    return rows


def _has_lists(rows: Rows) -> bool:
    return any(isinstance(label, list | tuple) for label in rows.labels)


def _guess(
    rows: Rows, chosen: Sequence[str], suggested: Sequence[str], separator: str, notes: Notes
) -> Task:
    if _has_lists(rows):
        return _guess_of_lists(rows, notes)
    if _are_lists_of_words(rows) and _fit_words(rows):
        return Task.token_classification
    cells = cells_of(rows)
    known = {*chosen, *suggested}
    strings = [(i, value.strip()) for i, value in cells if isinstance(value, str)]
    together = [(i, text) for i, text in strings if separator in text and text not in known]
    if together and _are_several(strings, together, separator, notes):
        return Task.multi_label
    if chosen or not cells:
        return Task.single_label
    _note_other_separators(strings, known, notes)
    return task_of_numbers(rows, cells, notes)


def _guess_of_lists(rows: Rows, notes: Notes) -> Task:
    if _are_lists_of_words(rows):
        return Task.token_classification
    if _fit_words(rows) and not are_hot_or_shares(rows):
        notes.add(
            "labels are lists, one item for each word of the text: data.task is tagging"
            " (data.task=multi_label takes them for labels of the whole row)"
        )
        return Task.token_classification
    return Task.multi_label


def _are_lists_of_words(rows: Rows) -> bool:
    return bool(rows.texts) and all(isinstance(text, list | tuple) for text in rows.texts)


def _fit_words(rows: Rows) -> bool:
    """Whether every row has one label for each word, and some more than one."""
    sizes = []
    for text, label in zip(rows.texts, rows.labels, strict=True):
        if not isinstance(text, str | list | tuple) or not isinstance(label, str | list | tuple):
            return False
        sizes.append((len(words_of(text)), len(label.split() if isinstance(label, str) else label)))
    return all(words == tags for words, tags in sizes) and any(words > 1 for words, _ in sizes)


def _note_other_separators(strings: Cells, known: set[str], notes: Notes) -> None:
    """Report labels that look like several with another sign between them."""
    for sign in (",", ";"):
        together = [(i, text) for i, text in strings if sign in text and text not in known]
        distinct = {text for _, text in strings}
        joint = _joint(distinct, sign)
        if any(re.search(r"[^\d.,;+-]", text) or text.count(sign) > 1 for text in joint):
            row, example = next((i, text) for i, text in together if text in joint)
            notes.add(
                f"{format_count(len(together), 'label')} with {sign!r} ({named_rows([row])}:"
                f" {shown(example)}) taken for names of classes, though their parts stand elsewhere"
                f" too (data.label_separator='{sign}' takes them apart)"
            )


def _joint(distinct: set[str], separator: str) -> set[str]:
    """Return the cells of which a part stands alone, or in another cell with the separator."""
    parts = {
        text: {part.strip() for part in text.split(separator)} - {""}
        for text in distinct
        if separator in text
    }
    times = Counter(part for found in parts.values() for part in found)
    times.update(text for text in distinct if separator not in text)
    return {text for text, found in parts.items() if any(times[part] > 1 for part in found)}


def _are_several(strings: Cells, together: Cells, separator: str, notes: Notes) -> bool:
    """Whether cells with the separator are several labels, by parts that occur elsewhere too."""
    joint = _joint({text for _, text in strings}, separator)
    row, example = together[0]
    if not joint:
        notes.add(
            f"{format_count(len(together), 'label')} with {separator!r} ({named_rows([row])}:"
            f" {shown(example)}) taken for the name of one class, as no part of any stands"
            " elsewhere (data.task=multi_label takes them apart)"
        )
        return False
    lone = [(i, text) for i, text in together if text not in joint]
    against = ""
    if lone:
        against = (
            f"; no part of {shown(lone[0][1])} ({named_rows([i for i, _ in lone])}) stands"
            " elsewhere, so that may be one name"
        )
    notes.add(
        f"{len(together):,} of {format_count(len(strings), 'label')} hold {separator!r}"
        f" ({named_rows([row])}: {shown(example)}): data.task is multi_label"
        f"{against} (data.task=single_label keeps names whole)"
    )
    return True
