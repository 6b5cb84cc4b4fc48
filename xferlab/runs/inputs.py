"""Digests of what a run reads: data, checkpoints, plugin files; recorded before it starts.

The run id is a hash of the config, and the content behind a name can change: a file is edited, a
branch moves, a loss is rewritten. So a run records digests beside its id, and a command that
resumes or reuses the run compares them. Nothing here needs TensorFlow.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xferlab
from xferlab.errors import ConfigError, XferlabError, text_of
from xferlab.groups import GROUPS
from xferlab.io.atomic import digest_of, digest_of_folder, write_json
from xferlab.io.records import read_record
from xferlab.models.hub_cache import COMMIT
from xferlab.origin import is_own_plugin
from xferlab.registry import REGISTRY, chosen_plugins
from xferlab.runs.plugin_sources import sources_of

FILE = "inputs.json"
SHAPE = {"inputs": {"*": str}, "plugins": {"*": str}, "xferlab?": str}
"""What ``inputs.json`` holds; see ``records.Shape``. A sweep's ``job.json`` has the same keys."""


@dataclass(frozen=True)
class Inputs:
    """The content that a config names, as digests.

    Attributes:
        content: by ``data.train`` or ``model.checkpoint: vocab.txt``, what the plugins read.
        plugins: by ``loss=focal`` the plugin's file, by ``loss=focal: helper.py`` what it imports.
        unknown: by group, why its content cannot be read now.
    """

    content: Mapping[str, str]
    plugins: Mapping[str, str]
    unknown: Mapping[str, str] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """Return the digests as plain data, and the version of xferlab that read them."""
        return {
            "inputs": dict(self.content),
            "plugins": dict(self.plugins),
            "xferlab": xferlab.__version__,
        }


class InputsReader:
    """Digests of many configs; what several of them name is read once."""

    def __init__(self) -> None:
        self._groups: dict[str, _Content] = {}
        self._plugins: dict[str, dict[str, str]] = {}
        self._texts: dict[int, tuple[Mapping[str, Any], str]] = {}

    @property
    def plugins(self) -> dict[str, str]:
        """Every plugin file that was read, with its digest."""
        return {name: sha for digests in self._plugins.values() for name, sha in digests.items()}

    def of(self, config: Mapping[str, Any]) -> Inputs:
        """Return the digests of what a resolved config names."""
        content: dict[str, str] = {}
        plugins: dict[str, str] = {}
        unknown: dict[str, str] = {}
        for name, key, node in chosen_plugins(config):
            text = f"{name} {key} {self._text_of(node)}"
            if text not in self._groups:
                self._groups[text] = _content_of(name, key, node)
            found = self._groups[text]
            if not found.is_identity:
                continue
            content |= found.digests
            if found.unknown:
                unknown[key] = found.unknown
            if GROUPS[name.partition("=")[0]].may_change:
                continue
            if name not in self._plugins:
                self._plugins[name] = plugin_digests(name)
            plugins |= self._plugins[name]
        return Inputs(content, plugins, unknown)

    def _text_of(self, node: Mapping[str, Any]) -> str:
        """Return a node as text; the jobs of a sweep share most of theirs."""
        known = self._texts.get(id(node))
        if known is None:
            self._texts[id(node)] = known = (
                node,  # kept, so that no other gets its id
                json.dumps(node, sort_keys=True, default=str),
            )
        return known[1]


@dataclass(frozen=True)
class _Content:
    """What one plugin reads.

    Attributes:
        digests: by config key, of the content.
        unknown: why there are none, "" where they are known.
        is_identity: whether the plugin is part of what a run computes. One that is not, such as a
            tracker, may change while a run is resumed.
    """

    digests: Mapping[str, str]
    unknown: str = ""
    is_identity: bool = True


def _content_of(name: str, key: str, node: Mapping[str, Any]) -> _Content:
    """Return the digests of what a plugin's fields name, or why there are none."""
    try:
        plugin = REGISTRY.create(name.partition("=")[0], node, key)
        if hasattr(plugin, "identity") and plugin.identity() is None:
            return _Content({}, is_identity=False)
        own = plugin.inputs() if hasattr(plugin, "inputs") else _content_at(vars(plugin))
    except XferlabError as e:
        return _Content({}, e.what)
    except Exception as e:  # noqa: BLE001 - a plugin may raise anything; a run reports it
        return _Content({}, f"{type(e).__name__}: {text_of(e)}")
    return _Content({f"{key}.{each}": digest for each, digest in own.items()})


