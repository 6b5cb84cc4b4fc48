"""The LR range test: the learning rates that it uses, and what its losses suggest."""

from __future__ import annotations

import math
import shlex
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from xferlab.errors import ConfigError
from xferlab.formatting import format_learning_rate

MEMORY = 0.9
"""How much of the smoothed loss is kept at every step."""
TOO_HIGH = 4.0
"""The test ends when the smoothed loss is this many times its lowest."""
CLEAR = 3.0
"""Standard errors of the smoothed loss that a fall, or a rise, must be larger than."""
SPREAD = 3.0
"""The best rate may be this many times lower or higher than the suggestion."""
FEWEST_STEPS = 20


@dataclass(frozen=True)
class Span:
    """The rates that a test goes through.

    Attributes:
        lowest: rate of the first step, > 0.
        highest: rate of the last step, above the lowest.
        steps: optimizer steps, at least :data:`FEWEST_STEPS`.
    """

    lowest: float = 1e-7
    highest: float = 1.0
    steps: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.lowest < self.highest < math.inf:
            raise ConfigError(
                f"rates from {self.lowest:g} to {self.highest:g} do not grow from above 0",
                where="from, to",
                fix="from=1e-7 to=1",
            )
        if self.steps < FEWEST_STEPS:
            raise ConfigError(
                f"{self.steps} steps are too few to distinguish a falling loss from noise",
                where="steps",
                fix="steps=100",
            )

    @property
    def rates(self) -> list[float]:
        """The rate of every step; each is the same multiple of the one before."""
        growth = math.log(self.highest / self.lowest) / (self.steps - 1)
        return [self.lowest * math.exp(growth * step) for step in range(self.steps)]


@dataclass(frozen=True)
class LRFinderResult:
    """What a range test found.

    Attributes:
        rates: learning rate of each optimizer step.
        losses: its training loss.
        smoothed: the same, as :func:`smooth` gives it.
        lowest: index of the lowest smoothed loss.
        steepest: index at which the smoothed loss falls fastest, before the lowest.
        too_high: index from which it stays clearly above where it began, or None.
        suggestion: a tenth of the rate of the lowest smoothed loss; None where it did not fall
            clearly at any rate.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    lowest: int
    steepest: int
    too_high: int | None
    suggestion: float | None

    def lines(self, overrides: Sequence[str]) -> list[str]:
        """Return what to print; ``overrides`` are those of the command."""
        low = format_learning_rate(self.rates[0])
        high = format_learning_rate(self.rates[-1])
        lines = [f"tried      {len(self.rates)} steps, rates from {low} to {high}"]
        if self.too_high is not None:
            lines.append(f"too high   {format_learning_rate(self.rates[self.too_high])} and above")
        if self.suggestion is None:
            return [
                *lines,
                "suggestion none: the loss did not fall clearly at any rate",
                f"try next   steps={3 * len(self.rates)}, or a larger train.batch_size",
            ]
        kept = [override for override in overrides if not override.startswith("optimizer.lr=")]
        command = shlex.join(["python", "-m", "xferlab", *kept])
        suggested = format_learning_rate(self.suggestion)
        return [
            *lines,
            f"loss       {self.smoothed[0]:.4f} at first, lowest {self.smoothed[self.lowest]:.4f}"
            f" at {format_learning_rate(self.rates[self.lowest])},"
            f" falls fastest at {format_learning_rate(self.rates[self.steepest])}",
            f"suggestion {suggested}, a tenth of the rate of the lowest loss; the best may be"
            f" {SPREAD:g} times lower or higher",
            f"train      {command} optimizer.lr={suggested}",
        ]


def parse_range(overrides: Sequence[str]) -> tuple[Span, list[str]]:
    """Split the test's own ``from=``, ``to=`` and ``steps=`` from the overrides.

    >>> parse_range(["to=0.1", "steps=50", "loss=focal"])
    (Span(lowest=1e-07, highest=0.1, steps=50), ['loss=focal'])
    """
    own = {"from": ("lowest", float), "to": ("highest", float), "steps": ("steps", int)}
    given: dict[str, Any] = {}
    rest = []
    for override in overrides:
        key, _, value = override.partition("=")
        if key not in own:
            rest.append(override)
            continue
        name, kind = own[key]
        try:
            given[name] = kind(value)
        except ValueError as e:
            raise ConfigError(
                f"'{value}' is no {'whole number' if kind is int else 'learning rate'}",
                where=override,
                fix="steps=200" if kind is int else f"{key}=1e-6",
            ) from e
    return Span(**given), rest


def until_too_high(losses: Iterable[float]) -> list[float]:
    """Return losses up to where there is no hope: all are finite, only the last is too high."""
    kept: list[float] = []
    for loss in losses:
        if not math.isfinite(loss):
            break
        kept.append(loss)
        smoothed = smooth(kept)
        lowest = min(smoothed)
        if smoothed[-1] > lowest + (TOO_HIGH - 1) * abs(lowest):
            break
    return kept


def smooth(losses: Sequence[float]) -> list[float]:
    """Return the exponential mean of the losses so far, without its bias towards 0.

    >>> smooth([2.0, 2.0, 2.0])
    [2.0, 2.0, 2.0]
    """
    mean = 0.0
    smoothed = []
    for step, loss in enumerate(losses, start=1):
        mean = MEMORY * mean + (1 - MEMORY) * loss
        smoothed.append(mean / (1 - MEMORY**step))
    return smoothed


def found(rates: Sequence[float], losses: Sequence[float]) -> LRFinderResult:
    """Return what the losses at increasing learning rates suggest.

    The first quarter of the steps, whose rates are too small to change anything, shows where the
    loss begins and how much it scatters.
    """
    smoothed = smooth(losses)
    quarter = len(losses) // 4
    begin = statistics.fmean(losses[:quarter])
    scatter = statistics.stdev(losses[:quarter]) * math.sqrt((1 - MEMORY) / (1 + MEMORY))
    after = range(quarter, len(losses))
    lowest = min(after, key=lambda step: smoothed[step])
    falls = [smoothed[step - 1] - smoothed[step] for step in range(quarter, lowest + 1)]
    steepest = quarter + falls.index(max(falls))
    below = [step for step in after if smoothed[step] <= begin + CLEAR * scatter]
    high = (below[-1] if below else quarter) + 1
    clear = smoothed[lowest] < begin - CLEAR * scatter
    return LRFinderResult(
        rates=tuple(rates),
        losses=tuple(losses),
        smoothed=tuple(smoothed),
        lowest=lowest,
        steepest=steepest,
        too_high=high if high < len(losses) else None,
        suggestion=rates[lowest] / 10 if clear else None,
    )
