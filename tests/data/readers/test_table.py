"""Tables: what is read, and what is said about files that cannot be."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from xferlab.data.readers.table import read_table
from xferlab.errors import ConfigError

DATA = Path(__file__).parents[4] / "shared" / "data"


def write(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def refusal(path, **kwargs):
    with pytest.raises(ConfigError) as caught:
        read_table(path, "data.train", **kwargs)
    error = caught.value
    assert error.where
    assert error.fix
    return error


def test_csv_values_are_the_strings_of_the_file(tmp_path):
    file = write(tmp_path / "a.csv", 'text,label\r\n"a, ""b""\nc",1\r\n\r\n d ,02\r\n')
    table = read_table(file, "data.train")
    assert table.columns == {"text": ['a, "b"\nc', " d "], "label": ["1", "02"]}
    assert len(table) == 2


def test_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    file = write(tmp_path / "a.csv", b"\xef\xbb\xbftext,label\na,1\n")
    assert list(read_table(file, "data.train").columns) == ["text", "label"]


def test_long_fields_are_read(tmp_path):
    file = write(tmp_path / "a.csv", "text\n" + "x" * 300_000 + "\n")
    assert len(read_table(file, "data.train").columns["text"][0]) == 300_000


def test_quoted_tsv_loses_its_quotes_and_stray_quotes_stay(tmp_path):
    quoted = write(tmp_path / "a.tsv", 'text\tlabel\n"a ""b"""\t1\n')
    stray = write(tmp_path / "b.tsv", 'text\tlabel\n"he said\t1\nsize 5"\t0\n')
    assert read_table(quoted, "data.train").columns["text"] == ['a "b"']
    assert read_table(stray, "data.train").columns["text"] == ['"he said', 'size 5"']


def test_quoted_tsv_may_have_line_breaks(tmp_path):
    file = write(tmp_path / "a.tsv", 'text\tlabel\n"a\nb"\t1\n')
    assert read_table(file, "data.train").columns["text"] == ["a\nb"]


def test_separator_may_be_named(tmp_path):
    file = write(tmp_path / "a.txt", "text;label\na,b;1\n")
    columns = read_table(file, "data.train", separator=";").columns
    assert columns == {"text": ["a,b"], "label": ["1"]}


def test_json_lines_keep_their_types_and_a_missing_key_is_none(tmp_path):
    rows = [{"text": "a\u2028b", "label": 1.5}, {"text": "c", "tags": ["x"]}]
    file = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)) + "\n\n")
    columns = read_table(file, "data.train").columns
    assert columns == {
        "text": ["a\u2028b", "c"],
        "label": [1.5, None],
        "tags": [None, ["x"]],
    }


def test_a_json_list_is_read_like_lines(tmp_path):
    file = write(tmp_path / "a.json", '[\n{"text": "a"},\n{"text": "b"}\n]')
    assert read_table(file, "data.train").columns == {"text": ["a", "b"]}


def test_parquet_equals_the_table_that_was_written(tmp_path):
    import pyarrow
    import pyarrow.parquet

    columns = {"text": ["a", None], "label": [1, 2], "tags": [["x", "y"], []]}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    assert read_table(str(tmp_path / "a.parquet"), "data.train").columns == columns


def test_files_of_a_glob_are_joined_in_sorted_order(tmp_path):
    for name in ("b", "c", "a"):
        write(tmp_path / f"{name}.csv", f"text\n{name}1\n{name}2\n")
    table = read_table(str(tmp_path / "*.csv"), "data.train")
    assert table.columns["text"] == ["a1", "a2", "b1", "b2", "c1", "c2"]
    assert table.place(0) == f"{tmp_path / 'a.csv'}, row 1"
    assert table.place(3) == f"{tmp_path / 'b.csv'}, row 2"


def test_a_file_named_like_a_glob_is_itself(tmp_path):
    file = write(tmp_path / "a[1].csv", "text\na\n")
    assert read_table(file, "data.train").columns["text"] == ["a"]


