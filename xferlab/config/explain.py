"""Explains why a config cannot be used: every error in it, its source and the fix."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from hydra.errors import MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from xferlab.config.provenance import (
    COMMAND_LINE,
    PlainOverride,
    choices,
    layers_of,
    source_of_choice,
    source_of_value,
)
from xferlab.config.suggestions import suggest_data, suggest_key, suggest_name
from xferlab.config.yaml_files import defaults_of_file, files_in, find
from xferlab.errors import ConfigError, UnknownKey, XferlabError, collect_errors, did_you_mean
from xferlab.formatting import format_path
from xferlab.groups import GROUPS
from xferlab.registry import REGISTRY
from xferlab.validation import translate

MOST = 10
"""Errors that are reported at once: each of Hydra's costs a composition, a tenth of a second."""
C = TypeVar("C")
T = TypeVar("T")


def find_errors(
    overrides: Sequence[str],
    compose: Callable[[Sequence[str]], C],
    read: Callable[[C, Sequence[str]], T],
) -> tuple[T | None, list[XferlabError]]:
    """Return what ``read`` makes of a config, and every error in it.

    Hydra stops at its first error. So the override that causes it is removed, with all that depends
    on it, and the rest is composed again; what can be composed is read.
    """
    found: list[XferlabError] = []
    content = None
    left = list(overrides)
    while len(found) < MOST:
        try:
            cfg = compose(left)
        except XferlabError as e:
            found.extend(e.each)
            at_fault = _at_fault(left, e, compose)
            if not at_fault:
                break
            if not e.where:
                e.where = f"{PlainOverride.of(at_fault[0]).key} ({COMMAND_LINE})"
            left = _without(left, at_fault)
        else:
            with collect_errors(found):
                content = read(cfg, left)
            break
    return content, found


def _at_fault(
    overrides: Sequence[str], e: XferlabError, compose: Callable[[Sequence[str]], object]
) -> list[str]:
    """Return the overrides that cause an error, or that choose the file that does."""
    key, _, name = e.where.partition(" (")[0].partition("=")
    parsed_overrides = {override: PlainOverride.of(override) for override in overrides}
    for override, parsed in parsed_overrides.items():
        if parsed.key == key and (not name or name in (*parsed.names, parsed.value)):
            return [override]
    if COMMAND_LINE in e.where:
        return [
            override
            for override, parsed in parsed_overrides.items()
            if key.startswith(f"{parsed.key}.")
        ]
    for override, parsed in parsed_overrides.items():
        files = [find(f"{parsed.key}/{each}") for each in parsed.names]
        if any(path and re.search(rf"{re.escape(format_path(path))}\b", e.where) for path in files):
            return [override]
    if e.where or len(overrides) > MOST:
        return []
    for override in overrides:  # Hydra names no key: find the override without which it composes
        try:
            compose([other for other in overrides if other != override])
        except XferlabError as other:
            if str(other) != str(e):
                return [override]
        else:
            return [override]
    return []


def _without(overrides: Sequence[str], at_fault: Sequence[str]) -> list[str]:
    """Return the overrides that do not depend on those at fault: a field needs its plugin."""
    left = [override for override in overrides if override not in at_fault]
    chosen = {PlainOverride.of(override).key for override in left}
    of_file = [group for group in GROUPS if group not in chosen]  # what a file may have chosen
    for choice in (PlainOverride.of(override).key for override in at_fault):
        heads = {"experiment": of_file, "debug": of_file}.get(choice, [choice])
        left = [
            other
            for other in left
            if PlainOverride.of(other).key.partition(".")[0] not in heads or "." not in other
        ]
        if "metric" in heads:
            left = [other for other in left if PlainOverride.of(other).key != "train.monitor"]
    return left


def add_locations(
    error: XferlabError, overrides: Sequence[str], config_name: str, *, composed: bool
) -> XferlabError:
    """Add to each error's ``where`` the file it is from, and improve an unknown key's ``fix``.

    Args:
        error: one or several, changed in place.
        overrides: of the command line.
        config_name: primary config.
        composed: whether Hydra can compose this, so that the files are known.
    """
    layers = layers_of(overrides, config_name) if composed else []
    for each in error.each:
        place = source_of_value(each.where, overrides, layers)
        if isinstance(each, UnknownKey):
            each.fix = suggest_key(each, REGISTRY)
            if each.where in ("experiment", "debug"):
                each.fix = "begin the file with the line  # @package _global_"
        if place:
            each.where = f"{each.where} ({place})"
    return error


