"""Where a value of a config came from: the command line, or a file and its line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hydra.core.default_element import ResultDefault
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from xferlab.config.yaml_files import defaults_of_file, find, nodes_of, shown, value_of
from xferlab.contracts import GROUPS
from xferlab.registry import REGISTRY

TYPED = "command line"
CHOICES = (*GROUPS, "experiment", "debug")


@dataclass(frozen=True)
class Word:
    """An override as it was typed: ``+loss.gamma=2`` is ``Word("loss.gamma", "2")``."""

    key: str
    value: str

    @classmethod
    def of(cls, typed: str) -> Word:
        """Split what was typed."""
        key, _, value = typed.lstrip("+~").partition("=")
        return cls(key.partition("@")[0], value)

    @property
    def names(self) -> list[str]:
        """The plugins or presets that ``loss=focal`` or ``metric=[f1,auc]`` chooses."""
        return re.findall(r"[^\[\],\s'\"]+", self.value)


def layers_of(words: Sequence[str], config_name: str) -> list[ResultDefault]:
    """Return the files and plugins that a config is put together from; the last one wins.

    Hydra must be initialised, and the config must be one that it can compose.
    """
    loader = GlobalHydra.instance().config_loader()
    return loader.compute_defaults_list(config_name, list(words), RunMode.RUN).defaults


def origin(where: str, words: Sequence[str], layers: Iterable[ResultDefault]) -> str:
    """Return where the key ``where`` got its value, or "" if that is not known.

    Args:
        where: key (``loss.gamma``) of a mistake.
        words: overrides that were typed.
        layers: of :func:`layers_of`.
    """
    typed = [Word.of(word) for word in words]
    if any(_sets(word, where) for word in typed):
        return TYPED
    for layer in reversed(list(layers)):
        place = _in_layer(where, layer)
        if place:
            return place
    return TYPED if any(word.key == where for word in typed) else ""


def _sets(word: Word, where: str) -> bool:
    """Return whether a word gives a key its value, or a value below it; a choice gives none."""
    if word.key in (*CHOICES, "sweep") and not word.value.startswith("{"):
        return False
    return f"{where}.".startswith(f"{word.key}.") or word.key.startswith(f"{where}.")


def _in_layer(where: str, layer: ResultDefault) -> str:
    """Return the file and line, or the plugin, of a layer that has the key."""
    keys, package = where.split("."), [part for part in (layer.package or "").split(".") if part]
    if keys[: len(package)] != package or layer.config_path is None:
        return ""
    own = keys[len(package) :]
    path = find(layer.config_path)
    node = value_of(nodes_of(path), own) if path else None
    if path and node and own:
        return f"{shown(path)}:{node.start_mark.line + 1}"
    if path and not own:
        return shown(path)
    group, _, name = layer.config_path.rpartition("/")
    entry = next((e for e in REGISTRY if (e.group, e.name) == (group, name)), None)
    default = entry.defaults().get(own[0], "???") if entry and own else "???"
    return entry.origin if entry and default != "???" else ""


def origin_of_choice(group: str, name: str, words: Sequence[str], config_name: str) -> str:
    """Return who chose ``group=name``: the command line, or the file whose defaults name it."""
    typed = [Word.of(word) for word in words]
    if any(word.key == group and name in (*word.names, word.value) for word in typed):
        return TYPED
    chosen = [f"{word.key}/{each}" for word in typed for each in word.names]
    for config_path in (*chosen, config_name):
        path = find(config_path)
        for found, line in defaults_of_file(path) if path else ():
            if found == name:
                return f"{shown(path)}:{line}" if path else ""
    return ""
