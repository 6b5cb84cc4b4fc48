"""Runs combined into one: by hand from the members, and as a run folder like any other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file, save_file
from scipy.special import expit, logit, softmax
from scipy.stats import mode

import xferlab
from tests.support.finished_runs import train, write_rows
from xferlab import OutputKind, Task, TaskSpec
from xferlab.cli.main import main
from xferlab.functional.combination import combine_outputs
from xferlab.inference.ensemble import Ensemble, _filled
from xferlab.io.atomic import sha256_of
from xferlab.report.comparison import compare, describe_result
from xferlab.report.settings import read_reports

SEEDS = (1, 2, 3)
MODEL = ["model=bag_of_embeddings", "model.width=4", "train.epochs=1", "postprocess=temperature"]
GRAPHS = ["saved_model", "litert", "litert_int8", "onnx", "onnx_int8", "saved_model_text"]
RUNS = [f"run-{seed}" for seed in SEEDS]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a folder with three runs and what they are combined into."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XFERLAB_CACHE", str(folder / "cache"))
        patch.chdir(folder)
        write_rows(folder)
        train(folder, "plain", *MODEL, "seed=1", "optimizer.lr=3e-3").rename(folder / "run-1")
        for seed in SEEDS[1:]:
            another_run(folder / "run-1", folder / f"run-{seed}", seed)
        for how in ("average", "vote", "soup"):
            assert main(["combine", *RUNS, "--how", how, "--output", how]) == 0
        yield folder


def another_run(run, folder, seed, noise=0.3):
    """Copy a run, with other weights, as if it had been trained with another seed."""
    shutil.copytree(run, folder)
    random = np.random.default_rng(seed)
    metrics = read(folder / "metrics.json")
    path = folder / "checkpoints" / f"{metrics['weights']}.safetensors"
    arrays = load_file(path)
    path.unlink()
    changed = {
        k: (v + noise * random.normal(size=v.shape)).astype(v.dtype) for k, v in arrays.items()
    }
    save_file(changed, path)
    metrics["sha256"][path.name] = sha256_of(path)
    (folder / "metrics.json").write_text(json.dumps(metrics))
    config = (folder / "config.yaml").read_text().replace("seed: 1", f"seed: {seed}")
    (folder / "config.yaml").write_text(config)


@pytest.fixture
def here(home, monkeypatch):
    monkeypatch.chdir(home)
    return home


def texts_of(home):
    return [json.loads(line)["text"] for line in (home / "plain.jsonl").read_text().splitlines()]


def read(path):
    return json.loads(path.read_text())


def test_an_average_is_the_mean_of_the_members_probabilities(here):
    texts = texts_of(here)
    members = [softmax(xferlab.load(run).outputs(texts), axis=-1) for run in RUNS]
    combined = xferlab.load("average")
    assert isinstance(combined, Ensemble)
    found = softmax(combined.outputs(texts), axis=-1)
    np.testing.assert_allclose(found, np.mean(members, axis=0), atol=1e-6)
    # its postprocess is fitted to its own validation outputs, and those of its members are not used
    fitted = read(here / "average" / "postprocess.json")
    digest = read(here / "average" / "metrics.json")["sha256"]["combine.json"]
    assert fitted["fitted_on"]["weights"] == digest
    temperature = np.float32(fitted["steps"][0]["parameters"]["temperature"]["values"])
    after = softmax(combined.outputs(texts) / temperature, axis=-1)
    np.testing.assert_allclose(combined.predict(texts).probabilities, after, atol=1e-6)
    # one graph computes what the members do one by one
    ids = combined.model.tokenizer.encode(texts, None, combined.spec.max_length).token_ids
    row = {"token_ids": ids[0][None], "padding_mask": np.ones((1, len(ids[0])), "int32")}
    inputs = {name: row[name] for name in combined.model.network.input}
    graph = np.asarray(combined.model.network(inputs, training=False))
    np.testing.assert_allclose(graph[0], combined.outputs(texts)[0], atol=1e-5)


def test_a_vote_is_what_most_members_predict(here):
    texts = texts_of(here)
    predicted = [xferlab.load(run).outputs(texts).argmax(1) for run in RUNS]
    found = xferlab.load("vote").outputs(texts).argmax(1)
    np.testing.assert_array_equal(found, mode(predicted).mode)


def accuracy_of(run, arrays, texts, labels):
    for variable, array in zip(run.model.network.weights, arrays, strict=True):
        variable.assign(array)
    return (run.outputs(texts).argmax(1) == labels).mean()


def test_a_soup_is_the_mean_of_the_weights_that_improve_validation(here):
    texts = texts_of(here)
    rows = [json.loads(line) for line in (here / "plain.jsonl").read_text().splitlines()]
    run = xferlab.load(RUNS[0])
    labels = [run.spec.class_names.index(row["label"]) for row in rows]
    files = [load_file(xferlab.load(name).content.weights) for name in RUNS]
    sets = [[each[name] for name in sorted(each)] for each in files]
    # the greedy recipe by hand; validation and test have the same texts here
    alone = [accuracy_of(run, each, texts, labels) for each in sets]
    order = sorted(range(3), key=lambda i: (-alone[i], i))
    chosen = order[:1]
    best = alone[order[0]]
    for i in order[1:]:
        mean = [
            np.mean(each, axis=0) for each in zip(*(sets[j] for j in [*chosen, i]), strict=True)
        ]
        score = accuracy_of(run, mean, texts, labels)
        if score >= best:
            chosen.append(i)
            best = score
    record = read(here / "soup" / "combine.json")
    assert [m["used"] for m in record["members"]] == [i in chosen for i in range(3)]
    assert [m["validation"] for m in record["members"]] == pytest.approx(alone)
    soup = load_file(here / "soup" / "checkpoints" / "best.safetensors")
    for name, array in soup.items():
        position = sorted(soup).index(name)
        wanted = np.mean([sets[i][position] for i in chosen], axis=0)
        np.testing.assert_allclose(array, wanted, atol=1e-7)
    metrics = read(here / "soup" / "metrics.json")
    assert metrics["validation"]["accuracy"] == pytest.approx(best)
    assert metrics["validation"]["accuracy"] >= max(alone) - 1e-6
    uniform = xferlab.combine(RUNS, "soup", output="uniform", soup="uniform")
    every = load_file(uniform.content.weights)
    for position, name in enumerate(sorted(every)):
        np.testing.assert_allclose(every[name], np.mean([s[position] for s in sets], 0), atol=1e-7)


def test_a_soup_of_one_run_says_which_and_ties_with_it(here, tmp_path, caplog):
    other = tmp_path / "other"
    another_run(here / "run-1", other, 8, noise=9.0)
    soup = xferlab.combine([other, "run-1"], "soup", output=tmp_path / "soup")
    assert [m["used"] for m in read(tmp_path / "soup" / "combine.json")["members"]] == [False, True]
    assert soup.config["combine"] == "soup of 1 (run-1)"
    assert "as good as that of run-1 alone: the soup is this run again" in caplog.text
    one = load_file(xferlab.load("run-1").content.weights)
    two = load_file(soup.content.weights)
    for name, other_name in zip(sorted(one), sorted(two), strict=True):
        np.testing.assert_array_equal(two[other_name], one[name])
    (report,) = read_reports([tmp_path / "soup", Path("run-1")])
    (compared,) = compare(report).others
    assert describe_result(compared, "max").startswith("the scores are the same on every resample")


def test_a_report_gives_a_combination_no_value_in_which_its_runs_differ(here, tmp_path):
    other = tmp_path / "other"
    another_run(here / "run-1", other, 8, noise=9.0)
    path = other / "config.yaml"
    path.write_text(path.read_text().replace("lr: 0.003", "lr: 0.5"))
    assert yaml.safe_load(path.read_text())["optimizer"]["lr"] == 0.5
    xferlab.combine([other, "run-1"], output=tmp_path / "average")
    assert set(read(tmp_path / "average" / "combine.json")["differ"]) == {"seed", "optimizer.lr"}
    (report,) = read_reports([tmp_path / "average", other, here / "run-1"])
    rates = {each.values["combine"]: each.values["optimizer.lr"] for each in report.settings}
    assert rates["average of 2"] is None
    soup = xferlab.combine([other, "run-1"], "soup", output=tmp_path / "soup")
    assert soup.config["optimizer"]["lr"] == 0.003  # that of the one run which is in it


@pytest.mark.parametrize("how", ["average", pytest.param("soup", marks=pytest.mark.slow)])
def test_the_result_is_a_run_like_any_other(here, how, capsys):
    metrics = read(here / how / "metrics.json")
    assert main(["evaluate", how]) == 0
    assert "without postprocess" in capsys.readouterr().out
    found = read(here / how / "evaluations" / "test" / "metrics.json")
    for name, value in metrics["test"].items():
        assert found["scores"][name]["value"] == pytest.approx(value, abs=1e-6)
    assert main(["predict", how, "the good film", "--format=csv"]) == 0
    assert "the good film," in capsys.readouterr().out
    members = read(here / how / "combine.json")["members"]
    for member, name in zip(members, RUNS, strict=True):
        own = read(here / name / "metrics.json")
        assert member["weights"] == own["sha256"][f"{own['weights']}.safetensors"]
        assert member["data"] == read(here / name / "run.json")["data"]


def test_a_report_compares_it_with_its_parts(here):
    (report,) = read_reports([here / name for name in ("average", "soup", *RUNS)])
    assert "combine" in report.keys
    values = {setting.values["combine"] for setting in report.settings}
    assert None in values
    assert "average of 3" in values
    assert {len(setting.jobs) for setting in report.settings} == {1, 3}


@pytest.mark.slow
@pytest.mark.parametrize("name", GRAPHS)
def test_an_ensemble_is_exported_as_one_graph(here, name, tmp_path):
    assert main(["export", "vote", "--to", name, "--output", str(tmp_path / "out")]) == 0


def test_other_formats_say_which_do(here, capsys):
    assert main(["export", "average", "--to", "keras"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        " error: keras holds one network, and this run is of 3",
        " where: average",
        f"   fix: --to {'|'.join(GRAPHS)}, or combine the runs with --how soup, which is one"
        " network",
    ]


def changed_copy(here, tmp_path, **changes):
    """Return a copy of a run whose record says something else."""
    shutil.copytree(here / RUNS[1], tmp_path / "run")
    record = read(tmp_path / "run" / "run.json")
    for key, value in changes.items():
        record[key] = {**record[key], **value}
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    return str(tmp_path / "run")


BAD = {
    "one": (["run-1"], "1 run is named, and a combination has two or more"),
    "twice": (["run-1", "run-1"], "it has the same weights as run-1"),
    "how": (["run-1", "run-2", "--how=mean"], "there is no way 'mean' to combine runs"),
    "soup": (["run-1", "run-2", "--soup=all"], "there is no way 'all' to combine runs"),
    "nested": (["run-1", "average"], "this run is itself of 3 runs"),
    "output": (["run-1", "run-2", "--output=run-3"], "this folder is not empty"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_combined_is_refused(here, name, capsys):
    overrides, what = BAD[name]
    assert main(["combine", *overrides]) == 2
    shown = capsys.readouterr().err.splitlines()
    assert shown[0] == f" error: {what}"
    assert len(shown) == 3


RECORDS = {
    "classes": ({"task": {"class_names": ["neg", "other"]}}, "it predicts neg, other"),
    "test": ({"data": {"test": "0" * 64}}, "its test examples are not those of run-1"),
    "validation": ({"data": {"validation": "0" * 64}}, "the runs have different validation"),
    "weights": ({"checkpoint": {"sha256": {"a": "b"}}}, "it started from other pretrained weights"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_runs_of_other_things_are_refused(here, name, tmp_path, capsys):
    changes, what = RECORDS[name]
    other = changed_copy(here, tmp_path, **changes)
    assert main(["combine", "run-1", other, "--how=soup"]) == 2
    assert capsys.readouterr().err.startswith(f" error: {what}")


def test_a_run_that_was_trained_on_scored_examples_is_refused(here, tmp_path, capsys):
    test = read(here / "run-1" / "run.json")["data"]["test"]
    other = changed_copy(here, tmp_path, data={"train": test})
    assert main(["combine", "run-1", other]) == 2
    assert "it was trained on the examples that " in capsys.readouterr().err


def test_members_that_differ_in_validation_are_averaged_without_it(here, tmp_path, caplog):
    other = changed_copy(here, tmp_path, data={"validation": "0" * 64})
    assert main(["combine", "run-1", other, "--output", str(tmp_path / "out")]) == 0
    assert "have different validation examples" in caplog.text
    metrics = read(tmp_path / "out" / "metrics.json")
    assert "validation" not in metrics
    assert metrics["best"]["value"] is None
    assert metrics["test"]["accuracy"] >= 0


def test_a_member_that_was_exchanged_is_refused(here, tmp_path, capsys):
    shutil.copytree("average", tmp_path / "average")
    shutil.rmtree(tmp_path / "average" / "members" / "1")
    shutil.copytree(tmp_path / "average" / "members" / "0", tmp_path / "average" / "members" / "1")
    assert main(["predict", str(tmp_path / "average"), "a"]) == 2
    assert "combine.json names other weights than those of 1" in capsys.readouterr().err
    assert main(["evaluate", "average", "weights=last"]) == 2
    assert "it has no last weights" in capsys.readouterr().err
    assert main(["check", "model=from_run", "model.run=average"]) == 2
    assert "this run is of 3 networks" in capsys.readouterr().err


def test_votes_and_means_of_labels_values_and_words():
    random = np.random.default_rng(0)
    several = TaskSpec(Task.multi_label, ("a", "b"), 9, 9)
    for count in (2, 3, 4, 5):
        parts = list(expit(random.normal(size=(count, 50, 2))))
        votes = np.sum([part > 0.5 for part in parts], axis=0)
        mean = np.mean(parts, axis=0)
        wanted = np.where(2 * votes == count, mean > 0.5, 2 * votes > count)
        np.testing.assert_array_equal(combine_outputs(parts, "vote", several, np) > 0, wanted)
        found = combine_outputs(parts, "average", several, np)
        np.testing.assert_allclose(found, logit(mean), atol=1e-9)
    values = TaskSpec(Task.regression, (), 9, 9, output_kind=OutputKind.values)
    parts = list(random.normal(size=(3, 5, 1)))
    found = combine_outputs(parts, "average", values, np)
    np.testing.assert_allclose(found, np.mean(parts, axis=0))
    words = softmax(random.normal(size=(3, 4, 2)), axis=-1)
    words[0, 3] = words[1, 3] = np.nan
    words[:, 2] = np.nan
    filled = _filled(words)
    np.testing.assert_allclose(filled[0, 3], words[2, 3], rtol=1e-6)
    assert np.isnan(filled[:, 2]).all()
