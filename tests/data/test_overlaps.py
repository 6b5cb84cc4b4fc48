"""Rows in two splits, texts with two labels, one column in two roles: reported or refused."""

from pathlib import Path

import numpy as np
import pytest

from tests.data.test_label_parsing import note
from tests.data.test_labels import data_of
from xferlab.contracts import Split
from xferlab.data.labels import Rows
from xferlab.data.notes import Notes
from xferlab.data.overlaps import report_conflicts, report_overlaps
from xferlab.data.splits import text_data
from xferlab.discovery import load_plugins
from xferlab.errors import ConfigError
from xferlab.registry import REGISTRY


def data(train, validation=None, test=None, labels=None):
    splits = {"train": train, "validation": validation, "test": test}
    rows = {
        name: Rows(texts, (labels or ["a", "b"] * len(texts))[: len(texts)])
        for name, texts in splits.items()
        if texts is not None
    }
    return text_data(rows, 0, max_length=32)


def test_rows_of_test_that_are_training_rows_are_counted_with_an_example():
    found = data(["one", "two", "three"], ["four"], ["five", " two ", "six", "three"])
    assert note(found, "test rows") == (
        "2 of 4 test rows (50.0%) are rows of train too, e.g. 'two'"
    )
    found = data(["one", "two", "three"], ["four", "one"], ["five", "six"])
    assert note(found, "validation rows").startswith("1 of 2 validation rows (50.0%) is a row of")
    found = data(["one", "two"], ["four", "five"], ["five", "four"])
    assert note(found, "test rows").startswith("2 of 2 test rows (100.0%) are rows of validation")
    assert data(["one", "two"], ["four"], ["five"]).notes == ()


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_split_of_training_rows_alone_is_refused(split):
    given = {"validation": ["x"], split: ["two", "one", "one"]}
    with pytest.raises(ConfigError) as caught:
        data(["one", "two", "three"], **given)
    assert caught.value.what == f"every row of {split} is a training row, e.g. 'two'"
    assert caught.value.where == f"data.{split}"
    assert f"data.{split}=null" in caught.value.fix


def test_a_copy_of_the_training_file_is_refused_where_rows_of_it_are_held_back():
    texts = [f"text {i}" for i in range(20)]
    with pytest.raises(ConfigError, match="every row of test is a training row"):
        data(texts, test=texts[::-1])
    found = data(texts, test=[*texts, "new"])
    assert found.notes == ("20 of 21 test rows (95.2%) are rows of train too, e.g. 'text 0'",)


def test_rows_held_back_that_are_training_rows_too_are_counted():
    found = data(["same"] * 10 + ["x", "y"] * 5)
    assert "held back from train" in note(found, "validation rows")
    assert data([f"text {i}" for i in range(20)]).notes == ()


def test_pairs_are_the_same_if_both_texts_are():
    train = Rows(["a", "b", "c"], ["0", "1", "0"], ["x", "y", "z"])
    test = Rows(["a", "b"], ["0", "1"], ["y", "y"])
    found = text_data({"train": train, "validation": test}, 0, max_length=32)
    assert note(found, "validation rows").startswith("1 of 2")


def test_texts_with_different_labels_are_counted_with_their_rows():
    found = data(["one", "two", "one", "two", "three"], ["x"], labels=["a", "b", "b", "b", "a"])
    assert note(found, "different labels") == (
        "different labels for the same text in train: 1 text in 2 rows, e.g. 'one' in rows 1, 3"
    )


@pytest.mark.parametrize(
    "labels",
    [
        np.array([0, 1, 0], "int32"),
        np.array([0.5, 1.5, 0.5], "float32"),
        np.array([[1, 0], [1, 1], [1, 0]], "float32"),
        [np.array([0]), np.array([1]), np.array([0])],
    ],
    ids=["classes", "values", "several", "tags"],
)
def test_every_kind_of_label_may_differ(labels):
    notes = Notes()
    report_conflicts(Split([["w"], ["w"], ["v"]], labels), notes)
    assert len(notes.lines) == 1
    notes = Notes()
    report_conflicts(Split([["w"], ["v"], ["w"]], labels), notes)
    assert notes.lines == []


def test_many_rows_take_the_memory_of_their_digests():
    import tracemalloc

    rows = 100_000
    train = Split([f"the text number {i} of many" for i in range(rows)], np.zeros(rows, "int32"))
    tracemalloc.start()
    report_overlaps({"train": train, "validation": train}, True, Notes())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 120 * rows  # bytes; a set of the texts alone takes more


def create(name, **fields):
    load_plugins(Path.cwd())
    return REGISTRY.create("data", {"name": name, **fields})


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"text": "label"}, "data.label"),
        ({"pair": "label"}, "data.label"),
        ({"pair": "text"}, "data.pair"),
    ],
)
@pytest.mark.parametrize("name", ["files", "hub"])
def test_a_column_has_one_role(name, fields, where):
    required = {"train": "x.csv"} if name == "files" else {"id": "org/name"}
    with pytest.raises(ConfigError, match="are the same column") as caught:
        create(name, **required, **fields)
    assert caught.value.where == where


def test_a_text_that_is_its_label_is_refused():
    with pytest.raises(ConfigError, match="the text of every row is its label"):
        data_of(["a", "b"], ["a"], texts=["a", " b"])


def test_a_file_is_in_one_split(tmp_path):
    text = "text,label\n" + "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(20))
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text(text.replace("text ", f"{name} "))
    (tmp_path / "link.csv").symlink_to("one.csv")
    for split in ("validation", "test"):
        for file in ("one.csv", "link.csv"):
            plugin = create("files", train=f"{tmp_path}/*.csv", **{split: f"{tmp_path}/{file}"})
            with pytest.raises(ConfigError, match="is among the training files too") as caught:
                plugin.build(0)
            assert caught.value.where == f"data.{split}"
    plugin = create("files", train=f"{tmp_path}/one.csv", test=f"{tmp_path}/two.csv")
    assert plugin.build(0).notes == ()
    with pytest.raises(ConfigError, match="test must be another split than train"):
        create("hub", id="org/name", test="train")
