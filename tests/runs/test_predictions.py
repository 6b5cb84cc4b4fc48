"""Outputs that a run keeps: what goes in comes back, and a stranger's file is not believed."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

from xferlab.runs import predictions
from xferlab.runs.predictions import keep_predictions, path_of, read_predictions


@pytest.mark.parametrize(
    ("labels", "outputs"),
    [
        (np.array([1, 0, 2]), np.eye(3, dtype="float32")),
        (np.array([[1.0, 0.0], [0.0, 1.0]]), np.ones((2, 2), "float32")),
        (np.array([0.5, -1.25]), np.array([[0.25], [3.0]], "float32")),
    ],
    ids=["one label", "several labels", "numbers"],
)
def test_what_is_kept_comes_back(tmp_path, labels, outputs):
    keep_predictions(tmp_path, "test", labels, outputs)
    found = read_predictions(tmp_path, "test")
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_array_equal(found.outputs, outputs)
    assert (found.rows, found.lengths) == (len(labels), None)


def test_of_tags_only_the_labelled_tokens_are_kept(tmp_path):
    labels = np.array([[-1, 2, 0, -1], [1, -1, -1, -1]])
    outputs = np.arange(24, dtype="float32").reshape(2, 4, 3)
    keep_predictions(tmp_path, "validation", labels, outputs)
    found = read_predictions(tmp_path, "validation")
    assert found.labels.tolist() == [2, 0, 1]
    assert found.lengths.tolist() == [2, 1]
    assert found.outputs.tolist() == [[3, 4, 5], [6, 7, 8], [12, 13, 14]]
    assert found.rows == 2


def test_outputs_that_are_too_large_are_not_kept_nor_left_from_before(tmp_path, monkeypatch):
    keep_predictions(tmp_path, "test", np.zeros(2, int), np.zeros((2, 2)))
    monkeypatch.setattr(predictions, "LARGEST_BYTES", 100)
    keep_predictions(tmp_path, "test", np.zeros(9, int), np.zeros((9, 2)))
    assert read_predictions(tmp_path, "test") is None


INT = np.zeros(2, "int32")
FLOAT = np.zeros((2, 2), "float32")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"outputs": FLOAT}, "does not hold labels"),
        ({"labels": INT, "outputs": FLOAT, "more": INT}, "does not hold labels"),
        ({"labels": INT, "outputs": FLOAT[:1].copy()}, "do not belong together"),
        ({"labels": INT[:0].copy(), "outputs": FLOAT[:0].copy()}, "do not belong together"),
        ({"labels": INT, "outputs": FLOAT[0].copy()}, "do not belong together"),
        ({"labels": INT, "outputs": FLOAT, "lengths": INT}, "do not belong together"),
        (
            {"labels": INT, "outputs": FLOAT, "lengths": np.array([-1, 3], "int32")},
            "do not belong together",
        ),
        ({"labels": INT.astype("int64"), "outputs": FLOAT}, "its numbers are I64"),
    ],
)
def test_a_file_that_says_something_else_is_refused(tmp_path, arrays, message):
    path = path_of(tmp_path, "test")
    path.parent.mkdir()
    save_file(arrays, path)
    with pytest.raises(ValueError, match=message):
        read_predictions(tmp_path, "test")


def test_a_torn_file_and_a_huge_one_are_refused(tmp_path, monkeypatch):
    keep_predictions(tmp_path, "test", np.zeros(9, int), np.zeros((9, 2)))
    path = path_of(tmp_path, "test")
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match="file not fully covered"):
        read_predictions(tmp_path, "test")
    with path.open("r+b") as stream:
        stream.truncate(predictions.LARGEST_BYTES + 200_000)  # sparse: takes no room
    with pytest.raises(ValueError, match="larger than a run keeps"):
        read_predictions(tmp_path, "test")
