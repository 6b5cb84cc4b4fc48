"""The registry of tasks, and what every task gives for small made-up labels."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from xferlab import OutputKind, Split, Task, TaskSpec
from xferlab.tasks.base import TASKS, task_named

EVERY = list(TASKS.values())
NAMES = {
    "regression": (),
    "masked_lm": (),
    "similarity": (),
    "retrieval": (),
    "token_classification": ("O", "B-X", "I-X"),
}


def spec_of(task: Task) -> TaskSpec:
    return TaskSpec(task, NAMES.get(task.name, ("a", "b", "c")), 9, 9, output_kind=task.output_kind)


@pytest.mark.parametrize("task", EVERY, ids=repr)
def test_a_task_is_one_object_in_every_copy(task):
    assert getattr(Task, task.name) is task is task_named(task.name)
    assert pickle.loads(pickle.dumps(task)) is task
    assert copy.deepcopy(spec_of(task)) == spec_of(task)
    assert repr(task) == f"Task.{task.name}"


def test_a_task_that_is_not_registered_is_named_with_the_others():
    with pytest.raises(ValueError, match="no task 'spans'; there are: single_label, multi_label"):
        task_named("spans")
    assert not hasattr(Task, "spans")


CODES = {
    "single_label": [0, 2, 1],
    "multi_label": [[0, 2], [], [1]],
    "regression": [0.5, 2.0, -1.0],
    "masked_lm": [0.0, 0.0, 0.0],
    "similarity": [0.5, 1.0, -1.0],
    "retrieval": [0.0, 0.0, 0.0],
    "token_classification": [[0, 1, 2], [0], [-1, 1]],
}
BY_NAME = {
    "single_label": ["a", "c", "b"],
    "multi_label": [["a", "c"], [], ["b"]],
    "regression": [0.5, 2.0, -1.0],
    "masked_lm": [0.0, 0.0, 0.0],
    "similarity": [0.5, 1.0, -1.0],
    "retrieval": [0.0, 0.0, 0.0],
    "token_classification": [["O", "B-X", "I-X"], ["O"], [None, "B-X"]],
}
COUNTS = {
    "single_label": (1, 1, 1),
    "multi_label": (1, 1, 1),
    "regression": (),
    "masked_lm": (),
    "similarity": (),
    "retrieval": (),
    "token_classification": (2, 2, 1),
}


@pytest.mark.parametrize("task", EVERY, ids=repr)
def test_label_arrays_have_their_names_and_counts_and_no_problems(task):
    spec = spec_of(task)
    labels = task.label_array(CODES[task.name], spec.num_classes)
    assert task.label_names(labels, spec.class_names) == BY_NAME[task.name]
    assert task.class_counts(labels, spec.num_classes) == COUNTS[task.name]
    texts = ["x"] * 3
    if task.is_per_word:
        texts = [["x"] * len(tags) for tags in labels]
    assert list(task.label_problems("train", Split(texts, labels), spec)) == []


@pytest.mark.parametrize("task", [task for task in EVERY if task.has_classes], ids=repr)
@pytest.mark.parametrize("kind", [OutputKind.logits, OutputKind.probabilities])
def test_a_probe_batch_is_decided_right_and_wrong(task, kind):
    spec = TaskSpec(task, NAMES.get(task.name, ("a", "b", "c")), 9, 9, output_kind=kind)
    batch = task.probe_batch(spec)
    answer = batch.with_logit(2.0) if kind is OutputKind.logits else batch.with_probability(0.9)
    decided = task.decide(batch.outputs(answer), spec)
    has_label = batch.labels >= 0
    assert (decided[has_label] == batch.labels[has_label]).all()
    if batch.is_exclusive and kind is OutputKind.probabilities:
        assert sum(answer) + answer[1] * (batch.num_classes - 2) == pytest.approx(1)


@pytest.mark.parametrize("task", EVERY, ids=repr)
def test_predictions_have_the_columns_that_are_declared(task):
    spec = spec_of(task)
    probabilities = np.full((1, spec.num_outputs or 4), 0.5, "float32")
    text = "x"
    if task.is_per_word:
        probabilities = probabilities[None]
        text = ["x"]
    (label,) = task.predicted_labels(probabilities, spec.class_names)
    cells = task.prediction_cells(text, label, probabilities[0], spec)
    assert list(cells) == task.prediction_columns(spec)
    assert task.prediction_tables([cells])
