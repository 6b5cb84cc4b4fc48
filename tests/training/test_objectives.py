"""Each objective against a loop written by hand: the same weights after ten steps."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from tests.support.plugin_isolation import isolated_plugins
from tests.support.tiny_checkpoints import write_tiny_checkpoint
from tests.support.tiny_experiments import (
    BAG,
    Killed,
    MemoryCheckpointer,
    batches_of,
    descend,
    experiment_of,
    values_of,
    write_examples,
)
from tests.support.violating_plugins import registered
from xferlab import Accepts, ConfigError, LabelKind, OutputKind, PluginError, Task, TaskSpec
from xferlab.callbacks import Callback
from xferlab.checks.objective import check_objective
from xferlab.cli.main import main
from xferlab.config.compose import publish
from xferlab.config.schema import TrainConfig
from xferlab.discovery import load_plugins
from xferlab.errors import RunError
from xferlab.inference.teacher import check_teacher, teacher_outputs
from xferlab.registry import REGISTRY
from xferlab.training.loop import fit
from xferlab.training.objective import refuse_objective, refuse_slices
from xferlab.training.phase_network import build_phase

ROUNDING = 1e-6
FLAGS = re.DOTALL | re.MULTILINE


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("objectives")
    write_examples(folder)
    rng = np.random.default_rng(1)
    np.save(folder / "teacher.npy", rng.normal(size=(40, 2)).astype("float32"))
    return folder


class Bag:
    """The network in parts, called by hand."""

    def __init__(self, experiment, inputs):
        import tensorflow as tf

        self.network = experiment.model.network
        layer = self.network.get_layer
        self.head = layer("head")
        self.dropout = layer("head_dropout")
        self.table = layer("embedding").embeddings.value
        self.ids = inputs["token_ids"]
        self.mask = tf.cast(inputs["padding_mask"], "float32")[:, :, None]

    def embedded(self):
        import tensorflow as tf

        return tf.gather(self.table, self.ids)

    def pooled(self, embedded=None):
        import tensorflow as tf

        embedded = self.embedded() if embedded is None else embedded
        total = tf.reduce_sum(embedded * self.mask, 1)
        return self.dropout(total / tf.reduce_sum(self.mask, 1), training=True)

    def logits(self, embedded=None):
        return self.head(self.pooled(embedded))


def cross_entropy(labels, logits):
    import tensorflow as tf

    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


def r_drop(bag, tape, labels, rows, number):
    import tensorflow as tf

    one = bag.logits()
    two = bag.logits()
    log_p = tf.nn.log_softmax(one)
    log_q = tf.nn.log_softmax(two)
    kl = tf.exp(log_p) * (log_p - log_q) + tf.exp(log_q) * (log_q - log_p)
    both = (cross_entropy(labels, one) + cross_entropy(labels, two)) / 2
    return both + 3.0 * tf.reduce_mean(tf.reduce_sum(kl, -1)) / 2


def fgm(bag, tape, labels, rows, number):
    import tensorflow as tf

    embedded = bag.embedded()
    loss = cross_entropy(labels, bag.logits(embedded))
    with tape.stop_recording():
        gradient = tape.gradient(loss, embedded).numpy()
    shift = np.stack([0.5 * each / np.linalg.norm(each) for each in gradient])
    assert abs(shift).max() > 0.01
    return loss + cross_entropy(labels, bag.logits(embedded + tf.constant(shift)))


def awp(bag, tape, labels, rows, number):
    loss = cross_entropy(labels, bag.logits())
    kernels = [bag.table, bag.head.kernel.value]
    before = [kernel.numpy() for kernel in kernels]
    with tape.stop_recording():
        gradients = [np.asarray(tf_dense(each)) for each in tape.gradient(loss, kernels)]
    for kernel, value, gradient in zip(kernels, before, gradients, strict=True):
        size = 0.1 * np.linalg.norm(value) / np.linalg.norm(gradient)
        kernel.assign(value + size * gradient)
    loss = cross_entropy(labels, bag.logits())
    with tape.stop_recording():
        found = tape.gradient(loss, [bag.table, bag.head.kernel.value, bag.head.bias.value])
    for kernel, value in zip(kernels, before, strict=True):
        kernel.assign(value)
    return found


def tf_dense(value):
    import tensorflow as tf

    return tf.convert_to_tensor(value)


def mixup(bag, tape, labels, rows, number):
    import keras
    import tensorflow as tf

    from xferlab.backend.objective_step import batch_seed

    pooled = bag.pooled()
    seed = batch_seed(0, number, 0)
    others = keras.random.shuffle(keras.ops.arange(len(labels)), seed=seed).numpy()
    share = float(keras.random.beta((), 0.4, 0.4, seed=seed))
    assert 0 < share < 1
    assert sorted(others) == list(range(len(labels)))
    mixed = share * pooled + (1 - share) * tf.gather(pooled, others)
    one_hot = np.eye(2, dtype="float32")[labels]
    soft = share * one_hot + (1 - share) * one_hot[others]
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(soft, bag.head(mixed)))


def distillation(bag, tape, labels, rows, number, folder):
    import tensorflow as tf

    teacher = np.load(folder / "teacher.npy")[rows]
    logits = bag.logits()
    wanted = np.exp(teacher / 4) / np.exp(teacher / 4).sum(-1, keepdims=True)
    log_found = tf.nn.log_softmax(logits / 4)
    kl = tf.reduce_sum(wanted * (np.log(wanted) - log_found), -1)
    return 0.7 * cross_entropy(labels, logits) + 0.3 * 16 * tf.reduce_mean(kl)


def supervised_contrastive(bag, tape, labels, rows, number):
    import tensorflow as tf

    pooled = bag.pooled()
    unit = pooled / tf.norm(pooled, axis=-1, keepdims=True)
    losses = []
    for i, label in enumerate(labels):
        others = [k for k in range(len(labels)) if k != i]
        same = [k for k in others if labels[k] == label]
        if same:
            cosines = {k: tf.reduce_sum(unit[i] * unit[k]) / 0.3 for k in others}
            log_sum = tf.reduce_logsumexp(list(cosines.values()))
            losses.append(-sum(cosines[k] - log_sum for k in same) / len(same))
    contrastive = sum(losses) / len(losses)
    return 0.1 * cross_entropy(labels, bag.head(pooled)) + 0.9 * contrastive


MORE_BY_HAND = ("awp", "fgm", "mixup", "distillation", "supervised_contrastive")
"""Of BY_HAND, those that a short run of the tests leaves out."""
BY_HAND = {
    "r_drop": (r_drop, ["objective.weight=3"]),
    "fgm": (fgm, ["objective.epsilon=0.5"]),
    "awp": (awp, ["objective.gamma=0.1"]),
    "mixup": (mixup, []),
    "distillation": (distillation, ["objective.temperature=4", "objective.weight=0.3"]),
    "supervised_contrastive": (supervised_contrastive, []),
}


def train_by_hand(experiment, loss_of, **more):
    import tensorflow as tf

    network = experiment.model.network
    for number, (inputs, labels, rows) in enumerate(batches_of(experiment)):
        weights = network.trainable_weights
        with tf.GradientTape(persistent=True) as tape:
            found = loss_of(Bag(experiment, inputs), tape, labels, rows, number, **more)
        if not isinstance(found, list):
            found = tape.gradient(found, [weight.value for weight in weights])
        descend(weights, found)


def words_of(name, workspace):
    teacher = f"objective.teacher={workspace}/teacher.npy"
    more = [teacher] if name == "distillation" else []
    return [f"objective={name}", *BY_HAND[name][1], *more]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in MORE_BY_HAND else [])
        for name in BY_HAND
    ],
)
def test_ten_steps_are_those_of_a_loop_written_by_hand(name, workspace):
    words = words_of(name, workspace)
    ours = experiment_of(workspace, *words)
    start = values_of(ours)
    fit(ours, [])
    hand = experiment_of(workspace, *words)
    more = {"folder": workspace} if name == "distillation" else {}
    train_by_hand(hand, BY_HAND[name][0], **more)
    assert ours.total_batches == 10
    for found, wanted, before in zip(values_of(ours), values_of(hand), start, strict=True):
        np.testing.assert_allclose(found, wanted, atol=ROUNDING)
        assert abs(found - before).max() > 100 * ROUNDING


@pytest.mark.slow
def test_an_objective_of_one_forward_pass_is_keras_own_step(workspace):
    plain = experiment_of(workspace, "train.gradient_accumulation_steps=2")
    fit(plain, [])
    with registered({"one_pass"}):
        publish(workspace)
        own = experiment_of(workspace, "train.gradient_accumulation_steps=2", "objective=one_pass")
        fit(own, [])
    assert plain.objective is None
    assert own.objective is not None
    for found, wanted in zip(values_of(own), values_of(plain), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("name", ["fgm", pytest.param("r_drop", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_slices_of_a_batch_add_up_to_its_step(name, workspace):
    words = [*words_of(name, workspace), "model.dropout=0", "train.epochs=1"]
    whole = experiment_of(workspace, *words)
    sliced = experiment_of(workspace, *words, micro_batches=3)
    for experiment in (whole, sliced):
        fit(experiment, [])
    for found, wanted in zip(values_of(sliced), values_of(whole), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)


class Epochs(Callback):
    """Keeps the epochs' means."""

    def __init__(self):
        self.means = []

    def on_epoch(self, epoch):
        self.means.append(epoch.train)


