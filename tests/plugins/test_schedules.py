"""Learning rates, by formula, at the steps where schedules go wrong."""

import math

import numpy as np
import pytest

from xferlab import Budget
from xferlab.registry import REGISTRY

PEAK = 2.0
DECAYING = ["linear", "cosine", "polynomial", "cosine_restarts", "one_cycle", "slanted_triangular"]


def rates(name: str, total: int, **fields) -> list[float]:
    """Return the rates of all steps, and of two beyond the last."""
    schedule = REGISTRY.create("schedule", {"name": name, **fields})
    built = schedule.build(PEAK, Budget(epochs=1, steps_per_epoch=total, total_steps=total))
    if isinstance(built, float):
        return [built] * (total + 2)
    return np.asarray(built(np.arange(total + 2))).tolist()


@pytest.mark.parametrize("name", ["constant", "linear", "cosine", "polynomial", "inverse_sqrt"])
def test_warm_up_rises_in_equal_steps_to_the_peak(name):
    found = rates(name, 20, warmup=4)
    assert found[:5] == pytest.approx([PEAK * k / 5 for k in (1, 2, 3, 4, 5)])
    assert max(found) == PEAK


@pytest.mark.parametrize("name", ["linear", "cosine", "polynomial", "cosine_restarts"])
@pytest.mark.parametrize("end", [0.0, 0.25])
def test_last_step_has_exactly_the_end_value_and_keeps_it(name, end):
    assert rates(name, 37, warmup=0.1, end=end)[-3:] == [PEAK * end] * 3


def test_constant_without_warmup_is_a_number_that_can_be_set():
    assert rates("constant", 3) == [PEAK] * 5
    assert rates("constant", 6, warmup=0.5)[3:] == [PEAK] * 5


def test_linear_is_half_way_in_the_middle():
    assert rates("linear", 11, warmup=0)[5] == pytest.approx(PEAK / 2)
    assert rates("linear", 14, warmup=3, end=0.5)[8] == pytest.approx(PEAK * 0.75)


def test_cosine_follows_half_a_wave():
    expected = [PEAK * (1 + math.cos(math.pi * k / 8)) / 2 for k in range(9)]
    assert rates("cosine", 9, warmup=0)[:9] == pytest.approx(expected)


def test_polynomial_of_power_one_is_linear():
    assert rates("polynomial", 23, power=1.0, end=0.1) == rates("linear", 23, end=0.1)


def test_polynomial_is_a_power_of_what_is_left():
    assert rates("polynomial", 5, warmup=0, power=2)[:5] == pytest.approx(
        [PEAK * (1 - k / 4) ** 2 for k in range(5)]
    )


def test_inverse_sqrt_halves_when_the_step_quadruples():
    found = rates("inverse_sqrt", 50, warmup=9)  # step k is the (k + 1)-th
    assert found[9] == PEAK
    assert found[39] == pytest.approx(PEAK / 2)


def test_one_cycle_starts_low_and_ends_lower():
    found = rates("one_cycle", 11, warmup=5, start=0.1, end=0.01)
    assert found[0] == pytest.approx(PEAK * (0.1 + 0.9 / 6))
    assert found[5] == PEAK
    assert found[10] == pytest.approx(PEAK * 0.01)


def test_slanted_triangular_is_the_equation_of_the_paper():
    total = 40
    cut = 4
    ratio = 32.0
    found = rates("slanted_triangular", total, warmup=0.1, ratio=ratio)
    for t in range(total):
        p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / 0.1 - 1))
        paper = PEAK * (1 + p * (ratio - 1)) / ratio
        assert found[t] == pytest.approx(paper, abs=PEAK / (total - cut - 1))  # less than a step
    assert found[0] == found[total - 1] == found[total] == pytest.approx(PEAK / ratio)
    assert found[cut] == PEAK


def test_restarts_return_to_the_peak():
    found = rates("cosine_restarts", 31, warmup=0, cycles=3)
    assert [step for step, rate in enumerate(found) if rate == PEAK] == [0, 10, 20]
    assert found[9] < 0.1 * PEAK


