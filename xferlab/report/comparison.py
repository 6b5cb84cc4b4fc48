"""Every setting compared with the best one: the test that the runs allow, and its result."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xferlab.errors import XferlabError
from xferlab.evaluation.bootstrap import MIN_SCORED, resample, score_of, weighted_score
from xferlab.evaluation.split_outputs import SplitOutputs
from xferlab.functional.resampling import Weighted
from xferlab.registry import REGISTRY
from xferlab.report.read_runs import JobResult
from xferlab.report.repeats import FOLD, SEED
from xferlab.report.repeats import FOLDS as FOLDS_KEY
from xferlab.report.significance import (
    EXAMPLES,
    FOLDS,
    LEVEL,
    MAX_SEEDS,
    SEEDS,
    SEEDS_AND_EXAMPLES,
    Difference,
    clipped,
    holm,
    over_examples,
    over_folds,
    welch,
)
from xferlab.report.stored_outputs import build_metric, read_outputs
from xferlab.sweeps.job_state import FINISHED

if TYPE_CHECKING:
    import numpy as np

    from xferlab.report.settings import Report, Setting

RESAMPLES = 2000
MIN_RESAMPLES = 200
MIN_EXAMPLES = 20
MIN_GROUPS = 10
MAX_SETTINGS = 100
"""So many settings, the best first, are compared; p values are corrected for that many at most."""
MAX_SAMPLED = 40_000_000
"""Examples of all resamples of a run; more examples get fewer resamples."""


@dataclass(frozen=True)
class Compared:
    """One setting beside the best.

    Attributes:
        setting: the other one.
        difference: the best's mean score less the other's.
        p: corrected for the number of comparisons (Holm 1979).
    """

    setting: Setting
    difference: Difference
    p: float

    @property
    def is_significant(self) -> bool:
        """Whether chance is an unlikely reason."""
        return self.p < LEVEL


@dataclass(frozen=True)
class Comparison:
    """The best setting against each other one.

    Attributes:
        split: whose scores are compared, ``test`` or ``validation``.
        score: the score's name.
        best: the setting.
        others: each that has scores.
        note: why the chance of seeds or of examples is left out; "" if both are included.
    """

    split: str
    score: str
    best: Setting
    others: Sequence[Compared]
    note: str


def compare(report: Report) -> Comparison | None:
    """Compare the best setting with each other one, or return None where there is nothing to."""
    if report.best is None or not report.monitor.startswith("val_"):
        return None
    score = report.monitor.removeprefix("val_")
    split = _common_split(report, score)
    scored = [setting for setting in report.settings if _scores(setting, split, score)]
    if report.best not in scored or len(scored) < 2:
        return None
    sign = -1 if report.mode == "max" else 1
    ranked = sorted(scored, key=lambda s: sign * s.best[0] if s.best else 0.0)[:MAX_SETTINGS]
    resampled: Mapping[str, RunScores] = {}
    note = ""
    try:
        if not _has_folds(report.best):
            resampled = _resampled_scores(ranked, split, score)
    except ValueError as e:
        note = f"the chance of the examples is left out: {e}"
    found = []
    for setting in ranked:
        if setting is not report.best:
            difference = _difference(report.best, setting, split, score, resampled)
            if difference:
                found.append((setting, difference))
    if not found:
        return Comparison(split, score, report.best, [], _TOO_FEW)
    corrected = holm([difference.p for _, difference in found])
    others = [Compared(s, d, p) for (s, d), p in zip(found, corrected, strict=True)]
    return Comparison(split, score, report.best, others, note)


_TOO_FEW = (
    "one run a setting and no outputs for the same examples: a difference cannot be distinguished"
    " from chance; add seeds"
)


@dataclass(frozen=True)
class RunScores:
    """A run's score, and its scores on resamples of the examples.

    Attributes:
        value: the score of all examples.
        resampled: float64 (resamples,), on the same resamples for every run.
        examples: how many examples there are.
        groups: how many groups of them were resampled; None if single examples were.
    """

    value: float
    resampled: np.ndarray
    examples: int
    groups: int | None = None


def _common_split(report: Report, score: str) -> str:
    """Return ``test`` if every finished job has its score, else ``validation``."""
    done = [job for setting in report.settings for job in _done(setting)]
    return "test" if all(score in job.test for job in done) else "validation"


def _done(setting: Setting) -> list[JobResult]:
    return [job for job in setting.jobs if job.state.status == FINISHED]


def _scores(setting: Setting, split: str, score: str) -> list[float]:
    return _scores_of(_done(setting), split, score)


def _scores_of(jobs: Sequence[JobResult], split: str, score: str) -> list[float]:
    values = [getattr(job, split).get(score) for job in jobs]
    return [float(v) for v in values if isinstance(v, int | float) and math.isfinite(v)]


def _difference(
    best: Setting,
    other: Setting,
    split: str,
    score: str,
    resampled: Mapping[str, RunScores],
) -> Difference | None:
    """Return the difference of two settings, or None where no test is possible."""
    import numpy as np

    difference: Difference | None
    if _has_folds(best) or _has_folds(other):
        difference = _difference_of_folds(best, other, split, score)
        if difference is None:
            return None
    elif resampled:
        one, two = ([resampled[str(job.folder)] for job in _done(s)] for s in (best, other))
        difference = over_examples(
            [run.value for run in one],
            [run.value for run in two],
            np.stack([run.resampled for run in one]),
            np.stack([run.resampled for run in two]),
            one[0].examples,
            one[0].groups,
        )
    else:
        scores = [_scores(setting, split, score) for setting in (best, other)]
        if min(map(len, scores)) < 2:
            return None
        difference = welch(*scores)
    return clipped(difference, *_bounds_of(best.jobs[0], score))


def _has_folds(setting: Setting) -> bool:
    return any(job.setting(FOLD) is not None for job in setting.jobs)


def _difference_of_folds(
    best: Setting, other: Setting, split: str, score: str
) -> Difference | None:
    """Return the difference over seeds and folds; None unless both have the same folds."""
    folds = {job.setting(FOLDS_KEY) for setting in (best, other) for job in _done(setting)}
    if len(folds) != 1 or None in folds:
        return None
    one, two = (
        {
            (job.setting(SEED), job.setting(FOLD)): _scores_of([job], split, score)
            for job in _done(s)
        }
        for s in (best, other)
    )
    first, second = ({k: each[0] for k, each in own.items() if each} for own in (one, two))
    return over_folds(first, second, int(folds.pop()))


def _bounds_of(job: JobResult, score: str) -> tuple[float, float]:
    """Return the least and the greatest value that a score can have, as its metric declares."""
    node = (job.config.get("metric") or {}).get(score)
    name = node.get("name") if isinstance(node, Mapping) else score
    name = str(name).removeprefix("micro_").removeprefix("macro_")
    try:
        metric = REGISTRY.get("metric", name).cls
    except XferlabError:
        return -math.inf, math.inf
    return getattr(metric, "bounds", (-math.inf, math.inf))


def _resampled_scores(settings: Sequence[Setting], split: str, score: str) -> dict[str, RunScores]:
    """Return the scores of each finished run, by its folder, on the same resamples.

    Raises:
        ValueError: a score cannot be computed again, or runs have other examples.
    """
    import numpy as np

    values: dict[str, float] = {}
    weighted: dict[str, Weighted] = {}
    jobs = [job for setting in settings for job in _done(setting)]
    first: np.ndarray | None = None
    groups: np.ndarray | None = None
    for job in jobs:
        outputs = read_outputs(job, split)
        groups = outputs.groups if first is None else groups
        first = outputs.labels if first is None else first
        is_same = outputs.labels.shape == first.shape and bool((outputs.labels == first).all())
        if not is_same or job.digests.get(split) != jobs[0].digests.get(split):
            raise ValueError(f"{job.folder.name} was scored on other {split} examples")
        metric = build_metric(job, score, outputs.spec)
        name = str(job.folder)
        values[name] = _checked_score(job, split, score, metric, outputs)
        weighted[name] = weighted_score(metric, outputs.labels, outputs.outputs, outputs.decisive)
    count = 0 if first is None else len(first)
    if count < MIN_EXAMPLES:
        raise ValueError(f"there are only {count} {split} examples")
    samples = max(MIN_RESAMPLES, min(RESAMPLES, MAX_SAMPLED // count))
    units = None if groups is None else len(np.unique(groups))
    if units is not None and units < MIN_GROUPS:
        raise ValueError(f"there are only {units} groups of {split} examples")
    scores = resample(weighted, count, samples, groups=groups)
    is_finite = np.isfinite(list(scores.values())).all(axis=0)
    if is_finite.mean() <= MIN_SCORED:
        raise ValueError(f"{score} is undefined for most resamples")
    return {name: RunScores(values[name], scores[name][is_finite], count, units) for name in values}


def _checked_score(
    job: JobResult, split: str, score: str, metric: Any, outputs: SplitOutputs
) -> float:
    """Return the score of a run's outputs; ValueError if it is not the one in ``metrics.json``."""
    try:
        value = score_of(metric, outputs.labels, outputs.outputs, outputs.decisive)
    except Exception as e:  # a plugin of others may raise anything
        raise ValueError(f"{score} cannot be computed: {type(e).__name__}: {e}") from e
    stored = getattr(job, split).get(score)
    if not isinstance(stored, int | float) or not math.isclose(value, stored, abs_tol=1e-4):
        name = job.folder.name
        raise ValueError(f"the outputs of {name} give {score} {value:.4f}, but it has {stored}")
    return value


