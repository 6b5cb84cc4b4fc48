"""Fits postprocess plugins to validation outputs, and holds them to their contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from xferlab.compatibility import contract_violation, plugin_failure, refuse_misfit
from xferlab.contracts import OutputKind, Processed, TaskSpec
from xferlab.errors import ConfigError, XferlabError
from xferlab.functional.probabilities import to_logits
from xferlab.functional.unseen_words import is_unseen
from xferlab.postprocessing.steps import GROUP, Postprocessor, Step, apply_step, merge

if TYPE_CHECKING:
    import numpy as np

ROWS = 7
"""Rows that are applied alone and in another order."""
TOLERANCE = 1e-4
"""Of a row's results in NumPy, in a graph and among other rows; relative above 1."""


def refuse_postprocess(plugins: Mapping[str, Any], spec: TaskSpec, labels: Any) -> None:
    """Raise ConfigError for a postprocess that does not suit the task or its validation labels.

    Nothing here needs outputs or TensorFlow.

    Args:
        plugins: by name, in order.
        spec: the task, as the data defines it.
        labels: of the validation split.
    """
    spec = replace(spec, output_kind=spec.head_output_kind)
    for name, plugin in plugins.items():
        refuse_misfit(f"{GROUP}={name}", GROUP, plugin, spec)
        if hasattr(plugin, "check"):
            try:
                plugin.check(spec, labels)
            except XferlabError:
                raise
            except Exception as e:
                raise plugin_failure(GROUP, plugin, e, "fails its check") from e


def units_of(labels: Any, outputs: Any, spec: TaskSpec) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and float32 logits, or values, of what is fitted on: (units, ...)."""
    import numpy as np

    labels = np.asarray(labels)
    outputs = np.asarray(outputs, "float32")
    if spec.task.is_per_word:
        is_known = (labels >= 0) & ~is_unseen(outputs)
        labels = labels[is_known]
        outputs = outputs[is_known]
    return labels, to_logits(outputs, spec, np)


def fit_postprocess(
    plugins: Mapping[str, Any], labels: Any, outputs: Any, spec: TaskSpec, weights: str = ""
) -> Postprocessor:
    """Return the plugins fitted in order, each to what the ones before it make of the outputs.

    Args:
        plugins: by name.
        labels: of the validation split, as the task's label kind says.
        outputs: of the network, (examples, num_outputs), for token classification (examples, words,
            num_outputs).
        spec: the task, with the kind of the outputs.
        weights: SHA-256 of the weights.

    Raises:
        ConfigError: an order in which a step changes what an earlier one has decided by.
        PluginError: a plugin violates its contract.
    """
    import numpy as np

    y, scores = units_of(labels, outputs, spec)
    if not len(y):
        raise ConfigError(
            "there is no validation output to fit a postprocess to",
            where=GROUP,
            fix="give a validation split with labels: data.validation=FILE",
        )
    steps = []
    done = Processed(scores)
    for name, plugin in plugins.items():
        step = Step(name, plugin, _fitted(plugin, done.outputs, y, spec))
        after = checked_result(step, done.outputs, spec)
        _refuse_order(name, done, after)
        done = merge(done, after)
        if done.outputs is not None:
            done = replace(done, outputs=np.asarray(done.outputs, "float32"))
        steps.append(step)
    return Postprocessor(spec, tuple(steps), weights)


def _fitted(plugin: Any, outputs: Any, labels: Any, spec: TaskSpec) -> dict[str, np.ndarray]:
    """Return a plugin's parameters as float32 arrays."""
    import numpy as np

    try:
        found = plugin.fit(outputs.copy(), labels.copy(), spec)
    except XferlabError:
        raise
    except Exception as e:
        raise plugin_failure(GROUP, plugin, e, "fails to fit") from e
    fix = "return float arrays by name"
    if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
        raise contract_violation(GROUP, plugin, f"fits a {type(found).__name__}", fix)
    if not found:
        raise contract_violation(GROUP, plugin, "fits nothing: it returns no parameter", fix)
    parameters = {}
    for name, value in found.items():
        array = np.asarray(value)
        if array.dtype.kind not in "fiu":
            what = f"fits {array.dtype} values as '{name}'"
            raise contract_violation(GROUP, plugin, what, fix)
        array = array.astype("float32")
        if not np.isfinite(array).all():
            what = f"fits values that are not finite as '{name}'"
            raise contract_violation(GROUP, plugin, what, "fit finite numbers")
        parameters[name] = array
    return parameters


