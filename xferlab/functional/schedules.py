"""Learning rates as tables: a warm-up, then any shape, one rate for each optimizer step.

A table is exact (computed in float64, at any number of steps), cheap in a graph, and can be read
before training. A new schedule gives only its shape, as NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from xferlab.contracts import Budget

if TYPE_CHECKING:
    import numpy as np


def check_fractions(warmup: float = 0.0, **fractions: float) -> None:
    """Raise ValueError unless ``warmup`` is a fraction or whole steps, the rest fractions."""
    if warmup < 0 or (warmup >= 1 and warmup != int(warmup)):
        raise ValueError(f"warmup must be a fraction in [0, 1) or a whole number, got {warmup}")
    for name, fraction in fractions.items():
        if not 0 <= fraction <= 1:
            raise ValueError(f"{name} must be a fraction of the peak in [0, 1], got {fraction}")


def rising_steps(warmup: float, budget: Budget) -> int:
    """Return the steps of a warm-up; ValueError if they leave none of the run for the rest."""
    rising = budget.warmup_steps(warmup)
    if rising >= budget.total_steps:
        raise ValueError(f"warmup takes {rising} steps, but the run has {budget.total_steps}")
    return rising


def warmup_then(
    shape: Callable[[np.ndarray], np.ndarray],
    peak: float,
    budget: Budget,
    *,
    warmup: float = 0.0,
    start: float = 0.0,
    end: float = 0.0,
) -> Any:
    """Return a Keras schedule: a straight line up to ``peak``, then ``shape`` down to ``end``.

    In a warm-up of w steps, step k < w has ``(k + 1) / (w + 1)`` of the way from ``start`` to the
    peak: the first step has a rate above 0, and step w has exactly the peak. The last step of the
    run has exactly ``end``, unless it is step w itself; later steps keep the last rate.

    Args:
        shape: fraction of the way from ``end`` to the peak, 1 down to 0, given the progress after
            the warm-up: float64 (steps,), from 0 to 1.
        peak: highest learning rate.
        budget: gives the number of steps.
        warmup: fraction of the run below 1, steps from 1 up.
        start: where the warm-up starts, as a fraction of the peak.
        end: where ``shape`` ends, as a fraction of the peak.

    Raises:
        ValueError: the warm-up leaves no step for the rest.
    """
    import numpy as np

    rising = rising_steps(warmup, budget)
    up = start + (1 - start) * np.arange(1, rising + 1) / (rising + 1)
    down = end + (1 - end) * shape(np.linspace(0.0, 1.0, budget.total_steps - rising))
    return tabulated(peak * np.concatenate([up, down]))


def tabulated(rates: Any) -> Any:
    """Return a Keras schedule with ``rates[k]`` at step k; the last one holds ever after."""
    return _rate_table()(rates)


def rates_of(schedule: Any) -> np.ndarray | None:
    """Return the rates of a schedule that :func:`tabulated` made, float32 (steps,)."""
    return getattr(schedule, "rates", None) if isinstance(schedule, _rate_table()) else None


@cache
def _rate_table() -> type:
    import keras
    import numpy as np

    @keras.saving.register_keras_serializable("xferlab")
    class RateTable(keras.optimizers.schedules.LearningRateSchedule):
        def __init__(self, rates: Any) -> None:
            self.rates = np.asarray(rates, "float32")
            self._table = keras.Variable(
                self.rates, trainable=False, dtype="float32", autocast=False
            )

        def assign(self, rates: Any) -> None:
            """Set other rates, as many; a traced training step reads them too."""
            self.rates = np.asarray(rates, "float32")
            self._table.assign(self.rates)

        def __call__(self, step: Any) -> Any:
            last = self._table.shape[0] - 1
            return keras.ops.take(self._table, keras.ops.minimum(step, last))

        def get_config(self) -> dict[str, Any]:
            return {"rates": self.rates.tolist()}

    return RateTable
