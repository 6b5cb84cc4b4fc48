"""What holds for every built-in plugin, present and future."""

import ast
import dataclasses
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from xferlab import Budget, LabelKind, OutputKind, Task, TaskSpec, TextModel
from xferlab.registry import REGISTRY

ENTRIES = [entry for entry in REGISTRY if "/plugins/" in entry.origin]
IDS = [f"{entry.group}={entry.name}" for entry in ENTRIES]
BUDGET = Budget(epochs=4, steps_per_epoch=5, total_steps=20)
CLASSES = ("O", "B-PER", "I-PER", "B-LOC")
TASKS = {
    LabelKind.class_index: Task.single_label,
    LabelKind.multi_hot: Task.multi_label,
    LabelKind.float: Task.regression,
    LabelKind.token_tags: Task.token_classification,
}


def of(group: str):
    """Parametrize over the plugins of a group."""
    names = REGISTRY.names(group)
    return pytest.mark.parametrize("name", names)


def instance(entry):
    """Return the plugin with its defaults; a field without one gets a text."""
    needed = {"condition": "val_loss < 1"}
    values = {k: needed.get(k, "x") if v == "???" else v for k, v in entry.defaults().items()}
    return REGISTRY.create(entry.group, values)


@pytest.mark.parametrize("entry", ENTRIES, ids=IDS)
def test_path_is_what_is_typed(entry):
    path = Path(entry.origin.rpartition(":")[0])
    assert (path.parent.name, path.stem) == (entry.group, entry.name)
    assert entry.cls.__name__.lower() == entry.name.replace("_", "")


@pytest.mark.parametrize("entry", ENTRIES, ids=IDS)
def test_summary_is_one_short_sentence(entry):
    assert entry.summary.endswith(".")
    assert len(entry.summary) < 90


@pytest.mark.parametrize("entry", ENTRIES, ids=IDS)
def test_every_field_is_documented_in_its_order(entry):
    fields = [field.name for field in dataclasses.fields(entry.cls)]
    _, _, attributes = inspect.getdoc(entry.cls).partition("Attributes:\n")
    assert re.findall(r"^    (\w+): ", attributes, re.MULTILINE) == fields


@pytest.mark.parametrize("entry", ENTRIES, ids=IDS)
def test_defaults_build_an_equal_plugin(entry):
    assert instance(entry) == instance(entry)
    assert entry.cls.__dataclass_params__.frozen


@pytest.mark.parametrize("entry", ENTRIES, ids=IDS)
def test_heavy_libraries_are_imported_inside_functions(entry):
    source = Path(entry.origin.rpartition(":")[0]).read_text()
    heavy = r"^(?:import|from) (keras|tensorflow|keras_hub|numpy|scipy|sklearn|transformers)"
    assert not re.findall(heavy, source, re.MULTILINE)


@pytest.mark.parametrize("entry", ENTRIES, ids=IDS)
def test_a_plugin_fits_a_screen_or_two(entry):
    text = Path(entry.origin.rpartition(":")[0]).read_text()
    imports = [n for n in ast.parse(text).body if isinstance(n, ast.Import | ast.ImportFrom)]
    of_imports = sum((node.end_lineno or 0) - node.lineno + 1 for node in imports)
    assert len(text.splitlines()) - of_imports <= 120


def spec(labels: LabelKind, outputs: OutputKind) -> TaskSpec:
    classes = () if labels is LabelKind.float else CLASSES
    counts = (7, 2, 1, 0)[: len(classes)]
    return TaskSpec(TASKS[labels], classes, 10, 8, class_counts=counts, output_kind=outputs)


def example(labels: LabelKind, outputs: OutputKind, scale: float = 1.0):
    """Return labels and outputs of five rows."""
    random = np.random.default_rng(0)
    wanted = {
        LabelKind.class_index: np.array([0, 1, 2, 3, 0], "int32"),
        LabelKind.multi_hot: np.eye(4, dtype="float32")[[0, 1, 2, 3, 0]],
        LabelKind.float: random.normal(size=5).astype("float32"),
        LabelKind.token_tags: np.array([[0, 1, -1], [1, 2, 0], [3, -1, -1], [0, 0, 0], [-1] * 3]),
    }[labels]
    shape = {LabelKind.float: (5, 1), LabelKind.token_tags: (5, 3, 4)}.get(labels, (5, 4))
    found = scale * random.normal(size=shape)
    if outputs is OutputKind.probabilities:
        found = np.exp(found - found.max(-1, keepdims=True))
        found /= found.sum(-1, keepdims=True)
    return wanted.astype("int32" if labels is LabelKind.token_tags else wanted.dtype), found


def fed(group: str):
    """Parametrize over a group's plugins and all that they say they take."""
    return pytest.mark.parametrize(
        ("name", "labels", "outputs"),
        [
            (entry.name, labels, outputs)
            for entry in ENTRIES
            if entry.group == group
            for labels in entry.cls.accepts.labels
            for outputs in entry.cls.accepts.outputs
            if labels is not LabelKind.none  # of parts of a loss, not of labels
            if outputs is not OutputKind.embeddings  # tests/tasks/test_similarity.py
            # regression has values, everything else logits or probabilities
            if (labels is LabelKind.float) == (outputs is OutputKind.values)
        ],
    )


