"""``predict`` as it is typed: texts, files and pipes in; tables and files out."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

import xferlab
from xferlab.cli.main import main
from xferlab.inference import inputs as asking


@pytest.fixture
def say(capsys, monkeypatch, tmp_path):
    """Return a function that types a command and returns (exit code, output, errors)."""
    monkeypatch.chdir(tmp_path)

    def number(*words, stdin=b""):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main(["predict", *map(str, words)])
        written = capsys.readouterr()
        return code, written.out, written.err

    return number


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


TEXTS = ["the good film was good", "the bad film was bad", "the film"]


def test_texts_files_and_pipes_are_answered_alike(runs, say, tmp_path):
    run = xferlab.load(runs["plain"])
    labels = run.predict(TEXTS).labels
    likely = run.predict(TEXTS).probabilities
    Path("x.txt").write_text("\n".join(TEXTS))
    Path("x.csv").write_text("text\n" + "\n".join(TEXTS))
    Path("x.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in TEXTS))
    for words, stdin in (
        (TEXTS, b""),
        (["--file", "x.txt"], b""),
        (["--file", "x.csv"], b""),
        (["--file", "x.jsonl"], b""),
        ([], "\n".join(TEXTS).encode()),
    ):
        code, out, _ = say(runs["plain"], *words, stdin=stdin)
        assert code == 0
        written = table(out)
        assert [row["text"] for row in written] == TEXTS
        assert [row["label"] for row in written] == labels
        assert [float(row["p_pos"]) for row in written] == pytest.approx(likely[:, 1], rel=1e-4)


def test_rows_stay_in_order_across_chunks_and_a_bad_one_keeps_its_place(
    runs, say, monkeypatch, tmp_path
):
    monkeypatch.setattr(asking, "CHUNK_ROWS", 7)
    texts = [f"the {'good ' * (i % 5)}film {i}" for i in range(50)]
    lines = [f"{i},{text}".encode() for i, text in enumerate(texts)]
    lines[20] = b"20"
    lines[33] = b"33,\xff"
    Path("x.csv").write_bytes(b"id,review\n" + b"\n".join(lines))
    code, out, err = say(runs["plain"], "--file", "x.csv", "--text", "review")
    written = table(out)
    assert code == 1
    assert [int(row["row"]) for row in written] == list(range(1, 51))
    assert [row["text"] for row in written if not row["error"]] == [
        text for i, text in enumerate(texts) if i not in (20, 33)
    ]
    assert {row["row"]: row["error"] for row in written if row["error"]} == {
        "21": "has 1 field, the header has 2",
        "34": "is not Unicode (UTF-8)",
    }
    assert "row 21 (line 22) has 1 field, the header has 2" in err
    assert "2 of 50 rows could not be predicted" in err


@pytest.mark.parametrize("kind", ["plain", "several", "values", "tags", "pairs"])
def test_every_task_is_written_to_every_format(runs, rows, say, kind):
    import pyarrow.parquet

    run = xferlab.load(runs[kind])
    given = rows[kind][:5]
    Path("x.jsonl").write_text("\n".join(map(json.dumps, [*given, {"text": 3, "other": "x"}])))
    answers = {}
    for suffix in ("csv", "jsonl", "parquet"):
        code, out, _ = say(runs[kind], "--file", "x.jsonl", "--output", f"y.{suffix}")
        assert (code, out) == (1, "")
    answers["csv"] = table(Path("y.csv").read_text())
    answers["jsonl"] = [json.loads(line) for line in Path("y.jsonl").read_text().splitlines()]
    answers["parquet"] = pyarrow.parquet.read_table("y.parquet").to_pylist()
    pairs = [row["other"] for row in given] if kind == "pairs" else None
    expected = list(run.predict([row["text"] for row in given], pairs).rows())
    for answer in answers.values():
        assert len(answer) == 6
        assert answer[5]["error"] == "is no text but int"
    for i, row in enumerate(expected):
        assert answers["jsonl"][i] == {"row": i + 1, **row}
        for name, value in row.items():
            cell = answers["csv"][i][name]
            number = answers["parquet"][i][name]
            if isinstance(value, float):
                assert float(cell) == pytest.approx(value, rel=1e-4)
            elif isinstance(value, str):
                assert cell == value
            assert number == (pytest.approx(value, rel=1e-6) if name[:2] == "p_" else number)
    if kind == "several":
        assert answers["csv"][0]["labels"] == "|".join(expected[0]["labels"])
    if kind == "tags":
        assert answers["csv"][0]["tags"].split() == expected[0]["tags"]


def test_a_table_is_for_people(runs, say):
    _, out, _ = say(runs["tags"], "the good film", "--format", "table")
    assert [line.split()[:2] for line in out.splitlines()] == [
        ["word", "tag"],
        ["the", "O"],
        ["good", "B-X"],
        ["film", "O"],
    ]


def test_of_pairs_two_words_or_a_tab_make_a_row(runs, say):
    _, number, _ = say(runs["pairs"], "the film", "it is")
    _, piped, _ = say(runs["pairs"], stdin=b"the film\tit is\n")
    assert number == piped
    assert table(number)[0]["pair"] == "it is"
    code, out, _ = say(runs["pairs"], stdin=b"the film\n")
    assert (code, table(out)[0]["error"]) == (1, "has no second text")


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["--file", "no.csv"], [" error: there is no file no.csv", " where: --file"]),
        (["a", "--file", "x.csv"], [" error: both a file and texts are given"]),
        (["x.csv"], [" error: 'x.csv' is given as a text, and it is a file", "--file x.csv"]),
        (["--file", "x.csv", "--text", "txt"], ["   fix: did you mean --text=text?"]),
        (["--file", "x.csv", "--pair", "text"], [" where: --pair"]),
        (["--text", "text", "a"], [" error: --text names a column of a file"]),
        (["a", "--output", "x.xlsx"], [" where: --output", "   fix: use one of .csv, .jsonl"]),
        (["a", "--output", "no/x.csv"], ["its folder is not there"]),
        (["a", "--output", "x.csv", "--format", "csv"], [" where: --format"]),
        (["a", "--ouput", "x.csv"], [" error: predict has no flag --ouput", "'--output'"]),
        (["a", "--format", "xml"], ["invalid choice: 'xml'"]),
    ],
)
def test_a_mistake_is_told_before_the_model_is_built(runs, say, monkeypatch, words, lines):
    def refuse():
        raise AssertionError("the backend was imported")

    monkeypatch.setattr("xferlab.inference.run.import_backend", refuse)
    Path("x.csv").write_text("text\na\n")
    code, out, err = say(runs["plain"], *words)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 3
    for line in lines:
        assert line in err


def test_an_output_that_was_begun_is_whole_or_not_there(runs, say, monkeypatch):
    Path("x.csv").write_text("text\na\n")
    monkeypatch.setattr("xferlab.cli.predict.answered", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        say(runs["plain"], "--file", "x.csv", "--output", "y.csv")
    assert [path.name for path in Path().iterdir()] == ["x.csv"]


def test_help_is_printed_without_a_run(say):
    code, out, _ = say("--help")
    assert code == 0
    assert "usage: python -m xferlab predict" in out
