"""The documentation is executed: commands run, printed blocks match."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from xferlab.cli import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
TYPED = re.compile(r"python3? (?:-m xferlab|start\.py) ([^`\n#]*)")


def blocks() -> list[tuple[str, str, str]]:
    """Return (page, command, output) of every printed session whose output is shown."""
    found = []
    for page in PAGES:
        for block in BLOCK.findall(page.read_text()):
            for session in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, output = session.partition("\n")
                found.append((page.name, command.strip(), output.rstrip()))
    return found


def commands() -> list[tuple[str, str]]:
    """Return (page, words) of every xferlab command that is a training run."""
    found = []
    for page in PAGES:
        for words in TYPED.findall(BLOCK.sub("", page.read_text())):
            first = (shlex.split(words) or [""])[0]
            if "=" in first or first == "-m":
                found.append((page.name, words.strip()))
    return sorted(set(found))


@pytest.mark.parametrize(("page", "command", "output"), blocks(), ids=lambda v: v[:60])
def test_a_printed_session_is_what_is_printed(page, command, output, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command.removeprefix("python -m xferlab"))
    main(words)
    told = capsys.readouterr()
    shown = [line.rstrip() for line in (told.out + told.err).splitlines()]
    for line in output.splitlines():
        assert line.rstrip() in shown


@pytest.mark.parametrize(("page", "words"), commands(), ids=lambda v: v[:80])
def test_a_command_that_is_shown_can_be_typed(page, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["check", *shlex.split(words)]) == 0, capsys.readouterr().err
