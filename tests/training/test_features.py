"""Frozen outputs computed once: the same training, shared on disk, and what can go wrong there."""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import multiprocessing
import os
import resource
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.tiny_checkpoints import write_tiny_checkpoint
from xferlab.backend.process import prepare_backend
from xferlab.callbacks import Callback
from xferlab.config.compose import compose_config, publish
from xferlab.config.recipe import fitted_to, read
from xferlab.config.schema import Interval
from xferlab.contracts import Phase, TransferPlan
from xferlab.discovery import load_plugins
from xferlab.io.atomic import TMP_PREFIX
from xferlab.runs.checkpoints import latest_checkpoint
from xferlab.runs.signals import Interrupted, StopRequest
from xferlab.training import features
from xferlab.training.assemble import Experiment, assemble
from xferlab.training.checkpointing import STATE_SHAPE, FolderCheckpointer
from xferlab.training.features import SUFFIX, FeatureCache
from xferlab.training.loop import fit, network_of_epoch
from xferlab.training.phase_network import PhaseNetwork, build_phase

NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
COMMON = [
    "optimizer.lr=1e-3",
    "train.batch_size=8",
    "train.epochs=2",
    "data.max_length=32",
    "train.precision=float32",
]
NOTE = "cannot be used"
WIDTH = 16
"""Of the tiny checkpoints."""
ROUNDING = 1e-6


def slow(*values: object) -> object:
    """Return a case of a test that CI leaves out; another case takes the same path."""
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features")
    write_tiny_checkpoint(folder / "bert", "bert", **NO_DROPOUT)
    write_tiny_checkpoint(folder / "bert-dropout", "bert")
    write_tiny_checkpoint(folder / "roberta", "roberta", seed=1, **NO_DROPOUT)
    for split, seed in (("train", 0), ("validation", 1), ("test", 2)):
        write_rows(folder, split, np.random.default_rng(seed))
    load_plugins(folder)
    publish(folder)
    return folder


@pytest.fixture(scope="module")
def frozen(workspace: Path) -> Experiment:
    """Return an experiment over a frozen encoder, which no test trains."""
    return experiment_of(workspace, "transfer=frozen")


