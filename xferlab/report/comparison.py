"""Every setting against the best one: which test could be made, and what it says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xferlab.report.read_runs import JobResult
from xferlab.report.row_scores import RowScore, row_score
from xferlab.report.significance import (
    LEVEL,
    ROWS,
    SEEDS,
    Difference,
    holm,
    over_rows,
    welch,
    within,
)
from xferlab.runs.predictions import read_predictions
from xferlab.sweep.job_state import FINISHED
from xferlab.tasks.base import OutputKind, Task

if TYPE_CHECKING:
    import numpy as np

    from xferlab.report.settings import Report, Setting

RESAMPLES = 2000
FEWEST_ROWS = 20
MOST_SETTINGS = 100
"""So many settings, the best first, are compared; and no more is corrected for."""
MOST_DRAWS = 40_000_000
SHARES = ("accuracy", "f1", "precision", "recall", "auc", "entity_f1", "subset_accuracy", "top_k")
RANGES = {
    **dict.fromkeys((*SHARES, "calibration_error"), (0.0, 1.0)),
    **dict.fromkeys(("matthews", "pearson", "spearman"), (-1.0, 1.0)),
}
"""The ends of scores that have two; an interval of a difference does not go beyond them."""
SEED = 20_240_229
"""The resamplings are drawn with it, so that the same runs give the same report."""


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
    def is_real(self) -> bool:
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
        note: why less than seeds and rows could be taken into account, or nothing.
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
    ranked = sorted(scored, key=lambda s: sign * s.best[0] if s.best else 0.0)[:MOST_SETTINGS]
    moved, note = _moved(ranked, split, score)
    found = []
    for setting in ranked:
        if setting is not report.best:
            difference = _difference(report.best, setting, split, score, moved)
            if difference:
                found.append((setting, difference))
    if not found:
        return None if len(ranked) < 2 else Comparison(split, score, report.best, [], _TOO_FEW)
    corrected = holm([difference.p for _, difference in found])
    others = [Compared(s, d, p) for (s, d), p in zip(found, corrected, strict=True)]
    return Comparison(split, score, report.best, others, note)


_TOO_FEW = (
    "one run a setting and no outputs of the same rows: a difference cannot be told from chance;"
    " add seeds"
)


def _common_split(report: Report, score: str) -> str:
    """Return ``test`` if every finished job has its score, else ``validation``."""
    done = [job for setting in report.settings for job in _done(setting)]
    return "test" if all(score in job.test for job in done) else "validation"


def _done(setting: Setting) -> list[JobResult]:
    return [job for job in setting.jobs if job.state.status == FINISHED]


def _scores(setting: Setting, split: str, score: str) -> list[float]:
    values = [getattr(job, split).get(score) for job in _done(setting)]
    return [float(v) for v in values if isinstance(v, int | float) and math.isfinite(v)]


def _difference(
    best: Setting, other: Setting, split: str, score: str,
    moved: Mapping[str, tuple[float, np.ndarray]],
) -> Difference | None:  # fmt: skip
    found = _tested(best, other, split, score, moved)
    return within(found, *_range_of(best.jobs[0], score)) if found else None


def _range_of(job: JobResult, score: str) -> tuple[float, float]:
    """Return the least and the greatest value that a score can have, as far as that is known."""
    node = (job.config.get("metric") or {}).get(score)
    name = node.get("name") if isinstance(node, Mapping) else score
    return RANGES.get(
        str(name).removeprefix("micro_").removeprefix("macro_"), (-math.inf, math.inf)
    )


def _tested(
    best: Setting, other: Setting, split: str, score: str,
    moved: Mapping[str, tuple[float, np.ndarray]],
) -> Difference | None:  # fmt: skip
    names = [[str(job.folder) for job in _done(setting)] for setting in (best, other)]
    if moved and all(name in moved for each in names for name in each):
        one, two = ([moved[name] for name in each] for each in names)
        rows = int(moved[ROWS][0])
        return over_rows([s for s, _ in one], [s for s, _ in two], _stack(one), _stack(two), rows)
    one_scores, two_scores = _scores(best, split, score), _scores(other, split, score)
    if min(len(one_scores), len(two_scores)) < 2:
        return None
    return welch(one_scores, two_scores)


def _stack(runs: Sequence[tuple[float, np.ndarray]]) -> np.ndarray:
    import numpy as np

    return np.stack([moved for _, moved in runs])


def _moved(
    settings: Sequence[Setting], split: str, score: str
) -> tuple[dict[str, tuple[float, np.ndarray]], str]:
    """Return each run's score and its scores on the same resampled rows, or why there are none.

    The key :data:`ROWS` holds the number of rows.
    """
    jobs = [job for setting in settings for job in _done(setting)]
    try:
        kept = {str(job.folder): _row_score(job, split, score) for job in jobs}
        rows = _same_rows(jobs, split, kept)
    except ValueError as e:
        return {}, f"the luck of the rows is left out: {e}"
    import numpy as np

    resamples = max(200, min(RESAMPLES, MOST_DRAWS // rows))
    draw = np.random.default_rng(SEED)
    moved = {name: np.empty(resamples) for name in kept}
    step = max(1, 4_000_000 // rows)
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        drawn = draw.integers(0, rows, (stop - start, rows))
        counts = np.stack([np.bincount(each, minlength=rows) for each in drawn]).astype("float64")
        for name, (row, _) in kept.items():
            moved[name][start:stop] = row.resampled(counts)
    done = {name: (row.whole(), moved[name]) for name, (row, _) in kept.items()}
    return done | {ROWS: (float(rows), np.empty(0))}, ""


def _row_score(job: JobResult, split: str, score: str) -> tuple[RowScore, Any]:
    """Return a run's score as sums over rows, and its labels.

    Raises:
        ValueError: it cannot be had, or is not the one that the run wrote down.
    """
    name = job.folder.name
    found = read_predictions(job.folder, split)
    if found is None:
        raise ValueError(f"{name} has not kept its outputs for the {split} rows")
    chosen = job.config.get("metric") or {score: {"name": score}}  # none: the task's own
    node = chosen.get(score)
    if not isinstance(node, Mapping) or job.task is None:
        raise ValueError(f"{score} cannot be had again from a run's outputs")
    try:
        task, output_kind = Task(job.task["task"]), OutputKind(job.task["output_kind"])
        row = row_score(str(node.get("name")), node, found, task, output_kind)
    except (ValueError, IndexError) as e:
        raise ValueError(f"the outputs of {name} cannot be read: {e}") from e
    if row is None:
        raise ValueError(f"{score} cannot be had again from a run's outputs")
    stored, again = getattr(job, split).get(score), row.whole()
    if not isinstance(stored, int | float) or not math.isclose(again, stored, abs_tol=1e-4):
        raise ValueError(f"the outputs of {name} give {score} {again:.4f}, it wrote {stored}")
    return row, found.labels


def _same_rows(
    jobs: Sequence[JobResult], split: str, kept: Mapping[str, tuple[RowScore, Any]]
) -> int:
    """Return how many rows all runs share, or raise ValueError if they are not the same."""
    first, labels = kept[str(jobs[0].folder)]
    for job in jobs:
        own = kept[str(job.folder)][1]
        same = own.shape == labels.shape and bool((own == labels).all())
        if not same or job.digests.get(split) != jobs[0].digests.get(split):
            raise ValueError(f"{job.folder.name} was scored on other {split} rows")
    if len(first.parts) < FEWEST_ROWS:
        raise ValueError(f"there are only {len(first.parts)} {split} rows")
    return len(first.parts)


def in_words(compared: Compared, mode: str) -> str:
    """Return what a comparison means."""
    difference = compared.difference
    if difference.over == ROWS:
        who, less = "these networks", "; what another seed would give is not known"
    else:
        who, less = "the settings", "" if compared.is_real else "; more seeds may tell"
    if difference.over == SEEDS:
        less = "; on other rows it may differ"
    if compared.is_real:
        worse = difference.mean > 0 if mode == "max" else difference.mean < 0
        word = "worse" if worse else "better on this split"
        return f"{word} than the best by more than chance explains{less}"
    return f"{who} cannot be told apart on this evidence{less}"


def test_words(comparison: Comparison) -> str:
    """Return how the comparison was made, in one or two sentences."""
    over = {each.difference.over for each in comparison.others}
    runs = "every run's outputs for the same rows"
    ways = {
        "seeds and rows": f"Paired bootstrap over {{rows}} {comparison.split} rows, joined with the"
        " spread over seeds, against Student's t",
        ROWS: f"Paired bootstrap over {{rows}} {comparison.split} rows ({runs})",
        SEEDS: "Welch's t test over the seeds' scores",
    }
    rows = next((e.difference.rows for e in comparison.others if e.difference.rows), None)
    told = "; ".join(ways[each].format(rows=f"{rows:,}" if rows else "") for each in sorted(over))
    many = len(comparison.others)
    holm_words = f"; p corrected for {many} comparisons (Holm 1979)" if many > 1 else ""
    return f"{told}{holm_words}." if told else ""