def test_the_loss_is_what_is_minimised_and_its_parts_are_logged(workspace):
    for micro_batches in (1, 2):
        epochs = Epochs()
        fit(
            experiment_of(workspace, *words_of("r_drop", workspace), micro_batches=micro_batches),
            [epochs],
        )
        for means in epochs.means:
            parts = means["loss_supervised"] + 3 * means["loss_divergence"]
            assert means["loss"] == pytest.approx(parts, rel=1e-5)
            assert means["loss_divergence"] > 0


@dataclass(frozen=True)
class Branches:
    """It fails where it is traced: a tensor of a graph is neither true nor false."""

    accepts: ClassVar[Accepts] = Accepts((OutputKind.logits,), (LabelKind.class_index,))

    def build(self, spec):
        def objective(step):
            outputs = step.forward()
            loss = step.loss(outputs)
            if loss > 0:
                return loss, outputs
            return -loss, outputs

        return objective


@dataclass(frozen=True)
class Progress:
    """The default, with the progress as a part."""

    accepts: ClassVar[Accepts] = Accepts((OutputKind.logits,), (LabelKind.class_index,))
    parts: ClassVar[tuple[str, ...]] = ("progress",)

    def build(self, spec):
        def objective(step):
            outputs = step.forward()
            return step.loss(outputs), outputs, {"progress": step.progress}

        return objective


