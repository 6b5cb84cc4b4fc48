"""The encoder families that can be loaded, by ``model_type`` of ``config.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from xferlab.errors import ConfigError, nearest
from xferlab.member_registry import MemberRegistry
from xferlab.models.architectures.base import Architecture
from xferlab.models.config_reader import ConfigReader

FAMILIES = MemberRegistry[type[Architecture]]("model_type ", __package__)
A = TypeVar("A", bound=type[Architecture])


def register(family: A) -> A:
    """Class decorator that adds a family.

    Raises:
        ValueError: another class has its ``model_type``.
    """
    FAMILIES.add(family.model_type, family)
    return family


def read_architecture(config: Mapping[str, Any], where: str) -> Architecture:
    """Return the encoder that a parsed ``config.json`` describes.

    Raises:
        ConfigError: its family cannot be loaded, or its content is refused.
    """
    _refuse_unknown_family(config, where)
    reader = ConfigReader(config, where)
    if config.get("quantization_config"):
        raise reader.error("its weights are quantized (quantization_config)")
    return FAMILIES[config["model_type"]].read(reader)


def _refuse_unknown_family(config: Mapping[str, Any], where: str) -> None:
    """Raise ConfigError if a ``config.json`` is of no family that can be loaded."""
    model_type = str(config.get("model_type"))
    if model_type not in FAMILIES:
        close = nearest(model_type, FAMILIES)
        hint = f" (the nearest that can be is '{close}')" if close else ""
        raise ConfigError(
            f"the checkpoint is of the architecture '{model_type}', which cannot be loaded{hint}",
            where=where,
            fix="choose a checkpoint of one of these: " + ", ".join(sorted(FAMILIES)),
        )
