"""Checks of a loss with outputs whose order is known: does it take what it declares?

Made-up outputs that fit made-up labels better and better are given to the loss, and its values must
fall. Every correct loss passes, with smoothed labels, focus, margins or class weights of 0 too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from xferlab.backend.gradients import output_gradient
from xferlab.checks.probe_batch import ContractViolation, ProbeBatch, values_like
from xferlab.contracts import OutputKind, TaskSpec

if TYPE_CHECKING:
    import numpy as np

# Smoothed labels reverse the order at some finite logit: up to a little above 0 every loss falls.
LOGITS = (-3.0, -1.0, 0.0, 0.1)
FIX = "build it with from_logits=spec.output_kind is OutputKind.logits"


def check_loss(loss: Any, spec: TaskSpec, labels: np.ndarray) -> ContractViolation | None:
    """Return what a loss violates, or None.

    Args:
        loss: what the plugin built.
        spec: the task, with the model's output kind.
        labels: of the training split; a regression's made-up ones are taken from them.
    """
    if not spec.task.has_labels or spec.task.encodes_texts_apart:
        return None  # its outputs are parts of the loss, or vectors
    batch = spec.task.probe_batch(spec)
    if batch is None:
        y = values_like(labels)
        wrong = y[::-1].reshape(len(y), -1)
        return _check_distance(loss, y) or _check_gradient(loss, y, wrong)
    if spec.output_kind is OutputKind.logits:
        rising: Sequence[float] = LOGITS
        answers = [batch.with_logit(logit) for logit in rising]
    else:
        chance = batch.chance
        rising = (0.1 * chance, 0.5 * chance, chance, chance + 0.05 * (1 - chance))
        answers = [batch.with_probability(p) for p in rising]
    values = [loss_value(loss, batch.labels, batch.outputs(answer)) for answer in answers]
    return (
        _check_order(rising, values, spec)
        or _check_probabilities(loss, batch, spec)
        or _check_unlabelled(loss, batch)
        or _check_gradient(loss, batch.labels, batch.outputs(answers[2]))
    )


def _check_order(
    rising: Sequence[float], values: Sequence[float], spec: TaskSpec
) -> ContractViolation | None:
    """Return the violation of a loss that does not fall while its outputs get better."""
    if all(before > after + 1e-6 * abs(before) for before, after in pairwise(values)):
        return None
    given = "logits"
    other = "probabilities"
    if spec.output_kind is not OutputKind.logits:
        given, other = other, given
    steps = ", ".join(f"{x:.3g}" for x in rising)
    shown = ", ".join(f"{x:.3f}" for x in values)
    what = f"gets {given}; while those of the right class rise ({steps}) it must fall"
    if all(before < after for before, after in pairwise(values)):
        return f"{what}, but it rises: {shown}", "change its sign"
    return f"{what}, but it is {shown}, as if they were {other}", FIX


def _check_probabilities(loss: Any, batch: ProbeBatch, spec: TaskSpec) -> ContractViolation | None:
    """Return the violation of a loss that takes a softmax or a sigmoid of probabilities.

    Above 1 a loss that clips is constant, and -log p is below 0; a softmax or a sigmoid still falls
    and stays above 0.
    """
    if spec.output_kind is not OutputKind.probabilities:
        return None
    above = [loss_value(loss, batch.labels, batch.outputs((p, 0.0))) for p in (1.0, 1.5, 2.0)]
    if not all(before > 1.01 * after > 0 for before, after in pairwise(above)):
        return None
    return "gets probabilities, but computes as if they were logits", FIX


def _check_unlabelled(loss: Any, batch: ProbeBatch) -> ContractViolation | None:
    """Return the violation of a loss that depends on tokens without a label."""
    if batch.unlabelled is None:
        return None
    answer = (0.6, 0.4 / max(batch.num_classes - 1, 1))
    plain = loss_value(loss, batch.labels, batch.outputs(answer))
    other = batch.outputs(answer, unlabelled=batch.is_right[0, 0] * 0.9 + 0.05)
    if abs(plain - loss_value(loss, batch.labels, other)) <= 1e-4 * abs(plain):
        return None
    return "counts tokens without a tag (label -1)", "leave out what has the label -1"


def _check_distance(loss: Any, labels: np.ndarray) -> ContractViolation | None:
    """Return the violation of a loss of values: perfect values must have the lowest loss.

    A shift may cost nothing (in a loss of correlations), the values of other examples may not.
    """
    import numpy as np

    def value_of(values: np.ndarray) -> float:
        return loss_value(loss, labels, values.reshape(len(labels), -1))

    best = value_of(labels)
    if not np.isfinite(best):
        return f"is {best} for perfect values", "make it finite where value and label are equal"
    others = {
        "the same values in other examples": np.roll(labels, 1, axis=0),
        "the labels' mean in every example": np.full_like(labels, labels.mean()),
    }
    for name, values in others.items():
        cost = value_of(values)
        if cost <= best + 1e-6 * abs(best):
            return (
                f"is {best:.3g} for perfect values and {cost:.3g} for {name}",
                "subtract arrays of one shape: ops.reshape(values, ops.shape(labels))",
            )
    return None


def _check_gradient(loss: Any, labels: Any, outputs: Any) -> ContractViolation | None:
    import numpy as np

    gradient = output_gradient(loss, labels, outputs)
    if gradient is None:
        return "has no gradient: nothing would be trained", "compute it with keras.ops alone"
    if not np.isfinite(gradient).all():
        return "has a gradient that is not finite", "keep log and sqrt away from 0"
    if not gradient.any():
        return "has a gradient of 0: nothing would be trained", "compute it with smooth functions"
    return None


def check_loss_on_batch(
    loss: Any, labels: np.ndarray, outputs: np.ndarray
) -> ContractViolation | None:
    """Return the violation of a loss that is not finite on a real batch."""
    import numpy as np

    value = loss_value(loss, labels, outputs)
    gradient = output_gradient(loss, labels, outputs)
    if not np.isfinite(value):
        return f"is {value} on the first training batch", "keep log and division away from 0"
    if gradient is not None and not np.isfinite(gradient).all():
        what = "has a gradient that is not finite on the first training batch"
        return what, "keep log and sqrt away from 0"
    return None


def check_weighted_loss(
    loss: Any, labels: np.ndarray, outputs: np.ndarray, weights: np.ndarray
) -> ContractViolation | None:
    """Return the violation of a loss that is not the mean of weighted examples.

    Args:
        loss: what the plugin built.
        labels: of a batch, as it takes them.
        outputs: of the network for it.
        weights: of the examples, float32 (batch,).
    """
    import numpy as np

    each = [loss_value(loss, labels[[i]], outputs[[i]]) for i in range(len(labels))]
    counts = np.ones(len(labels))
    if labels.dtype.kind == "i":  # what a mean loss divides by: labelled tokens
        counts = (labels >= 0).reshape(len(labels), -1).sum(axis=1)
    wanted = (weights * counts * each).sum() / max(counts.sum(), 1)
    found = loss_value(lambda y, out: loss(y, out, weights[:, None]), labels, outputs)
    if np.isclose(found, wanted, rtol=1e-3, atol=1e-5):
        return None
    what = f"is {found:.4g} with weights of examples; their weighted mean is {wanted:.4g}"
    return what, "give one value an example, (batch, ...), in call; or data.weight=null"


def loss_value(loss: Callable[[Any, Any], Any], labels: Any, outputs: Any) -> float:
    """Return a loss as a float; ValueError if it is not one number."""
    import numpy as np

    value = np.asarray(loss(labels, outputs))
    if value.shape != ():
        raise ValueError(f"it gives an array of shape {value.shape} instead of one number")
    return float(value)
