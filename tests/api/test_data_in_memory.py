"""Examples of a Python program as files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from xferlab import ConfigError
from xferlab.api.data_in_memory import data_overrides

TEXTS = ["a fine film", "not worth it"]
LABELS = ["good", "bad"]
ROWS = [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)]


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def read(override: str) -> list[dict]:
    lines = Path(override.partition("=")[2]).read_text().splitlines()
    return [json.loads(line) for line in lines]


def forms():
    import datasets
    import pandas

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "good"])}
    )
    indices = {"text": TEXTS, "label": [1, 0]}
    return {
        "pandas": pandas.DataFrame(ROWS),
        "index": pandas.DataFrame(ROWS, index=[7, 7]),
        "category": pandas.DataFrame(ROWS).astype("category"),
        "datasets": datasets.Dataset.from_dict(indices, features=features),
        "dicts": ROWS,
        "columns": {"text": TEXTS, "label": LABELS},
        "pair": (TEXTS, LABELS),
        "arrays": (np.array(TEXTS), np.array(LABELS)),
    }


def test_every_form_of_a_table_gives_the_same_file():
    written = {name: data_overrides(table, []) for name, table in forms().items()}
    assert read(written["pandas"][1]) == ROWS
    assert {tuple(each) for each in written.values()} == {tuple(written["pandas"])}


def test_cells_are_plain_data():
    table = {
        "text": ["a", None, "c"],
        "label": np.array([1, 2, 3], "int64"),
        "number": [0.5, float("nan"), np.float32(0.25)],
        "tags": [["O"], ("O", "B-x"), np.array(["O"])],
        "image": [object(), None, None],
    }
    rows = read(data_overrides(table, [])[1])
    assert rows == [
        {"text": "a", "label": 1, "number": 0.5, "tags": ["O"]},
        {"text": None, "label": 2, "number": None, "tags": ["O", "B-x"]},
        {"text": "c", "label": 3, "number": 0.25, "tags": ["O"]},
    ]


def test_splits_are_files_of_their_own():
    found = data_overrides({"train": ROWS, "test": ROWS[:1]}, ["data.text=text"])
    assert [each.partition("=")[0] for each in found] == ["data", "data.train", "data.test"]
    assert read(found[2]) == ROWS[:1]


def two_columns_of_one_name():
    import pandas

    return pandas.DataFrame([["a", "b"]], columns=["text", "text"])


@pytest.mark.parametrize(
    ("data", "overrides", "what"),
    [
        (5, [], "data is int"),
        ("train.csv", [], "data is str"),
        ([], [], "data is list"),
        (("ab", "cd"), [], "data is tuple"),
        ((TEXTS, LABELS[:1]), [], "the columns have different lengths: text 2, label 1"),
        ({"train": ROWS, "unsupervised": ROWS}, [], "data has the splits train, unsupervised"),
        ({"test": ROWS}, [], "data has the splits test"),
        (two_columns_of_one_name, [], "the DataFrame has two columns 'text'"),
        ({"text": [b"a"], "label": ["x"]}, [], "the column 'text' holds bytes"),
        ({"t": [b"a"], "label": ["x"]}, ["data.text=t"], "the column 't' holds bytes"),
        (ROWS, ["data=sst2"], "data= is given, and data=sst2 chooses other data"),
        (ROWS, ["data.train=a.csv"], "data= is given, and data.train=a.csv chooses other data"),
    ],
)
def test_anything_else_is_refused(data, overrides, what):
    with pytest.raises(ConfigError) as error:
        data_overrides(data() if callable(data) else data, overrides)
    assert error.value.what == what
    assert error.value.fix
