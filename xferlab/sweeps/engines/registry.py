"""The engines that a sweep can run on, by the name of ``hydra/launcher=NAME``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from hydra.core.config_store import ConfigStore

from xferlab.config.allowlist import LAUNCHER_TEXT, allow_launcher_key
from xferlab.errors import ConfigError
from xferlab.member_registry import MemberRegistry
from xferlab.sweeps.engines.base import KEY, EngineSettings
from xferlab.validation import build_typed, defaults_of

NAMESPACE = "hydra_plugins.xferlab"
S = TypeVar("S", bound=type[EngineSettings])
ENGINES = MemberRegistry[type[EngineSettings]]("hydra/launcher=", __package__)


def register(settings: S) -> S:
    """Class decorator that adds an engine by its settings.

    Raises:
        ValueError: another class has its name.
    """
    ENGINES.add(settings.name, settings)
    return settings


def publish_engines() -> None:
    """Offer every engine's preset to Hydra, and let config files set its fields."""
    for name, settings in ENGINES.items():
        node = {"_target_": target_of(settings), **defaults_of(settings)}
        ConfigStore.instance().store(
            group="hydra/launcher", name=name, node=node, provider="xferlab"
        )
        for field in fields(settings):
            allow_launcher_key(field.name, settings.in_files.get(field.name, LAUNCHER_TEXT))


def target_of(settings: type[EngineSettings]) -> str:
    """Return ``_target_`` of an engine's launcher."""
    return f"{NAMESPACE}.{settings.launcher}"


def read_settings(node: Mapping[str, Any]) -> EngineSettings | None:
    """Return the checked settings of a ``hydra.launcher`` node; None for another launcher.

    Raises:
        ConfigError: an unknown key, or a value that is refused.
    """
    for settings in ENGINES.values():
        if node.get("_target_") == target_of(settings):
            values = {key: value for key, value in node.items() if key != "_target_"}
            return build_typed(settings, values, KEY)
    return None


def refuse_local_gpus(gpus: Any, settings: EngineSettings) -> None:
    """Raise ConfigError for ``sweep.gpus``, which distributes this machine's devices."""
    if gpus:
        fix = "leave sweep.gpus out"
        if settings.gpu_key:
            fix += f"; {KEY}.{settings.gpu_key}=1 requests a GPU for each job"
        raise ConfigError(
            "sweep.gpus names devices of this machine, and the jobs run on an engine's machines",
            where="sweep.gpus",
            fix=fix,
        )
