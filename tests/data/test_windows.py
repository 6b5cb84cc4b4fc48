"""Long texts in windows: their tokens as transformers makes them, their outputs merged by hand."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

import xferlab
from tests.support.finished_runs import train, write_rows
from tests.support.tiny_checkpoints import write_tiny_checkpoint
from tests.support.tiny_experiments import WORDS, experiment_of, write_examples
from xferlab import ConfigError, Split, Task, TaskSpec
from xferlab.cli.main import main
from xferlab.config.compose import compose_experiment
from xferlab.data import token_cache as module
from xferlab.data.batching import begins_word
from xferlab.data.token_cache import encode_split
from xferlab.data.tokenizer import load_tokenizer
from xferlab.data.windows import WordWindows, encode_windows, merge_windows, word_ids_of
from xferlab.models.checkpoint import resolve

LENGTH = 10
OVERLAP = 3


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("windows")
    write_examples(folder)
    for name in ("train", "validation"):
        header, *rows = (folder / f"{name}.csv").read_text().splitlines()
        others = [row.partition(",")[0] for row in reversed(rows)]
        lines = [f"{row},{other} {other}" for row, other in zip(rows, others, strict=True)]
        (folder / f"{name}.csv").write_text("\n".join([f"{header},other", *lines]) + "\n")
    return folder


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(resolve("bundled:bert", weights=False).folder)


def long_texts(count=6):
    random = np.random.default_rng(0)
    return [" ".join(random.choice(WORDS, size=4 + 7 * i)) for i in range(count)]


def spec_of(task=Task.single_label, length=LENGTH, windows=OVERLAP):
    return TaskSpec(task, ("x", "y"), 9, length, windows=windows)


def test_windows_are_those_of_transformers(tokenizer):
    texts = [*long_texts(), ""]
    found = encode_windows(tokenizer, texts, None, spec_of())
    library = tokenizer._tokenizer(
        texts,
        truncation=True,
        max_length=LENGTH,
        stride=OVERLAP,
        return_overflowing_tokens=True,
    )
    assert [list(ids) for ids in found.token_ids] == library["input_ids"]
    assert found.owners.tolist() == library["overflow_to_sample_mapping"]
    assert max(found.token_ids.lengths) == LENGTH
    assert set(found.owners) == set(range(len(texts)))


PAIRS = [
    ("good film", " ".join(WORDS[:3] * 9)),
    ("good", "bad"),
    ("", " ".join(WORDS * 5)),
    ("not a good film", ""),
    (" ".join(WORDS[:4]), " ".join(WORDS * 3)),
]


def test_windows_of_pairs_are_those_of_transformers(tokenizer):
    texts, others = (list(each) for each in zip(*PAIRS, strict=True))
    found = encode_windows(tokenizer, texts, others, spec_of(length=14))
    library = tokenizer._tokenizer(
        texts,
        others,
        truncation="only_second",
        max_length=14,
        stride=OVERLAP,
        return_overflowing_tokens=True,
    )
    assert [list(ids) for ids in found.token_ids] == library["input_ids"]
    assert [list(ids) for ids in found.segment_ids] == library["token_type_ids"]
    assert found.owners.tolist() == library["overflow_to_sample_mapping"]
    assert len(found.owners) > len(PAIRS) + 3


def test_a_long_first_text_leaves_the_second_half_of_a_window(tokenizer):
    many = " ".join(WORDS * 4)
    spec = spec_of(length=15)  # room for twelve tokens, six of each text
    found = encode_windows(tokenizer, [many], [many], spec)
    first = tokenizer.encode([many], None, 8).token_ids[0][1:-1]  # six tokens
    second = tokenizer.encode([many], None, 500).token_ids[0][1:-1]
    parts = []
    for ids, segments in zip(found.token_ids, found.segment_ids, strict=True):
        assert list(ids[1:7]) == list(first)
        parts.append(list(ids[segments == 1][:-1]))
    wanted = []
    for start in range(0, len(second), 6 - OVERLAP):
        wanted.append(list(second[start : start + 6]))
        if start + 6 >= len(second):
            break
    assert parts == wanted
    # a short second text is whole, and the first is cut as without windows
    found = encode_windows(tokenizer, [many], ["bad film"], spec)
    plain = tokenizer.encode([many], ["bad film"], 15)
    assert [list(ids) for ids in found.token_ids] == [list(ids) for ids in plain.token_ids]


def test_windows_are_cached_under_their_overlap(tokenizer, tmp_path, monkeypatch):
    texts, others = (list(each) for each in zip(*PAIRS, strict=True))
    split = Split(texts, np.zeros(len(texts), "int32"), others)
    made = [encode_split(tokenizer, split, spec_of(length=14, windows=n), tmp_path) for n in (2, 3)]
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr(module, "encode_windows", lambda *_: pytest.fail("tokenised again"))
    for overlap, wanted in zip((2, 3), made, strict=True):
        found = encode_split(tokenizer, split, spec_of(length=14, windows=overlap), tmp_path)
        assert isinstance(found.token_ids.flat, np.memmap)
        np.testing.assert_array_equal(found.owners, wanted.owners)
        for one, other in zip(found.token_ids, wanted.token_ids, strict=True):
            np.testing.assert_array_equal(one, other)
    assert len(made[0].owners) != len(made[1].owners)


def test_every_word_begins_in_a_window_and_no_window_begins_within_one(tokenizer):
    words = ["unbelievably", "film", "internationalisation", "good"] * 6
    found = encode_windows(tokenizer, [words], None, spec_of(Task.token_classification))
    whole = tokenizer.encode([words], None, 500)
    starts = begins_word(np.array(whole.word_ids[0]))
    firsts = dict(zip(whole.word_ids[0][starts], whole.token_ids[0][starts], strict=True))
    seen = set()
    for ids, owned in zip(found.token_ids, found.word_ids, strict=True):
        for token, word in zip(ids[begins_word(owned)], owned[begins_word(owned)], strict=True):
            assert token == firsts[word]
            seen.add(int(word))
    assert seen == set(range(len(words)))
    assert word_ids_of([[None, 0, 1, 1, None], [None, 1, 2, None]], 2) == [
        [-1, 0, 1, 1, -1],
        [-1, -1, 2, -1],
    ]


def test_outputs_of_a_text_are_the_mean_of_its_windows():
    random = np.random.default_rng(0)
    outputs = random.normal(size=(6, 2)).astype("float32")
    owners = np.array([0, 1, 1, 1, 2, 2])
    found = merge_windows(outputs, owners, 3)
    np.testing.assert_array_equal(found[0], outputs[0])
    np.testing.assert_allclose(found[1], outputs[1:4].mean(0), rtol=1e-6)
    np.testing.assert_allclose(found[2], outputs[4:].mean(0), rtol=1e-6)


def test_a_word_is_of_the_window_with_the_most_context():
    # one text of ten words in windows of six, without special tokens: 0-5, 4-9
    windows = [np.arange(0, 6), np.arange(4, 10)]
    for order in ((0, 1), (1, 0)):
        choose = WordWindows(np.zeros(2, int))
        source = {}
        for row in order:
            _, positions = choose.choose(row, windows[row], np.arange(6))
            source |= {int(windows[row][p]): row for p in positions}
        # word 4 has one token to its right in window 0, none to its left in window 1
        assert source == {**dict.fromkeys(range(5), 0), **dict.fromkeys(range(5, 10), 1)}


def test_where_everything_fits_nothing_changes(workspace):
    plain = experiment_of(workspace)
    windowed = experiment_of(workspace, "data.windows=4")
    for split in ("train", "validation"):
        one, other = (each.encodings[split] for each in (plain, windowed))
        assert [list(ids) for ids in one.token_ids] == [list(ids) for ids in other.token_ids]
    np.testing.assert_array_equal(plain.train.labels, windowed.train.labels)
    assert plain.total_batches == windowed.total_batches
    labels, outputs = windowed.outputs("validation")
    np.testing.assert_array_equal(labels, plain.outputs("validation")[0])
    np.testing.assert_array_equal(outputs, plain.outputs("validation")[1])
    assert windowed.evaluate("validation") == plain.evaluate("validation")


@pytest.mark.parametrize(
    "overrides", [["data.max_length=8"], ["data.max_length=12", "data.pair=other"]]
)
def test_scores_are_of_whole_texts_and_training_examples_are_windows(workspace, overrides):
    experiment = experiment_of(workspace, *overrides, "data.windows=2")
    train_windows = experiment.encodings["train"].owners
    assert len(train_windows) > len(experiment.data.train) == 40
    np.testing.assert_array_equal(
        experiment.train.labels, experiment.data.train.labels[train_windows]
    )
    labels, outputs = experiment.outputs("validation")
    assert len(labels) == len(outputs) == 40
    encoding = experiment.encodings["validation"]
    network = experiment.model.network
    by_hand = [[] for _ in labels]
    for ids, owner in zip(encoding.token_ids, encoding.owners, strict=True):
        row = {"token_ids": ids[None], "padding_mask": np.ones((1, len(ids)), "int32")}
        inputs = {name: row[name] for name in network.input}
        by_hand[owner].append(np.asarray(network(inputs, training=False))[0])
    wanted = np.array([np.mean(each, axis=0) for each in by_hand])
    np.testing.assert_allclose(outputs, wanted, atol=1e-5)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a folder with a run of tags in windows."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XFERLAB_CACHE", str(folder / "cache"))
        write_rows(folder)
        write_tiny_checkpoint(folder / "encoder", "bert", layers=1)
        model = ["model=encoder", f"model.checkpoint={folder / 'encoder'}", "train.epochs=1"]
        train(folder, "tags", *model, "data.max_length=8", "data.windows=2")
        yield folder


def test_a_run_tags_every_word_of_long_texts(home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    metrics = json.loads((home / "run-tags" / "metrics.json").read_text())
    assert "unseen_words" not in metrics
    assert main(["evaluate", "run-tags"]) == 0
    found = json.loads((home / "run-tags" / "evaluations" / "test" / "metrics.json").read_text())
    for name, value in metrics["test"].items():
        assert found["scores"][name]["value"] == pytest.approx(value, abs=1e-6)
    run = xferlab.load("run-tags")
    assert run.spec.windows == 2
    words = [
        "the",
        "good",
        "film",
        "was",
        "bad",
        "and",
        "the",
        "poor",
        "film",
        "was",
        "fine",
        "and",
        "not",
        "bad",
    ]
    assert None not in run.predict([words]).labels[0]
    assert len(run.outputs([words])[0]) == len(words)
    # a short text has the outputs of its one window
    short = run.outputs([words[:3]])[0]
    ids = run.model.tokenizer.encode([words[:3]], None, 8)
    first = np.flatnonzero(begins_word(np.array(ids.word_ids[0])))
    row = {
        "token_ids": np.array(ids.token_ids[0])[None],
        "segment_ids": np.array(ids.segment_ids[0])[None],
        "padding_mask": np.ones((1, len(ids.token_ids[0])), "int32"),
    }
    inputs = {name: row[name] for name in run.model.network.input}
    direct = np.asarray(run.model.network(inputs, training=False))[0][first]
    np.testing.assert_allclose(short, direct, atol=1e-5)


@pytest.mark.slow
def test_a_run_reads_long_pairs_later_as_in_training(home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    model = ["model=bag_of_embeddings", "model.width=4", "train.epochs=1"]
    run = train(home, "pairs", *model, "data.max_length=10", "data.windows=1")
    scores = json.loads((run / "metrics.json").read_text())["test"]
    assert main(["evaluate", str(run)]) == 0
    found = json.loads((run / "evaluations" / "test" / "metrics.json").read_text())["scores"]
    for name, value in scores.items():
        assert found[name]["value"] == pytest.approx(value, abs=1e-6)
    loaded = xferlab.load(run)
    long = " ".join(WORDS * 2)
    encoding = encode_windows(loaded.model.tokenizer, ["a film"], [long], loaded.spec)
    each = []
    for ids, segments in zip(encoding.token_ids, encoding.segment_ids, strict=True):
        row = {"token_ids": ids[None], "segment_ids": segments[None]}
        row["padding_mask"] = np.ones((1, len(ids)), "int32")
        inputs = {name: row[name] for name in loaded.model.network.input}
        each.append(np.asarray(loaded.model.network(inputs, training=False))[0])
    assert len(each) > 2
    np.testing.assert_allclose(loaded.outputs(["a film"], [long])[0], np.mean(each, 0), atol=1e-5)


BAD = {
    "windows=16": "an overlap of 16 tokens is no less than a window of 16",
    "windows=-1": "windows overlap by 0 tokens or more, got -1",
}


@pytest.mark.parametrize("override", BAD)
def test_a_window_without_new_tokens_is_refused(workspace, override):
    files = [f"data.{name}={workspace}/{name}.csv" for name in ("train", "validation")]
    overrides = ["data=files", *files, "model=bag_of_embeddings", "data.max_length=16"]
    with pytest.raises(ConfigError, match=BAD[override]):
        compose_experiment([*overrides, f"data.{override}"])
    plain = compose_experiment(overrides).recipe.run_id
    assert compose_experiment([*overrides, "data.windows=null"]).recipe.run_id == plain
    assert compose_experiment([*overrides, "data.windows=4"]).recipe.run_id != plain


def test_check_finds_windows_that_special_tokens_fill(workspace, capsys):
    files = [f"data.{name}={workspace}/{name}.csv" for name in ("train", "validation")]
    overrides = ["data=files", *files, "model=bert", "data.max_length=16", "data.windows=14"]
    assert main(["check", *overrides]) == 2
    assert "an overlap of 14 tokens leaves no new one" in capsys.readouterr().err
    assert main(["check", *overrides[:-1], "data.windows=13"]) == 0


def test_special_tokens_leave_room_for_new_ones(tokenizer):
    with pytest.raises(ConfigError) as caught:
        encode_windows(tokenizer, ["a"], None, spec_of(length=10, windows=8))
    assert str(caught.value).splitlines() == [
        " error: an overlap of 8 tokens leaves no new one in a window of 10, as 2 are special",
        " where: data.windows",
        "   fix: data.windows=2, or data.max_length larger",
    ]
    with pytest.raises(ConfigError) as caught:
        encode_windows(tokenizer, ["a"], ["b"], spec_of(length=13, windows=5))
    assert caught.value.what == (
        "an overlap of 5 tokens may leave no new one in a window of 13: 3 are special, and 5 may be"
        " of the first text"
    )
    encode_windows(tokenizer, ["a"], ["b"], spec_of(length=13, windows=4))
    single = SimpleNamespace(windows=lambda texts, max_length, overlap: iter([]))
    with pytest.raises(ConfigError, match="cannot make windows of pairs"):
        encode_windows(single, ["a"], ["b"], spec_of())
    with pytest.raises(ConfigError, match="cannot make windows"):
        encode_windows(object(), ["a"], None, spec_of())
