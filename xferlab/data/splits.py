"""Raw rows of train, validation and test to checked :class:`~xferlab.contracts.TextData`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from xferlab.contracts import Split, Task, TaskSpec, TextData
from xferlab.data.class_names import choose_names, codes_by_name, label_codes, report_variants
from xferlab.data.class_names_file import Names
from xferlab.data.example_columns import groups_of, weights_of
from xferlab.data.labels import (
    Rows,
    is_missing,
    label_values,
    row_error,
    words_of,
)
from xferlab.data.notes import Notes
from xferlab.data.overlaps import refuse_copied_labels, report_conflicts, report_overlaps
from xferlab.data.partition import check_folds, hold_back, limited, limited_rows, split_fold, take
from xferlab.data.soft_labels import check_soft_labels, soft_array
from xferlab.data.streaming import convert
from xferlab.data.task_inference import infer_task, normalized_labels
from xferlab.errors import ConfigError, did_you_mean
from xferlab.tasks.base import TASKS, task_named

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

SPLITS = ("train", "validation", "test")
AUTO = "auto"
"""Infers the task from the label column."""


def no_limit() -> dict[str, int | float | None]:
    """Return the default of a plugin's ``limit``: all examples of every split."""
    return dict.fromkeys(SPLITS)


def check_fields(
    max_length: int,
    validation_fraction: float = 0.1,
    limit: Mapping[str, int | float | None] | None = None,
    max_rows: int = 1,
    task: str = AUTO,
    label_separator: str = "|",
    folds: int | None = None,
    fold: int | None = None,
) -> None:
    """Raise ValueError or ConfigError for an invalid value of these plugin fields."""
    check_folds(folds, fold)
    if task not in (AUTO, *TASKS):
        what = f"task must be the name of a task or {AUTO}, got {task!r}"
        raise ConfigError(what, where="data.task", fix=did_you_mean(task, [AUTO, *TASKS]))
    if not label_separator:
        raise ValueError("label_separator must be one character or more")
    if max_length < 8:
        raise ValueError(f"max_length must be at least 8, got {max_length}")
    if not 0 < validation_fraction < 1:
        raise ValueError(f"validation_fraction must be between 0 and 1, got {validation_fraction}")
    if max_rows < 1:
        raise ValueError(f"max_rows must be at least 1, got {max_rows}")
    for name, rows in (limit or {}).items():
        if name not in SPLITS:
            raise ValueError(f"limit has no split '{name}': {did_you_mean(name, SPLITS)}")
        if rows is not None and not 0 < rows < 1 and (isinstance(rows, float) or rows < 1):
            raise ValueError(
                f"limit.{name} must be at least 1 row, a fraction between 0 and 1, or null,"
                f" got {rows}"
            )


def has_labels(task: str) -> bool:
    """Return whether the examples of a task, by its name or ``auto``, have labels."""
    return task == AUTO or task_named(task).has_labels


def are_all_matches(task: str) -> bool:
    """Return whether every pair of a task, by its name or ``auto``, is taken for a match."""
    return task != AUTO and not has_labels(task) and task_named(task).encodes_texts_apart


def has_several_labels(task: str) -> bool:
    """Return whether a text has any number of classes in a task, by its name or ``auto``."""
    return task != AUTO and task_named(task).has_classes and not task_named(task).is_exclusive


