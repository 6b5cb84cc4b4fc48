"""Optimizer, loss and metrics that later runs of a process train with again.

TensorFlow traces a training step for one set of these objects. For a head on features that takes as
long as an epoch, and runs that differ in the learning rate alone have the same graph: it reads the
rates from a variable.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from xferlab.compatibility import is_built_in
from xferlab.config.recipe import Recipe
from xferlab.functional.schedules import rates_of

if TYPE_CHECKING:
    import numpy as np


@dataclass
class SharedStep:
    """What one traced step belongs to.

    Attributes:
        parts: what it was made of, the learning rates aside; None where it cannot be shared.
        learning_rate: what the schedule built, a float or a Keras schedule.
        optimizer: was built with it.
        loss: of labels and outputs.
        metrics: Keras metrics followed on the training batches.
        compiled: the Keras models that were compiled with these.
    """

    parts: Any
    learning_rate: Any
    optimizer: Any
    loss: Any
    metrics: list[Any]
    compiled: list[Any] = field(default_factory=list)
    _values: list[np.ndarray] = field(default_factory=list)

    def accept(self, learning_rate: Any) -> bool:
        """Let another run train with these, at its own rates; return whether it can."""
        rates = rates_of(learning_rate)
        known = rates_of(self.learning_rate)
        if rates is not None and known is not None and rates.shape == known.shape:
            self.learning_rate.assign(rates)
            return True
        if callable(learning_rate) or callable(self.learning_rate):
            return False
        self.learning_rate = learning_rate
        return True

    def begin(self) -> None:
        """Give the optimizer, which has its variables, the state of a new one."""
        variables = self.optimizer.variables
        if not self._values:
            self._values = [_copy(variable.numpy()) for variable in variables]
        for variable, value in zip(variables, self._values, strict=True):
            variable.assign(value)
        if not callable(self.learning_rate):
            self.optimizer.learning_rate = self.learning_rate

    def has_compiled(self, network: Any) -> bool:
        """Return whether a Keras model has been compiled with these objects."""
        return any(each is network for each in self.compiled)


def _copy(value: np.ndarray) -> np.ndarray:
    """Return a copy; nothing but zeros, as moments are at first, takes no memory."""
    import numpy as np

    return value.copy() if value.any() else np.broadcast_to(value.dtype.type(0), value.shape)


def parts_of_step(recipe: Recipe) -> Any:
    """Return what a run's training step is made of beside data, network and learning rates.

    None where it cannot be shared: a plugin of the user's may keep what it has seen, and float16
    has an optimizer around the optimizer.
    """
    plugins = {"optimizer": recipe.optimizer, "loss": recipe.loss}
    are_known = all(is_built_in(group, plugin) for group, plugin in plugins.items())
    are_known = are_known and all(is_built_in("metric", each) for each in recipe.metrics.values())
    if not are_known or recipe.train.precision.value == "mixed_float16":
        return None
    optimizer = {key: v for key, v in recipe.config["optimizer"].items() if key != "lr"}
    return optimizer, recipe.loss, dict(recipe.metrics)
