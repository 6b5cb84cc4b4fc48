"""The combinations of docs/combinations.md: wrong ones get their message, right ones train.

The page's tables are the cases: what is typed there is built here from plugins.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from tests.support import violating_plugins
from tests.support.tiny_checkpoints import write_tiny_checkpoint
from xferlab.callbacks import Callback
from xferlab.checks.data import check_data
from xferlab.checks.experiment import inspect
from xferlab.cli.main import main
from xferlab.config.recipe import Recipe, fitted_to, monitored
from xferlab.config.schema import TrainConfig
from xferlab.errors import ConfigError, PluginError
from xferlab.groups import GROUPS
from xferlab.registry import REGISTRY
from xferlab.training.assemble import assemble
from xferlab.training.loop import fit
from xferlab.training.summary import planned_rates

PAGE = Path(__file__).resolve().parents[2] / "docs" / "combinations.md"
ROW = re.compile(r"^\| `(.+?)` \| (.+?) \|(?: (.+?) \|)?$", re.MULTILINE)
WRONG_PART, RIGHT_PART = PAGE.read_text().split("\n## What trains\n")
WRONG = {command: (what, fix) for command, what, fix in ROW.findall(WRONG_PART)}
RIGHT = {command: meaning for command, meaning, _ in ROW.findall(RIGHT_PART)}
DEFAULTS = {
    "model": "words",
    "loss": "auto",
    "optimizer": "adamw",
    "schedule": "constant",
    "transfer": "full",
}


class Steps(Callback):
    """Counts the training steps that were done."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_step(self, step: Any) -> None:
        self.losses.append(step.loss)


@pytest.fixture(autouse=True, scope="module")
def built_in(tmp_path_factory):
    import tensorflow as tf

    patch = pytest.MonkeyPatch()
    patch.setenv("XFERLAB_CACHE", str(tmp_path_factory.mktemp("tokens")))
    tf.config.run_functions_eagerly(True)  # two steps are not worth a trace
    yield
    tf.config.run_functions_eagerly(False)
    patch.undo()


def recipe_of(command: str) -> Recipe:
    """Return the recipe of a few words, read as the command line would."""
    overrides = [f"{group}.name={name}" for group, name in DEFAULTS.items()]
    for word in command.split():
        key, _, value = word.partition("=")
        overrides.append(f"{key}.name={value}" if key in GROUPS else word)
    nodes = OmegaConf.to_container(OmegaConf.from_dotlist(overrides))
    train = TrainConfig(batch_size=6, **nodes.pop("train", {"max_steps": 2}))
    metric = nodes.pop("metric", None)
    parts = {group: REGISTRY.create(group, node) for group, node in nodes.items()}
    metrics = {metric["name"]: REGISTRY.create("metric", metric)} if metric else {}
    groups = [group for group in GROUPS.values() if group.may_be_absent]
    absent = {group.name: {} if group.holds_several else None for group in groups}
    parts = {**absent, **parts, "metric": metrics}
    monitor, mode = monitored("loss", metrics)
    return Recipe(
        parts,
        train=train,
        seed=0,
        monitor=monitor,
        mode=mode,
        config={},
        run_id="",
    )


def attempt(command: str, steps: Steps) -> dict[str, float]:
    """Do what a run does, without its folder; return the scores."""
    recipe = recipe_of(command)
    data = recipe.data.build(recipe.seed)
    check_data(recipe.data, data)
    recipe = fitted_to(recipe, data.spec.task)
    experiment = assemble(recipe, data)
    rates = planned_rates(experiment.learning_rate, experiment.budget.total_steps)
    inspect(experiment, recipe, rates)
    fit(experiment, [steps])
    return experiment.evaluate("validation")


def names_in(command: str) -> set[str]:
    return {word.partition("=")[2] for word in command.split()} | {"words"}


def test_the_tables_are_as_long_as_they_should_be():
    assert len(WRONG) >= 30
    assert len(RIGHT) >= 30
    command = set().union(*map(names_in, [*WRONG, *RIGHT]))
    assert {name for _, name in violating_plugins.PLUGINS} <= command


