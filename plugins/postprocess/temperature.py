"""Temperature scaling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, OutputKind, Processed, register, to_probabilities

WIDEST = 50.0
"""The temperature is between its reciprocal and this."""
HALVINGS = 60


@register("postprocess", "temperature")
@dataclass(frozen=True)
class Temperature:
    """Divides logits by one number, so that probabilities are as often true as they say.

    Guo et al. 2017: the number minimises the negative log-likelihood of the validation labels. No
    prediction changes. It is at most 50 and at least 1/50, which outputs without an error reach.
    """

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits, OutputKind.probabilities),
        labels=(LabelKind.class_index, LabelKind.token_tags, LabelKind.multi_hot),
    )

    def fit(self, outputs, labels, spec):
        """Return the ``temperature``, (1,): the likelihood's slope changes sign there."""
        import numpy as np

        low, high = np.log([1 / WIDEST, WIDEST])
        z = outputs.astype("float64")
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            # the slope by the inverse temperature, in which the likelihood is concave
            if _slope(z, labels, np.exp(-middle), spec) <= 0:
                high = middle
            else:
                low = middle
        return {"temperature": np.exp([(low + high) / 2])}

    def apply(self, outputs, parameters, xp):
        return Processed(outputs / parameters["temperature"])

    def factor(self, parameters):
        return 1 / float(parameters["temperature"][0])

    def describe(self, parameters, spec):
        value = float(parameters["temperature"][0])
        is_least = value < 1.01 / WIDEST
        return f"temperature {value:.3f}{' (the least)' if is_least else ''}"


def _slope(z, labels, inverse, spec):
    """Return the mean slope of the negative log-likelihood of labels by the inverse temperature."""
    import numpy as np

    p = to_probabilities(inverse * z, spec, np)
    if labels.ndim == 2:
        return ((p - labels) * z).sum(axis=1).mean()
    return ((p * z).sum(axis=1) - z[np.arange(len(z)), labels]).mean()
