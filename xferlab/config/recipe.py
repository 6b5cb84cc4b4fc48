"""From a composed config to checked plugin instances: the one door every config goes through."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from xferlab.config.allowlist import refuse_code, refuse_name
from xferlab.config.schema import TrainConfig, root_keys
from xferlab.contracts import Task
from xferlab.errors import (
    ConfigError,
    UnknownKey,
    XferlabError,
    collect_errors,
    did_you_mean,
    raise_together,
)
from xferlab.groups import GROUPS, Choice, Group
from xferlab.registry import REGISTRY, Registry
from xferlab.tasks.base import TASKS
from xferlab.validation import build_typed, identifying_fields, plain

# Keys of a composed config that are about running it, no part of the experiment.
NOT_EXPERIMENT = ("hydra", "sweep")
# Keys about how a run is stored, not what it computes.
NOT_IDENTITY = (
    "name",
    "train.checkpoint_every",
    "train.resume",
    "train.split_on_oom",
    "train.keep",
)
LARGEST_SEED = 2**32  # what NumPy and Keras take


@dataclass(frozen=True)
class Recipe:
    """A checked config: plugin instances, no Keras object yet.

    The plugin of each group is an attribute, too: ``recipe.loss``.

    Attributes:
        plugins: by group, a plugin; plugins by name where the group holds several; None where none
            is chosen.
        train: how long and how to train.
        seed: of everything random.
        monitor: logged name of the value that picks the best epoch.
        mode: ``max`` or ``min``, for that value.
        config: the same as plain, resolved data, for the record.
        run_id: eight hexadecimal digits that name what this run computes.
    """

    plugins: Mapping[str, Any]
    train: TrainConfig
    seed: int
    monitor: str
    mode: str
    config: Mapping[str, Any]
    run_id: str

    def __getattr__(self, name: str) -> Any:
        """Return what is chosen of a group."""
        plugins = self.__dict__.get("plugins", {})
        if name not in plugins:
            raise AttributeError(f"a recipe has no '{name}'")
        return plugins[name]

    @property
    def metrics(self) -> Mapping[str, Any]:
        """The metrics by name."""
        metrics: Mapping[str, Any] = self.plugins["metric"]
        return metrics

    def with_plugin(self, group: str, chosen: Any) -> Recipe:
        """Return the recipe with another choice of a group."""
        return dataclasses.replace(self, plugins={**self.plugins, group: chosen})


def read(cfg: DictConfig, registry: Registry = REGISTRY) -> Recipe:
    """Turn a composed config into plugin instances, or raise ConfigError with every error."""
    refuse_code(cfg)
    return _read(experiment_of(cfg), list(_unknown_words(cfg)), registry)


def read_plain(config: Mapping[str, Any], registry: Registry = REGISTRY) -> Recipe:
    """Turn an experiment that is resolved, plain data into plugin instances.

    The data must have passed :func:`refuse_code`, or hold nothing but what a recipe's ``config``
    held.
    """
    return _read(config, [], registry)


def _read(config: Mapping[str, Any], errors: list[XferlabError], registry: Registry) -> Recipe:
    parts: dict[str, Any] = {}
    plugins: dict[str, Any] = {}
    for group in GROUPS.values():
        with collect_errors(errors):
            node = config[group.name] if group.name in config else registry.default_node(group)
            plugins[group.name] = registry.create_chosen(group, node)
    with collect_errors(errors):
        parts["train"] = build_typed(TrainConfig, config.get("train"), "train")
    with collect_errors(errors):
        _check_own(config)
    train = config.get("train")
    monitor = train.get("monitor", "auto") if isinstance(train, Mapping) else None
    if "metric" in plugins and isinstance(monitor, str):
        with collect_errors(errors):
            metrics = plugins["metric"] or _every_default(registry)
            parts["monitor"], parts["mode"] = monitored(monitor, metrics)
    raise_together(errors)
    return Recipe(plugins, **parts, seed=config["seed"], config=config, run_id=_digest(config))


def _check_own(config: Mapping[str, Any]) -> None:
    """Raise ConfigError unless ``seed`` and ``name`` are what they may be."""
    errors: list[XferlabError] = []
    seed = config.get("seed")
    name = config.get("name")
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < LARGEST_SEED:
        what = f"seed must be a whole number from 0 up, below {LARGEST_SEED}, got {seed!r}"
        errors.append(ConfigError(what, where="seed", fix="seed=1"))
    if name is not None and not isinstance(name, str | int | float):
        what = f"name must be a word, got {name!r}"
        errors.append(ConfigError(what, where="name", fix="name=first_try"))
    else:
        with collect_errors(errors):
            refuse_name(name)
    raise_together(errors)


def _unknown_words(cfg: DictConfig) -> Iterator[ConfigError]:
    """Yield an error for each top-level key that nothing reads; most are typos in a file.

    A key of the user's own is fine if another value refers to it: ``optimizer.lr=${my_lr}``.
    """
    data = plain(cfg, resolve=False)
    text = repr(data)
    known = {*root_keys(), *NOT_EXPERIMENT}
    for key in (key for key in data if key not in known):
        if not re.search(rf"\$\{{\.*{re.escape(str(key))}\b", text):
            fix = did_you_mean(str(key), root_keys())
            yield UnknownKey(f"there is no key '{key}'", where=str(key), fix=fix)


def fitted_to(recipe: Recipe, task: Task, registry: Registry = REGISTRY) -> Recipe:
    """Return the recipe with the task's own metrics, where none was chosen."""
    if recipe.metrics:
        return recipe
    metrics = registry.create_chosen(GROUPS["metric"], task.default_metrics)
    monitor, mode = monitored(recipe.train.monitor, metrics)
    fitted = recipe.with_plugin("metric", metrics)
    return dataclasses.replace(fitted, monitor=monitor, mode=mode)


