"""``list`` and ``describe``: the plugins and presets of each group, the fields of one of them."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
from pathlib import Path

from xferlab.cli.terminal import print_folded
from xferlab.config.presets import name_of_plugin, preset_files, presets
from xferlab.contracts import GROUPS
from xferlab.errors import ConfigError, did_you_mean
from xferlab.registry import REGISTRY
from xferlab.validation import format_default


def show_list(flags: argparse.Namespace, groups: list[str]) -> int:
    """Print a line for each plugin and preset."""
    unknown = [name for name in groups if name not in GROUPS]
    if unknown:
        raise _no_group(unknown[0])
    for group in groups or GROUPS:
        rows = {e.name: e.summary for e in REGISTRY if e.group == group}
        rows |= presets(group, Path.cwd())
        for name in sorted(rows):
            print_folded(f"{group + '=' + name:<30} {rows[name]}", 31)
    for error in REGISTRY.broken:
        print(f"broken: {error.where:<22} {error.what}")
    return 0


def describe(flags: argparse.Namespace, names: list[str]) -> int:
    """Print a preset's file, a plugin's docstring and its fields."""
    group, _, name = (names[0] if names else "").partition("=")
    if group not in GROUPS:
        raise _no_group(group)
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
        print(f"  {group}.{f.name:<20} {f.type!s:<22} {value}")
    return 0


def _no_group(name: str) -> ConfigError:
    return ConfigError(
        f"there is no plugin group '{name}'", where=name, fix=did_you_mean(name, GROUPS)
    )