BAD_FILES = {
    "wrong separator in csv": (
        "a.csv",
        "text;label\na;1\n",
        "the header of .* is one column: 'text;label'",
        "data.separator",
        "data.separator=';'",
    ),
    "tab in csv": ("a.csv", "text\tlabel\na\t1\n", "is one column", "data.separator", "a tab"),
    "comma in tsv": ("a.tsv", "text,label\na,1\n", "is one column", "data.separator", "a comma"),
    "empty": ("a.csv", "", "is empty", "data.train", "has rows"),
    "empty json": ("a.jsonl", "", "has no rows", "data.train", "has some"),
    "header alone": ("a.csv", "text,label\n", "has no rows", "data.train", "has some"),
    "ragged": (
        "a.csv",
        'text,label\n"a\nb",1\nc, d,0\n',
        "row 2 has 3 fields, the header has 2",
        "a.csv:4",
        "quotes around",
    ),
    "short": ("a.csv", "text,label\nc\n", "row 1 has 1 field, the", "a.csv:2", "quotes around"),
    "open quote": (
        "a.csv",
        'text,label\na,1\n"b,0\nc,1\n',
        "row 2 cannot be read: a quote that opens here is never closed",
        "a.csv:3",
        '""',
    ),
    "stray quote": ("a.csv", 'text,label\n"b" c,0\n', "row 1 cannot be read", "a.csv:2", '""'),
    "a name 200,000 times": (
        "a.csv",
        "text," * 200_000 + "text",
        "column 'text' twice",
        "a.csv:1",
        "a name",
    ),
    "name twice": ("a.csv", "text,text\na,b\n", "has the column 'text' twice", "a.csv:1", "a name"),
    "latin-1": (
        "a.csv",
        b"text\nfine\ncaf\xe9\n",
        r"^row 2 is not Unicode \(UTF-8\)$",
        "a.csv:3",
        "iconv -f WINDOWS-1252 -t UTF-8",
    ),
    "bad json": (
        "a.jsonl",
        '{"text": "a"}\n{"text": b}\n',
        "row 2 is not a row in JSON: Expecting value at column 10",
        "a.jsonl:2",
        "one JSON object a line",
    ),
    "json of no objects": (
        "a.jsonl",
        '{"a": 1}\n[2]\n',
        "must be an object",
        "a.jsonl:2",
        "object",
    ),
    "bad json list": ("a.json", '[{"a": 1},\n{"a": }]\n', "line 2", "a.json:2", "JSON"),
    "torn parquet": ("a.parquet", b"PAR1xx", "is not a whole Parquet file", "a.parquet", "again"),
    "unknown kind": ("a.xlsx", "x", "of an unknown kind: '.xlsx'", "data.train", ".parquet"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_explained(case, tmp_path):
    name, content, what, where, fix = BAD_FILES[case]
    error = refusal(write(tmp_path / name, content))
    assert re.search(what, error.what), error.what
    assert where in error.where
    assert fix in error.fix


def test_a_missing_file_gets_the_nearest_name(tmp_path):
    write(tmp_path / "train.csv", "text\na\n")
    error = refusal(str(tmp_path / "trian.csv"))
    assert error.what == f"there is no file {tmp_path}/trian.csv"
    assert error.fix == f"did you mean {tmp_path / 'train.csv'}?"
    assert "did you mean" in refusal(str(tmp_path) + "x/train.csv").fix


def test_a_glob_without_match_lists_what_is_there(tmp_path):
    write(tmp_path / "train.csv", "text\na\n")
    error = refusal(str(tmp_path / "*.jsonl"))
    assert error.what.startswith("no file fits")
    assert error.fix == f"in {tmp_path} there are: train.csv"


def test_a_folder_gets_its_file_or_a_glob_of_parts(tmp_path):
    write(tmp_path / "a.jsonl", "{}")
    assert refusal(str(tmp_path)).fix == f"data.train={tmp_path}/a.jsonl"
    write(tmp_path / "b.jsonl", "{}")
    assert refusal(str(tmp_path)).fix == f"'data.train={tmp_path}/*.jsonl'"


def test_files_of_unlike_columns_are_not_joined(tmp_path):
    write(tmp_path / "a.csv", "text,label\na,1\n")
    write(tmp_path / "b.csv", "text,stars\na,1\n")
    error = refusal(str(tmp_path / "*.csv"))
    assert error.what.endswith(
        "has other columns than " + f"{tmp_path / 'a.csv'}: text, stars instead of text, label"
    )


def test_a_missing_column_lists_the_columns(tmp_path):
    table = read_table(write(tmp_path / "a.csv", "sentence,label\na,1\n"), "data.train")
    with pytest.raises(ConfigError, match=r"no column 'sentense'; its columns are: sent.*, label"):
        table.column("sentense", "data.text")
    with pytest.raises(ConfigError, match=r"did you mean data.text=sentence\?"):
        table.column("sentense", "data.text")
    with pytest.raises(ConfigError, match=r"data\.text=COLUMN, one of those"):
        table.column("q", "data.text")


def test_importing_and_reading_text_needs_no_other_library(tmp_path):
    file = write(tmp_path / "a.csv", "text\na\n")
    code = (
        "import sys; from xferlab.data.readers.table import read_table\n"
        f"read_table({file!r}, 'data.train')\n"
        "print(sorted({'numpy', 'pyarrow', 'datasets', 'pandas'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the shared data folder")
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("sst2_glue/train.csv", 67_349),
        ("mrpc/test.csv", 1725),
        ("wnut17/train.jsonl", 3394),
        ("goemotions/train.csv", 43_410),
    ],
)
def test_real_files_have_the_rows_that_their_sources_state(name, rows):
    assert len(read_table(str(DATA / name), "data.train")) == rows
