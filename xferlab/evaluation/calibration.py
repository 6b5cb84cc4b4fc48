"""Are the probabilities true? Do values lie near their labels?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xferlab.contracts import Task
from xferlab.escaping import csv_text
from xferlab.evaluation.split_outputs import SplitOutputs

if TYPE_CHECKING:
    import numpy as np

BINS = 15
Z = 1.959964
"""95 % of a normal distribution is within this many standard deviations."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Probabilities in equally wide bins, and how often what they are about was true.

    A bin holds its upper edge. Arrays are float64 (bins,); an empty bin is NaN.

    Attributes:
        unit: what is in the bins: ``rows``, ``words`` or ``labels``.
        about: what a probability is the probability of.
        count: how many.
        confidence: mean probability.
        share: how much of it was true.
        low: lower end of the share's 95 % interval (Wilson 1927).
        high: its upper end.
    """

    unit: str
    about: str
    count: np.ndarray
    confidence: np.ndarray
    fraction: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error (Guo et al. 2017, eq. 3)."""
        import numpy as np

        gap = np.abs(np.nan_to_num(self.fraction - self.confidence))
        return float((self.count * gap).sum() / max(self.count.sum(), 1))

    def csv(self) -> str:
        """Return a line a bin; empty bins are left out."""
        header = ("from", "to", "count", "mean_probability", "share_true", "low", "high")
        rows = []
        for i, n in enumerate(self.count):
            if n:
                values = (self.confidence[i], self.fraction[i], self.low[i], self.high[i])
                edges = (i / len(self.count), (i + 1) / len(self.count))
                rows.append([*edges, int(n), *map(float, values)])
        return csv_text([header, *rows])


def calibration_of(answers: SplitOutputs, bins: int = BINS) -> Calibration:
    """Return how true the probabilities of a classification are.

    One label a row, or tags: those of the predicted class. Several labels: each label of each row.
    """
    import numpy as np

    if answers.spec.task is Task.multi_label:
        sure, true = answers.probabilities.reshape(-1), answers.labels.reshape(-1) > 0.5
        unit, about = "labels", "a label is there"
    else:
        wanted, found, sure = answers.read_units
        true = wanted == found
        unit = "words" if answers.spec.task is Task.token_classification else "rows"
        about = "the predicted class is right"
    sure = sure.astype("float64")
    inside = np.clip(np.ceil(sure * bins) - 1, 0, bins - 1).astype(int)
    count, total, hits = (
        np.bincount(inside, weights=w, minlength=bins) for w in (np.ones(len(sure)), sure, true)
    )
    with np.errstate(invalid="ignore"):
        confidence, fraction = total / count, hits / count
    return Calibration(unit, about, count, confidence, fraction, *wilson(fraction, count))


def wilson(fraction: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the 95 % interval of a share of ``count`` (Wilson 1927)."""
    import numpy as np

    with np.errstate(invalid="ignore", divide="ignore"):
        middle = (fraction + Z**2 / (2 * count)) / (1 + Z**2 / count)
        spread = fraction * (1 - fraction) / count + Z**2 / (4 * count**2)
        half = Z * np.sqrt(spread) / (1 + Z**2 / count)
    return middle - half, middle + half


@dataclass(frozen=True, eq=False)
class Residuals:
    """A regression's values beside its labels, float64 (rows,).

    Attributes:
        labels: what the values should have been.
        values: what they are.
    """

    labels: np.ndarray
    values: np.ndarray

    def csv(self, parts: int = 10) -> str:
        """Return a line a tenth of the rows, sorted by value: means, and the errors there."""
        import numpy as np

        header = ("rows", "from", "to", "mean_value", "mean_label", "mean_error", "rms_error")
        order = np.argsort(self.values, kind="stable")
        rows = []
        for part in (p for p in np.array_split(order, parts) if len(p)):
            value, label = self.values[part], self.labels[part]
            error = value - label
            rms = float(np.sqrt((error**2).mean()))
            means = (float(value.mean()), float(label.mean()), float(error.mean()), rms)
            rows.append([len(part), float(value.min()), float(value.max()), *means])
        return csv_text([header, *rows])


def residuals_of(answers: SplitOutputs) -> Residuals:
    """Return a regression's values beside its labels."""
    return Residuals(answers.labels.astype("float64"), answers.predicted.astype("float64"))
