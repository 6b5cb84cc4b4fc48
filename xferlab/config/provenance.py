"""Where a value of a config came from: the command line, or a file and its line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hydra.core.default_element import ResultDefault
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from xferlab.config.stacks import with_stacks
from xferlab.config.yaml_files import defaults_of_file, find, nodes_of, value_of
from xferlab.formatting import format_path
from xferlab.groups import GROUPS
from xferlab.registry import REGISTRY

COMMAND_LINE = "command line"


def choices() -> tuple[str, ...]:
    """Return the keys that choose a plugin or a file."""
    return (*GROUPS, "experiment", "debug")


@dataclass(frozen=True)
class PlainOverride:
    """A plain override: ``+loss.gamma=2`` is ``PlainOverride("loss.gamma", "2")``."""

    key: str
    value: str

    @classmethod
    def of(cls, text: str) -> PlainOverride:
        """Parse an override of the command line."""
        key, _, value = text.lstrip("+~").partition("=")
        return cls(key.partition("@")[0], value)

    @property
    def names(self) -> list[str]:
        """The plugins or presets that ``loss=focal`` or ``metric=[f1,auc]`` chooses."""
        return re.findall(r"[^\[\],\s'\"]+", self.value)


def layers_of(overrides: Sequence[str], config_name: str) -> list[ResultDefault]:
    """Return the files and plugins that a config is composed of; the last one wins.

    Hydra must be initialised, and the config must be one that it can compose.
    """
    loader = GlobalHydra.instance().config_loader()
    return loader.compute_defaults_list(config_name, with_stacks(overrides), RunMode.RUN).defaults


def source_of_value(where: str, overrides: Sequence[str], layers: Iterable[ResultDefault]) -> str:
    """Return the source of the value of a key, or "" if it is not known.

    Args:
        where: key (``loss.gamma``) of an error.
        overrides: of the command line.
        layers: of :func:`layers_of`.
    """
    parsed = [PlainOverride.of(override) for override in overrides]
    if any(_sets_value(override, where) for override in parsed):
        return COMMAND_LINE
    for layer in reversed(list(layers)):
        place = _in_layer(where, layer)
        if place:
            return place
    return COMMAND_LINE if any(override.key == where for override in parsed) else ""


def _sets_value(override: PlainOverride, where: str) -> bool:
    """Return whether an override sets a key, or a key below it; a choice of a plugin sets none."""
    if override.key in (*choices(), "sweep") and not override.value.startswith("{"):
        return False
    return f"{where}.".startswith(f"{override.key}.") or override.key.startswith(f"{where}.")


def _in_layer(where: str, layer: ResultDefault) -> str:
    """Return the file and line, or the plugin, of a layer that has the key."""
    keys = where.split(".")
    package = [part for part in (layer.package or "").split(".") if part]
    if keys[: len(package)] != package or layer.config_path is None:
        return ""
    own = keys[len(package) :]
    path = find(layer.config_path)
    node = value_of(nodes_of(path), own) if path else None
    if path and node and own:
        return f"{format_path(path)}:{node.start_mark.line + 1}"
    if path and not own:
        return format_path(path)
    group, _, name = layer.config_path.rpartition("/")
    entry = next((e for e in REGISTRY.loaded() if (e.group, e.name) == (group, name)), None)
    default = entry.defaults().get(own[0], "???") if entry and own else "???"
    return entry.origin if entry and default != "???" else ""


def source_of_choice(group: str, name: str, overrides: Sequence[str], config_name: str) -> str:
    """Return what chooses ``group=name``: the command line, or the file whose defaults name it."""
    parsed = [PlainOverride.of(override) for override in overrides]
    if any(
        override.key == group and name in (*override.names, override.value) for override in parsed
    ):
        return COMMAND_LINE
    chosen = [f"{override.key}/{each}" for override in parsed for each in override.names]
    for config_path in (*chosen, config_name):
        path = find(config_path)
        for found, line in defaults_of_file(path) if path else ():
            if found == name:
                return f"{format_path(path)}:{line}" if path else ""
    return ""
