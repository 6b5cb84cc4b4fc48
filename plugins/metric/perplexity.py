"""Perplexity of a masked language model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, OutputKind, TaskSpec, register, sum_score


@register("metric", "perplexity")
@dataclass(frozen=True)
class Perplexity:
    """The exponential of the mean negative log-likelihood of the masked tokens.

    It is a pseudo-perplexity: each token is predicted beside others that are masked too.
    """

    accepts: ClassVar[Accepts] = Accepts(outputs=(OutputKind.values,), labels=(LabelKind.none,))
    mode: ClassVar[str] = "min"
    bounds: ClassVar[tuple[float, float]] = (1.0, float("inf"))

    def build(self, spec: TaskSpec):
        import numpy as np

        def value(sums):
            return np.exp(sums[:, 0] / np.maximum(sums[:, 1], 1.0))

        return sum_score(lambda labels, outputs: outputs, value, spec)
