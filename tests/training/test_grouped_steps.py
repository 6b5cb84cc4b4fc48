"""Steps of a head on features, several in one call of the graph: the same bits as one by one."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from tests.support.tiny_checkpoints import write_tiny_checkpoint
from xferlab.backend.process import prepare_backend
from xferlab.callbacks import Callback
from xferlab.config.compose import compose_config, publish
from xferlab.config.recipe import fitted_to, read
from xferlab.config.schema import Interval
from xferlab.discovery import load_plugins
from xferlab.runs.signals import Interrupted, StopRequest
from xferlab.training import loop, phase_network
from xferlab.training.assemble import Experiment, assemble
from xferlab.training.callback_list import CallbackList, Plugin
from xferlab.training.checkpointing import FolderCheckpointer
from xferlab.training.loop import AT_ONCE, fit

COMMON = [
    "data=files",
    "data.max_length=16",
    "model=encoder",
    "optimizer.lr=1e-2",
    "train.batch_size=8",
    "train.epochs=2",
    "train.precision=float32",
    "transfer=frozen",
]
BATCHES = 23
"""An epoch's: a whole group, a part of one, and 4 examples in the last batch."""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grouped")
    write_tiny_checkpoint(folder / "bert", "bert", layers=1)
    random = np.random.default_rng(0)
    for split, size in (("train", 8 * BATCHES - 4), ("validation", 16)):
        texts = [" ".join(random.choice(["good", "bad", "film", "the"], 5)) for _ in range(size)]
        rows = [
            {"text": text, "label": "01"["good" in text], "weight": 1 + i % 3}
            for i, text in enumerate(texts)
        ]
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    load_plugins(folder)
    publish(folder)
    return folder


@pytest.fixture(autouse=True)
def cache(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XFERLAB_CACHE", str(workspace / "cache"))


def experiment_of(workspace: Path, *overrides: str) -> Experiment:
    data = [f"data.{split}={workspace}/{split}.jsonl" for split in ("train", "validation")]
    model = f"model.checkpoint={workspace}/bert"
    recipe = read(compose_config([*COMMON, *data, model, *overrides]))
    rows = recipe.data.build(recipe.seed)
    prepare_backend(recipe.seed, recipe.train.precision.value, recipe.train.deterministic)
    return assemble(fitted_to(recipe, rows.spec.task), rows)


class Losses(Callback):
    """Keeps the loss of every batch, and the sum of the head's weights at that time."""

    def __init__(self, network) -> None:
        self.losses: list[float] = []
        self.sums: list[float] = []
        self._network = network

    def on_step(self, step) -> None:
        self.losses.append(step.loss)
        self.sums.append(float(sum(np.abs(each).sum() for each in self._network.get_weights())))


def trained(workspace: Path, *overrides: str, is_users: bool = False) -> tuple:
    """Train; return what is followed in each batch, and every variable."""
    experiment = experiment_of(workspace, *overrides)
    losses = Losses(experiment.model.network)
    plugin = Plugin("callback=losses", "losses.py:1", lambda: losses)
    fit(experiment, CallbackList({"losses": losses}, {"losses": plugin} if is_users else {}))
    variables = [*experiment.model.network.variables, *experiment.optimizer.variables]
    return losses, [np.array(variable) for variable in variables]


def assert_same(found: tuple, wanted: tuple) -> None:
    assert found[0].losses == wanted[0].losses
    for one, other in zip(found[1], wanted[1], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param([], marks=pytest.mark.slow),
        ["train.gradient_accumulation_steps=2", "data.weight=weight"],
        ["train.precision=mixed_bfloat16", "optimizer=lion"],
        ["train.precision=mixed_float16", "schedule=constant"],
        pytest.param(
            ["train.max_steps=30", "loss=focal", "metric=[accuracy,f1]"], marks=pytest.mark.slow
        ),
    ],
)
def test_groups_train_as_single_steps_of_keras_do(workspace, monkeypatch, overrides):
    grouped = trained(workspace, *overrides)
    assert len(set(grouped[0].sums)) <= 5  # the weights change between calls alone
    monkeypatch.setattr(loop, "AT_ONCE", 1)
    assert_same(trained(workspace, *overrides), grouped)
    monkeypatch.setattr(phase_network, "SMALL_STEP", 0)
    assert_same(trained(workspace, *overrides), grouped)


def test_a_users_callback_sees_the_weights_of_its_step(workspace, monkeypatch):
    grouped = trained(workspace)
    single = trained(workspace, is_users=True)
    assert_same(single, grouped)
    assert len(set(single[0].sums)) == 2 * BATCHES - 1  # the last step has the rate 0
    monkeypatch.setattr(phase_network, "SMALL_STEP", 0)
    assert trained(workspace)[0].sums == single[0].sums


@pytest.mark.parametrize(
    "batch", [3, *(pytest.param(b, marks=pytest.mark.slow) for b in (AT_ONCE, BATCHES + 1))]
)
def test_a_run_stopped_in_an_epoch_resumes_with_the_same_bits(workspace, tmp_path, batch):
    class StopAt(Callback):
        def on_step(self, step) -> None:
            if step.batch == batch:
                stop.number = signal.SIGTERM

    def checkpointer() -> FolderCheckpointer:
        return FolderCheckpointer(tmp_path, [], Interval(), 1, {}, stop)

    (tmp_path / "status.json").write_text("{}")
    stop = StopRequest()
    with pytest.raises(Interrupted):
        fit(experiment_of(workspace), [StopAt()], checkpointer())
    stop = StopRequest()
    assert checkpointer().start.batch in (AT_ONCE, BATCHES, BATCHES + AT_ONCE)
    experiment = experiment_of(workspace)
    fit(experiment, [], checkpointer())
    wanted = trained(workspace)[1]
    variables = [*experiment.model.network.variables, *experiment.optimizer.variables]
    for found, expected in zip(variables, wanted, strict=True):
        np.testing.assert_array_equal(np.array(found), expected)


def test_an_interval_of_steps_is_kept(workspace, tmp_path):
    (tmp_path / "status.json").write_text("{}")
    saved = []

    class Noted(FolderCheckpointer):
        def _save(self, network, state) -> None:
            saved.append(state.batch)

    checkpointer = Noted(tmp_path, [], Interval(steps=5), 1, {}, StopRequest())
    fit(experiment_of(workspace), [], checkpointer)
    assert {5, 10, 15, 20, 25} <= set(saved)


def test_an_average_takes_the_weights_of_every_step(workspace, monkeypatch):
    grouped = trained(workspace, "average=ema")
    monkeypatch.setattr(phase_network, "SMALL_STEP", 0)
    assert_same(trained(workspace, "average=ema"), grouped)
