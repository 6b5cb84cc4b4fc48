"""Attacks by whoever can only write data: each was seen to succeed somewhere, none does here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from attacks import CONFIG_ATTACKS
from omegaconf import OmegaConf

from xferlab import runner, sweep
from xferlab.cli import main
from xferlab.errors import ConfigError
from xferlab.record import write_config
from xferlab.safety import LARGEST_FILE, read_config_data

HERE = Path(__file__).parent
BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
)
SAVED = {
    "an environment variable": ("name: ${oc.env:SECRET}\n", "holds an interpolation"),
    "an interpolation in a key": ("'${oc.env:SECRET}': 1\n", "holds an interpolation"),
    "another key": ("a: 1\nb: ${a}\n", "holds an interpolation"),
    "a tag that calls": (
        "name: !!python/object/apply:os.system ['touch marker']\n",
        "uses a tag: tag:yaml.org,2002:python/object/apply:os.system",
    ),
    "a tag that OmegaConf knows": (
        "name: !!python/object/apply:pathlib.Path [x]\n",
        "uses a tag",
    ),
    "aliases that grow": (BOMB, "uses an alias: *a0"),
    "an alias to itself": ("a: &a [*a]\n", "uses an alias: *a"),
    "depth": ("a: " + "[" * 5000 + "]" * 5000, "is deeper than 32 levels"),
    "size": ("a: 1\n" + "#" * LARGEST_FILE, "has more than"),
    "bytes": ("a: \x00", "is not YAML"),
    "a list": ("- 1\n", "is not a table of keys"),
    "a key twice": ("a: 1\na: 2\n", "is not YAML"),
}


@pytest.mark.parametrize(("text", "said"), SAVED.values(), ids=SAVED)
def test_a_strangers_saved_config_is_plain_data_or_refused(text, said, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_config_data(path)
    assert said in caught.value.what
    assert "hunter2" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 3
    assert not (tmp_path / "marker").exists()


def test_a_saved_config_is_an_ordinary_file(tmp_path):
    (tmp_path / "secret").write_text("a: 1\n")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe.yaml")  # reading it would wait for ever
    for name, said in {
        "link.yaml": "is not an ordinary file",
        "pipe.yaml": "is not an ordinary file",
        "none.yaml": "is not there",
    }.items():
        with pytest.raises(ConfigError, match=said):
            read_config_data(tmp_path / name)


def test_what_a_run_writes_is_read_back(tmp_path):
    config = {
        "seed": 1,
        "name": None,
        "optimizer": {"lr": 1e-5, "name": "adamw"},
        "data": {"classes": ["a: b", "*x", "&y", "!z", "1e-5"], "same": [], "other": []},
    }
    write_config(tmp_path, config)
    assert read_config_data(tmp_path / "config.yaml") == config
    assert OmegaConf.to_container(OmegaConf.load(tmp_path / "config.yaml")) == config


def answer(typed: list[str], capsys) -> str:
    """Return the three lines that refuse ``typed``."""
    code = main(typed)
    told = capsys.readouterr()
    assert code == 2, told
    assert [line[:8] for line in told.err.splitlines()] == [" error: ", " where: ", "   fix: "]
    return told.err


@pytest.fixture(scope="module")
def live(tmp_path_factory) -> set[str]:
    """The attacks that succeed on plain Hydra, for a payload that does nothing proves nothing."""
    out = subprocess.run(
        [sys.executable, HERE / "plain_hydra.py", tmp_path_factory.mktemp("plain")],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(out.stdout.splitlines())


@pytest.mark.parametrize("name", CONFIG_ATTACKS)
def test_a_config_that_is_more_than_data_is_refused(name, live, tmp_path, monkeypatch, capsys):
    case, folder = CONFIG_ATTACKS[name], tmp_path / "work"
    case.write(folder)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "strangers", raising=False)
    monkeypatch.setenv("SECRET", "hunter2")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setattr(runner, "run", lambda *_: (folder / os.getenv("PLANTED", "x")).touch())
    monkeypatch.setattr(sweep, "print_table", lambda _: 0)
    told = answer(case.typed.split(), capsys)
    assert not case.succeeded(folder)
    assert case.said in told
    assert not (folder / "outputs").exists()
    assert name in live


@pytest.mark.parametrize(
    "typed",
    [
        "hydra.run.dir=/elsewhere/run",
        "-m seed=1,2 hydra.sweep.dir=../sweep hydra.sweep.subdir=${hydra.job.num}",
        "hydra/job_logging=disabled",
        "hydra/job_logging=stdout hydra/hydra_logging=disabled",
        "hydra.verbose=true",
        "hydra.verbose=[hydra,xferlab]",
        "hydra.output_subdir=null hydra.job.chdir=true hydra.job.name=mine",
        "hydra.job_logging.root.level=DEBUG",
        "name=second_try-1e-5+2",
    ],
)
def test_what_a_person_may_say_to_hydra(typed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["check", *typed.split()]) == 0, capsys.readouterr().err


def test_folders_may_be_arranged_below_the_working_directory(tmp_path, monkeypatch, capsys):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "mine.yaml").write_text(
        "defaults: [config, _self_]\n"
        "hydra: {run: {dir: 'runs/${now:%Y}/${now:%H-%M-%S}-${run_id:}'}, "
        "sweep: {dir: './sweeps/${hydra.job.name}', subdir: '${hydra.job.num}_${run_id:}'}}\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["check", "--config-name", "mine"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--experimental-rerun=x.pickle", "--config-path=x", "--run"])
def test_other_flags_of_hydra_are_refused(flag, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "there is no flag" in answer([flag], capsys)


@pytest.mark.parametrize("name", ["../up", "a/b", "a\x1b]0;x", "[link=x]", "\\n", "x" * 101, ".h"])
def test_a_run_is_called_by_a_plain_word(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "name may not be" in answer(["check", f"name='{name}'"], capsys)
