"""Rates, weight decay and freezing by the names of variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from xferlab import Budget, Phase, TextModel, TransferPlan, VariableGroup, register


@register("transfer", "patterns")
@dataclass(frozen=True)
class Patterns:
    """Variables have rates, weight decay and freezing of their own, by patterns of their names.

    A name is like ``transformer_layer_0/self_attention_layer/query/kernel``; ``*`` in a pattern
    stands for any characters. Of several rates, or several decays, the first that matches counts.
    A pattern that names no variable is an error; without patterns it is full fine-tuning.

    Attributes:
        rates: by pattern, what the learning rate is multiplied by, above 0.
        decays: by pattern, what the weight decay is multiplied by, 0 for none.
        frozen: patterns of variables that are not trained.
    """

    rates: dict[str, float] = field(default_factory=dict)
    decays: dict[str, float] = field(default_factory=dict)
    frozen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for pattern, rate in self.rates.items():
            if not 0 < rate < float("inf"):
                raise ValueError(f"rates: '{pattern}' must be above 0, got {rate}; frozen is 0")
        for pattern, decay in self.decays.items():
            if not 0 <= decay < float("inf"):
                raise ValueError(f"decays: '{pattern}' must be 0 or above, got {decay}")

    def apply(self, model: TextModel, budget: Budget) -> TransferPlan:
        variables = {v.path: v for v in model.network.trainable_variables}
        for pattern in self.frozen:
            for path in matches(pattern, list(variables), "frozen"):
                variables[path].trainable = False
        trained = [path for path, variable in variables.items() if variable.trainable]
        if not trained:
            raise ValueError("frozen: the patterns leave no variable that is trained")
        rates = matched(self.rates, trained, "rates")
        decays = matched(self.decays, trained, "decays")
        groups = (
            *(VariableGroup(p, paths, rate=self.rates[p]) for p, paths in rates.items()),
            *(VariableGroup(p, paths, decay=self.decays[p]) for p, paths in decays.items()),
        )
        return TransferPlan((Phase(budget.epochs),), groups=groups)


def matched(
    patterns: Mapping[str, float], paths: Sequence[str], key: str
) -> dict[str, tuple[str, ...]]:
    """Return the paths of each pattern that no earlier one matches."""
    left = list(paths)
    found = {}
    for pattern in patterns:
        if not any(fnmatchcase(path, pattern) for path in left):
            matches(pattern, paths, key)
            raise ValueError(f"{key}: '{pattern}' matches only what an earlier pattern does")
        found[pattern] = tuple(path for path in left if fnmatchcase(path, pattern))
        left = [path for path in left if not fnmatchcase(path, pattern)]
    return found


def matches(pattern: str, paths: Sequence[str], key: str) -> list[str]:
    """Return the paths that a pattern matches; ValueError where there are none."""
    from xferlab.errors import nearest

    found = [path for path in paths if fnmatchcase(path, pattern)]
    if not found:
        close = nearest(pattern, paths, cutoff=0.3) or paths[0]
        raise ValueError(f"{key}: '{pattern}' matches no trained variable, like '{close}'")
    return found
