"""Shipped callbacks: conditions, files and what trackers share."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from xferlab.callbacks import Epoch, Evaluation, Result, Run, Step
from xferlab.cli.main import main
from xferlab.contracts import Split, Task, TaskSpec
from xferlab.errors import ConfigError
from xferlab.functional import trackers
from xferlab.functional.trackers import Tracker, TrackerSettings, shared_id
from xferlab.registry import REGISTRY
from xferlab.training.callback_list import CallbackList
from xferlab.training.callbacks.tensorboard import TensorBoardLog

SHORT = ["model=bag_of_embeddings", "train.epochs=2", "data.limit.train=64", "data.limit.test=16"]


def run_in(folder: Path, sweep=None):
    spec = TaskSpec(Task.single_label, ("bad", "good"), 3, 8)
    split = Split(["a  fine\nfilm", "poor", "dull"], np.array([1, 0, 0]))
    return SimpleNamespace(
        folder=folder,
        settings={"optimizer.lr": 0.1},
        spec=spec,
        splits={"validation": split},
        learning_rate=lambda step: 0.5 / step,
        sweep=sweep,
    )


def created(name, folder, **fields):
    plugin = REGISTRY.create("callback", {"name": name, **fields})
    return plugin.build(run_in(folder))


def epoch(number, **validation):
    return Epoch(number, number, {"loss": 1.0}, validation, 0.0)


# -- stop_when -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "values", "stops"),
    [
        ("val_accuracy >= 0.5", (0.4, 0.5), [False, True]),
        ("val_accuracy > .5", (0.5, 0.6), [False, True]),
        ("val/accuracy<1e-1", (0.2, 0.0), [False, True]),
        ("val_accuracy <= -1", (0.0, -1.0), [False, True]),
        ("val_accuracy > 0", (float("nan"), 1.0), [False, True]),
    ],
)
def test_stop_when(tmp_path, condition, values, stops):
    callback = created("stop_when", tmp_path, condition=condition)
    assert [callback.on_epoch(epoch(i, accuracy=v)) for i, v in enumerate(values, 1)] == stops


def test_stop_when_counts_epochs_in_a_row_over_a_resume(tmp_path):
    fields = {"condition": "val_loss < 1", "epochs": 2}
    first = created("stop_when", tmp_path, **fields)
    assert [first.on_epoch(epoch(i, loss=v)) for i, v in enumerate((0.5, 2, 0.5), 1)] == [False] * 3
    again = created("stop_when", tmp_path, **fields)
    again.restore(json.loads(json.dumps(first.state())))
    assert again.on_epoch(epoch(4, loss=0.5))


@pytest.mark.parametrize(
    "condition",
    ["", "val_loss", "__import__('os') > 1", "val_loss < x", "1 < val_loss", "a > 1 or b > 1"],
)
def test_any_other_text_is_no_condition(condition):
    with pytest.raises(ConfigError, match="condition must be like"):
        REGISTRY.create("callback", {"name": "stop_when", "condition": condition})


def test_a_value_that_is_not_logged_is_refused():
    plugin = REGISTRY.create("callback", {"name": "stop_when", "condition": "val_f1 > 1"})
    with pytest.raises(ConfigError, match="no logged value has the name 'val_f1'"):
        plugin.check(["loss", "val_loss"])


# -- files and lines -------------------------------------------------------------------------------


def test_csv_steps_are_the_same_after_a_resume(tmp_path):
    def train(callback, first, last):
        callback.on_begin(first - 1)
        for update in range(first, last + 1):
            callback.on_step(Step(2 * update - 1, update, update / 8))
            callback.on_step(Step(2 * update, update, 1.0))

    whole = created("csv_steps", tmp_path, every=2)
    train(whole, 1, 9)
    whole.on_end(Result("finished", {}, {}))
    expected = (tmp_path / "steps.csv").read_text()
    assert expected.splitlines()[:3] == ["step,loss,learning_rate", "2,0.25,0.25", "4,0.5,0.125"]
    part = created("csv_steps", tmp_path, every=2)
    train(part, 1, 5)
    state = part.state()
    train_on = created("csv_steps", tmp_path, every=2)
    train(part, 6, 7)
    part.on_epoch(epoch(1))
    train_on.restore(state)
    train(train_on, 6, 9)
    train_on.on_end(Result("finished", {}, {}))
    assert (tmp_path / "steps.csv").read_text() == expected


@pytest.mark.parametrize(("fields", "lines"), [({"count": 2}, 2), ({"wrong": True}, 1)])
def test_print_samples(tmp_path, caplog, fields, lines):
    caplog.set_level(logging.INFO)
    outputs = np.array([[0, 1], [1, 0], [0, 1]], "float32")
    labels = np.array([1, 0, 0])
    callback = created("print_samples", tmp_path, **fields)
    callback.on_evaluation(Evaluation("validation", 1, labels, outputs, {}))
    shown = [record.getMessage() for record in caplog.records]
    assert len(shown) == lines
    assert shown[0].endswith(
        "predicted good, label good" if lines == 2 else "predicted good, label bad"
    )
    assert lines == 1 or "a fine film" in shown[0]
    callback.on_evaluation(Evaluation("test", 1, labels, outputs, {}))
    assert len(caplog.records) == lines


@pytest.mark.parametrize(
    ("name", "sweep", "expected"),
    [
        (None, None, "ab12"),
        ("mine", None, "mine"),
        ("mine", Path("s"), "mine ab12"),
        (None, Path("s"), "ab12"),
    ],
)
def test_the_jobs_of_a_sweep_have_different_names(name, sweep, expected):
    blank = dict.fromkeys(field.name for field in dataclasses.fields(Run))
    run = Run(**{**blank, "folder": Path("s/ab12"), "config": {"name": name}, "sweep": sweep})
    assert run.name == expected


def test_a_label_has_the_swept_values():
    blank = dict.fromkeys(field.name for field in dataclasses.fields(Run))
    settings = {"optimizer.lr": 3e-5, "seed": 1, "loss": "focal", "model.dropout": 0.25}
    swept = ["optimizer.lr", "seed", "loss", "model.dropout", "loss.gamma"]
    run = Run(**{**blank, "settings": settings, "swept": swept})
    assert run.label == "lr=3e-5,seed=1,loss=focal,dropout=0.25"
    assert Run(**{**blank, "settings": settings, "swept": []}).label == ""


def test_a_log_of_an_earlier_attempt_is_continued_under_its_label(tmp_path):
    blank = dict.fromkeys(field.name for field in dataclasses.fields(Run))
    blank |= {"folder": tmp_path, "settings": {"seed": 1, "model": "my/model"}}
    for swept, expected in (
        ((), "."),
        (["seed", "model"], "seed=1,model=my_model"),
        (["seed"], "seed=1,model=my_model"),
    ):
        log = TensorBoardLog(Run(**{**blank, "swept": swept}))
        assert log._folder == tmp_path / "tensorboard" / expected
        if swept:
            (log._folder / "train").mkdir(parents=True, exist_ok=True)


# -- trackers --------------------------------------------------------------------------------------


class Service(Tracker):
    """A tracker whose service is a list."""

    def __init__(self, run, breaks="", every=1):
        settings = type("Settings", (TrackerSettings,), {"package": "service"})(every=every)
        super().__init__(run, settings)
        self.sent = []
        self.breaks = breaks
        self.ended = None

    def open(self, known):
        if self.breaks == "open":
            raise ConnectionError("nobody there\nat all")
        return known or "id-1"

    def send(self, points):
        if self.breaks == "send":
            raise TimeoutError
        self.sent += points

    def close(self, status, scores, files):
        self.ended = status, dict(scores), [inner for _, inner in files]


def followed(tracker):
    tracker.on_begin(0)
    for batch in range(1, 5):
        tracker.on_step(Step(batch, batch, 1.0))
    tracker.on_epoch(epoch(4, loss=0.5))
    (tracker.run.folder / "metrics.json").write_text("{}")
    tracker.on_end(Result("finished", {"test/loss": 0.5}, {}))


def test_a_tracker_sends_curves_scores_and_files(tmp_path):
    for name in ("checkpoints/best.safetensors", ".lock"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    tracker = Service(run_in(tmp_path), every=2)
    followed(tracker)
    assert [step for step, _ in tracker.sent] == [2, 4, 4]
    assert tracker.sent[-1] == (4, {"loss": 1.0, "val_loss": 0.5, "epoch": 4})
    assert tracker.ended == ("finished", {"test/loss": 0.5}, ["metrics.json", "service.json"])


def test_a_resumed_run_has_the_same_id(tmp_path):
    Service(run_in(tmp_path)).on_begin(0)
    (tmp_path / "service.json").write_text('{"id": "mine"}')
    opened = []
    tracker = Service(run_in(tmp_path))
    tracker.open = lambda known: opened.append(known) or known
    tracker.on_begin(7)
    assert opened == ["mine"]


@pytest.mark.parametrize("breaks", ["open", "send"])
def test_a_service_that_fails_costs_a_line(tmp_path, caplog, breaks):
    tracker = Service(run_in(tmp_path), breaks)
    followed(tracker)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "callback.service sends nothing from here on" in caplog.text
    assert tracker.ended is None


def test_steps_are_sent_in_large_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(trackers, "MOST_POINTS", 10)
    tracker = Service(run_in(tmp_path))
    tracker.on_begin(0)
    for batch in range(1, 26):
        tracker.on_step(Step(batch, batch, 1.0))
    assert len(tracker.sent) == 20


def test_the_jobs_of_a_sweep_share_an_id(tmp_path):
    made = []

    def create():
        made.append(len(made))
        return f"parent {len(made)}"

    assert {shared_id(tmp_path / "x.json", create) for _ in range(3)} == {"parent 1"}


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_missing_package_is_three_lines(name, monkeypatch):
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda package: None)
    with pytest.raises(ConfigError) as caught:
        REGISTRY.create("callback", {"name": name}).check([])
    assert caught.value.fix == f"pip install 'xferlab[{name}]'"
    assert caught.value.where == f"callback.{name}"


def test_shipped_callbacks_keep_the_contract_of_a_users(tmp_path, monkeypatch):
    """They are observed as a stranger's plugin is: weights, answers, state."""
    checked = []
    check = CallbackList._check_state
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("xferlab.compatibility.is_own_plugin", lambda path: False)
    monkeypatch.setattr(
        CallbackList,
        "_check_state",
        lambda self, name, state: (checked.append(name), check(self, name, state)),
    )
    callbacks = "callback=[csv_steps,stop_when,print_samples]"
    words = [callbacks, "callback.stop_when.condition='val_loss > 1e9'", *SHORT]
    assert main(words) == 0
    assert {*checked} == {f"callback.{name}" for name in callbacks[10:-1].split(",")}