def test_progress_is_the_fraction_of_the_batches_before(workspace):
    epochs = Epochs()
    with isolated_plugins():
        REGISTRY.add("objective", "progress", Progress)
        publish(workspace)
        fit(experiment_of(workspace, "objective=progress"), [epochs])
    means = [means["loss_progress"] for means in epochs.means]
    assert means == pytest.approx([0.2, 0.7])  # of 0, 0.1, ... 0.4, and of 0.5, ... 0.9


def test_an_objective_that_fails_in_the_graph_alone_is_named_with_its_line(workspace):
    with isolated_plugins():
        REGISTRY.add("objective", "branches", Branches)
        publish(workspace)
        experiment = experiment_of(workspace, "objective=branches")
        assert check_objective(experiment) is None
        with pytest.raises(PluginError, match="objective=branches fails in the training") as caught:
            fit(experiment, [])
    file, _, line = caught.value.where.rpartition(":")
    assert "if loss > 0" in Path(file).read_text().splitlines()[int(line) - 1]


@pytest.mark.parametrize(
    "words",
    [
        ["mixup", "average=ema", "train.gradient_accumulation_steps=2"],
        pytest.param(["r_drop", "average=last_k", "average.k=2"], marks=pytest.mark.slow),
        pytest.param(["awp", "average=swa", "average.start=0"], marks=pytest.mark.slow),
        pytest.param(["fgm"], marks=pytest.mark.slow),
        pytest.param(["distillation"], marks=pytest.mark.slow),
        pytest.param(["supervised_contrastive"], marks=pytest.mark.slow),
    ],
    ids=lambda words: words[0],
)
def test_a_resumed_run_has_the_same_bits(words, workspace):
    words = [*words_of(words[0], workspace), *words[1:]]
    alone = experiment_of(workspace, *words)
    fit(alone, [])
    killed = MemoryCheckpointer(7)
    with pytest.raises(Killed):
        fit(experiment_of(workspace, *words), [], killed)
    resumed = experiment_of(workspace, *words)
    fit(resumed, [], killed.resumed())
    for found, wanted in zip(values_of(resumed), values_of(alone), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoders")
    for name, rate in (("dropout", 0.1), ("plain", 0.0)):
        rates = {"hidden_dropout_prob": rate, "attention_probs_dropout_prob": rate}
        write_tiny_checkpoint(folder / name, "bert", layers=1, **rates)
    return folder


def frozen(workspace, encoders, objective, encoder, *more):
    model = ("model=encoder", f"model.checkpoint={encoders}/{encoder}", "model.dropout=0")
    words = [f"objective={objective}", "transfer=frozen", *more]
    return experiment_of(workspace, *words, model=model)


@pytest.mark.parametrize(
    ("objective", "encoder", "is_cached"),
    [("mixup", "dropout", True), ("r_drop", "dropout", False), ("fgm", "plain", False)],
)
def test_a_frozen_part_is_computed_in_every_step_where_that_matters(
    objective, encoder, is_cached, workspace, encoders, monkeypatch, tmp_path, caplog
):
    monkeypatch.setenv("XFERLAB_CACHE", str(tmp_path))
    caplog.set_level("INFO", logger="xferlab")
    network = build_phase(frozen(workspace, encoders, objective, encoder), 0)
    assert bool(network.features) is is_cached
    assert (f"in every step: objective={objective}" in caplog.text) is not is_cached


@pytest.mark.slow
def test_mixup_on_features_is_that_on_the_whole_network(workspace, encoders, monkeypatch, tmp_path):
    monkeypatch.setenv("XFERLAB_CACHE", str(tmp_path))
    trained = []
    for is_cached in ("true", "false"):
        more = f"train.cache_frozen={is_cached}"
        experiment = frozen(workspace, encoders, "mixup", "plain", more)
        fit(experiment, [])
        trained.append(values_of(experiment))
    for found, wanted in zip(*trained, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fgm", "awp"])
def test_half_precision_trains_as_single_precision(name, workspace):
    moved = []
    for precision in ("float32", "mixed_float16"):
        experiment = experiment_of(
            workspace,
            *words_of(name, workspace),
            f"train.precision={precision}",
            "model.dropout=0",  # masks of another precision are others
        )
        start = values_of(experiment)
        fit(experiment, [])
        after = values_of(experiment)
        moved.append([w - b for w, b in zip(after, start, strict=True)])
    for half, single in zip(*moved, strict=True):
        assert np.linalg.norm(half - single) < 0.05 * np.linalg.norm(single)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["fgm", "r_drop", "supervised_contrastive"])
def test_layers_that_are_computed_again_give_the_same_step(objective, workspace, encoders):
    model = ("model=encoder", f"model.checkpoint={encoders}/dropout")
    trained = []
    for recompute in ("false", "true"):
        words = [f"objective={objective}", "train.epochs=1", f"train.recompute={recompute}"]
        experiment = experiment_of(workspace, *words, model=model)
        fit(experiment, [])
        trained.append(values_of(experiment))
    for found, wanted in zip(*trained, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.slow
def test_the_objective_of_the_page_is_swept_and_resumed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_page_plugins(tmp_path)
    words = ["-m", "debug=tiny", *BAG, "objective=confidence", "average=none,second_half"]
    with isolated_plugins():
        assert main([*words, "train.max_steps=6", "sweep.isolate=true"]) == 0
        runs = sorted(tmp_path.glob("outputs/sweeps/*/*/metrics.json"))
        assert len(runs) == 2
        assert all("loss_entropy" in json.loads(p.read_text())["train"] for p in runs)
        capsys.readouterr()
        assert main([*words, "train.max_steps=6", "sweep.isolate=true"]) == 0
        assert "2 finished" in capsys.readouterr().out


def plugin(name):
    return REGISTRY.create("objective", {"name": name})


def test_what_is_not_built_is_refused_before_training():
    recipe = SimpleNamespace(
        head=None, loss=None, objective=plugin("awp"), train=TrainConfig(recompute=True)
    )
    with pytest.raises(ConfigError, match="objective=awp computes with shifted weights") as caught:
        refuse_objective(recipe)
    assert (caught.value.where, caught.value.fix) == ("train.recompute", "train.recompute=false")
    refuse_objective(
        SimpleNamespace(
            head=None, loss=None, objective=plugin("fgm"), train=TrainConfig(recompute=True)
        )
    )


def test_a_batch_is_not_computed_in_slices_where_it_counts_as_a_whole():
    recipe = SimpleNamespace(
        head=None, loss=None, objective=plugin("mixup"), train=TrainConfig(batch_size=16)
    )
    with pytest.raises(RunError, match="out of memory: objective=mixup") as caught:
        refuse_slices(recipe, MemoryError())
    assert caught.value.fix == "train.batch_size=8, or a smaller model"
    loss = REGISTRY.create("loss", {"name": "in_batch_negatives"})
    recipe = SimpleNamespace(head=None, loss=loss, objective=None, train=TrainConfig())
    with pytest.raises(RunError, match="out of memory: loss=in_batch_negatives"):
        refuse_slices(recipe, MemoryError())
    refuse_slices(
        SimpleNamespace(head=None, loss=None, objective=plugin("r_drop"), train=TrainConfig()),
        MemoryError(),
    )


@pytest.mark.parametrize(
    ("what", "found"),
    [
        (None, "is not there"),
        (np.zeros((40, 3)), r"has float64 (40, 3); needed are finite float (40, 2)"),
        (np.zeros((40, 2), "int32"), "has int32 (40, 2)"),
    ],
    ids=["missing", "wide", "whole"],
)
def test_a_teacher_that_does_not_fit_is_refused(what, found, workspace, tmp_path):
    teacher = tmp_path / "teacher.npy"
    if what is not None:
        np.save(teacher, what)
    spec = TaskSpec(Task.single_label, ("a", "b"), 40, 16, False, (20, 20))
    data = SimpleNamespace(train=range(40))

    def read():
        check_teacher(str(teacher))
        return teacher_outputs(str(teacher), data, spec)

    with pytest.raises(ConfigError) as caught:
        read()
    assert found in caught.value.what
    assert caught.value.where == "objective.teacher"


def write_page_plugins(folder):
    page = Path(__file__).parents[2] / "docs" / "objectives.md"
    shown = re.findall(r"(?:```python|^\$ cat .*?)\n(.*?)(?:```|^\$ )", page.read_text(), FLAGS)
    head = "from dataclasses import dataclass\n\nfrom xferlab import Take, register\n\n\n"
    files = {"objective/confidence": shown[0], "average/second_half": head + shown[1]}
    assert len(shown[0].splitlines()) <= 40
    for name, text in files.items():
        path = folder / "plugins" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_the_objective_and_the_average_of_the_page_train(workspace):
    write_page_plugins(workspace)
    with isolated_plugins():
        load_plugins(workspace)
        publish(workspace)
        experiment = experiment_of(workspace, "objective=confidence", "average=second_half")
        epochs = Epochs()
        fit(experiment, [epochs])
    first, last = (means["loss_entropy"] for means in epochs.means)
    assert 0 < last < first < np.log(2)
