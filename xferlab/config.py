"""The bridge to Hydra: publish plugins, compose, translate its errors, check every job."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_module
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import Container, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from xferlab.contracts import GROUPS
from xferlab.errors import ConfigError
from xferlab.overrides import refuse_sweep_words
from xferlab.recipe import read, run_id
from xferlab.registry import REGISTRY, Registry
from xferlab.safety import refuse_code, refuse_hydra_keys, refuse_search_path
from xferlab.schema import RootConfig, SweepConfig
from xferlab.typed import defaults_of, plain, translate

CONFIG_MODULE = "xferlab.conf"


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
            refuse_search_path(_first_config(config_name), overrides)
            cfg = compose(config_name, overrides=list(overrides), return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as e:
        raise explain(e) from e
    refuse_code(cfg)
    refuse_hydra_keys(cfg, overrides)
    return cfg


def _first_config(name: str) -> Container | None:
    """Return the file that a config's name means, before anything is composed from it."""
    for source in GlobalHydra.instance().config_loader().get_sources():
        if source.is_config(name):
            return source.load_config(name).config
    return None


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


def preflight(overrides: Sequence[str], config_name: str = "config") -> None:
    """Compose and check one experiment before anything starts."""
    refuse_sweep_words(overrides)
    cfg = compose_config(overrides, config_name)
    read(cfg)
    if plain(cfg.sweep) != defaults_of(SweepConfig):
        raise ConfigError(
            "a sweep has several jobs, and this command runs one",
            where="sweep",
            fix="add -m to run them all",
        )
