"""How far a score would move on other rows of the same kind: percentile bootstrap intervals.

Efron & Tibshirani 1993, chapter 13: rows are drawn with replacement, as many as there are; each
resample is scored, and the middle 95 % of these scores are the interval. It says what the choice of
the test rows does; what another seed of training would do, it cannot know.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xferlab.functional.metrics import weighted_mean
from xferlab.functional.resampling import Weighted
from xferlab.functional.unseen_words import seen_only
from xferlab.training.evaluation import scores, taken_by

if TYPE_CHECKING:
    import numpy as np

SAMPLES = 1000
LEVEL = 0.95
SEED = 20240229
"""What resamples are drawn with: the same rows and outputs have the same intervals."""
FEWEST = 0.5
"""Share of the resamples that must have a score, or there is no interval."""
CELLS = 2_000_000
"""Row weights that are held at a time."""


@dataclass(frozen=True)
class Score:
    """A score and the interval around it; the ends are None where there is no interval.

    Attributes:
        value: of all rows.
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
) -> dict[str, Score]:
    """Return the loss and every metric of a split, each with its interval.

    Args:
        loss: Keras loss.
        metrics: as the metric plugins built them, by logged name.
        labels: as the task's label kind says, (rows, ...).
        outputs: float32 (rows, num_outputs), for tagging (rows, length, num_outputs).
        samples: resamples; 0 for no intervals.
        progress: told how many resamples are done, now and then.
    """
    values = scores(loss, metrics, labels, outputs)
    if not samples:
        return {name: Score(value) for name, value in values.items()}
    resampled = {"loss": _loss_of_weights(loss, *seen_only(labels, outputs))}
    resampled |= {
        name: _of_weights(metric, *taken_by(metric, labels, outputs))
        for name, metric in metrics.items()
    }
    found = resample(resampled, len(labels), samples, progress)
    return {name: Score(values[name], *interval(found[name])) for name in values}


def resample(
    scores_of: Mapping[str, Weighted],
    rows: int,
    samples: int = SAMPLES,
    progress: Callable[[int], None] | None = None,
) -> dict[str, np.ndarray]:
    """Return each score of ``samples`` resamples, float64 (samples,); the same ones for all."""
    import numpy as np

    parts: dict[str, list[Any]] = {name: [] for name in scores_of}
    done = 0
    for weights in _drawn(rows, samples):
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
    if len(known) <= FEWEST * len(found):
        return None, None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _drawn(rows: int, samples: int) -> Iterator[np.ndarray]:
    """Yield how often each row is drawn, float64 (some resamples, rows)."""
    import numpy as np

    random = np.random.default_rng([SEED, rows])
    at_once = max(1, CELLS // max(rows, 1))
    for first in range(0, samples, at_once):
        size = min(at_once, samples - first)
        distributions = (random.integers(rows, size=rows) for _ in range(size))
        yield np.stack([np.bincount(draw, minlength=rows) for draw in distributions]).astype(
            "float64"
        )


def _of_weights(metric: Any, labels: np.ndarray, outputs: np.ndarray) -> Weighted:
    """Return a metric's score as a function of row weights, by its own short way if it has one."""
    if hasattr(metric, "resampled"):
        return metric.resampled(labels, outputs)
    return _by_repeating(lambda y, out: scores(_no_loss, {"score": metric}, y, out)["score"],
                         labels, outputs)  # fmt: skip


def _loss_of_weights(loss: Any, labels: np.ndarray, outputs: np.ndarray) -> Weighted:
    """Return a loss as a function of row weights.

    Most losses are the mean of what ``call`` gives each row, or each labelled token; one that is
    not is found out on a few rows, and computed anew on each resample.
    """
    import numpy as np

    def direct(y: Any, out: Any) -> float:
        return float(loss(y, out))

    short = _mean_of_rows(loss, labels, outputs) if hasattr(loss, "call") else None
    if short is not None:
        half = np.arange(0, len(labels), 2)
        weights = np.bincount(half, minlength=len(labels)).astype("float64")[None]
        if np.allclose(short(weights)[0], direct(labels[half], outputs[half]), 1e-3, 1e-6):
            return short
    return _by_repeating(direct, labels, outputs)


def _mean_of_rows(loss: Any, labels: np.ndarray, outputs: np.ndarray) -> Weighted | None:
    """Return the mean of what a loss gives each row, or labelled token, if it gives that."""
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


def _no_loss(*_: Any) -> float:
    return 0.0


def _by_repeating(
    score: Callable[[Any, Any], float], labels: np.ndarray, outputs: np.ndarray
) -> Weighted:
    """Return any score as a function of row weights: each resample's rows are put together."""
    import numpy as np

    def of_weights(weights: Any) -> Any:
        found = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for drawn in weights:
                rows = np.repeat(np.arange(len(labels)), drawn.astype("int64"))
                found.append(score(labels[rows], outputs[rows]))
        return np.array(found, "float64")

    return of_weights