def text_data(
    splits: Mapping[str, Rows],
    seed: int,
    *,
    max_length: int,
    task: str = AUTO,
    class_names: Sequence[str] = (),
    suggested_names: Sequence[str] = (),
    suggested_from: str = "the dataset",
    label_separator: str = "|",
    validation_fraction: float = 0.1,
    limit: Mapping[str, int | float | None] | None = None,
    folds: int | None = None,
    fold: int | None = None,
) -> TextData:
    """Return checked splits with label arrays, and the task that they define.

    Classes are those of the whole training split, sorted (integers as numbers), or ``class_names``
    in that order; labels may be names or, if they are not, positions in that list. Where there is
    no validation split, a fraction of the training examples is held back, stratified by class, or
    whole groups. A limited split is a stratified sample, in the order of its rows. With folds the
    test split is one fold of the training examples. All are sampled with ``seed``.

    Args:
        splits: ``train`` and, where there are any, ``validation`` and ``test``.
        seed: seed of the samples.
        max_length: longest input, in tokens.
        task: name of the task, or ``auto``.
        class_names: every class, in label order; inferred where empty.
        suggested_names: used as ``class_names`` if the training labels are all among them.
        suggested_from: where those come from, for messages.
        label_separator: the text between the labels of a multi-label string.
        validation_fraction: fraction of the training examples to hold back.
        limit: most examples of a split, by its name; below 1 a fraction of them.
        folds: how many folds the training examples are split into; None for none.
        fold: which of them is the test split, from 0.

    Raises:
        ConfigError: a text or label is missing, malformed or unknown, or so is what else an example
            has.
    """
    notes = Notes()
    own = splits["train"].label_names
    suggested = Names(own or tuple(suggested_names), "data.soft_labels" if own else suggested_from)
    chosen = None if task == AUTO else task_named(task)
    splits = _given_splits(splits, folds, notes)
    for name, rows in splits.items():
        _refuse_empty(name, rows)
    refuse_copied_labels(splits["train"])
    inferred = infer_task(splits, chosen, class_names, suggested.names, label_separator, notes)
    kind = inferred.task
    given = () if inferred.names else class_names
    if inferred.names:
        suggested = Names(inferred.names, "the lists of 0 and 1")
    names, ready = _labelled(inferred.splits, kind, given, suggested, label_separator, notes)
    report_conflicts(ready["train"], notes)
    held_back = "validation" not in ready
    fold_rows = _divide(ready, names, dict(limit or {}), folds, fold, validation_fraction, seed)
    report_overlaps(ready, held_back, notes)
    return _text_data(kind, names, ready, max_length, notes, fold_rows)


def _given_splits(
    splits: Mapping[str, Rows], folds: int | None, notes: Notes
) -> Mapping[str, Rows]:
    """Return the splits that are used as they are: with folds, no test split."""
    if folds is None or "test" not in splits:
        return splits
    notes.add("the test split is a fold of train; the given test split is not used")
    return {name: rows for name, rows in splits.items() if name != "test"}


def _divide(
    ready: dict[str, Split],
    names: tuple[str, ...],
    limits: dict[str, int | float | None],
    folds: int | None,
    fold: int | None,
    validation_fraction: float,
    seed: int,
) -> np.ndarray | None:
    """Take a fold and validation examples out of train where need be, and limit every split.

    Returns:
        The rows of the fold among the training examples; None without folds.
    """
    fold_rows = None
    if folds is not None and fold is not None:
        fold_rows = _take_fold(ready, names, folds, fold, limits.pop("train", None), seed)
        limits.pop("test", None)
    if "validation" not in ready:
        ready["train"], ready["validation"] = hold_back(ready["train"], seed, validation_fraction)
    for order, name in enumerate(SPLITS):
        if name in ready:
            ready[name] = limited(ready[name], limits.get(name), seed, order)
    return fold_rows


def _take_fold(
    ready: dict[str, Split],
    names: tuple[str, ...],
    folds: int,
    fold: int,
    most: int | float | None,
    seed: int,
) -> np.ndarray:
    """Make one fold of the training examples the test split; return its rows among them."""
    rows = limited_rows(ready["train"], most, seed, 0)
    examples = take(ready["train"], rows)
    others, own = split_fold(examples, names, folds, fold, seed)
    ready["train"] = take(examples, others)
    ready["test"] = take(examples, own)
    return rows[own]


def _text_data(
    task: Task,
    names: tuple[str, ...],
    splits: Mapping[str, Split],
    max_length: int,
    notes: Notes,
    fold_rows: np.ndarray | None,
) -> TextData:
    train = splits["train"]
    counts = task.class_counts(train.labels, len(names))
    has_soft = train.soft_labels is not None
    spec = TaskSpec(
        task, names, len(train), max_length, train.pairs is not None, counts, soft_labels=has_soft
    )
    report_variants(names, counts, task.unit.removesuffix("s"), notes)
    test = splits.get("test")
    return TextData(spec, train, splits["validation"], test, tuple(notes.lines), fold_rows)


