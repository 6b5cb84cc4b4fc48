"""Percentile bootstrap intervals of scores over examples.

Efron & Tibshirani 1993, chapter 13: a resample has as many examples as the split, sampled with
replacement; each resample is scored, and the middle 95 % of these scores are the interval. It
measures the chance in the choice of examples, not that of another training seed. Examples that
depend on each other come in groups: then a resample has as many groups as the split, each with all
of its examples (the cluster bootstrap, Davison & Hinkley 1997, section 3.8).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xferlab.functional.metrics import weighted_mean
from xferlab.functional.resampling import Weighted
from xferlab.functional.unseen_words import seen_only
from xferlab.training.evaluation import inputs_of_metric, scores

if TYPE_CHECKING:
    import numpy as np

SAMPLES = 1000
LEVEL = 0.95
SEED = 20240229
"""Seed of the resamples: the same examples and outputs have the same intervals."""
MIN_SCORED = 0.5
"""Fraction of the resamples that must have a score, or there is no interval."""
CELLS = 2_000_000
"""Example weights in memory at a time."""


@dataclass(frozen=True)
class Score:
    """A score and the interval around it; the ends are None where there is no interval.

    Attributes:
        value: of all examples.
        low: lower end of the interval.
        high: upper end.
    """

    value: float
    low: float | None = None
    high: float | None = None


def score_with_intervals(
    loss: Any,
    metrics: Mapping[str, Any],
    labels: np.ndarray,
    outputs: np.ndarray,
    samples: int = SAMPLES,
    progress: Callable[[int], None] | None = None,
    decisive: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> dict[str, Score]:
    """Return the loss and every metric of a split, each with its interval.

    Args:
        loss: Keras loss.
        metrics: as the metric plugins built them, by logged name.
        labels: as the task's label kind says, (examples, ...).
        outputs: float32 (examples, num_outputs), for token classification (examples, words,
            num_outputs).
        samples: resamples; 0 for no intervals.
        progress: called now and then with the number of resamples that are done.
        decisive: outputs that metrics of decisions score; None for ``outputs``.
        groups: the group of each example, int (examples,), if they depend on each other.
    """
    values = scores(loss, metrics, labels, outputs, decisive)
    if not samples:
        return {name: Score(value) for name, value in values.items()}
    resampled = {"loss": _weighted_loss(loss, *seen_only(labels, outputs))}
    resampled |= {
        name: weighted_score(each, labels, outputs, decisive) for name, each in metrics.items()
    }
    found = resample(resampled, len(labels), samples, progress, groups)
    return {name: Score(values[name], *interval(found[name])) for name in values}


def resample(
    scores_of: Mapping[str, Weighted],
    examples: int,
    samples: int = SAMPLES,
    progress: Callable[[int], None] | None = None,
    groups: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Return the scores of ``samples`` resamples, float64 (samples,); the same ones for all.

    With ``groups``, the group of each example, whole groups are sampled.
    """
    import numpy as np

    parts: dict[str, list[Any]] = {name: [] for name in scores_of}
    done = 0
    for weights in _sample_weights(examples, samples, groups):
        with np.errstate(all="ignore"):
            for name, score in scores_of.items():
                parts[name].append(score(weights))
        done += len(weights)
        if progress:
            progress(done)
    return {name: np.concatenate(each) for name, each in parts.items()}


def interval(found: np.ndarray, level: float = LEVEL) -> tuple[float | None, float | None]:
    """Return the middle ``level`` of resampled scores; None where too few of them are numbers."""
    import numpy as np

    known = found[np.isfinite(found)]
    if len(known) <= MIN_SCORED * len(found):
        return None, None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _sample_weights(
    examples: int, samples: int, groups: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Yield how often each example is sampled, float64 (some resamples, examples)."""
    import numpy as np

    if groups is not None:
        names, group_of = np.unique(groups, return_inverse=True)
        for weights in _sample_weights(len(names), samples):
            yield weights[:, group_of]
        return
    random = np.random.default_rng([SEED, examples])
    at_once = max(1, CELLS // max(examples, 1))
    for first in range(0, samples, at_once):
        size = min(at_once, samples - first)
        choices = (random.integers(examples, size=examples) for _ in range(size))
        counts = [np.bincount(choice, minlength=examples) for choice in choices]
        yield np.stack(counts).astype("float64")


def weighted_score(
    metric: Any, labels: np.ndarray, outputs: np.ndarray, decisive: np.ndarray | None = None
) -> Weighted:
    """Return a metric's score as a function of example weights.

    A metric's own ``resampled`` is used where it has one; any other metric, Keras metrics too, is
    computed on each resample.

    Args:
        metric: as a metric plugin built it.
        labels: as the task's label kind says, (examples, ...).
        outputs: float32 (examples, ..., num_outputs).
        decisive: what a metric of decisions scores; None for ``outputs``.
    """
    labels, outputs = inputs_of_metric(metric, labels, outputs, decisive)
    if hasattr(metric, "resampled"):
        return metric.resampled(labels, outputs)
    return _by_repeating(lambda y, out: score_of(metric, y, out), labels, outputs)


def score_of(
    metric: Any, labels: np.ndarray, outputs: np.ndarray, decisive: np.ndarray | None = None
) -> float:
    """Return a metric's score of a whole split."""
    return scores(lambda *_: 0.0, {"score": metric}, labels, outputs, decisive)["score"]


def _weighted_loss(loss: Any, labels: np.ndarray, outputs: np.ndarray) -> Weighted:
    """Return a loss as a function of example weights.

    Most losses are the mean of what ``call`` gives each example, or each labelled token. Every
    second example tests that; any other loss is computed on each resample. One that compares the
    examples of a batch with each other keeps what it gives them among all.
    """
    import numpy as np

    def direct(y: Any, out: Any) -> float:
        return float(loss(y, out))

    short = _mean_by_example(loss, labels, outputs) if hasattr(loss, "call") else None
    if short is not None and getattr(loss, "needs_whole_batch", False):
        return short
    if short is not None:
        half = np.arange(0, len(labels), 2)
        weights = np.bincount(half, minlength=len(labels)).astype("float64")[None]
        if np.allclose(short(weights)[0], direct(labels[half], outputs[half]), 1e-3, 1e-6):
            return short
    return _by_repeating(direct, labels, outputs)


def _mean_by_example(loss: Any, labels: np.ndarray, outputs: np.ndarray) -> Weighted | None:
    """Return the mean of what a loss gives each example or labelled token, if it gives that."""
    import numpy as np

    each = np.asarray(loss.call(labels, outputs), "float64")
    if each.shape[:1] != labels.shape[:1]:
        return None
    if labels.ndim < 2 or outputs.ndim < 3:
        return weighted_mean(each)
    labelled = (labels >= 0).astype("float64")
    # of labelled tokens alone: what Keras divides by all tokens is scaled for that
    scaled = each * labelled.mean()
    return weighted_mean(np.where(labelled > 0, scaled, 0.0), labelled)


def _by_repeating(
    score: Callable[[Any, Any], float], labels: np.ndarray, outputs: np.ndarray
) -> Weighted:
    """Return any score as a function of example weights, from repeated examples."""
    import numpy as np

    def of_weights(weights: Any) -> Any:
        found = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for counts in weights:
                sample = np.repeat(np.arange(len(labels)), counts.astype("int64"))
                found.append(score(labels[sample], outputs[sample]))
        return np.array(found, "float64")

    return of_weights
