"""Files read row by row: a bad row is told in its place and costs no other."""

from __future__ import annotations

import io
import json
import tracemalloc

import pytest

from xferlab.data.readers.csv_reader import MOST_LINES
from xferlab.data.readers.stream import column_of, open_stream, text_lines
from xferlab.data.readers.text_file import LONGEST_LINE
from xferlab.errors import ConfigError


def read(path, *columns):
    """Return what a file gives: (line, values or problem) a row."""
    stream = open_stream(str(path), "--file")
    rows = stream.rows(columns or stream.columns)
    return [(row.line, row.problem or tuple(row.values.values())) for row in rows]


def write(folder, name, data):
    path = folder / name
    path.write_bytes(data)
    return path


def test_bad_rows_of_csv_keep_their_place(tmp_path):
    data = b'\xef\xbb\xbfid,text\n1,"a, b"\n2\n\n3,"two\nlines"\n4,x,y\n'
    data += b'5,"never closed\n6,after\n7,"a"b"\n8,end'
    assert read(write(tmp_path, "x.csv", data)) == [
        (2, ("1", "a, b")),
        (3, "has 1 field, the header has 2"),
        (5, ("3", "two\nlines")),
        (7, "has 3 fields, the header has 2"),
        (8, "cannot be read: a quote that opens here is never closed"),
        (9, ("6", "after")),
        (10, "cannot be read: ',' expected after '\"'"),
        (11, ("8", "end")),
    ]


def test_a_quote_that_swallows_rows_gives_them_back(tmp_path):
    rows = [b"1,fine"] * 3 + [b'2,"open'] + [b"3,fine"] * (2 * MOST_LINES) + [b'4,"closed"']
    found = read(write(tmp_path, "x.csv", b"\n".join([b"id,text", *rows])))
    assert len(found) == len(rows)
    assert [row for row in found if isinstance(row[1], str)] == [
        (5, "cannot be read: a quote that opens here is never closed")
    ]


def test_bytes_that_are_no_text_are_seen_as_such(tmp_path):
    assert read(write(tmp_path, "x.csv", b"text,n\n\xff,1\n")) == [(2, "is not Unicode (UTF-8)")]
    assert read(write(tmp_path, "x.csv", b"text,n\n\xff,1\n"), "n") == [(2, ("1",))]


def test_quotes_in_tsv_are_letters_where_they_must_be_in_the_whole_file(tmp_path):
    data = b'id\ttext\n1\t"quoted ""so"""\n2\t"never closed\n3\t"Oh", she said\n'
    assert [values for _, values in read(write(tmp_path, "x.tsv", data))] == [
        ("1", '"quoted ""so"""'),
        ("2", '"never closed'),
        ("3", '"Oh", she said'),
    ]


def test_bad_lines_of_json_keep_their_place(tmp_path):
    data = (
        b'{"text": "a"}\n{broken\n\n[1]\n{"text": "\xff"}\n' + b"[" * 100_000 + b'\n{"text": "b"}\n'
    )
    found = read(write(tmp_path, "x.jsonl", data))
    assert [line for line, _ in found] == [1, 2, 4, 5, 6, 7]
    assert found[0][1] == ("a",)
    assert found[1][1].startswith("is not a row in JSON: Expecting property name")
    assert found[2][1].startswith("is not a row in JSON: a row must be an object")
    assert found[3][1] == "is not Unicode (UTF-8)"
    assert found[4][1] == "is not a row in JSON: it is nested too deeply"
    assert found[5][1] == ("b",)


def test_a_json_list_is_read_too(tmp_path):
    path = write(tmp_path, "x.json", json.dumps([{"text": "a"}, {"text": "b"}]).encode())
    assert [values for _, values in read(path)] == [("a",), ("b",)]


def test_a_broken_string_in_parquet_costs_no_other_row(tmp_path):
    import pyarrow
    import pyarrow.parquet

    bad = pyarrow.Array.from_buffers(
        pyarrow.string(),
        3,
        [
            None,
            pyarrow.array([0, 1, 2, 3], pyarrow.int32()).buffers()[1],
            pyarrow.py_buffer(b"a\xffb"),
        ],
    )
    pyarrow.parquet.write_table(
        pyarrow.table({"n": [1, 2, 3], "text": bad}), tmp_path / "x.parquet"
    )
    found = read(tmp_path / "x.parquet", "text")
    assert found == [(0, ("a",)), (0, "is not Unicode (UTF-8)"), (0, ("b",))]


def test_a_line_that_is_longer_than_any_row_is_passed_over_in_little_memory():
    class Endless(io.RawIOBase):
        left = 8 * LONGEST_LINE

        def readable(self):
            return True

        def readinto(self, buffer):
            size = min(len(buffer), self.left)
            buffer[:size] = b"x" * size
            self.left -= size
            if not self.left and size:
                buffer[size - 2 : size] = b"\ny"
            return size

    tracemalloc.start()
    rows = [
        (row.line, row.problem, row.values.get("text"))
        for row in text_lines(io.BufferedReader(Endless())).rows(())
    ]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows == [(1, f"is longer than {LONGEST_LINE:,} bytes", None), (2, "", "y")]
    assert peak < 4 * LONGEST_LINE


def test_lines_of_pairs_are_cut_at_a_tab():
    rows = list(text_lines(io.BytesIO(b"a\tb\r\nc\n\n")).rows(()))
    assert [(row.values["first"], row.values.get("second")) for row in rows] == [
        ("a", "b"),
        ("c", None),
        ("", None),
    ]


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("x.csv", b"", "is empty"),
        ("x.csv", b"te\xffxt\na\n", "header is not Unicode"),
        ("x.jsonl", b"\n", "has no rows"),
        ("x.jsonl", b"broken\n", "has no row in JSON: line 1 is not a row in JSON"),
        ("x.parquet", b"PAR1", "not a whole Parquet file"),
        ("x.docx", b"", "unknown kind"),
    ],
)
def test_a_file_that_begins_wrong_is_refused(tmp_path, name, data, text):
    with pytest.raises(ConfigError, match=text):
        open_stream(str(write(tmp_path, name, data)), "--file")


def test_a_file_that_is_not_there_names_the_nearest(tmp_path):
    write(tmp_path, "reviews.csv", b"text\na\n")
    with pytest.raises(ConfigError) as caught:
        open_stream(str(tmp_path / "review.csv"), "--file")
    assert caught.value.fix == f"did you mean {tmp_path}/reviews.csv?"


def test_the_column_is_the_usual_one_or_the_one_that_is_asked_for(tmp_path):
    stream = open_stream(str(write(tmp_path, "x.csv", b"id,text\n1,a\n")), "--file")
    assert column_of(stream, None, ["sentence", "text"], "--text", "x.csv") == "text"
    assert column_of(stream, "id", ["text"], "--text", "x.csv") == "id"
    with pytest.raises(ConfigError, match="has no column 'txt'") as caught:
        column_of(stream, "txt", ["text"], "--text", "x.csv")
    assert caught.value.fix == "did you mean --text=text?"
