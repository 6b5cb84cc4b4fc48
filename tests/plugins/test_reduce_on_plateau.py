"""The rate falls by the factor each time patience is over, and never below its end."""

from __future__ import annotations

import pytest

from xferlab.discovery import load_plugins
from xferlab.registry import REGISTRY


@pytest.fixture
def plateau(tmp_path):
    load_plugins(tmp_path)
    return REGISTRY.get("schedule", "reduce_on_plateau").cls


@pytest.mark.parametrize(
    ("values", "rate"),
    [
        ([], 1.0),
        ([0.5], 1.0),
        ([0.5, 0.6, 0.7], 1.0),
        ([0.5, 0.5], 0.5),
        ([0.5, 0.4, 0.3], 0.25),
        ([0.5, 0.4, 0.6], 0.5),
        ([0.5, float("nan")], 0.5),
    ],
)
def test_each_epoch_without_a_better_score_halves_the_rate(plateau, values, rate):
    assert plateau().react(1.0, values, "max") == rate


def test_less_is_better_where_the_metric_says_so(plateau):
    assert plateau().react(1.0, [0.5, 0.4, 0.3], "min") == 1.0
    assert plateau().react(1.0, [0.5, 0.6], "min") == 0.5


def test_patience_counts_anew_after_a_reduction(plateau):
    assert plateau(patience=2).react(8.0, [1.0, 0, 0, 0], "max") == 4.0
    assert plateau(patience=2).react(8.0, [1.0, 0, 0, 0, 0], "max") == 2.0


def test_the_end_is_the_floor(plateau):
    assert plateau(end=0.3).react(1.0, [1.0, 0, 0, 0, 0, 0], "max") == 0.3


def test_a_change_that_is_too_small_is_no_change(plateau):
    assert plateau(least_change=0.01).react(1.0, [0.500, 0.505], "max") == 0.5
