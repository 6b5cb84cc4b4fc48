"""Runs of one process over the same frozen network: each equals a run of its own."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.support.tiny_checkpoints import write_tiny_checkpoint
from xferlab.config.compose import compose_config, publish
from xferlab.config.recipe import read
from xferlab.discovery import load_plugins
from xferlab.errors import XferlabError
from xferlab.experiment import train_and_test
from xferlab.experiment.run import run
from xferlab.training import network_cache
from xferlab.training.network_cache import NETWORK_CACHE, CachedNetwork

COMMON = [
    "data=files",
    "data.max_length=16",
    "model=encoder",
    "optimizer.lr=1e-3",
    "train.batch_size=8",
    "train.epochs=2",
    "train.precision=float32",
]

USERS_LOSS = """
from dataclasses import dataclass
import keras
from xferlab import Accepts, LabelKind, OutputKind, register

@register("loss", "users")
@dataclass(frozen=True)
class UsersLoss:
    '''Cross-entropy of classes.'''

    accepts = Accepts(outputs=(OutputKind.logits,), labels=(LabelKind.class_index,))

    def build(self, spec):
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    write_tiny_checkpoint(folder / "bert", "bert", layers=1)
    words = ["good", "bad", "film", "the", "not"]
    for number, split in enumerate(("train", "validation", "test")):
        texts = [f"{words[i % 5]} {words[(i * i + number) % 5]}" for i in range(40)]
        rows = [{"text": text, "label": "01"["good" in text]} for text in texts]
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    load_plugins(folder)
    publish(folder)
    return folder


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("XFERLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(NETWORK_CACHE, "is_enabled", False)
    monkeypatch.setattr(NETWORK_CACHE, "_networks", [])
    return NETWORK_CACHE


def train(workspace: Path, folder: Path, *overrides: str) -> tuple:
    """Train a run; return its history, its scores and its weights."""
    data = [f"data.{split}={workspace}/{split}.jsonl" for split in ("train", "validation", "test")]
    model = f"model.checkpoint={workspace}/bert"
    recipe = read(compose_config([*COMMON, *data, model, *overrides]))
    folder.mkdir()
    run(recipe, folder)
    with (folder / "history.csv").open(newline="") as stream:
        history = [
            {k: v for k, v in line.items() if k != "seconds"} for line in csv.DictReader(stream)
        ]
    metrics = json.loads((folder / "metrics.json").read_text())
    del metrics["seconds"]
    record = json.loads((folder / "run.json").read_text())
    parts = [record[name] for name in ("task", "blocks", "plan", "notes", "class_weights")]
    files = sorted([*folder.glob("checkpoints/*"), *folder.glob("predictions/*")])
    return history, metrics, parts, [(path.name, path.read_bytes()) for path in files]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[CachedNetwork]:
    """Return the setups that were used again."""
    restored = []
    restore = CachedNetwork.restore

    def restore_and_note(cached: CachedNetwork) -> None:
        restored.append(cached)
        restore(cached)

    monkeypatch.setattr(CachedNetwork, "restore", restore_and_note)
    return restored


ALL_CHANGES = [
    [],
    ["optimizer.lr=3e-3"],
    ["seed=1"],
    ["loss=focal", "metric=[accuracy,f1]"],
    ["schedule=polynomial", "optimizer=adam"],
    ["seed=1", "optimizer.lr=3e-3"],
]


@pytest.mark.parametrize(
    ("strategy", "changes", "restored"),
    [
        (["transfer=frozen"], [[], ["loss=focal", "optimizer=adam"]], 1),
        pytest.param(["transfer=frozen"], ALL_CHANGES, 4, marks=pytest.mark.slow),
        pytest.param(
            ["transfer=top_layers", "transfer.blocks=1"], ALL_CHANGES, 4, marks=pytest.mark.slow
        ),
    ],
)
def test_each_run_equals_one_of_its_own(
    workspace, tmp_path, cache, found, strategy, changes, restored
):
    cache.is_enabled = True
    together = [
        train(workspace, tmp_path / f"together-{i}", *strategy, *change)
        for i, change in enumerate(changes)
    ]
    assert len(found) == restored
    cache.is_enabled = False
    for i, change in enumerate(changes):
        alone = train(workspace, tmp_path / f"alone-{i}", *strategy, *change)
        assert together[i] == alone, change
    assert len(found) == restored


def step_of(cache) -> tuple:
    """Return the optimizer, and the function that trains, of the setup that was used last."""
    cached = cache._networks[-1]
    return cached.step.optimizer, cached.phases[0].trained.train_function


@pytest.mark.parametrize(
    ("changes", "is_shared"),
    [
        (["optimizer.lr=3e-3", "schedule=cosine"], True),
        (["loss=focal"], False),
        pytest.param(["optimizer.weight_decay=0.3"], False, marks=pytest.mark.slow),
        pytest.param(["schedule=constant"], False, marks=pytest.mark.slow),
    ],
)
def test_runs_that_differ_in_their_rates_have_one_traced_step(
    workspace, tmp_path, cache, changes, is_shared
):
    cache.is_enabled = True
    train(workspace, tmp_path / "first", "transfer=frozen")
    optimizer, function = step_of(cache)
    assert function.experimental_get_tracing_count() == 1
    together = train(workspace, tmp_path / "second", "transfer=frozen", *changes)
    assert (step_of(cache)[0] is optimizer) == is_shared
    assert (step_of(cache)[1] is function) == is_shared
    assert function.experimental_get_tracing_count() == 1
    cache.is_enabled = False
    assert together == train(workspace, tmp_path / "alone", "transfer=frozen", *changes)


@pytest.mark.parametrize(
    "schedule", [pytest.param("constant", marks=pytest.mark.slow), "reduce_on_plateau"]
)
def test_rates_that_are_no_table_are_each_runs_own(workspace, tmp_path, cache, schedule):
    overrides = ["transfer=frozen", f"schedule={schedule}", "train.epochs=5"]
    cache.is_enabled = True
    train(workspace, tmp_path / "first", *overrides)
    optimizer, _ = step_of(cache)
    together = train(workspace, tmp_path / "second", *overrides, "optimizer.lr=1e-2")
    assert step_of(cache)[0] is optimizer
    cache.is_enabled = False
    assert together == train(workspace, tmp_path / "alone", *overrides, "optimizer.lr=1e-2")


def test_a_loss_of_the_users_is_built_for_each_run(workspace, tmp_path, cache):
    folder = workspace / "plugins" / "loss"
    folder.mkdir(parents=True)
    (folder / "users.py").write_text(USERS_LOSS)
    load_plugins(workspace)
    publish(workspace)
    cache.is_enabled = True
    runs = []
    for i in range(2):
        runs.append(train(workspace, tmp_path / str(i), "transfer=frozen", "loss=users"))
        assert cache._networks[-1].step is None
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(["transfer=full"], marks=pytest.mark.slow),
        ["transfer=head_first"],
        pytest.param(["train.cache_frozen=false"], marks=pytest.mark.slow),
        pytest.param(["model=bag_of_embeddings"], marks=pytest.mark.slow),
    ],
)
def test_a_run_that_trains_the_whole_network_leaves_nothing(workspace, tmp_path, cache, change):
    cache.is_enabled = True
    train(workspace, tmp_path / "first", "transfer=frozen", *change)
    assert cache.is_empty


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("data.max_length=8", marks=pytest.mark.slow),
        "transfer=top_layers",
        pytest.param("model.dropout=0.3", marks=pytest.mark.slow),
        pytest.param("train.batch_size=4", marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_another_network_is_built_anew(workspace, tmp_path, cache, found, change):
    cache.is_enabled = True
    train(workspace, tmp_path / "first", "transfer=frozen")
    train(workspace, tmp_path / "second", "transfer=frozen", change)
    assert not found


def test_a_failed_run_leaves_nothing_to_the_next(workspace, tmp_path, cache, monkeypatch):
    cache.is_enabled = True
    train(workspace, tmp_path / "first", "transfer=frozen")

    def fail(*arguments):
        raise XferlabError("no", where="here", fix="nothing")

    with monkeypatch.context() as patch:
        patch.setattr(train_and_test, "_score_last_split", fail)
        with pytest.raises(XferlabError):
            train(workspace, tmp_path / "second", "transfer=frozen")
    assert cache.is_empty


@pytest.mark.slow
def test_no_more_than_the_limit_is_kept(workspace, tmp_path, cache, monkeypatch):
    cache.is_enabled = True
    monkeypatch.setattr(network_cache, "LARGEST", 1)
    for seed in (0, 1):
        train(workspace, tmp_path / str(seed), "transfer=frozen", f"seed={seed}")
    (cached,) = cache._networks
    assert cached.setup.batches.seed == 1
