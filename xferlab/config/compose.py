"""The bridge to Hydra: publish plugins, compose, translate its errors, check every job."""

from __future__ import annotations

import argparse
import copy
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hydra import compose, initialize_config_module
from hydra._internal.callbacks import Callbacks
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_store import ConfigNode, ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.types import HydraContext
from omegaconf import Container, DictConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, OmegaConfBaseException

from xferlab import discovery
from xferlab.config.allowlist import refuse_code, refuse_hydra_keys, refuse_search_path
from xferlab.config.explain import add_locations, explain, find_errors
from xferlab.config.overrides import parse_overrides, refuse_sweep_overrides
from xferlab.config.provenance import COMMAND_LINE
from xferlab.config.recipe import Recipe, read, run_id
from xferlab.config.schema import SweepConfig, root_node
from xferlab.config.stacks import with_stacks
from xferlab.config.suggestions import suggest_data
from xferlab.config.yaml_files import LocalConf, PackagedConfigs, YamlFolder
from xferlab.errors import ConfigError, XferlabError, raise_together
from xferlab.groups import GROUPS, Choice
from xferlab.registry import REGISTRY, Entry, Registry
from xferlab.validation import defaults_of, plain

CONFIG_MODULE = "xferlab.conf"


def publish(workspace: Path, config_dir: Path | None = None) -> None:
    """Offer every plugin's defaults, ``workspace/conf`` and ``config_dir`` to Hydra.

    Only plain data goes into Hydra's store: it is pickled into sweep workers, which cannot
    import types that live in a plugin file. Types are checked by :func:`read`.
    """
    store = ConfigStore.instance()
    store.store(name="root", node=root_node(), provider="xferlab")
    publish_plugins()
    if not OmegaConf.has_resolver("run_id"):
        OmegaConf.register_new_resolver("run_id", lambda _root_: run_id(_root_))
        OmegaConf.register_new_resolver("name_suffix", lambda _root_: _name_suffix(_root_))
    folders = [f for f in (workspace / "conf", config_dir) if f is not None and f.is_dir()]
    for folder in folders:
        _refuse_shadowing(folder, REGISTRY)
    LocalConf.folders = tuple(folder.resolve() for folder in folders)
    LocalConf.installed = tuple(discovery.presets)
    Plugins.instance().register(LocalConf)
    Plugins.instance().register(YamlFolder)
    # in the place of the class below it, which  register()  would keep
    SourcesRegistry.instance().types[PackagedConfigs.scheme()] = PackagedConfigs


def _name_suffix(config: DictConfig) -> str:
    """Return what a config's ``name`` adds to the name of its folder, ``-mine``; empty without."""
    name = config.get("name")
    return "" if name is None else "-" + re.sub(r"[ :]+", "_", str(name))


def publish_plugins() -> None:
    """Offer the defaults of every plugin to Hydra; of one that is not loaded, once it is used.

    Plugins that were loaded after :func:`publish` are added by another call.
    """
    store = ConfigStore.instance()
    for entry in REGISTRY.loaded():
        store.store(
            group=entry.group,
            name=entry.name,
            node=_node_of(entry),
            package=_package_of(entry.group, entry.name),
            provider=entry.origin,
        )
    announced = [(group, name) for group in GROUPS for name in REGISTRY.announced(group)]
    for group, name in (*REGISTRY.deferred(), *announced):
        node = _LaterNode(f"{name}.yaml", None, group, _package_of(group, name), None)  # type: ignore[arg-type]
        store.repo.setdefault(group, {})[node.name] = node


class _LaterNode(ConfigNode):
    """The defaults of a plugin that is loaded when Hydra reads them."""

    def __copy__(self) -> ConfigNode:
        """Return the node with its content; ``ConfigStore.load`` copies what it returns."""
        assert self.group is not None
        entry = REGISTRY.get(self.group, self.name.removesuffix(".yaml"))
        return ConfigNode(self.name, _node_of(entry), self.group, self.package, entry.origin)


def _node_of(entry: Entry) -> DictConfig:
    """Return a plugin's defaults; a dict that is empty there takes any keys, as class names."""
    node: DictConfig = OmegaConf.structured(entry.defaults())
    for _, value in node.items_ex(resolve=False):
        if isinstance(value, DictConfig) and not value:
            OmegaConf.set_struct(value, False)
    return node


def _package_of(group: str, name: str) -> str | None:
    return f"{group}.{name}" if GROUPS[group].holds_several else None


def _refuse_shadowing(conf: Path, registry: Registry) -> None:
    """A preset may not take a plugin's name: Hydra would recurse or drop the types."""
    names = [(group, name) for group in GROUPS for name in registry.names(group)]
    for group, name in names:
        for suffix in (".yaml", ".yml"):
            preset = conf / group / f"{name}{suffix}"
            if preset.exists():
                raise ConfigError(
                    f"{group}={name} is already a plugin",
                    where=str(preset),
                    fix=f"rename the file and begin it with  defaults: [{name}]",
                )


def compose_config(overrides: Sequence[str], config_name: str = "config") -> DictConfig:
    """Compose one config, ``hydra`` node included, without running anything."""
    return compose_with_context(overrides, config_name)[0]


def compose_with_context(
    overrides: Sequence[str], config_name: str = "config"
) -> tuple[DictConfig, HydraContext]:
    """Compose one config; return it with what Hydra's job runner and launchers need beside it."""
    _refuse_two(overrides)
    with _hydra():
        context = HydraContext(GlobalHydra.instance().config_loader(), Callbacks())
        try:
            refuse_search_path(_first_config(config_name), overrides)
            with warnings.catch_warnings(action="ignore"):  # what they are about is an error here
                cfg = compose(config_name, with_stacks(overrides), return_hydra_config=True)
        except Exception as e:
            raise explain(e, overrides, config_name) from e
        try:
            refuse_code(cfg)
            refuse_hydra_keys(cfg, overrides)
        except XferlabError as e:
            add_locations(e, overrides, config_name, composed=True)
            raise
    return cfg, context


