"""Folds in a report: averaged, compared, put together, and the labels that they contradict."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.support.synthetic_runs import NAMES, write_run
from xferlab import Split, Task, TaskSpec
from xferlab.cli.report import report_on
from xferlab.config.compose import publish
from xferlab.discovery import load_plugins
from xferlab.io.atomic import write_json
from xferlab.io.records import read_record
from xferlab.report.analysis import analyse
from xferlab.report.comparison import compare, describe_test
from xferlab.report.html import render_page
from xferlab.report.out_of_fold import out_of_fold
from xferlab.report.settings import read_report
from xferlab.runs.fold_examples import keep_fold_examples, read_fold_examples
from xferlab.runs.predictions import keep_predictions
from xferlab.sweeps.manifest import write_manifest
from xferlab.sweeps.planner import plan_sweep

ROWS = 60
FOLDS = 3
WRONG = [4, 17, 33]
OVERRIDES = ["data.folds=3", "data.fold=0,1,2", "seed=0,1", "optimizer.lr=1e-5,3e-5"]


def outputs_of(seed, rate):
    """Return made-up logits of all examples, the true classes, and the labels, some wrong."""
    true = np.random.default_rng(0).integers(0, 2, ROWS)
    random = np.random.default_rng([seed, int(rate * 1e6)])
    logits = random.normal(size=(ROWS, 2)).astype("float32")
    logits[np.arange(ROWS), true] += 4 if rate > 2e-5 else 1
    labels = true.copy()
    labels[WRONG] = 1 - true[WRONG]
    return logits, labels


def fold_rows(seed, fold):
    order = np.random.default_rng([9, seed]).permutation(ROWS)
    return np.sort(order[fold::FOLDS])


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return a sweep of two rates, two seeds and three folds."""
    place = tmp_path_factory.mktemp("written")
    load_plugins(place)
    publish(place)
    plan = plan_sweep(OVERRIDES)
    folder = place / "folds"
    write_manifest(plan, folder, ["command"])
    spec = TaskSpec(Task.single_label, NAMES, ROWS, 64)
    for job in plan.jobs:
        seed = job.config["seed"]
        fold = job.config["data"]["fold"]
        rows = fold_rows(seed, fold)
        logits, labels = outputs_of(seed, job.config["optimizer"]["lr"])
        run = folder / job.run_id
        write_run(run, 0.8, seed, rows=len(rows), data=f"{seed}{fold}" * 32)
        keep_predictions(run, "test", labels[rows].astype("int32"), logits[rows])
        examples = Split([f"=text {row}\u2028\u0085\x1c" for row in rows], labels[rows])
        keep_fold_examples(run, examples, rows, spec, examples.labels)
        metrics = read_record(run / "metrics.json", {"*": object})
        accuracy = float((logits[rows].argmax(1) == labels[rows]).mean())
        metrics["test"] = {"loss": 0.4, "accuracy": accuracy}
        metrics["best"]["value"] = accuracy
        write_json(run / "metrics.json", metrics)
    return folder


