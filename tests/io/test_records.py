"""What a stranger's JSON files get: their data, or three lines; and so a folder of theirs."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

import xferlab
from xferlab.cli.report import report_on
from xferlab.config.compose import compose_config, publish
from xferlab.config.recipe import read
from xferlab.discovery import load_plugins
from xferlab.errors import ConfigError
from xferlab.io.atomic import write_json
from xferlab.io.records import LARGEST_FILE, MOST_VALUES, read_record
from xferlab.models.saved_encoder import saved_checkpoint, saved_encoder
from xferlab.runs.metadata import read_status, write_config
from xferlab.runs.resume import earlier

SHAPE = {
    "status": re.compile("[a-z]+"),
    "process?": range(1, 100),
    "best?": {"value": (float, None), "epoch?": int},
    "scores?": {"*": float},
    "words?": [str],
}
WELL = [
    {"status": "finished", "more": ["than", "asked"]},
    {"status": "x", "process": 99, "best": {"value": None}},
    {"status": "x", "best": {"value": 1, "epoch": 3}, "scores": {"a": 1, "b": 0.5}, "words": []},
]
ILL = {
    b"": "it is not JSON",
    b"{": "it is not JSON",
    b'{"status": "x"} {}': "it is not JSON",
    b"\xff\xfe{}": "byte 0 is not UTF-8",
    b"[]": "it is a list, not a table",
    b"{}": "it has no 'status'",
    b'{"status": 3}': "status is 3, not like [a-z]+",
    b'{"status": "\\u001b[2J"}': "status is '\\x1b[2J', not like [a-z]+",
    b'{"status": "\\ud800"}': "half a character",
    b'{"status": "x", "\\ud800": 1}': "half a character",
    b'{"status": "x", "process": 0}': "process is 0, not a whole number from 1 to 99",
    b'{"status": "x", "process": true}': "process is True, not",
    b'{"status": "x", "process": 1.0}': "process is 1.0, not",
    b'{"status": "x", "best": {}}': "it has no 'best.value'",
    b'{"status": "x", "best": {"value": "1"}}': "best.value is '1', not a number or null",
    b'{"status": "x", "best": {"value": 1, "epoch": 1.5}}': "best.epoch is 1.5, not a whole number",
    b'{"status": "x", "scores": {"a": true}}': "scores.a is True, not a number",
    b'{"status": "x", "words": ["a", {}]}': "words[1] is a table, not a text",
    b'{"status": "x", "more": ' + b"9" * 5000 + b"}": "a number in it has more than 300 digits",
    b"[" * 100_000: "it is too deep",
    b'{"a":' * 40 + b"1" + b"}" * 40: "it is deeper than 32 levels",
    b'{"status": "x"}' + b" " * LARGEST_FILE: "it has more than 4,000,000 bytes",
}


@pytest.mark.parametrize("value", WELL)
def test_a_record_of_its_shape_is_read_as_it_is(tmp_path, value):
    write_json(tmp_path / "x.json", value)
    assert read_record(tmp_path / "x.json", SHAPE) == value


@pytest.mark.parametrize("content", ILL, ids=lambda content: content[:40].decode("latin-1"))
def test_every_other_file_is_refused_in_three_lines(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    assert ILL[content] in refused(read_record, tmp_path / "x.json", SHAPE)


def test_what_is_no_file_is_refused(tmp_path):
    path = tmp_path / "x.json"
    assert "there is no x.json in this folder" in refused(read_record, path, SHAPE)
    path.mkdir()
    assert "it is no ordinary file" in refused(read_record, path, SHAPE)
    path.rmdir()
    os.mkfifo(path)
    assert "it is no ordinary file" in refused(read_record, path, SHAPE)
    path.unlink()
    path.symlink_to("/dev/zero")
    assert "it is a link" in refused(read_record, path, SHAPE)


def test_values_are_counted_before_they_are_made(tmp_path):
    (tmp_path / "x.json").write_text("[" + "0," * MOST_VALUES + "0]")
    printed = refused(read_record, tmp_path / "x.json", SHAPE, largest=10_000_000)
    assert "it holds more than 2,000,000 values" in printed


ODD = [[], "x", 3, None, {"status": {}}, {"best": []}, {"jobs": 3}]


@pytest.mark.parametrize("name", ["status", "metrics", "sweep", "job"])
@pytest.mark.parametrize("value", ODD, ids=json.dumps)
def test_a_strangers_folder_is_reported_or_refused(tmp_path, name, value):
    write_config(tmp_path, {"loss": {"name": "focal"}})
    write_json(tmp_path / "status.json", {"status": "finished"})
    write_json(tmp_path / f"{name}.json", value)
    assert f"{name}.json is damaged: " in refused(report_on, [tmp_path])


def test_a_plan_names_no_folder_but_its_jobs(tmp_path):
    job = {"run_id": "../elsewhere", "overrides": []}
    write_json(tmp_path / "s" / "sweep.json", {"swept": [], "requested": [], "jobs": [job]})
    write_json(tmp_path / "elsewhere" / "status.json", {"status": "finished"})
    assert "jobs[0].run_id is '../elsewhere', not like [0-9a-f]{8}" in refused(
        report_on, [tmp_path / "s"]
    )


@pytest.mark.parametrize(
    "text", ["epoch\nx\n", "epoch\n1,2\n", "epoch\n\x00\n", "a" * 200_000, "epoch\n\xa0"]
)
def test_a_history_that_is_no_table_of_numbers_is_refused(tmp_path, text):
    write_json(tmp_path / "status.json", {"status": "running"})
    (tmp_path / "history.csv").write_text(text)
    assert "history.csv is damaged: " in refused(report_on, [tmp_path])


def test_a_strangers_status_says_nothing_about_our_processes(tmp_path):
    for process in (-1, 0, 2**31, 10**30, "1"):
        write_json(tmp_path / "status.json", {"status": "running", "process": process, "host": "x"})
        assert "process is " in refused(read_status, tmp_path)


def test_a_damaged_run_is_not_gone_on_with(tmp_path):
    load_plugins(Path.cwd())
    publish(Path.cwd())
    recipe = read(compose_config([]))
    write_config(tmp_path, recipe.config)
    write_json(tmp_path / "status.json", {"status": "interrupted"})
    assert earlier(tmp_path, recipe).can_resume
    write_json(tmp_path / "status.json", {"status": ["interrupted"]})
    assert "status.json is damaged: status is a list" in refused(earlier, tmp_path, recipe)


def test_what_a_run_keeps_of_its_encoder_is_read_so_too(tmp_path):
    model = tmp_path / "model"
    shutil.copytree(Path(xferlab.__file__).parent / "bundled" / "bert", model)
    (model / "encoder.json").write_text("[" * 100_000)
    assert "encoder.json is damaged: it is too deep" in refused(
        saved_encoder, saved_checkpoint(model)
    )


def refused(call, *args, **more) -> str:
    with pytest.raises(ConfigError) as caught:
        call(*args, **more)
    assert len(str(caught.value).splitlines()) == 3
    return str(caught.value)
