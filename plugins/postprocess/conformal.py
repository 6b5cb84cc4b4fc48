"""Sets of classes, and intervals of values, that hold the truth with a stated frequency."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from xferlab import Accepts, ConfigError, LabelKind, OutputKind, Processed, register, softmax


class Method(Enum):
    """How unusual a class is for an example."""

    lac = "lac"
    aps = "aps"


@register("postprocess", "conformal")
@dataclass(frozen=True)
class Conformal:
    """Gives sets of classes, or intervals of a value, that hold the truth with a frequency.

    Split conformal prediction (Vovk et al. 2005): the limit is a quantile of the validation
    examples' scores. A set has the most probable class in any case.

    Attributes:
        coverage: least frequency with which the truth is in the set, between 0 and 1.
        method: lac, smallest sets on average (Sadinle et al. 2019); aps, sets that are larger for
            harder examples (Romano et al. 2020, without randomisation). An interval has the same
            width for all.
    """

    coverage: float = 0.9
    method: Method = Method.lac

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits, OutputKind.probabilities, OutputKind.values),
        labels=(LabelKind.class_index, LabelKind.float),
    )

    def __post_init__(self) -> None:
        if not 0 < self.coverage < 1:
            raise ValueError(f"coverage must be between 0 and 1, got {self.coverage}")

    def check(self, spec, labels) -> None:
        if self._rank(len(labels)) > len(labels):
            least = math.ceil(self.coverage / (1 - self.coverage) - 1e-9)
            raise ConfigError(
                f"{len(labels)} validation examples are too few for a coverage of"
                f" {self.coverage:g}, which takes {least}",
                where="postprocess.coverage",
                fix=f"postprocess.coverage={len(labels) / (len(labels) + 2):.2f},"
                " or more validation examples",
            )

    def _rank(self, size):
        """Return the rank of the limit among the scores of ``size`` examples, from 1."""
        return math.ceil((size + 1) * self.coverage - 1e-9)

    def fit(self, outputs, labels, spec):
        """Return the ``limit`` of scores in the set, (1,); or the ``width`` to either side."""
        import numpy as np

        if spec.label_kind is LabelKind.float:
            name = "width"
            scores = np.abs(outputs[:, 0] - labels)
        else:
            name = "limit"
            scores = self._scores(outputs, np)[np.arange(len(labels)), labels]
        return {name: np.sort(scores)[self._rank(len(labels)) - 1 :][:1]}

    def _scores(self, outputs, xp):
        """Return how unusual each class is, from 0 to 1."""
        p = softmax(outputs, xp)
        if self.method is Method.lac:
            return 1.0 - p
        others = xp.expand_dims(p, -2)
        return xp.sum(xp.where(others >= xp.expand_dims(p, -1), others, 0.0 * others), axis=-1)

    def apply(self, outputs, parameters, xp):
        if "width" in parameters:
            value = outputs[..., 0]
            width = parameters["width"]
            return Processed(interval=xp.stack([value - width, value + width], axis=-1))
        is_usual = self._scores(outputs, xp) <= parameters["limit"]
        is_first = outputs >= xp.max(outputs, axis=-1, keepdims=True)
        return Processed(included=xp.logical_or(is_usual, is_first))

    def describe(self, parameters, spec):
        if "width" in parameters:
            return (
                f"intervals of +-{parameters['width'][0]:.4g} for a coverage of {self.coverage:g}"
            )
        return f"sets for a coverage of {self.coverage:g}"
