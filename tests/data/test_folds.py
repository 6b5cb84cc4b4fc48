"""Folds against scikit-learn's splitters: sizes, disjointness, fractions of the classes."""

import csv

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from xferlab.data.partition import fold_numbers
from xferlab.discovery import load_plugins
from xferlab.errors import ConfigError
from xferlab.registry import REGISTRY


@pytest.fixture(scope="module", autouse=True)
def _plugins(tmp_path_factory):
    load_plugins(tmp_path_factory.mktemp("nothing"))


@pytest.fixture
def path(tmp_path):
    """Return a file of 203 rows of three classes, 40 authors."""
    random = np.random.default_rng(0)
    with (tmp_path / "train.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label", "author"])
        for i in range(203):
            label = "abc"[int(random.choice(3, p=[0.6, 0.3, 0.1]))]
            writer.writerow([f"text {i}", label, f"author {random.integers(40)}"])
    return str(tmp_path / "train.csv")


def build(path, seed=0, **fields):
    return REGISTRY.create("data", {"name": "files", "train": path, **fields}).build(seed)


def table(folds, strata):
    return np.array([np.bincount(strata[folds == f], minlength=3) for f in range(folds.max() + 1)])


@pytest.mark.parametrize("folds", [2, 3, 5, 10])
def test_folds_are_as_even_as_those_of_scikit_learn(folds):
    strata = np.random.default_rng(folds).choice(3, 203, p=[0.6, 0.3, 0.1])
    own = table(fold_numbers(strata, folds, 0), strata)
    splitter = StratifiedKFold(folds, shuffle=True, random_state=0).split(strata, strata)
    theirs = np.array([np.bincount(strata[test], minlength=3) for _, test in splitter])
    for counts in (own, theirs):
        assert (np.ptp(counts, axis=0) <= 1).all()
        assert np.ptp(counts.sum(axis=1)) <= 1 or counts is theirs
    assert sorted(own.sum(axis=1)) == sorted(theirs.sum(axis=1))
    plain = np.bincount(fold_numbers(np.zeros(203, int), folds, 0))
    assert sorted(plain) == sorted([203 // folds + (i < 203 % folds) for i in range(folds)])


def spread(folds, strata):
    """Return the mean over classes of the spread of their fractions over the folds."""
    counts = table(folds, strata)
    return (counts / counts.sum(axis=0)).std(axis=0).mean()


def group_spreads(seed):
    """Return the spread of our folds and of scikit-learn's."""
    random = np.random.default_rng(seed)
    groups = random.integers(0, 60, 500)
    strata = random.choice(3, 500, p=[0.6, 0.3, 0.1])
    own = fold_numbers(strata, 5, seed, groups=groups)
    assert all(len(set(own[groups == g])) == 1 for g in set(groups.tolist()))
    theirs = np.empty(500, int)
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
    for fold, (_, test) in enumerate(splitter.split(strata, strata, groups)):
        theirs[test] = fold
    assert (own != fold_numbers(strata, 5, seed + 1, groups=groups)).any()
    return spread(own, strata), spread(theirs, strata)


def test_folds_of_groups_are_whole_and_as_even_as_those_of_scikit_learn():
    own, theirs = np.mean([group_spreads(seed) for seed in range(10)], axis=0)
    assert own <= 1.1 * theirs


def test_groups_in_their_given_order_are_distributed_as_by_scikit_learn(monkeypatch):
    monkeypatch.setattr("xferlab.data.partition.permutation", lambda count, *_: np.arange(count))
    random = np.random.default_rng(3)
    groups = np.sort(random.integers(0, 50, 400))
    strata = random.choice(3, 400, p=[0.5, 0.3, 0.2])
    theirs = np.empty(400, int)
    splitter = StratifiedGroupKFold(4).split(strata, strata, groups)
    for fold, (_, test) in enumerate(splitter):
        theirs[test] = fold
    assert (fold_numbers(strata, 4, 0, groups=groups) == theirs).all()


@pytest.mark.parametrize("group", [None, "author"])
def test_the_folds_of_a_seed_are_a_partition_of_the_training_rows(path, group):
    parts = [build(path, folds=5, fold=fold, group=group) for fold in range(5)]
    rows = np.concatenate([part.fold_rows for part in parts])
    assert sorted(rows) == list(range(203))
    for part in parts:
        assert [f"text {row}" for row in part.fold_rows] == list(part.test.texts)
        splits = [set(split.texts) for split in part.splits.values()]
        assert sum(map(len, splits)) == len(set().union(*splits)) == 203
        assert part.spec.train_size == len(part.train)
        if group:
            authors = [set(split.groups.tolist()) for split in part.splits.values()]
            assert sum(map(len, authors)) == len(set().union(*authors))
    again = build(path, folds=5, fold=2, group=group)
    assert again.test.digest == parts[2].test.digest
    assert build(path, 1, folds=5, fold=2, group=group).test.digest != again.test.digest


def test_a_given_test_split_is_not_used_and_a_limit_is_of_all_folds(path, tmp_path):
    other = tmp_path / "test.csv"
    other.write_text("text,label\nanother,a\n")
    data = build(path, test=str(other), folds=4, fold=0, limit={"train": 80})
    assert len(data.test) == 20
    assert len(data.train) + len(data.validation) == 60
    assert data.notes[0] == "the test split is a fold of train; the given test split is not used"
    reviews = REGISTRY.create("data", {"name": "reviews", "folds": 3, "fold": 0}).build(0)
    assert len(reviews.test) == 400


@pytest.mark.parametrize(
    ("fields", "what", "where"),
    [
        ({"folds": 30, "fold": 0}, "the class 'c' has 29 rows, fewer than data.folds=30", "folds"),
        (
            {"folds": 50, "fold": 0, "group": "author"},
            "train has 40 groups, fewer than data.folds=50",
            "folds",
        ),
        ({"folds": 5, "fold": 5}, "data.fold must be from 0 to 4, got 5", "fold"),
        ({"folds": 5, "fold": -1}, "data.fold must be from 0 to 4, got -1", "fold"),
        ({"fold": 0}, "data.fold=0 is given, and the number of folds is not", "fold"),
        ({"folds": 5}, "data.folds=5 is given, and the fold to test on is not", "fold"),
        ({"folds": 1, "fold": 0}, "data.folds must be 2 or more, got 1", "folds"),
    ],
)
def test_invalid_folds_are_refused_in_three_lines(path, fields, what, where):
    with pytest.raises(ConfigError) as caught:
        build(path, **fields)
    assert caught.value.what.startswith(what)
    assert caught.value.where == f"data.{where}"
    assert caught.value.fix


def test_two_folds_of_two_groups_leave_no_group_for_validation(tmp_path):
    path = tmp_path / "train.csv"
    rows = [f"text {i},{'ab'[i % 2]},author {i // 10}" for i in range(20)]
    path.write_text("\n".join(["text,label,author", *rows]))
    with pytest.raises(ConfigError) as caught:
        build(str(path), folds=2, fold=0, group="author")
    assert caught.value.what.startswith("train has one group")
    assert caught.value.where == "data.validation"
