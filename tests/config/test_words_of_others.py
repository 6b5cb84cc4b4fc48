"""The page for people from other tools: its table is that of the code, its names exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from xferlab.cli.arguments import parse
from xferlab.config.aliases import KEYS, NAMES
from xferlab.config.compose import compose_experiment, publish
from xferlab.config.schema import root_keys
from xferlab.registry import REGISTRY
from xferlab.sweeps.engines import publish_engines
from xferlab.sweeps.planner import plan_sweep

PAGE = Path(__file__).parents[2] / "docs/coming-from.md"


def rows() -> list[str]:
    """Return the table's rows: what is typed here, and other tools' words for it."""
    others: dict[str, list[str]] = {}
    for word, key in KEYS.items():
        others.setdefault(key, []).append(word)
    return [
        f"| `{key}` | {', '.join(f'`{word}`' for word in words)} |" for key, words in others.items()
    ]


def test_the_table_of_the_page_is_that_of_the_code():
    table = "\n".join(["| here | elsewhere |", "|---|---|", *rows()])
    assert table in PAGE.read_text(), f"the page has not this table:\n{table}"


def test_what_other_words_mean_exists():
    for key in KEYS.values():
        assert key.partition(".")[0] in (*root_keys(), "hydra"), key
    names = {entry.name for entry in REGISTRY}
    missing = {name for name in NAMES.values() if name not in names}
    presets = {path.stem for path in (PAGE.parents[1] / "conf").glob("*/*.yaml")}
    assert missing <= presets


def test_the_tables_of_the_page_have_pairs():
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 3 for line in lines)


ASKED = re.findall(r"`([^`]+)`", (PAGE.parent / "asked-for.md").read_text())
TYPED = [words for words in ASKED if "=" in words and not re.search(r"[A-Z]{4}|focl", words)]


@pytest.mark.parametrize("words", TYPED)
def test_what_is_typed_here_is_valid(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags, overrides = parse(shlex.split(words.removeprefix("find-lr ")))
    publish(tmp_path)
    publish_engines()
    if flags.multirun:
        assert plan_sweep(overrides).checked >= 2
    else:
        compose_experiment(overrides)


def test_the_pages_that_are_named_are_there():
    names = re.findall(r"\]\(([\w-]+\.md)\)", (PAGE.parent / "asked-for.md").read_text())
    assert len(names) >= 15
    assert all((PAGE.parent / name).exists() for name in names)
