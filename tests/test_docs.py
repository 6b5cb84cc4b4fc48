"""The documentation is executed: commands run, printed blocks match.

``$ cat FILE`` in a printed session is a file that the page's later commands find.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.support.plugin_isolation import isolated_plugins
from xferlab.cli.arguments import parse
from xferlab.cli.main import main
from xferlab.config.compose import compose_experiment, publish
from xferlab.discovery import load_plugins
from xferlab.sweeps.engines import publish_engines
from xferlab.sweeps.planner import plan_sweep

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
COMMANDS_IN_TEXT = re.compile(r"python3? (?:-m xferlab|start\.py) ([^`\n#]*)")


def blocks() -> list[tuple[str, str, str, dict[str, str]]]:
    """Return page, command, output and files of every printed session whose output is shown."""
    found = []
    for page in PAGES:
        files: dict[str, str] = {}
        for block in BLOCK.findall(page.read_text()):
            for session in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, output = session.partition("\n")
                if command.startswith("cat "):
                    files[command.removeprefix("cat ")] = output
                else:
                    found.append((page.name, command.strip(), output.rstrip(), dict(files)))
    return found


def commands() -> list[tuple[str, str]]:
    """Return (page, words) of every xferlab command that is a training run, each once."""
    found = {}
    for page in PAGES:
        for command in COMMANDS_IN_TEXT.findall(BLOCK.sub("", page.read_text())):
            first = (shlex.split(command) or [""])[0]
            if "=" in first or first == "-m":
                found.setdefault(command.strip(), page.name)
    return sorted((page, command) for command, page in found.items())


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """Work in an empty folder; what its plugins register or break is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    with isolated_plugins():
        yield tmp_path


@pytest.mark.parametrize(
    ("page", "command", "output", "files"),
    blocks(),
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_a_printed_session_is_what_is_printed(page, command, output, files, workspace, capsys):
    for name, content in files.items():
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text(content)
    code = main(shlex.split(command.removeprefix("python -m xferlab")))
    printed = capsys.readouterr()
    shown = [line.rstrip() for line in (printed.out + printed.err).splitlines()]
    for line in output.splitlines():
        assert line.rstrip() in shown
    assert code == (2 if " error: " in output else 0)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Return an empty folder, where plugins and configs are those of xferlab."""
    folder = tmp_path_factory.mktemp("empty")
    with isolated_plugins():
        load_plugins(folder)
        publish(folder)
        publish_engines()
        yield folder


@pytest.mark.parametrize(("page", "command"), commands(), ids=lambda v: v[:80])
def test_a_command_that_is_shown_can_be_typed(page, command, published, monkeypatch):
    """The config alone: the files and the Hub that a page names are not here."""
    monkeypatch.chdir(published)
    flags, overrides = parse(shlex.split(command))
    if flags.multirun:
        assert plan_sweep(overrides).checked >= 1
    else:
        compose_experiment(overrides)


def test_the_file_of_jobs_that_is_shown_can_be_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "sweeps.md").read_text()
    (shown,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    file = tmp_path / "conf" / "sweep" / "mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(shown)
    assert main(["-m", "sweep=mine", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * 2 * 2 * 20
    assert "here to 2 x 2 x 2 x 20 jobs" in page
    for word in (
        "optimizer.lr=3e-5",
        "epochs=4 train.batch_size=32",
        "loss=focal loss.gamma=2",
        "optimizer.weight_decay=",
        "schedule.warmup=0.1",
    ):
        assert any(word in line for line in lines)
