"""A failure is reported and written down, whatever it contains."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from xferlab.cli.main import main
from xferlab.errors import ConfigError, encodable, printable
from xferlab.runs.failure import report_failure, write_failure
from xferlab.runs.metadata import read_status, write_error, write_status
from xferlab.runs.os_errors import as_run_error
from xferlab.sweeps.job_state import state_of


class Mute(Exception):
    """Cannot say what it is."""

    def __str__(self):
        raise RuntimeError("no words")


ODD = {
    "half a character": ValueError("a\ud800b"),
    "half a character in three lines": ConfigError(
        "no column 'te\ud800'", where="x\udfff", fix="y"
    ),
    "a megabyte": ValueError("x" * 5_000_000),
    "no words": Mute(),
    "an empty one": ValueError(),
    "signs a terminal obeys": RuntimeError("\x1b[2J\x00"),
    "a key": KeyError("te\udcffxt"),
}


@pytest.mark.parametrize("name", ODD)
def test_a_failure_is_kept_and_read_back(name, tmp_path):
    write_status(tmp_path, "running")
    write_failure(tmp_path, ODD[name], "failed")
    status = read_status(tmp_path)
    assert status["status"] == "failed"
    assert status["error"]
    assert (tmp_path / "error.txt").read_text(encoding="utf-8")
    assert state_of(tmp_path).error_lines()


@pytest.mark.parametrize("name", ODD)
def test_a_failure_is_told(name, tmp_path, caplog):
    report_failure(ODD[name])
    (record,) = caplog.records
    log = tmp_path / "log"
    log.write_text(record.getMessage(), encoding="utf-8")  # as a log file does
    assert log.read_text(encoding="utf-8")


def test_a_failure_is_kept_over_a_status_that_is_damaged(tmp_path):
    (tmp_path / "status.json").write_text("")
    write_failure(tmp_path, ValueError("it went wrong"), "failed")
    assert read_status(tmp_path)["error"] == "it went wrong"


def test_an_error_file_that_cannot_be_written_costs_no_status(tmp_path):
    write_status(tmp_path, "running")
    (tmp_path / "error.txt").mkdir()
    write_failure(tmp_path, ValueError("it went wrong"), "failed")
    assert read_status(tmp_path)["status"] == "failed"


def test_half_characters_are_written_out():
    assert printable("a\ud800") == "a\\ud800"
    assert encodable("a\ud800é") == "a\\ud800é"
    write = json.dumps({"error": encodable("\udc80")}, ensure_ascii=False)
    assert json.loads(write) == {"error": "\\udc80"}


ROWS = {
    "label": (
        [{"text": f"film {i}", "label": ["a\ud800", "b"][i % 2]} for i in range(40)],
        "half a surrogate pair",
    ),
    "column": (
        [{"te\ud800": f"film {i}", "label": "ab"[i % 2]} for i in range(40)],
        "no column 'text'",
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_half_a_character_in_the_rows_ends_in_three_lines(name, tmp_path):
    rows, message = ROWS[name]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    overrides = ["data=files", "data.train=rows.jsonl", "model=bag_of_embeddings"]
    done = subprocess.run(
        [sys.executable, "-m", "xferlab", *overrides],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "Logging error" not in done.stderr
    assert [line[:8] for line in done.stderr.splitlines()[-3:]] == [
        " error: ",
        " where: ",
        "   fix: ",
    ]


def test_error_text_of_an_unknown_kind_is_its_traceback(tmp_path):
    try:
        raise ValueError("x")
    except ValueError as e:
        write_error(tmp_path, e)
    assert (tmp_path / "error.txt").read_text().startswith("Traceback")
    assert Path(__file__).name in (tmp_path / "error.txt").read_text()


def test_what_goes_wrong_before_a_run_begins_is_told(tmp_path, monkeypatch, capfd):
    def full(*_):
        raise OSError(28, "No space left on device", "config.yaml")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("xferlab.experiment.run.write_config", full)
    assert main(["model=bag_of_embeddings", "debug=tiny"]) == 1
    printed = capfd.readouterr().err
    assert printed.count("error: the disk is full") == 1


def test_a_word_that_is_not_utf8_is_three_lines(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["data=files", "data.train=caf\udce9.csv"]) == 2
    printed = capsys.readouterr().err
    assert "is not UTF-8" in printed
    assert len(printed.splitlines()) == 3
    assert not (tmp_path / "outputs").exists()


def test_an_error_that_is_its_own_cause_is_looked_through_once():
    error = ValueError("x")
    error.__cause__ = error
    assert as_run_error(error) is None
    assert as_run_error(Mute()) is None


def test_the_tensor_that_there_was_no_memory_for_is_named():
    class ResourceExhaustedError(Exception):
        """As TensorFlow's."""

    text = "Graph execution error:\n\nDetected at node take\nOOM when allocating tensor with"
    text += " shape[4000,128] and type float on /job:localhost/device:CPU:0 by allocator cpu\n"
    error = as_run_error(ResourceExhaustedError(text))
    assert error.what == (
        "out of memory: OOM when allocating tensor with shape[4000,128] and type float"
    )
    assert as_run_error(MemoryError("std::bad_alloc\nmore")).what == "out of memory: std::bad_alloc"


@pytest.mark.parametrize(
    ("batch", "fix"),
    [
        (
            (1200, 1),
            "train.batch_size=600 train.gradient_accumulation_steps=2 takes half; a smaller",
        ),
        ((8, 4), "train.batch_size=4 train.gradient_accumulation_steps=8 takes half; a"),
        ((1, 16), "a smaller data.max_length or model also helps"),
        (None, "half of train.batch_size, with twice the train.gradient_accumulation_steps; a sm"),
    ],
)
def test_out_of_memory_halves_the_batch_of_this_run(batch, fix):
    assert as_run_error(MemoryError(), batch).fix.startswith(fix)
