"""Reports, confusion, calibration, errors: against scikit-learn, by hand, with odd texts."""

from __future__ import annotations

import csv
import dataclasses
import io
import struct

import numpy as np
import pytest
import sklearn.metrics as reference
from scipy.special import expit, softmax

from xferlab import OutputKind, Split, Task, TaskSpec
from xferlab.escaping import csv_text, markdown
from xferlab.evaluation.bootstrap import Score
from xferlab.evaluation.calibration import calibration_of, wilson
from xferlab.evaluation.marked_words import mark
from xferlab.evaluation.split_evaluation import Evaluation
from xferlab.evaluation.split_outputs import SplitOutputs, split_outputs

TAGS = ("O", "B-person", "I-person", "B-place", "I-place")
HOSTILE = '=cmd|"/c calc"!A1 <script>alert(1)</script> [x](javascript:y) | \x1b[2J\r\nnext'


def class_report(outputs: SplitOutputs):
    return outputs.spec.task.analyse(outputs)["report"]


def confusion_of(outputs: SplitOutputs):
    return outputs.spec.task.confusion(outputs)


def list_errors(outputs: SplitOutputs, number: int = 50):
    return outputs.spec.task.list_errors(outputs, number)


def single_label(classes: int = 4, rows: int = 300, seed: int = 0, texts=None):
    """Return answers of a task with one label a row; the last class is neither there nor told."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes - 1, rows).astype("int32")
    logits = random.normal(size=(rows, classes)).astype("float32")
    logits[np.arange(rows), labels] += 1
    logits[:, -1] = -9
    spec = TaskSpec(Task.single_label, tuple(f"c{i}" for i in range(classes)), 9, 9)
    texts = texts or [f"text {i}" for i in range(rows)]
    return split_outputs(spec, Split(texts, labels), logits, softmax(logits, -1))


def several_labels(classes: int = 5, rows: int = 300):
    random = np.random.default_rng(1)
    labels = (random.random((rows, classes)) < 0.3).astype("float32")
    logits = (2 * labels - 1 + random.normal(size=labels.shape)).astype("float32")
    spec = TaskSpec(Task.multi_label, tuple(f"c{i}" for i in range(classes)), 9, 9)
    return split_outputs(
        spec, Split([f"text {i}" for i in range(rows)], labels), logits, expit(logits)
    )


def tagged(wanted, found, sureness=None):
    """Return answers of sentences whose words are w0, w1, ...; found None is a word cut off."""
    labels = [np.array([TAGS.index(t) for t in row], "int32") for row in wanted]
    outputs = []
    for i, row in enumerate(found):
        out = np.full((len(row), len(TAGS)), np.nan, "float32")
        for j, tag in enumerate(row):
            if tag is not None:
                out[j] = np.eye(len(TAGS))[TAGS.index(tag)] * (sureness or [4] * len(found))[i]
        outputs.append(out)
    texts = [[f"w{j}" for j in range(len(row))] for row in wanted]
    spec = TaskSpec(Task.token_classification, TAGS, 9, 9)
    return split_outputs(spec, Split(texts, labels), outputs, [softmax(o, -1) for o in outputs])


def values(rows: int = 200):
    random = np.random.default_rng(2)
    labels = random.integers(0, 6, rows).astype("float32")
    found = (labels + random.normal(size=rows)).astype("float32")[:, None]
    spec = TaskSpec(Task.regression, (), 9, 9, has_pairs=True, output_kind=OutputKind.values)
    pairs = [f"pair {i}" for i in range(rows)]
    return split_outputs(
        spec, Split([f"text {i}" for i in range(rows)], labels, pairs), found, found
    )


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


# report


def test_the_report_of_one_label_is_scikit_learns():
    found = single_label()
    report = class_report(found)
    expected = reference.classification_report(
        found.labels, found.predicted, output_dict=True, zero_division=0
    )
    for line in report.classes:
        there = expected[line.name.removeprefix("c")]
        assert (line.precision, line.recall, line.f1, line.support) == pytest.approx(
            (there["precision"], there["recall"], there["f1-score"], there["support"])
        )
    macro, weighted = (expected[f"{name} avg"]["f1-score"] for name in ("macro", "weighted"))
    shown = {line.name: line.f1 for line in report.means}
    assert list(shown.values()) == pytest.approx([expected["accuracy"], macro, weighted])
    assert report.absent == ("c3",)
    assert "neither present nor predicted: c3" in report.text()


def test_the_report_of_several_labels_is_scikit_learns():
    found = several_labels()
    report = class_report(found)
    expected = reference.classification_report(
        found.labels, found.predicted, output_dict=True, zero_division=0
    )
    for name, line in zip("01234", report.classes, strict=True):
        assert line.f1 == pytest.approx(expected[name]["f1-score"])
    assert [line.f1 for line in report.means] == pytest.approx(
        [expected[f"{name} avg"]["f1-score"] for name in ("micro", "macro", "weighted")]
    )


def test_the_report_of_tags_counts_whole_entities():
    # place: 1 of 2 right, 1 told; person: right ends and type once, once one word too short
    wanted = [["B-person", "I-person", "O", "B-place"], ["B-person", "I-person", "B-place", "O"]]
    found = [["B-person", "I-person", "O", "B-place"], ["B-person", "O", "O", "O"]]
    report = class_report(tagged(wanted, found))
    lines = {line.name: (line.precision, line.recall, line.support) for line in report.classes}
    assert lines == {"person": (0.5, 0.5, 2), "place": (1.0, 0.5, 2)}
    assert [line.f1 for line in report.means] == pytest.approx([4 / 7, 7 / 12, 7 / 12])
    assert report.unit == "entities"


def test_the_report_as_csv_has_every_line():
    report = class_report(single_label())
    rows = table(report.csv())
    assert [row["class"] for row in rows if row["kind"] == "class"] == ["c0", "c1", "c2"]
    assert float(rows[0]["f1"]) == pytest.approx(report.classes[0].f1, rel=1e-5)


# confusion


def test_confusion_is_scikit_learns():
    found = single_label()
    confusion = confusion_of(found)
    expected = reference.confusion_matrix(found.labels, found.predicted, labels=range(4))
    assert (confusion.counts == expected).all()
    cells = {(r["true"], r["predicted"]): int(r["count"]) for r in table(confusion.csv())}
    assert cells[("c0", "c1")] == expected[0, 1]
    assert sum(cells.values()) == 300
    assert confusion.fractions[:3].sum(axis=1) == pytest.approx([1, 1, 1])


def test_several_labels_have_a_table_of_two_by_two_each():
    found = several_labels()
    expected = reference.multilabel_confusion_matrix(found.labels, found.predicted)
    for row, matrix in zip(table(confusion_of(found).csv()), expected, strict=True):
        names = ("true_negative", "false_positive", "false_negative", "true_positive")
        assert [int(row[name]) for name in names] == matrix.reshape(-1).tolist()


def test_confusion_of_tags_is_of_the_words_by_type_and_those_cut_off_are_outside():
    found = tagged([["B-person", "I-person", "O", "O"]], [["I-person", "B-place", "O", None]])
    confusion = confusion_of(found)
    assert confusion.names == ("O", "person", "place")
    assert confusion.counts.tolist() == [[2, 0, 0], [0, 1, 1], [0, 0, 0]]


# calibration


def test_the_calibration_error_is_the_metrics_own():
    from pathlib import Path

    from xferlab.discovery import load_plugins
    from xferlab.registry import REGISTRY

    load_plugins(Path("/nonexistent"))
    found = single_label()
    metric = REGISTRY.create("metric", {"name": "calibration_error"}).build(found.spec)
    assert Evaluation("test", found, {}).calibration_error == pytest.approx(
        metric(found.labels, found.outputs)
    )


def test_calibration_bins_by_hand():
    spec = TaskSpec(Task.single_label, ("a", "b"), 9, 9)
    p = np.array([[0.95, 0.05], [0.95, 0.05], [0.4, 0.6], [0.45, 0.55]], "float32")
    found = split_outputs(spec, Split(list("wxyz"), np.array([0, 1, 1, 1])), np.log(p), p)
    labels, predicted, confidence = found.seen_units
    calibration = calibration_of(confidence, labels == predicted, "examples", "", bins=2)
    assert calibration.count.tolist() == [0, 4]
    assert calibration.confidence[1] == pytest.approx(0.7625)
    assert calibration.fraction[1] == 0.75
    assert calibration.error == pytest.approx(0.0125)
    assert len(table(calibration.csv())) == 1


def test_wilsons_interval():
    low, high = wilson(np.array([0.8]), np.array([10.0]))  # 8 of 10
    assert (low[0], high[0]) == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_a_regression_is_told_by_tenths():
    rows = table(Evaluation("test", values(), {}).analyses["residuals"].csv())
    assert [int(row["examples"]) for row in rows] == [20] * 10


# errors


def test_the_most_confident_errors_come_first_with_their_row_counted_from_1():
    found = single_label()
    errors = list_errors(found, 5)
    sure = [row[4] for row in errors.rows]
    assert sure == sorted(sure, reverse=True)
    wrong = found.labels != found.predicted
    assert sure[0] == pytest.approx(found.probabilities.max(1)[wrong].max())
    for number, text, true, predicted, *_ in errors.rows:
        row = number - 1
        assert text == f"text {row}"
        assert (true, predicted) == (f"c{found.labels[row]}", f"c{found.predicted[row]}")
        assert wrong[row]
    assert errors.total == wrong.sum()


def test_an_error_of_several_labels_names_the_most_confident_label():
    spec = TaskSpec(Task.multi_label, ("a", "b", "c"), 9, 9)
    p = np.array([[0.9, 0.2, 0.4], [0.1, 0.8, 0.1]], "float32")
    labels = np.array([[0, 0, 1], [0, 1, 0]], "float32")
    found = split_outputs(spec, Split(["x", "y"], labels), np.log(p / (1 - p)), p)
    assert [row[:6] for row in list_errors(found).rows] == [(1, "x", "c", "a", "a", "wrong")]


def test_the_largest_errors_of_a_regression_come_first():
    found = values()
    first = list_errors(found, 1).rows[0]
    assert abs(first[-1]) == pytest.approx(np.abs(found.predicted - found.labels).max())
    assert first[2] == f"pair {first[0] - 1}"


def test_sentences_with_wrong_tags_are_marked_the_most_confident_first():
    wanted = [["O", "B-place"], ["B-person", "O"], ["O", "O"]]
    found = tagged(wanted, [["O", "O"], ["B-place", "O"], ["O", "O"]], sureness=[3, 6, 6])
    errors = list_errors(found)
    assert [row[:2] for row in errors.rows] == [
        (2, "⟦w0: person → place⟧ w1"),
        (1, "w0 ⟦w1: place → nothing⟧"),
    ]
    assert errors.total == 2


def test_entities_that_overlap_are_told_together():
    words = ["in", "New", "York", "City", "Hall"]
    wanted = ["O", "B-place", "I-place", "I-place", "O"]
    found = ["O", "O", "B-place", "B-person", "I-person"]
    marked = 'in ⟦New York City Hall: place "New York City" → place "York", person "City Hall"⟧'
    assert mark(words, wanted, found) == marked


def test_tags_that_are_not_bio_are_marked_a_word_at_a_time():
    assert mark(["a", "b"], ["NN", "VB"], ["NN", "NN"]) == "a ⟦b: VB → NN⟧"


# texts of strangers


def test_texts_cannot_speak_to_a_terminal_a_spreadsheet_or_a_page():
    evaluation = Evaluation("test", single_label(texts=[HOSTILE] * 300), {"loss": Score(1.0)})
    files = evaluation.files(evaluation.record())
    for name, text in files.items():
        assert "\x1b" not in text, name
    assert all(row["text"].startswith("'=cmd") for row in table(files["errors.csv"]))
    shown = files["errors.md"]
    assert "<script>" not in shown
    assert "](javascript" not in shown.replace("\\](", "")
    lines = [line for line in shown.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {7}  # six columns: no cell adds one


@pytest.mark.parametrize("cell", ["=1", "+1+1", "-1-1", "@x", " =1", "\n=1", "\t=1", "\uff1d1"])
def test_no_cell_is_a_formula(cell):
    assert list(csv.reader(io.StringIO(csv_text([[cell]]), newline=""))) == [[f"'{cell}"]]


def test_numbers_are_no_formulas():
    assert csv_text([[-1, -0.5]]) == "-1,-0.5\n"
    assert csv_text([["-1", "+1.5e-3", "- 1", "-1-1"]]) == "-1,+1.5e-3,'- 1,'-1-1\n"


def test_markdown_shows_a_text_as_it_is():
    text = "a*b*_c_ `d` <i> & ~~e~~ $f$ http://g www.h i@j \\ |"
    assert markdown(text) == (
        "a\\*b\\*\\_c\\_ \\`d\\` &lt;i&gt; &amp; &#126;&#126;e&#126;&#126; &#36;f&#36;"
        " http&#58;//g www&#46;h i&#64;j \\\\ &#124;"
    )


# pictures


def size_of(png: bytes) -> tuple[int, int]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", png[16:24])


@pytest.mark.parametrize("classes", [2, 28, 120])
def test_pictures_of_few_and_many_classes_have_a_size_to_look_at(classes):
    evaluation = Evaluation("test", single_label(max(classes, 3)), {})
    for name, png in evaluation.figures("a title with $x_1 in it").items():
        width, height = size_of(png)
        assert 400 <= width <= 1700, name
        assert 300 <= height <= 1700, name


def test_every_task_has_its_files():
    kinds = {"report.txt", "report.csv", "confusion.csv", "calibration.csv"}
    usual = {"metrics.json", "errors.csv", "errors.md", "predictions.csv"}
    tags = tagged([["B-person", "O"]], [["O", "O"]])
    for found in (single_label(), several_labels(), tags):
        evaluation = Evaluation("test", found, {"loss": Score(1.0, 0.5, 1.5)})
        assert evaluation.files(evaluation.record()).keys() == kinds | usual
    evaluation = Evaluation("test", values(), {"loss": Score(1.0)})
    assert evaluation.files(evaluation.record()).keys() == usual | {"residuals.csv"}
    assert evaluation.figures("x").keys() == {"residuals.png"}


def test_predictions_of_words_that_were_cut_off_are_o_without_a_probability():
    evaluation = Evaluation("test", tagged([["B-person", "O"]], [["O", None]]), {})
    rows = table(evaluation.files({})["predictions.csv"])
    assert [(r["row"], r["word"], r["true"], r["predicted"]) for r in rows] == [
        ("1", "1", "B-person", "O"),
        ("1", "2", "O", "O"),
    ]
    assert rows[1]["probability"] == ""
    assert float(rows[0]["probability"]) > 0.9


def test_entities_of_words_cut_off_are_missed_and_no_mistake_that_a_model_was_sure_of():
    wanted = [["O", "B-place", "I-place"], ["B-person", "O", "B-place"]]
    outputs = tagged(wanted, [["O", "B-place", None], ["B-person", "B-place", None]])
    report = class_report(outputs)
    lines = {line.name: (line.precision, line.recall, line.support) for line in report.classes}
    assert lines == {"person": (1.0, 1.0, 1), "place": (0.0, 0.0, 2)}
    first, second = list_errors(outputs).rows
    assert first[:2] == (2, "w0 ⟦w1: nothing → place⟧ ⟦w2: place → nothing⟧")
    assert second[1] == 'w0 ⟦w1 w2: place → place "w1"⟧'
    assert Evaluation("test", outputs, {}).analyses["calibration"].count.sum() == 4


def test_words_without_a_tag_are_left_out_of_entities():
    labels = [np.array([TAGS.index("B-place"), -1, TAGS.index("I-place")], "int32")]
    logits = np.eye(len(TAGS), dtype="float32")[
        [TAGS.index(tag) for tag in ("B-place", "B-person", "I-place")]
    ][None]
    spec = TaskSpec(Task.token_classification, TAGS, 9, 9)
    found = split_outputs(spec, Split([["a", "b", "c"]], labels), list(logits), list(logits))
    assert found.entities(0) == ({(0, 3, "place")}, {(0, 3, "place")})
    assert class_report(found).means[0].f1 == 1.0
    rows = table(Evaluation("test", found, {}).files({})["predictions.csv"])
    assert [row["word"] for row in rows] == ["1", "3"]


def test_confidence_is_the_probability_of_what_is_decided():
    outputs = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]], "float32")
    spec = TaskSpec(Task.single_label, ("a", "b"), 9, 9)
    rows = Split(["x", "y", "z"], np.array([1, 1, 0]))
    found = split_outputs(spec, rows, outputs, softmax(outputs, -1))
    decided = dataclasses.replace(found, decisive=outputs - [1.5, 0])
    _, predicted, confidence = decided.units
    assert predicted.tolist() == [1, 1, 0]
    np.testing.assert_allclose(confidence, softmax(outputs, -1)[range(3), predicted])
