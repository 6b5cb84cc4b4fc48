"""The bridge to Hydra: publish plugins, guard the door, read a config back as objects."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from xferlab.contracts import GROUPS
from xferlab.errors import ConfigError
from xferlab.registry import REGISTRY, Registry
from xferlab.schema import RootConfig, TrainConfig
from xferlab.typed import build_typed, defaults_of, plain, translate

CONFIG_MODULE = "xferlab.conf"
# Hydra instantiates these two itself and restricts them to hydra_plugins.* classes.
HYDRA_OWN_TARGETS = ("hydra.sweeper", "hydra.launcher")
# Keys that say where and under which name a run is kept, not what it computes.
NOT_IDENTITY = ("hydra", "name")


def publish(workspace: Path, config_dir: Path | None = None) -> None:
    """Offer every plugin's defaults, ``workspace/conf`` and ``config_dir`` to Hydra.

    Only plain data goes into Hydra's store: it is pickled into sweep workers, which cannot
    import types that live in a plugin file. Types are checked by :func:`read`.
    """
    store = ConfigStore.instance()
    store.store(name="root", node=defaults_of(RootConfig), provider="xferlab")
    for entry in REGISTRY:
        store.store(
            group=entry.group,
            name=entry.name,
            node=entry.defaults(),
            package=f"metric.{entry.name}" if entry.group == "metric" else None,
            provider=entry.origin,
        )
    if not OmegaConf.has_resolver("run_id"):
        OmegaConf.register_new_resolver("run_id", lambda _root_: run_id(_root_))
    folders = [f for f in (workspace / "conf", config_dir) if f is not None and f.is_dir()]
    for folder in folders:
        _refuse_shadowing(folder, REGISTRY)
    _LocalConf.folders = tuple(folder.resolve() for folder in folders)
    Plugins.instance().register(_LocalConf)


def _refuse_shadowing(conf: Path, registry: Registry) -> None:
    """A preset may not take a plugin's name: Hydra would recurse or drop the types."""
    for entry in registry:
        for suffix in (".yaml", ".yml"):
            preset = conf / entry.group / f"{entry.name}{suffix}"
            if preset.exists():
                raise ConfigError(
                    f"{entry.group}={entry.name} is already a plugin",
                    where=str(preset),
                    fix=f"rename the file and begin it with  defaults: [{entry.name}]",
                )


class _LocalConf(SearchPathPlugin):
    """Puts the user's config folders in front of the packaged ones, for this process only."""

    folders: tuple[Path, ...] = ()

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in self.folders:
            search_path.prepend("workspace", f"file://{folder}", anchor="main")


