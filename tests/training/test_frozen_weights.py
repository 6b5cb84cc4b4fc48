"""The weights that no phase trains are one file of a run, and of the runs of a process."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import xferlab
from tests.support.tiny_checkpoints import write_tiny_checkpoint
from xferlab.combining.combine import combine
from xferlab.config.compose import compose_config, publish
from xferlab.config.recipe import read
from xferlab.config.schema import Keep
from xferlab.discovery import load_plugins
from xferlab.errors import ConfigError
from xferlab.experiment.run import run
from xferlab.inference.run_folder import read_folder
from xferlab.io.tensors import read_tensor
from xferlab.runs.frozen_file import have_same_weights, tensors_of
from xferlab.runs.kept_weights import delete_unkept
from xferlab.runs.predictions import read_predictions
from xferlab.runs.repetition import compare_runs
from xferlab.training.frozen_weights import FrozenWeights
from xferlab.training.network_cache import NETWORK_CACHE
from xferlab.training.weights import load_weights, weight_arrays, write_weights

FROZEN = "checkpoints/frozen.safetensors"
BEST = "checkpoints/best.safetensors"
LAST = "checkpoints/last.safetensors"
COMMON = [
    "data=files",
    "data.max_length=16",
    "model=encoder",
    "optimizer.lr=1e-2",
    "train.batch_size=8",
    "train.epochs=3",
    "train.precision=float32",
]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frozen")
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
    monkeypatch.setattr(NETWORK_CACHE, "frozen_file", None)
    monkeypatch.setattr(NETWORK_CACHE, "_networks", [])
    return NETWORK_CACHE


def train(workspace: Path, folder: Path, *overrides: str) -> Path:
    data = [f"data.{split}={workspace}/{split}.jsonl" for split in ("train", "validation", "test")]
    model = f"model.checkpoint={workspace}/bert"
    recipe = read(compose_config([*COMMON, *data, model, *overrides]))
    folder.mkdir(parents=True)
    run(recipe, folder)
    return folder


@pytest.fixture(scope="module")
def frozen_run(workspace, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XFERLAB_CACHE", str(folder / "cache"))
        return train(workspace, folder / "run", "transfer=frozen")


@pytest.fixture
def copy(frozen_run, tmp_path) -> Path:
    return Path(shutil.copytree(frozen_run, tmp_path / "copy"))


def texts_of(workspace: Path) -> list[str]:
    lines = (workspace / "test.jsonl").read_text().splitlines()
    return [json.loads(line)["text"] for line in lines]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_files_of_a_run_hold_each_weight_once(frozen_run, workspace):
    frozen, best, last = (load_file(frozen_run / name) for name in (FROZEN, BEST, LAST))
    assert not frozen.keys() & best.keys()
    assert best.keys() == last.keys()
    positions = sorted(int(name.split()[0]) for name in (*frozen, *best))
    assert positions == list(range(len(positions)))
    digests = json.loads((frozen_run / "metrics.json").read_text())["sha256"]
    assert digests == {Path(name).name: sha256(frozen_run / name) for name in (FROZEN, BEST, LAST)}


def test_a_run_that_is_read_gives_the_outputs_that_it_had(frozen_run, workspace):
    stored = read_predictions(frozen_run, "test")
    outputs = xferlab.load(frozen_run).outputs(texts_of(workspace))
    np.testing.assert_array_equal(outputs, stored.outputs)


@pytest.mark.parametrize(
    ("strategy", "kinds"),
    [
        pytest.param(["transfer=full"], set(), marks=pytest.mark.slow),
        pytest.param(["transfer=head_first"], set(), marks=pytest.mark.slow),
        (["transfer=lora"], {"kernel", "bias"}),
        pytest.param(
            ["transfer=bitfit"], {"kernel", "gamma", "embeddings"}, marks=pytest.mark.slow
        ),
    ],
)
def test_what_a_strategy_holds_fixed(workspace, tmp_path, strategy, kinds):
    folder = train(workspace, tmp_path / "run", *strategy, "train.epochs=2")
    assert (folder / FROZEN).exists() == bool(kinds)
    run = xferlab.load(folder)
    stored = read_predictions(folder, "test")
    outputs = run.outputs(texts_of(workspace))
    assert outputs == pytest.approx(stored.outputs, abs=1e-6)  # LoRA's product is merged
    if kinds:
        frozen = load_file(folder / FROZEN)
        assert kinds <= {name.rpartition("/")[2] for name in frozen}
        assert not any("lora" in name or name.endswith("head/kernel") for name in frozen)


def test_a_folder_with_whole_files_is_read_as_before(copy, workspace):
    """As a run of a version without the file of frozen weights wrote them."""
    whole = load_file(copy / FROZEN) | load_file(copy / BEST)
    save_file(dict(sorted(whole.items())), copy / BEST)
    (copy / FROZEN).unlink()
    metrics = json.loads((copy / "metrics.json").read_text())
    metrics["sha256"] = {"best.safetensors": sha256(copy / BEST)}
    (copy / "metrics.json").write_text(json.dumps(metrics))
    stored = read_predictions(copy, "test")
    outputs = xferlab.load(copy, "best").outputs(texts_of(workspace))
    if metrics["weights"] == "best":
        np.testing.assert_array_equal(outputs, stored.outputs)


def test_whole_and_divided_files_of_the_same_weights_are_a_repetition(frozen_run, copy):
    whole = load_file(copy / FROZEN) | load_file(copy / BEST)
    save_file(whole, copy / BEST)
    (copy / FROZEN).unlink()
    assert have_same_weights(copy / BEST, frozen_run / BEST)
    metrics = json.loads((copy / "metrics.json").read_text())
    metrics["sha256"] = {"best.safetensors": sha256(copy / BEST)}
    (copy / "metrics.json").write_text(json.dumps(metrics))
    assert compare_runs(copy, frozen_run).difference == ""
    name = next(iter(whole))
    save_file(whole | {name: whole[name] + 1}, copy / BEST)
    metrics["sha256"] = {"best.safetensors": sha256(copy / BEST)}
    (copy / "metrics.json").write_text(json.dumps(metrics))
    assert compare_runs(copy, frozen_run).difference == "the best weights"


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))


def foreign(path: Path) -> None:
    save_file({name: array + 1 for name, array in load_file(path).items()}, path)


def linked(path: Path) -> None:
    shutil.move(path, path.parents[2] / "theirs")
    path.symlink_to(path.parents[2] / "theirs")


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (Path.unlink, "checkpoints/frozen.safetensors is missing in this run's folder"),
        (flip, "frozen.safetensors is damaged: it is not what the run wrote"),
        (foreign, "frozen.safetensors is damaged: it is not what the run wrote"),
        (lambda path: path.write_bytes(b"torn"), "frozen.safetensors is damaged"),
        (linked, "checkpoints/frozen.safetensors leads out of the run's folder"),
    ],
)
def test_a_file_that_is_not_the_run_s_own_is_refused(copy, spoil, what):
    read_folder(copy)
    spoil(copy / FROZEN)
    with pytest.raises(ConfigError, match=what) as error:
        read_folder(copy)
    assert error.value.fix == "copy the whole run folder again"
    assert str(copy) in error.value.where


def test_the_weights_of_another_run_beside_it_are_refused(copy, workspace, tmp_path):
    """The SHA-256 of the frozen weights is in the file that leaves them out."""
    other = train(workspace, tmp_path / "other", "transfer=frozen", "train.epochs=1")
    foreign(other / FROZEN)
    shutil.copy(other / FROZEN, copy / FROZEN)
    metrics = json.loads((copy / "metrics.json").read_text())
    metrics["sha256"]["frozen.safetensors"] = sha256(copy / FROZEN)
    (copy / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(ConfigError, match=r"frozen\.safetensors is damaged"):
        read_folder(copy)


def test_the_jobs_of_a_process_share_the_file(workspace, tmp_path, cache):
    cache.is_enabled = True
    changes = [[], ["seed=1"], ["optimizer.lr=1e-3"]]
    folders = [
        train(workspace, tmp_path / str(i), "transfer=frozen", *change)
        for i, change in enumerate(changes)
    ]
    assert len({(folder / FROZEN).stat().st_ino for folder in folders}) == 1
    cache.is_enabled = False
    alone = train(workspace, tmp_path / "alone", "transfer=frozen", *changes[-1])
    for name in (FROZEN, BEST, LAST):
        assert (folders[-1] / name).read_bytes() == (alone / name).read_bytes()
    assert all(read_folder(folder) for folder in folders)


@pytest.mark.parametrize(
    "spoil",
    [flip, *(pytest.param(each, marks=pytest.mark.slow) for each in (Path.unlink, foreign))],
)
def test_a_file_that_has_changed_since_is_not_shared(workspace, tmp_path, cache, spoil):
    cache.is_enabled = True
    first = train(workspace, tmp_path / "first", "transfer=frozen")
    before = (first / FROZEN).read_bytes()
    spoil(first / FROZEN)
    second = train(workspace, tmp_path / "second", "transfer=frozen")
    assert (second / FROZEN).read_bytes() == before
    assert read_folder(second)


@pytest.mark.slow
def test_a_disk_without_links_gets_a_file_for_each(workspace, tmp_path, cache, monkeypatch):
    def refuse(*arguments, **more):
        raise OSError(1, "no links here")

    cache.is_enabled = True
    monkeypatch.setattr(os, "link", refuse)
    folders = [train(workspace, tmp_path / str(i), "transfer=frozen") for i in range(2)]
    assert len({(folder / FROZEN).stat().st_ino for folder in folders}) == 2
    assert all(read_folder(folder) for folder in folders)


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        (Keep.both, ["best", "frozen", "last"]),
        (Keep.best, ["best", "frozen"]),
        (Keep.last, ["frozen", "last"]),
        (Keep.none, []),
    ],
)
def test_it_stays_as_long_as_a_file_leaves_it_weights(copy, keep, left):
    for _ in range(2):
        delete_unkept(copy, keep)
        assert sorted(path.stem for path in (copy / "checkpoints").iterdir()) == left


def test_runs_are_combined_as_before(frozen_run, workspace, tmp_path):
    other = train(workspace, tmp_path / "other", "transfer=frozen", "optimizer.lr=3e-2")
    outputs = [
        xferlab.load(each).probabilities(texts_of(workspace)) for each in (frozen_run, other)
    ]
    average = combine([frozen_run, other], "average", tmp_path / "average")
    members = [tmp_path / "average" / "members" / str(i) for i in range(2)]
    inodes = [(folder / FROZEN).stat().st_ino for folder in (frozen_run, other)]
    assert [(member / FROZEN).stat().st_ino for member in members] == inodes
    found = average.probabilities(texts_of(workspace))
    assert found == pytest.approx(np.mean(outputs, axis=0), abs=1e-6)
    soup = combine([frozen_run, other], "soup", tmp_path / "soup", "uniform")
    weights = [tensors_of(each.content.weights) for each in map(xferlab.load, (frozen_run, other))]
    merged = load_file(tmp_path / "soup" / BEST)
    assert not (tmp_path / "soup" / FROZEN).exists()
    for name, array in merged.items():
        pair = [read_tensor(each[name]).astype("float64") for each in weights]
        assert array == pytest.approx(np.mean(pair, axis=0), rel=1e-6), name
    assert len(soup.outputs(["good film"])) == 1


def network() -> keras.Model:
    inputs = keras.Input((2,))
    hidden = keras.layers.Dense(3, name="body")(inputs)
    return keras.Model(inputs, keras.layers.Dense(1, name="head")(hidden))


def test_a_weight_that_changes_all_the_same_is_in_the_file_that_has_it(tmp_path):
    """As a callback of the user's may assign one."""
    trained = network()
    kernel, bias = trained.get_layer("body").weights
    weights = FrozenWeights(trained, [kernel, bias], tmp_path)
    weights.write(weight_arrays(trained), tmp_path / "best.safetensors")
    bias.assign(bias + 1)
    weights.write(weight_arrays(trained), tmp_path / "last.safetensors")
    assert len(load_file(tmp_path / "best.safetensors")) == 2
    assert len(load_file(tmp_path / "last.safetensors")) == 3
    for name, expected in (("best", 0), ("last", 1)):
        fresh = network()
        load_weights(fresh, tmp_path / f"{name}.safetensors")
        np.testing.assert_array_equal(fresh.get_layer("body").bias.numpy(), np.full(3, expected))
        np.testing.assert_array_equal(fresh.get_layer("body").kernel.numpy(), kernel.numpy())


