"""``evaluate``: a run's own rows score as in its record, new rows by the names of its classes."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest

import xferlab
from tests.support.finished_runs import train, write_rows
from tests.support.tiny_checkpoints import write_tiny_checkpoint
from xferlab import Split, Task, TaskSpec, TextData
from xferlab.cli.main import main
from xferlab.inference.evaluation_split import choose_split, rows_by_name
from xferlab.inference.load import load_run

KINDS = {
    "plain": ["metric=[accuracy,f1,auc]"],
    "several": ["metric=[micro_f1,auc]"],
    "values": [],
    "tags": ["metric=[entity_f1,accuracy]"],
}
USUAL = {"metrics.json", "errors.csv", "errors.md", "predictions.csv"}
OF_CLASSES = {
    "report.txt",
    "report.csv",
    "confusion.csv",
    "confusion.png",
    "calibration.csv",
    "calibration.png",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a folder with rows of every kind and one run, trained there."""
    folder = tmp_path_factory.mktemp("home")
    patch = pytest.MonkeyPatch()
    patch.setenv("XFERLAB_CACHE", str(folder / "cache"))
    write_rows(folder)
    run_of(folder, "plain")
    yield folder
    patch.undo()


def run_of(folder, kind):
    """Return a run on rows of a kind, trained once."""
    if (folder / f"run-{kind}").exists():
        return folder / f"run-{kind}"
    model = ["model=bag_of_embeddings", "model.width=8"]
    if kind == "tags":
        write_tiny_checkpoint(folder / "encoder", "bert", layers=1)
        model = ["model=encoder", f"model.checkpoint={folder / 'encoder'}"]
    return train(folder, kind, *model, *KINDS[kind], "train.epochs=2")


@pytest.fixture
def here(home, monkeypatch):
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def no_tensorflow(monkeypatch):
    """Fail where a model would be built: mistakes of words and rows are told before."""

    def fail():
        raise AssertionError("the backend was asked for")

    monkeypatch.setattr("xferlab.inference.run.import_backend", fail)


def evaluated(run, *overrides) -> dict:
    """Evaluate a run and return the scores that were kept; the folder is the last one written."""
    assert main(["evaluate", str(run), *overrides]) == 0
    folders = (run / "evaluations").iterdir()
    newest = max(folders, key=lambda folder: folder.stat().st_mtime_ns)
    return json.loads((newest / "metrics.json").read_text()) | {"folder": newest}


def values_of(record) -> dict[str, float]:
    return {name: score["value"] for name, score in record["scores"].items()}


def refused(capsys, *overrides) -> str:
    assert main(["evaluate", *map(str, overrides)]) == 2
    printed = capsys.readouterr().err
    assert [line[:7] for line in printed.splitlines()] == [" error:", " where:", "   fix:"]
    return printed


@pytest.fixture(scope="module")
def records(home):
    """Train the other kinds too; return what an evaluation of each run's test rows kept."""
    patch = pytest.MonkeyPatch()
    patch.chdir(home)
    runs = {kind: run_of(home, kind) for kind in KINDS}
    found = {kind: evaluated(run, "--samples=20", "--errors=3") for kind, run in runs.items()}
    patch.undo()
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_its_own_test_rows_score_as_in_the_runs_record(home, records, kind):
    record = records[kind]
    expected = json.loads((home / f"run-{kind}" / "metrics.json").read_text())["test"]
    assert record["own_rows"] is True
    assert record["folder"].name == "test"
    # tags are laid out by word here and by token in training: sums of float32 in another order
    exact = {} if kind == "tags" else {"rel": 0, "abs": 0}
    assert values_of(record) == pytest.approx(expected, **exact)
    for score in record["scores"].values():
        assert score["low"] <= score["high"]


@pytest.mark.slow
def test_half_precision_scores_as_in_the_runs_record_too(home, monkeypatch):
    monkeypatch.chdir(home)
    half = ["debug=tiny", "model=bag_of_embeddings", "train.precision=mixed_float16"]
    assert main([*half, "hydra.run.dir=run-half"]) == 0
    expected = json.loads((home / "run-half" / "metrics.json").read_text())["test"]
    record = evaluated(home / "run-half", "--samples=0")
    assert values_of(record) == pytest.approx(expected, rel=0, abs=0)


