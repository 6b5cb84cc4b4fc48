"""Checked reading of a checkpoint's ``config.json``: sizes, numbers, names of activations."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from xferlab.errors import ConfigError

ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
}
"""transformers' names of activations, and the name here."""
WRITTEN_ACTIVATIONS = {"gelu_tanh": "gelu_new"}
"""The names here that transformers does not have, and the one that is written."""


@dataclass(frozen=True)
class ConfigReader:
    """A parsed ``config.json``.

    Attributes:
        table: its content.
        where: the ``where`` line of the errors.
    """

    table: Mapping[str, Any]
    where: str

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value as it is."""
        return self.table.get(key, default)

    def size(self, key: str, default: int | None = None, *, least: int = 1) -> int:
        """Return an integer of at least ``least``; a missing one without ``default`` is refused."""
        value = self.table.get(key, default)
        if value is None:
            raise self.error(f"it has no size '{key}'")
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise self.error(f"its {key} is {value!r}")
        return value

    def optional_size(self, key: str, default: int) -> int:
        """Return an integer of at least 1, or ``default`` where the key is missing or null."""
        return default if self.table.get(key) is None else self.size(key)

    def flag(self, key: str, default: bool = False) -> bool:
        """Return a true or false."""
        value = self.table.get(key, default)
        if not isinstance(value, bool):
            raise self.error(f"its {key} is {value!r}")
        return value

    def choices(self, key: str, values: Collection[str], count: int) -> tuple[str, ...]:
        """Return a list of ``count`` names, each one of ``values``; empty where it is missing."""
        found = self.table.get(key)
        if found is None:
            return ()
        if not isinstance(found, list) or len(found) != count or not set(found) <= set(values):
            raise self.error(f"its {key} is not a list of {count}, each {' or '.join(values)}")
        return tuple(found)

    def number(self, key: str, default: float | None = None) -> float:
        """Return a finite number as a float."""
        value = self.table.get(key, default)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not abs(value) <= sys.float_info.max:
            raise self.error(f"its {key} is {value!r}")
        return float(value)

    def activation(self, key: str, default: str | None = None) -> str:
        """Return the name here of an activation of transformers."""
        name = self.table.get(key, default)
        if not isinstance(name, str) or name not in ACTIVATIONS:
            raise self.error(f"its activation '{name}' is not one of {', '.join(ACTIVATIONS)}")
        return ACTIVATIONS[name]

    def require(self, key: str, values: tuple[Any, ...]) -> None:
        """Raise ConfigError if a key has another value than one of ``values``."""
        value = self.table.get(key)
        if not any(value is each or value == each for each in values):
            computed = " or ".join(repr(each) for each in values if each is not None)
            raise self.error(f"its {key} is {value!r}, and only {computed or 'none'} is computed")

    def error(self, reason: str) -> ConfigError:
        """Return the error for a config whose encoder cannot be built."""
        return ConfigError(
            f"the checkpoint's config.json cannot be built: {reason}",
            where=self.where,
            fix="choose another checkpoint, or correct its config.json",
        )
