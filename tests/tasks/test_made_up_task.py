"""A made-up task with two values for each text: one class and one data plugin, no other file."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from xferlab import OutputKind, Split, Task, TaskSpec, TextData, register
from xferlab.cli.main import main
from xferlab.evaluation.errors_table import ErrorsTable, most_confident
from xferlab.tasks.base import TASKS, register_task
from xferlab.tasks.label_checks import checked_array
from xferlab.tasks.regression import Regression

# -- the task --------------------------------------------------------------------------------------

NAMES = ("valence", "arousal")


class TwoValues(Regression):
    """Valence and arousal of a text; labels are float32 (examples, 2)."""

    name = "two_values"
    default_metrics: ClassVar = {"mean_absolute_error": {"name": "mean_absolute_error"}}
    title = "valence and arousal of a text"

    def num_outputs(self, spec):
        return 2

    def label_problems(self, split_name, split, spec):
        expected = "float32, shape (examples, 2)"
        yield from checked_array(split_name, split, spec, "f", expected, 2)

    def decide(self, outputs, spec):
        return outputs

    def predicted_labels(self, probabilities, names):
        return probabilities.tolist()

    def prediction_cells(self, text, label, probabilities, spec):
        return {"text": text, **dict(zip(NAMES, label, strict=True))}

    def prediction_columns(self, spec):
        return ["text", *NAMES]

    def baseline_notes(self, spec, split_name, labels, outputs):
        yield from ()

    def list_errors(self, outputs, number):
        distance = np.linalg.norm(outputs.predicted - outputs.labels, axis=1)
        first = most_confident(distance, distance > 0, number)
        rows = tuple((*outputs.text_cells(i), float(distance[i])) for i in first)
        return ErrorsTable(("row", "text", "distance"), rows, len(outputs), "the largest distance")

    def analyse(self, outputs):
        return {}

    def prediction_rows(self, outputs):
        yield "row", *NAMES
        for i, values in enumerate(outputs.predicted.tolist()):
            yield i + 1, *values


# -- its data --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Feelings:
    """Texts with a valence and an arousal."""

    max_length: int = 16

    def build(self, seed: int) -> TextData:
        texts = [f"a {word} film {i}" for i in range(24) for word in ("calm", "wild", "sad")]
        labels = np.array([[1, 0], [1, 1], [0, 0]] * 24, "float32")
        rest = Split(texts[60:], labels[60:])
        spec = TaskSpec(Task.two_values, (), 60, self.max_length, output_kind=OutputKind.values)
        return TextData(spec, Split(texts[:60], labels[:60]), rest, rest)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two_values")
    register("data", "feelings")(Feelings)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(TASKS, "_members", dict(TASKS))
        register_task(TwoValues)
        model = ["model=bag_of_embeddings", "model.width=8", "optimizer.lr=0.05"]
        assert main(["data=feelings", *model, "train.epochs=10", "hydra.run.dir=run"]) == 0
        yield folder / "run"


def test_a_made_up_task_is_trained_and_reported(run, capsys):
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["best"]["monitor"] == "val_mean_absolute_error"
    assert metrics["test"]["mean_absolute_error"] < 0.25
    assert json.loads((run / "run.json").read_text())["task"]["task"] == "two_values"
    assert main(["report", str(run)]) == 0
    assert "mean_absolute_error" in capsys.readouterr().out
    assert "two_values" in (run / "report.html").read_text().replace(" values", "_values")


def test_a_made_up_task_is_evaluated(run, capsys):
    assert main(["evaluate", str(run), "--samples=50"]) == 0
    assert "mean_absolute_error" in capsys.readouterr().out
    folder = run / "evaluations" / "test"
    files = {path.name for path in folder.iterdir()}
    assert files == {"metrics.json", "errors.csv", "errors.md", "predictions.csv"}
    header, *rows = csv.reader((folder / "predictions.csv").open())
    assert header == ["row", *NAMES]
    assert len(rows) == 12
    score = json.loads((folder / "metrics.json").read_text())["scores"]["mean_absolute_error"]
    assert score["low"] < score["value"] < score["high"]


def test_a_made_up_task_predicts(run, capsys):
    assert main(["predict", str(run), "a wild film", "a sad film", "--format=csv"]) == 0
    wild, sad = csv.DictReader(capsys.readouterr().out.splitlines())
    assert float(wild["valence"]) > 0.6
    assert float(wild["arousal"]) > 0.6
    assert float(sad["valence"]) < 0.4


def test_labels_of_another_shape_are_refused(run):
    broken = Split(["a"], np.zeros(1, "float32"))
    spec = TaskSpec(Task.two_values, (), 1, 8)
    ((what, _),) = Task.two_values.label_problems("train", broken, spec)
    assert what == (
        "gives float32 labels of shape (1,) for train; two_values needs float32, shape (examples,"
        " 2)"
    )


def test_an_unknown_task_has_no_attribute():
    with pytest.raises(AttributeError, match="there is no task 'spans'"):
        _ = Task.spans
