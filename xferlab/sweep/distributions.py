"""What a value can be drawn from: a range or a list of choices, as a sweep file writes it."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xferlab.config.overrides import format_override
from xferlab.errors import ConfigError

FORMS = ("uniform", "loguniform", "int", "logint", "choice")


@dataclass(frozen=True)
class Distribution:
    """What one key is drawn from.

    Attributes:
        key: the config key.
        kind: a word of :data:`FORMS`.
        low: the smallest value; None for choices.
        high: the largest value, which an ``int`` can have too.
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
    def is_whole(self) -> bool:
        """Whether only whole numbers are drawn from the range."""
        return self.kind.endswith("int")

    def sample(self, chance: random.Random) -> Any:
        """Return one value."""
        if self.choices:
            return chance.choice(self.choices)
        if self.kind == "int":
            return chance.randint(self.low, self.high)
        if self.is_log:
            value = math.exp(chance.uniform(math.log(self.low), math.log(self.high)))
        else:
            value = chance.uniform(self.low, self.high)
        return self.rounded(value)

    def rounded(self, value: float) -> Any:
        """Return ``value`` with four significant digits, within the range.

        It is read and typed by people.
        """
        if self.is_whole:
            return min(max(round(value), self.low), self.high)
        return min(max(float(f"{value:.4g}"), self.low), self.high)

    def word(self, value: Any) -> str:
        """Return the override word that sets the key to ``value``."""
        return format_override(self.key, value)


def read_distributions(part: Any, where: str) -> tuple[Distribution, ...]:
    """Return what each key of a mapping is drawn from, or raise ConfigError.

    >>> read_distributions({"seed": {"choice": [1, 2]}}, "sweep.random.draw")
    (Draw(key='seed', kind='choice', low=None, high=None, choices=(1, 2)),)
    """
    if not isinstance(part, Mapping) or not part:
        raise ConfigError(
            "nothing is drawn",
            where=where,
            fix="draw: {optimizer.lr: {loguniform: [1e-6, 1e-3]}}",
        )
    return tuple(_distribution(str(key), how, f"{where}.{key}") for key, how in part.items())


def _distribution(key: str, how: Any, where: str) -> Distribution:
    kind, values = next(iter(how.items())) if isinstance(how, Mapping) and how else ("", None)
    if kind not in FORMS or len(how) != 1:
        raise ConfigError(
            f"'{how}' is no distribution",
            where=where,
            fix="{uniform: [low, high]}, {loguniform: [low, high]}, {int: [low, high]} or"
            " {choice: [...]}",
        )
    if kind == "choice":
        return Distribution(key, kind, choices=tuple(values_of(values, where)))
    draw = (
        Distribution(key, kind, *values) if isinstance(values, list) and len(values) == 2 else None
    )
    if draw is None or not _is_range(draw):
        number = "whole number" if kind.endswith("int") else "number"
        raise ConfigError(
            f"{kind} needs a low and a high {number}{' above 0' * kind.startswith('log')},"
            f" got {values}",
            where=where,
            fix=f"{{{kind}: {'[1, 8]' if kind.endswith('int') else '[1e-6, 1e-3]'}}}",
        )
    return draw


def _is_range(draw: Distribution) -> bool:
    kinds = int if draw.is_whole else int | float
    return (
        all(
            isinstance(end, kinds) and not isinstance(end, bool) and math.isfinite(end)
            for end in (draw.low, draw.high)
        )
        and draw.low < draw.high
        and (not draw.is_log or draw.low > 0)
    )


def values_of(values: Any, where: str) -> list[Any]:
    """Return a list of values, or raise ConfigError for what is none."""
    if not isinstance(values, list) or not values:
        raise ConfigError(
            f"a list of values is needed, got {values!r}",
            where=where,
            fix="write [1e-5, 3e-5, 1e-4]",
        )
    return values
