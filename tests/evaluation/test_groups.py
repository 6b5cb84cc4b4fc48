"""Intervals and tests over groups of examples against a cluster bootstrap written by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.report.test_comparison import job_of
from xferlab import Task, TaskSpec
from xferlab.evaluation.bootstrap import SEED, interval, resample, weighted_score
from xferlab.evaluation.split_evaluation import evaluate_split
from xferlab.evaluation.split_outputs import SplitOutputs
from xferlab.registry import REGISTRY
from xferlab.report.comparison import (
    Compared,
    Comparison,
    _difference,
    _resampled_scores,
    describe_test,
)
from xferlab.report.settings import Setting

GROUPS = 30


def examples(seed=0):
    """Return labels, outputs and groups: the examples of a group are mostly right or wrong."""
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(GROUPS), random.integers(3, 15, GROUPS)).astype("int32")
    chance = np.where(random.uniform(size=GROUPS) < 0.5, 0.95, 0.4)
    right = random.uniform(size=len(groups)) < chance[groups]
    labels = random.integers(0, 2, len(groups), dtype="int32")
    predicted = np.where(right, labels, 1 - labels)
    return labels, np.eye(2, dtype="float32")[predicted], groups


def spec():
    return TaskSpec(Task.single_label, ("no", "yes"), 9, 8, class_counts=(4, 5))


def accuracy():
    return REGISTRY.create("metric", {"name": "accuracy"}).build(spec())


def by_hand(values, groups, samples):
    """Return the mean of each resample: as many groups as there are, with all their examples."""
    random = np.random.default_rng([SEED, GROUPS])
    found = []
    for _ in range(samples):
        chosen = random.integers(GROUPS, size=GROUPS)
        found.append(np.mean(np.concatenate([values[groups == group] for group in chosen])))
    return np.array(found)


def test_resamples_are_those_of_a_cluster_bootstrap_written_by_hand():
    labels, outputs, groups = examples()
    right = (outputs.argmax(1) == labels).astype(float)
    scores = {"accuracy": weighted_score(accuracy(), labels, outputs)}
    found = resample(scores, len(labels), 300, groups=groups)["accuracy"]
    np.testing.assert_allclose(found, by_hand(right, groups, 300), atol=1e-12)
    single = resample(scores, len(labels), 300)["accuracy"]
    assert found.std() > 1.5 * single.std()  # examples of a group are alike


def test_an_evaluation_has_intervals_over_groups_and_says_so():
    labels, outputs, groups = examples()
    given = SplitOutputs(spec(), ["t"] * len(labels), None, labels, outputs, outputs, groups=groups)
    found = evaluate_split("test", given, lambda y, out: 0.0, {"accuracy": accuracy()})
    right = (outputs.argmax(1) == labels).astype(float)
    wanted = interval(by_hand(right, groups, 1000))
    assert (found.scores["accuracy"].low, found.scores["accuracy"].high) == pytest.approx(wanted)
    assert "95% interval over 30 groups" in found.table()
    assert found.record()["interval"]["method"] == "percentile bootstrap over 30 groups"


def test_a_report_tests_over_groups_and_says_so(tmp_path):
    labels, outputs, groups = examples()
    other = np.eye(2, dtype="float32")[np.where(groups % 3 == 0, 1 - labels, labels)]
    settings = []
    for name, each in (("one", outputs), ("two", other)):
        value = float((each.argmax(1) == labels).mean())
        node = {"name": "accuracy"}
        job = job_of(tmp_path / name, spec(), labels, each, "accuracy", node, value, groups)
        settings.append(Setting({"which": name}, [job], (value, None), {}))
    scores = _resampled_scores(settings, "test", "accuracy")
    difference = _difference(*settings, "test", "accuracy", scores)
    rights = [(each.argmax(1) == labels).astype(float) for each in (outputs, other)]
    wanted = by_hand(rights[0] - rights[1], groups, 2000)
    assert difference.mean == pytest.approx((rights[0] - rights[1]).mean())
    assert difference.groups == GROUPS
    assert difference.degrees_of_freedom == pytest.approx(GROUPS - 1)
    width = 2 * 2.045 * wanted.std(ddof=1)  # Student's t with 29 degrees of freedom
    assert difference.high - difference.low == pytest.approx(width, rel=1e-3)
    compared = [Compared(settings[1], difference, 0.5)]
    said = describe_test(Comparison("test", "accuracy", settings[0], compared, ""))
    assert said.startswith(f"Paired bootstrap over 30 groups of {len(labels)} test examples")