def write_rows(folder: Path, split: str, random: np.random.Generator) -> None:
    """Write the same texts with a label each, and with a tag for each word."""
    words = ["good", "bad", "film", "the", "a", "not", "very", "was"]
    texts = [list(random.choice(words, size=random.integers(3, 9))) for _ in range(40)]
    plain = [{"text": " ".join(text), "label": "01"["good" in text]} for text in texts]
    tagged = [
        {"text": [str(word) for word in text], "label": ["OX"[word == "good"] for word in text]}
        for text in texts
    ]
    for name, rows in (("plain", plain), ("tagged", tagged)):
        lines = "\n".join(json.dumps(row) for row in rows)
        (folder / f"{name}-{split}.jsonl").write_text(lines + "\n")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the cache, which every test has for itself."""
    monkeypatch.setenv("XFERLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="xferlab")
    return caplog


def experiment_of(
    folder: Path, *overrides: str, checkpoint: str | None = "bert", kind: str = "plain"
) -> Experiment:
    data = [f"data.{name}={folder}/{kind}-{name}.jsonl" for name in ("train", "validation")]
    model = ["model=encoder", f"model.checkpoint={folder}/{checkpoint}", "model.dropout=0"]
    if checkpoint is None:
        model = ["model=bag_of_embeddings", f"model.checkpoint={folder}/bert"]
    recipe = read(compose_config(["data=files", *data, *model, *COMMON, *overrides]))
    rows = recipe.data.build(recipe.seed)
    prepare_backend(recipe.seed, recipe.train.precision.value, recipe.train.deterministic)
    return assemble(fitted_to(recipe, rows.spec.task), rows)


class History(Callback):
    """Keeps the scores of every epoch."""

    def __init__(self) -> None:
        self.scores: list[dict[str, float]] = []

    def on_epoch(self, epoch) -> None:
        self.scores.append({**epoch.train, **{f"val_{k}": v for k, v in epoch.validation.items()}})


def train(experiment: Experiment) -> list[dict[str, float]]:
    history = History()
    fit(experiment, [history])
    return history.scores


def weights(experiment: Experiment) -> dict[str, np.ndarray]:
    every = experiment.model.network.variables
    return {f"{i} {v.path}": v.numpy() for i, v in enumerate(every) if "seed" not in v.path}


def first_phase(experiment: Experiment) -> PhaseNetwork:
    return build_phase(experiment, 0)


def stored(phase: PhaseNetwork) -> dict[str, np.ndarray]:
    """Return every number of the features, by split."""
    return {split: np.array(found._flat) for split, found in phase.features.items()}


def files(cache: Path) -> list[Path]:
    return sorted(cache.glob("*")) if cache.exists() else []


def notes(log: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in log.records if r.getMessage().startswith("note ")]


# --- the same training ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("checkpoint", "kind", "overrides"),
    [
        ("bert", "plain", ["transfer=frozen", "train.gradient_accumulation_steps=2"]),
        slow("bert", "plain", ["transfer=head_first", "model.pooling=mean"]),
        slow("roberta", "plain", ["transfer=gradual", "train.epochs=3"]),
        slow("bert", "tagged", ["transfer=top_layers", "transfer.blocks=1"]),
    ],
)
def test_without_dropout_a_run_is_the_same(workspace, cache, checkpoint, kind, overrides):
    runs = {}
    for cached in ("true", "false"):
        experiment = experiment_of(
            workspace, *overrides, f"train.cache_frozen={cached}", checkpoint=checkpoint, kind=kind
        )
        runs[cached] = (train(experiment), weights(experiment))
        assert len(files(cache)) >= 2  # of the first run; the second one writes none
    history, after = runs["true"]
    wanted, plain = runs["false"]
    assert len(history) == len(wanted)
    for found, expected in zip(history, wanted, strict=True):
        assert found == pytest.approx(expected, abs=ROUNDING)
    for name, array in plain.items():
        np.testing.assert_allclose(after[name], array, atol=ROUNDING, err_msg=name)


def test_a_frozen_part_with_dropout_is_computed_without_and_reported(workspace, frozen, log):
    with_dropout = first_phase(
        experiment_of(workspace, "transfer=frozen", checkpoint="bert-dropout")
    )
    assert "are computed once, without dropout (train.cache_frozen=false:" in log.text
    log.clear()
    without = first_phase(frozen)
    assert "without dropout" not in log.text
    for split, found in stored(without).items():
        np.testing.assert_array_equal(stored(with_dropout)[split], found)


@pytest.mark.parametrize("transfer", ["full", "lora", "layer_decay"])
def test_strategies_that_freeze_no_block_take_the_plain_path(workspace, cache, transfer):
    assert not first_phase(experiment_of(workspace, f"transfer={transfer}")).features
    assert not files(cache)


def test_a_bag_of_embeddings_takes_the_plain_path(workspace, cache, log):
    experiment = experiment_of(workspace, "transfer=frozen", checkpoint=None)
    phase = first_phase(experiment)
    assert phase.trained is experiment.model.network
    assert "the blocks embeddings are computed in every step" in log.text
    assert not files(cache)


# --- further splits ------------------------------------------------------------------------------


def with_test(workspace: Path, *overrides: str, kind: str = "plain", **settings) -> Experiment:
    path = f"data.test={workspace}/{kind}-test.jsonl"
    return experiment_of(workspace, path, *overrides, kind=kind, **settings)


@pytest.mark.parametrize(
    ("kind", "overrides"),
    [
        slow("plain", ["transfer=frozen"]),
        slow("plain", ["transfer=frozen", "model.pooling=mean"]),
        slow("plain", ["transfer=top_layers", "transfer.blocks=2"]),
        ("tagged", ["transfer=frozen"]),
    ],
)
def test_validation_and_test_are_scored_from_features(workspace, cache, log, kind, overrides):
    experiment = with_test(workspace, *overrides, kind=kind)
    history = History()
    trained = fit(experiment, [history])
    scores = history.scores[-1]
    found = {name.removeprefix("val_"): v for name, v in scores.items() if "val_" in name}
    assert found == pytest.approx(experiment.evaluate("validation"), abs=ROUNDING)
    for network in (trained, first_phase(experiment)):
        labels, outputs = network.outputs(experiment, "test")
        wanted, expected = experiment.outputs("test")
        np.testing.assert_array_equal(labels, wanted)
        np.testing.assert_allclose(outputs, expected, atol=ROUNDING)
        assert len(files(cache)) == 3
    assert log.text.count("is computed for test") == 1
    assert log.text.count("outputs for test are in the cache") == 1


@pytest.mark.slow
def test_after_a_phase_of_the_whole_network_the_test_split_has_no_features(workspace, cache):
    experiment = with_test(workspace, "transfer=head_first")
    network = fit(experiment, [])
    network.outputs(experiment, "test")
    assert network.trained is experiment.model.network
    assert len(files(cache)) == 2


@pytest.mark.slow
def test_an_epoch_with_other_frozen_weights_is_scored_by_the_whole_network(workspace, cache):
    experiment = with_test(workspace, "transfer=full", checkpoint="bert-dropout")
    *body, _ = experiment.model.blocks
    plan = TransferPlan((Phase(1), Phase(1, frozen=tuple(body))))
    experiment = dataclasses.replace(experiment, plan=plan)
    network = fit(experiment, [])
    assert network_of_epoch(experiment, network, 1) is network
    assert network_of_epoch(experiment, network, 0).trained is experiment.model.network


def test_a_cache_that_fails_at_the_test_split_is_noted_once(workspace, cache, log, monkeypatch):
    experiment = with_test(workspace, "transfer=frozen")
    network = fit(experiment, [])
    log.clear()
    monkeypatch.setattr(features.shutil, "disk_usage", lambda path: Usage())
    for _ in range(2):
        _, outputs = network.outputs(experiment, "test")
        np.testing.assert_array_equal(outputs, experiment.outputs("test")[1])
    assert len(notes(log)) == 1
    assert "No space left on device" in notes(log)[0]
    assert len(files(cache)) == 2


# --- interrupted and resumed ---------------------------------------------------------------------

RECOMPUTED = "gradual train.recompute=true"
TRAINED_THEN_FROZEN = "the body is trained in the first epoch and frozen in the second"


def interruptible_experiment(workspace: Path, strategy: str) -> Experiment:
    """Return an experiment with dropout, whose results depend on every seed."""
    custom = strategy == TRAINED_THEN_FROZEN
    overrides = ["transfer=full"] if custom else f"transfer={strategy}".split()
    overrides.append("model.dropout=0.2")
    experiment = experiment_of(workspace, *overrides, checkpoint="bert-dropout")
    if not custom:
        return experiment
    *body, _ = experiment.model.blocks
    plan = TransferPlan((Phase(1), Phase(1, frozen=tuple(body))))
    return dataclasses.replace(experiment, plan=plan)


class StopAt(Callback):
    """Requests a stop, as a signal does, after a batch."""

    def __init__(self, stop: StopRequest, batch: int) -> None:
        self._stop = stop
        self._batch = batch

    def on_step(self, step) -> None:
        if step.batch == self._batch:
            self._stop.number = signal.SIGTERM


def interrupt(experiment: Experiment, folder: Path, batch: int) -> None:
    """Train until a stop is requested after a batch."""
    stop = StopRequest()
    with pytest.raises(Interrupted):
        fit(experiment, [StopAt(stop, batch)], checkpointer_of(folder, stop))


def checkpointer_of(folder: Path, stop: StopRequest) -> FolderCheckpointer:
    (folder / "status.json").write_text("{}")
    return FolderCheckpointer(folder, [], Interval(), 1, {}, stop)


def resume(experiment: Experiment, folder: Path) -> None:
    fit(experiment, [], checkpointer_of(folder, StopRequest()))


def assert_same_bits(one: Experiment, other: Experiment) -> None:
    pairs = zip(one.model.network.variables, other.model.network.variables, strict=True)
    for found, wanted in pairs:
        np.testing.assert_array_equal(found.numpy(), wanted.numpy(), err_msg=wanted.path)


@pytest.fixture(scope="module")
def uninterrupted(workspace: Path) -> Callable[[str], Experiment]:
    """Return a function that gives a strategy's run that nothing interrupted, trained once."""

    @functools.cache
    def trained(strategy: str) -> Experiment:
        experiment = interruptible_experiment(workspace, strategy)
        fit(experiment, [])
        return experiment

    return trained


