"""Columns beside text and label: weights, soft labels and groups, read and checked.

A weight says how much an example counts in the training loss, a soft label how probable each class
is, and a group which examples depend on each other (one author, one patient).
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xferlab.data.label_parsing import as_bit
from xferlab.data.labels import Rows, is_missing, name_of, row_error
from xferlab.data.notes import shown
from xferlab.data.soft_labels import number_in, soft_labels_of, with_labels
from xferlab.errors import ConfigError, printable

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger("xferlab")
LABEL = "label"
BOOLEANS = {"true": "1", "false": "0"}
TRAINED = "train"
"""The split whose weights and soft labels are read: they change what is trained, not the scores."""


@dataclass(frozen=True)
class ExampleColumns:
    """Which columns a data plugin reads beside the texts.

    Attributes:
        label: column of the label; None where labels are taken of the soft ones.
        weight: column of the weights.
        soft: columns of the soft labels: one for each class, or one of lists.
        group: column of the groups.
        has_labels: False for texts alone: the column of the label is not read.
        are_several: whether a text has several labels, each with a probability of its own.
        all_match: whether every pair of texts is taken for one that belongs together.
    """

    label: str | None = LABEL
    weight: str | None = None
    soft: tuple[str, ...] = ()
    group: str | None = None
    has_labels: bool = True
    are_several: bool = False
    all_match: bool = False

    def unread(self) -> tuple[str, ...]:
        """Return columns that are only checked, where they exist: a label of pairs that match."""
        return (self.label,) if self.label is not None and self.all_match else ()

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
        for name in self.unread():
            with suppress(ConfigError, KeyError):  # there is no such column
                labels = column(name, "data.label")
            _refuse_no_match(split, rows, name, labels)
        if self.weight and split == TRAINED:
            rows = dataclasses.replace(rows, weights=column(self.weight, "data.weight"))
        if self.group:
            rows = dataclasses.replace(rows, groups=column(self.group, "data.group"))
        if not self.reads_soft(split):
            return rows
        values = [column(name, "data.soft_labels") for name in self.soft]
        soft = soft_labels_of(split, rows, values, self.soft)
        rows = dataclasses.replace(rows, soft_labels=soft, soft_names=self.names())
        return rows if self.label is not None else with_labels(rows, class_names, self.are_several)

    def names(self) -> tuple[str, ...]:
        """Return the names of the soft labels' columns, one a class; none for one of lists."""
        return self.soft if len(self.soft) > 1 else ()


def example_columns(
    label: str | None,
    weight: Any,
    soft_labels: Any,
    group: Any,
    *,
    has_labels: bool = True,
    are_several: bool = False,
    all_match: bool = False,
) -> ExampleColumns:
    """Return the columns that the fields of a data plugin name, or raise ConfigError."""
    soft = (soft_labels,) if isinstance(soft_labels, str) else tuple(soft_labels or ())
    if not all(isinstance(name, str) for name in soft) or len(set(soft)) < len(soft):
        raise ConfigError(
            f"data.soft_labels must be a column or different columns, got {soft_labels!r}",
            where="data.soft_labels",
            fix="data.soft_labels=COLUMN (of lists), or data.soft_labels=[COLUMN,COLUMN]",
        )
    if label is None and not soft and has_labels:
        raise ConfigError(
            "data.label is null, and there are no soft labels to take labels from",
            where="data.label",
            fix="data.label=COLUMN, or data.soft_labels=[COLUMN,COLUMN]",
        )
    return ExampleColumns(label, weight, soft, group, has_labels, are_several, all_match)


def _refuse_no_match(split: str, rows: Rows, column: str, labels: Sequence[Any]) -> None:
    """Raise ConfigError where labels of 0 and 1 say that some pairs do not belong together."""
    names = [BOOLEANS.get(name_of(value).lower(), name_of(value)) for value in labels]
    bits = [as_bit(name) for name in names]
    if set(bits) == {0, 1}:
        wrong = [row for row, bit in enumerate(bits) if bit == 0]
        what = f"of {split} have 0 in '{column}', and retrieval takes every pair for a match"
        fix = "leave them out, or data.task=similarity; data.label=null if 0 means something else"
        raise row_error(rows, wrong, what, "label", fix)
    if split == TRAINED and len(set(names)) > 1:
        log.warning(
            "note       the column '%s' is not read: retrieval takes every pair for a match"
            " (data.label=null if that is meant, data.task=similarity to train on it)",
            printable(column),
        )


def weights_of(split: str, rows: Rows) -> np.ndarray:
    """Return the weights of rows, float32 (rows,), or raise ConfigError."""
    import numpy as np

    assert rows.weights is not None
    found = np.array([number_in(cell) for cell in rows.weights], "float64")
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
