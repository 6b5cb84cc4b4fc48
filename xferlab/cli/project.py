"""``new project``: lays a research repository, a package with plugins, presets and tests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import xferlab
from xferlab.cli.plugin_template import plugin_text
from xferlab.errors import ConfigError
from xferlab.io.atomic import atomic_write
from xferlab.registry import NAME, REGISTRY

PLUGINS = ("loss", "metric")
"""The groups of the plugins that a project begins with."""
PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{distribution}"
version = "0.1.0"
description = "Plugins and presets for xferlab."
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["xferlab>={version}"]

[project.optional-dependencies]
test = ["pytest"]

# One line a plugin: GROUP.NAME and the module that registers it; imported when it is named.
[project.entry-points."xferlab.plugins"]
"loss.{name}" = "{name}.loss"
"metric.{name}" = "{name}.metric"

# The folder of the presets.
[project.entry-points."xferlab.conf"]
{name} = "{name}.conf"

[tool.setuptools.packages.find]
where = ["src"]

[tool.setuptools.package-data]
{name} = ["conf/**/*.yaml"]

[tool.pytest.ini_options]
testpaths = ["tests"]
"""
README = """\
# {name}

Plugins and presets for [xferlab](https://pypi.org/project/xferlab/).

    pip install -e .[test]
    xferlab list loss metric experiment         # {name} is among them
    xferlab describe loss={name}
    xferlab check experiment={name}
    xferlab experiment={name} debug=tiny        # a short run; without debug=tiny the whole
    pytest

| place | what |
|---|---|
| `src/{name}/loss.py`, `metric.py` | the plugins; a new one needs a line in `pyproject.toml` |
| `src/{name}/conf/GROUP/NAME.yaml` | the presets: `GROUP=NAME` |
| `tests/` | the contract of each plugin, and a run that repeats |

`xferlab new GROUP NAME` writes a plugin of another group to start from. After a change of
`pyproject.toml` run `pip install -e .` again.
"""
PRESET = """\
# @package _global_
# the loss and the metric of {name} on the bundled reviews
defaults:
  - override /model: bag_of_embeddings
  - override /loss: {name}
  - override /metric: [accuracy, {name}]

loss:
  penalty: 0.01
"""
TEST_PLUGINS = '''\
"""Each plugin keeps its contract: documented, the same each time, killed and resumed."""

import pytest
from xferlab.testing import check_plugin


@pytest.mark.parametrize("group", ["loss", "metric"])
def test_it_keeps_its_contract(group):
    check_plugin(group, "{name}")
'''
TEST_EXPERIMENT = '''\
"""The preset trains, and the same seed gives the same scores."""

import xferlab


def test_it_trains_and_repeats(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scores = []
    for name in ("one", "two"):
        run = xferlab.train("experiment={name}", "debug=tiny", f"hydra.run.dir={{name}}")
        scores.append(run.scores["validation"])
    assert scores[0] == scores[1]
    assert "{name}" in scores[0]
'''
IGNORED = """\
outputs/
__pycache__/
*.egg-info/
"""


def new_project(folder: Path) -> int:
    """Write the files of a project into a new folder and print what to type next."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError("there is such a folder", where=str(folder), fix="name a new one")
    files = project_files(folder.resolve().name)
    for path, text in files.items():
        atomic_write(folder / path, text)
        print(f"written    {folder / path}")
    print(f"try        cd {folder} && pip install -e .[test] && pytest")
    return 0


def project_files(title: str) -> Mapping[str, str]:
    """Return the text of each file of a project, by its path.

    Args:
        title: the folder's name, which gives the package's: ``My-Lab`` is ``my_lab``.

    Raises:
        ConfigError: the name cannot be one, or a plugin has it.
    """
    name = re.sub(r"\W+", "_", title.lower())
    if not NAME.fullmatch(name):
        fix = "begin the folder's name with a letter, then letters, digits, - and _: my_lab"
        raise ConfigError(f"a package cannot be called '{name}'", where=title, fix=fix)
    for group in PLUGINS:
        if name in REGISTRY.names(group):
            raise ConfigError(f"{group}={name} exists", where=title, fix="choose another name")
    words = {
        "name": name,
        "distribution": name.replace("_", "-"),
        "version": xferlab.__version__,
    }
    return {
        "pyproject.toml": PYPROJECT.format(**words),
        "README.md": README.format(**words),
        ".gitignore": IGNORED,
        f"src/{name}/__init__.py": f'"""Plugins and presets of {name}."""\n',
        **{f"src/{name}/{group}.py": plugin_text(group, name) for group in PLUGINS},
        f"src/{name}/conf/experiment/{name}.yaml": PRESET.format(**words),
        "tests/test_plugins.py": TEST_PLUGINS.format(**words),
        "tests/test_experiment.py": TEST_EXPERIMENT.format(**words),
    }
