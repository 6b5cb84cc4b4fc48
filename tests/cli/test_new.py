"""``new``: a plugin of each group and its test, which are complete and work."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.plugin_isolation import isolated_plugins
from xferlab.cli.main import main
from xferlab.config.reference import settings_of_plugin
from xferlab.groups import GROUPS
from xferlab.registry import REGISTRY

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with isolated_plugins():
        yield tmp_path


def run_its_test() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SLIPCOVER")}
    environment = {**kept, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


@pytest.mark.parametrize("group", GROUPS)
def test_the_plugin_is_one_that_can_be_described(group, capsys):
    assert main(["new", group, "my_own"]) == 0
    written = [Path(line.split()[1]) for line in capsys.readouterr().out.splitlines()[:2]]
    assert written == [Path(f"plugins/{group}/my_own.py"), Path(f"tests/test_{group}_my_own.py")]
    assert main(["describe", f"{group}=my_own"]) == 0
    entry = REGISTRY.get(group, "my_own")
    assert entry.cls.__name__ == "MyOwn"
    assert entry.summary.endswith(".")
    assert len(dataclasses.fields(entry.cls)) >= 1
    assert all(each.text for each in settings_of_plugin(entry))
    compile(written[1].read_text(), str(written[1]), "exec")
    text = written[0].read_text()
    assert '"example"' not in text
    assert "Example" not in text


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_each_plugins_test_passes(group):
    assert main(["new", group, "mine"]) == 0
    run_its_test()


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["los", "mine"], "did you mean 'loss'?"),
        (["loss", "My-Loss"], "a plugin cannot be called 'My-Loss'"),
        (["loss", "focal"], "loss=focal exists"),
        (["loss"], "NAME"),
    ],
)
def test_what_cannot_be_written_is_refused(arguments, what, workspace, capsys):
    assert main(["new", *arguments]) == 2
    assert what in capsys.readouterr().err
    assert list(workspace.iterdir()) == []


def test_a_project_is_a_package_with_plugins_and_presets(workspace, capsys, monkeypatch):
    assert main(["new", "project", "My-Lab"]) == 0
    folder = workspace / "My-Lab"
    assert "cd My-Lab && pip install" in capsys.readouterr().out
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["name"] == "my-lab"
    points = project["project"]["entry-points"]
    lines = [f"{name} = {value}" for name, value in points["xferlab.plugins"].items()]
    text = "\n".join(["[xferlab.plugins]", *lines, "[xferlab.conf]", "my_lab = my_lab.conf"])
    assert points["xferlab.conf"] == {"my_lab": "my_lab.conf"}
    info = folder / "src" / "my_lab-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-lab\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(text)
    monkeypatch.syspath_prepend(str(folder / "src"))
    assert main(["check", "experiment=my_lab"]) == 0
    assert main(["list", "loss", "metric", "experiment"]) == 0
    listed = capsys.readouterr().out
    for name in ("loss=my_lab", "metric=my_lab", "experiment=my_lab"):
        assert name in listed
    for path in sorted(folder.rglob("*.py")):
        compile(path.read_text(), str(path), "exec")


@pytest.mark.parametrize(
    ("name", "what"), [("taken", "such a folder"), ("1st", "'1st'"), ("focal", "loss=focal exists")]
)
def test_a_project_that_cannot_be_laid_is_refused(name, what, workspace, capsys):
    (workspace / "taken").mkdir()
    (workspace / "taken" / "file").write_text("")
    assert main(["new", "project", name]) == 2
    assert what in capsys.readouterr().err
    assert sorted(path.name for path in workspace.iterdir()) == ["taken"]


def test_nothing_is_overwritten(workspace, capsys):
    path = workspace / "tests/test_loss_mine.py"
    path.parent.mkdir()
    path.write_text("of the user")
    assert main(["new", "loss", "mine"]) == 2
    assert path.read_text() == "of the user"
    assert not (workspace / "plugins").exists()
