"""The outputs that a run stored, as metrics and evaluations take them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xferlab.contracts import OutputKind, TaskSpec
from xferlab.errors import XferlabError
from xferlab.evaluation.split_outputs import SplitOutputs
from xferlab.groups import GROUPS
from xferlab.postprocessing.record import read_postprocess
from xferlab.postprocessing.steps import GROUP, Postprocessor
from xferlab.registry import REGISTRY
from xferlab.report.read_runs import JobResult
from xferlab.runs.predictions import read_predictions
from xferlab.tasks.base import task_named

if TYPE_CHECKING:
    import numpy as np

MAX_NUMBERS = 200_000_000
"""Outputs of tagged examples, padded to the longest one."""


def read_outputs(job: JobResult, split: str) -> SplitOutputs:
    """Return the stored outputs of a run's split after its postprocess, without texts.

    Raises:
        ValueError: there are none, or they do not fit the run's task.
    """
    name = job.folder.name
    try:
        stored = read_predictions(job.folder, split)
    except ValueError as e:
        raise ValueError(f"the outputs of {name} cannot be read: {e}") from e
    if stored is None or job.task is None:
        raise ValueError(f"{name} has not stored its outputs for the {split} examples")
    import numpy as np

    spec = _spec_of(job.task)
    labels = stored.labels
    outputs = stored.outputs
    fits = outputs.shape[-1] == spec.num_outputs or not spec.num_outputs
    if np.issubdtype(labels.dtype, np.integer):
        fits = fits and labels.min() >= 0 and labels.max() < spec.num_outputs
    if not fits:
        raise ValueError(f"the outputs of {name} do not fit its task")
    if stored.lengths is not None:
        labels, outputs = _padded(labels, outputs, stored.lengths)
    # scores of the validation split are those of the epoch, and a postprocess is fitted to them
    fitted = None if split == "validation" else _postprocess_of(job, spec)
    if fitted is None:
        return SplitOutputs(spec, [], None, labels, outputs, outputs, groups=stored.groups)
    done = fitted(outputs)
    return SplitOutputs(
        spec, [], None, labels, done.outputs, done.outputs, done.decisive, groups=stored.groups
    )


def _postprocess_of(job: JobResult, spec: TaskSpec) -> Postprocessor | None:
    """Return what a run applies to its outputs; ValueError if it cannot be read."""
    node = job.config.get(GROUP)
    if not node:
        return None
    try:
        return read_postprocess(job.folder, REGISTRY.create_chosen(GROUPS[GROUP], node), spec)
    except XferlabError as e:
        raise ValueError(f"the postprocess of {job.folder.name} cannot be read: {e.what}") from e


def _spec_of(task: Mapping[str, Any]) -> TaskSpec:
    return TaskSpec(
        task=task_named(task["task"]),
        class_names=tuple(task["class_names"]),
        train_size=task["rows"].get("train", 1),
        max_length=task["max_length"],
        has_pairs=task["pairs"],
        class_counts=tuple(task["class_counts"]),
        output_kind=OutputKind(task["output_kind"]),
    )


def _padded(
    labels: np.ndarray, outputs: np.ndarray, lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return labels of tokens as (examples, tokens), padded with -1, and their outputs."""
    import numpy as np

    shape = (len(lengths), int(lengths.max()))
    if shape[0] * shape[1] * outputs.shape[1] > MAX_NUMBERS:
        raise ValueError("the outputs are too many")
    is_token = np.arange(shape[1]) < lengths[:, None]
    padded_labels = np.full(shape, -1, "int32")
    padded_labels[is_token] = labels
    padded_outputs = np.full((*shape, outputs.shape[1]), 1 / outputs.shape[1], "float32")
    padded_outputs[is_token] = outputs
    return padded_labels, padded_outputs


def build_metric(job: JobResult, score: str, spec: TaskSpec) -> Any:
    """Return a run's metric, as its plugin builds it.

    Args:
        job: the run.
        score: the logged name.
        spec: the run's task.

    Raises:
        ValueError: the metric's plugin is not installed, or refuses the task.
    """
    chosen = job.config.get("metric") or spec.task.default_metrics
    try:
        return REGISTRY.create("metric", chosen.get(score), f"metric.{score}").build(spec)
    except XferlabError as e:
        raise ValueError(f"{score} cannot be computed: {e.what}") from e
    except Exception as e:  # a plugin of others may raise anything
        raise ValueError(f"{score} cannot be computed: {type(e).__name__}: {e}") from e
