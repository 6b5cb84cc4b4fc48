"""A metric of row weights is the metric of rows that stand there so often."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xferlab import LabelKind, OutputKind, Task, TaskSpec
from xferlab.discovery import load_plugins
from xferlab.evaluation.bootstrap import _weighted_loss, interval, resample, weighted_score
from xferlab.functional.metrics import weighted_mean
from xferlab.functional.resampling import weighted_areas, weighted_ranks
from xferlab.registry import REGISTRY
from xferlab.training.evaluation import scores

load_plugins(Path("/nonexistent"))
TAGS = ("O", "B-person", "I-person", "B-place", "I-place")


def rows_of(task: Task, seed: int, rows: int = 40):
    """Return a task, labels and outputs; some outputs are the same, so that there are ties."""
    random = np.random.default_rng(seed)
    names = {Task.regression: (), Task.token_classification: TAGS}.get(task, ("a", "b", "c", "d"))
    output_kind = OutputKind.values if task is Task.regression else OutputKind.logits
    spec = TaskSpec(
        task,
        names,
        train_size=9,
        max_length=8,
        class_counts=(3,) * len(names),
        output_kind=output_kind,
    )
    if task is Task.regression:
        labels = random.integers(0, 6, rows).astype("float32")
        return spec, labels, (labels + random.normal(size=rows)).round(1)[:, None].astype("float32")
    if task is Task.multi_label:
        labels = (random.random((rows, 4)) < 0.3).astype("float32")
        return spec, labels, (labels * 2 - 1 + random.normal(size=(rows, 4))).round(1).astype("f4")
    shape = (rows, 7) if task is Task.token_classification else (rows,)
    labels = random.integers(0, len(names), shape).astype("int32")
    outputs = random.normal(size=(*shape, len(names))).round(1).astype("float32")
    outputs += 1.5 * np.eye(len(names), dtype="float32")[labels]
    if task is Task.token_classification:
        labels[np.arange(7) >= random.integers(1, 8, rows)[:, None]] = -1
    return spec, labels, outputs


def fitting(group: str):
    """Yield every plugin of a group with every task that it takes."""
    for name in REGISTRY.names(group):
        plugin = REGISTRY.create(group, {"name": name} | ({"k": 2} if name == "top_k" else {}))
        for task, kind in (
            (Task.single_label, LabelKind.class_index),
            (Task.multi_label, LabelKind.multi_hot),
            (Task.regression, LabelKind.float),
            (Task.token_classification, LabelKind.token_tags),
        ):
            if kind in plugin.accepts.labels:
                yield pytest.param(plugin, task, id=f"{name} {task.name}")


@pytest.mark.parametrize(("plugin", "task"), [*fitting("metric")])
def test_a_metric_of_weights_is_that_of_repeated_rows(plugin, task):
    spec, labels, outputs = rows_of(task, seed=1)
    metric = plugin.build(spec)
    assert hasattr(metric, "resampled")
    weights = np.random.default_rng(2).integers(0, 4, (5, len(labels))).astype("float64")
    found = metric.resampled(labels, outputs)(weights)
    forms = [metric, metric.as_keras()] if hasattr(metric, "as_keras") else [metric]
    for counts, value in zip(weights, found, strict=True):
        rows = np.repeat(np.arange(len(labels)), counts.astype(int))
        for form in forms:
            expected = scores(lambda *_: 0.0, {"it": form}, labels[rows], outputs[rows])["it"]
            assert value == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(("plugin", "task"), [*fitting("loss")])
def test_a_weighted_loss_is_that_of_repeated_rows(plugin, task):
    spec, labels, outputs = rows_of(task, seed=3)
    loss = plugin.build(spec)
    score = _weighted_loss(loss, labels, outputs)
    assert "_by_repeating" not in score.__qualname__  # the short way was taken
    weights = np.random.default_rng(4).integers(0, 3, (3, len(labels))).astype("float64")
    for sampled, value in zip(weights, score(weights), strict=True):
        rows = np.repeat(np.arange(len(labels)), sampled.astype(int))
        assert value == pytest.approx(float(loss(labels[rows], outputs[rows])), rel=1e-4)


def test_a_loss_that_is_no_mean_of_rows_is_computed_on_each_resample():
    import keras

    class Worst(keras.losses.Loss):
        def call(self, labels, outputs):
            return keras.ops.max(keras.ops.abs(outputs[:, 0] - labels))

    labels = np.array([0.0, 0, 0, 9])
    outputs = np.zeros((4, 1), "float32")
    score = _weighted_loss(Worst(), labels, outputs)
    assert score(np.array([[1.0, 1, 1, 0], [0, 0, 0, 1]])).tolist() == [0, 9]


def test_a_metric_without_a_short_way_is_computed_on_each_resample():
    seen = weighted_score(
        lambda labels, outputs: labels.sum(), np.array([1.0, 10, 100]), np.zeros(3)
    )
    assert seen(np.array([[1.0, 2, 0], [0, 0, 3]])).tolist() == [21, 300]


def test_resamples_are_the_same_every_time_and_for_every_score():
    scores_of = {name: weighted_mean(np.arange(300.0)) for name in "ab"}
    first = resample(scores_of, 300, 20)
    again = resample(scores_of, 300, 20)
    assert (first["a"] == first["b"]).all()
    assert (first["a"] == again["a"]).all()
    assert len(set(first["a"])) == 20


def test_resamples_do_not_depend_on_how_many_are_held_at_a_time(monkeypatch):
    scores_of = {"a": weighted_mean(np.arange(300.0))}
    whole = resample(scores_of, 300, 21)["a"]
    monkeypatch.setattr("xferlab.evaluation.bootstrap.CELLS", 1200)
    counts = []
    assert (resample(scores_of, 300, 21, counts.append)["a"] == whole).all()
    assert counts == [4, 8, 12, 16, 20, 21]


@pytest.mark.parametrize(
    ("rows", "right"), [(100, 0.8), (400, 0.9), (50, 0.6)], ids=lambda value: str(value)
)
def test_the_interval_holds_the_true_accuracy_about_as_often_as_it_says(rows, right):
    random = np.random.default_rng(5)
    held = 0
    for _ in range(400):
        hits = (random.random(rows) < right).astype("float64")
        low, high = interval(resample({"it": weighted_mean(hits)}, rows, 200)["it"])
        held += low <= right <= high
    assert 0.90 <= held / 400 <= 0.98  # 200 resamples and few rows: a little below 0.95


def test_the_interval_holds_the_true_area_and_rank_correlation():
    random = np.random.default_rng(6)
    positive = np.arange(150) < 60
    held = 0
    for _ in range(200):
        values = random.normal(size=150) + positive  # area: P(N(1, 2) > 0)
        low, high = interval(resample({"it": weighted_areas(positive, values)}, 150, 200)["it"])
        held += low <= 0.76025 <= high
    assert 0.90 <= held / 200 <= 0.99


def test_scores_that_are_no_numbers_leave_no_interval():
    assert interval(np.full(10, np.nan)) == (None, None)
    assert interval(np.array([1.0, 2, 3, np.nan])) == pytest.approx((1.05, 2.95))


def test_ranks_of_weights_are_scipys():
    from scipy.stats import rankdata

    values = np.array([3.0, 1, 1, 2])
    sampled = np.array([1, 2, 1, 3])
    ranks = weighted_ranks(values)(sampled[None].astype("float64"))[0]
    assert (np.repeat(ranks, sampled) == rankdata(np.repeat(values, sampled))).all()