def _content_at(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return the digest of each file and folder that a field names by a path."""
    found = {}
    for key, value in fields.items():
        path = path_in(value)
        if path is not None:
            found[key] = digest_of_folder(path) if path.is_dir() else digest_of([path])
    return found


def path_in(value: Any) -> Path | None:
    """Return the file or folder that a value names by something with a slash or a point in it."""
    if not isinstance(value, str) or not ("/" in value or "." in value):
        return None
    place = os.path.expanduser(value)
    return Path(place) if os.path.isfile(place) or os.path.isdir(place) else None


def plugin_digests(name: str) -> dict[str, str]:
    """Return the SHA-256 of the file that registers ``loss=focal``, and of those it imports."""
    path = file_of(name)
    if not path.is_file():
        return {name: ""}
    own, *imported = sources_of(path)
    digests = {
        f"{name}: {os.path.relpath(each, path.parent)}": digest_of([each]) for each in imported
    }
    return {name: digest_of([own]), **digests}


def file_of(name: str) -> Path:
    """Return the file that registers ``loss=focal``."""
    group, _, word = name.partition("=")
    return Path(REGISTRY.get(group, word).origin.rpartition(":")[0])


def inputs_of(config: Mapping[str, Any]) -> Inputs:
    """Return the digests of what one resolved config names."""
    return InputsReader().of(config)


def refuse_in_between(folder: Path, config: Mapping[str, Any]) -> None:
    """Raise ConfigError if what a run reads is not what it was when the run began."""
    before = read_fixed_inputs(folder)
    if before is not None:
        refuse_changed_inputs(folder, changed_since(before, inputs_of(config), config))


def write_inputs(folder: Path, inputs: Inputs) -> None:
    """Keep the digests beside a run that begins."""
    write_json(folder / FILE, inputs.record())


def read_inputs(folder: Path) -> dict[str, Any] | None:
    """Return the recorded inputs of a run, None where it has none."""
    path = folder / FILE
    return read_record(path, SHAPE) if path.exists() else None


def read_fixed_inputs(folder: Path) -> dict[str, Any] | None:
    """Return the recorded inputs that may not change while a run is resumed."""
    before = read_inputs(folder)
    return before and fixed_inputs(before)


def fixed_inputs(record: dict[str, Any]) -> dict[str, Any]:
    """Return recorded inputs without what an upgrade of xferlab changes.

    Built-in plugins are left out where another version wrote the record: nobody can put them back,
    and a version reads what the one before it wrote.
    """
    if record.get("xferlab") == xferlab.__version__:
        return record
    plugins = record.get("plugins", {})
    own = {name: sha for name, sha in plugins.items() if not _is_built_in(name)}
    return record | {"plugins": own}


def _is_built_in(name: str) -> bool:
    """Return whether ``loss=focal``, or ``loss=focal: helper.py``, is a plugin of xferlab."""
    try:
        path = file_of(name.partition(": ")[0])
    except XferlabError:
        return False
    return is_own_plugin(path)


def changed_since(before: Mapping[str, Any], now: Inputs, config: Mapping[str, Any]) -> list[str]:
    """Return what is not as it was, as ``data.train=rows.csv`` or ``loss=focal: helper.py``.

    Args:
        before: a record with ``inputs`` and ``plugins``; an older one may lack either.
        now: the present digests; what cannot be read counts as unchanged.
        config: the resolved config, for the values of the fields.
    """
    changed = []
    if "inputs" in before:
        known = {k: v for k, v in before["inputs"].items() if not _is_unknown(k, now)}
        for key in sorted(known.keys() | now.content.keys()):
            if known.get(key) != now.content.get(key) and not _was_unknown(key, known):
                changed.append(_describe_input(key, config))
    plugins = before.get("plugins", {})
    return changed + [name for name, sha in plugins.items() if now.plugins.get(name) != sha]


def _is_unknown(key: str, now: Inputs) -> bool:
    return any(key.startswith(f"{group}.") for group in now.unknown)


def _was_unknown(key: str, known: Mapping[str, str]) -> bool:
    """Return whether the plugin's content was unknown then, because it could not be read."""
    head = key.partition(": ")[0].rpartition(".")[0]
    return not any(each.startswith(f"{head}.") for each in known)


def _describe_input(key: str, config: Mapping[str, Any]) -> str:
    """Return ``data.train=rows.csv: labels.txt`` for ``data.train: labels.txt``."""
    path, colon, detail = key.partition(": ")
    node: Any = config
    for part in path.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return (f"{path}={node}" if isinstance(node, str) else path) + colon + detail


def refuse_changed_inputs(folder: Path, changed: Sequence[str]) -> None:
    """Raise ConfigError if the inputs of a run have changed."""
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise ConfigError(
            f"{', '.join(changed[:3])}{more} changed since this run began",
            where=str(folder),
            fix=f"{_how_to_go_back(folder, changed)} (leave --recover out)",
        )


def _how_to_go_back(folder: Path, changed: Sequence[str]) -> str:
    """Return what can be done: a file can be put back, a branch of the Hub named by its commit."""
    recorded = (read_inputs(folder) or {}).get("inputs", {})
    for each in changed:
        key, _, name = each.partition("=")
        commit = recorded.get(key, "")
        if COMMIT.fullmatch(commit):
            revision = f"{key.partition('.')[0]}.revision={commit}"
            pinned = revision if key == "data.id" else f"{key}={name.partition('@')[0]}@{commit}"
            return f"the Hub has a newer commit; begin a new run of this one with {pinned}"
    return "put it back as it was, or begin a new run"
