"""Texts of strangers: no output of any kind obeys them, and what programs read stays readable."""

from __future__ import annotations

import csv
import io
import json
import logging

import pytest

from xferlab.cli.main import main
from xferlab.cli.report import as_csv
from xferlab.config.compose import compose_experiment, publish
from xferlab.contracts import Task, TaskSpec
from xferlab.discovery import load_plugins
from xferlab.errors import CONTROL, ConfigError
from xferlab.escaping import csv_cell, guard_logs, json_line, visible
from xferlab.inference.writers import TEXT_WRITERS, columns_of

FORMULA = "=cmd|' /C calc'!A0"
CLEAR = "\x1b[2J\x9b31mred\u202e"
SPEC = TaskSpec(Task.single_label, (FORMULA, CLEAR, "-1"), 10, 32)


def rows_of(kind, *rows):
    stream = io.StringIO()
    writer = TEXT_WRITERS[kind](SPEC, stream)
    writer.write(rows)
    writer.close()
    return stream.getvalue()


def answer(text, label, number=1):
    likely = {f"p_{name}": -0.5 for name in SPEC.class_names}
    return {"row": number, "text": text, "label": label, **likely}


def assert_harmless(text):
    assert not [c for c in CONTROL.findall(text) if c not in "\n\t"]


def test_predictions_as_csv_hold_no_formula_and_move_no_terminal():
    given = [FORMULA, "+1+1", "-2-3", "@SUM(A1)", "\t=1", "\r=1", CLEAR, 'a\n"b", c', "-5", "fine"]
    text = rows_of("csv", *(answer(t, label=FORMULA, number=i) for i, t in enumerate(given)))
    assert_harmless(text)
    table = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["text"] for row in table] == [
        f"'{FORMULA}",
        "'+1+1",
        "'-2-3",
        "'@SUM(A1)",
        "'\t=1",
        "\\x0d=1",
        "\\x1b[2J\\x9b31mred\\x202e",
        'a\n"b", c',
        "-5",
        "fine",
    ]
    assert {row["label"] for row in table} == {f"'{FORMULA}"}
    assert {row["p_-1"] for row in table} == {"-0.5"}
    assert {row["row"] for row in table} == {str(i) for i in range(len(given))}


def test_a_label_that_is_a_number_stays_one():
    assert rows_of("csv", answer("x", "-1")).splitlines()[1].split(",")[2] == "-1"


def test_an_error_keeps_its_place_in_csv():
    text = rows_of("csv", {"row": 1, "error": "has no text"})
    assert next(csv.DictReader(io.StringIO(text))) == {
        **dict.fromkeys(map(csv_cell, columns_of(SPEC)), ""),
        "row": "1",
        "error": "has no text",
    }


def test_predictions_as_json_lines_read_back_as_they_were():
    text = rows_of("jsonl", answer(CLEAR, FORMULA))
    assert text.count("\n") == 1
    assert_harmless(text)
    assert json.loads(text) == answer(CLEAR, FORMULA)
    assert json_line("für 日本") == '"für 日本"'


@pytest.mark.parametrize("kind", ["table", "csv", "jsonl"])
def test_no_output_moves_a_terminal(kind):
    assert_harmless(rows_of(kind, answer(CLEAR, CLEAR)))


def test_a_log_holds_no_control_character_and_a_text_begins_no_line():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    log = logging.getLogger("xferlab.test_escaping")
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        guard_logs()
        guard_logs()
        log.warning("classes %s, %d rows", f"{CLEAR}\nERROR forged", 3)
        log.error("%s", ConfigError("one", where="two", fix=f"three {CLEAR}"))
        try:
            raise ValueError(CLEAR)
        except ValueError:
            log.exception("failed")
    finally:
        root.removeHandler(handler)
    assert_harmless(stream.getvalue())
    lines = stream.getvalue().splitlines()
    assert lines[0] == "WARNING classes \\x1b[2J\\x9b31mred\\x202e ERROR forged, 3 rows"
    assert [line.split(":")[0].strip() for line in lines[1:4]] == ["ERROR  error", "where", "fix"]
    assert lines[-1] == "ValueError: \\x1b[2J\\x9b31mred\\x202e"


def test_visible_keeps_lines_and_shows_halves_of_surrogate_pairs():
    assert visible("a\n\tb\ud800\r") == "a\n\tb\\xd800\\x0d"


def test_a_table_of_results_holds_no_formula():
    text = as_csv([{"=1": "=2", "loss.name": "@x", "seed": -1}, {CLEAR: 0.25}])
    assert_harmless(text)
    assert list(csv.reader(io.StringIO(text))) == [
        ["'=1", "loss.name", "seed", csv_cell(CLEAR)],
        ["'=2", "'@x", "-1", ""],
        ["", "", "", "0.25"],
    ]


@pytest.mark.parametrize("name", ["=1+1", "\x1b[2Jf1", "-f1", "", "\tf1", "f\u202e1"])
def test_a_metric_is_not_called_like_a_formula(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load_plugins(tmp_path)
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)
    text = json.dumps({"metric": {name: {"name": "accuracy"}}})
    (folder / "evil.yaml").write_text(f"# @package _global_\n{text}\n")
    publish(tmp_path)
    with pytest.raises(ConfigError, match="a metric may not be called"):
        compose_experiment(["experiment=evil"])


@pytest.fixture
def type_(tmp_path, monkeypatch, capfd):
    """Return a function that runs a command and returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XFERLAB_CACHE", str(tmp_path / "cache"))

    def run(*words):
        code = main(list(words))
        return code, *capfd.readouterr()

    return run


def test_a_strangers_class_names_and_scores_are_shown_everywhere_and_obeyed_nowhere(
    tmp_path, type_
):
    names = ["=SUM(A1)", f"{CLEAR}\n2026-01-01 ERROR forged"]
    rows = [{"text": f"a text {i}", "label": names[i % 2]} for i in range(60)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows[:40])))
    (tmp_path / "more.jsonl").write_text("\n".join(map(json.dumps, rows[40:])))
    model = ["model=bag_of_embeddings", "model.width=8", "train.epochs=1", "data.max_length=16"]
    data = ["data=files", "data.train=rows.jsonl", "data.test=more.jsonl"]
    code, _, printed = type_(*data, *model, "hydra.run.dir=run")
    assert code == 0, printed
    log = (tmp_path / "run" / "train.log").read_text()
    assert "\\x1b[2J" in printed
    assert "\\x1b[2J" in log
    assert all(line[:4].isdigit() for line in log.splitlines() if "forged" in line)
    assert not [line for line in log.splitlines() if line.startswith("2026-01-01 ERROR")]
    code, answered, _ = type_("predict", "run", FORMULA, CLEAR)
    assert code == 0
    assert [row["text"] for row in csv.DictReader(io.StringIO(answered))] == [
        f"'{FORMULA}",
        "\\x1b[2J\\x9b31mred\\x202e",
    ]
    path = tmp_path / "run" / "metrics.json"
    record = json.loads(path.read_text())
    for split in ("validation", "test"):
        record[split] |= {"=1+1": 0.5, CLEAR: 0.5}
    path.write_text(json.dumps(record))
    code, shown, errors = type_("report", "run")
    assert code == 0, errors
    results = (tmp_path / "run" / "results.csv").read_text()
    for text in (printed, log, answered, shown, errors, results):
        assert_harmless(text)
    cells = [cell for row in csv.reader(io.StringIO(results)) for cell in row]
    assert "test =1+1" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]
