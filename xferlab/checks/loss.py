"""Asks a loss questions with known answers: does it take what it says it takes?

Nothing here looks into the loss. Made-up outputs that answer made-up labels ever better are given
to it, and its values must fall. Each question is one that no honest loss gets wrong, with smoothed
labels, focus, margins or weights of 0 for some classes too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from xferlab.checks.probe_batch import (
    Lie,
    ProbeBatch,
    probe_batch_of,
    values_like,
    with_probability,
)
from xferlab.contracts import OutputKind, Task, TaskSpec
from xferlab.training.backend import output_gradient

if TYPE_CHECKING:
    import numpy as np

# Smoothed labels turn round at some finite logit: up to a little above 0 every loss falls.
LOGITS = (-3.0, -1.0, 0.0, 0.1)
FIX = "build it with from_logits=spec.emits is OutputKind.logits"


def check_loss(loss: Any, spec: TaskSpec, labels: np.ndarray) -> Lie | None:
    """Return the lie that a loss is caught at, or None.

    Args:
        loss: what the plugin built.
        spec: the task, with what the model emits.
        labels: of the training split; a regression's made-up ones are taken from them.
    """
    if spec.task is Task.regression:
        y = values_like(labels)
        return _check_distance(loss, y) or _gradient_violation(loss, y, y[::-1, None])
    exam = probe_batch_of(spec)
    if spec.output_kind is OutputKind.logits:
        rising = LOGITS
        several = spec.task is Task.multi_label  # then absent labels are answered too
        ladder = [(logit, -logit if several else 0.0) for logit in rising]
    else:
        guess = 0.5 if spec.task is Task.multi_label else 1 / spec.num_classes
        rising = (0.1 * guess, 0.5 * guess, guess, guess + 0.05 * (1 - guess))
        ladder = [with_probability(p, spec) for p in rising]
    found = [loss_value(loss, exam.labels, exam.outputs(answer)) for answer in ladder]
    return (
        _wrong_order(rising, found, spec)
        or _is_of_logits(loss, exam, spec)
        or _counts_idle_tokens(loss, exam, spec)
        or _gradient_violation(loss, exam.labels, exam.outputs(ladder[2]))
    )


def _wrong_order(rising: Sequence[float], found: Sequence[float], spec: TaskSpec) -> Lie | None:
    """Return the lie of a loss that does not fall while its answers get better."""
    if all(before > after + 1e-6 * abs(before) for before, after in pairwise(found)):
        return None
    given, other = "logits", "probabilities"
    if spec.output_kind is not OutputKind.logits:
        given, other = other, given
    steps = ", ".join(f"{x:.3g}" for x in rising)
    values = ", ".join(f"{x:.3f}" for x in found)
    what = f"is given {given}; while the right ones rise through {steps} it should fall"
    if all(before < after for before, after in pairwise(found)):
        return f"{what}, but rises: {values}", "turn its sign"
    return f"{what}, but is {values}, as if they were {other}", FIX


def _is_of_logits(loss: Any, exam: ProbeBatch, spec: TaskSpec) -> Lie | None:
    """Return the lie of a loss that takes a softmax or a sigmoid of probabilities.

    Beyond 1 a loss that cuts off stands still, and -log p is below 0; a softmax or a sigmoid goes
    on falling and stays above 0.
    """
    if spec.output_kind is not OutputKind.probabilities:
        return None
    beyond = [loss_value(loss, exam.labels, exam.outputs((p, 0.0))) for p in (1.0, 1.5, 2.0)]
    if not all(before > 1.01 * after > 0 for before, after in pairwise(beyond)):
        return None
    return "is given probabilities, but computes as if they were logits", FIX


def _counts_idle_tokens(loss: Any, exam: ProbeBatch, spec: TaskSpec) -> Lie | None:
    if spec.task is not Task.token_classification:
        return None
    answer = (0.6, 0.4 / max(spec.num_classes - 1, 1))
    plain = loss_value(loss, exam.labels, exam.outputs(answer))
    other = loss_value(loss, exam.labels, exam.outputs(answer, idle=exam.right[0, 0] * 0.9 + 0.05))
    if abs(plain - other) <= 1e-4 * abs(plain):
        return None
    return "counts tokens without a tag (label -1)", "leave out what has the label -1"


def _check_distance(loss: Any, labels: np.ndarray) -> Lie | None:
    """Return the lie of a regression's loss: perfect values must cost least.

    A shift may cost nothing (in a loss of correlations), the values of other rows may not.
    """
    import numpy as np

    best = loss_value(loss, labels, labels[:, None])
    if not np.isfinite(best):
        return f"is {best} for perfect values", "make it finite where value and label are equal"
    others = {
        "the same values in other rows": np.roll(labels, 1),
        "the labels' mean in every row": np.full_like(labels, labels.mean()),
    }
    for name, values in others.items():
        cost = loss_value(loss, labels, values[:, None])
        if cost <= best + 1e-6 * abs(best):
            return (
                f"is {best:.3g} for perfect values and {cost:.3g} for {name}",
                "subtract arrays of one shape: ops.reshape(values, ops.shape(labels))",
            )
    return None


def _gradient_violation(loss: Any, labels: Any, outputs: Any) -> Lie | None:
    import numpy as np

    gradient = output_gradient(loss, labels, outputs)
    if gradient is None:
        return "has no gradient: nothing would learn", "compute it with keras.ops alone"
    if not np.isfinite(gradient).all():
        return "has a gradient that is not finite", "keep log and sqrt away from 0"
    if not gradient.any():
        return "has a gradient of 0: nothing would learn", "compute it with smooth functions"
    return None


def probe_loss_batch(loss: Any, labels: np.ndarray, outputs: np.ndarray) -> Lie | None:
    """Return the lie of a loss that breaks on a real batch."""
    import numpy as np

    value, gradient = loss_value(loss, labels, outputs), output_gradient(loss, labels, outputs)
    if not np.isfinite(value):
        return f"is {value} on the first training batch", "keep log and division away from 0"
    if gradient is not None and not np.isfinite(gradient).all():
        what = "has a gradient that is not finite on the first training batch"
        return what, "keep log and sqrt away from 0"
    return None


def loss_value(loss: Callable[[Any, Any], Any], labels: Any, outputs: Any) -> float:
    """Return a loss as a float; ValueError if it is not one number."""
    import numpy as np

    found = np.asarray(loss(labels, outputs))
    if found.shape != ():
        raise ValueError(f"it gives an array of shape {found.shape} instead of one number")
    return float(found)
