"""Whether a model is better than one constant prediction."""

from __future__ import annotations

from typing import Any

from xferlab.contracts import TaskSpec

FEWEST_EXAMPLES = 2


def baseline_notes(spec: TaskSpec, split_name: str, labels: Any, outputs: Any) -> list[str]:
    """Return lines about outputs that are no better than one prediction for every example.

    Args:
        spec: the task, with what the outputs mean.
        split_name: what the examples are called.
        labels: as the task's label kind says, (examples, ...).
        outputs: float32 (examples, num_outputs), for token classification (examples, words,
            num_outputs).
    """
    import numpy as np

    labels = np.asarray(labels)
    outputs = np.asarray(outputs, "float64")
    if not np.isfinite(outputs).all() or len(labels) < FEWEST_EXAMPLES:
        return []
    return list(spec.task.baseline_notes(spec, split_name, labels, outputs))
