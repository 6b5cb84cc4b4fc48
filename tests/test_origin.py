"""Two copies of the package on one machine: the one that runs brings its own conf and plugins."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import xferlab
from xferlab.origin import own_folder

ROOT = own_folder("plugins").parent


@pytest.fixture(scope="module")
def second(tmp_path_factory) -> Path:
    """Return a second checkout, beside the one that is installed."""
    folder = tmp_path_factory.mktemp("second")
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(xferlab.__file__).parent, folder / "xferlab", ignore=ignore)
    for name in ("plugins", "conf"):
        shutil.copytree(own_folder(name), folder / name, ignore=ignore)
    return folder


def run(code: list[str], folder: Path, path: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, *code], cwd=folder, env=environment, capture_output=True, text=True
    )


def test_a_second_checkout_runs_with_its_own_plugins_and_configs(second):
    done = run(["-m", "xferlab", "describe", "loss=focal"], second)
    assert done.returncode == 0, done.stderr
    assert f"{second}/plugins/loss/focal.py" in done.stdout
    assert "registered twice" not in done.stdout + done.stderr


def test_the_package_on_the_path_brings_its_own_plugins_and_configs(second, tmp_path):
    done = run(["-m", "xferlab", "describe", "model=bert"], tmp_path, str(second))
    assert done.returncode == 0, done.stderr
    assert f"{second}/conf/model/bert.yaml" in done.stdout
    assert f"{second}/plugins/model/encoder.py" in done.stdout
    assert run(["-m", "xferlab", "--cfg", "job"], tmp_path, str(second)).returncode == 0


def test_an_installed_package_loads_only_what_a_checkout_adds(second):
    (second / "plugins" / "loss" / "added.py").write_text(ADDED)
    script = (
        "import sys; sys.path.pop(0); from xferlab.cli.main import main; main(['list', 'loss'])"
    )
    done = run(["-c", script], second)
    (second / "plugins" / "loss" / "added.py").unlink()
    assert "loss=added" in done.stdout
    assert "broken" not in done.stdout
    assert f"another checkout of xferlab, and the package that runs is {ROOT}" in done.stderr


ADDED = '''
from dataclasses import dataclass
from typing import ClassVar

from xferlab import OutputKind, LabelKind, Accepts, register


@register("loss", "added")
@dataclass(frozen=True)
class Added:
    """One more."""

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits,), labels=(LabelKind.class_index,)
    )

    def build(self, spec):
        import keras

        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
'''
