"""Weights, soft labels and groups of examples: read, checked, and kept together in splits."""

import csv
import json

import numpy as np
import pytest

import xferlab
from xferlab.api.data_in_memory import data_overrides
from xferlab.data.partition import grouped_sample
from xferlab.data.sampling import balanced_order
from xferlab.discovery import load_plugins
from xferlab.errors import ConfigError
from xferlab.registry import REGISTRY

HEADER = ("text", "label", "weight", "negative", "positive", "author")


@pytest.fixture(scope="module", autouse=True)
def _plugins(tmp_path_factory):
    load_plugins(tmp_path_factory.mktemp("nothing"))


def rows_of(count=60, authors=12):
    """Return rows with a weight, two probabilities and an author."""
    random = np.random.default_rng(0)
    rows = []
    for i in range(count):
        positive = round(float(random.uniform()), 4)
        label = "positive" if positive > 0.5 else "negative"
        numbers = (round(float(random.uniform(0, 3)), 3), round(1 - positive, 4), positive)
        rows.append([f"text {i}", label, *numbers, f"author {i % authors}"])
    return rows


def write(path, rows, header=HEADER):
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return str(path)


def build(path, seed=0, **fields):
    return REGISTRY.create("data", {"name": "files", "train": path, **fields}).build(seed)


def refusal(path, **fields):
    with pytest.raises(ConfigError) as caught:
        build(path, **fields)
    return caught.value


def test_weights_soft_labels_and_groups_follow_their_examples(tmp_path):
    rows = rows_of()
    path = write(tmp_path / "train.csv", rows)
    soft = ["positive", "negative"]  # matched by name, whatever their order
    data = build(path, weight="weight", soft_labels=soft, group="author")
    by_text = {row[0]: row for row in rows}
    for split in (data.train, data.validation):
        wanted = [by_text[text] for text in split.texts]
        assert np.allclose(split.weights, [row[2] for row in wanted])
        assert np.allclose(split.soft_labels, [row[3:5] for row in wanted], atol=1e-4)
    authors = [{by_text[text][5] for text in split.texts} for split in data.splits.values()]
    assert not authors[0] & authors[1]
    assert data.spec.soft_labels


def test_splits_without_these_columns_have_none(tmp_path):
    data = build(write(tmp_path / "train.csv", rows_of()))
    assert data.train.weights is data.train.soft_labels is data.train.groups is None
    assert not data.spec.soft_labels


def test_a_list_column_and_labels_from_the_most_probable_class(tmp_path):
    path = tmp_path / "train.jsonl"
    lists = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]] * 10
    lines = [json.dumps({"text": f"t {i}", "p": each}) for i, each in enumerate(lists)]
    path.write_text("\n".join(lines))
    names = ["a", "b", "c"]
    data = build(str(path), label=None, soft_labels="p", class_names=names)
    assert data.spec.class_names == ("a", "b", "c")
    assert (data.train.soft_labels.argmax(axis=1) == data.train.labels).all()


def test_several_labels_have_a_probability_each(tmp_path):
    rows = [["t 0", "b|a", 0.9, 0.5, 0.0], ["t 1", "", 0.2, 0.1, 0.3], ["t 2", "c", 0.1, 0.7, 0.4]]
    path = write(tmp_path / "train.csv", rows * 5, ("text", "label", "a", "b", "c"))
    taken = build(path, label=None, soft_labels=["a", "b", "c"], task="multi_label")
    given = build(path, label="label", soft_labels=["c", "b", "a"], task="multi_label")
    for data in (taken, given):
        assert data.spec.class_names == ("a", "b", "c")
        assert data.train.soft_labels[0] == pytest.approx(rows[int(data.train.texts[0][2])][2:])
    assert (taken.train.labels == (taken.train.soft_labels >= 0.5)).all()
    assert not any("multi-hot" in line for line in taken.notes)
    note = "the labels are not those of probability 0.5 or more in 5 of 15 rows: rows 3, 6, 9"
    assert any(line.startswith(note) for line in given.notes)
    numbers = {"label": None, "soft_labels": ["a", "b", "c"], "task": "multi_label"}
    named = build(path, class_names=["0", "1", "2"], **numbers)
    assert (named.train.labels == taken.train.labels).all()
    rows[1][3] = 1.2
    path = write(tmp_path / "train.csv", rows * 5, ("text", "label", "a", "b", "c"))
    error = refusal(path, soft_labels=["a", "b", "c"], task="multi_label")
    assert "5 rows of train have soft labels above 1 (the first of 1.2): rows 2, 5, 8" in error.what
    assert error.where == f"{path}, row 2"
    error = refusal(path, label=None, soft_labels=["a", "b", "c"])
    assert "do not sum to 1 (the first to 1.4)" in error.what
    assert error.fix.endswith("several labels a text, each from 0 to 1, are data.task=multi_label")