def _first_config(name: str) -> Container | None:
    """Return the file that a config's name means, before anything is composed from it."""
    for source in GlobalHydra.instance().config_loader().get_sources():
        if source.is_config(name):
            return source.load_config(name).config
    return None


def _refuse_two(overrides: Sequence[str]) -> None:
    """Raise ConfigError for a list where one plugin is chosen: Hydra would mix their fields."""
    for override in parse_overrides(overrides):
        group = override.key_or_group
        value = override.value()
        is_single = group in GROUPS and GROUPS[group].choice is Choice.one
        if is_single and isinstance(value, list) and len(value) > 1:
            fix = f"-m {group}={','.join(map(str, value))}  runs a job for each"
            if group == "data" and suggest_data(str(value[0])):
                fix = f"{suggest_data(str(value[0]))}; a glob names several files of one split"
            raise ConfigError(
                f"{group} takes one plugin, got {len(value)}",
                where=f"{group} ({COMMAND_LINE})",
                fix=fix,
            )


def _read(cfg: DictConfig, overrides: Sequence[str], config_name: str) -> Recipe:
    """Check a composed config; an error names the file it is from."""
    try:
        recipe = read(cfg)
        _check_folders(cfg)
        return recipe
    except XferlabError as e:
        with _hydra():
            add_locations(e, overrides, config_name, composed=True)
        raise


def _check_folders(cfg: DictConfig) -> None:
    """Raise ConfigError if the name of a run's folder cannot be worked out."""
    for path in ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"):
        try:
            OmegaConf.select(cfg, path)
        except InterpolationToMissingValueError:
            pass  # the number of a job: known when it starts
        except OmegaConfBaseException as e:
            what = f"{path} cannot be worked out: {str(e).partition(chr(10))[0]}"
            raise ConfigError(what, where=path, fix=f"{path}=outputs/mine") from e


@contextmanager
def _hydra() -> Iterator[None]:
    """Initialise Hydra for a composition, also within a job that a Hydra launcher runs.

    Hydra is global and refuses to be initialised twice, so an outer one is restored afterwards.
    """
    one = GlobalHydra.instance()
    outer = one.hydra
    one.clear()
    try:
        with initialize_config_module(CONFIG_MODULE, version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().hydra = outer


@dataclass(frozen=True)
class Composed:
    """One experiment's config, composed and checked.

    Attributes:
        overrides: what it was composed of.
        config: the config with its ``hydra`` node.
        recipe: the checked plugins.
        context: what Hydra's job runner needs.
        config_name: the config that the overrides change.
    """

    overrides: tuple[str, ...]
    config: DictConfig
    recipe: Recipe
    context: HydraContext
    config_name: str


def compose_experiment(overrides: Sequence[str], config_name: str = "config") -> Composed:
    """Compose and check one experiment before anything starts; all errors are reported."""
    refuse_sweep_overrides(overrides)
    checked, errors = find_errors(
        overrides,
        lambda overrides: compose_with_context(overrides, config_name),
        lambda composed, overrides: _checked(*composed, overrides, config_name),
    )
    raise_together(errors)
    assert checked is not None
    return checked


def _checked(
    config: DictConfig, context: HydraContext, overrides: Sequence[str], config_name: str
) -> Composed:
    recipe = _read_one(config, overrides, config_name)
    return Composed(tuple(overrides), config, recipe, context, config_name)


def print_config(experiment: Composed, flags: argparse.Namespace) -> None:
    """Print what Hydra's ``--cfg`` or ``--info`` shows of an experiment.

    Args:
        experiment: the checked config.
        flags: with ``cfg``, ``info``, ``package`` and ``resolve`` as Hydra defines them.
    """
    with _hydra():
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        if flags.info:
            hydra.show_info(flags.info, experiment.config_name, list(experiment.overrides))
            return
        # what Hydra.show_cfg prints, of the config that is already composed
        config = copy.deepcopy(experiment.config)
        HydraConfig.instance().set_config(config)
        OmegaConf.set_readonly(config.hydra, None)
        shown = hydra.get_sanitized_cfg(config, flags.cfg)
    _print_package(shown, None if flags.package == "_global_" else flags.package, flags.resolve)


def _print_package(config: DictConfig, package: str | None, resolve: bool) -> None:
    """Print a config, or the part of it that a package names, as YAML."""
    part = config if package is None else OmegaConf.select(config, package)
    if part is None:
        raise ConfigError(
            f"the config has no package '{package}'",
            where="--package",
            fix=f"name one of: {', '.join(map(str, config))}",
        )
    if resolve and isinstance(part, Container):
        OmegaConf.resolve(part)
    header = f"# @package {package}\n" if package and isinstance(part, Container) else ""
    text = OmegaConf.to_yaml(part) if isinstance(part, Container) else f"{part}\n"
    sys.stdout.write(header + text)


def _read_one(cfg: DictConfig, overrides: Sequence[str], config_name: str) -> Recipe:
    """Check a config that one run is made of."""
    sweep = OmegaConf.select(cfg, "sweep")  # a user's own config.yaml may leave it out
    if sweep is not None and plain(sweep) != defaults_of(SweepConfig):
        raise ConfigError(
            "a sweep has several jobs, and this command runs one",
            where="sweep",
            fix="add -m to run them all",
        )
    return _read(cfg, overrides, config_name)
