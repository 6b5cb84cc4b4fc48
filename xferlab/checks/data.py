"""Looks whether rows and labels are what their data plugin says; every split, before training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from xferlab.compatibility import contract_violation
from xferlab.contracts import LabelKind, Split, Task, TaskSpec, TextData
from xferlab.data.splits import is_unicode
from xferlab.registry import REGISTRY, Registry

if TYPE_CHECKING:
    import numpy as np

Problem = tuple[str, str]
"""What is wrong, as the rest of a sentence about the plugin, and what its author changes."""


def check_data(plugin: Any, data: TextData, registry: Registry = REGISTRY) -> None:
    """Raise PluginError, naming the data plugin, for the first promise that is not kept.

    Args:
        plugin: the data plugin.
        data: what it built.
        registry: where its name and its file are looked up.
    """
    for what, fix in _problems(data):
        raise contract_violation("data", plugin, what, fix, registry)


def _problems(data: Any) -> Iterator[Problem]:
    """Yield what is wrong; later checks may rely on earlier ones."""
    if not isinstance(data, TextData) or not isinstance(data.spec, TaskSpec):
        yield f"builds a {type(data).__name__} instead of TextData", "return TextData(spec, ...)"
    spec = data.spec
    if not isinstance(spec.task, Task):
        yield f"says the task is {spec.task!r}", f"one of {', '.join(map(str, Task))}"
    yield from _class_problems(spec)
    for name, split in data.splits.items():
        yield from _row_problems(name, split, spec)
        yield from _LABELS[spec.label_kind](name, split, spec)
    yield from _count_problems(data)


def _class_problems(spec: TaskSpec) -> Iterator[Problem]:
    names = spec.class_names
    if len(set(names)) < len(names):
        yield f"names a class twice: {', '.join(map(str, names[:8]))}", "name each class once"
    broken = [name for name in names if not str(name).isascii() and not is_unicode(str(name))]
    if broken:
        yield f"names a class {broken[0]!r}, which is not Unicode", "name classes in Unicode"
    if spec.task is Task.regression and names:
        yield f"names {len(names)} classes for a regression", "class_names=(), or another task"
    least = {Task.regression: 0, Task.multi_label: 1}.get(spec.task, 2)
    if len(names) < least:
        count = f"{len(names)} class" + "es" * (len(names) != 1)
        yield (
            f"has {count}; {spec.task.value} needs {least} or more",
            "name all in spec.class_names",
        )


def _row_problems(name: str, split: Split, spec: TaskSpec) -> Iterator[Problem]:
    rows = len(split.texts)
    if not rows:
        yield f"gives no rows for {name}", "return some, or None where there is no test split"
    if len(split.labels) != rows:
        yield f"gives {rows} texts and {len(split.labels)} labels for {name}", "one label a row"
    if spec.has_pairs != (split.pairs is not None):
        given = "no second texts" if spec.has_pairs else "second texts"
        what = f"says has_pairs={spec.has_pairs}, but gives {given} for {name}"
        yield what, "let has_pairs and pairs agree"
    if split.pairs is not None and len(split.pairs) != rows:
        yield f"gives {rows} texts and {len(split.pairs)} second texts for {name}", "one a row"


def _integers(name: str, split: Split, spec: TaskSpec) -> Iterator[Problem]:
    labels = yield from _array(name, split, spec, "iu", "whole numbers, shape (rows,)", 1)
    yield from _out_of_range(name, labels, spec, 0)


def _hot(name: str, split: Split, spec: TaskSpec) -> Iterator[Problem]:
    asked = "0 and 1 as float32, shape (rows, classes)"
    labels = yield from _array(name, split, spec, "f", asked, 2)
    if labels.shape[1] != spec.num_classes:
        what = (
            f"gives labels {labels.shape[1]} wide for {name}; it names {spec.num_classes} classes"
        )
        yield what, "one column a class, in the order of class_names"
    row = _first(((labels != 0) & (labels != 1)).any(axis=1))
    if row is not None:
        bad = next(value for value in labels[row] if value not in (0, 1))
        what = f"gives {bad:g} as a label in row {row + 1} of {name}"
        yield what, "a label is there (1) or not (0) in several-label rows"


def _real(name: str, split: Split, spec: TaskSpec) -> Iterator[Problem]:
    import numpy as np

    labels = yield from _array(name, split, spec, "f", "numbers as float32, shape (rows,)", 1)
    row = _first(~np.isfinite(labels))
    if row is not None:
        what = f"gives {labels[row]:g} as the label of row {row + 1} of {name}"
        yield what, "leave out rows without a number"


def _tags(name: str, split: Split, spec: TaskSpec) -> Iterator[Problem]:
    import numpy as np

    for row, (words, tags) in enumerate(zip(split.texts, split.labels, strict=True), start=1):
        if isinstance(words, str):
            yield f"gives a string as row {row} of {name}", "tagging wants a list of words a row"
        if len(words) != len(tags):
            what = f"gives {len(words)} words and {len(tags)} tags in row {row} of {name}"
            yield what, "one tag a word; -1 for a word without"
    filled = [np.asarray(tags) for tags in split.labels if len(tags)]
    every = np.concatenate(filled or [np.zeros(0, "int32")])
    if every.dtype.kind not in "iu":
        yield f"gives tags of {every.dtype} for {name}", "return int32 tag numbers"
    rows = np.repeat(np.arange(len(split.labels)), [len(tags) for tags in split.labels])
    yield from _out_of_range(name, every, spec, -1, rows)
    if not (every >= 0).any():
        yield f"gives no tag at all for {name}", "-1 is only for words without one"


_LABELS = {
    LabelKind.class_index: _integers,
    LabelKind.multi_hot: _hot,
    LabelKind.float: _real,
    LabelKind.token_tags: _tags,
}


def _array(name: str, split: Split, spec: TaskSpec, kinds: str, asked: str, rank: int) -> Any:
    """Yield a problem unless the labels are an array of these number kinds and rank; return it."""
    import numpy as np

    try:
        labels = np.asarray(split.labels)
    except ValueError:  # rows of unlike length
        labels = np.asarray(split.labels, dtype="object")
    if labels.dtype.kind not in kinds or labels.ndim != rank:
        what = f"gives {labels.dtype} labels of shape {labels.shape} for {name}"
        yield f"{what}; {spec.task.value} asks for {asked}", "convert them, or correct spec.task"
    return labels


def _out_of_range(
    name: str, labels: np.ndarray, spec: TaskSpec, least: int, rows: np.ndarray | None = None
) -> Iterator[Problem]:
    place = _first((labels < least) | (labels >= spec.num_classes))
    if place is not None:
        row = place if rows is None else int(rows[place])
        what = f"gives the class {labels[place]} in row {row + 1} of {name}"
        last = spec.num_classes - 1
        yield f"{what}; its classes are 0 to {last}", "number classes by their place in class_names"


def _count_problems(data: TextData) -> Iterator[Problem]:
    """Yield a problem if class weights or steps would be computed from wrong counts."""
    import numpy as np

    spec, labels = data.spec, data.train.labels
    if spec.train_size != len(data.train):
        what = f"says train_size={spec.train_size}, but train has {len(data.train)} rows"
        yield what, "count after limits and splits"
    if not spec.class_counts or spec.task is Task.regression:
        return
    if spec.task is Task.multi_label:
        counts = np.asarray(labels).sum(axis=0)
    else:
        every = (
            np.concatenate(labels) if spec.task is Task.token_classification else np.asarray(labels)
        )
        counts = np.bincount(every[every >= 0], minlength=spec.num_classes)
    found = tuple(int(count) for count in counts)
    if found != tuple(spec.class_counts):
        said, seen = (", ".join(map(str, c[:8])) for c in (spec.class_counts, found))
        yield f"says class_counts ({said}), but train has ({seen})", "count the training labels"


def _first(wrong: np.ndarray) -> int | None:
    """Return the first place where ``wrong`` is true."""
    return int(wrong.argmax()) if wrong.any() else None
