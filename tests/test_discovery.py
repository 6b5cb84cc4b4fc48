"""Where plugins come from: one file, an installed package, a wheel in an empty folder."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.installed_package import LOSS
from tests.support.plugin_isolation import isolated_plugins
from xferlab import discovery
from xferlab.cli.main import main
from xferlab.errors import PluginError
from xferlab.groups import GROUPS
from xferlab.registry import REGISTRY, Registry

ROOT = Path(__file__).resolve().parents[1]

MINE = LOSS.format(name="mine").replace("Theirs", "Mine").replace("theirs", "mine")


def xferlab(*overrides: str, cwd: Path) -> subprocess.CompletedProcess:
    """Run a command line in this process, with nothing of the other tests' plugins."""
    out = io.StringIO()
    err = io.StringIO()
    with (
        isolated_plugins(),
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = main(list(overrides))
    return subprocess.CompletedProcess(overrides, code, out.getvalue(), err.getvalue())


def xferlab_process(*overrides: str, cwd: Path, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "xferlab", *overrides],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | env,
    )


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    file = tmp_path / "plugins" / "loss" / "mine.py"
    file.parent.mkdir(parents=True)
    file.write_text(MINE)
    return file


def test_one_file_adds_a_typed_choice(mine, tmp_path):
    assert xferlab("check", "loss=mine", "loss.k=3", cwd=tmp_path).returncode == 0
    out = xferlab("check", "loss=mine", "loss.k=three", cwd=tmp_path)
    assert out.returncode == 2
    assert "loss.k" in out.stderr


def test_an_error_that_cannot_even_say_itself_is_named(mine, tmp_path):
    code = "class E(Exception):\n    def __str__(self): raise E()\nraise E()\n"
    mine.with_name("mute.py").write_text(code)
    out = xferlab("check", "loss=mine", cwd=tmp_path)
    assert out.returncode == 0
    assert "could not be loaded: E: (its message cannot be shown)" in out.stderr
    assert "where: plugins/loss/mute.py:3" in out.stderr


def test_a_broken_file_is_named_and_others_go_on(mine, tmp_path):
    broken = mine.with_name("broken.py")
    broken.write_text("x = 1\nimport no_such_module\n")
    broken = broken.relative_to(tmp_path)
    out = xferlab("check", "loss=mine", cwd=tmp_path)
    assert out.returncode == 0
    assert f"{broken}:2" in out.stderr
    listed = xferlab("list", "loss", cwd=tmp_path)
    assert f"broken: {broken}:2" in listed.stdout
    wanted = xferlab("check", "loss=broken", cwd=tmp_path)
    assert wanted.returncode == 2
    assert f"or fix {broken}:2" in wanted.stderr


def test_a_syntax_error_is_named_with_its_line(mine, tmp_path):
    mine.write_text("x = 1\ny = (\n")
    assert "where: plugins/loss/mine.py:2" in xferlab("check", cwd=tmp_path).stderr


def test_a_plugin_that_breaks_the_contract_says_which_word_is_missing(mine, tmp_path):
    mine.write_text(MINE.replace("    accepts: ClassVar[Accepts] = ", "    # "))
    out = xferlab("check", "loss=mine", cwd=tmp_path)
    assert out.returncode == 2
    assert "Mine does not declare 'accepts: ClassVar[Accepts]'" in out.stderr


def test_a_taken_name_is_refused_where_it_is_used_and_names_both_files(mine, tmp_path):
    mine.write_text(MINE.replace('"mine"', '"cross_entropy"'))
    out = xferlab("check", "loss=cross_entropy", cwd=tmp_path)
    assert out.returncode == 2
    assert "loss=cross_entropy is registered twice, also in" in out.stderr
    assert str(mine) in out.stderr


def test_override_states_the_intent_to_replace(mine, tmp_path):
    mine.write_text(MINE.replace('"loss", "mine"', '"loss", "cross_entropy", override=True'))
    assert xferlab("check", "loss=cross_entropy", "loss.k=2", cwd=tmp_path).returncode == 0


def test_an_entry_point_adds_a_choice(tmp_path):
    site = tmp_path / "site"
    info = site / "their_plugins-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "their_plugins.py").write_text(MINE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-plugins\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[xferlab.plugins]\nlosses = their_plugins\n")
    work = tmp_path / "work"
    work.mkdir()
    out = xferlab_process("check", "loss=mine", "loss.k=3", cwd=work, PYTHONPATH=str(site))
    assert out.returncode == 0, out.stderr


