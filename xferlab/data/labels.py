"""Labels of a file: which are missing, their names and numbers, and errors that name their rows."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xferlab.contracts import Task
from xferlab.data.notes import named_rows, shown
from xferlab.errors import ConfigError
from xferlab.formatting import format_count

if TYPE_CHECKING:
    import numpy as np

NO_TAG = -1
"""The label of a word without a tag: it is neither trained on nor scored."""
UNLABELLED = ("-1", "-100")
"""What means "no label": on the Hub, and in the losses of PyTorch."""


@dataclass(frozen=True)
class Rows:
    """One split as it is in a file or on the Hub.

    Attributes:
        texts: strings, or lists of words for token classification.
        labels: the values of the label column.
        pairs: second texts, where examples are pairs.
        place: gives the place of a row, for messages.
        weights: the values of the weight column.
        soft_labels: probabilities, float64 (rows, classes).
        soft_names: the names of their columns, where there is one a class.
        label_names: names of all classes, where labels were taken of soft ones.
        groups: the values of the group column.
    """

    texts: Sequence[Any]
    labels: Sequence[Any]
    pairs: Sequence[Any] | None = None
    place: Callable[[int], str] = lambda row: f"row {row + 1}"
    weights: Sequence[Any] | None = None
    soft_labels: np.ndarray | None = None
    soft_names: tuple[str, ...] = ()
    label_names: tuple[str, ...] = ()
    groups: Sequence[Any] | None = None

    def __len__(self) -> int:
        return len(self.texts)


def is_missing(value: Any) -> bool:
    """Return whether a label or text is missing."""
    return (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or (isinstance(value, str) and not value.strip())
    )


Cells = list[tuple[int, Any]]
"""Labels that are not missing, each with its row."""


def present_labels(rows: Rows) -> Cells:
    """Return the labels that are not missing, each with its row."""
    return [(i, value) for i, value in enumerate(rows.labels) if not is_missing(value)]


def row_error(
    rows: Rows, wrong: Sequence[int], what: str, column: str, fix: str = ""
) -> ConfigError:
    """Return the error for unusable rows, with the numbers of the first few."""
    verb = "has" if len(wrong) == 1 else "have"
    usual = f"correct or leave out these rows, or choose another column: data.{column}=COLUMN"
    problem = re.sub(r"\bhave\b", verb, what, count=1)
    return ConfigError(
        f"{format_count(len(wrong), 'row')} {problem}: {named_rows(wrong)}",
        where=rows.place(wrong[0]),
        fix=fix or usual,
    )


def name_of(value: Any) -> str:
    """Return a label as a class name: ``1`` and ``1.0`` are ``"1"``, ``True`` is ``"true"``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def words_of(text: Any) -> list[str]:
    """Return the words of an example: a list unchanged, a string split at blanks."""
    return text.split() if isinstance(text, str) else [str(word) for word in text]


def label_values(split: str, rows: Rows, task: Task, separator: str) -> list[Any]:
    """Return the label of each example as a name, a list of names or a float.

    In a list of tags, None is a word without one.

    Raises:
        ConfigError: a label is missing, or has a form that the task does not have.
    """
    labels = rows.labels
    missing = [
        i for i, v in enumerate(labels) if is_missing(v) and not (task.has_label_lists and v == "")
    ]
    if missing:
        fix = _without_test(split, rows, missing)
        raise row_error(rows, missing, f"of {split} have no label", "label", fix)
    tables = [i for i, v in enumerate(labels) if _is_table(v)]
    if tables:
        what = f"of {split} have a label that is no name, number or list of those, e.g."
        raise row_error(rows, tables, f"{what} {shown(labels[tables[0]])}", "label")
    return task.parse_labels(split, rows, separator)


def _is_table(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(isinstance(item, list | tuple | dict) for item in value)
    return isinstance(value, dict)


def _without_test(split: str, rows: Rows, missing: Sequence[int]) -> str:
    """Return the fix for a test split without any label; "" for the usual one."""
    if split == "test" and len(missing) == len(rows):
        return "data.test=null runs without a test split; data.label=COLUMN chooses another column"
    return ""


def parts_of(value: Any, separator: str | None) -> Sequence[Any]:
    """Return the items of a label: of a list, or of a string that is split at ``separator``."""
    if isinstance(value, str):
        return value.split(separator)
    return value if isinstance(value, list | tuple) else [value]


def number_of(value: Any) -> float:
    """Return a label as a float; NaN if it is no number."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def distinct_names(values: Sequence[Any]) -> set[str]:
    """Return all names in a list of names or of lists of names."""
    every = {name for v in values for name in (v if isinstance(v, list) else [v])}
    return every - {None}


def replace_names(values: Sequence[Any], code: dict[str, int]) -> list[Any]:
    """Return values with every label replaced by its position; KeyError for one without."""
    tags: dict[Any, int] = {**code, None: NO_TAG}
    return [[tags[n] for n in v] if isinstance(v, list) else code[v] for v in values]