def _every_default(registry: Registry) -> dict[str, Any]:
    """Return the default metrics of all tasks: the data defines which one it is."""
    nodes = {name: node for task in TASKS.values() for name, node in task.default_metrics.items()}
    metrics: dict[str, Any] = registry.create_chosen(GROUPS["metric"], nodes)
    return metrics


def monitored(monitor: str, metrics: Mapping[str, Any]) -> tuple[str, str]:
    """Return the logged name that picks the best epoch, and whether more of it is better.

    Both spellings are understood: Keras's ``val_accuracy`` and ``val/accuracy``.
    """
    directions = {name: metric.mode for name, metric in metrics.items()} | {"loss": "min"}
    known = {f"val_{name}": mode for name, mode in directions.items()} | directions
    name = monitor.replace("/", "_")
    if name == "auto":
        name = f"val_{next(iter(metrics), 'loss')}"
    if name not in known:
        raise ConfigError(
            f"no logged value has the name '{monitor}'",
            where="train.monitor",
            fix=did_you_mean(name, known),
        )
    return name, known[name]


def mode_of_score(config: Mapping[str, Any], monitor: str, registry: Registry = REGISTRY) -> str:
    """Return the mode of a logged score of a run, ``max`` or ``min``."""
    name = monitor.removeprefix("val_")
    node = (config.get("metric") or {}).get(name)
    metric = node["name"] if isinstance(node, Mapping) else name
    if metric in registry.names("metric"):
        return str(registry.get("metric", metric).cls.mode)  # type: ignore[attr-defined]
    return "min" if "loss" in name or "error" in name else "max"


def run_id(cfg: DictConfig) -> str:
    """Return eight hexadecimal digits that name what a config computes: a hash of its identity."""
    if _hashing:
        raise ValueError("run_id is a hash of this very value")
    _hashing.append(True)
    try:
        return _digest(experiment_of(cfg, without=(*NOT_EXPERIMENT, "name")))
    finally:
        _hashing.pop()


_hashing: list[bool] = []
"""Not empty while a config is resolved for its hash: a value of it may not use the hash."""


