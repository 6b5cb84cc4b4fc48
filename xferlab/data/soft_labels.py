"""Soft labels: how probable each class is, read, checked, and put in the order of the classes.

Those of one class a text sum to 1; those of several labels are each from 0 to 1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from xferlab.contracts import Task
from xferlab.data.label_parsing import as_bit, literal_list
from xferlab.data.labels import Rows, number_of, row_error
from xferlab.data.notes import Notes, join_some, named_rows
from xferlab.errors import ConfigError
from xferlab.formatting import format_count

if TYPE_CHECKING:
    import numpy as np

TOLERANCE = 1e-3
"""A soft label's probabilities sum to 1 up to so much; they are then divided by their sum."""
PRESENT = 0.5
"""Of several labels one is present from this probability on."""


def soft_labels_of(
    split: str, rows: Rows, values: Sequence[Sequence[Any]], columns: Sequence[str]
) -> np.ndarray:
    """Return the probabilities of each row, float64 (rows, classes), from 0 up.

    Args:
        split: of the rows.
        rows: for the place of an error.
        values: of each column: numbers, or lists of numbers where there is one column.
        columns: their names.

    Raises:
        ConfigError: a row has no list of probabilities.
    """
    import numpy as np

    lists = [_numbers(cell) for cell in values[0]] if len(values) == 1 else _side_by_side(values)
    width = next((len(each) for each in lists if each), 0)
    named = f"'{columns[0]}'" if len(columns) == 1 else "the columns of soft labels"
    one_each = f"of {split} have in {named} no list of {width or 'two or more'} probabilities"
    _refuse(rows, [len(each) != width or not width for each in lists], one_each)
    found = np.array(lists, "float64")
    _refuse(rows, ~np.isfinite(found).all(axis=1), f"of {split} have in {named} no numbers")
    _refuse(rows, (found < 0).any(axis=1), f"of {split} have in {named} a probability below 0")
    return found


def _refuse(rows: Rows, wrong: Any, what: str, fix: str = "") -> None:
    numbers = [i for i, is_wrong in enumerate(wrong) if is_wrong]
    if numbers:
        usual = "write one probability a class, from 0 to 1; or leave these rows out"
        raise row_error(rows, numbers, what, "soft_labels", fix or usual)


def _side_by_side(values: Sequence[Sequence[Any]]) -> list[list[float]]:
    return [[number_in(cell) for cell in cells] for cells in zip(*values, strict=True)]


def _numbers(cell: Any) -> list[float]:
    """Return a cell that is a list, or a list written as text, as numbers; none for others."""
    cells = literal_list(cell) if isinstance(cell, str) else cell
    return [number_in(each) for each in cells] if isinstance(cells, list | tuple) else []


def number_in(cell: Any) -> float:
    """Return a cell as a float; NaN if it is no number."""
    return float("nan") if isinstance(cell, bool) else number_of(cell)


def with_labels(rows: Rows, class_names: Sequence[str], are_several: bool) -> Rows:
    """Return rows with labels of their soft labels: the most probable class, or a list of labels.

    Args:
        rows: with soft labels; of equally probable classes the first is the label.
        class_names: that the user gave, in label order.
        are_several: whether a text has several labels: those of probability 0.5 or more.
    """
    soft = rows.soft_labels
    assert soft is not None
    given = tuple(class_names) or rows.soft_names
    names = given or tuple(map(str, range(soft.shape[1])))
    if len(names) != soft.shape[1]:
        raise other_width(soft.shape[1], names)
    labels: list[Any]
    if not are_several:
        labels = [names[best] for best in soft.argmax(axis=1)]
    elif any(as_bit(name) is not None for name in names):  # a list of such names may be multi-hot
        labels = (soft >= PRESENT).astype(int).tolist()
    else:
        labels = [[names[i] for i in row.nonzero()[0]] for row in soft >= PRESENT]
    return dataclasses.replace(rows, labels=labels, label_names=given)


def other_width(width: int, names: Sequence[str]) -> ConfigError:
    """Return the error for soft labels of another number of classes than there are."""
    return ConfigError(
        f"soft labels have {width} probabilities, and there are {format_count(len(names), 'class')}"
        f": {join_some(names)}",
        where="data.soft_labels",
        fix="name one column a class, in the order of data.class_names",
    )


def check_soft_labels(split: str, rows: Rows, task: Task) -> None:
    """Raise ConfigError for soft labels that a task does not have."""
    import numpy as np

    soft = rows.soft_labels
    if soft is None:
        return
    if not task.has_classes or task.is_per_word:
        raise ConfigError(
            f"soft labels are of the classes of a text, and the task is {task.name}",
            where="data.soft_labels",
            fix="data.soft_labels=null, or data.task=single_label or multi_label",
        )
    if not task.is_exclusive:
        above = (soft > 1).any(axis=1)
        first = int(above.argmax())
        what = f"of {split} have soft labels above 1 (the first of {soft[first].max():.4g})"
        _refuse(rows, above, what)
        return
    sums = soft.sum(axis=1)
    wrong = np.abs(sums - 1) > TOLERANCE
    total = sums[int(wrong.argmax())]
    what = f"of {split} have soft labels that do not sum to 1 (the first to {total:.4g})"
    fix = "write one probability a class, which sum to 1, or leave these rows out; several labels"
    _refuse(rows, wrong, what, f"{fix} a text, each from 0 to 1, are data.task=multi_label")


def soft_array(
    rows: Rows, labels: Any, names: Sequence[str], task: Task, notes: Notes
) -> np.ndarray:
    """Return checked soft labels in the order of the classes, float32 (rows, classes).

    Columns that are called as the classes are matched by name, others by their order.

    Args:
        rows: of train.
        labels: of these rows, as the task stores them.
        names: of the classes, in label order.
        task: what is predicted.
        notes: collects notes.
    """
    import numpy as np

    soft = rows.soft_labels
    assert soft is not None
    if soft.shape[1] != len(names):
        raise other_width(soft.shape[1], names)
    if set(rows.soft_names) == set(names):
        soft = soft[:, [rows.soft_names.index(name) for name in names]]
    elif rows.soft_names:
        pairs = zip(rows.soft_names, names, strict=True)
        named = join_some(f"{column} for {name}" for column, name in pairs)
        notes.add(f"the columns of soft labels are in the order of the classes: {named}")
    if task.is_exclusive:
        soft = soft / soft.sum(axis=1, keepdims=True)
        other = labels != soft.argmax(axis=1)
        what = "the label is not the most probable class"
    else:
        other = (labels != (soft >= PRESENT)).any(axis=1)
        what = f"the labels are not those of probability {PRESENT} or more"
    if other.any():
        count = f"{int(other.sum()):,} of {format_count(len(rows), 'row')}"
        notes.add(f"{what} in {count}: {named_rows(np.flatnonzero(other).tolist())}")
    return np.ascontiguousarray(soft, "float32")
