"""A JSON schema of config files, for editors: keys, types, choices, defaults, texts."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import Any

from xferlab.config.presets import preset_files
from xferlab.config.reference import (
    FILE_GROUPS,
    REQUIRED,
    ROOT,
    SECTIONS,
    Setting,
    section_settings,
    settings_of_plugin,
)
from xferlab.groups import GROUPS, Choice, Group
from xferlab.registry import REGISTRY

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The newest that editors' YAML servers know in full."""
INTERPOLATION = {"type": "string", "pattern": r"^.*\$\{.*\}.*$"}
"""A value that OmegaConf computes, as ``${train.batch_size}``."""
SCALARS = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
NUMBER = {"type": "string", "pattern": r"^[-+]?[0-9.]+([eE][-+]?[0-9]+)?$"}
"""A float as ``1e-5``, which is text in YAML 1.1 and a number for OmegaConf."""


def config_schema() -> dict[str, Any]:
    """Return the schema of ``conf/config.yaml`` and of files in ``experiment`` and ``debug``.

    Keys are those of the framework and of all registered plugins; a value may be an interpolation.
    """
    REGISTRY.load_announced()
    groups = {name: _group_schema(group) for name, group in GROUPS.items()}
    sections = {name: _object(section_settings(name)) for name in SECTIONS}
    root = {each.key: _setting_schema(each) for each in ROOT}
    choices = {
        name: {"enum": [*sorted(preset_files(name, Path.cwd())), None]}
        for name in FILE_GROUPS
        if name not in SECTIONS
    }
    return {
        "$schema": DIALECT,
        "title": "xferlab",
        "type": "object",
        "properties": {
            "defaults": {"type": "array", "description": "Hydra's list of what is composed"},
            "hydra": {"type": "object", "description": "Hydra's own settings"},
            **root,
            **groups,
            **sections,
            **choices,
        },
        "additionalProperties": False,
    }


def _group_schema(group: Group) -> dict[str, Any]:
    """Return the schema of a group's node."""
    entries = [entry for entry in REGISTRY if entry.group == group.name]
    one: dict[str, list[Setting]] = {}
    for entry in entries:
        for setting in settings_of_plugin(entry):
            one.setdefault(setting.key.rpartition(".")[2], []).append(setting)
    plugin = {
        "type": "object",
        "properties": {
            "name": {"enum": [entry.name for entry in entries], "description": "of the plugin"},
            **{name: _any_of(map(_setting_schema, found)) for name, found in one.items()},
        },
        "additionalProperties": False,
    }
    several = {
        "type": "object",
        "properties": {
            entry.name: _object(settings_of_plugin(entry), name=[entry.name]) for entry in entries
        },
        "additionalProperties": plugin,  # under a name of the user's own
    }
    by_choice: dict[Choice, list[dict[str, Any]]] = {
        Choice.one: [plugin],
        Choice.several: [several],
        Choice.in_order: [several],
        Choice.one_or_more: [plugin, several],
    }
    shapes = by_choice[group.choice]
    if group.is_optional:
        shapes = [*shapes, {"type": "null"}]
    return {"description": group.summary, **_any_of(shapes)}


def _object(settings: Iterable[Setting], **choices: list[str]) -> dict[str, Any]:
    """Return the schema of a node with settings, and with further keys that have choices."""
    properties = {each.key.rpartition(".")[2]: _setting_schema(each) for each in settings}
    properties |= {key: {"enum": values} for key, values in choices.items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _setting_schema(setting: Setting) -> dict[str, Any]:
    text = f"{setting.text} ({setting.type}, default {setting.default})"
    if setting.default == REQUIRED:
        text = f"{setting.text} ({setting.type}, required)"
    return {"description": text, **_any_of([*_shapes(setting.hint), INTERPOLATION])}


def _shapes(hint: Any) -> list[dict[str, Any]]:
    """Return schemas of which a value of a type meets one; an empty one is met by all."""
    parts = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if hint is float:
        return [{"type": "number"}, NUMBER]
    if hint in SCALARS:
        return [{"type": SCALARS[hint]}]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return [{"enum": [member.name for member in hint]}]
    if origin in (types.UnionType, typing.Union):
        return [shape for part in parts for shape in _shapes(part)]
    if origin is list:
        return [{"type": "array", "items": _any_of([*_shapes(parts[0]), INTERPOLATION])}]
    if origin is dict:
        values = _any_of([*_shapes(parts[1]), INTERPOLATION])
        return [{"type": "object", "additionalProperties": values}]
    return [{}]


def _any_of(shapes: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return a schema that is met where one of several is."""
    distinct: list[dict[str, Any]] = []
    for shape in shapes:
        if shape not in distinct:
            distinct.append(shape)
    if {} in distinct:
        return {}
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}
