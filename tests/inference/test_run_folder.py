"""A finished run's folder is enough: moved, its checkpoint gone; a bad one is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import xferlab
from tests.support.finished_runs import KINDS, train, write_rows
from xferlab.discovery import load_plugins
from xferlab.errors import ConfigError
from xferlab.inference.run_folder import read_folder
from xferlab.registry import REGISTRY
from xferlab.training.evaluation import scores


def columns(rows):
    pairs = [row["other"] for row in rows] if "other" in rows[0] else None
    return [row["text"] for row in rows], pairs


def labels_of(run, rows, outputs):
    """Return labels and outputs as training scores them."""
    kind = run.spec.task.name
    names = list(run.spec.class_names)
    given = [row["label"] for row in rows]
    if kind == "single_label":
        return np.array([names.index(label) for label in given], "int32"), outputs
    if kind == "regression":
        return np.array(given, "float32"), outputs
    if kind == "multi_label":
        return np.array([[n in label for n in names] for label in given], "float32"), outputs
    overrides = [
        (names.index(t), o)
        for tags, out in zip(given, outputs, strict=True)
        for t, o in zip(tags, out, strict=True)
    ]
    return np.array([[w[0] for w in overrides]], "int32"), np.array([[w[1] for w in overrides]])


@pytest.mark.parametrize("kind", KINDS)
def test_a_moved_run_gives_the_scores_that_it_had(runs, rows, kind):
    run = xferlab.load(runs[kind])
    outputs = run.outputs(*columns(rows[kind]))
    labels, outputs = labels_of(run, rows[kind], outputs)
    own = json.loads((runs[kind] / "metrics.json").read_text())["test"]
    recipe = run.recipe
    if kind == "tags":  # entity F1 is over rows; here all words are one
        assert scores(recipe.loss.build(run.spec), {}, labels, outputs)["loss"] == pytest.approx(
            own["loss"], rel=1e-5
        )
        return
    metrics = {name: metric.build(run.spec) for name, metric in recipe.metrics.items()}
    assert scores(recipe.loss.build(run.spec), metrics, labels, outputs) == pytest.approx(
        own, rel=1e-5
    )


def test_a_low_rank_addition_is_folded_into_plain_weights(runs):
    model = xferlab.load(runs["plain"]).model
    assert not [w.path for w in model.network.weights if "lora" in w.path]
    saved = (runs["plain"] / "checkpoints" / "last.safetensors").read_bytes()
    assert b"lora_kernel_b" in saved


def test_probabilities_sum_to_one_and_name_the_label(runs):
    run = xferlab.load(runs["plain"])
    predictions = run.predict(["the good film was good", "the bad film was bad"])
    assert predictions.probabilities.sum(axis=1) == pytest.approx([1, 1])
    assert predictions.labels == ["pos", "neg"]
    assert list(predictions[0]) == ["text", "label", "p_neg", "p_pos"]
    assert "the good film was good  pos" in str(predictions)


def test_several_labels_are_each_likely_on_their_own(runs):
    (row,) = xferlab.load(runs["several"]).predict(["the good film was good"]).rows()
    assert row["labels"] == [n for n in ("film", "neg", "pos") if row[f"p_{n}"] >= 0.5]
    assert "film" in row["labels"]


def test_every_word_has_a_tag_and_a_word_beyond_the_length_has_none(runs):
    run = xferlab.load(runs["tags"])
    short, long = run.predict([["the", "good", "film"], ["good"] * 500])
    assert short["words"] == ["the", "good", "film"]
    assert short["tags"] == ["O", "B-X", "O"]
    assert len(long["tags"]) == 500
    assert long["tags"][0] is not None
    assert long["tags"][-1] is None
    assert run.predict(["the good film"])[0]["tags"] == short["tags"]


def test_no_rows_are_no_predictions(runs):
    for kind in ("plain", "tags"):
        assert list(xferlab.load(runs[kind]).predict([]).rows()) == []


def test_rows_that_cannot_be_asked_about_are_named(runs):
    run = xferlab.load(runs["plain"])
    of_pairs = xferlab.load(runs["pairs"])
    for call, text in (
        (lambda: run.outputs("a text"), "texts is one string"),
        (lambda: run.outputs(["a", None]), "row 2 has no text"),
        (lambda: run.outputs(["a", 7]), "row 2 is no text but int"),
        (lambda: run.outputs(["a\ud800"]), "row 1 has half a surrogate pair"),
        (lambda: run.outputs(["a"], ["b"]), "without pairs"),
        (lambda: of_pairs.outputs(["a"]), "trained on pairs"),
        (lambda: of_pairs.outputs(["a"], ["b", "c"]), "1 texts and 2 pairs"),
    ):
        with pytest.raises(ConfigError, match=text):
            call()


@pytest.fixture
def bad(runs, tmp_path):
    return Path(shutil.copytree(runs["several"], tmp_path / "bad"))


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def spoil_task(folder, **values):
    task = json.loads((folder / "run.json").read_text())["task"]
    change(folder / "run.json", task=task | values)


def flip(path):
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))


def outside(path):
    shutil.copy(path, path.parents[2] / "theirs")
    path.unlink()
    path.symlink_to(path.parents[2] / "theirs")


BAD_FOLDERS = {
    "no folder": (shutil.rmtree, "there is no folder"),
    "a file": (
        lambda f: [shutil.rmtree(f), f.write_text("")],
        "this is a file, and a run is a folder",
    ),
    "an empty folder": (lambda f: [shutil.rmtree(f), f.mkdir()], "there is no run in this folder"),
    "no metrics": (lambda f: (f / "metrics.json").unlink(), "there is no metrics.json"),
    "no weights": (lambda f: shutil.rmtree(f / "checkpoints"), "safetensors is missing"),
    "torn weights": (
        lambda f: [p.write_bytes(p.read_bytes()[:-5]) for p in f.glob("checkpoints/*")],
        "torn or damaged: .* file not fully covered",
    ),
    "one bit of the weights": (
        lambda f: [flip(p) for p in f.glob("checkpoints/*")],
        "safetensors is damaged",
    ),
    "one bit of the tokenizer": (lambda f: flip(f / "model/vocab.txt"), "vocab.txt is damaged"),
    "a file that was added": (
        lambda f: (f / "model/pytorch_model.bin").write_bytes(b""),
        "does not list the file model/",
    ),
    "a link that leads out": (lambda f: outside(f / "model/vocab.txt"), "leads out of the run's"),
    "broken JSON": (lambda f: (f / "run.json").write_text("{"), "it is not JSON"),
    "deep JSON": (lambda f: (f / "run.json").write_text("[" * 100_000), "it is too deep"),
    "a list": (lambda f: (f / "run.json").write_text("[]"), "it is a list, not a table"),
    "an older format": (
        lambda f: change(f / "run.json", format=0),
        "an older xferlab wrote this run's folder",
    ),
    "a newer format": (
        lambda f: change(f / "run.json", format=3),
        "a newer xferlab wrote this run's folder",
    ),
    "a format that is none": (lambda f: change(f / "run.json", format="x"), "format is 'x'"),
    "no task": (lambda f: change(f / "run.json", task={}), "it has no 'task.task'"),
    "another task": (lambda f: spoil_task(f, task="poetry"), "there is no task 'poetry'"),
    "interrupted": (
        lambda f: change(f / "status.json", status="interrupted"),
        "has not finished .interrupted",
    ),
    "code": (
        lambda f: (f / "config.yaml").write_text("model: !!python/name:os.system"),
        "uses a tag",
    ),
}


@pytest.mark.parametrize("name", BAD_FOLDERS)
def test_a_bad_folder_is_refused_before_tensorflow_is_needed(bad, name, monkeypatch):
    def refuse():
        raise AssertionError("the backend was imported")

    monkeypatch.setattr("xferlab.inference.run.import_backend", refuse)
    spoil, text = BAD_FOLDERS[name]
    spoil(bad)
    with pytest.raises(ConfigError, match=text) as caught:
        xferlab.load(bad)
    assert len(str(caught.value).splitlines()) == 3


def test_weights_of_another_network_are_refused(bad, runs):
    other = json.loads((runs["pairs"] / "metrics.json").read_text())
    for name in ("best", "last"):
        path = f"checkpoints/{name}.safetensors"
        (bad / path).write_bytes((runs["pairs"] / path).read_bytes())
    change(bad / "metrics.json", sha256=other["sha256"])
    with pytest.raises(
        ConfigError, match=r"of another network: '.*head.*' is 8x2 in the file and 8x3"
    ):
        xferlab.load(bad).model  # noqa: B018 - built here


def test_a_plugin_that_is_not_here_is_named_with_where_it_was(bad):
    text = (bad / "config.yaml").read_text().replace("name: bag_of_embeddings", "name: mine")
    (bad / "config.yaml").write_text(text)
    change(bad / "run.json", plugins={"model=mine": "mine.py:3 (mine-plugins 1.2)"})
    with pytest.raises(ConfigError) as caught:
        xferlab.load(bad)
    assert str(caught.value).splitlines() == [
        " error: there is no model named 'mine'",
        " where: model=mine",
        "   fix: install the plugin, or name its folder, plugins.paths=[DIR]: it came from"
        " mine.py:3 (mine-plugins 1.2) at training",
    ]


def test_a_run_that_is_at_work_is_told_from_one_that_was_cut_off(bad):
    from xferlab.runs.lock import locked

    change(bad / "status.json", status="running")
    with pytest.raises(ConfigError, match=r"has not finished .running"):
        xferlab.load(bad)
    with locked(bad), pytest.raises(ConfigError, match="still running"):
        xferlab.load(bad)


@pytest.fixture(scope="module")
def second(runs, tmp_path_factory):
    """Return a run of another task that started from the first one's weights, which is gone."""
    there = tmp_path_factory.mktemp("second")
    write_rows(there)
    first = shutil.copytree(runs["plain"], there / "first")
    run = train(there, "values", "model=from_run", f"model.run={first}", "optimizer.lr=1e-30")
    shutil.rmtree(first)
    return run


