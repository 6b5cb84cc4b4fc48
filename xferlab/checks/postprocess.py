"""Checks of postprocess plugins on made-up outputs of the validation labels, before training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xferlab.contracts import LabelKind, OutputKind, TaskSpec
from xferlab.functional.probabilities import to_probabilities
from xferlab.postprocessing.fit import check_in_graph, fit_postprocess, units_of


def check_postprocess(plugins: Mapping[str, Any], spec: TaskSpec, labels: Any) -> None:
    """Fit and apply the plugins to random outputs, which are right more often than not.

    Args:
        plugins: by name, in order.
        spec: the task, with the kind of the model's outputs.
        labels: of the validation split.

    Raises:
        PluginError: one violates its contract.
        ConfigError: their order is wrong.
    """
    import numpy as np

    if not plugins:
        return
    if spec.task.is_per_word:
        flat = np.concatenate([np.asarray(tags) for tags in labels])
        labels = flat[flat >= 0][None]
    labels = np.asarray(labels)
    outputs = _made_up(labels, spec)
    fitted = fit_postprocess(plugins, labels, outputs, spec)
    _, scores = units_of(labels, outputs, spec)
    for step in fitted.steps:
        check_in_graph(step, scores)


def _made_up(labels: Any, spec: TaskSpec) -> Any:
    """Return outputs (..., num_outputs) of the task's kind."""
    import numpy as np

    random = np.random.default_rng(0)
    if spec.label_kind is LabelKind.float:
        return (labels + random.normal(size=labels.shape))[:, None].astype("float32")
    right = labels if spec.label_kind is LabelKind.multi_hot else np.eye(spec.num_classes)[labels]
    logits = 2 * right - 1 + random.normal(size=right.shape)
    if spec.output_kind is OutputKind.probabilities:
        logits = to_probabilities(logits, spec, np)
    return logits.astype("float32")