@pytest.mark.parametrize("kind", KINDS)
def test_an_evaluation_is_a_folder_of_files_and_a_run_in_tensorboard(home, records, kind):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    record = records[kind]
    of_task = {"residuals.csv", "residuals.png"} if kind == "values" else OF_CLASSES
    assert {path.name for path in record["folder"].iterdir()} == USUAL | of_task
    board = EventAccumulator(str(home / f"run-{kind}" / "tensorboard" / "evaluation-test"))
    board.Reload()
    shown = {name[:-4] for name in of_task if name.endswith(".png")}
    tags = {tag for kind in board.Tags().values() for tag in kind or ()}
    assert {"errors", *shown, *record["scores"]} <= tags


def test_another_split_by_its_name_and_a_second_time_in_its_place(here, capsys):
    for _ in range(2):
        record = evaluated(here / "run-plain", "split=validation", "--samples=5")
    expected = json.loads((here / "run-plain" / "metrics.json").read_text())["validation"]
    assert values_of(record) == pytest.approx(expected, rel=0, abs=0)
    folders = {path.name for path in (here / "run-plain" / "evaluations").iterdir()}
    assert "validation" in folders
    assert not [name for name in folders if name.startswith(".")]
    printed = capsys.readouterr().out
    assert "95% interval" in printed
    assert str(record["folder"]) in printed


def test_without_resamples_there_are_no_intervals(here):
    record = evaluated(here / "run-plain", "--samples", "0")
    assert {score["low"] for score in record["scores"].values()} == {None}
    assert "interval" not in record