def test_a_run_starts_from_an_earlier_ones_weights_with_a_fresh_head(runs, second):
    first = xferlab.load(runs["plain"])
    run = xferlab.load(second)
    record = run.record["checkpoint"]
    assert record["sha256"] == {first.content.weights.name: first.content.digest}
    assert record["before"] == first.record["checkpoint"]
    old = first.model.network
    new = run.model.network
    for block in list(first.model.blocks)[:-1]:
        for layer in first.model.blocks[block]:
            for a, b in zip(
                old.get_layer(layer).weights, new.get_layer(layer).weights, strict=True
            ):
                np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6)
    assert new.get_layer("head").kernel.shape == (16, 1)
    assert run.outputs(["the good film"]).shape == (1, 1)


def test_the_run_id_knows_the_weights_not_the_place(runs, tmp_path):
    from xferlab.config.recipe import identity

    copy = shutil.copytree(runs["plain"], tmp_path / "copy")

    def key(folder):
        return identity({"model": {"name": "from_run", "run": str(folder)}})["model.run"]

    assert key(copy) == key(runs["plain"]) == xferlab.load(copy).content.digest
    assert key(runs["tags"]) != key(copy)
    assert key(tmp_path / "no") == str(tmp_path / "no")


def test_a_head_is_kept_where_the_classes_are_the_same(runs, second):
    from xferlab.inference.warm_start import start_from

    run = xferlab.load(runs["plain"])
    other = xferlab.load(second)
    started = start_from(run, run.spec, keep_head=True)
    fresh = start_from(run, run.spec, keep_head=False)
    head = run.model.network.get_layer("head").kernel.numpy()
    assert (started.network.get_layer("head").kernel.numpy() == head).all()
    assert (fresh.network.get_layer("head").kernel.numpy() != head).any()
    assert start_from(other, other.spec, keep_head=True).files.keys() >= {"from_run.json"}
    with pytest.raises(ConfigError, match="single_label of neg, pos, not regression of a number"):
        start_from(run, other.spec, keep_head=True)


