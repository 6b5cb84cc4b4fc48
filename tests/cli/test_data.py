"""``data``: every task has its statistics, bad input is refused at once, nothing is trained."""

import csv
import json
import sys
from pathlib import Path

import pytest

from xferlab.cli.main import main

ROWS = [(f"the film number {i} was {'good' if i % 5 else 'bad'}", i % 5 > 0) for i in range(60)]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    had = "tensorflow" in sys.modules
    yield
    assert had or "tensorflow" not in sys.modules
    assert not (tmp_path / "outputs").exists()


def write(path, header, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def printed(capsys, *overrides):
    assert main(["data", "data=files", *overrides]) == 0
    return capsys.readouterr().out


def section(out, title):
    """Return the cells of a table's rows by the name of its row."""
    lines = out[out.index(f"\n{title}") + 1 :].split("\n\n")[0].splitlines()
    return {line.split()[0]: line.split()[1:] for line in lines[1:]}


def test_the_first_line_comes_before_anything_is_loaded(capsys, monkeypatch):
    def load(config_dir):
        assert capsys.readouterr().err == "data       reading the config\n"
        raise KeyboardInterrupt

    monkeypatch.setattr("xferlab.cli.main.load_workspace", load)
    assert main(["data", "data=files"]) == 130


def test_classes(capsys):
    rows = [(text, "yes" if label else "<b>no") for text, label in ROWS]
    write("train.csv", ("text", "label"), [*rows, rows[0], (rows[1][0], "<b>no")])
    write("test.csv", ("text", "label"), [("", "yes"), rows[2], ("no \u2603", "<b>no")])
    options = ("data.train=train.csv", "data.test=test.csv", "data.max_length=8")
    out = printed(capsys, *options, "--html", "page.html")
    assert "task       single_label, 2 classes" in out
    counts = section(out, "rows")
    assert counts["split"][:4] == ["rows", "empty", "repeated", "contradictory"]
    assert counts["test"][:5] == ["3", "1", "(33.3%)", "0", "0"]
    assert "note       no validation split: 6 of 62 training rows are held back" in out
    assert "note       yes has 3 times as many training examples as <b>no: train.sampling" in out
    assert "loss.class_weight=auto" in out
    assert "are longer than is read: data.max_length=" in out
    assert "scored on validation and test" in out
    assert section(out, "examples of train")["example"] == ["label", "text"]
    page = Path("page.html").read_text()
    for text in ("contradictory", "TF-IDF + logistic regression", "<svg", "data.max_length=8"):
        assert text in page
    assert "<b>no" not in page


def test_advice_fits_the_config(capsys):
    write("train.csv", ("text", "label"), ROWS)
    out = printed(capsys, "data.train=train.csv", "loss=class_balanced", "model=bag_of_embeddings")
    (line,) = (line for line in out.splitlines() if "times as many" in line)
    assert "train.sampling=balanced" in line
    assert "class_weight" not in line  # that loss has no such field


def test_numbers(capsys):
    write("train.csv", ("text", "label"), [(text, i + 0.5) for i, (text, _) in enumerate(ROWS)])
    out = printed(capsys, "data.train=train.csv")
    assert "task       regression" in out
    assert section(out, "labels")["split"][3] == "median"
    assert "TF-IDF + ridge regression" in out
    assert "mean_squared_error" in out


def test_several_labels(capsys):
    write("train.csv", ("text", "label"), [(t, "a|b" if y else "b|c") for t, y in ROWS])
    out = printed(capsys, "data.train=train.csv")
    assert section(out, "labels a row")["2"][0] == "54"
    assert section(out, "labels")["b"][:2] == ["54", "(100.0%)"]


def test_tags(capsys):
    rows = [{"tokens": ["Ada", "slept"], "tags": ["B-person", "O"]} for _ in range(20)]
    rows += [{"tokens": ["it", "rains"], "tags": ["O", "O"]}]
    with open("train.jsonl", "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    columns = ("data.text=tokens", "data.label=tags")
    out = printed(capsys, "data.train=train.jsonl", "data.validation=null", *columns)
    assert section(out, "entities by type")["rows"][0] == "without"
    assert "each word's most frequent tag" in out
    assert "times as many" not in out


def test_tags_that_the_usual_metric_cannot_score(capsys):
    with open("train.jsonl", "w") as file:
        for i in range(20):
            row = {"tokens": ["Ada", "slept"], "tags": [1 + i % 2, 0]}
            file.write(json.dumps(row) + "\n")
    out = printed(capsys, "data.train=train.jsonl", "data.text=tokens", "data.label=tags")
    assert "baselines" not in out
    assert "note       the tags are numbers without names: 0, 1, 2: name them in order" in out


@pytest.mark.parametrize("task", ["similarity", "retrieval", "masked_lm"])
def test_pairs_and_texts_without_labels(capsys, task):
    rows = [(text, f"{text} indeed", i % 2) for i, (text, _) in enumerate(ROWS)]
    write("train.csv", ("text", "other", "label"), rows)
    columns = {
        "similarity": ["data.pair=other"],
        "retrieval": ["data.pair=other", "data.label=null"],
        "masked_lm": [],
    }
    out = printed(capsys, "data.train=train.csv", f"data.task={task}", *columns[task])
    assert ("baselines" in out) == (task != "masked_lm")
    assert ("\nlabels" in out) == (task == "similarity")
    assert "tokens (" in out


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["-m"], "data is of one config"),
        (["--html", "page.pdf"], "the page is HTML"),
        (["--html", "none/page.html"], "is in a folder that does not exist"),
        (["data=files", "data.train=none.csv"], "there is no file none.csv"),
        (["model.checkpoint=./none"], "there is no folder './none'"),
        (["data.max_lenght=3"], "there is no key 'data.max_lenght'"),
    ],
)
def test_bad_input_is_three_lines(capsys, arguments, error):
    assert main(["data", *arguments]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("data ")]
    assert len(lines) == 3
    assert error in lines[0]
    assert lines[2].startswith("   fix: ")
