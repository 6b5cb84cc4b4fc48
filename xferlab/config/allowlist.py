"""Configs are data: what may stand in one, and how a stranger's file is read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from xferlab.deprecated import current_config, current_override
from xferlab.errors import ConfigError
from xferlab.io.records import read_text
from xferlab.validation import plain

LARGEST_FILE = 1_000_000  # bytes of a config; a large one has a thousandth of it
DEEPEST = 32  # levels of a config

# Hydra instantiates these two itself, by classes of its own package and of its plugins.
HYDRA_OWN_TARGETS = ("hydra.sweeper._target_", "hydra.launcher._target_")
_HYDRA_CLASS = re.compile(r"(hydra_plugins|hydra\._internal\.core_plugins)\.[\w.]+")
_RUN_NAME = re.compile(r"\w[\w .+=,:-]{0,99}")

# Values: ``${...}`` may stand only for what Hydra keeps as text, never for a table of keys.
_WORD = r"\w[\w.-]*"
_HYDRAS_TEXT = r"\$\{hydra\.(?:run\.dir|sweep\.(?:dir|subdir)|job\.(?:name|num|id))\}"
_TEXT = rf"(?:{_HYDRAS_TEXT}|(?!\$\{{)[^\x00-\x1f])*"
_CLOCK = r"\$\{now:(?:%[A-Za-z]|[_-])+\}"
_FOLDER = (
    rf"(?![/~])(?!.*\.\.)(?:{_CLOCK}|\$\{{(?:run_id|name_suffix):\}}|{_HYDRAS_TEXT}|[\w./=,@+ -])+"
)
_LOG_FILE = r"\$\{hydra\.runtime\.output_dir\}/(?:\w|\$\{hydra\.job\.name\})[\w-]*\.log"
# logging imports what follows ``ext://``, wherever it stands
_LOG_TEXT = r"(?!\w+://)(?:(?!\$\{)[^\x00-\x1f])*"
# of launchers of other packages: none that is a command, or a path to one
_LAUNCHER_KEYS = "n_jobs|tasks_per_node|nodes|array_parallelism"
LAUNCHER_TEXT = r"[\w.,:/@=+*&|()\[\]-]*"
"""A text for a launcher: no blanks, since Slurm reads several options from one line."""
_LOG = r"hydra\.(?:job|hydra)_logging\."
_HYDRA_KEYS = [
    (re.compile(key), re.compile(value))
    for key, value in {
        r"hydra\.(run|sweep)\.(dir|subdir)": _FOLDER,
        r"hydra\.output_subdir|hydra\.job\.(name|id|num)": rf"\.hydra|{_WORD}",
        r"hydra\.job\.(chdir|config_name|config\..*)": _TEXT,
        r"hydra\.(verbose|verbose\.\d+)": _WORD,
        # Hydra fills these in; values of a config there are overwritten or only shown
        r"hydra\.(overrides|help|hydra_help)\..*": r"(?s:.*)",
        r"hydra\.job\.override_dirname": r"(?s:.*)",  # made of the overrides
        r"hydra\.runtime\.(version|version_base|cwd|(config_sources|choices)\..*)": r"(?s:.*)",
        r"hydra\.(launcher|sweeper)\._target_": _HYDRA_CLASS.pattern,
        rf"hydra\.launcher\.({_LAUNCHER_KEYS})": LAUNCHER_TEXT,
        r"hydra\.sweeper\.(?!params\b).*": _TEXT,
        rf"{_LOG}(version|disable_existing_loggers)": _WORD,
        rf"{_LOG}formatters\.[^.]+\.(format|datefmt)": _LOG_TEXT,
        rf"{_LOG}handlers\.[^.]+\.class": r"logging\.(Stream|File|Null)Handler",
        rf"{_LOG}handlers\.[^.]+\.stream": r"ext://sys\.(stdout|stderr)",
        rf"{_LOG}handlers\.[^.]+\.filename": _LOG_FILE,
        rf"{_LOG}handlers\.[^.]+\.(formatter|level|mode|encoding|delay)": _WORD,
        rf"{_LOG}(root|loggers\..+)\.(level|propagate|handlers\.\d+)": _WORD,
    }.items()
]
_ENGINE_KEYS: dict[str, re.Pattern[str]] = {}
# What the command line may set, and a file that came from elsewhere may not.
_TYPED_ONLY = re.compile(r"hydra\.((run|sweep)\.(dir|subdir)$|launcher\.)")
_FIXES = {
    "hydra.searchpath": "--config-dir FOLDER adds a folder of configs",
    "hydra.job.env": "set it in the shell: NAME=VALUE python -m xferlab ...",
    "hydra.mode": "type -m",
    "hydra.sweeper.params": "type -m and the values: optimizer.lr=1e-5,3e-5",
    "hydra.run.dir": "type a folder outside yourself: hydra.run.dir=FOLDER",
    "hydra.sweep.": "type a folder outside yourself: hydra.sweep.dir=FOLDER",
    "hydra.launcher": "type it yourself: KEY=VALUE",
    "hydra": "take it out; docs/safety.md lists what a config may set of Hydra",
}


def read_config_data(path: Path) -> dict[str, Any]:
    """Return a saved ``config.yaml`` as plain data; whoever wrote it, it stays data.

    No resolver is called, nothing is interpolated, no tag makes an object and no alias grows:
    the content of an untrusted file cannot depend on the machine that opens it.

    Raises:
        ConfigError: it is no plain, whole, bounded YAML table.
    """
    data = _read_saved(path)
    if not isinstance(data, dict):
        raise _bad(path, "is not a table of keys")
    config: dict[str, Any] = current_config({str(key): value for key, value in data.items()})
    return config


def read_saved_overrides(path: Path) -> list[str]:
    """Return a saved ``overrides.yaml``, read like :func:`read_config_data`."""
    data = _read_saved(path)
    if not isinstance(data, list):
        raise _bad(path, "is not a list of overrides")
    return [current_override(str(override)) for override in data]


def _read_saved(path: Path) -> Any:
    text = _text_of(path)
    try:
        _refuse_tricks(text, path)
        return OmegaConf.to_container(OmegaConf.create(text))
    except (yaml.YAMLError, OmegaConfBaseException, ValueError) as e:
        raise _bad(path, f"is not YAML: {' '.join(str(e).split())[:200]}") from e


def _text_of(path: Path) -> str:
    """Return the text of a small ordinary file; never waits, never follows a link."""
    try:
        return read_text(path, LARGEST_FILE)
    except FileNotFoundError as e:
        raise _bad(path, "is not there") from e
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
        fix="name a folder that xferlab made; get a fresh copy if somebody sent it to you",
    )


def refuse_code(cfg: DictConfig) -> None:
    """Raise ConfigError if the config names something to import or call.

    Configs are data. Code enters only through a registered plugin, so ``_target_`` and
    logging's ``()`` factories have no business anywhere in a config.
    """
    for key, path, value in _walk(plain(cfg, resolve=False)):
        own = path in HYDRA_OWN_TARGETS and _HYDRA_CLASS.fullmatch(str(value))
        if key in ("_target_", "()") and not own:
            raise ConfigError(
                f"'{key}' is not allowed: a config cannot name code to run",
                where=path,
                fix="register a plugin and select it by name",
            )


def refuse_hydra_keys(cfg: DictConfig, command_line: Sequence[str]) -> None:
    """Raise ConfigError if Hydra's own node sets more than it may.

    Args:
        cfg: a composed config with its ``hydra`` node.
        command_line: its overrides; only there may a folder outside be named.
    """
    keys = {override.lstrip("+~").partition("=")[0] for override in command_line}
    for _, path, value in _walk(plain(cfg.hydra, resolve=False), "hydra"):
        by_hand = _TYPED_ONLY.match(path) and any(f"{path}.".startswith(f"{k}.") for k in keys)
        if isinstance(value, dict | list) or value in (None, "???") or by_hand:
            continue
        rule = next((rule for name, rule in _HYDRA_KEYS if name.fullmatch(path)), None)
        rule = rule or _ENGINE_KEYS.get(path)
        if rule is None or not rule.fullmatch(str(value)):
            may = (
                f"{path} may not be '{str(value)[:80]}'" if rule else f"a config cannot set {path}"
            )
            raise ConfigError(may, where=path, fix=_fix(path))


def allow_launcher_key(key: str, pattern: str) -> None:
    """Let config files set a key of ``hydra.launcher``; several engines may share one.

    Args:
        key: the field of an engine's settings.
        pattern: a regular expression that the whole value must match.
    """
    _ENGINE_KEYS.setdefault(f"hydra.launcher.{key}", re.compile(pattern))


def refuse_search_path(cfg: Any, command_line: Sequence[str]) -> None:
    """Raise ConfigError if configs are to come from elsewhere: ``pkg://NAME`` imports NAME.

    Args:
        cfg: the file that ``--config-name`` means, alone.
        command_line: its overrides.
    """
    key = "hydra.searchpath"
    if any(override.lstrip("+").startswith(key) for override in command_line) or (
        OmegaConf.is_dict(cfg) and OmegaConf.select(cfg, key) is not None
    ):
        raise ConfigError(f"a config cannot set {key}", where=key, fix=_fix(key))


def refuse_name(name: Any) -> None:
    """Raise ConfigError unless a run's name is one that a folder, a table and a page can show."""
    if name is not None and not _RUN_NAME.fullmatch(str(name)):
        raise ConfigError(
            f"name may not be {str(name)[:80]!r}",
            where="name",
            fix="begin with a letter or digit; more of these, blanks and . _ - + = , : may follow",
        )


def _fix(path: str) -> str:
    return next(fix for start, fix in _FIXES.items() if path.startswith(start))


def _walk(node: Any, prefix: str = "") -> Iterator[tuple[str, str, Any]]:
    """Yield key, path and value of everything inside ``node``."""
    pairs: Any = ()
    if isinstance(node, dict):
        pairs = node.items()
    elif isinstance(node, list):
        pairs = enumerate(node)
    for key, value in pairs:
        path = f"{prefix}.{key}" if prefix else str(key)
        yield str(key), path, value
        yield from _walk(value, path)
