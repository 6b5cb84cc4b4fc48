"""Tags of all folds put together by word, and the words whose tag is probably wrong."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from tests.support.synthetic_runs import record, write_run
from xferlab import Split, Task, TaskSpec
from xferlab.cli.report import report_on
from xferlab.config.compose import publish
from xferlab.discovery import load_plugins
from xferlab.functional.unseen_words import predict_unseen
from xferlab.io.atomic import write_json
from xferlab.report.out_of_fold import out_of_fold
from xferlab.report.settings import read_report
from xferlab.runs.fold_examples import FILE, keep_fold_examples
from xferlab.runs.predictions import keep_predictions
from xferlab.sweeps.manifest import write_manifest
from xferlab.sweeps.planner import plan_sweep

TAGS = ("B-place", "I-place", "O")
SENTENCES = 40
WRONG = [(3, 1), (11, 0), (25, 2)]
UNTAGGED = (5, 1)
UNSEEN = (6, 3)
OVERRIDES = ["data.folds=2", "data.fold=0,1", "seed=0,1"]


def sentences():
    """Return words, the true tag of each word, and the given tags, some of them wrong."""
    random = np.random.default_rng(0)
    words = [[f"w{i}.{j}" for j in range(random.integers(4, 8))] for i in range(SENTENCES)]
    true = [random.integers(0, 3, len(each)).astype("int32") for each in words]
    given = [tags.copy() for tags in true]
    for i, j in WRONG:
        given[i][j] = (true[i][j] + 1) % 3
    given[UNTAGGED[0]][UNTAGGED[1]] = -1
    return words, true, given


def logits_of(seed, true):
    """Return the logits of each word, which mostly prefer the true tag."""
    random = np.random.default_rng(seed)
    found = [random.normal(size=(len(tags), 3)).astype("float32") for tags in true]
    for each, tags in zip(found, true, strict=True):
        each[np.arange(len(tags)), tags] += 5
    return found


def padded(rows, tags, logits):
    """Return the labels and outputs of some sentences as a run has them."""
    width = max(len(tags[row]) for row in rows)
    labels = np.full((len(rows), width), -1, "int32")
    outputs = np.full((len(rows), width, 3), 1 / 3, "float32")
    unseen = np.zeros(labels.shape, bool)
    for i, row in enumerate(rows):
        labels[i, : len(tags[row])] = tags[row]
        outputs[i, : len(tags[row])] = logits[row]
        if row == UNSEEN[0]:
            unseen[i, UNSEEN[1]] = True
    predict_unseen(outputs, unseen, TAGS.index("O"))
    return labels, outputs


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a sweep of two seeds and two folds."""
    monkeypatch.chdir(tmp_path)
    load_plugins(tmp_path)
    publish(tmp_path)
    plan = plan_sweep(OVERRIDES)
    sweep = tmp_path / "sweep"
    write_manifest(plan, sweep, ["command"])
    words, true, given = sentences()
    spec = TaskSpec(Task.token_classification, TAGS, SENTENCES, 64)
    for job in plan.jobs:
        seed = job.config["seed"]
        order = np.random.default_rng([9, seed]).permutation(SENTENCES)
        rows = np.sort(order[job.config["data"]["fold"] :: 2])
        run = sweep / job.run_id
        write_run(run, 0.8, seed, rows=len(rows), data=f"{seed}{job.config['data']['fold']}" * 32)
        saved = record(run, TAGS, len(rows), "a" * 64)
        saved["task"]["task"] = "token_classification"
        write_json(run / "run.json", saved)
        labels, outputs = padded(rows, given, logits_of(seed, true))
        keep_predictions(run, "test", labels, outputs)
        examples = Split([words[row] for row in rows], [given[row] for row in rows])
        keep_fold_examples(run, examples, rows, spec, labels)
    return sweep


def probabilities_by_hand():
    """Return the mean probabilities over the seeds of each word."""
    _, true, _ = sentences()
    means = [np.zeros((len(tags), 3)) for tags in true]
    for seed in (0, 1):
        for mean, logits in zip(means, logits_of(seed, true), strict=True):
            wide = np.exp(logits.astype("float64"))
            mean += wide / wide.sum(1, keepdims=True) / 2
    return means


def errors_by_hand():
    """Return sentence and word of each tag that confident learning finds, by loops."""
    _, _, given = sentences()
    words = [
        (i, j, int(tag), probabilities[j])
        for i, (tags, probabilities) in enumerate(zip(given, probabilities_by_hand(), strict=True))
        for j, tag in enumerate(tags)
        if tag >= 0 and (i, j) != UNSEEN
    ]
    thresholds = [np.mean([p[tag] for _, _, tag, p in words if tag == k]) for k in range(3)]
    found = []
    for i, j, tag, p in words:
        above = [k for k in range(3) if p[k] >= thresholds[k]]
        if above and max(above, key=lambda k: p[k]) != tag and p.argmax() != tag:
            found.append((p[tag], i, j))
    return [(i, j) for _, i, j in sorted(found)]


def test_words_that_are_probably_mislabelled_are_listed_in_their_sentence(folder, capsys):
    report_on([folder])
    with (folder / "mislabelled.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    places = [(int(row["row"]) - 1, int(row["word"]) - 1) for row in rows]
    assert places == errors_by_hand()
    assert set(WRONG) <= set(places)
    words, _, given = sentences()
    names = ["row", "word", "label", "suggested", "p_label", "p_suggested", "text"]
    assert list(rows[0]) == names
    for (i, j), row in zip(places, rows, strict=True):
        marked = [*words[i][:j], f"⟦{words[i][j]}⟧", *words[i][j + 1 :]]
        assert row["text"] == " ".join(marked)
        assert row["label"] == TAGS[given[i][j]]
    judged = sum(map(len, words)) - 2
    assert f"of {judged} words are" in capsys.readouterr().out


def test_predictions_of_words_are_means_over_seeds(folder):
    report_on([folder])
    with (folder / "out_of_fold.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    words, _, given = sentences()
    wanted = probabilities_by_hand()
    assert list(rows[0]) == ["row", "word", "text", "true", "predicted", "probability"]
    places = [(int(row["row"]) - 1, int(row["word"]) - 1) for row in rows]
    every = [(i, j) for i in range(SENTENCES) for j in range(len(words[i]))]
    assert places == [place for place in every if place != UNTAGGED]
    for (i, j), row in zip(places, rows, strict=True):
        assert row["text"] == words[i][j]
        assert row["true"] == TAGS[given[i][j]]
        if (i, j) == UNSEEN:
            assert (row["predicted"], row["probability"]) == ("O", "")
        else:
            assert row["predicted"] == TAGS[wanted[i][j].argmax()]
            assert float(row["probability"]) == pytest.approx(wanted[i][j].max(), abs=1e-6)


def test_examples_that_do_not_fit_the_stored_words_are_named(folder):
    report = read_report([folder])
    run = report.best.jobs[0].folder
    path = run / "predictions" / FILE
    path.write_text(path.read_text().replace('"O"', "null", 1))
    found, reason = out_of_fold(report)
    assert found is None
    assert reason == f"{run.name}: its examples are not those of its outputs"
