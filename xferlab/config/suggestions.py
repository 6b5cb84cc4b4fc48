"""Suggests the nearest key or plugin, in all groups and by the names of other tools."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from xferlab.config.aliases import KEYS, OTHER_FAMILIES, advice, known_key, known_name
from xferlab.config.overrides import format_for_shell
from xferlab.config.presets import checkpoint_presets
from xferlab.config.reference import SECTIONS, all_settings
from xferlab.discovery import KEY
from xferlab.errors import NONE, UnknownKey, did_you_mean, nearest
from xferlab.groups import GROUPS, Group
from xferlab.models.architectures import FAMILIES
from xferlab.registry import Registry


def suggest_key(error: UnknownKey, registry: Registry) -> str:
    """Return the fix for an unknown key; ``error.fix`` if nothing better is known.

    In this order: another tool's name, a field of that name (of another plugin of the same
    group first), a near name beside it, a near name elsewhere.
    """
    key = error.where
    if KEY.startswith(key.partition(".")[0]):
        return f"type {KEY}=[DIR]: no file can name plugins, which are code"
    ours = known_key(key)
    advised = advice(key)
    if ours:
        return f"its name here is {ours}"
    if advised:
        return advised
    head, _, field = key.rpartition(".")
    group = head.partition(".")[0]
    places = _places()
    member = head.rpartition(".")[2]
    holds_several = group in GROUPS and GROUPS[group].holds_several
    if holds_several and member in registry.names(group):
        return f"choose it first: {GROUPS[group].override(*GROUPS[group].default, member)}"
    if field in places:
        return _owners_of_field(group, field, places[field])
    if error.fix.startswith("did you mean"):
        return error.fix
    for entry in registry:
        if entry.name in (field, group):
            return _elsewhere(entry.group, entry.name)
    if error.fix.endswith(NONE) and holds_several:
        return f"choose the {group} first: {_example(GROUPS[group], registry)}"
    if error.fix.endswith(NONE):
        return f"{head} holds one value: {head}=VALUE"
    near = nearest(field, places, cutoff=0.75)
    return _owners_of_field(group, near, places[near]) if near else error.fix


def _example(group: Group, registry: Registry) -> str:
    """Return overrides that choose a plugin of a group and set a field of it."""
    entries = [entry for entry in registry if entry.group == group.name]
    for entry in entries:
        for f in dataclasses.fields(entry.cls):
            chosen = group.override(entry.name)
            return f"{chosen} {group.key_of_field(entry.name, f.name)}=VALUE"
    return group.override("NAME")


def setting_for_flag(arguments: Sequence[str], flag: str) -> str:
    """Return the override that another tool's flag corresponds to, "" if none is known.

    Args:
        arguments: the command line.
        flag: one of them, as in ``--learning_rate`` or ``--learning_rate=3e-5``.
    """
    name, _, value = flag.lstrip("-").partition("=")
    key = name.replace("-", "_")
    if key not in KEYS:
        return advice(key) or (f"a setting has no dashes: {key}=VALUE" if "." in key else "")
    following = list(arguments)[list(arguments).index(flag) + 1 :]
    if not value and following and not following[0].startswith("-") and "=" not in following[0]:
        value = following[0]
    return f"settings have no dashes: {KEYS[key]}={value or 'VALUE'}"


def _places() -> dict[str, list[str]]:
    """Return where each field is: ``train``, ``sweep``, or ``GROUP=NAME`` of plugins."""
    places: dict[str, list[str]] = {}
    for owner, setting in all_settings():
        if owner:
            places.setdefault(setting.key.rpartition(".")[2], []).append(owner)
    return places


def _owners_of_field(group: str, field: str, places: list[str]) -> str:
    """Return how to set a field of another plugin, preferably of the same group."""
    beside = [place for place in places if place.startswith(f"{group}=")]
    section = next((place for place in places if place in SECTIONS), None)
    if section and not beside:
        return f"did you mean {section}.{field}?"
    owners = beside or places
    first = owners[0].partition("=")[0]
    key = GROUPS[first].key_of_field("NAME", field) if first in GROUPS else f"{first}.{field}"
    same = [place for place in owners if place.startswith(f"{first}=")]
    listed = ", ".join(same[:3]) + (" and others" if len(same) > 3 else "")
    return f"{key} is a field of {listed}: choose one of these"


def suggest_name(group: str, name: str, known: Mapping[str, Sequence[str]]) -> str:
    """Return the fix for an unknown plugin or preset.

    Args:
        group: of the config.
        name: that does not exist.
        known: the names that exist, plugins and presets, by group.
    """
    top, _, owner = group.partition("/")
    if owner:
        name = f"{owner}/{name}"
    here = list(known.get(top, ()))
    ours = known_name(name.rpartition("/")[2])
    if ours in here:
        return f"its name here is {_choice(top, str(ours))}"
    if top == "model" and (alike := _checkpoints_like(name)):
        return alike
    if top == "model" and (unsupported_family(name) or "/" in name or "-" in name):
        return _checkpoint(name)
    if top == "data" and "/" in name:
        return f"a dataset of the Hub: data=hub data.id={name}; files: data=files data.train=FILE"
    group = top
    if nearest(name, here):
        return did_you_mean(name, here)
    for other, names in known.items():
        found = name if name in names else ours
        if other != group and found in names:
            return _elsewhere(other, str(found))
    for other, names in known.items():
        near = nearest(name, names, cutoff=0.8)
        if other != group and near:
            return f"did you mean {_choice(other, near)}?"
    return did_you_mean(name, here)


DATA_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".txt")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def suggest_data(name: str) -> str:
    """Return the fix for a file, folder or repository where a plugin's name should be.

    >>> suggest_data("train.csv"), suggest_data("stanfordnlp/imdb"), suggest_data("revews")
    ('data=files data.train=train.csv', 'data=hub data.id=stanfordnlp/imdb', '')
    """
    path = Path(os.path.expanduser(name))  # Path's own raises for an unknown user
    if path.suffix.lower() in DATA_SUFFIXES or "*" in name or os.path.isfile(path):
        return f"data=files {format_for_shell('data.train', name)}"
    if os.path.isdir(path):
        return f"data=files data.train=FILE, with a file of {name}"
    if _REPOSITORY.fullmatch(name):
        return f"data=hub {format_for_shell('data.id', name)}"
    return ""


MOST_PRESETS = 4
"""Presets that an error names."""


def _checkpoints_like(name: str) -> str:
    """Return the presets of checkpoints that a name or an id of the Hub may mean, "" for none.

    A preset is meant where each word of the name begins one of its own or of its checkpoint.
    """
    words = _words(name.rpartition("/")[2])
    found = []
    for preset, facts in checkpoint_presets(Path.cwd()).items():
        repo_id = facts.checkpoint.partition("@")[0]
        if repo_id.lower() == name.lower():
            return f"its name here is model={preset}"
        own = _words(preset) + _words(repo_id.rpartition("/")[2])
        if "/" not in name and all(any(x.startswith(word) for x in own) for word in words):
            found.append(preset)
    if not words or not found:
        return ""
    *others, last = found[:MOST_PRESETS]
    listed = f"{', '.join(others)} or {last}" if others else last
    return f"did you mean model={listed}? (python -m xferlab list model)"


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]


def _checkpoint(name: str) -> str:
    """Return how to choose a checkpoint, or that its family cannot be loaded."""
    family = unsupported_family(name)
    if family:
        return (
            f"checkpoints of the family {family} cannot be loaded, those of"
            f" {', '.join(sorted(FAMILIES))} can: model=encoder model.checkpoint=ORG/NAME"
        )
    return f"a checkpoint of the Hub, or a folder: model=encoder model.checkpoint={name}"


def unsupported_family(name: str) -> str | None:
    """Return the family in a model's name whose checkpoints cannot be loaded, or None.

    >>> unsupported_family("google/flan-t5-base"), unsupported_family("bert-base-uncased")
    ('flan', None)
    """
    parts = _letters(name)
    loadable = {part for family in FAMILIES for part in _letters(family)}
    return next((each for each in OTHER_FAMILIES if each in parts and each not in loadable), None)


def _letters(name: str) -> list[str]:
    return re.split(r"[^a-z]+", name.lower())


def _choice(group: str, name: str) -> str:
    return GROUPS[group].override(name) if group in GROUPS else f"{group}={name}"


def _elsewhere(group: str, name: str) -> str:
    article = "an" if group[0] in "aeiou" else "a"
    return f"'{name}' is {article} {group}: {_choice(group, name)}"
