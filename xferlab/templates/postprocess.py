"""My postprocess."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, OutputKind, Processed, register

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)


@register("postprocess", "example")
@dataclass(frozen=True)
class Example:
    """Multiplies logits by the factor that gives the labels the highest likelihood.

    Attributes:
        prior: weight of the factor 1 beside the labels', in examples, >= 0.
    """

    contract = 1  # of xferlab, see docs/plugins.md; without a type, so that it is no field

    prior: float = 0.0

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits,), labels=(LabelKind.class_index,)
    )

    def fit(self, outputs, labels, spec):
        # After training: outputs (n, classes) and labels (n,) of the validation split. Return the
        # numbers to keep, as arrays by name.
        import numpy as np
        from scipy.special import log_softmax

        def likelihood(factor):
            rows = log_softmax(factor * outputs, axis=-1)[np.arange(len(labels)), labels]
            return rows.sum() - self.prior * np.log(factor) ** 2

        return {"factor": np.array([max(FACTORS, key=likelihood)])}

    def apply(self, outputs, parameters, xp):
        # xp is NumPy, or keras.ops in an exported graph: use what both have.
        return Processed(outputs * parameters["factor"])