@pytest.mark.parametrize(
    ("strategy", "batch"),  # of 5 an epoch
    [
        slow("head_first", 3),
        slow("gradual", 5),
        slow(RECOMPUTED, 6),
        slow(TRAINED_THEN_FROZEN, 7),
    ],
)
def test_an_interrupted_run_ends_with_the_same_bits(
    workspace, uninterrupted, tmp_path, cache, strategy, batch
):
    wanted = uninterrupted(strategy)
    interrupt(interruptible_experiment(workspace, strategy), tmp_path, batch)
    shutil.rmtree(cache)  # as on another machine
    resumed = interruptible_experiment(workspace, strategy)
    resume(resumed, tmp_path)
    assert_same_bits(resumed, wanted)


@pytest.mark.parametrize("strategy", [slow(RECOMPUTED), slow(TRAINED_THEN_FROZEN)])
def test_a_signal_while_frozen_outputs_are_computed_stops_at_once(
    workspace, uninterrupted, tmp_path, cache, monkeypatch, strategy
):
    wanted = uninterrupted(strategy)
    shutil.rmtree(cache, ignore_errors=True)
    interrupted = interruptible_experiment(workspace, strategy)
    phases = [bool(phase.frozen) for phase in interrupted.plan.phases]
    call = 1 + 2 * sum(phases[:1])  # two splits for each phase with frozen blocks
    calls = []

    def compute(*arguments) -> None:
        calls.append(arguments)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGTERM)
            pytest.fail("the signal was not obeyed")
        whole(*arguments)

    whole = FeatureCache._compute
    with monkeypatch.context() as patch, StopRequest() as stop, stop.held():
        patch.setattr(FeatureCache, "_compute", compute)
        checkpointer = checkpointer_of(tmp_path, stop)
        with pytest.raises(Interrupted):
            fit(interrupted, [], checkpointer)
    assert not [path for path in files(cache) if path.name.startswith(TMP_PREFIX)]
    assert latest_checkpoint(tmp_path / "checkpoints", STATE_SHAPE).state["position"]["batch"] == 5
    resumed = interruptible_experiment(workspace, strategy)
    resume(resumed, tmp_path)
    assert_same_bits(resumed, wanted)


