"""Checks and weight decay that optimizer plugins share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def check_rates(lr: float, weight_decay: float, **fractions: float) -> None:
    """Raise ValueError unless ``lr`` > 0, ``weight_decay`` >= 0 and the rest are in [0, 1)."""
    if not lr > 0:
        raise ValueError(f"lr must be > 0, got {lr}")
    if not weight_decay >= 0:
        raise ValueError(f"weight_decay must be >= 0, got {weight_decay}")
    for name, fraction in fractions.items():
        if not 0 <= fraction < 1:
            raise ValueError(f"{name} must be in [0, 1), got {fraction}")


def exclude_from_weight_decay(
    optimizer: keras.optimizers.Optimizer, names: Iterable[str]
) -> keras.Optimizer:
    """Return ``optimizer`` without weight decay on the variables and layers called ``names``.

    Keras searches its patterns anywhere in a variable's path, so that a bare ``beta`` would exclude
    a whole layer called ``betamax``; these match one full name of the path.
    """
    patterns = [rf"(^|/){re.escape(name)}(/|:|$)" for name in names]
    optimizer.exclude_from_weight_decay(var_names=patterns)
    return optimizer


def decays(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> bool:
    """Return whether weight decay applies to a variable: it is on, and the name not excluded."""
    excluded = getattr(optimizer, "_exclude_from_weight_decay_pattern", None)
    return bool(optimizer.weight_decay) and not (excluded and excluded.search(variable.path))
