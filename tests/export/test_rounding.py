"""Exports with rounded weights: what changes is measured, and what is broken is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import xferlab
from tests.support.finished_runs import KINDS, train, write_rows
from xferlab import Task, TaskSpec
from xferlab.cli.main import main
from xferlab.contracts import OutputKind, Split
from xferlab.data.labels import Rows
from xferlab.data.splits import known_split
from xferlab.errors import RunError
from xferlab.evaluation.split_outputs import SplitOutputs
from xferlab.export.formats import FORMATS
from xferlab.export.rounding import MAX_EXAMPLES, Examples, _changed, examples_to_compare, measure
from xferlab.export.serving_function import serving_function
from xferlab.export.tokenizer import write_tokenizer


def exact(run):
    """Return what an export computes that rounds nothing."""
    serve, signature = serving_function(run.model.network, run.spec, "int32", run.postprocessor)
    names = dict(zip(run.model.network.input, signature, strict=True))
    return lambda inputs: {
        name: np.asarray(value)
        for name, value in serve({names[k]: v for k, v in inputs.items()}).items()
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Return a folder with rows and a run with thresholds that was trained on them."""
    home = tmp_path_factory.mktemp("home")
    write_rows(home)
    train(home, "several", "model=bag_of_embeddings", "model.width=8", "postprocess=thresholds")
    return home


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_an_evaluation_and_exact_weights_change_nothing(
    runs, rows, kind, tmp_path
):
    run = xferlab.load(runs[kind])
    texts, labels, pairs = (
        [row[key] for row in rows[kind]] if key in rows[kind][0] else None
        for key in ("text", "label", "other")
    )
    write_tokenizer(run.model, run.spec, tmp_path)
    split = known_split("texts", Rows(texts, labels, pairs), run.spec)
    found = measure(run, exact(run), tmp_path, Examples(split, "rows", True), None, 1e-6)
    expected = run.evaluate(texts, labels, pairs).scores
    assert found.scores.keys() == expected.keys()
    # that run's values are all but equal, so rounding decides their correlation
    for name in ("loss",) if kind == "values" else expected:
        assert found.scores[name][0] == pytest.approx(expected[name].value, rel=1e-4)
    assert all(a == pytest.approx(b, rel=1e-4) for a, b in found.scores.values())
    assert found.largest < 1e-5
    assert found.alone[0] == len(texts)
    assert found.alone[1] < 1e-5
    assert found.changed < 1e-9
    shifted = exact(run)
    plus = {"logits": [0.5] + [0] * (run.spec.num_outputs - 1), "values": [0.5]}
    with pytest.raises(RunError, match="the export differs from the run in"):
        measure(
            run,
            lambda inputs: {k: -v + plus.get(k, 0) for k, v in shifted(inputs).items()},
            tmp_path,
            Examples(split, "rows"),
            None,
        )


def test_what_an_export_computes_of_texts_one_by_one_is_compared_as_well(runs, rows, tmp_path):
    run = xferlab.load(runs["plain"])
    write_tokenizer(run.model, run.spec, tmp_path)
    texts, labels = ([row[key] for row in rows["plain"]] for key in ("text", "label"))
    split = known_split("texts", Rows(texts, labels), run.spec)
    same = exact(run)

    def by_batch(inputs):
        alone = len(inputs["token_ids"]) == 1
        return {name: value * (3 if alone else 1) for name, value in same(inputs).items()}

    found = measure(run, by_batch, tmp_path, Examples(split, "rows", True), None, 0.6)
    assert found.largest < 1e-5
    assert found.alone[1] > 100 * found.largest
    assert "one by one" in found.lines()[4]


def test_an_int8_file_is_compared_on_the_validation_split_as_onnxruntime_computes_it(
    home, tmp_path, capsys, monkeypatch
):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    from transformers import AutoTokenizer

    monkeypatch.chdir(home)
    folder = tmp_path / "out"
    assert main(["export", "run-several", "--to", "onnx_int8", "--output", str(folder)]) == 0
    printed = capsys.readouterr().out.splitlines()
    record = json.loads((folder / "export.json").read_text())
    found = record["compared"]
    assert "compared   32 examples of the validation split" in printed
    assert record["applies_postprocess"]

    lines = (home / "several.jsonl").read_text().splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    arrays = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="np")
    names = ("probabilities", "predicted")
    feeds = {each.name: arrays[each.name] for each in session.get_inputs()}
    probabilities, predicted = session.run(names, feeds)
    run = xferlab.load(home / "run-several")
    gap = np.abs(probabilities - run.probabilities(texts))
    assert 0 < found["largest_difference"] == pytest.approx(gap.max(), rel=1e-3)
    assert found["mean_difference"] == pytest.approx(gap.mean(), rel=1e-3)
    names = run.spec.class_names
    labels = np.array([[n in each for n in names] for each in run.predict(texts).labels])
    either = predicted | labels
    assert found["changed"] == pytest.approx((predicted != labels)[either].mean())
    assert found["bytes"] < 0.5 * found["bytes_in_float32"]
    truth = np.array([[n in json.loads(line)["label"] for n in names] for line in lines])
    both = 2 * (predicted & truth).sum() / (predicted.sum() + truth.sum())
    assert found["scores"]["micro_f1"]["export"] == pytest.approx(both)
    assert "## Rounded weights" in (folder / "README.md").read_text()


