"""Whether the difference between two settings is more than luck with rows and seeds.

A score depends on which rows it was measured on and on which seeds were drawn. Two settings are
compared by the difference D of their mean scores over seeds, and its variance is put together of

    V = V_rows + (V_seeds - V_noise) of the one setting + the same of the other

V_rows is the variance of D over a paired bootstrap of the rows (Koehn 2004; Berg-Kirkpatrick,
Burkett & Klein 2012): all runs of both settings are scored on the same resampled rows. V_seeds is
the variance of a setting's scores over its seeds, divided by their number, as in Welch's test. Both
hold the luck of a seed with a row, so that part, V_noise, is taken off once; the bootstrap tells it
too: how the runs of one setting move apart on the same resampled rows. D / sqrt(V) is then held
against Student's t with the degrees of freedom of Satterthwaite 1946, as for readers and cases in
diagnostic trials, which are to each other as seeds and rows (Obuchowski & Rockette 1995; Hillis
2007). Resampling the seeds as well, as in Sellam et al. 2022 (the multi-bootstrap), is the same in
the limit of many seeds; with three it rejects too often.

Without rows there is Welch's t test over the seeds' scores (Welch 1947); with one seed a setting
there is the bootstrap of the rows alone, which speaks of the two networks and not of the settings.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

LEVEL = 0.05
SEEDS_AND_ROWS, ROWS, SEEDS = "seeds and rows", "rows", "seeds"


@dataclass(frozen=True)
class Difference:
    """The difference of two settings' mean scores, the first less the second.

    Attributes:
        mean: the difference.
        low: lower end of its 95 % interval.
        high: upper end.
        p: two-sided p value of there being no difference.
        freedom: degrees of freedom of Student's t.
        over: what chance is thought to be in: ``seeds and rows``, ``rows`` or ``seeds``.
        rows: how many rows both were scored on, or None.
        runs: how many runs each setting has.
    """

    mean: float
    low: float
    high: float
    p: float
    freedom: float
    over: str
    rows: int | None
    runs: tuple[int, int]


def welch(one: Sequence[float], two: Sequence[float]) -> Difference:
    """Return Welch's t test of two settings' scores, a score a seed, two or more each."""
    parts = [(statistics.variance(each) / len(each), len(each) - 1) for each in (one, two)]
    mean = statistics.fmean(one) - statistics.fmean(two)
    return _held_against_t(mean, parts, SEEDS, None, (len(one), len(two)))


def over_rows(
    one: Sequence[float], two: Sequence[float], one_moved: np.ndarray, two_moved: np.ndarray,
    rows: int,
) -> Difference:  # fmt: skip
    """Return the test over rows, and over seeds where each setting has two or more.

    Args:
        one: scores of the first setting's runs on the rows as they are.
        two: the second's.
        one_moved: scores of the same runs on resampled rows, float64 (runs, resamples).
        two_moved: the second's on the same resamples.
        rows: how many rows there are.
    """
    apart = one_moved.mean(axis=0) - two_moved.mean(axis=0)
    parts = [(float(apart.var(ddof=1)), float(rows - 1))]
    over = ROWS
    if min(len(one), len(two)) > 1:
        over = SEEDS_AND_ROWS
        parts += [_beyond_noise(one, one_moved), _beyond_noise(two, two_moved)]
    mean = statistics.fmean(one) - statistics.fmean(two)
    return _held_against_t(mean, parts, over, rows, (len(one), len(two)))


def _beyond_noise(scores: Sequence[float], moved: np.ndarray) -> tuple[float, float]:
    """Return the variance that seeds add to a mean, and the degrees of freedom it is known with."""
    import numpy as np

    count = len(scores)
    seeds = statistics.variance(scores) / count
    noise = float((moved - np.asarray(scores)[:, None]).var(axis=0, ddof=1).mean()) / count
    if seeds <= noise:
        return 0.0, math.inf
    # the variance of what is left is that of what it was left from
    return seeds - noise, (count - 1) * ((seeds - noise) / seeds) ** 2


def _held_against_t(
    mean: float, parts: Sequence[tuple[float, float]], over: str, rows: int | None,
    runs: tuple[int, int],
) -> Difference:  # fmt: skip
    variance = sum(part for part, _ in parts)
    if variance <= 0:  # nothing ever varied
        p = 1.0 if mean == 0 else 0.0
        return Difference(mean, mean, mean, p, math.inf, over, rows, runs)
    freedom = variance**2 / sum(part**2 / known for part, known in parts if part > 0)
    error = math.sqrt(variance)
    half = t_quantile(1 - LEVEL / 2, freedom) * error
    p = t_tails(mean / error, freedom)
    return Difference(mean, mean - half, mean + half, p, freedom, over, rows, runs)


def within(found: Difference, least: float, greatest: float) -> Difference:
    """Return a difference whose interval has no values that two scores cannot differ by."""
    widest = greatest - least
    low, high = (min(max(end, -widest), widest) for end in (found.low, found.high))
    return replace(found, low=low, high=high)


def holm(values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number (Holm 1979), in the order given.

    >>> holm([0.04, 0.01, 0.03])
    [0.06, 0.03, 0.06]
    """
    corrected, largest = [0.0] * len(values), 0.0
    for place, number in enumerate(sorted(range(len(values)), key=lambda n: values[n])):
        largest = max(largest, min(1.0, (len(values) - place) * values[number]))
        corrected[number] = largest
    return corrected


def t_tails(t: float, freedom: float) -> float:
    """Return the chance that Student's t is as far from 0 as ``t`` or farther."""
    return _beta_share(freedom / (freedom + t * t), freedom / 2, 0.5)


def t_quantile(fraction: float, freedom: float) -> float:
    """Return the value that Student's t stays below with the chance ``share``, 0.5 to 1."""
    low, high = 0.0, 1.0
    while t_tails(high, freedom) > 2 * (1 - fraction):
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        above = t_tails(middle, freedom) > 2 * (1 - fraction)
        low, high = (middle, high) if above else (low, middle)
    return (low + high) / 2


def _beta_share(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b); DLMF 8.17.22, by Lentz's way."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_share(1 - x, b, a)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    value, upper, lower = 1.0, 1.0, 0.0
    for step in range(1, 10_000):
        half, odd = divmod(step, 2)
        if odd:
            term = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            term = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        lower = 1 / (1 + term * lower)
        upper = 1 + term / upper
        value *= upper * lower
        if abs(upper * lower - 1) < 1e-15:
            break
    return front / (a * value)
