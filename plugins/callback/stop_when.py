"""Ends the training once a score is reached."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from xferlab import Callback, ConfigError, Epoch, Run, register

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
CONDITION = re.compile(r"\s*([\w/]+)\s*(>=|<=|>|<)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*")


@register("callback", "stop_when")
@dataclass(frozen=True)
class StopWhen:
    """Stop the training at the end of an epoch whose scores meet a condition.

    Attributes:
        condition: a logged value, one of ``>=``, ``<=``, ``>`` and ``<``, and a number:
            ``val_accuracy >= 0.95``.
        epochs: in how many epochs in a row it must be met.
    """

    condition: str
    epochs: int = 1

    def __post_init__(self) -> None:
        if not CONDITION.fullmatch(self.condition):
            raise ValueError(
                f"condition must be like 'val_accuracy >= 0.95', got {self.condition!r}"
            )
        if self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {self.epochs}")

    @property
    def parts(self) -> tuple[str, str, float]:
        """The value's name, the comparison and the number."""
        found = CONDITION.fullmatch(self.condition)
        assert found is not None
        return found[1].replace("/", "_"), found[2], float(found[3])

    def check(self, logged: Collection[str]) -> None:
        """Refuse a value that is not logged."""
        name = self.parts[0]
        if name not in logged:
            raise ConfigError(
                f"no logged value has the name '{name}'",
                where="callback.stop_when.condition",
                fix=f"one of: {', '.join(logged)}",
            )

    def build(self, run: Run) -> Callback:
        """Return what compares each epoch's score."""
        return _Condition(self)


class _Condition(Callback):
    def __init__(self, chosen: StopWhen) -> None:
        self._name, self._comparison, self._number = chosen.parts
        self._epochs = chosen.epochs
        self._met = 0

    def on_epoch(self, epoch: Epoch) -> bool:
        is_met = COMPARISONS[self._comparison](epoch.value(self._name), self._number)
        self._met = self._met + 1 if is_met else 0
        return self._met >= self._epochs

    def state(self) -> dict[str, Any]:
        return {"met": self._met}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._met = state["met"]
