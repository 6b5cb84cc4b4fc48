"""How much of the scores' variance each swept key explains, by Optuna's evaluators."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xferlab.report.read_runs import JobResult
from xferlab.report.repeats import REPEATS
from xferlab.report.settings import Report
from xferlab.sweeps.job_state import FINISHED

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

MIN_JOBS = 8
TREES = 64


@dataclass(frozen=True)
class Importance:
    """The importance of each swept key.

    Attributes:
        fractions: by key, the fraction of the variance that it explains; their sum is 1.
        jobs: how many finished jobs it is estimated from.
    """

    fractions: dict[str, float]
    jobs: int

    def ranked(self) -> list[tuple[str, float]]:
        """Return the keys with their fractions, the largest first."""
        return sorted(self.fractions.items(), key=lambda each: -each[1])

    def describe(self) -> str:
        """Return the method in one sentence."""
        return (
            f"Fraction of the variance of the score over {self.jobs} finished jobs that each key"
            " explains: functional ANOVA with random forests (Hutter et al. 2014), by Optuna"
        )


def importance_of(report: Report) -> Importance | None:
    """Return the importance of the keys; None without Optuna, several keys, or enough jobs.

    Seeds count as a key: what they explain is chance.
    """
    jobs = [job for job in report.jobs if job.state.status == FINISHED and job.score is not None]
    varied = [key for key in report.keys if len({repr(job.setting(key)) for job in jobs}) > 1]
    is_enough = len(jobs) >= MIN_JOBS and len(varied) > 1 and not REPEATS.keys() >= set(varied)
    scores = {job.score for job in jobs}
    if not is_enough or len(scores) < 2 or importlib.util.find_spec("optuna") is None:
        return None
    return Importance(_evaluate(jobs, varied), len(jobs))


def _evaluate(jobs: Sequence[JobResult], keys: Sequence[str]) -> dict[str, float]:
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study()
        kinds = {key: _distribution([job.setting(key) for job in jobs]) for key in keys}
        for job in jobs:
            values = {key: _value(job.setting(key)) for key in keys}
            study.add_trial(
                optuna.trial.create_trial(params=values, distributions=kinds, value=job.score)
            )
        evaluator = FanovaImportanceEvaluator(n_trees=TREES, seed=0)
        found = get_param_importances(study, evaluator=evaluator, params=list(keys))
    finally:
        optuna.logging.set_verbosity(before)
    return {key: float(fraction) for key, fraction in found.items() if math.isfinite(fraction)}


def _distribution(values: Sequence[Any]) -> BaseDistribution:
    """Return the range of numbers, by their logarithm over a factor of 10; else the choices."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        low = float(min(values))
        high = float(max(values))
        return FloatDistribution(low, high, log=low > 0 and high >= 10 * low)
    return CategoricalDistribution(sorted({_value(value) for value in values}, key=str))


def _value(value: Any) -> Any:
    is_plain = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_plain else str(value)
