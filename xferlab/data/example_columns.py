"""Columns beside text and label: weights, soft labels and groups, read and checked.

A weight says how much an example counts in the training loss, a soft label how probable each class
is, and a group which examples depend on each other (one author, one patient).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xferlab.contracts import Task
from xferlab.data.label_parsing import literal_list
from xferlab.data.labels import Rows, is_missing, name_of, number_of, row_error
from xferlab.data.notes import Notes, join_some, named_rows, shown
from xferlab.errors import ConfigError
from xferlab.formatting import format_count

if TYPE_CHECKING:
    import numpy as np

TOLERANCE = 1e-3
"""A soft label's probabilities sum to 1 up to so much; they are then divided by their sum."""
LABEL = "label"
TRAINED = "train"
"""The split whose weights and soft labels are read: they change what is trained, not the scores."""


@dataclass(frozen=True)
class ExampleColumns:
    """Which columns a data plugin reads beside the texts.

    Attributes:
        label: column of the label; None where labels are the most probable classes.
        weight: column of the weights.
        soft: columns of the soft labels: one for each class, or one of lists.
        group: column of the groups.
        has_labels: False for texts alone: the column of the label is not read.
    """

    label: str | None = LABEL
    weight: str | None = None
    soft: tuple[str, ...] = ()
    group: str | None = None
    has_labels: bool = True

    def keys(self, split: str) -> dict[str, str]:
        """Return the columns that a split needs, each with its config key."""
        reads_label = self.label is not None and self.has_labels
        columns = {str(self.label): "data.label"} if reads_label else {}
        if self.reads_soft(split):
            columns |= dict.fromkeys(self.soft, "data.soft_labels")
        if self.weight and split == TRAINED:
            columns[self.weight] = "data.weight"
        if self.group:
            columns[self.group] = "data.group"
        return columns

    def reads_soft(self, split: str) -> bool:
        """Return whether a split's soft labels are read: to train on, or to take labels from."""
        return bool(self.soft) and (split == TRAINED or self.label is None)

    def rows(
        self,
        split: str,
        column: Callable[[str, str], Sequence[Any]],
        rows: Rows,
        class_names: Sequence[str],
    ) -> Rows:
        """Return rows of texts with their labels and what else is read of them.

        Args:
            split: ``train``, ``validation``, ``test``, or how messages call other rows.
            column: returns the values of a column, given its name and config key.
            rows: texts, and how to name the place of a row; labels are ignored.
            class_names: that the user gave, in label order.

        Raises:
            ConfigError: a value is no weight, soft label or group.
        """
        labels: Sequence[Any] = [] if self.has_labels else [0.0] * len(rows)
        if self.label is not None and self.has_labels:
            labels = column(self.label, "data.label")
        rows = dataclasses.replace(rows, labels=labels)
        if self.weight and split == TRAINED:
            rows = dataclasses.replace(rows, weights=column(self.weight, "data.weight"))
        if self.group:
            rows = dataclasses.replace(rows, groups=column(self.group, "data.group"))
        if not self.reads_soft(split):
            return rows
        values = [column(name, "data.soft_labels") for name in self.soft]
        soft = soft_labels_of(split, rows, values, self.soft)
        rows = dataclasses.replace(rows, soft_labels=soft, soft_names=self.names())
        if self.label is not None:
            return rows
        return dataclasses.replace(rows, labels=_most_probable(rows, class_names))

    def names(self) -> tuple[str, ...]:
        """Return the names of the soft labels' columns, one a class; none for one of lists."""
        return self.soft if len(self.soft) > 1 else ()


def example_columns(label: str | None, weight: Any, soft_labels: Any, group: Any) -> ExampleColumns:
    """Return the columns that the fields of a data plugin name, or raise ConfigError."""
    soft = (soft_labels,) if isinstance(soft_labels, str) else tuple(soft_labels or ())
    if not all(isinstance(name, str) for name in soft) or len(set(soft)) < len(soft):
        raise ConfigError(
            f"data.soft_labels must be a column or different columns, got {soft_labels!r}",
            where="data.soft_labels",
            fix="data.soft_labels=COLUMN (of lists), or data.soft_labels=[COLUMN,COLUMN]",
        )
    if label is None and not soft:
        raise ConfigError(
            "data.label is null, and there are no soft labels to take labels from",
            where="data.label",
            fix="data.label=COLUMN, or data.soft_labels=[COLUMN,COLUMN]",
        )
    return ExampleColumns(label, weight, soft, group)


