"""Files and columns that are not there, or not alone: what is offered leads into no test set."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from xferlab.config.compose import compose_config, compose_experiment, publish
from xferlab.config.overrides import format_for_shell, parse_overrides
from xferlab.data.columns import missing_column, pair_of
from xferlab.data.paths import find_files, split_of
from xferlab.discovery import load_plugins
from xferlab.errors import ConfigError


def refusal(pattern, key="data.train"):
    with pytest.raises(ConfigError) as caught:
        find_files(str(pattern), key)
    return caught.value


def put(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("text,label\na,b\n")
    return folder


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.csv", "train"),
        ("Training-Set.tsv", "train"),
        ("dev.jsonl", "validation"),
        ("valid_matched.parquet", "validation"),
        ("val-00000-of-00001.parquet", "validation"),
        ("imdb_test.csv", "test"),
        ("test.train.csv", ""),
        ("latest.csv", ""),
        ("constraints.csv", ""),
        ("reviews.csv", ""),
    ],
)
def test_a_files_name_says_its_split(name, split):
    assert split_of(Path("test/train") / name) == split


def test_a_folder_of_splits_is_answered_with_each_split_in_its_place(tmp_path):
    folder = put(tmp_path / "my data", "train.csv", "dev.csv", "test.csv", "labels.txt")
    fix = refusal(folder).fix
    assert [word.value() for word in parse_overrides(shlex.split(fix))] == [
        f"{folder}/{name}.csv" for name in ("train", "dev", "test")
    ]
    assert shlex.split(refusal(folder, "data.test").fix) == [f"data.test={folder}/test.csv"]


@pytest.mark.parametrize(
    ("names", "key", "fix"),
    [
        (["a.csv", "b.csv"], "data.train", "data.train={folder}/*.csv"),
        (["a.csv"], "data.train", "data.train={folder}/a.csv"),
        (["test.csv"], "data.train", "name one of its files: test.csv"),
        (["a.csv", "test.csv"], "data.train", "name one of its files: a.csv, test.csv"),
        (["a.csv", "b.jsonl"], "data.train", "name one of its files: a.csv, b.jsonl"),
        (["train-0.csv", "train-1.csv"], "data.train", "data.train={folder}/train-*.csv"),
        (["train_a.csv", "train_b.csv"], "data.train", "name one of its files: train_a"),
        (["train.csv", "test.csv"], "--file", "name one of its files: test.csv, train.csv"),
        (["notes.md"], "data.train", "name a file; in {folder} there are: notes.md"),
        ([], "data.train", "name a file; in {folder} there are: no files"),
    ],
)
def test_a_folder_is_never_answered_with_files_of_other_splits(tmp_path, names, key, fix):
    folder = put(tmp_path / "set", *names)
    answer = refusal(folder, key).fix
    assert fix.format(folder=folder) in " ".join(shlex.split(answer))


def test_a_glob_over_several_splits_is_refused(tmp_path):
    folder = put(tmp_path, "train.csv", "validation.csv", "test.csv", "more.csv")
    error = refusal(folder / "*.csv")
    assert error.what == (
        f"{folder}/*.csv takes files of several splits together:"
        f" {folder}/train.csv and {folder}/validation.csv"
    )
    assert error.fix == (
        f"data.train={folder}/train.csv data.validation={folder}/validation.csv"
        f" data.test={folder}/test.csv"
    )
    assert refusal(folder / "*.csv", "data.test").fix == f"data.test={folder}/test.csv"
    assert len(find_files(f"{folder}/*r*.csv", "data.train")) == 2  # train.csv and more.csv


def test_a_glob_over_folders_of_several_splits_is_refused(tmp_path):
    for split in ("train", "test"):
        put(tmp_path / "test" / split, "rows.csv")
    assert "several splits together" in refusal(tmp_path / "test" / "*" / "*.csv").what
    assert len(find_files(f"{tmp_path}/test/train/*.csv", "data.train")) == 1
    put(tmp_path / "test" / "train", "train.csv")
    assert len(find_files(f"{tmp_path}/test/train/*.csv", "data.train")) == 2


def test_a_folder_of_folders_is_answered_with_each_split_in_its_place(tmp_path):
    put(tmp_path / "train", "a.csv", "b.csv")
    put(tmp_path / "test", "a.csv")
    assert (
        refusal(tmp_path).fix
        == f"'data.train={tmp_path}/train/*.csv' 'data.test={tmp_path}/test/*.csv'"
    )


@pytest.mark.parametrize(
    ("command", "there", "key", "fix"),
    [
        ("train.csv", ["test.csv"], "data.train", "there are: test.csv"),
        ("train.csv", ["test.csv", "train.tsv"], "data.train", "did you mean {folder}/train.tsv?"),
        ("test.csv", ["train.csv"], "data.test", "there are: train.csv"),
        ("dev.csv", ["validation.csv"], "data.validation", "there are: validation.csv"),
        ("trains.csv", ["test.csv", "train.csv"], "data.train", "mean {folder}/train.csv?"),
        ("tests.csv", ["test.csv"], "data.train", "there are: test.csv"),
        ("train.csv", ["test.csv"], "--file", "there are: test.csv"),
        ("rows.csv", ["row.csv"], "--file", "did you mean {folder}/row.csv?"),
    ],
)
def test_a_missing_file_is_never_answered_with_one_of_another_split(
    tmp_path, command, there, key, fix
):
    folder = put(tmp_path / "set", *there)
    assert refusal(folder / command, key).fix.endswith(fix.format(folder=folder))


@pytest.mark.parametrize(
    ("columns", "pair"),
    [
        (["text_a", "text_b", "label"], ("text_a", "text_b")),
        (["id", "sentence1", "sentence2"], ("sentence1", "sentence2")),
        (["question1", "question2"], ("question1", "question2")),
        (["Premise", "Hypothesis"], ("Premise", "Hypothesis")),
        (["text1", "text2"], ("text1", "text2")),
        (["s_left", "s_right"], ("s_left", "s_right")),
        (["sentence", "label"], None),
        (["text_b", "label"], None),
    ],
)
def test_two_texts_of_a_row_are_offered_together(columns, pair):
    assert pair_of(columns) == pair
    if pair:
        fix = missing_column("text", columns, "x.csv", "data.text").fix
        assert fix == f"if a row is two texts: data.text={pair[0]} data.pair={pair[1]}"


def test_a_column_to_paste_is_quoted_for_the_shell():
    fix = missing_column("txt", ["a text"], "x.csv", "data.text").fix
    assert fix == "did you mean 'data.text=a text'?"
    fix = missing_column("text", ["text;x"], "x.csv", "data.text").fix
    assert fix == "did you mean \"data.text='text;x'\"?"


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load_plugins(tmp_path)
    publish(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("word", "fix"),
    [
        ("data=train.csv", "data=files data.train=train.csv"),
        ("data=sets/train.parquet", "data=files data.train=sets/train.parquet"),
        ("data=./train.csv", "data=files data.train=./train.csv"),
        ("data='my train.csv'", "data=files 'data.train=my train.csv'"),
        ("data=stanfordnlp/imdb", "data=hub data.id=stanfordnlp/imdb"),
        ("data=sets", "data=files data.train=FILE, with a file of sets"),
        ("data=revews", "did you mean 'reviews'?"),
        ("data=[a.csv,b.csv]", "data=files data.train=a.csv; a glob names several files"),
    ],
)
def test_a_file_in_a_plugins_place_is_answered_with_both_words(workspace, word, fix):
    put(workspace / "sets")
    with pytest.raises(ConfigError) as caught:
        compose_experiment([word])
    assert fix in caught.value.fix


def test_a_list_of_files_is_answered_with_one(workspace):
    with pytest.raises(ConfigError) as caught:
        compose_experiment(["data=files", "data.train=[a.csv,b.csv]"])
    assert caught.value.fix == "give it one value: data.train=a.csv"


def test_a_byte_order_mark_in_a_config_changes_nothing(workspace):
    for name, mark in (("plain", ""), ("marked", "\ufeff")):
        text = f"{mark}# @package _global_\noptimizer:\n  lr: 1e-4\n"
        path = put(workspace / "conf" / "experiment") / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
    publish(workspace)
    plain, marked = (compose_config([f"experiment={name}"]) for name in ("plain", "marked"))
    assert marked.optimizer.lr == 1e-4
    assert {**marked, "hydra": None} == {**plain, "hydra": None}


@pytest.mark.parametrize(
    "value", [*";|,'\"$!~()#&* \\`<>?{}é=:", "\\t", "a b", "it's", " label", "a;b"]
)
def test_what_a_fix_says_to_type_is_read_by_a_shell_and_by_hydra_as_it_is_meant(value):
    (word,) = shlex.split(format_for_shell("data.separator", value))
    (override,) = parse_overrides([word])
    assert override.value() == value
    assert shlex.split(format_for_shell("--text", value)) == [f"--text={value}"]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_an_empty_path_is_refused(split, tmp_path):
    from xferlab.registry import REGISTRY

    (tmp_path / "rows.csv").write_text("text,label\na,x\nb,y\n")
    fields = {"train": str(tmp_path / "rows.csv"), split: ""}
    plugin = REGISTRY.create("data", {"name": "files", **fields})
    with pytest.raises(ConfigError, match="the path is empty") as caught:
        plugin.build(0)
    assert caught.value.where == f"data.{split}"