def _refuse_order(name: str, before: Processed, after: Processed) -> None:
    fixed = (before.decisive, before.included, before.interval)
    if after.outputs is not None and any(each is not None for each in fixed):
        raise ConfigError(
            f"{name} changes probabilities after an earlier postprocess has used them to decide",
            where=GROUP,
            fix=f"put {name} first: postprocess=[{name},...]",
        )


def checked_result(step: Step, outputs: np.ndarray, spec: TaskSpec) -> Processed:
    """Return what a step makes of outputs, in NumPy.

    Raises:
        PluginError: it fails, or gives something of another shape, numbers that are not finite,
            rows that depend on others, or another result in a graph.
    """
    import numpy as np

    found = _applied(step, outputs, np)
    problem = _shape_problem(found, outputs, spec)
    if problem:
        raise contract_violation(GROUP, step.plugin, *problem)
    few = outputs[:ROWS]
    expected = _map(lambda array: array[:ROWS], found)
    turned = _map(lambda array: array[::-1], _applied(step, few[::-1], np))
    if not _is_near(expected, turned) or not _is_near(
        _map(lambda array: array[:1], found), _applied(step, outputs[:1], np)
    ):
        what = "gives a row other results among other rows"
        fix = "apply() may use nothing but the row and the parameters"
        raise contract_violation(GROUP, step.plugin, what, fix)
    return found


def check_in_graph(step: Step, outputs: np.ndarray) -> None:
    """Raise PluginError unless a step gives the same with Keras's functions as with NumPy's."""
    import numpy as np
    from keras import ops

    few = outputs[:ROWS]
    in_graph = _map(np.asarray, _applied(step, ops.convert_to_tensor(few), ops))
    if not _is_near(_applied(step, few, np), in_graph):
        what = "gives other results with keras.ops than with NumPy"
        raise contract_violation(GROUP, step.plugin, what, "compute with the functions of xp alone")


def _applied(step: Step, outputs: Any, xp: Any) -> Processed:
    try:
        found = apply_step(step, outputs, xp)
    except XferlabError:
        raise
    except Exception as e:
        verb = "fails to apply" if xp.__name__ == "numpy" else "fails to apply in a graph"
        raise plugin_failure(GROUP, step.plugin, e, verb) from e
    if not isinstance(found, Processed):
        what = f"returns a {type(found).__name__}"
        raise contract_violation(GROUP, step.plugin, what, "return Processed(...)")
    return found


def _shape_problem(found: Processed, outputs: np.ndarray, spec: TaskSpec) -> tuple[str, str] | None:
    """Return what is wrong with the arrays of a result, and what its author changes."""
    import numpy as np

    given = {name: value for name, value in vars(found).items() if value is not None}
    if not given:
        return "changes nothing", "return Processed(outputs=...), or another part of it"
    shapes = {"interval": (len(outputs), 2)}
    for name, value in given.items():
        wanted = shapes.get(name, outputs.shape)
        array = np.asarray(value)
        if array.shape != wanted:
            return f"gives {name} of shape {array.shape}", f"they need the shape {wanted}"
        if name == "included" and array.dtype != bool:
            return f"gives {name} of {array.dtype}", "give bools"
        if name != "included" and not np.isfinite(array).all():
            return f"gives {name} that are not finite", "check divisions, logarithms and powers"
    if found.included is not None and (spec.task.is_per_word or not spec.task.has_classes):
        kind = "words" if spec.task.is_per_word else "a value"
        return f"gives sets of classes for {kind}", "declare in accepts what it can do"
    if found.interval is not None and spec.output_kind is not OutputKind.values:
        return "gives an interval for classes", "give a set: Processed(included=...)"
    return None


def _map(function: Any, found: Processed) -> Processed:
    return Processed(**{k: None if v is None else function(v) for k, v in vars(found).items()})


def _is_near(one: Processed, other: Processed) -> bool:
    import numpy as np

    for name, value in vars(one).items():
        same = getattr(other, name)
        if (value is None) != (same is None):
            return False
        if value is None or name == "included":  # a class at the very limit may be on either side
            continue
        if not np.allclose(value, same, rtol=TOLERANCE, atol=TOLERANCE):
            return False
    return True
