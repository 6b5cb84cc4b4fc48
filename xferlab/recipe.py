"""From a composed config to checked plugin instances: the one door every config goes through."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from xferlab.contracts import GROUPS, Task
from xferlab.errors import ConfigError, did_you_mean
from xferlab.registry import REGISTRY, Registry
from xferlab.safety import refuse_code, refuse_name
from xferlab.schema import TrainConfig
from xferlab.typed import build_typed, plain, translate

# What is scored where no metric is chosen, by logged name; the first picks the best epoch.
METRICS_OF_TASK: dict[Task, dict[str, dict[str, str]]] = {
    Task.one_label: {"accuracy": {"name": "accuracy"}},
    Task.multi_label: {
        "micro_f1": {"name": "f1", "average": "micro"},
        "macro_f1": {"name": "f1", "average": "macro"},
    },
    Task.regression: {"pearson": {"name": "pearson"}, "spearman": {"name": "spearman"}},
    Task.tagging: {"entity_f1": {"name": "entity_f1"}},
}
# Keys of a composed config that are about running it, no part of the experiment.
NOT_EXPERIMENT = ("hydra", "sweep")
# Keys that say how a run is kept, not what it computes.
NOT_IDENTITY = ("name", "train.checkpoint_every", "train.resume")


@dataclass(frozen=True)
class Recipe:
    """A checked config: plugin instances, no Keras object yet.

    Attributes:
        monitor: logged name of the value that picks the best epoch.
        better: ``max`` or ``min``, for that value.
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
    monitor: str
    better: str
    config: Mapping[str, Any]
    run_id: str


def read(cfg: DictConfig, registry: Registry = REGISTRY) -> Recipe:
    """Turn a composed config into plugin instances, or raise ConfigError."""
    refuse_code(cfg)
    try:
        config = experiment_of(cfg)
    except OmegaConfBaseException as e:
        raise translate(e) from e
    return read_plain(config, registry)


def read_plain(config: Mapping[str, Any], registry: Registry = REGISTRY) -> Recipe:
    """Turn an experiment that is resolved, plain data into plugin instances.

    The data must have passed :func:`refuse_code`, or hold nothing but what a recipe's ``config``
    held.
    """
    refuse_name(config["name"])
    single = {g: registry.create(g, config[g]) for g in GROUPS if g != "metric"}
    metrics = _metrics(config["metric"], registry)
    if not isinstance(config["seed"], int) or config["seed"] < 0:
        raise ConfigError(
            f"seed must be a whole number from 0 up, got {config['seed']}",
            where="seed",
            fix="seed=1",
        )
    train = build_typed(TrainConfig, config["train"], "train")
    monitor, better = monitored(train.monitor, metrics or _every_default(registry))
    return Recipe(
        **single,
        metrics=metrics,
        train=train,
        seed=config["seed"],
        monitor=monitor,
        better=better,
        config=config,
        run_id=_digest(config),
    )


def fitted_to(recipe: Recipe, task: Task, registry: Registry = REGISTRY) -> Recipe:
    """Return the recipe with the task's own metrics, where none was chosen."""
    if recipe.metrics:
        return recipe
    metrics = _metrics(METRICS_OF_TASK[task], registry)
    monitor, better = monitored(recipe.train.monitor, metrics)
    return dataclasses.replace(recipe, metrics=metrics, monitor=monitor, better=better)


def _metrics(nodes: Mapping[str, Any], registry: Registry) -> dict[str, Any]:
    return {n: registry.create("metric", node, f"metric.{n}") for n, node in nodes.items()}


def _every_default(registry: Registry) -> dict[str, Any]:
    """Return the default metrics of all tasks: which one it is, only the data says."""
    nodes = {name: node for own in METRICS_OF_TASK.values() for name, node in own.items()}
    return _metrics(nodes, registry)


def monitored(word: str, metrics: Mapping[str, Any]) -> tuple[str, str]:
    """Return the logged name that picks the best epoch, and whether more of it is better.

    Both spellings are understood: Keras's ``val_accuracy`` and ``val/accuracy``.
    """
    directions = {name: metric.better for name, metric in metrics.items()} | {"loss": "min"}
    known = {f"val_{name}": better for name, better in directions.items()} | directions
    name = word.replace("/", "_")
    if name == "auto":
        name = f"val_{next(iter(metrics), 'loss')}"
    if name not in known:
        raise ConfigError(
            f"nothing logged is called '{word}'",
            where="train.monitor",
            fix=did_you_mean(name, known),
        )
    return name, known[name]


def run_id(cfg: DictConfig) -> str:
    """Return eight hexadecimal digits that name what a config computes: a hash of its identity."""
    return _digest(experiment_of(cfg))


def _digest(config: Mapping[str, Any]) -> str:
    text = json.dumps(identity(config), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a config computes, as flat ``key: value`` pairs.

    Values are normalised through the plugins' types, so ``1e-5`` equals ``0.00001`` and ``1``
    given for a float equals ``1.0``. Where the run is kept, what it is called, how often it is
    saved do not count.
    """
    typed = {key: _normalised(key, value) for key, value in config.items()}
    flat = _flat(typed)
    return {key: value for key, value in flat.items() if key not in NOT_IDENTITY}


def _flat(node: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in node.items():
        path = f"{prefix}{key}"
        whole = not isinstance(value, Mapping) or not value
        flat |= {path: _plain_value(value)} if whole else _flat(value, f"{path}.")
    return flat


def _plain_value(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def experiment_of(cfg: DictConfig, *, resolve: bool = True) -> dict[str, Any]:
    """Return everything but what is about running it, as plain data."""
    own = OmegaConf.masked_copy(cfg, [str(k) for k in cfg if k not in NOT_EXPERIMENT])
    return plain(own, resolve=resolve, required=False)


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