def compose_config(overrides: Sequence[str], config_name: str = "config") -> DictConfig:
    """Compose one config, ``hydra`` node included, without running anything."""
    try:
        with initialize_config_module(CONFIG_MODULE, version_base="1.3"):
            return compose(config_name, overrides=list(overrides), return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as e:
        raise explain(e) from e


def explain(e: Exception) -> ConfigError:
    """Rewrite Hydra's or OmegaConf's message: the key, and the next thing to type."""
    missing = getattr(e, "missing_cfg_file", None) or ""
    group, _, name = missing.rpartition("/")
    if isinstance(e, MissingConfigException) and group:
        return REGISTRY.unknown(group, name, known=list(e.options or []))
    cause = e.__cause__ if isinstance(e.__cause__, OmegaConfBaseException) else e
    if isinstance(cause, OmegaConfBaseException):
        typed = re.match(r"Could not override '([^']+)'", str(e))
        groups = (*GROUPS, "experiment", "debug")
        return translate(cause, groups=groups, typed=typed[1] if typed else "")
    what = str(e).partition("\n")[0]
    return ConfigError(what, fix="python -m xferlab --help shows what can be typed")


def jobs_of(overrides: Sequence[str]) -> list[list[str]]:
    """Return the override list of every job of a sweep, in Hydra's order.

    >>> jobs_of(["loss=focal", "loss.gamma=0,2"])
    [['loss=focal', 'loss.gamma=0'], ['loss=focal', 'loss.gamma=2']]
    """
    jobs: list[list[str]] = [[]]
    for override in parse_overrides(overrides):
        values = axis_of(override)
        jobs = [[*job, value] for job in jobs for value in values]
    return jobs


def axis_of(override: Override) -> list[str]:
    """Return the plain overrides that one sweep override stands for."""
    if not override.is_sweep_override():
        return [str(override.input_line)]
    if not override.is_discrete_sweep():
        raise ConfigError(
            f"'{override.input_line}' is a continuous range, which a grid cannot walk",
            where=str(override.key_or_group),
            fix=f"list the values: {override.key_or_group}=1e-5,3e-5,1e-4",
        )
    key = override.get_key_element()
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """Parse override words, or raise ConfigError for one that is no ``key=value``."""
    parser = OverridesParser.create()
    parsed = []
    for word in overrides:
        try:
            parsed += parser.parse_overrides([word])
        except HydraException as e:
            raise ConfigError(
                f"'{word}' cannot be read as key=value",
                where=word,
                fix="python -m xferlab --help lists the commands; quote values with blanks or"
                " commas: 'key=\"a, b\"'",
            ) from e
    return parsed


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


def _walk(node: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    pairs: Any = ()
    if isinstance(node, dict):
        pairs = node.items()
    elif isinstance(node, list):
        pairs = enumerate(node)
    for key, value in pairs:
        path = f"{prefix}.{key}" if prefix else str(key)
        yield str(key), path
        yield from _walk(value, path)


@dataclass(frozen=True)
class Recipe:
    """A checked config: plugin instances, no Keras object yet.

    Attributes:
        config: the same as plain, resolved data, for the record.
        run_id: eight hexadecimal digits that name what this run computes.
    """

    data: Any
    model: Any
    transfer: Any
    loss: Any
    optimizer: Any
    schedule: Any
    metrics: Mapping[str, Any]
    train: TrainConfig
    seed: int
    config: Mapping[str, Any]
    run_id: str


def read(cfg: DictConfig, registry: Registry = REGISTRY) -> Recipe:
    """Turn a composed config into plugin instances, or raise ConfigError."""
    refuse_code(cfg)
    try:
        config = _experiment(cfg)
    except OmegaConfBaseException as e:
        raise translate(e) from e
    single = {g: registry.create(g, config[g]) for g in GROUPS if g != "metric"}
    metrics = {
        name: registry.create("metric", node, key=f"metric.{name}")
        for name, node in config["metric"].items()
    }
    if not isinstance(config["seed"], int) or config["seed"] < 0:
        raise ConfigError(
            f"seed must be a whole number from 0 up, got {config['seed']}",
            where="seed",
            fix="seed=1",
        )
    train = build_typed(TrainConfig, config["train"], "train")
    return Recipe(
        **single,
        metrics=metrics,
        train=train,
        seed=config["seed"],
        config=config,
        run_id=run_id(cfg),
    )


def run_id(cfg: DictConfig) -> str:
    """Return eight hexadecimal digits that name what a config computes.

    Values are normalised through the plugins' types, so ``1e-5`` equals ``0.00001`` and ``1``
    given for a float equals ``1.0``. Where the run is kept and what it is called do not count.
    """
    config = _experiment(cfg)
    typed = {k: _normalised(k, v) for k, v in config.items() if k not in NOT_IDENTITY}
    text = json.dumps(typed, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _experiment(cfg: DictConfig) -> dict[str, Any]:
    """Return everything but Hydra's own node, resolved, as plain data."""
    own = OmegaConf.masked_copy(cfg, [str(k) for k in cfg if k != "hydra"])
    return plain(own, required=False)


def _normalised(key: str, node: Any) -> Any:
    """Return ``node`` as the fields' types would read it; unknown shapes stay as they are."""
    try:
        if key == "metric":
            return {name: _normalised_plugin("metric", n) for name, n in node.items()}
        if key in GROUPS:
            return _normalised_plugin(key, node)
        if key == "train":
            return _fields(build_typed(TrainConfig, node, key))
    except ConfigError:
        pass  # a wrong value is reported by read(), not here
    return node


def _normalised_plugin(group: str, node: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": node["name"], **_fields(REGISTRY.create(group, node))}


def _fields(instance: Any) -> dict[str, Any]:
    return {key: getattr(instance, key) for key in instance.__dataclass_fields__}


def preflight(overrides: Sequence[str], *, multirun: bool, config_name: str = "config") -> int:
    """Compose and check every job before anything starts; return how many there are."""
    jobs = jobs_of(overrides) if multirun else [list(overrides)]
    if not multirun:
        _refuse_sweep_words(overrides)
    seen: dict[str, list[str]] = {}
    for job in jobs:
        recipe = read(compose_config(job, config_name))
        if recipe.run_id in seen:
            raise ConfigError(
                f"two jobs are one experiment: {' '.join(seen[recipe.run_id])} and {' '.join(job)}",
                where="--multirun",
                fix="take one of the equal values out",
            )
        seen[recipe.run_id] = job
    return len(jobs)


def _refuse_sweep_words(overrides: Sequence[str]) -> None:
    for override in parse_overrides(overrides):
        if override.is_sweep_override():
            raise ConfigError(
                f"'{override.input_line}' names several values",
                where=str(override.key_or_group),
                fix="add -m to run one job a value",
            )
