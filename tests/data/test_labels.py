"""Labels: from raw columns to a task, class names and arrays, and what is refused."""

import math
from pathlib import Path

import numpy as np
import pytest

from xferlab.contracts import Task
from xferlab.data.labels import Rows
from xferlab.data.readers.table import read_table
from xferlab.data.splits import check_fields, text_data
from xferlab.errors import ConfigError

DATA = Path(__file__).parents[3] / "shared" / "data"


def data_of(labels, validation=None, test=None, *, texts=None, seed=0, **kwargs):
    def rows(split, values):
        texts_of = (
            texts if texts and values is labels else [f"{split} {i}" for i in range(len(values))]
        )
        return Rows(texts_of, values, place=lambda i: f"{split}.csv, row {i + 1}")

    given = {"train": labels, "validation": validation, "test": test}
    splits = {name: rows(name, values) for name, values in given.items() if values is not None}
    return text_data(splits, seed, max_length=32, **kwargs)


def refusal(*args, **kwargs):
    with pytest.raises(ConfigError) as caught:
        data_of(*args, **kwargs)
    assert caught.value.where
    assert caught.value.fix
    return caught.value


def test_names_are_sorted_and_counted():
    data = data_of([" pos", "neg", "pos ", "pos"], ["neg"])
    assert data.spec.task is Task.single_label
    assert data.spec.class_names == ("neg", "pos")
    assert data.spec.class_counts == (1, 3)
    assert data.train.labels.tolist() == [1, 0, 1, 1]
    assert data.train.labels.dtype == "int32"
    assert data.test is None


@pytest.mark.parametrize("labels", [["10", "9", "-1"], [10, 9, -1], [10.0, 9.0, -1]])
def test_integers_are_sorted_as_numbers(labels):
    data = data_of(labels, labels, task="single_label")
    assert data.spec.class_names == ("-1", "9", "10")
    assert data.train.labels.tolist() == [2, 1, 0]


def test_booleans_are_two_classes():
    data = data_of([True, False], [False])
    assert data.spec.class_names == ("false", "true")
    assert data.train.labels.tolist() == [1, 0]


def test_chosen_names_keep_their_order_and_may_not_occur():
    data = data_of(["pos", "neg"], ["mixed"], class_names=["pos", "mixed", "neg"])
    assert data.spec.class_names == ("pos", "mixed", "neg")
    assert data.train.labels.tolist() == [0, 2]
    assert data.spec.class_counts == (1, 0, 1)


def test_labels_may_be_positions_in_the_chosen_names():
    data = data_of(["1", "0"], ["2"], class_names=["neg", "pos", "mixed"])
    assert data.train.labels.tolist() == [1, 0]
    assert data.validation.labels.tolist() == [2]


def test_chosen_names_that_are_numbers_are_names_first():
    data = data_of([1, 2], [2], class_names=["2", "1"])
    assert data.train.labels.tolist() == [1, 0]


def test_suggested_names_are_taken_only_if_they_fit():
    assert data_of(["0", "1"], ["1"], suggested_names=["no", "yes"]).spec.class_names == (
        "no",
        "yes",
    )
    assert data_of(["a", "b"], ["b"], suggested_names=["no", "yes"]).spec.class_names == ("a", "b")
    assert data_of(["0", "5"], ["5"], suggested_names=["no", "yes"]).spec.class_names == ("0", "5")


@pytest.mark.parametrize(
    ("labels", "texts", "task"),
    [
        (["a", "b"], None, Task.single_label),
        ([1, 2], None, Task.single_label),
        (["1.5", "2"], None, Task.regression),
        ([0.5, 2.0], None, Task.regression),
        (["1e-3", "5"], None, Task.regression),
        (["a|b", "a"], None, Task.multi_label),
        ([["a", "b"], []], None, Task.multi_label),
        ([["O"], ["X", "O"]], [["w"], ["w", "v"]], Task.token_classification),
    ],
)
def test_the_task_is_inferred_from_the_column(labels, texts, task):
    saved = labels if texts is None else None
    validation = saved and list(saved)
    data = data_of(labels, validation, texts=texts)
    assert data.spec.task is task


def test_regression_labels_are_float32_and_have_no_classes():
    data = data_of(["1.5", "2", "-3e-1"], ["0"])
    assert data.train.labels.dtype == "float32"
    assert data.train.labels.tolist() == pytest.approx([1.5, 2.0, -0.3])
    assert (data.spec.class_names, data.spec.num_outputs) == ((), 1)


