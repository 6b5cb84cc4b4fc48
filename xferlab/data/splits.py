"""Raw rows of train, validation and test to checked :class:`~xferlab.contracts.TextData`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from xferlab.contracts import Split, Task, TaskSpec, TextData
from xferlab.data.class_names import choose_names, codes_by_name, label_codes, report_variants
from xferlab.data.class_names_file import Names
from xferlab.data.labels import (
    Rows,
    is_missing,
    label_values,
    row_error,
    words_of,
)
from xferlab.data.notes import Notes
from xferlab.data.overlaps import refuse_copied_labels, report_conflicts, report_overlaps
from xferlab.data.sampling import stratified_sample
from xferlab.data.task_inference import infer_task, normalized_labels
from xferlab.errors import ConfigError, did_you_mean
from xferlab.tasks.base import TASKS, task_named

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

SPLITS = ("train", "validation", "test")
AUTO = "auto"
"""Infers the task from the label column."""
# The purpose of a sample: together with the seed it determines the rows.
VALIDATION = 1
LIMIT = 2


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
) -> None:
    """Raise ValueError or ConfigError for an invalid value of these plugin fields."""
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
) -> TextData:
    """Return checked splits with label arrays, and the task that they define.

    Classes are those of the whole training split, sorted (integers as numbers), or ``class_names``
    in that order; labels may be names or, if they are not, positions in that list. Where there is
    no validation split, a fraction of the training examples is held back, stratified by class. A
    limited split is a stratified sample, in the order of its rows. Both are sampled with ``seed``.

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

    Raises:
        ConfigError: a text or label is missing, malformed or unknown.
    """
    notes = Notes()
    suggested = Names(tuple(suggested_names), suggested_from)
    chosen = None if task == AUTO else task_named(task)
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
    if held_back:
        ready["train"], ready["validation"] = _hold_back(ready["train"], seed, validation_fraction)
    for order, name in enumerate(SPLITS):
        if name in ready:
            ready[name] = _limited(ready[name], (limit or {}).get(name), seed, order)
    report_overlaps(ready, held_back, notes)
    return _text_data(kind, names, ready, max_length, notes)


def _text_data(
    task: Task, names: tuple[str, ...], splits: Mapping[str, Split], max_length: int, notes: Notes
) -> TextData:
    train = splits["train"]
    counts = task.class_counts(train.labels, len(names))
    spec = TaskSpec(task, names, len(train), max_length, train.pairs is not None, counts)
    report_variants(names, counts, task.unit.removesuffix("s"), notes)
    test = splits.get("test")
    return TextData(spec, train, splits["validation"], test, tuple(notes.lines))


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
        texts = [words_of(text) for text in rows.texts] if task.is_per_word else rows.texts
        ready[name] = Split(texts, task.label_array(codes, len(names)), rows.pairs)
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
    notes = Notes()
    suggested = Names(tuple(suggested_names), suggested_from)
    rows = normalized_labels(name, rows, spec, suggested, label_separator, notes)
    _check_texts(name, rows, spec.task)
    values = label_values(name, rows, spec.task, label_separator)
    if spec.task.has_classes:
        values = codes_by_name(name, rows, values, spec.class_names, suggested, notes)
    texts = [words_of(text) for text in rows.texts] if spec.task.is_per_word else rows.texts
    split = Split(texts, spec.task.label_array(values, spec.num_classes), rows.pairs)
    return _limited(split, most, seed, SPLITS.index(name) if name in SPLITS else 0)


def _limited(split: Split, most: int | float | None, seed: int, order: int) -> Split:
    if most is None:
        return split
    rows = max(1, round(most * len(split))) if most < 1 else int(most)
    if rows >= len(split):
        return split
    return take(split, stratified_sample(_strata(split), rows, seed, LIMIT, order))


def take(split: Split, rows: np.ndarray) -> Split:
    """Return some examples of a split."""
    pairs = None if split.pairs is None else [split.pairs[i] for i in rows]
    tags = isinstance(split.labels, list)
    labels = [split.labels[i] for i in rows] if tags else split.labels[rows]
    return Split([split.texts[i] for i in rows], labels, pairs)


def _hold_back(train: Split, seed: int, fraction: float) -> tuple[Split, Split]:
    """Return the training and the validation split that are made of ``train``."""
    import numpy as np

    size = max(1, round(fraction * len(train)))
    if size >= len(train):
        raise ConfigError(
            f"train has {len(train)} rows, too few to hold some back for validation",
            where="data.validation",
            fix="name a validation split, or use more rows",
        )
    chosen = stratified_sample(_strata(train), size, seed, VALIDATION, leave_one=True)
    if not len(chosen):  # every class has one example
        chosen = stratified_sample(np.zeros(len(train), int), size, seed, VALIDATION)
    log.info("no validation split: %d of %d training rows are held back", len(chosen), len(train))
    return take(train, np.setdiff1d(np.arange(len(train)), chosen)), take(train, chosen)


def _strata(split: Split) -> np.ndarray:
    """Return the class of each example where examples have one class, else zeros."""
    import numpy as np

    has_class = not isinstance(split.labels, list) and split.labels.dtype == "int32"
    return split.labels if has_class else np.zeros(len(split), dtype="int32")


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
        strings = [t if isinstance(t, str) else " ".join(map(str, t)) for t in values]
        broken = [i for i, text in enumerate(strings) if not is_unicode(text)]
        if broken:
            what = f"of {split} have half a surrogate pair (no Unicode) in {column}"
            raise row_error(rows, broken, what, column)
        empty = sum(not text for text in strings)
        if empty:
            log.warning("%d of %d rows of %s have an empty %s", empty, len(rows), split, column)


def is_unicode(text: str) -> bool:
    """Return whether a text has no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