def test_a_class_that_is_never_the_most_probable_is_a_class(tmp_path):
    rows = [["t 0", 0.6, 0.1, 0.3], ["t 1", 0.1, 0.2, 0.7]] * 10
    path = write(tmp_path / "train.csv", rows, ("text", "a", "b", "c"))
    data = build(path, label=None, soft_labels=["a", "b", "c"])
    assert data.spec.class_names == ("a", "b", "c")
    assert data.spec.class_counts[1] == 0


def test_columns_that_are_no_class_names_are_taken_in_order_with_a_note(tmp_path):
    rows = [[*row[:2], row[3], row[4]] for row in rows_of()]
    path = write(tmp_path / "train.csv", rows, ("text", "label", "p0", "p1"))
    data = build(path, soft_labels=["p0", "p1"])
    assert "p0 for negative, p1 for positive" in data.notes[0]


def test_a_label_that_is_not_the_most_probable_class_is_noted(tmp_path):
    rows = rows_of()
    rows[4][1] = "positive" if rows[4][1] == "negative" else "negative"
    data = build(write(tmp_path / "train.csv", rows), soft_labels=["negative", "positive"])
    assert "the label is not the most probable class in 1 of 60 rows: row 5" in data.notes


def with_cell(rows, row, column, value):
    rows[row][HEADER.index(column)] = value
    return rows


@pytest.mark.parametrize(
    ("column", "value", "fields", "what", "where"),
    [
        (
            "weight",
            "-1",
            {"weight": "weight"},
            "a weight that is no number from 0 up, e.g. '-1'",
            3,
        ),
        ("weight", "much", {"weight": "weight"}, "a weight that is no number from 0 up", 3),
        ("weight", "", {"weight": "weight"}, "a weight that is no number from 0 up, e.g. ''", 3),
        ("weight", "inf", {"weight": "weight"}, "a weight that is no number from 0 up", 3),
        (
            "negative",
            "0.9999",
            {"soft_labels": ["negative", "positive"]},
            "soft labels that do not sum to 1 (the first to 1.",
            3,
        ),
        (
            "negative",
            "-0.1",
            {"soft_labels": ["negative", "positive"]},
            "in the columns of soft labels a probability below 0",
            3,
        ),
        (
            "negative",
            "",
            {"soft_labels": ["negative", "positive"]},
            "in the columns of soft labels no numbers",
            3,
        ),
        ("author", "", {"group": "author"}, "1 row of train has no group: row 3", 3),
    ],
)
def test_an_invalid_cell_is_named_with_file_and_row(tmp_path, column, value, fields, what, where):
    path = write(tmp_path / "train.csv", with_cell(rows_of(), where - 1, column, value))
    error = refusal(path, **fields)
    assert what in error.what
    assert error.where == f"{path}, row {where}"
    assert error.fix


def test_what_is_wrong_with_a_whole_column_is_named(tmp_path):
    path = write(tmp_path / "train.csv", [[*r[:2], 0, *r[3:5], "one"] for r in rows_of()])
    assert refusal(path, weight="weight").what.startswith("all 60 weights of train are 0")
    assert "every row of train is of the group 'one'" in refusal(path, group="author").what
    assert "has no column 'wait'" in refusal(path, weight="wait").what
    assert refusal(path, weight="wait").fix == "did you mean data.weight=weight?"
    wrong = refusal(path, soft_labels="weight")
    assert "in 'weight' no list of two or more probabilities" in wrong.what
    assert refusal(path, label=None).where == "data.label"
    assert len(build(path, label=None, task="masked_lm").train) == 54  # texts alone
    three = refusal(path, soft_labels=["negative", "positive", "weight"])
    assert three.what == (
        "soft labels have 3 probabilities, and there are 2 classes: negative, positive"
    )
    assert (
        "the task is regression"
        in refusal(path, label="negative", soft_labels=["negative", "positive"]).what
    )


def test_a_group_in_two_splits_is_refused(tmp_path):
    train = write(tmp_path / "train.csv", rows_of())
    other = [[f"other {i}", *row[1:5], f"writer {i}"] for i, row in enumerate(rows_of())]
    other[6][5] = "author 3"
    error = refusal(train, test=write(tmp_path / "test.csv", other), group="author")
    assert error.what == "the group 'author 3' is in train and in test"
    assert error.where.endswith("test.csv, row 7")


