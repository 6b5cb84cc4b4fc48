"""Refuses a loss or a metric that would be fed with what it does not take."""

from __future__ import annotations

from typing import Any

from xferlab.contracts import TaskSpec
from xferlab.errors import ConfigError
from xferlab.registry import REGISTRY, Registry


def refuse_misfit(
    key: str, group: str, plugin: Any, spec: TaskSpec, registry: Registry = REGISTRY
) -> None:
    """Raise ConfigError unless ``plugin`` takes the task's labels and the model's outputs.

    Args:
        key: config path of the plugin, e.g. ``loss`` or ``metric.f1``.
        group: ``loss`` or ``metric``.
        plugin: the instance, which declares ``takes``.
        spec: the task, with the model's ``emits`` filled in.
        registry: where others that would fit are looked up.
    """
    if fits(plugin, spec):
        return
    what = (
        f"{key} takes {_words(plugin.takes.outputs)} and {_words(plugin.takes.labels)} labels;"
        f" the model emits {spec.emits.value} and the data has {spec.label_kind.value} labels"
        f" ({spec.task.value})"
    )
    others = [e.name for e in registry if e.group == group and fits(e.cls, spec)]
    fix = f"choose {group}={' or '.join(others)}" if others else f"write a {group} plugin for it"
    raise ConfigError(what, where=key, fix=fix)


def fits(plugin: Any, spec: TaskSpec) -> bool:
    """Whether a loss or metric (class or instance) takes this task's labels and outputs."""
    return spec.label_kind in plugin.takes.labels and spec.emits in plugin.takes.outputs


def _words(kinds: Any) -> str:
    return " or ".join(kind.value for kind in kinds)
