"""The learning-rate range test: what it reads from losses, and that it trains as the run would."""

from __future__ import annotations

import csv
import dataclasses
import math
from itertools import pairwise
from pathlib import Path

import pytest

from xferlab.config.compose import compose_config, publish
from xferlab.config.recipe import Recipe, read
from xferlab.discovery import load_plugins
from xferlab.errors import ConfigError, RunError
from xferlab.experiment.lr_finder import find_lr
from xferlab.experiment.lr_range_test import Span, found, parse_range, smooth, until_too_high

RATES = Span(1e-6, 1.0, 121).rates  # 20 steps a decade
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def bowl(rate: float, lowest: float = 1e-2) -> float:
    """Return a loss that is 1 at tiny rates, falls to 0.5 at ``lowest`` and then rises for good."""
    below = math.log10(lowest / rate)
    return 1 - 0.5 / (1 + math.exp(4 * (below - 1))) + max(0.0, -below) ** 2 * 4


def scattered(losses: list[float], size: float = 0.01) -> list[float]:
    return [loss + size * math.sin(7.3 * step) for step, loss in enumerate(losses)]


def test_every_rate_is_the_same_multiple_of_the_one_before():
    rates = Span(1e-7, 1.0, 50).rates
    assert rates[0] == pytest.approx(1e-7)
    assert rates[-1] == pytest.approx(1.0)
    ratios = [b / a for a, b in pairwise(rates)]
    assert ratios == pytest.approx([ratios[0]] * 49)


def test_smoothing_is_the_weighted_mean_by_hand():
    assert smooth([1.0, 2.0, 4.0]) == pytest.approx(
        [1.0, (0.9 * 1 + 2) / 1.9, (0.81 * 1 + 0.9 * 2 + 4) / 2.71]
    )


def test_the_suggestion_is_a_tenth_of_the_rate_of_the_lowest_loss():
    finding = found(RATES, scattered([bowl(rate) for rate in RATES]))
    assert finding.smoothed[finding.lowest] == min(finding.smoothed)
    assert finding.suggestion == pytest.approx(RATES[finding.lowest] / 10)
    assert 1e-3 <= finding.suggestion <= 4e-3  # smoothing is late by half a decade at most
    assert finding.steepest < finding.lowest


def test_what_is_too_high_is_above_the_lowest():
    finding = found(RATES, scattered([bowl(rate) for rate in RATES]))
    assert finding.too_high > finding.lowest
    assert all(loss > 1 for loss in finding.smoothed[finding.too_high :])


def test_noise_is_no_fall():
    finding = found(RATES, scattered([1.0] * len(RATES)))
    assert finding.suggestion is None
    assert finding.too_high is None
    lines = finding.lines([])
    assert "suggestion none: the loss did not fall clearly at any rate" in lines
    assert "try next   steps=363, or a larger train.batch_size" in lines


def test_a_loss_that_only_rises_gives_no_suggestion():
    finding = found(RATES, scattered([1 + rate for rate in RATES]))
    assert finding.suggestion is None


def test_the_next_command_keeps_the_overrides_and_replaces_the_rate():
    finding = found(RATES, scattered([bowl(rate) for rate in RATES]))
    finding = dataclasses.replace(finding, suggestion=3.18e-4)
    overrides = ["optimizer.lr=5e-5", "metric=[accuracy,f1]", "data=reviews"]
    assert finding.lines(overrides)[-1] == (
        "train      python -m xferlab 'metric=[accuracy,f1]' data=reviews optimizer.lr=3.2e-4"
    )


def test_the_test_ends_when_the_smoothed_loss_is_four_times_its_lowest():
    assert until_too_high([1.0] * 30) == [1.0] * 30
    ended = until_too_high([1.0] * 20 + [50.0] * 20)
    assert ended == [1.0] * 20 + [50.0]
    assert until_too_high([-1.0] * 9 + [0.0] * 9) == [-1.0] * 9 + [0.0] * 9


@pytest.mark.parametrize("end", [math.nan, math.inf])
def test_the_test_ends_before_a_loss_that_is_not_finite(end):
    assert until_too_high([1.0, 2.0, end, 1.0]) == [1.0, 2.0]


def test_own_words_are_told_from_overrides():
    span, rest = parse_range(["from=1e-5", "train.batch_size=8", "steps=40"])
    assert span == Span(1e-5, 1.0, 40)
    assert rest == ["train.batch_size=8"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["from=low"], "'low' is no learning rate"),
        (["steps=1.5"], "'1.5' is no whole number"),
        (["steps=5"], "5 steps are too few"),
        (["from=0"], "rates from 0 to 1 do not grow"),
        (["from=1e-2", "to=1e-3"], "rates from 0.01 to 0.001 do not grow"),
        (["to=nan"], "rates from 1e-07 to nan do not grow"),
        (["to=inf"], "rates from 1e-07 to inf do not grow"),
    ],
)
def test_a_span_that_cannot_be_is_refused(overrides, message):
    with pytest.raises(ConfigError, match=message):
        parse_range(overrides)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XFERLAB_CACHE", str(tmp_path / "cache"))
    load_plugins(tmp_path)
    publish(tmp_path)
    return tmp_path


