"""Rates, weight decay and freezing by the names of variables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from xferlab import Budget, Phase, TextModel, TransferPlan, VariableGroup, register

FACTORS = ("rate", "decay")


@register("transfer", "patterns")
@dataclass(frozen=True)
class Patterns:
    """Variables have rates, weight decay and freezing of their own, by patterns of their names.

    A name is like ``transformer_layer_0/self_attention_layer/query/kernel``; ``*`` in a pattern
    stands for any characters. A variable belongs to the first group that matches it; one that no
    group matches is trained as usual. A group without a variable is an error.

    Attributes:
        groups: each a table of ``match`` (a pattern) and any of ``rate`` and ``decay``, what the
            learning rate and the weight decay are multiplied by, and ``frozen``:
            ``[{match: "*/bias", decay: 0}, {match: "token_embedding/*", frozen: true}]``.
    """

    groups: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for number, group in enumerate(self.groups):
            here = f"groups[{number}]"
            if not isinstance(group.get("match"), str):
                raise ValueError(f"{here} has no 'match', the pattern of its variables: {group}")
            for key in group.keys() - {"match", "frozen", *FACTORS}:
                raise ValueError(f"{here} has '{key}'; it may have match, rate, decay and frozen")
            for key in FACTORS:
                factor = group.get(key, 1.0)
                is_number = isinstance(factor, int | float) and not isinstance(factor, bool)
                if not is_number or not 0 <= factor < float("inf"):
                    raise ValueError(f"{here}: {key} must be a number of at least 0, got {factor}")
            if group.get("rate") == 0:
                raise ValueError(f"{here}: a rate of 0 costs time; frozen: true does not")
            if not isinstance(group.get("frozen", False), bool):
                raise ValueError(f"{here}: frozen must be true or false, got {group['frozen']}")

    def apply(self, model: TextModel, budget: Budget) -> TransferPlan:
        variables = {v.path: v for v in model.network.trainable_variables}
        left = list(variables)
        found = []
        for number, group in enumerate(self.groups):
            pattern = group["match"]
            paths = tuple(path for path in left if fnmatchcase(path, pattern))
            if not paths:
                raise ValueError(f"groups[{number}]: {_why_empty(pattern, left, list(variables))}")
            left = [path for path in left if path not in paths]
            is_frozen = group.get("frozen", False)
            rate, decay = (0.0 if is_frozen else float(group.get(key, 1.0)) for key in FACTORS)
            found.append(VariableGroup(pattern, paths, rate, decay))
            for path in paths:
                variables[path].trainable = not is_frozen
        if not any(variable.trainable for variable in variables.values()):
            raise ValueError("groups: they leave no variable that is trained")
        return TransferPlan((Phase(budget.epochs),), groups=tuple(found))


def _why_empty(pattern: str, left: Sequence[str], paths: Sequence[str]) -> str:
    """Return why a pattern matches none of the variables that are left."""
    from xferlab import nearest_name

    if any(fnmatchcase(path, pattern) for path in paths):
        return f"'{pattern}' matches only variables of earlier groups"
    close = nearest_name(pattern, paths, cutoff=0.3) or next(iter(left), "none is left")
    return f"'{pattern}' matches no trained variable, like '{close}'"
