"""Raw label columns to names and arrays, and what is refused on the way."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from xferlab.contracts import Split, Task
from xferlab.data.notes import shown
from xferlab.errors import ConfigError

NO_TAG = -1
"""The number of a word without a tag: it is neither trained on nor scored."""
UNLABELLED = ("-1", "-100")
"""What stands for "no label": on the Hub, and in the losses of PyTorch."""
LARGEST = 3.4e38
"""Of a float32 number."""


class TaskChoice(Enum):
    """A task, or ``auto``: the one that the label column looks like."""

    auto = "auto"
    single_label = "single_label"
    multi_label = "multi_label"
    regression = "regression"
    token_classification = "token_classification"


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


def class_counts(split: Split, task: Task, classes: int) -> tuple[int, ...]:
    """Return how many rows (tags, for tagging) each class has."""
    import numpy as np

    if task is Task.regression:
        return ()
    if task is Task.multi_label:
        return tuple(split.labels.sum(axis=0).astype(int).tolist())
    every = np.concatenate(split.labels) if task is Task.token_classification else split.labels
    every = every[every >= 0]
    return tuple(np.bincount(every, minlength=classes).tolist())


def is_missing(value: Any) -> bool:
    """Return whether there is nothing where a label or text should be."""
    return (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or (isinstance(value, str) and not value.strip())
    )


Cells = list[tuple[int, Any]]
"""Labels that are there, each with its row."""


def cells_of(rows: Rows) -> Cells:
    """Return the labels that are there, each with its row."""
    return [(i, value) for i, value in enumerate(rows.labels) if not is_missing(value)]


def row_error(
    rows: Rows, wrong: Sequence[int], what: str, column: str, fix: str = ""
) -> ConfigError:
    """Return the error for rows that cannot be used, naming the first few."""
    first = ", ".join(str(i + 1) for i in wrong[:5]) + (", ..." if len(wrong) > 5 else "")
    noun, verb = ("row", "has") if len(wrong) == 1 else ("rows", "have")
    usual = f"mend or leave out what is named, or choose another column: data.{column}=COLUMN"
    told = re.sub(r"\bhave\b", verb, what, count=1)
    return ConfigError(
        f"{len(wrong)} {noun} {told}: {noun} {first}",
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
    """Return the words of a row that is tagged: a list as it is, a string cut at blanks."""
    return text.split() if isinstance(text, str) else [str(word) for word in text]


def label_values(split: str, rows: Rows, task: Task, separator: str) -> list[Any]:
    """Return each row's label as a name, a list of names or a float; all are there.

    In a list of tags, None stands for a word without one.
    """
    labels = rows.labels
    may_be_empty = (Task.multi_label, Task.token_classification)
    gone = [
        i for i, v in enumerate(labels) if is_missing(v) and not (task in may_be_empty and v == "")
    ]
    if gone:
        raise row_error(
            rows, gone, f"of {split} have no label", "label", _without(split, rows, gone)
        )
    tables = [i for i, v in enumerate(labels) if _is_table(v)]
    if tables:
        what = f"of {split} have a label that is no name, number or list of those, e.g."
        raise row_error(rows, tables, f"{what} {shown(labels[tables[0]])}", "label")
    if task is Task.single_label:
        listed = [i for i, v in enumerate(labels) if isinstance(v, list | tuple)]
        if listed:
            what = f"of {split} have a list of labels (data.task=multi_label takes them)"
            raise row_error(rows, listed, what, "label")
        return [name_of(value) for value in labels]
    if task is Task.regression:
        return _numbers(split, rows)
    at = separator if task is Task.multi_label else None
    parts = [v.split(at) if isinstance(v, str) else _listed(v) for v in labels]
    if task is Task.token_classification:
        return _tags(split, rows, parts)
    return [[name for name in map(name_of, part) if name] for part in parts]


def _is_table(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(isinstance(item, list | tuple | dict) for item in value)
    return isinstance(value, dict)


def _without(split: str, rows: Rows, gone: Sequence[int]) -> str:
    """Return the remedy for a split without any label; "" for the usual one."""
    if split == "test" and len(gone) == len(rows):
        return "data.test=null does without a test split; data.label=COLUMN chooses another column"
    return ""


def _numbers(split: str, rows: Rows) -> list[float]:
    numbers = [_number(value) for value in rows.labels]
    wrong = [i for i, number in enumerate(numbers) if not abs(number) <= LARGEST]
    if wrong:
        what = f"of {split} have a label that is no number, e.g. {shown(rows.labels[wrong[0]])}"
        raise row_error(rows, wrong, what, "label")
    if split != "train" and len(numbers) > 1 and {f"{n:g}" for n in numbers} <= set(UNLABELLED):
        raise ConfigError(
            f"every label of {split} is {numbers[0]:g}, which stands for 'not labelled'",
            where=rows.place(0),
            fix=f"data.{split}=null does without these rows; data.label=COLUMN chooses another"
            " column",
        )
    return numbers


def _tags(split: str, rows: Rows, parts: Sequence[Sequence[Any]]) -> list[Any]:
    """Return a list of tags a row, None for a word without one."""
    named = [[None if _is_no_tag(tag) else name_of(tag) for tag in part] for part in parts]
    sizes = [len(words_of(text)) for text in rows.texts]
    tags_in = [sum(tag != "" for tag in tags) for tags in named]
    wrong = [i for i, number in enumerate(tags_in) if number != sizes[i]]
    if wrong:
        counts = f"{sizes[wrong[0]]} words and {tags_in[wrong[0]]} tags"
        raise row_error(rows, wrong, f"of {split} have other counts, e.g. {counts}", "label")
    if not any(tag is not None for tags in named for tag in tags):
        raise ConfigError(
            f"no word of {split} has a tag: all are {', '.join(UNLABELLED)} or null",
            where=rows.place(0),
            fix="data.test=null does without a test split" if split == "test" else
            "choose the column of the tags: data.label=COLUMN",
        )  # fmt: skip
    return named


def _is_no_tag(value: Any) -> bool:
    return value is None or (not isinstance(value, bool) and name_of(value) in UNLABELLED)


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def flat(values: Sequence[Any]) -> set[str]:
    """Return all names in a list of names or of lists of names."""
    every = {name for v in values for name in (v if isinstance(v, list) else [v])}
    return every - {None}


def codes_of(values: Sequence[Any], code: dict[str, int]) -> list[Any]:
    """Return values with every label replaced by its position; KeyError for one without."""
    tags: dict[Any, int] = {**code, None: NO_TAG}
    return [[tags[n] for n in v] if isinstance(v, list) else code[v] for v in values]


def label_array(codes: Sequence[Any], task: Task, classes: int) -> Any:
    """Return labels as the task's :class:`~xferlab.contracts.LabelKind` says."""
    import numpy as np

    if task is Task.token_classification:
        return [np.array(row, dtype="int32") for row in codes]
    if task is not Task.multi_label:
        return np.array(codes, dtype="int32" if task is Task.single_label else "float32")
    hot = np.zeros((len(codes), classes), dtype="float32")
    for row, present in enumerate(codes):
        hot[row, present] = 1.0
    return hot
