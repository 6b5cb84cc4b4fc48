"""Mean absolute error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, MeanScore, OutputKind, TaskSpec, register


@register("metric", "mean_absolute_error")
@dataclass(frozen=True)
class MeanAbsoluteError:
    """Distance between value and label, averaged over examples."""

    accepts: ClassVar[Accepts] = Accepts(outputs=(OutputKind.values,), labels=(LabelKind.float,))
    mode: ClassVar[str] = "min"

    def build(self, spec: TaskSpec):
        def error(labels, values, xp):
            return xp.abs(xp.reshape(values, xp.shape(labels)) - labels)

        return MeanScore(error, "mean_absolute_error")
