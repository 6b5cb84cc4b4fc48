"""Infers the task from a label column; the only place that does, and it reports its choice.

A task that fits every row is used, with a note where another one is possible. Rows that contradict
it are named in the note, or are an error where no task fits.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xferlab.contracts import Task, TaskSpec
from xferlab.data.class_names_file import Names
from xferlab.data.labels import Cells, Rows, present_labels, words_of
from xferlab.data.list_labels import (
    are_lists_in_text,
    are_multi_hot_or_fractions,
    from_multi_hot,
    multi_hot_width,
    names_of_multi_hot,
    parse_lists,
    split_labels,
)
from xferlab.data.notes import Notes, named_rows, shown
from xferlab.data.number_labels import (
    normalize_whole_numbers,
    replace_decimal_commas,
    task_of_numbers,
)
from xferlab.formatting import format_count


@dataclass(frozen=True)
class InferredTask:
    """A task, and the splits with their labels in its form.

    Attributes:
        task: the task.
        splits: rows whose labels are names, lists of names or numbers.
        names: every class, where the label format defines them; otherwise empty.
    """

    task: Task
    splits: dict[str, Rows]
    names: tuple[str, ...] = ()


def infer_task(
    splits: Mapping[str, Rows],
    choice: Task | None,
    chosen: Sequence[str],
    suggested: Sequence[str],
    separator: str,
    notes: Notes,
) -> InferredTask:
    """Return the task, and the splits with labels as plain names, lists or numbers.

    Args:
        splits: ``train`` and others, as they are in files or on the Hub.
        choice: the task if the user named it, None to infer it from the training labels.
        chosen: class names that the user gave.
        suggested: names that come with the data.
        separator: the text between the labels of a multi-label string.
        notes: collects notes.

    Raises:
        ConfigError: the training labels fit no task, or another split has another format.
    """
    ready = dict(splits)
    train = ready["train"]
    if are_lists_in_text(train, choice, notes):
        ready = {name: parse_lists(name, rows) for name, rows in ready.items()}
    train = ready["train"]
    task = choice or _infer(train, chosen, suggested, separator, notes)
    if task.has_label_lists and not task.is_per_word:
        ready = split_labels(ready, separator, chosen)
    is_list = task.has_label_lists or _has_lists(train)
    if task.has_classes and not task.is_per_word and is_list:
        hot = multi_hot_width(ready["train"], choice, bool(chosen), notes)
        if hot:
            ready, names = from_multi_hot(ready, task, hot, chosen, suggested, notes)
            return InferredTask(task, ready, names)
    if not task.has_classes:
        ready = {name: replace_decimal_commas(name, rows, notes) for name, rows in ready.items()}
    elif not task.has_label_lists:
        ready = normalize_whole_numbers(ready, {*chosen, *suggested})
    return InferredTask(task, ready)


def normalized_labels(
    name: str, rows: Rows, spec: TaskSpec, suggested: Names, separator: str, notes: Notes
) -> Rows:
    """Return rows of a run's task with labels as plain names, lists or numbers.

    Args:
        name: what the rows are called in messages.
        rows: as they are in a file.
        spec: the task.
        suggested: names that come with the rows, in the order that numbers mean.
        separator: the text between the labels of a multi-label string.
        notes: collects notes.

    Raises:
        ConfigError: rows have different formats, or one that does not fit the task.
    """
    if not spec.task.has_classes:
        return replace_decimal_commas(name, rows, notes)
    if are_lists_in_text(rows, spec.task, notes):
        rows = parse_lists(name, rows)
    if spec.task.has_label_lists and not spec.task.is_per_word:
        rows = split_labels({name: rows}, separator, spec.class_names)[name]
    if _has_lists(rows) and not spec.task.is_per_word:
        return names_of_multi_hot(name, rows, spec, suggested, notes)
    return rows


def _has_lists(rows: Rows) -> bool:
    return any(isinstance(label, list | tuple) for label in rows.labels)


def _infer(
    rows: Rows, chosen: Sequence[str], suggested: Sequence[str], separator: str, notes: Notes
) -> Task:
    if _has_lists(rows):
        return _infer_from_lists(rows, notes)
    if _are_lists_of_words(rows) and _fit_words(rows):
        return Task.token_classification
    cells = present_labels(rows)
    known = {*chosen, *suggested}
    strings = [(i, value.strip()) for i, value in cells if isinstance(value, str)]
    together = [(i, text) for i, text in strings if separator in text and text not in known]
    if together and _are_several(strings, together, separator, notes):
        return Task.multi_label
    if chosen or not cells:
        return Task.single_label
    _note_other_separators(strings, known, notes)
    return task_of_numbers(rows, cells, notes)


def _infer_from_lists(rows: Rows, notes: Notes) -> Task:
    if _are_lists_of_words(rows):
        return Task.token_classification
    if _fit_words(rows) and not are_multi_hot_or_fractions(rows):
        notes.add(
            "labels are lists, one item for each word of the text: data.task is"
            " token_classification (data.task=multi_label uses them as labels of the whole text)"
        )
        return Task.token_classification
    return Task.multi_label


def _are_lists_of_words(rows: Rows) -> bool:
    return bool(rows.texts) and all(isinstance(text, list | tuple) for text in rows.texts)


def _fit_words(rows: Rows) -> bool:
    """Return whether every row has one label for each word, and some have several words."""
    sizes = []
    for text, label in zip(rows.texts, rows.labels, strict=True):
        if not isinstance(text, str | list | tuple) or not isinstance(label, str | list | tuple):
            return False
        sizes.append((len(words_of(text)), len(label.split() if isinstance(label, str) else label)))
    return all(words == tags for words, tags in sizes) and any(words > 1 for words, _ in sizes)


def _note_other_separators(strings: Cells, known: set[str], notes: Notes) -> None:
    """Note labels that look like several with another separator."""
    for sign in (",", ";"):
        together = [(i, text) for i, text in strings if sign in text and text not in known]
        joint = _shared_parts(strings, together, sign)
        if any(re.search(r"[^\d.,;+-]", text) or text.count(sign) > 1 for text in joint):
            row, example = next((i, text) for i, text in together if text in joint)
            notes.add(
                f"{format_count(len(together), 'label')} with {sign!r} ({named_rows([row])}:"
                f" {shown(example)}) taken for names of classes, though their parts occur elsewhere"
                f" too (data.label_separator='{sign}' splits them)"
            )


def _shared_parts(strings: Cells, together: Cells, separator: str) -> set[str]:
    """Return the cells of ``together`` of which a part occurs alone or in another one."""
    distinct = {text for _, text in strings}
    parts = {
        text: {part.strip() for part in text.split(separator)} - {""}
        for text in distinct
        if separator in text
    }
    times = Counter(part for found in parts.values() for part in found)
    times.update(text for text in distinct if separator not in text)
    return {text for _, text in together if any(times[part] > 1 for part in parts[text])}


def _are_several(strings: Cells, together: Cells, separator: str, notes: Notes) -> bool:
    """Return whether cells with the separator are several labels: their parts occur elsewhere."""
    joint = _shared_parts(strings, together, separator)
    row, example = together[0]
    if not joint:
        notes.add(
            f"{format_count(len(together), 'label')} with {separator!r} ({named_rows([row])}:"
            f" {shown(example)}) taken for the name of one class, as no part of any occurs"
            " elsewhere (data.task=multi_label splits them)"
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
