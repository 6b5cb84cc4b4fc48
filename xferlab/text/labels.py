"""Raw label columns to a task, class names and arrays."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from xferlab.contracts import Split, Task
from xferlab.errors import ConfigError, nearest

if TYPE_CHECKING:
    pass

log = logging.getLogger(__name__)

INTEGER = re.compile(r"-?\d+")
FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class TaskChoice(Enum):
    """A task, or ``auto``: the one that the label column looks like."""

    auto = "auto"
    one_label = "one_label"
    multi_label = "multi_label"
    regression = "regression"
    tagging = "tagging"


@dataclass(frozen=True)
class Rows:
    """One split as a file or a hub gives it.

    Attributes:
        texts: strings, or lists of words for tagging.
        labels: whatever the label column holds.
        pairs: second texts, where rows are pairs.
        place: says where a row is, for messages.
    """

    texts: Sequence[Any]
    labels: Sequence[Any]
    pairs: Sequence[Any] | None = None
    place: Callable[[int], str] = lambda row: f"row {row + 1}"

    def __len__(self) -> int:
        return len(self.texts)


def infer_task(rows: Rows, has_names: bool, separator: str = "|") -> Task:
    """Return the task that a training split's labels look like.

    Lists of tags beside lists of words are tagging, other lists or strings with ``separator``
    multi-label, numbers written with a point (unless classes are named) regression, all else one
    label.
    """
    if any(isinstance(label, list | tuple) for label in rows.labels):
        return Task.tagging if isinstance(rows.texts[0], list | tuple) else Task.multi_label
    if any(isinstance(label, str) and separator in label for label in rows.labels):
        return Task.multi_label
    given = [str(label).strip() for label in rows.labels if not is_missing(label)]
    are_numbers = not has_names and all(map(FLOAT.fullmatch, given))
    if not are_numbers or all(map(INTEGER.fullmatch, given)):
        return Task.one_label
    log.info("labels are numbers with a point: data.task is regression")
    return Task.regression


def class_counts(split: Split, task: Task, classes: int) -> tuple[int, ...]:
    """Return how many rows (tags, for tagging) each class has."""
    import numpy as np

    if task is Task.regression:
        return ()
    if task is Task.multi_label:
        return tuple(split.labels.sum(axis=0).astype(int).tolist())
    every = np.concatenate(split.labels) if task is Task.tagging else split.labels
    return tuple(np.bincount(every, minlength=classes).tolist())


def is_missing(value: Any) -> bool:
    """Return whether there is nothing where a label or text should be."""
    return (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or (isinstance(value, str) and not value.strip())
    )


def row_error(rows: Rows, wrong: Sequence[int], what: str, column: str) -> ConfigError:
    """Return the error for rows that cannot be used, naming the first few."""
    first = ", ".join(str(i + 1) for i in wrong[:5]) + (", ..." if len(wrong) > 5 else "")
    noun, verb = ("row", "has") if len(wrong) == 1 else ("rows", "have")
    return ConfigError(
        f"{len(wrong)} {noun} {what.replace(' have ', f' {verb} ', 1)}: {noun} {first}",
        where=rows.place(wrong[0]),
        fix=f"mend or leave out what is named, or choose another column: data.{column}=COLUMN",
    )


def _name(value: Any) -> str:
    """Return a label as a class name: ``1`` and ``1.0`` are ``"1"``, ``True`` is ``"true"``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def words_of(text: Any) -> list[str]:
    """Return the words of a row that is tagged: a list as it is, a string cut at blanks."""
    return text.split() if isinstance(text, str) else [str(word) for word in text]


def label_values(split: str, rows: Rows, task: Task, separator: str) -> list[Any]:
    """Return each row's label as a name, a list of names or a float; all are there."""
    labels = rows.labels
    may_be_empty = (Task.multi_label, Task.tagging)
    gone = [
        i for i, v in enumerate(labels) if is_missing(v) and not (task in may_be_empty and v == "")
    ]
    if gone:
        raise row_error(rows, gone, f"of {split} have no label", "label")
    if task is Task.one_label:
        listed = [i for i, v in enumerate(labels) if isinstance(v, list | tuple)]
        if listed:
            what = f"of {split} have a list of labels (data.task=multi_label takes them)"
            raise row_error(rows, listed, what, "label")
        return [_name(value) for value in labels]
    if task is Task.regression:
        numbers = [_number(value) for value in labels]
        wrong = [i for i, number in enumerate(numbers) if not math.isfinite(number)]
        if wrong:
            what = f"of {split} have a label that is no number, e.g. {labels[wrong[0]]!r}"
            raise row_error(rows, wrong, what, "label")
        return numbers
    at = separator if task is Task.multi_label else None
    parts = [v.split(at) if isinstance(v, str) else _listed(v) for v in labels]
    named = [[name for name in map(_name, part) if name] for part in parts]
    if task is Task.tagging:
        sizes = [len(words_of(text)) for text in rows.texts]
        wrong = [i for i, tags in enumerate(named) if len(tags) != sizes[i]]
        if wrong:
            counts = f"{sizes[wrong[0]]} words and {len(named[wrong[0]])} tags"
            raise row_error(rows, wrong, f"of {split} have other counts, e.g. {counts}", "label")
    return named


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _flat(values: Sequence[Any]) -> set[str]:
    """Return all names in a list of names or of lists of names."""
    return {name for v in values for name in (v if isinstance(v, list) else [v])}


