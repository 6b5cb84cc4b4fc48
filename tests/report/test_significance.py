"""The tests of a difference: equal to scipy's where it has the same, and right as often as said."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from scipy import stats

from xferlab.report import significance
from xferlab.report.row_scores import row_score
from xferlab.report.significance import (
    ROWS,
    SEEDS_AND_ROWS,
    holm,
    over_rows,
    t_quantile,
    t_tails,
    welch,
)
from xferlab.runs.predictions import Predictions
from xferlab.tasks.base import OutputKind, Task


@pytest.mark.parametrize("freedom", [0.7, 1, 2, 3.7, 10, 100, 1e4, 1e7])
def test_students_t_is_scipys(freedom):
    for t in (0.0, 0.01, 0.5, 1.0, 2.3, 5.0, 40.0):
        assert t_tails(t, freedom) == pytest.approx(2 * stats.t.sf(t, freedom), rel=1e-7)
        assert t_tails(-t, freedom) == t_tails(t, freedom)
    for fraction in (0.6, 0.975, 0.9995):
        assert t_quantile(fraction, freedom) == pytest.approx(
            stats.t.ppf(fraction, freedom), rel=1e-8
        )


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ([0.90, 0.92, 0.91], [0.88, 0.91, 0.85, 0.86]),
        ([0.5, 0.6], [0.5, 0.6]),
        ([1.0, 2.0, 3.0, 4.0], [10.0, 11.0]),
    ],
)
def test_welchs_test_is_scipys(one, two):
    ours, theirs = welch(one, two), stats.ttest_ind(one, two, equal_var=False)
    assert ours.p == pytest.approx(theirs.pvalue)
    assert ours.freedom == pytest.approx(theirs.df)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    assert ours.runs == (len(one), len(two))


def test_over_rows_alone_it_nears_the_paired_t_test():
    draw = np.random.default_rng(0)
    one, two = draw.normal(0.1, 1, (1, 400)), draw.normal(0, 1, (1, 400))
    counts = draw.multinomial(400, np.full(400, 1 / 400), size=4000) / 400
    ours = over_rows(one.mean(1), two.mean(1), one @ counts.T, two @ counts.T, 400)
    theirs = stats.ttest_rel(one[0], two[0])
    assert ours.over == ROWS
    assert ours.p == pytest.approx(theirs.pvalue, abs=0.02)
    assert ours.high == pytest.approx(theirs.confidence_interval(0.95).high, abs=0.01)


def test_holms_correction_is_that_of_the_paper():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_what_never_varies_is_certain():
    same = np.ones((3, 50))
    assert over_rows([1, 1, 1], [1, 1, 1], same, same, 30).p == 1
    assert over_rows([1, 1, 1], [0, 0, 0], same, same * 0, 30).p == 0
    assert welch([0.5, 0.5], [0.5, 0.5]).p == 1


ROW_COUNT, RESAMPLES = 200, 200


def rejections(trials: int, seeds: int, shift: float, *, seed: float, row: float, noise: float):
    """Return how often two settings are told apart: Monte Carlo over seeds and rows.

    A run is right on a row if the row's ease, and the luck of the setting with the row, of the
    seed, and of the seed with the row, come to more than 0.
    """
    draw = np.random.default_rng(11)
    pools = [draw.multinomial(ROW_COUNT, np.full(ROW_COUNT, 1 / ROW_COUNT), size=RESAMPLES).T
             / ROW_COUNT for _ in range(20)]  # fmt: skip
    told = 0
    for trial in range(trials):
        ease = draw.normal(1.5, 2, ROW_COUNT)
        one, two = (
            (
                ease + draw.normal(0, row, ROW_COUNT) + more + draw.normal(0, seed, (seeds, 1))
                + draw.normal(0, noise, (seeds, ROW_COUNT)) > 0
            ).astype("float64")
            for more in (shift, 0.0)
        )  # fmt: skip
        counts = pools[trial % len(pools)]
        found = over_rows(
            list(one.mean(1)), list(two.mean(1)), one @ counts, two @ counts, ROW_COUNT
        )
        assert found.over == (SEEDS_AND_ROWS if seeds > 1 else ROWS)
        told += found.p < 0.05
    return told / trials


@pytest.mark.parametrize(
    ("seeds", "world", "least"),
    [
        (3, {"seed": 0.5, "row": 0.2, "noise": 0.5}, 0.4),
        (3, {"seed": 0.05, "row": 1.0, "noise": 0.3}, 0.7),
        (3, {"seed": 0.0, "row": 0.0, "noise": 1.5}, 0.9),
        (5, {"seed": 0.25, "row": 0.6, "noise": 1.0}, 0.9),
        (1, {"seed": 0.0, "row": 0.5, "noise": 1.0}, 0.5),
    ],
    ids=["luck of seeds", "luck of rows", "luck of both at once", "all of them", "one seed"],
)
def test_no_difference_is_found_where_none_is_in_about_one_of_twenty(seeds, world, least):
    assert 0.015 <= rejections(500, seeds, 0.0, **world) <= 0.08  # 5 %, give or take 3 sigma
    assert rejections(100, seeds, 1.2, **world) >= least


def scores_of(name, task, labels, outputs, options=None, lengths=None):
    found = Predictions(labels, outputs.astype("float32"), lengths)
    return row_score(name, options or {}, found, task, OutputKind.logits)


@pytest.mark.parametrize("average", ["macro", "micro", "weighted", "binary"])
@pytest.mark.parametrize("name", ["f1", "precision", "recall", "matthews", "accuracy"])
def test_scores_had_again_from_outputs_are_sklearns(name, average):
    from sklearn import metrics

    draw = np.random.default_rng(3)
    labels, outputs = draw.integers(0, 2, 120), draw.normal(size=(120, 2))
    row = scores_of(name, Task.single_label, labels, outputs, {"average": average})
    averaged = {} if name in ("matthews", "accuracy") else {"average": average}
    wanted = {"matthews": "matthews_corrcoef", "accuracy": "accuracy_score"}
    score = getattr(metrics, wanted.get(name, f"{name}_score"))
    taken = outputs.argmax(1)
    assert row.whole() == pytest.approx(score(labels, taken, **averaged))
    again = draw.integers(0, 120, 120)  # a resampling is the score of the rows it drew
    counts = np.bincount(again, minlength=120)[None].astype("float64")
    assert row.resampled(counts)[0] == pytest.approx(score(labels[again], taken[again], **averaged))


def test_scores_of_numbers_and_of_several_labels():
    draw = np.random.default_rng(4)
    labels, values = draw.normal(size=50), draw.normal(size=(50, 1))
    pearson = scores_of("pearson", Task.regression, labels, values)
    assert pearson.whole() == pytest.approx(np.corrcoef(labels, values[:, 0])[0, 1], abs=1e-6)
    squared = scores_of("mean_squared_error", Task.regression, labels, values)
    assert squared.whole() == pytest.approx(((labels - values[:, 0]) ** 2).mean(), abs=1e-6)
    many, outputs = (draw.random((50, 3)) > 0.5).astype("float32"), draw.normal(size=(50, 3))
    exact = scores_of("subset_accuracy", Task.multi_label, many, outputs)
    assert exact.whole() == pytest.approx(((outputs > 0) == (many > 0.5)).all(1).mean())


def test_tags_are_resampled_by_the_row_not_by_the_token():
    labels, lengths = np.array([0, 1, 1, 0, 1]), np.array([2, 0, 3])
    outputs = np.eye(2)[[0, 0, 1, 1, 1]]
    row = scores_of("accuracy", Task.token_classification, labels, outputs, lengths=lengths)
    assert row.parts.tolist() == [[1, 2], [0, 0], [2, 3]]
    assert row.resampled(np.array([[2.0, 1.0, 0.0]])) == pytest.approx([0.5])


@pytest.mark.parametrize("name", ["auc", "entity_f1", "mine"])
def test_a_score_that_is_no_sum_over_rows_is_not_guessed(name):
    labels, outputs = np.zeros(4, int), np.zeros((4, 2))
    assert scores_of(name, Task.single_label, labels, outputs) is None


def test_the_examples_in_the_docstrings_hold():
    from xferlab import escaping
    from xferlab.report import markdown, svg, tables

    for module in (significance, escaping, markdown, svg, tables):
        assert doctest.testmod(module).failed == 0
    assert math.isinf(welch([0.5, 0.5], [0.5, 0.5]).freedom)