def test_integers_may_be_forced_to_be_values():
    assert data_of([1, 5], [2], task="regression").train.labels.tolist() == [1.0, 5.0]


def test_multi_labels_are_multi_hot_and_may_be_none():
    data = data_of(["b|a", "", "b | b"], ["a"])
    assert data.spec.class_names == ("a", "b")
    assert data.train.labels.tolist() == [[1, 1], [0, 0], [0, 1]]
    assert data.train.labels.dtype == "float32"
    assert data.spec.class_counts == (1, 2)
    assert data_of(["a;b", "a"], ["a"], label_separator=";").spec.num_classes == 2


def test_tags_are_one_array_a_row():
    data = data_of(
        [["O", "B"], ["O"]],
        [["B", "O"]],
        texts=[["a", "b"], ["c"]],
        task="token_classification",
    )
    assert data.train.texts == [["a", "b"], ["c"]]
    assert [tags.tolist() for tags in data.train.labels] == [[1, 0], [1]]
    assert data.train.labels[0].dtype == "int32"
    assert data.spec.class_counts == (1, 2)


def test_tags_in_strings_are_cut_at_blanks():
    data = data_of(["O B", "O"], ["O O"], texts=["a b", "c"], task="token_classification")
    assert data.train.texts == [["a", "b"], ["c"]]
    assert data.validation.texts == [["validation", "0"]]


def test_validation_is_made_stratified_and_seeded():
    labels = ["a"] * 70 + ["b"] * 20 + ["c"] * 9 + ["d"]
    data = data_of(labels, validation_fraction=0.2)
    assert data.spec.class_counts == (56, 16, 7, 1)  # of d one row must stay
    assert np.bincount(data.validation.labels).tolist() == [14, 4, 2]
    assert sorted(data.train.texts + data.validation.texts) == sorted(
        f"train {i}" for i in range(100)
    )
    assert data.validation.texts == data_of(labels, validation_fraction=0.2).validation.texts
    assert (
        data.validation.texts != data_of(labels, validation_fraction=0.2, seed=1).validation.texts
    )


def test_the_validation_split_is_the_one_it_always_was():
    data = data_of(["a", "b"] * 10, validation_fraction=0.3)
    assert [int(text.split()[1]) for text in data.validation.texts] == [0, 4, 5, 7, 12, 19]


def test_every_task_can_be_split():
    assert len(data_of([0.5 + i for i in range(20)]).validation) == 2
    assert len(data_of(["a|b", "a"] * 10).validation) == 2
    assert data_of(["a|b", "a"] * 10).validation.labels.shape == (2, 2)
    assert len(data_of([["O"], ["B"]] * 10, texts=[["w"]] * 20).validation.labels) == 2


def test_a_limit_keeps_shares_and_all_classes():
    data = data_of(["a"] * 30 + ["b"] * 10, ["b"] * 5, ["a"] * 9, limit={"train": 8, "test": None})
    assert data.spec.class_counts == (6, 2)
    assert data.spec.train_size == 8
    assert (len(data.validation), len(data.test)) == (5, 9)
    tiny = data_of(["a", "b", "c"] * 9, ["a"], limit={"train": 1, "validation": 9})
    assert tiny.spec.class_names == ("a", "b", "c")
    assert len(tiny.validation) == 1


def test_a_whole_number_beyond_all_floats_is_no_value_for_regression():
    rows = Rows(["a", "b"], [1.5, 10**400])
    with pytest.raises(ConfigError, match="a label that is no number"):
        text_data({"train": rows}, 0, max_length=32, task="regression")


def test_a_limited_split_keeps_the_order_of_its_rows():
    texts = data_of(["a", "b"] * 50, ["a"], limit={"train": 20}).train.texts
    assert texts == sorted(texts, key=lambda text: int(text.split()[1]))


def test_pairs_follow_their_texts():
    rows = Rows([f"t{i}" for i in range(20)], ["a", "b"] * 10, [f"p{i}" for i in range(20)])
    data = text_data({"train": rows}, 0, max_length=32, limit={"train": 7})
    assert data.spec.has_pairs
    for split in (data.train, data.validation):
        assert [text[1:] for text in split.texts] == [pair[1:] for pair in split.pairs]


