"""Parquet: only what is asked for is read, and a header's claims cost nothing."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from xferlab.contracts import Task, TaskSpec
from xferlab.data.readers import parquet_reader as parquet_rows
from xferlab.data.readers.table import read_table
from xferlab.errors import ConfigError
from xferlab.inference.inputs import file_rows

ASKED = {"text": "data.text", "label": "data.label"}


def repeated(values, times):
    """Return values over and over, in Arrow's few bytes."""
    places = pyarrow.array(np.tile(np.arange(len(values), dtype="int32"), times))
    return pyarrow.DictionaryArray.from_arrays(places, pyarrow.array(values))


def write(path, **columns):
    pyarrow.parquet.write_table(
        pyarrow.table(columns), path, compression="zstd", store_schema=False
    )
    return path


def refusal(path, **more):
    with pytest.raises(ConfigError) as caught:
        read_table(str(path), "data.train", columns=ASKED, **more)
    return caught.value


def test_rows_beyond_the_limit_are_refused_by_the_header_alone(tmp_path):
    path = write(
        tmp_path / "x.parquet",
        text=repeated(["a fine film"], 6_000_000),
        label=repeated(["a", "b"], 3_000_000),
    )
    assert path.stat().st_size < 300_000
    tracemalloc.start()
    error = refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert error.what == (
        f"{path} brings data.train to 6,000,000 rows or more; at most 5,000,000 are read"
    )
    assert error.fix == "data.max_rows=6000000 if so many are meant, or name a smaller file"
    assert peak < 5_000_000


def test_the_limit_counts_all_files_of_a_split_and_all_kinds(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("text,label\n" + "x,y\n" * 6)
    read_table(str(tmp_path / "*.csv"), "data.train", columns=ASKED, max_rows=12)
    assert "11 are read" in refusal(tmp_path / "*.csv", max_rows=11).what


def test_columns_that_nobody_asks_for_are_not_read(tmp_path):
    rows = 200
    path = tmp_path / "x.parquet"
    wide = pyarrow.array(np.random.default_rng(1).bytes(1000) for _ in range(rows))
    columns = {"text": [f"text {i}" for i in range(rows)], "label": list("ab") * (rows // 2)}
    pyarrow.parquet.write_table(pyarrow.table({**columns, "embedding": wide}), path)
    data = bytearray(path.read_bytes())
    chunk = pyarrow.parquet.ParquetFile(path).metadata.row_group(0).column(2)
    begin = chunk.dictionary_page_offset or chunk.data_page_offset
    data[begin : begin + chunk.total_compressed_size] = bytes(chunk.total_compressed_size)
    path.write_bytes(data)  # whoever reads the third column fails
    with pytest.raises(OSError, match=r"\w"):
        pyarrow.parquet.read_table(path)
    assert read_table(str(path), "data.train", columns=ASKED).columns == columns


def test_a_few_bytes_that_stand_for_gigabytes_are_refused_in_little_memory(tmp_path):
    path = write(
        tmp_path / "x.parquet",
        text=repeated(["x" * 10_000_000], 4000),
        label=repeated(["a", "b"], 2000),
    )
    before = pyarrow.total_allocated_bytes()
    tracemalloc.start()
    error = refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (
        f"{path} of {path.stat().st_size} bytes unpacks to more than 1,000,000,000 characters"
        in error.what
    )
    assert peak < 200_000_000
    assert pyarrow.total_allocated_bytes() - before < 200_000_000


def test_equal_texts_of_a_batch_are_one_string(tmp_path):
    path = write(tmp_path / "x.parquet", text=repeated(["ab", "c"], 100), label=[1.5] * 200)
    columns = read_table(str(path), "data.train", columns=ASKED).columns
    assert columns == {"text": ["ab", "c"] * 100, "label": [1.5] * 200}
    assert columns["text"][0] is columns["text"][2]


def test_predict_reads_the_same_rows_with_gaps_and_lists(tmp_path):
    texts = ["a", None, "b", "a"] * 700
    path = write(tmp_path / "x.parquet", text=texts, label=[["x", "y"], [], None, ["z"]] * 700)
    columns = read_table(str(path), "data.train", columns=ASKED).columns
    assert columns == {"text": texts, "label": [["x", "y"], [], None, ["z"]] * 700}
    spec = TaskSpec(Task.single_label, ("a", "b"), 10, 32)
    rows = list(file_rows(spec, {}, str(path), None, None).rows)
    assert [row.text for row in rows] == texts
    assert {row.problem for row in rows if row.text is None} == {"has no text"}


def test_damage_in_the_middle_is_named_with_the_row(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_rows, "BATCH_ROWS", 10)
    path = tmp_path / "x.parquet"
    table = pyarrow.table({"text": [f"text {i}" for i in range(100)], "label": ["a", "b"] * 50})
    pyarrow.parquet.write_table(table, path, row_group_size=50)
    data = bytearray(path.read_bytes())
    begin = pyarrow.parquet.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    data[begin : begin + 40] = bytes(40)
    path.write_bytes(data)
    assert refusal(path).what.startswith(f"{path} cannot be read after row 50: ")


def test_a_column_may_have_a_point_in_its_name(tmp_path):
    path = write(tmp_path / "x.parquet", **{"a.text": ["x", "y"], "a": ["no", "no"]})
    table = read_table(str(path), "data.train", columns={"a.text": "data.text"})
    assert table.columns == {"a.text": ["x", "y"]}


def test_a_limit_on_very_many_rows_reads_some_of_them_alone(tmp_path, caplog):
    caplog.set_level("INFO")
    labels = repeated(["a", "b", "b", "b"], 1_500_000)
    path = write(tmp_path / "x.parquet", text=repeated(["one", "two"], 3_000_000), label=labels)
    tables = [
        read_table(str(path), "data.train", columns=ASKED, limit=1000, seed=seed)
        for seed in (1, 1, 2)
    ]
    table = tables[0]
    assert 99_000 < len(table) < 101_000
    assert table.columns == tables[1].columns != tables[2].columns
    assert table.columns["label"].count("a") / len(table) == pytest.approx(0.25, abs=0.01)
    assert any(
        "data.train has 6,000,000 rows: a sample of about 100,000" in line
        for line in caplog.messages
    )
    for row in (0, 77, len(table) - 1):
        number = int(table.place(row).rpartition(" ")[2])
        assert table.columns["text"][row] == ["one", "two"][(number - 1) % 2]
        assert table.columns["label"][row] == ["a", "b", "b", "b"][(number - 1) % 4]
    assert "at most 5,000,000" in refusal(path, limit=0.5).what
    assert len(read_table(str(path), "data.train", columns=ASKED, limit=9, max_rows=100)) < 200
