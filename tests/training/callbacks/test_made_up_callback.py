"""A tracker is one class: it gets every step and epoch, and its state comes back after a resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from xferlab.callbacks import Callback, Epoch, Step
from xferlab.config.compose import compose_experiment, publish
from xferlab.config.schema import interval
from xferlab.discovery import load_plugins
from xferlab.experiment.prepare import prepare
from xferlab.runs.metadata import write_status
from xferlab.runs.signals import StopRequest
from xferlab.training.assemble import Experiment, assemble
from xferlab.training.callbacks.best_weights import BestWeights
from xferlab.training.checkpointing import FolderCheckpointer
from xferlab.training.loop import fit

# --- the whole tracker ---------------------------------------------------------------------------


class JsonLinesTracker(Callback):
    """Writes every step and epoch as a line of JSON."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[dict[str, Any]] = []

    def on_step(self, step: Step) -> None:
        self._write({"step": step.update, "loss": step.loss})

    def on_epoch(self, epoch: Epoch) -> None:
        self._write({"epoch": epoch.epoch, **epoch.validation})

    def state(self) -> dict[str, Any]:
        return {"lines": self.lines}

    def restore(self, state: dict[str, Any]) -> None:
        self.lines = list(state["lines"])

    def _write(self, line: dict[str, Any]) -> None:
        self.lines.append(line)
        self.path.write_text("\n".join(map(json.dumps, self.lines)))


# --- how it is used ------------------------------------------------------------------------------


def experiment() -> Experiment:
    recipe = compose_experiment(
        ["model=bag_of_embeddings", "train.epochs=2", "train.batch_size=16", "data.limit.train=64"]
    ).recipe
    return assemble(*prepare(recipe))


@pytest.fixture(autouse=True)
def _workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load_plugins(tmp_path)
    publish(tmp_path)


def test_it_gets_every_step_and_epoch(tmp_path):
    tracker = JsonLinesTracker(tmp_path / "lines.jsonl")
    fit(experiment(), [tracker])
    lines = [json.loads(line) for line in tracker.path.read_text().splitlines()]
    assert [line.get("step") for line in lines] == [1, 2, 3, 4, None, 5, 6, 7, 8, None]
    assert [line["epoch"] for line in lines if "epoch" in line] == [1, 2]


@pytest.mark.slow
def test_a_resumed_run_has_the_same_lines(tmp_path):
    whole = JsonLinesTracker(tmp_path / "whole.jsonl")
    fit(experiment(), [whole])
    write_status(tmp_path, "running")
    first = JsonLinesTracker(tmp_path / "part.jsonl")

    class Killed(Exception):
        pass

    class KillAtSix(Callback):
        def on_step(self, step: Step) -> None:
            if step.update == 6:
                raise Killed

    def train(tracker: JsonLinesTracker, *more: Callback) -> None:
        live = experiment()
        best = BestWeights(live.model.network, tmp_path / "best.safetensors", "val_loss", "min")
        with StopRequest() as stop:
            saver = FolderCheckpointer(tmp_path, [tracker, best], interval("1"), 1, {}, stop)
            fit(live, [tracker, best, *more], saver)

    with pytest.raises(Killed):
        train(first, KillAtSix())
    second = JsonLinesTracker(tmp_path / "part.jsonl")
    train(second)
    assert second.path.read_text() == whole.path.read_text()