def test_a_wheel_in_an_empty_folder_uses_that_folders_conf_and_plugins(mine, tmp_path):
    site = tmp_path / "site"
    source = tmp_path / "source"  # a build leaves files in the folder it is given
    shutil.copytree(
        ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "outputs", "*.egg-info")
    )
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    built = subprocess.run(
        [*install, "--no-build-isolation", "--target", str(site), str(source)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert built.returncode == 0, built.stderr
    presets = tmp_path / "conf" / "experiment"
    presets.mkdir(parents=True)
    (presets / "ours.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /loss: mine\nloss: {k: 7}\n"
    )
    out = xferlab_process("--cfg", "job", "experiment=ours", cwd=tmp_path, PYTHONPATH=str(site))
    assert out.returncode == 0, out.stderr
    assert "name: mine\n  k: 7" in out.stdout
    code = "import xferlab; print(xferlab.__file__)"
    where = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(site)},
    )
    assert where.stdout.startswith(str(site))


def test_describe_shows_a_preset_and_the_plugin_under_it(tmp_path):
    out = xferlab("describe", "model=bert", cwd=tmp_path)
    assert out.returncode == 0, out.stderr
    assert 'checkpoint: "bundled:bert"' in out.stdout
    assert "model.pooling" in out.stdout


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    command = f"{sys.executable} -m xferlab list | head -1"
    out = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=tmp_path)
    assert out.stderr == ""


BUILT_IN = '''
from dataclasses import dataclass
from xferlab import register
{more}

@register("schedule", "{name}")
@dataclass(frozen=True)
class Made:
    """Made up."""

    def build(self, peak, budget):
        return None
'''


def deferred_file(folder: Path, name: str, more: str = "") -> Path:
    """Write a file as a built-in plugin's, and have it loaded when it is used."""
    path = folder / "schedule" / f"{name}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(BUILT_IN.format(name=name, more=more))
    discovery._defer(path)
    return path


def test_a_command_imports_the_built_in_plugins_that_it_uses_alone():
    with isolated_plugins():
        vars(REGISTRY).update(vars(Registry()))
        discovery._loaded.clear()
        discovery.load_plugins(Path("/nonexistent"))
        assert not list(REGISTRY.loaded())
        names = {group: REGISTRY.names(group) for group in GROUPS}
        REGISTRY.get("loss", "focal")
        assert [entry.name for entry in REGISTRY.loaded()] == ["focal"]
        every = list(REGISTRY)
        found = {g: [entry.name for entry in every if entry.group == g] for g in GROUPS}
        assert {g: [n for n in names[g] if n in found[g]] for g in GROUPS} == found
        assert not REGISTRY.deferred()


def test_a_built_in_file_that_registers_more_than_its_name_is_imported_at_once(tmp_path):
    with isolated_plugins():
        second = 'register("schedule", "second")(dataclass(frozen=True)(type("S", (), {})))'
        deferred_file(tmp_path, "alone")
        assert ("schedule", "alone") in REGISTRY.deferred()
        deferred_file(tmp_path, "another", second.replace("{})))", '{"build": print})))'))
        names = [entry.name for entry in REGISTRY.loaded()]
        assert "another" in names
        assert "second" in names
        assert "alone" not in names


def test_a_broken_built_in_file_is_named_where_it_is_used_and_in_a_list(tmp_path):
    with isolated_plugins():
        path = deferred_file(tmp_path, "torn", "import no_such_module")
        assert REGISTRY.has("schedule", "torn")
        with pytest.raises(PluginError, match="no_such_module") as caught:
            REGISTRY.get("schedule", "torn")
        assert caught.value.where == f"{path}:4"
    with isolated_plugins():
        deferred_file(tmp_path, "torn", "import no_such_module")
        assert "torn" not in [entry.name for entry in REGISTRY]
        assert "no_such_module" in REGISTRY.broken[-1].what


def test_what_a_file_loads_before_it_fails_is_loaded_again(tmp_path):
    with isolated_plugins():
        deferred_file(tmp_path, "needed")
        path = tmp_path / "late.py"
        path.write_text(
            "from xferlab.registry import REGISTRY\nREGISTRY.get('schedule', 'needed')\n1 / 0\n"
        )
        assert discovery._error_of_import(str(path), path) is not None
        assert REGISTRY.get("schedule", "needed").summary == "Made up."
