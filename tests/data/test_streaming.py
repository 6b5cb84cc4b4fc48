"""Texts in a temporary file are the same texts, and take no memory."""

import csv
import datetime
import json
import tracemalloc
from pathlib import Path

import pytest

from xferlab.data.streaming import StoredTexts, convert, new_column, pick, streaming
from xferlab.discovery import load_plugins
from xferlab.registry import REGISTRY

VALUES = ["a", "", "ü\n☃", None, ["two", "words"], 1.5, datetime.date(2026, 1, 2), "\udc80"]


@pytest.fixture(scope="module", autouse=True)
def plugins():
    load_plugins(Path.cwd())


def test_values_are_those_that_were_appended():
    texts = StoredTexts()
    for i, value in enumerate(VALUES):
        texts.append(value)
        assert texts[i] == value  # before and after the next one is written
    assert list(texts) == VALUES
    assert texts[2:4] == VALUES[2:4]
    assert texts[-1] == VALUES[-1]
    with pytest.raises(IndexError):
        texts[len(VALUES)]
    some = pick(texts, [5, 0, 2])
    assert list(some) == [1.5, "a", "ü\n☃"]
    assert list(pick(some, [2, 2])) == ["ü\n☃"] * 2
    assert list(convert(some, repr)) == ["1.5", "'a'", repr("ü\n☃")]
    assert isinstance(new_column(), list)


def write(path, rows, tokens=False):
    if tokens:
        lines = [json.dumps({"text": text.split(), "label": [*"OOOOOOOXO"]}) for text in rows]
        path.write_text("\n".join(lines))
        return
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *((t, i % 3) for i, t in enumerate(rows))])


@pytest.mark.parametrize("name", ["train.csv", "train.jsonl"])
def test_data_that_is_streamed_is_the_data_of_training(tmp_path, name):
    texts = [f"the text number {i} of many, ünd so on" for i in range(500)]
    write(tmp_path / name, texts, tokens=name.endswith("jsonl"))
    plugin = REGISTRY.create("data", {"name": "files", "train": str(tmp_path / name)})
    plain = plugin.build(3)
    seen = []
    with streaming(lambda *each: seen.append(each)):
        found = plugin.build(3)
    assert seen[0] == (0, pytest.approx(1, abs=1))
    assert isinstance(found.train.texts, StoredTexts)
    assert found.notes == plain.notes
    assert {k: s.digest for k, s in found.splits.items()} == {
        k: s.digest for k, s in plain.splits.items()
    }


def test_texts_take_no_memory(tmp_path):
    rows = 500
    write(tmp_path / "train.csv", [f"{i} " + "a long text " * 400 for i in range(rows)])
    plugin = REGISTRY.create("data", {"name": "files", "train": str(tmp_path / "train.csv")})
    tracemalloc.start()
    with streaming(lambda *each: None):
        plugin.build(0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < (tmp_path / "train.csv").stat().st_size / 2  # 2.4 MB of texts