def test_a_run_to_start_from_that_is_not_there_is_told_before_tensorflow(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load_plugins(tmp_path)
    with pytest.raises(ConfigError) as caught:
        REGISTRY.create("model", {"name": "from_run", "run": "no"}).fetch()
    assert str(caught.value).startswith(
        " error: there is no folder no\n where: model.run=no (RUN)\n"
    )


def test_weights_that_were_not_kept_are_three_lines(runs, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(runs["plain"], folder)
    scored = json.loads((folder / "metrics.json").read_text())["weights"]
    other = {"best": "last", "last": "best"}[scored]
    (folder / "checkpoints" / f"{other}.safetensors").unlink()
    assert read_folder(folder).weights.stem == scored
    with pytest.raises(ConfigError) as caught:
        read_folder(folder, other)
    why = "a sweep keeps both in its best job alone"
    assert caught.value.what == f"the {other} weights of this run were not kept: {why}"
    assert caught.value.fix == (
        f"weights={scored} loads the others; or train it again with train.keep={other}, or both"
    )
    config = folder / "config.yaml"
    text = config.read_text()
    assert "keep: null" in text
    config.write_text(text.replace("keep: null", f"keep: {scored}"))
    with pytest.raises(ConfigError, match=f"were not kept: train.keep={scored}"):
        read_folder(folder, other)
    (folder / "checkpoints" / f"{scored}.safetensors").unlink()
    with pytest.raises(ConfigError, match="is missing in this run's folder"):
        read_folder(folder)  # that file is lost, not left out
    config.write_text(text.replace("keep: null", "keep: none"))
    with pytest.raises(ConfigError) as caught:
        read_folder(folder)
    assert caught.value.what.endswith("were not kept: train.keep=none")
    assert caught.value.fix == f"train it again with train.keep={scored}, or both"
