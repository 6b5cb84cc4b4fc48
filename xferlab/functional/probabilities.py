"""Probabilities and logits, in NumPy or, with ``xp=keras.ops``, in a graph."""

from __future__ import annotations

from typing import Any

from xferlab.contracts import OutputKind, TaskSpec

LEAST = 1e-7
"""Probabilities are kept this far from 0 and 1 before their logits are taken."""


def softmax(logits: Any, xp: Any) -> Any:
    """Return probabilities of exclusive classes, the last axis."""
    powers = xp.exp(logits - xp.max(logits, axis=-1, keepdims=True))
    return powers / xp.sum(powers, axis=-1, keepdims=True)


def sigmoid(logits: Any, xp: Any) -> Any:
    """Return probabilities of separate labels; large logits do not overflow."""
    return 0.5 * (xp.tanh(0.5 * logits) + 1.0)


def to_probabilities(logits: Any, spec: TaskSpec, xp: Any) -> Any:
    """Return the softmax, or the sigmoid for several labels, of logits."""
    return softmax(logits, xp) if spec.task.is_exclusive else sigmoid(logits, xp)


def to_logits(outputs: Any, spec: TaskSpec, xp: Any) -> Any:
    """Return logits of a model that gives probabilities; other outputs as they are."""
    if spec.output_kind is not OutputKind.probabilities:
        return outputs
    p = xp.clip(outputs, LEAST, 1.0 - LEAST)
    return xp.log(p) if spec.task.is_exclusive else xp.log(p) - xp.log(1.0 - p)
