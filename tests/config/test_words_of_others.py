"""The page for people from other tools: its table is that of the code, its names exist."""

from __future__ import annotations

import re
from pathlib import Path

from xferlab.config.aliases import KEYS, NAMES
from xferlab.config.schema import root_keys
from xferlab.registry import REGISTRY

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
