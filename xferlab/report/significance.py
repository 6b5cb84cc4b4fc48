"""Whether the difference between two settings is more than chance in examples and seeds.

A score depends on the examples that it is measured on and on the training seed. Two settings are
compared by the difference D of their mean scores over seeds. Its variance is

    V = V_examples + (V_seeds - V_noise) of the one setting + the same of the other

V_examples is the variance of D over a paired bootstrap of the examples (Koehn 2004;
Berg-Kirkpatrick, Burkett & Klein 2012): all runs of both settings are scored on the same resamples.
V_seeds is the variance of a setting's scores over its seeds, divided by their number, as in Welch's
test. Both include the interaction of seed and example, so that part, V_noise, is subtracted once;
the bootstrap gives it too: how the runs of one setting vary on the same resamples. D / sqrt(V) is
then compared with Student's t with the degrees of freedom of Satterthwaite 1946, as for readers and
cases in diagnostic trials, which correspond to seeds and examples (Obuchowski & Rockette 1995;
Hillis 2007). Resampling the seeds as well, as in Sellam et al. 2022 (the multi-bootstrap), is the
same in the limit of many seeds; with three it rejects too often.

Runs on folds have other examples each, and their training examples overlap. So the differences by
seed and fold are compared with Student's t, with their variance enlarged by test over training
examples (the corrected resampled t test: Nadeau & Bengio 2003; repeated cross-validation: Bouckaert
& Frank 2004). Without the correction it rejects too often.

Without outputs there is Welch's t test of the seeds' scores (Welch 1947); with one seed a setting
there is the bootstrap of the examples alone, which is about the two networks, not the settings.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

LEVEL = 0.05
POWER = 0.8
"""The chance that :func:`seeds_needed` wants of finding a difference that is there."""
MAX_SEEDS = 100
SEEDS_AND_EXAMPLES = "seeds and examples"
EXAMPLES = "examples"
SEEDS = "seeds"
FOLDS = "folds"
Repeat = tuple[object, object]
"""Seed and fold of a run."""


@dataclass(frozen=True)
class Difference:
    """The difference of two settings' mean scores, the first less the second.

    Attributes:
        mean: the difference.
        low: lower end of its 95 % interval.
        high: upper end.
        p: two-sided p value of there being no difference.
        degrees_of_freedom: of Student's t.
        over: the sources of chance: ``seeds and examples``, ``examples``, ``seeds`` or ``folds``.
        examples: how many examples both were scored on, or None.
        runs: how many runs each setting has.
        groups: how many groups of examples were resampled; None for single examples.
        seeds_needed: how many seeds a setting would show a difference of this size; None if more
            than 100 would not, or where the spread over seeds is not known.
    """

    mean: float
    low: float
    high: float
    p: float
    degrees_of_freedom: float
    over: str
    examples: int | None
    runs: tuple[int, int]
    groups: int | None = None
    seeds_needed: int | None = None


@dataclass(frozen=True)
class Variance:
    """A part of the variance of a difference.

    Attributes:
        value: the variance.
        degrees_of_freedom: of its estimate.
        runs: over how many runs it is a mean; None for what more runs do not reduce.
    """

    value: float
    degrees_of_freedom: float
    runs: int | None = None

    def with_runs(self, runs: int) -> Variance:
        """Return what it would be over another number of runs."""
        if self.runs is None:
            return self
        degrees = self.degrees_of_freedom * (runs - 1) / (self.runs - 1)
        return Variance(self.value * self.runs / runs, degrees, runs)


def welch(one: Sequence[float], two: Sequence[float]) -> Difference:
    """Return Welch's t test of two settings' scores, a score a seed, two or more each."""
    parts = [
        Variance(statistics.variance(each) / len(each), len(each) - 1, len(each))
        for each in (one, two)
    ]
    mean = statistics.fmean(one) - statistics.fmean(two)
    return _t_test(mean, parts, SEEDS, None, (len(one), len(two)))


def over_folds(
    one: Mapping[Repeat, float], two: Mapping[Repeat, float], folds: int
) -> Difference | None:
    """Return the corrected resampled t test of two settings, None with fewer than two pairs.

    Args:
        one: scores of the first setting by seed and fold.
        two: the second's.
        folds: how many; the test examples are 1 / (folds - 1) of those trained on.
    """
    both = [repeat for repeat in one if repeat in two]
    if len(both) < 2:
        return None
    differences = [one[repeat] - two[repeat] for repeat in both]
    factor = 1 / len(both) + 1 / (folds - 1)
    parts = [Variance(factor * statistics.variance(differences), len(both) - 1)]
    runs = (len(one), len(two))
    return _t_test(statistics.fmean(differences), parts, FOLDS, None, runs)


def over_examples(
    one: Sequence[float],
    two: Sequence[float],
    one_resampled: np.ndarray,
    two_resampled: np.ndarray,
    examples: int,
    groups: int | None = None,
) -> Difference:
    """Return the test over examples, and over seeds where each setting has two or more.

    Args:
        one: scores of the first setting's runs on all examples.
        two: the second's.
        one_resampled: scores of the same runs on resamples, float64 (runs, resamples).
        two_resampled: the second's on the same resamples.
        examples: how many examples there are.
        groups: how many groups of them were resampled, None for single examples.
    """
    differences = one_resampled.mean(axis=0) - two_resampled.mean(axis=0)
    parts = [Variance(float(differences.var(ddof=1)), (groups or examples) - 1)]
    over = EXAMPLES
    if min(len(one), len(two)) > 1:
        over = SEEDS_AND_EXAMPLES
        parts += [_seed_variance(one, one_resampled), _seed_variance(two, two_resampled)]
    mean = statistics.fmean(one) - statistics.fmean(two)
    found = _t_test(mean, parts, over, examples, (len(one), len(two)))
    return replace(found, groups=groups)


def _seed_variance(scores: Sequence[float], resampled: np.ndarray) -> Variance:
    """Return the variance that seeds add to a mean, without noise."""
    import numpy as np

    count = len(scores)
    seeds = statistics.variance(scores) / count
    noise = float((resampled - np.asarray(scores)[:, None]).var(axis=0, ddof=1).mean()) / count
    if seeds <= noise:
        return Variance(0.0, math.inf, count)
    # the variance of the remainder is that of the seeds' variance
    degrees = (count - 1) * ((seeds - noise) / seeds) ** 2
    return Variance(seeds - noise, degrees, count)


def _t_test(
    mean: float,
    parts: Sequence[Variance],
    over: str,
    examples: int | None,
    runs: tuple[int, int],
) -> Difference:
    """Return a difference with the variances and degrees of freedom of its parts."""
    from scipy.special import stdtr, stdtrit

    variance = sum(part.value for part in parts)
    if variance <= 0:  # nothing ever varied
        p = 1.0 if mean == 0 else 0.0
        return Difference(mean, mean, mean, p, math.inf, over, examples, runs)
    degrees = _satterthwaite(parts)
    error = math.sqrt(variance)
    half = float(stdtrit(degrees, 1 - LEVEL / 2)) * error
    p = 2 * float(stdtr(degrees, -abs(mean) / error))
    needed = seeds_needed(mean, parts)
    return Difference(
        mean, mean - half, mean + half, p, degrees, over, examples, runs, seeds_needed=needed
    )


def _satterthwaite(parts: Sequence[Variance]) -> float:
    """Return the degrees of freedom of a sum of variances (Satterthwaite 1946)."""
    squares = sum(part.value**2 / part.degrees_of_freedom for part in parts if part.value > 0)
    return sum(part.value for part in parts) ** 2 / squares


def seeds_needed(mean: float, parts: Sequence[Variance]) -> int | None:
    """Return how many runs a setting show a difference of this size with a chance of 80 %.

    The smallest number at which the mean is as large as its standard error times the sum of
    Student's t of 0.975 and of 0.8, the usual formula for the sample size of a test at a level of
    5 %. None if 100 runs are too few, or if no part of the variance is one of runs.
    """
    from scipy.special import stdtrit

    if all(part.runs is None for part in parts):
        return None
    for runs in range(2, MAX_SEEDS + 1):
        expected = [part.with_runs(runs) for part in parts]
        error = math.sqrt(sum(part.value for part in expected))
        degrees = _satterthwaite(expected)
        wanted = float(stdtrit(degrees, 1 - LEVEL / 2) + stdtrit(degrees, POWER))
        if abs(mean) >= wanted * error:
            return runs
    return None


def clipped(found: Difference, least: float, greatest: float) -> Difference:
    """Return a difference with its interval clipped to what two such scores can differ by."""
    widest = greatest - least
    low, high = (min(max(end, -widest), widest) for end in (found.low, found.high))
    return replace(found, low=low, high=high)


def holm(values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number (Holm 1979), in the order given.

    >>> holm([0.04, 0.01, 0.03])
    [0.06, 0.03, 0.06]
    """
    corrected = [0.0] * len(values)
    largest = 0.0
    for place, number in enumerate(sorted(range(len(values)), key=lambda n: values[n])):
        largest = max(largest, min(1.0, (len(values) - place) * values[number]))
        corrected[number] = largest
    return corrected
