"""Configs are data: what may stand in one, and how a stranger's file is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from xferlab.errors import ConfigError
from xferlab.typed import plain

# Hydra instantiates these two itself and restricts them to hydra_plugins.* classes.
HYDRA_OWN_TARGETS = ("hydra.sweeper", "hydra.launcher")
LARGEST_FILE = 1_000_000  # bytes of a config; a large one has a thousandth of it
DEEPEST = 32  # levels of a config


def read_config_data(path: Path) -> dict[str, Any]:
    """Return a saved ``config.yaml`` as plain data; whoever wrote it, it stays data.

    No resolver is called, nothing is interpolated, no tag makes an object and no alias grows:
    what a stranger's file says cannot depend on the machine of who opens it.

    Raises:
        ConfigError: it is no plain, whole, bounded YAML table.
    """
    text = _text_of(path)
    try:
        _refuse_tricks(text, path)
        data = OmegaConf.to_container(OmegaConf.create(text))
    except (yaml.YAMLError, OmegaConfBaseException, ValueError) as e:
        raise _bad(path, f"is not YAML: {' '.join(str(e).split())[:200]}") from e
    if not isinstance(data, dict):
        raise _bad(path, "is not a table of keys")
    return {str(key): value for key, value in data.items()}


def _text_of(path: Path) -> str:
    """Return the text of a small ordinary file; never waits, never follows a link."""
    if path.is_symlink() or not path.is_file():
        raise _bad(path, "is not an ordinary file" if path.exists() else "is not there")
    if path.stat().st_size > LARGEST_FILE:
        raise _bad(path, f"has more than {LARGEST_FILE} bytes")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as e:
        raise _bad(path, f"cannot be read: {e}") from e


def _refuse_tricks(text: str, path: Path) -> None:
    """Raise ConfigError for YAML that is more than data, before anything is made of it."""
    depth = 0
    for event in cast("Iterator[Any]", yaml.parse(text, Loader=yaml.SafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        value = event.value if isinstance(event, yaml.ScalarEvent) else ""
        trick = ""
        if depth > DEEPEST:
            trick = f"is deeper than {DEEPEST} levels"
        elif isinstance(event, yaml.AliasEvent):
            trick = f"uses an alias: *{event.anchor}"
        elif getattr(event, "tag", None):
            trick = f"uses a tag: {event.tag}"
        elif "${" in value:
            trick = f"holds an interpolation: {value[:80]!r}"
        if trick:
            raise _bad(path, trick, event.start_mark)


def _bad(path: Path, what: str, mark: Any = None) -> ConfigError:
    return ConfigError(
        f"a saved config is plain data, but {path.name} {what}",
        where=f"{path}:{mark.line + 1}" if mark else str(path),
        fix="name a folder that xferlab made; ask for a fresh copy if somebody sent it to you",
    )


def refuse_code(cfg: DictConfig) -> None:
    """Raise ConfigError if the config names something to import or call.

    Configs are data. Code enters only through a registered plugin, so ``_target_`` and
    logging's ``()`` factories have no business anywhere in a config.
    """
    for key, path in _walk(plain(cfg, resolve=False)):
        if key == "()" or (key == "_target_" and not path.startswith(HYDRA_OWN_TARGETS)):
            raise ConfigError(
                f"'{key}' is not allowed: a config cannot name code to run",
                where=path,
                fix="register a plugin and select it by name",
            )


def _walk(node: Any, prefix: str = "") -> Iterator[tuple[Any, str]]:
    pairs: Any = ()
    if isinstance(node, dict):
        pairs = node.items()
    elif isinstance(node, list):
        pairs = enumerate(node)
    for key, value in pairs:
        path = f"{prefix}.{key}" if prefix else str(key)
        yield key, path
        yield from _walk(value, path)
