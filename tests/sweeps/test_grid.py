"""The parts of a sweep file: what jobs they stand for, and what is no part."""

from __future__ import annotations

import pytest

from xferlab.config.overrides import expand_override, format_override, parse_overrides
from xferlab.config.schema import SweepConfig
from xferlab.errors import ConfigError
from xferlab.sweeps.grid import axes_of, product

RATES = {"optimizer.lr": {"loguniform": [1e-6, 1e-3]}}


def points(**parts):
    return product(axes_of(SweepConfig(**parts)))


def test_a_grid_is_every_combination_the_last_key_fastest():
    assert points(grid={"a.b": [1, 2], "seed": [3, 4]}) == [
        ["a.b=1", "seed=3"],
        ["a.b=1", "seed=4"],
        ["a.b=2", "seed=3"],
        ["a.b=2", "seed=4"],
    ]


def test_zipped_keys_go_together():
    assert points(zip={"a": [1, 2], "b": [3, 4]}) == [["a=1", "b=3"], ["a=2", "b=4"]]


def test_a_list_is_its_jobs():
    assert points(list=[{"a": 1}, {"b": 2, "a": 3}]) == [["a=1"], ["b=2", "a=3"]]


def test_parts_multiply():
    assert len(points(grid={"a": [1, 2]}, zip={"b": [1, 2], "c": [1, 2]}, list=[{"d": 1}])) == 4


def test_no_part_is_one_job_without_words():
    assert points() == [[]]


def test_draws_are_within_bounds_short_and_the_same_each_time():
    sampled = points(random={"count": 50, "space": RATES})
    assert sampled == points(random={"count": 50, "space": RATES})
    values = [float(overrides[0].partition("=")[2]) for overrides in sampled]
    assert all(1e-6 <= value <= 1e-3 for value in values)
    assert sum(value < 3.2e-5 for value in values) in range(15, 36)  # the middle of the logarithms
    assert max(len(overrides[0]) for overrides in sampled) <= len("optimizer.lr=0.0001234")


def test_more_draws_begin_with_the_same():
    few = points(random={"count": 5, "space": RATES})
    assert points(random={"count": 9, "space": RATES})[:5] == few
    assert points(random={"count": 5, "seed": 1, "space": RATES}) != few


def test_a_key_is_drawn_alike_whatever_else_is_drawn():
    both = points(random={"count": 3, "space": {"seed": {"choice": [1, 2]}, **RATES}})
    assert [overrides[1:] for overrides in both] == points(random={"count": 3, "space": RATES})


@pytest.mark.parametrize(
    ("parts", "what"),
    [
        ({"grid": {"a": 1}}, "a list of values is needed, got 1"),
        ({"grid": {"a": []}}, "a list of values is needed"),
        ({"zip": {"a": [1], "b": [1, 2]}}, "equally many values: a has 1, b has 2"),
        ({"list": {"a": 1}}, "a list of mappings"),
        ({"list": [{}]}, "a list of mappings"),
        ({"list": [3]}, "a list of mappings"),
        ({"grid": {"a": [1]}, "zip": {"a": [2]}}, "a is swept twice"),
        ({"random": {"cuont": 3}}, "did you mean 'count'"),
        ({"random": {"space": RATES}}, "count must be a whole number"),
        ({"random": {"count": 0, "space": RATES}}, "count must be a whole number"),
        ({"random": {"count": 2.5, "space": RATES}}, "count must be a whole number"),
        ({"random": {"count": 3}}, "the space is empty"),
        ({"random": {"count": 3, "space": {"a": 1}}}, "'1' is no distribution"),
        ({"random": {"count": 3, "space": {"a": {"normal": [0, 1]}}}}, "is no distribution"),
        ({"random": {"count": 3, "space": {"a": {"uniform": [2, 1]}}}}, "a low and a high number"),
        ({"random": {"count": 3, "space": {"a": {"uniform": 1}}}}, "a low and a high number"),
        ({"random": {"count": 3, "space": {"a": {"uniform": ["x", 1]}}}}, "a low and a high"),
        ({"random": {"count": 3, "space": {"a": {"loguniform": [0, 1]}}}}, "above 0, got"),
        ({"random": {"count": 3, "space": {"a": {"choice": 1}}}}, "a list of values is needed"),
    ],
)
def test_what_is_no_shape_is_refused_with_the_remedy(parts, what):
    with pytest.raises(ConfigError) as raised:
        axes_of(SweepConfig(**parts))
    assert what in str(raised.value)
    assert len(str(raised.value).splitlines()) == 3


@pytest.mark.parametrize(
    "value",
    [
        1,
        1.5,
        1e-5,
        True,
        None,
        "bert",
        "a, b",
        "1",
        "true",
        "it's",
        "",
        "[x]",
        "${a}",
        "a=b",
        "back\\",
        "interval(1,2)",
        [1, "a,b", None],
        {"x": 1.5, "y": "1"},
        "é",
        " lead",
    ],
)
def test_a_word_is_read_back_as_its_value(value):
    (override,) = parse_overrides([format_override("key", value)])
    assert not override.is_sweep_override()
    assert override.value() == value
    assert type(override.value()) is type(value)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"workers": 0}, "workers must be at least 1"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"time_limit": "30"}, "time_limit is a time"),
        ({"time_limit": "0s"}, "time_limit is a time"),
        ({"workers": 3, "gpus": ["0", "1"]}, "workers must be at most 2"),
    ],
)
def test_bad_settings_are_refused(settings, what):
    with pytest.raises(ValueError, match=what):
        SweepConfig(**settings)


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("optimizer.lr=1e-5,0.00003", ["optimizer.lr=1e-5", "optimizer.lr=0.00003"]),
        ("optimizer.lr=choice(1e-5, 1.e+3)", ["optimizer.lr=1e-5", "optimizer.lr=1.e+3"]),
        ("name='a,b',c\\,d", ["name='a,b'", "name=c\\,d"]),
        ("metric=[accuracy,f1],[f1]", ["metric=[accuracy,f1]", "metric=[f1]"]),
        ("seed=range(1,3)", ["seed=1", "seed=2"]),
        ("seed=sort(3,1)", ["seed=1", "seed=3"]),
    ],
)
def test_values_of_a_list_stay_as_they_are_written(text, points):
    (override,) = parse_overrides([text])
    assert expand_override(override) == points
    for point, value in zip(points, override.sweep_string_iterator(), strict=True):
        (found,) = parse_overrides([point])
        assert found.get_value_element_as_str() == value
