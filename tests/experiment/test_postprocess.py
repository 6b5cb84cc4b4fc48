"""A run fits its postprocess to validation outputs, keeps it, and everything later applies it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import f1_score

import xferlab
from tests.support.finished_runs import train, write_rows
from xferlab.cli.main import main
from xferlab.config.compose import compose_experiment, publish
from xferlab.evaluation.bootstrap import score_of
from xferlab.experiment import train_and_test
from xferlab.export.export_run import export_run
from xferlab.report.read_runs import read_jobs
from xferlab.report.stored_outputs import build_metric, read_outputs
from xferlab.runs.predictions import read_predictions

MODEL = ["model=bag_of_embeddings", "model.width=4", "train.epochs=2", "seed=3"]
MANY = [*MODEL, "postprocess=[temperature,thresholds]", "postprocess.thresholds.shared=true"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a folder with a run of several labels and one of a single label."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XFERLAB_CACHE", str(folder / "cache"))
        write_rows(folder)
        train(folder, "several", *MANY)
        train(folder, "plain", *MODEL, "postprocess=conformal", "postprocess.coverage=0.8")
        yield folder


def read(path):
    return json.loads(path.read_text())


def test_it_is_fitted_to_the_validation_outputs_of_the_final_weights(home):
    run = home / "run-several"
    record = read(run / "postprocess.json")
    metrics = read(run / "metrics.json")
    made = read(run / "run.json")
    assert record["fitted_on"] == {
        "split": "validation",
        "examples": 32,
        "data": made["data"]["validation"],
        "weights": metrics["sha256"][f"{metrics['weights']}.safetensors"],
    }
    assert [step["name"] for step in record["steps"]] == ["temperature", "thresholds"]
    kept = read_predictions(run, "validation")
    temperature, cut = (
        np.float32(next(iter(step["parameters"].values()))["values"]) for step in record["steps"]
    )
    # by hand, from the outputs that the run keeps
    logits = kept.outputs / temperature
    losses = np.logaddexp(0, np.where(kept.labels > 0, -logits, logits))
    assert record["after"]["loss"] == pytest.approx(losses.mean(), rel=1e-5)
    assert record["after"]["loss"] <= record["before"]["loss"]
    predicted = logits > cut
    for average in ("micro", "macro"):
        wanted = f1_score(kept.labels, predicted, average=average)
        assert record["after"][f"{average}_f1"] == pytest.approx(wanted)
    assert record["after"]["macro_f1"] >= record["before"]["macro_f1"]


def test_predictions_evaluations_and_reports_apply_it(home, capsys, monkeypatch):
    monkeypatch.chdir(home)
    metrics = read(home / "run-several" / "metrics.json")
    kept = read_predictions(home / "run-several", "test")
    steps = read(home / "run-several" / "postprocess.json")["steps"]
    temperature, cut = (
        np.float32(next(iter(step["parameters"].values()))["values"]) for step in steps
    )
    run = xferlab.load("run-several")
    texts = [json.loads(line)["text"] for line in (home / "several.jsonl").read_text().splitlines()]
    predictions = run.predict(texts)
    np.testing.assert_allclose(predictions.probabilities, expit(kept.outputs / temperature), 1e-4)
    names = np.array(run.spec.class_names)
    wanted = [names[row].tolist() for row in kept.outputs / temperature > cut]
    assert predictions.labels == wanted
    assert main(["evaluate", "run-several"]) == 0
    shown = capsys.readouterr().out
    assert "without postprocess" in shown
    assert "fitted     temperature " in shown
    found = read(home / "run-several" / "evaluations" / "test" / "metrics.json")
    for name, value in metrics["test"].items():
        assert found["scores"][name]["value"] == pytest.approx(value, abs=1e-6)
    assert found["without_postprocess"]["loss"] >= found["scores"]["loss"]["value"]
    assert "calibration error" in found["without_postprocess"]
    (job,) = read_jobs([home / "run-several"]).jobs  # a report scores what is predicted with
    outputs = read_outputs(job, "test")
    metric = build_metric(job, "macro_f1", outputs.spec)
    scored = score_of(metric, outputs.labels, outputs.outputs, outputs.decisive)
    assert scored == pytest.approx(metrics["test"]["macro_f1"], abs=1e-6)
    # other weights than those that it was fitted to
    other = xferlab.load("run-several")
    object.__setattr__(other.content, "digest", "0" * 64)
    assert other.postprocessor is None


def test_sets_are_predicted_written_and_scored(home, capsys, monkeypatch):
    monkeypatch.chdir(home)
    assert main(["predict", "run-plain", "the good film", "the poor film", "--format=csv"]) == 0
    header, first, _ = capsys.readouterr().out.splitlines()
    assert header == "row,text,label,p_neg,p_pos,set,error"
    assert first.split(",")[5] in ("pos", "neg", "neg|pos")
    assert main(["predict", "run-plain", "the good film", "--output=out.parquet"]) == 0
    assert main(["evaluate", "run-plain"]) == 0
    assert "set coverage " in capsys.readouterr().out
    found = read(home / "run-plain" / "evaluations" / "test" / "metrics.json")
    rows = (home / "run-plain/evaluations/test/predictions.csv").read_text().splitlines()
    cells = [row.split(",") for row in rows[1:]]
    assert rows[0] == "row,true,predicted,p_neg,p_pos,set"
    covered = np.mean([row[1] in row[5].split("|") for row in cells])
    assert found["sets"]["set coverage"] == pytest.approx(covered)


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("onnx", "litert")]


@pytest.mark.parametrize("name", ["saved_model", *SLOW])
def test_a_graph_applies_it(home, name, tmp_path, capsys):
    if name == "onnx":
        pytest.importorskip("onnxruntime")
    folder = tmp_path / "out"
    kind = "plain" if name == "litert" else "several"
    assert main(["export", f"{home}/run-{kind}", "--to", name, "--output", str(folder)]) == 0
    assert "its outputs are those after the postprocess" in capsys.readouterr().out
    assert read(folder / "export.json")["applies_postprocess"]
    assert "A postprocess is in the graph" in (folder / "README.md").read_text()


def test_a_format_that_cannot_carry_it_says_so(home, tmp_path, capsys):
    folder = tmp_path / "out"
    assert main(["export", f"{home}/run-several", "--to=keras", "--output", str(folder)]) == 0
    assert "does not apply the run's postprocess" in capsys.readouterr().out
    assert not read(folder / "export.json")["applies_postprocess"]
    own = read(home / "run-several" / "postprocess.json")
    assert read(folder / "postprocess.json") == own
    assert "which is not in this model" in (folder / "README.md").read_text()


def test_a_temperature_is_in_the_last_layer_of_exported_weights(home, tmp_path):
    run = xferlab.load(f"{home}/run-several")
    first = run.postprocessor.steps[0]
    run = run.with_postprocessor(replace(run.postprocessor, steps=[first]))
    before = run.model.network.get_weights()
    export_run(run, "keras", tmp_path / "out")
    for value, old in zip(run.model.network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, old)
    assert read(tmp_path / "out" / "export.json")["applies_postprocess"]
    assert "is in the weights of the last layer" in (tmp_path / "out" / "README.md").read_text()
    found = keras.saving.load_model(tmp_path / "out" / "model.keras").get_weights()
    temperature = first.parameters["temperature"][0]
    assert abs(temperature - 1) > 0.01
    for value, old in zip(found[-2:], before[-2:], strict=True):
        np.testing.assert_allclose(value, old / temperature, rtol=1e-6)
    np.testing.assert_array_equal(found[0], before[0])


@pytest.mark.slow
def test_a_run_that_is_killed_and_resumed_has_the_same_bits(home, monkeypatch):
    before = (home / "run-several" / "postprocess.json").read_bytes()
    shutil.move(home / "run-several", home / "first")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train_and_test, "_score_last_split", killed)
        with pytest.raises(AssertionError):
            train(home, "several", *MANY)
    assert (home / "run-several" / "postprocess.json").exists()
    (home / "run-several" / "postprocess.json").write_text("{}")
    monkeypatch.chdir(home)
    assert main([f"--recover={home / 'run-several'}"]) == 0
    assert (home / "run-several" / "postprocess.json").read_bytes() == before
    first, again = (read(home / name / "metrics.json") for name in ("first", "run-several"))
    assert again | {"seconds": 0} == first | {"seconds": 0}


def test_no_postprocess_is_no_part_of_the_run_id(tmp_path):
    publish(tmp_path)
    ids = [
        compose_experiment(["model=bag_of_embeddings", *overrides]).recipe.run_id
        for overrides in ([], ["postprocess=null"], ["postprocess=temperature"])
    ]
    assert ids[0] == ids[1] != ids[2]


def test_what_does_not_suit_is_refused_before_tensorflow(home, capsys, monkeypatch):
    monkeypatch.chdir(home)
    data = ["data=files", "data.train=several-train.jsonl", "data.validation=several.jsonl", *MODEL]
    assert main(["check", *data, "postprocess=conformal"]) == 2
    assert capsys.readouterr().err.splitlines()[-3:] == [
        " error: postprocess=conformal accepts class_index or float labels, but the data's are"
        " multi_hot (multi_label)",
        " where: postprocess=conformal",
        "   fix: choose postprocess=temperature or thresholds",
    ]
