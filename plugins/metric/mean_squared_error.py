"""Mean squared error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Emits, LabelKind, Takes, TaskSpec, register
from xferlab.functional.metrics import mean_score


@register("metric", "mean_squared_error")
@dataclass(frozen=True)
class MeanSquaredError:
    """Square of the distance between value and label, averaged over rows."""

    takes: ClassVar[Takes] = Takes(outputs=(Emits.values,), labels=(LabelKind.real,))
    better: ClassVar[str] = "min"

    def build(self, spec: TaskSpec):
        from keras import ops

        def error(labels, values):
            return ops.square(ops.reshape(values, ops.shape(labels)) - labels)

        return mean_score(error, "mean_squared_error")
