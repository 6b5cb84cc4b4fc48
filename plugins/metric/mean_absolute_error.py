"""Mean absolute error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, OutputKind, TaskSpec, register
from xferlab.functional.metrics import mean_score


@register("metric", "mean_absolute_error")
@dataclass(frozen=True)
class MeanAbsoluteError:
    """Distance between value and label, averaged over rows."""

    accepts: ClassVar[Accepts] = Accepts(outputs=(OutputKind.values,), labels=(LabelKind.float,))
    mode: ClassVar[str] = "min"

    def build(self, spec: TaskSpec):
        from keras import ops

        def error(labels, values):
            return ops.abs(ops.reshape(values, ops.shape(labels)) - labels)

        return mean_score(error, "mean_absolute_error")
