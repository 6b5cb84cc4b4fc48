"""Checks of what a plugin builds, group by group, without a training.

What a run checks before its first step is checked by the same functions (:mod:`xferlab.checks`).
Beside them: promises that need a second call, such as the same value twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from xferlab.checks.data import check_data
from xferlab.checks.experiment import check_planned_rates
from xferlab.checks.loss import check_loss, check_weighted_loss, loss_value
from xferlab.checks.metric import check_metric, metric_value
from xferlab.checks.postprocess import check_postprocess
from xferlab.checks.probe_batch import ContractViolation
from xferlab.compatibility import check_declarations, fits
from xferlab.contracts import Budget, LabelKind, OutputKind, Task, TaskSpec, TextModel
from xferlab.errors import ConfigError
from xferlab.postprocessing.fit import refuse_postprocess
from xferlab.registry import REGISTRY
from xferlab.tasks.base import TASKS
from xferlab.testing.finding import Finding, Subject
from xferlab.testing.tiny_parts import TinyData, tiny_spec
from xferlab.training.summary import planned_rates

BUDGET = Budget(epochs=2, steps_per_epoch=10, total_steps=20)
ENCODER_LAYERS = 3
"""Of the bundled encoder, with which heads are tried."""
ONCE = "keep no state, and take random numbers of a fixed seed"
Problems = Iterator[ContractViolation | None]


def built_findings(subject: Subject, plugin: Any, folder: Path) -> Iterator[Finding]:
    """Yield what is wrong with what a plugin builds.

    Args:
        subject: the plugin.
        plugin: its instance.
        folder: empty, for what a model keeps.
    """
    if subject.entry.group == "model":
        problems = _model_problems(plugin, folder)
    else:
        problems = PROBLEMS.get(subject.entry.group, _no_problems)(plugin)
    for problem in problems:
        if problem is not None:
            yield subject.finding(*problem)


def settings_of(plugin: Any) -> list[tuple[Task, OutputKind]]:
    """Return the tasks and kinds of outputs to try a plugin with; what it accepts, if it says so.

    Tasks without labels of their own, and those of two texts apart, have no made-up examples.
    """
    found = []
    for task in TASKS.values():
        if task.has_labels and not task.encodes_texts_apart:
            usual = tiny_spec(task).head_output_kind
            kinds = [usual] if usual is OutputKind.values else [usual, OutputKind.probabilities]
            found += [(task, kind) for kind in kinds if _fits(plugin, tiny_spec(task, kind))]
    return found


def reason_not_to_train(group: str, plugin: Any) -> str:
    """Return why a plugin is not trained with the made-up examples; empty if it is."""
    if getattr(plugin, "masks_tokens", False) or not settings_of(plugin):
        return _refusal(plugin) or "no made-up examples are of its tasks"
    if group == "callback" and hasattr(plugin, "check"):
        try:
            plugin.check(["loss", "val_loss"])
        except ConfigError as e:  # a package that is not installed, a score of other runs
            return e.what
    if hasattr(plugin, "reads"):
        layers = plugin.reads(tiny_spec(TASKS["single_label"])).layers
        if layers > ENCODER_LAYERS:
            return f"it reads {layers} layers, and the encoder of the checks has {ENCODER_LAYERS}"
    return ""


def _refusal(plugin: Any) -> str:
    """Return what a plugin says of a task that it declares to accept; empty without one."""
    spec = tiny_spec(TASKS["single_label"])
    if not hasattr(plugin, "accepts") or not fits(plugin, spec):
        return ""
    try:
        _check_itself(plugin, spec)
    except ConfigError as e:
        return e.what
    return ""


def _fits(plugin: Any, spec: TaskSpec) -> bool:
    """Return whether a plugin accepts a task; one that declares nothing takes the usual."""
    if not hasattr(plugin, "accepts"):
        return spec.task.name == "single_label" and spec.output_kind is OutputKind.logits
    if not fits(plugin, spec):
        return False
    try:
        _check_itself(plugin, spec)
    except ConfigError:
        return False
    return True


def _check_itself(plugin: Any, spec: TaskSpec) -> None:
    """Raise the ConfigError of a metric or a postprocess that refuses a task."""
    if hasattr(plugin, "check") and hasattr(plugin, "mode"):  # a metric
        plugin.check(spec)
    if hasattr(plugin, "fit"):
        labels = TinyData(spec.task).build(0).validation.labels
        refuse_postprocess({"tried": plugin}, spec, labels)


def declared_wrongly(subject: Subject, plugin: Any) -> None:
    """Raise PluginError for what is declared outside of the contract."""
    if hasattr(plugin, "accepts"):
        spec = tiny_spec(TASKS["single_label"], OutputKind.logits)
        check_declarations(subject.entry.group, plugin, spec, REGISTRY)


def _no_problems(plugin: Any) -> Problems:
    yield from ()


def _examples(task: Task, kind: OutputKind) -> tuple[TaskSpec, Any, Any]:
    """Return a spec, and labels and outputs of a batch of it."""
    import numpy as np

    spec = tiny_spec(task, kind)
    labels = TinyData(task).build(0).train.labels[:6]
    length = 1
    if task.is_per_word:
        length = max(map(len, labels))
        labels = np.stack([np.pad(y, (0, length - len(y)), constant_values=-1) for y in labels])
    shape = (6, length, spec.num_outputs) if task.is_per_word else (6, spec.num_outputs)
    outputs = np.random.default_rng(3).normal(size=shape)
    if kind is OutputKind.probabilities:
        outputs = 1 / (1 + np.exp(-outputs))
        outputs = outputs / outputs.sum(-1, keepdims=True) if task.is_exclusive else outputs
    return spec, np.asarray(labels), outputs.astype("float32")


def _loss_problems(plugin: Any) -> Problems:
    import numpy as np

    for task, kind in settings_of(plugin):
        spec, labels, outputs = _examples(task, kind)
        loss = plugin.build(spec)
        if not callable(loss):
            yield f"builds a {type(loss).__name__}, not a loss", "return a keras.losses.Loss"
            return
        yield check_loss(loss, spec, TinyData(task).build(0).train.labels)
        values = [loss_value(loss, labels, outputs) for _ in range(2)]
        values.append(loss_value(plugin.build(spec), labels, outputs))
        if len(set(values)) > 1:
            yield "gives another value for the same batch", ONCE
        if kind is OutputKind.logits and not np.isfinite(loss_value(loss, labels, 50 * outputs)):
            what = "is not finite for logits of a confident model (50 times as large)"
            yield what, "take ops.log_softmax or ops.logsumexp, not the logarithm of a softmax"
        if not getattr(plugin, "needs_whole_batch", False):
            weights = np.linspace(0.2, 1.8, len(labels), dtype="float32")
            yield check_weighted_loss(loss, labels, outputs, weights)
        if getattr(plugin, "accepts_soft_labels", False):
            yield from _soft_label_problems(loss, task, labels, outputs)


def _soft_label_problems(loss: Any, task: Task, labels: Any, outputs: Any) -> Problems:
    """Yield a problem where the loss of soft labels is not the mean of that of hard ones."""
    import numpy as np

    wanted = loss_value(loss, labels, outputs)
    if task.label_kind is LabelKind.class_index:
        soft = np.eye(outputs.shape[-1], dtype="float32")[labels]
        what = "declares accepts_soft_labels, but differs for labels of probability 1"
        fix = "take ops.sum(labels * log_p, axis=-1), or remove the declaration"
    elif task.label_kind is LabelKind.multi_hot:
        soft = 0.75 * labels + 0.25 * (1 - labels)
        wanted = 0.75 * wanted + 0.25 * loss_value(loss, 1 - labels, outputs)
        what = "declares accepts_soft_labels, but is not the mean over present and absent labels"
        fix = "take labels * present + (1 - labels) * absent, or remove the declaration"
    else:
        return
    if not np.isclose(loss_value(loss, soft, outputs), wanted, rtol=1e-3):
        yield what, fix


def _metric_problems(plugin: Any) -> Problems:
    import numpy as np

    for task, kind in settings_of(plugin):
        spec, labels, outputs = _examples(task, kind)
        metric = plugin.build(spec)
        if not (callable(metric) or hasattr(metric, "update_state")):
            what = f"builds a {type(metric).__name__}, neither a function nor a Keras metric"
            yield what, "return a function of (labels, outputs)"
            return
        given = (labels.copy(), outputs.copy())
        value = metric_value(metric, *given)
        if not (np.array_equal(given[0], labels) and np.array_equal(given[1], outputs)):
            yield "changes the arrays that it is given", "copy an array before it is changed"
            return
        yield check_metric(metric, plugin.mode, spec, TinyData(task).build(0).train.labels)
        again = [metric_value(metric, labels, outputs), metric_value(plugin.build(spec), *given)]
        if [value, value] != again and value == value:
            yield "gives another score for the same split", ONCE
        yield _other_forms(metric, value, labels, outputs)
        low, high = getattr(plugin, "bounds", (-np.inf, np.inf))
        if not (low <= value <= high or value != value):
            yield f"declares bounds=({low:g}, {high:g}) and is {value:.4g}", "correct the bounds"


def _other_forms(metric: Any, value: float, labels: Any, outputs: Any) -> ContractViolation | None:
    """Return the violation of a metric whose other forms give another score."""
    import numpy as np

    if hasattr(metric, "resampled"):
        scored = metric.resampled(labels, outputs)
        weights = np.ones((1, getattr(scored, "size", len(labels))), "float32")
        found = float(np.ravel(scored(weights))[0])
        if not np.isclose(found, value, rtol=1e-4, equal_nan=True):
            what = f"scores {found:.4g} by resampled() with weights of 1, and {value:.4g} itself"
            return what, "compute the same score of weighted examples"
    if hasattr(metric, "as_keras"):
        found = metric_value(metric.as_keras(), labels, outputs)
        if not np.isclose(found, value, rtol=1e-4, equal_nan=True):
            what = f"scores {found:.4g} by as_keras(), and {value:.4g} itself"
            return what, "compute the same score in both"
    return None


def _schedule_problems(plugin: Any) -> Problems:
    import numpy as np

    built = plugin.build(0.5, BUDGET)
    if not (isinstance(built, float) or callable(built)):
        what = f"builds a {type(built).__name__}, neither a rate nor a Keras schedule"
        yield what, "return warmup_then(...), tabulated(...) or a float"
        return
    rates = planned_rates(built, BUDGET.total_steps)
    yield check_planned_rates(rates)
    if rates.max() > 0.5 * 1.001:
        what = f"plans the rate {rates.max():.3g}, above the peak 0.5 that it is given"
        yield what, "let peak be the largest rate"
    again = planned_rates(built, BUDGET.total_steps)
    other = planned_rates(plugin.build(0.5, BUDGET), BUDGET.total_steps)
    if not (np.array_equal(rates, again) and np.array_equal(rates, other)):
        yield "plans other rates each time", ONCE
    if hasattr(plugin, "react"):
        reactions = [plugin.react(0.5, [0.1, 0.2], "max") for _ in range(2)]
        if not isinstance(reactions[0], float) or reactions[0] != reactions[1]:
            yield f"reacts with {reactions[0]!r}", "return the same float for the same values"


def _optimizer_problems(plugin: Any) -> Problems:
    import keras

    if not isinstance(getattr(plugin, "lr", None), float | int) or not plugin.lr > 0:
        yield f"has lr={getattr(plugin, 'lr', None)!r}", "add the field  lr: float  above 0"
        return
    built = plugin.build(0.25)
    if not isinstance(built, keras.optimizers.Optimizer):
        yield f"builds a {type(built).__name__}", "return a keras.optimizers.Optimizer"
        return
    if abs(float(built.learning_rate) - 0.25) > 1e-6:
        what = f"has the rate {float(built.learning_rate):.3g} where it is given 0.25"
        yield what, "pass learning_rate on; the field lr is the schedule's peak"
    for key in ("clipnorm", "global_clipnorm", "clipvalue", "gradient_accumulation_steps"):
        if getattr(built, key, None):
            yield f"sets {key}, which is the framework's", "leave it out: train.max_grad_norm"
    if getattr(built, "use_ema", False):
        yield "sets use_ema, which is the framework's", "leave it out: average=ema"


def _average_problems(plugin: Any) -> Problems:
    slots = getattr(plugin, "slots", 1)
    if not isinstance(slots, int) or slots < 1:
        yield f"has slots={slots!r}", "a whole number from 1"


def _postprocess_problems(plugin: Any) -> Problems:
    import numpy as np

    for task, kind in settings_of(plugin):
        spec = tiny_spec(task, kind)
        labels = TinyData(task).build(0).validation.labels
        check_postprocess({"tried": plugin}, spec, labels)
        if kind is not OutputKind.logits or task.is_per_word:
            continue
        spec, units, outputs = _examples(task, kind)
        fitted = [plugin.fit(outputs.copy(), units.copy(), spec) for _ in range(2)]
        if any(not np.array_equal(fitted[0][key], fitted[1][key]) for key in fitted[0]):
            yield "fits other numbers to the same outputs each time", ONCE


def _data_problems(plugin: Any) -> Problems:
    first = plugin.build(0)
    second = plugin.build(0)
    check_data(plugin, first)
    for name, split in first.splits.items():
        if name not in second.splits or split.digest != second.splits[name].digest:
            yield f"gives other examples for {name} with the same seed", "draw with the seed"
            return


def _model_problems(plugin: Any, folder: Path) -> Problems:
    import numpy as np

    spec = tiny_spec(TASKS["single_label"])
    if hasattr(plugin, "fetch"):
        plugin.fetch()
    model = plugin.build(spec)
    if not isinstance(model, TextModel):
        yield f"builds a {type(model).__name__}", "return a TextModel"
        return
    layers = {layer.name for layer in model.network.layers}
    unknown = [name for block in model.blocks.values() for name in block if name not in layers]
    if unknown:
        yield f"names a layer '{unknown[0]}' that its network does not have", "correct blocks"
        return
    texts = ["good film", "a bad plot"]
    ids = [model.tokenizer.encode(texts, None, 8).token_ids for _ in range(2)]
    if any(not np.array_equal(a, b) for a, b in zip(*ids, strict=True)):
        yield "has a tokenizer that gives other ids each time", ONCE
    if hasattr(plugin, "restore"):
        for name, content in model.files.items():
            whole = content if isinstance(content, bytes) else content.read_bytes()
            (folder / name).write_bytes(whole)
        restored = plugin.restore(spec, folder)
        shapes = [[tuple(w.shape) for w in each.network.weights] for each in (model, restored)]
        if shapes[0] != shapes[1]:
            what = "restores a network of other weights than it builds"
            yield what, "build both from the same fields and files"
        elif restored.tokenizer.fingerprint != model.tokenizer.fingerprint:
            yield "restores another tokenizer", "keep its files in TextModel.files"


PROBLEMS: dict[str, Callable[[Any], Problems]] = {
    "loss": _loss_problems,
    "metric": _metric_problems,
    "schedule": _schedule_problems,
    "optimizer": _optimizer_problems,
    "average": _average_problems,
    "postprocess": _postprocess_problems,
    "data": _data_problems,
}
"""By group, what yields a problem or None."""
