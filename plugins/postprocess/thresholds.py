"""Thresholds of probabilities from which on labels are predicted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from xferlab import (
    Accepts,
    ConfigError,
    DecisionScore,
    LabelKind,
    OutputKind,
    Processed,
    best_cut,
    register,
    score_of_counts,
    sigmoid,
)

SHOWN = 6


class Average(Enum):
    """How the scores of labels are averaged, for one threshold for all."""

    macro = "macro"
    micro = "micro"


@register("postprocess", "thresholds")
@dataclass(frozen=True)
class Thresholds:
    """Predicts a label from the probability that is best for a score, not from 0.5.

    For several labels, or for the second one of two classes. Of equally good thresholds the one
    nearest to 0.5 is taken. Probabilities stay as they are.

    Attributes:
        score: f1, accuracy or matthews, of the validation examples.
        beta: of f1: recall counts beta times as much as precision (F-beta), above 0.
        shared: one threshold for all labels, not one for each.
        average: of a shared one: macro is the mean of the labels' scores, micro counts them
            together.
    """

    score: DecisionScore = DecisionScore.f1
    beta: float = 1.0
    shared: bool = False
    average: Average = Average.macro

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits, OutputKind.probabilities),
        labels=(LabelKind.multi_hot, LabelKind.class_index),
    )

    def __post_init__(self) -> None:
        if self.beta <= 0:
            raise ValueError(f"beta must be above 0, got {self.beta}")

    def check(self, spec, labels) -> None:
        if spec.task.is_exclusive and spec.num_classes != 2:
            raise ConfigError(
                f"a threshold chooses between two classes, and the data has {spec.num_classes}",
                where="postprocess.thresholds",
                fix="leave it out: of several exclusive classes the most probable one is predicted",
            )
        counts = spec.task.class_counts(labels, spec.num_classes)
        empty = [
            name
            for name, count in zip(spec.class_names, counts, strict=True)
            if count == 0 and not (spec.task.is_exclusive and name == spec.class_names[0])
        ]
        if empty and not self.shared:
            more = f" and {len(empty) - 1} more" if len(empty) > 1 else ""
            raise ConfigError(
                f"no validation example has the label '{empty[0]}'{more}: no threshold can be"
                " fitted",
                where="postprocess.thresholds",
                fix="add examples to data.validation, or postprocess.shared=true for one threshold",
            )

    def fit(self, outputs, labels, spec):
        """Return the ``cut``: what is subtracted from each logit before it decides, (classes,)."""
        import numpy as np

        if spec.task.is_exclusive:
            found = best_cut(outputs[:, 1:] - outputs[:, :1], labels[:, None] == 1, self._of_counts)
            return {"cut": np.array([0.0, found])}
        is_true = labels > 0.5
        if self.shared:
            is_macro = self.average is Average.macro
            found = best_cut(outputs, is_true, self._of_counts, is_macro)
            return {"cut": np.full(spec.num_classes, found)}
        columns = range(spec.num_classes)
        cuts = [best_cut(outputs[:, [i]], is_true[:, [i]], self._of_counts) for i in columns]
        return {"cut": np.array(cuts)}

    def _of_counts(self, hits, predicted, actual, size):
        return score_of_counts(self.score, hits, predicted, actual, size, self.beta)

    def apply(self, outputs, parameters, xp):
        return Processed(decisive=outputs - parameters["cut"])

    def describe(self, parameters, spec):
        import numpy as np

        values = sigmoid(np.asarray(parameters["cut"], "float64"), np)
        if self.shared:
            return f"threshold {values[0]:.3f} for all labels"
        named = list(zip(spec.class_names, values, strict=True))[int(spec.task.is_exclusive) :]
        shown = ", ".join(f"{name} {value:.3f}" for name, value in named[:SHOWN])
        more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
        return f"thresholds {shown}{more}"