def soft_labels_of(
    split: str, rows: Rows, values: Sequence[Sequence[Any]], columns: Sequence[str]
) -> np.ndarray:
    """Return the probabilities of each row, float64 (rows, classes), which sum to 1.

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
    _refuse(rows, [len(each) != width or width < 2 for each in lists], one_each)
    found = np.array(lists, "float64")
    _refuse(rows, ~np.isfinite(found).all(axis=1), f"of {split} have in {named} no numbers")
    _refuse(rows, (found < 0).any(axis=1), f"of {split} have in {named} a probability below 0")
    sums = found.sum(axis=1)
    wrong = np.abs(sums - 1) > TOLERANCE
    if wrong.any():
        total = sums[int(wrong.argmax())]
        what = f"of {split} have soft labels that do not sum to 1 (the first to {total:.4g})"
        _refuse(rows, wrong, what)
    return found / sums[:, None]


def _refuse(rows: Rows, wrong: Any, what: str) -> None:
    numbers = [i for i, is_wrong in enumerate(wrong) if is_wrong]
    if numbers:
        fix = "write one probability a class, from 0 to 1, which sum to 1; or leave these rows out"
        raise row_error(rows, numbers, what, "soft_labels", fix)


def _side_by_side(values: Sequence[Sequence[Any]]) -> list[list[float]]:
    return [[_number(cell) for cell in cells] for cells in zip(*values, strict=True)]


def _numbers(cell: Any) -> list[float]:
    """Return a cell that is a list, or a list written as text, as numbers; none for others."""
    cells = literal_list(cell) if isinstance(cell, str) else cell
    return [_number(each) for each in cells] if isinstance(cells, list | tuple) else []


def _number(cell: Any) -> float:
    return float("nan") if isinstance(cell, bool) else number_of(cell)


def _most_probable(rows: Rows, class_names: Sequence[str]) -> list[str]:
    """Return the name of each row's most probable class, the first of equal ones."""
    soft = rows.soft_labels
    assert soft is not None
    width = soft.shape[1]
    names = tuple(class_names) or rows.soft_names or tuple(map(str, range(width)))
    if len(names) != width:
        raise other_width(width, names)
    return [names[best] for best in soft.argmax(axis=1)]


def other_width(width: int, names: Sequence[str]) -> ConfigError:
    """Return the error for soft labels of another number of classes than there are."""
    return ConfigError(
        f"soft labels have {width} probabilities, and there are {format_count(len(names), 'class')}"
        f": {join_some(names)}",
        where="data.soft_labels",
        fix="name one column a class, in the order of data.class_names",
    )


def weights_of(split: str, rows: Rows) -> np.ndarray:
    """Return the weights of rows, float32 (rows,), or raise ConfigError."""
    import numpy as np

    assert rows.weights is not None
    found = np.array([_number(cell) for cell in rows.weights], "float64")
    wrong = ~np.isfinite(found) | (found < 0)
    if wrong.any():
        numbers = np.flatnonzero(wrong).tolist()
        what = f"of {split} have a weight that is no number from 0 up, e.g."
        fix = "write 0 or more in these rows, or choose another column: data.weight=COLUMN"
        what = f"{what} {shown(rows.weights[numbers[0]])}"
        raise row_error(rows, numbers, what, "weight", fix)
    if not found.any():
        raise ConfigError(
            f"all {len(found):,} weights of {split} are 0: nothing would be trained",
            where="data.weight",
            fix="choose another column: data.weight=COLUMN, or data.weight=null",
        )
    return found.astype("float32")


def soft_array(rows: Rows, names: Sequence[str], task: Task, notes: Notes) -> np.ndarray:
    """Return the soft labels in the order of the classes, float32 (rows, classes).

    Columns that are called as the classes are matched by name, others by their order.

    Args:
        rows: of train.
        names: of the classes, in label order.
        task: what is predicted.
        notes: collects notes.
    """
    import numpy as np

    soft = rows.soft_labels
    assert soft is not None
    if not (task.is_exclusive and not task.is_per_word):
        raise ConfigError(
            f"soft labels are of one class a text, and the task is {task.name}",
            where="data.soft_labels",
            fix="data.soft_labels=null, or data.task=single_label",
        )
    if soft.shape[1] != len(names):
        raise other_width(soft.shape[1], names)
    if set(rows.soft_names) == set(names):
        soft = soft[:, [rows.soft_names.index(name) for name in names]]
    elif rows.soft_names:
        pairs = zip(rows.soft_names, names, strict=True)
        named = join_some(f"{column} for {name}" for column, name in pairs)
        notes.add(f"the columns of soft labels are in the order of the classes: {named}")
    given = [name_of(value) for value in rows.labels]
    best = [names[i] for i in soft.argmax(axis=1)]
    other = [i for i, (one, two) in enumerate(zip(given, best, strict=True)) if one != two]
    if other:
        count = f"{len(other):,} of {format_count(len(rows), 'row')}"
        notes.add(f"the label is not the most probable class in {count}: {named_rows(other)}")
    return np.ascontiguousarray(soft, "float32")


def groups_of(splits: Mapping[str, Rows]) -> dict[str, np.ndarray]:
    """Return the number of each row's group, int32 (rows,), by split; one name has one number.

    Raises:
        ConfigError: a row has no group, a group is in two splits, or there is only one.
    """
    import numpy as np

    numbers: dict[str, int] = {}
    home: dict[str, str] = {}
    found = {}
    for split, rows in splits.items():
        if rows.groups is None:
            return {}
        missing = [i for i, value in enumerate(rows.groups) if is_missing(value)]
        if missing:
            fix = "write one in these rows (a name of its own where a row is alone)"
            raise row_error(rows, missing, f"of {split} have no group", "group", fix)
        names = [name_of(value) for value in rows.groups]
        for row, name in enumerate(names):
            if home.setdefault(name, split) != split:
                raise _in_two_splits(rows, row, name, home[name], split)
        codes = [numbers.setdefault(name, len(numbers)) for name in names]
        found[split] = np.array(codes, "int32")
    if len(set(found["train"].tolist()) if "train" in found else numbers) < 2:
        raise ConfigError(
            f"every row of {next(iter(found))} is of the group {shown(next(iter(numbers)))}",
            where="data.group",
            fix="choose another column: data.group=COLUMN, or data.group=null",
        )
    return found


def _in_two_splits(rows: Rows, row: int, name: str, first: str, second: str) -> ConfigError:
    return ConfigError(
        f"the group {shown(name)} is in {first} and in {second}",
        where=rows.place(row),
        fix="keep a group in one split; without data.validation whole groups are held back",
    )
