"""Each average against a loop written by hand, and what is scored and saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.tiny_experiments import (
    batches_of,
    descend,
    experiment_of,
    values_of,
    write_examples,
)
from xferlab import Budget, Phase, Take
from xferlab.callbacks import Callback
from xferlab.training.average import StepPlan
from xferlab.training.loop import fit
from xferlab.training.phases import was_trained_before


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("averages")
    write_examples(folder)
    return folder


def weights_by_hand(experiment):
    """Train by hand and return the weights after each step, the start first."""
    import tensorflow as tf

    network = experiment.model.network
    found = [values_of(experiment)]
    for inputs, labels, _ in batches_of(experiment):
        weights = network.trainable_weights
        with tf.GradientTape() as tape:
            logits = network(inputs, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        descend(weights, tape.gradient(loss, [weight.value for weight in weights]))
        found.append(values_of(experiment))
    return found


def ema(weights):
    average = weights[0]
    for step, now in enumerate(weights[1:], 1):
        decay = min(0.8, (1 + step) / (10 + step))
        average = [decay * a + (1 - decay) * w for a, w in zip(average, now, strict=True)]
    return average


def mean(sets):
    return [sum(each) / len(sets) for each in zip(*sets, strict=True)]


BY_HAND = {
    "ema": (["average=ema", "average.decay=0.8"], ema),
    "swa": (["average=swa", "average.start=0.4"], lambda w: mean([w[10], w[15]])),
    "last_k": (["average=last_k", "average.k=2"], lambda w: mean([w[10], w[15]])),
}


@pytest.fixture(scope="module")
def steps(workspace):
    return weights_by_hand(experiment_of(workspace, "train.epochs=3"))


class Scored(Callback):
    """Keeps the weights and the scores of each epoch's end."""

    def __init__(self, experiment):
        self.experiment = experiment
        self.weights = []
        self.scores = []

    def on_epoch(self, epoch):
        self.weights.append(values_of(self.experiment))
        self.scores.append(dict(epoch.validation))


@pytest.mark.parametrize("name", BY_HAND)
def test_the_average_is_that_of_a_loop_written_by_hand(name, workspace, steps):
    words, wanted = BY_HAND[name]
    experiment = experiment_of(workspace, "train.epochs=3", *words)
    scored = Scored(experiment)
    fit(experiment, [scored])
    for found, value, last in zip(values_of(experiment), wanted(steps), steps[-1], strict=True):
        np.testing.assert_allclose(found, value, atol=1e-6)
        assert abs(found - last).max() > 1e-5
    for found, value in zip(scored.weights[-1], values_of(experiment), strict=True):
        np.testing.assert_array_equal(found, value)
    assert scored.scores[-1] == experiment.evaluate("validation")


def test_before_the_first_weights_are_taken_the_weights_themselves_are_scored(workspace, steps):
    experiment = experiment_of(workspace, "train.epochs=3", "average=swa", "average.start=0.7")
    scored = Scored(experiment)
    fit(experiment, [scored])
    for found, value in zip(scored.weights[0], steps[5], strict=True):
        np.testing.assert_allclose(found, value, atol=1e-6)


def test_an_average_over_phases_leaves_what_is_frozen_as_it_is(workspace):
    words = ["transfer=head_first", "train.epochs=2", "average=ema"]
    experiment = experiment_of(workspace, *words)
    scored = Scored(experiment)
    start = values_of(experiment)
    fit(experiment, [scored])
    np.testing.assert_array_equal(scored.weights[0][0], start[0])
    assert abs(scored.weights[0][1] - start[1]).max() > 0
    assert abs(scored.weights[1][0] - start[0]).max() > 0


def test_an_epochs_last_step_is_the_last_one_that_updates_the_weights():
    plan = StepPlan(per_epoch=5, total=12, accumulation=2, budget=Budget(3, 2, 6))
    moments = list(plan.moments())
    assert [moment.step for moment in moments] == [1, 2, 3, 4, 5, 6]
    assert [moment.epoch for moment in moments] == [1, 1, 2, 2, 2, 3]
    assert [moment.ends_epoch for moment in moments] == [False, True, False, False, True, True]


def test_blocks_that_were_trained_before_they_are_frozen_have_another_average():
    phases = [Phase(1, ("embeddings",)), Phase(1), Phase(1, ("layer_0",))]
    assert [was_trained_before(phases, index) for index in range(3)] == [False, False, True]


def test_a_whole_fraction_is_the_weights_exactly():
    import keras

    from xferlab.backend.weight_average import WeightSlots

    weight = keras.Variable(np.full(3, 1e8, "float32"))
    slots = WeightSlots([weight], 2)
    weight.assign(np.full(3, 0.1, "float32"))
    slots.take(1, Take(1.0).fraction)
    weight.assign(np.full(3, 7.0, "float32"))
    with slots.in_place():
        np.testing.assert_array_equal(weight.numpy(), np.full(3, 0.1, "float32"))
        np.testing.assert_array_equal(slots.own_value(weight), np.full(3, 7.0, "float32"))
    np.testing.assert_array_equal(weight.numpy(), np.full(3, 7.0, "float32"))
    assert slots.counts.numpy().tolist() == [0, 1]
