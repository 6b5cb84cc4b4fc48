"""A command that is refused leaves nothing behind, and says so in three lines."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from xferlab.cli.main import main
from xferlab.errors import ConfigError
from xferlab.inference.run_folder import own_file
from xferlab.io.safetensors import read_header
from xferlab.runs.metadata import keep_files

LONG = "a" * 300
MISSING = ["data=files", "data.train=none.csv"]


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XFERLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path


def answer(overrides, capsys):
    assert main(overrides) == 2
    printed = capsys.readouterr().err
    last = printed.splitlines()[-3:]
    assert [line[:8] for line in last] == [" error: ", " where: ", "   fix: "], printed
    assert "Traceback" not in printed
    return printed


REFUSED = {
    "no such file": MISSING,
    "a loss that does not fit": ["loss=huber"],
    "no such checkpoint": ["model=encoder", "model.checkpoint=./nowhere"],
    "too long": ["data.max_length=129"],
}


@pytest.mark.parametrize("overrides", REFUSED.values(), ids=REFUSED)
def test_a_refused_run_leaves_no_folder(overrides, capsys):
    answer(overrides, capsys)
    assert not Path("outputs").exists()


def test_a_folder_that_was_there_stays_and_stays_usable(capsys):
    Path("mine").mkdir()
    answer([*MISSING, "hydra.run.dir=mine"], capsys)
    assert list(Path("mine").iterdir()) == []
    Path("outputs/runs/other").mkdir(parents=True)
    answer(MISSING, capsys)
    assert [str(path) for path in Path("outputs/runs").iterdir()] == ["outputs/runs/other"]


def test_what_was_in_a_folder_before_is_never_deleted(capsys):
    Path("mine").mkdir()
    Path("mine/letter").write_text("dear")
    assert "this folder is not empty" in answer([*MISSING, "hydra.run.dir=mine"], capsys)
    assert Path("mine/letter").read_text() == "dear"


PLACES = {
    "a run in a file": (["hydra.run.dir=file"], "there is a file of this name"),
    "a run below a file": (["hydra.run.dir=file/run"], "a part of this path is a file"),
    "a run with a long name": ([f"hydra.run.dir={LONG}"], "longer than the file system allows"),
    "a sweep in a file": (["-m", "seed=1,2", "hydra.sweep.dir=file"], "there is a file of this"),
    "a sweep with a long name": (["-m", "seed=1,2", f"hydra.sweep.dir={LONG}"], "longer than"),
    "a run to recover": ([f"--recover={LONG}"], "there is no run in this folder"),
    "a report": (["report", LONG], "there is no such folder"),
    "an evaluation": (["evaluate", LONG], "there is no folder"),
    "a link to itself": (["hydra.run.dir=loop"], "there is a file of this name"),
}


@pytest.mark.parametrize(("overrides", "message"), PLACES.values(), ids=PLACES)
def test_a_place_where_nothing_can_be_is_three_lines(overrides, message, capsys):
    Path("file").write_text("")
    Path("loop").symlink_to("loop")
    assert message in answer(overrides, capsys)
    assert not Path("outputs").exists()


@pytest.mark.parametrize("command", ["list", "describe loss=focal", "check", "--help"])
def test_a_closed_standard_output_is_three_lines(command):
    line = f"{sys.executable} -m xferlab {command} >&-"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert done.returncode == 2
    assert [line[:8] for line in done.stderr.splitlines()] == [" error: ", " where: ", "   fix: "]
    assert "standard output is closed" in done.stderr


NAMES = {"a NUL": "a\0b", "5,000 letters": "a" * 5000}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_files_name_that_cannot_be_is_three_lines(name, tmp_path):
    with pytest.raises(ConfigError, match="no file can have the name"):
        own_file(tmp_path, f"model/{name}")
    with pytest.raises(ConfigError, match="the model wants to keep a file named"):
        keep_files(tmp_path / "model", {name: b""})


@pytest.mark.parametrize("number", ["1e999", "1.5", "true", "null", "-1e999", '"16"'])
def test_a_size_that_is_no_whole_number_is_damage(number, tmp_path):
    header = '{"a": {"dtype": "F32", "shape": [N], "data_offsets": [0, 64]}}'.replace("N", number)
    data = len(header).to_bytes(8, "little") + header.encode() + bytes(64)
    (tmp_path / "model.safetensors").write_bytes(data)
    with pytest.raises(ValueError, match="invalid JSON in header"):
        read_header(tmp_path / "model.safetensors")


def test_resume_auto_passes_over_a_damaged_neighbour_and_names_it(capsys):
    overrides = ["model=bag_of_embeddings", "debug=tiny", "train.resume=auto"]
    for name, (file, content) in {
        "empty": ("status.json", ""),
        "odd": ("config.yaml", "name: ${oc.env:HOME}\n"),
        "torn": ("inputs.json", "{"),
    }.items():
        folder = Path("outputs/runs") / name
        folder.mkdir(parents=True)
        (folder / "status.json").write_text(json.dumps({"status": "interrupted"}))
        (folder / "config.yaml").write_text("seed: 0\n")
        (folder / file).write_text(content)
    assert main(overrides) == 0
    printed = capsys.readouterr().err
    assert "note       outputs/runs/empty is skipped: status.json is damaged" in printed
    assert "note       outputs/runs/odd is skipped: a saved config is plain data" in printed
    assert len(os.listdir("outputs/runs")) == 4
    shutil.rmtree("outputs")
