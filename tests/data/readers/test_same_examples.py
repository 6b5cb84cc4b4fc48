"""One reader of files: training and predict see the same rows, or the same first problem."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from xferlab.contracts import Task, TaskSpec
from xferlab.data.readers.table import read_table
from xferlab.data.readers.text_file import LONGEST_LINE
from xferlab.errors import ConfigError
from xferlab.inference.inputs import file_rows, piped_rows

SPEC = TaskSpec(Task.single_label, ("a", "b"), 10, 32)
CELLS = some.text(
    some.sampled_from(["a", "b", " ", '"', "'", ",", ";", "\t", "\n", "\r", "é", "\0", "\u2028"]),
    max_size=6,
)
ENDINGS = some.sampled_from(["\n", "\r\n", "\r"])
ENCODINGS = some.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"])


def trained(path, separator="", columns=("text", "label")):
    """Return what a training reads: texts and no problem, or the row and problem that end it."""
    named = {name: f"data.{name}" for name in columns}
    try:
        return read_table(str(path), "data.train", separator, named).columns["text"], None
    except ConfigError as e:
        return None, e


def predicted(path, separator="", own=""):
    """Return what predict reads: a text a row, None for one with a problem; and the problems."""
    try:
        named = file_rows(SPEC, {"data": {"separator": own}}, str(path), None, None, separator)
        rows = list(named.rows)
    except ConfigError as e:
        return None, e
    return [None if row.problem else row.text for row in rows], [row.problem for row in rows]


def assert_same(path, separator=""):
    texts, refusal = trained(path, separator, ["text"])
    answered, problems = predicted(path, separator)
    if answered is None:
        assert texts is None
        assert refusal.what == problems.what
        return
    no_text = ("has no text", "is no text")  # read by both; training refuses it a step later
    unread = [bool(problem) and not problem.startswith(no_text) for problem in problems]
    first = unread.index(True) if any(unread) else None
    if first is not None:
        assert texts is None
        assert refusal.what == f"row {first + 1} {problems[first]}"
    elif answered:
        assert [text if isinstance(text, str) else None for text in texts] == answered
    else:
        assert refusal.what == f"{path} has no rows"


@some.composite
def table_files(draw):
    """Return the suffix and the bytes of a file of columns, well or badly written."""
    suffix, separator = draw(some.sampled_from([(".csv", ","), (".tsv", "\t")]))
    quoted = draw(some.booleans())
    lines = [draw(some.sampled_from(["", "sep=" + separator + "\n"]))]
    header = draw(some.sampled_from([["text", "label"], ["label", " text"], ["text"]]))
    for row in [header, *draw(some.lists(some.lists(CELLS, min_size=1, max_size=3), max_size=8))]:
        cells = ['"' + cell.replace('"', '""') + '"' if quoted else cell for cell in row]
        lines.append(separator.join(cells) + draw(ENDINGS))
    return suffix, "".join(lines).encode(draw(ENCODINGS), "replace")


@some.composite
def json_files(draw):
    """Return the suffix and the bytes of a JSON file, well or badly written."""
    values = some.one_of(CELLS, some.none(), some.integers(), some.just("\ud800"))
    rows = draw(some.lists(some.dictionaries(some.sampled_from(["text", "n"]), values), max_size=6))
    indent = draw(some.sampled_from([None, 1]))
    lines = [json.dumps(row, indent=indent, ensure_ascii=draw(some.booleans())) for row in rows]
    if draw(some.booleans()):
        lines.insert(draw(some.integers(0, len(lines))), draw(some.sampled_from(["{", "[1]", "7"])))
    text = "\n".join(lines)
    if draw(some.booleans()):
        text = "[" + ",\n".join(lines) + "]"
    suffix = draw(some.sampled_from([".json", ".jsonl"]))
    return suffix, text.encode(draw(some.sampled_from(["utf-8", "utf-16"])), "surrogatepass")


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(file=some.one_of(table_files(), json_files()))
def test_training_and_predict_see_the_same_rows(file, tmp_path):
    suffix, data = file
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(data)
    assert_same(path)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(file=table_files(), separator=some.sampled_from([",", ";", "\t", "|"]))
def test_they_do_with_a_separator_that_is_typed_too(file, separator, tmp_path):
    path = tmp_path / "rows.dat"
    path.write_bytes(file[1])
    assert_same(path, separator)


def test_they_do_for_parquet(tmp_path):
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "rows.parquet"
    rows = {"text": ["a", "é", "b\0", "c"], "label": ["x", "y", "x", "y"]}
    pyarrow.parquet.write_table(pyarrow.table(rows), path)
    assert_same(path)
    assert predicted(path)[0] == ["a", "é", None, "c"]


STRAY = 'a plain line\tgood\n"Loud from the first second\tbad\nthe second\tgood\n27"\tbad\n'


def test_quotes_that_would_join_rows_are_letters_for_both_and_it_is_noted(tmp_path, caplog):
    path = tmp_path / "rows.tsv"
    path.write_text("text\tlabel\n" + STRAY * 8)
    caplog.set_level("INFO")
    texts, _ = trained(path)
    assert texts == predicted(path)[0]
    assert len(texts) == 32
    assert texts[1] == '"Loud from the first second'
    note = (
        f"{path}: quotes are read as letters; as marks around fields they would join 32 rows to 16"
    )
    assert note in caplog.messages
    assert list(file_rows(SPEC, {}, str(path), None, None).notes) == [note]


def test_a_tsv_of_quoted_fields_loses_its_quotes_for_both(tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_text('"text"\t"label"\n"a ""b""\nc"\t"x"\n"d"\t"y"\n')
    assert trained(path)[0] == predicted(path)[0] == ['a "b"\nc', "d"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.jsonl"])
def test_encodings_and_line_ends_are_read_by_both(tmp_path, encoding, ending, name):
    texts = ["für café", "a\u2028b", "日本"]
    separator = "\t" if name.endswith("tsv") else ","
    lines = [f"text{separator}label", *(f"{text}{separator}x" for text in texts)]
    if name.endswith("jsonl"):
        lines = [json.dumps({"text": t, "label": "x"}, ensure_ascii=False) for t in texts]
    path = tmp_path / name
    path.write_bytes((ending.join(lines) + ending).encode(encoding))
    assert trained(path)[0] == predicted(path)[0] == texts


def test_the_separator_that_excel_declares_is_read_by_both(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("sep=;\r\ntext;label\r\na, b;x\r\nc;y\r\n")
    assert trained(path)[0] == predicted(path)[0] == ["a, b", "c"]
    path.write_text('"sep=\t"\ntext\tlabel\na, b\tx\n')
    assert trained(path)[0] == predicted(path)[0] == ["a, b"]


def test_blanks_after_separators_are_no_part_of_names_and_fields(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('text, label, n\na,  x, 1\n"b, c", "y", 2\n')
    table = read_table(
        str(path), "data.train", columns={"text": "data.text", "label": "data.label"}
    )
    assert table.columns == {"text": ["a", "b, c"], "label": ["x", "y"]}
    assert predicted(path)[0] == ["a", "b, c"]
    path.write_text("text , label\n a,x\n")
    assert trained(path)[0] == ["a"] == predicted(path)[0]
    path.write_text("text ,label\n a,x\n")
    assert trained(path)[0] == [" a"] == predicted(path)[0]


def test_predict_tries_the_runs_separator_then_the_files_own(tmp_path):
    semicolons = tmp_path / "a.csv"
    semicolons.write_text("text;label\na, b;x\n")
    commas = tmp_path / "b.csv"
    commas.write_text('text,label\n"a, b",x\n')
    named = tmp_path / "c.dat"
    named.write_text("text;label\na, b;x\n")
    for path in (semicolons, commas, named):
        assert predicted(path, own=";")[0] == ["a, b"]
    assert predicted(semicolons, separator=";")[0] == ["a, b"]
    error = predicted(semicolons)[1]
    assert error.where == "--separator"
    assert error.fix == "it looks like ';' stands between columns: --separator=';'"
    error = trained(semicolons)[1]
    assert error.where == "data.separator"
    assert error.fix == "it looks like ';' stands between columns: \"data.separator=';'\""


def test_a_header_of_semicolons_is_seen_before_the_commas_of_its_rows(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text;label\nfine, really;0\nbad, really;1\n")
    assert trained(path)[1].what == f"the header of {path} is one column: 'text;label'"


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('{"text": "a",\n "label": 1}\n\n{\n"text": "b", "label": 2}', ["a", "b"]),
        ('[\n {\n  "text": "a"\n },\n {"text": "b"}\n]', ["a", "b"]),
        ('{"text": "a"}', ["a"]),
        ('{"text": "a", "tags": ["x", "y"]}', ["a"]),
        ('{"text": "a", "meta": {"n": 1}}\n{"text": "b"}', ["a", "b"]),
    ],
)
def test_json_over_several_lines_is_read_by_both(tmp_path, text, rows):
    path = tmp_path / "rows.json"
    path.write_text(text)
    assert trained(path, columns=["text"])[0] == predicted(path)[0] == rows


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    ("value", "fix"),
    [
        ({"text": {"0": "a", "1": "b"}, "label": {"0": 1, "1": 0}}, "orient='records', lines=True"),
        ({"0": {"text": "a"}, "1": {"text": "b"}}, "orient='records', lines=True"),
        ({"text": ["a", "b"], "label": ["x", "y"]}, "orient='records', lines=True"),
        ({"columns": ["text"], "index": [0], "data": [["a"]]}, "orient='records', lines=True"),
        ({"test": [{"text": "a"}], "train": [{"text": "b"}]}, "jq -c '.[\"train\"][]'"),
        ({"version": 1, "data": [{"text": "a"}, {"text": "b"}]}, "jq -c '.[\"data\"][]'"),
    ],
)
def test_one_json_object_with_all_rows_is_refused_with_what_makes_lines(
    tmp_path, value, fix, indent
):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(value, indent=indent))
    for error in (trained(path)[1], predicted(path)[1]):
        assert error.what == f"{path} is one JSON object that holds all rows, not a row each"
        assert fix in error.fix


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"text": "a", "label": ' + "7" * 5000 + "}", "a number in it has thousands of digits"),
        ('{"text": "a\\u0000b"}', "has a NUL byte (\\x00)"),
        ('{"text": "a\\ud800b"}', "has half a surrogate pair (no Unicode)"),
        ('{"text": ["a", "\\ud800"]}', "has half a surrogate pair (no Unicode)"),
        ("[" * 100_000, "nested too deeply"),
        ("7", "a row must be an object"),
    ],
)
def test_what_json_can_hold_and_a_text_cannot_is_a_problem_of_its_row(tmp_path, line, problem):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "fine"}\n' + line + '\n{"text": "good"}\n')
    error = trained(path, columns=["text"])[1]
    assert error.what.startswith("row 2 ")
    assert problem in error.what
    assert error.where == f"{path}:2"
    answered, problems = predicted(path)
    assert answered == ["fine", None, "good"]
    assert problem in problems[1]


def test_a_label_that_is_no_unicode_is_named_with_its_row(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a", "label": "x"}\n{"text": "b", "label": "\\udc00"}\n')
    error = trained(path)[1]
    assert (error.what, error.where) == (
        "row 2 has half a surrogate pair (no Unicode)",
        f"{path}:2",
    )
    path.write_text('{"text": "a", "\\udc00": "x"}\n')
    error = trained(path)[1]
    assert "has no column 'label'" in str(error)
    str(error).encode()


def test_a_column_that_begins_far_down_is_found(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id": 1}\n' * 2000 + '{"text": "a"}\n')
    assert trained(path, columns=["text"])[0][-1] == "a"
    assert predicted(path)[0][-1] == "a"


def test_a_column_name_is_twice_there_only_for_who_asks_for_it(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,label,,\na,x,,\n")
    assert trained(path)[0] == predicted(path)[0] == ["a"]
    path.write_text("text,label,text\na,x,b\n")
    for error in (trained(path)[1], predicted(path)[1]):
        assert error.what == "the header has the column 'text' twice"


def test_a_row_of_too_many_fields_takes_its_own_lines_along(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('text,label\n"one\ntwo\nthree",x,y\nfine,x\n')
    assert predicted(path)[0] == [None, "fine"]
    path.write_text('text,label\n"one,x\ntwo,x"\nfine,x\n')
    assert predicted(path)[0] == [None, "two", "fine"]


def test_files_of_the_box_are_read_alike():
    for path in sorted(
        (Path(__file__).parents[3] / "xferlab" / "bundled" / "reviews").glob("*.csv")
    ):
        assert_same(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings_are_read_from_a_pipe_too(monkeypatch, encoding):
    piped = io.TextIOWrapper(io.BytesIO("für café\n日本\n".encode(encoding)))
    monkeypatch.setattr("sys.stdin", piped)
    assert [row.text for row in piped_rows(SPEC).rows] == ["für café", "日本"]


def test_a_pipe_that_is_read_as_it_comes_is_not_waited_for(monkeypatch):
    here, there = os.pipe()
    with os.fdopen(here, "rb") as stream, os.fdopen(there, "wb", buffering=0) as writer:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(stream))
        writer.write(b"one\n")
        rows = piped_rows(SPEC).rows
        assert next(rows).text == "one"
        writer.write("zwei ü\n".encode())
        assert next(rows).text == "zwei ü"


def test_a_row_of_words_and_tags_in_json_lines_is_a_row(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": ["a", "b"], "label": ["X", "O"]}\n')
    assert trained(path)[0] == [["a", "b"]]


def test_a_list_on_one_line_may_be_longer_than_any_row(tmp_path):
    path = tmp_path / "rows.json"
    texts = [f"{i} " + "x" * 1_000_000 for i in range(17)]
    path.write_text(json.dumps([{"text": text} for text in texts]))
    assert path.stat().st_size > LONGEST_LINE
    assert trained(path, columns=["text"])[0] == predicted(path)[0] == texts