# --- the files -----------------------------------------------------------------------------------


def test_a_second_run_reads_the_same_bits(workspace, frozen, cache, log):
    first = stored(first_phase(frozen))
    before = {path: path.stat().st_ino for path in files(cache)}
    assert len(before) == 2
    log.clear()
    again = stored(first_phase(experiment_of(workspace, "transfer=frozen", "seed=5")))
    assert log.text.count("are in the cache") == 2
    assert {path: path.stat().st_ino for path in files(cache)} == before
    for split, found in again.items():
        np.testing.assert_array_equal(found, first[split])


@pytest.mark.parametrize("damage", ["flipped", "shorter", "longer", "empty"])
def test_a_damaged_file_is_reported_once_and_computed_again(frozen, cache, log, damage):
    first = stored(first_phase(frozen))
    path = files(cache)[0]
    content = bytearray(path.read_bytes())
    content[7] ^= 1
    changed = {
        "flipped": content,
        "shorter": content[:-4],
        "longer": content + b"1234",
        "empty": b"",
    }
    path.write_bytes(changed[damage])
    log.clear()
    again = stored(first_phase(frozen))
    assert len(notes(log)) == 1
    assert "damaged and computed again" in notes(log)[0]
    assert len(files(cache)) == 2
    for split, found in again.items():
        np.testing.assert_array_equal(found, first[split])
    log.clear()
    first_phase(frozen)
    assert not notes(log)


def test_other_weights_texts_boundary_and_precision_have_other_files(
    workspace, frozen, cache, tmp_path
):
    first_phase(frozen)
    known = set(files(cache))
    write_tiny_checkpoint(tmp_path / "other", "bert", seed=3, **NO_DROPOUT)
    changes = [
        ["transfer=frozen", f"model.checkpoint={tmp_path}/other"],
        ["transfer=frozen", "data.max_length=8"],
        ["transfer=top_layers", "transfer.blocks=2"],
        ["transfer=frozen", "train.precision=mixed_bfloat16"],
    ]
    for overrides in changes:
        first_phase(experiment_of(workspace, *overrides))
        found = set(files(cache))
        assert len(found - known) == 2, overrides
        known = found


def test_what_the_features_do_not_depend_on_shares_the_files(workspace, frozen, cache):
    first_phase(frozen)
    changes = ["seed=1", "optimizer.lr=3e-4", "train.batch_size=4", "loss.label_smoothing=0.1"]
    first_phase(experiment_of(workspace, "transfer=frozen", *changes))
    first_phase(experiment_of(workspace, "transfer=head_first"))
    assert len(files(cache)) == 2


def test_a_disk_that_becomes_full_is_noted_once_and_nothing_is_left_there(frozen, cache, log):
    cache.mkdir(parents=True)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # bytes of a file
    try:
        phase = first_phase(frozen)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not phase.features
    assert phase.trained is frozen.model.network
    assert not files(cache)  # no part of one
    assert len(notes(log)) == 1
    assert NOTE in notes(log)[0]
    assert "File too large" in notes(log)[0]


def test_a_disk_that_is_too_small_is_noticed_before_anything_is_computed(
    workspace, cache, log, monkeypatch
):
    monkeypatch.setattr(features.shutil, "disk_usage", lambda path: Usage())
    monkeypatch.setattr(FeatureCache, "_compute", None)
    assert not first_phase(experiment_of(workspace, "transfer=frozen")).features
    assert len(notes(log)) == 1
    assert "No space left on device" in notes(log)[0]


