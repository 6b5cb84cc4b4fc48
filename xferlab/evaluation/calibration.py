"""Calibration of probabilities, and residuals of a regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xferlab.escaping import csv_text

if TYPE_CHECKING:
    import numpy as np

BINS = 15
Z = 1.959964
"""95 % of a normal distribution is within this many standard deviations."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Probabilities in equally wide bins, and the fraction of each bin that was true.

    A bin includes its upper edge. Arrays are float64 (bins,); an empty bin is NaN.

    Attributes:
        unit: what is in the bins: ``examples``, ``words`` or ``labels``.
        about: what a probability is the probability of.
        count: how many.
        confidence: mean probability.
        fraction: the fraction that was true.
        low: lower end of the fraction's 95 % interval (Wilson 1927).
        high: its upper end.
        before: the same without the run's postprocess; None where it has none.
    """

    unit: str
    about: str
    count: np.ndarray
    confidence: np.ndarray
    fraction: np.ndarray
    low: np.ndarray
    high: np.ndarray
    before: Calibration | None = None

    @property
    def error(self) -> float:
        """Expected calibration error (Guo et al. 2017, eq. 3)."""
        import numpy as np

        gap = np.abs(np.nan_to_num(self.fraction - self.confidence))
        return float((self.count * gap).sum() / max(self.count.sum(), 1))

    def csv(self) -> str:
        """Return a line for each bin that is not empty."""
        header = ("from", "to", "count", "mean_probability", "fraction_true", "low", "high")
        rows = []
        for i, n in enumerate(self.count):
            if n:
                values = (self.confidence[i], self.fraction[i], self.low[i], self.high[i])
                edges = (i / len(self.count), (i + 1) / len(self.count))
                rows.append([*edges, int(n), *map(float, values)])
        return csv_text([header, *rows])


def calibration_of(
    confidence: np.ndarray, is_true: np.ndarray, unit: str, about: str, bins: int = BINS
) -> Calibration:
    """Return how often what has a probability is true.

    Args:
        confidence: probabilities, (units,).
        is_true: whether each prediction was true, bool (units,).
        unit: what is counted: ``examples``, ``words`` or ``labels``.
        about: what a probability is the probability of.
        bins: number of equally wide bins.
    """
    import numpy as np

    confidence = confidence.astype("float64")
    bin_of = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1).astype(int)
    count, total, hits = (
        np.bincount(bin_of, weights=weights, minlength=bins)
        for weights in (np.ones(len(confidence)), confidence, is_true)
    )
    with np.errstate(invalid="ignore"):
        mean = total / count
        fraction = hits / count
    return Calibration(unit, about, count, mean, fraction, *wilson(fraction, count))


def wilson(fraction: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the 95 % interval of a fraction of ``count`` (Wilson 1927)."""
    import numpy as np

    with np.errstate(invalid="ignore", divide="ignore"):
        middle = (fraction + Z**2 / (2 * count)) / (1 + Z**2 / count)
        spread = fraction * (1 - fraction) / count + Z**2 / (4 * count**2)
        half = Z * np.sqrt(spread) / (1 + Z**2 / count)
    return middle - half, middle + half


@dataclass(frozen=True, eq=False)
class Residuals:
    """A regression's values beside its labels, float64 (examples,).

    Attributes:
        labels: the labels.
        values: the predictions.
    """

    labels: np.ndarray
    values: np.ndarray

    def csv(self, parts: int = 10) -> str:
        """Return a line for each tenth of the examples, sorted by value: means and errors."""
        import numpy as np

        header = ("examples", "from", "to", "mean_value", "mean_label", "mean_error", "rms_error")
        order = np.argsort(self.values, kind="stable")
        rows = []
        for part in (p for p in np.array_split(order, parts) if len(p)):
            value = self.values[part]
            label = self.labels[part]
            error = value - label
            rms = float(np.sqrt((error**2).mean()))
            means = (float(value.mean()), float(label.mean()), float(error.mean()), rms)
            rows.append([len(part), float(value.min()), float(value.max()), *means])
        return csv_text([header, *rows])
