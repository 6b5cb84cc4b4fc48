"""Few-shot classification by contrastive pairs and a logistic head."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from xferlab import (
    Accepts,
    ConfigError,
    LabelKind,
    Needs,
    OutputKind,
    TaskSpec,
    TrainingStep,
    register,
)

MOST_EXAMPLES = 3000


class Sampling(Enum):
    """Which pairs an epoch has."""

    oversampling = "oversampling"
    undersampling = "undersampling"
    unique = "unique"


@register("objective", "contrastive_pairs")
@dataclass(frozen=True)
class ContrastivePairs:
    """For few examples: vectors of one class are near, of two far; a logistic head is fitted.

    SetFit (Tunstall et al. 2022): the encoder is trained on pairs of training texts, whose cosine
    is to be 1 for one class and 0 for two. At the end of each epoch the last layer becomes
    scikit-learn's logistic regression on the vectors of the training texts; it is not trained
    otherwise. A batch has ``train.batch_size`` pairs. SetFit's settings are those of
    ``experiment=few_shot``.

    Attributes:
        sampling: ``oversampling`` has every pair in an epoch, and of the rarer kind, of one class
            or of two, some again, as many as of the other; ``undersampling`` has as many of both
            as there are of the rarer; ``unique`` has every pair once.
        head_c: inverse of the strength of the head's L2 penalty, ``C`` in scikit-learn, above 0.
    """

    sampling: Sampling = Sampling.oversampling
    head_c: float = 1.0

    accepts: ClassVar[Accepts] = Accepts((OutputKind.logits,), (LabelKind.class_index,))
    needs: ClassVar[Needs] = Needs(pooled=True, whole_batch=True)

    def __post_init__(self) -> None:
        if not self.head_c > 0:
            raise ValueError(f"head_c must be above 0, got {self.head_c}")

    def pairs(self, labels, spec: TaskSpec, seed: int, epoch: int):
        from xferlab import pairs_of_classes

        _refuse_examples(labels, spec)
        return pairs_of_classes(labels, self.sampling.value, seed, epoch)

    def build(self, spec: TaskSpec):
        from xferlab import pair_loss

        def objective(step: TrainingStep):
            vectors = step.pool()
            return pair_loss(vectors, step.labels), step.forward(pooled=vectors)

        return objective

    def fit_head(self, vectors, labels, spec: TaskSpec, bias: bool):
        from xferlab import logistic_head

        return logistic_head(vectors, labels, self.head_c, bias)


def _refuse_examples(labels, spec: TaskSpec) -> None:
    """Raise ConfigError for a class without a pair, and for more pairs than is sensible."""
    import numpy as np

    counts = np.bincount(labels, minlength=spec.num_classes)
    few = [name for name, count in zip(spec.class_names, counts, strict=True) if count < 2]
    if few:
        raise ConfigError(
            f"a pair of one class needs two training examples, and there are fewer of"
            f" {', '.join(few[:5])}",
            where="objective",
            fix="add examples, leave those classes out, or objective=supervised",
        )
    if len(labels) > MOST_EXAMPLES:
        raise ConfigError(
            f"{len(labels):,} training examples make {len(labels) * (len(labels) + 1) // 2:,}"
            f" pairs; this is for few, at most {MOST_EXAMPLES:,}",
            where="objective",
            fix=f"data.limit.train={MOST_EXAMPLES}, or objective=supervised_contrastive",
        )