def test_an_unknown_label_names_label_split_row_and_known_ones():
    error = refusal(["a", "b"], ["b", "c"])
    assert error.what == "validation has a label 'c' that is none of: a, b"
    assert error.where == "validation.csv, row 2"
    assert "data.class_names" in error.fix
    assert refusal(["a", "b"], ["a"], ["x"]).what.startswith("test has a label 'x'")
    assert "'c'" in refusal(["a|b", "a"], ["a|c"]).what
    assert "'c'" in refusal(["a", "c"], ["a"], class_names=["a", "b"]).what
    many = [str(i) for i in range(20)] * 3
    assert refusal(many, ["x"]).what.endswith("10, 11, ...")


@pytest.mark.parametrize("nothing", [None, math.nan, "", "  "])
def test_missing_labels_are_counted_with_their_rows(nothing):
    error = refusal(["a", nothing, "b", nothing], ["a"], task="single_label")
    assert error.what == "2 rows of train have no label: rows 2, 4"
    assert error.where == "train.csv, row 2"
    assert "data.label=COLUMN" in error.fix


def test_one_missing_label_is_told_in_the_singular():
    assert refusal(["a", None, "b"], ["a"]).what == "1 row of train has no label: row 2"


def test_no_number_is_refused_in_regression():
    error = refusal(["1.5", "high", "nan", "inf"], ["1"], task="regression")
    assert error.what == "3 rows of train have a label that is no number, e.g. 'high': rows 2, 3, 4"


def test_lists_are_refused_for_one_label():
    assert "multi_label" in refusal([["a"], ["b"]], ["a"], task="single_label").what


def test_as_many_tags_as_words():
    error = refusal([["O", "O"], ["O"]], texts=[["a", "b"], ["c", "d"]])
    assert error.what == "1 row of train has other counts, e.g. 2 words and 1 tags: row 2"


@pytest.mark.parametrize("text", [None, math.nan, 5, ["a"]])
def test_what_is_no_text_is_refused(text):
    error = refusal(["a", "b"], ["a"], texts=["x", text])
    assert error.what.startswith("1 row of train has no text")
    assert error.where == "train.csv, row 2"


def test_half_a_surrogate_pair_is_refused():
    assert "surrogate" in refusal(["a", "b"], ["a"], texts=["x", "\ud800"]).what


def test_empty_texts_are_logged(caplog):
    data_of(["a", "b"], ["a"], texts=["x", ""])
    assert "1 of 2 rows of train have an empty text" in caplog.text


def test_columns_that_are_no_classes_are_refused():
    assert refusal(["a"] * 5, ["a"]).what == "every example of train has the label 'a'"
    assert "40 different values in 40 rows" in refusal([str(i) for i in range(40)], ["1"]).what


def test_an_empty_split_is_refused():
    assert refusal([], ["a"]).what == "the train split has no rows"
    assert refusal(["a", "b"], []).where == "data.validation"


def test_one_row_cannot_be_split():
    assert "too few" in refusal(["1.5"]).what


def test_a_class_is_named_once():
    assert refusal(["a", "b"], ["a"], class_names=["a", "b", "a"]).where == "data.class_names"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"max_length": 4}, "max_length must be at least 8"),
        ({"max_length": 64, "validation_fraction": 1.0}, "validation_fraction must be between"),
        ({"max_length": 64, "limit": {"val": 3}}, r"limit has no split 'val'.*train"),
        ({"max_length": 64, "limit": {"train": 0}}, r"limit\.train must be at least 1"),
    ],
)
def test_fields_out_of_range_are_refused(fields, problem):
    with pytest.raises(ValueError, match=problem):
        check_fields(**fields)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the shared data folder")
def test_real_multi_labels_have_the_counts_of_their_source():
    names = (DATA / "goemotions/labels.txt").read_text().split()
    tables = {
        name: read_table(str(DATA / f"goemotions/{name}.csv"), f"data.{name}").columns
        for name in ("train", "validation")
    }
    rows = {name: Rows(columns["text"], columns["label"]) for name, columns in tables.items()}
    spec = text_data(rows, 0, max_length=32, suggested_names=names).spec
    assert spec.task is Task.multi_label
    assert spec.num_classes == 28
    assert spec.class_counts[:3] == (4130, 2328, 1567)
    assert sum(spec.class_counts) == 51_103
