"""Scores that one constant prediction would have too."""

import numpy as np
import pytest

from xferlab.contracts import OutputKind, Task, TaskSpec
from xferlab.evaluation.constant_baseline import baseline_notes


def logits(classes, count=3):
    return np.eye(count, dtype="float32")[np.asarray(classes)]


def of_classes(labels, found):
    spec = TaskSpec(Task.single_label, ("a", "b", "c"), 9, 9)
    return baseline_notes(spec, "test", np.array(labels, "int32"), logits(found))


def test_a_score_below_the_share_of_the_largest_class_is_told():
    assert of_classes([0, 0, 0, 1, 2], [0, 0, 1, 1, 1]) == [
        "60.0% of the test examples are right, and 60.0% would be if every prediction were a, the"
        " largest class"
    ]
    assert of_classes([0, 0, 0, 1, 2], [0, 0, 0, 1, 1]) == []


def test_one_prediction_for_all_examples_is_told():
    one, fraction = of_classes([0, 0, 1], [0, 0, 0])
    assert one == "the prediction for every example of test (3) is a"
    assert fraction.startswith("66.7%")
    assert of_classes([0, 0, 0], [0, 0, 0]) == ["the prediction for every example of test (3) is a"]


def test_several_labels_that_are_always_the_same_are_told():
    spec = TaskSpec(Task.multi_label, ("a", "b"), 9, 9)
    labels = np.array([[1, 0], [0, 1]], "float32")
    assert baseline_notes(spec, "test", labels, np.full((2, 2), -1.0)) == [
        "the prediction for every example of test (2) is no label"
    ]
    assert baseline_notes(spec, "test", labels, np.array([[1, -1.0]] * 2))[0].endswith(" is a")
    assert baseline_notes(spec, "test", labels, labels - 0.5) == []


def test_values_no_better_than_the_mean_are_told():
    spec = TaskSpec(Task.regression, (), 9, 9, output_kind=OutputKind.values)
    labels = np.array([1, 2, 3], "float32")
    assert baseline_notes(spec, "test", labels, np.array([[3.0], [2.0], [1.0]])) == [
        "the mean squared error of test is 2.667, and 0.6667 if every prediction were the mean of"
        " its labels"
    ]
    assert baseline_notes(spec, "test", labels, np.array([[1.5], [2.0], [2.5]])) == []


def test_tags_that_are_always_o_and_splits_without_entities_are_told():
    spec = TaskSpec(Task.token_classification, ("O", "B-X", "I-X"), 9, 9)
    labels = np.array([[0, 1, -1], [0, -1, -1]])
    assert baseline_notes(spec, "test", labels, logits([[0, 0, 1], [0, 2, 2]])) == [
        "the prediction for every word of test (3) is O"
    ]
    assert baseline_notes(spec, "test", labels, logits([[0, 1, 1], [0, 2, 2]])) == []
    (line,) = baseline_notes(spec, "test", np.array([[0, 0]]).repeat(2, 0), logits([[0, 1]] * 2))
    assert "entity F1 is 0" in line


@pytest.mark.parametrize("outputs", [np.full((3, 3), np.nan), logits([0, 0, 0])[:1]])
def test_nothing_is_told_of_outputs_that_are_no_numbers_or_of_one_row(outputs):
    spec = TaskSpec(Task.single_label, ("a", "b", "c"), 9, 9)
    assert baseline_notes(spec, "test", np.zeros(len(outputs), "int32"), outputs) == []