def explain(e: Exception, overrides: Sequence[str], config_name: str) -> XferlabError:
    """Return an exception of a composition as an error with key, source and fix."""
    if isinstance(e, XferlabError):
        return e
    if isinstance(e, RecursionError):
        return _circular_defaults(overrides, config_name)
    if isinstance(e, MissingConfigException):
        return _missing(e, overrides, config_name)
    cause = e.__cause__ if isinstance(e.__cause__, OmegaConfBaseException) else e
    key = re.match(r"Could not override '([^']+)'", str(e))
    if isinstance(cause, OmegaConfBaseException):
        error = translate(cause, groups=choices(), key=key[1] if key else "")
    else:
        lines = [line.strip() for line in f"{e or type(e).__name__}".split("\n") if line.strip()]
        what = " ".join(lines[:2] if lines[0].endswith(":") else lines[:1])
        error = ConfigError(what, where=_named_in(str(e), overrides), fix=_fix_for(str(e)))
    return add_locations(error, overrides, config_name, composed=False)


def _named_in(message: str, overrides: Sequence[str]) -> str:
    """Return the key of the override, or the file, that a message of Hydra names."""
    for key in (PlainOverride.of(override).key for override in overrides):
        if re.search(rf"['\s]{re.escape(key)}['=.\s]", message):
            return key
    path = re.match(r"In '?([\w/]+)'?:", message) or re.match(r"([\w/]+):", message)
    file = find(path[1]) if path else None
    return format_path(file) if file else ""


def _fix_for(message: str) -> str:
    if "Could not append" in message or "Multiple values for" in message:
        return "leave the + out; in a file write  - override /group: name"
    if "Config group override must be" in message:
        return "choose by name, as in  loss=focal  or  metric=[accuracy,f1]"
    if "Could not delete" in message:
        return "leave it out"
    return "python -m xferlab --help lists commands and plugins"


def _missing(e: MissingConfigException, overrides: Sequence[str], config_name: str) -> ConfigError:
    """Return the error for a plugin, preset or primary config that is not there."""
    group, _, name = (e.missing_cfg_file or "").rpartition("/")
    if not group and name == config_name:
        what = f"there is no config file named '{name}'"
        return ConfigError(
            what, where=f"--config-name {name}", fix=did_you_mean(name, files_in(""))
        )
    if group.startswith(("data/", "model/")):  # an id of the Hub
        group, _, name = str(e.missing_cfg_file).partition("/")
    if group == "data":
        fix = suggest_data(name)
        if fix:
            place = source_of_choice(group, name, overrides, config_name)
            where = f"data={name} ({place})" if place else f"data={name}"
            return ConfigError(f"there is no data named '{name}'", where=where, fix=fix)
    known = {g: [*REGISTRY.names(g), *files_in(g)] for g in choices()}
    known.setdefault(group, list(e.options or []))
    error = REGISTRY.unknown(group or "file", name, suggest_name(group, name, known))
    other = find(f"{group}/{name}", ".yml")
    if other:
        error.fix = f"rename {format_path(other)} to {name}.yaml"
    place = source_of_choice(group, name, overrides, config_name)
    if place:
        error.where = f"{group}={name} ({place})"
    return error


def _circular_defaults(overrides: Sequence[str], config_name: str) -> ConfigError:
    """Return the error for files whose defaults include themselves."""
    chosen = [
        f"{override.key}/{name}"
        for override in map(PlainOverride.of, overrides)
        for name in override.names
    ]
    for start in (*chosen, config_name):
        path_back = _path_back(start, (start,))
        if path_back:
            files = " -> ".join(format_path(path) for path in map(find, path_back) if path)
            path = find(path_back[0])
            what = f"its defaults include itself: {files}"
            where = format_path(path) if path else start
            return ConfigError(what, where=where, fix="remove the entry from its defaults")
    what = "the defaults of a file, or an interpolation, include themselves"
    return ConfigError(what, fix="remove the entry that was added last")


def _path_back(config_path: str, path_back: tuple[str, ...]) -> tuple[str, ...]:
    """Return the config paths from one to itself again, by the names in their defaults."""
    path = find(config_path)
    group = config_path.rpartition("/")[0]
    names = [name for name, _ in defaults_of_file(path)] if path else []
    for name in names:
        following = f"{group}/{name}" if group else name
        if following in path_back:
            return (*path_back[path_back.index(following) :], following)
        longer = _path_back(following, (*path_back, following))
        if longer:
            return longer
    return ()
