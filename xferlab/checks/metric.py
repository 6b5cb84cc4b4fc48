"""Asks a metric questions with known answers: does it take what it says, is better better?

As with the losses, nothing looks into the metric, and each question is one that no honest metric
gets wrong: of decisions, of ranks or of confidence. One that does not look at the labels at all
(say, a mean confidence) is let through.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from xferlab.checks.probe_batch import (
    Answer,
    Lie,
    ProbeBatch,
    probe_batch_of,
    values_like,
    with_probability,
)
from xferlab.contracts import OutputKind, Task, TaskSpec
from xferlab.training.evaluation import scores

FIX = "mind spec.emits: logits turn at 0, probabilities at 0.5"
Score = Callable[[Any, Any], float]


def check_metric(metric: Any, mode: str, spec: TaskSpec, labels: Any) -> Lie | None:
    """Return the lie that a metric is caught at, or None.

    Args:
        metric: what the plugin built.
        better: what it declares, ``max`` or ``min``.
        spec: the task, with what the model emits.
        labels: of the training split; a regression's made-up ones are taken from them.
    """

    def score(y: Any, outputs: Any) -> float:
        return metric_value(metric, y, outputs)

    if spec.task is Task.regression:
        return _check_values(score, mode, values_like(labels))
    exam = probe_batch_of(spec)
    right, wrong = (exam.outputs(answer) for answer in _sure(spec))
    return _check_order(score, mode, exam, right, wrong) or _misreading(score, exam, spec)


def _check_values(score: Score, mode: str, labels: Any) -> Lie | None:
    """Return the lie of a regression's metric."""
    import numpy as np

    right, mirrored = labels[:, None], (2 * labels.mean() - labels)[:, None]
    best = score(labels, right)
    found = _wrong_way(best, score(labels, mirrored), mode)
    if found:
        return found
    shifted = 2 * labels + 1
    if _same(best, score(labels, np.roll(right, 1, axis=0))) and not _same(
        best, score(shifted, right)
    ):
        return (
            f"gives {best:.3g} to perfect values and to those of other rows alike",
            "subtract arrays of one shape: np.reshape(values, labels.shape)",
        )
    return None


def _check_order(score: Score, mode: str, exam: ProbeBatch, right: Any, wrong: Any) -> Lie | None:
    """Return the lie of a metric that does not put right answers before wrong ones."""
    import numpy as np

    best, worst = score(exam.labels, right), score(exam.labels, wrong)
    found = _wrong_way(best, worst, mode)
    if found:
        return found
    others = np.where(exam.labels < 0, exam.labels, exam.labels.max())
    if _same(best, worst) and not _same(best, score(others, right)):
        return f"gives {best:.3g} to right answers and to wrong ones alike", FIX
    return None


def _wrong_way(best: float, worst: float, mode: str) -> Lie | None:
    import math

    if not math.isfinite(best):
        return f"is {best} for right answers", "give a finite number"
    sign = 1 if mode == "max" else -1
    if sign * (best - worst) >= 0 or _same(best, worst):
        return None
    return (
        f"says mode={mode}, but gives right answers {best:.3g} and wrong ones {worst:.3g}",
        f"declare better = '{'min' if mode == 'max' else 'max'}', or mend the score",
    )


def _sure(spec: TaskSpec) -> tuple[Answer, Answer]:
    """Return answers that are surely right and surely wrong."""
    if spec.output_kind is OutputKind.logits:
        return (12.0, -12.0), (-12.0, 12.0)
    return with_probability(1 - 1e-6, spec), with_probability(1e-6, spec)


def _misreading(score: Score, exam: ProbeBatch, spec: TaskSpec) -> Lie | None:
    """Return the lie of a metric that reads logits as probabilities, or the reverse."""

    def at(answer: Answer, more: float = 0.0) -> float:
        return score(exam.labels, exam.outputs(answer) + more)

    if spec.task is Task.token_classification:
        answer = _sure(spec)[0]
        bare = score(exam.labels[:, :1], exam.outputs(answer)[:, :1])
        if not _same(at(answer), bare):
            return "counts tokens without a tag (label -1)", "leave out what has the label -1"
    if spec.task is Task.multi_label:
        return _misread_labels(at, spec)
    if spec.output_kind is OutputKind.logits:
        # A softmax does not mind what is added to a whole row.
        for answer, more in (((0.25, -0.25), 3.0), (_sure(spec)[0], -24.0)):
            here, there = at(answer), at(answer, more=more)
            if not _same(here, there):
                what = f"with {more:+g} on each, {here:.3g} becomes {there:.3g}"
                return f"reads logits as if they were probabilities: {what}", FIX
        return None
    unsure, sure = with_probability(1.2 / spec.num_classes, spec), with_probability(0.98, spec)
    if _same(at(unsure), at(sure)) or not _same(at(sure), at(sure, more=3.0)):
        return None
    return "reads probabilities as if they were logits: +3 on each changes nothing", FIX


def _misread_labels(at: Callable[[Answer], float], spec: TaskSpec) -> Lie | None:
    """Return the lie of a metric of several labels a row, where each stands for itself."""
    if spec.output_kind is OutputKind.logits:
        # Whoever cuts at a probability p of their own cuts at the logit log(p / (1 - p)), which is
        # as near to 0.5 as this only for p from 0.6213 to 0.6236.
        below, above = at((0.495, -12.0)), at((0.505, -12.0))
        if not abs(above - below) > 0.2 * abs(at((12.0, -12.0)) - at((-12.0, -12.0))) > 0:
            return None
        what = f"at 0.5 it turns from {below:.3g} to {above:.3g}"
        return f"reads logits as if they were probabilities: {what}", FIX
    first, *others = [at(a) for a in ((0.98, 0.02), (0.02, 0.98), (0.98, 0.98), (0.02, 0.02))]
    if not all(_same(first, each) for each in others):
        return None
    return f"is {first:.3g} whatever the probabilities are, as if they were logits", FIX


def metric_value(metric: Any, labels: Any, outputs: Any) -> float:
    """Return a metric's score as a float, and leave the metric as if it had seen nothing."""
    import numpy as np

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = scores(lambda *_: 0.0, {"score": metric}, labels, outputs)
    if hasattr(metric, "reset_state"):
        metric.reset_state()
    return found["score"]


def _same(a: float, b: float) -> bool:
    return a == b or abs(a - b) <= 1e-3 * max(abs(a), abs(b), 1e-3) or (a != a and b != b)
