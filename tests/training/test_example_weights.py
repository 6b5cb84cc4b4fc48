"""Weights and soft labels of examples against loops and losses written by hand."""

from __future__ import annotations

import csv
import itertools
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from tests.support.tiny_experiments import (
    BAG,
    COMMON,
    WORDS,
    Killed,
    MemoryCheckpointer,
    batches_of,
    descend,
    experiment_of,
    values_of,
)
from xferlab import Accepts, ConfigError, LabelKind, OutputKind, Task, TaskSpec
from xferlab.checks.loss import check_weighted_loss
from xferlab.compatibility import refuse_ignored
from xferlab.config.compose import compose_config, publish
from xferlab.config.recipe import read
from xferlab.discovery import load_plugins
from xferlab.evaluation.verdict import chance_loss
from xferlab.experiment.prepare import prepare_inputs
from xferlab.registry import REGISTRY
from xferlab.testing.group_checks import _soft_label_problems
from xferlab.training.loop import fit
from xferlab.training.summary import _example_lines

COLUMNS = ["data.weight=weight", "data.soft_labels=[no,yes]"]
SEVERAL = ["data.soft_labels=[fresh,yes]", "data.task=multi_label", "data.label=null"]
NO_DROPOUT = "model.dropout=0"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Return a folder of examples with weights and soft labels."""
    folder = tmp_path_factory.mktemp("weights")
    random = np.random.default_rng(0)
    for name in ("train", "validation"):
        with (folder / f"{name}.csv").open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["text", "label", "weight", "no", "yes", "value", "one", "fresh"])
            for i in range(40):
                text = " ".join(random.choice(WORDS, size=random.integers(3, 9)))
                yes = round(float(random.uniform()), 3)
                weight = 0 if i % 7 == 0 else round(float(random.uniform(0, 9)), 2)
                label = "yes" if i % 4 == 0 else "no"
                soft = [round(1 - yes, 3), yes]
                fresh = 0.9 if i % 3 else 0.2
                writer.writerow([text, label, weight, *soft, yes * 5 + 0.01, 1, fresh])
    load_plugins(folder)
    publish(folder)
    return folder


def batch_loss(targets, outputs, *, is_exclusive):
    """Return the loss of each example: (binary) cross-entropy of probabilities."""
    import tensorflow as tf

    if is_exclusive:
        return -tf.reduce_sum(targets * tf.nn.log_softmax(outputs), 1)
    present = -tf.math.log_sigmoid(outputs)
    absent = -tf.math.log_sigmoid(-outputs)
    return tf.reduce_mean(targets * present + (1 - targets) * absent, 1)


def train_by_hand(experiment, *, accumulate=1):
    """Train by a loop: soft or hard cross-entropy, times weights of mean 1, over the batch size."""
    import tensorflow as tf

    network = experiment.model.network
    train = experiment.data.train
    sums = None
    done = 0
    for inputs, labels, rows in batches_of(experiment):
        exclusive = experiment.spec.task.is_exclusive
        targets = np.eye(2)[labels] if train.soft_labels is None else train.soft_labels[rows]
        weights = np.ones(len(rows))
        if train.weights is not None:
            weights = train.weights[rows] / train.weights.mean()
        with tf.GradientTape() as tape:
            outputs = network(inputs, training=True)
            each = batch_loss(targets.astype("float32"), outputs, is_exclusive=exclusive)
            loss = tf.reduce_sum(weights.astype("float32") * each) / len(rows)
        found = [tf.convert_to_tensor(g) for g in tape.gradient(loss, network.trainable_weights)]
        sums = found if sums is None else [a + b for a, b in zip(sums, found, strict=True)]
        done += 1
        if done == accumulate:
            descend(network.trainable_weights, [each / accumulate for each in sums])
            sums = None
            done = 0


@pytest.mark.parametrize(
    ("overrides", "slices"),
    [
        (["data.weight=weight"], 1),
        (["data.soft_labels=[no,yes]"], 1),
        (COLUMNS, 3),
        ([*COLUMNS, "train.gradient_accumulation_steps=2"], 1),
        (["data.weight=weight", *SEVERAL], 1),
    ],
    ids=["weights", "soft labels", "both in slices", "both accumulated", "several labels"],
)
def test_training_is_that_of_a_loop_written_by_hand(workspace, overrides, slices):
    accumulate = 2 if "train.gradient_accumulation_steps=2" in overrides else 1
    wanted = experiment_of(workspace, NO_DROPOUT, *overrides)
    train_by_hand(wanted, accumulate=accumulate)
    found = experiment_of(workspace, NO_DROPOUT, *overrides, micro_batches=slices)
    fit(found, [])
    for one, two in zip(values_of(found), values_of(wanted), strict=True):
        np.testing.assert_allclose(one, two, atol=2e-6)


@pytest.mark.slow
def test_equal_weights_change_no_bit_and_their_scale_none(workspace):
    results = []
    for overrides in ([], ["data.weight=one"]):
        experiment = experiment_of(workspace, *overrides)
        fit(experiment, [])
        results.append(values_of(experiment))
    for one, two in zip(*results, strict=True):
        assert one.tobytes() == two.tobytes()
    experiment = experiment_of(workspace, "data.weight=weight")
    assert abs(experiment.example_arrays["weights"].mean() - 1) < 1e-6


def test_scores_are_of_hard_labels_without_weights(workspace):
    plain = experiment_of(workspace)
    weighted = experiment_of(workspace, *COLUMNS)
    assert weighted.evaluate("validation") == pytest.approx(plain.evaluate("validation"))
    assert weighted.evaluate("train") == pytest.approx(plain.evaluate("train"))
    assert _example_lines(plain) == []
    line = _example_lines(weighted)[0]
    assert line.startswith("trained on weights from 0 to ")
    assert line.endswith(", of mean 1, soft labels")


@pytest.mark.slow
def test_a_resumed_run_has_the_same_bits(workspace):
    overrides = [*COLUMNS, "objective=r_drop", "train.sampling=balanced"]
    whole = experiment_of(workspace, *overrides)
    fit(whole, [])
    killed = MemoryCheckpointer(batch=7)
    with pytest.raises(Killed):
        fit(experiment_of(workspace, *overrides), [], killed)
    resumed = experiment_of(workspace, *overrides)
    fit(resumed, [], killed.resumed())
    for one, two in zip(values_of(whole), values_of(resumed), strict=True):
        assert one.tobytes() == two.tobytes()


def spec_of(task, classes=3):
    names = ("a", "b", "c")[:classes] if task.has_classes else ()
    return TaskSpec(task, names, 10, 8, class_counts=(2, 3, 5)[: len(names)])


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("cross_entropy", {"label_smoothing": 0.1, "class_weight": {"a": 3.0}}),
        ("focal", {"gamma": 2.0, "class_weight": "auto"}),
        ("class_balanced", {"gamma": 0.5}),
        ("auto", {}),
    ],
)
@pytest.mark.parametrize("kind", [OutputKind.logits, OutputKind.probabilities])
def test_the_loss_of_a_soft_label_is_the_mean_over_classes_by_their_probability(
    name, fields, kind, workspace
):
    random = np.random.default_rng(0)
    outputs = random.dirichlet(np.ones(3), 5).astype("float32")
    if kind is OutputKind.logits:
        outputs = np.log(outputs) + 1
    soft = random.dirichlet(np.ones(3), 5).astype("float32")
    spec = replace(spec_of(Task.single_label), output_kind=kind)
    loss = REGISTRY.create("loss", {"name": name, **fields}).build(spec)
    wanted = [
        sum(q * float(loss(np.array([c], "int32"), outputs[[i]])) for c, q in enumerate(soft[i]))
        for i in range(5)
    ]
    assert float(loss(soft, outputs)) == pytest.approx(np.mean(wanted), rel=1e-5)
    if name == "auto":
        log_p = np.log(outputs) if kind is OutputKind.probabilities else outputs - 1
        assert float(loss(soft, outputs)) == pytest.approx(-(soft * log_p).sum(1).mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("binary_cross_entropy", {"label_smoothing": 0.1, "class_weight": {"a": 3.0}}),
        ("binary_cross_entropy", {"class_weight": "auto"}),
        ("focal", {"gamma": 2.0, "alpha": 0.25}),
        ("focal", {"gamma": 0.5, "class_weight": {"c": 4.0}}),
        ("auto", {}),
    ],
)
def test_the_loss_of_several_soft_labels_is_the_mean_over_present_and_absent(
    name, fields, workspace
):
    random = np.random.default_rng(0)
    outputs = random.normal(size=(4, 3)).astype("float32")
    soft = random.uniform(size=(4, 3)).astype("float32")
    spec = spec_of(Task.multi_label)
    loss = REGISTRY.create("loss", {"name": name, **fields}).build(spec)
    wanted = 0.0
    for hard in itertools.product((0.0, 1.0), repeat=3):  # every combination of labels
        labels = np.tile(np.float32(hard), (4, 1))
        probability = np.where(labels == 1, soft, 1 - soft).prod(axis=1)
        each = [float(loss(labels[[i]], outputs[[i]])) for i in range(4)]
        wanted += (probability * each).mean()
    assert float(loss(soft, outputs)) == pytest.approx(wanted, rel=1e-5)
    if name == "auto":
        p = 1 / (1 + np.exp(-outputs))
        each = -soft * np.log(p) - (1 - soft) * np.log(1 - p)
        assert float(loss(soft, outputs)) == pytest.approx(each.mean(), rel=1e-5)


def test_several_soft_labels_are_scored_by_hard_ones(workspace):
    experiment = experiment_of(workspace, *SEVERAL)
    train = experiment.data.train
    assert experiment.spec.class_names == ("fresh", "yes")
    assert (train.labels == (train.soft_labels >= 0.5)).all()
    assert chance_loss(experiment) == pytest.approx(np.log(2), rel=1e-5)
    weighted = experiment_of(workspace, *SEVERAL, "loss=focal", "loss.class_weight={yes: 3}")
    parts = np.stack([np.ones(len(train)), 1 + 2 * train.soft_labels[:, 1]], axis=1)
    assert chance_loss(weighted) == pytest.approx(parts.mean() * np.log(2) / 4, rel=1e-5)


@pytest.mark.parametrize(
    "task", ["single_label", "regression", "multi_label", "token_classification"]
)
def test_every_task_has_weights(task, workspace):
    random = np.random.default_rng(0)
    weights = random.uniform(0, 3, 6).astype("float32")
    spec = spec_of(getattr(Task, task))
    loss = spec.task.loss(spec)
    outputs = random.normal(size=(6, 4, 3) if task == "token_classification" else (6, 3))
    outputs = outputs.astype("float32")
    log_p = outputs - np.log(np.exp(outputs).sum(-1, keepdims=True))
    if task == "regression":
        outputs = outputs[:, :1]
        labels = random.normal(size=6).astype("float32")
        wanted = (weights * (outputs[:, 0] - labels) ** 2).mean()
    elif task == "multi_label":
        labels = random.integers(0, 2, (6, 3)).astype("float32")
        each = np.log1p(np.exp(-outputs * (2 * labels - 1)))
        wanted = (weights[:, None] * each).mean()
    elif task == "single_label":
        labels = random.integers(0, 3, 6, dtype="int32")
        wanted = -(weights * log_p[np.arange(6), labels]).mean()
    else:
        labels = random.integers(-1, 3, (6, 4), dtype="int32")
        right = np.take_along_axis(log_p, np.maximum(labels, 0)[..., None], -1)[..., 0]
        wanted = -(weights[:, None] * right * (labels >= 0)).sum() / (labels >= 0).sum()
    assert float(loss(labels, outputs, weights[:, None])) == pytest.approx(wanted, rel=1e-5)
    assert check_weighted_loss(loss, labels, outputs, weights) is None


def test_a_loss_that_is_no_mean_over_examples_is_found():
    import keras

    class Largest(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return keras.ops.max(y_pred)

    outputs = np.arange(6, dtype="float32")[:, None]
    weights = np.array([0, 1, 2, 0, 1, 2], "float32")
    what, fix = check_weighted_loss(Largest(), outputs[:, 0], outputs, weights)
    assert "their weighted mean is" in what
    assert "one value an example" in fix


def test_a_loss_that_takes_soft_labels_for_hard_ones_is_found():
    from keras import ops

    outputs = np.array([[1.0, -2.0], [0.5, 3.0]], "float32")
    labels = np.array([[1, 0], [1, 1]], "float32")

    def loss(labels, outputs):
        present = ops.cast(labels > 0.5, "float32")
        return ops.mean(ops.binary_crossentropy(present, outputs, from_logits=True))

    found = list(_soft_label_problems(loss, Task.multi_label, labels, outputs))
    assert "is not the mean over present and absent labels" in found[0][0]
    right = Task.multi_label.loss(spec_of(Task.multi_label, 2))
    assert not list(_soft_label_problems(right, Task.multi_label, labels, outputs))


def test_mixup_mixes_the_weights_with_the_labels(workspace):
    random = np.random.default_rng(0)
    calls = []

    def loss(outputs, labels=None, example_weights=None):
        calls.append((labels, example_weights))
        return 0.0

    labels = np.arange(8, dtype="int32")
    step = SimpleNamespace(
        pool=lambda: random.normal(size=(8, 2)).astype("float32"),
        forward=lambda pooled: pooled,
        loss=loss,
        labels=labels,
        example_weights=labels.astype("float32") / 4,
        seed=1,
    )
    REGISTRY.create("objective", {"name": "mixup"}).build(spec_of(Task.single_label))(step)
    other_labels, other_weights = map(np.asarray, calls[1])
    assert sorted(other_labels) == list(range(8))
    assert (other_weights == other_labels / 4).all()


def test_the_divergence_of_r_drop_is_weighted():
    from xferlab.functional.objectives import mean_over_labelled, weighted_mean

    values = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "float32")
    tags = np.array([[0, 1, -1], [1, -1, -1]], "int32")
    weights = np.array([0.5, 1.5], "float32")
    assert float(mean_over_labelled(tags, values, weights)) == pytest.approx((0.5 * 3 + 6) / 3)
    assert float(weighted_mean(values[:, 0], weights)) == pytest.approx((0.5 + 6) / 2)


def refusal(workspace, *overrides):
    files = [f"data.{name}={workspace}/{name}.csv" for name in ("train", "validation")]
    with pytest.raises(ConfigError) as caught:
        prepare_inputs(read(compose_config(["data=files", *files, *BAG, *COMMON, *overrides])))
    return caught.value


def test_what_would_ignore_weights_or_soft_labels_is_refused_before_tensorflow(workspace):
    contrastive = "objective=supervised_contrastive"
    weights = refusal(workspace, contrastive, "data.weight=weight")
    assert weights.what == (
        "objective=supervised_contrastive uses no weights of examples, and data.weight gives them"
    )
    assert weights.fix.startswith("choose objective=awp or ")
    soft = refusal(workspace, contrastive, "data.soft_labels=[no,yes]")
    assert soft.what.endswith("accepts no soft labels, and data.soft_labels gives them")

    @dataclass(frozen=True)
    class Hard:
        accepts: ClassVar = Accepts((OutputKind.logits,), (LabelKind.class_index,))

    with pytest.raises(ConfigError) as caught:
        refuse_ignored("data.soft_labels", "loss", Hard(), spec_of(Task.single_label))
    assert caught.value.what == (
        "the loss Hard accepts no soft labels, and data.soft_labels gives them"
    )
    assert "choose loss=auto or " in caught.value.fix
    balanced = refusal(workspace, "data.label=value", "train.sampling=balanced", "metric=pearson")
    assert balanced.where == "train.sampling"