def test_growing_restarts_double_in_length():
    found = rates("cosine_restarts", 71, warmup=0, cycles=3, growth=2.0)
    assert [step for step, rate in enumerate(found) if rate == PEAK] == [0, 10, 30]


def test_one_cycle_of_restarts_is_cosine():
    assert rates("cosine_restarts", 17, cycles=1) == pytest.approx(rates("cosine", 17))


@pytest.mark.parametrize("name", [*DECAYING, "constant", "inverse_sqrt"])
@pytest.mark.parametrize("total", [1, 2, 3, 7])
def test_short_runs_learn(name, total):
    found = rates(name, total)
    assert all(0 <= rate <= PEAK for rate in found)
    assert found[0] > 0


@pytest.mark.parametrize("name", [*DECAYING, "constant", "inverse_sqrt"])
def test_a_run_of_one_step_has_the_peak(name):
    assert rates(name, 1) == [PEAK] * 3


@pytest.mark.parametrize("name", [*DECAYING, "constant", "inverse_sqrt"])
def test_warm_up_as_long_as_the_run_is_refused(name):
    with pytest.raises(ValueError, match="warmup takes 8 steps, but the run has 8"):
        rates(name, 8, warmup=8)


def test_a_run_of_a_million_steps_is_exact():
    """As exact as float32 holds the rate: the formula is computed in float64."""
    total = 1_000_000
    found = np.array(rates("linear", total, warmup=0))[:total]
    expected = PEAK * (1 - np.arange(total) / (total - 1))
    np.testing.assert_allclose(found, expected, rtol=6e-8, atol=0)


def test_steps_are_the_optimizers_own():
    """3 epochs of 10 batches, the last one short, 4 to a step: the budget says 7 steps."""
    schedule = REGISTRY.create("schedule", {"name": "linear", "warmup": 0})
    built = schedule.build(PEAK, Budget(epochs=3, steps_per_epoch=2, total_steps=7))
    assert [float(built(k)) for k in range(8)] == pytest.approx(
        [PEAK * (1 - k / 6) for k in range(7)] + [0.0]
    )


def test_a_schedule_survives_its_config():
    from keras.optimizers import schedules

    built = REGISTRY.create("schedule", {"name": "cosine"}).build(PEAK, Budget(1, 9, 9))
    again = schedules.deserialize(schedules.serialize(built))
    assert [float(again(k)) for k in range(9)] == [float(built(k)) for k in range(9)]


def test_a_graph_sees_the_same_rates_as_the_optimizer():
    import keras
    import tensorflow as tf

    built = REGISTRY.create("schedule", {"name": "linear"}).build(PEAK, Budget(1, 12, 12))
    optimizer = keras.optimizers.SGD(built)
    weight = keras.Variable(0.0)
    optimizer.build([weight])

    @tf.function
    def step():
        optimizer.apply([tf.constant(-1.0)], [weight])

    for _ in range(12):
        step()
    assert float(weight.value) == pytest.approx(sum(float(built(k)) for k in range(12)))


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("linear", {"warmup": -0.1}, "warmup must be a fraction"),
        ("linear", {"warmup": 1.5}, "or a whole number, got 1.5"),
        ("cosine", {"end": 1.5}, "end must be a fraction of the peak"),
        ("one_cycle", {"start": -1}, "start must be a fraction of the peak"),
        ("polynomial", {"power": 0}, "power must be > 0"),
        ("cosine_restarts", {"cycles": 0}, "cycles must be >= 1"),
        ("cosine_restarts", {"growth": 0}, "growth must be > 0"),
        ("slanted_triangular", {"ratio": 0.5}, "ratio must be >= 1"),
    ],
)
def test_impossible_shapes_are_refused(name, fields, message):
    from xferlab import ConfigError

    with pytest.raises(ConfigError, match=message):
        REGISTRY.create("schedule", {"name": name, **fields})