@pytest.fixture
def folder(written, tmp_path, monkeypatch):
    """Return a copy of the sweep."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(written, "outputs/sweeps/folds"))


def scores(rate):
    found = {}
    for seed in (0, 1):
        logits, labels = outputs_of(seed, rate)
        right = logits.argmax(1) == labels
        for fold in range(FOLDS):
            found[seed, fold] = right[fold_rows(seed, fold)].mean()
    return found


def test_folds_and_seeds_are_repeats_of_a_setting(folder, capsys):
    report = read_report([folder])
    assert [setting.values for setting in report.settings] == [
        {"optimizer.lr": 1e-5},
        {"optimizer.lr": 3e-5},
    ]
    own = list(scores(3e-5).values())
    mean, deviation = report.settings[1].test["accuracy"]
    assert mean == pytest.approx(np.mean(own))
    assert deviation == pytest.approx(np.std(own, ddof=1))
    report_on([folder])
    printed = capsys.readouterr().out
    assert "(6 runs over seeds and folds)" in printed
    assert "seeds and folds" in printed
    assert "out-of-fold predictions of 60 examples, 3 folds, 2 seeds: out_of_fold.csv" in printed


def test_settings_are_compared_by_the_corrected_resampled_t_test(folder):
    comparison = compare(read_report([folder]))
    one = scores(3e-5)
    two = scores(1e-5)
    differences = np.array([one[key] - two[key] for key in one])
    error = np.sqrt((1 / 6 + 1 / (FOLDS - 1)) * differences.var(ddof=1))
    difference = comparison.others[0].difference
    assert difference.mean == pytest.approx(differences.mean())
    assert difference.p == pytest.approx(2 * stats.t.sf(abs(differences.mean() / error), 5))
    low, high = stats.t.interval(0.95, 5, differences.mean(), error)
    assert (difference.low, difference.high) == pytest.approx((low, high))
    assert describe_test(comparison).startswith("Corrected resampled t test of the test scores")


def test_predictions_of_all_folds_are_means_over_seeds_in_the_order_of_the_rows(folder):
    report_on([folder])
    with (folder / "out_of_fold.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["row"]) for row in rows] == list(range(1, ROWS + 1))
    logits = [outputs_of(seed, 3e-5)[0].astype("float64") for seed in (0, 1)]
    both = [np.exp(each) / np.exp(each).sum(1, keepdims=True) for each in logits]
    wanted = (both[0] + both[1]) / 2
    found = [[float(row[f"p_{name}"]) for name in NAMES] for row in rows]
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    labels = outputs_of(0, 3e-5)[1]
    assert [row["true"] for row in rows] == [NAMES[label] for label in labels]
    # a spreadsheet would take it for a formula, and a terminal its control characters for commands
    assert rows[7]["text"] == "'=text 7\u2028\\x85\\x1c"


def test_wrong_labels_are_listed_with_their_texts(folder):
    report_on([folder])
    with (folder / "mislabelled.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert sorted(int(row["row"]) - 1 for row in rows[:3]) == WRONG
    assert list(rows[0]) == ["row", "label", "suggested", "p_label", "p_suggested", "text"]
    assert all(row["label"] != row["suggested"] for row in rows)
    chances = [float(row["p_label"]) for row in rows]
    assert chances == sorted(chances)
    summary = (folder / "summary.md").read_text()
    assert "out-of-fold predictions of 60 examples, 3 folds, 2 seeds: " in summary
    assert f"- {len(rows)} labels are probably wrong" in summary
    report = read_report([folder])
    page = render_page([analyse(report, None, out_of_fold(report)[0])])
    assert "Labels that are probably wrong" in page
    assert f"=text {int(rows[0]['row']) - 1}" in page


def test_a_seed_counts_once_all_of_its_folds_have_finished(folder):
    report = read_report([folder])
    best = {(job.setting("seed"), job.setting("data.fold")): job for job in report.best.jobs}
    write_json(best[1, 2].folder / "status.json", {"status": "failed"})
    found, _ = out_of_fold(read_report([folder]))
    assert found.seeds == 1
    write_json(best[0, 0].folder / "status.json", {"status": "failed"})
    assert out_of_fold(read_report([folder])) == (None, "of 3 folds, 1 have not finished yet")


def test_a_damaged_file_of_examples_is_named(folder):
    report = read_report([folder])
    job = report.best.jobs[0]
    path = job.folder / "predictions" / "fold.jsonl"
    for content in ("[]\n", '{"row": 0, "text": "a"}\n', "no json\n"):
        path.write_text(content)
        with pytest.raises(ValueError, match="damaged"):
            read_fold_examples(job.folder)
    found, reason = out_of_fold(report)
    assert found is None
    assert reason == f"{job.folder.name}: its file of examples is damaged"


def test_jobs_without_folds_have_no_such_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load_plugins(tmp_path)
    publish(tmp_path)
    write_run(tmp_path / "one", 0.8, 0)
    report_on([tmp_path / "one"])
    assert not (tmp_path / "one" / "out_of_fold.csv").exists()