def describe_result(compared: Compared, mode: str) -> str:
    """Return the meaning of a comparison in one sentence."""
    difference = compared.difference
    if difference.mean == difference.low == difference.high == 0:
        return "the scores are the same on every resample: nothing to compare"
    restriction = ""
    if difference.over == EXAMPLES:
        restriction = "; another seed may give another result"
    elif difference.over == SEEDS:
        restriction = "; on other examples it may differ"
        if not compared.is_significant:
            restriction += f"; {_describe_seeds_needed(difference)}"
    elif not compared.is_significant:
        restriction = f"; {_describe_seeds_needed(difference)}"
    if compared.is_significant:
        is_worse = difference.mean > 0 if mode == "max" else difference.mean < 0
        word = "worse" if is_worse else "better on this split"
        return f"{word} than the best by more than chance explains{restriction}"
    subject = "these networks" if difference.over == EXAMPLES else "the settings"
    return f"{subject} do not differ significantly{restriction}"


def _describe_seeds_needed(difference: Difference) -> str:
    """Return how many seeds would show a difference of this size, as far as that is known."""
    needed = difference.seeds_needed
    if difference.over == FOLDS:
        return "more seeds may show one"
    if needed is None:
        return f"{MAX_SEEDS} seeds a setting would not show one of this size"
    if needed <= min(difference.runs):
        return "more seeds may show one"
    return f"about {needed} seeds a setting would show one of this size"


def describe_test(comparison: Comparison) -> str:
    """Return how the comparison was made, in one or two sentences."""
    kinds = {each.difference.over for each in comparison.others}
    counts = (each.difference.examples for each in comparison.others)
    count = next((each for each in counts if each), 0)
    groups = next((each.difference.groups for each in comparison.others), None)
    of_groups = "" if groups is None else f"{groups:,} groups of "
    bootstrap = f"Paired bootstrap over {of_groups}{count:,} {comparison.split} examples"
    methods = {
        SEEDS_AND_EXAMPLES: f"{bootstrap}, combined with the spread over seeds, and Student's t",
        EXAMPLES: f"{bootstrap} (every run's outputs for the same examples)",
        SEEDS: "Welch's t test of the seeds' scores",
        FOLDS: f"Corrected resampled t test of the {comparison.split} scores by seed and fold"
        " (Nadeau & Bengio 2003)",
    }
    parts = ["; ".join(methods[kind] for kind in sorted(kinds))]
    if len(comparison.others) > 1:
        parts.append(f"p corrected for {len(comparison.others)} comparisons (Holm 1979)")
    return f"{'; '.join(parts)}." if kinds else ""
