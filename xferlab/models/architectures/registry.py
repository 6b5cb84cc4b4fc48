"""The encoder families that can be loaded, by ``model_type`` of ``config.json``."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from xferlab.errors import ConfigError
from xferlab.models.architectures.base import Architecture
from xferlab.models.config_reader import ConfigReader

_FAMILIES: dict[str, type[Architecture]] = {}


def register(family: type[Architecture]) -> type[Architecture]:
    """Add a family; used as a decorator.

    Raises:
        ValueError: another class has its ``model_type``.
    """
    taken = _FAMILIES.setdefault(family.model_type, family)
    if taken is not family:
        raise ValueError(f"model_type {family.model_type} is {taken.__name__}'s already")
    return family


def families() -> Mapping[str, type[Architecture]]:
    """Return every family by ``model_type``, those of this folder included."""
    _import_folder()
    return dict(sorted(_FAMILIES.items()))


def refuse_unknown_family(config: Mapping[str, Any], where: str) -> None:
    """Raise ConfigError if a ``config.json`` is of no family that can be loaded."""
    model_type = config.get("model_type")
    if model_type not in families():
        raise ConfigError(
            f"the checkpoint is of the architecture '{model_type}', which cannot be loaded",
            where=where,
            fix="choose a checkpoint of one of these: " + ", ".join(families()),
        )


def read_architecture(config: Mapping[str, Any], where: str) -> Architecture:
    """Return the encoder that a parsed ``config.json`` describes.

    Raises:
        ConfigError: its family cannot be loaded, or its content is refused.
    """
    refuse_unknown_family(config, where)
    return families()[config["model_type"]].read(ConfigReader(config, where))


@cache
def _import_folder() -> None:
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"{__package__}.{module.name}")