def test_bits_are_compared_and_not_numbers(tmp_path):
    trained = network()
    fixed = trained.get_layer("body").weights
    fixed[1].assign(np.array([0.0, np.nan, 1.0]))
    weights = FrozenWeights(trained, fixed, tmp_path)
    weights.write(weight_arrays(trained), tmp_path / "best.safetensors")
    fixed[1].assign(np.array([-0.0, np.nan, 1.0]))
    weights.write(weight_arrays(trained), tmp_path / "last.safetensors")
    fixed[1].assign(np.array([0.0, np.nan, 1.0]))
    weights.write(weight_arrays(trained), tmp_path / "again.safetensors")
    sizes = [len(load_file(tmp_path / f"{n}.safetensors")) for n in ("best", "last", "again")]
    assert sizes == [2, 3, 2]
    assert len(tensors_of(tmp_path / "last.safetensors")) == 4


def test_a_run_that_goes_on_keeps_the_file_that_its_best_weights_name(tmp_path):
    before = network()
    fixed = before.get_layer("body").weights
    FrozenWeights(before, fixed, tmp_path).write(
        weight_arrays(before), tmp_path / "best.safetensors"
    )
    digest = sha256(tmp_path / "frozen.safetensors")
    after = network()  # other random weights, as of another version of Keras
    weights = FrozenWeights(after, after.get_layer("body").weights, tmp_path)
    weights.write(weight_arrays(after), tmp_path / "last.safetensors")
    assert sha256(tmp_path / "frozen.safetensors") == digest
    for name, expected in (("best", before), ("last", after)):
        fresh = network()
        load_weights(fresh, tmp_path / f"{name}.safetensors")
        for stored, wanted in zip(fresh.weights, expected.weights, strict=True):
            np.testing.assert_array_equal(stored.numpy(), wanted.numpy())


def test_a_missing_file_is_reported_where_weights_are_loaded(tmp_path):
    write_weights(weight_arrays(network()), tmp_path / "best.safetensors", "0" * 64)
    with pytest.raises(ConfigError, match=r"the weights are not there: frozen\.safetensors"):
        load_weights(network(), tmp_path / "best.safetensors")
