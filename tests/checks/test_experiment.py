"""What an inspection leaves alone, what it only notes, and that no honest plugin is accused."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest

from tests.checks.test_combinations import recipe_of
from tests.support import violating_plugins
from xferlab import Budget, ConfigError, OutputKind, Phase, Task, TaskSpec, TransferPlan
from xferlab.checks.data import check_data
from xferlab.checks.experiment import check_planned_rates, inspect
from xferlab.checks.loss import check_loss
from xferlab.checks.metric import check_metric
from xferlab.compatibility import fits
from xferlab.config.recipe import fitted_to
from xferlab.discovery import load_plugins
from xferlab.registry import REGISTRY
from xferlab.tasks.base import TASKS
from xferlab.training.assemble import assemble
from xferlab.training.summary import planned_rates

load_plugins(Path("/nonexistent"))
# The settings under which an honest loss or metric is oddest.
SETTINGS = {
    "label_smoothing": [0.9],
    "class_weight": [None, {"c0": 0.0}],
    "gamma": [0.5, 5.0],
    "beta": [0.9999],
    "alpha": [None, 0.05],
    "delta": [0.01, 50.0],
    "bins": [1, 100],
    "k": [1, 3],
    "average": ["macro", "micro", "weighted", "binary"],
}
EMITTED = {Task.regression: [OutputKind.values]}
CLASS_COUNTS = {Task.regression: [0], Task.multi_label: [1, 28], Task.token_classification: [5]}
STARS = {
    "uneven": np.random.default_rng(0).normal(3, 2, 200).astype("float32"),
    "two": np.array([0, 5] * 20, "float32"),
    "all alike": np.full(10, 2.5, "float32"),
    "huge": np.linspace(0, 1e6, 50).astype("float32"),
}
SPECS = [
    TaskSpec(task, tuple(f"c{i}" for i in range(size)), 50, 32, False, (5,) * size, output_kind)
    for task in TASKS.values()
    if task.has_labels and not task.encodes_texts_apart
    for size in CLASS_COUNTS.get(task, [2, 77])
    for output_kind in EMITTED.get(task, [OutputKind.logits, OutputKind.probabilities])
]


def questions(group: str):
    """Yield every setting of every built-in plugin with the specs that it fits."""
    for entry, spec in itertools.product(REGISTRY, SPECS):
        if entry.group != group or "/plugins/" not in entry.origin or not fits(entry.cls, spec):
            continue
        if entry.name == "entity_f1":
            tags = ("O", *(f"{'BI'[i % 2]}-T{i // 2}" for i in range(spec.num_classes - 1)))
            spec = dataclasses.replace(spec, class_names=tags)
        fields = [field.name for field in dataclasses.fields(entry.cls)]
        for values in itertools.product(*(SETTINGS[field] for field in fields)):
            try:
                plugin = entry.cls(**dict(zip(fields, values, strict=True)))
                yield entry.name, plugin, plugin.build(spec), spec
            except (ValueError, ConfigError):
                continue  # the setting does not suit the task, which is said


def labels_for(spec: TaskSpec):
    return STARS.values() if spec.task is Task.regression else [None]


def test_no_built_in_loss_is_accused():
    found = [
        (name, plugin, spec, contract_violation)
        for name, plugin, loss, spec in questions("loss")
        for labels in labels_for(spec)
        if (contract_violation := check_loss(loss, spec, labels))
    ]
    assert found == []


def test_no_built_in_metric_is_accused():
    found = [
        (name, plugin, spec, contract_violation)
        for name, plugin, metric, spec in questions("metric")
        for labels in labels_for(spec)
        if (contract_violation := check_metric(metric, plugin.mode, spec, labels))
    ]
    assert found == []


@pytest.mark.parametrize("name", [e.name for e in REGISTRY if e.group == "schedule"])
@pytest.mark.parametrize("total", [1, 2, 3, 5, 100])
def test_no_built_in_schedule_is_accused(name, total):
    budget = Budget(1, total, total)
    rates = REGISTRY.get("schedule", name).cls().build(2e-5, budget)
    assert check_planned_rates(planned_rates(rates, total)) is None


def test_a_schedule_may_end_shortly_before_the_run_but_not_long_before():
    rates = np.ones(100, "float32")
    rates[60:] = 0
    assert check_planned_rates(rates) is None
    rates[59] = 0
    what, _ = check_planned_rates(rates)
    assert what == "ends early: from step 60 of 100 the rate is 0"


@pytest.fixture
def assembled(tmp_path, monkeypatch):
    monkeypatch.setenv("XFERLAB_CACHE", str(tmp_path))

    def build(command: str):
        names = {word.partition("=")[2] for word in command.split()} | {"words"}
        with violating_plugins.registered(names):
            recipe = recipe_of(command)
            data = recipe.data.build(0)
            check_data(recipe.data, data)
            recipe = fitted_to(recipe, data.spec.task)
            return recipe, assemble(recipe, data)

    return build


def test_an_inspection_puts_back_what_it_tries(assembled):
    recipe, experiment = assembled("data=single_label model=small_positive_logits metric=accuracy")
    before = [np.array(w) for w in experiment.model.network.weights]
    assert inspect(experiment, recipe, np.ones(2)) == []
    after = [np.array(w) for w in experiment.model.network.weights]
    assert all((a == b).all() for a, b in zip(before, after, strict=True))
    accuracy = experiment.metrics["accuracy"]
    assert float(accuracy.result()) == 0
    assert not experiment.optimizer.built


def test_an_inspection_draws_nothing_from_the_runs_random_numbers(assembled):
    import keras

    recipe, experiment = assembled("data=single_label model=small_positive_logits")
    keras.utils.set_random_seed(0)
    expected = np.random.rand(), float(keras.random.uniform(()))
    keras.utils.set_random_seed(0)
    inspect(experiment, recipe, np.ones(2))
    assert (np.random.rand(), float(keras.random.uniform(()))) == expected


def _pretrained(experiment, **changes):
    model = dataclasses.replace(experiment.model, origin={"pretrained": True})
    return dataclasses.replace(experiment, model=model, **changes)


@pytest.mark.parametrize(
    ("peak", "plan", "noted"),
    [
        (1e-3, TransferPlan((Phase(1),)), True),
        (9e-4, TransferPlan((Phase(1),)), False),
        (1e-3, TransferPlan((Phase(1, ("embeddings",)),)), False),
        (1e-3, TransferPlan((Phase(1),), {"embeddings": 0.1}), False),
    ],
    ids=["in full", "lower", "frozen", "at a tenth"],
)
def test_a_pretrained_encoder_at_a_high_rate_is_noted(assembled, peak, plan, noted):
    recipe, experiment = assembled("data=single_label")
    notes = inspect(_pretrained(experiment, plan=plan), recipe, np.full(2, peak, "float32"))
    assert any("1e-5 to 5e-5 is usual" in note for note in notes) is noted


@pytest.mark.parametrize("optimizer", ["sgd", "adafactor", "lamb"])
def test_an_optimizer_of_other_rates_is_not_noted(assembled, optimizer):
    recipe, experiment = assembled(f"data=single_label optimizer={optimizer}")
    assert inspect(_pretrained(experiment), recipe, np.full(2, 0.01)) == []


def test_a_block_that_learns_at_rate_0_is_noted(assembled):
    recipe, experiment = assembled("data=single_label")
    plan = TransferPlan((Phase(1),), {"embeddings": 0.0})
    notes = inspect(dataclasses.replace(experiment, plan=plan), recipe, np.ones(2))
    assert notes == ["embeddings has the learning rate 0 without being frozen, which costs time"]
