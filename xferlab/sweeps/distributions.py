"""Distributions that values are sampled from: a range or a list of choices, as in a sweep file."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xferlab.config.overrides import format_override
from xferlab.errors import ConfigError

KINDS = ("uniform", "loguniform", "int", "logint", "choice")


@dataclass(frozen=True)
class Distribution:
    """The distribution of one key.

    Attributes:
        key: the config key.
        kind: one of :data:`KINDS`.
        low: the smallest value; None for choices.
        high: the largest value, included for integers too.
        choices: the values to choose from; empty for a range.
    """

    key: str
    kind: str
    low: Any = None
    high: Any = None
    choices: tuple[Any, ...] = ()

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that show whether all are valid: both ends, or every choice."""
        return self.choices or (self.low, self.high)

    @property
    def is_log(self) -> bool:
        """Whether equal factors are equally likely."""
        return self.kind.startswith("log")

    @property
    def is_integer(self) -> bool:
        """Whether the range holds integers only."""
        return self.kind.endswith("int")

    def sample(self, generator: random.Random) -> Any:
        """Return one value."""
        if self.choices:
            return generator.choice(self.choices)
        if self.kind == "int":
            return generator.randint(self.low, self.high)
        if self.is_log:
            value = math.exp(generator.uniform(math.log(self.low), math.log(self.high)))
        else:
            value = generator.uniform(self.low, self.high)
        return self.rounded(value)

    def rounded(self, value: float) -> Any:
        """Return ``value`` with four significant digits, within the range; people read it."""
        if self.is_integer:
            return min(max(round(value), self.low), self.high)
        return min(max(float(f"{value:.4g}"), self.low), self.high)

    def override(self, value: Any) -> str:
        """Return the override that sets the key to ``value``."""
        return format_override(self.key, value)


def read_distributions(part: Any, where: str) -> tuple[Distribution, ...]:
    """Return the distribution of each key of a mapping, or raise ConfigError.

    >>> read_distributions({"seed": {"choice": [1, 2]}}, "sweep.random.space")
    (Distribution(key='seed', kind='choice', low=None, high=None, choices=(1, 2)),)
    """
    if not isinstance(part, Mapping) or not part:
        raise ConfigError(
            "the space is empty",
            where=where,
            fix="space: {optimizer.lr: {loguniform: [1e-6, 1e-3]}}",
        )
    return tuple(_distribution(str(key), node, f"{where}.{key}") for key, node in part.items())


def _distribution(key: str, node: Any, where: str) -> Distribution:
    kind = ""
    values = None
    if isinstance(node, Mapping) and len(node) == 1:
        kind, values = next(iter(node.items()))
    if kind not in KINDS:
        raise ConfigError(
            f"'{node}' is no distribution",
            where=where,
            fix="{uniform: [low, high]}, {loguniform: [low, high]}, {int: [low, high]} or"
            " {choice: [...]}",
        )
    if kind == "choice":
        return Distribution(key, kind, choices=tuple(values_of(values, where)))
    if isinstance(values, list) and len(values) == 2:
        distribution = Distribution(key, kind, *values)
        if _is_range(distribution):
            return distribution
    number = "whole number" if kind.endswith("int") else "number"
    example = "[1, 8]" if kind.endswith("int") else "[1e-6, 1e-3]"
    positive = " above 0" if kind.startswith("log") else ""
    raise ConfigError(
        f"{kind} needs a low and a high {number}{positive}, got {values}",
        where=where,
        fix=f"{{{kind}: {example}}}",
    )


def _is_range(distribution: Distribution) -> bool:
    low = distribution.low
    high = distribution.high
    numbers = int if distribution.is_integer else int | float
    for end in (low, high):
        if not isinstance(end, numbers) or isinstance(end, bool) or not math.isfinite(end):
            return False
    return bool(low < high) and (not distribution.is_log or low > 0)


def values_of(values: Any, where: str) -> list[Any]:
    """Return a list of values, or raise ConfigError for what is none."""
    if not isinstance(values, list) or not values:
        raise ConfigError(
            f"a list of values is needed, got {values!r}",
            where=where,
            fix="write [1e-5, 3e-5, 1e-4]",
        )
    return values