class Usage:
    """A disk with ten bytes."""

    free = 10


def test_a_folder_that_cannot_be_written_is_noted_once(workspace, log, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    experiment = experiment_of(workspace, "transfer=frozen")
    monkeypatch.setenv("XFERLAB_CACHE", str(tmp_path / "file"))
    assert len(train(experiment)) == 2
    assert len(notes(log)) == 1
    assert NOTE in notes(log)[0]


def test_an_unusable_cache_is_noted_once_for_all_phases(workspace, log, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XFERLAB_CACHE", str(tmp_path / "file"))
    experiment = experiment_of(workspace, "transfer=gradual", "train.epochs=3")
    log.clear()
    assert len(experiment.plan.phases) == 3
    for index in range(3):
        assert not build_phase(experiment, index).features
    assert len(notes(log)) == 1
    assert NOTE in notes(log)[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to every folder")
def test_a_read_only_folder_is_read(workspace, frozen, cache, log):
    first_phase(frozen)
    cache.chmod(0o500)
    try:
        log.clear()
        assert first_phase(frozen).features
        assert not notes(log)
        phase = first_phase(experiment_of(workspace, "transfer=frozen", "data.max_length=8"))
    finally:
        cache.chmod(0o700)
    assert not phase.features
    assert len(notes(log)) == 1


def test_without_a_home_folder_the_run_trains(frozen, log, monkeypatch):
    monkeypatch.setenv("XFERLAB_CACHE", "~nobody-of-this-name/cache")
    assert not first_phase(frozen).features
    assert len(notes(log)) == 1


def test_features_beyond_the_bound_are_not_kept(workspace, cache, log, monkeypatch):
    monkeypatch.setattr(features, "LARGEST", 1000)
    assert not first_phase(experiment_of(workspace, "transfer=frozen")).features
    assert not files(cache)
    assert len(notes(log)) == 1
    assert "are computed in every epoch" in notes(log)[0]


def test_files_that_were_not_used_for_longest_are_deleted_first(
    workspace, frozen, cache, monkeypatch
):
    first_phase(frozen)
    size = files(cache)[0].stat().st_size
    (used, unused) = files(cache)
    os.utime(used, (time.time() - 50, time.time() - 50))
    os.utime(unused, (time.time() - 100, time.time() - 100))
    monkeypatch.setattr(features, "LARGEST", 3 * size)
    first_phase(experiment_of(workspace, "transfer=frozen", "data.max_length=8"))
    assert len(files(cache)) == 3
    assert used in files(cache)
    assert unused not in files(cache)


def test_reading_counts_as_use(frozen, cache):
    first_phase(frozen)
    for path in files(cache):
        os.utime(path, (1, 1))
    marker = cache.parent / "marker"
    marker.touch()
    first_phase(frozen)
    assert all(path.stat().st_mtime >= marker.stat().st_mtime for path in files(cache))


def test_what_a_killed_process_left_is_deleted_and_what_another_writes_is_not(frozen, cache):
    cache.mkdir(parents=True)
    written = cache / f"{TMP_PREFIX}1-abc{SUFFIX}"
    left = cache / f"{TMP_PREFIX}2-abc{SUFFIX}"
    for path in (written, left):
        path.write_bytes(b"1234")
    os.utime(left, (1, 1))
    first_phase(frozen)
    assert written.exists()
    assert not left.exists()


def test_two_processes_at_once_have_the_same_features(frozen, cache, monkeypatch):
    encoding = frozen.encodings["train"]
    features = first_phase(frozen).cache
    key = features._key(encoding)
    shutil.rmtree(cache)
    monkeypatch.setattr(features, "_key", lambda encoding: key)
    monkeypatch.setattr(features, "_forward", first_tokens)  # a fork may not use TensorFlow
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(2)
    queue = context.Queue()

    def compute() -> None:
        barrier.wait(60)
        queue.put(np.array(features.of("train", encoding)._flat).tobytes())

    both = [context.Process(target=compute) for _ in range(2)]
    for each in both:
        each.start()
    first, second = (queue.get(timeout=60) for _ in both)
    for each in both:
        each.join()
        assert each.exitcode == 0
    assert first == second
    assert len(files(cache)) == 1


def first_tokens(inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Return features that are the first token's id, as wide as the encoder's."""
    return np.repeat(inputs["token_ids"][:, :1], WIDTH, axis=1)
