"""``new``: writes a plugin and its test, both complete, as a start."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from xferlab.cli.flags import FlagParser
from xferlab.cli.plugin_template import plugin_text
from xferlab.errors import ConfigError, did_you_mean
from xferlab.groups import GROUPS
from xferlab.io.atomic import atomic_write
from xferlab.registry import NAME, REGISTRY

ABOUT = """\
Write a plugin and its test into this folder: a small one that works, to be changed. Or lay a
research repository: a package with plugins, presets, tests."""
EXAMPLES = """\
examples:
  new loss mine             plugins/loss/mine.py and tests/test_loss_mine.py
  new callback notify       a group has one template; list GROUP shows its plugins
  new project my_lab        a package: pyproject.toml, src, presets, tests, README

Nothing that exists is overwritten.
"""
PROJECT = "project"
NETWORK = {"model": "", "head": "model=bert", "transfer": "model=bert"}
"""The model of a group's test; elsewhere the smallest one."""
TEST = '''\
"""{choice}: it trains, and the same seed gives the same scores."""

import xferlab
from xferlab.testing import check_plugin


def test_it_keeps_its_contract():
    check_plugin("{group}", "{name}")


def test_it_trains_and_repeats(tmp_path):
    scores = []
    for name in ("one", "two"):
        run = xferlab.train({overrides}, f"hydra.run.dir={{tmp_path / name}}")
        scores.append(run.scores["validation"])
    assert scores[0] == scores[1]


# Add what only this plugin does: a value that you computed by hand, a limit, a field that is wrong:
# with pytest.raises(xferlab.ConfigError): xferlab.train("{choice}", "{group}.FIELD=...")
'''


def new(arguments: list[str]) -> int:
    """Write the two files and print what to type next."""
    parser = FlagParser("new", ABOUT, EXAMPLES)
    parser.add_argument("group", metavar="GROUP", help="of plugins: loss, metric, ...; or project")
    parser.add_argument("name", metavar="NAME", help="of the plugin, like label_smoothing")
    flags = parser.read(arguments)
    if flags.group == PROJECT:
        from xferlab.cli.project import new_project

        return new_project(Path(flags.name))
    files = plugin_files(flags.group, flags.name)
    for path in files:
        if path.exists():
            raise ConfigError("there is such a file", where=str(path), fix="choose another name")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, text)
        print(f"written    {path}")
    choice = GROUPS[flags.group].override(flags.name)
    print(f"try        python -m xferlab describe {flags.group}={flags.name}")
    print(f"           python -m xferlab debug=tiny '{choice}'")
    print(f"           pytest {list(files)[1]}")
    return 0


def plugin_files(group: str, name: str) -> Mapping[Path, str]:
    """Return the text of a plugin and of its test, by their paths.

    Raises:
        ConfigError: there is no such group, or the name cannot be one, or is taken.
    """
    if group not in GROUPS:
        fix = did_you_mean(group, [*GROUPS, PROJECT])
        raise ConfigError(f"there is no plugin group '{group}'", where=group, fix=fix)
    if not NAME.fullmatch(name):
        fix = "begin with a letter, then letters, digits and _ in lower case: label_smoothing"
        raise ConfigError(f"a plugin cannot be called '{name}'", where=name, fix=fix)
    if name in REGISTRY.names(group):
        origin = REGISTRY.get(group, name).origin
        raise ConfigError(f"{group}={name} exists", where=origin, fix="choose another name")
    choice = GROUPS[group].override(name)
    network = NETWORK.get(group, "model=bag_of_embeddings")
    overrides = [choice, "debug=tiny", *([network] if network else [])]
    shown = ", ".join(f'"{each}"' for each in overrides)
    test = TEST.format(choice=choice, group=group, name=name, overrides=shown)
    return {
        Path("plugins", group, f"{name}.py"): plugin_text(group, name),
        Path("tests", f"test_{group}_{name}.py"): test,
    }
