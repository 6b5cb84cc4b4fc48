"""``list``: a line for each plugin, preset and file that can be chosen."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from xferlab.cli.terminal import print_folded
from xferlab.config.presets import (
    KINDS,
    CheckpointFacts,
    checkpoint_presets,
    presets,
)
from xferlab.config.reference import FILE_GROUPS, SECTIONS, section_settings
from xferlab.entry_points import Announced
from xferlab.errors import ConfigError, PluginError, did_you_mean
from xferlab.formatting import terminal_width
from xferlab.groups import GROUPS
from xferlab.models.hub_cache import is_on_this_machine
from xferlab.registry import REGISTRY
from xferlab.sweeps.engines.registry import ENGINES

NAME_WIDTH = 33
"""Columns of ``objective=supervised_contrastive``, and one more."""


def show_list(flags: argparse.Namespace, names: list[str]) -> int:
    """Print a line for each plugin, preset, file, launcher and setting of the framework."""
    known = {
        **dict.fromkeys(GROUPS, _print_plugins),
        **dict.fromkeys(FILE_GROUPS, _print_files),
        "launcher": _print_launchers,
        **dict.fromkeys(SECTIONS, _print_section),
        "sweep": _print_sweep,
    }
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(
            f"there is no plugin group '{unknown[0]}'",
            where=unknown[0],
            fix=did_you_mean(unknown[0], known),
        )
    for name in names or known:
        known[name](name)
    broken = [_error_of(each) for name in names or GROUPS for each in _announced(name)]
    for error in [*REGISTRY.broken, *filter(None, broken)]:
        print(f"broken: {error.where:<22} {error.what}")
    return 0


def _print_plugins(group: str) -> None:
    rows = {e.name: e.summary for e in REGISTRY if e.group == group}
    rows |= {each.name: _row_of(each) for each in _announced(group)}
    rows |= presets(group, Path.cwd())
    checkpoints = checkpoint_presets(Path.cwd()) if group == "model" else {}
    _print_rows(f"{group}=", {name: rows[name] for name in rows.keys() - checkpoints.keys()})
    if checkpoints:
        _print_checkpoints(checkpoints)


def _announced(group: str) -> list[Announced]:
    """Return the plugins of installed packages, which are not imported for a list."""
    return list(REGISTRY.announced(group).values())


def _row_of(plugin: Announced) -> str:
    error = _error_of(plugin)
    return f"{'BROKEN, see below' if error else plugin.summary} ({plugin.package})"


def _error_of(plugin: Announced) -> PluginError | None:
    """Return what prevents a plugin from being imported, as far as its source shows."""
    try:
        plugin.summary  # noqa: B018 - it is read, which may raise
    except PluginError as e:
        return e
    return None


def _print_files(group: str) -> None:
    _print_rows(f"{group}=", presets(group, Path.cwd()))


def _print_launchers(name: str) -> None:
    summaries = {
        name: (settings.__doc__ or "").partition("\n")[0] for name, settings in ENGINES.items()
    }
    _print_rows("hydra/launcher=", presets("hydra/launcher", Path.cwd()) | summaries)


def _print_section(name: str) -> None:
    _print_rows("", {each.key: each.summary for each in section_settings(name)})


def _print_sweep(name: str) -> None:
    _print_files(name)
    _print_section(name)


def _print_rows(prefix: str, rows: Mapping[str, str]) -> None:
    for name in sorted(rows):
        print_folded(f"{prefix + name:<{NAME_WIDTH}} {rows[name]}", NAME_WIDTH + 1)


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
