"""Real, tiny runs: what they leave behind, that they repeat, that they learn."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tests.support.build_once import build_once
from tests.support.tiny_checkpoints import write_tiny_checkpoint
from xferlab.backend.process import prepare_backend
from xferlab.cli.main import main
from xferlab.config.compose import compose_config, publish
from xferlab.config.recipe import fitted_to, read
from xferlab.discovery import load_plugins
from xferlab.runs.predictions import read_predictions
from xferlab.training.assemble import Experiment, assemble
from xferlab.training.summary import parameter_rows
from xferlab.training.weights import weight_arrays

TINY = ["debug=tiny", "optimizer.lr=1e-3"]
BAG = ["model=bag_of_embeddings", "model.width=8"]
"""The smallest network, where the encoder is not the subject."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run of two epochs of the bundled encoder, to be read only."""
    return build_once(tmp_path_factory, "tiny-run", train_two_epochs) / "run"


@pytest.fixture(scope="module")
def finished_bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run of one epoch of the smallest network, to be read only."""
    home = build_once(tmp_path_factory, "tiny-bag-run", lambda folder: train_in(folder, *BAG))
    (run,) = home.glob("outputs/runs/*")
    return run


def train_two_epochs(folder: Path) -> None:
    train_in(folder, "train.epochs=2", "hydra.run.dir=run")


def train_in(folder: Path, *overrides: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XFERLAB_CACHE", str(folder / "cache"))
        assert main([*TINY, *overrides]) == 0


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XFERLAB_CACHE", str(tmp_path / "cache"))
    load_plugins(tmp_path)
    publish(tmp_path)
    return tmp_path


def train(*overrides: str) -> Path:
    before = set(Path("outputs").glob("runs/*"))
    assert main([*TINY, *overrides]) == 0
    (folder,) = set(Path("outputs").glob("runs/*")) - before
    return folder


def assembled(*overrides: str) -> Experiment:
    """Return the experiment that :func:`train` begins with."""
    recipe = read(compose_config([*TINY, *overrides]))
    data = recipe.data.build(recipe.seed)
    prepare_backend(recipe.seed, recipe.train.precision.value, recipe.train.deterministic)
    return assemble(fitted_to(recipe, data.spec.task), data)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open() as stream:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(stream)]


def test_a_run_leaves_everything_that_its_folder_promises(finished):
    folder = finished
    for name in (
        ".hydra/overrides.yaml",
        "config.yaml",
        "run.json",
        "status.json",
        "train.log",
        "history.csv",
        "metrics.json",
        "checkpoints/best.safetensors",
        "checkpoints/last.safetensors",
    ):
        assert (folder / name).stat().st_size > 0, name
    assert json.loads((folder / "status.json").read_text())["status"] == "finished"
    record = json.loads((folder / "run.json").read_text())
    assert record["checkpoint"]["source"] == "bundled:bert"
    assert len(record["checkpoint"]["sha256"]["model.safetensors"]) == 64
    assert record["plan"]["steps"] == 16
    assert record["versions"]["keras"]
    assert record["device"].startswith(("CPU: ", "GPU: "))
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["best"]["monitor"] == "val_accuracy"
    assert set(metrics["test"]) == {"loss", "accuracy"}
    assert OmegaConf.load(folder / "config.yaml").optimizer.lr == 1e-3
    stored = read_predictions(folder, "test")
    assert stored.rows == record["task"]["rows"]["test"]
    right = (stored.outputs.argmax(-1) == stored.labels).mean()
    assert metrics["test"]["accuracy"] == pytest.approx(right)  # the same weights, the same rows


def test_a_run_is_named_by_its_id(finished_bag):
    folder = finished_bag
    assert folder.name.endswith(json.loads((folder / "run.json").read_text())["run_id"])


def test_tensorboard_has_train_and_validation_on_one_axis_of_steps(finished):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = finished / "tensorboard"
    read = {}
    for name in ("train", "validation", "."):
        read[name] = EventAccumulator(str(folder / name), {"tensors": 0}).Reload()
    steps = {
        name: [e.step for e in _scalars(read[name], "loss")] for name in ("train", "validation")
    }
    assert steps == {"train": [8, 16], "validation": [8, 16]}
    assert [e.step for e in _scalars(read["train"], "learning_rate")] == list(range(1, 17))
    rates = [e.value for e in _scalars(read["train"], "learning_rate")]
    assert max(rates) == pytest.approx(1e-3)
    assert rates[-1] == 0
    assert "config" in read["train"].Tags()["tensors"]
    assert "test/accuracy" in read["."].Tags()["tensors"]


def _scalars(events, tag):
    from types import SimpleNamespace

    import tensorflow as tf

    return [
        SimpleNamespace(step=e.step, value=float(tf.make_ndarray(e.tensor_proto)))
        for e in events.Tensors(tag)
    ]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_history_bit_for_bit(finished):
    again = train("train.epochs=2", "name=again")
    assert rows(finished) == rows(again)
    weights = "checkpoints/last.safetensors"
    assert (finished / weights).read_bytes() == (again / weights).read_bytes()


@pytest.mark.slow
def test_another_seed_gives_another_history(finished_bag):
    assert rows(finished_bag) != rows(train(*BAG, "seed=1"))


def test_overfitting_one_batch_drives_its_loss_down():
    folder = train("debug=overfit", *BAG, "optimizer.lr=0.1", "train.epochs=20")
    losses = [float(row["loss"]) for row in rows(folder)]
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.slow
def test_a_frozen_encoder_keeps_its_weights_and_the_head_moves():
    from safetensors.numpy import load_file

    after = load_file(train("transfer=frozen") / "checkpoints/last.safetensors")
    start = weight_arrays(assembled("transfer=frozen").model.network)
    moved = {name for name in start if abs(start[name] - after[name]).max() > 1e-6}
    assert moved
    assert all(" head/" in name for name in moved if "seed" not in name)


def test_the_table_of_blocks_has_phases_and_decay():
    no_decay = "optimizer.no_decay=[bias,gamma,beta,pooler]"
    table = parameter_rows(assembled("transfer=head_first", "train.epochs=2", no_decay))
    blocks = {row["block"]: row for row in table}
    assert blocks["head"]["trained_in"] == "every phase"
    assert blocks["embeddings"]["trained_in"] == "phase 2"
    assert blocks["head"]["decayed"] == 2 * 128
    assert blocks["head"]["trainable"] == 2 * 128 + 2
    assert blocks["pooler"]["decayed"] == 0


def test_the_table_of_blocks_is_in_the_record(finished):
    assert _record(finished)["blocks"] == parameter_rows(assembled("train.epochs=2"))


def test_class_weights_are_shown_and_kept(capsys):
    Path("rows.csv").write_text(
        "text,label\n" + "a fine film,good\n" * 30 + "a poor one,bad\n" * 10
    )
    Path("new.csv").write_text("text,label\na good film,good\na bad film,bad\n")
    overrides = [
        "data=files",
        "data.train=rows.csv",
        "data.validation=new.csv",
        "data.test=new.csv",
    ]
    overrides += ["model=bag_of_embeddings", "train.epochs=1", "hydra.run.dir=run"]
    assert main([*overrides, "loss.class_weight=auto"]) == 0
    assert "loss       class weights: bad 2, good 0.667" in capsys.readouterr().err
    assert _record(Path("run"))["class_weights"] == pytest.approx({"bad": 2, "good": 2 / 3})


def test_a_name_that_no_decay_cannot_find_is_an_error(capsys):
    overrides = ["debug=tiny", *BAG, "optimizer.no_decay=[LayerNorm.weight]"]
    assert main(overrides) == 2
    assert "no variable or layer of the network is called 'LayerNorm.weight'" in (
        capsys.readouterr().err
    )


def test_accumulation_counts_optimizer_steps():
    folder = train(*BAG, "train.gradient_accumulation_steps=2", "train.batch_size=8")
    assert _record(folder)["plan"]["steps"] == 8
    assert rows(folder)[-1]["step"] == "8"


def test_patience_stops_a_run_that_gets_no_better():
    folder = train(
        *BAG, "optimizer.lr=1e-12", "train.epochs=6", "train.patience=2", "schedule=constant"
    )
    assert len(rows(folder)) == 3


@pytest.mark.slow
def test_a_random_encoder_trains_in_half_precision(tmp_path):
    checkpoint = f"model.checkpoint={write_tiny_checkpoint(tmp_path / 'bert', layers=1)}"
    folder = train(checkpoint, "model.pretrained=false", "train.precision=mixed_bfloat16")
    record = _record(folder)
    assert record["checkpoint"]["from_checkpoint"] == 0
    assert record["checkpoint"]["line"].startswith("random")
    assert float(rows(folder)[0]["loss"]) > 0


def test_a_loss_that_is_no_number_stops_the_run_and_names_step_and_rows(capsys):
    assert (
        main([*TINY, *BAG, "optimizer.lr=1e30", "train.max_grad_norm=null", "train.epochs=3"]) == 1
    )
    (folder,) = Path("outputs").glob("runs/*")
    assert json.loads((folder / "status.json").read_text())["status"] == "nan"
    assert "(training examples" in (folder / "error.txt").read_text()


def test_a_sweep_checks_all_runs_all_and_prints_a_table(capsys):
    assert main(["-m", *TINY[:1], *BAG, "optimizer.lr=1e-4,1e-3", "name=sweep"]) == 0
    (folder,) = Path("outputs/sweeps").iterdir()
    with (folder / "results.csv").open() as stream:
        table = list(csv.DictReader(stream))
    assert sorted(row["optimizer.lr"] for row in table) == ["0.0001", "0.001"]
    assert {row["status"] for row in table} == {"finished"}
    assert folder.name.endswith("-sweep")
    job = next(folder.glob("*/run.json")).parent
    overrides = json.loads((job / "job.json").read_text())["overrides"]
    assert _record(job)["command"][-len(overrides) :] == overrides
    assert "optimizer.lr" in capsys.readouterr().out


def _record(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())
