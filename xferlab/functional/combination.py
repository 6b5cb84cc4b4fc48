"""Outputs of several networks as one, in NumPy or, with ``xp=keras.ops``, in a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xferlab.contracts import TaskSpec

LEAST = 1e-30
"""Of a probability whose logarithm is taken."""


def combine_outputs(parts: Sequence[Any], how: str, spec: TaskSpec, xp: Any) -> Any:
    """Return the outputs of several networks as one's: logits, or a regression's values.

    ``average`` is the mean of probabilities, or values. ``vote`` counts what each network predicts;
    the mean of the probabilities is one more vote, which is divided, so it only breaks ties.

    Args:
        parts: probabilities or values of each network, float32 (..., num_outputs).
        how: ``average`` or ``vote``.
        spec: the task.
        xp: NumPy, or ``keras.ops``.
    """
    mean = sum(parts[1:], parts[0]) / float(len(parts))
    if not spec.task.has_classes:
        return mean
    if how == "vote":
        votes = [_votes(part, spec, xp) for part in parts]
        mean = (sum(votes[1:], votes[0]) + mean) / (len(parts) + 1.0)
    logits = xp.log(xp.maximum(mean, LEAST))
    return logits if spec.task.is_exclusive else logits - xp.log(xp.maximum(1.0 - mean, LEAST))


def _votes(part: Any, spec: TaskSpec, xp: Any) -> Any:
    """Return 1 for each class that is predicted, else 0."""
    limit = xp.max(part, axis=-1, keepdims=True) if spec.task.is_exclusive else 0.5
    is_predicted = part >= limit if spec.task.is_exclusive else part > limit
    return xp.where(is_predicted, 1.0 + 0.0 * part, 0.0 * part)
