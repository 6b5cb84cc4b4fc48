"""``list`` and ``describe``: the plugins and presets of each group, the fields of one of them."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path

from xferlab.cli.terminal import print_folded
from xferlab.config.presets import (
    KINDS,
    CheckpointFacts,
    checkpoint_presets,
    name_of_plugin,
    preset_files,
    presets,
)
from xferlab.errors import ConfigError, did_you_mean
from xferlab.formatting import terminal_width
from xferlab.groups import GROUPS, Choice, Group
from xferlab.models.hub_cache import is_on_this_machine
from xferlab.registry import REGISTRY
from xferlab.validation import format_default

NAME_WIDTH = 33
"""Columns of ``objective=supervised_contrastive``, and one more."""


def show_list(flags: argparse.Namespace, groups: list[str]) -> int:
    """Print a line for each plugin and preset."""
    unknown = [name for name in groups if name not in GROUPS]
    if unknown:
        raise _no_group(unknown[0])
    for group in groups or GROUPS:
        rows = {e.name: e.summary for e in REGISTRY if e.group == group}
        rows |= presets(group, Path.cwd())
        checkpoints = checkpoint_presets(Path.cwd()) if group == "model" else {}
        for name in sorted(rows.keys() - checkpoints.keys()):
            print_folded(f"{group + '=' + name:<{NAME_WIDTH}} {rows[name]}", NAME_WIDTH + 1)
        if checkpoints:
            _print_checkpoints(checkpoints)
    for error in REGISTRY.broken:
        print(f"broken: {error.where:<22} {error.what}")
    return 0


def describe(flags: argparse.Namespace, names: list[str]) -> int:
    """Print a preset's file, a plugin's docstring and its fields; or what a group is."""
    group, equals, name = (names[0] if names else "").partition("=")
    if group not in GROUPS:
        raise _no_group(group)
    if not equals:
        return _describe_group(GROUPS[group])
    preset = preset_files(group, Path.cwd()).get(name)
    if preset:
        print(f"{group}={name}  ({preset})\n\n{preset.read_text(encoding='utf-8').strip()}\n")
        name = name_of_plugin(preset)
    entry = REGISTRY.get(group, name)
    print(f"{group}={name}  ({entry.origin})\n")
    for line in inspect.cleandoc(entry.cls.__doc__ or "").splitlines():
        print_folded(line, len(line) - len(line.lstrip()) + 4)
    print()
    defaults = entry.defaults()
    for f in dataclasses.fields(entry.cls):
        value = "required" if defaults[f.name] == "???" else format_default(defaults[f.name])
        kind = f.type.__name__ if isinstance(f.type, type) else str(f.type)
        key = GROUPS[group].key_of_field(name, f.name)
        print(f"  {key:<{len(key) - len(f.name) + 20}} {kind:<22} {value}")
    return 0


CHOICES = {
    Choice.one: "one: {0}",
    Choice.several: "several: {1}",
    Choice.in_order: "several, in order: {1}",
    Choice.one_or_more: "one, or several in order: {0}, {1}",
}


def _describe_group(group: Group) -> int:
    """Print what the plugins of a group are, how they are chosen, and which there are."""
    names = REGISTRY.names(group.name)
    print(f"{group.name}: {group.summary}\n")
    examples = (group.override(names[0]), group.override(*names[:2]))
    print(f"  chosen   {CHOICES[group.choice].format(*examples)}")
    if group.may_be_absent:
        print(f"  default  {', '.join(group.default) or 'none'}")
    print(f"  method   {group.method}(), see xferlab.contracts.{group.name.title()}")
    print_folded(f"  plugins  {', '.join(names)}", 11)
    return 0


COLUMNS = "{:<21} {:>6}  {:>8}  {:<10}  {:<14}  {:<6}  {}"
TITLES = ("size", "download", "licence", "languages", "cached", "checkpoint")
WIDE = 128
"""Columns of a terminal from which on the table of presets has the checkpoints too."""


def _print_checkpoints(presets: Mapping[str, CheckpointFacts]) -> None:
    """Print the presets of checkpoints as a table, by kind, and which are on this machine."""
    is_wide = (terminal_width(sys.stdout) or WIDE) >= WIDE
    _print_row("model=", TITLES, is_wide)
    for kind in dict.fromkeys([*KINDS, *(facts.group for facts in presets.values())]):
        print(f"- {KINDS.get(kind, kind)}")
        for name, facts in presets.items():
            if facts.group == kind:
                _print_row(name, _cells(facts), is_wide)


def _print_row(name: str, cells: tuple[str, ...], is_wide: bool) -> None:
    shown = cells if is_wide else (*cells[:-1], "")
    print(COLUMNS.format(name, *shown).rstrip())


def _cells(facts: CheckpointFacts) -> tuple[str, ...]:
    """Return the cells of a preset's row, without its name."""
    repo_id, _, revision = facts.checkpoint.partition("@")
    languages = facts.languages
    return (
        facts.parameters,
        facts.download,
        facts.licence,
        f"{languages} languages" if languages.isdigit() else languages,
        "yes" if is_on_this_machine(facts.checkpoint) else "",
        f"{repo_id}@{revision[:7]}" if revision else repo_id,
    )


def _no_group(name: str) -> ConfigError:
    return ConfigError(
        f"there is no plugin group '{name}'", where=name, fix=did_you_mean(name, GROUPS)
    )