def _digest(config: Mapping[str, Any]) -> str:
    text = json.dumps(_with_text_keys(identity(config)), sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _with_text_keys(node: Any) -> Any:
    """Return plain data whose keys can be sorted: a mapping may have 1 beside "one"."""
    if isinstance(node, dict):
        return {str(key): _with_text_keys(value) for key, value in node.items()}
    return [_with_text_keys(value) for value in node] if isinstance(node, list) else node


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a config computes, as flat ``key: value`` pairs.

    Values are normalised through the plugins' types, so ``1e-5`` equals ``0.00001`` and ``1``
    given for a float equals ``1.0``. Where the run is kept, what it is called, how often it is
    saved do not count.
    """
    normalised = {key: _normalised(key, value) for key, value in config.items()}
    for group in GROUPS.values():
        if group.may_be_absent and normalised.get(group.name) == _default_identity(group):
            normalised.pop(group.name, None)
    flat = _flat(normalised)
    return {key: value for key, value in flat.items() if key not in NOT_IDENTITY}


def compared(config: Mapping[str, Any], registry: Registry = REGISTRY) -> dict[str, Any]:
    """Return a config as a report compares it with others.

    A group that it lacks has its default; plugins that are no part of what a run computes are left
    out.
    """
    config = dict(config)
    for group in GROUPS.values():
        if group.may_be_absent:
            node = config.get(group.name, registry.default_node(group))
            members = {key: m for key, m in group.nodes(node).items() if _is_identity(group, m)}
            config.pop(group.name, None)
            config |= {key: m for key, m in members.items() if m is not None}
    return config


def _is_identity(group: Group, node: Any) -> bool:
    try:
        return _normalised_plugin(group.name, node) is not None
    except (XferlabError, TypeError, AttributeError):
        return True  # its plugin is not here


def _default_identity(group: Group) -> Any:
    try:
        return _normalised(group.name, REGISTRY.default_node(group))
    except XferlabError:
        return None  # the plugin's file is broken, which read() reports


def _flat(node: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in node.items():
        path = f"{prefix}{key}"
        whole = not isinstance(value, Mapping) or not value
        flat |= {path: _plain_value(value)} if whole else _flat(value, f"{path}.")
    return flat


def _plain_value(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def experiment_of(
    cfg: DictConfig, *, resolve: bool = True, without: Sequence[str] = NOT_EXPERIMENT
) -> dict[str, Any]:
    """Return everything but what is about running it, as plain data.

    Raises:
        ConfigError: values that refer to what is not there, or to themselves; all together.
    """
    own = OmegaConf.masked_copy(cfg, cast("list[str]", [k for k in cfg if k not in without]))
    try:
        return plain(own, resolve=resolve, required=False)
    except (OmegaConfBaseException, RecursionError) as e:
        raise_together(list(_broken_references(own)))
        raise ConfigError("a value refers to itself", where="${...}", fix="give it a value") from e


def _broken_references(node: Any, prefix: str = "") -> Iterator[ConfigError]:
    """Yield an error for each value whose ``${...}`` cannot be resolved."""
    for key in range(len(node)) if OmegaConf.is_list(node) else list(node):
        path = f"{prefix}.{key}" if prefix else str(key)
        refers = OmegaConf.is_interpolation(node, key)
        try:
            value = None if OmegaConf.is_missing(node, key) else node[key]
            if refers and OmegaConf.is_config(value):
                plain(value)
        except (OmegaConfBaseException, RecursionError) as e:
            written = cast("Any", plain(node, resolve=False))[key]
            what = f"{path}: {written} cannot be resolved"
            why = str(e).partition("\n")[0] if isinstance(e, OmegaConfBaseException) else ""
            why = why or "it refers to itself"
            fix = f"write a value, or the key of one, as in  {path}: ${{train.epochs}}"
            yield ConfigError(f"{what}: {why}", where=path, fix=fix)
            continue
        if OmegaConf.is_config(value) and not refers:
            yield from _broken_references(value, path)


def _normalised(key: str, node: Any) -> Any:
    """Return ``node`` as the fields' types would read it; unknown shapes stay as they are."""
    try:
        if key in GROUPS:
            return _normalised_group(GROUPS[key], node)
        if key == "train":
            return identifying_fields(build_typed(TrainConfig, node, key))
    except ConfigError:
        pass  # a wrong value is reported by read(), not here
    return node


def _normalised_group(group: Group, node: Any) -> Any:
    """Return what identifies the chosen plugins; of those in order, their order too."""
    if not group.has_members(node):
        return None if node is None else _normalised_plugin(group.name, node)
    found = {name: _normalised_plugin(group.name, member) for name, member in node.items()}
    members: dict[str, Any] = {k: member for k, member in found.items() if member is not None}
    if len(members) > 1 and group.choice is not Choice.several:
        members["(order)"] = list(members)
    return members


def _normalised_plugin(group: str, node: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what identifies a plugin; None for one that changes nothing that a run computes."""
    plugin = REGISTRY.create(group, node)
    own = plugin.identity() if hasattr(plugin, "identity") else identifying_fields(plugin)
    return None if own is None else {"name": node["name"], **own}