@fed("loss")
@pytest.mark.parametrize("scale", [1.0, 100.0])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_loss_and_gradient_are_finite(name, labels, outputs, scale, dtype):
    import tensorflow as tf

    loss = REGISTRY.create("loss", {"name": name}).build(spec(labels, outputs))
    wanted, found = example(labels, outputs, scale)
    found = tf.Variable(tf.cast(found, dtype))
    with tf.GradientTape() as tape:
        cost = loss(wanted, found)
    assert cost.shape == ()
    assert float(cost) >= 0
    gradient = tape.gradient(cost, found)
    assert np.isfinite(tf.cast(gradient, "float32")).all()
    if scale == 1.0:  # a probability that is exactly 0 or 1 has no slope
        assert np.abs(tf.cast(gradient, "float32")).max() > 0


@fed("loss")
def test_loss_of_two_batches_is_the_mean_of_theirs(name, labels, outputs):
    """No row looks at another, so a batch twice over costs what it costs once."""
    loss = REGISTRY.create("loss", {"name": name}).build(spec(labels, outputs))
    wanted, found = example(labels, outputs)
    twice = loss(np.concatenate([wanted, wanted]), np.concatenate([found, found]))
    assert float(twice) == pytest.approx(float(loss(wanted, found)), rel=1e-6)


@fed("loss")
def test_loss_is_traced_once_for_all_shapes(name, labels, outputs):
    import tensorflow as tf

    loss = REGISTRY.create("loss", {"name": name}).build(spec(labels, outputs))
    wanted, found = example(labels, outputs)
    wanted_shape = (
        [None] * wanted.ndim if labels is LabelKind.token_tags else [None, *wanted.shape[1:]]
    )
    found_shape = [None] * (found.ndim - 1) + [found.shape[-1]]
    traced = tf.function(
        loss,
        input_signature=[
            tf.TensorSpec(wanted_shape, wanted.dtype),
            tf.TensorSpec(found_shape, "float32"),
        ],
    )
    found = found.astype("float32")
    for rows in (5, 3, 1):
        eager = float(loss(wanted[:rows], found[:rows]))
        assert float(traced(wanted[:rows], found[:rows])) == pytest.approx(eager, rel=1e-6)


@fed("metric")
def test_metric_is_a_finite_number(name, labels, outputs):
    plugin = REGISTRY.create("metric", {"name": name})
    assert plugin.mode in ("max", "min")
    metric = plugin.build(spec(labels, outputs))
    wanted, found = example(labels, outputs)
    if hasattr(metric, "update_state"):
        metric.update_state(wanted, found)
        assert np.isfinite(float(metric.result()))
    else:
        value = metric(wanted, found)
        assert type(value) is float
        assert np.isfinite(value)


@fed("metric")
def test_a_perfect_model_has_the_best_score(name, labels, outputs):
    plugin = REGISTRY.create("metric", {"name": name})
    metric = plugin.build(spec(labels, outputs))
    wanted, _ = example(labels, outputs)
    found = wanted[:, None] if labels is LabelKind.float else wanted
    if labels in (LabelKind.class_index, LabelKind.token_tags):
        found = np.eye(4)[np.maximum(wanted, 0)]
    if outputs is OutputKind.logits:
        found = 100.0 * (2 * found - 1)
    if hasattr(metric, "update_state"):
        metric.update_state(wanted, found)
        value = float(metric.result())
    else:
        value = metric(wanted, found)
    assert value == pytest.approx(1.0 if plugin.mode == "max" else 0.0)


@of("schedule")
def test_schedule_is_a_rate_at_every_step(name):
    built = REGISTRY.create("schedule", {"name": name}).build(0.5, BUDGET)
    rates = [built if isinstance(built, float) else float(built(k)) for k in range(25)]
    assert all(0 <= rate <= 0.5 for rate in rates)
    assert max(rates) == 0.5
    assert len({*rates[19:]}) == 1  # it keeps the last rate


@of("optimizer")
def test_optimizer_takes_the_rate_and_the_schedule_it_is_given(name):
    import keras

    plugin = REGISTRY.create("optimizer", {"name": name})
    assert plugin.lr > 0
    assert float(plugin.build(0.25).learning_rate) == 0.25
    schedule = REGISTRY.create("schedule", {"name": "linear", "warmup": 0}).build(0.5, BUDGET)
    optimizer = plugin.build(schedule)
    assert isinstance(optimizer, keras.optimizers.Optimizer)
    assert float(optimizer.learning_rate) == 0.5
    again = type(optimizer).from_config(optimizer.get_config())
    assert float(again.learning_rate) == 0.5


@of("transfer")
def test_phases_fill_the_run_and_name_blocks_that_exist(name):
    import keras

    inputs = keras.Input((4,))
    body = keras.layers.Dense(3, name="query")(inputs)
    outputs = keras.layers.Dense(2, name="head")(keras.layers.Dense(3, name="value")(body))
    network = keras.Model(inputs, outputs)
    blocks = {"lower": ("query",), "upper": ("value",), "head": ("head",)}
    model = TextModel(network, tokenizer=None, blocks=blocks)
    plan = REGISTRY.create("transfer", {"name": name}).apply(model, BUDGET)
    assert sum(phase.epochs for phase in plan.phases) == BUDGET.epochs
    assert all(phase.epochs >= 1 for phase in plan.phases)
    for phase in plan.phases:
        assert set(phase.frozen) < set(blocks)
        assert "head" not in phase.frozen
    assert set(plan.rates) <= set(blocks)
    assert plan.rates.get("head", 1.0) == 1.0
    assert network.get_layer("head").trainable_variables