def recipe(*overrides: str) -> Recipe:
    return read(compose_config(["model=bag_of_embeddings", "debug=tiny", *overrides]))


def table(folder: Path) -> list[dict[str, float]]:
    with (folder / "find_lr.csv").open() as stream:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(stream)]


SPAN = Span(1e-5, 10.0, 40)


def test_a_range_test_leaves_its_files_alone_and_repeats_with_its_seed(workspace):
    finding = find_lr(recipe(), Path("found"), SPAN)
    assert sorted(path.name for path in Path("found").iterdir()) == [
        "config.yaml",
        "find_lr.csv",
        "find_lr.png",
    ]
    assert {path.name for path in workspace.iterdir()} <= {"found", "cache"}
    assert Path("found/find_lr.png").read_bytes().startswith(SIGNATURE)
    rows = table(Path("found"))
    assert [row["rate"] for row in rows] == pytest.approx(list(finding.rates), rel=1e-6)
    assert [row["loss"] for row in rows] == pytest.approx(list(finding.losses), rel=1e-6)
    assert [row["smoothed"] for row in rows] == pytest.approx(list(finding.smoothed), rel=1e-6)
    # the same seed finds the same bit for bit, another one does not
    assert find_lr(recipe(), Path("again"), SPAN) == finding
    assert find_lr(recipe("seed=1"), Path("other"), SPAN) != finding


def sgd_by_hand(
    chosen: Recipe, rates: list[float], gradient_accumulation_steps: int
) -> list[float]:
    """Return the losses of plain gradient steps, written out with TensorFlow alone."""
    import tensorflow as tf

    from xferlab.backend.process import prepare_backend
    from xferlab.training.assemble import assemble
    from xferlab.training.loop import Segment, training_batches
    from xferlab.training.phase_network import build_phase

    prepare_backend(chosen.seed, chosen.train.precision.value, chosen.train.deterministic)
    experiment = assemble(chosen, chosen.data.build(chosen.seed))
    network = experiment.model.network
    segment = Segment(0, 0, 1, len(rates) * gradient_accumulation_steps, 0)
    batches = list(training_batches(experiment, build_phase(experiment, 0), segment))
    losses = []
    for step, rate in enumerate(rates):
        total = 0.0
        sums = [0.0] * len(network.trainable_variables)
        for inputs, labels in batches[
            step * gradient_accumulation_steps : (step + 1) * gradient_accumulation_steps
        ]:
            with tf.GradientTape() as tape:
                loss = experiment.loss(labels, network(inputs, training=True))
            values = [v.value for v in network.trainable_variables]
            gradients = tape.gradient(loss, values)
            dense = map(tf.convert_to_tensor, gradients)  # the norm is that of the whole gradient
            sums = [s + g / gradient_accumulation_steps for s, g in zip(sums, dense, strict=True)]
            total += float(loss) / gradient_accumulation_steps
        clipped, _ = tf.clip_by_global_norm(sums, chosen.train.max_grad_norm)
        for variable, gradient in zip(network.trainable_variables, clipped, strict=True):
            variable.assign_sub(rate * tf.convert_to_tensor(gradient))
        losses.append(total)
    return losses


def test_a_head_on_features_is_trained_in_single_steps(workspace):
    finding = find_lr(recipe("model=bert", "transfer=frozen", "seed=3"), Path("found"), SPAN)
    assert min(finding.losses) < finding.losses[0] < max(finding.losses)


@pytest.mark.slow
def test_the_losses_are_those_of_plain_gradient_steps(workspace):
    gradient_accumulation_steps = 2
    chosen = recipe(
        "optimizer=sgd",
        "optimizer.momentum=0",
        "optimizer.weight_decay=0",
        "model.dropout=0",
        "train.max_grad_norm=0.05",
        f"train.gradient_accumulation_steps={gradient_accumulation_steps}",
    )
    span = Span(1e-2, 10.0, 20)
    finding = find_lr(chosen, Path("found"), span)
    by_hand = sgd_by_hand(chosen, span.rates, gradient_accumulation_steps)
    assert max(by_hand) - min(by_hand) > 0.01  # something was learned at all
    # float32 sums in another order, over 20 steps
    assert list(finding.losses) == pytest.approx(by_hand[: len(finding.losses)], abs=2e-4)


@pytest.mark.slow
def test_blocks_that_the_first_phase_freezes_stand_still(workspace, monkeypatch):
    import xferlab.experiment.lr_finder as finder

    seen = []
    compose = finder.assemble

    def watch(*arguments):
        seen.append(compose(*arguments))
        embedding = seen[0].model.network.get_layer("embedding")
        seen.append(embedding.get_weights()[0].copy())
        return seen[0]

    monkeypatch.setattr(finder, "assemble", watch)
    find_lr(recipe("transfer=head_first", "train.epochs=2"), Path("found"), Span(1e-3, 1, 20))
    experiment, before = seen
    assert (experiment.model.network.get_layer("embedding").get_weights()[0] == before).all()


def test_a_loss_that_explodes_at_once_is_told(workspace):
    with pytest.raises(RunError, match=r"explodes after \d steps, at rates as low as 1e6"):
        find_lr(recipe("optimizer=sgd", "train.max_grad_norm=null"), Path("x"), Span(1e6, 1e12, 20))