def test_without_the_data_texts_are_generated_and_an_export_that_is_broken_is_not_kept(
    runs, tmp_path, monkeypatch, capfd
):
    words = ["export", str(runs["several"]), "--to", "litert_int8"]
    words += ["--output", str(tmp_path / "out")]
    assert main(words) == 0
    printed, others = capfd.readouterr()
    printed = " ".join(printed.split())
    assert "1,000 generated texts, without scores: no validation examples of the run" in printed
    assert "XNNPACK" not in others  # what LiteRT's interpreter says of itself
    chosen = FORMATS["litert_int8"]
    read = chosen.read

    def broken(folder, spec):
        predict = read(folder, spec)
        return lambda inputs: {k: -v for k, v in predict(inputs).items()}

    monkeypatch.setattr(chosen, "read", broken)
    assert main([*words, "--force", "--tolerance", "0.2"]) == 1
    error, where, fix = capfd.readouterr().err.splitlines()[-3:]
    assert error.startswith(" error: the export differs from the run in 100.0% of its decisions")
    assert where == f" where: {runs['several']}"
    assert fix == "   fix: nothing was kept; the format without _int8 does not round"
    assert os.listdir(tmp_path) == ["out"]  # the earlier one


def test_rounded_outputs_that_are_no_numbers_are_refused(home, tmp_path):
    run = xferlab.load(home / "run-several")
    write_tokenizer(run.model, run.spec, tmp_path)
    rows = Split(["a good film", "a bad film"], None)
    right = exact(run)

    def broken(inputs):
        return {k: v * np.inf if k == "logits" else v for k, v in right(inputs).items()}

    with pytest.raises(RunError, match=r"100\.0% of its decisions"):
        measure(run, broken, tmp_path, Examples(rows, "two"), run.postprocessor)


def outputs(task, values, labels, names=()):
    kind = OutputKind.logits if names else OutputKind.values
    spec = TaskSpec(task, names, 10, 64, output_kind=kind)
    values = np.array(values, "float32")
    return SplitOutputs(spec, [], None, np.array(labels), values, values)


def test_decisions_that_differ_are_counted_where_something_is_decided():
    names = ("O", "B-x")
    single = [[[1, 0], [1, 0], [0, 1], [0, 1]], [[1, 0], [1, 0], [0, 1], [1, 0]]]
    found = [outputs(Task.single_label, each, [0] * 4, names) for each in single]
    assert _changed(*found) == 1 / 4
    several = [[[1, -1, -1], [1, 1, -1]], [[1, -1, -1], [1, -1, 1]]]  # 4 labels of either
    found = [outputs(Task.multi_label, each, np.zeros((2, 3)), (*names, "c")) for each in several]
    assert _changed(*found) == 2 / 4
    tags = [[[[1, 0], [1, 0], [0, 1], [0, 1]]], [[[1, 0], [0, 1], [0, 1], [1, 0]]]]
    found = [outputs(Task.token_classification, each, [[0, 0, 0, -1]], names) for each in tags]
    assert _changed(*found) == 1 / 2  # the last word has no tag, the first is O in both
    values = [[[0.0], [2.0]], [[0.1], [2.1]]]
    assert _changed(*(outputs(Task.regression, each, [0, 0]) for each in values)) == (
        pytest.approx(0.01, rel=1e-4)
    )


def test_of_a_large_split_examples_at_equal_distances_are_compared(home, monkeypatch):
    monkeypatch.chdir(home)
    run = xferlab.load(home / "run-several")
    assert MAX_EXAMPLES == 5000
    monkeypatch.setattr("xferlab.export.rounding.MAX_EXAMPLES", 4)
    found = examples_to_compare(run, None)
    whole = [json.loads(line)["text"] for line in Path("several.jsonl").read_text().splitlines()]
    assert found.rows.texts == [whole[i] for i in (0, 10, 20, 31)]
    assert found.source == "of the 32 examples of the validation split"
    rows = Path("several.jsonl").read_text()
    Path("several.jsonl").write_text(rows.replace(" was ", " is "))
    found = examples_to_compare(run, None)
    Path("several.jsonl").write_text(rows)
    assert not found.has_labels
    assert found.source.endswith("(they are others than in training)")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (
            ["onnx", "--tolerance", "0.1"],
            " error: --to onnx rounds nothing: its tolerance is fixed",
        ),
        (["onnx_int8", "--tolerance", "2"], "must be above 0, at most 1, got '2'"),
    ],
)
def test_a_tolerance_that_means_nothing_is_refused(words, what, capsys):
    assert main(["export", "no/run", "--to", *words]) == 2
    assert what in capsys.readouterr().err
