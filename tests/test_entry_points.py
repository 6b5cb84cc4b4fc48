"""Plugins and presets of installed packages, and folders of plugins that are typed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support.installed_package import LOSS, install
from tests.test_discovery import MINE, xferlab
from xferlab import ConfigError, discovery
from xferlab.discovery import load_recorded, remember
from xferlab.registry import REGISTRY
from xferlab.validation import defaults_of

PACKAGE = "their_lab_of_tests"
FILES = {
    "soft.py": LOSS.format(name="soft"),
    "cut.py": "x = (\n",
    "raises.py": "x = 1\ny = x / 0\n",
    "other.py": LOSS.format(name="another_name"),
    "focal.py": LOSS.format(name="focal"),
    "conf/loss/softer.yaml": "# softer than soft\ndefaults: [soft]\nk: 7\n",
    "conf/loss/cross_entropy_of_theirs.yaml": "defaults: [cross_entropy]\n",
    "conf/experiment/theirs.yaml": "# @package _global_\n# their set-up\ndefaults:\n"
    "  - override /loss: softer\nseed: 3\n",
    "conf/model/bert.yaml": "defaults: [no_such_model]\n",
}
POINTS = f"""
[xferlab.plugins]
loss.soft = {PACKAGE}.soft
loss.cut = {PACKAGE}.cut
loss.raises = {PACKAGE}.raises
loss.misnamed = {PACKAGE}.other
loss.gone = {PACKAGE}.gone
loss.focal = {PACKAGE}.focal

[xferlab.conf]
lab = {PACKAGE}.conf
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    """An empty folder, where the package is installed."""
    install(tmp_path / "site", PACKAGE, FILES, POINTS)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("XFERLAB_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "work"
    folder.mkdir()
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def is_imported() -> bool:
    return PACKAGE in sys.modules


def test_a_list_has_names_and_summaries_of_packages_that_are_not_imported(work):
    out = xferlab("list", "loss", "experiment", cwd=work).stdout
    assert "loss=soft" in out
    assert "A loss of theirs. (their-lab-of-tests 1.0)" in out
    assert "softer than soft" in out
    assert "their set-up" in out
    assert not is_imported()


def test_a_list_marks_what_cannot_be_imported(work):
    lines = xferlab("list", "loss", cwd=work).stdout.splitlines()
    rows = {line.partition(" ")[0]: line for line in lines}
    assert "BROKEN, see below" in rows["loss=cut"]
    assert any(line.startswith("broken: ") and f"{PACKAGE}/cut.py:1" in line for line in lines)
    assert any("there is no module their_lab_of_tests.gone" in line for line in lines)


def test_a_run_of_other_plugins_imports_nothing_of_a_package(work):
    assert xferlab("check", "loss=cross_entropy", cwd=work).returncode == 0
    assert not is_imported()


def test_a_plugin_is_imported_when_it_is_named(work):
    out = xferlab("--cfg", "job", "-p", "loss", "loss=soft", "loss.k=3", cwd=work)
    assert out.stdout.splitlines()[1:] == ["name: soft", "k: 3"]
    wrong = xferlab("check", "loss=soft", "loss.k=three", cwd=work)
    assert "loss.k must be of type int, got 'three'" in wrong.stderr
    assert "loss.k  int  1" in xferlab("describe", "loss=soft", cwd=work).stdout


def test_presets_of_a_package_compose_and_hide_none_of_xferlab(work):
    out = xferlab("--cfg", "job", "experiment=theirs", "model=bert", cwd=work)
    assert out.returncode == 0, out.stderr
    assert "name: soft\n  k: 7" in out.stdout
    assert out.stdout.startswith("seed: 3")


@pytest.mark.parametrize(
    ("name", "parts"),
    {
        "cut": ("SyntaxError: '(' was never closed", "cut.py:1", "their-lab-of-tests 1.0"),
        "raises": ("ZeroDivisionError: division by zero", "raises.py:2"),
        "misnamed": ("'loss.misnamed' of their-lab-of-tests 1.0 registers no", "other.py"),
        "gone": (f"No module named '{PACKAGE}.gone'", f"loss.gone = {PACKAGE}.gone"),
        "focal": ("loss=focal is registered twice", "focal.py:7"),
    }.items(),
)
def test_a_broken_plugin_of_a_package_is_reported_where_it_is_named(name, parts, work):
    assert xferlab("check", "loss=cross_entropy", cwd=work).stderr == ""
    for command in ("check", "describe"):
        out = xferlab(command, f"loss={name}", cwd=work)
        assert out.returncode == 2
        assert len(out.stderr.splitlines()) == 3
        assert all(part in out.stderr for part in parts)


@pytest.fixture
def mine(tmp_path):
    file = tmp_path / "mine" / "loss" / "mine.py"
    file.parent.mkdir(parents=True)
    file.write_text(MINE)
    return file


@pytest.mark.parametrize("typed", ["plugins.paths={}", "plugins.paths=[{}]"])
def test_a_typed_folder_adds_its_plugins_to_any_command(typed, work, mine):
    word = typed.format(mine.parents[1])
    assert xferlab("check", word, "loss=mine", "loss.k=3", cwd=work).returncode == 0
    assert "A loss of mine" in xferlab("list", "loss", word, cwd=work).stdout
    candidates = xferlab("completion", "candidates", f"xferlab {word} loss=m", cwd=work).stdout
    assert "loss=mine" in candidates
    assert "loss=mine" not in xferlab("list", "loss", cwd=work).stdout


def test_a_typed_folder_must_exist_and_cannot_be_in_a_file(work, mine):
    wrong = xferlab("list", "plugins.paths=[nowhere]", cwd=work).stderr
    assert wrong.splitlines()[1] == " where: plugins.paths=nowhere"
    file = work / "conf" / "experiment" / "theirs_too.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(f"# @package _global_\nplugins: {{paths: [{mine.parents[1]}]}}\n")
    refused = xferlab("check", "experiment=theirs_too", cwd=work)
    assert refused.returncode == 2
    assert "type plugins.paths=[DIR]: no file can name plugins" in refused.stderr
    assert not REGISTRY.has("loss", "mine")


def test_a_run_id_does_not_depend_on_the_folder_of_a_plugin(work, mine):
    def digest(*words: str) -> str:
        out = xferlab("--cfg", "job", "--resolve", "loss=mine", "name=${run_id:}", *words, cwd=work)
        return next(line for line in out.stdout.splitlines() if line.startswith("name: "))

    typed = digest(f"plugins.paths=[{mine.parents[1]}]")
    (work / "plugins").symlink_to(mine.parents[1])
    assert digest() == typed


def test_a_record_loads_a_file_only_if_this_user_has_trained_with_it(work, mine, monkeypatch):
    from tests.support.plugin_isolation import isolated_plugins

    origins = {"loss=mine": f"{mine}:8"}
    with isolated_plugins():
        load_recorded(origins)
        assert not REGISTRY.has("loss", "mine")
        remember(origins)  # not loaded: nothing to remember
        load_recorded(origins)
        assert not REGISTRY.has("loss", "mine")
    with isolated_plugins():
        discovery.add_folders([str(mine.parents[1])])
        discovery.load_plugins(work)
        remember(origins)
    with isolated_plugins():
        assert "XFERLAB_PLUGINS" not in os.environ
        load_recorded(origins)
        assert defaults_of(REGISTRY.get("loss", "mine").cls) == {"k": 1}


def test_folders_must_be_there():
    with pytest.raises(ConfigError, match="no such folder"):
        discovery.add_folders([str(Path("/no/such/folder"))])
