"""A real run that a search asks to end, and what it keeps."""

from __future__ import annotations

import pytest

from xferlab.config.compose import publish
from xferlab.discovery import load_plugins
from xferlab.errors import ConfigError
from xferlab.runs.history import history_of
from xferlab.runs.metadata import read_metrics, read_status
from xferlab.runs.pruning import REQUEST, Pruned, obey_pruning, request_pruning
from xferlab.sweeps.manifest import write_manifest
from xferlab.sweeps.planner import plan_sweep
from xferlab.sweeps.worker import run_planned_job
from xferlab.training.callbacks.history import HistoryFile

WORDS = [
    "model=bag_of_embeddings",
    "train.epochs=3",
    "train.restore_best=false",
    "data.limit={train: 64, validation: 32, test: 32}",
]
VERDICT = {"monitor": "val_accuracy", "value": 0.5, "epoch": 1, "pruner": "median"}


def test_a_run_that_is_asked_to_end_keeps_its_best_and_can_be_run_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load_plugins(tmp_path)
    publish(tmp_path)
    plan = plan_sweep([*WORDS, "seed=1,2"])
    write_manifest(plan, tmp_path / "sweep", [])
    folder = tmp_path / "sweep" / plan.jobs[0].run_id
    on_epoch = HistoryFile.on_epoch

    def on_epoch_with_request(self, epoch):
        on_epoch(self, epoch)
        request_pruning(folder, **VERDICT)

    with monkeypatch.context() as patched:
        patched.setattr(HistoryFile, "on_epoch", on_epoch_with_request)
        run_planned_job(folder)
    assert read_status(folder)["status"] == "pruned"
    assert len(history_of(folder)) == 1
    metrics = read_metrics(folder)
    assert metrics["best"]["value"] == history_of(folder)[0]["val_accuracy"]
    assert metrics["weights"] == "best"
    assert metrics["validation"]["accuracy"] == metrics["best"]["value"]
    assert "test" not in metrics
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["best.safetensors"]
    (board,) = (folder / "tensorboard").iterdir()
    assert board.name == "seed=1"
    assert list(board.glob("events.out.tfevents.*"))  # HParams

    run_planned_job(folder)
    assert read_status(folder)["status"] == "finished"
    assert not (folder / REQUEST).exists()
    assert len(history_of(folder)) == 3
    assert "accuracy" in read_metrics(folder)["test"]


def test_a_request_says_why(tmp_path):
    obey_pruning(tmp_path)
    request_pruning(tmp_path, **VERDICT)
    with pytest.raises(Pruned, match=r"val_accuracy 0\.5 at epoch 1 is too poor \(median\)"):
        obey_pruning(tmp_path)


def test_a_request_that_is_none_is_refused(tmp_path):
    (tmp_path / REQUEST).write_text("{}")
    with pytest.raises(ConfigError, match=r"prune\.json is damaged"):
        obey_pruning(tmp_path)
