"""Checks of what a data plugin builds: examples and labels of every split, before training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xferlab.compatibility import contract_violation
from xferlab.contracts import Split, Task, TaskSpec, TextData
from xferlab.data.soft_labels import TOLERANCE
from xferlab.data.splits import is_unicode
from xferlab.formatting import format_count
from xferlab.registry import REGISTRY, Registry
from xferlab.tasks.base import TASKS, Problem


def check_data(plugin: Any, data: TextData, registry: Registry = REGISTRY) -> None:
    """Raise PluginError, naming the data plugin, for the first contract violation.

    Args:
        plugin: the data plugin.
        data: what it built.
        registry: where its name and its file are found.
    """
    for what, fix in _problems(data):
        raise contract_violation("data", plugin, what, fix, registry)


def _problems(data: Any) -> Iterator[Problem]:
    """Yield what is wrong; later checks may rely on earlier ones."""
    if not isinstance(data, TextData) or not isinstance(data.spec, TaskSpec):
        yield f"builds a {type(data).__name__} instead of TextData", "return TextData(spec, ...)"
    spec = data.spec
    if not isinstance(spec.task, Task):
        yield f"declares the task {spec.task!r}", f"one of {', '.join(map(repr, TASKS.values()))}"
    yield from _class_problems(spec)
    for name, split in data.splits.items():
        yield from _split_problems(name, split, spec)
        yield from spec.task.label_problems(name, split, spec)
    yield from _count_problems(data)
    yield from _extra_problems(data)


def _class_problems(spec: TaskSpec) -> Iterator[Problem]:
    names = spec.class_names
    if len(set(names)) < len(names):
        yield f"names a class twice: {', '.join(map(str, names[:8]))}", "name each class once"
    broken = [name for name in names if not str(name).isascii() and not is_unicode(str(name))]
    if broken:
        yield f"names a class {broken[0]!r}, which is not Unicode", "name classes in Unicode"
    least = spec.task.min_classes
    task = spec.task.name
    if names and not spec.task.has_classes:
        yield f"names {len(names)} classes for a {task}", "class_names=(), or another task"
    if len(names) < least:
        count = format_count(len(names), "class")
        yield f"has {count}; {task} needs {least} or more", "name all in spec.class_names"


def _split_problems(name: str, split: Split, spec: TaskSpec) -> Iterator[Problem]:
    size = len(split.texts)
    if not size:
        what = f"gives no examples for {name}"
        yield what, "return some, or None where there is no test split"
    if len(split.labels) != size:
        what = f"gives {size} texts and {len(split.labels)} labels for {name}"
        yield what, "one label for each example"
    if spec.has_pairs != (split.pairs is not None):
        given = "no second texts" if spec.has_pairs else "second texts"
        what = f"declares has_pairs={spec.has_pairs}, but gives {given} for {name}"
        yield what, "has_pairs and pairs must agree"
    if split.pairs is not None and len(split.pairs) != size:
        what = f"gives {size} texts and {len(split.pairs)} second texts for {name}"
        yield what, "one for each example"


def _extra_problems(data: TextData) -> Iterator[Problem]:
    """Yield a problem unless weights, soft labels and groups are arrays as the contract says."""
    import numpy as np

    spec = data.spec
    for name, split in data.splits.items():
        shapes = {
            "weights": (len(split),),
            "soft_labels": (len(split), spec.num_classes),
            "groups": (len(split),),
        }
        for key, shape in shapes.items():
            values = getattr(split, key)
            if values is not None and np.shape(values) != shape:
                what = f"gives {key} of shape {np.shape(values)} for {name}"
                yield what, f"an array of shape {shape}"
        if split.weights is not None and not (np.asarray(split.weights) >= 0).all():
            yield f"gives a weight below 0 for {name}", "weights are numbers from 0 up"
    soft = data.train.soft_labels
    has_soft = soft is not None
    if has_soft != spec.soft_labels:
        given = "soft labels" if has_soft else "no soft labels"
        what = f"declares soft_labels={spec.soft_labels}, but gives {given} for train"
        yield what, "spec.soft_labels and train.soft_labels must agree"
    if soft is None:
        return
    if not ((soft >= 0) & (soft <= 1)).all():
        yield "gives soft labels that are not from 0 to 1", "they are probabilities"
    if spec.task.is_exclusive and np.abs(soft.sum(axis=1) - 1).max() > TOLERANCE:
        yield "gives soft labels that do not sum to 1", "divide them by their sum"


def _count_problems(data: TextData) -> Iterator[Problem]:
    """Yield a problem if class weights or steps would be computed from wrong counts."""
    spec = data.spec
    if spec.train_size != len(data.train):
        what = f"declares train_size={spec.train_size}, but train has {len(data.train)} examples"
        yield what, "count after limits and splits"
    counts = spec.task.class_counts(data.train.labels, spec.num_classes)
    if spec.class_counts and counts and tuple(spec.class_counts) != counts:
        declared, actual = (", ".join(map(str, c[:8])) for c in (spec.class_counts, counts))
        what = f"declares class_counts ({declared}), but train has ({actual})"
        yield what, "count the training labels"