@pytest.mark.parametrize("command", WRONG)
def test_a_wrong_combination_gets_its_message_before_the_first_step(command):
    steps = Steps()
    with (
        violating_plugins.registered(names_in(command)),
        pytest.raises((ConfigError, PluginError)) as caught,
    ):
        attempt(command, steps)
    error = caught.value
    assert (error.what, error.fix) == WRONG[command]
    assert steps.losses == []
    if isinstance(error, ConfigError):
        assert error.where.partition(".")[0] in GROUPS
    elif error.where != "model":
        assert Path(error.where.rpartition(":")[0]) == Path(violating_plugins.__file__)
        assert any(error.what.startswith(f"{word} ") for word in command.split())


@pytest.mark.parametrize("command", RIGHT)
def test_a_right_combination_trains(command):
    import math

    import keras

    keras.utils.set_random_seed(0)
    steps = Steps()
    with violating_plugins.registered(names_in(command)):
        scores = attempt(command, steps)
    assert len(steps.losses) >= 2
    assert all(map(math.isfinite, [*steps.losses, *scores.values()]))


# -- every kind of task, from a file to metrics.json, with an encoder -----------------------------

TABLES: dict[str, list[dict[str, str]]] = {
    "single_label": [{"label": "good"}, {"label": "bad"}],
    "multi_label": [{"label": "plot|cast"}, {"label": ""}, {"label": "cast"}],
    "regression": [{"label": "4.5"}, {"label": "0.25"}, {"label": "2.0"}],
    "token_classification": [{"label": "O B-X I-X"}, {"label": "B-Y O O"}],
}
SCORES = {
    "single_label": {"accuracy"},
    "multi_label": {"micro_f1", "macro_f1"},
    "regression": {"pearson", "spearman"},
    "token_classification": {"entity_f1"},
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_tiny_checkpoint(tmp_path_factory.mktemp("tiny"), layers=1)


@pytest.mark.parametrize(
    ("task", "pairs"),
    [
        *(pytest.param(task, False, marks=pytest.mark.slow) for task in TABLES),
        ("regression", True),
    ],
)
def test_every_kind_of_task_trains_from_a_file(task, pairs, checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        {"text": "the good film", "other": "a poor plot", **TABLES[task][i % len(TABLES[task])]}
        for i in range(12)
    ]
    for name in ("rows", "new"):
        with Path(f"{name}.csv").open("w") as stream:
            table = csv.DictWriter(stream, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
        rows = [row | {"text": f"a {row['text'].removeprefix('the ')}"} for row in rows]
    overrides = [
        "data=files",
        "data.train=rows.csv",
        "data.validation=new.csv",
        f"data.task={task}",
    ]
    overrides += ["data.pair=other"] if pairs else []
    overrides += ["model=encoder", f"model.checkpoint={checkpoint}", "train.max_steps=2"]
    assert main([*overrides, "data.max_length=16", "train.batch_size=6"]) == 0
    (metrics,) = Path("outputs/runs").glob("*/metrics.json")
    assert set(json.loads(metrics.read_text())["validation"]) == SCORES[task] | {"loss"}


LIAR = '''
from dataclasses import dataclass
from typing import ClassVar

from xferlab import OutputKind, LabelKind, Accepts, register


@register("loss", "by_name")
@dataclass(frozen=True)
class ByName:
    """Keras' loss by its name, which takes probabilities."""

    accepts: ClassVar[Accepts] = Accepts((OutputKind.logits,), (LabelKind.class_index,))

    def build(self, spec):
        import keras

        return keras.losses.get("sparse_categorical_crossentropy")
'''


def test_a_run_with_a_lying_plugin_ends_before_the_first_step(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "plugins" / "loss" / "by_name.py"
    file.parent.mkdir(parents=True)
    file.write_text(LIAR)
    assert main(["debug=one_batch", "model=bag_of_embeddings", "loss=by_name"]) == 2
    error = capsys.readouterr().err
    assert "loss=by_name" in error
    assert f"where: {file}:" in error
    assert not list(Path("outputs/runs").glob("*/history.csv"))
