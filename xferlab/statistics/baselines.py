"""Simple models that a run should beat: a constant prediction, and a linear model of TF-IDF."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xferlab.contracts import Split, TaskSpec
from xferlab.data.partition import strata_of, take
from xferlab.data.sampling import stratified_sample
from xferlab.errors import XferlabError

if TYPE_CHECKING:
    import numpy as np

MOST_ROWS = 20_000
"""Rows that a baseline is trained on, and rows that it is scored on: a sample of more."""
SAMPLE = 4
"""The purpose of the sample, see ``data.partition``."""
LOWEST = 1e-6
"""Of a probability whose logarithm is an output."""


@dataclass(frozen=True)
class Baseline:
    """A simple model.

    Attributes:
        name: what it is, for people.
        predict: the outputs for a split, float32, of the kind that a fresh head of the task emits.
    """

    name: str
    predict: Callable[[Split], Any]


@dataclass(frozen=True)
class BaselineScores:
    """The scores of a baseline.

    Attributes:
        name: of the baseline.
        scores: by split and metric; what is undefined is left out.
        rows: that it was trained on.
        seconds: that training and scoring took.
    """

    name: str
    scores: Mapping[str, Mapping[str, float]]
    rows: int
    seconds: float


def constant_scores(
    spec: TaskSpec, train: Split, scored: Mapping[str, Split], metrics: Mapping[str, Any]
) -> BaselineScores | None:
    """Return the scores of the task's constant prediction; None where it has none."""
    began = time.monotonic()
    found = spec.task.constant_baseline(train, spec)
    return None if found is None else _scored(found, spec, len(train), scored, metrics, began)


def text_scores(
    spec: TaskSpec,
    train: Split,
    scored: Mapping[str, Split],
    metrics: Mapping[str, Any],
    seed: int,
    most: int = MOST_ROWS,
) -> BaselineScores | None:
    """Return the scores of the task's simple model of the texts; None where it has none.

    Args:
        spec: the task.
        train: what it is trained on, or a sample of it.
        scored: the splits, by name, that it is scored on.
        metrics: metric plugins by logged name.
        seed: of samples, and of the model.
        most: rows that it is trained on.
    """
    began = time.monotonic()
    part = _sample(train, seed, most)
    found = spec.task.text_baseline(part, spec, seed)
    return None if found is None else _scored(found, spec, len(part), scored, metrics, began)


def _sample(split: Split, seed: int, most: int = MOST_ROWS) -> Split:
    if len(split) <= most:
        return split
    return take(split, stratified_sample(strata_of(split), most, seed, SAMPLE))


def _scored(
    baseline: Baseline,
    spec: TaskSpec,
    rows: int,
    scored: Mapping[str, Split],
    metrics: Mapping[str, Any],
    began: float,
) -> BaselineScores:
    own = dataclasses.replace(spec, output_kind=spec.head_output_kind)
    functions = {name: _built(plugin, own) for name, plugin in metrics.items()}
    scores = {}
    for name, split in scored.items():
        part = _sample(split, 0)
        labels = label_matrix(part.labels)
        outputs = baseline.predict(part)
        values = {key: _value(function, labels, outputs) for key, function in functions.items()}
        scores[name] = {key: value for key, value in values.items() if value is not None}
    return BaselineScores(baseline.name, scores, rows, time.monotonic() - began)


def _built(plugin: Any, spec: TaskSpec) -> Any:
    """Return a metric as a function; None for one that does not take these outputs."""
    accepts = plugin.accepts
    if spec.output_kind not in accepts.outputs or spec.label_kind not in accepts.labels:
        return None
    try:
        return plugin.build(spec)
    except (XferlabError, ValueError):
        return None


def _value(function: Any, labels: np.ndarray, outputs: np.ndarray) -> float | None:
    """Return a finite score; None for one that is undefined or only Keras computes."""
    import numpy as np

    if function is None or hasattr(function, "update_state"):
        return None
    with np.errstate(all="ignore"):
        value = float(function(labels, outputs))
    return value if np.isfinite(value) else None


def label_matrix(labels: Any) -> np.ndarray:
    """Return labels as metrics take them: tags as int32 (examples, words), padded with -1."""
    import numpy as np

    if not isinstance(labels, list):
        return np.asarray(labels)
    width = max(map(len, labels), default=0)
    filled = np.full((len(labels), width), -1, "int32")
    for row, tags in enumerate(labels):
        filled[row, : len(tags)] = tags
    return filled


def log_frequencies(counts: Any) -> np.ndarray:
    """Return the logarithm of each class's fraction, float32 (classes,)."""
    import numpy as np

    counts = np.asarray(counts, "float64")
    return np.log(np.maximum(counts / max(counts.sum(), 1), LOWEST)).astype("float32")


def repeated(outputs: Any, rows: int) -> np.ndarray:
    """Return the same outputs for every row, float32 (rows, width)."""
    import numpy as np

    return np.tile(np.asarray(outputs, "float32"), (rows, 1))
