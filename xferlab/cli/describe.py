"""``describe``: what anything that can be typed is: groups, plugins, files, settings."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Iterable
from pathlib import Path

from xferlab.cli.terminal import print_folded
from xferlab.config.presets import name_of_plugin, preset_files
from xferlab.config.reference import (
    FILE_GROUPS,
    SECTIONS,
    Setting,
    all_settings,
    section_settings,
    settings_of,
    settings_of_plugin,
)
from xferlab.config.yaml_files import check_yaml
from xferlab.errors import ConfigError, did_you_mean, nearest
from xferlab.groups import GROUPS, Choice, Group
from xferlab.registry import REGISTRY
from xferlab.sweeps.engines.registry import ENGINES

LAUNCHER = "hydra/launcher"
CHOICES = {
    Choice.one: "one: {0}",
    Choice.several: "several: {1}",
    Choice.in_order: "several, in order: {1}",
    Choice.one_or_more: "one, or several in order: {0}, {1}",
}


def describe(flags: argparse.Namespace, names: list[str]) -> int:
    """Print what each name is: ``loss``, ``loss=focal``, ``loss.gamma``, ``train``, a file."""
    if not names:
        raise ConfigError(
            "nothing is named",
            where="describe",
            fix="python -m xferlab describe loss, loss=focal, loss.gamma, train, train.epochs",
        )
    for name in names:
        _describe(name)
    return 0


def _describe(name: str) -> None:
    key, equals, value = name.partition("=")
    key = LAUNCHER if key == "launcher" else key
    if equals and key in GROUPS:
        _describe_plugin(key, value)
    elif equals and key in FILE_GROUPS:
        _describe_file(key, value)
    elif equals and key == LAUNCHER:
        _describe_launcher(value)
    elif key in GROUPS:
        _describe_group(GROUPS[key])
    elif key in FILE_GROUPS or key in SECTIONS:
        _describe_section(key)
    elif key == LAUNCHER:
        print("hydra/launcher: where the jobs of a sweep run\n")
        print_folded(f"  choices  {', '.join(launchers())}", 11)
    else:
        _describe_setting(key)


def launchers() -> list[str]:
    """Return the names of ``hydra/launcher=NAME``."""
    return sorted({*ENGINES, *preset_files(LAUNCHER, Path.cwd())})


def _describe_group(group: Group) -> None:
    """Print what the plugins of a group are, how they are chosen, and which there are."""
    names = REGISTRY.names(group.name)
    print(f"{group.name}: {group.summary}\n")
    examples = (group.override(names[0]), group.override(*names[:2]))
    print(f"  chosen   {CHOICES[group.choice].format(*examples)}")
    if group.may_be_absent:
        print(f"  default  {', '.join(group.default) or 'none'}")
    print(f"  method   {group.method}(), see xferlab.contracts.{group.name.title()}")
    print_folded(f"  plugins  {', '.join(names)}", 11)


def _describe_plugin(group: str, name: str) -> None:
    """Print a preset's file, the docstring of a plugin, and its settings."""
    preset = preset_files(group, Path.cwd()).get(name)
    if preset:
        _print_file(f"{group}={name}", preset)
        name = name_of_plugin(preset)
    entry = REGISTRY.get(group, name)
    print(f"{group}={name}  ({entry.origin})\n")
    _print_docstring(entry.cls)
    _print_settings(settings_of_plugin(entry))


def _describe_section(name: str) -> None:
    """Print the settings of ``train`` or ``sweep``, and the files of a group without plugins."""
    if name in SECTIONS:
        _print_docstring(SECTIONS[name])
        _print_settings(section_settings(name))
    if name in FILE_GROUPS:
        files = preset_files(name, Path.cwd())
        print(f"{name}=NAME: {FILE_GROUPS[name]}\n")
        print_folded(f"  files    {', '.join(sorted(files)) or 'none'}", 11)


def _describe_file(group: str, name: str) -> None:
    files = preset_files(group, Path.cwd())
    if name not in files:
        raise ConfigError(
            f"there is no file conf/{group}/{name}.yaml",
            where=f"{group}={name}",
            fix=did_you_mean(name, files),
        )
    _print_file(f"{group}={name}", files[name])


def _describe_launcher(name: str) -> None:
    """Print the docstring and the settings of an engine, or the file of another launcher."""
    if name in ENGINES:
        settings = ENGINES[name]
        print(f"{LAUNCHER}={name}\n")
        _print_docstring(settings)
        _print_settings(settings_of(settings, lambda field: f"hydra.launcher.{field}"))
    else:
        _describe_file(LAUNCHER, name)


def _describe_setting(key: str) -> None:
    """Print the type, default and text of a setting, once for each plugin that has it."""
    group = key.partition(".")[0]
    if group in GROUPS:
        REGISTRY.load_announced(group)
    found = _settings_called(key)
    if not found:
        REGISTRY.load_announced()
        found = _settings_called(key)
    if not found:
        raise ConfigError(f"there is nothing called '{key}'", where=key, fix=_nearest(key))
    for number, (owner, setting) in enumerate(found):
        if number:
            print()
        print(f"{setting.key}  ({owner})\n" if "=" in owner else f"{setting.key}\n")
        print(f"  type     {setting.type}")
        print(f"  default  {setting.default}")
        if setting.text:
            print_folded(f"  meaning  {setting.text}", 11)


def _settings_called(key: str) -> list[tuple[str, Setting]]:
    return [(owner, each) for owner, each in all_settings() if key in _names_of(owner, each)]


def _names_of(owner: str, setting: Setting) -> tuple[str, ...]:
    """Return what a setting may be called: ``rank``, ``transfer.rank``, ``transfer.lora.rank``."""
    group, _, plugin = owner.partition("=")
    field = setting.key.rpartition(".")[2]
    return (field, setting.key, f"{group}.{plugin}.{field}")


def _nearest(name: str) -> str:
    """Return the fix for an unknown name."""
    owners = [f"{entry.group}={entry.name}" for entry in REGISTRY if entry.name == name]
    if owners:
        return f"did you mean {' or '.join(owners)}?"
    first = [*GROUPS, *SECTIONS, *FILE_GROUPS, LAUNCHER]
    near = nearest(name, [*first, *(each.key for _, each in all_settings())])
    return f"did you mean '{near}'?" if near else did_you_mean(name, set(first))


def _print_file(name: str, path: Path) -> None:
    check_yaml(path)
    print(f"{name}  ({path})\n\n{path.read_text(encoding='utf-8').strip()}\n")


def _print_docstring(cls: type) -> None:
    for line in inspect.cleandoc(cls.__doc__ or "").splitlines():
        print_folded(line, len(line) - len(line.lstrip()) + 4)
    print()


def _print_settings(settings: Iterable[Setting]) -> None:
    """Print a line for each setting: its key, type and default."""
    settings = list(settings)
    key_width = max((len(each.key) for each in settings), default=0)
    type_width = max((len(each.type) for each in settings), default=0)
    for each in settings:
        print(f"  {each.key:<{key_width}}  {each.type:<{type_width}}  {each.default}")
