"""Checks of a metric with outputs that are right or wrong: does it take what it declares?

Every correct metric passes: of decisions, of ranks or of confidence. One that does not depend on
the labels at all (say, a mean confidence) passes too.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from xferlab.checks.probe_batch import Answer, ContractViolation, ProbeBatch, values_like
from xferlab.contracts import OutputKind, TaskSpec
from xferlab.training.evaluation import scores

FIX = "use spec.output_kind: the threshold of logits is 0, of probabilities 0.5"
Score = Callable[[Any, Any], float]


def check_metric(metric: Any, mode: str, spec: TaskSpec, labels: Any) -> ContractViolation | None:
    """Return what a metric violates, or None.

    Args:
        metric: what the plugin built.
        mode: what it declares, ``max`` or ``min``.
        spec: the task, with the model's output kind.
        labels: of the training split; a regression's made-up ones are taken from them.
    """

    def score(y: Any, outputs: Any) -> float:
        return metric_value(metric, y, outputs)

    if not spec.task.has_labels or spec.task.encodes_texts_apart:
        return None
    batch = spec.task.probe_batch(spec)
    if batch is None:
        return _check_values(score, mode, values_like(labels))
    confident = _confident_answers(batch, spec)
    right, wrong = (batch.outputs(answer) for answer in confident)
    return (
        _check_order(score, mode, batch, right, wrong)
        or _check_unlabelled(score, batch, confident[0])
        or _check_reading(score, batch, spec, confident[0])
    )


def _check_values(score: Score, mode: str, labels: Any) -> ContractViolation | None:
    """Return the violation of a metric of values."""
    import numpy as np

    right = labels.reshape(len(labels), -1)
    mirrored = 2 * right.mean(axis=0) - right
    best = score(labels, right)
    violation = _check_direction(best, score(labels, mirrored), mode)
    if violation:
        return violation
    shifted = 2 * labels + 1
    depends_on_labels = not _is_same(best, score(shifted, right))
    if depends_on_labels and _is_same(best, score(labels, np.roll(right, 1, axis=0))):
        return (
            f"is {best:.3g} both for perfect values and for those of other examples",
            "subtract arrays of one shape: np.reshape(values, labels.shape)",
        )
    return None


def _check_order(
    score: Score, mode: str, batch: ProbeBatch, right: Any, wrong: Any
) -> ContractViolation | None:
    """Return the violation of a metric that is not better for right outputs than for wrong ones."""
    import numpy as np

    best = score(batch.labels, right)
    worst = score(batch.labels, wrong)
    violation = _check_direction(best, worst, mode)
    if violation:
        return violation
    others = np.where(batch.labels < 0, batch.labels, batch.labels.max())
    if _is_same(best, worst) and not _is_same(best, score(others, right)):
        return f"is {best:.3g} both for right and for wrong outputs", FIX
    return None


def _check_direction(best: float, worst: float, mode: str) -> ContractViolation | None:
    if not math.isfinite(best):
        return f"is {best} for right outputs", "give a finite number"
    sign = 1 if mode == "max" else -1
    if sign * (best - worst) >= 0 or _is_same(best, worst):
        return None
    return (
        f"declares mode={mode}, but is {best:.3g} for right and {worst:.3g} for wrong outputs",
        f"declare mode = '{'min' if mode == 'max' else 'max'}', or correct the score",
    )


def _confident_answers(batch: ProbeBatch, spec: TaskSpec) -> tuple[Answer, Answer]:
    """Return outputs that are right, and outputs that are wrong, with great confidence."""
    if spec.output_kind is OutputKind.logits:
        return (12.0, -12.0), (-12.0, 12.0)
    return batch.with_probability(1 - 1e-6), batch.with_probability(1e-6)


def _check_unlabelled(score: Score, batch: ProbeBatch, right: Answer) -> ContractViolation | None:
    """Return the violation of a metric that depends on tokens without a label."""
    if batch.unlabelled is None:
        return None
    outputs = batch.outputs(right)
    if _is_same(score(batch.labels, outputs), score(batch.labels[:, :1], outputs[:, :1])):
        return None
    return "counts tokens without a tag (label -1)", "leave out what has the label -1"


def _check_reading(
    score: Score, batch: ProbeBatch, spec: TaskSpec, right: Answer
) -> ContractViolation | None:
    """Return the violation of a metric that reads logits as probabilities, or the reverse."""

    def at(answer: Answer, shift: float = 0.0) -> float:
        return score(batch.labels, batch.outputs(answer) + shift)

    if not batch.is_exclusive:
        return _check_reading_of_labels(at, spec)
    if spec.output_kind is OutputKind.logits:
        # a softmax does not depend on what is added to all logits
        for answer, shift in (((0.25, -0.25), 3.0), (right, -24.0)):
            before = at(answer)
            after = at(answer, shift)
            if not _is_same(before, after):
                what = f"with {shift:+g} on each, {before:.3g} becomes {after:.3g}"
                return f"reads logits as if they were probabilities: {what}", FIX
        return None
    unsure = batch.with_probability(1.2 * batch.chance)
    sure = batch.with_probability(0.98)
    if _is_same(at(unsure), at(sure)) or not _is_same(at(sure), at(sure, 3.0)):
        return None
    return "reads probabilities as if they were logits: +3 on each changes nothing", FIX


def _check_reading_of_labels(
    at: Callable[[Answer], float], spec: TaskSpec
) -> ContractViolation | None:
    """Return the same for a metric of several labels an example, each a separate yes or no."""
    if spec.output_kind is OutputKind.logits:
        # A metric with a probability p of its own as threshold has the logit log(p / (1 - p)),
        # which is as near to 0.5 as this only for p from 0.6213 to 0.6236.
        below = at((0.495, -12.0))
        above = at((0.505, -12.0))
        if not abs(above - below) > 0.2 * abs(at((12.0, -12.0)) - at((-12.0, -12.0))) > 0:
            return None
        what = f"at 0.5 it changes from {below:.3g} to {above:.3g}"
        return f"reads logits as if they were probabilities: {what}", FIX
    first, *others = [at(a) for a in ((0.98, 0.02), (0.02, 0.98), (0.98, 0.98), (0.02, 0.02))]
    if not all(_is_same(first, each) for each in others):
        return None
    return f"is {first:.3g} for all probabilities, as if they were logits", FIX


def metric_value(metric: Any, labels: Any, outputs: Any) -> float:
    """Return a metric's score as a float, and reset the metric."""
    import numpy as np

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        values = scores(lambda *_: 0.0, {"score": metric}, labels, outputs)
    if hasattr(metric, "reset_state"):
        metric.reset_state()
    return values["score"]


def _is_same(a: float, b: float) -> bool:
    return a == b or abs(a - b) <= 1e-3 * max(abs(a), abs(b), 1e-3) or (a != a and b != b)