def test_a_dataframe_has_weights_and_groups(tmp_path, monkeypatch):
    pandas = pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    frame = pandas.DataFrame(rows_of(), columns=HEADER)
    frame["p"] = [[row[3], row[4]] for row in rows_of()]
    overrides = data_overrides(frame, ["data.weight=weight", "data.soft_labels=p"])
    path = overrides[-1].partition("=")[2]
    data = build(path, weight="weight", soft_labels="p", group="author")
    assert data.train.weights.dtype == data.train.soft_labels.dtype == "float32"
    frame["weight"] = [object()] * 60
    with pytest.raises(ConfigError, match="the column 'weight' holds object"):
        data_overrides(frame, ["data.weight=weight"])


def test_the_digest_of_a_split_covers_what_it_has():
    plain = xferlab.Split(["a", "b"], np.array([0, 1]))
    ones = np.ones(2, "float32")
    others = [
        xferlab.Split(["a", "b"], np.array([0, 1]), **{name: ones})
        for name in ("weights", "soft_labels", "groups")
    ]
    assert len({each.digest for each in (plain, *others)}) == 4


@pytest.mark.parametrize("fraction", [0.1, 0.3])
def test_held_back_groups_are_whole_and_near_the_fraction_of_each_class(fraction):
    random = np.random.default_rng(1)
    groups = random.integers(0, 80, 1000)
    strata = (random.uniform(size=1000) < 0.2 + 0.4 * (groups % 2)).astype(int)
    rows = grouped_sample(strata, groups, round(fraction * 1000), 0)
    rest = np.setdiff1d(np.arange(1000), rows)
    assert not set(groups[rows]) & set(groups[rest])
    assert abs(len(rows) - fraction * 1000) <= 15  # a group has 12.5 examples
    for stratum in (0, 1):
        wanted = fraction * (strata == stratum).sum()
        assert abs((strata[rows] == stratum).sum() - wanted) <= 15
    assert (rows != grouped_sample(strata, groups, len(rows), 1)[: len(rows)]).any()


def test_balanced_sampling_has_as_many_of_each_class_in_every_epoch():
    strata = np.array([0] * 80 + [1] * 15 + [2] * 5)
    epochs = [balanced_order(strata, 0, epoch, 3) for epoch in range(40)]
    for order in epochs:
        counts = np.bincount(strata[order])
        assert len(order) == 100
        assert counts.max() - counts.min() <= 1
        repeats = np.bincount(order, minlength=100)
        assert repeats[:80].max() == 1  # of the frequent class none twice
        assert repeats[80:95].min() >= 2
        assert repeats[95:].max() - repeats[95:].min() <= 1
    assert set(np.concatenate(epochs)) == set(range(100))
    assert (epochs[3] == balanced_order(strata, 0, 3, 3)).all()
    assert (epochs[3] != epochs[4]).any()


def write_pairs(path, labels, column="label"):
    rows = [[f"text {i}", f"other {i}", label] for i, label in enumerate(labels)]
    return write(path, rows, ("text", "other", column))


RETRIEVAL = {"pair": "other", "task": "retrieval"}


@pytest.mark.parametrize("bits", [("0", "1"), ("0.0", "1.0"), ("False", "True")])
def test_pairs_that_do_not_match_are_not_trained_as_matches(tmp_path, bits):
    path = write_pairs(tmp_path / "train.csv", [bits[i % 3 > 0] for i in range(30)])
    wrong = refusal(path, **RETRIEVAL)
    assert wrong.what.startswith("10 rows of train have 0 in 'label', and retrieval takes every")
    assert "data.task=similarity" in wrong.fix
    assert len(build(path, **RETRIEVAL, label=None).train) == 27


def test_a_label_that_retrieval_does_not_read_is_noted_once(tmp_path, caplog):
    path = write_pairs(tmp_path / "train.csv", [i % 6 for i in range(30)])
    build(path, **RETRIEVAL, folds=3, fold=0)
    assert caplog.text.count("the column 'label' is not read") == 1
    caplog.clear()
    build(write_pairs(tmp_path / "all.csv", ["1"] * 30), **RETRIEVAL)
    build(write_pairs(tmp_path / "none.csv", ["0", "1"] * 15, "other_label"), **RETRIEVAL)
    assert "is not read" not in caplog.text


def test_a_data_set_of_the_hub_without_a_label_is_read_for_a_task_without_labels(tmp_path):
    write(
        tmp_path / "train.csv", [[f"text {i}", f"other {i}"] for i in range(30)], ("text", "other")
    )
    node = {"name": "hub", "id": str(tmp_path), "validation": None, "test": None}
    for more in ({"task": "masked_lm"}, RETRIEVAL):
        assert len(REGISTRY.create("data", node | more).build(0).train) == 27
    write_pairs(tmp_path / "train.csv", ["0", "1"] * 15)
    with pytest.raises(ConfigError, match="15 rows of train have 0 in 'label'"):
        REGISTRY.create("data", node | RETRIEVAL).build(0)
