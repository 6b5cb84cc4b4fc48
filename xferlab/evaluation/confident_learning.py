"""Examples that are probably mislabelled: confident learning.

Northcutt, Jiang & Chuang 2021, section 3: the threshold of a class is the mean probability that its
own examples give it. An example counts as one of the class that exceeds its threshold, the most
probable of several; those counts by given label are the confident joint, and what is off its
diagonal is probably mislabelled. Probabilities have to be out of fold: a network that was trained
on an example repeats its label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

ROUNDING = 1e-6
"""A probability may be below its threshold by so much."""


@dataclass(frozen=True)
class LabelErrors:
    """What confident learning finds.

    Attributes:
        rows: positions of the examples that are probably mislabelled, the least probable given
            label first, int64.
        suggested: the class of each of them instead.
        estimated: estimated number of mislabelled examples.
        thresholds: of each class, float64; infinite for a class without examples.
    """

    rows: np.ndarray
    suggested: np.ndarray
    estimated: float
    thresholds: np.ndarray


def find_label_errors(labels: np.ndarray, probabilities: np.ndarray) -> LabelErrors:
    """Return the examples that are probably mislabelled.

    Args:
        labels: given classes, int (examples,).
        probabilities: out-of-fold, float (examples, classes).
    """
    import numpy as np

    probabilities = np.asarray(probabilities, "float64")
    examples, classes = probabilities.shape
    of_label = probabilities[np.arange(examples), labels]
    counts = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, weights=of_label, minlength=classes)
    thresholds = np.divide(sums, counts, out=np.full(classes, np.inf), where=counts > 0)
    exceeds = probabilities >= thresholds - ROUNDING
    counted = np.where(exceeds, probabilities, -1).argmax(axis=1)
    is_counted = exceeds.any(axis=1)
    joint = np.zeros((classes, classes))
    np.add.at(joint, (labels[is_counted], counted[is_counted]), 1)
    best = probabilities.argmax(axis=1)
    rows = np.flatnonzero(is_counted & (counted != labels) & (best != labels))
    rows = rows[np.argsort(of_label[rows], kind="stable")]
    return LabelErrors(rows, counted[rows], _estimated_errors(joint, counts), thresholds)


def _estimated_errors(joint: np.ndarray, counts: np.ndarray) -> float:
    """Return the off-diagonal part of the joint, each row scaled to the label's examples."""
    import numpy as np

    totals = joint.sum(axis=1)
    fraction = np.divide(joint.diagonal(), totals, out=np.ones(len(counts)), where=totals > 0)
    return float((counts * (1 - fraction)).sum())