def choose_names(
    rows: Rows, values: Sequence[Any], task: Task, chosen: Sequence[str], suggested: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the class names and the position of each label value.

    Args:
        rows: training split.
        values: its labels, of :func:`label_values`.
        task: what they are for; regression has no names.
        chosen: names that the user gave, in order.
        suggested: names that come with the data, taken if they fit.
    """
    if task is Task.regression:
        return (), {}
    found = _flat(values)
    positions = {str(i): i for i in range(len(chosen or suggested))}
    names = tuple(_name(name) for name in chosen)
    if len(set(names)) < len(names):
        raise ConfigError("a class is named twice", where="data.class_names", fix="name it once")
    if not names and len(positions) == len(set(suggested)):
        names = tuple(suggested) if found <= set(suggested) or found <= positions.keys() else ()
    if not names:
        names = _sorted_names(rows, found, task)
    code = {name: i for i, name in enumerate(names)}
    by_position = not found <= code.keys() and found <= positions.keys()
    return names, positions if by_position else code


def _sorted_names(rows: Rows, found: set[str], task: Task) -> tuple[str, ...]:
    if task is Task.one_label:
        _check_classes(rows, found)
    if not found:
        raise ConfigError("no row has a label", where="data.label", fix="data.label=COLUMN")
    if all(map(INTEGER.fullmatch, found)):
        return tuple(sorted(found, key=lambda name: (int(name), name)))
    return tuple(sorted(found))


def _check_classes(rows: Rows, found: set[str]) -> None:
    """Refuse a column that can be no class: one value, or a new one in every second row."""
    if len(found) == 1:
        raise ConfigError(
            f"every row of train has the label '{next(iter(found))}'",
            where="data.label",
            fix="choose the column that tells rows apart, or name all of data.class_names",
        )
    if len(rows) >= 20 and len(found) > len(rows) / 2:
        raise ConfigError(
            f"the label column has {len(found)} different values in {len(rows)} rows",
            where="data.label",
            fix="choose another column, or data.task=regression if it holds numbers",
        )


def label_codes(split: str, rows: Rows, values: Sequence[Any], code: dict[str, int]) -> list[Any]:
    """Return values with every label replaced by its position, or raise ConfigError."""
    try:
        return [[code[n] for n in v] if isinstance(v, list) else code[v] for v in values]
    except KeyError:
        pass
    _, what, where = _unknown_label(split, rows, values, code)
    fix = "correct it, or name every class: data.class_names=[...]"
    raise ConfigError(what, where=where, fix=fix)


def _unknown_label(
    split: str, rows: Rows, values: Sequence[Any], code: dict[str, int]
) -> tuple[str, str, str]:
    """Return the first label that is not in ``code``, what is wrong with it, and where it is."""
    unknown = _flat(values) - set(code)
    first = next(i for i, v in enumerate(values) if _flat([v]) & unknown)
    label = sorted(_flat([values[first]]) & unknown)[0]
    known = ", ".join(list(code)[:12]) + (", ..." if len(code) > 12 else "")
    return label, f"{split} has a label '{label}' that is none of: {known}", rows.place(first)


def known_codes(
    split: str, rows: Rows, values: Sequence[Any], names: Sequence[str], suggested: Sequence[str]
) -> list[Any]:
    """Return values with every label replaced by its position in ``names``, found by its name.

    Args:
        split: what the rows are called in messages.
        rows: where the values are from.
        values: labels, of :func:`label_values`.
        names: the classes of a task that is known already.
        suggested: names that come with the rows, if they do: numbers are positions among these;
            without them numbers that are no names are positions in ``names``.

    Raises:
        ConfigError: a label is none of the names.
    """
    code = {name: i for i, name in enumerate(names)}
    found, order = _flat(values), suggested or names
    if not found <= code.keys() and found <= {str(i) for i in range(len(order))}:
        values = [
            [order[int(v)] for v in value] if isinstance(value, list) else order[int(value)]
            for value in values
        ]
        if not suggested:
            log.info("labels of %s are positions: 0 is %s", split, names[0])
    if _flat(values) <= code.keys():
        return label_codes(split, rows, values, code)
    label, what, where = _unknown_label(split, rows, values, code)
    near = nearest(label, names)
    fix = f"did you mean '{near}'? " if near else ""
    raise ConfigError(
        what, where=where, fix=f"{fix}the run has no other class: leave such rows out"
    )


def label_array(codes: Sequence[Any], task: Task, classes: int) -> Any:
    """Return labels as the task's :class:`~xferlab.contracts.LabelKind` says."""
    import numpy as np

    if task is Task.tagging:
        return [np.array(row, dtype="int32") for row in codes]
    if task is not Task.multi_label:
        return np.array(codes, dtype="int32" if task is Task.one_label else "float32")
    hot = np.zeros((len(codes), classes), dtype="float32")
    for row, present in enumerate(codes):
        hot[row, present] = 1.0
    return hot
