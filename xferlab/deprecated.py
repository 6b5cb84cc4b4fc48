"""Names of version 0.1 that this version still reads; version 0.3 will not.

What a user types or keeps in a file is answered with a line that names the new name. What a run of
version 0.1 wrote into its folder is read without one.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Mapping
from typing import Any

KEYS = {
    "train.accumulate": "train.gradient_accumulation_steps",
    "train.clip_norm": "train.max_grad_norm",
    "data.validation_share": "data.validation_fraction",
    "sweep.search.draw": "sweep.search.space",
    "sweep.random.draw": "sweep.random.space",
}
"""Config keys, old to new; a renamed key keeps its parent."""

VALUES = {
    "data.task": {"one_label": "single_label", "tagging": "token_classification"},
}
"""Values of a config key, old to new."""

REMOVED_DEFAULTS = ({"override hydra/sweeper": "frozen"},)
"""Entries of a config's defaults list that have no effect any more."""

FLAGS = {"--mistakes": "--errors"}
"""Flags of the commands, old to new."""

METRIC_ATTRIBUTES = {"rates_sureness": "rates_confidence"}
"""Attributes of what a metric plugin builds, old to new."""

PLUGIN_ATTRIBUTES = {"takes": "accepts", "better": "mode", "longest": "max_sequence_length"}
"""Attributes of plugin classes, old to new."""

EXPORTS = {"Takes": "Accepts", "Emits": "OutputKind"}
"""Names of the package ``xferlab``, old to new."""

TASK_RECORD = {"emits": "output_kind"}
CHECKPOINT_STATE = {"listeners": "callbacks", "made_on": "environment"}
CALLBACKS = {
    "BestKeeper": "BestWeights",
    "RateFollower": "ReactiveLearningRate",
    "TensorBoardLog": "callback.tensorboard",
}
JOB = {"words": "overrides"}
PLAN = {"asked": "requested"}
"""Keys of JSON records, old to new."""


def current_override(override: str) -> str:
    """Return an override with the present key and value; an old one is reported once.

    >>> current_override("seed=1")
    'seed=1'
    """
    mark, key, rest = _parts(override)
    new = KEYS.get(key, key)
    if new != key:
        report_renamed(key, new)
    for old, current in VALUES.get(key, {}).items():
        renamed = re.sub(rf"(?<![\w-]){old}(?![\w-])", current, rest)
        if renamed != rest:
            report_renamed(f"{key}={old}", f"{key}={current}")
        rest = renamed
    return f"{mark}{new}{rest}"


def _parts(override: str) -> tuple[str, str, str]:
    """Split ``+key=value`` into ``+``, ``key`` and ``=value``."""
    key, equals, value = override.partition("=")
    plain = key.lstrip("+~")
    return key[: len(key) - len(plain)], plain, equals + value


def current_flag(argument: str) -> str:
    """Return an argument of a command with the present name of its flag; an old one is reported."""
    flag, equals, value = argument.partition("=")
    new = FLAGS.get(flag, flag)
    if new != flag:
        report_renamed(flag, new)
    return f"{new}{equals}{value}"


def current_config(config: Any, package: str = "", *, report: bool = False) -> Any:
    """Return a config, or a part of it, with the present keys and values.

    Args:
        config: plain data: dicts, lists and scalars.
        package: where in the config it belongs, ``""`` for the whole.
        report: print the old names.
    """
    if isinstance(config, list):
        return [current_config(each, package, report=report) for each in config]
    if not isinstance(config, Mapping):
        new = VALUES.get(package, {}).get(config, config) if isinstance(config, str) else config
        if report and new != config:
            report_renamed(f"{package}={config}", f"{package}={new}")
        return new
    renamed: dict[Any, Any] = {}
    for key, value in config.items():
        if key == "defaults" and isinstance(value, list):
            renamed[key] = [each for each in value if each not in REMOVED_DEFAULTS]
            continue
        path = f"{package}.{key}" if package else str(key)
        new_path = KEYS.get(path, path)
        new_key = new_path.rpartition(".")[2] if new_path != path else KEYS.get(str(key), key)
        if report and new_key != key:
            report_renamed(str(key), str(new_key))
        child = str(new_key) if str(new_key) in (*KEYS.values(), *VALUES) else new_path
        renamed[new_key] = current_config(value, child, report=report)
    return renamed


def current_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ``run.json`` of either version with the present keys and task names."""
    current = dict(record)
    task = current.get("task")
    if isinstance(task, Mapping):
        task = {TASK_RECORD.get(key, key): value for key, value in task.items()}
        name = task.get("task")
        if isinstance(name, str):
            task["task"] = VALUES["data.task"].get(name, name)
        current["task"] = task
    return current


def current_job(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ``job.json`` of either version with the present keys, in its config too."""
    current = {JOB.get(key, key): value for key, value in job.items()}
    if isinstance(current.get("config"), Mapping):
        current["config"] = current_config(current["config"])
    return current


def current_plan(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ``sweep.json`` of either version with the present keys."""
    current = {PLAN.get(key, key): value for key, value in plan.items()}
    if isinstance(current.get("jobs"), list):
        current["jobs"] = [
            {JOB.get(key, key): value for key, value in job.items()}
            if isinstance(job, Mapping)
            else job
            for job in current["jobs"]
        ]
    return current


def current_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of a checkpoint of either version with the present keys."""
    current = {CHECKPOINT_STATE.get(key, key): value for key, value in state.items()}
    callbacks = current.get("callbacks")
    if isinstance(callbacks, Mapping):
        current["callbacks"] = {CALLBACKS.get(k, k): value for k, value in callbacks.items()}
    if isinstance(current.get("environment"), Mapping):
        current["environment"] = {"xferlab": "0.1.0", **current["environment"]}
    return current


def metric_attribute(metric: Any, name: str) -> Any:
    """Return an attribute of a built metric by its present or its old name; False without it."""
    for old, new in METRIC_ATTRIBUTES.items():
        if new == name and hasattr(metric, old):
            report_renamed(old, new)
            return getattr(metric, old)
    return getattr(metric, name, False)


def adopt_attributes(plugin: type, label: str) -> None:
    """Give a plugin class of version 0.1 the present names of its attributes.

    Args:
        plugin: the class, changed in place.
        label: what the reported line calls it, e.g. ``loss=focal``.
    """
    for old, new in PLUGIN_ATTRIBUTES.items():
        if hasattr(plugin, old) and not hasattr(plugin, new):
            setattr(plugin, new, getattr(plugin, old))
            report_renamed(f"{label}: {old}", new)


@functools.cache
def report_change(text: str) -> None:
    """Print, once a process, what has changed and works until the next version."""
    print(f"note       {text}", file=sys.stderr)


@functools.cache
def report_renamed(old: str, new: str) -> None:
    """Print, once a process, that a name has changed."""
    print(f"note       {old} is now {new}; the old name works until version 0.3", file=sys.stderr)