def write_csv(path, rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("label,text\n" + "".join(f"{label},{text}\n" for label, text in rows))


TEXTS = ["the good film was good", "the poor film was bad and", "it is fine", "what a great film"]


def test_a_moved_run_without_its_data_is_evaluated_on_new_rows(here, tmp_path, monkeypatch):
    run = shutil.copytree(here / "run-plain", tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "new.csv", [("pos", text) for text in TEXTS])  # neg does not occur
    record = evaluated(run, "data=files", "data.test=new.csv", "--samples=0")
    found = xferlab.load(run).predict(TEXTS).labels
    assert values_of(record)["accuracy"] == pytest.approx(np.mean([x == "pos" for x in found]))
    assert record["own_rows"] is False
    assert record["folder"].name.startswith("new-")


@pytest.mark.parametrize("labels", [("neg", "pos", "neg", "pos"), ("pos",) * 4], ids="-".join)
def test_labels_are_found_by_name_whatever_their_order(here, tmp_path, no_tensorflow, labels):
    write_csv(tmp_path / "new.csv", zip(labels, TEXTS, strict=True))
    overrides = ["data=files", f"data.test={tmp_path}/new.csv"]
    chosen = choose_split(load_run(here / "run-plain"), overrides)
    assert chosen.rows.labels.tolist() == [("neg", "pos").index(label) for label in labels]
    assert chosen.rows.texts == TEXTS


def test_numbers_are_positions_in_the_names_beside_the_file_or_else_in_the_runs(
    here, tmp_path, no_tensorflow
):
    for name in ("plain", "named"):
        write_csv(tmp_path / name / "new.csv", zip((0, 1, 1, 1), TEXTS, strict=True))
    (tmp_path / "named" / "labels.txt").write_text("pos\nneg\n")  # the run has neg, pos
    run = load_run(here / "run-plain")
    for name, expected in (("plain", [0, 1, 1, 1]), ("named", [1, 0, 0, 0])):
        chosen = choose_split(run, ["data=files", f"data.test={tmp_path}/{name}/new.csv"])
        assert chosen.rows.labels.tolist() == expected


def test_classes_of_data_that_is_built_whole_are_matched_by_name(no_tensorflow):
    rows = Split(["a", "b", "c"], np.array([2, 0, 2], "int32"))
    spec = TaskSpec(Task.single_label, ("x", "y", "z"), 9, 9)
    data = TextData(spec, rows, rows, rows)
    known = TaskSpec(Task.single_label, ("z", "w", "x"), 9, 9)
    assert rows_by_name(known, data, "test").labels.tolist() == [0, 2, 0]


def test_other_data_of_any_plugin_is_matched_by_name_too(here, capsys, no_tensorflow):
    printed = refused(capsys, here / "run-plain", "data=reviews")
    assert "test has a label 'negative' that is none of: neg, pos" in printed
    assert "where: row 1" in printed
    assert "the run has no other class" in printed


def test_only_the_file_is_exchanged_and_the_runs_task_stays(here, records, tmp_path, no_tensorflow):
    rows = [{"text": ["a", "good", "film"], "label": ["O", "B-X", "O"]}] * 3
    (tmp_path / "new.jsonl").write_text("\n".join(map(json.dumps, rows)))
    run = load_run(here / "run-tags")
    chosen = choose_split(run, [f"data.test={tmp_path}/new.jsonl"])
    names = [[run.spec.class_names[tag] for tag in row] for row in chosen.rows.labels]
    assert names == [["O", "B-X", "O"]] * 3


def test_an_unknown_label_is_named_with_the_known_ones(here, tmp_path, capsys, no_tensorflow):
    write_csv(tmp_path / "new.csv", [("pos", "a"), ("posh", "b")])
    printed = refused(capsys, here / "run-plain", "data=files", f"data.test={tmp_path}/new.csv")
    assert "test has a label 'posh' that is none of: neg, pos" in printed
    assert "new.csv, row 2" in printed
    assert "did you mean 'pos'?" in printed


def test_data_that_is_gone_is_told(here, tmp_path, monkeypatch, capsys, no_tensorflow):
    run = shutil.copytree(here / "run-plain", tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    printed = refused(capsys, run)
    assert "the run's own data cannot be read: there is no file plain-train.jsonl" in printed
    assert "data=files data.test=FILE" in printed


@pytest.mark.parametrize(
    ("overrides", "what"),
    [
        (["loss=focal"], "evaluate takes overrides of the data, and 'loss=focal' is none"),
        (["split=tset"], "there is no split 'tset'"),
        (["data.tst=x.csv"], "there is no key 'data.tst'"),
        (["data=fils"], "there is no data named 'fils'"),
        (["data.test=no.csv"], "there is no file no.csv"),
        (
            ["data.train=pairs.jsonl", "data.pair=other", "split=train"],
            "the run was trained on single texts, and these rows are pairs",
        ),
        (["--sample=3"], "evaluate has no flag --sample"),
        (["--samples=-3"], "argument --samples: must be a whole number from 0 up"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_mistake_is_told_before_a_model_is_built(here, capsys, no_tensorflow, overrides, what):
    assert what in refused(capsys, here / "run-plain", *overrides)


def test_own_rows_that_have_changed_are_noted(here, tmp_path, monkeypatch, capsys):
    run = shutil.copytree(here / "run-plain", tmp_path / "run-plain")
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path)
    lines = (tmp_path / "plain.jsonl").read_text().splitlines()
    (tmp_path / "plain.jsonl").write_text("\n".join(lines[::-1]))
    record = evaluated(run, "--samples=0")
    assert record["own_rows"] is False
    assert "the examples of test are not those of the training" in capsys.readouterr().out


def test_in_python_the_same_scores(here):
    run = xferlab.load(here / "run-plain")
    rows = [json.loads(line) for line in (here / "plain.jsonl").read_text().splitlines()]
    evaluation = run.evaluate([r["text"] for r in rows], [r["label"] for r in rows])
    expected = json.loads((here / "run-plain" / "metrics.json").read_text())["test"]
    assert {n: s.value for n, s in evaluation.scores.items()} == pytest.approx(expected)
    assert "95% interval" in repr(evaluation)
    with pytest.raises(xferlab.ConfigError, match="none of: neg, pos"):
        run.evaluate(["a text"], ["other"])


def test_in_python_labels_are_split_as_the_runs_data_splits_them(here):
    rows = [json.loads(line) for line in (here / "several.jsonl").read_text().splitlines()]
    labels = ["; ".join(row["label"]) for row in rows]
    run = xferlab.load(run_of(here, "several"))
    separated = run.config["data"] | {"label_separator": ";"}
    config = {**run.config, "data": separated}
    other = dataclasses.replace(run, content=dataclasses.replace(run.content, config=config))
    texts = [row["text"] for row in rows]
    found = [run.evaluate(texts, [r["label"] for r in rows]), other.evaluate(texts, labels)]
    assert found[0].scores["micro_f1"].value == found[1].scores["micro_f1"].value


def test_the_weights_are_chosen_by_a_word(home, here, capsys):
    run = home / "run-plain"
    own = json.loads((run / "metrics.json").read_text())
    other = {"best": "last", "last": "best"}[own["weights"]]
    found = evaluated(run, f"weights={other}")
    assert found["folder"].name == f"test-{other}"
    assert found["weights"] == own["sha256"][f"{other}.safetensors"]
    assert xferlab.load(run, weights=other).content.weights.name == f"{other}.safetensors"
    assert evaluated(run, f"weights={own['weights']}")["folder"].name == "test"
    assert main(["evaluate", str(run), "weights=first"]) == 2
    assert "a run has no 'first' weights" in capsys.readouterr().err
    assert main(["predict", str(run), "a text", "--weights", other]) == 0
