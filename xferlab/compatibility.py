"""Refuses a loss or a metric that would be fed with what it does not take."""

from __future__ import annotations

import re
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from xferlab.contracts import LabelKind, OutputKind, TaskSpec
from xferlab.errors import ConfigError, PluginError
from xferlab.origin import is_own_plugin
from xferlab.registry import REGISTRY, Registry

IGNORED = {
    "data.soft_labels": ("accepts_soft_labels", "accepts no soft labels"),
    "data.weight": ("uses_weights", "uses no weights of examples"),
}
"""What a loss or an objective declares to take it, and what it does otherwise, by config key."""


def refuse_misfit(
    key: str, group: str, plugin: Any, spec: TaskSpec, registry: Registry = REGISTRY
) -> None:
    """Raise ConfigError unless ``plugin`` accepts the task's labels and the model's outputs.

    Args:
        key: config path of the plugin, e.g. ``loss`` or ``metric.f1``.
        group: ``loss`` or ``metric``.
        plugin: the instance, which declares ``accepts``.
        spec: the task, with the model's output kind.
        registry: where others that would fit are found.

    Raises:
        PluginError: the plugin or the model declares something that is not in the contract.
    """
    check_declarations(group, plugin, spec, registry)
    if fits(plugin, spec):
        return
    differ = []
    if spec.label_kind not in plugin.accepts.labels:
        wanted = _join_names(plugin.accepts.labels)
        given = spec.label_kind.value
        differ.append(f"{wanted} labels, but the data's are {given} ({spec.task.name})")
    if spec.output_kind not in plugin.accepts.outputs:
        wanted = _join_names(plugin.accepts.outputs)
        given = spec.output_kind.value
        differ.append(f"{wanted}, but the model's outputs are {given}")
    others = [e.name for e in registry if e.group == group and fits(e.cls, spec)]
    raise ConfigError(
        f"{name_and_origin(group, plugin, registry)[0]} accepts {'; and it accepts '.join(differ)}",
        where=key,
        fix=f"choose {group}={' or '.join(others)}" if others else f"write a {group} plugin for it",
    )


def refuse_other_labels(
    key: str, group: str, plugin: Any, spec: TaskSpec, registry: Registry = REGISTRY
) -> None:
    """Raise ConfigError if the labels alone rule ``plugin`` out, so before there is a model.

    Args:
        key: as for :func:`refuse_misfit`.
        group: likewise.
        plugin: likewise.
        spec: the task as the data says it; a head without activation is assumed.
        registry: as for :func:`refuse_misfit`.
    """
    assumed = replace(spec, output_kind=spec.head_output_kind)
    check_declarations(group, plugin, assumed, registry)
    if spec.label_kind not in plugin.accepts.labels:
        refuse_misfit(key, group, plugin, assumed, registry)


def refuse_ignored(
    key: str, group: str, plugin: Any, spec: TaskSpec, registry: Registry = REGISTRY
) -> None:
    """Raise ConfigError for a loss or an objective that ignores what the examples have.

    Args:
        key: config path of what they have: ``data.soft_labels`` or ``data.weight``.
        group: ``loss`` or ``objective``.
        plugin: the instance; it may declare ``accepts_soft_labels`` or ``uses_weights``.
        spec: the task, for others that fit.
        registry: where those are found.
    """
    declaration, what = IGNORED[key]
    if getattr(plugin, declaration, False):
        return
    assumed = replace(spec, output_kind=spec.head_output_kind)
    others = [
        entry.name
        for entry in registry
        if entry.group == group
        and getattr(entry.cls, declaration, False)
        and fits(entry.cls, assumed)
    ]
    raise ConfigError(
        f"{name_and_origin(group, plugin, registry)[0]} {what}, and {key} gives them",
        where=group,
        fix=f"choose {group}={' or '.join(others)}, or {key}=null",
    )


def fits(plugin: Any, spec: TaskSpec) -> bool:
    """Whether a loss or metric (class or instance) accepts this task's labels and outputs."""
    return spec.label_kind in plugin.accepts.labels and spec.output_kind in plugin.accepts.outputs


def contract_violation(
    group: str, plugin: Any, what: str, fix: str, registry: Registry = REGISTRY
) -> PluginError:
    """Return the error for a plugin that is not what it declares.

    Args:
        group: the plugin's group.
        plugin: the instance.
        what: rest of the sentence that the plugin's name begins.
        fix: what its author changes.
        registry: where its name and its file are found.
    """
    name, origin = name_and_origin(group, plugin, registry)
    return PluginError(f"{name} {what}", where=origin, fix=fix)


def plugin_failure(
    group: str, plugin: Any, e: Exception, verb: str, registry: Registry = REGISTRY
) -> PluginError:
    """Return the error for a plugin that raised ``e``, with the line in its file if it is there.

    Args:
        group: the plugin's group.
        plugin: the instance.
        e: what it raised.
        verb: what it does then, e.g. ``fails its check``.
        registry: where its name and its file are found.
    """
    name, origin = name_and_origin(group, plugin, registry)
    file = origin.rpartition(":")[0]
    frames = traceback.extract_tb(e.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == file]
    return PluginError(
        f"{name} {verb}: {type(e).__name__}: {_message_of(e)}",
        where=f"{file}:{lines[-1]}" if lines else origin,
        fix="correct that line",
    )


def _message_of(e: Exception) -> str:
    """Return the first informative line of a message, without what Keras puts around it."""
    text = re.sub(r"\x1b\[\d*m|\{\{.*?\}\} ?| \[Op:.*", "", str(e))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    own = [line for line in lines if not line.startswith("Exception encountered when calling")]
    return (own or lines or [""])[0][:200]


def name_and_origin(group: str, plugin: Any, registry: Registry = REGISTRY) -> tuple[str, str]:
    """Return how a plugin is chosen, e.g. ``loss=focal``, and its file and line."""
    entry = registry.entry_of(group, type(plugin))
    if entry is not None:
        return f"{group}={entry.name}", entry.origin
    return f"the {group} {type(plugin).__name__}", type(plugin).__module__


def is_built_in(group: str, plugin: Any) -> bool:
    """Return whether a plugin ships with xferlab, so that its contract is tested already."""
    _, origin = name_and_origin(group, plugin)
    return is_own_plugin(Path(origin.rpartition(":")[0]))


def check_declarations(group: str, plugin: Any, spec: TaskSpec, registry: Registry) -> None:
    """Raise PluginError for declarations that are not members of the contract's enums."""
    if not isinstance(spec.output_kind, OutputKind):
        raise PluginError(
            f"the model declares output_kind={spec.output_kind!r}",
            where="model",
            fix=f"its TextModel needs output_kind={_choices(OutputKind)}",
        )
    for field, kind in (("outputs", OutputKind), ("labels", LabelKind)):
        kinds = getattr(plugin.accepts, field)
        if not isinstance(kinds, tuple) or not all(isinstance(each, kind) for each in kinds):
            what = f"declares accepts.{field}={kinds!r}"
            fix = f"a tuple of {_choices(kind)}"
            raise contract_violation(group, plugin, what, fix, registry)
    mode = getattr(plugin, "mode", "max")
    if mode not in ("max", "min"):
        what = f"declares mode={mode!r}"
        fix = "'max' or 'min'"
        raise contract_violation(group, plugin, what, fix, registry)


def _choices(kind: Any) -> str:
    return ", ".join(str(member) for member in kind)


def _join_names(kinds: Any) -> str:
    return " or ".join(kind.value for kind in kinds)
