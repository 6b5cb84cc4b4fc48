"""The tests of a difference: equal to scipy's where it has the same, and right as often as said."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from scipy import stats

from xferlab.report import significance
from xferlab.report.significance import (
    EXAMPLES,
    SEEDS_AND_EXAMPLES,
    Variance,
    holm,
    over_examples,
    seeds_needed,
    welch,
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
    ours = welch(one, two)
    theirs = stats.ttest_ind(one, two, equal_var=False)
    assert ours.p == pytest.approx(theirs.pvalue)
    assert ours.degrees_of_freedom == pytest.approx(theirs.df)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    assert ours.runs == (len(one), len(two))


def test_over_examples_alone_it_nears_the_paired_t_test():
    draw = np.random.default_rng(0)
    one = draw.normal(0.1, 1, (1, 400))
    two = draw.normal(0, 1, (1, 400))
    counts = draw.multinomial(400, np.full(400, 1 / 400), size=4000) / 400
    ours = over_examples(one.mean(1), two.mean(1), one @ counts.T, two @ counts.T, 400)
    theirs = stats.ttest_rel(one[0], two[0])
    assert ours.over == EXAMPLES
    assert ours.p == pytest.approx(theirs.pvalue, abs=0.02)
    assert ours.high == pytest.approx(theirs.confidence_interval(0.95).high, abs=0.01)


def power(distance: float, runs: int) -> float:
    """Return the exact power of a two-sided t test of two groups, sd 1, at 5 %."""
    degrees = 2 * runs - 2
    limit = stats.t.ppf(0.975, degrees)
    return float(stats.nct.sf(limit, degrees, distance / np.sqrt(2 / runs)))


@pytest.mark.parametrize(("distance", "runs"), [(0.5, 64), (0.8, 26), (1.0, 17), (2.0, 6)])
def test_seeds_needed_are_those_of_an_exact_power(distance, runs):
    """64, 26 and 17 are in the tables of Cohen (1988)."""
    parts = [Variance(1 / 3, 2, 3)] * 2
    found = seeds_needed(distance, parts)
    assert found == pytest.approx(runs, abs=1)
    assert power(distance, found - 1) < 0.81
    assert power(distance, found) > 0.79


def test_seeds_do_not_show_what_examples_hide():
    assert seeds_needed(0.1, [Variance(0.01, 99), Variance(0.01, 2, 3)]) is None
    assert seeds_needed(0.1, [Variance(0.0001, 99)]) is None
    assert welch([0.5, 0.6, 0.7], [0.5, 0.6, 0.71]).seeds_needed is None


def test_holms_correction_is_that_of_the_paper():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_what_never_varies_is_certain():
    same = np.ones((3, 50))
    assert over_examples([1, 1, 1], [1, 1, 1], same, same, 30).p == 1
    assert over_examples([1, 1, 1], [0, 0, 0], same, same * 0, 30).p == 0
    assert welch([0.5, 0.5], [0.5, 0.5]).p == 1


COUNT = 200
RESAMPLES = 200


def rejections(trials: int, seeds: int, shift: float, *, seed: float, row: float, noise: float):
    """Return how often two settings differ significantly: Monte Carlo over seeds and examples.

    A run is right on an example if the sum of the example's ease and the effects of the setting on
    the example, of the seed, and of the seed on the example is more than 0.
    """
    draw = np.random.default_rng(11)
    pools = [
        draw.multinomial(COUNT, np.full(COUNT, 1 / COUNT), size=RESAMPLES).T / COUNT
        for _ in range(20)
    ]
    rejected = 0
    for trial in range(trials):
        ease = draw.normal(1.5, 2, COUNT)
        one, two = (
            (
                ease
                + draw.normal(0, row, COUNT)
                + more
                + draw.normal(0, seed, (seeds, 1))
                + draw.normal(0, noise, (seeds, COUNT))
                > 0
            ).astype("float64")
            for more in (shift, 0.0)
        )
        counts = pools[trial % len(pools)]
        found = over_examples(
            list(one.mean(1)), list(two.mean(1)), one @ counts, two @ counts, COUNT
        )
        assert found.over == (SEEDS_AND_EXAMPLES if seeds > 1 else EXAMPLES)
        rejected += found.p < 0.05
    return rejected / trials


@pytest.mark.parametrize(
    ("seeds", "world", "least"),
    [
        (3, {"seed": 0.5, "row": 0.2, "noise": 0.5}, 0.4),
        (3, {"seed": 0.05, "row": 1.0, "noise": 0.3}, 0.7),
        (3, {"seed": 0.0, "row": 0.0, "noise": 1.5}, 0.9),
        (5, {"seed": 0.25, "row": 0.6, "noise": 1.0}, 0.9),
        (1, {"seed": 0.0, "row": 0.5, "noise": 1.0}, 0.5),
    ],
    ids=[
        "chance of seeds",
        "chance of examples",
        "chance of both together",
        "all of them",
        "one seed",
    ],
)
def test_no_difference_is_found_where_none_is_in_about_one_of_twenty(seeds, world, least):
    assert 0.015 <= rejections(500, seeds, 0.0, **world) <= 0.08  # 5 %, give or take 3 sigma
    assert rejections(100, seeds, 1.2, **world) >= least


def test_the_examples_in_the_docstrings_hold():
    from xferlab import escaping
    from xferlab.report import markdown, svg, tables

    for module in (significance, escaping, markdown, svg, tables):
        assert doctest.testmod(module).failed == 0
    assert math.isinf(welch([0.5, 0.5], [0.5, 0.5]).degrees_of_freedom)