def _labelled(
    splits: Mapping[str, Rows],
    task: Task,
    chosen: Sequence[str],
    suggested: Names,
    separator: str,
    notes: Notes,
) -> tuple[tuple[str, ...], dict[str, Split]]:
    """Return the class names, and every split checked and with its label array."""
    values = {}
    for name, rows in splits.items():
        _check_texts(name, rows, task)
        values[name] = label_values(name, rows, task, separator)
    names, code = choose_names(splits["train"], values["train"], task, chosen, suggested, notes)
    ready = {}
    for name, rows in splits.items():
        codes = label_codes(name, rows, values[name], code) if code else values[name]
        texts = convert(rows.texts, words_of) if task.is_per_word else rows.texts
        ready[name] = Split(texts, task.label_array(codes, len(names)), rows.pairs)
    groups = groups_of(splits)
    for name, rows in splits.items():
        more: dict[str, Any] = {"groups": groups.get(name)}
        if rows.weights is not None:
            more["weights"] = weights_of(name, rows)
        check_soft_labels(name, rows, task)
        if rows.soft_labels is not None and name == "train":
            more["soft_labels"] = soft_array(rows, ready[name].labels, names, task, notes)
        ready[name] = replace(ready[name], **more)
    return names, ready


def known_split(
    name: str,
    rows: Rows,
    spec: TaskSpec,
    *,
    label_separator: str = "|",
    suggested_names: Sequence[str] = (),
    suggested_from: str = "the dataset",
    most: int | float | None = None,
    seed: int = 0,
) -> Split:
    """Return checked examples, labelled by the class names of a run.

    Args:
        name: what the rows are called in messages; for ``most`` their split.
        rows: as they are in a file.
        spec: the task; its class names define the label positions.
        label_separator: the text between the labels of a multi-label string.
        suggested_names: names that come with the rows, in the order that numbers mean.
        suggested_from: where those come from, for messages.
        most: take a sample of so many examples with ``seed``; below 1 of such a fraction of them.
        seed: seed of the samples.

    Raises:
        ConfigError: a text or label is missing, malformed or unknown, or pairs are.
    """
    if spec.has_pairs != (rows.pairs is not None):
        raise ConfigError(
            f"the run was trained on {'pairs of texts' if spec.has_pairs else 'single texts'},"
            f" and these rows are {'single texts' if spec.has_pairs else 'pairs'}",
            where="data.pair",
            fix="data.pair=COLUMN" if spec.has_pairs else "data.pair=null",
        )
    _refuse_empty(name, rows)
    check_soft_labels(name, rows, spec.task)
    notes = Notes()
    suggested = Names(tuple(suggested_names), suggested_from)
    rows = normalized_labels(name, rows, spec, suggested, label_separator, notes)
    _check_texts(name, rows, spec.task)
    values = label_values(name, rows, spec.task, label_separator)
    if spec.task.has_classes:
        values = codes_by_name(name, rows, values, spec.class_names, suggested, notes)
    texts = [words_of(text) for text in rows.texts] if spec.task.is_per_word else rows.texts
    groups = groups_of({name: rows}).get(name)
    labels = spec.task.label_array(values, spec.num_classes)
    split = Split(texts, labels, rows.pairs, groups=groups)
    return limited(split, most, seed, SPLITS.index(name) if name in SPLITS else 0)


def _refuse_empty(split: str, rows: Rows) -> None:
    if not len(rows):
        raise ConfigError(
            f"the {split} split has no rows", where=f"data.{split}", fix="name one that has some"
        )


def _check_texts(split: str, rows: Rows, task: Task) -> None:
    """Raise ConfigError for a text that cannot be tokenised; empty texts are only logged."""
    for column, values in (("text", rows.texts), ("pair", rows.pairs or ())):
        kinds = (str, list, tuple) if task.is_per_word and column == "text" else (str,)
        wrong = [i for i, text in enumerate(values) if not isinstance(text, kinds)]
        if wrong:
            value = values[wrong[0]]
            what = f"no {column}" if is_missing(value) else f"no text in {column}, but {value!r}"
            raise row_error(rows, wrong, f"of {split} have {what}", column)
        broken = []
        empty = 0
        for i, text in enumerate(map(_joined, values)):
            empty += not text
            if not is_unicode(text):
                broken.append(i)
        if broken:
            what = f"of {split} have half a surrogate pair (no Unicode) in {column}"
            raise row_error(rows, broken, what, column)
        if empty:
            log.warning("%d of %d rows of %s have an empty %s", empty, len(rows), split, column)


def _joined(text: Any) -> str:
    return text if isinstance(text, str) else " ".join(map(str, text))


def is_unicode(text: str) -> bool:
    """Return whether a text has no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
