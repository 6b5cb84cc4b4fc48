"""Repeated, contradictory, empty and shared rows are those that pandas counts."""

import numpy as np
import pandas as pd

from xferlab.contracts import Split
from xferlab.statistics.rows import Shared, count_rows


def frame(seed, rows):
    numbers = np.random.RandomState(seed)
    texts = [f"text {number}" for number in numbers.randint(0, 60, rows)]
    texts[:3] = ["", "  ", "\t"]
    return pd.DataFrame({"text": texts, "label": numbers.randint(0, 3, rows)})


def test_counts_are_those_of_pandas():
    frames = {"train": frame(0, 200), "validation": frame(1, 50), "test": frame(2, 40)}
    splits = {k: Split(list(f.text), f.label.to_numpy("int32")) for k, f in frames.items()}
    found = count_rows(splits)
    for name, each in frames.items():
        plain = each.assign(text=each.text.str.split().str.join(" "))
        assert found[name].rows == len(plain)
        assert found[name].empty == (plain.text == "").sum() == 3
        assert found[name].repeated == plain.duplicated(["text", "label"]).sum() > 0
        labels = plain.groupby("text").label.transform("nunique")
        assert found[name].contradictory == (labels > 1).sum() > 0
        for other, counted in found[name].shared.items():
            known = frames[other].assign(text=frames[other].text.str.split().str.join(" "))
            is_shared = plain.text.isin(known.text)
            pairs = set(map(tuple, known[["text", "label"]].to_numpy()))
            same = [tuple(row) in pairs for row in plain[["text", "label"]].to_numpy()]
            assert counted.rows == is_shared.sum() > 0
            assert counted.other_label == (is_shared & ~np.array(same)).sum()


def test_a_pair_is_compared_whole():
    train = Split(["a", "a", "a"], np.array([0, 1, 0], "int32"), ["x", "y", " "])
    test = Split(["a", "b"], np.array([1, 1], "int32"), ["x", "x"])
    found = count_rows({"train": train, "test": test})
    assert (found["train"].repeated, found["train"].contradictory) == (0, 0)
    assert found["train"].empty == 1
    assert found["test"].shared == {"train": Shared(1, 1)}
